//! What a training step minimises.

use burn::tensor::{Int, Tensor};
use pemm_data::Rng;

use crate::energy::CenterPotential;
use crate::error::Result;
use crate::loss::Loss;
use crate::model::Classifier;
use crate::reconstruction::reconstruction;
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

/// Where in the training a step stands.
#[derive(Debug)]
pub struct Progress<'a> {
    /// Epoch, from 0.
    pub epoch: usize,
    /// Number of epochs in all.
    pub num_epochs: usize,
    /// Draws inside the step (dropout).
    pub rng: &'a mut Rng,
}

/// The value to minimise and what it is made of.
#[derive(Debug)]
pub struct Terms {
    /// `[1]`, with its gradient.
    pub total: Tensor<1>,
    /// Name and value `[1]` of each weighted term; they sum to the total.
    pub terms: Vec<(&'static str, Tensor<1>)>,
    /// Scores of the batch, `[N, K]`, for the records.
    pub scores: Tensor<2>,
}

/// What a training step minimises. Methods with a memory or a schedule of their own are objectives,
/// so that the trainer does not know them.
pub trait Objective: Send {
    /// Value and terms of one batch.
    fn forward(&mut self, model: &Classifier, batch: &Batch, progress: &mut Progress<'_>) -> Terms;

    /// What the next epoch needs beside the model, for the checkpoint.
    fn state(&self) -> TensorMap {
        TensorMap::new()
    }

    /// Continues from [`Self::state`].
    fn load(&mut self, _state: TensorMap) -> Result<()> {
        Ok(())
    }
}

/// The paper's objective (eq. 13), of which cross entropy alone is a special case:
/// `mean_n w_n loss_n + λ V(C) + ω mean_n (z_n - Σ_k p_nk c_k)²`.
///
/// The paper sums the classifier loss over the batch; the authors' script and we take the mean,
/// which makes the energy N times stronger for the same λ.
pub struct CenterObjective {
    /// Loss per sample.
    pub loss: Box<dyn Loss>,
    /// λ and the potential of the centers; needs a head with centers.
    pub energy: Option<(f64, CenterPotential)>,
    /// ω, weight of the reconstruction term; needs a head with centers.
    pub reconstruction: f64,
}

impl Objective for CenterObjective {
    fn forward(&mut self, model: &Classifier, batch: &Batch, progress: &mut Progress<'_>) -> Terms {
        let output = model.forward(batch.images.clone(), progress.rng);
        let scores = model.head.margin(output.scores.clone(), batch.given.clone()); // [N, K]
        let mut losses = self.loss.forward(scores, batch.given.clone()); // [N]
        if let Some(weights) = &batch.weights {
            losses = losses * weights.clone();
        }
        let loss = losses.mean();
        let mut total = loss.clone();
        let mut terms = vec![("loss", loss)];
        if let Some(centers) = model.head.centers() {
            if let Some((weight, potential)) = self.energy {
                let energy = potential.forward(centers.clone()) * weight;
                total = total + energy.clone();
                terms.push(("energy", energy));
            }
            if self.reconstruction > 0.0 {
                let scores = output.scores.clone();
                let term =
                    reconstruction(output.features, scores, centers).mean() * self.reconstruction;
                total = total + term.clone();
                terms.push(("reconstruction", term));
            }
        }
        Terms { total, terms, scores: output.scores.detach() }
    }
}
