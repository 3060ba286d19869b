//! How labels became wrong: a transition matrix, by maximum likelihood.

use rayon::prelude::*;

use crate::joint::ConfidentJoint;
use crate::samples::Samples;

/// `q[k] ∝ p[k]^(1/τ)` is the probability that class k is the true one, and `T[k][j]` that a sample
/// of class k is given label j, whatever else it looks like.
///
/// Then `P(given = j | x) = Σ_k q[k] T[k][j]`, and what the given label g leaves is
/// `P(true = k | x, g) = q[k] T[k][g] / Σ_i q[i] T[i][g]`.
///
/// τ above 1 says that the probabilities are too certain. Noise and a model that is too certain explain
/// each other, so the most likely τ says less than it seems about either.
///
/// # Reference
/// The matrix is that of Patrini et al. 2017; expectation maximisation of it for given predictions is
/// that of Dawid and Skene 1979 with one annotator. Temperature: Guo et al. 2017.
#[derive(Debug, Clone, PartialEq)]
pub struct NoiseModel {
    /// τ.
    pub temperature: f64,
    /// `T[true][given]`, `[K][K]`, rows sum to 1.
    pub transition: Vec<Vec<f64>>,
    /// Mean of `ln P(given | x)` over the samples that were used.
    pub log_likelihood: f64,
}

/// Values of probabilities that are used at most; of more samples, evenly spaced ones.
const MAX_VALUES: usize = 5_000_000;
/// Samples that each true class is thought to have had before, spread as if every wrong label were
/// equally likely: they keep the matrix steady where classes have few samples.
const PRIOR_SAMPLES: f64 = 20.0;
/// Rounds of expectation maximisation at most.
const ROUNDS: usize = 60;
/// Smallest probability of a class.
const SMALLEST: f32 = 1e-9;

/// Range of ln τ in which the most likely one is sought.
const LOG_TEMPERATURES: [f64; 2] = [-2.5, 2.0];
/// Golden sections of that range, and rounds of expectation maximisation for each.
const SECTIONS: usize = 12;
const ROUNDS_OF_SEARCH: usize = 25;

/// The τ at which the most likely matrix is most likely, from e^-2.5 to e^2, by golden sections.
pub fn most_likely_temperature(samples: &Samples<'_>, joint: &ConfidentJoint) -> f64 {
    let (used, start) = (Used::of(samples), start(samples, joint));
    let at = |log: f64| used.fit(log.exp(), start.clone(), ROUNDS_OF_SEARCH).log_likelihood;
    let golden = 0.5 * (5f64.sqrt() - 1.0);
    let [mut low, mut high] = LOG_TEMPERATURES;
    let (mut left, mut right) = (high - golden * (high - low), low + golden * (high - low));
    let (mut at_left, mut at_right) = (at(left), at(right));
    for _ in 0..SECTIONS {
        if at_left >= at_right {
            (high, right, at_right) = (right, left, at_left);
            left = high - golden * (high - low);
            at_left = at(left);
        } else {
            (low, left, at_left) = (left, right, at_right);
            right = low + golden * (high - low);
            at_right = at(right);
        }
    }
    (0.5 * (low + high)).exp()
}

impl NoiseModel {
    /// The most likely matrix for `samples` at temperature τ > 0, from that of the confident joint on.
    pub fn fit(samples: &Samples<'_>, joint: &ConfidentJoint, temperature: f64) -> Self {
        Used::of(samples).fit(temperature, start(samples, joint), ROUNDS)
    }

    /// Writes `P(true = k | x, given)` of a sample into `posterior`, `[K]`.
    pub fn posterior(&self, given: usize, row: &[f32], posterior: &mut [f64]) {
        temper(row, self.temperature, posterior);
        for (k, value) in posterior.iter_mut().enumerate() {
            *value *= self.transition[k][given];
        }
        let sum: f64 = posterior.iter().sum();
        match sum > 0.0 {
            true => posterior.iter_mut().for_each(|value| *value /= sum),
            // A label that no class is ever given.
            false => temper(row, self.temperature, posterior),
        }
    }
}

/// Writes `q[k] ∝ p[k]^(1/τ)` of a sample.
fn temper(row: &[f32], temperature: f64, tempered: &mut [f64]) {
    let top = f64::from(row.iter().fold(SMALLEST, |top, &p| top.max(p)).ln());
    let mut sum = 0.0;
    for (to, &p) in tempered.iter_mut().zip(row) {
        *to = ((f64::from(p.max(SMALLEST).ln()) - top) / temperature).exp();
        sum += *to;
    }
    tempered.iter_mut().for_each(|value| *value /= sum);
}

/// Where the search for a matrix starts: that of the confident joint, a fifth of it spread evenly, so
/// that nothing is impossible.
fn start(samples: &Samples<'_>, joint: &ConfidentJoint) -> Vec<Vec<f64>> {
    const SPREAD: f64 = 0.2;
    let k = samples.num_classes();
    let joint = joint.calibrated(&samples.class_counts());
    let row = |class: usize| -> Vec<f64> {
        let total: f64 = joint.iter().map(|given| given[class]).sum();
        let cell = |given: usize| match total > 0.0 {
            true => joint[given][class] / total,
            false => f64::from(u8::from(given == class)),
        };
        (0..k).map(|given| (1.0 - SPREAD) * cell(given) + SPREAD / k as f64).collect()
    };
    (0..k).map(row).collect()
}

/// The samples that a model is fitted to.
struct Used<'a> {
    num_classes: usize,
    given: Vec<usize>,
    rows: Vec<&'a [f32]>,
}

/// Sums over samples under one model.
struct Sums {
    log_likelihood: f64,
    /// `Σ P(true = k | x, given)` over the samples given j, `[given][true]`.
    counts: Vec<f64>,
}

impl<'a> Used<'a> {
    fn of(samples: &Samples<'a>) -> Self {
        let (n, k) = (samples.len(), samples.num_classes());
        let count = n.min((MAX_VALUES / k).max(1000));
        let chosen = (0..count).map(|i| (i as u128 * n as u128 / count as u128) as usize);
        Self {
            num_classes: k,
            given: chosen.clone().map(|i| samples.given()[i] as usize).collect(),
            rows: chosen.map(|i| samples.row(i)).collect(),
        }
    }

    /// The most likely matrix for one temperature: expectation maximisation from `transition`.
    fn fit(&self, temperature: f64, transition: Vec<Vec<f64>>, rounds: usize) -> NoiseModel {
        const TOLERANCE: f64 = 1e-7;
        let k = self.num_classes;
        let mut tempered = vec![0.0f32; self.rows.len() * k];
        tempered.par_chunks_mut(k).zip(&self.rows).for_each_init(
            || vec![0.0; k],
            |scratch, (to, row)| {
                temper(row, temperature, scratch);
                to.iter_mut().zip(scratch).for_each(|(to, from)| *to = *from as f32);
            },
        );
        let mut model = NoiseModel { temperature, transition, log_likelihood: f64::NEG_INFINITY };
        for _ in 0..rounds {
            let Sums { log_likelihood, counts } = self.sums(&tempered, &model.transition);
            let gain = log_likelihood - model.log_likelihood;
            model.log_likelihood = log_likelihood;
            if gain.abs() < TOLERANCE {
                break;
            }
            model.transition = self.maximised(&counts);
        }
        model
    }

    fn sums(&self, tempered: &[f32], transition: &[Vec<f64>]) -> Sums {
        const BLOCK: usize = 1024;
        let k = self.num_classes;
        // By given label, so that a sample reads one stretch of memory.
        let by_given: Vec<f64> = (0..k * k).map(|i| transition[i % k][i / k]).collect();
        let block = |(given, tempered): (&[usize], &[f32])| {
            let mut sums = Sums { log_likelihood: 0.0, counts: vec![0.0; k * k] };
            let mut posterior = vec![0.0; k];
            for (&given, row) in given.iter().zip(tempered.chunks_exact(k)) {
                let mut sum = 0.0;
                for ((to, &q), &t) in posterior.iter_mut().zip(row).zip(&by_given[given * k..]) {
                    *to = f64::from(q) * t;
                    sum += *to;
                }
                let sum = sum.max(f64::MIN_POSITIVE);
                sums.log_likelihood += sum.ln();
                let counts = &mut sums.counts[given * k..][..k];
                counts.iter_mut().zip(&posterior).for_each(|(to, p)| *to += p / sum);
            }
            sums
        };
        let blocks: Vec<Sums> =
            self.given.par_chunks(BLOCK).zip(tempered.par_chunks(BLOCK * k)).map(block).collect();
        let mut all = Sums { log_likelihood: 0.0, counts: vec![0.0; k * k] };
        for block in blocks {
            all.log_likelihood += block.log_likelihood;
            all.counts.iter_mut().zip(&block.counts).for_each(|(to, from)| *to += from);
        }
        all.log_likelihood /= self.rows.len() as f64;
        all
    }

    /// The matrix of `counts`, `[given][true]`, with the samples thought of before.
    fn maximised(&self, counts: &[f64]) -> Vec<Vec<f64>> {
        let k = self.num_classes;
        let kept: f64 = (0..k).map(|class| counts[class * k + class]).sum();
        let wrong = (1.0 - kept / self.rows.len() as f64).clamp(0.0, 1.0);
        let row = |class: usize| -> Vec<f64> {
            let total: f64 = (0..k).map(|given| counts[given * k + class]).sum();
            let before = |given: usize| match given == class {
                true => 1.0 - wrong,
                false => wrong / (k - 1) as f64,
            };
            let cell = |given: usize| {
                (counts[given * k + class] + PRIOR_SAMPLES * before(given))
                    / (total + PRIOR_SAMPLES)
            };
            (0..k).map(cell).collect()
        };
        (0..k).map(row).collect()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::random::Random;
    use crate::samples::Arrays;
    use crate::score::posterior;

    /// Samples of `k` classes whose model is right as often as it says, with labels drawn from `T`.
    pub(crate) fn made(n: usize, transition: &[Vec<f64>]) -> (Vec<u32>, Vec<f32>) {
        let k = transition.len();
        let mut random = Random::new(5);
        let draw = |shares: &[f64], unit: f64| {
            let mut left = unit;
            shares
                .iter()
                .position(|share| {
                    left -= share;
                    left < 0.0
                })
                .unwrap_or(shares.len() - 1)
        };
        let (mut given, mut probabilities) = (Vec::new(), Vec::new());
        for _ in 0..n {
            let odds: Vec<f64> = (0..k).map(|_| (2.5 * random.normal()).exp()).collect();
            let total: f64 = odds.iter().sum();
            let row: Vec<f64> = odds.iter().map(|odds| odds / total).collect();
            let true_class = draw(&row, random.unit());
            given.push(draw(&transition[true_class], random.unit()) as u32);
            probabilities.extend(row.iter().map(|&p| p as f32));
        }
        (given, probabilities)
    }

    fn fit(given: &[u32], probabilities: &[f32], k: usize, temperature: f64) -> (NoiseModel, f64) {
        let arrays = Arrays { num_classes: k, given, probabilities, ..Arrays::default() };
        let samples = Samples::new(arrays).unwrap();
        let model = NoiseModel::fit(&samples, &ConfidentJoint::of(&samples), temperature);
        let wrong: f64 = posterior(&samples, &model).iter().map(|&p| f64::from(p)).sum();
        (model, wrong / samples.len() as f64)
    }

    #[test]
    fn the_matrix_and_the_share_of_wrong_labels_are_found() {
        let transition = vec![vec![0.7, 0.3, 0.0], vec![0.1, 0.8, 0.1], vec![0.0, 0.0, 1.0]];
        let (given, probabilities) = made(20_000, &transition);
        let (model, rate) = fit(&given, &probabilities, 3, 1.0);
        for (found, known) in model.transition.iter().flatten().zip(transition.iter().flatten()) {
            assert!((found - known).abs() < 0.03, "{:?}", model.transition);
        }
        assert!((rate - 0.5 / 3.0).abs() < 0.015, "{rate}");
    }

    #[test]
    fn probabilities_that_are_too_certain_are_tempered() {
        let transition = vec![vec![0.7, 0.3], vec![0.2, 0.8]];
        let (given, probabilities) = made(20_000, &transition);
        let sharp: Vec<f32> = probabilities
            .chunks_exact(2)
            .flat_map(|row| {
                let odds = f64::from(row[0] / row[1].max(1e-30)).powi(2);
                let p = if odds.is_finite() { odds / (1.0 + odds) } else { 1.0 };
                [p as f32, 1.0 - p as f32]
            })
            .collect();
        let arrays =
            Arrays { num_classes: 2, given: &given, probabilities: &sharp, ..Arrays::default() };
        let samples = Samples::new(arrays).unwrap();
        let found = most_likely_temperature(&samples, &ConfidentJoint::of(&samples));
        assert!((found - 2.0).abs() < 0.3, "{found}");
        let (_, rate) = fit(&given, &sharp, 2, 2.0);
        assert!((rate - 0.25).abs() < 0.02, "{rate}");
        let (_, untempered) = fit(&given, &sharp, 2, 1.0);
        assert!(untempered > rate + 0.03, "{untempered}");
    }

    #[test]
    fn a_posterior_sums_to_1_even_for_a_label_that_no_class_is_given() {
        let transition = vec![vec![1.0, 0.0], vec![1.0, 0.0]];
        let model = NoiseModel { temperature: 1.0, transition, log_likelihood: 0.0 };
        let mut posterior = [0.0; 2];
        for (given, row) in [(0, [0.25, 0.75]), (1, [0.25, 0.75]), (0, [0.0, 1.0])] {
            model.posterior(given, &row, &mut posterior);
            assert!((posterior.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            assert!((posterior[0] - f64::from(row[0])).abs() < 1e-6, "{posterior:?}");
        }
    }
}
