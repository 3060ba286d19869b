//! The paper's network for CIFAR-10, in the form of its authors' script: six 3×3 convolutions with
//! bias, each followed by BatchNorm and ReLU, in three blocks that end in 2×2 max pooling, then a
//! fully connected layer with BatchNorm and ReLU, whose output are the features.
//!
//! For width w the channels are w, w, 2w, 2w, 49w/16, 49w/16 and the features 4w; w = 64 gives the
//! paper's 64, 128, 196 and 256.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use pemm_data::{Rng, Shape};

use crate::layers::{After, BatchNorm, Conv2d, Linear};

/// Convolution, BatchNorm, ReLU, and 2×2 max pooling at the end of a block of two.
#[derive(Module, Debug)]
pub struct ConvBlock {
    /// 3×3, stride 1.
    pub conv: Conv2d,
    /// Over the convolution's output.
    pub norm: BatchNorm,
    pools: bool,
}

impl ConvBlock {
    pub(super) fn new(conv: Conv2d, outputs: usize, pools: bool, device: &Device) -> Self {
        Self { conv, norm: BatchNorm::new(outputs, device), pools }
    }

    pub(super) fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let after = if self.pools { After::ReluPool } else { After::Relu };
        self.norm.forward_conv(&self.conv, input, after)
    }
}

/// See the module's documentation.
#[derive(Module, Debug)]
pub struct Cnn8 {
    /// The six convolutions.
    pub blocks: Vec<ConvBlock>,
    /// Fully connected to the features.
    pub fc: Linear,
    /// Over the features.
    pub norm: BatchNorm,
}

impl Cnn8 {
    /// Builds the network for images of `shape`, both sides at least 8: three poolings must leave a pixel.
    pub fn new(width: usize, shape: Shape, rng: &mut Rng, device: &Device) -> Self {
        let third = (49 * width / 16).max(1);
        let channels = [shape.channels, width, width, 2 * width, 2 * width, third, third];
        let blocks = (0..6)
            .map(|i| {
                let conv = Conv2d::new([channels[i], channels[i + 1]], 3, rng, device);
                ConvBlock::new(conv, channels[i + 1], i % 2 == 1, device)
            })
            .collect();
        let flat = third * (shape.height / 8) * (shape.width / 8);
        Self {
            blocks,
            fc: Linear::new([flat, 4 * width], rng, device),
            norm: BatchNorm::new(4 * width, device),
        }
    }

    /// Size D of the features, 4w.
    pub fn num_features(&self) -> usize {
        self.fc.bias.dims()[0]
    }

    /// Features, `[N, C, H, W]` → `[N, 4w]`, none negative.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let output = self.blocks.iter().fold(images, |x, block| block.forward(x)); // [N, 49w/16, H/8, W/8]
        self.norm.forward_vectors(self.fc.forward(output.flatten(1, 3)))
    }
}
