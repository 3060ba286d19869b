//! A run folder: its layout, and how it is read. Who may write to it is decided in
//! [`claim`](crate::claim).

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use pemm_data::disk;
use pemm_data::noise::NoiseManifest;
use serde::de::DeserializeOwned;

use crate::environment::Environment;
use crate::epoch::EpochRecord;
use crate::error::{Result, RunError};
use crate::log;
use crate::ordinary;
use crate::record::Record;

/// The resolved experiment, as TOML.
pub const EXPERIMENT: &str = "experiment.toml";
/// Program, machine and time: [`Environment`].
pub const ENVIRONMENT: &str = "environment.json";
/// One line per epoch: [`EpochRecord`].
pub const LOG: &str = "log.jsonl";
/// What the run was and what came out of it: [`Record`].
pub const RECORD: &str = "record.json";
/// The manifest of the noise draw.
pub const NOISE: &str = "noise.json";
/// Weights after the last epoch.
pub const LAST: &str = "last.safetensors";
/// Weights of the epoch that is best by noisy validation.
pub const BEST: &str = "best.safetensors";
/// All that is needed to continue: weights, momentum, what the objective keeps, and the records so far.
pub const STATE: &str = "state.safetensors";
/// What the trained model says of every sample: [`Outputs`](crate::Outputs).
pub const OUTPUTS: &str = "outputs.safetensors";
/// In a folder of runs that predict together, which these are: [`EnsembleRecord`](crate::EnsembleRecord).
pub const ENSEMBLE: &str = "ensemble.json";
/// The report, a page.
pub const REPORT: &str = "report.html";
/// Locked while a process works in the folder. Empty, and left behind on purpose.
pub const LOCK: &str = "run.lock";

/// A run folder, for reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunFolder {
    pub(crate) path: PathBuf,
}

impl RunFolder {
    /// Opens the run folder `path` for reading; the run may be under way.
    ///
    /// # Errors
    /// [`RunError::NoRun`] if it is no folder or has no `experiment.toml`.
    pub fn open(path: &Path) -> Result<Self> {
        let no_run =
            |reason: &str| RunError::NoRun { path: path.to_path_buf(), reason: reason.into() };
        if !path.is_dir() {
            let is_there = path.exists();
            return Err(no_run(if is_there { "it is a file" } else { "there is no such folder" }));
        }
        let folder = Self { path: path.to_path_buf() };
        if !folder.has(EXPERIMENT) {
            return Err(no_run("it has no experiment.toml"));
        }
        Ok(folder)
    }

    /// Makes the first free one of `root/stem-1`, `root/stem-2`, …; two processes that ask at once
    /// get two folders.
    ///
    /// # Errors
    /// [`RunError::Name`] unless `stem` is one plain folder name; [`RunError::Io`].
    pub fn fresh_under(root: &Path, stem: &str) -> Result<PathBuf> {
        let is_plain = !stem.is_empty()
            && !stem.starts_with('.')
            && !stem.contains(|char: char| char.is_control() || r#"/\:*?"<>|"#.contains(char));
        if !is_plain {
            return Err(RunError::Name { name: stem.into() });
        }
        let fail = |path: &Path, error: std::io::Error| {
            let reason = format!("{error}; --out names another place");
            RunError::io(path, std::io::Error::new(error.kind(), reason))
        };
        disk::make_folder(root).map_err(|error| fail(root, error))?;
        let mut number = 1usize;
        loop {
            let path = root.join(format!("{stem}-{number}"));
            match disk::make_new_folder(&path) {
                Ok(()) => return Ok(path),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => number += 1,
                Err(error) => return Err(fail(&path, error)),
            }
        }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Path of one of the layout's files, for example [`STATE`].
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Whether one of the layout's files is there.
    pub fn has(&self, name: &str) -> bool {
        self.file(name).is_file()
    }

    /// The record.
    ///
    /// # Errors
    /// [`RunError::NoRun`] if the run ended before its first step; see [`Record::read`].
    pub fn read_record(&self) -> Result<Record> {
        if !self.has(RECORD) {
            let reason = "it has no record.json, the run ended before its first step".into();
            return Err(RunError::NoRun { path: self.path.clone(), reason });
        }
        Record::read(&self.file(RECORD))
    }

    /// The epochs in the log, without a torn last line; none without a log.
    ///
    /// # Errors
    /// [`RunError::Format`] with the line, [`RunError::Io`].
    pub fn read_log(&self) -> Result<Vec<EpochRecord>> {
        log::read(&self.file(LOG))
    }

    /// Program, machine and time of the run's last start.
    ///
    /// # Errors
    /// [`RunError::Format`], [`RunError::Io`].
    pub fn read_environment(&self) -> Result<Environment> {
        self.read_json(ENVIRONMENT)
    }

    /// The manifest of the noise draw.
    ///
    /// # Errors
    /// [`RunError::Format`], also for another schema, and [`RunError::Io`].
    pub fn read_noise(&self) -> Result<NoiseManifest> {
        self.read_json(NOISE)
    }

    /// The experiment as written.
    ///
    /// # Errors
    /// [`RunError::Io`].
    pub fn read_experiment(&self) -> Result<String> {
        let path = self.file(EXPERIMENT);
        ordinary::read_text(&path).map_err(|source| RunError::io(path, source))
    }

    fn read_json<T: DeserializeOwned>(&self, name: &str) -> Result<T> {
        let path = self.file(name);
        let bytes = ordinary::read(&path).map_err(|source| RunError::io(&path, source))?;
        serde_json::from_slice(&bytes).map_err(|error| RunError::format(&path, error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn fresh_names_count_up_and_stay_under_the_root() {
        let root = tempfile::tempdir().unwrap();
        let runs = root.path().join("runs");
        for number in 1..=3 {
            let path = RunFolder::fresh_under(&runs, "2026-11-22").unwrap();
            assert_eq!(path, runs.join(format!("2026-11-22-{number}")));
            assert_eq!(fs::read_dir(path).unwrap().count(), 0);
        }
        for stem in ["", "..", "a/b", "a\\b", ".hidden", "a\nb"] {
            let refused = RunFolder::fresh_under(&runs, stem);
            assert!(matches!(refused, Err(RunError::Name { .. })), "{stem:?}");
        }
    }
}
