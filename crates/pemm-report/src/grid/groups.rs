//! Runs that are the same experiment but for the seed.

use std::collections::BTreeMap;
use std::path::PathBuf;

use pemm_runs::identity::flatten;
use pemm_runs::{Column, Record, Status};
use serde_json::Value;

/// The settings of an experiment by dotted key, without the seed.
pub(super) type Settings = BTreeMap<String, Value>;

/// Runs of one experiment under several seeds.
#[derive(Debug, Clone)]
pub(super) struct Group<'a> {
    /// The method.
    pub(super) arm: String,
    /// The method, and the settings in which this group differs from others of it.
    pub(super) label: String,
    /// Data and noise.
    pub(super) column: Column,
    /// All settings.
    pub(super) settings: Settings,
    /// Its finished runs.
    pub(super) finished: Vec<&'a Record>,
    /// Seeds of all its runs.
    seeds: Vec<u64>,
}

/// A mean over seeds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Mean {
    /// The mean.
    pub(super) mean: f64,
    /// Sample standard deviation; unknown for one value.
    pub(super) deviation: Option<f64>,
}

impl Mean {
    /// Of `values`; none without.
    pub(super) fn of(values: &[f64]) -> Option<Self> {
        let num = values.len() as f64;
        let mean = values.iter().sum::<f64>() / num;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let deviation = (values.len() > 1).then(|| (squares / (num - 1.0)).sqrt());
        (!values.is_empty()).then_some(Self { mean, deviation })
    }
}

impl Group<'_> {
    /// Test accuracy after the last epoch, over the finished runs.
    pub(super) fn accuracy(&self) -> Option<Mean> {
        let values: Vec<f64> = self
            .finished
            .iter()
            .filter_map(|record| record.choice.last?.test_accuracy)
            .filter(|value| value.is_finite())
            .collect();
        Mean::of(&values)
    }

    /// The seeds as a text.
    pub(super) fn seeds(&self) -> String {
        self.seeds.iter().map(u64::to_string).collect::<Vec<_>>().join(", ")
    }
}

/// The arms in the order of their first appearance.
pub(super) fn arms(runs: &[(PathBuf, Record)]) -> Vec<String> {
    let mut arms: Vec<String> = Vec::new();
    for (_, record) in runs {
        if !arms.contains(&record.arm) {
            arms.push(record.arm.clone());
        }
    }
    arms
}

/// The groups in the order of arms, columns and settings.
pub(super) fn groups(runs: &[(PathBuf, Record)]) -> Vec<Group<'_>> {
    let arms = arms(runs);
    let mut groups: BTreeMap<(usize, Column, String), Group<'_>> = BTreeMap::new();
    for (_, record) in runs {
        let mut settings = flatten(&record.experiment);
        settings.remove("seed");
        let place = arms.iter().position(|arm| *arm == record.arm).unwrap_or_default();
        let column = Column::of(record);
        let text = settings.iter().map(|(key, value)| format!("{key}={value}\n")).collect();
        let group = groups.entry((place, column.clone(), text)).or_insert_with(|| Group {
            arm: record.arm.clone(),
            label: record.arm.clone(),
            column,
            settings,
            finished: Vec::new(),
            seeds: Vec::new(),
        });
        group.seeds.push(record.seed());
        if record.status == Status::Finished {
            group.finished.push(record);
        }
    }
    let mut groups: Vec<Group<'_>> = groups.into_values().collect();
    name(&mut groups);
    groups
}

/// Where an arm has several settings on one column, the keys in which they differ join its label.
fn name(groups: &mut [Group<'_>]) {
    const MOST: usize = 3;
    let mut labels = Vec::new();
    for group in groups.iter() {
        let same = |other: &&Group<'_>| other.arm == group.arm && other.column == group.column;
        let differing: Vec<String> = group
            .settings
            .iter()
            .filter(|(key, value)| {
                groups.iter().filter(same).any(|other| other.settings.get(*key) != Some(*value))
            })
            .map(|(key, value)| format!("{} {value}", key.rsplit('.').next().unwrap_or(key)))
            .take(MOST)
            .collect();
        labels.push(std::iter::once(group.arm.clone()).chain(differing).collect::<Vec<_>>());
    }
    for (group, label) in groups.iter_mut().zip(labels) {
        group.label = label.join(", ");
    }
}
