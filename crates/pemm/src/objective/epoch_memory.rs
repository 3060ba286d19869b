//! Values of each training sample that outlive a step.

use crate::error::{Error, Result};
use crate::tensors::{TensorMap, Values};

/// Values of all training samples, `[N, width]`.
///
/// An epoch sees a sample once, so what it writes is read by a later epoch or in the same step; what
/// stands here between two epochs is all that a continued run needs.
#[derive(Debug)]
pub(super) struct EpochMemory {
    name: &'static str,
    width: usize,
    values: Vec<f32>,
}

impl EpochMemory {
    /// `initial` everywhere; `name` stands in the checkpoint.
    pub(super) fn new(name: &'static str, num_samples: usize, width: usize, initial: f32) -> Self {
        Self { name, width, values: vec![initial; num_samples * width] }
    }

    /// The rows of all samples, one after the other.
    pub(super) fn values(&self) -> &[f32] {
        &self.values
    }

    /// The row of sample `index`, to be changed.
    pub(super) fn row_mut(&mut self, index: u32) -> &mut [f32] {
        let start = index as usize * self.width;
        &mut self.values[start..start + self.width]
    }

    /// For the checkpoint.
    pub(super) fn save(&self, state: &mut TensorMap) {
        let shape = vec![self.values.len() / self.width, self.width];
        state.insert(self.name.to_owned(), Values { shape, data: self.values.clone() });
    }

    /// The checkpoint of an objective that keeps nothing else.
    pub(super) fn state(&self) -> TensorMap {
        let mut state = TensorMap::new();
        self.save(&mut state);
        state
    }

    /// Takes its values out of a checkpoint.
    pub(super) fn take(&mut self, state: &mut TensorMap) -> Result<()> {
        let found = state.remove(self.name);
        match found {
            Some(found) if found.data.len() == self.values.len() => {
                self.values = found.data;
                Ok(())
            }
            found => Err(Error::Weights {
                file: "objective".into(),
                reason: format!(
                    "{} has {:?} values, the training part needs {}",
                    self.name,
                    found.map(|found| found.data.len()),
                    self.values.len()
                ),
            }),
        }
    }
}
