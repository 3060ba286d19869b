//! Whether samples that look alike have other labels.

use rayon::prelude::*;

use crate::neighbors::Neighbors;
use crate::samples::Samples;

/// `1 - (agreeing + r) / (found + 1)`: the share of the sample's nearest neighbours whose given
/// label is not its own, with one neighbour added that agrees as often as samples do at large
/// (r = Σ_k share_k²), in 0 to 1.
///
/// # Parameters
/// `neighbors` from [`Neighbors::of`]; few make it coarse, many blur small classes.
///
/// # Reference
/// Zhu, Dong, Liu: Detecting Corrupted Labels Without Training a Model to
/// Predict, 2022, whose vote over neighbours has no added one.
pub fn neighbor_disagreement(samples: &Samples<'_>, neighbors: &Neighbors) -> Vec<f32> {
    let n = samples.len() as f64;
    let at_large: f64 =
        samples.class_counts().iter().map(|&count| (count as f64 / n).powi(2)).sum();
    let given = samples.given();
    (0..samples.len())
        .into_par_iter()
        .map(|sample| {
            let (mut found, mut agreeing) = (0.0, 0.0);
            for other in neighbors.of_sample(sample) {
                found += 1.0;
                agreeing += f64::from(u8::from(given[other] == given[sample]));
            }
            (1.0 - (agreeing + at_large) / (found + 1.0)) as f32
        })
        .collect()
}
