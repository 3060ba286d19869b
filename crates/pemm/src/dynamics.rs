//! Learning dynamics: how well the given label of each training sample was predicted, epoch after
//! epoch. Recorded for the audit of labels; nothing in training depends on it.

use crate::error::{Error, Result};
use crate::tensors::{TensorMap, Values};

const SUMS: &str = "margin_sums";
const COUNTS: &str = "margin_counts";

/// Sums over epochs of the margins `p[given] - max_{k ≠ given} p[k]` of an epoch's own predictions.
#[derive(Debug, Clone)]
pub(crate) struct Dynamics {
    sums: Vec<f32>,
    counts: Vec<f32>,
}

impl Dynamics {
    /// Before the first epoch of `num_samples`.
    pub(crate) fn new(num_samples: usize) -> Self {
        Self { sums: vec![0.0; num_samples], counts: vec![0.0; num_samples] }
    }

    /// Adds an epoch: the margin of each sample, NaN for one that it left out.
    pub(crate) fn add(&mut self, margins: &[f32]) {
        let sums = self.sums.iter_mut().zip(&mut self.counts);
        for ((sum, count), margin) in sums.zip(margins).filter(|(_, margin)| !margin.is_nan()) {
            *sum += margin;
            *count += 1.0;
        }
    }

    /// Mean margin of each sample, the area under its margin; 0 for one that was never seen.
    pub(crate) fn means(&self) -> Vec<f32> {
        let mean = |(sum, count): (&f32, &f32)| (sum / count.max(1.0)).clamp(-1.0, 1.0);
        self.sums.iter().zip(&self.counts).map(mean).collect()
    }

    /// For the checkpoint.
    pub(crate) fn state(&self) -> TensorMap {
        let tensor = |data: &Vec<f32>| Values { shape: vec![data.len()], data: data.clone() };
        TensorMap::from([
            (SUMS.to_owned(), tensor(&self.sums)),
            (COUNTS.to_owned(), tensor(&self.counts)),
        ])
    }

    /// Continues from [`Self::state`]; that of a run begun before margins were recorded is empty.
    pub(crate) fn load(&mut self, mut state: TensorMap, file: &str) -> Result<()> {
        if state.is_empty() {
            return Ok(());
        }
        for (name, to) in [(SUMS, &mut self.sums), (COUNTS, &mut self.counts)] {
            let found = state.remove(name).map(|values| values.data).unwrap_or_default();
            if found.len() != to.len() {
                let reason = format!("{name} has {} values for {} samples", found.len(), to.len());
                return Err(Error::Weights { file: file.to_owned(), reason });
            }
            *to = found;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_are_over_the_epochs_that_saw_the_sample_and_survive_the_checkpoint() {
        let mut dynamics = Dynamics::new(3);
        dynamics.add(&[1.0, f32::NAN, f32::NAN]);
        let mut continued = Dynamics::new(3);
        continued.load(dynamics.state(), "state").unwrap();
        continued.add(&[0.0, -1.0, f32::NAN]);
        assert_eq!(continued.means(), [0.5, -1.0, 0.0]);
        let error = Dynamics::new(2).load(dynamics.state(), "state").unwrap_err().to_string();
        assert!(error.contains("margin_sums has 3 values for 2 samples"), "{error}");
        Dynamics::new(2).load(TensorMap::new(), "state").unwrap();
    }
}
