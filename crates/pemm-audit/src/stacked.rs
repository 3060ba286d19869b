//! Probabilities on the scale of the given labels: the model's word and its neighbours' vote.

use rayon::prelude::*;

use crate::neighbors::Neighbors;
use crate::samples::Samples;

/// `s[n,k] ∝ p[n,k]^a · v[n,k]^b`, `[N, K]`, with the exponents that make the given labels most likely.
///
/// v is the vote of the nearest samples, `(votes for k + 2 · share of label k) / (neighbours + 2)`,
/// and falls away (b = 0) without features. Neither p nor v has seen the label of its own sample, so
/// the exponents are not flattered by what a model memorised. `a < 1` says that the model is too
/// certain.
///
/// # Fails
/// The scale is that of the *given* labels: where they are wrong, the best calibrated probabilities
/// are less certain of the truth than they could be. [`NoiseModel`](crate::noise_model::NoiseModel)
/// takes that away.
///
/// # Reference
/// Platt 1999 and Guo et al. 2017 (temperature); Wolpert 1992 (stacking).
#[derive(Debug, Clone, PartialEq)]
pub struct Stacked {
    /// s, `[N, K]`, rows sum to 1.
    pub probabilities: Vec<f32>,
    /// a and b.
    pub exponents: [f64; 2],
}

/// Smallest probability.
const SMALLEST: f32 = 1e-6;
/// Votes that are added, spread as labels are at large.
const ADDED_VOTES: f64 = 2.0;
/// Values of probabilities that the exponents are fitted to at most.
const MAX_VALUES: usize = 2_000_000;
/// Newton steps at most, the curvature added to each, and the gain at which they end.
const STEPS: usize = 30;
const RIDGE: f64 = 1e-3;
const TOLERANCE: f64 = 1e-7;
/// Samples of a block of sums.
const BLOCK: usize = 1024;

/// Neighbours that vote on a sample: a quarter of a class, from 10 to what there are.
pub fn num_voters(num_samples: usize, num_classes: usize, num_found: usize) -> usize {
    (num_samples / (4 * num_classes)).clamp(10, num_found.max(10))
}

impl Stacked {
    /// Fits the exponents to `samples`.
    pub fn of(samples: &Samples<'_>, neighbors: Option<&Neighbors>) -> Self {
        let (n, k) = (samples.len(), samples.num_classes());
        let count = n.min((MAX_VALUES / k).max(1000));
        let chosen = (0..count).map(|i| (i as u128 * n as u128 / count as u128) as usize);
        let votes = Votes::of(samples, neighbors);
        let mut logs = vec![[0.0f32; 2]; count * k];
        let chosen: Vec<usize> = chosen.collect();
        logs.par_chunks_mut(k)
            .zip(&chosen)
            .for_each_init(|| vec![0.0; k], |vote, (to, &sample)| votes.logs(sample, vote, to));
        let given: Vec<usize> = chosen.iter().map(|&i| samples.given()[i] as usize).collect();
        let exponents = fit(&logs, &given, k, neighbors.is_some());
        drop(logs);
        let mut probabilities = vec![0.0f32; n * k];
        probabilities.par_chunks_mut(k).enumerate().for_each_init(
            || (vec![0.0; k], vec![[0.0f32; 2]; k]),
            |(vote, logs), (sample, to)| {
                votes.logs(sample, vote, logs);
                softmax(logs, exponents, vote);
                to.iter_mut().zip(vote).for_each(|(to, from)| *to = *from as f32);
            },
        );
        Self { probabilities, exponents }
    }
}

/// The votes of neighbours.
struct Votes<'a> {
    samples: Samples<'a>,
    neighbors: Option<&'a Neighbors>,
    at_large: Vec<f64>,
    num_voters: usize,
}

impl<'a> Votes<'a> {
    fn of(samples: &Samples<'a>, neighbors: Option<&'a Neighbors>) -> Self {
        let n = samples.len();
        let counts = samples.class_counts();
        Self {
            samples: *samples,
            neighbors,
            at_large: counts.iter().map(|&count| count as f64 / n as f64).collect(),
            num_voters: num_voters(n, samples.num_classes(), crate::report::NUM_NEIGHBORS),
        }
    }

    /// Writes `[ln p, ln v]` of a sample.
    fn logs(&self, sample: usize, vote: &mut [f64], logs: &mut [[f32; 2]]) {
        let row = self.samples.row(sample);
        let mut found = 0.0;
        if let Some(neighbors) = self.neighbors {
            // A class that nobody is given keeps a little, so that its logarithm is finite.
            let start = |share: &f64| ADDED_VOTES * share.max(1e-6);
            vote.iter_mut().zip(&self.at_large).for_each(|(to, share)| *to = start(share));
            for other in neighbors.of_sample(sample).take(self.num_voters) {
                vote[self.samples.given()[other] as usize] += 1.0;
                found += 1.0;
            }
        }
        for ((to, &p), &vote) in logs.iter_mut().zip(row).zip(vote.iter()) {
            let second = if self.neighbors.is_some() { vote / (found + ADDED_VOTES) } else { 1.0 };
            *to = [p.max(SMALLEST).ln(), second.ln() as f32];
        }
    }
}

/// `softmax(a ln p + b ln v)`.
fn softmax(logs: &[[f32; 2]], [a, b]: [f64; 2], to: &mut [f64]) {
    let mut top = f64::NEG_INFINITY;
    for (to, &[p, v]) in to.iter_mut().zip(logs) {
        *to = a * f64::from(p) + b * f64::from(v);
        top = top.max(*to);
    }
    let mut sum = 0.0;
    for value in to.iter_mut() {
        *value = (*value - top).exp();
        sum += *value;
    }
    to.iter_mut().for_each(|value| *value /= sum);
}

/// Newton's method with halved steps for the mean of `-ln s[given]`.
fn fit(logs: &[[f32; 2]], given: &[usize], k: usize, has_votes: bool) -> [f64; 2] {
    let mut exponents = [1.0, 0.0];
    let mut sums = Sums::at(logs, given, k, exponents);
    for _ in 0..STEPS {
        let [[h00, h01], [_, h11]] = sums.curvature;
        let (h00, h11) = (h00 + RIDGE, h11 + RIDGE);
        let [g0, g1] = sums.gradient;
        let step = match has_votes {
            true => {
                let determinant = h00 * h11 - h01 * h01;
                [(h11 * g0 - h01 * g1) / determinant, (h00 * g1 - h01 * g0) / determinant]
            }
            false => [g0 / h00, 0.0],
        };
        let mut length = 1.0;
        let better = loop {
            let next = [0, 1].map(|i| (exponents[i] + length * step[i]).clamp(0.0, 20.0));
            let found = Sums::at(logs, given, k, next);
            if found.loss < sums.loss {
                break Some((next, found));
            }
            length *= 0.5;
            if length < 1e-3 {
                break None;
            }
        };
        let Some((next, found)) = better else { break };
        let gain = sums.loss - found.loss;
        (exponents, sums) = (next, found);
        if gain < TOLERANCE {
            break;
        }
    }
    // Probabilities that say nothing of the labels would vanish altogether.
    [exponents[0].max(if exponents[1] > 0.0 { 0.0 } else { 0.05 }), exponents[1]]
}

/// Loss, its downhill direction and curvature, as means.
struct Sums {
    loss: f64,
    gradient: [f64; 2],
    curvature: [[f64; 2]; 2],
}

impl Sums {
    fn at(logs: &[[f32; 2]], given: &[usize], k: usize, exponents: [f64; 2]) -> Self {
        let block = |(logs, given): (&[[f32; 2]], &[usize])| {
            let mut sums = [0.0; 6];
            let mut row = vec![0.0; k];
            for (logs, &given) in logs.chunks_exact(k).zip(given) {
                softmax(logs, exponents, &mut row);
                let mut moments = [0.0; 5];
                for (&q, &[p, v]) in row.iter().zip(logs) {
                    let (p, v) = (f64::from(p), f64::from(v));
                    let terms = [p, v, p * p, p * v, v * v];
                    moments.iter_mut().zip(terms).for_each(|(to, term)| *to += q * term);
                }
                let [p, v, pp, pv, vv] = moments;
                let own = logs[given].map(f64::from);
                let terms = [
                    -row[given].max(f64::MIN_POSITIVE).ln(),
                    own[0] - p,
                    own[1] - v,
                    pp - p * p,
                    pv - p * v,
                    vv - v * v,
                ];
                sums.iter_mut().zip(terms).for_each(|(to, term)| *to += term);
            }
            sums
        };
        let blocks: Vec<[f64; 6]> =
            logs.par_chunks(BLOCK * k).zip(given.par_chunks(BLOCK)).map(block).collect();
        let n = given.len() as f64;
        let mut all = [0.0; 6];
        for block in &blocks {
            all.iter_mut().zip(block).for_each(|(to, from)| *to += from / n);
        }
        let [loss, g0, g1, h00, h01, h11] = all;
        Self { loss, gradient: [g0, g1], curvature: [[h00, h01], [h01, h11]] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::made::made;
    use crate::samples::Arrays;

    #[test]
    fn a_scale_is_taken_back() {
        let clean = vec![vec![1.0, 0.0, 0.0], vec![0.0, 1.0, 0.0], vec![0.0, 0.0, 1.0]];
        let (given, probabilities) = made(10_000, &clean);
        for power in [0.5f32, 1.0, 3.0] {
            let scaled: Vec<f32> = probabilities
                .chunks_exact(3)
                .flat_map(|row| {
                    let raised: Vec<f32> = row.iter().map(|p| p.max(1e-9).powf(power)).collect();
                    let sum: f32 = raised.iter().sum();
                    raised.into_iter().map(move |p| p / sum)
                })
                .collect();
            let arrays = Arrays {
                num_classes: 3,
                given: &given,
                probabilities: &scaled,
                ..Arrays::default()
            };
            let stacked = Stacked::of(&Samples::new(arrays).unwrap(), None);
            let [a, b] = stacked.exponents;
            assert!((a * f64::from(power) - 1.0).abs() < 0.15 && b == 0.0, "{power}: {a}");
            assert!(
                stacked
                    .probabilities
                    .chunks_exact(3)
                    .all(|row| { (row.iter().sum::<f32>() - 1.0).abs() < 1e-5 })
            );
        }
    }

    #[test]
    fn votes_count_where_the_model_knows_nothing() {
        // Two heaps of features, a model that knows nothing.
        let n = 400;
        let given: Vec<u32> = (0..n).map(|i| i % 2).collect();
        let features: Vec<f32> = (0..n)
            .flat_map(
                |i| if i % 2 == 0 { [1.0, 0.001 * i as f32] } else { [0.001 * i as f32, 1.0] },
            )
            .collect();
        let arrays = Arrays {
            num_classes: 2,
            given: &given,
            probabilities: &vec![0.5; 2 * n as usize],
            num_features: 2,
            features: Some(&features),
            ..Arrays::default()
        };
        let samples = Samples::new(arrays).unwrap();
        let neighbors = Neighbors::of(&samples, 20);
        let stacked = Stacked::of(&samples, neighbors.as_ref());
        let right = stacked.probabilities.chunks_exact(2).zip(&given);
        assert!(right.clone().all(|(row, &given)| row[given as usize] > 0.9), "{stacked:?}");
    }
}
