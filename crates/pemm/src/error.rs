//! The one error type of this crate.

use pemm_data::DataError;
use pemm_embed::EmbedError;
use pemm_experiment::ExperimentError;
use pemm_runs::RunError;

/// Shorthand for this crate's results.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can go wrong between an experiment file and a trained model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The data.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A run folder.
    #[error(transparent)]
    Run(#[from] RunError),
    /// A pretrained backbone.
    #[error(transparent)]
    Embed(#[from] EmbedError),
    /// An experiment.
    #[error(transparent)]
    Experiment(#[from] ExperimentError),
    /// A file of weights.
    #[error("{file}: {reason}")]
    Weights {
        /// The file.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A loss became infinite or NaN.
    #[error(
        "epoch {epoch}, step {step}: the term `{term}` is {value}; training stopped. \
         Try a smaller optim.learning_rate, or optim.clip_norm = 5"
    )]
    NotFinite {
        /// Epoch, from 1.
        epoch: usize,
        /// Step in the epoch, from 1.
        step: usize,
        /// Name of the term.
        term: String,
        /// Its value.
        value: f64,
    },
}

impl Error {
    /// A setting error with its key.
    pub fn setting(key: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Experiment(ExperimentError::setting(key, reason))
    }
}
