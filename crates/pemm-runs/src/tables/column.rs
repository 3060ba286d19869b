//! What a column of a table stands for: one data set with one noise.

use std::cmp::Ordering;
use std::fmt;

use crate::record::Record;
use pemm_experiment::identity::short;

/// A column: one data set with one noise.
#[derive(Debug, Clone)]
pub struct Column {
    /// Name of the data set.
    pub data: String,
    /// Hash of the data set.
    pub data_sha256: String,
    /// Name of the noise convention.
    pub convention: String,
    /// Nominal rate of the noise, 0–1.
    pub nominal_rate: f64,
    /// Column of the labels file that the given labels come from, where there is one.
    pub labels: Option<String>,
}

impl Column {
    /// The column that `record` belongs to.
    pub fn of(record: &Record) -> Self {
        Self {
            data: record.data.name.clone(),
            data_sha256: record.data.data_sha256.clone(),
            convention: record.noise.convention.clone(),
            nominal_rate: record.noise.nominal_rate + 0.0, // -0 is 0
            labels: label_column(record),
        }
    }

    /// The noise alone: `symmetric 0.4`, ``labels `worse` ``.
    pub fn noise_name(&self) -> String {
        let drawn = match (self.convention.as_str(), &self.labels) {
            ("none" | "given", Some(labels)) => return format!("labels `{labels}`"),
            ("none", None) => return "no noise".into(),
            ("given", None) => return "labels as given".into(),
            (convention, _) => format!("{convention} {}", self.nominal_rate),
        };
        self.labels.as_ref().map_or(drawn.clone(), |labels| format!("{drawn} on labels `{labels}`"))
    }
}

fn label_column(record: &Record) -> Option<String> {
    let data = record.experiment.get("data")?;
    data.get("labels").filter(|labels| !labels.is_null())?;
    Some(data.get("label_column")?.as_str()?.to_owned())
}

/// Clean labels first, then the noise that all papers have.
fn place(convention: &str) -> u8 {
    match convention {
        "none" => 0,
        "symmetric" => 1,
        "symmetric-inclusive" => 2,
        "given" => 4,
        _ => 3,
    }
}

impl Ord for Column {
    fn cmp(&self, other: &Self) -> Ordering {
        let data = self.data.cmp(&other.data).then(self.labels.cmp(&other.labels));
        let data = data.then(self.data_sha256.cmp(&other.data_sha256));
        let places = place(&self.convention).cmp(&place(&other.convention));
        let convention = places.then(self.convention.cmp(&other.convention));
        data.then(convention).then(self.nominal_rate.total_cmp(&other.nominal_rate))
    }
}
impl PartialOrd for Column {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl PartialEq for Column {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Column {}

impl fmt::Display for Column {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        write!(formatter, "{} ({}), {}", self.data, short(&self.data_sha256), self.noise_name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::record;

    #[test]
    fn columns_stand_by_data_then_noise_then_rate() {
        let base = Column::of(&record("ce", 1, 0.5));
        let other = |change: fn(&mut Column)| {
            let mut column = base.clone();
            change(&mut column);
            column
        };
        let mut columns = [
            other(|column| column.data = "mnist".into()),
            other(|column| column.data_sha256 = "e".repeat(64)),
            other(|column| column.nominal_rate = 0.6),
            other(|column| column.labels = Some("worse".into())),
            other(|column| column.convention = "asymmetric".into()),
            other(|column| column.convention = "none".into()),
            base.clone(),
        ];
        columns.sort();
        assert_eq!(
            columns.map(|column| column.to_string()),
            [
                "cifar10 (dddddddd), no noise",
                "cifar10 (dddddddd), symmetric 0.4",
                "cifar10 (dddddddd), symmetric 0.6",
                "cifar10 (dddddddd), asymmetric 0.4",
                "cifar10 (eeeeeeee), symmetric 0.4",
                "cifar10 (dddddddd), symmetric 0.4 on labels `worse`",
                "mnist (dddddddd), symmetric 0.4",
            ]
        );
    }

    #[test]
    fn labels_of_people_are_named_by_their_column() {
        let mut people = record("ce", 1, 0.5);
        people.noise.convention = "given".into();
        assert_eq!(Column::of(&people).noise_name(), "labels as given");
        people.experiment["data"]["labels"] = "cifar10n.csv".into();
        people.experiment["data"]["label_column"] = "worse".into();
        assert_eq!(Column::of(&people).noise_name(), "labels `worse`");
        people.noise.convention = "pair".into();
        assert_eq!(Column::of(&people).noise_name(), "pair 0.4 on labels `worse`");
    }

    #[test]
    fn minus_zero_is_zero() {
        let mut clean = record("ce", 1, 0.5);
        clean.noise.nominal_rate = 0.0;
        let zero = Column::of(&clean);
        clean.noise.nominal_rate = -0.0;
        assert_eq!(Column::of(&clean), zero);
    }
}
