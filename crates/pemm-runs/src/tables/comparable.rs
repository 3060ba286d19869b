//! Which runs may be averaged and compared.
//!
//! Four rules make the numbers of a column comparable, and breaking one is an error that names
//! both runs: for each seed all arms saw the same given labels; all runs had their noise drawn from
//! one matrix; all runs share the protocol (data, noise, model, optim, schedule, augment); the runs
//! of one arm are the same experiment but for the seed. Keys may be allowed to differ; they are then
//! shown with the table. A key that is not set is the same as one that is absent.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use pemm_experiment::identity::{Difference, differences, flatten, short};
use pemm_experiment::same::{Values, but_for_seed, is_in, parameters};
use serde_json::Value;

use crate::error::{Result, RunError};
use crate::record::Record;
use crate::tables::column::Column;

/// The convention whose matrix is drawn anew for each seed.
const MATRIX_BY_SEED: &str = "block-pair";

/// Keys that differ; for each value, what has it.
pub type Allowed = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

/// The hash of the noise's matrix as a difference of two runs; records from before it was kept
/// say nothing.
fn matrix_difference(first: &Record, second: &Record) -> Option<Difference> {
    let matrix = |record: &Record| record.noise.matrix_sha256.clone();
    let (first_hash, second_hash) = (matrix(first)?, matrix(second)?);
    (first_hash != second_hash && first.noise.convention != MATRIX_BY_SEED).then(|| Difference {
        key: "noise's matrix (SHA-256)".into(),
        first: Some(short(&first_hash).into()),
        second: Some(short(&second_hash).into()),
    })
}

/// Keys of a method's parameters that differ between the columns of one data set, by arm; for each
/// value, its columns. An arm is one set of parameters for all columns, and where it is not, its row
/// is no row of one method.
pub(crate) fn varying_parameters(
    runs: &[(Column, &Record)],
    allow: &[String],
) -> BTreeMap<String, Allowed> {
    let mut arms: BTreeMap<(&str, &str), Vec<(&Column, Values)>> = BTreeMap::new();
    for (column, record) in runs {
        let arm = (record.arm.as_str(), column.data_sha256.as_str());
        arms.entry(arm).or_default().push((column, parameters(&record.experiment, allow)));
    }
    let mut varying: BTreeMap<String, Allowed> = BTreeMap::new();
    for ((arm, _), runs) in arms {
        let runs: Vec<_> =
            runs.into_iter().map(|(column, values)| (column.noise_name(), values)).collect();
        let differing = differing(&runs);
        if !differing.is_empty() {
            varying.entry(arm.to_owned()).or_default().extend(differing);
        }
    }
    varying
}

/// Holds the finished runs of one column to the four rules; `protocol` gives what all share.
pub(crate) fn check_column(
    column: &Column,
    runs: &[(&Path, &Record)],
    protocol: fn(&Value, &[String]) -> Values,
    allow: &[String],
) -> Result<()> {
    let mut by_seed: BTreeMap<u64, (&Path, &Record)> = BTreeMap::new();
    let mut by_arm: BTreeMap<&str, (&Path, &Record)> = BTreeMap::new();
    let mut by_both: BTreeMap<(&str, u64), &Path> = BTreeMap::new();
    for &(path, record) in runs {
        let (arm, seed) = (record.arm.as_str(), record.seed());
        if let Some(first) = by_both.insert((arm, seed), path) {
            return Err(RunError::Duplicate {
                first: first.to_path_buf(),
                second: path.to_path_buf(),
                arm: arm.into(),
                column: column.to_string(),
                seed,
            });
        }
        let share =
            |first: (&Path, &Record), place: String, values: fn(&Value, &[String]) -> Values| {
                let differences = differences(
                    &values(&first.1.experiment, allow),
                    &values(&record.experiment, allow),
                );
                if differences.is_empty() {
                    return Ok(());
                }
                let (first, second) = (first.0.to_path_buf(), path.to_path_buf());
                Err(RunError::ProtocolDiffers { first, second, place, differences })
            };
        share(runs[0], format!("column `{column}`"), protocol)?;
        let with_matrix = runs.iter().find(|run| run.1.noise.matrix_sha256.is_some());
        let (first, drawn) = *with_matrix.unwrap_or(&runs[0]);
        if let Some(difference) = matrix_difference(drawn, record) {
            return Err(RunError::ProtocolDiffers {
                first: first.to_path_buf(),
                second: path.to_path_buf(),
                place: format!("column `{column}`"),
                differences: vec![difference],
            });
        }
        let alike = *by_arm.entry(arm).or_insert((path, record));
        share(alike, format!("the cell of arm `{arm}` and column `{column}`"), but_for_seed)?;
        let (first, drawn) = *by_seed.entry(seed).or_insert((path, record));
        let (drawn, given) = (&drawn.noise.labels_sha256, &record.noise.labels_sha256);
        if drawn != given {
            return Err(RunError::NoiseDiffers {
                first: first.to_path_buf(),
                second: path.to_path_buf(),
                column: column.to_string(),
                seed,
                hashes: format!("{} and {}", short(drawn), short(given)),
            });
        }
    }
    Ok(())
}

/// Allowed keys with more than one value: for each value, the arms that have it.
pub(crate) fn allowed_differences(runs: &[(&Path, &Record)], allow: &[String]) -> Allowed {
    let runs: Vec<(String, Values)> = runs
        .iter()
        .map(|(_, record)| {
            let mut values = flatten(&record.experiment);
            values.retain(|key, _| is_in(key, allow));
            (record.arm.clone(), values)
        })
        .collect();
    differing(&runs)
}

/// Keys with more than one value among `runs`; for each value, the names of those that have it.
fn differing(runs: &[(String, Values)]) -> Allowed {
    let keys: BTreeSet<&String> = runs.iter().flat_map(|(_, values)| values.keys()).collect();
    let mut differing = Allowed::new();
    for key in keys {
        let mut names: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (name, values) in runs {
            let value = values.get(key).map_or("(not set)".into(), Value::to_string);
            names.entry(value).or_default().insert(name.clone());
        }
        if names.len() > 1 {
            differing.insert(key.clone(), names);
        }
    }
    differing
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::table::Table;
    use crate::tables::table::tests::{run, with};
    use std::path::PathBuf;

    fn refused(runs: &[(PathBuf, Record)], allow: &[&str]) -> String {
        let allow: Vec<String> = allow.iter().map(|key| key.to_string()).collect();
        Table::of(runs, &allow).unwrap_err().to_string()
    }

    #[test]
    fn duplicates_are_named() {
        let mut again = run("pemm", 1, 0.8);
        again.0 = "elsewhere".into();
        let message = refused(&[run("pemm", 1, 0.9), again], &[]);
        assert!(message.starts_with("runs/pemm-1 and elsewhere are both seed 1"), "{message}");
    }

    #[test]
    fn one_seed_has_one_draw_of_noise() {
        let mut other = run("pemm", 1, 0.8);
        other.1.noise.labels_sha256 = "beef".repeat(16);
        let message = refused(&[run("ce", 1, 0.9), run("ce", 2, 0.9), other.clone()], &[]);
        assert!(message.starts_with("runs/ce-1 and runs/pemm-1 have the same seed 1"), "{message}");
        assert!(message.contains("beefbeef"), "{message}");
        other.1.noise.nominal_rate = 0.2;
        let table = Table::of(&[run("ce", 1, 0.9), other], &[]).unwrap();
        let rates: Vec<f64> = table.columns().map(|column| column.nominal_rate).collect();
        assert_eq!(rates, [0.2, 0.4]);
    }

    #[test]
    fn arms_share_the_protocol_unless_allowed() {
        let tuned = with(run("pemm", 1, 0.9), "optim", "learning_rate", 0.1);
        let runs = [run("ce", 1, 0.8), tuned];
        let message = refused(&runs, &["schedule", "opt"]);
        assert!(message.starts_with("runs/ce-1 and runs/pemm-1 stand in column"), "{message}");
        assert!(message.ends_with("\n  optim.learning_rate: 0.01 → 0.1"), "{message}");
        for allow in ["optim.learning_rate", "optim"] {
            let table = Table::of(&runs, &[allow.to_string()]).unwrap();
            let values = &table.allowed.values().next().unwrap()["optim.learning_rate"];
            assert_eq!(values["0.1"], BTreeSet::from(["pemm".to_string()]));
            assert_eq!(table.rows[0].protocol, table.rows[1].protocol);
        }
    }

    #[test]
    fn one_matrix_for_a_column() {
        let mut first = run("ce", 1, 0.8);
        let mut second = run("ce", 2, 0.8);
        (first.1.noise.matrix_sha256, second.1.noise.matrix_sha256) =
            (Some("a".repeat(64)), Some("b".repeat(64)));
        let both = [first.clone(), second.clone()];
        let message = refused(&both, &[]);
        assert!(message.contains("runs/ce-1 and runs/ce-2 stand in column"), "{message}");
        assert!(message.ends_with("matrix (SHA-256): aaaaaaaa → bbbbbbbb"), "{message}");
        for convention in ["symmetric", MATRIX_BY_SEED] {
            let mut both = both.clone();
            both.iter_mut().for_each(|run| run.1.noise.convention = convention.into());
            assert_eq!(Table::of(&both, &[]).is_ok(), convention == MATRIX_BY_SEED);
        }
        let mut unknown = run("ce", 3, 0.8);
        unknown.1.noise.matrix_sha256 = None;
        assert!(Table::of(&[unknown.clone(), first.clone(), second], &[]).is_err());
        Table::of(&[unknown, first], &[]).unwrap();
    }

    #[test]
    fn what_belongs_to_the_method_and_what_is_not_set_may_differ() {
        let early = with(run("ce-early", 1, 0.8), "schedule", "patience", 10);
        let unset = with(run("pemm", 1, 0.8), "optim", "clip_norm", Value::Null);
        Table::of(&[run("ce", 1, 0.8), early, unset], &[]).unwrap();
    }

    #[test]
    fn where_the_data_lie_is_no_difference() {
        let moved = with(run("pemm", 1, 0.9), "data", "path", "/elsewhere");
        assert!(Table::of(&[run("ce", 1, 0.8), moved], &[]).unwrap().allowed.is_empty());
    }

    #[test]
    fn seeds_of_an_arm_share_everything_else() {
        let tuned = with(run("pemm", 2, 0.9), "loss", "weight", 2.0);
        let message = refused(&[run("ce", 1, 0.8), run("pemm", 1, 0.8), tuned], &[]);
        assert!(message.starts_with("runs/pemm-1 and runs/pemm-2 stand in the cell"), "{message}");
        assert!(message.ends_with("loss.weight: (not set) → 2.0"), "{message}");
    }
}
