//! How many labels are wrong: an estimate, an interval, and what several methods say.

use serde::Serialize;

use crate::joint::ConfidentJoint;
use crate::mixture::Mixture;
use crate::noise_model::{NoiseModel, most_likely_temperature};
use crate::samples::Samples;

/// Temperatures of the two noise models of which the estimate is made. Chosen once, on small
/// convolutional networks and the five label sets of `bench/audit.py`.
const TEMPERATURES: [f64; 2] = [1.25, 1.5];
/// Most likely temperatures of such networks: 0.8 to 1.25 there.
const USUAL: [f64; 2] = [0.75, 1.35];
/// One of so many samples, those of which the models are most certain, shows how often certain
/// predictions are contradicted.
const CERTAIN_SHARE: usize = 12;
/// Of the normal distribution, for 95 %.
const NORMAL_QUANTILE: f64 = 1.96;

/// What one method says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MethodRate {
    /// Name of the method.
    pub name: String,
    /// Share of wrong labels, 0 to 1.
    pub estimate: f64,
    /// Whether it lies in the interval.
    pub agrees: bool,
}

/// The temperatures of the two noise models: 1.25 and 1.5 for probabilities whose most likely
/// temperature is from 0.75 to 1.35, and else both times the factor by which it lies outside, so that
/// probabilities on another scale (of a model that was stopped early, or is far too certain) are brought
/// to the one that the two were chosen for.
pub(crate) fn temperatures(samples: &Samples<'_>, joint: &ConfidentJoint) -> [f64; 2] {
    let found = most_likely_temperature(samples, joint);
    let factor = found / found.clamp(USUAL[0], USUAL[1]);
    TEMPERATURES.map(|temperature| temperature * factor)
}

/// Share of wrong labels.
///
/// The estimate is the mean of what two noise models say, the mean of `P(true ≠ given | x, given)` under
/// [`NoiseModel`] at temperatures 1.25 and 1.5 (other ones for probabilities on another scale): models
/// are too certain, and by how much labels cannot tell. The interval reaches from the one to the other, and further
/// by the 95 % interval that the number of samples leaves each (Wilson's). So it is wider than an
/// interval of one model, and still does not hold what a much better or worse calibrated one would say.
///
/// For comparison: *certain contradicted*, of the twelfth of the samples of which their models are most
/// certain the share whose given label is another, which is too low where the easy classes have the
/// right labels; and two that take the model's own mistakes for wrong labels, the off-diagonal of the
/// *confident joint* and the weight of the high component of the *loss mixture*.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NoiseRate {
    /// The estimate, 0 to 1.
    pub estimate: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
    /// Every method.
    pub methods: Vec<MethodRate>,
}

impl NoiseRate {
    /// Estimates from `samples` as they came and from what was fitted to them: the posteriors of the
    /// two noise `models`.
    pub(crate) fn of(
        samples: &Samples<'_>,
        models: &[NoiseModel; 2],
        posteriors: [&[f32]; 2],
        joint: &ConfidentJoint,
        mixture: Option<&Mixture>,
    ) -> Self {
        let n = samples.len();
        let mean =
            |posterior: &[f32]| posterior.iter().map(|&p| f64::from(p)).sum::<f64>() / n as f64;
        let by_model = posteriors.map(mean);
        let estimate = 0.5 * (by_model[0] + by_model[1]);
        let [first, second] = by_model.map(|share| binomial_interval(share, n));
        let (low, high) = (first[0].min(second[0]), first[1].max(second[1]));
        let calibrated = joint.calibrated(&samples.class_counts());
        let kept: f64 = calibrated.iter().enumerate().map(|(class, row)| row[class]).sum();
        let method = |name: &str, estimate: f64| MethodRate {
            name: name.to_owned(),
            estimate,
            agrees: (low..=high).contains(&estimate),
        };
        let name = |model: &NoiseModel| format!("noise model, τ {:.2}", model.temperature);
        let mut methods: Vec<MethodRate> =
            models.iter().zip(by_model).map(|(model, share)| method(&name(model), share)).collect();
        methods.push(method("certain contradicted", certain_contradicted(samples)));
        methods.push(method("confident joint", (1.0 - kept).clamp(0.0, 1.0)));
        methods.extend(mixture.map(|mixture| method("loss mixture", mixture.high.weight)));
        Self { estimate, low, high, methods }
    }
}

/// Wilson's 95 % interval of a share that was found among `count`.
fn binomial_interval(share: f64, count: usize) -> [f64; 2] {
    let (n, z) = (count as f64, NORMAL_QUANTILE * NORMAL_QUANTILE);
    let center = (share + z / (2.0 * n)) / (1.0 + z / n);
    let variance = share * (1.0 - share) / n + z / (4.0 * n * n);
    let reach = NORMAL_QUANTILE * variance.max(0.0).sqrt() / (1.0 + z / n);
    [(center - reach).max(0.0), (center + reach).min(1.0)]
}

/// Of the twelfth of the samples with the largest probability of a class, the share that is given
/// another; of equally certain ones all are taken.
fn certain_contradicted(samples: &Samples<'_>) -> f64 {
    let top = |row: &[f32]| {
        let best = (1..row.len()).fold(0, |best, k| if row[k] > row[best] { k } else { best });
        (best, row[best])
    };
    let mut tops: Vec<f32> = samples.rows().map(|(_, row)| top(row).1).collect();
    let count = samples.len().div_ceil(CERTAIN_SHARE);
    let place = tops.len() - count;
    let least = *tops.select_nth_unstable_by(place, f32::total_cmp).1;
    let (mut certain, mut contradicted) = (0u32, 0u32);
    for (given, row) in samples.rows() {
        let (class, p) = top(row);
        if p >= least {
            certain += 1;
            contradicted += u32::from(class != given);
        }
    }
    f64::from(contradicted) / f64::from(certain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise_model::tests::made;
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
        assert_eq!(certain_contradicted(&samples), 1.0 / 3.0);
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
        let models = TEMPERATURES.map(|t| NoiseModel::fit(&samples, &joint, t));
        let rate = NoiseRate::of(&samples, &models, [&[0.2; 4], &[0.1; 4]], &joint, None);
        assert!((rate.estimate - 0.15).abs() < 1e-6);
        let (low, high) = (binomial_interval(0.1, 4)[0], binomial_interval(0.2, 4)[1]);
        assert!((rate.low - low).abs() < 1e-6 && (rate.high - high).abs() < 1e-6, "{rate:?}");
        assert_eq!(rate.methods[0].name, "noise model, τ 1.25");
        assert!(rate.methods[0].agrees && rate.methods[1].agrees);
    }

    #[test]
    fn the_scale_of_the_probabilities_is_found() {
        let transition = [0.75, 0.125, 0.125];
        let transition: Vec<Vec<f64>> =
            (0..3).map(|k| (0..3).map(|j| transition[(j + 3 - k) % 3]).collect()).collect();
        let (given, probabilities) = made(10_000, &transition);
        for power in [0.3f32, 1.0, 3.0] {
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
            let rate = crate::audit(&Samples::new(arrays).unwrap()).summary.noise_rate;
            // Too low for a model that is exactly as certain as it is right; near 0 without the scale.
            assert!((rate.estimate - 0.25).abs() < 0.13, "power {power}: {rate:?}");
        }
    }

    #[test]
    fn the_interval_is_wilsons() {
        // 10 of 100: 0.0552 to 0.1744.
        let [low, high] = binomial_interval(0.1, 100);
        assert!((low - 0.05523).abs() < 1e-4 && (high - 0.17437).abs() < 1e-4, "{low} {high}");
        assert!(binomial_interval(0.0, 5)[0] < 1e-12 && binomial_interval(1.0, 5)[1] == 1.0);
    }
}
