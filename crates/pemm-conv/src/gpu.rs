//! Kernels for GPUs, through CubeCL: a copy into memory that stays where it is, gradient descent in one
//! pass over a parameter, and batch normalization with what follows it.

mod normalization;

use burn::backend::cubecl::dtype_to_storage_type;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, Cube, backend_extension};
use burn::cubecl;
use burn::cubecl::calculate_cube_count_elemwise;
use burn::cubecl::prelude::*;
use burn::cubecl::std::tensor::layout::linear::{LinearView, LinearViewMut};
use burn::tensor::Shape;

use crate::descent::Descent;

pub(crate) use normalization::batch_norm_train;

type CubeTensor = FloatTensor<Cube>;

/// What the kernels do, for tensors that find their backend at run time.
#[backend_extension(Cube)]
pub(crate) trait GpuOps: Backend {
    /// Writes the values of `from` into the memory of `into`.
    fn gpu_write(into: FloatTensor<Self>, from: FloatTensor<Self>) -> FloatTensor<Self>;

    /// The same for whole numbers.
    fn gpu_write_int(into: IntTensor<Self>, from: IntTensor<Self>) -> IntTensor<Self>;

    /// Value and velocity after a step of descent at the rate `[1]`, which takes the place of the rule's.
    fn gpu_descend(
        gradient: FloatTensor<Self>,
        value: FloatTensor<Self>,
        velocity: FloatTensor<Self>,
        rate: FloatTensor<Self>,
        rule: Descent,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
}

impl GpuOps for Cube {
    fn gpu_write(into: CubeTensor, from: CubeTensor) -> CubeTensor {
        write(into, from)
    }

    fn gpu_write_int(into: CubeTensor, from: CubeTensor) -> CubeTensor {
        write(into, from)
    }

    fn gpu_descend(
        gradient: CubeTensor,
        value: CubeTensor,
        velocity: CubeTensor,
        rate: CubeTensor,
        rule: Descent,
    ) -> (CubeTensor, CubeTensor) {
        let shape = value.meta.shape();
        let (next, speed) = (empty(&value, shape.clone()), empty(&value, shape.clone()));
        let client = value.client.clone();
        let len = value.meta.num_elements();
        let cube_dim = CubeDim::new(&client, len);
        let cube_count = calculate_cube_count_elemwise(&client, len, cube_dim);
        let address = address_type(&[&gradient, &value, &velocity]);
        // SAFETY: all five have one shape, and a thread beyond their end ends before it reads.
        unsafe {
            descent_kernel::launch_unchecked(
                &client,
                cube_count,
                cube_dim,
                address,
                gradient.into_linear_view(),
                value.into_linear_view(),
                velocity.into_linear_view(),
                rate.into_linear_view(),
                next.clone().into_linear_view(),
                speed.clone().into_linear_view(),
                rule.scale,
                rule.decay,
                rule.momentum,
                rule.nesterov,
            );
        }
        (next, speed)
    }
}

/// Memory for a tensor of `shape`, with the device and number type of `like`.
fn empty(like: &CubeTensor, shape: Shape) -> CubeTensor {
    let handle = like.client.empty(shape.num_elements() * like.dtype.size());
    let (client, device) = (like.client.clone(), like.device.clone());
    CubeTensor::new_contiguous(client, device, shape, handle, like.dtype)
}

/// `tensor` with its numbers in the order of its axes and nothing between them.
fn contiguous(tensor: CubeTensor) -> CubeTensor {
    if tensor.is_contiguous() {
        return tensor;
    }
    let new = empty(&tensor, tensor.meta.shape().clone());
    write(new, tensor)
}

fn address_type(tensors: &[&CubeTensor]) -> AddressType {
    tensors.iter().map(|tensor| tensor.required_address_type()).max().unwrap_or_default()
}

fn write(into: CubeTensor, from: CubeTensor) -> CubeTensor {
    assert!(
        into.meta.shape() == from.meta.shape() && into.dtype == from.dtype,
        "what is written has the shape and type of what was there"
    );
    let place = |tensor: &CubeTensor| {
        (tensor.handle.memory.clone().binding().id(), tensor.handle.offset_start)
    };
    if place(&into) == place(&from) {
        return into;
    }
    let client = into.client.clone();
    let len = into.meta.num_elements();
    let cube_dim = CubeDim::new(&client, len);
    let cube_count = calculate_cube_count_elemwise(&client, len, cube_dim);
    let address = address_type(&[&into, &from]);
    let dtype = dtype_to_storage_type(into.dtype);
    // SAFETY: both have one shape, and a thread beyond their end ends before it reads.
    unsafe {
        write_kernel::launch_unchecked(
            &client,
            cube_count,
            cube_dim,
            address,
            from.into_linear_view(),
            into.clone().into_linear_view(),
            dtype,
        );
    }
    into
}

#[cube(launch_unchecked, address_type = "dynamic")]
fn write_kernel<T: Numeric>(
    from: LinearView<'_, T>,
    mut into: LinearViewMut<'_, T>,
    #[define(T)] _dtype: ElemType,
) {
    if !into.is_in_bounds(ABSOLUTE_POS) {
        terminate!();
    }
    into.write(ABSOLUTE_POS, from.read(ABSOLUTE_POS));
}

/// The equation of [`Descent`], with the rate in memory.
#[cube(launch_unchecked, address_type = "dynamic")]
#[allow(clippy::too_many_arguments)]
fn descent_kernel(
    gradient: LinearView<'_, f32>,
    value: LinearView<'_, f32>,
    velocity: LinearView<'_, f32>,
    rate: LinearView<'_, f32>,
    mut next: LinearViewMut<'_, f32>,
    mut speed: LinearViewMut<'_, f32>,
    scale: f32,
    decay: f32,
    momentum: f32,
    #[comptime] nesterov: bool,
) {
    if !next.is_in_bounds(ABSOLUTE_POS) {
        terminate!();
    }
    let w = value.read(ABSOLUTE_POS);
    let g = gradient.read(ABSOLUTE_POS) * scale + w * decay;
    let m = velocity.read(ABSOLUTE_POS) * momentum + g;
    let mut direction = m;
    if comptime!(nesterov) {
        direction = g + m * momentum;
    }
    speed.write(ABSOLUTE_POS, m);
    next.write(ABSOLUTE_POS, w - direction * rate.read(0));
}
