//! Samples weighted by how probably their label is right, judged by a mixture of two normals.

use pemm_audit::mixture::Mixture;

use super::center::times;
use super::epoch_memory::EpochMemory;
use super::{Batch, CenterObjective, Objective, Progress, Terms};
use crate::error::Result;
use crate::loss::log_probability;
use crate::model::Classifier;
use crate::tensors::TensorMap;

/// What a label is doubted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DoubtedBy {
    /// Cross entropy of the given label, `-log p[n, y_n]`, whatever the loss that is trained on.
    Loss,
    /// Squared distance to the given label's center, `‖z_n - c_{y_n}‖² / σ²`.
    Distance,
}

/// Re-weighting: `mean_n w_n ℓ_n` plus the center terms. From epoch `warmup_epochs` on, `w_n` is the
/// posterior of the lower component of two normals that were fitted to the doubts (losses or
/// distances) of all samples in the epoch before, divided by its mean over the training part.
/// Until then every weight is 1.
///
/// Doubts are those of the training steps themselves: on augmented images, by the network as it was
/// at that step.
///
/// # Parameters
/// `warmup_epochs` ≥ 1. `by`: [`DoubtedBy::Distance`] needs a head with centers.
///
/// # Reference
/// Section 4.4 of the paper; the mixture over losses is that of Arazo et al. 2019 and, with normals, of
/// DivideMix (Li et al. 2020), which divides the samples by it where this weights them. What differs
/// stands in the entry.
pub struct Reweighting {
    base: CenterObjective,
    by: DoubtedBy,
    warmup_epochs: usize,
    doubts: EpochMemory,
    /// Weights of all samples in the epoch that stands beside them.
    weights: Option<(usize, Vec<f32>)>,
}

impl Reweighting {
    /// Over `num_samples` training samples.
    pub fn new(
        base: CenterObjective,
        by: DoubtedBy,
        warmup_epochs: usize,
        num_samples: usize,
    ) -> Self {
        let doubts = EpochMemory::new("doubts", num_samples, 1, 0.0);
        Self { base, by, warmup_epochs, doubts, weights: None }
    }

    /// Weights of all samples in `epoch`, from the doubts of the epoch before.
    fn weights(&mut self, epoch: usize) -> &[f32] {
        if self.weights.as_ref().is_none_or(|(fitted, _)| *fitted != epoch) {
            self.weights = Some((epoch, trust(self.doubts.values())));
        }
        &self.weights.as_ref().expect("just set").1
    }
}

/// Posterior of the lower component, divided by its mean.
fn trust(doubts: &[f32]) -> Vec<f32> {
    let values: Vec<f64> = doubts.iter().map(|&x| f64::from(x)).collect();
    let Some(mixture) = Mixture::fit(&values) else { return vec![1.0; doubts.len()] };
    let posteriors: Vec<f64> = values.iter().map(|&x| 1.0 - mixture.high_share(x)).collect();
    let mean = posteriors.iter().sum::<f64>() / posteriors.len().max(1) as f64;
    posteriors.iter().map(|posterior| (posterior / mean.max(1e-6)) as f32).collect()
}

impl Objective for Reweighting {
    fn forward(
        &mut self,
        networks: &[Classifier],
        batch: &Batch,
        progress: &mut Progress<'_>,
    ) -> Terms {
        let output = networks[0].forward(batch.images.clone(), progress.rng);
        let mut losses = self.base.weighted_losses(&networks[0], &output, batch);
        if progress.epoch >= self.warmup_epochs {
            losses = times(losses, batch.pick(self.weights(progress.epoch)));
        }
        let scores = output.scores.clone().detach();
        let doubts = match self.by {
            DoubtedBy::Loss => -log_probability(scores, batch.given.clone()),
            DoubtedBy::Distance => {
                -scores.gather(1, batch.given.clone().unsqueeze_dim(1)).squeeze_dim::<1>(1)
            }
        };
        self.doubts.put(&batch.indices, doubts.unsqueeze_dim(1));
        self.base.with_loss(losses.mean(), &networks[0], output)
    }

    fn state(&self) -> TensorMap {
        self.doubts.state()
    }

    fn load(&mut self, mut state: TensorMap) -> Result<()> {
        self.doubts.take(&mut state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::{CrossEntropy, Loss};
    use crate::objective::reference_case::ReferenceCase;
    use burn::tensor::Tensor;

    #[test]
    fn weights_value_and_gradient_are_those_of_pytorch() {
        for case in ReferenceCase::all_of_objectives("reweighting") {
            let numbers = |key: &str| -> Vec<f32> {
                serde_json::from_value(case.params[key].clone()).unwrap()
            };
            let weights = trust(&numbers("doubts"));
            let expected = numbers("weights");
            let close = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-4;
            assert!(weights.iter().zip(&expected).all(close), "{weights:?}, not {expected:?}");
            let logits = case.input("logits").require_grad();
            let losses = CrossEntropy.forward(logits.clone(), case.given());
            let weights = Tensor::from_floats(&expected[..losses.dims()[0]], &losses.device());
            case.agrees((losses * weights).mean(), &[("logits", &logits)]);
        }
    }

    #[test]
    fn large_doubts_weigh_little_and_the_mean_is_one() {
        let doubts: Vec<f32> =
            (0..100).map(|i| if i < 60 { 0.1 } else { 3.0 } + 0.002 * i as f32).collect();
        let weights = trust(&doubts);
        let mean = weights.iter().sum::<f32>() / 100.0;
        assert!((mean - 1.0).abs() < 1e-5, "{mean}");
        assert!(weights[..60].iter().all(|&w| w > 1.5), "{weights:?}");
        assert!(weights[60..].iter().all(|&w| w < 0.01), "{weights:?}");
    }

    #[test]
    fn equal_doubts_weigh_alike() {
        assert!(trust(&[0.7; 5]).iter().all(|&w| (w - 1.0).abs() < 1e-6));
    }
}
