//! The kernels as operations of Burn: `conv2d` and `batch_norm` on tensors, with gradients.
//!
//! Burn's tensors find their backend at run time, so each function looks whether the kernels have its
//! case ([`KernelOps`]). Other backends, number types and cases take Burn's own operations.

use burn::backend::{Dispatch, DispatchTensor, DispatchTensorKind, TensorMetadata};
use burn::tensor::ops::{ConvOptions, MaxPoolOptions};
use burn::tensor::{DType, Device, Tensor, activation, module, s};

use crate::convolution;
use crate::descent::Descent;
use crate::extension::KernelOps;
use crate::normalization::After;
use crate::recording::can_record;

/// How a convolution and the normalization after it go.
#[derive(Clone, Copy, Debug)]
pub struct Layer {
    /// Steps of the filter down and right.
    pub stride: [usize; 2],
    /// Zeros on both sides of each axis.
    pub padding: [usize; 2],
    /// What is added to the variance, ε.
    pub epsilon: f64,
    /// What follows.
    pub after: After,
}

/// Whether the kernels have this tensor: on Flex, in single precision, plain or with autodiff.
fn suits(tensor: &DispatchTensor) -> bool {
    let on_flex = match &tensor.kind {
        DispatchTensorKind::Flex(_) => true,
        DispatchTensorKind::Autodiff(inner) => matches!(**inner, DispatchTensorKind::Flex(_)),
        #[allow(unreachable_patterns)]
        _ => false,
    };
    on_flex && tensor.kind.dtype() == DType::F32
}

/// Whether the kernels for GPUs have this tensor: there, in single precision, plain or with autodiff.
#[cfg(feature = "gpu")]
fn on_gpu(tensor: &DispatchTensor) -> bool {
    let on_gpu = match &tensor.kind {
        DispatchTensorKind::Cube(_) => true,
        DispatchTensorKind::Autodiff(inner) => matches!(**inner, DispatchTensorKind::Cube(_)),
        #[allow(unreachable_patterns)]
        _ => false,
    };
    on_gpu && tensor.kind.dtype() == DType::F32
}

/// Two-dimensional convolution (cross-correlation), `stride` down and right, `padding` zeros on
/// both sides of each axis, without groups or dilation; differentiable by all three tensors.
///
/// Shapes: `x` \[N, I, H, W\], `weight` \[O, I, h, w\], `bias` \[O\] → \[N, O, H', W'\] with
/// H' = ⌊(H + 2·padding − h) / stride⌋ + 1, W' likewise. On Flex the result lies channels-last in
/// memory, which the operations of this crate read without a copy and Burn's read too.
///
/// # Panics
/// If the channels do not match, a stride is 0, or the filter is larger than the padded image.
pub fn conv2d(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    stride: [usize; 2],
    padding: [usize; 2],
) -> Tensor<4> {
    if !fits(&x, &weight, bias.as_ref(), stride, padding) {
        return module::conv2d(x, weight, bias, ConvOptions::new(stride, padding, [1, 1], 1));
    }
    let (x, weight) = (x.into_dispatch(), weight.into_dispatch());
    let bias = bias.map(Tensor::into_dispatch);
    Tensor::from_dispatch(match bias {
        Some(bias) => Dispatch::kernel_conv2d_bias(x, weight, bias, stride, padding),
        None => Dispatch::kernel_conv2d(x, weight, stride, padding),
    })
}

/// Whether the kernels have the convolution of these tensors.
fn fits(
    x: &Tensor<4>,
    weight: &Tensor<4>,
    bias: Option<&Tensor<1>>,
    stride: [usize; 2],
    padding: [usize; 2],
) -> bool {
    let ([_, ins, height, width], [outs, per_group, down, across]) = (x.dims(), weight.dims());
    ins == per_group
        && stride[0].min(stride[1]) > 0
        && (1..=height + 2 * padding[0]).contains(&down)
        && (1..=width + 2 * padding[1]).contains(&across)
        && bias.is_none_or(|bias| bias.dims() == [outs])
        && suits(&x.clone().into_dispatch())
        && suits(&weight.clone().into_dispatch())
        && bias.is_none_or(|bias| suits(&bias.clone().into_dispatch()))
}

/// Whether the kernels have this row of so many channels.
fn is_row(row: &Tensor<1>, channels: usize) -> bool {
    row.dims() == [channels] && suits(&row.clone().into_dispatch())
}

/// The same without autodiff.
fn is_plain_row(row: &Tensor<1>, channels: usize) -> bool {
    is_row(row, channels) && !row.device().is_autodiff()
}

/// What [`batch_norm_train`] and [`batch_norm_train_vectors`] return.
#[derive(Clone, Debug)]
pub struct Normalized<const D: usize> {
    /// The normalized input after what follows, \[N, C, H', W'\] or \[N, C\].
    pub output: Tensor<D>,
    /// Mean of each channel, \[C\], detached.
    pub mean: Tensor<1>,
    /// Variance of each channel, divided by N·H·W, \[C\], detached.
    pub variance: Tensor<1>,
}

/// Batch normalization by the statistics of the batch, then `after`, in one pass; differentiable
/// by `x`, `gamma` and `beta`. The running statistics are the caller's.
///
/// y = after(γ·(x − mean) / √(variance + ε) + β)
///
/// Shapes: `x` \[N, C, H, W\], `gamma`, `beta` \[C\]; H and W are halved, rounded down, by
/// [`After::ReluPool`].
///
/// # Panics
/// If the channels do not match.
pub fn batch_norm_train(
    x: Tensor<4>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    epsilon: f64,
    after: After,
) -> Normalized<4> {
    let channels = x.dims()[1];
    assert!(
        gamma.dims() == [channels] && beta.dims() == [channels],
        "batch norm of {channels} channels takes that many scales and shifts, got {:?} and {:?}",
        gamma.dims(),
        beta.dims()
    );
    let [x, gamma, beta] = [x.into_dispatch(), gamma.into_dispatch(), beta.into_dispatch()];
    #[cfg(feature = "gpu")]
    if [&x, &gamma, &beta].into_iter().all(on_gpu) {
        return crate::gpu::batch_norm_train(x, gamma, beta, epsilon, after);
    }
    if ![&x, &gamma, &beta].into_iter().all(suits) {
        let x = Tensor::<4>::from_dispatch(x);
        let (gamma, beta) = (Tensor::from_dispatch(gamma), Tensor::from_dispatch(beta));
        let result = module::batch_norm_train(x, gamma, beta, epsilon);
        let output = follow(result.output, after);
        return Normalized { output, mean: result.mean, variance: result.variance };
    }
    let (output, mean, variance) =
        Dispatch::kernel_batch_norm_train(x, gamma, beta, epsilon, after);
    Normalized {
        output: Tensor::from_dispatch(output),
        mean: Tensor::from_dispatch(mean),
        variance: Tensor::from_dispatch(variance),
    }
}

/// [`batch_norm_train`] of vectors, then ReLU.
///
/// Shapes: `x` \[N, C\], `gamma`, `beta` \[C\].
///
/// # Panics
/// If the channels do not match.
pub fn batch_norm_train_vectors(
    x: Tensor<2>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    epsilon: f64,
) -> Normalized<2> {
    let [batch, channels] = x.dims();
    // Only there are the kernels the faster ones for so few numbers.
    if can_record(&x.device()) {
        let x = x.reshape([batch, channels, 1, 1]);
        let Normalized { output, mean, variance } =
            batch_norm_train(x, gamma, beta, epsilon, After::Relu);
        return Normalized { output: output.reshape([batch, channels]), mean, variance };
    }
    let result = module::batch_norm_train(x, gamma, beta, epsilon);
    let output = activation::relu(result.output);
    Normalized { output, mean: result.mean, variance: result.variance }
}

/// As [`batch_norm_train`], by given statistics (the running ones, for inference). Where a
/// gradient is asked for, Burn's own operations give it.
///
/// # Panics
/// If the channels do not match.
pub fn batch_norm(
    x: Tensor<4>,
    [gamma, beta]: [Tensor<1>; 2],
    [mean, variance]: [Tensor<1>; 2],
    epsilon: f64,
    after: After,
) -> Tensor<4> {
    let plain = !x.device().is_autodiff();
    let channels = x.dims()[1];
    let rows = [gamma, beta, mean, variance];
    let fits = rows.iter().all(|row| row.dims() == [channels] && !row.device().is_autodiff());
    let x = x.into_dispatch();
    let rows = rows.map(Tensor::into_dispatch);
    if plain && fits && suits(&x) && rows.iter().all(suits) {
        let [gamma, beta, mean, variance] = rows;
        let y = Dispatch::kernel_batch_norm(x, gamma, beta, mean, variance, epsilon, after);
        return Tensor::from_dispatch(y);
    }
    let [gamma, beta, mean, variance] = rows.map(Tensor::from_dispatch);
    let x = Tensor::from_dispatch(x);
    follow(module::batch_norm(x, gamma, beta, mean, variance, epsilon), after)
}

/// [`conv2d`] and [`batch_norm_train`] as one operation, differentiable by all tensors. The gradient by
/// the bias is exactly zero, for the normalization takes the bias away again.
///
/// Shapes: as there, `norm` is scale and shift.
///
/// # Panics
/// As there.
pub fn conv_norm_train(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    [gamma, beta]: [Tensor<1>; 2],
    layer: Layer,
) -> Normalized<4> {
    let Layer { stride, padding, epsilon, after } = layer;
    let outs = weight.dims()[0];
    let all_suit = fits(&x, &weight, bias.as_ref(), stride, padding)
        && [&gamma, &beta].into_iter().all(|row| is_row(row, outs));
    if !all_suit {
        let a = conv2d(x, weight, bias, stride, padding);
        return batch_norm_train(a, gamma, beta, epsilon, after);
    }
    let [x, weight] = [x, weight].map(Tensor::into_dispatch);
    let [gamma, beta] = [gamma, beta].map(Tensor::into_dispatch);
    let (output, mean, variance) = match bias.map(Tensor::into_dispatch) {
        Some(bias) => Dispatch::kernel_conv_norm_bias(x, weight, bias, gamma, beta, layer),
        None => Dispatch::kernel_conv_norm(x, weight, gamma, beta, layer),
    };
    Normalized {
        output: Tensor::from_dispatch(output),
        mean: Tensor::from_dispatch(mean),
        variance: Tensor::from_dispatch(variance),
    }
}

/// [`conv2d`] and [`batch_norm`] by given statistics as one operation, to the same numbers. Where a
/// gradient is asked for, these two give it.
///
/// Shapes: as there, `norm` is scale and shift, `given` mean and variance.
///
/// # Panics
/// As there.
pub fn conv_norm(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    norm: [Tensor<1>; 2],
    given: [Tensor<1>; 2],
    layer: Layer,
) -> Tensor<4> {
    let Layer { stride, padding, epsilon, after } = layer;
    let outs = weight.dims()[0];
    let all_suit = fits(&x, &weight, bias.as_ref(), stride, padding)
        && norm.iter().chain(&given).chain(&bias).all(|row| is_plain_row(row, outs))
        && ![x.device(), weight.device()].iter().any(Device::is_autodiff);
    if after == After::ReluPool || !all_suit {
        let a = conv2d(x, weight, bias, stride, padding);
        return batch_norm(a, norm, given, epsilon, after);
    }
    let bias = bias.unwrap_or_else(|| Tensor::zeros([outs], &x.device()));
    let [x, weight] = [x, weight].map(Tensor::into_dispatch);
    let [gamma, beta] = norm.map(Tensor::into_dispatch);
    let ([mean, variance], bias) = (given.map(Tensor::into_dispatch), bias.into_dispatch());
    let y = Dispatch::kernel_conv_normalized(x, weight, bias, gamma, beta, mean, variance, layer);
    Tensor::from_dispatch(y)
}

/// The end of a bottleneck by given statistics, for inference: a 1×1 convolution of stride 1 without a bias,
/// normalized, plus a shortcut, then ReLU. Where a gradient is asked for, [`conv_norm`] and [`add_relu`] give
/// it.
///
/// y = max(norm(x ∗ weight) + shortcut, 0)
///
/// Shapes: `x` \[N, I, H, W\], `weight` \[O, I, 1, 1\], `norm` is scale and shift, `given` mean and variance,
/// each \[O\], `shortcut` \[N, O, H, W\].
///
/// # Panics
/// If the shapes do not match.
pub fn conv_norm_join(
    x: Tensor<4>,
    weight: Tensor<4>,
    norm: [Tensor<1>; 2],
    given: [Tensor<1>; 2],
    shortcut: Tensor<4>,
    epsilon: f64,
) -> Tensor<4> {
    let ([batch, _, height, width], [outs, _, down, across]) = (x.dims(), weight.dims());
    assert_eq!([down, across], [1, 1], "a bottleneck ends with a filter of one pixel");
    assert_eq!(
        shortcut.dims(),
        [batch, outs, height, width],
        "both sides of a block end in one shape"
    );
    let layer = Layer { stride: [1, 1], padding: [0, 0], epsilon, after: After::Nothing };
    let images = [&x, &weight, &shortcut];
    let all_suit = fits(&x, &weight, None, layer.stride, layer.padding)
        && norm.iter().chain(&given).all(|row| is_plain_row(row, outs))
        && suits(&shortcut.clone().into_dispatch())
        && !images.iter().any(|tensor| tensor.device().is_autodiff());
    if !all_suit {
        return add_relu(conv_norm(x, weight, None, norm, given, layer), shortcut);
    }
    let [x, weight, shortcut] = [x, weight, shortcut].map(Tensor::into_dispatch);
    let [gamma, beta] = norm.map(Tensor::into_dispatch);
    let [mean, variance] = given.map(Tensor::into_dispatch);
    let y = Dispatch::kernel_conv_joined(x, weight, gamma, beta, mean, variance, shortcut, layer);
    Tensor::from_dispatch(y)
}

/// Weight of a convolution, and scale and shift of the normalization after it.
#[derive(Clone, Debug)]
pub struct NormalizedConv {
    /// \[C, I, h, w\]
    pub weight: Tensor<4>,
    /// \[C\]
    pub gamma: Tensor<1>,
    /// \[C\]
    pub beta: Tensor<1>,
}

/// What [`residual_blocks`] and [`bottleneck_train`] return.
#[derive(Clone, Debug)]
pub struct Residual {
    /// \[N, C, H, W\], none negative if there was a block.
    pub output: Tensor<4>,
    /// Mean and variance (divided by N·H·W) of the input of each normalization in turn, each \[C\],
    /// detached.
    pub moments: Vec<[Tensor<1>; 2]>,
}

/// Residual blocks of two 3×3 convolutions that keep sizes and channels, one after the other, in
/// training (He et al. 2016): y = max(norm₂(max(norm₁(x ∗ w₁), 0) ∗ w₂) + x, 0), each norm by the
/// statistics of the batch as in [`batch_norm_train`]; differentiable by all tensors. On Flex all
/// blocks are one operation, which reads and writes the activations half as often as its parts would.
///
/// Shapes: `x` \[N, C, H, W\] → \[N, C, H, W\].
///
/// # Panics
/// If the shapes do not match.
pub fn residual_blocks(x: Tensor<4>, blocks: Vec<[NormalizedConv; 2]>, epsilon: f64) -> Residual {
    let channels = x.dims()[1];
    assert!(
        blocks.iter().flatten().all(|conv| conv.weight.dims() == [channels, channels, 3, 3]
            && [&conv.gamma, &conv.beta].iter().all(|row| row.dims() == [channels])),
        "a residual block of {channels} channels has filters of 3×3 that keep them"
    );
    let fits = channels >= convolution::FEW
        && suits(&x.clone().into_dispatch())
        && blocks.iter().flatten().all(|conv| {
            suits(&conv.weight.clone().into_dispatch())
                && [&conv.gamma, &conv.beta]
                    .iter()
                    .all(|row| suits(&(*row).clone().into_dispatch()))
        });
    if fits && !blocks.is_empty() {
        let all = || blocks.iter().flatten();
        let weights: Tensor<5> = Tensor::stack(all().map(|conv| conv.weight.clone()).collect(), 0);
        let gammas: Tensor<2> = Tensor::stack(all().map(|conv| conv.gamma.clone()).collect(), 0);
        let betas: Tensor<2> = Tensor::stack(all().map(|conv| conv.beta.clone()).collect(), 0);
        let [weights, gammas, betas] =
            [weights.into_dispatch(), gammas.into_dispatch(), betas.into_dispatch()];
        let (output, means, variances) =
            Dispatch::kernel_residual(x.into_dispatch(), weights, gammas, betas, epsilon);
        let [means, variances] = [means, variances].map(Tensor::<2>::from_dispatch);
        let row = |rows: &Tensor<2>, index| rows.clone().slice(s![index, ..]).squeeze_dim::<1>(0);
        let moments = 0..2 * blocks.len();
        return Residual {
            output: Tensor::from_dispatch(output),
            moments: moments.map(|index| [row(&means, index), row(&variances, index)]).collect(),
        };
    }
    let mut moments = Vec::with_capacity(2 * blocks.len());
    let output = blocks.into_iter().fold(x, |x, [first, second]| {
        let [x, shortcut] = fork(x);
        let a = conv2d(x, first.weight, None, [1, 1], [1, 1]);
        let inner = batch_norm_train(a, first.gamma, first.beta, epsilon, After::Relu);
        let b = conv2d(inner.output, second.weight, None, [1, 1], [1, 1]);
        let last = batch_norm_train(b, second.gamma, second.beta, epsilon, After::Nothing);
        moments.extend([[inner.mean, inner.variance], [last.mean, last.variance]]);
        add_relu(last.output, shortcut)
    });
    Residual { output, moments }
}

/// A bottleneck in training (He et al. 2016): a 1×1 convolution, a 3×3 one with `stride` and one pixel of zeros
/// around, and a 1×1 one, without biases, each [normalized by the batch](batch_norm_train); differentiable by all
/// tensors. On Flex it is one operation: where both gradients of the second and third convolution come from one
/// reading, their inputs are not kept but normalized anew there, and the first layer adds its gradient by x to
/// that of the way around.
///
/// y = max(norm₃(max(norm₂(max(norm₁(x ∗ w₁), 0) ∗ w₂), 0) ∗ w₃) + shortcut, 0), where the shortcut is x, or
/// norm₄(x ∗ w₄) with the 1×1 convolution `around` of `stride`
///
/// Shapes: `x` \[N, I, H, W\], weights \[M, I, 1, 1\], \[M', M, 3, 3\], \[O, M', 1, 1\] and \[O, I, 1, 1\]; the
/// output is \[N, O, ⌈H/stride⌉, ⌈W/stride⌉\]. Moments are those of the layers, then of `around`.
///
/// # Panics
/// If the shapes do not match, `stride` is 0, or sizes or channels change and `around` is missing.
pub fn bottleneck_train(
    x: Tensor<4>,
    layers: [NormalizedConv; 3],
    around: Option<NormalizedConv>,
    stride: usize,
    epsilon: f64,
) -> Residual {
    let [_, inputs, height, width] = x.dims();
    let mut ins = inputs;
    for (layer, side) in layers.iter().zip([1, 3, 1]) {
        check_layer(layer, ins, side);
        ins = layer.weight.dims()[0];
    }
    match &around {
        Some(around) => {
            check_layer(around, inputs, 1);
            assert_eq!(around.weight.dims()[0], ins, "both sides of a block end in one shape");
        }
        None => assert_eq!((stride, inputs), (1, ins), "sizes change, so a way around is needed"),
    }
    let all = || layers.iter().chain(&around);
    let fits = suits(&x.clone().into_dispatch())
        && all().all(|layer| {
            suits(&layer.weight.clone().into_dispatch())
                && [&layer.gamma, &layer.beta].into_iter().all(|row| is_row(row, row.dims()[0]))
        });
    if fits && height.min(width) > 0 {
        let channels: Vec<usize> = all().map(|layer| layer.gamma.dims()[0]).collect();
        let gammas = Tensor::cat(all().map(|layer| layer.gamma.clone()).collect(), 0);
        let betas = Tensor::cat(all().map(|layer| layer.beta.clone()).collect(), 0);
        let [first, second, third] = layers.map(|layer| layer.weight.into_dispatch());
        let [gammas, betas] = [gammas, betas].map(Tensor::into_dispatch);
        let x = x.into_dispatch();
        let (output, means, variances) = match around.map(|layer| layer.weight.into_dispatch()) {
            Some(around) => Dispatch::kernel_bottleneck_around(
                x, first, second, third, gammas, betas, around, stride, epsilon,
            ),
            None => {
                Dispatch::kernel_bottleneck(x, first, second, third, gammas, betas, stride, epsilon)
            }
        };
        let mut begin = 0;
        let [means, variances] = [means, variances].map(Tensor::<1>::from_dispatch);
        let moments = channels.into_iter().map(|channels| {
            let own = begin..begin + channels;
            begin = own.end;
            [&means, &variances].map(|all| all.clone().slice(s![own.clone()]))
        });
        return Residual { output: Tensor::from_dispatch(output), moments: moments.collect() };
    }
    let mut moments = Vec::with_capacity(4);
    let mut apply = |x: Tensor<4>, layer: NormalizedConv, stride: usize, after: After| {
        let NormalizedConv { weight, gamma, beta } = layer;
        let padding = [weight.dims()[2] / 2; 2];
        let layer = Layer { stride: [stride; 2], padding, epsilon, after };
        let result = conv_norm_train(x, weight, None, [gamma, beta], layer);
        moments.push([result.mean, result.variance]);
        result.output
    };
    let [x, shortcut] = fork(x);
    let [first, second, third] = layers;
    let inner = apply(x, first, 1, After::Relu);
    let inner = apply(inner, second, stride, After::Relu);
    let last = apply(inner, third, 1, After::Nothing);
    let shortcut = match around {
        Some(around) => apply(shortcut, around, stride, After::Nothing),
        None => shortcut,
    };
    Residual { output: add_relu(last, shortcut), moments }
}

/// # Panics
/// If the layer does not have `ins` channels and a filter of this side.
fn check_layer(layer: &NormalizedConv, ins: usize, side: usize) {
    let outs = layer.weight.dims()[0];
    let rows = [&layer.gamma, &layer.beta].map(Tensor::dims);
    let expected = ([outs, ins, side, side], [[outs]; 2]);
    assert_eq!((layer.weight.dims(), rows), expected, "a layer of a bottleneck");
}

/// `x` for two readers (a residual block and its shortcut), whose gradients are then added as the
/// channels lie. Added at `x` itself, Flex would lay the sum out anew, and the next kernel again.
pub fn fork(x: Tensor<4>) -> [Tensor<4>; 2] {
    if !suits(&x.clone().into_dispatch()) {
        return [x.clone(), x];
    }
    let shared = x.permute([0, 2, 3, 1]);
    [shared.clone(), shared].map(|shared| shared.permute([0, 3, 1, 2]))
}

/// The shortcut without parameters where a stage begins: every second pixel, and as many new zero
/// channels as there are, half of them on each side; \[N, C, H, W\] → \[N, 2C, ⌈H/2⌉, ⌈W/2⌉\].
///
/// # Panics
/// If the number of channels is odd.
pub fn halve(x: Tensor<4>) -> Tensor<4> {
    let channels = x.dims()[1];
    assert!(channels.is_multiple_of(2), "zeros on both sides of {channels} channels");
    let x = x.into_dispatch();
    if suits(&x) {
        return Tensor::from_dispatch(Dispatch::kernel_halve(x));
    }
    let sampled = Tensor::<4>::from_dispatch(x).slice(s![.., .., ..;2, ..;2]);
    let [batch, _, height, width] = sampled.dims();
    let zeros = Tensor::zeros([batch, channels / 2, height, width], &sampled.device());
    Tensor::cat(vec![zeros.clone(), sampled, zeros], 1)
}

/// The mean of all pixels, \[N, C, H, W\] → \[N, C\]. On Flex it is taken as the channels lie, so neither the image
/// nor its gradient is laid out anew.
pub fn mean_pixel(x: Tensor<4>) -> Tensor<2> {
    let [batch, channels, height, width] = x.dims();
    if suits(&x.clone().into_dispatch()) {
        let pixels = x.permute([0, 2, 3, 1]).reshape([batch, height * width, channels]);
        return pixels.mean_dim(1).squeeze_dim(1);
    }
    x.reshape([batch, channels, height * width]).mean_dim(2).squeeze_dim(2)
}

/// The largest of each 3×3 window, two pixels apart, with one pixel of nothing around; \[N, C, H, W\] →
/// \[N, C, ⌈H/2⌉, ⌈W/2⌉\]. Of equal ones the first takes the gradient.
pub fn max_pool(x: Tensor<4>) -> Tensor<4> {
    let x = x.into_dispatch();
    if suits(&x) {
        return Tensor::from_dispatch(Dispatch::kernel_max_pool(x));
    }
    let window = MaxPoolOptions::new([3, 3]).with_stride([2, 2]).with_padding([1, 1]);
    module::max_pool2d(Tensor::from_dispatch(x), window)
}

/// max(x + shortcut, 0), the end of a residual block, laid out as the channels lie.
///
/// # Panics
/// If the shapes differ.
pub fn add_relu(x: Tensor<4>, shortcut: Tensor<4>) -> Tensor<4> {
    assert_eq!(x.dims(), shortcut.dims(), "both sides of a block end in one shape");
    let (x, shortcut) = (x.into_dispatch(), shortcut.into_dispatch());
    if suits(&x) && suits(&shortcut) {
        return Tensor::from_dispatch(Dispatch::kernel_add_relu(x, shortcut));
    }
    activation::relu(Tensor::from_dispatch(x) + Tensor::from_dispatch(shortcut))
}

/// The value and the velocity of a parameter after one step of gradient descent with momentum, in
/// one pass; see [`Descent`] for the equation. Nothing of it is differentiable, so all three
/// tensors are without autodiff.
///
/// # Panics
/// If the shapes differ.
pub fn descend<const D: usize>(
    gradient: Tensor<D>,
    value: Tensor<D>,
    velocity: Tensor<D>,
    rule: Descent,
) -> [Tensor<D>; 2] {
    let shape = value.dims();
    assert!(
        gradient.dims() == shape && velocity.dims() == shape,
        "a parameter of {shape:?} has a gradient of {:?} and a velocity of {:?}",
        gradient.dims(),
        velocity.dims()
    );
    let tensors = [gradient, value, velocity];
    let plain = tensors.iter().all(|tensor| !tensor.device().is_autodiff());
    let [gradient, value, velocity] = tensors.map(Tensor::into_dispatch);
    if plain && [&gradient, &value, &velocity].into_iter().all(suits) {
        let (value, velocity) = Dispatch::kernel_descend(gradient, value, velocity, rule);
        return [Tensor::from_dispatch(value), Tensor::from_dispatch(velocity)];
    }
    let [gradient, value, velocity] = [gradient, value, velocity].map(Tensor::from_dispatch);
    let gradient: Tensor<D> = gradient * rule.scale + value.clone() * rule.decay;
    let velocity: Tensor<D> = velocity * rule.momentum + gradient.clone();
    let direction =
        if rule.nesterov { gradient + velocity.clone() * rule.momentum } else { velocity.clone() };
    [value - direction * rule.rate, velocity]
}

/// As [`descend`], at a rate that lies on the device, `[1]`, in the place of the rule's: a recorded step
/// can then be replayed at another. One pass on a GPU.
///
/// # Panics
/// If the shapes differ.
pub fn descend_at<const D: usize>(
    gradient: Tensor<D>,
    value: Tensor<D>,
    velocity: Tensor<D>,
    rate: Tensor<1>,
    rule: Descent,
) -> [Tensor<D>; 2] {
    let shape = value.dims();
    assert!(
        gradient.dims() == shape && velocity.dims() == shape && rate.dims() == [1],
        "a parameter of {shape:?} has a gradient of {:?}, a velocity of {:?} and one rate",
        gradient.dims(),
        velocity.dims()
    );
    #[cfg(feature = "gpu")]
    if can_record(&value.device()) && value.dtype() == DType::F32 {
        use crate::gpu::GpuOps;

        let [gradient, value, velocity] = [gradient, value, velocity].map(Tensor::into_dispatch);
        let (value, velocity) =
            Dispatch::gpu_descend(gradient, value, velocity, rate.into_dispatch(), rule);
        return [Tensor::from_dispatch(value), Tensor::from_dispatch(velocity)];
    }
    let rate = rate.into_scalar::<f32>();
    descend(gradient, value, velocity, Descent { rate, ..rule })
}

/// What follows a normalization, by Burn's own operations.
fn follow(x: Tensor<4>, after: After) -> Tensor<4> {
    match after {
        After::Nothing => x,
        After::Relu => activation::relu(x),
        After::ReluPool => {
            let options = MaxPoolOptions::new([2, 2]).with_stride([2, 2]);
            module::max_pool2d(activation::relu(x), options)
        }
    }
}

#[cfg(test)]
mod tests;
