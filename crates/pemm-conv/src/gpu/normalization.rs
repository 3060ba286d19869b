//! Batch normalization by the batch, with what follows it: the equations of [`crate::normalization`].
//!
//! Tensors lie channels-last. Sums over the pixels are taken in two launches: a cube sums a part of the
//! pixels for [`LANES`] channels, then another sums the parts. Values are summed less the channel's first
//! pixel, which is near enough to the mean for the variance to lose nothing.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::FloatTensor;
use burn::backend::{
    Autodiff, AutodiffBackend, Backend, Cube, Dispatch, DispatchTensor, TensorMetadata,
    backend_extension,
};
use burn::cubecl;
use burn::cubecl::calculate_cube_count_elemwise;
use burn::cubecl::prelude::*;
use burn::tensor::{Shape, Tensor as BurnTensor};

use super::{CubeTensor, contiguous, empty};
use crate::normalization::After;
use crate::ops::Normalized;

/// [`crate::batch_norm_train`] of tensors on a GPU.
pub(crate) fn batch_norm_train(
    x: DispatchTensor,
    gamma: DispatchTensor,
    beta: DispatchTensor,
    epsilon: f64,
    after: After,
) -> Normalized<4> {
    let (output, mean, variance) = Dispatch::gpu_batch_norm_train(x, gamma, beta, epsilon, after);
    Normalized {
        output: BurnTensor::from_dispatch(output),
        mean: BurnTensor::from_dispatch(mean),
        variance: BurnTensor::from_dispatch(variance),
    }
}

/// Normalization for tensors that find their backend at run time.
#[backend_extension(Cube, Autodiff)]
trait GpuNormalization: Backend {
    /// Output, mean and variance of a normalization by the batch.
    fn gpu_batch_norm_train(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
        after: After,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
}

impl GpuNormalization for Cube {
    fn gpu_batch_norm_train(
        x: CubeTensor,
        gamma: CubeTensor,
        beta: CubeTensor,
        epsilon: f64,
        after: After,
    ) -> (CubeTensor, CubeTensor, CubeTensor) {
        let work = Work::new(x, gamma, beta, epsilon, after);
        let output = work.output();
        (output, work.mean, work.variance)
    }
}

impl<C: CheckpointStrategy> GpuNormalization for Autodiff<Cube, C> {
    fn gpu_batch_norm_train(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
        after: After,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let [x_in, gamma_in, beta_in] =
            [&x, &gamma, &beta].map(|tensor| tensor.primitive().clone());
        let work = Work::new(x_in, gamma_in, beta_in, epsilon, after);
        let output = work.output();
        let mean = Self::from_inner(work.mean.clone());
        let variance = Self::from_inner(work.variance.clone());
        let prepared = Step.prepare::<C>([x.node(), gamma.node(), beta.node()]);
        let output = match prepared.compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish(work, output),
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        };
        (output, mean, variance)
    }
}

#[derive(Debug)]
struct Step;

impl Backward<Cube, 3> for Step {
    type State = Work;

    /// The parents are x, gamma and beta.
    fn backward(
        self,
        ops: Ops<Work, 3>,
        gradients: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let dy = channels_last(gradients.consume::<Cube>(&ops.node));
        let all = ops.state.gradients(dy);
        for (parent, gradient) in ops.parents.into_iter().zip(all) {
            if let Some(parent) = parent {
                gradients.register::<Cube>(parent.id, gradient);
            }
        }
    }
}

/// Channels of a cube.
const LANES: u32 = 32;
/// Pixels that a cube reads at a time.
const ROWS: u32 = 8;
/// Pixels that a thread sums, unless that makes more than [`MOST_PARTS`] parts.
const RUN: usize = 32;
/// Parts of the pixels.
const MOST_PARTS: usize = 512;

/// `[N, C, H, W]` as contiguous `[N, H, W, C]`.
fn channels_last(tensor: CubeTensor) -> CubeTensor {
    contiguous(Cube::float_permute(tensor, &[0, 2, 3, 1]))
}

/// Contiguous `[N, H, W, C]` as `[N, C, H, W]`.
fn as_images(tensor: CubeTensor) -> CubeTensor {
    Cube::float_permute(tensor, &[0, 3, 1, 2])
}

/// A normalization whose inputs lie ready; what its backward pass keeps.
#[derive(Clone, Debug)]
struct Work {
    /// `[N, H, W, C]`.
    x: CubeTensor,
    gamma: CubeTensor,
    beta: CubeTensor,
    mean: CubeTensor,
    variance: CubeTensor,
    epsilon: f32,
    after: After,
}

impl Work {
    fn new(x: CubeTensor, gamma: CubeTensor, beta: CubeTensor, epsilon: f64, after: After) -> Self {
        let x = channels_last(x);
        let [gamma, beta] = [gamma, beta].map(contiguous);
        let (mean, variance) = (empty(&gamma, gamma.shape()), empty(&gamma, gamma.shape()));
        let work = Self { x, gamma, beta, mean, variance, epsilon: epsilon as f32, after };
        let parts = Parts::of(work.pixels());
        let [first, second] = work.parts(&parts);
        // SAFETY: a thread outside of the pixels or channels reads and writes nothing of them.
        unsafe {
            moments::launch_unchecked(
                &work.x.client,
                work.tiles(parts.count),
                CubeDim::new_2d(LANES, ROWS),
                work.x.required_address_type(),
                work.x.clone().into_tensor_arg(),
                first.clone().into_tensor_arg(),
                second.clone().into_tensor_arg(),
                parts.size,
            );
            join_moments::launch_unchecked(
                &work.x.client,
                work.tiles(1),
                CubeDim::new_2d(LANES, ROWS),
                work.x.required_address_type(),
                work.x.clone().into_tensor_arg(),
                first.into_tensor_arg(),
                second.into_tensor_arg(),
                work.mean.clone().into_tensor_arg(),
                work.variance.clone().into_tensor_arg(),
                parts.count,
            );
        }
        work
    }

    /// Sizes of the input, `[N, H, W, C]`.
    fn sizes(&self) -> [usize; 4] {
        self.x.shape().dims()
    }

    fn pixels(&self) -> usize {
        let [batch, height, width, _] = self.sizes();
        batch * height * width
    }

    /// Sizes of the output, `[N, H', W', C]`.
    fn output_sizes(&self) -> [usize; 4] {
        let [batch, height, width, channels] = self.sizes();
        match self.after {
            After::Nothing | After::Relu => [batch, height, width, channels],
            After::ReluPool => [batch, height / 2, width / 2, channels],
        }
    }

    /// One cube for each part of the pixels and each [`LANES`] channels.
    fn tiles(&self, parts: usize) -> CubeCount {
        let channels = self.sizes()[3];
        CubeCount::Static(channels.div_ceil(LANES as usize) as u32, parts as u32, 1)
    }

    /// Two sums of each part for each channel.
    fn parts(&self, parts: &Parts) -> [CubeTensor; 2] {
        let shape = || Shape::new([parts.count, self.sizes()[3]]);
        [empty(&self.x, shape()), empty(&self.x, shape())]
    }

    fn output(&self) -> CubeTensor {
        let sizes = self.output_sizes();
        let y = empty(&self.x, Shape::new(sizes));
        let len: usize = sizes.iter().product();
        let cube_dim = CubeDim::new(&self.x.client, len);
        // SAFETY: a thread beyond the end of `y` does nothing.
        unsafe {
            normalize::launch_unchecked(
                &self.x.client,
                calculate_cube_count_elemwise(&self.x.client, len, cube_dim),
                cube_dim,
                self.x.required_address_type(),
                self.x.clone().into_tensor_arg(),
                self.gamma.clone().into_tensor_arg(),
                self.beta.clone().into_tensor_arg(),
                self.mean.clone().into_tensor_arg(),
                self.variance.clone().into_tensor_arg(),
                y.clone().into_tensor_arg(),
                self.epsilon,
                self.after != After::Nothing,
                self.after == After::ReluPool,
            );
        }
        as_images(y)
    }

    /// ∂x, ∂γ and ∂β from `dy`, channels-last.
    fn gradients(&self, dy: CubeTensor) -> [CubeTensor; 3] {
        let [batch, height, width, _] = self.output_sizes();
        let parts = Parts::of(batch * height * width);
        let [first, second] = self.parts(&parts);
        let shape = self.gamma.shape();
        let (dgamma, dbeta) = (empty(&self.gamma, shape.clone()), empty(&self.gamma, shape));
        let dx = empty(&self.x, self.x.shape());
        let len = self.x.shape().num_elements();
        let cube_dim = CubeDim::new(&self.x.client, len);
        let (relu, pool) = (self.after != After::Nothing, self.after == After::ReluPool);
        // SAFETY: a thread outside of the pixels or channels reads and writes nothing of them.
        unsafe {
            sums::launch_unchecked(
                &self.x.client,
                self.tiles(parts.count),
                CubeDim::new_2d(LANES, ROWS),
                self.x.required_address_type(),
                self.x.clone().into_tensor_arg(),
                self.gamma.clone().into_tensor_arg(),
                self.beta.clone().into_tensor_arg(),
                self.mean.clone().into_tensor_arg(),
                self.variance.clone().into_tensor_arg(),
                dy.clone().into_tensor_arg(),
                first.clone().into_tensor_arg(),
                second.clone().into_tensor_arg(),
                self.epsilon,
                parts.size,
                relu,
                pool,
            );
            join_sums::launch_unchecked(
                &self.x.client,
                self.tiles(1),
                CubeDim::new_2d(LANES, ROWS),
                self.x.required_address_type(),
                self.variance.clone().into_tensor_arg(),
                first.into_tensor_arg(),
                second.into_tensor_arg(),
                dgamma.clone().into_tensor_arg(),
                dbeta.clone().into_tensor_arg(),
                self.epsilon,
                parts.count,
            );
            input_gradient::launch_unchecked(
                &self.x.client,
                calculate_cube_count_elemwise(&self.x.client, len, cube_dim),
                cube_dim,
                self.x.required_address_type(),
                self.x.clone().into_tensor_arg(),
                self.gamma.clone().into_tensor_arg(),
                self.beta.clone().into_tensor_arg(),
                self.mean.clone().into_tensor_arg(),
                self.variance.clone().into_tensor_arg(),
                dy.into_tensor_arg(),
                dgamma.clone().into_tensor_arg(),
                dbeta.clone().into_tensor_arg(),
                dx.clone().into_tensor_arg(),
                self.epsilon,
                1.0 / self.pixels() as f32,
                relu,
                pool,
            );
        }
        [as_images(dx), dgamma, dbeta]
    }
}

/// How pixels are parted among cubes.
struct Parts {
    count: usize,
    /// Pixels of each part; the last may have fewer.
    size: usize,
}

impl Parts {
    fn of(pixels: usize) -> Self {
        let size = (ROWS as usize * RUN).max(pixels.div_ceil(MOST_PARTS));
        Self { count: pixels.div_ceil(size).max(1), size }
    }
}

/// Sums over the pixels of a part, for each channel, of x − p and its square, p the first pixel.
#[cube(launch_unchecked, address_type = "dynamic")]
fn moments(x: &Tensor<f32>, first: &mut Tensor<f32>, second: &mut Tensor<f32>, size: usize) {
    let channels = x.shape(3);
    let pixels = x.shape(0) * x.shape(1) * x.shape(2);
    let channel = (CUBE_POS_X * CUBE_DIM_X + UNIT_POS_X) as usize;
    let part = CUBE_POS_Y as usize;
    let mut end = (part + 1) * size;
    if end > pixels {
        end = pixels;
    }
    let mut sum = 0.0f32;
    let mut squares = 0.0f32;
    if channel < channels {
        let pivot = x[channel];
        let mut pixel = part * size + UNIT_POS_Y as usize;
        while pixel < end {
            let value = x[pixel * channels + channel] - pivot;
            sum += value;
            squares += value * value;
            pixel += CUBE_DIM_Y as usize;
        }
    }
    let sum = add_up(sum);
    let squares = add_up(squares);
    if UNIT_POS_Y == 0 && channel < channels {
        first[part * channels + channel] = sum;
        second[part * channels + channel] = squares;
    }
}

/// The sum of what the threads of a cube hold for one channel, for the first of them.
#[cube]
fn add_up(value: f32) -> f32 {
    let mut shared = Shared::<[f32]>::new_slice(comptime!((LANES * ROWS) as usize));
    let lanes = CUBE_DIM_X as usize;
    let lane = UNIT_POS_X as usize;
    shared[UNIT_POS_Y as usize * lanes + lane] = value;
    sync_cube();
    let mut sum = 0.0f32;
    if UNIT_POS_Y == 0 {
        let mut row = 0usize;
        while row < CUBE_DIM_Y as usize {
            sum += shared[row * lanes + lane];
            row += 1;
        }
    }
    sum
}

/// A row of `parts` added up for one channel, for the first thread of it.
#[cube]
fn join(parts: &Tensor<f32>, channel: usize, channels: usize, count: usize) -> f32 {
    let mut sum = 0.0f32;
    if channel < channels {
        let mut part = UNIT_POS_Y as usize;
        while part < count {
            sum += parts[part * channels + channel];
            part += CUBE_DIM_Y as usize;
        }
    }
    add_up(sum)
}

/// Mean and variance of each channel from the parts' [`moments`].
#[cube(launch_unchecked, address_type = "dynamic")]
fn join_moments(
    x: &Tensor<f32>,
    first: &Tensor<f32>,
    second: &Tensor<f32>,
    mean: &mut Tensor<f32>,
    variance: &mut Tensor<f32>,
    count: usize,
) {
    let channels = x.shape(3);
    let pixels = f32::cast_from(x.shape(0) * x.shape(1) * x.shape(2));
    let channel = (CUBE_POS_X * CUBE_DIM_X + UNIT_POS_X) as usize;
    let sum = join(first, channel, channels, count);
    let squares = join(second, channel, channels, count);
    if UNIT_POS_Y == 0 && channel < channels {
        let offset = sum / pixels;
        let spread = squares / pixels - offset * offset;
        mean[channel] = x[channel] + offset;
        variance[channel] = select(spread > 0.0f32, spread, 0.0f32);
    }
}

/// What a channel is normalized by.
#[derive(CubeType, Clone, Copy)]
struct Channel {
    mean: f32,
    scale: f32,
    beta: f32,
}

#[cube]
impl Channel {
    fn of(
        channel: usize,
        gamma: &Tensor<f32>,
        beta: &Tensor<f32>,
        mean: &Tensor<f32>,
        variance: &Tensor<f32>,
        epsilon: f32,
    ) -> Channel {
        Channel {
            mean: mean[channel],
            scale: gamma[channel] / (variance[channel] + epsilon).sqrt(),
            beta: beta[channel],
        }
    }

    fn apply(&self, x: f32) -> f32 {
        (x - self.mean) * self.scale + self.beta
    }
}

/// One number of the output for each thread.
#[cube(launch_unchecked, address_type = "dynamic")]
#[allow(clippy::too_many_arguments)]
fn normalize(
    x: &Tensor<f32>,
    gamma: &Tensor<f32>,
    beta: &Tensor<f32>,
    mean: &Tensor<f32>,
    variance: &Tensor<f32>,
    y: &mut Tensor<f32>,
    epsilon: f32,
    #[comptime] relu: bool,
    #[comptime] pool: bool,
) {
    let channels = x.shape(3);
    let len = y.shape(0) * y.shape(1) * y.shape(2) * channels;
    if ABSOLUTE_POS >= len {
        terminate!();
    }
    let channel = ABSOLUTE_POS % channels;
    let by = Channel::of(channel, gamma, beta, mean, variance, epsilon);
    let mut z = if comptime!(pool) {
        let pixel = ABSOLUTE_POS / channels;
        let corner = corner(pixel, y.shape(1), y.shape(2), x.shape(1), x.shape(2));
        let at = corner * channels + channel;
        let (_place, largest) = window(x, at, x.shape(2) * channels, channels, &by);
        largest
    } else {
        by.apply(x[ABSOLUTE_POS])
    };
    if comptime!(relu) {
        z = select(z > 0.0f32, z, 0.0f32);
    }
    y[ABSOLUTE_POS] = z;
}

/// The input pixel in the corner of the window of output pixel `pixel`.
#[cube]
fn corner(
    pixel: usize,
    height: usize,
    width: usize,
    from_height: usize,
    from_width: usize,
) -> usize {
    let column = pixel % width;
    let row = pixel / width % height;
    let image = pixel / width / height;
    (image * from_height + 2 * row) * from_width + 2 * column
}

/// Place, from the corner on, and value of the largest normalized number in a window; the first of equals.
#[cube]
fn window(
    x: &Tensor<f32>,
    corner: usize,
    line: usize,
    channels: usize,
    by: &Channel,
) -> (usize, f32) {
    let mut place = 0usize;
    let mut best = by.apply(x[corner]);
    let right = by.apply(x[corner + channels]);
    if right > best {
        place = channels;
        best = right;
    }
    let below = by.apply(x[corner + line]);
    if below > best {
        place = line;
        best = below;
    }
    let last = by.apply(x[corner + line + channels]);
    if last > best {
        place = line + channels;
        best = last;
    }
    (place, best)
}

/// Sums over the output pixels of a part, for each channel, of g and g·(x − mean).
#[cube(launch_unchecked, address_type = "dynamic")]
#[allow(clippy::too_many_arguments)]
fn sums(
    x: &Tensor<f32>,
    gamma: &Tensor<f32>,
    beta: &Tensor<f32>,
    mean: &Tensor<f32>,
    variance: &Tensor<f32>,
    dy: &Tensor<f32>,
    first: &mut Tensor<f32>,
    second: &mut Tensor<f32>,
    epsilon: f32,
    size: usize,
    #[comptime] relu: bool,
    #[comptime] pool: bool,
) {
    let channels = x.shape(3);
    let pixels = dy.shape(0) * dy.shape(1) * dy.shape(2);
    let channel = (CUBE_POS_X * CUBE_DIM_X + UNIT_POS_X) as usize;
    let part = CUBE_POS_Y as usize;
    let mut end = (part + 1) * size;
    if end > pixels {
        end = pixels;
    }
    let mut sum = 0.0f32;
    let mut product = 0.0f32;
    if channel < channels {
        let by = Channel::of(channel, gamma, beta, mean, variance, epsilon);
        let mut pixel = part * size + UNIT_POS_Y as usize;
        while pixel < end {
            let mut from = pixel * channels + channel;
            let mut g = dy[from];
            if comptime!(pool) {
                let corner = corner(pixel, dy.shape(1), dy.shape(2), x.shape(1), x.shape(2));
                let at = corner * channels + channel;
                let (place, _largest) = window(x, at, x.shape(2) * channels, channels, &by);
                from = at + place;
            }
            let value = x[from];
            if comptime!(relu) {
                g = select(by.apply(value) > 0.0f32, g, 0.0f32);
            }
            sum += g;
            product += g * (value - by.mean);
            pixel += CUBE_DIM_Y as usize;
        }
    }
    let sum = add_up(sum);
    let product = add_up(product);
    if UNIT_POS_Y == 0 && channel < channels {
        first[part * channels + channel] = sum;
        second[part * channels + channel] = product;
    }
}

/// ∂γ and ∂β of each channel from the parts' [`sums`].
#[cube(launch_unchecked, address_type = "dynamic")]
fn join_sums(
    variance: &Tensor<f32>,
    first: &Tensor<f32>,
    second: &Tensor<f32>,
    dgamma: &mut Tensor<f32>,
    dbeta: &mut Tensor<f32>,
    epsilon: f32,
    count: usize,
) {
    let channels = variance.shape(0);
    let channel = (CUBE_POS_X * CUBE_DIM_X + UNIT_POS_X) as usize;
    let sum = join(first, channel, channels, count);
    let product = join(second, channel, channels, count);
    if UNIT_POS_Y == 0 && channel < channels {
        dbeta[channel] = sum;
        dgamma[channel] = product / (variance[channel] + epsilon).sqrt();
    }
}

/// One number of ∂x for each thread; `share` is 1/M.
#[cube(launch_unchecked, address_type = "dynamic")]
#[allow(clippy::too_many_arguments)]
fn input_gradient(
    x: &Tensor<f32>,
    gamma: &Tensor<f32>,
    beta: &Tensor<f32>,
    mean: &Tensor<f32>,
    variance: &Tensor<f32>,
    dy: &Tensor<f32>,
    dgamma: &Tensor<f32>,
    dbeta: &Tensor<f32>,
    dx: &mut Tensor<f32>,
    epsilon: f32,
    share: f32,
    #[comptime] relu: bool,
    #[comptime] pool: bool,
) {
    let channels = x.shape(3);
    let len = x.shape(0) * x.shape(1) * x.shape(2) * channels;
    if ABSOLUTE_POS >= len {
        terminate!();
    }
    let channel = ABSOLUTE_POS % channels;
    let by = Channel::of(channel, gamma, beta, mean, variance, epsilon);
    let value = x[ABSOLUTE_POS];
    let mut g = 0.0f32;
    if comptime!(pool) {
        let height = dy.shape(1);
        let width = dy.shape(2);
        let pixel = ABSOLUTE_POS / channels;
        let column = pixel % x.shape(2) / 2;
        let row = pixel / x.shape(2) % x.shape(1) / 2;
        let image = pixel / x.shape(2) / x.shape(1);
        // An odd last row or column is in no window.
        if column < width && row < height {
            let out = (image * height + row) * width + column;
            let corner = (image * x.shape(1) + 2 * row) * x.shape(2) + 2 * column;
            let at = corner * channels + channel;
            let (place, _largest) = window(x, at, x.shape(2) * channels, channels, &by);
            if at + place == ABSOLUTE_POS {
                g = dy[out * channels + channel];
            }
        }
    } else {
        g = dy[ABSOLUTE_POS];
    }
    if comptime!(relu) {
        g = select(by.apply(value) > 0.0f32, g, 0.0f32);
    }
    let inverse = 1.0f32 / (variance[channel] + epsilon).sqrt();
    let normalized = (value - by.mean) * inverse;
    dx[ABSOLUTE_POS] =
        by.scale * (g - dbeta[channel] * share - normalized * dgamma[channel] * share);
}
