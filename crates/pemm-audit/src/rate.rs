//! How many labels are wrong: an estimate, an interval, and what several methods say.

use serde::Serialize;

use crate::joint::ConfidentJoint;
use crate::mixture::Mixture;
use crate::noise_model::NoiseModel;
use crate::samples::Samples;

/// One of so many samples, those of which the models are most certain, shows how often certain
/// predictions are contradicted.
const CERTAIN_SHARE: usize = 10;
/// Refits for the spread of the noise model's share.
const RESAMPLES: usize = 20;
/// Of the normal distribution, for 95 %.
const NORMAL_QUANTILE: f64 = 1.96;

/// What one method says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MethodRate {
    /// Name of the method.
    pub name: &'static str,
    /// Share of wrong labels, 0 to 1.
    pub estimate: f64,
    /// Whether the estimate is made of it; the others are shown for comparison.
    pub is_used: bool,
}

/// Share of wrong labels.
///
/// The estimate is the mean of two methods that err differently:
/// - the *noise model*: the mean of `P(true ≠ given | x, given)` under [`NoiseModel`], which takes what
///   its temperature cannot explain of the model's own mistakes for noise;
/// - the *certain contradicted*: of the tenth of the samples of which their models are most certain,
///   the share whose given label is another. It is too high by the mistakes that are left there, and
///   too low where people err less on what is easy.
///
/// The interval reaches to both sides of the estimate by half of what the two disagree, and by 1.96
/// times the sampling deviation of their mean (the first by resampling, the second binomial).
///
/// For comparison: the off-diagonal of the *confident joint*, which counts every mistake of the model
/// as a wrong label, and the weight of the high component of the *loss mixture*.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NoiseRate {
    /// The estimate, 0 to 1.
    pub estimate: f64,
    /// Lower end of its 95 % interval.
    pub low: f64,
    /// Upper end of its 95 % interval.
    pub high: f64,
    /// Every method.
    pub methods: Vec<MethodRate>,
}

impl NoiseRate {
    /// Estimates from `samples` as they came, and from what was fitted to their balanced form `fair`.
    pub(crate) fn of(
        samples: &Samples<'_>,
        fair: &Samples<'_>,
        model: &NoiseModel,
        posterior: &[f32],
        joint: &ConfidentJoint,
        mixture: Option<&Mixture>,
    ) -> Self {
        let n = samples.len() as f64;
        let by_model = posterior.iter().map(|&p| f64::from(p)).sum::<f64>() / n;
        let (by_certain, num_certain) = certain_contradicted(samples);
        let calibrated = joint.calibrated(&samples.class_counts());
        let kept: f64 = calibrated.iter().enumerate().map(|(class, row)| row[class]).sum();
        let method = |name, estimate, is_used| MethodRate { name, estimate, is_used };
        let mut methods = vec![
            method("noise model", by_model, true),
            method("certain contradicted", by_certain, true),
            method("confident joint", (1.0 - kept).clamp(0.0, 1.0), false),
        ];
        methods.extend(mixture.map(|mixture| method("loss mixture", mixture.high.weight, false)));

        let estimate = 0.5 * (by_model + by_certain);
        let resampled = model.resampled_rates(fair, RESAMPLES);
        let variance = variance(&resampled) + by_certain * (1.0 - by_certain) / num_certain as f64;
        let reach = 0.5 * (by_model - by_certain).abs() + NORMAL_QUANTILE * 0.5 * variance.sqrt();
        let (low, high) = ((estimate - reach).max(0.0), (estimate + reach).min(1.0));
        Self { estimate, low, high, methods }
    }
}

/// Of the tenth of the samples with the largest probability of a class, the share that is given
/// another, and their number; of equally certain ones all are taken.
fn certain_contradicted(samples: &Samples<'_>) -> (f64, usize) {
    let top = |row: &[f32]| {
        let best = (1..row.len()).fold(0, |best, k| if row[k] > row[best] { k } else { best });
        (best, row[best])
    };
    let mut tops: Vec<f32> = samples.rows().map(|(_, row)| top(row).1).collect();
    let count = samples.len().div_ceil(CERTAIN_SHARE);
    let place = tops.len() - count;
    let least = *tops.select_nth_unstable_by(place, f32::total_cmp).1;
    let (mut certain, mut contradicted) = (0, 0);
    for (given, row) in samples.rows() {
        let (class, p) = top(row);
        if p >= least {
            certain += 1;
            contradicted += usize::from(class != given);
        }
    }
    (contradicted as f64 / certain as f64, certain)
}

fn variance(values: &[f64]) -> f64 {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (values.len() - 1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::Arrays;

    #[test]
    fn only_the_most_certain_tenth_is_asked() {
        // 20 samples; the two most certain, and one as certain as the second.
        let mut probabilities: Vec<f32> = [0.6, 0.4].repeat(20);
        let mut given = [1u32; 20];
        probabilities[..6].copy_from_slice(&[0.99, 0.01, 0.1, 0.9, 0.9, 0.1]);
        given[2] = 0;
        let arrays = Arrays {
            num_classes: 2,
            given: &given,
            probabilities: &probabilities,
            ..Arrays::default()
        };
        let samples = Samples::new(arrays).unwrap();
        assert_eq!(certain_contradicted(&samples), (1.0 / 3.0, 3));
    }

    #[test]
    fn the_variance_is_that_of_a_sample() {
        assert_eq!(variance(&[1.0, 3.0]), 2.0);
    }
}
