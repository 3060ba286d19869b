//! The confident joint: counts of given against confidently other classes.

use crate::samples::Samples;

/// Counts of the samples by given label and by the class that their model is confident of.
///
/// A model is confident of class j where `p[j] ≥ t_j`, the mean of `p[j]` over the samples given j;
/// of several such classes, of the most probable. Samples without any are not counted.
///
/// # Reference
/// Northcutt, Jiang, Chuang: Confident Learning, 2021, equations 1 and 2.
///
/// # Differs from cleanlab
/// Where a model is confident of several classes, cleanlab's code takes the most probable of *all* K,
/// which may be one that it is not confident of (a probable class with a still higher threshold); the
/// paper, and this, the most probable of the confident ones. cleanlab also lets a probability be 1e-6
/// below its threshold.
#[derive(Debug, Clone, PartialEq)]
pub struct ConfidentJoint {
    /// t_j, `[K]`; 1 for a class that no sample is given.
    pub thresholds: Vec<f64>,
    /// `counts[given][confident]`, `[K][K]`.
    pub counts: Vec<Vec<usize>>,
    /// Class that each sample's model is confident of, `[N]`.
    pub confident: Vec<Option<u32>>,
}

impl ConfidentJoint {
    /// Counts `samples`, in two passes.
    pub fn of(samples: &Samples<'_>) -> Self {
        let k = samples.num_classes();
        let class_counts = samples.class_counts();
        let mut thresholds = vec![0.0; k];
        for (given, row) in samples.rows() {
            thresholds[given] += f64::from(row[given]);
        }
        for (threshold, &count) in thresholds.iter_mut().zip(&class_counts) {
            *threshold = if count == 0 { 1.0 } else { *threshold / count as f64 };
        }
        let mut counts = vec![vec![0; k]; k];
        let confident: Vec<Option<u32>> = samples
            .rows()
            .map(|(given, row)| {
                let class = confident_class(row, &thresholds)?;
                counts[given][class as usize] += 1;
                Some(class)
            })
            .collect();
        Self { thresholds, counts, confident }
    }

    /// `Q[given][true]`, `[K][K]`, which sums to 1: each row of the counts scaled to the number of
    /// samples with that given label. A row without counts is on the diagonal.
    pub fn calibrated(&self, class_counts: &[usize]) -> Vec<Vec<f64>> {
        let n: usize = class_counts.iter().sum();
        let row = |(class, counts): (usize, &Vec<usize>)| -> Vec<f64> {
            let share = class_counts[class] as f64 / n as f64;
            let total: usize = counts.iter().sum();
            let cell = |(k, &count): (usize, &usize)| match total {
                0 => share * f64::from(u8::from(k == class)),
                _ => share * count as f64 / total as f64,
            };
            counts.iter().enumerate().map(cell).collect()
        };
        self.counts.iter().enumerate().map(row).collect()
    }
}

fn confident_class(row: &[f32], thresholds: &[f64]) -> Option<u32> {
    let passed =
        |(class, &p): (usize, &f32)| (f64::from(p) >= thresholds[class]).then_some((class, p));
    let best =
        row.iter().enumerate().filter_map(passed).reduce(|a, b| if b.1 > a.1 { b } else { a });
    best.map(|(class, _)| class as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::Arrays;

    #[test]
    fn counts_by_hand() {
        // Thresholds: class 0 (0.9 + 0.5 + 0.1) / 3 = 0.5, class 1 (0.8 + 0.4) / 2 = 0.6.
        let arrays = Arrays {
            num_classes: 2,
            given: &[0, 0, 0, 1, 1],
            probabilities: &[0.9, 0.1, 0.5, 0.5, 0.1, 0.9, 0.2, 0.8, 0.45, 0.55],
            ..Arrays::default()
        };
        // The last row: neither 0.45 ≥ 0.5 nor 0.55 ≥ (0.8 + 0.55) / 2.
        let joint = ConfidentJoint::of(&Samples::new(arrays).unwrap());
        assert!((joint.thresholds[0] - 0.5).abs() < 1e-7);
        assert!((joint.thresholds[1] - 0.675).abs() < 1e-7);
        assert_eq!(joint.counts, [[2, 1], [0, 1]]);
        assert_eq!(joint.confident, [Some(0), Some(0), Some(1), Some(1), None]);
        let calibrated = joint.calibrated(&[3, 2]);
        assert!((calibrated[0][1] - 0.2).abs() < 1e-12 && calibrated[1] == [0.0, 0.4]);
    }

    /// cleanlab would count class 0 here, the most probable, though 0.4 is below its threshold.
    #[test]
    fn of_several_confident_classes_the_most_probable_confident_one_counts() {
        let arrays = Arrays {
            num_classes: 3,
            given: &[0, 1, 2, 0, 0, 1, 2],
            probabilities: &[
                0.4, 0.35, 0.25, // the sample; thresholds 0.8, 0.3, 0.2
                0.4, 0.25, 0.35, //
                0.5, 0.35, 0.15, //
                1.0, 0.0, 0.0, //
                1.0, 0.0, 0.0, //
                0.5, 0.35, 0.15, //
                0.5, 0.25, 0.25, //
            ],
            ..Arrays::default()
        };
        let joint = ConfidentJoint::of(&Samples::new(arrays).unwrap());
        let close = |(found, expected): (&f64, f64)| (found - expected).abs() < 1e-6;
        assert!(joint.thresholds.iter().zip([0.8, 0.3, 0.2]).all(close), "{:?}", joint.thresholds);
        assert_eq!(joint.confident[0], Some(1));
    }

    #[test]
    fn classes_without_samples_stay_out() {
        let arrays = Arrays {
            num_classes: 3,
            given: &[0, 0],
            probabilities: &[0.2, 0.8, 0.0, 1.0, 0.0, 0.0],
            ..Arrays::default()
        };
        let joint = ConfidentJoint::of(&Samples::new(arrays).unwrap());
        assert_eq!(joint.thresholds[1..], [1.0, 1.0]);
        let calibrated = joint.calibrated(&[2, 0, 0]);
        assert_eq!(calibrated, [[1.0, 0.0, 0.0], [0.0; 3], [0.0; 3]]);
    }
}
