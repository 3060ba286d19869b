//! How many labels are wrong: an estimate, an interval, and what several methods say.

use serde::Serialize;

use crate::joint::ConfidentJoint;
use crate::mixture::Mixture;
use crate::samples::Samples;

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
/// The estimate is *certain contradicted*: of the twelfth of the samples of which their models are
/// most certain, the share whose given label is another, with its binomial 95 % interval. It asks for
/// nothing of the models but that they are right where they are most certain. Mistakes that are left
/// there make it too high (by as much as they are many, where labels are wrong whatever the image looks
/// like); it is too low where people err less on what is easy. The interval holds neither.
///
/// For comparison, and most of them too high where models are often wrong: the mean posterior of the
/// *noise model* ([`NoiseModel`](crate::noise_model::NoiseModel)), which takes what its temperature
/// cannot explain of the model's own mistakes for noise; the off-diagonal of the *confident joint*; the
/// weight of the high component of the *loss mixture*.
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
    /// Estimates from `samples` as they came and from what was fitted to them.
    pub(crate) fn of(
        samples: &Samples<'_>,
        posterior: &[f32],
        joint: &ConfidentJoint,
        mixture: Option<&Mixture>,
    ) -> Self {
        let (estimate, num_certain) = certain_contradicted(samples);
        let [low, high] = binomial_interval(estimate, num_certain);
        let by_model = posterior.iter().map(|&p| f64::from(p)).sum::<f64>() / samples.len() as f64;
        let calibrated = joint.calibrated(&samples.class_counts());
        let kept: f64 = calibrated.iter().enumerate().map(|(class, row)| row[class]).sum();
        let method = |name, estimate: f64| MethodRate {
            name,
            estimate,
            agrees: (low..=high).contains(&estimate),
        };
        let mut methods = vec![
            method("certain contradicted", estimate),
            method("noise model", by_model),
            method("confident joint", (1.0 - kept).clamp(0.0, 1.0)),
        ];
        methods.extend(mixture.map(|mixture| method("loss mixture", mixture.high.weight)));
        Self { estimate, low, high, methods }
    }
}

/// Wilson's 95 % interval of a share that was found among `count`.
fn binomial_interval(share: f64, count: usize) -> [f64; 2] {
    let (n, z) = (count as f64, NORMAL_QUANTILE * NORMAL_QUANTILE);
    let center = (share + z / (2.0 * n)) / (1.0 + z / n);
    let variance = share * (1.0 - share) / n + z / (4.0 * n * n);
    let reach = NORMAL_QUANTILE * variance.sqrt() / (1.0 + z / n);
    [(center - reach).max(0.0), (center + reach).min(1.0)]
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
    fn the_interval_is_wilsons() {
        // 10 of 100: 0.0552 to 0.1744.
        let [low, high] = binomial_interval(0.1, 100);
        assert!((low - 0.05523).abs() < 1e-4 && (high - 0.17437).abs() < 1e-4, "{low} {high}");
        assert!(binomial_interval(0.0, 5)[0] < 1e-12 && binomial_interval(1.0, 5)[1] == 1.0);
    }
}
