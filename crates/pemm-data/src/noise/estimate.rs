//! The matrix of the noise as a model trained on the given labels sees it.

use super::transition::Transition;
use crate::score::first_of_highest;

/// Of the samples that a model takes for a class, the share that may be too sure of it; with 10
/// classes of one size the rest ends at the 97th percentile of all samples.
const PASSED_OVER: f64 = 0.3;
/// Of all samples.
const PASSED_OVER_OF_ALL: f64 = 0.03;

impl Transition {
    /// Estimates P(given j | true i) from class probabilities `[N, K]` that a model trained on given
    /// labels says of samples.
    ///
    /// Row i is what the model says of the sample that stands for class i, divided by its sum. The
    /// surest samples of all do not stand for a class, so that a few outliers do not decide: without a
    /// `percentile`, 0.3 of the samples that the model takes for class i are passed over, but no more
    /// than 0.03 of all, and the next sure sample stands for it, whatever the number and the sizes of the
    /// classes. With one it is the sample with the largest probability of i below that percentile of all
    /// samples' probabilities of i, or at it if none is below; the percentile is the nearest value at or
    /// above its position, and 100 is the sample with the largest probability of all. Of equals the first
    /// stands for the class. Without samples the estimate is the identity.
    ///
    /// # Reference
    /// Patrini et al. 2017, eq. 12 and 13 (largest), section 5 (97th percentile; not for CIFAR-100,
    /// where 100 is taken).
    ///
    /// # Panics
    /// Where the values are no N×K, or `percentile` is not within 0 and 100.
    pub fn estimate(probabilities: &[f32], num_classes: usize, percentile: Option<f64>) -> Self {
        assert!(probabilities.len().is_multiple_of(num_classes.max(1)), "N×K probabilities");
        assert!(percentile.is_none_or(|p| (0.0..=100.0).contains(&p)), "a percentile");
        let samples: Vec<&[f32]> = probabilities.chunks_exact(num_classes).collect();
        if samples.is_empty() {
            return Self::identity(num_classes);
        }
        let mut counts = vec![0usize; num_classes];
        samples.iter().for_each(|sample| counts[first_of_highest(sample)] += 1);
        let row = |class: usize| {
            let values: Vec<f32> = samples.iter().map(|sample| sample[class]).collect();
            let anchor = match percentile {
                Some(percentile) => below(&values, percentile),
                None => {
                    let own = PASSED_OVER * counts[class] as f64;
                    let most = PASSED_OVER_OF_ALL * samples.len() as f64;
                    surest(&values, own.min(most) as usize)
                }
            };
            let sum: f64 = samples[anchor].iter().map(|&p| f64::from(p)).sum();
            samples[anchor].iter().map(|&p| f64::from(p) / sum).collect()
        };
        Self::new((0..num_classes).map(row).collect()).expect("rows of probabilities, normalised")
    }
}

/// Index of the largest value but for `passed_over` larger ones (or equal ones that stand before).
fn surest(values: &[f32], passed_over: usize) -> usize {
    let mut order: Vec<usize> = (0..values.len()).collect();
    let by_value = |&a: &usize, &b: &usize| values[b].total_cmp(&values[a]).then(a.cmp(&b));
    *order.select_nth_unstable_by(passed_over, by_value).1
}

/// Index of the largest value below the percentile.
fn below(values: &[f32], percentile: f64) -> usize {
    let mut sorted = values.to_vec();
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
        let estimate = Transition::estimate(&probabilities, 2, Some(100.0));
        for (found, expected) in estimate.rows().iter().flatten().zip([0.7, 0.3, 0.1, 0.9]) {
            assert!((found - expected).abs() < 1e-6, "{estimate:?}");
        }
        // 200 samples: position ⌈0.97 · 199⌉ = 194 is the bound, so 6 of the first class are above.
        let estimate = Transition::estimate(&probabilities, 2, Some(97.0));
        let expected = 0.5 + 93.0 / 99.0 * 0.2;
        assert!((estimate.rows()[0][0] - expected).abs() < 1e-6, "{estimate:?}");
    }

    #[test]
    fn an_outlier_decides_only_without_a_percentile() {
        let mut probabilities = sure(&[[0.7, 0.3], [0.1, 0.9]]);
        probabilities.extend([1.0, 0.0]);
        assert_eq!(Transition::estimate(&probabilities, 2, Some(100.0)).rows()[0], [1.0, 0.0]);
        assert!(Transition::estimate(&probabilities, 2, Some(97.0)).rows()[0][0] < 0.7);
    }

    #[test]
    fn few_or_equal_samples_do_no_harm() {
        for percentile in [None, Some(97.0)] {
            let estimate = |values: &[f32], k| Transition::estimate(values, k, percentile);
            assert_eq!(estimate(&[], 3), Transition::identity(3));
            assert_eq!(estimate(&[0.5; 4], 2).rows(), [[0.5, 0.5], [0.5, 0.5]]);
            assert_eq!(estimate(&[0.25, 0.75], 2).rows()[0], [0.25, 0.75]);
        }
    }
    /// `sizes[k]` samples of each class, all with `own` for their class and the rest alike.
    fn equally_sure(sizes: &[usize], own: f32) -> Vec<f32> {
        let rest = (1.0 - own) / (sizes.len() - 1) as f32;
        let rows = |(class, &size): (usize, &usize)| {
            let row = (0..sizes.len()).map(move |k| if k == class { own } else { rest });
            std::iter::repeat_n(row, size).flatten().collect::<Vec<_>>()
        };
        sizes.iter().enumerate().flat_map(rows).collect()
    }

    #[test]
    fn small_classes_are_found_whatever_their_number() {
        // The 97th percentile of 1,000 samples lies beyond the 10 of a class: the row is another's.
        let many = equally_sure(&[10; 100], 0.9);
        let estimate = Transition::estimate(&many, 100, None);
        assert!(estimate.rows().iter().enumerate().all(|(i, row)| (row[i] - 0.9).abs() < 1e-6));
        let of_all = Transition::estimate(&many, 100, Some(97.0));
        assert!((of_all.rows()[50][50] - 0.1 / 99.0).abs() < 1e-6 && of_all.rows()[50][0] > 0.89);

        // 14 classes as in Clothing1M, two of them with 1.9 % of the samples.
        let mut sizes = [80; 14];
        sizes[3] = 19;
        sizes[9] = 19;
        let uneven = equally_sure(&sizes, 0.6);
        let estimate = Transition::estimate(&uneven, 14, None);
        assert!(estimate.rows().iter().enumerate().all(|(i, row)| (row[i] - 0.6).abs() < 1e-6));
        let of_all = Transition::estimate(&uneven, 14, Some(97.0));
        assert!([3, 9].iter().all(|&i| of_all.rows()[i][i] < 0.066));
    }

    #[test]
    fn with_ten_classes_of_one_size_it_is_the_97th_percentile() {
        // 100 samples of each of 10 classes, each sample as sure as no other.
        let row = |n: usize| {
            let own = 0.5 + 0.4 * (n as f32 / 1000.0);
            (0..10).map(move |k| if k == n % 10 { own } else { (1.0 - own) / 9.0 })
        };
        let probabilities: Vec<f32> = (0..1000).flat_map(row).collect();
        let [own, of_all] = [None, Some(97.0)].map(|p| Transition::estimate(&probabilities, 10, p));
        assert_eq!(own, of_all);
        // Of the 100 of class 9 the 30 surest are passed over: sample 699 stands for it.
        assert!((own.rows()[9][9] - (0.5 + 0.4 * 0.699)).abs() < 1e-6, "{own:?}");
    }
}
