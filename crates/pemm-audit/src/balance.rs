//! Probabilities without their model's leaning to some classes.

use std::collections::BTreeMap;

use rayon::prelude::*;

use crate::joint::ConfidentJoint;
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
/// own samples is the share of each true class, as far as the confident joint tells it, and 0 for
/// classes that are never given.
///
/// A model that was trained on wrong labels leans to some classes and away from others, each fold's
/// in its own way, and labels that are given too often pull it along. Doubt of a label should not
/// depend on that. The weights are found by scaling in turn (iterative proportional fitting) and
/// raised to the power `n / (n + 5 K)` for a model with n samples, so that a model with few samples
/// is hardly changed.
///
/// # Reference
/// Saerens, Latinne, Decaestecker 2002 adjust to new shares of the classes in this way, with the
/// weights. Here this is done twice: first to the shares of the given labels, which takes each
/// model's leaning away, then to those of the calibrated confident joint of the result, because noise
/// that goes from one class to another moves the shares of the given labels.
pub fn balanced(samples: &Samples<'_>) -> Vec<f32> {
    let counts = samples.class_counts();
    let given: Vec<f64> = counts.iter().map(|&n| n as f64 / samples.len() as f64).collect();
    let first = scaled_to(samples, &given);
    let first = samples.with_probabilities(&first);
    scaled_to(samples, &true_shares(samples, &ConfidentJoint::of(&first)))
}

/// The probabilities of every model scaled so that their means are `targets` `[K]`.
fn scaled_to(samples: &Samples<'_>, targets: &[f64]) -> Vec<f32> {
    let k = samples.num_classes();
    let mut members = BTreeMap::<u32, Vec<u32>>::new();
    for sample in 0..samples.len() {
        let model = samples.arrays().models.map_or(0, |models| models[sample]);
        members.entry(model).or_default().push(sample as u32);
    }
    let mut balanced = samples.arrays().probabilities.to_vec();
    for members in members.values() {
        let weights = weights(samples, members, targets);
        let mut row = vec![0.0; k];
        for &sample in members {
            let to = &mut balanced[sample as usize * k..][..k];
            scale(samples.row(sample as usize), &weights, &mut row);
            to.iter_mut().zip(&row).for_each(|(to, &q)| *to = q as f32);
        }
    }
    balanced
}

/// Estimated share of each true class, `[K]`: at least one sample's for a class that is given, 0 for
/// others.
fn true_shares(samples: &Samples<'_>, joint: &ConfidentJoint) -> Vec<f64> {
    let counts = samples.class_counts();
    let calibrated = joint.calibrated(&counts);
    let least = 1.0 / samples.len() as f64;
    let share = |class: usize| match counts[class] {
        0 => 0.0,
        _ => calibrated.iter().map(|row| row[class]).sum::<f64>().max(least),
    };
    let shares: Vec<f64> = (0..counts.len()).map(share).collect();
    let sum: f64 = shares.iter().sum();
    shares.iter().map(|share| share / sum).collect()
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
        let samples = Samples::new(arrays).unwrap();
        let balanced = balanced(&samples);
        let distance = |a: &[f32], b: &[f32]| -> f32 {
            a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum::<f32>() / n as f32
        };
        assert!(distance(&leaning, &fair) > 0.3);
        assert!(distance(&balanced, &fair) < 0.05, "{}", distance(&balanced, &fair));
        let mut means = vec![0.0f64; k];
        balanced.chunks_exact(k).for_each(|row| {
            means.iter_mut().zip(row).for_each(|(mean, &q)| *mean += f64::from(q) / n as f64);
        });
        assert!(means.iter().all(|mean| (mean - 1.0 / 3.0).abs() < 0.02), "{means:?}");
    }

    #[test]
    fn classes_that_nobody_is_given_get_nothing_and_certainty_stays_finite() {
        let arrays = Arrays {
            num_classes: 3,
            given: &[0, 0, 1, 1],
            probabilities: &[1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.2, 0.0, 0.8],
            ..Arrays::default()
        };
        let samples = Samples::new(arrays).unwrap();
        let balanced = balanced(&samples);
        for row in balanced.chunks_exact(3) {
            assert!(row[2] == 0.0 && row.iter().all(|q| q.is_finite()), "{row:?}");
            assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        }
    }

    #[test]
    fn a_rare_class_stays_rare() {
        // A good model of two classes, one of them rare, 5 % of the labels wrong.
        let n = 4000;
        let mut random = Random::new(2);
        let (mut given, mut probabilities, mut wrong) = (Vec::new(), Vec::new(), Vec::new());
        for i in 0..n {
            let truth = u32::from(i % 20 == 0);
            wrong.push(i % 37 == 0);
            given.push(if i % 37 == 0 { 1 - truth } else { truth });
            let logit = if truth == 1 { 3.0 } else { -3.0 } + 0.8 * random.normal();
            let p = (1.0 / (1.0 + (-logit).exp())) as f32;
            probabilities.extend([1.0 - p, p]);
        }
        let arrays = Arrays {
            num_classes: 2,
            given: &given,
            probabilities: &probabilities,
            ..Arrays::default()
        };
        let samples = Samples::new(arrays).unwrap();
        let audit = crate::audit(&samples);
        let found = (0..n).filter(|&i| audit.is_issue[i]).count();
        let right = (0..n).filter(|&i| audit.is_issue[i] && wrong[i]).count();
        let num_wrong = wrong.iter().filter(|&&is| is).count();
        assert!(found < 2 * num_wrong, "{found} issues, {num_wrong} wrong labels");
        assert!(10 * right > 9 * found.min(num_wrong), "{right} of {found} are wrong");
    }
}
