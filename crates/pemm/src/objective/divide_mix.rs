//! DivideMix: doubted labels are thrown away, their images kept.

use burn::module::Module;
use burn::tensor::{Int, Tensor, TensorData, activation};

use super::clean_posterior::clean_posterior;
use super::mixup::Mixing;
use super::{Batch, CenterObjective, Objective, Progress, Survey, Terms};
use crate::error::{Error, Result};
use crate::model::Classifier;
use crate::tensors::{TensorMap, one_hot};

/// DivideMix: two networks, each trained in a pass of its own over every epoch. After `warmup_epochs` of
/// the experiment's loss (and `confidence_penalty` times the negative entropy of the predictions), in the
/// pass of one network, whose predictions are p, beside its peer's p':
///
/// - `w_n`: posterior that label n is right, by the *peer's* cross entropies of
///   all samples, not augmented, at the beginning of the epoch; samples with `w_n > threshold` are
///   labeled, the rest is not;
/// - targets: labeled `sharpen(w_n y_n + (1 - w_n) p_n)`, unlabeled `sharpen((p_n + p'_n) / 2)`;
///   `sharpen(q) ∝ q^(1/temperature)`;
/// - mixup of images and targets over the whole batch with `m ~ Beta(alpha, alpha)`, `m ≥ 1/2`;
/// - `-mean_labeled Σ_k t log p  +  λ_u mean_unlabeled ‖t - p‖²/K  +  Σ_k 1/K log((1/K) / p̄_k)`, the
///   last of which keeps the mean prediction p̄ from collapsing, and center terms. λ_u rises from 0 to
///   `weight` over 16 epochs after the warm-up, with each batch.
///
/// # Parameters
/// `warmup_epochs` ≥ 1, `threshold` in `[0, 1]`, `temperature` in (0, 1], `alpha` as in
/// [`Mixup`](super::mixup::Mixup), `weight` ≥ 0, `confidence_penalty` ≥ 0.
///
/// # Reference
/// Li et al. 2020, DivideMix: Learning with Noisy Labels as Semi-supervised Learning, algorithm 1, and
/// their public code; what differs stands in the entry. A head's margin acts in the warm-up only, since
/// targets are soft afterwards. Sample weights, which they do not have, weight the labeled term.
pub struct DivideMix {
    base: CenterObjective,
    parameters: DivideMixParameters,
    /// How far each label is trusted in this epoch, by the losses of each network.
    trust: [Vec<f32>; 2],
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
    /// Weight of the negative entropy in the warm-up.
    pub confidence_penalty: f64,
}

/// Epochs over which the weight of the unlabeled samples rises; the authors' constant.
const RAMP_EPOCHS: f64 = 16.0;

impl DivideMixParameters {
    /// λ_u, `passed` epochs after the first.
    fn unlabeled_weight(&self, passed: f64) -> f64 {
        self.weight * ((passed - self.warmup_epochs as f64) / RAMP_EPOCHS).clamp(0.0, 1.0)
    }
}

impl DivideMix {
    /// Nothing is known yet.
    pub fn new(base: CenterObjective, parameters: DivideMixParameters) -> Self {
        Self { base, parameters, trust: [Vec::new(), Vec::new()] }
    }
}

/// A batch divided by trust, with its targets.
struct Divided {
    /// `[N, K]`, rows sum to 1.
    targets: Tensor<2>,
    /// 1 where the label is kept, else 0, `[N, 1]`.
    labeled: Tensor<2>,
    /// 1 where it is not, `[N, 1]`.
    unlabeled: Tensor<2>,
}

impl Divided {
    /// From `trust` in the labels `given` and the predictions of the network that is trained and of its
    /// peer, each `[N, K]`.
    fn of(
        trust: &[f32],
        given: &Tensor<1, Int>,
        [own, peer]: [Tensor<2>; 2],
        parameters: &DivideMixParameters,
    ) -> Self {
        let (device, num) = (given.device(), trust.len());
        let column =
            |values: Vec<f32>| Tensor::<2>::from_data(TensorData::new(values, [num, 1]), &device);
        let keeps = |&w: &f32| f64::from(w) > parameters.threshold;
        let labeled = column(trust.iter().map(|w| f32::from(u8::from(keeps(w)))).collect());
        let unlabeled = column(trust.iter().map(|w| f32::from(u8::from(!keeps(w)))).collect());
        let trusted = column(trust.to_vec());
        let refined =
            one_hot(given.clone(), &own) * trusted.clone() + own.clone() * (-trusted + 1.0);
        let guessed = (own + peer) / 2.0;
        let temperature = parameters.temperature;
        let targets = sharpen(refined, temperature) * labeled.clone()
            + sharpen(guessed, temperature) * unlabeled.clone();
        Self { targets, labeled, unlabeled }
    }

    /// The loss of scores `[N, K]` on mixed images against the mixed targets; `weights` `[N, 1]` are
    /// those of the mixed samples.
    fn loss(
        self,
        scores: Tensor<2>,
        mixed: Tensor<2>,
        weights: Option<Tensor<2>>,
        unlabeled_weight: f64,
    ) -> Tensor<1> {
        let num_classes = scores.dims()[1] as f64;
        let log_p = activation::log_softmax(scores, 1);
        let p = log_p.clone().exp();
        let mut supervised = -(mixed.clone() * log_p).sum_dim(1); // [N, 1]
        if let Some(weights) = weights {
            supervised = supervised * weights;
        }
        let consistent = (mixed - p.clone()).square().mean_dim(1);
        let mean = p.mean_dim(0); // [1, K]
        let balance = -(mean.clamp_min(1e-12).log() + num_classes.ln()).mean();
        mean_over(supervised, self.labeled)
            + mean_over(consistent, self.unlabeled) * unlabeled_weight
            + balance
    }
}

/// `mean_n Σ_k p[n,k] log p[n,k]` of scores `[N, K]`: the larger, the surer the predictions.
fn negative_entropy(scores: Tensor<2>) -> Tensor<1> {
    let log_p = activation::log_softmax(scores, 1);
    (log_p.clone().exp() * log_p).sum_dim(1).mean()
}

/// Mean of `values` `[N, 1]` where `selected` `[N, 1]` is 1; 0 where none is.
fn mean_over(values: Tensor<2>, selected: Tensor<2>) -> Tensor<1> {
    (values * selected.clone()).sum() / selected.sum().clamp_min(1.0)
}

/// `q^(1/temperature)`, divided by its sum, of each row.
fn sharpen(rows: Tensor<2>, temperature: f64) -> Tensor<2> {
    activation::softmax(rows.clamp_min(1e-12).log() / temperature, 1)
}

/// `-log p[n, y_n]` of rows of scores, in float64.
fn cross_entropies(scores: &[f32], given: &[u32]) -> Vec<f64> {
    let num_classes = scores.len() / given.len().max(1);
    let loss = |(row, &label): (&[f32], &u32)| {
        let top = row.iter().fold(f64::NEG_INFINITY, |top, &s| top.max(f64::from(s)));
        let sum: f64 = row.iter().map(|&s| (f64::from(s) - top).exp()).sum();
        top + sum.ln() - f64::from(row[label as usize])
    };
    scores.chunks_exact(num_classes.max(1)).zip(given).map(loss).collect()
}

impl Objective for DivideMix {
    fn num_networks(&self) -> usize {
        2
    }

    fn num_passes(&self) -> usize {
        2
    }

    fn wants_survey(&self, epoch: usize) -> bool {
        epoch >= self.parameters.warmup_epochs
    }

    fn survey(&mut self, survey: Survey<'_>) {
        for (trust, scores) in self.trust.iter_mut().zip(&survey.scores) {
            let posterior = clean_posterior(&cross_entropies(scores, survey.given));
            *trust = posterior.into_iter().map(|share| share as f32).collect();
        }
    }

    fn forward(
        &mut self,
        networks: &[Classifier],
        batch: &Batch,
        progress: &mut Progress<'_>,
    ) -> Terms {
        let number = progress.pass;
        let network = &networks[number];
        if progress.epoch < self.parameters.warmup_epochs {
            let output = network.forward(batch.images.clone(), progress.rng);
            let mut loss = self.base.weighted_losses(network, &output, batch).mean();
            let penalty = self.parameters.confidence_penalty;
            if penalty > 0.0 {
                loss = loss + negative_entropy(output.scores.clone()) * penalty;
            }
            return self.base.with_loss(loss, network, output);
        }
        // The guesses are constants: no gradient goes through them.
        let plain = batch.images.clone().detach().without_autodiff();
        let guesses = [number, 1 - number].map(|k| {
            let scores = networks[k].valid().forward(plain.clone(), progress.rng).scores;
            Tensor::from_inner(activation::softmax(scores, 1))
        });
        let trust = batch.pick(&self.trust[1 - number]);
        let divided = Divided::of(&trust, &batch.given, guesses, &self.parameters);

        let mut mixing =
            Mixing::draw(batch.indices.len(), self.parameters.alpha, progress.rng, batch);
        mixing.share = mixing.share.max(1.0 - mixing.share);
        let output = network.forward(mixing.mix(batch.images.clone()), progress.rng);
        let mixed = mixing.mix(divided.targets.clone());
        let weights = batch.weights.clone().map(|weights| mixing.mix(weights.unsqueeze_dim(1)));
        let weight = self.parameters.unlabeled_weight(progress.passed());
        let loss = divided.loss(output.scores.clone(), mixed, weights, weight);
        self.base.with_loss(loss, network, output)
    }

    fn load(&mut self, state: TensorMap) -> Result<()> {
        match state.keys().next() {
            None => Ok(()),
            Some(name) => Err(Error::Weights {
                file: "objective".into(),
                reason: format!(
                    "{name} is of an earlier version of divide-mix, which trained otherwise; start the \
                     run anew in another folder"
                ),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objective::reference_case::ReferenceCase;
    use crate::tensors::floats;
    use burn::tensor::Device;

    const PUBLISHED: DivideMixParameters = DivideMixParameters {
        warmup_epochs: 10,
        threshold: 0.5,
        temperature: 0.5,
        alpha: 4.0,
        weight: 25.0,
        confidence_penalty: 0.0,
    };

    #[test]
    fn value_and_gradient_are_those_of_pytorch() {
        for case in ReferenceCase::all_of_objectives("divide_mix") {
            let number = |key: &str| case.params[key].as_f64().unwrap();
            let parameters = DivideMixParameters {
                threshold: number("threshold"),
                temperature: number("temperature"),
                ..PUBLISHED
            };
            let trust: Vec<f32> = serde_json::from_value(case.params["trust"].clone()).unwrap();
            let guesses = ["guess_own", "guess_peer"].map(|key| case.matrix(&case.params[key]));
            let divided = Divided::of(&trust, &case.given(), guesses, &parameters);
            let order: Vec<i64> = serde_json::from_value(case.params["perm"].clone()).unwrap();
            let other = TensorData::new(order, [trust.len()]);
            let other = Tensor::from_data(other, &case.given().device());
            let mixed = Mixing { share: number("share"), other }.mix(divided.targets.clone());
            let logits = case.input("logits").require_grad();
            let loss = divided.loss(logits.clone(), mixed, None, number("weight"));
            case.agrees(loss, &[("logits", &logits)]);
        }
    }

    #[test]
    fn the_penalty_of_the_warm_up_is_that_of_pytorch() {
        for case in ReferenceCase::all_of_objectives("confidence_penalty") {
            let logits = case.input("logits").require_grad();
            case.agrees(negative_entropy(logits.clone()), &[("logits", &logits)]);
        }
    }

    #[test]
    fn the_weight_of_unlabeled_samples_rises_from_zero_with_each_batch() {
        let weight = |passed: f64| PUBLISHED.unlabeled_weight(passed);
        assert_eq!([9.5, 10.0, 18.0, 26.0, 200.0].map(weight), [0.0, 0.0, 12.5, 25.0, 25.0]);
        // Theirs: 25 · clip((epoch + batch / batches - warm_up) / 16).
        assert!((weight(10.0 + 390.0 / 391.0) - 25.0 * (390.0 / 391.0) / 16.0).abs() < 1e-12);
    }

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

    #[test]
    fn the_state_of_an_earlier_version_is_refused() {
        let base = CenterObjective {
            loss: Box::new(crate::loss::CrossEntropy),
            energy: None,
            reconstruction: 0.0,
        };
        let mut objective = DivideMix::new(base, PUBLISHED);
        objective.load(objective.state()).unwrap();
        let values = crate::tensors::Values { shape: vec![1, 2], data: vec![0.0; 2] };
        let error = objective.load(TensorMap::from([("losses".to_owned(), values)])).unwrap_err();
        assert!(error.to_string().contains("losses is of an earlier version"), "{error}");
    }

    #[test]
    fn losses_are_those_of_the_given_labels() {
        let losses = cross_entropies(&[0.0, 0.0, 100.0, 0.0], &[1, 1]);
        assert!((losses[0] - 2f64.ln()).abs() < 1e-12 && (losses[1] - 100.0).abs() < 1e-9);
    }
}
