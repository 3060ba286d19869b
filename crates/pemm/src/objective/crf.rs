//! A conditional random field of the right and the given label, with the right one summed out exactly.

use burn::tensor::{Int, Tensor, TensorData, activation};

use super::center::weighted;
use super::co_teaching::{forward_both, marks, mean_of};
use super::epoch_memory::EpochMemory;
use super::gold::by_trust;
use super::{Batch, CenterObjective, Objective, Progress, Terms};
use crate::error::Result;
use crate::model::Classifier;
use crate::tensors::{TensorMap, floats};

/// The conditional random field `p(y, ỹ | x) = exp(a_y(x) + b_ỹ(x) + W[y][ỹ]) / Z(x)` of the right label y
/// and the given one ỹ of a sample.
///
/// Two networks give it in the form `p(y | x) p(ỹ | y, x)`, with the scores s of the first and b of the
/// second: `p(y | x) = softmax(s)`, `p(ỹ | y, x) = softmax over ỹ of (b + W[y])`. Over a batch,
///
/// `mean over trusted n of (ℓ_n - log p(ỹ_n | y_n, x_n)) + mean over the others of -Σ_y q_n(y) log p(y, ỹ_n | x_n)`
///
/// plus the center terms of the first network is minimised, where ỹ of a trusted sample is what it was
/// called before somebody looked, and
///
/// `q_n(y) ∝ (p(y | ỹ_n, x_n) aux(y | ỹ_n)^α)^(1 / (1 + α))`, constant in a step.
///
/// `aux` is counted on the trusted samples, each count `1 / K` too high. W starts at what they say and goes up the
/// same sum by steps of its own: `W[y] ← W[y] + pair_rate K Σ (its derivative at W[y])`.
///
/// # Parameters
/// α falls linearly over the training from `alpha_start` ≥ 0 to `alpha_end` ≥ 0: at ∞ the given labels mean
/// what they mean on average, at 0 `q` is the field's own posterior. `pair_rate` ≥ 0: 0 keeps W.
///
/// # Shapes
/// No `[N, K, K]` tensor is made: `Σ_j exp(b_j + W[y][j])` is a matrix product.
///
/// # Reference
/// Vahdat 2017, Toward Robustness against Label Noise in Training Deep Discriminative Neural Networks;
/// what differs stands in the entry.
pub struct Crf {
    base: CenterObjective,
    parameters: CrfParameters,
    num_classes: usize,
    /// Which samples of the training part are trusted.
    trusted: Vec<bool>,
    /// Given labels, of trusted samples the right ones.
    given: Vec<u32>,
    /// What each sample is called, ỹ: of a trusted one the label before somebody looked.
    called: Vec<u32>,
    /// `log aux(y | ỹ)`, row ỹ.
    log_aux: Vec<f32>,
    /// W, `[K, K]`.
    pairs: EpochMemory,
}

/// Settings of [`Crf`].
#[derive(Debug, Clone, Copy)]
pub struct CrfParameters {
    /// α in the first step.
    pub alpha_start: f64,
    /// α in the last step.
    pub alpha_end: f64,
    /// How far W goes in a step.
    pub pair_rate: f64,
}

/// How often trusted samples of each class (row) were given each label, and `1 / K` more, so that nothing
/// is impossible.
struct MistakeCounts(Vec<Vec<f64>>);

impl MistakeCounts {
    fn of(given: &[u32], before: &[Option<u32>], num_classes: usize) -> Self {
        let mut counts = vec![vec![1.0 / num_classes as f64; num_classes]; num_classes];
        for (&class, before) in given.iter().zip(before) {
            if let Some(label) = before {
                counts[class as usize][*label as usize] += 1.0;
            }
        }
        Self(counts)
    }

    /// `log P(label | class)`, row class.
    fn log_labels(&self) -> Vec<f32> {
        let of_class = |row: &Vec<f64>| {
            let sum: f64 = row.iter().sum();
            row.iter().map(|count| (count / sum).ln() as f32).collect::<Vec<f32>>()
        };
        self.0.iter().flat_map(of_class).collect()
    }

    /// `log P(class | label)`, row label.
    fn log_classes(&self) -> Vec<f32> {
        let num = self.0.len();
        let column = |j: usize| (0..num).map(|i| self.0[i][j]).collect::<Vec<f64>>();
        Self((0..num).map(column).collect()).log_labels()
    }
}

/// `log p(ỹ_n | y, x_n)` of each class y, `[N, K]`, from the second network's scores b `[N, K]`, W `[K, K]`
/// and the labels ỹ `[N]`.
fn log_labels(scores: Tensor<2>, pairs: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<2> {
    // Σ_j exp(b_j + W[y][j]), each factor scaled by its largest.
    let b_top = scores.clone().detach().max_dim(1); // [N, 1]
    let w_top = pairs.clone().detach().max_dim(1); // [K, 1]
    let powers = (pairs.clone() - w_top.clone()).exp().transpose(); // [label, class]
    let sums = (scores.clone() - b_top.clone()).exp().matmul(powers).clamp_min(LEAST_SUM); // [N, K]
    let log_sums = sums.log() + b_top + w_top.transpose();
    let of_label = scores.gather(1, labels.clone().unsqueeze_dim::<2>(1)); // [N, 1]
    of_label + pairs.transpose().select(0, labels) - log_sums
}

/// A sum of products of scaled powers is taken for no less, so that its logarithm is finite.
const LEAST_SUM: f32 = 1e-30;

/// q: `(p aux^α)^(1 / (1 + α))` of each class, scaled to sum to 1, from `log p(y, ỹ | x)` and `log aux`.
fn regularised(joint: &[f32], log_aux: &[f32], alpha: f64) -> Vec<f32> {
    let pairs = joint.iter().zip(log_aux).map(|(&p, &aux)| (f64::from(p), f64::from(aux)));
    let logs: Vec<f64> = pairs.map(|(p, aux)| (p + alpha * aux) / (1.0 + alpha)).collect();
    let top = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = logs.iter().map(|log| (log - top).exp()).sum();
    logs.iter().map(|log| ((log - top).exp() / sum) as f32).collect()
}

/// The mean of `losses` `[N]` over the trusted samples, plus that over the others.
fn mean_of_each(losses: Tensor<1>, trusted: &[bool]) -> Tensor<1> {
    let trusted = marks(trusted, &losses);
    let others = -trusted.clone() + 1.0;
    mean_of(losses.clone(), trusted, 0.0) + mean_of(losses, others, 0.0)
}

impl Crf {
    /// With the labels `given`, and what each sample that is trusted was called `before`.
    pub fn new(
        base: CenterObjective,
        parameters: CrfParameters,
        given: &[u32],
        before: &[Option<u32>],
        num_classes: usize,
    ) -> Self {
        let counts = MistakeCounts::of(given, before, num_classes);
        let mut pairs = EpochMemory::new("pairs", num_classes, num_classes, 0.0);
        for (row, logs) in (0..).zip(counts.log_labels().chunks_exact(num_classes)) {
            pairs.row_mut(row).copy_from_slice(logs);
        }
        Self {
            base,
            parameters,
            num_classes,
            trusted: before.iter().map(Option::is_some).collect(),
            given: given.to_vec(),
            called: given.iter().zip(before).map(|(&label, was)| was.unwrap_or(label)).collect(),
            log_aux: counts.log_classes(),
            pairs,
        }
    }

    /// α where `progress` stands.
    fn alpha(&self, progress: &Progress<'_>) -> f64 {
        let CrfParameters { alpha_start, alpha_end, .. } = self.parameters;
        alpha_start + (alpha_end - alpha_start) * progress.passed() / progress.num_epochs as f64
    }

    /// The weight of each class for the samples `indices`, rows of K: all on the right one of a trusted
    /// sample, and q of another, from rows of `log p(y, ỹ | x)`.
    fn weights(&self, joint: &[f32], indices: &[u32], alpha: f64) -> Vec<f32> {
        let num = self.num_classes;
        let of_sample = |(joint, &index): (&[f32], &u32)| -> Vec<f32> {
            let index = index as usize;
            if self.trusted[index] {
                let right = self.given[index] as usize;
                return (0..num).map(|class| f32::from(u8::from(class == right))).collect();
            }
            let aux = &self.log_aux[self.called[index] as usize * num..][..num];
            regularised(joint, aux, alpha)
        };
        joint.chunks_exact(num).zip(indices).flat_map(of_sample).collect()
    }

    /// W as a tensor on the device of `like`.
    fn pairs_on(&mut self, like: &Tensor<2>) -> Tensor<2> {
        let values = TensorData::new(self.pairs.values().to_vec(), [self.num_classes; 2]);
        Tensor::from_data(values, &like.device())
    }

    /// Moves W against the gradient of the loss.
    fn learn_pairs(&mut self, gradient: Tensor<2>) {
        let rate = (self.parameters.pair_rate * self.num_classes as f64) as f32;
        for (row, step) in (0..).zip(floats(gradient).chunks_exact(self.num_classes)) {
            self.pairs.row_mut(row).iter_mut().zip(step).for_each(|(w, step)| *w -= rate * step);
        }
    }
}

impl Objective for Crf {
    fn num_networks(&self) -> usize {
        2
    }

    fn forward(
        &mut self,
        networks: &[Classifier],
        batch: &Batch,
        progress: &mut Progress<'_>,
    ) -> Terms {
        let alpha = self.alpha(progress);
        let [output, peer] = forward_both(networks, batch, progress);
        let trusted = batch.pick(&self.trusted);
        let labels: Vec<i64> = batch.pick(&self.called).into_iter().map(i64::from).collect();
        let labels = TensorData::new(labels, [trusted.len()]);
        let labels = Tensor::<1, Int>::from_data(labels, &peer.scores.device());
        let classes = activation::log_softmax(output.scores.clone(), 1); // log p(y | x), [N, K]
        let pairs = self.pairs_on(&peer.scores);
        let of_labels = log_labels(peer.scores.clone(), pairs.clone(), labels.clone());
        let joint = floats((classes.clone() + of_labels.clone()).detach());
        let weights = self.weights(&joint, &batch.indices, alpha);
        let weights = TensorData::new(weights, classes.dims());
        let weights = Tensor::<2>::from_data(weights, &classes.device());
        let expected = |logs: Tensor<2>| -(weights.clone() * logs).sum_dim(1).squeeze_dim::<1>(1);
        let mean = |losses: Tensor<1>| mean_of_each(weighted(losses, batch), &trusted);

        // W has no optimiser, so it is derived by in a graph of its own.
        let pairs = pairs.require_grad();
        let of_pairs = log_labels(peer.scores.detach(), pairs.clone(), labels);
        let gradients = mean(expected(of_pairs)).backward();
        self.learn_pairs(pairs.grad(&gradients).expect("the loss depends on it"));

        let own = self.base.losses(&networks[0], &output, batch.given.clone());
        let loss = mean(by_trust(&trusted, own, expected(classes)) + expected(of_labels));
        self.base.with_loss(loss, &networks[0], output)
    }

    fn state(&self) -> TensorMap {
        self.pairs.state()
    }

    fn load(&mut self, mut state: TensorMap) -> Result<()> {
        self.pairs.take(&mut state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::{CrossEntropy, Loss};
    use crate::objective::reference_case::ReferenceCase;
    use pemm_data::{Stream, Streams};

    fn crf(given: &[u32], before: &[Option<u32>], num_classes: usize) -> Crf {
        let base =
            CenterObjective { loss: Box::new(CrossEntropy), energy: None, reconstruction: 0.0 };
        let parameters = CrfParameters { alpha_start: 4.0, alpha_end: 1.0, pair_rate: 0.5 };
        Crf::new(base, parameters, given, before, num_classes)
    }

    #[test]
    fn value_and_gradients_are_those_of_the_field_in_pytorch() {
        for case in ReferenceCase::all_of_objectives("crf") {
            let numbers = |key: &str| -> Vec<u32> {
                serde_json::from_value(case.params[key].clone()).unwrap()
            };
            let trusted: Vec<bool> =
                serde_json::from_value(case.params["trusted"].clone()).unwrap();
            let (given, called) = (numbers("given"), numbers("called"));
            let before: Vec<Option<u32>> =
                trusted.iter().zip(&called).map(|(is, was)| is.then_some(*was)).collect();
            let mut model = crf(&given, &before, 4);
            model.called.clone_from(&called);
            model.log_aux = floats(case.matrix(&case.params["log_aux"]));
            let alpha = case.params["alpha"].as_f64().unwrap();
            let [first, second] = ["first", "second"].map(|name| case.input(name).require_grad());
            let on = first.device();
            let labels: Vec<i64> = called.iter().map(|&label| i64::from(label)).collect();
            let labels = TensorData::new(labels, [called.len()]);
            let labels = Tensor::<1, Int>::from_data(labels, &on);
            let pairs = case.matrix(&case.params["pairs"]).require_grad();
            let classes = activation::log_softmax(first.clone(), 1);
            let of_labels = log_labels(second.clone(), pairs.clone(), labels.clone());
            let joint = floats((classes.clone() + of_labels.clone()).detach());
            let indices: Vec<u32> = (0..called.len() as u32).collect();
            let weights = TensorData::new(model.weights(&joint, &indices, alpha), classes.dims());
            let weights = Tensor::<2>::from_data(weights, &on);
            let expected =
                |logs: Tensor<2>| -(weights.clone() * logs).sum_dim(1).squeeze_dim::<1>(1);
            let of_right = given.iter().map(|&label| i64::from(label)).collect::<Vec<i64>>();
            let of_right = TensorData::new(of_right, [given.len()]);
            let own = CrossEntropy.forward(first.clone(), Tensor::from_data(of_right, &on));
            let losses = by_trust(&trusted, own, expected(classes)) + expected(of_labels);
            let found = mean_of_each(losses.clone(), &trusted);
            case.agrees(found, &[("first", &first), ("second", &second)]);

            let alone = log_labels(second.detach(), pairs.clone(), labels);
            let gradients = mean_of_each(expected(alone), &trusted).backward();
            let found = floats(pairs.grad(&gradients).unwrap());
            let known = floats(case.matrix(&case.params["gradient_of_pairs"]));
            for (a, b) in found.iter().zip(&known) {
                assert!((a - b).abs() < 1e-5, "{found:?}, expected {known:?}");
            }
        }
    }

    #[test]
    fn pairs_start_at_what_trusted_samples_say_and_survive_a_checkpoint() {
        let before = [Some(1), Some(0), Some(1), None];
        let mut field = crf(&[0, 0, 1, 1], &before, 2);
        assert_eq!((&field.called[..], &field.given[..]), (&[1, 0, 1, 1][..], &[0, 0, 1, 1][..]));
        let shares: Vec<f32> = field.pairs.values().iter().map(|log| log.exp()).collect();
        // Of class 0 one and one, of class 1 none and one, each half a sample more.
        for (found, expected) in shares.iter().zip([0.5, 0.5, 0.25, 0.75]) {
            assert!((found - expected).abs() < 1e-6, "{shares:?}");
        }
        field.learn_pairs(Tensor::from_floats([[1.0, 0.0], [0.0, -1.0]], &Default::default()));
        let moved: Vec<f32> = field.pairs.values().iter().map(|log| log.exp().ln()).collect();
        assert!(
            (moved[0] - (0.5f32.ln() - 1.0)).abs() < 1e-6,
            "0.5 of pair_rate times two classes"
        );
        let mut continued = crf(&[0, 0, 1, 1], &before, 2);
        continued.load(field.state()).unwrap();
        assert_eq!(continued.pairs.values(), field.pairs.values());
    }

    #[test]
    fn alpha_falls_over_the_training() {
        let field = crf(&[0, 1], &[Some(1), None], 2);
        let mut rng = Streams::new(1).open(Stream::Step);
        let mut alpha = |epoch, step| {
            let rng = &mut rng;
            field.alpha(&Progress { epoch, num_epochs: 3, pass: 0, step, num_steps: 2, rng })
        };
        assert_eq!([alpha(0, 0), alpha(1, 1), alpha(2, 0)], [4.0, 2.5, 2.0]);
        assert_eq!(regularised(&[0.0, 0.0], &[0.0, 2f32.ln()], 1.0)[1], {
            let ratio = 2f64.sqrt();
            (ratio / (1.0 + ratio)) as f32
        });
    }
}
