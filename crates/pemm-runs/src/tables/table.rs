//! Many records into one table, by columns, arms and seeds.
//!
//! A column is one data set with one noise; a row is an arm (a method); a cell is the mean over
//! seeds. The rules that make the numbers comparable stand in `comparable`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use pemm_experiment::identity::{Difference, differences, identity_of};
use pemm_experiment::loss::{ORACLE, TRUSTED};
use pemm_experiment::same::{Values, protocol};

use crate::choice::{Choice, Chosen};
use crate::error::Result;
use crate::record::{Record, Status};
use crate::tables::column::Column;
use crate::tables::comparable::{Allowed, allowed_differences, check_column, varying_parameters};
use crate::tables::statistics::{Paired, Summary};

/// By which epoch the runs are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judge {
    /// The last epoch.
    Last,
    /// The epoch with the best accuracy on noisy validation labels.
    BestByNoisyVal,
    /// The epoch with the best test accuracy: an oracle.
    OracleBestOnTest,
}

impl Judge {
    /// All, the fair ones first.
    pub const ALL: [Self; 3] = [Self::Last, Self::BestByNoisyVal, Self::OracleBestOnTest];

    /// Name in files.
    pub fn key(self) -> &'static str {
        match self {
            Self::Last => "last",
            Self::BestByNoisyVal => "best_by_noisy_val",
            Self::OracleBestOnTest => "oracle_best_on_test",
        }
    }

    /// Heading for people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Last => "Last epoch",
            Self::BestByNoisyVal => "Best epoch by noisy validation",
            Self::OracleBestOnTest => "Oracle: best scored epoch on the test set (no result)",
        }
    }

    /// The epoch that this judge takes.
    pub fn chosen(self, choice: &Choice) -> Option<Chosen> {
        match self {
            Self::Last => choice.last,
            Self::BestByNoisyVal => choice.best_by_noisy_val,
            Self::OracleBestOnTest => choice.oracle_best_on_test,
        }
    }
}

/// What a table keeps of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Where the run lies.
    pub path: PathBuf,
    /// Its column.
    pub column: Column,
    /// Its arm.
    pub arm: String,
    /// Its seed.
    pub seed: u64,
    /// Hash of its protocol, allowed keys left out.
    pub protocol: String,
    /// Hash of its given labels.
    pub labels_sha256: String,
    /// How far it is.
    pub status: Status,
    /// Number of its finished epochs.
    pub num_epochs: usize,
    /// Number of those that were scored on the test part.
    pub num_scored: usize,
    /// Its epochs to be judged by.
    pub choice: Choice,
    /// Share of its training labels that are wrong, if known.
    pub realised_rate: Option<f64>,
    /// What must be said of its arm.
    pub tags: Vec<String>,
    /// Seconds of all its epochs.
    pub total_seconds: f64,
    /// Processor time of all its epochs.
    pub total_cpu_seconds: Option<f64>,
    /// Commit of the program that ran it, and whether its tree was dirty.
    pub commit: Option<(String, bool)>,
    /// Device that it ran on.
    pub device: String,
}

/// What a run of an arm costs, means over its finished runs in all columns.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cost {
    /// Number of runs.
    pub num_runs: usize,
    /// Epochs that were trained.
    pub num_epochs: f64,
    /// Epochs that were scored on the test part, whose time is in the cost.
    pub num_scored: f64,
    /// Seconds of processor time, if known of all; on a shared machine the only measure.
    pub cpu_seconds: Option<f64>,
    /// Seconds by the clock.
    pub seconds: f64,
}

/// The arms of a column against each other.
#[derive(Debug, Clone, PartialEq)]
pub struct Contest {
    /// The arm with the highest mean, of those that used nothing that nobody knows.
    pub best: String,
    /// The next, and the best compared with it by seed.
    pub next: Option<(String, Paired)>,
    /// Arms that the seeds do not tell from the best: the interval of the difference contains 0.
    pub close: BTreeSet<String>,
}

/// Comparable runs, by column and arm.
#[derive(Debug, Clone)]
pub struct Table {
    /// Arms in the order of their first appearance in the given list.
    pub arms: Vec<String>,
    /// Finished runs in the order of columns, arms and seeds.
    pub rows: Vec<Row>,
    /// Runs that are not finished, in the given order. They are part of no mean.
    pub unfinished: Vec<Row>,
    /// The protocol of each column that has a finished run, allowed keys left out.
    pub protocols: BTreeMap<Column, Values>,
    /// Allowed keys that do differ, in columns that have any.
    pub allowed: BTreeMap<Column, Allowed>,
    /// Parameters of an arm that are not the same in all columns of a data set, by arm.
    pub varying: BTreeMap<String, Allowed>,
    /// Settings that were tried on noisy validation to choose those of each arm, as far as known.
    pub trials: BTreeMap<String, usize>,
}

impl Table {
    /// Gathers `runs`, each with the path to name it by. `allow` lists keys (`optim.learning_rate`)
    /// or sections (`augment`) that may differ where the rules above want them equal.
    ///
    /// # Errors
    /// [`Duplicate`](crate::RunError::Duplicate),
    /// [`NoiseDiffers`](crate::RunError::NoiseDiffers) and
    /// [`ProtocolDiffers`](crate::RunError::ProtocolDiffers), each with both runs. Only finished runs are held to the rules.
    pub fn of(runs: &[(PathBuf, Record)], allow: &[String]) -> Result<Self> {
        let mut table = Self {
            arms: Vec::new(),
            rows: Vec::new(),
            unfinished: Vec::new(),
            protocols: BTreeMap::new(),
            allowed: BTreeMap::new(),
            varying: BTreeMap::new(),
            trials: BTreeMap::new(),
        };
        let mut columns: BTreeMap<Column, Vec<(&Path, &Record)>> = BTreeMap::new();
        for (path, record) in runs {
            if !table.arms.contains(&record.arm) {
                table.arms.push(record.arm.clone());
            }
            match record.status {
                Status::Finished => {
                    columns.entry(Column::of(record)).or_default().push((path, record));
                }
                Status::Running | Status::Interrupted | Status::Failed { .. } => {
                    table.unfinished.push(row(path, record, &protocol(&record.experiment, allow)))
                }
            }
        }
        let finished = columns
            .iter()
            .flat_map(|(column, runs)| runs.iter().map(|(_, record)| (column.clone(), *record)));
        table.varying = varying_parameters(&finished.collect::<Vec<_>>(), allow);
        for (column, runs) in columns {
            check_column(&column, &runs, protocol, allow)?;
            table.protocols.insert(column.clone(), protocol(&runs[0].1.experiment, allow));
            let differing = allowed_differences(&runs, allow);
            if !differing.is_empty() {
                table.allowed.insert(column, differing);
            }
            let rows = runs
                .iter()
                .map(|(path, record)| row(path, record, &protocol(&record.experiment, allow)));
            table.rows.extend(rows);
        }
        let Self { arms, rows, .. } = &mut table;
        let place = |arm: &String| arms.iter().position(|known| known == arm);
        rows.sort_by(|a, b| {
            let rest = (place(&a.arm), a.seed).cmp(&(place(&b.arm), b.seed));
            a.column.cmp(&b.column).then(rest)
        });
        Ok(table)
    }

    /// The columns, in order.
    pub fn columns(&self) -> impl Iterator<Item = &Column> {
        self.protocols.keys()
    }

    /// The finished runs of `arm` in `column`, by seed.
    pub fn cell<'a>(&'a self, column: &'a Column, arm: &'a str) -> impl Iterator<Item = &'a Row> {
        self.rows.iter().filter(move |row| row.column == *column && row.arm == arm)
    }

    /// Test accuracy of `arm` in `column`; none if no finished run there has one.
    pub fn summary(&self, column: &Column, arm: &str, judge: Judge) -> Option<Summary> {
        Summary::of(&self.accuracies(column, arm, judge))
    }

    /// Test accuracies of `arm` in `column` by seed.
    pub fn accuracies(&self, column: &Column, arm: &str, judge: Judge) -> Vec<(u64, f64)> {
        let accuracy = |row: &Row| judge.chosen(&row.choice)?.test_accuracy;
        self.cell(column, arm).filter_map(|row| Some((row.seed, accuracy(row)?))).collect()
    }

    /// The arms of `column` against each other. Arms that [stand outside](Self::stands_outside)
    /// are neither best nor next. Among equals the first arm wins. None without an accuracy.
    pub fn contest(&self, column: &Column, judge: Judge) -> Option<Contest> {
        type Entry<'a> = (&'a String, Vec<(u64, f64)>, f64);
        let mut ranked: Vec<Entry<'_>> = self
            .arms
            .iter()
            .filter(|arm| !self.stands_outside(arm))
            .filter_map(|arm| {
                let values = self.accuracies(column, arm, judge);
                let mean = Summary::of(&values)?.mean;
                (!mean.is_nan()).then_some((arm, values, mean))
            })
            .collect();
        ranked.sort_by(|a, b| b.2.total_cmp(&a.2));
        let (best, others) = ranked.split_first()?;
        let against = |other: &[(u64, f64)]| Paired::of(&best.1, other);
        let close = others.iter().filter(|other| against(&other.1).is_some_and(|p| p.is_open()));
        Some(Contest {
            best: best.0.clone(),
            next: others.first().and_then(|next| Some((next.0.clone(), against(&next.1)?))),
            close: close.map(|other| other.0.clone()).collect(),
        })
    }

    /// `arm` minus the best of `column`, paired by seed; none for the best itself and for arms that
    /// stand outside.
    pub fn against_best(&self, column: &Column, arm: &str, judge: Judge) -> Option<Paired> {
        let best = self.contest(column, judge)?.best;
        if best == arm || self.stands_outside(arm) {
            return None;
        }
        let values = |arm: &str| self.accuracies(column, arm, judge);
        Paired::of(&values(arm), &values(&best))
    }

    /// Whether `arm` used what the others did not know: the noise, or which labels are right. It is
    /// marked, and not compared with them.
    pub fn stands_outside(&self, arm: &str) -> bool {
        let tags = self.tags(arm);
        tags.contains(ORACLE) || tags.contains(TRUSTED)
    }

    /// What must be said of `arm`.
    pub fn tags(&self, arm: &str) -> BTreeSet<String> {
        let runs = self.rows.iter().filter(|row| row.arm == arm);
        runs.flat_map(|row| row.tags.iter().cloned()).collect()
    }

    /// What a run of `arm` costs; none without a finished run.
    pub fn cost(&self, arm: &str) -> Option<Cost> {
        let runs: Vec<&Row> = self.rows.iter().filter(|row| row.arm == arm).collect();
        let num = runs.len() as f64;
        let mean =
            |value: &dyn Fn(&Row) -> f64| runs.iter().map(|row| value(row)).sum::<f64>() / num;
        let cpu: Option<f64> = runs.iter().map(|row| row.total_cpu_seconds).sum();
        (!runs.is_empty()).then(|| Cost {
            num_runs: runs.len(),
            num_epochs: mean(&|row| row.num_epochs as f64),
            num_scored: mean(&|row| row.num_scored as f64),
            cpu_seconds: cpu.map(|sum| sum / num),
            seconds: mean(&|row| row.total_seconds),
        })
    }

    /// Share of wrong training labels in `column`: smallest and largest of its runs.
    pub fn realised_rate(&self, column: &Column) -> Option<[f64; 2]> {
        let rates = self.rows.iter().filter(|row| row.column == *column);
        rates.filter_map(|row| row.realised_rate).fold(None, |range, rate| match range {
            None => Some([rate, rate]),
            Some([low, high]) => Some([rate.min(low), rate.max(high)]),
        })
    }

    /// In which keys the protocol of `column` differs from that of the first column.
    pub fn protocol_differences(&self, column: &Column) -> Vec<Difference> {
        match (self.protocols.values().next(), self.protocols.get(column)) {
            (Some(first), Some(this)) => differences(first, this),
            _ => Vec::new(),
        }
    }
}

fn row(path: &Path, record: &Record, protocol: &Values) -> Row {
    Row {
        path: path.to_path_buf(),
        column: Column::of(record),
        arm: record.arm.clone(),
        seed: record.seed(),
        protocol: identity_of(protocol),
        labels_sha256: record.noise.labels_sha256.clone(),
        status: record.status.clone(),
        num_epochs: record.epochs.len(),
        num_scored: record.epochs.iter().filter(|epoch| epoch.scored.is_some()).count(),
        choice: record.choice.clone(),
        realised_rate: record.noise.realised_rate,
        tags: record.tags.clone(),
        total_seconds: record.total_seconds,
        total_cpu_seconds: record.total_cpu_seconds,
        commit: record.environment.git_commit.clone().zip(record.environment.git_dirty),
        device: record.environment.device.clone(),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::record::tests::{build, record};
    use serde_json::Value;

    /// A run named by arm and seed.
    pub(crate) fn run(arm: &str, seed: u64, test: f64) -> (PathBuf, Record) {
        (format!("runs/{arm}-{seed}").into(), record(arm, seed, test))
    }

    /// The run with one key of one section set.
    pub(crate) fn with(
        run: (PathBuf, Record),
        section: &str,
        key: &str,
        value: impl Into<Value>,
    ) -> (PathBuf, Record) {
        let mut experiment = run.1.experiment.clone();
        experiment[section][key] = value.into();
        (run.0, build(experiment, run.1.choice.last.unwrap().test_accuracy.unwrap()))
    }

    #[test]
    fn numbers_by_hand() {
        let runs =
            [run("pemm", 3, 0.90), run("ce", 1, 0.5), run("pemm", 1, 0.84), run("pemm", 2, 0.87)];
        let table = Table::of(&runs, &[]).unwrap();
        assert_eq!(table.arms, ["pemm", "ce"]);
        let cost = table.cost("pemm").unwrap();
        assert_eq!((cost.num_runs, cost.num_epochs), (3, 1.0));
        assert_eq!((cost.cpu_seconds, cost.seconds), (Some(4.0), 2.5));
        let column = table.columns().next().unwrap();
        assert_eq!(column.to_string(), "cifar10 (dddddddd), symmetric 0.4");
        for judge in Judge::ALL {
            let pemm = table.summary(column, "pemm", judge).unwrap();
            assert_eq!(pemm.seeds, [1, 2, 3]);
            assert!((pemm.mean - 0.87).abs() < 1e-12);
            // (0.03² + 0 + 0.03²) / 2 = 0.03²
            assert!((pemm.deviation.unwrap() - 0.03).abs() < 1e-12);
            let ce = table.summary(column, "ce", judge).unwrap();
            assert_eq!((ce.mean, ce.deviation), (0.5, None));
            assert_eq!(table.summary(column, "gce", judge), None);
        }
    }

    #[test]
    fn the_best_and_who_cannot_be_told_from_it() {
        let cell = |arm: &str, values: [f64; 3]| {
            (1..).zip(values).map(|(seed, value)| run(arm, seed, value)).collect::<Vec<_>>()
        };
        let mut known = cell("forward", [0.99, 0.99, 0.99]);
        known.iter_mut().for_each(|run| run.1.tags = vec![ORACLE.into()]);
        let mut trusting = cell("gold", [0.98, 0.97, 0.99]);
        trusting.iter_mut().for_each(|run| run.1.tags = vec![TRUSTED.into()]);
        let runs = [
            cell("ce", [0.50, 0.51, 0.52]),
            cell("sce", [0.80, 0.83, 0.79]),
            known,
            trusting,
            cell("pemm", [0.81, 0.82, 0.80]),
        ];
        let table = Table::of(&runs.concat(), &[]).unwrap();
        let column = table.columns().next().unwrap();
        let contest = table.contest(column, Judge::Last).unwrap();
        assert_eq!(contest.best, "pemm");
        assert_eq!(table.against_best(column, "gold", Judge::Last), None);
        assert_eq!(contest.close, BTreeSet::from(["sce".to_string()]));
        let (next, paired) = contest.next.unwrap();
        assert_eq!((next.as_str(), paired.num_seeds), ("sce", 3));
        assert!((paired.difference - 0.01 / 3.0).abs() < 1e-12);
        assert_eq!(table.realised_rate(column), Some([0.4, 0.4]));
        let table = Table::of(&cell("forward", [0.1; 3]), &[]).unwrap();
        let contest = table.contest(table.columns().next().unwrap(), Judge::Last).unwrap();
        assert_eq!((contest.best.as_str(), contest.next), ("forward", None));
    }

    #[test]
    fn means_do_not_depend_on_the_order_of_the_list() {
        let mut runs: Vec<_> =
            (0..7).map(|seed| run("pemm", seed, 0.8 + 0.013 * seed as f64)).collect();
        let first = Table::of(&runs, &[]).unwrap();
        runs.reverse();
        let second = Table::of(&runs, &[]).unwrap();
        assert_eq!(first.rows, second.rows);
        let column = first.columns().next().unwrap();
        let mean =
            |table: &Table| table.summary(column, "pemm", Judge::Last).unwrap().mean.to_bits();
        assert_eq!(mean(&first), mean(&second));
    }

    #[test]
    fn unfinished_runs_are_set_apart() {
        let mut stopped = run("pemm", 2, 0.1);
        stopped.1.status = Status::Interrupted;
        let table = Table::of(&[run("pemm", 1, 0.9), stopped.clone(), stopped], &[]).unwrap();
        let column = table.columns().next().unwrap();
        assert_eq!(table.summary(column, "pemm", Judge::Last).unwrap().seeds, [1]);
        assert_eq!(table.unfinished.len(), 2);
        let mut alone = run("pemm", 2, 0.1);
        alone.1.status = Status::Running;
        assert_eq!(Table::of(&[alone], &[]).unwrap().columns().count(), 0);
    }
}
