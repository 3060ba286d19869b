//! What labels say that somebody trustworthy gave to some of the samples.

use super::NORMAL_QUANTILE;
use crate::samples::{Samples, UNKNOWN};

/// `mean(ŵ) + mean over the trusted (w - ŵ)`: what a model says of all samples (ŵ, its probability that
/// a label is wrong), corrected by how far it is off on those that somebody looked at (w is 1 for a wrong
/// label, else 0).
///
/// Right whatever the model is worth, if the samples looked at were drawn at random; the better the
/// model, the narrower its interval.
///
/// # Fails
/// Where people looked at the doubtful ones first: then it is too high.
///
/// # Reference
/// The difference estimator of survey sampling (Cochran 1977).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trusted {
    /// Share of wrong labels, 0 to 1.
    pub estimate: f64,
    /// Ends of its 95 % interval.
    pub interval: [f64; 2],
    /// Samples that somebody looked at.
    pub count: usize,
}

/// Trusted labels below which nothing is said.
const LEAST: usize = 30;

/// `None` with fewer than 30 trusted labels. `wrong` is ŵ, `[N]`.
pub fn by_trusted(samples: &Samples<'_>, wrong: &[f32]) -> Option<Trusted> {
    let trusted = samples.arrays().trusted?;
    let (mut count, mut sum, mut squares) = (0usize, 0.0, 0.0);
    for ((&given, &label), &said) in samples.given().iter().zip(trusted).zip(wrong) {
        if label != UNKNOWN {
            let off = f64::from(u8::from(given != label)) - f64::from(said);
            count += 1;
            sum += off;
            squares += off * off;
        }
    }
    if count < LEAST {
        return None;
    }
    let (m, n) = (count as f64, samples.len() as f64);
    let mean = sum / m;
    // One more that is off by a half, so that a handful in agreement is not taken for certainty.
    let variance = (squares + 0.25) / m - mean * mean;
    let reach = NORMAL_QUANTILE * (variance.max(0.0) / m).sqrt();
    let all = wrong.iter().map(|&said| f64::from(said)).sum::<f64>() / n + mean;
    let within = |share: f64| share.clamp(0.0, 1.0);
    Some(Trusted {
        estimate: within(all),
        interval: [within(all - reach), within(all + reach)],
        count,
    })
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
        let mut trusted = truth.clone();
        trusted[200..].fill(UNKNOWN);
        let arrays = Arrays {
            num_classes: 2,
            given: &given,
            probabilities: &vec![0.5; 2 * n],
            trusted: Some(&trusted),
            ..Arrays::default()
        };
        let samples = Samples::new(arrays).unwrap();
        let found = by_trusted(&samples, &vec![0.6; n]).unwrap();
        assert!((found.estimate - 0.2).abs() < 1e-6 && found.count == 200, "{found:?}");
        assert!(found.interval[0] > 0.1 && found.interval[1] < 0.3);
        let mut few = trusted.clone();
        few[20..].fill(UNKNOWN);
        let few = Samples::new(Arrays { trusted: Some(&few), ..arrays }).unwrap();
        assert!(by_trusted(&few, &vec![0.6; n]).is_none());
    }
}
