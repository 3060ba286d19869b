//! Fully connected layers, each followed by BatchNorm and ReLU: two for vectors and tiny images, one
//! for the features of a pretrained network.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use pemm_data::{Rng, Shape};

use crate::layers::{BatchNorm, Linear};

/// See the module's documentation.
#[derive(Module, Debug)]
pub struct Mlp {
    /// Fully connected layers.
    pub layers: Vec<Linear>,
    /// One after each layer.
    pub norms: Vec<BatchNorm>,
}

impl Mlp {
    /// Two layers of `width` units; images are flattened.
    pub fn new(width: usize, shape: Shape, rng: &mut Rng, device: &Device) -> Self {
        Self::of_sizes(&[shape.len(), width, width], rng, device)
    }

    /// One layer of `width` units.
    pub fn hidden(width: usize, shape: Shape, rng: &mut Rng, device: &Device) -> Self {
        Self::of_sizes(&[shape.len(), width], rng, device)
    }

    fn of_sizes(sizes: &[usize], rng: &mut Rng, device: &Device) -> Self {
        Self {
            layers: sizes.windows(2).map(|s| Linear::new([s[0], s[1]], rng, device)).collect(),
            norms: sizes[1..].iter().map(|&size| BatchNorm::new(size, device)).collect(),
        }
    }

    /// Size D of the features.
    pub fn num_features(&self) -> usize {
        self.layers[self.layers.len() - 1].bias.dims()[0]
    }

    /// Features, `[N, C, H, W]` → `[N, width]`, none negative.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let flat: Tensor<2> = images.flatten(1, 3);
        self.layers
            .iter()
            .zip(&self.norms)
            .fold(flat, |x, (layer, norm)| norm.forward_vectors(layer.forward(x)))
    }
}
