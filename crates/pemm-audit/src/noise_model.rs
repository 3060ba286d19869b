//! How labels became wrong and how often the model errs: both at once, by maximum likelihood.

mod fit;
mod places;

use rayon::prelude::*;

use crate::joint::ConfidentJoint;
use crate::samples::Samples;
use fit::Fit;
use places::{Places, residual};

/// `P(true = k | x) = 1 - e(x)` for the predicted class c, `e(x) w[k]` for the others, and `T[k][j]`
/// that a sample of class k is given label j, whatever else it looks like:
/// `P(given = j | x) = Σ_k P(true = k | x) T[k][j]`.
///
/// A prediction's chance of being wrong, `e = A (κ + (1 - κ) u^γ)` with κ = 0.03, grows with its place
/// u (0 for the most certain, 1 for the least) among the predictions of its class; the data choose A, γ
/// and T. So contradictions of the most certain predictions are wrong labels, and what is added among the
/// less certain are the model's mistakes: the scale is not that of the probabilities, which noise makes
/// soft and training makes sharp, but their order alone.
///
/// The order itself is cleared of noise: a model trained on labels of which a share `T[c][j]` says j is
/// expected to give j the probability `p[c] T[c][j] / T[c][c]`. What is above that, the *residual*, is
/// doubt of the prediction and, divided by its sum, w.
///
/// # Fails
/// Where the most certain predictions are wrong too, because the model is weak or because labels go
/// between classes that it confuses, their share is taken for wrong labels
/// ([`Pattern`](crate::pattern::Pattern) looks for that). Where people err on images that are hard for
/// the model too, wrong labels are taken for its mistakes.
///
/// # Reference
/// The matrix is that of Patrini et al. 2017; expectation maximisation of it for given predictions is
/// that of Dawid and Skene 1979 with one annotator.
#[derive(Debug, Clone, PartialEq)]
pub struct NoiseModel {
    /// `T[true][given]`, `[K][K]`, rows sum to 1.
    pub transition: Vec<Vec<f64>>,
    /// Share of the samples that are of a class and given a label, `[true][given]`, sums to 1.
    pub joint: Vec<Vec<f64>>,
    /// Share of the samples that are predicted a class and are another, `[predicted][true]`.
    pub mistakes: Vec<Vec<f64>>,
    /// Share of the samples whose given label is not the true one.
    pub rate: f64,
    /// Share of the samples whose prediction is not the true class: the sum of `mistakes`.
    pub mistaken: f64,
    /// A, in 0 to 1: how often the least certain predictions are wrong.
    pub worst: f64,
    /// γ, from 1: above 2 the predictions have a plateau of certain ones.
    pub power: f64,
    /// Mean of `ln P(given | x)` over the samples that were used.
    pub log_likelihood: f64,
    /// What the residual of each class is never below, `[K]`.
    least: Vec<f64>,
}

/// γ that are tried.
const POWERS: [f64; 8] = [1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 9.0, 14.0];
/// Times that the order is cleared of noise by the last matrix.
const CLEARINGS: usize = 3;
/// Values of probabilities that are used; of more samples, evenly spaced ones.
const VALUES: usize = 2_000_000;
/// With many classes more, so that there are so many samples a class, up to so many values.
const SAMPLES_OF_CLASS: usize = 20;
const MAX_VALUES: usize = 20_000_000;
/// Smallest residual, as a share of the mean probability of the class.
const LEAST: f64 = 1e-3;
/// Smallest probability of a true class.
const SMALLEST: f64 = 1e-7;

impl NoiseModel {
    /// The most likely model for `samples`, whose probabilities are those of
    /// [`Stacked`](crate::stacked::Stacked). Takes some hundred passes over two million values, over up
    /// to twenty with more than 300 classes.
    pub fn fit(samples: &Samples<'_>) -> Self {
        let k = samples.num_classes();
        let mut transition = start(samples);
        let places = Places::of(
            samples,
            (VALUES / k).max((SAMPLES_OF_CLASS * k).min(MAX_VALUES / k)).max(1),
        );
        let least: Vec<f64> = places.means().iter().map(|mean| LEAST * mean).collect();
        let mut tried: Vec<usize> = (0..POWERS.len()).collect();
        let mut best: Option<(usize, Fit)> = None;
        for _ in 0..CLEARINGS {
            let cleared = places.cleared(&transition, &least);
            best = None;
            for &at in &tried {
                let fit = Fit::of(&cleared, POWERS[at], &transition);
                if best.as_ref().is_none_or(|(_, best)| fit.log_likelihood > best.log_likelihood) {
                    best = Some((at, fit));
                }
            }
            let (at, fit) = best.as_ref().expect("a power is tried");
            transition.clone_from(&fit.transition);
            // The next matrix is near: so is the next power.
            tried = (at.saturating_sub(1)..(at + 2).min(POWERS.len())).collect();
        }
        let (_, fit) = best.expect("the order is cleared at least once");
        Self {
            rate: fit.rate,
            mistaken: fit.mistakes.iter().flatten().sum(),
            worst: fit.worst,
            power: fit.power,
            log_likelihood: fit.log_likelihood,
            transition: fit.transition,
            joint: fit.joint,
            mistakes: fit.mistakes,
            least,
        }
    }

    /// Place of a prediction up to which its chance of being wrong is below `chance`, in 0 to 1.
    pub fn plateau(&self, chance: f64) -> f64 {
        (chance / self.worst.max(f64::MIN_POSITIVE)).min(1.0).powf(1.0 / self.power)
    }

    /// Writes `P(true = k | x)`, cleared of noise, into `clear`, `[K]`: `p[c] / T[c][c]` for the
    /// predicted class and residual `/ T[k][k]` for the others, divided by their sum.
    pub fn clear(&self, row: &[f32], clear: &mut [f64]) {
        let predicted = predicted(row);
        let own = self.transition[predicted][predicted].max(SMALLEST);
        residual(row, predicted, &self.transition[predicted], &self.least, clear);
        clear[predicted] = f64::from(row[predicted]);
        for (class, value) in clear.iter_mut().enumerate() {
            *value /=
                if class == predicted { own } else { self.transition[class][class].max(0.05) };
        }
        let sum: f64 = clear.iter().sum();
        clear.iter_mut().for_each(|value| *value = (*value / sum).max(SMALLEST));
    }

    /// The same model with wrong labels of a class spread over all others, but for the share
    /// `directed` (0 to 1) that goes where it goes.
    ///
    /// # Numerics
    /// A matrix has K² numbers, which few samples do not tell; noise that has no direction is better
    /// described by one number a class.
    pub fn spread(&self, directed: f64) -> Self {
        let k = self.transition.len();
        let row = |(class, row): (usize, &Vec<f64>)| -> Vec<f64> {
            let each = (1.0 - row[class]) / (k - 1) as f64;
            let cell = |(given, &t): (usize, &f64)| match given == class {
                true => t,
                false => directed * t + (1.0 - directed) * each,
            };
            row.iter().enumerate().map(cell).collect()
        };
        let transition = self.transition.iter().enumerate().map(row).collect();
        Self { transition, ..self.clone() }
    }

    /// Writes `P(true = k | x, given)` of a sample into `posterior`, `[K]`.
    pub fn posterior(&self, given: usize, row: &[f32], posterior: &mut [f64]) {
        self.clear(row, posterior);
        for (class, value) in posterior.iter_mut().enumerate() {
            *value *= self.transition[class][given].max(SMALLEST);
        }
        let sum: f64 = posterior.iter().sum();
        posterior.iter_mut().for_each(|value| *value /= sum);
    }

    /// `P(true ≠ given | x, given)` of every sample, `[N]`.
    pub fn wrong(&self, samples: &Samples<'_>) -> Vec<f32> {
        let k = samples.num_classes();
        let rows = samples.arrays().probabilities.par_chunks_exact(k).zip(samples.given());
        rows.map_init(
            || vec![0.0; k],
            |posterior, (row, &given)| {
                self.posterior(given as usize, row, posterior);
                (1.0 - posterior[given as usize]).clamp(0.0, 1.0) as f32
            },
        )
        .collect()
    }
}

/// The most probable class, or the one with the most votes; the first of equals.
pub(crate) fn predicted<T: PartialOrd>(row: &[T]) -> usize {
    (1..row.len()).fold(0, |best, class| if row[class] > row[best] { class } else { best })
}

/// Where the search for a matrix starts: that of the confident joint, one in a hundred of it spread
/// evenly, so that nothing is impossible.
fn start(samples: &Samples<'_>) -> Vec<Vec<f64>> {
    const SPREAD: f64 = 0.01;
    let (n, k) = (samples.len(), samples.num_classes());
    let class_counts = samples.class_counts();
    let joint = ConfidentJoint::of(samples).calibrated(&class_counts);
    let count = |given: usize, class: usize| {
        let even = class_counts[given] as f64 / k as f64;
        (1.0 - SPREAD) * n as f64 * joint[given][class] + SPREAD * even
    };
    let counts: Vec<f64> = (0..k * k).map(|i| count(i / k, i % k)).collect();
    fit::maximised(&counts, n, k)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::made::{made, made_with_truth, pair, symmetric};
    use crate::samples::Arrays;

    fn fit(given: &[u32], probabilities: &[f32], k: usize) -> NoiseModel {
        let arrays = Arrays { num_classes: k, given, probabilities, ..Arrays::default() };
        NoiseModel::fit(&Samples::new(arrays).unwrap())
    }

    #[test]
    fn the_share_of_wrong_labels_is_found_for_every_kind_of_noise() {
        let four = |name, transition: Vec<Vec<f64>>| (name, transition);
        let mixed = vec![vec![0.7, 0.3, 0.0], vec![0.1, 0.8, 0.1], vec![0.0, 0.0, 1.0]];
        for (name, transition) in [
            four("clean", symmetric(4, 0.0)),
            four("symmetric 0.2", symmetric(4, 0.2)),
            four("symmetric 0.4", symmetric(4, 0.4)),
            four("pair 0.1", pair(4, 0.1)),
            four("pair 0.3", pair(4, 0.3)),
            four("mixed", mixed),
        ] {
            let (given, probabilities, truth) = made_with_truth(10_000, &transition);
            let wrong = given.iter().zip(&truth).filter(|(given, truth)| given != truth).count();
            let model = fit(&given, &probabilities, transition.len());
            let (found, known) = (model.rate, wrong as f64 / 1e4);
            assert!((found - known).abs() < 0.05, "{name}: {found} instead of {known}");
        }
    }

    #[test]
    fn a_matrix_that_points_somewhere_is_found() {
        let (given, probabilities) = made(20_000, &pair(3, 0.3));
        let model = fit(&given, &probabilities, 3);
        for (class, row) in model.transition.iter().enumerate() {
            assert!((row[(class + 1) % 3] - 0.3).abs() < 0.05, "{:?}", model.transition);
            assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        }
        let even = model.spread(0.0).transition;
        assert!((even[0][1] - even[0][2]).abs() < 1e-12, "{even:?}");
        assert_eq!(model.spread(1.0).transition, model.transition);
    }

    #[test]
    fn a_posterior_sums_to_1_even_for_a_label_that_no_class_is_given() {
        let (given, probabilities) = made(100, &symmetric(3, 0.0));
        let mut model = fit(&given, &probabilities, 3);
        model.transition = vec![vec![1.0, 0.0, 0.0]; 3];
        let mut posterior = [0.0; 3];
        for (given, row) in [(0, [0.25, 0.75, 0.0]), (2, [0.0, 1.0, 0.0])] {
            model.posterior(given, &row, &mut posterior);
            assert!((posterior.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            assert!(posterior.iter().all(|p| p.is_finite()));
        }
    }

    #[test]
    fn a_single_sample_and_absent_classes_stay_finite() {
        let arrays = Arrays {
            num_classes: 3,
            given: &[1],
            probabilities: &[0.0, 1.0, 0.0],
            ..Arrays::default()
        };
        let model = NoiseModel::fit(&Samples::new(arrays).unwrap());
        assert!(model.rate.is_finite() && model.mistaken.is_finite(), "{model:?}");
    }
}
