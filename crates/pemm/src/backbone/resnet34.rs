//! ResNet-34 for small images: the blocks of He et al. 2016, Table 1, behind a 3×3 convolution of stride 1
//! instead of the 7×7 one and the maximum, which would leave 8×8 places of 32×32 pixels; then 3, 4, 6 and 3
//! blocks with 64, 128, 256 and 512 channels, global average pooling. Tensor names are torchvision's.
//! 21,276,992 parameters without head, for three channels.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use pemm_data::{Rng, Shape};

use crate::layers::{After, BatchNorm, Conv2d};

/// Two 3×3 convolutions, and the way around.
#[derive(Module, Debug)]
pub struct BasicBlock {
    /// With the stride.
    pub conv1: Conv2d,
    /// Its normalisation.
    pub bn1: BatchNorm,
    /// Stride 1.
    pub conv2: Conv2d,
    /// Its normalisation.
    pub bn2: BatchNorm,
    /// The way around where sizes change: a 1×1 convolution and its normalisation.
    pub downsample: Option<(Conv2d, BatchNorm)>,
}

impl BasicBlock {
    fn new([inputs, outputs]: [usize; 2], rng: &mut Rng, device: &Device) -> Self {
        let stride = if inputs == outputs { 1 } else { 2 };
        let conv1 = Conv2d::he([inputs, outputs], 3, stride, rng, device);
        let conv2 = Conv2d::he([outputs, outputs], 3, 1, rng, device);
        let downsample = (inputs != outputs).then(|| {
            let conv = Conv2d::he([inputs, outputs], 1, stride, rng, device);
            (conv, BatchNorm::new(outputs, device))
        });
        let [bn1, bn2] = [BatchNorm::new(outputs, device), BatchNorm::new(outputs, device)];
        Self { conv1, bn1, conv2, bn2, downsample }
    }

    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let [input, around] = pemm_conv::fork(input);
        let inner = self.bn1.forward_conv(&self.conv1, input, After::Relu);
        let residual = self.bn2.forward_conv(&self.conv2, inner, After::Nothing);
        let around = match &self.downsample {
            Some((conv, norm)) => norm.forward(conv.forward(around), After::Nothing),
            None => around,
        };
        pemm_conv::add_relu(residual, around)
    }
}

/// See the module's documentation.
#[derive(Module, Debug)]
pub struct ResNet34 {
    /// 3×3.
    pub conv1: Conv2d,
    /// Its normalisation.
    pub bn1: BatchNorm,
    /// 3 blocks.
    pub layer1: Vec<BasicBlock>,
    /// 4 blocks; the first halves height and width, as those of the next two stages do.
    pub layer2: Vec<BasicBlock>,
    /// 6 blocks.
    pub layer3: Vec<BasicBlock>,
    /// 3 blocks.
    pub layer4: Vec<BasicBlock>,
}

impl ResNet34 {
    /// Feature size D.
    pub const NUM_FEATURES: usize = 512;

    /// Builds the network for images of `shape`, both sides at least 8.
    pub fn new(shape: Shape, rng: &mut Rng, device: &Device) -> Self {
        let conv1 = Conv2d::he([shape.channels, 64], 3, 1, rng, device);
        let mut inputs = 64;
        let mut stage = |outputs: usize, num: usize| {
            let blocks = (0..num).map(|_| {
                let block = BasicBlock::new([inputs, outputs], rng, device);
                inputs = outputs;
                block
            });
            blocks.collect::<Vec<_>>()
        };
        Self {
            conv1,
            bn1: BatchNorm::new(64, device),
            layer1: stage(64, 3),
            layer2: stage(128, 4),
            layer3: stage(256, 6),
            layer4: stage(512, 3),
        }
    }

    /// Features, `[N, C, H, W]` → `[N, 512]`, none negative.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let first = self.bn1.forward_conv(&self.conv1, images, After::Relu); // [N, 64, H, W]
        let stages = [&self.layer1, &self.layer2, &self.layer3, &self.layer4];
        let blocks = stages.into_iter().flatten();
        let last = blocks.fold(first, |x, block| block.forward(x)); // [N, 512, H/8, W/8]
        let flat: Tensor<3> = last.flatten(2, 3);
        flat.mean_dim(2).squeeze_dim(2)
    }
}
