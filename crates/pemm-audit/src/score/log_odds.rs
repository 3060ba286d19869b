//! By how much the strongest other class is more probable than the given one.

use rayon::prelude::*;

use crate::noise_model::NoiseModel;
use crate::samples::{Samples, strongest_other};

/// `l / (1 + |l|)`, moved to 0 to 1, of `l = (1 - λ) ln(s[k] / s[given]) + λ ln(r[k] / r[given])`, each
/// with the strongest other class k: s are the calibrated probabilities of
/// [`Stacked`](crate::stacked::Stacked), r the posterior of the noise model, and λ how far its matrix is
/// to be trusted for single samples ([`Pattern::weight`](crate::pattern::Pattern::weight)).
///
/// Noise that goes anywhere (λ = 0) is found where the label is improbable; noise with a direction
/// (λ = 1) makes the wrong label the second most probable one, which only the matrix tells from a right
/// label of a doubtful image.
///
/// # Fails
/// Where the direction is that of the model's own mistakes, the matrix is not used.
pub fn log_odds(samples: &Samples<'_>, model: &NoiseModel, weight: f64) -> Vec<f32> {
    const SMALLEST: f64 = 1e-9;
    let k = samples.num_classes();
    let rows = samples.arrays().probabilities.par_chunks_exact(k).zip(samples.given());
    rows.map_init(
        || vec![0.0; k],
        |posterior, (row, &given)| {
            let given = given as usize;
            let ratio = |other: f64, own: f64| ((other + SMALLEST) / (own + SMALLEST)).ln();
            let other = strongest_other(row, given).1;
            let mut odds = (1.0 - weight) * ratio(f64::from(other), f64::from(row[given]));
            if weight > 0.0 {
                model.posterior(given, row, posterior);
                let others = posterior.iter().enumerate().filter(|&(class, _)| class != given);
                let other = others.fold(0.0, |most: f64, (_, &p)| most.max(p));
                odds += weight * ratio(other, posterior[given]);
            }
            (0.5 * (1.0 + odds / (1.0 + odds.abs()))) as f32
        },
    )
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::made::{made_with_truth, pair};
    use crate::samples::Arrays;

    #[test]
    fn a_direction_is_used_where_it_is_trusted() {
        let (given, probabilities, truth) = made_with_truth(4000, &pair(4, 0.35));
        let arrays = Arrays {
            num_classes: 4,
            given: &given,
            probabilities: &probabilities,
            ..Arrays::default()
        };
        let samples = Samples::new(arrays).unwrap();
        let model = NoiseModel::fit(&samples);
        let num_wrong = (0..4000).filter(|&i| given[i] != truth[i]).count();
        let found = |weight: f64| {
            let scores = log_odds(&samples, &model, weight);
            let mut order: Vec<usize> = (0..4000).collect();
            order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
            order[..num_wrong].iter().filter(|&&i| given[i] != truth[i]).count()
        };
        assert!(found(1.0) > found(0.0), "{} {}", found(1.0), found(0.0));
    }
}
