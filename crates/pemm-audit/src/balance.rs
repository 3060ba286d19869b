//! Probabilities without their model's leaning to some classes.

use std::collections::BTreeMap;

use rayon::prelude::*;

use crate::samples::Samples;

/// Rounds of scaling at most.
const ROUNDS: usize = 50;
/// The rounds end when no class's mean is further from its target than this share of it.
const TOLERANCE: f64 = 1e-4;
/// Samples of a class at which half of the correction is trusted.
const HALF_TRUSTED: f64 = 5.0;
/// Smallest probability of a class.
const SMALLEST: f32 = 1e-9;
/// Samples of a block of sums.
const BLOCK: usize = 1024;

/// `q[n,k] ∝ p[n,k] · w[m,k]`, `[N, K]`, with weights of each model m such that its mean over its
/// own samples is the same for every class that is given at all, and 0 for others.
///
/// A model that was trained on wrong labels leans to some classes and away from others, each fold's
/// in its own way, and labels that are given too often pull it along. Doubt of a label should not
/// depend on that. The weights are found by scaling in turn (iterative proportional fitting) and
/// raised to the power `n / (n + 5 K)` for a model with n samples, so that a model with few samples
/// is hardly changed.
///
/// # Reference
/// Saerens, Latinne, Decaestecker 2002 adjust to new shares of the classes in this way, with the
/// weights; here the shares are equal.
pub fn balanced(samples: &Samples<'_>) -> Vec<f32> {
    let k = samples.num_classes();
    let present: Vec<bool> = samples.class_counts().iter().map(|&count| count > 0).collect();
    let num_present = present.iter().filter(|&&is_present| is_present).count() as f64;
    let targets: Vec<f64> = present
        .iter()
        .map(|&is_present| if is_present { 1.0 / num_present } else { 0.0 })
        .collect();
    let mut members = BTreeMap::<u32, Vec<u32>>::new();
    for sample in 0..samples.len() {
        let model = samples.arrays().models.map_or(0, |models| models[sample]);
        members.entry(model).or_default().push(sample as u32);
    }
    let mut balanced = samples.arrays().probabilities.to_vec();
    for members in members.values() {
        let weights = weights(samples, members, &targets);
        let mut row = vec![0.0; k];
        for &sample in members {
            let to = &mut balanced[sample as usize * k..][..k];
            scale(samples.row(sample as usize), &weights, &mut row);
            to.iter_mut().zip(&row).for_each(|(to, &q)| *to = q as f32);
        }
    }
    balanced
}

/// The weights of one model, `[K]`.
fn weights(samples: &Samples<'_>, members: &[u32], targets: &[f64]) -> Vec<f64> {
    let mut weights = targets.to_vec();
    for _ in 0..ROUNDS {
        let means = means(samples, members, &weights);
        let mut furthest = 0.0f64;
        for ((weight, mean), &target) in weights.iter_mut().zip(means).zip(targets) {
            if target > 0.0 {
                let ratio = target / mean.max(f64::MIN_POSITIVE);
                furthest = furthest.max((ratio - 1.0).abs());
                // A class that the model never sees would otherwise get all at once.
                *weight *= ratio.clamp(0.1, 10.0);
            }
        }
        let total: f64 = weights.iter().sum();
        weights.iter_mut().for_each(|weight| *weight /= total);
        if furthest < TOLERANCE {
            break;
        }
    }
    let (n, k) = (members.len() as f64, targets.len() as f64);
    let trust = n / (n + HALF_TRUSTED * k);
    weights.iter().map(|&weight| if weight > 0.0 { weight.powf(trust) } else { 0.0 }).collect()
}

/// Mean of `q` over `members`, `[K]`; sums by blocks of fixed size, so that threads change no bit.
fn means(samples: &Samples<'_>, members: &[u32], weights: &[f64]) -> Vec<f64> {
    let k = weights.len();
    let block = |members: &[u32]| {
        let (mut sums, mut row) = (vec![0.0; k], vec![0.0; k]);
        for &sample in members {
            scale(samples.row(sample as usize), weights, &mut row);
            sums.iter_mut().zip(&row).for_each(|(sum, q)| *sum += q);
        }
        sums
    };
    let blocks: Vec<Vec<f64>> = members.par_chunks(BLOCK).map(block).collect();
    let mut means = vec![0.0; k];
    for block in &blocks {
        means.iter_mut().zip(block).for_each(|(mean, sum)| *mean += sum / members.len() as f64);
    }
    means
}

/// `q[k] ∝ p[k] · w[k]` of one sample.
fn scale(row: &[f32], weights: &[f64], scaled: &mut [f64]) {
    let mut sum = 0.0;
    for ((to, &p), &weight) in scaled.iter_mut().zip(row).zip(weights) {
        *to = f64::from(p.max(SMALLEST)) * weight;
        sum += *to;
    }
    scaled.iter_mut().for_each(|q| *q /= sum);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;
    use crate::samples::Arrays;

    #[test]
    fn each_models_leaning_is_taken_away() {
        // Two models that multiply the odds of one class each.
        let (n, k) = (6000, 3);
        let mut random = Random::new(1);
        let given: Vec<u32> = (0..n as u32).map(|i| i % 3).collect();
        let models: Vec<u32> = (0..n as u32).map(|i| i / 3000).collect();
        let (mut fair, mut leaning) = (Vec::new(), Vec::new());
        for (i, &model) in models.iter().enumerate() {
            let noise: Vec<f64> = (0..k).map(|_| random.normal().exp()).collect();
            let odds = |j: usize| noise[j] * if i % 3 == j { 5.0 } else { 1.0 };
            let lean = |j: usize| odds(j) * if j == model as usize { 4.0 } else { 1.0 };
            let total = |f: &dyn Fn(usize) -> f64| (0..k).map(f).sum::<f64>();
            fair.extend((0..k).map(|j| (odds(j) / total(&odds)) as f32));
            leaning.extend((0..k).map(|j| (lean(j) / total(&lean)) as f32));
        }
        let arrays = Arrays {
            num_classes: k,
            given: &given,
            probabilities: &leaning,
            models: Some(&models),
            ..Arrays::default()
        };
        let balanced = balanced(&Samples::new(arrays).unwrap());
        let distance = |a: &[f32], b: &[f32]| -> f32 {
            a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum::<f32>() / n as f32
        };
        assert!(distance(&leaning, &fair) > 0.3);
        assert!(distance(&balanced, &fair) < 0.05, "{}", distance(&balanced, &fair));
        let mut means = vec![0.0f64; k];
        balanced.chunks_exact(k).for_each(|row| {
            means.iter_mut().zip(row).for_each(|(mean, &q)| *mean += f64::from(q) / n as f64);
        });
        assert!(means.iter().all(|mean| (mean - 1.0 / 3.0).abs() < 0.005), "{means:?}");
    }

    #[test]
    fn classes_that_nobody_is_given_get_nothing_and_certainty_stays_finite() {
        let arrays = Arrays {
            num_classes: 3,
            given: &[0, 0, 1, 1],
            probabilities: &[1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.2, 0.0, 0.8],
            ..Arrays::default()
        };
        let balanced = balanced(&Samples::new(arrays).unwrap());
        for row in balanced.chunks_exact(3) {
            assert!(row[2] == 0.0 && row.iter().all(|q| q.is_finite()), "{row:?}");
            assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        }
    }
}
