//! Settings ranked by noisy validation, as Markdown and CSV.

use std::collections::BTreeSet;

use crate::tables::cells::{escaped, markdown_row, or_empty, percent};
use crate::tables::column::Column;
use crate::tables::csv::csv_line;
use crate::tables::settings::Ranked;

/// A table per arm, its settings from the best to the worst, and the winner by name.
pub fn markdown(arms: &[(String, Vec<Ranked>)]) -> String {
    let mut text = String::from(
        "Accuracy on noisy validation labels in %: after the last epoch (best of any epoch), means \
         over seeds. Settings stand in the order of the mean over columns after the last epoch, \
         over the columns and seeds that all settings of an arm have. The test set is not looked \
         at.\n",
    );
    for (arm, settings) in arms {
        let columns: BTreeSet<&Column> = settings.iter().flat_map(|s| s.last.keys()).collect();
        text += &format!("\n### {}, {} settings\n\n", escaped(arm), settings.len());
        let names = columns.iter().map(|column| column.to_string());
        text += &markdown_row("setting".into(), ["mean".into()].into_iter().chain(names));
        text += &format!("|---|---:|{}\n", "---:|".repeat(columns.len()));
        for ranked in settings {
            let mean = ranked.score.map_or("—".into(), percent);
            let cells = columns.iter().map(|column| {
                match (ranked.last.get(column), ranked.best.get(column)) {
                    (Some(last), Some(best)) => {
                        let (last, best, num) =
                            (percent(last.mean), percent(best.mean), last.seeds.len());
                        format!("{last} ({best}), n = {num}")
                    }
                    _ => "—".into(),
                }
            });
            text += &markdown_row(name(&ranked.setting), [mean].into_iter().chain(cells));
        }
        match settings.first().filter(|first| first.score.is_some()) {
            Some(first) => text += &format!("\nBest: {}\n", escaped(&name(&first.setting))),
            None => text += "\nNo column and seed that all settings have: no best.\n",
        }
    }
    text
}

/// One line per arm, setting and column, with every digit.
pub fn csv(arms: &[(String, Vec<Ranked>)]) -> String {
    let mut text = csv_line([
        "arm",
        "place",
        "setting",
        "mean_last_val_accuracy_over_columns",
        "data",
        "data_sha256",
        "noise",
        "nominal_rate",
        "labels",
        "num_seeds",
        "mean_last_val_accuracy",
        "mean_best_val_accuracy",
    ]);
    for (arm, settings) in arms {
        for (place, ranked) in settings.iter().enumerate() {
            for (column, last) in &ranked.last {
                text += &csv_line([
                    arm,
                    &(place + 1).to_string(),
                    &ranked.setting,
                    &or_empty(ranked.score),
                    &column.data,
                    &column.data_sha256,
                    &column.convention,
                    &column.nominal_rate.to_string(),
                    &or_empty(column.labels.as_ref()),
                    &last.seeds.len().to_string(),
                    &last.mean.to_string(),
                    &or_empty(ranked.best.get(column).map(|best| best.mean)),
                ]);
            }
        }
    }
    text
}

fn name(setting: &str) -> String {
    if setting.is_empty() { "(one setting)".into() } else { setting.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::epoch::tests::epoch;
    use crate::tables::settings::rank;
    use crate::tables::table::tests::{run, with};

    #[test]
    fn the_winner_is_named_and_test_accuracy_is_not_shown() {
        let tried = |q: f64, val: f64| {
            let mut run = with(run("gce", 1, 0.9), "loss", "q", q);
            run.1.set_epochs(vec![epoch(1, Some(val), Some(0.8765))]);
            run
        };
        let ranked = rank(&[tried(0.5, 0.41), tried(0.7, 0.52), run("ce", 1, 0.8765)]).unwrap();
        let text = markdown(&ranked);
        for part in [
            "### gce, 2 settings",
            "| setting | mean | cifar10 (dddddddd), symmetric 0.4 |",
            "| loss.q 0.7 | 52.00 | 52.00 (52.00), n = 1 |\n| loss.q 0.5 | 41.00 |",
            "\nBest: loss.q 0.7\n",
            "### ce, 1 settings",
            "\nBest: (one setting)\n",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        let csv = csv(&ranked);
        assert_eq!(csv.lines().count(), 4);
        assert!(csv.contains("\ngce,1,loss.q 0.7,0.52,cifar10,"), "{csv}");
        assert!(!text.contains("87.65") && !csv.contains("0.8765"));
    }
}
