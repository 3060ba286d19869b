//! No layer: the features are the sample itself, flattened.

use burn::module::Module;
use burn::tensor::Tensor;
use pemm_data::Shape;

/// See the module's documentation.
#[derive(Module, Debug)]
pub struct Identity {
    num_features: usize,
}

impl Identity {
    /// For samples of `shape`.
    pub fn new(shape: Shape) -> Self {
        Self { num_features: shape.len() }
    }

    /// Size D of the features.
    pub fn num_features(&self) -> usize {
        self.num_features
    }

    /// `[N, C, H, W]` → `[N, C·H·W]`.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        images.flatten(1, 3)
    }
}
