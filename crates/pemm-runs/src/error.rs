//! The one error type of this crate. A message gives where, the rule, the value, and what to do.

use std::path::PathBuf;

use pemm_data::DataError;
use pemm_experiment::ExperimentError;
use pemm_experiment::identity::{Difference, list};
/// Shorthand for this crate's results.
pub type Result<T, E = RunError> = std::result::Result<T, E>;

/// Everything that can be wrong with a run folder, a record, or a set of records.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// A file or folder could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The disk (or the quota) is full.
    #[error(
        "{}: no space left on the disk; nothing was overwritten, the file is as it was before: \
         free some space and start again", path.display()
    )]
    Full {
        /// The file that was to be written.
        path: PathBuf,
    },
    /// A file is not what its format promises.
    #[error("{}: {reason}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// The rule and the value that breaks it, and where in the file.
        reason: String,
    },
    /// A record was written under another schema.
    #[error(
        "{}: written under schema {found}, this pemm reads schema {reads}: use the pemm that \
         wrote it, or run the experiment again", path.display()
    )]
    Schema {
        /// The record.
        path: PathBuf,
        /// Its schema.
        found: u64,
        /// The schema that this version reads.
        reads: u64,
    },
    /// Another process works in the folder.
    #[error(
        "{}: another process is running this experiment; wait for it or stop it (the lock ends \
         with the process, so never delete run.lock)", path.display()
    )]
    Busy {
        /// The run folder.
        path: PathBuf,
    },
    /// The folder of a run that goes on is no longer where it was.
    #[error(
        "{}: was moved, removed or replaced while the run went on, and nothing more is written \
         there; what was saved is where the folder is now: the same command with that folder as \
         --out continues", path.display()
    )]
    Moved {
        /// Where the run folder was.
        path: PathBuf,
    },
    /// An experiment that does not go with a record.
    #[error(transparent)]
    Experiment(#[from] ExperimentError),
    /// Labels or noise that are not what their file promises.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Another process works on a grid in the folder.
    #[error(
        "{}: another `pemm grid` is at work in this folder; wait for it, stop it, or choose \
         another --out (the lock ends with the process, so never delete grid.lock)",
        path.display()
    )]
    GridBusy {
        /// The grid's folder.
        path: PathBuf,
    },
    /// The folder holds things that are not a run.
    #[error(
        "{}: not a run folder (no experiment.toml), but not empty either: it holds `{holds}`; \
         choose a new or an empty folder", path.display()
    )]
    Foreign {
        /// The folder.
        path: PathBuf,
        /// One thing that it holds.
        holds: String,
    },
    /// There is no run in this folder.
    #[error("{}: not a run folder: {reason}", path.display())]
    NoRun {
        /// The folder.
        path: PathBuf,
        /// What is missing.
        reason: String,
    },
    /// There is no run and no record in this folder.
    #[error(
        "{}: holds no run folder and no record; give a run folder, a record, or a folder of them",
        path.display()
    )]
    NoRuns {
        /// The folder.
        path: PathBuf,
    },
    /// The folder holds the run of another experiment.
    #[error(
        "{}: holds a run with other settings, and nothing was overwritten. Choose another folder, or \
         the same settings.\nthere: {found}\nasked for: {wanted}\nwhat differs:\n{}",
        path.display(), list(differences)
    )]
    OtherExperiment {
        /// The run folder.
        path: PathBuf,
        /// Identity of the experiment in the folder, shortened.
        found: String,
        /// Identity of the experiment to run, shortened.
        wanted: String,
        /// In which keys they differ: the folder's value, then the new one.
        differences: Vec<Difference>,
    },
    /// A name that cannot stand as a folder's name.
    #[error("`{name}`: a run's name is one plain folder name, without separators or `..`")]
    Name {
        /// The name.
        name: String,
    },
    /// Two runs would be the same cell and seed of a table.
    #[error(
        "{} and {} are both seed {seed} of arm `{arm}` on {column}: leave one of them out",
        first.display(), second.display()
    )]
    Duplicate {
        /// One run.
        first: PathBuf,
        /// The other run.
        second: PathBuf,
        /// Their arm.
        arm: String,
        /// Their column.
        column: String,
        /// Their seed.
        seed: u64,
    },
    /// Two arms of a column saw different noisy labels for one seed.
    #[error(
        "{} and {} have the same seed {seed} on {column}, but other given labels ({hashes}): \
         arms are compared on one draw of noise only; run one of them again with the noise of the \
         other", first.display(), second.display()
    )]
    NoiseDiffers {
        /// One run.
        first: PathBuf,
        /// The other run.
        second: PathBuf,
        /// Their column.
        column: String,
        /// Their seed.
        seed: u64,
        /// Hashes of the first and the second run's given labels, shortened.
        hashes: String,
    },
    /// Two runs of a column, or of a cell, differ in what they must share.
    #[error(
        "{} and {} stand in {place} of the table, but differ in what they must share: run them \
         alike, or allow the keys by name.\n{}", first.display(), second.display(), list(differences)
    )]
    ProtocolDiffers {
        /// One run.
        first: PathBuf,
        /// The other run.
        second: PathBuf,
        /// The column, or the arm and the column.
        place: String,
        /// The keys: the first run's value, then the second's.
        differences: Vec<Difference>,
    },
}

impl RunError {
    /// An input or output error with its path.
    pub(crate) fn io(path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        Self::Io { path: path.into(), source }
    }

    /// A format error with its path.
    pub(crate) fn format(path: impl Into<PathBuf>, reason: impl Into<String>) -> Self {
        Self::Format { path: path.into(), reason: reason.into() }
    }
}
