//! Kernels for convolutional networks on Burn, most of them for its Flex backend on the CPU, with
//! hand-written gradients.
//!
//! A network calls [`conv2d`], [`batch_norm_train`] (with what follows it), [`batch_norm`] for
//! inference, and in residual blocks [`fork`], [`halve`] and [`add_relu`];
//! its optimizer calls [`descend`]. On Flex in single precision these
//! run the kernels of this crate; on every other device they are Burn's own operations, but for
//! normalization by the batch and [`descend_at`], which with the feature `gpu` have kernels for GPUs.
//! [`record`] records work there, to be replayed.
//!
//! The kernels themselves work on channels-last slices: [`convolve`], [`input_gradient`],
//! [`weight_gradient`], [`statistics`], [`normalize`] and [`gradients`]. Their results do not
//! depend on the number of threads. They do depend, in the last digits, on the instruction set.

mod backward;
mod buffers;
mod convolution;
mod descent;
mod direct;
mod filter_gradient;
mod flex;
mod geometry;
#[cfg(feature = "gpu")]
mod gpu;
mod grid;
mod junction;
mod normalization;
mod ops;
mod passes;
mod product;
mod recording;
mod scratch;
mod shortcut;
mod simd;
#[cfg(test)]
mod testing;
mod tiles;
mod winograd;

pub use convolution::{bias_gradient, convolve, input_gradient, weight_gradient};
pub use descent::Descent;
pub use geometry::Geometry;
pub use normalization::{After, Extent, Statistics, gradients, normalize, statistics};
pub use ops::{
    Normalized, add_relu, batch_norm, batch_norm_train, batch_norm_train_vectors, conv2d, descend,
    descend_at, fork, halve,
};
pub use recording::{Buffer, Recording, can_record, copied, record};
pub use simd::{Level, level};
