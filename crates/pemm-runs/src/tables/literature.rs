//! What papers print for the columns of a table. It stands apart from our own runs, with its source:
//! their data pipelines, networks and epochs are not ours.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::tables::column::Column;

const CATALOGUE: &str = include_str!("literature.toml");

/// A table of a paper.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Printed {
    /// Where it stands.
    pub source: String,
    /// What is known of how it came about.
    pub note: String,
    /// Names of its data set, in lower case without signs.
    data: Vec<String>,
    /// Convention (or the column of a labels file) and nominal rate.
    columns: Vec<(String, f64)>,
    /// By method, per column: accuracy in % and perhaps the standard deviation, or nothing.
    methods: BTreeMap<String, Vec<Vec<f64>>>,
}

/// All tables that are known.
pub fn catalogue() -> Vec<Printed> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        table: Vec<Printed>,
    }
    toml::from_str::<File>(CATALOGUE).expect("the catalogue is valid").table
}

impl Printed {
    /// For each method what it prints for `columns`, in their order; methods without any value are
    /// left out. Matched by data set, convention and rate alone.
    pub fn rows(&self, columns: &[&Column]) -> Vec<(&str, Vec<Option<Value>>)> {
        let places: Vec<Option<usize>> = columns.iter().map(|column| self.place(column)).collect();
        let value = |values: &[Vec<f64>], place: &Option<usize>| {
            let value = values.get((*place)?)?;
            Some(Value { accuracy: *value.first()?, deviation: value.get(1).copied() })
        };
        self.methods
            .iter()
            .map(|(method, values)| {
                (method.as_str(), places.iter().map(|place| value(values, place)).collect())
            })
            .filter(|(_, values): &(_, Vec<_>)| values.iter().any(Option::is_some))
            .collect()
    }

    fn place(&self, column: &Column) -> Option<usize> {
        if !self.data.iter().any(|name| is_named(&column.data, name)) {
            return None;
        }
        let noise = match (column.convention.as_str(), &column.labels) {
            ("given" | "none", Some(labels)) => labels.as_str(),
            ("none", None) => "symmetric", // at rate 0 all conventions are one
            (_, Some(_)) => return None,   // noise on labels of people: nobody printed that
            (convention, None) => convention,
        };
        let rate = if column.labels.is_some() { 0.0 } else { column.nominal_rate };
        self.columns.iter().position(|(name, at)| name == noise && *at == rate)
    }
}

/// A printed accuracy, in %.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Value {
    /// Accuracy.
    pub accuracy: f64,
    /// Standard deviation over runs, where printed.
    pub deviation: Option<f64>,
}

/// Whether `data` (`cifar10-jpeg`) is the data set `name` (`cifar10`) and not another whose name
/// only begins alike (`cifar100`).
fn is_named(data: &str, name: &str) -> bool {
    let data: String = data.to_lowercase().chars().filter(|char| char.is_alphanumeric()).collect();
    data.strip_prefix(name).is_some_and(|rest| !rest.starts_with(|char: char| char.is_numeric()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::record;

    fn column(data: &str, convention: &str, nominal_rate: f64) -> Column {
        let plain = Column::of(&record("ce", 1, 0.5));
        Column { data: data.into(), convention: convention.into(), nominal_rate, ..plain }
    }

    #[test]
    fn every_table_has_a_value_per_column_and_rates_and_per_cents() {
        let catalogue = catalogue();
        assert!(catalogue.len() >= 5);
        for table in catalogue {
            assert!(!table.source.is_empty() && !table.note.is_empty() && !table.data.is_empty());
            assert!(table.columns.iter().all(|(_, rate)| (0.0..=1.0).contains(rate)));
            for (method, values) in &table.methods {
                assert_eq!(values.len(), table.columns.len(), "{}: {method}", table.source);
                for value in values {
                    assert!(value.len() <= 2 && value.iter().all(|v| (0.0..=100.0).contains(v)));
                }
            }
        }
    }

    #[test]
    fn columns_match_by_data_convention_and_rate() {
        let catalogue = catalogue();
        let paper = &catalogue[0];
        let ours = [
            column("cifar10-jpeg", "symmetric", 0.4),
            column("cifar10", "none", 0.0),
            column("cifar10", "pair", 0.4),
            column("cifar100", "symmetric", 0.4),
        ];
        let rows = paper.rows(&ours.iter().collect::<Vec<_>>());
        let (_, pemm) = rows.iter().find(|(method, _)| *method == "PEMM").unwrap();
        let accuracy: Vec<Option<f64>> = pemm.iter().map(|v| v.map(|v| v.accuracy)).collect();
        assert_eq!(accuracy, [Some(88.54), Some(89.28), None, None]);
        assert!(paper.rows(&[&ours[2]]).is_empty());
        let people = Column { labels: Some("worse".into()), ..column("cifar10", "given", 0.0) };
        let found = catalogue.iter().filter(|table| !table.rows(&[&people]).is_empty());
        assert_eq!(found.count(), 1);
        let redrawn =
            Column { labels: Some("worse".into()), ..column("cifar10", "symmetric", 0.4) };
        assert!(catalogue.iter().all(|table| table.rows(&[&redrawn]).is_empty()));
    }

    /// The SCE paper's "40 %" of CIFAR-100 is 16 %: it must not stand beside 40 %.
    #[test]
    fn the_baselines_of_cifar_100_stand_beside_their_own_noise() {
        let printed = |convention: &str| -> Vec<(String, f64)> {
            let ours = column("cifar-100", convention, 0.4);
            let tables = catalogue();
            let rows = tables.iter().flat_map(|table| {
                let rows = table.rows(&[&ours]);
                let of = |(method, values): (&str, Vec<Option<Value>>)| {
                    (method.to_owned(), values[0].unwrap().accuracy)
                };
                rows.into_iter().map(of).collect::<Vec<_>>()
            });
            rows.collect()
        };
        assert_eq!(printed("block-cycle"), [("PEMM".to_owned(), 64.81)]);
        let pairs = printed("block-pair");
        assert_eq!(pairs.len(), 5);
        assert!(
            pairs.contains(&("SCE".to_owned(), 63.10)) && pairs.contains(&("CE".to_owned(), 61.85))
        );
        assert_eq!(printed("symmetric").len(), 6);
    }

    #[test]
    fn names_that_only_begin_alike_are_others() {
        assert!(is_named("CIFAR-10", "cifar10") && is_named("cifar-10-batches-bin", "cifar10"));
        assert!(!is_named("cifar-100", "cifar10") && !is_named("mnist", "cifar10"));
    }
}
