//! The one error type of this crate. A message gives where, the rule, the value, and what to do.

use pemm_data::DataError;

/// Shorthand for this crate's results.
pub type Result<T, E = ExperimentError> = std::result::Result<T, E>;

/// Everything that can be wrong with an experiment or a grid before it is run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExperimentError {
    /// An experiment file, a `--set`, or a run of a grid.
    #[error("{origin}: {message}")]
    Text {
        /// File name, argument, or name of the run.
        origin: String,
        /// What is wrong, with line and column where there are any.
        message: String,
    },
    /// A value outside its range, or one that does not go with another.
    #[error("{key}: {reason}")]
    Setting {
        /// The dotted key.
        key: String,
        /// The rule and the value, and what to do.
        reason: String,
    },
    /// A grid file.
    #[error("{origin}: {reason}")]
    Grid {
        /// The file.
        origin: String,
        /// The axis or line, the rule and the value.
        reason: String,
    },
    /// The data.
    #[error(transparent)]
    Data(#[from] DataError),
}

impl ExperimentError {
    /// A setting error with its key.
    pub fn setting(key: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Setting { key: key.into(), reason: reason.into() }
    }

    /// This error with the name of the run that it belongs to.
    pub fn in_run(self, name: &str) -> Self {
        Self::Text { origin: format!("run {name}"), message: self.to_string() }
    }
}
