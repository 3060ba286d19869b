//! Samples whose label is known to be right count more.

use super::center::times;
use super::{Batch, CenterObjective, Objective, Progress, Terms};
use crate::model::Classifier;

/// Trusted samples that count more: `mean_n w_n ℓ_n` plus the center terms, where `w_n` is ω for a
/// trusted sample and 1 for another, divided by the mean over the training part.
///
/// # Parameters
/// `weight` ω ≥ 1: 1 is the loss alone; large, nothing but the trusted samples counts.
///
/// # Reference
/// None; the plainest use of labels that are known to be right, as a control for the others.
pub struct TrustedWeight {
    base: CenterObjective,
    /// Weight of each sample of the training part.
    weights: Vec<f32>,
}

impl TrustedWeight {
    /// With samples of which some are `trusted` and weigh `weight`.
    pub fn new(base: CenterObjective, weight: f64, trusted: &[bool]) -> Self {
        let raw = |&is: &bool| if is { weight } else { 1.0 };
        let mean = trusted.iter().map(raw).sum::<f64>() / trusted.len().max(1) as f64;
        Self { base, weights: trusted.iter().map(|is| (raw(is) / mean) as f32).collect() }
    }
}

impl Objective for TrustedWeight {
    fn forward(
        &mut self,
        networks: &[Classifier],
        batch: &Batch,
        progress: &mut Progress<'_>,
    ) -> Terms {
        let output = networks[0].forward(batch.images.clone(), progress.rng);
        let losses = self.base.weighted_losses(&networks[0], &output, batch);
        let losses = times(losses, batch.pick(&self.weights));
        self.base.with_loss(losses.mean(), &networks[0], output)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::CrossEntropy;

    #[test]
    fn the_mean_weight_is_one_and_one_changes_nothing() {
        let weights = |weight: f64, trusted: &[bool]| {
            let base =
                CenterObjective { loss: Box::new(CrossEntropy), energy: None, reconstruction: 0.0 };
            TrustedWeight::new(base, weight, trusted).weights
        };
        // (3 + 1 + 1 + 3) / 4 = 2
        assert_eq!(weights(3.0, &[true, false, false, true]), [1.5, 0.5, 0.5, 1.5]);
        assert_eq!(weights(1.0, &[true, false]), [1.0, 1.0]);
    }
}
