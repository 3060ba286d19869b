//! What is recorded of an epoch's own predictions: those that each step made before its update, on
//! augmented images with dropout. They cost nothing beside the training itself.

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::readings::Reading;
use crate::tensors::argmax_rows;

/// Sums over the samples of an epoch.
#[derive(Debug)]
pub(crate) struct EpochStatistics {
    given: Vec<u32>,
    /// Predicted class of each training sample; `u32::MAX`, which is no class, for the one that
    /// an epoch may leave out.
    pub(crate) predicted: Vec<u32>,
    /// `p[given] - max_{k ≠ given} p[k]` of each training sample; NaN for one that was left out.
    pub(crate) margins: Vec<f32>,
    /// Samples seen.
    pub(crate) num_samples: usize,
    hits: usize,
    max_softmax: f64,
    entropy: f64,
    terms: BTreeMap<String, f64>,
}

impl EpochStatistics {
    /// Nothing seen yet of samples with labels `given`.
    pub(crate) fn new(given: Vec<u32>) -> Self {
        Self {
            predicted: vec![u32::MAX; given.len()],
            margins: vec![f32::NAN; given.len()],
            given,
            num_samples: 0,
            hits: 0,
            max_softmax: 0.0,
            entropy: 0.0,
            terms: BTreeMap::new(),
        }
    }

    /// Adds a step of `epoch` (from 0); its predictions count in the first pass alone.
    ///
    /// # Errors
    /// A value that is not finite.
    pub(crate) fn take(&mut self, epoch: usize, reading: &Reading) -> Result<()> {
        let Reading { of, terms, total, scores } = reading;
        let all = terms.iter().copied().chain([("total", *total)]);
        if let Some((term, value)) = all.into_iter().find(|(_, value)| !value.is_finite()) {
            let (epoch, step) = (epoch + 1, of.step + 1);
            return Err(Error::NotFinite { epoch, step, term: term.to_owned(), value });
        }
        if of.pass == 0 {
            self.add(&of.indices, scores);
        }
        self.add_terms(of.indices.len(), terms);
        Ok(())
    }

    /// Adds a step: the samples at `indices` and their scores `[N, K]`.
    fn add(&mut self, indices: &[u32], scores: &[f32]) {
        let num_classes = scores.len() / indices.len().max(1);
        for (&index, class) in indices.iter().zip(argmax_rows(scores, num_classes)) {
            self.hits += usize::from(self.given[index as usize] == class);
            self.predicted[index as usize] = class;
        }
        for (&index, row) in indices.iter().zip(scores.chunks_exact(num_classes)) {
            self.margins[index as usize] = margin(row, self.given[index as usize] as usize);
            let (max_softmax, entropy) = confidence(row);
            self.max_softmax += max_softmax;
            self.entropy += entropy;
        }
        self.num_samples += indices.len();
    }

    /// Adds the value of each term of a step over `num_samples` samples; several passes add up.
    fn add_terms(&mut self, num_samples: usize, terms: &[(&str, f64)]) {
        for &(name, value) in terms {
            *self.terms.entry(name.to_owned()).or_default() += value * num_samples as f64;
        }
    }

    fn mean(&self, sum: f64) -> f64 {
        sum / self.num_samples.max(1) as f64
    }
    /// Mean of each term over the samples.
    pub(crate) fn terms(&self) -> BTreeMap<String, f64> {
        self.terms.iter().map(|(name, &sum)| (name.clone(), self.mean(sum))).collect()
    }
    /// Mean of the objective over the samples.
    pub(crate) fn total(&self) -> f64 {
        self.mean(self.terms.values().sum())
    }
    /// Share predicted as given.
    pub(crate) fn accuracy(&self) -> f64 {
        self.mean(self.hits as f64)
    }
    /// Mean of the largest class probability.
    pub(crate) fn mean_max_softmax(&self) -> f64 {
        self.mean(self.max_softmax)
    }
    /// Mean entropy of the class probabilities, in nats.
    pub(crate) fn mean_entropy(&self) -> f64 {
        self.mean(self.entropy)
    }
}

/// Largest probability and entropy of the softmax of one row of scores.
fn confidence(scores: &[f32]) -> (f64, f64) {
    let top = scores.iter().fold(f64::NEG_INFINITY, |m, &s| m.max(f64::from(s)));
    let shifted = || scores.iter().map(|&s| f64::from(s) - top);
    let sum: f64 = shifted().map(f64::exp).sum();
    // H = log Σ e^(s-top) - Σ p (s - top)
    let mean_shift: f64 = shifted().map(|s| if s.exp() > 0.0 { s.exp() * s } else { 0.0 }).sum();
    (1.0 / sum, sum.ln() - mean_shift / sum)
}

/// Probability of the given class less the largest other, by the softmax of one row of scores.
fn margin(scores: &[f32], given: usize) -> f32 {
    let top = scores.iter().fold(f64::NEG_INFINITY, |m, &s| m.max(f64::from(s)));
    let power = |k: usize| (f64::from(scores[k]) - top).exp();
    let sum: f64 = (0..scores.len()).map(power).sum();
    let other = (0..scores.len()).filter(|&k| k != given).map(power).fold(0.0, f64::max);
    ((power(given) - other) / sum) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_margin_is_of_probabilities() {
        assert_eq!(margin(&[0.0, -1e4], 0), 1.0);
        assert_eq!(margin(&[0.0, -1e4], 1), -1.0);
        assert_eq!(margin(&[2.0, 2.0, -1e4], 1), 0.0);
    }

    #[test]
    fn equal_scores_have_the_largest_entropy_and_far_ones_none() {
        let (top, entropy) = confidence(&[3.0; 4]);
        assert!((top - 0.25).abs() < 1e-12 && (entropy - 4f64.ln()).abs() < 1e-12);
        let (top, entropy) = confidence(&[0.0, -1e4]);
        assert!((top, entropy) == (1.0, 0.0), "{top} {entropy}");
    }

    #[test]
    fn means_are_over_samples_not_steps() {
        let mut statistics = EpochStatistics::new(vec![0, 1, 1]);
        statistics.add(&[0, 1], &[1.0, 0.0, 1.0, 0.0]);
        statistics.add_terms(2, &[("loss", 1.0)]);
        statistics.add(&[2], &[0.0, 1.0]);
        statistics.add_terms(1, &[("loss", 4.0)]);
        assert_eq!(statistics.total(), 2.0);
        assert!((statistics.accuracy() - 2.0 / 3.0).abs() < 1e-12);
        assert_eq!(statistics.predicted, [0, 0, 1]);
    }
}
