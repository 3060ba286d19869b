//! Values of each training sample that outlive a step.

use burn::tensor::Tensor;

use crate::error::{Error, Result};
use crate::rows::Rows;
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
    /// Rows that were put and not yet written, and whose they are.
    waiting: Rows,
    samples: Vec<u32>,
    /// Whether a row of each sample waits.
    waits: Vec<bool>,
}

impl EpochMemory {
    /// `initial` everywhere; `name` stands in the checkpoint.
    pub(super) fn new(name: &'static str, num_samples: usize, width: usize, initial: f32) -> Self {
        let values = vec![initial; num_samples * width];
        let (waiting, samples, waits) = (Rows::default(), Vec::new(), vec![false; num_samples]);
        Self { name, width, values, waiting, samples, waits }
    }

    /// Writes `rows` `[N, width]` of `samples`, all different, when somebody wants one of them: a read in each
    /// step would let a GPU wait.
    pub(super) fn put(&mut self, samples: &[u32], rows: Tensor<2>) {
        if samples.iter().any(|&sample| self.waits[sample as usize]) {
            self.settle();
        }
        samples.iter().for_each(|&sample| self.waits[sample as usize] = true);
        self.samples.extend(samples);
        self.waiting.add(rows);
    }

    /// Writes what waits.
    fn settle(&mut self) {
        let rows = self.waiting.take();
        for (&sample, row) in self.samples.iter().zip(rows.chunks_exact(self.width)) {
            self.values[sample as usize * self.width..][..self.width].copy_from_slice(row);
        }
        self.samples.clear();
        self.waits.fill(false);
    }

    /// The rows of all samples, one after the other.
    pub(super) fn values(&mut self) -> &[f32] {
        if !self.samples.is_empty() {
            self.settle();
        }
        &self.values
    }

    /// The row of a sample, to be changed.
    pub(super) fn row_mut(&mut self, sample: u32) -> &mut [f32] {
        if self.waits[sample as usize] {
            self.settle();
        }
        &mut self.values[sample as usize * self.width..][..self.width]
    }

    /// For the checkpoint.
    pub(super) fn save(&self, state: &mut TensorMap) {
        let shape = vec![self.values.len() / self.width, self.width];
        let mut data = self.values.clone();
        let waiting = self.waiting.values();
        for (&sample, row) in self.samples.iter().zip(waiting.chunks_exact(self.width)) {
            data[sample as usize * self.width..][..self.width].copy_from_slice(row);
        }
        state.insert(self.name.to_owned(), Values { shape, data });
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
                self.waiting = Rows::default();
                self.samples.clear();
                self.waits.fill(false);
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
