//! How many labels are wrong: an estimate, an interval, and what several methods say.

use serde::Serialize;

use crate::joint::ConfidentJoint;
use crate::mixture::Mixture;
use crate::samples::Samples;

/// Temperatures of the two noise models of which the estimate is made. Chosen once, on small
/// convolutional networks and the five label sets of `bench/audit.py`.
pub(crate) const TEMPERATURES: [f64; 2] = [1.25, 1.5];
/// One of so many samples, those of which the models are most certain, shows how often certain
/// predictions are contradicted.
const CERTAIN_SHARE: usize = 12;
/// Of the normal distribution, for 95 %.
const NORMAL_QUANTILE: f64 = 1.96;

/// What one method says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MethodRate {
    /// Name of the method.
    pub name: &'static str,
    /// Share of wrong labels, 0 to 1.
    pub estimate: f64,
    /// Whether it lies in the interval.
    pub agrees: bool,
}

/// Share of wrong labels.
///
/// The estimate is the mean of what two noise models say, the mean of `P(true ≠ given | x, given)` under
/// [`NoiseModel`](crate::noise_model::NoiseModel) at temperatures 1.25 and 1.5: models are too certain,
/// and by how much labels cannot tell. The interval reaches from the one to the other, and further
/// by 1.96 binomial deviations for the number of samples. It does not hold what a much better or worse
/// calibrated model would change.
///
/// For comparison: *certain contradicted*, of the twelfth of the samples of which their models are most
/// certain the share whose given label is another, which is too low where the easy classes have the
/// right labels; and two that take the model's own mistakes for wrong labels, the off-diagonal of the
/// *confident joint* and the weight of the high component of the *loss mixture*.
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
    /// Estimates from `samples` as they came and from what was fitted to them: the posteriors of the
    /// two noise models, in the order of [`TEMPERATURES`].
    pub(crate) fn of(
        samples: &Samples<'_>,
        posteriors: [&[f32]; 2],
        joint: &ConfidentJoint,
        mixture: Option<&Mixture>,
    ) -> Self {
        let n = samples.len() as f64;
        let mean = |posterior: &[f32]| posterior.iter().map(|&p| f64::from(p)).sum::<f64>() / n;
        let [first, second] = posteriors.map(mean);
        let estimate = 0.5 * (first + second);
        let reach = 0.5 * (first - second).abs()
            + NORMAL_QUANTILE * (estimate * (1.0 - estimate) / n).sqrt();
        let (low, high) = ((estimate - reach).max(0.0), (estimate + reach).min(1.0));
        let calibrated = joint.calibrated(&samples.class_counts());
        let kept: f64 = calibrated.iter().enumerate().map(|(class, row)| row[class]).sum();
        let method = |name, estimate: f64| MethodRate {
            name,
            estimate,
            agrees: (low..=high).contains(&estimate),
        };
        let mut methods = vec![
            method("noise model, τ 1.25", first),
            method("noise model, τ 1.5", second),
            method("certain contradicted", certain_contradicted(samples).0),
            method("confident joint", (1.0 - kept).clamp(0.0, 1.0)),
        ];
        methods.extend(mixture.map(|mixture| method("loss mixture", mixture.high.weight)));
        Self { estimate, low, high, methods }
    }
}

/// Of the twelfth of the samples with the largest probability of a class, the share that is given
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::Arrays;

    #[test]
    fn only_the_most_certain_are_asked() {
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
    fn the_interval_holds_both_models_and_the_number_of_samples() {
        let arrays = Arrays {
            num_classes: 2,
            given: &[0; 4],
            probabilities: &[0.5; 8],
            ..Arrays::default()
        };
        let samples = Samples::new(arrays).unwrap();
        let joint = ConfidentJoint::of(&samples);
        let rate = NoiseRate::of(&samples, [&[0.2; 4], &[0.1; 4]], &joint, None);
        let deviation = (0.15f64 * 0.85 / 4.0).sqrt();
        assert!((rate.estimate - 0.15).abs() < 1e-6);
        assert!((rate.high - (0.2 + 1.96 * deviation)).abs() < 1e-6 && rate.low == 0.0);
        assert!(rate.methods[0].agrees && rate.methods[1].agrees);
    }
}
