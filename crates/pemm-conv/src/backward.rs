//! The kernels under autodiff: each operation with its backward step written out.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, NodeGuard, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, AutodiffBackend, Backend, Flex, TensorMetadata};

use crate::blocks::{Bottleneck, Residual};
use crate::descent::Descent;
use crate::extension::KernelOps;
use crate::flex::{
    Convolution, Normalization, NormalizedConvolution, Pooled, WithInput, channels_last, halve,
    halve_gradient, join, join_gradient, moments, numbers,
};
use crate::normalization::After;
use crate::ops::Layer;

/// The output of `step`, which keeps `state` for its backward pass where a gradient by a parent is asked for.
fn tracked<C, B, S, const N: usize>(
    step: S,
    parents: [NodeGuard; N],
    state: S::State,
    output: FloatTensor<B>,
) -> FloatTensor<Autodiff<B, C>>
where
    C: CheckpointStrategy,
    B: Backend,
    S: Backward<B, N>,
{
    match step.prepare::<C>(parents).compute_bound().stateful() {
        OpsKind::Tracked(prepared) => prepared.finish(state, output),
        OpsKind::UnTracked(prepared) => prepared.finish(output),
    }
}

#[derive(Debug)]
struct ConvolutionStep;

impl<const N: usize> Backward<Flex, N> for ConvolutionStep {
    type State = Convolution;

    /// The parents are x, weight and, if there is a third, bias.
    fn backward(
        self,
        ops: Ops<Convolution, N>,
        gradients: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let dy = channels_last(&gradients.consume::<Flex>(&ops.node));
        let work = ops.state;
        let mut parents = ops.parents.into_iter();
        let [x, weight, bias] = std::array::from_fn(|_| parents.next().flatten());
        if let Some(x) = x {
            gradients.register::<Flex>(x.id, work.by_input(&dy));
        }
        let mut dbias = None;
        if let Some(weight) = weight {
            let (dweight, with_it) = work.by_weight(&dy, bias.is_some());
            gradients.register::<Flex>(weight.id, dweight);
            dbias = with_it;
        }
        if let Some(bias) = bias {
            gradients.register::<Flex>(bias.id, dbias.unwrap_or_else(|| work.by_bias(&dy)));
        }
    }
}

#[derive(Debug)]
struct NormalizationStep;

impl Backward<Flex, 3> for NormalizationStep {
    type State = Normalization;

    /// The parents are x, gamma and beta.
    fn backward(
        self,
        ops: Ops<Normalization, 3>,
        gradients: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let dy = channels_last(&gradients.consume::<Flex>(&ops.node));
        let all = ops.state.gradients(&dy);
        for (parent, gradient) in ops.parents.into_iter().zip(all) {
            if let Some(parent) = parent {
                gradients.register::<Flex>(parent.id, gradient);
            }
        }
    }
}

#[derive(Debug)]
struct JunctionStep;

impl Backward<Flex, 2> for JunctionStep {
    /// The output.
    type State = FlexTensor;

    /// The parents are x and the shortcut.
    fn backward(
        self,
        ops: Ops<FlexTensor, 2>,
        gradients: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let dy = channels_last(&gradients.consume::<Flex>(&ops.node));
        let both = join_gradient(&channels_last(&ops.state), &dy);
        for parent in ops.parents.into_iter().flatten() {
            gradients.register::<Flex>(parent.id, both.clone());
        }
    }
}

#[derive(Debug)]
struct NormalizedConvolutionStep;

impl<const N: usize> Backward<Flex, N> for NormalizedConvolutionStep {
    type State = NormalizedConvolution;

    /// The parents are x, weight, gamma, beta and, if there is a fifth, bias.
    fn backward(
        self,
        ops: Ops<NormalizedConvolution, N>,
        gradients: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let dy = channels_last(&gradients.consume::<Flex>(&ops.node));
        let mut parents = ops.parents.into_iter();
        let [x, weight, gamma, beta, bias] = std::array::from_fn(|_| parents.next().flatten());
        let by_input = WithInput::new(x.is_some());
        let (dx, others) = ops.state.gradients(numbers(&dy), by_input);
        if let (Some(x), Some(dx)) = (x, dx) {
            gradients.register::<Flex>(x.id, ops.state.input_tensor(dx));
        }
        for (parent, gradient) in [weight, gamma, beta].into_iter().zip(others) {
            if let Some(parent) = parent {
                gradients.register::<Flex>(parent.id, gradient);
            }
        }
        if let Some(bias) = bias {
            gradients.register::<Flex>(bias.id, ops.state.by_bias());
        }
    }
}

#[derive(Debug)]
struct BottleneckStep;

impl<const N: usize> Backward<Flex, N> for BottleneckStep {
    type State = Bottleneck;

    /// The parents are x, the three weights, gammas, betas and, if there is a seventh, the weight around.
    fn backward(
        self,
        ops: Ops<Bottleneck, N>,
        gradients: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let dy = channels_last(&gradients.consume::<Flex>(&ops.node));
        let mut parents = ops.parents.into_iter();
        let x = parents.next().flatten();
        let (dx, others) = ops.state.gradients(&dy, x.is_some());
        if let (Some(x), Some(dx)) = (x, dx) {
            gradients.register::<Flex>(x.id, dx);
        }
        for (parent, gradient) in parents.zip(others) {
            if let Some(parent) = parent {
                gradients.register::<Flex>(parent.id, gradient);
            }
        }
    }
}

#[derive(Debug)]
struct ResidualStep;

impl Backward<Flex, 4> for ResidualStep {
    type State = Residual;

    /// The parents are x, weights, gammas and betas.
    fn backward(
        self,
        ops: Ops<Residual, 4>,
        gradients: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let dy = channels_last(&gradients.consume::<Flex>(&ops.node));
        let all = ops.state.gradients(&dy);
        for (parent, gradient) in ops.parents.into_iter().zip(all) {
            if let Some(parent) = parent {
                gradients.register::<Flex>(parent.id, gradient);
            }
        }
    }
}

#[derive(Debug)]
struct ShortcutStep;

impl Backward<Flex, 1> for ShortcutStep {
    /// Sizes of the input.
    type State = [usize; 4];

    fn backward(
        self,
        ops: Ops<[usize; 4], 1>,
        gradients: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let dy = channels_last(&gradients.consume::<Flex>(&ops.node));
        for parent in ops.parents.into_iter().flatten() {
            gradients.register::<Flex>(parent.id, halve_gradient(&dy, ops.state));
        }
    }
}

#[derive(Debug)]
struct PoolStep;

impl Backward<Flex, 1> for PoolStep {
    type State = Pooled;

    fn backward(
        self,
        ops: Ops<Pooled, 1>,
        gradients: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let dy = channels_last(&gradients.consume::<Flex>(&ops.node));
        for parent in ops.parents.into_iter().flatten() {
            gradients.register::<Flex>(parent.id, ops.state.gradient(&dy));
        }
    }
}

impl<C: CheckpointStrategy> KernelOps for Autodiff<Flex, C> {
    fn kernel_conv2d(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        stride: [usize; 2],
        padding: [usize; 2],
    ) -> FloatTensor<Self> {
        let work = Convolution::new(x.primitive(), weight.primitive(), stride, padding);
        let output = work.output(None);
        tracked::<C, _, _, _>(ConvolutionStep, [x.node(), weight.node()], work, output)
    }

    fn kernel_conv2d_bias(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        stride: [usize; 2],
        padding: [usize; 2],
    ) -> FloatTensor<Self> {
        let work = Convolution::new(x.primitive(), weight.primitive(), stride, padding);
        let output = work.output(Some(bias.primitive()));
        tracked::<C, _, _, _>(ConvolutionStep, [x.node(), weight.node(), bias.node()], work, output)
    }

    fn kernel_batch_norm_train(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
        after: After,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let parameters = [gamma.primitive(), beta.primitive()];
        let work = Normalization::new(x.primitive(), parameters, None, epsilon, after);
        let output = work.output();
        let [mean, variance] = moments(&work.statistics).map(Self::from_inner);
        let output = tracked::<C, _, _, _>(
            NormalizationStep,
            [x.node(), gamma.node(), beta.node()],
            work,
            output,
        );
        (output, mean, variance)
    }

    fn kernel_batch_norm(
        _x: FloatTensor<Self>,
        _gamma: FloatTensor<Self>,
        _beta: FloatTensor<Self>,
        _mean: FloatTensor<Self>,
        _variance: FloatTensor<Self>,
        _epsilon: f64,
        _after: After,
    ) -> FloatTensor<Self> {
        unreachable!("`batch_norm` takes Burn's own operations under autodiff")
    }

    fn kernel_conv_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        layer: Layer,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let rows = [gamma.primitive(), beta.primitive()];
        let work = Convolution::new(x.primitive(), weight.primitive(), layer.stride, layer.padding);
        let work = NormalizedConvolution::new(work, None, rows, layer.epsilon, layer.after);
        let parents = [x.node(), weight.node(), gamma.node(), beta.node()];
        let output = work.output();
        let [mean, variance] = moments(&work.statistics).map(Self::from_inner);
        let output = tracked::<C, _, _, _>(NormalizedConvolutionStep, parents, work, output);
        (output, mean, variance)
    }

    fn kernel_conv_norm_bias(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        layer: Layer,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let rows = [gamma.primitive(), beta.primitive()];
        let work = Convolution::new(x.primitive(), weight.primitive(), layer.stride, layer.padding);
        let bias_values = Some(bias.primitive());
        let work = NormalizedConvolution::new(work, bias_values, rows, layer.epsilon, layer.after);
        let parents = [x.node(), weight.node(), gamma.node(), beta.node(), bias.node()];
        let output = work.output();
        let [mean, variance] = moments(&work.statistics).map(Self::from_inner);
        let output = tracked::<C, _, _, _>(NormalizedConvolutionStep, parents, work, output);
        (output, mean, variance)
    }

    fn kernel_bottleneck(
        x: FloatTensor<Self>,
        first: FloatTensor<Self>,
        second: FloatTensor<Self>,
        third: FloatTensor<Self>,
        gammas: FloatTensor<Self>,
        betas: FloatTensor<Self>,
        stride: usize,
        epsilon: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let inputs = [&x, &first, &second, &third, &gammas, &betas];
        let parents = inputs.map(|input| input.node());
        let [x, first, second, third, gammas, betas] = inputs.map(|input| input.primitive());
        let (weights, rows) = ([first, second, third], [gammas, betas]);
        let work = Bottleneck::new(x, weights, None, rows, stride, epsilon);
        let output = work.output();
        let [means, variances] = work.moments().map(Self::from_inner);
        let output = tracked::<C, _, _, _>(BottleneckStep, parents, work, output);
        (output, means, variances)
    }

    fn kernel_bottleneck_around(
        x: FloatTensor<Self>,
        first: FloatTensor<Self>,
        second: FloatTensor<Self>,
        third: FloatTensor<Self>,
        gammas: FloatTensor<Self>,
        betas: FloatTensor<Self>,
        around: FloatTensor<Self>,
        stride: usize,
        epsilon: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let inputs = [&x, &first, &second, &third, &gammas, &betas, &around];
        let parents = inputs.map(|input| input.node());
        let [x, first, second, third, gammas, betas, around] =
            inputs.map(|input| input.primitive());
        let (weights, rows) = ([first, second, third], [gammas, betas]);
        let work = Bottleneck::new(x, weights, Some(around), rows, stride, epsilon);
        let output = work.output();
        let [means, variances] = work.moments().map(Self::from_inner);
        let output = tracked::<C, _, _, _>(BottleneckStep, parents, work, output);
        (output, means, variances)
    }

    fn kernel_conv_joined(
        _x: FloatTensor<Self>,
        _weight: FloatTensor<Self>,
        _gamma: FloatTensor<Self>,
        _beta: FloatTensor<Self>,
        _mean: FloatTensor<Self>,
        _variance: FloatTensor<Self>,
        _shortcut: FloatTensor<Self>,
        _layer: Layer,
    ) -> FloatTensor<Self> {
        unreachable!("`conv_norm_join` takes `conv_norm` and `add_relu` under autodiff")
    }

    fn kernel_residual(
        x: FloatTensor<Self>,
        weights: FloatTensor<Self>,
        gammas: FloatTensor<Self>,
        betas: FloatTensor<Self>,
        epsilon: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let norms = [gammas.primitive(), betas.primitive()];
        let work = Residual::new(x.primitive(), weights.primitive(), norms, epsilon);
        let output = work.output();
        let [means, variances] = work.moments().map(Self::from_inner);
        let parents = [x.node(), weights.node(), gammas.node(), betas.node()];
        let output = tracked::<C, _, _, _>(ResidualStep, parents, work, output);
        (output, means, variances)
    }

    fn kernel_conv_normalized(
        _x: FloatTensor<Self>,
        _weight: FloatTensor<Self>,
        _bias: FloatTensor<Self>,
        _gamma: FloatTensor<Self>,
        _beta: FloatTensor<Self>,
        _mean: FloatTensor<Self>,
        _variance: FloatTensor<Self>,
        _layer: Layer,
    ) -> FloatTensor<Self> {
        unreachable!("`conv_norm` takes `conv2d` and `batch_norm` under autodiff")
    }

    fn kernel_halve(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let output = halve(&channels_last(x.primitive()));
        let size = x.primitive().shape().dims();
        tracked::<C, _, _, _>(ShortcutStep, [x.node()], size, output)
    }

    fn kernel_max_pool(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let (pooled, output) = Pooled::new(&channels_last(x.primitive()));
        tracked::<C, _, _, _>(PoolStep, [x.node()], pooled, output)
    }

    fn kernel_add_relu(x: FloatTensor<Self>, shortcut: FloatTensor<Self>) -> FloatTensor<Self> {
        let [left, right] = [x.primitive(), shortcut.primitive()].map(channels_last);
        let output = join(&left, &right);
        tracked::<C, _, _, _>(JunctionStep, [x.node(), shortcut.node()], output.clone(), output)
    }

    fn kernel_descend(
        _gradient: FloatTensor<Self>,
        _value: FloatTensor<Self>,
        _velocity: FloatTensor<Self>,
        _rule: Descent,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        unreachable!("`descend` takes Burn's own operations under autodiff")
    }
}
