//! Against Burn's own operations on the same tensors.

use super::*;
use burn::tensor::{Device, TensorData, Tolerance};

use crate::testing::numbers;

fn tensor<const D: usize>(shape: [usize; D], seed: u64, device: &Device) -> Tensor<D> {
    let count = shape.iter().product();
    Tensor::from_data(TensorData::new(numbers(count, seed), shape), device)
}

fn close<const D: usize>(got: Tensor<D>, expected: Tensor<D>) {
    let tolerance = Tolerance::<f32>::rel_abs(1e-3, 2e-4);
    got.into_data().assert_approx_eq::<f32>(&expected.into_data(), tolerance);
}

/// conv → norm → ReLU → pool → conv, by the kernels or by Burn; the loss weighs every output.
fn network(
    parameters: &[Tensor<4>; 3],
    rows: &[Tensor<1>; 3],
    ours: bool,
) -> (Tensor<4>, Tensor<1>) {
    let [x, first, second] = parameters.clone();
    let [bias, gamma, beta] = rows.clone();
    let (y, mean) = if ours {
        let y = conv2d(x, first, Some(bias), [1, 1], [1, 1]);
        let y = batch_norm_train(y, gamma, beta, 1e-5, After::ReluPool);
        (conv2d(y.output, second, None, [2, 2], [1, 1]), y.mean)
    } else {
        let options = |stride| ConvOptions::new([stride; 2], [1, 1], [1, 1], 1);
        let y = module::conv2d(x, first, Some(bias), options(1));
        let y = module::batch_norm_train(y, gamma, beta, 1e-5);
        let pooled = follow(y.output, After::ReluPool);
        (module::conv2d(pooled, second, None, options(2)), y.mean)
    };
    (y, mean)
}

#[test]
fn outputs_and_gradients_are_those_of_burn() {
    for device in [Device::flex().autodiff(), Device::flex().autodiff().gradient_checkpointing()] {
        let parameters = [
            tensor([3, 9, 10, 7], 1, &device).require_grad(),
            tensor([12, 9, 3, 3], 2, &device).require_grad(),
            tensor([5, 12, 3, 3], 3, &device).require_grad(),
        ];
        let rows = [4, 5, 6].map(|seed| tensor([12], seed, &device).require_grad());
        let results = [true, false].map(|ours| {
            let (y, mean) = network(&parameters, &rows, ours);
            let weights = tensor(y.dims(), 7, &device);
            let gradients = (y.clone() * weights).sum().backward();
            let big = parameters.clone().map(|p| p.grad(&gradients).unwrap());
            // A bias before a normalization has a gradient of zero plus rounding.
            let small = [&rows[1], &rows[2]].map(|p| p.grad(&gradients).unwrap());
            (y.inner(), mean.inner(), big, small)
        });
        let [ours, burns] = results;
        close(ours.0, burns.0);
        close(ours.1, burns.1);
        ours.2.into_iter().zip(burns.2).for_each(|(ours, burns)| close(ours, burns));
        ours.3.into_iter().zip(burns.3).for_each(|(ours, burns)| close(ours, burns));
    }
}

#[test]
fn strided_views_and_later_operations_of_burn_are_read_rightly() {
    let device = Device::flex();
    let x = tensor([2, 10, 7, 9], 1, &device).swap_dims(2, 3).slice([0..2, 1..9, 0..9, 2..6]);
    let weight = tensor([8, 6, 3, 3], 2, &device).slice([0..6, 0..6, 0..3, 0..3]);
    let weight = Tensor::cat(vec![weight.clone(), weight.slice([0..6, 0..2, 0..3, 0..3])], 1);
    let options = ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
    let ours = conv2d(x.clone(), weight.clone(), None, [1, 1], [1, 1]);
    let burns = module::conv2d(x, weight, None, options);
    close(ours.clone(), burns.clone());
    close(ours.clone() + burns.clone(), burns.clone() * 2.0);
    close(ours.clone().mean_dim(3), burns.clone().mean_dim(3));
    close::<2>(ours.clone().flatten(1, 3), burns.clone().flatten(1, 3));
    close(
        ours.clone().slice([0..1, 2..5, 1..4, 0..2]),
        burns.clone().slice([0..1, 2..5, 1..4, 0..2]),
    );
    close(activation::relu(ours), activation::relu(burns));
}

#[test]
fn inference_is_that_of_burn() {
    let device = Device::flex();
    let x = tensor([2, 6, 5, 5], 1, &device);
    let rows = [2, 3, 4].map(|seed| tensor([6], seed, &device));
    let variance = tensor([6], 5, &device).abs() + 0.5;
    for after in [After::Nothing, After::Relu, After::ReluPool] {
        let [gamma, beta, mean] = rows.clone();
        let ours = batch_norm(
            x.clone(),
            [gamma.clone(), beta.clone()],
            [mean.clone(), variance.clone()],
            1e-5,
            after,
        );
        let burns = module::batch_norm(x.clone(), gamma, beta, mean, variance.clone(), 1e-5);
        close(ours, follow(burns, after));
    }
}

#[test]
fn images_without_a_gradient_need_none() {
    let device = Device::flex().autodiff();
    let x = tensor([2, 3, 8, 8], 1, &device);
    let weight = tensor([4, 3, 3, 3], 2, &device).require_grad();
    let y = conv2d(x.clone(), weight.clone(), None, [1, 1], [1, 1]);
    let gradients = y.sum().backward();
    assert!(x.grad(&gradients).is_none());
    assert_eq!(weight.grad(&gradients).unwrap().dims(), [4, 3, 3, 3]);
}

#[test]
fn gradients_of_a_lone_convolution_with_a_bias_are_those_of_burn() {
    let device = Device::flex().autodiff();
    for (channels, stride) in [(9, 1), (9, 2), (3, 1)] {
        let x = tensor([2, channels, 6, 5], 1, &device).require_grad();
        let weight = tensor([12, channels, 3, 3], 2, &device).require_grad();
        let bias = tensor([12], 3, &device).require_grad();
        let results = [true, false].map(|ours| {
            let (x, weight, bias) = (x.clone(), weight.clone(), bias.clone());
            let y = if ours {
                conv2d(x.clone(), weight.clone(), Some(bias.clone()), [stride; 2], [1, 1])
            } else {
                let options = ConvOptions::new([stride; 2], [1, 1], [1, 1], 1);
                module::conv2d(x.clone(), weight.clone(), Some(bias.clone()), options)
            };
            let gradients = (y.clone() * y.clone()).sum().backward();
            let grads = (x.grad(&gradients).unwrap(), weight.grad(&gradients).unwrap());
            (y.inner(), grads.0, grads.1, bias.grad(&gradients).unwrap())
        });
        let [ours, burns] = results;
        close(ours.0, burns.0);
        close(ours.1, burns.1);
        close(ours.2, burns.2);
        close(ours.3, burns.3);
    }
}

/// The channels of a tensor on Flex lie next to each other.
fn is_channels_last(x: Tensor<4>) -> bool {
    let x = x.try_into_primitive::<burn::backend::Flex>().unwrap();
    x.layout().strides()[1] == 1
}

#[test]
fn a_residual_block_stays_channels_last_and_has_the_gradients_of_burn() {
    let device = Device::flex().autodiff();
    let weight = tensor([16, 16, 3, 3], 2, &device).require_grad();
    let images = tensor([2, 16, 6, 5], 1, &device);
    let results = [true, false].map(|ours| {
        let x = images.clone().require_grad();
        let y = if ours {
            let first = conv2d(x.clone(), weight.clone(), None, [1, 1], [1, 1]);
            let [inner, shortcut] = fork(first);
            let inner = conv2d(inner, weight.clone(), None, [1, 1], [1, 1]);
            let y = add_relu(inner, shortcut);
            assert!(is_channels_last(y.clone().inner()));
            y
        } else {
            let options = ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
            let first = module::conv2d(x.clone(), weight.clone(), None, options.clone());
            let inner = module::conv2d(first.clone(), weight.clone(), None, options);
            activation::relu(inner + first)
        };
        let gradients = (y.clone() * y.clone()).sum().backward();
        (y.inner() / 64.0, x.grad(&gradients).unwrap() / 4096.0)
    });
    let [ours, burns] = results;
    close(ours.0, burns.0);
    close(ours.1, burns.1);
}

#[test]
fn a_convolution_and_its_normalization_as_one_are_those_of_burn() {
    let device = Device::flex().autodiff();
    for ([ins, outs], stride, after) in [
        ([9, 12], 1, After::Nothing),
        ([16, 20], 1, After::Relu),
        ([9, 16], 1, After::ReluPool),
        ([3, 12], 1, After::ReluPool),
        ([9, 12], 2, After::Relu),
    ] {
        let x = tensor([3, ins, 9, 6], 1, &device).require_grad();
        let weight = tensor([outs, ins, 3, 3], 2, &device).require_grad();
        let bias = tensor([outs], 3, &device).require_grad();
        let gamma = (tensor([outs], 4, &device) + 1.5).detach().require_grad();
        let beta = tensor([outs], 5, &device).require_grad();
        for with_bias in [true, false] {
            let results = [true, false].map(|ours| {
                let (x, weight) = (x.clone(), weight.clone());
                let bias = with_bias.then(|| bias.clone());
                let norm = [gamma.clone(), beta.clone()];
                let (y, mean, variance) = if ours {
                    let layer =
                        Layer { stride: [stride; 2], padding: [1, 1], epsilon: 1e-5, after };
                    let y = conv_norm_train(x.clone(), weight.clone(), bias, norm, layer);
                    assert!(is_channels_last(y.output.clone().inner()));
                    (y.output, y.mean, y.variance)
                } else {
                    let options = ConvOptions::new([stride; 2], [1, 1], [1, 1], 1);
                    let a = module::conv2d(x.clone(), weight.clone(), bias, options);
                    let [gamma, beta] = norm;
                    let y = module::batch_norm_train(a, gamma, beta, 1e-5);
                    (follow(y.output, after), y.mean, y.variance)
                };
                let weights = tensor(y.dims(), 7, &device);
                let gradients = (y.clone() * weights).sum().backward();
                let big = [&x, &weight].map(|tensor| tensor.grad(&gradients).unwrap());
                let rows = [&gamma, &beta].map(|row| row.grad(&gradients).unwrap());
                (y.inner(), big, [mean.inner(), variance.inner()], rows, gradients)
            });
            let [ours, burns] = results;
            close(ours.0, burns.0);
            ours.1.into_iter().zip(burns.1).for_each(|(ours, burns)| close(ours, burns));
            ours.2.into_iter().zip(burns.2).for_each(|(ours, burns)| close(ours, burns));
            ours.3.into_iter().zip(burns.3).for_each(|(ours, burns)| close(ours, burns));
            let dbias = bias.grad(&ours.4).map(|row| row.into_data().try_to_vec::<f32>().unwrap());
            assert_eq!(dbias, with_bias.then(|| vec![0.0; outs]));
        }
    }
}

#[test]
fn residual_blocks_have_the_outputs_and_gradients_of_burn() {
    let device = Device::flex().autodiff();
    // Fewer channels than the kernels take, and as many.
    for (channels, num_blocks) in [(6, 2), (9, 1), (16, 3)] {
        let images = tensor([3, channels, 7, 6], 1, &device);
        let convs: Vec<NormalizedConv> = (0..2 * num_blocks)
            .map(|index| NormalizedConv {
                weight: tensor([channels, channels, 3, 3], 10 + index, &device).require_grad(),
                gamma: (tensor([channels], 20 + index, &device) + 1.5).detach().require_grad(),
                beta: tensor([channels], 30 + index, &device).require_grad(),
            })
            .collect();
        let results = [true, false].map(|ours| {
            let x = images.clone().require_grad();
            let (y, moments) = if ours {
                let blocks = convs.as_chunks::<2>().0.to_vec();
                let result = residual_blocks(x.clone(), blocks, 1e-5);
                assert!(is_channels_last(result.output.clone().inner()));
                (result.output, result.moments)
            } else {
                let options = ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
                let mut moments = Vec::new();
                let mut normed = |x: Tensor<4>, conv: &NormalizedConv| {
                    let y = module::conv2d(x, conv.weight.clone(), None, options.clone());
                    let (gamma, beta) = (conv.gamma.clone(), conv.beta.clone());
                    let y = module::batch_norm_train(y, gamma, beta, 1e-5);
                    moments.push([y.mean, y.variance]);
                    y.output
                };
                let y = convs.chunks(2).fold(x.clone(), |x, block| {
                    let inner = activation::relu(normed(x.clone(), &block[0]));
                    activation::relu(normed(inner, &block[1]) + x)
                });
                (y, moments)
            };
            let weights = tensor(y.dims(), 7, &device);
            let gradients = (y.clone() * weights).sum().backward();
            let of = |conv: &NormalizedConv| {
                let rows = [&conv.gamma, &conv.beta].map(|row| row.grad(&gradients).unwrap());
                (conv.weight.grad(&gradients).unwrap(), rows)
            };
            let all: Vec<_> = convs.iter().map(of).collect();
            (y.inner(), x.grad(&gradients).unwrap(), all, moments)
        });
        let [ours, burns] = results;
        close(ours.0, burns.0);
        close(ours.1, burns.1);
        for ((ours, our_rows), (burns, burns_rows)) in ours.2.into_iter().zip(burns.2) {
            close(ours, burns);
            our_rows.into_iter().zip(burns_rows).for_each(|(ours, burns)| close(ours, burns));
        }
        assert_eq!(ours.3.len(), 2 * num_blocks as usize);
        for (ours, burns) in ours.3.into_iter().zip(burns.3) {
            ours.into_iter().zip(burns).for_each(|(ours, burns)| {
                close(ours.inner(), burns.inner());
            });
        }
    }
}

/// [N, I, H, W], channels of the three convolutions, and the stride: windows of few channels and of many, gradients
/// by the weights at once and one after the other, odd sizes.
const BOTTLENECKS: [([usize; 4], [usize; 3], usize); 5] = [
    ([3, 33, 20, 19], [9, 16, 33], 1),
    ([2, 64, 9, 5], [16, 16, 64], 2),
    ([1, 600, 3, 4], [500, 500, 600], 1),
    ([2, 40, 7, 8], [200, 200, 24], 1),
    ([2, 12, 33, 34], [8, 8, 32], 2),
];

/// Layers, and a way around where sizes change.
fn bottleneck(
    size: [usize; 4],
    channels: [usize; 3],
    stride: usize,
    device: &Device,
) -> ([NormalizedConv; 3], Option<NormalizedConv>) {
    let layer = |[ins, outs]: [usize; 2], side: usize, seed: u64| {
        let weight = tensor([outs, ins, side, side], seed, device).require_grad();
        let gamma = (tensor([outs], seed + 1, device) + 1.5).detach().require_grad();
        NormalizedConv { weight, gamma, beta: tensor([outs], seed + 2, device).require_grad() }
    };
    let [first, second, third] = channels;
    let changes = stride > 1 || size[1] != third;
    let layers = [
        layer([size[1], first], 1, 20),
        layer([first, second], 3, 30),
        layer([second, third], 1, 40),
    ];
    (layers, changes.then(|| layer([size[1], third], 1, 50)))
}

/// The same by other operations: `normalized` is a convolution of this stride, normalized, and `join` the end.
fn bottleneck_of(
    x: Tensor<4>,
    layers: [NormalizedConv; 3],
    around: Option<NormalizedConv>,
    stride: usize,
    normalized: impl Fn(Tensor<4>, NormalizedConv, usize, After) -> Normalized<4>,
    join: impl Fn(Tensor<4>, Tensor<4>) -> Tensor<4>,
) -> Residual {
    let mut moments = Vec::new();
    let mut apply = |x, layer, stride, after| {
        let result = normalized(x, layer, stride, after);
        moments.push([result.mean, result.variance]);
        result.output
    };
    let [first, second, third] = layers;
    let inner = apply(x.clone(), first, 1, After::Relu);
    let inner = apply(inner, second, stride, After::Relu);
    let last = apply(inner, third, 1, After::Nothing);
    let shortcut = match around {
        Some(around) => apply(x, around, stride, After::Nothing),
        None => x,
    };
    Residual { output: join(last, shortcut), moments }
}

#[test]
fn a_bottleneck_has_the_outputs_and_gradients_of_burn() {
    let devices = [Device::flex().autodiff(), Device::flex().autodiff().gradient_checkpointing()];
    let cases = BOTTLENECKS.into_iter().zip(devices.into_iter().cycle());
    for ((size, channels, stride), device) in cases {
        let x = tensor(size, 1, &device).require_grad();
        let (layers, around) = bottleneck(size, channels, stride, &device);
        let results = [true, false].map(|ours| {
            let (x, all, around_too) = (x.clone(), layers.clone(), around.clone());
            let Residual { output, moments } = if ours {
                bottleneck_train(x.clone(), all, around_too, stride, 1e-5)
            } else {
                let of_burn = |x, layer: NormalizedConv, stride, after| {
                    let NormalizedConv { weight, gamma, beta } = layer;
                    let pad = weight.dims()[2] / 2;
                    let options = ConvOptions::new([stride; 2], [pad; 2], [1, 1], 1);
                    let a = module::conv2d(x, weight, None, options);
                    let result = module::batch_norm_train(a, gamma, beta, 1e-5);
                    let output = follow(result.output, after);
                    Normalized { output, mean: result.mean, variance: result.variance }
                };
                let join = |last: Tensor<4>, shortcut| activation::relu(last + shortcut);
                bottleneck_of(x.clone(), all, around_too, stride, of_burn, join)
            };
            let weights = tensor(output.dims(), 7, &device);
            let gradients = (output.clone() * weights).sum().backward();
            let dx = x.grad(&gradients).unwrap();
            let of_layers: Vec<_> = layers
                .iter()
                .chain(&around)
                .map(|layer| {
                    let rows = [&layer.gamma, &layer.beta].map(|row| row.grad(&gradients).unwrap());
                    (layer.weight.grad(&gradients).unwrap(), rows)
                })
                .collect();
            ([output.inner(), dx], moments, of_layers)
        });
        let [ours, burns] = results;
        ours.0.into_iter().zip(burns.0).for_each(|(ours, burns)| close(ours, burns));
        assert_eq!(ours.1.len(), 3 + around.iter().len());
        for (ours, burns) in ours.1.into_iter().zip(burns.1) {
            let pairs = ours.into_iter().zip(burns);
            pairs.for_each(|(ours, burns)| close(ours.inner(), burns.inner()));
        }
        for ((ours, our_rows), (burns, burns_rows)) in ours.2.into_iter().zip(burns.2) {
            close(ours, burns);
            our_rows.into_iter().zip(burns_rows).for_each(|(ours, burns)| close(ours, burns));
        }
    }
}

#[test]
fn a_bottleneck_without_gradients_and_by_single_operations_is_the_same() {
    let device = Device::flex().autodiff();
    for (size, stride) in [([2, 64, 9, 5], 2), ([2, 64, 9, 5], 1)] {
        let (layers, around) = bottleneck(size, [16, 16, 64], stride, &device);
        let each = |of: &dyn Fn(NormalizedConv) -> NormalizedConv| {
            (layers.clone().map(of), around.clone().map(of))
        };
        let x = tensor(size, 1, &device);
        let (plain, plain_around) = each(&|layer| NormalizedConv {
            weight: layer.weight.inner(),
            gamma: layer.gamma.inner(),
            beta: layer.beta.inner(),
        });
        let tracked = bottleneck_train(x.clone(), layers.clone(), around.clone(), stride, 1e-5);
        let untracked = bottleneck_train(x.clone().inner(), plain, plain_around, stride, 1e-5);
        // The kernels are for single precision.
        let (double, double_around) = each(&|layer| NormalizedConv {
            weight: layer.weight.cast(DType::F64),
            gamma: layer.gamma.cast(DType::F64),
            beta: layer.beta.cast(DType::F64),
        });
        let single = bottleneck_train(x.cast(DType::F64), double, double_around, stride, 1e-5);
        close(untracked.output, tracked.output.clone().inner());
        close(single.output.cast(DType::F32).inner(), tracked.output.inner());
        assert_eq!(single.moments.len(), tracked.moments.len());
        for (rows, expected) in single.moments.into_iter().zip(tracked.moments) {
            let pairs = rows.into_iter().zip(expected);
            pairs.for_each(|(row, expected)| close(row.cast(DType::F32).inner(), expected.inner()));
        }
    }
}

/// Stored past the caches, and read piece by piece. Among so many numbers some are so near 0 that Burn's rounding
/// would put them on its other side, so our single operations are the measure, whose rounding is the same.
#[test]
fn a_large_bottleneck_is_its_single_operations() {
    let device = Device::flex().autodiff();
    for ins in [16, 128] {
        let size = [4, ins, 65, 65];
        let (layers, around) = bottleneck(size, [16, 16, 128], 1, &device);
        let x = tensor(size, 1, &device).require_grad();
        let results = [true, false].map(|whole| {
            let (x, all, around) = (x.clone(), layers.clone(), around.clone());
            let output = if whole {
                bottleneck_train(x.clone(), all, around, 1, 1e-5).output
            } else {
                let single = |x, layer: NormalizedConv, stride, after| {
                    let NormalizedConv { weight, gamma, beta } = layer;
                    let padding = [weight.dims()[2] / 2; 2];
                    let layer = Layer { stride: [stride; 2], padding, epsilon: 1e-5, after };
                    conv_norm_train(x, weight, None, [gamma, beta], layer)
                };
                bottleneck_of(x.clone(), all, around, 1, single, add_relu).output
            };
            let weights = tensor(output.dims(), 7, &device);
            let gradients = (output.clone() * weights).sum().backward();
            let of_layers = layers.iter().map(|layer| layer.weight.grad(&gradients).unwrap());
            let images = [output.inner(), x.grad(&gradients).unwrap()];
            images.into_iter().chain(of_layers).collect::<Vec<_>>()
        });
        let [whole, single] = results;
        whole.into_iter().zip(single).for_each(|(whole, single)| close(whole, single));
    }
}

#[test]
fn a_bottleneck_takes_what_has_no_gradient_and_no_images() {
    let device = Device::flex().autodiff();
    for ins in [8, 16] {
        let size = [2, ins, 5, 6];
        let (layers, around) = bottleneck(size, [8, 8, 16], 1, &device);
        let gradients = |x: Tensor<4>| {
            let result = bottleneck_train(x, layers.clone(), around.clone(), 1, 1e-5);
            let weights = tensor(result.output.dims(), 7, &device);
            (result.output * weights).sum().backward()
        };
        let x = tensor(size, 1, &device);
        let with = gradients(x.clone().require_grad());
        let without = gradients(x);
        for layer in layers.iter().chain(&around) {
            let [with, without] = [&with, &without].map(|all| layer.weight.grad(all).unwrap());
            close(without, with);
        }
        let empty = tensor([0, ins, 5, 6], 1, &device).require_grad();
        let gradients = gradients(empty);
        for layer in layers.iter().chain(&around) {
            let gradient = layer.weight.grad(&gradients).unwrap();
            assert!(gradient.into_data().iter::<f32>().all(|g| g == 0.0));
        }
    }
}

#[test]
#[should_panic(expected = "a way around is needed")]
fn a_bottleneck_that_changes_sizes_needs_a_way_around() {
    let device = Device::flex().autodiff();
    let (layers, _) = bottleneck([2, 8, 4, 4], [8, 8, 16], 1, &device);
    bottleneck_train(tensor([2, 8, 4, 4], 1, &device), layers, None, 1, 1e-5);
}

#[test]
fn the_mean_pixel_has_the_values_and_gradients_of_burn() {
    let device = Device::flex().autodiff();
    // As the kernels leave an image, and as Burn does.
    for channels_last in [true, false] {
        let numbers = tensor([3, 5, 4, 7], 1, &device);
        let x = match channels_last {
            true => tensor([3, 4, 7, 5], 1, &device).permute([0, 3, 1, 2]),
            false => numbers,
        };
        let x = x.detach().require_grad();
        let results = [true, false].map(|ours| {
            let mean: Tensor<2> = match ours {
                true => mean_pixel(x.clone()),
                false => x.clone().mean_dim(3).mean_dim(2).reshape([3, 5]),
            };
            let gradients = (mean.clone() * tensor([3, 5], 2, &device)).sum().backward();
            (mean.inner(), x.grad(&gradients).unwrap())
        });
        let [(mean, dx), (expected, expected_dx)] = results;
        close(mean, expected);
        close(dx, expected_dx);
    }
}

/// [N, I, H, W] and O; the last is stored past the caches.
const BOTTLENECK_ENDS: [([usize; 4], usize); 3] =
    [([3, 9, 20, 19], 33), ([1, 16, 3, 5], 64), ([2, 16, 65, 65], 128)];

/// The first layer of a network for photographs: padded, and stored past the caches.
#[test]
fn a_large_convolution_is_that_of_burn() {
    let device = Device::flex();
    let x = tensor([2, 3, 224, 224], 1, &device);
    let weight = tensor([64, 3, 7, 7], 2, &device);
    let row = |seed| tensor([64], seed, &device);
    let (bias, norm, given) = (row(3), [row(4), row(5)], [row(6), row(7).abs()]);
    let options = ConvOptions::new([2, 2], [3, 3], [1, 1], 1);
    let expected = module::conv2d(x.clone(), weight.clone(), Some(bias.clone()), options);
    let a = conv2d(x.clone(), weight.clone(), Some(bias.clone()), [2, 2], [3, 3]);
    close(a.clone(), expected);
    let layer = Layer { stride: [2, 2], padding: [3, 3], epsilon: 1e-5, after: After::Relu };
    let expected = batch_norm(a, norm.clone(), given.clone(), 1e-5, After::Relu);
    let found = conv_norm(x, weight, Some(bias), norm, given, layer);
    let [found, expected] = [found, expected].map(|t| t.into_data().try_to_vec::<f32>().unwrap());
    assert!(found == expected);
}

#[test]
fn the_end_of_a_bottleneck_by_given_statistics_is_the_operations_to_the_bit() {
    let device = Device::flex();
    for (size, outs) in BOTTLENECK_ENDS {
        let [batch, ins, height, width] = size;
        let x = tensor(size, 1, &device);
        let weight = tensor([outs, ins, 1, 1], 2, &device);
        let shortcut = tensor([batch, outs, height, width], 3, &device);
        let row = |seed| tensor([outs], seed, &device);
        let (norm, given) = ([row(4), row(5)], [row(6), row(7).abs()]);
        let a = conv2d(x.clone(), weight.clone(), None, [1, 1], [0, 0]);
        let y = batch_norm(a, norm.clone(), given.clone(), 1e-5, After::Nothing);
        let expected = add_relu(y, shortcut.clone());
        let found = conv_norm_join(x, weight, norm, given, shortcut, 1e-5);
        let [found, expected] =
            [found, expected].map(|t| t.into_data().try_to_vec::<f32>().unwrap());
        assert_eq!(found, expected, "{size:?} {outs}");
    }
}

/// Bit for bit: one pass is the chain of operations.
#[test]
fn a_step_of_descent_is_that_of_single_operations() {
    let device = Device::flex();
    for (shape, nesterov) in [([3, 5, 7, 1], true), ([64, 64, 3, 9], false), ([0, 2, 3, 3], true)] {
        let [gradient, value, velocity] = [1, 2, 3].map(|seed| tensor(shape, seed, &device));
        let rule = Descent { scale: 0.7, decay: 0.03, momentum: 0.9, nesterov, rate: 0.1 };
        // A gradient that comes from a transposed product lies so in memory.
        let turned = gradient.clone().swap_dims(0, 1).mul_scalar(1.0).swap_dims(0, 1);
        let ours = descend(turned, value.clone(), velocity.clone(), rule);
        let gradient = gradient.mul_scalar(0.7f32) + value.clone().mul_scalar(0.03f32);
        let velocity = velocity.mul_scalar(0.9f32) + gradient.clone();
        let ahead = gradient + velocity.clone().mul_scalar(0.9f32);
        let direction = if nesterov { ahead } else { velocity.clone() };
        let expected = [value - direction.mul_scalar(0.1f32), velocity];
        for (ours, expected) in ours.into_iter().zip(expected) {
            assert_eq!(
                ours.into_data().try_to_vec::<f32>(),
                expected.into_data().try_to_vec::<f32>()
            );
        }
    }
}

#[test]
fn a_convolution_normalized_by_given_statistics_is_the_two_operations_to_the_bit() {
    let device = Device::flex();
    for (channels, kernel, stride) in
        [([3, 8], 7, 2), ([16, 16], 3, 1), ([8, 24], 1, 1), ([9, 5], 3, 2)]
    {
        let x = tensor([2, channels[0], 9, 11], 1, &device);
        let weight = tensor([channels[1], channels[0], kernel, kernel], 2, &device);
        let row = |seed| tensor([channels[1]], seed, &device);
        let (norm, given) = ([row(3), row(4)], [row(5), row(6).abs()]);
        for (bias, after) in
            [(None, After::Relu), (Some(row(7)), After::Nothing), (Some(row(8)), After::ReluPool)]
        {
            let padding = [kernel / 2; 2];
            let layer = Layer { stride: [stride; 2], padding, epsilon: 1e-5, after };
            let (norm, given) = (norm.clone(), given.clone());
            let a = conv2d(x.clone(), weight.clone(), bias.clone(), layer.stride, padding);
            let expected = batch_norm(a, norm.clone(), given.clone(), 1e-5, after);
            let found = conv_norm(x.clone(), weight.clone(), bias, norm, given, layer);
            let [found, expected] =
                [found, expected].map(|t| t.into_data().try_to_vec::<f32>().unwrap());
            assert_eq!(found, expected, "{channels:?} {kernel} {after:?}");
        }
    }
}

#[test]
fn pooling_and_its_gradient_are_those_of_burn() {
    let device = Device::flex().autodiff();
    let window = MaxPoolOptions::new([3, 3]).with_stride([2, 2]).with_padding([1, 1]);
    for shape in [[2, 64, 8, 6], [3, 5, 5, 7], [1, 17, 1, 1], [2, 3, 2, 9]] {
        // Whole numbers, so that some windows have equal ones.
        let x = tensor(shape, 1, &device).mul_scalar(3.0).round().detach().require_grad();
        let results =
            [max_pool(x.clone()), module::max_pool2d(x.clone(), window.clone())].map(|y| {
                let weights = tensor(y.dims(), 2, &device);
                let gradients = (y.clone() * weights).sum().backward();
                [y.inner(), x.grad(&gradients).unwrap()]
                    .map(|t| t.into_data().try_to_vec::<f32>().unwrap())
            });
        assert_eq!(results[0][0], results[1][0], "{shape:?}");
        let pairs = results[0][1].iter().zip(&results[1][1]);
        assert!(pairs.clone().all(|(a, b)| (a - b).abs() < 1e-5), "{shape:?}");
    }
    let empty = tensor([0, 4, 6, 6], 1, &Device::flex());
    assert_eq!(max_pool(empty).dims(), [0, 4, 3, 3]);
}

#[test]
fn halving_and_its_gradient_are_those_of_burn() {
    let device = Device::flex().autodiff();
    for shape in [[2, 4, 6, 8], [3, 2, 5, 7], [1, 6, 1, 1]] {
        let x = tensor(shape, 1, &device).require_grad();
        let sampled = x.clone().slice(s![.., .., ..;2, ..;2]);
        let [batch, channels, height, width] = sampled.dims();
        let zeros = Tensor::zeros([batch, channels / 2, height, width], &device);
        let burns = Tensor::cat(vec![zeros.clone(), sampled, zeros], 1);
        let results = [halve(x.clone()), burns].map(|y| {
            let weights = tensor(y.dims(), 2, &device);
            let gradients = (y.clone() * weights).sum().backward();
            [y.inner(), x.grad(&gradients).unwrap()]
                .map(|t| t.into_data().try_to_vec::<f32>().unwrap())
        });
        assert_eq!(results[0], results[1]);
    }
    let empty = tensor([0, 4, 6, 6], 1, &Device::flex());
    assert_eq!(halve(empty).dims(), [0, 8, 3, 3]);
}
