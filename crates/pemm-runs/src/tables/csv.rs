//! A [`Table`] as CSV, for programs: every number as it is in the records, 0–1, with a point and no
//! rounding, so that a figure can be made from it again.

use crate::tables::cells::{joined, or_empty, status_name};
use crate::tables::table::{Judge, Table};

impl Table {
    /// One line per column, arm and judge.
    pub fn csv_summary(&self) -> String {
        let mut text = csv_line([
            "data",
            "data_sha256",
            "noise",
            "nominal_rate",
            "labels",
            "realised_rate_min",
            "realised_rate_max",
            "arm",
            "tags",
            "judge",
            "num_seeds",
            "seeds",
            "mean_test_accuracy",
            "sample_standard_deviation",
            "mean_minus_best",
            "paired_low",
            "paired_high",
            "paired_p",
            "mean_cpu_seconds",
            "mean_seconds",
            "num_trials",
        ]);
        for column in self.columns() {
            let realised = self.realised_rate(column);
            for arm in &self.arms {
                let cost = self.cost(arm);
                for judge in Judge::ALL {
                    let Some(summary) = self.summary(column, arm, judge) else { continue };
                    let paired = self.against_best(column, arm, judge);
                    let interval = paired.and_then(|paired| paired.interval);
                    text += &csv_line([
                        &column.data,
                        &column.data_sha256,
                        &column.convention,
                        &column.nominal_rate.to_string(),
                        &or_empty(column.labels.as_ref()),
                        &or_empty(realised.map(|[low, _]| low)),
                        &or_empty(realised.map(|[_, high]| high)),
                        arm,
                        &joined(self.tags(arm), " "),
                        judge.key(),
                        &summary.seeds.len().to_string(),
                        &joined(&summary.seeds, " "),
                        &summary.mean.to_string(),
                        &or_empty(summary.deviation),
                        &or_empty(paired.map(|paired| paired.difference)),
                        &or_empty(interval.map(|[low, _]| low)),
                        &or_empty(interval.map(|[_, high]| high)),
                        &or_empty(paired.and_then(|paired| paired.p_value)),
                        &or_empty(cost.and_then(|cost| cost.cpu_seconds)),
                        &or_empty(cost.map(|cost| cost.seconds)),
                        &or_empty(self.trials.get(arm)),
                    ]);
                }
            }
        }
        text
    }

    /// One line per run, those that are not finished last.
    pub fn csv_rows(&self) -> String {
        let mut head: Vec<String> = [
            "run",
            "data",
            "data_sha256",
            "noise",
            "nominal_rate",
            "labels",
            "labels_sha256",
            "realised_rate",
            "protocol",
            "arm",
            "tags",
            "seed",
            "status",
            "num_epochs",
            "total_seconds",
            "total_cpu_seconds",
            "commit",
            "device",
        ]
        .map(String::from)
        .into();
        for judge in Judge::ALL {
            let key = judge.key();
            head.extend(["epoch", "val_accuracy", "test_accuracy"].map(|n| format!("{key}_{n}")));
        }
        let mut text = csv_line(&head);
        for row in self.rows.iter().chain(&self.unfinished) {
            let mut fields = vec![
                row.path.display().to_string(),
                row.column.data.clone(),
                row.column.data_sha256.clone(),
                row.column.convention.clone(),
                row.column.nominal_rate.to_string(),
                or_empty(row.column.labels.as_ref()),
                row.labels_sha256.clone(),
                or_empty(row.realised_rate),
                row.protocol.clone(),
                row.arm.clone(),
                joined(&row.tags, " "),
                row.seed.to_string(),
                status_name(&row.status).to_string(),
                row.num_epochs.to_string(),
                row.total_seconds.to_string(),
                or_empty(row.total_cpu_seconds),
                or_empty(row.commit.as_ref().map(|(commit, _)| commit)),
                row.device.clone(),
            ];
            for judge in Judge::ALL {
                let chosen = judge.chosen(&row.choice);
                fields.push(or_empty(chosen.map(|chosen| chosen.epoch)));
                fields.push(or_empty(chosen.and_then(|chosen| chosen.val_accuracy)));
                fields.push(or_empty(chosen.and_then(|chosen| chosen.test_accuracy)));
            }
            text += &csv_line(&fields);
        }
        text
    }
}

/// One line of RFC 4180, but ended by a plain newline. Text that a spreadsheet would take for a
/// formula gets a `'` before it.
pub fn csv_line<T: AsRef<str>>(fields: impl IntoIterator<Item = T>) -> String {
    let safe = fields.into_iter().map(|field| {
        let field = field.as_ref();
        let is_formula =
            field.starts_with(['=', '+', '-', '@', '\t']) && field.parse::<f64>().is_err();
        if is_formula { format!("'{field}") } else { field.to_owned() }
    });
    let mut writer = ::csv::Writer::from_writer(Vec::new());
    writer.write_record(safe).expect("writing to memory does not fail");
    let line = writer.into_inner().expect("writing to memory does not fail");
    String::from_utf8(line).expect("it was made of text")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::table::tests::run;

    #[test]
    fn csv_keeps_every_digit_and_quotes() {
        let runs = [run("a,\"b\"", 1, 0.1 + 0.2), run("a,\"b\"", 2, 0.3)];
        let table = Table::of(&runs, &[]).unwrap();
        let rows = table.csv_rows();
        let lines: Vec<&str> = rows.lines().collect();
        assert_eq!(lines.len(), 3);
        let part = ",\"a,\"\"b\"\"\",,1,finished,1,2.5,4,,cpu,1,0.5,0.30000000000000004,";
        assert!(lines[1].contains(part), "{}", lines[1]);
        let summary = table.csv_summary();
        let lines: Vec<&str> = summary.lines().collect();
        assert_eq!(lines.len(), 4);
        assert!(lines[1].contains(",last,2,1 2,0.3"), "{}", lines[1]);
        let width = |line: &str| line.replace("a,\"\"b", "").split(',').count();
        assert!(lines.iter().all(|line| width(line) == 21), "{summary}");
    }

    #[test]
    fn no_text_is_a_formula() {
        assert_eq!(csv_line(["=1+1", "-0.5", "@a", "-a,b"]), "'=1+1,-0.5,'@a,\"'-a,b\"\n");
    }

    #[test]
    fn a_table_of_nothing_has_its_heads() {
        let table = Table::of(&[], &[]).unwrap();
        assert_eq!(table.csv_rows().lines().count(), 1);
        assert_eq!(table.csv_summary().lines().count(), 1);
    }
}
