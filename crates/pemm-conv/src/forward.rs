//! The kernels on plain Flex tensors.

use burn::backend::Flex;
use burn::backend::TensorMetadata;
use burn::backend::flex::{FlexTensor, Layout};
use burn::tensor::DType;

use crate::blocks::{Bottleneck, Residual};
use crate::buffers::Buffer;
use crate::descent::Descent;
use crate::extension::KernelOps;
use crate::flex::{
    Convolution, Normalization, NormalizedConvolution, channels_last, halve, join, max_pool,
    moments, numbers,
};
use crate::normalization::After;
use crate::ops::Layer;

impl KernelOps for Flex {
    fn kernel_conv2d(
        x: FlexTensor,
        weight: FlexTensor,
        stride: [usize; 2],
        padding: [usize; 2],
    ) -> FlexTensor {
        Convolution::new(&x, &weight, stride, padding).output(None)
    }

    fn kernel_conv2d_bias(
        x: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        stride: [usize; 2],
        padding: [usize; 2],
    ) -> FlexTensor {
        Convolution::new(&x, &weight, stride, padding).output(Some(&bias))
    }

    fn kernel_batch_norm_train(
        x: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
        epsilon: f64,
        after: After,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let work = Normalization::new(&x, [&gamma, &beta], None, epsilon, after);
        let output = work.output();
        let [mean, variance] = moments(&work.statistics);
        (output, mean, variance)
    }

    fn kernel_batch_norm(
        x: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
        mean: FlexTensor,
        variance: FlexTensor,
        epsilon: f64,
        after: After,
    ) -> FlexTensor {
        Normalization::new(&x, [&gamma, &beta], Some([&mean, &variance]), epsilon, after).output()
    }

    fn kernel_conv_norm(
        x: FlexTensor,
        weight: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
        layer: Layer,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let work = Convolution::new(&x, &weight, layer.stride, layer.padding);
        let rows = [&gamma, &beta];
        let work = NormalizedConvolution::new(work, None, rows, layer.epsilon, layer.after);
        let output = work.output();
        let [mean, variance] = moments(&work.statistics);
        (output, mean, variance)
    }

    fn kernel_conv_norm_bias(
        x: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
        layer: Layer,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let work = Convolution::new(&x, &weight, layer.stride, layer.padding);
        let rows = [&gamma, &beta];
        let work = NormalizedConvolution::new(work, Some(&bias), rows, layer.epsilon, layer.after);
        let output = work.output();
        let [mean, variance] = moments(&work.statistics);
        (output, mean, variance)
    }

    fn kernel_conv_normalized(
        x: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
        mean: FlexTensor,
        variance: FlexTensor,
        layer: Layer,
    ) -> FlexTensor {
        let work = Convolution::new(&x, &weight, layer.stride, layer.padding);
        work.normalized(&bias, [&gamma, &beta], [&mean, &variance], &layer)
    }

    fn kernel_bottleneck(
        x: FlexTensor,
        first: FlexTensor,
        second: FlexTensor,
        third: FlexTensor,
        gammas: FlexTensor,
        betas: FlexTensor,
        stride: usize,
        epsilon: f64,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let weights = [&first, &second, &third];
        let work = Bottleneck::new(&x, weights, None, [&gammas, &betas], stride, epsilon);
        let [means, variances] = work.moments();
        (work.output(), means, variances)
    }

    fn kernel_bottleneck_around(
        x: FlexTensor,
        first: FlexTensor,
        second: FlexTensor,
        third: FlexTensor,
        gammas: FlexTensor,
        betas: FlexTensor,
        around: FlexTensor,
        stride: usize,
        epsilon: f64,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let weights = [&first, &second, &third];
        let work = Bottleneck::new(&x, weights, Some(&around), [&gammas, &betas], stride, epsilon);
        let [means, variances] = work.moments();
        (work.output(), means, variances)
    }

    fn kernel_conv_joined(
        x: FlexTensor,
        weight: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
        mean: FlexTensor,
        variance: FlexTensor,
        shortcut: FlexTensor,
        layer: Layer,
    ) -> FlexTensor {
        let work = Convolution::new(&x, &weight, layer.stride, layer.padding);
        work.joined([&gamma, &beta], [&mean, &variance], &shortcut, layer.epsilon)
    }

    fn kernel_residual(
        x: FlexTensor,
        weights: FlexTensor,
        gammas: FlexTensor,
        betas: FlexTensor,
        epsilon: f64,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let work = Residual::new(&x, &weights, [&gammas, &betas], epsilon);
        let [means, variances] = work.moments();
        (work.output(), means, variances)
    }

    fn kernel_halve(x: FlexTensor) -> FlexTensor {
        halve(&channels_last(&x))
    }

    fn kernel_max_pool(x: FlexTensor) -> FlexTensor {
        max_pool(&channels_last(&x))
    }

    fn kernel_add_relu(x: FlexTensor, shortcut: FlexTensor) -> FlexTensor {
        join(&channels_last(&x), &channels_last(&shortcut))
    }

    fn kernel_descend(
        gradient: FlexTensor,
        value: FlexTensor,
        velocity: FlexTensor,
        rule: Descent,
    ) -> (FlexTensor, FlexTensor) {
        let layout = Layout::contiguous(value.shape());
        let from = [gradient, value, velocity].map(|tensor| tensor.to_contiguous());
        let [mut next, mut moved] = [(); 2].map(|()| Buffer::take(numbers(&from[1]).len()));
        rule.step([0, 1, 2].map(|index| numbers(&from[index])), [&mut next, &mut moved]);
        let tensor =
            |numbers: Buffer| FlexTensor::new(numbers.into_bytes(), layout.clone(), DType::F32);
        (tensor(next), tensor(moved))
    }
}
