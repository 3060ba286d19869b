//! The matrix of the noise as a model trained on the given labels sees it.

use super::transition::Transition;

impl Transition {
    /// Estimates P(given j | true i) from class probabilities `[N, K]` that a model trained on given
    /// labels says of samples.
    ///
    /// Row i is what the model says of the sample that stands for class i: the one with the largest
    /// probability of i below the `percentile`-th percentile of all samples' (so that a few outliers
    /// do not decide), or at that percentile if none is below; the first of equals. The percentile is
    /// the nearest value at or above its position. With 100 it is the sample with the largest
    /// probability of all. Rows are divided by their sum. Without samples the estimate is the
    /// identity.
    ///
    /// # Reference
    /// Patrini et al. 2017, eq. 12 and 13 (largest), section 5 (97th percentile; not for CIFAR-100,
    /// where 100 is taken).
    ///
    /// # Differs from the authors' code
    /// There the probabilities above the percentile are set to 0 in place, so a sample that was too
    /// sure of one class stands with a hole, before rows are normalised, for another. Here nothing
    /// is changed.
    ///
    /// # Panics
    /// Where the values are no N×K, or `percentile` is not within 0 and 100.
    pub fn estimate(probabilities: &[f32], num_classes: usize, percentile: f64) -> Self {
        assert!(probabilities.len().is_multiple_of(num_classes.max(1)), "N×K probabilities");
        assert!((0.0..=100.0).contains(&percentile), "a percentile");
        let samples: Vec<&[f32]> = probabilities.chunks_exact(num_classes).collect();
        if samples.is_empty() {
            return Self::identity(num_classes);
        }
        let row = |class: usize| {
            let anchor = anchor(samples.iter().map(|sample| sample[class]).collect(), percentile);
            let sum: f64 = samples[anchor].iter().map(|&p| f64::from(p)).sum();
            samples[anchor].iter().map(|&p| f64::from(p) / sum).collect()
        };
        Self::new((0..num_classes).map(row).collect()).expect("rows of probabilities, normalised")
    }
}

/// Index of the largest value below the percentile.
fn anchor(values: Vec<f32>, percentile: f64) -> usize {
    let mut sorted = values.clone();
    sorted.sort_by(f32::total_cmp);
    let position = (percentile / 100.0 * (sorted.len() - 1) as f64).ceil() as usize;
    let bound = sorted[position];
    let below = sorted[..position].iter().rev().find(|&&value| value < bound);
    let wanted = if percentile == 100.0 { bound } else { *below.unwrap_or(&bound) };
    values.iter().position(|&value| value == wanted).expect("taken from the values")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A model that is right about the noise: 100 samples of each of two classes, surer and surer.
    fn sure(rows: &[[f32; 2]]) -> Vec<f32> {
        (0..100)
            .flat_map(|step| {
                let share = step as f32 / 99.0;
                rows.iter().flat_map(move |row| {
                    let p = 0.5 + share * (row[0] - 0.5);
                    [p, 1.0 - p]
                })
            })
            .collect()
    }

    #[test]
    fn the_sample_that_stands_for_a_class_gives_its_row() {
        let probabilities = sure(&[[0.7, 0.3], [0.1, 0.9]]);
        let estimate = Transition::estimate(&probabilities, 2, 100.0);
        for (found, expected) in estimate.rows().iter().flatten().zip([0.7, 0.3, 0.1, 0.9]) {
            assert!((found - expected).abs() < 1e-6, "{estimate:?}");
        }
        // 200 samples: position ⌈0.97 · 199⌉ = 194 is the bound, so 6 of the first class are above.
        let estimate = Transition::estimate(&probabilities, 2, 97.0);
        let expected = 0.5 + 93.0 / 99.0 * 0.2;
        assert!((estimate.rows()[0][0] - expected).abs() < 1e-6, "{estimate:?}");
    }

    #[test]
    fn an_outlier_decides_only_without_a_percentile() {
        let mut probabilities = sure(&[[0.7, 0.3], [0.1, 0.9]]);
        probabilities.extend([1.0, 0.0]);
        assert_eq!(Transition::estimate(&probabilities, 2, 100.0).rows()[0], [1.0, 0.0]);
        assert!(Transition::estimate(&probabilities, 2, 97.0).rows()[0][0] < 0.7);
    }

    #[test]
    fn few_or_equal_samples_do_no_harm() {
        assert_eq!(Transition::estimate(&[], 3, 97.0), Transition::identity(3));
        let equal = Transition::estimate(&[0.5, 0.5, 0.5, 0.5], 2, 97.0);
        assert_eq!(equal.rows(), [[0.5, 0.5], [0.5, 0.5]]);
        assert_eq!(Transition::estimate(&[0.25, 0.75], 2, 97.0).rows()[0], [0.25, 0.75]);
    }
}
