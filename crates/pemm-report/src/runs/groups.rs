//! Runs that are the same experiment but for the seed.

use std::collections::BTreeMap;
use std::path::PathBuf;

use pemm_experiment::same::{Values, but_for_seed};
use pemm_runs::tables::statistics::Summary;
use pemm_runs::{Column, Record, Status};

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
    pub(super) settings: Values,
    /// Its finished runs.
    pub(super) finished: Vec<&'a Record>,
    /// Seeds of all its runs.
    seeds: Vec<u64>,
}

impl Group<'_> {
    /// Test accuracy after the last epoch, over the finished runs.
    pub(super) fn accuracy(&self) -> Option<Summary> {
        let values = self.finished.iter().filter_map(|record| {
            Some((record.seed(), record.choice.last?.test_accuracy.filter(|a| a.is_finite())?))
        });
        Summary::of(&values.collect::<Vec<_>>())
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
        let settings = but_for_seed(&record.experiment, &[]);
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
