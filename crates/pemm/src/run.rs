//! How a run is asked for, and what it tells while it goes.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use pemm_experiment::Plan;
use pemm_runs::{EpochRecord, Record};

use crate::data::Embedding;
use crate::needs::Needs;

/// How to run, beside what: none of it changes a result.
#[derive(Debug)]
pub struct RunOptions<'a> {
    /// Run folder; made if missing, continued if it holds this very experiment.
    pub out: &'a Path,
    /// `cpu`, `cuda`, `wgpu`; see [`crate::device::open`].
    pub device: &'a str,
    /// Commit that the program was built from, and whether the tree was dirty.
    pub git: Option<(String, bool)>,
    /// Set from outside to stop after the current step.
    pub cancel: &'a AtomicBool,
    /// How images become features, where a pretrained backbone is named.
    pub embedding: Embedding<'a>,
}

/// What a run tells while it goes.
#[derive(Debug)]
pub enum Event<'a> {
    /// Before the first step.
    Started {
        /// Where the run lies.
        folder: &'a Path,
        /// What is run.
        plan: &'a Plan,
        /// What is allowed but probably not meant.
        warnings: &'a [String],
        /// What will be recorded.
        record: &'a Record,
        /// Steps of an epoch.
        num_steps: usize,
        /// Memory and time for all epochs.
        needs: Needs,
    },
    /// After a step: epoch and step from 1, samples in the step.
    Step(usize, usize, usize),
    /// After an epoch.
    Epoch(&'a EpochRecord),
}

/// How a run ended.
#[derive(Debug)]
pub struct Outcome {
    /// Where it lies.
    pub folder: PathBuf,
    /// What came out.
    pub record: Record,
    /// Whether it had been finished before.
    pub was_finished: bool,
    /// What is to be said where the data are no longer those of a run that had been finished before.
    pub changed: Option<String>,
}
