//! What a grid and its runs say to each other: the task as one line of JSON on the run's standard
//! input, its progress as lines on its standard output. The run stops when its input ends.

use std::path::PathBuf;

use pemm_experiment::Experiment;
use serde::{Deserialize, Serialize};

/// What to run.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Task {
    pub(super) experiment: Experiment,
    pub(super) out: PathBuf,
    pub(super) device: String,
}

/// How far a run is.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Message {
    /// The data are read and the model is made; how many epochs were done before, and how many
    /// there are in all.
    Started { num_done: usize, num_epochs: usize },
    /// Within an epoch, about once a second: the share of it that is done.
    Within { share: f64, images_per_sec: f64 },
    /// An epoch is done and saved.
    Epoch { epoch: usize, seconds: f64 },
}
