//! ResNet-50 for photographs (He et al. 2016, Table 1), with torchvision's tensor names, so that its
//! ImageNet weights load: a 7×7 convolution of stride 2 and a 3×3 maximum of stride 2, then 3, 4, 6
//! and 3 bottlenecks with 256, 512, 1,024 and 2,048 channels, global average pooling. As torchvision
//! has it ("v1.5"), the 3×3 convolution of a bottleneck takes the stride, the paper's first one does
//! not. 23,508,032 parameters without head, for three channels.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use pemm_conv::NormalizedConv;
use pemm_data::{Rng, Shape};

use crate::layers::{After, BatchNorm, Conv2d, is_training};

/// 1×1 to fewer channels, 3×3, 1×1 to four times as many, and the way around.
#[derive(Module, Debug)]
pub struct Bottleneck {
    /// To fewer channels.
    pub conv1: Conv2d,
    /// Its normalisation.
    pub bn1: BatchNorm,
    /// 3×3, with the stride.
    pub conv2: Conv2d,
    /// Its normalisation.
    pub bn2: BatchNorm,
    /// To four times as many channels.
    pub conv3: Conv2d,
    /// Its normalisation.
    pub bn3: BatchNorm,
    /// The way around where sizes change: a 1×1 convolution and its normalisation.
    pub downsample: Option<(Conv2d, BatchNorm)>,
}

impl Bottleneck {
    /// Channels out over channels inside.
    const EXPANSION: usize = 4;

    fn new([inputs, inner]: [usize; 2], stride: usize, rng: &mut Rng, device: &Device) -> Self {
        let outputs = Self::EXPANSION * inner;
        let conv1 = Conv2d::he([inputs, inner], 1, 1, rng, device);
        let conv2 = Conv2d::he([inner, inner], 3, stride, rng, device);
        let conv3 = Conv2d::he([inner, outputs], 1, 1, rng, device);
        let downsample = (stride > 1 || inputs != outputs).then(|| {
            let conv = Conv2d::he([inputs, outputs], 1, stride, rng, device);
            (conv, BatchNorm::new(outputs, device))
        });
        Self {
            conv1,
            bn1: BatchNorm::new(inner, device),
            conv2,
            bn2: BatchNorm::new(inner, device),
            conv3,
            bn3: BatchNorm::new(outputs, device),
            downsample,
        }
    }

    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        if is_training(&input) {
            return self.forward_together(input);
        }
        let around = match &self.downsample {
            Some((conv, norm)) => norm.forward_conv(conv, input.clone(), After::Nothing),
            None => input.clone(),
        };
        let inner = self.bn1.forward_conv(&self.conv1, input, After::Relu);
        let inner = self.bn2.forward_conv(&self.conv2, inner, After::Relu);
        self.bn3.forward_joined(&self.conv3, inner, around)
    }

    /// The same in training: as one operation it keeps less for the way back, and passes over less.
    fn forward_together(&self, input: Tensor<4>) -> Tensor<4> {
        let [batch, _, height, width] = input.dims();
        let stride = self.conv2.stride;
        let pairs = [(&self.conv1, &self.bn1), (&self.conv2, &self.bn2), (&self.conv3, &self.bn3)];
        let around = self.downsample.as_ref().map(|(conv, norm)| (conv, norm));
        let strides = [1, stride, 1, stride];
        let all = || pairs.into_iter().chain(around);
        assert!(
            all().zip(strides).all(|((conv, _), by)| conv.bias.is_none() && conv.stride == by),
            "a bottleneck has no biases, and its 3×3 convolution has the stride"
        );
        let layer = |(conv, norm): (&Conv2d, &BatchNorm)| {
            let (gamma, beta) = (norm.weight.val(), norm.bias.val());
            NormalizedConv { weight: conv.weight.val(), gamma, beta }
        };
        let epsilon = BatchNorm::EPSILON;
        let (layers, way) = (pairs.map(layer), around.map(layer));
        let result = pemm_conv::bottleneck_train(input, layers, way, stride, epsilon);
        let smaller = batch * height.div_ceil(stride) * width.div_ceil(stride);
        let places = [batch * height * width, smaller, smaller, smaller];
        for (((_, norm), [mean, variance]), count) in all().zip(result.moments).zip(places) {
            norm.update_running(mean, variance, count);
        }
        result.output
    }
}

/// ResNet-50.
#[derive(Module, Debug)]
pub struct ResNet50 {
    /// 7×7.
    pub conv1: Conv2d,
    /// Its normalisation.
    pub bn1: BatchNorm,
    /// 3 bottlenecks.
    pub layer1: Vec<Bottleneck>,
    /// 4 bottlenecks; the first halves height and width, as those of the next two stages do.
    pub layer2: Vec<Bottleneck>,
    /// 6 bottlenecks.
    pub layer3: Vec<Bottleneck>,
    /// 3 bottlenecks.
    pub layer4: Vec<Bottleneck>,
}

impl ResNet50 {
    /// Feature size D.
    pub const NUM_FEATURES: usize = 2048;
    /// Builds the network for images of `shape`, both sides at least 32: five halvings must leave a
    /// pixel.
    pub fn new(shape: Shape, rng: &mut Rng, device: &Device) -> Self {
        let conv1 = Conv2d::he([shape.channels, 64], 7, 2, rng, device);
        let mut inputs = 64;
        let mut stage = |inner: usize, num: usize, stride: usize| {
            let blocks = (0..num).map(|place| {
                let stride = if place == 0 { stride } else { 1 };
                let block = Bottleneck::new([inputs, inner], stride, rng, device);
                inputs = Bottleneck::EXPANSION * inner;
                block
            });
            blocks.collect::<Vec<_>>()
        };
        Self {
            conv1,
            bn1: BatchNorm::new(64, device),
            layer1: stage(64, 3, 1),
            layer2: stage(128, 4, 2),
            layer3: stage(256, 6, 2),
            layer4: stage(512, 3, 2),
        }
    }

    /// Features, `[N, C, H, W]` → `[N, 2048]`, none negative.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let first = self.bn1.forward_conv(&self.conv1, images, After::Relu); // [N, 64, H/2, W/2]
        let first = pemm_conv::max_pool(first);
        let stages = [&self.layer1, &self.layer2, &self.layer3, &self.layer4];
        let blocks = stages.into_iter().flatten();
        let last = blocks.fold(first, |x, block| block.forward(x)); // [N, 2048, H/32, W/32]
        pemm_conv::mean_pixel(last)
    }
}
