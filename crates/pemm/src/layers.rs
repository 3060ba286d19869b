//! The layers that the backbones are made of, with PyTorch's tensor names and layouts, so that a
//! saved model loads there without renaming or transposing.
//!
//! Weights are filled from our own random stream, because Burn's initialisers draw from a
//! generator whose values may change between versions.

use burn::module::{Module, Param, RunningState};
use burn::tensor::{Device, Tensor, TensorData, activation, module as functional};
pub use pemm_conv::After;
use pemm_data::Rng;

/// Whether a layer uses the statistics of the batch (and updates the running ones) or the running
/// ones. Training happens on autodiff devices only, so the device says which.
pub(crate) fn is_training<const D: usize>(input: &Tensor<D>) -> bool {
    input.device().is_autodiff()
}

/// A parameter drawn uniformly from `[-bound, bound)`.
pub(crate) fn uniform<const D: usize>(
    shape: [usize; D],
    bound: f64,
    rng: &mut Rng,
    device: &Device,
) -> Param<Tensor<D>> {
    filled(shape, device, || rng.uniform(-bound, bound))
}

/// A parameter drawn from a normal distribution with mean 0.
pub(crate) fn normal<const D: usize>(
    shape: [usize; D],
    deviation: f64,
    rng: &mut Rng,
    device: &Device,
) -> Param<Tensor<D>> {
    filled(shape, device, || deviation * rng.normal())
}

fn filled<const D: usize>(
    shape: [usize; D],
    device: &Device,
    mut draw: impl FnMut() -> f64,
) -> Param<Tensor<D>> {
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| draw() as f32).collect();
    Param::from_data(TensorData::new(values, shape), device)
}

fn constant(len: usize, value: f32, device: &Device) -> Param<Tensor<1>> {
    Param::from_data(TensorData::new(vec![value; len], [len]), device)
}

/// A square convolution with zero padding that keeps the size at stride 1.
///
/// # Shapes
/// `[N, C_in, H, W]` → `[N, C_out, ⌈H/stride⌉, ⌈W/stride⌉]`; `weight` is
/// `[C_out, C_in, kernel, kernel]`, `bias` is `[C_out]`.
#[derive(Module, Debug)]
pub struct Conv2d {
    /// `[C_out, C_in, kernel, kernel]`.
    pub weight: Param<Tensor<4>>,
    /// `[C_out]`, if the convolution has one.
    pub bias: Option<Param<Tensor<1>>>,
    pub(crate) stride: usize,
}

impl Conv2d {
    /// PyTorch's default: weight and bias from U(-1/√fan_in, 1/√fan_in).
    pub fn new(
        [inputs, outputs]: [usize; 2],
        kernel: usize,
        rng: &mut Rng,
        device: &Device,
    ) -> Self {
        let bound = 1.0 / ((inputs * kernel * kernel) as f64).sqrt();
        let weight = uniform([outputs, inputs, kernel, kernel], bound, rng, device);
        let bias = Some(uniform([outputs], bound, rng, device));
        Self { weight, bias, stride: 1 }
    }

    /// He et al. 2015 for a convolution that BatchNorm follows: no bias,
    /// weight from N(0, 2/(kernel² · C_out)).
    pub fn he(
        [inputs, outputs]: [usize; 2],
        kernel: usize,
        stride: usize,
        rng: &mut Rng,
        device: &Device,
    ) -> Self {
        let deviation = (2.0 / (kernel * kernel * outputs) as f64).sqrt();
        let weight = normal([outputs, inputs, kernel, kernel], deviation, rng, device);
        Self { weight, bias: None, stride }
    }

    /// Applies the convolution.
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let pad = self.weight.dims()[2] / 2;
        let bias = self.bias.as_ref().map(Param::val);
        pemm_conv::conv2d(input, self.weight.val(), bias, [self.stride; 2], [pad; 2])
    }
}

/// A fully connected layer, `y = x · weightᵀ + bias`.
///
/// # Shapes
/// `[N, D_in]` → `[N, D_out]`; `weight` is `[D_out, D_in]`.
#[derive(Module, Debug)]
pub struct Linear {
    /// `[D_out, D_in]`.
    pub weight: Param<Tensor<2>>,
    /// `[D_out]`.
    pub bias: Param<Tensor<1>>,
}

impl Linear {
    /// PyTorch's default: weight and bias from U(-1/√D_in, 1/√D_in).
    pub fn new([inputs, outputs]: [usize; 2], rng: &mut Rng, device: &Device) -> Self {
        let bound = 1.0 / (inputs as f64).sqrt();
        Self {
            weight: uniform([outputs, inputs], bound, rng, device),
            bias: uniform([outputs], bound, rng, device),
        }
    }

    /// Applies the layer.
    pub fn forward(&self, input: Tensor<2>) -> Tensor<2> {
        input.matmul(self.weight.val().transpose()) + self.bias.val().unsqueeze()
    }
}

/// Batch normalisation over every axis but the second.
///
/// `y = (x - mean) / √(var + 1e-5) · weight + bias`. In training mean and (biased) variance are
/// those of the batch, and the running ones move towards them by 0.1. As in PyTorch, and unlike
/// Burn's own layer, the running variance takes the *unbiased* estimate, which matters for the
/// fully connected layers, where it is taken over N values only.
#[derive(Module, Debug)]
pub struct BatchNorm {
    /// Scale, `[C]`.
    pub weight: Param<Tensor<1>>,
    /// Shift, `[C]`.
    pub bias: Param<Tensor<1>>,
    /// Mean used in evaluation, `[C]`.
    pub running_mean: RunningState<Tensor<1>>,
    /// Variance used in evaluation, `[C]`.
    pub running_var: RunningState<Tensor<1>>,
}

impl BatchNorm {
    pub(crate) const EPSILON: f64 = 1e-5;
    const MOMENTUM: f64 = 0.1;

    /// Scale 1, shift 0, running mean 0, running variance 1.
    pub fn new(channels: usize, device: &Device) -> Self {
        Self {
            weight: constant(channels, 1.0, device),
            bias: constant(channels, 0.0, device),
            running_mean: RunningState::new(Tensor::zeros([channels], device)),
            running_var: RunningState::new(Tensor::ones([channels], device)),
        }
    }

    /// Normalises images, `[N, C, H, W]`, and does `after` in the same pass.
    pub fn forward(&self, input: Tensor<4>, after: After) -> Tensor<4> {
        let (weight, bias) = (self.weight.val(), self.bias.val());
        if is_training(&input) {
            let [n, _, height, width] = input.dims();
            let result = pemm_conv::batch_norm_train(input, weight, bias, Self::EPSILON, after);
            self.update_running(result.mean, result.variance, n * height * width);
            result.output
        } else {
            let running = [self.running_mean.value(), self.running_var.value()];
            pemm_conv::batch_norm(input, [weight, bias], running, Self::EPSILON, after)
        }
    }

    /// Applies `conv`, normalises, and does `after`, as one operation.
    pub fn forward_conv(&self, conv: &Conv2d, input: Tensor<4>, after: After) -> Tensor<4> {
        let weight = conv.weight.val();
        let pad = weight.dims()[2] / 2;
        let layer = pemm_conv::Layer {
            stride: [conv.stride; 2],
            padding: [pad; 2],
            epsilon: Self::EPSILON,
            after,
        };
        let bias = conv.bias.as_ref().map(Param::val);
        let norm = [self.weight.val(), self.bias.val()];
        if !is_training(&input) {
            let running = [self.running_mean.value(), self.running_var.value()];
            return pemm_conv::conv_norm(input, weight, bias, norm, running, layer);
        }
        let [n, _, height, width] = input.dims();
        let [height, width] = [height, width].map(|side| side.div_ceil(conv.stride));
        let result = pemm_conv::conv_norm_train(input, weight, bias, norm, layer);
        self.update_running(result.mean, result.variance, n * height * width);
        result.output
    }

    /// The end of a bottleneck in evaluation: applies `conv`, normalises, adds `shortcut` and sets negative values
    /// to 0.
    ///
    /// # Panics
    /// In training, or if `conv` is not 1×1 with stride 1 and without a bias, or the sizes do not match.
    pub fn forward_joined(
        &self,
        conv: &Conv2d,
        input: Tensor<4>,
        shortcut: Tensor<4>,
    ) -> Tensor<4> {
        assert!(
            conv.bias.is_none() && conv.stride == 1,
            "a bottleneck ends with a convolution without a bias and of stride 1"
        );
        assert!(!is_training(&input), "in training a bottleneck is one operation");
        let (weight, norm) = (conv.weight.val(), [self.weight.val(), self.bias.val()]);
        let running = [self.running_mean.value(), self.running_var.value()];
        pemm_conv::conv_norm_join(input, weight, norm, running, shortcut, Self::EPSILON)
    }

    /// Normalises vectors, `[N, C]`, then sets negative values to 0.
    pub fn forward_vectors(&self, input: Tensor<2>) -> Tensor<2> {
        let (weight, bias) = (self.weight.val(), self.bias.val());
        if is_training(&input) {
            let [n, _] = input.dims();
            let result = pemm_conv::batch_norm_train_vectors(input, weight, bias, Self::EPSILON);
            self.update_running(result.mean, result.variance, n);
            result.output
        } else {
            let [mean, var] = [self.running_mean.value(), self.running_var.value()];
            activation::relu(functional::batch_norm(input, weight, bias, mean, var, Self::EPSILON))
        }
    }

    /// Moves the running statistics towards those of a batch of `count` values per channel.
    pub(crate) fn update_running(&self, mean: Tensor<1>, variance: Tensor<1>, count: usize) {
        let unbiased = count as f64 / (count as f64 - 1.0).max(1.0);
        let keep = 1.0 - Self::MOMENTUM;
        self.running_mean.update(
            (self.running_mean.value_sync() * keep + mean.detach() * Self::MOMENTUM).detach(),
        );
        self.running_var.update(
            (self.running_var.value_sync() * keep
                + variance.detach() * (Self::MOMENTUM * unbiased))
                .detach(),
        );
    }
}
