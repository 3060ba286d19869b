//! What an audit works on: plain arrays, checked once.

use crate::error::{AuditError, Result};

/// How far from 1 the probabilities of a sample may sum.
pub const SUM_TOLERANCE: f64 = 1e-3;

/// In [`Arrays::checked`]: nobody looked at this sample.
pub const UNKNOWN: u32 = u32::MAX;

/// Arrays as they come, unchecked; [`Samples::new`] checks them.
#[derive(Debug, Clone, Copy, Default)]
pub struct Arrays<'a> {
    /// Number of classes K, at least 2.
    pub num_classes: usize,
    /// Given label of each sample, `[N]`, below K.
    pub given: &'a [u32],
    /// Class probabilities, `[N, K]`, each from 0 to 1; each sample's sum to 1. From a model that was
    /// not trained on the sample.
    pub probabilities: &'a [f32],
    /// Number of features D.
    pub num_features: usize,
    /// Features, `[N, D]`, finite; or none.
    pub features: Option<&'a [f32]>,
    /// Distance to the center of each class, `[N, K]`, finite and at least 0; or none.
    pub distances: Option<&'a [f32]>,
    /// Mean over the epochs of training of `p[given] - max of the others`, `[N]`, from -1 to 1; or
    /// none.
    pub margins: Option<&'a [f32]>,
    /// Share of the epochs of training in which the model's prediction was another class than the
    /// given one, `[N]`, from 0 to 1; or none.
    pub events: Option<&'a [f32]>,
    /// True label of each sample where somebody trustworthy looked, `[N]`, below K, and
    /// [`UNKNOWN`] where nobody did; or none. The samples looked at should be drawn at random.
    pub checked: Option<&'a [u32]>,
    /// Number of the model that made each sample's row, `[N]`; or none for one model. Features of
    /// two models do not compare, so neighbours are sought within one.
    pub models: Option<&'a [u32]>,
}

/// Checked arrays of N ≥ 1 samples.
#[derive(Debug, Clone, Copy)]
pub struct Samples<'a> {
    arrays: Arrays<'a>,
}

impl<'a> Samples<'a> {
    /// Checks every size and every value, in one pass.
    ///
    /// # Errors
    /// No sample, fewer than 2 classes, an array of another length, a label that is no class, a
    /// probability outside 0 to 1 or NaN, a row that does not sum to 1 within [`SUM_TOLERANCE`], a
    /// value that is not finite, a negative distance. Names array and sample.
    pub fn new(arrays: Arrays<'a>) -> Result<Self> {
        let (n, k) = (arrays.given.len(), arrays.num_classes);
        if n == 0 || k < 2 {
            let reason = format!("{n} samples of {k} classes; needs a sample and 2 classes");
            return Err(AuditError::Setting { key: "samples", reason });
        }
        let size = |what, found: usize, columns: usize| {
            let expected = n.saturating_mul(columns);
            let rule = format!("{n} samples of {columns}");
            let error = AuditError::Size { what, expected, found, rule };
            if found == expected { Ok(()) } else { Err(error) }
        };
        size("probabilities", arrays.probabilities.len(), k)?;
        for (sample, (&label, row)) in
            arrays.given.iter().zip(arrays.probabilities.chunks_exact(k)).enumerate()
        {
            if label as usize >= k {
                let reason = format!("label {label} is not in 0 to {}", k - 1);
                return Err(AuditError::Value { what: "given labels", sample, reason });
            }
            check_row(row).map_err(|reason| AuditError::Value {
                what: "probabilities",
                sample,
                reason,
            })?;
        }
        if let Some(features) = arrays.features {
            size("features", features.len(), arrays.num_features)?;
            if arrays.num_features == 0 {
                let reason = "0 features a sample; leave them out".into();
                return Err(AuditError::Setting { key: "features", reason });
            }
            values("features", features, arrays.num_features, "be finite", f32::is_finite)?;
        }
        if let Some(distances) = arrays.distances {
            size("distances", distances.len(), k)?;
            let rule = "be finite and at least 0";
            values("distances", distances, k, rule, |d| d.is_finite() && d >= 0.0)?;
        }
        if let Some(margins) = arrays.margins {
            size("margins", margins.len(), 1)?;
            values("margins", margins, 1, "lie in -1 to 1", |m| (-1.0..=1.0).contains(&m))?;
        }
        if let Some(events) = arrays.events {
            size("events", events.len(), 1)?;
            values("events", events, 1, "lie in 0 to 1", |share| (0.0..=1.0).contains(&share))?;
        }
        if let Some(checked) = arrays.checked {
            size("checked labels", checked.len(), 1)?;
            let is_bad = |&label: &u32| label != UNKNOWN && label as usize >= k;
            if let Some(sample) = checked.iter().position(is_bad) {
                let label = checked[sample];
                let reason = format!("label {label} is not in 0 to {}", k - 1);
                return Err(AuditError::Value { what: "checked labels", sample, reason });
            }
        }
        if let Some(models) = arrays.models {
            size("models", models.len(), 1)?;
        }
        Ok(Self { arrays })
    }

    /// The arrays.
    pub fn arrays(&self) -> &Arrays<'a> {
        &self.arrays
    }

    /// The same samples with other probabilities, `[N, K]`, that were made from checked ones.
    pub(crate) fn with_probabilities<'b>(&self, probabilities: &'b [f32]) -> Samples<'b>
    where
        'a: 'b,
    {
        assert_eq!(probabilities.len(), self.arrays.probabilities.len(), "as many as before");
        Samples { arrays: Arrays { probabilities, ..self.arrays } }
    }

    /// The true label of a sample that somebody checked.
    pub(crate) fn checked(&self, sample: usize) -> Option<u32> {
        let label = self.arrays.checked?[sample];
        (label != UNKNOWN).then_some(label)
    }

    /// Number of samples N.
    pub fn len(&self) -> usize {
        self.arrays.given.len()
    }

    /// Never: there is at least one sample.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Number of classes K.
    pub fn num_classes(&self) -> usize {
        self.arrays.num_classes
    }

    /// Given label of each sample.
    pub fn given(&self) -> &'a [u32] {
        self.arrays.given
    }

    /// Given label and probabilities `[K]` of each sample, in order.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = (usize, &'a [f32])> + Clone {
        let rows = self.arrays.probabilities.chunks_exact(self.arrays.num_classes);
        self.arrays.given.iter().map(|&label| label as usize).zip(rows)
    }

    /// Probabilities `[K]` of one sample.
    pub fn row(&self, sample: usize) -> &'a [f32] {
        let k = self.arrays.num_classes;
        &self.arrays.probabilities[sample * k..(sample + 1) * k]
    }

    /// Number of samples with each given label, `[K]`.
    pub fn class_counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.arrays.num_classes];
        self.arrays.given.iter().for_each(|&label| counts[label as usize] += 1);
        counts
    }
}

fn check_row(row: &[f32]) -> std::result::Result<(), String> {
    let mut sum = 0.0;
    for (class, &p) in row.iter().enumerate() {
        if !(0.0..=1.0 + SUM_TOLERANCE as f32).contains(&p) {
            return Err(format!(
                "class {class} has {p}, which is no probability from 0 to 1; give the softmax of \
                 scores, not the scores"
            ));
        }
        sum += f64::from(p);
    }
    if (sum - 1.0).abs() > SUM_TOLERANCE {
        return Err(format!(
            "the probabilities sum to {sum:.4}, not to 1; divide each row by its sum, or check \
             that no class is missing"
        ));
    }
    Ok(())
}

fn values(
    what: &'static str,
    values: &[f32],
    columns: usize,
    rule: &str,
    is_good: impl Fn(f32) -> bool,
) -> Result<()> {
    match values.iter().position(|&value| !is_good(value)) {
        None => Ok(()),
        Some(at) => Err(AuditError::Value {
            what,
            sample: at / columns,
            reason: format!("value {} is {}, but must {rule}", at % columns, values[at]),
        }),
    }
}

/// The largest entry of `row` beside `given`, and its class; the first of equals.
pub(crate) fn strongest_other(row: &[f32], given: usize) -> (usize, f32) {
    let mut best = usize::from(given == 0);
    for (class, &p) in row.iter().enumerate() {
        if class != given && p > row[best] {
            best = class;
        }
    }
    (best, row[best])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrays() -> Arrays<'static> {
        Arrays {
            num_classes: 2,
            given: &[0, 1],
            probabilities: &[0.9, 0.1, 0.5, 0.5],
            ..Arrays::default()
        }
    }

    fn error(arrays: Arrays<'_>) -> String {
        Samples::new(arrays).unwrap_err().to_string()
    }

    #[test]
    fn what_is_wrong_is_named_with_its_sample() {
        let good = arrays();
        assert_eq!(Samples::new(good).unwrap().len(), 2);
        let cases = [
            (Arrays { given: &[], probabilities: &[], ..good }, "0 samples of 2 classes"),
            (Arrays { num_classes: 1, ..good }, "needs a sample and 2 classes"),
            (Arrays { probabilities: &[0.9, 0.1], ..good }, "2 values, but 4 are needed"),
            (Arrays { given: &[0, 2], ..good }, "given labels: sample 1: label 2 is not in 0 to 1"),
            (
                Arrays { probabilities: &[0.9, 0.1, 0.5, f32::NAN], ..good },
                "sample 1: class 1 has NaN",
            ),
            (Arrays { probabilities: &[3.0, -2.0, 0.5, 0.5], ..good }, "give the softmax"),
            (
                Arrays { probabilities: &[0.9, 0.1, 0.5, 0.4], ..good },
                "sample 1: the probabilities sum to 0.9000",
            ),
            (
                Arrays { features: Some(&[1.0]), num_features: 1, ..good },
                "features: 1 values, but 2",
            ),
            (
                Arrays { features: Some(&[1.0, f32::INFINITY]), num_features: 1, ..good },
                "features: sample 1",
            ),
            (Arrays { features: Some(&[]), ..good }, "0 features a sample"),
            (
                Arrays { distances: Some(&[0.0, 1.0, -1.0, 0.0]), ..good },
                "value 0 is -1, but must be finite",
            ),
            (Arrays { margins: Some(&[0.0, 1.5]), ..good }, "must lie in -1 to 1"),
            (Arrays { models: Some(&[1]), ..good }, "models: 1 values"),
            (Arrays { events: Some(&[0.5, 1.5]), ..good }, "must lie in 0 to 1"),
            (Arrays { checked: Some(&[UNKNOWN, 2]), ..good }, "sample 1: label 2 is not in 0 to 1"),
        ];
        for (arrays, expected) in cases {
            let message = error(arrays);
            assert!(message.contains(expected), "{message:?} lacks {expected:?}");
        }
    }

    #[test]
    fn the_strongest_other_is_never_the_given_class() {
        assert_eq!(strongest_other(&[0.9, 0.1], 0), (1, 0.1));
        assert_eq!(strongest_other(&[0.2, 0.4, 0.4], 0), (1, 0.4));
        assert_eq!(strongest_other(&[0.0, 0.0, 1.0], 2), (0, 0.0));
    }
}
