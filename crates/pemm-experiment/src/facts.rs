//! What the data say that an experiment leaves to them.

use pemm_data::prepare::Prepared;
use pemm_data::{Pixels, Shape};

/// What the data say that an experiment leaves to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataFacts {
    /// Size of a sample.
    pub shape: Shape,
    /// Whether samples are feature vectors, of a file or of a pretrained network.
    pub vectors: bool,
    /// Number of classes K.
    pub num_classes: usize,
    /// The parts, where the data are at hand or were; unknown where a grid is checked against what
    /// it expects.
    pub parts: Option<Parts>,
}

/// The parts of the data that a run trains on and chooses by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parts {
    /// Training samples.
    pub num_train: usize,
    /// Whether there is a validation part.
    pub has_val: bool,
}

impl DataFacts {
    /// The facts of prepared data.
    pub fn of(prepared: &Prepared) -> Self {
        Self {
            shape: prepared.shape,
            vectors: matches!(*prepared.train.pixels, Pixels::Vectors(_)),
            num_classes: prepared.classes.len(),
            parts: Some(Parts { num_train: prepared.train.len(), has_val: prepared.val.is_some() }),
        }
    }
}
