//! The table and the ranking as JSON, one value a line.

use serde_json::{Value, json};

use crate::tables::settings::Ranked;
use crate::tables::table::{Judge, Table};

impl Table {
    /// One value for each column, arm and way to choose the epoch.
    pub fn json_lines(&self) -> Vec<Value> {
        let mut lines = Vec::new();
        for column in self.columns() {
            for (arm, judge) in
                self.arms.iter().flat_map(|arm| Judge::ALL.map(|judge| (arm, judge)))
            {
                let Some(summary) = self.summary(column, arm, judge) else { continue };
                let paired = self.against_best(column, arm, judge);
                let cost = self.cost(arm);
                lines.push(json!({
                    "data": column.data,
                    "data_sha256": column.data_sha256,
                    "noise": column.convention,
                    "nominal_rate": column.nominal_rate,
                    "labels": column.labels,
                    "realised_rate": self.realised_rate(column),
                    "arm": arm,
                    "tags": self.tags(arm),
                    "judge": judge.key(),
                    "seeds": summary.seeds,
                    "mean_test_accuracy": summary.mean,
                    "sample_standard_deviation": summary.deviation,
                    "mean_minus_best": paired.map(|paired| paired.difference),
                    "paired_interval": paired.and_then(|paired| paired.interval),
                    "paired_p": paired.and_then(|paired| paired.p_value),
                    "mean_cpu_seconds": cost.and_then(|cost| cost.cpu_seconds),
                    "mean_seconds": cost.map(|cost| cost.seconds),
                    "num_trials": self.trials.get(arm),
                }));
            }
        }
        lines
    }
}

/// The settings of each arm in the order of their rank.
pub fn ranking(ranked: &[(String, Vec<Ranked>)]) -> Vec<Value> {
    let mut lines = Vec::new();
    for (arm, settings) in ranked {
        for (place, setting) in settings.iter().enumerate() {
            let columns: Vec<Value> = setting
                .last
                .iter()
                .map(|(column, last)| {
                    json!({
                        "column": column.to_string(),
                        "seeds": last.seeds,
                        "mean_last_val_accuracy": last.mean,
                        "mean_best_val_accuracy": setting.best.get(column).map(|best| best.mean),
                    })
                })
                .collect();
            lines.push(json!({
                "arm": arm,
                "place": place + 1,
                "setting": setting.setting,
                "mean_last_val_accuracy_over_columns": setting.score,
                "columns": columns,
            }));
        }
    }
    lines
}
