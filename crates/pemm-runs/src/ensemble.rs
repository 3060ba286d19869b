//! `ensemble.json`: which runs of a folder predict together, and how well they do.
//!
//! It is written when all of them are finished. The runs are folders beside it, each a run like any other.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Result, RunError};
use crate::folder::ENSEMBLE;
use crate::{PartScores, ordinary, write};

/// Version of the file.
const SCHEMA: u32 = 1;
/// Most runs that predict together.
const MAX_MEMBERS: usize = 64;

/// The runs that predict together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnsembleRecord {
    /// Version of this file, 1.
    pub schema: u32,
    /// The runs, at least one.
    pub members: Vec<EnsembleMember>,
    /// What they say together of the validation part, against its given labels, which may be wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation: Option<PartScores>,
    /// What they say together of the test part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<PartScores>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnsembleMember {
    /// Name of its folder.
    pub run: String,
    /// Identity of its experiment.
    pub identity: String,
    /// Epoch of its weights, from 1.
    pub epoch: usize,
}

impl EnsembleRecord {
    /// Of `members`, with what they say together of the two parts.
    pub fn new(
        members: Vec<EnsembleMember>,
        validation: Option<PartScores>,
        test: Option<PartScores>,
    ) -> Self {
        Self { schema: SCHEMA, members, validation, test }
    }

    /// That of the folder `path`, if it has one.
    ///
    /// # Errors
    /// [`RunError::Format`], [`RunError::Io`].
    pub fn read(path: &Path) -> Result<Option<Self>> {
        let file = path.join(ENSEMBLE);
        if !file.is_file() {
            return Ok(None);
        }
        let bytes = ordinary::read(&file).map_err(|source| RunError::io(&file, source))?;
        let record: Self = serde_json::from_slice(&bytes)
            .map_err(|error| RunError::format(&file, format!("names no ensemble: {error}")))?;
        record.check().map_err(|reason| RunError::format(&file, reason))?;
        Ok(Some(record))
    }

    /// Writes it into the folder `path`.
    ///
    /// # Errors
    /// [`RunError::Full`], [`RunError::Io`].
    pub fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self).expect("it holds text and numbers");
        write::atomic(&path.join(ENSEMBLE), text.as_bytes())
    }

    /// What the file promises beyond its types.
    fn check(&self) -> std::result::Result<(), String> {
        if self.schema != SCHEMA {
            return Err(format!("its schema is {}, this pemm reads {SCHEMA}", self.schema));
        }
        if self.members.is_empty() || self.members.len() > MAX_MEMBERS {
            let num = self.members.len();
            return Err(format!("names {num} runs; 1 to {MAX_MEMBERS} predict together"));
        }
        let mut names: Vec<&str> = self.members.iter().map(|member| member.run.as_str()).collect();
        names.sort_unstable();
        if names.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err("names a run twice".into());
        }
        if self.members.iter().any(|member| member.epoch == 0) {
            return Err("names an epoch 0; epochs count from 1".into());
        }
        for part in [&self.validation, &self.test].into_iter().flatten() {
            part.check()?;
        }
        // A run lies in this folder, and nowhere else.
        let is_plain = |name: &str| {
            !name.is_empty()
                && !name.starts_with('.')
                && !name.contains(|char: char| char.is_control() || r"/\:".contains(char))
        };
        match self.members.iter().find(|member| !is_plain(&member.run)) {
            Some(member) => Err(format!("{:?} is no name of a folder beside it", member.run)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(run: &str) -> EnsembleMember {
        EnsembleMember { run: run.into(), identity: "i".into(), epoch: 4 }
    }

    #[test]
    fn it_survives_its_file_and_is_no_record_of_a_run() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(EnsembleRecord::read(root.path()).unwrap(), None);
        let record = EnsembleRecord::new(vec![member("elr"), member("pemm")], None, None);
        record.write(root.path()).unwrap();
        assert_eq!(EnsembleRecord::read(root.path()).unwrap(), Some(record));
        let error = crate::found::records(root.path()).unwrap_err();
        assert!(matches!(error, RunError::NoRuns { .. }), "{error}");
    }

    #[test]
    fn what_names_no_ensemble_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let refused = |record: &EnsembleRecord| {
            record.write(root.path()).unwrap();
            EnsembleRecord::read(root.path()).unwrap_err().to_string()
        };
        let of = |members| EnsembleRecord::new(members, None, None);
        assert!(refused(&of(vec![])).contains("names 0 runs"));
        for name in ["", "..", "a/b", "/etc", ".x", "a\nb"] {
            let error = refused(&of(vec![member(name)]));
            assert!(error.contains("is no name of a folder beside it"), "{error}");
        }
        assert!(refused(&of(vec![member("elr"), member("elr")])).contains("twice"));
        let first = EnsembleMember { epoch: 0, ..member("elr") };
        assert!(refused(&of(vec![first])).contains("epoch 0"));
        let part = PartScores::from(&pemm_data::Score::of(2, &[0, 1], &[1.0, 0.0, 1.0, 0.0]));
        let right = EnsembleRecord::new(vec![member("elr")], None, Some(part.clone()));
        right.write(root.path()).unwrap();
        assert_eq!(EnsembleRecord::read(root.path()).unwrap(), Some(right));
        for wrong in [
            PartScores { accuracy: 7.5, ..part.clone() },
            PartScores { num_samples: 3, ..part.clone() },
            PartScores { classes: Vec::new(), ..part },
        ] {
            let record = EnsembleRecord::new(vec![member("elr")], Some(wrong), None);
            assert!(refused(&record).contains("scores"));
        }
        let later = EnsembleRecord { schema: 2, ..of(vec![member("elr")]) };
        assert!(refused(&later).contains("its schema is 2"));
        std::fs::write(root.path().join(ENSEMBLE), r#"{"schema":1,"members":[],"x":1}"#).unwrap();
        assert!(
            EnsembleRecord::read(root.path()).unwrap_err().to_string().contains("unknown field")
        );
    }
}
