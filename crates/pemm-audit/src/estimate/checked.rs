//! What the samples say that somebody looked at.

use super::binomial_interval;
use crate::samples::{Samples, UNKNOWN};

/// `mean over the checked (w - b ŵ) + b mean(ŵ)`: the share that was found among the checked (w is 1 for a
/// wrong label, else 0), moved by what a model says of the others (ŵ, its probability that a label is
/// wrong). `b = cov(w, ŵ) / var(ŵ)` on the checked, within 0 to 1: how far the model is worth listening to.
///
/// Right whatever the model is worth, if the samples looked at were drawn at random; the better the
/// model, the narrower its interval.
///
/// # Fails
/// Where people looked at the doubtful ones first: then it is too high.
///
/// # Reference
/// The regression estimator of survey sampling (Cochran 1977); with a model in place of a second
/// measurement it is Angelopoulos, Duchi and Zrnic 2023 (PPI++).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Checked {
    /// Share of wrong labels, 0 to 1.
    pub estimate: f64,
    /// Ends of its 95 % interval.
    pub interval: [f64; 2],
    /// Samples that somebody looked at.
    pub count: usize,
}

/// Checked labels below which nothing is said.
const LEAST: usize = 30;

/// `None` with fewer than 30 checked labels. `wrong` is ŵ, `[N]`.
pub fn by_checked(samples: &Samples<'_>, wrong: &[f32]) -> Option<Checked> {
    let checked = samples.arrays().checked?;
    let looked_at = samples.given().iter().zip(checked).zip(wrong);
    let pairs: Vec<[f64; 2]> = looked_at
        .filter(|((_, label), _)| **label != UNKNOWN)
        .map(|((given, label), &said)| [f64::from(u8::from(given != label)), f64::from(said)])
        .collect();
    let count = pairs.len();
    if count < LEAST {
        return None;
    }
    let m = count as f64;
    let mean = |of: &dyn Fn(&[f64; 2]) -> f64| pairs.iter().map(of).sum::<f64>() / m;
    let [found, said] = [0, 1].map(|at| mean(&|pair| pair[at]));
    let covariance = mean(&|pair| (pair[0] - found) * (pair[1] - said));
    let variance = mean(&|pair| (pair[1] - said).powi(2));
    let b = if variance > 0.0 { (covariance / variance).clamp(0.0, 1.0) } else { 0.0 };
    let of_all = wrong.iter().map(|&said| f64::from(said)).sum::<f64>() / samples.len() as f64;
    let estimate = (found + b * (of_all - said)).clamp(0.0, 1.0);
    // What the model explains counts as if so many more had been checked. One more that is half wrong,
    // so that a handful in agreement is not taken for certainty.
    let left = mean(&|pair| (pair[0] - found - b * (pair[1] - said)).powi(2)) + 0.25 / m;
    let all = found * (1.0 - found) + 0.25 / m;
    let interval = binomial_interval(estimate, (m * all / left).round() as usize);
    Some(Checked { estimate, interval, count })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::Arrays;

    #[test]
    fn a_model_that_is_off_is_corrected() {
        let n = 1000;
        let given = vec![0u32; n];
        let truth: Vec<u32> = (0..n).map(|i| u32::from(i % 10 < 2)).collect();
        let mut checked = truth.clone();
        checked[200..].fill(UNKNOWN);
        let arrays = Arrays {
            num_classes: 2,
            given: &given,
            probabilities: &vec![0.5; 2 * n],
            checked: Some(&checked),
            ..Arrays::default()
        };
        let samples = Samples::new(arrays).unwrap();
        let found = by_checked(&samples, &vec![0.6; n]).unwrap();
        assert!((found.estimate - 0.2).abs() < 1e-6 && found.count == 200, "{found:?}");
        assert!(found.interval[0] > 0.1 && found.interval[1] < 0.3);
        let mut few = checked.clone();
        few[20..].fill(UNKNOWN);
        let few = Samples::new(Arrays { checked: Some(&few), ..arrays }).unwrap();
        assert!(by_checked(&few, &vec![0.6; n]).is_none());
        // A model that knows leaves a narrower interval than none; one that is wrong, the same.
        let width = |wrong: &[f32]| {
            let [low, high] = by_checked(&samples, wrong).unwrap().interval;
            high - low
        };
        let knows: Vec<f32> = truth.iter().map(|&wrong| 0.1 + 0.7 * wrong as f32).collect();
        let errs: Vec<f32> = truth.iter().map(|&wrong| 0.9 - 0.7 * wrong as f32).collect();
        assert!(width(&knows) < 0.4 * width(&vec![0.6; n]), "{}", width(&knows));
        assert_eq!(width(&errs), width(&vec![0.6; n]));
        // Nothing found among 1,000: up to 0.4 % may be wrong (Wilson).
        let zeros = vec![0; n];
        let right = Samples::new(Arrays { checked: Some(&zeros), ..arrays }).unwrap();
        let found = by_checked(&right, &vec![0.0; n]).unwrap();
        assert!(found.estimate == 0.0 && (found.interval[1] - 0.0038).abs() < 1e-4, "{found:?}");
    }
}
