//! Residual networks for small images (He et al. 2016, section 4.2): a 3×3 convolution to 16
//! channels, three stages of n blocks with 16, 32 and 64 channels, global average pooling; 6n + 2
//! layers in all. Shortcuts have no parameters (option A): where a stage begins they take every
//! second pixel and pad the new channels with zeros. ResNet-44 with a linear head has 658,586
//! parameters for 10 classes.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use pemm_conv::NormalizedConv;
use pemm_data::{Rng, Shape};

use crate::layers::{After, BatchNorm, Conv2d, is_training};

/// Two 3×3 convolutions beside a shortcut.
#[derive(Module, Debug)]
pub struct ResidualBlock {
    /// Has the block's stride.
    pub conv1: Conv2d,
    /// After `conv1`.
    pub norm1: BatchNorm,
    /// Stride 1.
    pub conv2: Conv2d,
    /// After `conv2`.
    pub norm2: BatchNorm,
    halves: bool,
}

impl ResidualBlock {
    fn new(inputs: usize, outputs: usize, rng: &mut Rng, device: &Device) -> Self {
        let halves = inputs != outputs;
        let stride = if halves { 2 } else { 1 };
        Self {
            conv1: Conv2d::he([inputs, outputs], 3, stride, rng, device),
            norm1: BatchNorm::new(outputs, device),
            conv2: Conv2d::he([outputs, outputs], 3, 1, rng, device),
            norm2: BatchNorm::new(outputs, device),
            halves,
        }
    }

    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let [input, shortcut] = pemm_conv::fork(input);
        let inner = self.norm1.forward_conv(&self.conv1, input, After::Relu);
        let residual = self.norm2.forward_conv(&self.conv2, inner, After::Nothing);
        let shortcut = if self.halves { pemm_conv::halve(shortcut) } else { shortcut };
        pemm_conv::add_relu(residual, shortcut)
    }

    /// Such blocks one after the other in training, where sizes stay: as one operation they are faster.
    fn forward_together(blocks: &[Self], input: Tensor<4>) -> Tensor<4> {
        let [n, _, height, width] = input.dims();
        let pairs = blocks.iter().map(|block| {
            [(&block.conv1, &block.norm1), (&block.conv2, &block.norm2)].map(|(conv, norm)| {
                let (gamma, beta) = (norm.weight.val(), norm.bias.val());
                NormalizedConv { weight: conv.weight.val(), gamma, beta }
            })
        });
        let result = pemm_conv::residual_blocks(input, pairs.collect(), BatchNorm::EPSILON);
        let norms = blocks.iter().flat_map(|block| [&block.norm1, &block.norm2]);
        for (norm, [mean, variance]) in norms.zip(result.moments) {
            norm.update_running(mean, variance, n * height * width);
        }
        result.output
    }
}

/// See the module's documentation.
#[derive(Module, Debug)]
pub struct ResNet {
    /// To 16 channels.
    pub conv: Conv2d,
    /// After `conv`.
    pub norm: BatchNorm,
    /// All 3n blocks in order.
    pub blocks: Vec<ResidualBlock>,
}

impl ResNet {
    /// Channels of the three stages.
    pub const CHANNELS: [usize; 3] = [16, 32, 64];

    /// The network with `depth` = 6n + 2 layers.
    pub fn new(depth: usize, shape: Shape, rng: &mut Rng, device: &Device) -> Self {
        let per_stage = (depth - 2) / 6;
        let conv = Conv2d::he([shape.channels, Self::CHANNELS[0]], 3, 1, rng, device);
        let mut inputs = Self::CHANNELS[0];
        let mut blocks = Vec::with_capacity(3 * per_stage);
        for outputs in Self::CHANNELS {
            for _ in 0..per_stage {
                blocks.push(ResidualBlock::new(inputs, outputs, rng, device));
                inputs = outputs;
            }
        }
        Self { conv, norm: BatchNorm::new(Self::CHANNELS[0], device), blocks }
    }

    /// Size D of the features, 64.
    pub fn num_features(&self) -> usize {
        Self::CHANNELS[2]
    }

    /// Features, `[N, C, H, W]` → `[N, 64]`, none negative.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let first = self.norm.forward_conv(&self.conv, images, After::Relu);
        let stages = self.blocks.chunk_by(|_, next| !next.halves);
        let last = stages.fold(first, |x, stage| match stage {
            [first, others @ ..] if is_training(&x) && first.halves => {
                ResidualBlock::forward_together(others, first.forward(x))
            }
            _ if is_training(&x) => ResidualBlock::forward_together(stage, x),
            _ => stage.iter().fold(x, |x, block| block.forward(x)),
        }); // [N, 64, H/4, W/4]
        let flat: Tensor<3> = last.flatten(2, 3);
        flat.mean_dim(2).squeeze_dim(2)
    }
}
