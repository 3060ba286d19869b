//! Kernels for convolutional networks on Burn, most of them for its Flex backend on the CPU, with
//! hand-written gradients.
//!
//! A network calls [`conv2d`], [`batch_norm_train`] (with what follows it), [`batch_norm`] for
//! inference, in residual blocks [`fork`], [`halve`], [`max_pool`] and [`add_relu`], and at its end
//! perhaps [`mean_pixel`]; its optimizer calls [`descend`]. On Flex in single precision these
//! run the kernels of this crate; on every other device they are Burn's own operations, but for
//! normalization by the batch and [`descend_at`], which with the feature `gpu` have kernels for GPUs.
//! [`record`] records work there, to be replayed.
//!
//! The kernels themselves work on channels-last slices: [`convolve`], [`input_gradient`],
//! [`weight_gradient`], [`statistics`], [`normalize`] and [`gradients`]. Their results do not
//! depend on the number of threads. They do depend, in the last digits, on the instruction set.

mod arena;
mod backward;
mod blocks;
mod buffers;
mod convolution;
mod descent;
mod direct;
mod extension;
mod filter_gradient;
mod flex;
mod forward;
mod geometry;
#[cfg(feature = "gpu")]
mod gpu;
mod groups;
mod junction;
mod normalization;
mod normalized;
mod ops;
mod passes;
mod pointwise;
mod pool;
mod product;
mod recording;
mod residual;
mod rows;
mod scratch;
mod shortcut;
mod simd;
mod source;
mod strips;
#[cfg(test)]
mod testing;
mod tiles;
mod winograd;

pub use convolution::{bias_gradient, convolve, input_gradient, weight_gradient};
pub use descent::Descent;
pub use geometry::Geometry;
pub use normalization::{After, Extent, Statistics, gradients, normalize, statistics};
pub use ops::{
    Layer, Normalized, NormalizedConv, Residual, add_relu, batch_norm, batch_norm_train,
    batch_norm_train_vectors, bottleneck_train, conv_norm, conv_norm_join, conv_norm_train, conv2d,
    descend, descend_at, fork, halve, max_pool, mean_pixel, residual_blocks,
};
pub use recording::{Buffer, Recording, can_record, copied, record};
pub use simd::{Level, level};
