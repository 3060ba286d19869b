//! Co-teaching: two networks, each of which learns from what the other finds easy.

use burn::tensor::{Tensor, TensorData};

use super::center::weighted;
use super::{Batch, CenterObjective, Objective, Progress, Terms};
use crate::model::{Classifier, Output};
use crate::tensors::floats;

/// Co-teaching: in each step each network takes the `R(e)` share of the batch on which the *other*
/// has the smallest losses, and minimises its mean loss there, with
/// `R(e) = 1 - forget_rate · min(e / ramp_epochs, 1)` in epoch e (from 0). Center terms of both
/// networks are added.
///
/// # Parameters
/// `forget_rate` in `[0, 0.95]`: 0 trains two independent networks. The paper sets it to the true
/// noise rate, which nobody knows; the default does not look at it. `ramp_epochs` ≥ 1.
///
/// # Reference
/// Han et al. 2018, Co-teaching: Robust Training of Deep Neural Networks with Extremely Noisy Labels,
/// algorithm 1. Differs: predictions are averaged over both networks, where they report each, and the
/// number of samples that are kept is rounded up.
pub struct CoTeaching {
    /// Loss per sample and terms of the centers.
    pub base: CenterObjective,
    /// Largest share of a batch that is left out.
    pub forget_rate: f64,
    /// Epochs until it is reached.
    pub ramp_epochs: usize,
}

impl Objective for CoTeaching {
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
        let losses = losses_of_both(&self.base, networks, &outputs, batch);
        let ramp = (progress.epoch as f64 / self.ramp_epochs as f64).min(1.0);
        let kept = 1.0 - self.forget_rate * ramp;
        let chosen = losses.each_ref().map(|losses| smallest(&floats(losses.clone()), kept));
        let [own, peer] = losses.map(|losses| weighted(losses, batch));
        let loss = mean_of(own, &chosen[1]) + mean_of(peer, &chosen[0]);
        self.base.with_loss_of_two(loss, networks, outputs)
    }
}

/// The outputs of two networks on the images of a batch.
pub(super) fn forward_both(
    networks: &[Classifier],
    batch: &Batch,
    progress: &mut Progress<'_>,
) -> [Output; 2] {
    [0, 1].map(|k| networks[k].forward(batch.images.clone(), progress.rng))
}

/// The losses of two networks on a batch, each `[N]`.
pub(super) fn losses_of_both(
    base: &CenterObjective,
    networks: &[Classifier],
    outputs: &[Output; 2],
    batch: &Batch,
) -> [Tensor<1>; 2] {
    [0, 1].map(|k| base.losses(&networks[k], &outputs[k], batch.given.clone()))
}

/// Mean of `losses` `[N]` over the samples that are chosen; 0 if none is.
pub(super) fn mean_of(losses: Tensor<1>, chosen: &[bool]) -> Tensor<1> {
    let count = chosen.iter().filter(|&&is| is).count().max(1) as f32;
    let shares: Vec<f32> = chosen.iter().map(|&is| if is { 1.0 / count } else { 0.0 }).collect();
    let shares = TensorData::new(shares, [chosen.len()]);
    (losses.clone() * Tensor::from_data(shares, &losses.device())).sum()
}

/// Which samples are among the `share` with the smallest losses: at least one, the first of equals.
fn smallest(losses: &[f32], share: f64) -> Vec<bool> {
    let count = ((share * losses.len() as f64).ceil() as usize).clamp(1, losses.len());
    let mut order: Vec<usize> = (0..losses.len()).collect();
    order.sort_by(|&a, &b| losses[a].total_cmp(&losses[b]).then(a.cmp(&b)));
    let mut chosen = vec![false; losses.len()];
    order[..count].iter().for_each(|&index| chosen[index] = true);
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn the_smallest_losses_are_chosen() {
        let losses = [0.5, 0.1, 0.5, 0.9, f32::NAN];
        assert_eq!(smallest(&losses, 0.6), [true, true, true, false, false]);
        assert_eq!(smallest(&losses, 0.0), [false, true, false, false, false]);
        assert_eq!(smallest(&losses, 1.0), [true; 5]);
    }

    #[test]
    fn the_mean_is_over_the_chosen() {
        let losses = Tensor::<1>::from_floats([1.0, 2.0, 6.0], &Device::flex());
        let mean = |chosen: &[bool]| mean_of(losses.clone(), chosen).into_scalar::<f32>();
        assert_eq!(mean(&[false, true, true]), 4.0);
        assert_eq!(mean(&[false; 3]), 0.0);
    }
}
