//! Mixup: straight lines between samples.

use burn::tensor::{Int, Tensor, TensorData};
use pemm_data::Rng;

use super::center::weighted;
use super::{Batch, CenterObjective, Objective, Progress, Terms};
use crate::model::Classifier;

/// Mixup: each step draws `m ~ Beta(alpha, alpha)` and a permutation π of the batch, and minimises
/// `m ℓ(f(x̃), y) + (1 - m) ℓ(f(x̃), y_π)` at the mixed images `x̃ = m x + (1 - m) x_π`, with ℓ the
/// loss of the experiment and its center terms.
///
/// The scores in the records are those of the mixed images against their own given labels, so the
/// training accuracy reads lower than without mixup.
///
/// # Parameters
/// `alpha` in `[0.05, 1024]`: near 0 hardly any mixing, 1 uniform, large always half and half.
///
/// # Reference
/// Zhang et al. 2018, mixup: Beyond Empirical Risk Minimization. As in their code, one m and one π a
/// step, and a sample may be mixed with itself. Sample weights, which they do not have, go with the
/// label that they belong to.
pub struct Mixup {
    /// Loss per sample and terms of the centers.
    pub base: CenterObjective,
    /// Both parameters of the Beta distribution.
    pub alpha: f64,
}

impl Objective for Mixup {
    fn forward(
        &mut self,
        networks: &[Classifier],
        batch: &Batch,
        progress: &mut Progress<'_>,
    ) -> Terms {
        let mixing = Mixing::draw(batch.indices.len(), self.alpha, progress.rng, batch);
        let output = networks[0].forward(mixing.mix(batch.images.clone()), progress.rng);
        let losses = |given| self.base.losses(&networks[0], &output, given);
        let loss = mixing.losses(batch, losses).mean();
        self.base.with_loss(loss, &networks[0], output)
    }
}

/// One draw of how a batch is mixed.
pub(super) struct Mixing {
    /// m, the share of a sample itself.
    pub(super) share: f64,
    /// π, `[N]`.
    pub(super) other: Tensor<1, Int>,
}

impl Mixing {
    /// Draws for `num` samples on the device of `batch`.
    pub(super) fn draw(num: usize, alpha: f64, rng: &mut Rng, batch: &Batch) -> Self {
        let share = beta(alpha, rng);
        let mut order: Vec<i64> = (0..num as i64).collect();
        rng.shuffle(&mut order);
        let other = Tensor::from_data(TensorData::new(order, [num]), &batch.given.device());
        Self { share, other }
    }

    /// `m ℓ(y) + (1 - m) ℓ(y_π)` of each sample, `[N]`, each ℓ with the weight of its label's sample.
    fn losses(&self, batch: &Batch, losses: impl Fn(Tensor<1, Int>) -> Tensor<1>) -> Tensor<1> {
        let own = weighted(losses(batch.given.clone()), batch);
        let other = losses(batch.given.clone().select(0, self.other.clone()));
        let other = match &batch.weights {
            Some(weights) => other * weights.clone().select(0, self.other.clone()),
            None => other,
        };
        own * self.share + other * (1.0 - self.share)
    }

    /// `m x + (1 - m) x_π` along the first axis.
    pub(super) fn mix<const D: usize>(&self, values: Tensor<D>) -> Tensor<D> {
        let other = values.clone().select(0, self.other.clone());
        values * self.share + other * (1.0 - self.share)
    }
}

/// A draw from Beta(alpha, alpha) by Jöhnk's method: `u^(1/a) / (u^(1/a) + v^(1/a))` for uniform u
/// and v, where the sum is at most 1. That is seldom where alpha is large; there a uniform draw is
/// kept with the density's share of its maximum.
fn beta(alpha: f64, rng: &mut Rng) -> f64 {
    if alpha > 4.0 {
        loop {
            let (x, u) = (rng.unit(), rng.unit());
            if u <= libm::pow(4.0 * x * (1.0 - x), alpha - 1.0) {
                return x;
            }
        }
    }
    loop {
        let [u, v] = [rng.unit(), rng.unit()].map(|unit| libm::pow(unit, 1.0 / alpha));
        if u + v > 0.0 && u + v <= 1.0 {
            return u / (u + v);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::{CrossEntropy, Loss};
    use crate::objective::reference_case::ReferenceCase;
    use pemm_data::{Stream, Streams};

    #[test]
    fn value_and_gradient_are_those_of_pytorch() {
        let case = ReferenceCase::read("mixup_target");
        let (logits, given) = (case.input("logits").require_grad(), case.given());
        let order: Vec<i64> = serde_json::from_value(case.params["perm"].clone()).unwrap();
        let other = Tensor::from_data(TensorData::new(order, [6]), &given.device());
        let mixing = Mixing { share: case.params["lam"].as_f64().unwrap(), other };
        let images = Tensor::zeros([6, 1, 1, 1], &given.device());
        let batch = Batch { images, given, weights: None, indices: (0..6).collect() };
        let losses = mixing.losses(&batch, |given| CrossEntropy.forward(logits.clone(), given));
        case.agrees(losses.mean(), &[("logits", &logits)]);
    }

    #[test]
    fn draws_have_the_mean_and_variance_of_the_beta_distribution() {
        let mut rng = Streams::new(1).open(Stream::Step);
        for alpha in [0.2, 1.0, 4.0, 8.0, 32.0, 1024.0] {
            let draws: Vec<f64> = (0..20_000).map(|_| beta(alpha, &mut rng)).collect();
            let mean = draws.iter().sum::<f64>() / draws.len() as f64;
            let variance =
                draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / draws.len() as f64;
            let expected = 1.0 / (4.0 * (2.0 * alpha + 1.0));
            assert!((mean - 0.5).abs() < 0.01, "alpha {alpha}: mean {mean}");
            assert!((variance / expected - 1.0).abs() < 0.05, "alpha {alpha}: {variance}");
        }
    }
}
