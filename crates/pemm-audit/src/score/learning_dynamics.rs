//! How long training resisted the given label.

use crate::samples::Samples;

/// `(1 - m) / 2` with the mean margin over epochs `m = mean_t (p_t[given] - max_{k ≠ given} p_t[k])`,
/// in 0 to 1. `None` without margins.
///
/// A wrong label is learned late and against the gradient of the samples like it, so its margin is
/// small or negative for most of the training.
///
/// # Reference
/// Pleiss et al.: Identifying Mislabeled Data using the Area Under the Margin Ranking, 2020. There
/// the margin is one of scores, which have no bound; ours is one of probabilities.
pub fn learning_dynamics(samples: &Samples<'_>) -> Option<Vec<f32>> {
    let margins = samples.arrays().margins?;
    Some(margins.iter().map(|margin| 0.5 * (1.0 - margin)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::Arrays;

    #[test]
    fn always_right_is_0_and_never_right_is_1() {
        let arrays = Arrays {
            num_classes: 2,
            given: &[0, 0, 0],
            probabilities: &[0.5; 6],
            margins: Some(&[1.0, -1.0, 0.5]),
            ..Arrays::default()
        };
        assert_eq!(learning_dynamics(&Samples::new(arrays).unwrap()).unwrap(), [0.0, 1.0, 0.25]);
    }
}
