//! Between Flex's tensors and the kernels' channels-last slices.
//!
//! A channels-last tensor is an ordinary Flex tensor \[N, C, H, W\] whose strides say that the
//! channels lie next to each other. Every operation of Burn reads it rightly; ours read it without
//! a copy, so that between them no layout ever changes.

use burn::backend::TensorMetadata;
use burn::backend::flex::{FlexTensor, Layout};
use burn::tensor::{DType, Shape, TensorData};

use crate::buffers::Buffer;
use crate::convolution::{bias_gradient, convolve, input_gradient, weight_gradient};
use crate::geometry::Geometry;
use crate::junction;
use crate::normalization::{After, Extent, Rows, Statistics, gradients, normalize, statistics};
use crate::normalized;
use crate::ops::Layer;
use crate::pointwise::Target;
use crate::pool;
use crate::shortcut;
use crate::source::Source;

/// The channels-last numbers of an \[N, C, H, W\] tensor: its own if they lie so, else a copy.
pub(crate) fn channels_last(tensor: &FlexTensor) -> FlexTensor {
    let layout = tensor.layout().permute(&[0, 2, 3, 1]);
    tensor.clone().with_layout(layout).to_contiguous()
}

/// The numbers of a contiguous tensor.
pub(crate) fn numbers(tensor: &FlexTensor) -> &[f32] {
    tensor.as_slice().expect("checked to be f32 and made contiguous")
}

/// A tensor \[N, C, H, W\] of channels-last numbers.
pub(crate) fn image_tensor(
    numbers: Buffer,
    [batch, channels, height, width]: [usize; 4],
) -> FlexTensor {
    let layout = Layout::contiguous(Shape::new([batch, height, width, channels]));
    FlexTensor::new(numbers.into_bytes(), layout.permute(&[0, 3, 1, 2]), DType::F32)
}

/// A vector.
pub(crate) fn row_tensor(numbers: Vec<f32>) -> FlexTensor {
    let length = numbers.len();
    FlexTensor::from_data(TensorData::new(numbers, [length]))
}

/// Mean and variance.
pub(crate) fn moments(statistics: &Statistics) -> [FlexTensor; 2] {
    [&statistics.mean, &statistics.variance].map(|row| row_tensor(row.clone()))
}

/// A convolution whose inputs lie ready for the kernels; what its backward pass keeps.
#[derive(Clone, Debug)]
pub(crate) struct Convolution {
    pub(crate) geometry: Geometry,
    x: FlexTensor,
    weight: FlexTensor,
}

impl Convolution {
    pub(crate) fn new(
        x: &FlexTensor,
        weight: &FlexTensor,
        stride: [usize; 2],
        padding: [usize; 2],
    ) -> Self {
        let [batch, channels_in, height, width] = x.shape().dims();
        let [channels_out, _, down, across] = weight.shape().dims();
        let geometry = Geometry {
            batch,
            channels_in,
            channels_out,
            input: [height, width],
            kernel: [down, across],
            stride,
            padding,
        };
        Self { geometry, x: channels_last(x), weight: weight.to_contiguous() }
    }

    pub(crate) fn output(&self, bias: Option<&FlexTensor>) -> FlexTensor {
        let bias = bias.map(FlexTensor::to_contiguous);
        let mut y = Buffer::take(self.geometry.output_len());
        let bias = bias.as_ref().map(numbers);
        convolve(&self.geometry, numbers(&self.x), numbers(&self.weight), bias, &mut y);
        let [height, width] = self.geometry.output();
        image_tensor(y, [self.geometry.batch, self.geometry.channels_out, height, width])
    }

    /// The output after a normalization by given mean and variance, `rows` its scale and shift.
    pub(crate) fn normalized(
        &self,
        bias: &FlexTensor,
        rows: [&FlexTensor; 2],
        given: [&FlexTensor; 2],
        layer: &Layer,
    ) -> FlexTensor {
        let bias = bias.to_contiguous();
        let [gamma, beta] = rows.map(FlexTensor::to_contiguous);
        let [mean, variance] = given.map(|row| numbers(&row.to_contiguous()).to_vec());
        let (epsilon, after) = (layer.epsilon as f32, layer.after);
        let norm =
            normalized::Norm { gamma: numbers(&gamma), beta: numbers(&beta), epsilon, after };
        let mut y = Buffer::take(self.geometry.output_len());
        let from = [&self.x, &self.weight, &bias].map(numbers);
        let statistics = Statistics { mean, variance };
        normalized::convolve_normalized(&self.geometry, from, &statistics, &norm, &mut y);
        let [height, width] = self.geometry.output();
        image_tensor(y, [self.geometry.batch, self.geometry.channels_out, height, width])
    }

    /// The output after such a normalization and the end of a residual block.
    pub(crate) fn joined(
        &self,
        rows: [&FlexTensor; 2],
        given: [&FlexTensor; 2],
        shortcut: &FlexTensor,
        epsilon: f64,
    ) -> FlexTensor {
        let [gamma, beta] = rows.map(FlexTensor::to_contiguous);
        let [mean, variance] = given.map(|row| numbers(&row.to_contiguous()).to_vec());
        let (epsilon, after) = (epsilon as f32, After::Nothing);
        let norm =
            normalized::Norm { gamma: numbers(&gamma), beta: numbers(&beta), epsilon, after };
        let shortcut = channels_last(shortcut);
        let mut y = Buffer::take(self.geometry.output_len());
        let from = [&self.x, &self.weight, &shortcut].map(numbers);
        let statistics = Statistics { mean, variance };
        normalized::convolve_joined(&self.geometry, from, &statistics, &norm, &mut y);
        of_channels_last(y, &shortcut)
    }

    /// `dy` channels-last, here and below.
    pub(crate) fn by_input(&self, dy: &FlexTensor) -> FlexTensor {
        let mut dx = Buffer::take(self.geometry.input_len());
        input_gradient(&self.geometry, numbers(&self.weight), numbers(dy), &mut dx);
        let [height, width] = self.geometry.input;
        image_tensor(dx, [self.geometry.batch, self.geometry.channels_in, height, width])
    }

    /// By the weight, and by the bias if asked for.
    pub(crate) fn by_weight(
        &self,
        dy: &FlexTensor,
        with_bias: bool,
    ) -> (FlexTensor, Option<FlexTensor>) {
        let mut dweight = Buffer::take(self.geometry.weight_len());
        let mut dbias = with_bias.then(|| vec![0.0; self.geometry.channels_out]);
        let (x, dy) = (numbers(&self.x), numbers(dy));
        weight_gradient(&self.geometry, x, dy, &mut dweight, dbias.as_deref_mut());
        let layout = Layout::contiguous(self.weight.shape());
        let dweight = FlexTensor::new(dweight.into_bytes(), layout, DType::F32);
        (dweight, dbias.map(row_tensor))
    }

    pub(crate) fn by_bias(&self, dy: &FlexTensor) -> FlexTensor {
        row_tensor(bias_gradient(numbers(dy), self.geometry.channels_out))
    }
}

/// A normalization whose inputs lie ready for the kernels; what its backward pass keeps.
#[derive(Clone, Debug)]
pub(crate) struct Normalization {
    extent: Extent,
    pub(crate) statistics: Statistics,
    x: FlexTensor,
    gamma: FlexTensor,
    beta: FlexTensor,
    epsilon: f32,
    after: After,
}

impl Normalization {
    /// By the statistics given, or those of `x`.
    pub(crate) fn new(
        x: &FlexTensor,
        [gamma, beta]: [&FlexTensor; 2],
        given: Option<[&FlexTensor; 2]>,
        epsilon: f64,
        after: After,
    ) -> Self {
        let [batch, channels, height, width] = x.shape().dims();
        let extent = Extent { batch, height, width, channels };
        let x = channels_last(x);
        let statistics = match given {
            Some([mean, variance]) => Statistics {
                mean: numbers(&mean.to_contiguous()).to_vec(),
                variance: numbers(&variance.to_contiguous()).to_vec(),
            },
            None => statistics(numbers(&x), &extent),
        };
        let (gamma, beta) = (gamma.to_contiguous(), beta.to_contiguous());
        Self { extent, statistics, x, gamma, beta, epsilon: epsilon as f32, after }
    }

    pub(crate) fn output(&self) -> FlexTensor {
        let mut y = Buffer::take(self.extent.output_len(self.after));
        let parameters = [numbers(&self.gamma), numbers(&self.beta)];
        let x = numbers(&self.x);
        normalize(x, &self.extent, &self.statistics, parameters, self.epsilon, self.after, &mut y);
        let [height, width] = self.extent.output(self.after);
        image_tensor(y, [self.extent.batch, self.extent.channels, height, width])
    }

    /// ∂x, ∂γ and ∂β from `dy`, channels-last.
    pub(crate) fn gradients(&self, dy: &FlexTensor) -> [FlexTensor; 3] {
        let mut dx = Buffer::take(self.extent.len());
        let (dgamma, dbeta) = gradients(
            numbers(&self.x),
            &self.extent,
            &self.statistics,
            [numbers(&self.gamma), numbers(&self.beta)],
            self.epsilon,
            self.after,
            numbers(dy),
            &mut dx,
        );
        let Extent { batch, height, width, channels } = self.extent;
        let dx = image_tensor(dx, [batch, channels, height, width]);
        [dx, row_tensor(dgamma), row_tensor(dbeta)]
    }
}

/// Which gradient by its input a convolution is asked for.
pub(crate) enum WithInput {
    None,
    New,
    /// One that is added to these numbers, for a 1×1 filter of stride 1.
    AddedTo(Buffer),
}

impl WithInput {
    pub(crate) fn new(is_asked_for: bool) -> Self {
        if is_asked_for { Self::New } else { Self::None }
    }
}

/// What a convolution keeps of its input.
#[derive(Clone, Debug)]
enum Input {
    Given(FlexTensor),
    /// max(norm(a), 0), which is made anew.
    Normalized {
        a: FlexTensor,
        rows: Rows,
    },
}

impl Input {
    fn source(&self) -> Source<'_> {
        match self {
            Self::Given(x) => Source::Given(numbers(x)),
            Self::Normalized { a, rows } => Source::Normalized { a: numbers(a), rows },
        }
    }
}

/// A convolution and the normalization after it, whose inputs lie ready for the kernels; what the
/// backward pass keeps.
#[derive(Clone, Debug)]
pub(crate) struct NormalizedConvolution {
    geometry: Geometry,
    x: Input,
    weight: FlexTensor,
    a: FlexTensor,
    gamma: FlexTensor,
    beta: FlexTensor,
    epsilon: f32,
    pub(crate) after: After,
    pub(crate) statistics: Statistics,
}

impl NormalizedConvolution {
    pub(crate) fn new(
        convolution: Convolution,
        bias: Option<&FlexTensor>,
        [gamma, beta]: [&FlexTensor; 2],
        epsilon: f64,
        after: After,
    ) -> Self {
        let Convolution { geometry, x, weight } = convolution;
        let bias = bias.map(FlexTensor::to_contiguous);
        let bias = bias.as_ref().map(numbers);
        let mut a = Buffer::take(geometry.output_len());
        let statistics = normalized::convolution_with_statistics(
            &geometry,
            numbers(&x),
            numbers(&weight),
            bias,
            &mut a,
        );
        let layout = Layout::contiguous(Shape::new([a.len()]));
        let a = FlexTensor::new(a.into_bytes(), layout, DType::F32);
        let (gamma, beta) = (gamma.to_contiguous(), beta.to_contiguous());
        let x = Input::Given(x);
        Self { geometry, x, weight, a, gamma, beta, epsilon: epsilon as f32, after, statistics }
    }

    /// Keeps instead of its input, which is the output of `before` after a ReLU, what that is made of, where that
    /// costs no pass of its own.
    pub(crate) fn after(mut self, before: &Self) -> Self {
        if normalized::fuses_gradients(&self.geometry, self.after) {
            let (a, rows) = (before.a.clone(), before.norm().rows(&before.statistics));
            self.x = Input::Normalized { a, rows };
        }
        self
    }

    pub(crate) fn output(&self) -> FlexTensor {
        let extent = normalized::extent(&self.geometry);
        let mut y = Buffer::take(extent.output_len(self.after));
        let parameters = [numbers(&self.gamma), numbers(&self.beta)];
        let a = numbers(&self.a);
        normalize(a, &extent, &self.statistics, parameters, self.epsilon, self.after, &mut y);
        let [height, width] = extent.output(self.after);
        image_tensor(y, [extent.batch, extent.channels, height, width])
    }

    /// The output at the end of a residual block; `shortcut` is channels-last.
    pub(crate) fn joined(&self, shortcut: &FlexTensor) -> FlexTensor {
        let rows = self.norm().rows(&self.statistics);
        let mut y = Buffer::take(self.geometry.output_len());
        let from = [&self.a, shortcut].map(numbers);
        junction::normalize_join(&rows, self.geometry.channels_out, from, &mut y);
        of_channels_last(y, shortcut)
    }

    fn norm(&self) -> normalized::Norm<'_> {
        let (gamma, beta) = (numbers(&self.gamma), numbers(&self.beta));
        normalized::Norm { gamma, beta, epsilon: self.epsilon, after: self.after }
    }

    /// By x if it is asked for, weight, gamma and beta, from `dy`, both channels-last numbers.
    pub(crate) fn gradients(
        &self,
        dy: &[f32],
        by_input: WithInput,
    ) -> (Option<Buffer>, [FlexTensor; 3]) {
        let (x, from) = (self.x.source(), [&self.weight, &self.a].map(numbers));
        self.gradients_by(by_input, |dweight, dx| {
            let norm = self.norm();
            normalized::backward(&self.geometry, x, from, &self.statistics, &norm, dy, dweight, dx)
        })
    }

    /// By x, by the others, and by the shortcut, from that of the joined output `y`; all channels-last.
    pub(crate) fn joined_gradients(
        &self,
        y: &[f32],
        dy: &[f32],
    ) -> (Buffer, [FlexTensor; 3], Buffer) {
        let (x, [weight, a]) = (self.x.source(), [&self.weight, &self.a].map(numbers));
        let mut dshortcut = Buffer::take(self.geometry.output_len());
        let (dx, others) = self.gradients_by(WithInput::New, |dweight, dx| {
            normalized::backward_joined(
                &self.geometry,
                x,
                [weight, a, y],
                &self.statistics,
                &self.norm(),
                dy,
                &mut dshortcut,
                dweight,
                dx,
            )
        });
        (dx.expect("it was asked for"), others, dshortcut)
    }

    /// The gradients of what `write` writes, by weight and input, and gives.
    fn gradients_by(
        &self,
        by_input: WithInput,
        write: impl FnOnce(&mut [f32], Option<Target>) -> [Vec<f32>; 2],
    ) -> (Option<Buffer>, [FlexTensor; 3]) {
        let mut dweight = Buffer::take(self.geometry.weight_len());
        let adds = matches!(by_input, WithInput::AddedTo(_));
        let mut dx = match by_input {
            WithInput::None => None,
            WithInput::New => Some(Buffer::take(self.geometry.input_len())),
            WithInput::AddedTo(numbers) => Some(numbers),
        };
        let fits = dx.as_ref().is_none_or(|dx| dx.len() == self.geometry.input_len());
        assert!(fits, "a gradient by the input of {:?}", self.geometry);
        let rows = write(&mut dweight, dx.as_deref_mut().map(|numbers| Target { numbers, adds }));
        let layout = Layout::contiguous(self.weight.shape());
        let dweight = FlexTensor::new(dweight.into_bytes(), layout, DType::F32);
        let [dgamma, dbeta] = rows.map(row_tensor);
        (dx, [dweight, dgamma, dbeta])
    }

    /// The gradient by x as a tensor.
    pub(crate) fn input_tensor(&self, dx: Buffer) -> FlexTensor {
        let Geometry { batch, channels_in, input: [height, width], .. } = self.geometry;
        image_tensor(dx, [batch, channels_in, height, width])
    }

    /// By the bias.
    pub(crate) fn by_bias(&self) -> FlexTensor {
        row_tensor(vec![0.0; self.geometry.channels_out])
    }
}

/// max(x + shortcut, 0) of channels-last tensors, with the shape of an image tensor.
pub(crate) fn join(x: &FlexTensor, shortcut: &FlexTensor) -> FlexTensor {
    let mut y = Buffer::take(numbers(x).len());
    junction::join(numbers(x), numbers(shortcut), &mut y);
    of_channels_last(y, x)
}

/// The gradient of [`join`] by either side; `y` and `dy` channels-last.
pub(crate) fn join_gradient(y: &FlexTensor, dy: &FlexTensor) -> FlexTensor {
    let mut dx = Buffer::take(numbers(y).len());
    junction::gradient(numbers(y), numbers(dy), &mut dx);
    of_channels_last(dx, y)
}

/// The shortcut into a new stage of a channels-last tensor.
pub(crate) fn halve(x: &FlexTensor) -> FlexTensor {
    let size = x.shape().dims();
    let [batch, height, width, channels] = shortcut::halved(size);
    let mut y = Buffer::take(batch * height * width * channels);
    shortcut::halve(numbers(x), size, &mut y);
    image_tensor(y, [batch, channels, height, width])
}

/// The gradient of [`halve`] by a tensor of the sizes \[N, C, H, W\]; `dy` channels-last.
pub(crate) fn halve_gradient(
    dy: &FlexTensor,
    [batch, channels, height, width]: [usize; 4],
) -> FlexTensor {
    let mut dx = Buffer::take(batch * channels * height * width);
    shortcut::gradient(numbers(dy), [batch, height, width, channels], &mut dx);
    image_tensor(dx, [batch, channels, height, width])
}

/// The largest of each window of a channels-last tensor.
pub(crate) fn max_pool(x: &FlexTensor) -> FlexTensor {
    let size = x.shape().dims();
    let [batch, height, width, channels] = pool::pooled(size);
    let mut y = Buffer::take(batch * height * width * channels);
    pool::largest(numbers(x), size, &mut y, None);
    image_tensor(y, [batch, channels, height, width])
}

/// What a max pooling keeps for its gradient.
#[derive(Clone, Debug)]
pub(crate) struct Pooled {
    /// Sizes of the input, \[N, H, W, C\].
    size: [usize; 4],
    /// The largest pixel of each window, with the shape of the output.
    which: FlexTensor,
}

impl Pooled {
    /// With the output; `x` is channels-last.
    pub(crate) fn new(x: &FlexTensor) -> (Self, FlexTensor) {
        let size = x.shape().dims();
        let [batch, height, width, channels] = pool::pooled(size);
        let [mut y, mut which] = [(); 2].map(|()| Buffer::take(batch * height * width * channels));
        pool::largest(numbers(x), size, &mut y, Some(&mut which));
        let [y, which] = [y, which].map(|all| image_tensor(all, [batch, channels, height, width]));
        (Self { size, which: channels_last(&which) }, y)
    }

    /// The gradient by the input; `dy` is channels-last.
    pub(crate) fn gradient(&self, dy: &FlexTensor) -> FlexTensor {
        let [batch, height, width, channels] = self.size;
        let mut dx = Buffer::take(self.size.iter().product());
        pool::gradient(numbers(&self.which), self.size, numbers(dy), &mut dx);
        image_tensor(dx, [batch, channels, height, width])
    }
}

/// An image tensor of the size of `like`, which is channels-last, \[N, H, W, C\].
fn of_channels_last(numbers: Buffer, like: &FlexTensor) -> FlexTensor {
    let [batch, height, width, channels] = like.shape().dims();
    image_tensor(numbers, [batch, channels, height, width])
}
