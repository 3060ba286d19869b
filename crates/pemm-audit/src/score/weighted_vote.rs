//! Whether the nearest samples have other labels, the nearer the more.

use rayon::prelude::*;

use crate::neighbors::Neighbors;
use crate::samples::Samples;

/// `1 - (Σ_r w_r [label_r = given] + s) / (Σ_r w_r + 1)` with the weight `w_r = 1 / √r` of the r-th
/// nearest and one vote more that agrees as often as samples do at large (`s = Σ_k share_k²`), in 0 to 1.
///
/// # Fails
/// As [`neighbor_disagreement`](super::neighbor_disagreement) does, later where classes are small and
/// sooner where a duplicate has the same wrong label.
///
/// # Reference
/// Dudani 1976, with ranks in place of distances, which have no common unit.
pub fn weighted_vote(samples: &Samples<'_>, neighbors: &Neighbors) -> Vec<f32> {
    let n = samples.len() as f64;
    let at_large: f64 =
        samples.class_counts().iter().map(|&count| (count as f64 / n).powi(2)).sum();
    let given = samples.given();
    let score = |sample: usize| {
        let (mut total, mut agreeing) = (0.0, 0.0);
        for (rank, other) in neighbors.of_sample(sample).enumerate() {
            let weight = 1.0 / ((rank + 1) as f64).sqrt();
            total += weight;
            agreeing += weight * f64::from(u8::from(given[other] == given[sample]));
        }
        (1.0 - (agreeing + at_large) / (total + 1.0)) as f32
    };
    (0..samples.len()).into_par_iter().map(score).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::Arrays;

    #[test]
    fn the_nearer_count_more() {
        // On a circle: the neighbour on one side agrees, on the other it does not.
        let angles = [0.0f32, 0.1, -0.2, 3.0, 3.1, 3.2];
        let features: Vec<f32> = angles.iter().flat_map(|a| [a.cos(), a.sin()]).collect();
        let arrays = Arrays {
            num_classes: 2,
            given: &[0, 0, 1, 1, 1, 0],
            probabilities: &[0.5; 12],
            num_features: 2,
            features: Some(&features),
            ..Arrays::default()
        };
        let samples = Samples::new(arrays).unwrap();
        let scores = weighted_vote(&samples, &Neighbors::of(&samples, 2).unwrap());
        assert!(scores[0] < 0.5 && scores[2] > 0.6, "{scores:?}");
    }
}
