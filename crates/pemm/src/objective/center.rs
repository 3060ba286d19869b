//! The paper's objective: a loss per sample, and terms of the class centers.

use burn::tensor::{Int, Tensor, TensorData};

use super::{Batch, Objective, Progress, Terms};
use crate::energy::CenterPotential;
use crate::loss::Loss;
use crate::model::{Classifier, Output};
use crate::reconstruction::reconstruction;

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

impl CenterObjective {
    /// Loss of each sample, `[N]`, for labels `given`, with the margin of the head of `network`, if
    /// it has one.
    pub fn losses(
        &self,
        network: &Classifier,
        output: &Output,
        given: Tensor<1, Int>,
    ) -> Tensor<1> {
        let scores = network.head.margin(output.scores.clone(), given.clone()); // [N, K]
        self.loss.forward(scores, given)
    }

    /// [`Self::losses`] of the given labels of `batch`, times the weights of its samples.
    pub(super) fn weighted_losses(
        &self,
        network: &Classifier,
        output: &Output,
        batch: &Batch,
    ) -> Tensor<1> {
        weighted(self.losses(network, output, batch.given.clone()), batch)
    }

    /// The terms of the centers of `network`, after `output`.
    pub fn center_terms(
        &self,
        network: &Classifier,
        output: &Output,
    ) -> Vec<(&'static str, Tensor<1>)> {
        let mut terms = Vec::new();
        let Some(centers) = network.head.centers() else { return terms };
        if let Some((weight, potential)) = self.energy {
            terms.push(("energy", potential.forward(centers.clone()) * weight));
        }
        if self.reconstruction > 0.0 {
            let term =
                reconstruction(output.features.clone(), output.scores.clone(), centers).mean();
            terms.push(("reconstruction", term * self.reconstruction));
        }
        terms
    }

    /// The objective of `network` with `loss` `[1]` in the place of the loss term.
    pub fn with_loss(&self, loss: Tensor<1>, network: &Classifier, output: Output) -> Terms {
        let mut terms = vec![("loss", loss)];
        terms.extend(self.center_terms(network, &output));
        Terms::of(terms, output.scores)
    }

    /// The objective of two networks with `loss` `[1]`, of both, in the place of the loss term.
    pub fn with_loss_of_two(
        &self,
        loss: Tensor<1>,
        networks: &[Classifier],
        outputs: [Output; 2],
    ) -> Terms {
        let mut terms = vec![("loss", loss)];
        let peers = self.center_terms(&networks[1], &outputs[1]);
        for ((name, own), (_, peer)) in
            self.center_terms(&networks[0], &outputs[0]).into_iter().zip(peers)
        {
            terms.push((name, own + peer));
        }
        let [output, _] = outputs;
        Terms::of(terms, output.scores)
    }
}

/// `losses` times the weights of the batch, if it has any.
pub(super) fn weighted(losses: Tensor<1>, batch: &Batch) -> Tensor<1> {
    match &batch.weights {
        Some(weights) => losses * weights.clone(),
        None => losses,
    }
}

/// `losses` `[N]`, each times its factor.
pub(super) fn times(losses: Tensor<1>, factors: Vec<f32>) -> Tensor<1> {
    let factors = TensorData::new(factors, losses.dims());
    let factors = Tensor::from_data(factors, &losses.device());
    losses * factors
}

impl Objective for CenterObjective {
    fn repeats(&self) -> bool {
        true
    }

    fn forward(
        &mut self,
        networks: &[Classifier],
        batch: &Batch,
        progress: &mut Progress<'_>,
    ) -> Terms {
        let output = networks[0].forward(batch.images.clone(), progress.rng);
        let losses = self.weighted_losses(&networks[0], &output, batch);
        self.with_loss(losses.mean(), &networks[0], output)
    }
}
