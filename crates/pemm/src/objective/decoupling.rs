//! Decoupling: two networks that learn only where they disagree.

use burn::tensor::Tensor;

use super::center::weighted;
use super::co_teaching::{forward_both, losses_of_both, mean_of};
use super::{Batch, CenterObjective, Objective, Progress, Terms};
use crate::model::Classifier;

/// Decoupling "when to update" from "how to update": in each step each network minimises
/// `Σ_n ℓ_n / max(M, least_share · N)` over the M of N samples of the batch which both predict
/// differently. Where they agree on all, only the center terms move them. The first `warmup_epochs`
/// train both on all samples.
///
/// # Parameters
/// `warmup_epochs` ≥ 0. `least_share` in `[0, 1]`: 0 is the mean over the M samples, 1 their sum over N.
///
/// # Reference
/// Malach and Shalev-Shwartz 2017, Decoupling "when to update" from "how to update", algorithm 1, and
/// their public code; what differs stands in the entry.
pub struct Decoupling {
    /// Loss per sample and terms of the centers.
    pub base: CenterObjective,
    /// Epochs on all samples.
    pub warmup_epochs: usize,
    /// Share of the batch by which the sum of the losses is divided at least.
    pub least_share: f64,
}

impl Objective for Decoupling {
    fn num_networks(&self) -> usize {
        2
    }

    fn forward(
        &mut self,
        networks: &[Classifier],
        batch: &Batch,
        progress: &mut Progress<'_>,
    ) -> Terms {
        let outputs = forward_both(networks, batch, progress);
        let [own, peer] = losses_of_both(&self.base, networks, &outputs, batch)
            .map(|losses| weighted(losses, batch));
        let num = batch.indices.len();
        let chosen = if progress.epoch < self.warmup_epochs {
            Tensor::ones([num], &own.device())
        } else {
            differing(outputs.each_ref().map(|output| output.scores.clone().detach()))
        };
        let least = self.least_share * num as f64;
        let loss = mean_of(own, chosen.clone(), least) + mean_of(peer, chosen, least);
        self.base.with_loss_of_two(loss, networks, outputs)
    }
}

/// Which samples two networks with these scores, each `[N, K]`, predict differently, 1 or 0 each.
fn differing(scores: [Tensor<2>; 2]) -> Tensor<1> {
    let [own, peer] = scores.map(|scores| scores.argmax(1).squeeze_dim::<1>(1));
    own.not_equal(peer).float()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::{CrossEntropy, Loss};
    use crate::objective::co_teaching::marks;
    use crate::objective::reference_case::ReferenceCase;
    use crate::tensors::floats;

    #[test]
    fn value_and_gradients_are_those_of_pytorch() {
        let mut seen = Vec::new();
        for case in ReferenceCase::all_of_objectives("decoupling") {
            let scores = ["own", "peer"].map(|name| case.input(name).require_grad());
            let chosen = differing(scores.clone());
            let least = case.params["least_share"].as_f64().unwrap() * chosen.dims()[0] as f64;
            let of = |scores: &Tensor<2>| {
                mean_of(CrossEntropy.forward(scores.clone(), case.given()), chosen.clone(), least)
            };
            let loss = of(&scores[0]) + of(&scores[1]);
            case.agrees(loss, &[("own", &scores[0]), ("peer", &scores[1])]);
            seen.push(least);
        }
        assert_eq!(seen, [0.0, 0.8, 6.0], "below, beside and above the three that differ");
    }

    #[test]
    fn two_differing_samples_of_128_pull_by_a_tenth_of_the_batch() {
        let device = burn::tensor::Device::flex().autodiff();
        let scores = Tensor::<2>::zeros([128, 4], &device).require_grad();
        let given = Tensor::zeros([128], &device);
        let chosen: Vec<bool> = (0..128).map(|n| n < 2).collect();
        let slope = |least: f64| {
            let losses = CrossEntropy.forward(scores.clone(), given.clone());
            let gradients = mean_of(losses.clone(), marks(&chosen, &losses), least).backward();
            f64::from(floats(scores.grad(&gradients).unwrap())[0])
        };
        assert!((slope(0.0) / slope(0.1 * 128.0) - 6.4).abs() < 1e-5, "{}", slope(0.0));
    }
}
