//! The network for images that are trained from nothing: stages of two 3×3 convolutions without bias,
//! each followed by BatchNorm and ReLU, with 2×2 max pooling at the end of a stage, then the mean over
//! the places that are left.
//!
//! The number of stages follows from the size of the images, so that about 4×4 places are left: 32×32
//! images have three stages, with w, 2w and 4w channels. The mean takes no parameters, however large
//! the images are; a fully connected layer in its place would hold most of them, and with them most
//! of what is needed to learn wrong labels by heart.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use pemm_data::{Rng, Shape};
use pemm_experiment::backbones::cnn_channels;

use super::cnn8::ConvBlock;
use crate::layers::Conv2d;

/// See the module's documentation.
#[derive(Module, Debug)]
pub struct Cnn {
    /// Two of each stage.
    pub blocks: Vec<ConvBlock>,
}

impl Cnn {
    /// Builds the network for images of `shape`, both sides at least 8.
    pub fn new(width: usize, shape: Shape, rng: &mut Rng, device: &Device) -> Self {
        let mut inputs = shape.channels;
        let mut blocks = Vec::new();
        for outputs in cnn_channels(width, shape) {
            for pools in [false, true] {
                let conv = Conv2d::he([inputs, outputs], 3, 1, rng, device);
                blocks.push(ConvBlock::new(conv, outputs, pools, device));
                inputs = outputs;
            }
        }
        Self { blocks }
    }

    /// Size D of the features: the channels of the last stage.
    pub fn num_features(&self) -> usize {
        self.blocks.last().map_or(0, |block| block.norm.bias.dims()[0])
    }

    /// Features, `[N, C, H, W]` → `[N, D]`, none negative.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let last = self.blocks.iter().fold(images, |x, block| block.forward(x)); // [N, D, ~4, ~4]
        let flat: Tensor<3> = last.flatten(2, 3);
        flat.mean_dim(2).squeeze_dim(2)
    }
}
