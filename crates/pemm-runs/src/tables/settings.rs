//! Settings of an arm: runs of one arm that differ in parameters, told apart by the keys in which
//! they differ. What a search or a sweep varies is found in the records and not declared.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use pemm_experiment::same;
use serde_json::Value;

use crate::error::Result;
use crate::record::Record;
use crate::tables::column::Column;
use crate::tables::comparable::check_column;
use crate::tables::statistics::Summary;

/// The setting of each of `runs`: the keys in which the runs of its arm differ, and their values
/// where they are set; empty where the runs do not differ.
pub fn settings(runs: &[(PathBuf, Record)]) -> Vec<String> {
    let values: Vec<BTreeMap<String, Value>> =
        runs.iter().map(|(_, record)| same::settings(&record.experiment)).collect();
    let mut arms: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (place, (_, record)) in runs.iter().enumerate() {
        arms.entry(&record.arm).or_default().push(place);
    }
    let mut settings = vec![String::new(); runs.len()];
    for places in arms.values() {
        let keys: BTreeSet<&String> = places.iter().flat_map(|&run| values[run].keys()).collect();
        let differ = |key: &&String| {
            places.iter().any(|&run| values[run].get(*key) != values[places[0]].get(*key))
        };
        let keys: Vec<&String> = keys.into_iter().filter(differ).collect();
        for &run in places {
            let set = keys.iter().filter_map(|key| Some((key, values[run].get(*key)?)));
            let shown: Vec<String> =
                set.map(|(key, value)| format!("{key} {}", plain(value))).collect();
            settings[run] = match shown.is_empty() {
                true if !keys.is_empty() => "none of the others' keys".into(),
                _ => shown.join(", "),
            };
        }
    }
    settings
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Makes an arm of its own of every setting, so that a table shows each in a row.
pub fn as_arms(runs: &mut [(PathBuf, Record)]) {
    for (setting, (_, record)) in settings(runs).into_iter().zip(runs) {
        if !setting.is_empty() {
            record.arm = format!("{}: {setting}", record.arm);
        }
    }
}

/// Number of different settings of each arm among `runs`.
pub fn trials(runs: &[(PathBuf, Record)]) -> BTreeMap<String, usize> {
    let mut tried: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (setting, (_, record)) in settings(runs).into_iter().zip(runs) {
        tried.entry(record.arm.clone()).or_default().insert(setting);
    }
    tried.into_iter().map(|(arm, settings)| (arm, settings.len())).collect()
}

/// One setting of an arm, judged by noisy validation labels alone.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranked {
    /// Its keys and values; empty if the arm has one setting only.
    pub setting: String,
    /// Validation accuracy after the last epoch, over seeds, per column.
    pub last: BTreeMap<Column, Summary>,
    /// The best validation accuracy of any epoch.
    pub best: BTreeMap<Column, Summary>,
    /// Mean of `last` over the columns that all settings of the arm have; none without any.
    pub score: Option<f64>,
}

/// The settings of each arm in the order of their arms, the best first. Only finished runs with a
/// validation part count. Settings are compared over the columns and seeds that all of an arm have,
/// so that none gains by a run that another lacks. The test set is not looked at.
///
/// # Errors
/// [`Duplicate`](crate::RunError::Duplicate) for two runs of one setting, column and seed;
/// [`NoiseDiffers`](crate::RunError::NoiseDiffers) and
/// [`ProtocolDiffers`](crate::RunError::ProtocolDiffers) for runs of a column on other labels, data or
/// noise.
pub fn rank(runs: &[(PathBuf, Record)]) -> Result<Vec<(String, Vec<Ranked>)>> {
    let mut named = runs.to_vec();
    as_arms(&mut named);
    let mut columns: BTreeMap<Column, Vec<(&Path, &Record)>> = BTreeMap::new();
    for (path, record) in named.iter().filter(|(_, r)| r.status == crate::Status::Finished) {
        columns.entry(Column::of(record)).or_default().push((path, record));
    }
    for (column, runs) in &columns {
        check_column(column, runs, same::searched_on, &[])?;
    }
    type Values = BTreeMap<Column, Vec<(u64, f64, f64)>>;
    let mut arms: Vec<(String, Vec<(String, Values)>)> = Vec::new();
    for (setting, (_, record)) in settings(runs).into_iter().zip(runs) {
        let val = |chosen: Option<crate::Chosen>| chosen?.val_accuracy;
        let choice = &record.choice;
        let (Some(last), Some(best)) = (val(choice.last), val(choice.best_by_noisy_val)) else {
            continue;
        };
        if record.status != crate::Status::Finished {
            continue;
        }
        let arm = place(&mut arms, &record.arm);
        let values = place(arm, &setting);
        values.entry(Column::of(record)).or_default().push((record.seed(), last, best));
    }
    Ok(arms.into_iter().map(|(arm, settings)| (arm, ranked(settings))).collect())
}

/// The value that belongs to `name`, made if missing, in the order of appearance.
fn place<'a, T: Default>(list: &'a mut Vec<(String, T)>, name: &str) -> &'a mut T {
    let place = list.iter().position(|(known, _)| known == name).unwrap_or_else(|| {
        list.push((name.to_owned(), T::default()));
        list.len() - 1
    });
    &mut list[place].1
}

/// Seed, last and best accuracy of each run, by column.
type ByColumn = BTreeMap<Column, Vec<(u64, f64, f64)>>;

fn ranked(settings: Vec<(String, ByColumn)>) -> Vec<Ranked> {
    let runs_of = |values: &ByColumn| -> BTreeSet<(Column, u64)> {
        let runs = values.iter();
        runs.flat_map(|(c, runs)| runs.iter().map(|run| (c.clone(), run.0))).collect()
    };
    let shared = settings.iter().map(|(_, values)| runs_of(values));
    let shared = shared.reduce(|a, b| a.intersection(&b).cloned().collect()).unwrap_or_default();
    let mut ranked: Vec<Ranked> = settings
        .into_iter()
        .map(|(setting, values)| {
            let mut common: BTreeMap<&Column, Vec<(u64, f64)>> = BTreeMap::new();
            let (mut last, mut best) = (BTreeMap::new(), BTreeMap::new());
            for (column, runs) in &values {
                let mut runs = runs.clone();
                runs.sort_by_key(|run| run.0);
                let of = |pick: fn(&(u64, f64, f64)) -> f64| {
                    let values: Vec<(u64, f64)> =
                        runs.iter().map(|run| (run.0, pick(run))).collect();
                    Summary::of(&values).expect("a column has a run")
                };
                last.insert(column.clone(), of(|run| run.1));
                best.insert(column.clone(), of(|run| run.2));
                for run in runs.iter().filter(|run| shared.contains(&(column.clone(), run.0))) {
                    common.entry(column).or_default().push((run.0, run.1));
                }
            }
            let means = common.values().filter_map(|runs| Summary::of(runs)).map(|s| s.mean);
            let means: Vec<(u64, f64)> = means.map(|mean| (0, mean)).collect();
            let score = Summary::of(&means).map(|summary| summary.mean);
            Ranked { setting, last, best, score }
        })
        .collect();
    let score = |ranked: &Ranked| ranked.score.filter(|s| !s.is_nan()).unwrap_or(f64::NEG_INFINITY);
    ranked.sort_by(|a, b| score(b).total_cmp(&score(a)));
    ranked
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::epoch::tests::epoch;
    use crate::tables::table::tests::{run, with};

    /// A run of `gce` with this q, judged by these validation accuracies.
    fn tried(q: f64, seed: u64, last: f64, best: f64) -> (PathBuf, Record) {
        let mut run = with(run("gce", seed, 0.99 - q), "loss", "q", q);
        run.1.set_epochs(vec![
            epoch(1, Some(best), Some(0.1)),
            epoch(2, Some(last), Some(0.99 - q)),
        ]);
        run
    }

    #[test]
    fn settings_are_the_keys_that_differ_within_an_arm() {
        let runs = [tried(0.5, 1, 0.4, 0.4), tried(0.7, 1, 0.4, 0.4), run("ce", 1, 0.5)];
        assert_eq!(settings(&runs), ["loss.q 0.5", "loss.q 0.7", ""]);
        assert_eq!(trials(&runs), BTreeMap::from([("ce".into(), 1), ("gce".into(), 2)]));
        let unset = [runs[0].clone(), run("gce", 2, 0.5)];
        assert_eq!(settings(&unset), ["loss.q 0.5", "none of the others' keys"]);
        let mut runs = runs.to_vec();
        as_arms(&mut runs);
        let arms: Vec<&str> = runs.iter().map(|(_, record)| record.arm.as_str()).collect();
        assert_eq!(arms, ["gce: loss.q 0.5", "gce: loss.q 0.7", "ce"]);
    }

    #[test]
    fn validation_ranks_and_the_test_set_does_not() {
        let runs = [
            tried(0.3, 1, 0.40, 0.60), // the best on test, and the best epoch of all
            tried(0.3, 2, 0.42, 0.60),
            tried(0.7, 2, 0.52, 0.53),
            tried(0.7, 1, 0.50, 0.51),
            tried(0.9, 1, 0.45, 0.46),
            tried(0.9, 2, 0.47, 0.48),
        ];
        let ranked = rank(&runs).unwrap();
        assert_eq!(ranked.len(), 1);
        let (arm, ranked) = &ranked[0];
        let order: Vec<&str> = ranked.iter().map(|setting| setting.setting.as_str()).collect();
        assert_eq!((arm.as_str(), order), ("gce", vec!["loss.q 0.7", "loss.q 0.9", "loss.q 0.3"]));
        let column = Column::of(&runs[0].1);
        assert!((ranked[0].score.unwrap() - 0.51).abs() < 1e-12);
        assert!((ranked[0].last[&column].mean - 0.51).abs() < 1e-12);
        assert_eq!(ranked[0].last[&column].seeds, [1, 2]);
        assert!((ranked[2].best[&column].mean - 0.60).abs() < 1e-12);
    }

    #[test]
    fn a_run_that_others_lack_gives_no_advantage() {
        // 0.9 has an easy third seed.
        let runs = [tried(0.7, 1, 0.50, 0.5), tried(0.9, 1, 0.45, 0.5), tried(0.9, 3, 0.99, 0.99)];
        let ranked = &rank(&runs).unwrap()[0].1;
        assert_eq!((ranked[0].setting.as_str(), ranked[0].score), ("loss.q 0.7", Some(0.5)));
        assert_eq!(ranked[1].score, Some(0.45));
        let mut unfinished = tried(0.1, 1, 0.9, 0.9);
        unfinished.1.status = crate::Status::Running;
        assert!(rank(&[unfinished]).unwrap().is_empty());
    }

    #[test]
    fn settings_are_judged_on_the_same_data_once() {
        let pair = [tried(0.5, 1, 0.4, 0.4), tried(0.7, 1, 0.4, 0.4)];
        let refused = |runs: &[(PathBuf, Record)]| rank(runs).unwrap_err().to_string();
        let twice = [pair.clone(), pair.clone()].concat();
        assert!(refused(&twice).contains("are both seed 1"), "{}", refused(&twice));
        let smaller = with(pair[1].clone(), "data", "limit", 500);
        let other = [pair[0].clone(), smaller];
        assert!(refused(&other).contains("data.limit"), "{}", refused(&other));
        let mut drawn = pair.clone();
        drawn[1].1.noise.labels_sha256 = "beef".repeat(16);
        assert!(refused(&drawn).contains("same seed 1"), "{}", refused(&drawn));
    }
}
