//! Noise that depends on the image (Xia et al. 2020, "Part-dependent label noise").
//!
//! Each sample n of class i has a flip rate q_n from the normal N(ε, 0.1²) cut to 0–1, and one T
//! row of its own: T_n[i][i] = 1 - q_n, T_n[i][j] = q_n · softmax over j ≠ i of (x_n · W_i)[j],
//! with x_n its D features and W_i ∈ R^{D×K} drawn from N(0, 1) for every class.
//! Near ε = 0 or 1 the cut moves the mean: ε = 0 would not be clean, so a rate of 0 draws nothing.
//!
//! `instance` standardises the features one by one over the part ([`standardise`]; a constant one
//! counts as 0), `instance-raw` takes them as they are: bytes from 0 to 255, of which x_n · W_i is so
//! large that the softmax is nearly always 1 for one class, and since images share their bright pixels
//! it is mostly the same class. The public generator does the latter.
//!
//! Differs from that: the rate is cut by rejection, which is the same distribution, and W depends on the
//! seed alone, so that training and validation part share it.

use rayon::prelude::*;

use crate::error::{DataError, Result};
use crate::seed::{Rng, Stream, Streams};
use crate::split::members;

use super::scheme::pick;

/// Standard deviation of the flip rates.
const RATE_DEVIATION: f64 = 0.1;
/// Substream of class i's W is this minus i; parts are numbered from 0 and never come near.
const FIRST_PROJECTION: u64 = u64::MAX - 1;
/// Largest number of values of all W together: about two minutes of drawing on one core.
const MAX_PROJECTION: usize = 1 << 31;
/// Rows of W that are kept at a time.
const BLOCK: usize = 256;

/// Refuses `features` of `num_samples` samples that are not finite.
pub(super) fn check(features: &[f32], num_samples: usize) -> Result<()> {
    let Some(at) = features.iter().position(|value| !value.is_finite()) else { return Ok(()) };
    let size = (features.len() / num_samples.max(1)).max(1);
    Err(DataError::setting(
        "noise.kind",
        format!(
            "noise by the image needs finite features; sample {} has {} as feature {}",
            at / size,
            features[at],
            at % size
        ),
    ))
}

/// Labels after noise; `features` is `[N, D]`, finite.
///
/// # Errors
/// K²·D above 2³¹.
pub(super) fn draw(
    given: &[u32],
    num_classes: usize,
    rate: f64,
    features: &[f32],
    seed: u64,
    rng: &mut Rng,
) -> Result<Vec<u32>> {
    let Some(size) = features.len().checked_div(given.len()) else {
        return Ok(Vec::new());
    };
    assert_eq!(features.len(), size * given.len(), "features are [N, D]");
    if size.saturating_mul(num_classes).saturating_mul(num_classes) > MAX_PROJECTION {
        return Err(DataError::setting(
            "noise.kind",
            format!(
                "noise by the image projects {size} values for each pair of {num_classes} classes, \
                 which is more than 2^31 numbers; make the images smaller with data.resize"
            ),
        ));
    }
    let scores = scores(given, num_classes, features, size, seed);
    let mut labels = given.to_vec();
    for (label, scores) in labels.iter_mut().zip(scores) {
        if rng.unit() < flip_rate(rate, rng) {
            *label = pick(&softmax_of_others(&scores, *label as usize), rng.unit());
        }
    }
    Ok(labels)
}

/// Mean 0 and deviation 1 for each column of `features`, `[num_samples, D]`, 0 for a constant one.
pub(super) fn standardise(features: &mut [f32], num_samples: usize) {
    let size = features.len() / num_samples.max(1);
    let num_samples = (features.len() / size.max(1)) as f64;
    let mut mean = vec![0.0f64; size];
    for sample in features.chunks_exact(size.max(1)) {
        mean.iter_mut().zip(sample).for_each(|(mean, &x)| *mean += f64::from(x) / num_samples);
    }
    let mut variance = vec![0.0f64; size];
    for sample in features.chunks_exact(size.max(1)) {
        for ((variance, mean), &x) in variance.iter_mut().zip(&mean).zip(sample) {
            let difference = f64::from(x) - mean;
            *variance += difference * difference / num_samples; // `powi` may differ by machine
        }
    }
    // A constant column has a variance of rounding errors only.
    let constant = |mean: f64, variance: f64| variance <= 1e-20 * mean * mean;
    for sample in features.chunks_exact_mut(size.max(1)) {
        for ((x, &mean), &variance) in sample.iter_mut().zip(&mean).zip(&variance) {
            *x = if constant(mean, variance) {
                0.0
            } else {
                ((f64::from(*x) - mean) / variance.sqrt()) as f32
            };
        }
    }
}

/// x_n · W_i for every sample, `[N][K]`. Classes run in parallel, each with a stream of its own
/// and its sums in a fixed order, so that the result does not depend on threads.
fn scores(
    given: &[u32],
    num_classes: usize,
    features: &[f32],
    size: usize,
    seed: u64,
) -> Vec<Vec<f64>> {
    let members = members(given, num_classes);
    let by_class: Vec<Vec<Vec<f64>>> = members
        .par_iter()
        .enumerate()
        .map(|(class, samples)| {
            let mut scores = vec![vec![0.0; num_classes]; samples.len()];
            if samples.is_empty() {
                return scores;
            }
            let mut rng =
                Streams::new(seed).open_at(Stream::Noise, FIRST_PROJECTION - class as u64);
            for start in (0..size).step_by(BLOCK) {
                let end = (start + BLOCK).min(size);
                let weights: Vec<f64> =
                    (0..(end - start) * num_classes).map(|_| rng.normal()).collect(); // [B, K]
                for (&sample, scores) in samples.iter().zip(&mut scores) {
                    let values = &features[sample * size + start..sample * size + end];
                    for (&x, weights) in values.iter().zip(weights.chunks_exact(num_classes)) {
                        for (score, weight) in scores.iter_mut().zip(weights) {
                            *score += f64::from(x) * weight;
                        }
                    }
                }
            }
            scores
        })
        .collect();
    let mut scores = vec![Vec::new(); given.len()];
    for (samples, class_scores) in members.iter().zip(by_class) {
        for (&sample, sample_scores) in samples.iter().zip(class_scores) {
            scores[sample] = sample_scores;
        }
    }
    scores
}

/// A draw from N(rate, 0.1²) given that it lies in 0 to 1.
fn flip_rate(rate: f64, rng: &mut Rng) -> f64 {
    loop {
        let draw = rate + RATE_DEVIATION * rng.normal();
        if (0.0..=1.0).contains(&draw) {
            return draw;
        }
    }
}

/// Unnormalised softmax with the weight of `class` set to 0; the largest of the others is 1.
fn softmax_of_others(scores: &[f64], class: usize) -> Vec<f64> {
    let others = || scores.iter().enumerate().filter(|&(other, _)| other != class);
    let most = others().map(|(_, &score)| score).fold(f64::NEG_INFINITY, f64::max);
    let mut weights = vec![0.0; scores.len()];
    for (other, &score) in others() {
        weights[other] = libm::exp(score - most);
    }
    weights
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(seed: u64) -> Rng {
        Streams::new(seed).open(Stream::Noise)
    }

    fn features(num_samples: usize, size: usize) -> Vec<f32> {
        let mut rng = stream(99);
        (0..num_samples * size).map(|_| (rng.unit() * 255.0) as f32).collect()
    }

    /// Draws with standardised features at 30 %.
    fn drawn(given: &[u32], mut features: Vec<f32>) -> Vec<u32> {
        standardise(&mut features, given.len());
        draw(given, 4, 0.3, &features, 1, &mut stream(1)).unwrap()
    }

    #[test]
    fn the_rate_is_realised_and_flips_depend_on_the_image() {
        let given: Vec<u32> = (0..4000).map(|n| n % 4).collect();
        let labels = drawn(&given, features(4000, 16));
        let flipped = labels.iter().zip(&given).filter(|(a, b)| a != b).count() as f64 / 4000.0;
        assert!((flipped - 0.3).abs() < 0.03, "{flipped}");

        // The same image again and again goes mostly to one class, unlike symmetric noise.
        let mut images = features(4000, 16);
        for n in 0..2000 {
            images.copy_within(0..16, n * 16);
        }
        let labels = drawn(&[0; 4000], images);
        let mut counts = [0; 4];
        labels[..2000].iter().for_each(|&label| counts[label as usize] += 1);
        let most = *counts[1..].iter().max().unwrap();
        assert!(most as f64 > 0.6 * counts[1..].iter().sum::<usize>() as f64, "{counts:?}");
    }

    #[test]
    fn constant_features_and_hostile_ones() {
        let given = [0, 1, 0, 1];
        let constant = drawn(&given, vec![7.0; 12]);
        assert!(constant.iter().all(|&label| label < 4));
        let mut broken = vec![1.0; 12];
        broken[7] = f32::NAN;
        let error = check(&broken, 4).unwrap_err().to_string();
        assert!(error.contains("sample 2 has NaN as feature 1"), "{error}");
        assert!(drawn(&[], vec![]).is_empty());
    }

    #[test]
    fn standardised_columns() {
        let mut columns = vec![1.0, 0.1, 3.0, 0.1, 5.0, 0.1];
        standardise(&mut columns, 3);
        let deviation = (8.0f64 / 3.0).sqrt();
        assert_eq!(columns[0], (-2.0 / deviation) as f32);
        assert_eq!([columns[1], columns[3], columns[5]], [0.0; 3]);
    }
}
