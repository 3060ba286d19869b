//! The one error type of this crate.

use pemm_runs::RunError;

/// Shorthand for this crate's results.
pub type Result<T, E = ReportError> = std::result::Result<T, E>;

/// Why a report cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// What the run stored.
    #[error(transparent)]
    Run(#[from] RunError),
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
