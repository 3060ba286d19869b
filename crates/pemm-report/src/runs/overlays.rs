//! Training curves of all arms, one over the other.

use std::collections::BTreeMap;
use std::path::PathBuf;

use pemm_runs::tables::statistics::mean_and_deviation;
use pemm_runs::{Column, EpochRecord, Record};

use super::{MAX_FIGURES, color};
use crate::chart::{Axis, Figure, Series};
use crate::report::Section;
use crate::run::curves::per_epoch;

/// Mean curves over seeds: test accuracy, and wrong labels that are fitted.
pub(super) fn overlays(runs: &[(PathBuf, Record)], arms: &[String]) -> Section {
    let mut section = Section::new("curves", "While training");
    let mut columns: BTreeMap<Column, Vec<&Record>> = BTreeMap::new();
    for (_, record) in runs {
        columns.entry(Column::of(record)).or_default().push(record);
    }
    for (index, (column, records)) in columns.iter().enumerate().take(MAX_FIGURES) {
        let curves = [
            ("test-accuracy", "Test accuracy", "test accuracy, %", accuracy as Value),
            ("wrong-fitted", "Wrong labels fitted", "share of the wrong labels, %", wrong_fitted),
        ];
        for (name, title, axis, value) in curves {
            let name = format!("{name}-{}", index + 1);
            section.figures.extend(overlay(
                &name,
                &format!("{title}: {column}"),
                axis,
                value,
                records,
                arms,
            ));
        }
    }
    if !section.figures.is_empty() {
        section.text.push(
            "Means over all runs of a method on one column, seed by seed and setting by setting. A \
             method that memorises loses test accuracy while it fits more of the wrong labels."
                .into(),
        );
    }
    section
}

/// A value of an epoch, 0–1, if it is known.
type Value = fn(&EpochRecord) -> Option<f64>;

fn accuracy(epoch: &EpochRecord) -> Option<f64> {
    epoch.test_accuracy()
}

fn wrong_fitted(epoch: &EpochRecord) -> Option<f64> {
    let scored = epoch.scored?;
    let (fitted, flipped) = (scored.flipped_fitted?, scored.num_flipped?);
    (flipped > 0).then(|| fitted as f64 / flipped as f64)
}

fn overlay(
    name: &str,
    title: &str,
    axis: &str,
    value: Value,
    records: &[&Record],
    arms: &[String],
) -> Option<Figure> {
    let mut chart = per_epoch(name, title, axis).y(Axis::new(axis).from(0.0));
    let mut num_lines = 0;
    for arm in arms {
        let mut by_epoch: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
        for epoch in records.iter().filter(|record| record.arm == *arm).flat_map(|r| &r.epochs) {
            if let Some(value) = value(epoch).filter(|value| value.is_finite()) {
                by_epoch.entry(epoch.epoch).or_default().push(value);
            }
        }
        let points: Vec<(f64, f64)> = by_epoch
            .iter()
            .filter_map(|(epoch, values)| {
                Some((*epoch as f64, 100.0 * mean_and_deviation(values)?.0))
            })
            .collect();
        if !points.is_empty() {
            chart = chart.series(Series::new(arm.clone(), points).color(color(arms, arm)));
            num_lines += 1;
        }
    }
    (num_lines > 0).then(|| chart.figure())
}
