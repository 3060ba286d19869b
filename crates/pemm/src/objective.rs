//! What a training step minimises.
//!
//! Methods with a memory, a schedule of their own or a second network are objectives, so that the
//! trainer does not know them. Each is written over [`CenterObjective`], which is the loss of a
//! sample and the terms of the centers, so any of them goes with any loss, head and regulariser that a
//! plan allows.

pub mod build;
pub mod center;
mod clean_posterior;
pub mod co_teaching;
pub mod crf;
pub mod decoupling;
pub mod distillation;
pub mod divide_mix;
pub mod early_learning;
mod epoch_memory;
pub mod estimated_forward;
mod estimated_matrix;
pub mod gold;
pub mod graphical;
pub mod iterative;
mod mentor;
pub mod mentor_net;
pub mod mentor_net_dd;
pub mod mixup;
pub mod pruning;
#[cfg(test)]
mod reference_case;
pub mod reweighting;
pub mod trusted_weight;
pub mod weakened;

use burn::tensor::{Int, Tensor};
use pemm_data::Rng;
pub use pemm_experiment::objectives::ObjectiveKind;

pub use build::{Samples, build, center_objective};
pub use center::CenterObjective;
pub use estimated_forward::EstimatedForward;

use crate::error::Result;
use crate::model::Classifier;
use crate::tensors::TensorMap;

/// A batch on the device. Clean labels are not in it, nor anywhere else in training.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Normalised images, `[N, C, H, W]`.
    pub images: Tensor<4>,
    /// Given labels, `[N]`.
    pub given: Tensor<1, Int>,
    /// Weight of each sample, `[N]`, with mean 1 over the training part.
    pub weights: Option<Tensor<1>>,
    /// Position of each sample in the training part, for methods with a memory per sample.
    pub indices: Vec<u32>,
}

impl Batch {
    /// What `of_all` says of the samples of the batch; it says something of each of the training part.
    fn pick<T: Copy>(&self, of_all: &[T]) -> Vec<T> {
        self.indices.iter().map(|&index| of_all[index as usize]).collect()
    }
}

/// Where in the training a step stands.
#[derive(Debug)]
pub struct Progress<'a> {
    /// Epoch, from 0.
    pub epoch: usize,
    /// Number of epochs in all.
    pub num_epochs: usize,
    /// Pass over the training part in this epoch, from 0.
    pub pass: usize,
    /// Step of the pass, from 0.
    pub step: usize,
    /// Number of steps of a pass.
    pub num_steps: usize,
    /// Draws inside the step (dropout, mixup).
    pub rng: &'a mut Rng,
}

impl<'a> Progress<'a> {
    /// The first and only step of a training.
    pub fn first(rng: &'a mut Rng) -> Self {
        Self { epoch: 0, num_epochs: 1, pass: 0, step: 0, num_steps: 1, rng }
    }

    /// Epochs that are over, and the share of this pass that is.
    pub fn passed(&self) -> f64 {
        self.epoch as f64 + self.step as f64 / self.num_steps.max(1) as f64
    }
}

/// What the networks say in evaluation of every training sample, not augmented.
#[derive(Debug)]
pub struct Survey<'a> {
    /// Scores by each network, each `[N, K]`, in the order of the training part.
    pub scores: Vec<Vec<f32>>,
    /// Features by the first network, `[N, D]`; empty where they were not asked for.
    pub features: Vec<f32>,
    /// Given labels, `[N]`.
    pub given: &'a [u32],
}

/// The value to minimise and what it is made of.
#[derive(Debug)]
pub struct Terms {
    /// `[1]`, with its gradient.
    pub total: Tensor<1>,
    /// Name and value `[1]` of each weighted term; they sum to the total.
    pub terms: Vec<(&'static str, Tensor<1>)>,
    /// Scores of the batch by the first network (or the one that is trained), `[N, K]`, for the records.
    pub scores: Tensor<2>,
}

impl Terms {
    /// The total of `terms`.
    pub fn of(terms: Vec<(&'static str, Tensor<1>)>, scores: Tensor<2>) -> Self {
        let mut values = terms.iter().map(|(_, value)| value.clone());
        let first = values.next().expect("an objective has a term");
        Self { total: values.fold(first, |sum, value| sum + value), terms, scores: scores.detach() }
    }
}

/// What a training step minimises.
pub trait Objective: Send {
    /// Networks that it trains, 1 or 2.
    fn num_networks(&self) -> usize {
        1
    }

    /// Passes over the training part that make an epoch.
    fn num_passes(&self) -> usize {
        1
    }

    /// Whether it has to know before `epoch` (from 0) what the networks say of all training samples.
    fn wants_survey(&self, _epoch: usize) -> bool {
        false
    }

    /// Whether what it asks for has features in it.
    fn wants_features(&self) -> bool {
        false
    }

    /// Hears what [`Self::wants_survey`] asked for, before the first step of the epoch.
    fn survey(&mut self, _survey: Survey<'_>) {}

    /// Whether all steps between two surveys do the same, each with its batch: nothing is read from
    /// the device, drawn, or known of the samples beside what the batch says. Then a step can be
    /// recorded once and replayed.
    fn repeats(&self) -> bool {
        false
    }

    /// Value and terms of one batch. `networks` has [`Self::num_networks`] of them; those that the
    /// gradients of the total reach make a step.
    fn forward(
        &mut self,
        networks: &[Classifier],
        batch: &Batch,
        progress: &mut Progress<'_>,
    ) -> Terms;

    /// What the next epoch needs beside the networks, for the checkpoint.
    fn state(&self) -> TensorMap {
        TensorMap::new()
    }

    /// Continues from [`Self::state`].
    ///
    /// # Errors
    /// A state that is not this objective's.
    fn load(&mut self, _state: TensorMap) -> Result<()> {
        Ok(())
    }
}
