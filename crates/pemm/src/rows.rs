//! Rows of batch after batch, read from the device some batches at a time.
//!
//! A value can be read when the device has done all that was asked of it before. A read in each step would
//! let an accelerator wait for the host, and then the host for it.

use burn::tensor::{Device, Tensor};

use crate::device::is_cpu;
use crate::tensors::floats;

/// Steps whose values an accelerator keeps. Long enough for its queue never to run dry, short enough
/// for a loss that is no number to be told soon.
pub(crate) const MOST: usize = 64;

/// Steps, or batches, whose values wait on `device` before they are read.
pub(crate) fn most(device: &Device) -> usize {
    if waits(device) { MOST } else { 1 }
}

/// Whether a read lets `device` wait.
pub(crate) fn waits(device: &Device) -> bool {
    #[cfg(test)]
    if AS_ON_A_GPU.get() {
        return true;
    }
    !is_cpu(device)
}

#[cfg(test)]
std::thread_local! {
    /// Whether this thread reads as late on the CPU as it would on a GPU.
    pub(crate) static AS_ON_A_GPU: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Rows `[N, K]`, in the order in which they came.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    waiting: Vec<Tensor<2>>,
    read: Vec<f32>,
}

impl Rows {
    /// These values, and more to come.
    pub(crate) fn from_values(values: Vec<f32>) -> Self {
        Self { waiting: Vec::new(), read: values }
    }

    /// Adds the rows of a batch; no gradient goes through them.
    pub(crate) fn add(&mut self, rows: Tensor<2>) {
        let most = most(&rows.device());
        self.waiting.push(rows.detach().without_autodiff());
        if self.waiting.len() >= most {
            self.read();
        }
    }

    fn read(&mut self) {
        if !self.waiting.is_empty() {
            self.read.extend(floats(Tensor::cat(std::mem::take(&mut self.waiting), 0)));
        }
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.read.is_empty()
    }

    /// All rows, one after the other.
    pub(crate) fn values(&self) -> Vec<f32> {
        let mut values = self.read.clone();
        if !self.waiting.is_empty() {
            values.extend(floats(Tensor::cat(self.waiting.clone(), 0)));
        }
        values
    }

    /// The same, which are then gone.
    pub(crate) fn take(&mut self) -> Vec<f32> {
        self.read();
        std::mem::take(&mut self.read)
    }
}
