//! How the experiment of a run was chosen among several: `tried.json`, and `tried` of the record.
//!
//! It is written once, when the choice is made, before the run begins; the trials themselves are runs
//! under `tried/`. Everything in it comes from given labels.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Result, RunError};
use crate::folder::TRIED;
use crate::halving::Difference;
use crate::locked::LockedFolder;
use crate::{number, ordinary};

/// The account of a choice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tried {
    /// The preset that was taken.
    pub chosen: String,
    /// Identity of the experiment that the run was to have.
    pub identity: String,
    /// Most that trials and run were to cost, in runs.
    #[serde(with = "number")]
    pub budget: f64,
    /// What they cost, in samples that were trained on, as a multiple of the run's.
    #[serde(with = "number")]
    pub cost: f64,
    /// All that was tried, the simplest first.
    pub candidates: Vec<Candidate>,
}

/// One preset that was tried.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Candidate {
    /// Its name.
    pub preset: String,
    /// Its trials, one a round for as long as it was in.
    pub trials: Vec<Trial>,
    /// Given labels that it was judged by, in all its trials.
    pub num_labels: usize,
    /// Those that it predicted.
    pub num_agreed: usize,
    /// Its agreement minus that of the preset that was taken, on the labels by which both were judged;
    /// none of that preset itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub against_chosen: Option<Difference>,
}

/// One run of a candidate on a part of the samples.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trial {
    /// Identity of its experiment.
    pub identity: String,
    /// Samples that it was trained on.
    pub num_train: usize,
    /// Agreement with the given labels of the other samples after each epoch, 0–1.
    pub val_accuracy: Vec<f64>,
    /// Seconds of all its epochs.
    #[serde(with = "number")]
    pub seconds: f64,
}

impl Candidate {
    /// Share of the labels that it was judged by which it predicted, 0–1.
    pub fn agreement(&self) -> f64 {
        self.num_agreed as f64 / self.num_labels.max(1) as f64
    }
}

impl Tried {
    /// The candidate that was taken.
    pub fn taken(&self) -> Option<&Candidate> {
        self.candidates.iter().find(|candidate| candidate.preset == self.chosen)
    }

    /// Seconds of all trials.
    pub fn seconds(&self) -> f64 {
        self.candidates
            .iter()
            .flat_map(|candidate| &candidate.trials)
            .map(|trial| trial.seconds)
            .sum()
    }
}

impl Tried {
    /// How the experiment of the run in the folder `path`, or of the one to come, was chosen, if it was
    /// chosen among several.
    ///
    /// # Errors
    /// [`RunError::Format`], [`RunError::Io`].
    pub fn read(path: &Path) -> Result<Option<Self>> {
        let file = path.join(TRIED);
        if !file.is_file() {
            return Ok(None);
        }
        let bytes = ordinary::read(&file).map_err(|source| RunError::io(&file, source))?;
        let tried: Self = serde_json::from_slice(&bytes)
            .map_err(|error| RunError::format(&file, format!("no account of a choice: {error}")))?;
        tried.check().map_err(|reason| RunError::format(&file, reason))?;
        Ok(Some(tried))
    }

    /// What an account promises beyond its types.
    pub(crate) fn check(&self) -> std::result::Result<(), String> {
        if self.taken().is_none() {
            return Err(format!("`{}` was chosen, and is not among what was tried", self.chosen));
        }
        for Candidate { preset, trials, num_labels, num_agreed, .. } in &self.candidates {
            let mut accuracies = trials.iter().flat_map(|trial| &trial.val_accuracy);
            if num_agreed > num_labels || accuracies.any(|value| !(0.0..=1.0).contains(value)) {
                return Err(format!("{preset} agrees with more labels than there are"));
            }
        }
        Ok(())
    }
}

impl LockedFolder {
    /// Writes how the experiment of the run to come was chosen.
    ///
    /// # Errors
    /// [`RunError::Moved`], [`RunError::Full`], [`RunError::Io`].
    pub fn write_tried(&self, tried: &Tried) -> Result<()> {
        self.write_json(TRIED, tried)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RunFolder;
    use crate::record::tests::record;

    pub(crate) fn tried() -> Tried {
        let trial = |accuracy: f64| Trial {
            identity: "i".into(),
            num_train: 50,
            val_accuracy: vec![0.1, accuracy],
            seconds: 0.5,
        };
        let candidate = |preset: &str, num_agreed, against| Candidate {
            preset: preset.into(),
            trials: vec![trial(0.2), trial(0.3)],
            num_labels: 100,
            num_agreed,
            against_chosen: against,
        };
        let against = Difference { mean: -0.05, low: -0.1, high: 0.01 };
        Tried {
            chosen: "sce".into(),
            identity: record("sce", 1, 0.5).identity,
            budget: 3.0,
            cost: 2.75,
            candidates: vec![candidate("sce", 30, None), candidate("pemm", 25, Some(against))],
        }
    }

    #[test]
    fn an_account_survives_its_file_and_stands_in_the_record() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(Tried::read(root.path()).unwrap(), None);
        let folder = RunFolder::hold(root.path()).unwrap();
        let tried = tried();
        folder.write_tried(&tried).unwrap();
        assert_eq!(Tried::read(root.path()).unwrap(), Some(tried.clone()));
        assert_eq!((tried.taken().unwrap().agreement(), tried.seconds()), (0.3, 2.0));

        let mut record = record("sce", 1, 0.5);
        let before = serde_json::to_string(&record).unwrap();
        assert!(!before.contains("tried"), "a record without a choice is as it was");
        record.tried = Some(tried);
        folder.write_record(&record).unwrap();
        assert_eq!(folder.read_record().unwrap(), record);
    }

    #[test]
    fn an_account_that_contradicts_itself_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let folder = RunFolder::hold(root.path()).unwrap();
        let refused = |tried: &Tried| {
            folder.write_tried(tried).unwrap();
            Tried::read(root.path()).unwrap_err().to_string()
        };
        let error = refused(&Tried { chosen: "mae".into(), ..tried() });
        assert!(error.contains("`mae` was chosen, and is not among"), "{error}");
        let mut many = tried();
        many.candidates[1].num_agreed = 101;
        assert!(refused(&many).contains("pemm agrees with more labels"));
        let mut record = record("sce", 1, 0.5);
        record.tried = Some(many);
        folder.write_record(&record).unwrap();
        assert!(folder.read_record().unwrap_err().to_string().contains("tried: pemm agrees"));
    }

    #[test]
    fn a_folder_with_trials_is_held_and_claimed_and_others_are_not() {
        let root = tempfile::tempdir().unwrap();
        let held = RunFolder::hold(root.path()).unwrap();
        let busy = RunFolder::hold(root.path());
        assert!(matches!(busy, Err(RunError::Busy { .. })), "{busy:?}");
        std::fs::create_dir(root.path().join(crate::folder::TRIALS)).unwrap();
        held.write_tried(&tried()).unwrap();
        drop(held);
        let text = "arm = \"sce\"\nseed = 1\n";
        drop(RunFolder::claim(root.path(), "h", text).unwrap());
        let other = tempfile::tempdir().unwrap();
        std::fs::write(other.path().join("letter.txt"), "dear").unwrap();
        let foreign = RunFolder::hold(other.path());
        assert!(matches!(foreign, Err(RunError::Foreign { .. })), "{foreign:?}");
    }
}
