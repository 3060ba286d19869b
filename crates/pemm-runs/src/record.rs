//! `record.json`: what a run was and what came out of it. Tables and reports read only this.
//!
//! The file carries a schema version. Another schema is refused by name before anything else is
//! read; under the right one, no field may be unknown, and only those that may be absent may lack.

mod check;

use std::collections::BTreeSet;
use std::path::Path;
use std::slice;

use pemm_data::Shape;
use pemm_data::source::Account;
use pemm_experiment::facts::Parts;
use pemm_experiment::identity::{Difference, identity, short};
use pemm_experiment::same::{self, Comparison, only_places};
use pemm_experiment::{DataFacts, Experiment};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::choice::{Choice, Chosen};
use crate::environment::Environment;
use crate::epoch::EpochRecord;
use crate::error::{Result, RunError};
use crate::scores::Scores;
use crate::{number, ordinary, write};

/// The schema that this version writes and reads.
pub const SCHEMA: u64 = 1;

/// A run, whole or under way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Schema of the file, [`SCHEMA`].
    pub schema: u64,
    /// SHA-256 of the resolved experiment, see [`identity`].
    pub identity: String,
    /// Name of the method in tables, the experiment's `arm`.
    pub arm: String,
    /// What tables must say of the arm, for example `oracle`: it used what nobody knows of real
    /// data. Records from before there were tags have none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// The resolved experiment: every key, defaults included.
    pub experiment: Value,
    /// Program, machine and time.
    pub environment: Environment,
    /// The draw of label noise.
    pub noise: NoiseRecord,
    /// The data.
    pub data: DataRecord,
    /// The model.
    pub model: ModelRecord,
    /// Every finished epoch, from 1.
    pub epochs: Vec<EpochRecord>,
    /// How far the run is.
    pub status: Status,
    /// Last epoch, best by noisy validation, oracle's best, see [`Choice::of`].
    pub choice: Choice,
    /// Seconds of all epochs together, over all starts of the run.
    #[serde(with = "number")]
    pub total_seconds: f64,
    /// Processor time of all epochs together, if known of each.
    #[serde(default, with = "number::optional", skip_serializing_if = "Option::is_none")]
    pub total_cpu_seconds: Option<f64>,
    /// How well the returned weights do, class by class; of runs that are finished, and absent from
    /// records of versions before it was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scores: Option<Scores>,
}

/// How far a run is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Status {
    /// Under way, or killed.
    Running,
    /// All epochs are done.
    Finished,
    /// Stopped on demand; the next start continues.
    Interrupted,
    /// Stopped because a value was not finite.
    Failed {
        /// Step of the whole run, from 1.
        step: u64,
        /// Term of the objective that failed first.
        term: String,
        /// The value, and what to do.
        message: String,
    },
}

/// A draw of label noise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoiseRecord {
    /// Name of the convention, for example `symmetric`.
    pub convention: String,
    /// The rate asked for, 0–1; 0 where nothing was drawn.
    pub nominal_rate: f64,
    /// Share of the labels that are wrong, 0–1; unknown where nothing was drawn and no clean labels
    /// are known.
    pub realised_rate: Option<f64>,
    /// Number of labels.
    pub num_samples: usize,
    /// Number of labels that are wrong, if known.
    pub num_flipped: Option<usize>,
    /// SHA-256 of the given labels after the draw; equal for all arms of one seed.
    pub labels_sha256: String,
    /// SHA-256 of the matrix that the noise was drawn from, where there is one; unknown in records
    /// of versions before it was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matrix_sha256: Option<String>,
}

/// The data of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataRecord {
    /// Name of the data set.
    pub name: String,
    /// SHA-256 of the samples and their labels before noise; two data sets are one table column
    /// only if this is equal.
    pub data_sha256: String,
    /// Class names, by label.
    pub classes: Vec<String>,
    /// Number of training samples.
    pub num_train: usize,
    /// Number of those whose label is known to be right; nothing where nobody says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub num_trusted: Option<usize>,
    /// Number of validation samples.
    pub num_val: usize,
    /// Number of test samples.
    pub num_test: usize,
    /// Channels, height and width of a sample.
    pub shape: [usize; 3],
    /// Where else than the experiment says the same data were found since the run began, as
    /// `data.path = "…"`.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub found_at: BTreeSet<String>,
    /// What the image folder held when the run was last started: what was read, and what was left out by
    /// which rule. Nothing for other data, and in records of versions before it was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<Account>,
}

/// The model of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelRecord {
    /// Number of trained values.
    pub num_parameters: usize,
    /// Feature size D.
    pub num_features: usize,
}

impl DataRecord {
    /// Notes that the data were found at the second values of `places`.
    pub fn note_places(&mut self, places: &[Difference]) {
        self.found_at.extend(places.iter().filter_map(second));
    }

    /// Whether `difference` is that of a place where the data were found.
    fn were_found_by(&self, difference: &Difference) -> bool {
        only_places(slice::from_ref(difference))
            && second(difference).is_some_and(|place| self.found_at.contains(&place))
    }

    /// The facts that an experiment on these data is checked against.
    pub fn facts(&self) -> DataFacts {
        let [channels, height, width] = self.shape;
        DataFacts {
            shape: Shape { channels, height, width },
            vectors: height == 1 && width == 1,
            num_classes: self.classes.len(),
            parts: Some(Parts { num_train: self.num_train, has_val: self.num_val > 0 }),
        }
    }
}

/// The second value of a difference, with its key.
fn second(difference: &Difference) -> Option<String> {
    Some(format!("{} = {}", difference.key, difference.second.as_ref()?))
}

impl Record {
    /// The record of a run before its first step: no epochs, [`Status::Running`].
    ///
    /// # Errors
    /// [`RunError::Format`] if the experiment lacks `arm` (a string) or `seed` (an integer ≥ 0), or
    /// a rate is not within 0–1.
    pub fn new(
        experiment: Value,
        environment: Environment,
        noise: NoiseRecord,
        data: DataRecord,
        model: ModelRecord,
    ) -> Result<Self> {
        let arm = experiment.get("arm").and_then(Value::as_str).unwrap_or_default().to_string();
        let record = Self {
            schema: SCHEMA,
            identity: identity(&experiment),
            arm,
            tags: Vec::new(),
            experiment,
            environment,
            noise,
            data,
            model,
            epochs: Vec::new(),
            status: Status::Running,
            choice: Choice::default(),
            total_seconds: 0.0,
            total_cpu_seconds: None,
            scores: None,
        };
        record.check(Path::new("record.json"))?;
        Ok(record)
    }

    /// Sets the epochs, and all that follows from them: choice and seconds.
    pub fn set_epochs(&mut self, epochs: Vec<EpochRecord>) {
        self.epochs = epochs;
        (self.choice, self.total_seconds, self.total_cpu_seconds) = self.summary();
    }

    /// What follows from the epochs: choice, seconds and processor time.
    fn summary(&self) -> (Choice, f64, Option<f64>) {
        let epochs = &self.epochs;
        let seconds = epochs.iter().map(|epoch| epoch.seconds).sum();
        let cpu_seconds = epochs.iter().map(|epoch| epoch.cpu_seconds).sum();
        (Choice::of(epochs, self.stops_early(), self.choice.over), seconds, cpu_seconds)
    }

    /// Whether the run returns its best epoch by noisy validation instead of its last.
    pub fn stops_early(&self) -> bool {
        self.experiment.pointer("/schedule/patience").is_some_and(|patience| !patience.is_null())
    }

    /// Whether the best weights by noisy validation are to be used instead of the last, see
    /// [`Choice::prefers_best`]. A finished run keeps to the ones that it was scored with, by whatever
    /// rule they were chosen then.
    pub fn prefers_best(&self) -> bool {
        let epoch = |chosen: Option<Chosen>| chosen.map(|chosen| chosen.epoch);
        let (best, last) = (epoch(self.choice.best_by_noisy_val), epoch(self.choice.last));
        match &self.scores {
            Some(scores) => best != last && Some(scores.epoch) == best,
            None => self.choice.prefers_best(&self.epochs, self.data.num_val),
        }
    }

    /// The epoch whose weights are to be used, if one is done.
    pub fn chosen(&self) -> Option<Chosen> {
        if self.prefers_best() { self.choice.best_by_noisy_val } else { self.choice.last }
    }

    /// The experiment, typed. The raw one stays what identities are made of.
    ///
    /// # Errors
    /// [`RunError::Format`] for one of a version whose keys or values this one does not know.
    pub fn experiment(&self) -> Result<Experiment> {
        Experiment::deserialize(&self.experiment).map_err(|error| {
            RunError::format("record.json", format!("experiment: of another version: {error}"))
        })
    }

    /// Epochs that the experiment asks for.
    pub fn num_epochs(&self) -> Option<usize> {
        let planned = self.experiment.pointer("/schedule/num_epochs")?.as_u64()?;
        usize::try_from(planned).ok()
    }

    /// How `experiment` differs from the one of this record. That it names another place of the same
    /// data is no difference once they were found there.
    ///
    /// # Errors
    /// Those of [`same::compare`].
    pub fn compare(&self, experiment: &Experiment) -> Result<Comparison> {
        let mut comparison = same::compare(experiment, &self.experiment, self.data.facts())?;
        comparison.differences.retain(|difference| !self.data.were_found_by(difference));
        Ok(comparison)
    }

    /// Whether this record, which lies at `path`, is a run of `experiment`.
    ///
    /// # Errors
    /// [`RunError::OtherExperiment`] with the keys that differ, and those of [`Self::compare`].
    pub fn check_same(&self, experiment: &Experiment, path: &Path) -> Result<()> {
        let Comparison { identity, differences } = self.compare(experiment)?;
        if differences.is_empty() {
            return Ok(());
        }
        Err(RunError::OtherExperiment {
            path: path.to_path_buf(),
            found: format!("arm {}, identity {}", self.arm, short(&self.identity)),
            wanted: format!("arm {}, identity {}", experiment.arm(), short(&identity)),
            differences,
        })
    }

    /// The experiment's seed.
    pub fn seed(&self) -> u64 {
        self.experiment["seed"].as_u64().expect("a checked record has a seed")
    }

    /// Reads and checks the file `path`.
    ///
    /// # Errors
    /// [`RunError::Schema`] for another schema, [`RunError::Format`] with line and column for what
    /// is no record or contradicts itself, [`RunError::Io`].
    pub fn read(path: &Path) -> Result<Self> {
        #[derive(Deserialize)]
        struct Head {
            schema: u64,
        }
        let bytes = ordinary::read(path).map_err(|source| RunError::io(path, source))?;
        let wrong = |error: serde_json::Error| {
            RunError::format(path, format!("no record of a run: {error}"))
        };
        let found = serde_json::from_slice::<Head>(&bytes).map_err(wrong)?.schema;
        if found != SCHEMA {
            return Err(RunError::Schema { path: path.to_path_buf(), found, reads: SCHEMA });
        }
        let record: Self = serde_json::from_slice(&bytes).map_err(wrong)?;
        record.check(path)?;
        Ok(record)
    }

    /// Writes the file `path`, whole or not at all.
    ///
    /// # Errors
    /// [`RunError::Full`], [`RunError::Io`].
    pub fn write(&self, path: &Path) -> Result<()> {
        let mut text = serde_json::to_vec_pretty(self)
            .map_err(|error| RunError::format(path, error.to_string()))?;
        text.push(b'\n');
        write::atomic(path, &text)
    }
}

#[cfg(test)]
pub(crate) mod tests;
