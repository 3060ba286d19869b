//! Whole blocks of residual networks on Flex's tensors, which must be `f32`.

use std::ops::Deref;

use burn::backend::TensorMetadata;
use burn::backend::flex::{FlexTensor, Layout};
use burn::tensor::{DType, TensorData};

use crate::buffers::Buffer;
use crate::flex::{
    Convolution, NormalizedConvolution, WithInput, channels_last, image_tensor, numbers, row_tensor,
};
use crate::normalization::{After, Extent, Statistics};
use crate::residual::{Activations, Blocks, Gradients};

/// A bottleneck whose input lies ready for the kernels; what its backward pass keeps.
#[derive(Clone, Debug)]
pub(crate) struct Bottleneck {
    layers: [NormalizedConvolution; 3],
    /// The way around the layers, where it is not x itself.
    around: Option<NormalizedConvolution>,
    /// Channels-last.
    y: FlexTensor,
}

impl Bottleneck {
    /// `rows` are the scales of the normalizations one after the other, that of the way around last, and the
    /// shifts.
    pub(crate) fn new(
        x: &FlexTensor,
        weights: [&FlexTensor; 3],
        around: Option<&FlexTensor>,
        rows: [&FlexTensor; 2],
        stride: usize,
        epsilon: f64,
    ) -> Self {
        let rows = rows.map(FlexTensor::to_contiguous);
        let mut begin = 0;
        let mut layer = |x: &FlexTensor, weight: &FlexTensor, stride: usize, after: After| {
            let [_, _, side, _] = weight.shape().dims();
            let convolution = Convolution::new(x, weight, [stride; 2], [side / 2; 2]);
            let channels = convolution.geometry.channels_out;
            let own =
                rows.each_ref().map(|row| row_tensor(numbers(row)[begin..][..channels].to_vec()));
            begin += channels;
            let own = own.each_ref();
            NormalizedConvolution::new(convolution, None, own, epsilon, after)
        };
        let x = &of_image(&channels_last(x));
        let first = layer(x, weights[0], 1, After::Relu);
        let second = layer(&first.output(), weights[1], stride, After::Relu).after(&first);
        let third = layer(&second.output(), weights[2], 1, After::Nothing).after(&second);
        let around = around.map(|weight| layer(x, weight, stride, After::Nothing));
        let shortcut = around.as_ref().map_or_else(|| x.clone(), NormalizedConvolution::output);
        let y = channels_last(&third.joined(&channels_last(&shortcut)));
        Self { layers: [first, second, third], around, y }
    }

    pub(crate) fn output(&self) -> FlexTensor {
        of_image(&self.y)
    }

    /// Means and variances of the normalizations one after the other.
    pub(crate) fn moments(&self) -> [FlexTensor; 2] {
        let all = |of: &dyn Fn(&Statistics) -> &[f32]| {
            let layers = self.layers.iter().chain(&self.around);
            row_tensor(layers.flat_map(|layer| of(&layer.statistics)).copied().collect())
        };
        [all(&|statistics| &statistics.mean), all(&|statistics| &statistics.variance)]
    }

    /// By x if it is asked for, and by the weights, scales and shifts, and by the weight of the way around, from
    /// `dy`, channels-last. What a layer keeps is dropped when it has been used.
    pub(crate) fn gradients(
        self,
        dy: &FlexTensor,
        by_input: bool,
    ) -> (Option<FlexTensor>, Vec<FlexTensor>) {
        let [first, second, third] = self.layers;
        let (d_inner, [weight_3, scale_3, shift_3], dy) =
            third.joined_gradients(numbers(&self.y), numbers(dy));
        drop((third, self.y));
        // The gradient by x from around, to which the first layer adds its own.
        let (beside, of_around) = match self.around {
            None => (by_input.then_some(dy), None),
            Some(around) => {
                let (dx, gradients) = around.gradients(&dy, WithInput::new(by_input));
                drop((around, dy));
                (dx, Some(gradients))
            }
        };
        let (d_first, [weight_2, scale_2, shift_2]) = second.gradients(&d_inner, WithInput::New);
        drop((second, d_inner));
        let d_first = d_first.expect("it was asked for");
        let onto = beside.map_or(WithInput::None, WithInput::AddedTo);
        let (dx, [weight_1, scale_1, shift_1]) = first.gradients(&d_first, onto);
        let dx = dx.map(|dx| first.input_tensor(dx));
        let (mut scales, mut shifts) =
            (vec![scale_1, scale_2, scale_3], vec![shift_1, shift_2, shift_3]);
        let mut weight_4 = None;
        if let Some([weight, scale, shift]) = of_around {
            scales.push(scale);
            shifts.push(shift);
            weight_4 = Some(weight);
        }
        let [scales, shifts] = [scales, shifts]
            .map(|rows| row_tensor(rows.iter().flat_map(numbers).copied().collect()));
        let others = [weight_1, weight_2, weight_3, scales, shifts];
        (dx, others.into_iter().chain(weight_4).collect())
    }
}

/// Channels-last numbers \[N, H, W, C\] with the shape of an image tensor.
fn of_image(channels_last: &FlexTensor) -> FlexTensor {
    let layout = channels_last.layout().permute(&[0, 3, 1, 2]);
    channels_last.clone().with_layout(layout)
}

/// Residual blocks whose input lies ready for the kernels; what their backward pass keeps.
#[derive(Clone, Debug)]
pub(crate) struct Residual {
    extent: Extent,
    epsilon: f32,
    x: FlexTensor,
    blocks: Vec<Activations<Numbers>>,
    weights: FlexTensor,
    norms: [FlexTensor; 2],
    statistics: Vec<Statistics>,
}

/// The numbers of a contiguous tensor, which live as long as it.
#[derive(Clone, Debug)]
struct Numbers(FlexTensor);

impl Deref for Numbers {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        numbers(&self.0)
    }
}

impl Residual {
    pub(crate) fn new(
        x: &FlexTensor,
        weights: &FlexTensor,
        norms: [&FlexTensor; 2],
        epsilon: f64,
    ) -> Self {
        let [batch, channels, height, width] = x.shape().dims();
        let extent = Extent { batch, height, width, channels };
        let x = channels_last(x);
        let weights = weights.to_contiguous();
        let norms = norms.map(FlexTensor::to_contiguous);
        let epsilon = epsilon as f32;
        let (blocks, statistics) =
            residual_blocks(extent, &weights, &norms, epsilon).forward(numbers(&x));
        let tensor = |numbers: Buffer| {
            Numbers(FlexTensor::new(numbers.into_bytes(), x.layout().clone(), DType::F32))
        };
        let blocks = blocks.into_iter().map(|Activations { a, b, y }| Activations {
            a: tensor(a),
            b: tensor(b),
            y: tensor(y),
        });
        let blocks = blocks.collect();
        Self { extent, epsilon, x, blocks, weights, norms, statistics }
    }

    /// The last y, as an image tensor.
    pub(crate) fn output(&self) -> FlexTensor {
        of_image(self.blocks.last().map_or(&self.x, |block| &block.y.0))
    }

    /// Means, and variances, of all normalizations.
    pub(crate) fn moments(&self) -> [FlexTensor; 2] {
        let tensor = |rows: Vec<f32>| {
            let shape = [self.statistics.len(), self.extent.channels];
            FlexTensor::from_data(TensorData::new(rows, shape))
        };
        [
            tensor(self.statistics.iter().flat_map(|s| s.mean.iter().copied()).collect()),
            tensor(self.statistics.iter().flat_map(|s| s.variance.iter().copied()).collect()),
        ]
    }

    /// By x, the weights, and scale and shift of the normalizations, from `dy`, channels-last.
    pub(crate) fn gradients(self, dy: &FlexTensor) -> [FlexTensor; 4] {
        let mut dx = Buffer::take(self.extent.len());
        let blocks = residual_blocks(self.extent, &self.weights, &self.norms, self.epsilon);
        let Gradients { weights, norms } =
            blocks.backward(numbers(&self.x), self.blocks, &self.statistics, numbers(dy), &mut dx);
        let Extent { batch, height, width, channels } = self.extent;
        let layout = Layout::contiguous(self.weights.shape());
        let weights = FlexTensor::new(weights.into_bytes(), layout, DType::F32);
        let shape = [self.statistics.len(), channels];
        let [gammas, betas] = norms.map(|rows| FlexTensor::from_data(TensorData::new(rows, shape)));
        [image_tensor(dx, [batch, channels, height, width]), weights, gammas, betas]
    }
}

/// The blocks of contiguous tensors.
fn residual_blocks<'a>(
    extent: Extent,
    weights: &'a FlexTensor,
    norms: &'a [FlexTensor; 2],
    epsilon: f32,
) -> Blocks<'a> {
    let norms = norms.each_ref().map(numbers);
    Blocks { extent, weights: numbers(weights), norms, epsilon }
}
