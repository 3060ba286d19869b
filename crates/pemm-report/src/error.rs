//! The one error type of this crate.

use std::path::PathBuf;

use pemm_runs::RunError;

/// Shorthand for this crate's results.
pub type Result<T, E = ReportError> = std::result::Result<T, E>;

/// Why a report cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// What the run stored.
    #[error(transparent)]
    Run(#[from] RunError),
    /// A file or folder could not be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// There is nothing to report on.
    #[error(
        "{}: holds no run and no record; give a run folder, a record, or a folder of them",
        path.display()
    )]
    NoRuns {
        /// The folder.
        path: PathBuf,
    },
    /// A figure could not be drawn as pixels.
    #[error("figure {figure}: {reason}")]
    Pixels {
        /// Its name.
        figure: String,
        /// What is wrong.
        reason: String,
    },
    /// There is no font to draw texts with.
    #[error("this system has no fonts, so pictures would have no text: install some, or write SVG")]
    Fonts,
}
