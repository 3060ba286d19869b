//! In the style of DivideMix: doubted labels are thrown away, their images kept.

use burn::module::Module;
use burn::tensor::{Int, Tensor, TensorData, activation};
use pemm_audit::mixture::Mixture;

use super::center::weighted;
use super::co_teaching::{forward_both, losses_of_both};
use super::epoch_memory::EpochMemory;
use super::mixup::Mixing;
use super::{Batch, CenterObjective, Objective, Progress, Terms};
use crate::error::Result;
use crate::loss::log_probability;
use crate::model::Classifier;
use crate::tensors::{TensorMap, floats};

/// A semi-supervised objective in the style of DivideMix. After `warmup_epochs` of the experiment's
/// loss on both networks, for each network in each step:
///
/// - `w_n`: posterior of the lower of two normals fitted to the *other* network's cross entropies of
///   the epoch before, scaled to 0–1; samples with `w_n > threshold` are labeled, the rest is not;
/// - targets: labeled `sharpen(w_n y_n + (1 - w_n) p_n)`, unlabeled `sharpen((p_n + p'_n) / 2)` with
///   the predictions of both networks; `sharpen(q) ∝ q^(1/temperature)`;
/// - mixup of images and targets over the whole batch with `m ~ Beta(alpha, alpha)`, `m ≥ 1/2`;
/// - `-mean_labeled Σ_k t log p  +  λ_u(e) mean_unlabeled ‖t - p‖²/K  +  Σ_k 1/K log((1/K) / p̄_k)`,
///   the last of which keeps the mean prediction p̄ from collapsing, and center terms. λ_u rises to
///   `weight` over 16 epochs after the warm-up.
///
/// # Parameters
/// `warmup_epochs` ≥ 1, `threshold` in `[0, 1]`, `temperature` in (0, 1], `alpha` as in
/// [`Mixup`](super::mixup::Mixup), `weight` ≥ 0.
///
/// # Reference
/// Li et al. 2020, DivideMix: Learning with Noisy Labels as Semi-supervised Learning. Differs from
/// the authors' code: one augmented view of an image instead of four, predictions for targets in
/// evaluation mode, losses are those of the training steps instead of a pass of their own, a batch is
/// divided as it comes instead of labeled and unlabeled batches side by side, the penalty of
/// confident warm-up for asymmetric noise is left out. A head's margin acts in the warm-up only, since
/// targets are soft afterwards. Sample weights, which they do not have, weight the labeled term.
pub struct DivideMix {
    base: CenterObjective,
    parameters: DivideMixParameters,
    /// Cross entropy of each sample by each network, `[N, 2]`.
    losses: EpochMemory,
    /// How far each label is trusted, by the losses of each network, in the epoch beside.
    trust: Option<(usize, [Vec<f32>; 2])>,
}

/// Numbers of [`DivideMix`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DivideMixParameters {
    /// Epochs of plain training first.
    pub warmup_epochs: usize,
    /// Trust above which a label is kept.
    pub threshold: f64,
    /// Of the sharpened targets.
    pub temperature: f64,
    /// Of mixup's Beta distribution.
    pub alpha: f64,
    /// λ_u, weight of the unlabeled samples.
    pub weight: f64,
}

/// Epochs over which the weight of the unlabeled samples rises; the authors' constant.
const RAMP_EPOCHS: f64 = 16.0;

impl DivideMix {
    /// Over `num_samples` training samples.
    pub fn new(base: CenterObjective, parameters: DivideMixParameters, num_samples: usize) -> Self {
        let losses = EpochMemory::new("losses", num_samples, 2, 0.0);
        Self { base, parameters, losses, trust: None }
    }

    /// Keeps the cross entropies of both networks' scores.
    fn remember(&mut self, batch: &Batch, scores: [Tensor<2>; 2]) {
        for (network, scores) in scores.into_iter().enumerate() {
            let losses = -log_probability(scores, batch.given.clone());
            for (&index, loss) in batch.indices.iter().zip(floats(losses)) {
                self.losses.row_mut(index)[network] = loss;
            }
        }
    }

    /// Trust in the labels of a batch by the losses of `network`, `[N, 1]`.
    fn trust(&mut self, network: usize, epoch: usize, batch: &Batch) -> (Vec<f32>, Tensor<2>) {
        if self.trust.as_ref().is_none_or(|(fitted, _)| *fitted != epoch) {
            let trust = [0, 1].map(|k| {
                let losses: Vec<f64> =
                    self.losses.values().chunks_exact(2).map(|row| f64::from(row[k])).collect();
                let mixture = Mixture::fit(&losses);
                losses
                    .iter()
                    .map(|&loss| mixture.map_or(1.0, |fitted| 1.0 - fitted.high_share(loss)) as f32)
                    .collect()
            });
            self.trust = Some((epoch, trust));
        }
        let (_, all) = self.trust.as_ref().expect("just set");
        let trust: Vec<f32> = batch.indices.iter().map(|&i| all[network][i as usize]).collect();
        let data = TensorData::new(trust.clone(), [trust.len(), 1]);
        (trust, Tensor::from_data(data, &batch.given.device()))
    }

    /// Loss of one network, `[1]`, and its scores on the mixed images.
    fn semi_supervised(
        &mut self,
        number: usize,
        networks: &[Classifier],
        batch: &Batch,
        guesses: &[Tensor<2>; 2],
        progress: &mut Progress<'_>,
    ) -> (Tensor<1>, crate::model::Output) {
        let DivideMixParameters { threshold, temperature, alpha, weight, warmup_epochs } =
            self.parameters;
        let (trust, trusted) = self.trust(1 - number, progress.epoch, batch);
        let [num, num_classes] = guesses[0].dims();
        let labeled = selection(&trust, |w| f64::from(w) > threshold, &batch.given);
        let unlabeled = selection(&trust, |w| f64::from(w) <= threshold, &batch.given);

        let refined = one_hot(&batch.given, num_classes) * trusted.clone()
            + guesses[number].clone() * (-trusted + 1.0);
        let guessed = (guesses[0].clone() + guesses[1].clone()) / 2.0;
        let targets = sharpen(refined, temperature) * labeled.clone()
            + sharpen(guessed, temperature) * unlabeled.clone(); // [N, K]

        let mut mixing = Mixing::draw(num, alpha, progress.rng, batch);
        mixing.share = mixing.share.max(1.0 - mixing.share);
        let output = networks[number].forward(mixing.mix(batch.images.clone()), progress.rng);
        let targets = mixing.mix(targets);
        let log_p = activation::log_softmax(output.scores.clone(), 1);
        let p = log_p.clone().exp();

        let mut supervised = -(targets.clone() * log_p).sum_dim(1); // [N, 1]
        if let Some(weights) = &batch.weights {
            supervised = supervised * mixing.mix(weights.clone().unsqueeze_dim::<2>(1));
        }
        let consistent = (targets - p.clone()).square().mean_dim(1);
        let ramp = ((progress.epoch + 1 - warmup_epochs) as f64 / RAMP_EPOCHS).min(1.0);
        let mean = p.mean_dim(0); // [1, K]
        let balance = -(mean.clamp_min(1e-12).log() + (num_classes as f64).ln()).mean();
        let loss = mean_over(supervised, labeled)
            + mean_over(consistent, unlabeled) * (weight * ramp)
            + balance;
        (loss, output)
    }
}

/// 1 where `keeps` holds, else 0, `[N, 1]`.
fn selection(trust: &[f32], keeps: impl Fn(f32) -> bool, like: &Tensor<1, Int>) -> Tensor<2> {
    let values: Vec<f32> = trust.iter().map(|&w| f32::from(u8::from(keeps(w)))).collect();
    Tensor::from_data(TensorData::new(values, [trust.len(), 1]), &like.device())
}

/// Mean of `values` `[N, 1]` where `selected` `[N, 1]` is 1; 0 where none is.
fn mean_over(values: Tensor<2>, selected: Tensor<2>) -> Tensor<1> {
    (values * selected.clone()).sum() / selected.sum().clamp_min(1.0)
}

/// `q^(1/temperature)`, divided by its sum, of each row.
fn sharpen(rows: Tensor<2>, temperature: f64) -> Tensor<2> {
    activation::softmax(rows.clamp_min(1e-12).log() / temperature, 1)
}

fn one_hot(given: &Tensor<1, Int>, num_classes: usize) -> Tensor<2> {
    given.clone().one_hot::<2>(num_classes).float()
}

impl Objective for DivideMix {
    fn num_networks(&self) -> usize {
        2
    }

    fn forward(
        &mut self,
        networks: &[Classifier],
        batch: &Batch,
        progress: &mut Progress<'_>,
    ) -> Terms {
        if progress.epoch < self.parameters.warmup_epochs {
            let outputs = forward_both(networks, batch, progress);
            let [own, peer] = losses_of_both(&self.base, networks, &outputs, batch)
                .map(|losses| weighted(losses, batch).mean());
            self.remember(batch, outputs.each_ref().map(|output| output.scores.clone().detach()));
            return self.base.with_loss_of_two(own + peer, networks, outputs);
        }
        // The guesses are constants: no gradient goes through them.
        let plain = batch.images.clone().detach().without_autodiff();
        let scores =
            [0, 1].map(|k| networks[k].valid().forward(plain.clone(), progress.rng).scores);
        let guesses = scores
            .each_ref()
            .map(|scores| Tensor::from_inner(activation::softmax(scores.clone(), 1)));
        let (own, output) = self.semi_supervised(0, networks, batch, &guesses, progress);
        let (peer, other) = self.semi_supervised(1, networks, batch, &guesses, progress);
        let plain = Batch { given: batch.given.clone().inner(), ..batch.clone() };
        self.remember(&plain, scores);
        self.base.with_loss_of_two(own + peer, networks, [output, other])
    }

    fn state(&self) -> TensorMap {
        let mut state = TensorMap::new();
        self.losses.save(&mut state);
        state
    }

    fn load(&mut self, mut state: TensorMap) -> Result<()> {
        self.losses.take(&mut state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn sharpened_rows_sum_to_one_and_are_sharper() {
        let rows = Tensor::<2>::from_floats([[0.6, 0.3, 0.1], [0.0, 0.0, 1.0]], &Device::flex());
        let sharp = floats(sharpen(rows, 0.5));
        let sum = 0.36 + 0.09 + 0.01;
        for (found, expected) in
            sharp.iter().zip([0.36 / sum, 0.09 / sum, 0.01 / sum, 0.0, 0.0, 1.0])
        {
            assert!((found - expected).abs() < 1e-5, "{sharp:?}");
        }
    }

    #[test]
    fn a_mean_over_none_is_zero() {
        let values = Tensor::<2>::from_floats([[1.0], [3.0]], &Device::flex());
        assert_eq!(mean_over(values.clone(), values.clone() * 0.0).into_scalar::<f32>(), 0.0);
        let last = Tensor::<2>::from_floats([[0.0], [1.0]], &Device::flex());
        assert_eq!(mean_over(values, last).into_scalar::<f32>(), 3.0);
    }
}
