//! What lies where runs and records are kept: the run of a cell of a grid, or all that a folder holds.

use std::path::{Path, PathBuf};

use pemm_experiment::Experiment;
use pemm_experiment::same::{only_places, with_new_keys};

use crate::error::{Result, RunError};
use crate::folder::{ENSEMBLE, RECORD, RunFolder};
use crate::record::{Record, Status};

/// What lies in the folder of a cell.
#[derive(Debug)]
pub enum Found {
    /// No run yet.
    Nothing,
    /// A run that is not done: how many of its epochs are, and why it failed if it did.
    Begun {
        /// Epochs that are done.
        num_epochs: usize,
        /// Epochs in all, if its record says it.
        of: Option<usize>,
        /// What went wrong last time.
        failure: Option<String>,
    },
    /// The finished run, begun on data at another place than the experiment names; whether those there
    /// are the same has not been looked at yet.
    Moved(Box<Record>),
    /// The finished run.
    Finished(Box<Record>),
}

/// Looks for the run of `experiment` in `folder`. One that was begun on data at another place is still
/// that run: training holds the data that are there now against the record.
///
/// # Errors
/// [`RunError::OtherExperiment`] if the folder holds another one, and whatever reading its record
/// says.
pub fn look(experiment: &Experiment, folder: &Path) -> Result<Found> {
    let Ok(run) = RunFolder::open(folder) else { return Ok(Found::Nothing) };
    if !run.has(RECORD) {
        return Ok(Found::Begun { num_epochs: 0, of: None, failure: None });
    }
    let record = run.read_record()?;
    let differences = record.compare(experiment)?.differences;
    let is_moved = !differences.is_empty() && only_places(&differences);
    if !is_moved {
        record.check_same(experiment, folder)?;
    }
    let (num_epochs, of) = (record.epochs.len(), record.num_epochs());
    Ok(match record.status {
        Status::Finished if is_moved => Found::Moved(Box::new(record)),
        Status::Finished => Found::Finished(Box::new(record)),
        Status::Failed { message, .. } => Found::Begun { num_epochs, of, failure: Some(message) },
        Status::Running | Status::Interrupted => Found::Begun { num_epochs, of, failure: None },
    })
}

/// The finished record of `experiment` in the file `path`, if it is there.
///
/// # Errors
/// As [`look`].
pub fn look_at_record(experiment: &Experiment, path: &Path) -> Result<Option<Box<Record>>> {
    if !path.is_file() {
        return Ok(None);
    }
    let record = Record::read(path)?;
    record.check_same(experiment, path)?;
    Ok((record.status == Status::Finished).then(|| Box::new(record)))
}

/// Where the record of the run `name` is kept in a folder of records.
pub fn record_file(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.json"))
}

/// Run folders and record files, each with its record or with why it cannot be read.
pub type Listed = Vec<(PathBuf, Result<Record>)>;

/// The record of a run folder or file, or those of the run folders and record files directly in a
/// folder, in the order of their names. Keys that came after a record was written have the values
/// that change nothing.
///
/// # Errors
/// [`RunError::Io`] where `path` cannot be listed, [`RunError::NoRun`] where there is nothing, and
/// [`RunError::NoRuns`] for a folder that holds no run.
pub fn records(path: &Path) -> Result<Listed> {
    if is_a_run(path) {
        return Ok(vec![(path.to_owned(), read(path))]);
    }
    if !path.exists() {
        let reason = "there is no such file or folder".into();
        return Err(RunError::NoRun { path: path.to_path_buf(), reason });
    }
    let io = |source| RunError::io(path, source);
    let mut inside = Vec::new();
    for entry in std::fs::read_dir(path).map_err(io)? {
        let inner = entry.map_err(io)?.path();
        let is_record = inner.extension().is_some_and(|e| e == "json")
            && inner.file_name().is_some_and(|name| name != ENSEMBLE);
        if inner.join(RECORD).is_file() || (inner.is_file() && is_record) {
            inside.push(inner);
        }
    }
    if inside.is_empty() {
        return Err(RunError::NoRuns { path: path.to_path_buf() });
    }
    inside.sort();
    Ok(inside.into_iter().map(|inner| (inner.clone(), read(&inner))).collect())
}

fn is_a_run(path: &Path) -> bool {
    path.is_file() || path.join(RECORD).is_file()
}

fn read(path: &Path) -> Result<Record> {
    let mut record =
        if path.is_file() { Record::read(path)? } else { RunFolder::open(path)?.read_record()? };
    record.experiment = with_new_keys(&record.experiment);
    Ok(record)
}
