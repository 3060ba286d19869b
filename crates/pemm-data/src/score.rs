//! How well predictions agree with labels: as a whole, and class by class.

use serde::{Deserialize, Serialize};

/// From so many classes on the second to fifth guess are counted too.
const TOP5_FROM: usize = 20;

/// Predictions of a part held against labels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Number of samples scored.
    pub num_samples: usize,
    /// Fraction predicted correctly, 0–1.
    pub accuracy: f64,
    /// Mean over the classes present of their recall, 0–1.
    pub balanced_accuracy: f64,
    /// Share of the largest class, 0–1: the accuracy of naming always that one.
    pub majority: f64,
    /// Share of samples whose label is among the five most probable classes, 0–1; of data with 20
    /// classes or more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top5: Option<f64>,
    /// `confusion[label][predicted]`, counts.
    pub confusion: Vec<Vec<u32>>,
}

/// One class of a scored part. Each rate is absent where it would divide by zero.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassScore {
    /// Samples with this label.
    pub num_samples: usize,
    /// Of the samples with this label, the share that is predicted as it, 0–1.
    pub recall: Option<f64>,
    /// Of the samples predicted as this class, the share that has its label, 0–1.
    pub precision: Option<f64>,
    /// Harmonic mean of both, 0–1.
    pub f1: Option<f64>,
}

impl Score {
    /// Holds what a model says against `labels`. `scores`, `[N, K]` row by row, are probabilities or
    /// anything that grows with them; the first of the highest is the prediction.
    ///
    /// # Panics
    /// If there is not one row per label.
    pub fn of(num_classes: usize, labels: &[u32], scores: &[f32]) -> Self {
        assert_eq!(labels.len() * num_classes, scores.len(), "one row per label");
        let rows = || labels.iter().zip(scores.chunks_exact(num_classes));
        let mut confusion = vec![vec![0u32; num_classes]; num_classes];
        for (&label, row) in rows() {
            confusion[label as usize][first_of_highest(row)] += 1;
        }
        let num_samples = labels.len();
        let share = |count: u32| f64::from(count) / num_samples.max(1) as f64;
        let mut score = Self {
            num_samples,
            accuracy: share((0..num_classes).map(|k| confusion[k][k]).sum()),
            balanced_accuracy: 0.0,
            majority: share(confusion.iter().map(|row| row.iter().sum()).max().unwrap_or(0)),
            top5: (num_classes >= TOP5_FROM).then(|| {
                share(rows().filter(|(label, row)| rank(row, **label as usize) < 5).count() as u32)
            }),
            confusion,
        };
        let recalls: Vec<f64> = score.classes().iter().filter_map(|class| class.recall).collect();
        score.balanced_accuracy = recalls.iter().sum::<f64>() / recalls.len().max(1) as f64;
        score
    }

    /// The classes, by label.
    pub fn classes(&self) -> Vec<ClassScore> {
        let rate = |hits: u32, of: u32| (of > 0).then(|| f64::from(hits) / f64::from(of));
        let of_class = |k: usize| {
            let hits = self.confusion[k][k];
            let labelled: u32 = self.confusion[k].iter().sum();
            let predicted: u32 = self.confusion.iter().map(|row| row[k]).sum();
            ClassScore {
                num_samples: labelled as usize,
                recall: rate(hits, labelled),
                precision: rate(hits, predicted),
                f1: rate(2 * hits, labelled + predicted),
            }
        };
        (0..self.confusion.len()).map(of_class).collect()
    }
}

/// Place of the largest value of `row`, the first of equals: the class that is predicted, where the
/// values are probabilities or scores of the classes.
pub fn first_of_highest(row: &[f32]) -> usize {
    (1..row.len()).fold(0, |best, k| if row[k] > row[best] { k } else { best })
}

/// How many classes are more probable than `class`; of equal ones those that stand before it are.
fn rank(row: &[f32], class: usize) -> usize {
    let mine = row[class];
    let is_before = |(k, &value): (usize, &f32)| value > mine || (value == mine && k < class);
    row.iter().enumerate().filter(|&entry| is_before(entry)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows that are sure of each prediction.
    fn sure(predicted: &[u32], num_classes: usize) -> Vec<f32> {
        let row =
            |&class: &u32| (0..num_classes).map(move |k| f32::from(u8::from(k == class as usize)));
        predicted.iter().flat_map(row).collect()
    }

    #[test]
    fn classes_by_hand() {
        // Four of class 0, of which three are found; one of class 1, found; none of class 2, which
        // is predicted once.
        let (labels, predicted) = ([0, 0, 0, 0, 1], [0, 0, 0, 2, 1]);
        let score = Score::of(3, &labels, &sure(&predicted, 3));
        assert_eq!((score.accuracy, score.majority), (0.8, 0.8));
        assert_eq!(score.balanced_accuracy, (0.75 + 1.0) / 2.0);
        let [first, second, third] = score.classes()[..] else { panic!("three classes") };
        assert_eq!((first.num_samples, first.recall, first.precision), (4, Some(0.75), Some(1.0)));
        assert_eq!(first.f1, Some(6.0 / 7.0));
        assert_eq!((second.recall, second.precision, second.f1), (Some(1.0), Some(1.0), Some(1.0)));
        assert_eq!((third.recall, third.precision, third.f1), (None, Some(0.0), Some(0.0)));
        assert_eq!(score.top5, None, "three classes only");
    }

    #[test]
    fn the_fifth_guess_counts_and_the_sixth_does_not() {
        let row: Vec<f32> = (0..20).map(|k| 1.0 / (1.0 + k as f32)).collect();
        let score = Score::of(20, &[4, 5], &[row.clone(), row].concat());
        assert_eq!((score.accuracy, score.top5), (0.0, Some(0.5)));
        let even = vec![0.05; 20];
        assert_eq!((rank(&even, 4), rank(&even, 5)), (4, 5), "ties go to the lower class");
    }
}
