//! A convolution and its gradients on channels-last slices, by whichever kernel suits the sizes.

use rayon::prelude::*;

use crate::geometry::Geometry;
use crate::simd::{Lanes, Task, dispatch};
use crate::{direct, filter_gradient, winograd};

/// Fewer channels than this on either side and Winograd's transforms cost more than they save.
pub(crate) const FEW: usize = 8;

pub(crate) fn by_winograd(geometry: &Geometry) -> bool {
    winograd::applies(geometry) && geometry.channels_in.min(geometry.channels_out) >= FEW
}

/// y = x ∗ weight + bias.
///
/// Shapes: `x` \[batch\]\[height\]\[width\]\[in\], `weight` \[out\]\[in\]\[kernel\], `bias`
/// \[out\], `y` \[batch\]\[height\]\[width\]\[out\] of [`Geometry::output`]; every number of `y`
/// is written. The result does not depend on the number of threads.
///
/// # Panics
/// If a slice is not of its size.
pub fn convolve(
    geometry: &Geometry,
    x: &[f32],
    weight: &[f32],
    bias: Option<&[f32]>,
    y: &mut [f32],
) {
    check(geometry, Some(x), Some(weight), y);
    assert!(bias.is_none_or(|bias| bias.len() == geometry.channels_out), "one bias per channel");
    if by_winograd(geometry) {
        let channels = [geometry.channels_in, geometry.channels_out];
        let filters = winograd::Filters::new(weight, channels[1], channels[0], false);
        winograd::convolve(x, y, geometry.batch, geometry.input, channels, &filters, bias);
    } else {
        direct::convolve(geometry, x, weight, bias, y);
    }
}

/// `dx` = the gradient by `x` of Σ y·dy; shapes as in [`convolve`], every number is written.
///
/// # Panics
/// If a slice is not of its size.
pub fn input_gradient(geometry: &Geometry, weight: &[f32], dy: &[f32], dx: &mut [f32]) {
    check(geometry, Some(dx), Some(weight), dy);
    if by_winograd(geometry) {
        let channels = [geometry.channels_out, geometry.channels_in];
        let filters = winograd::Filters::new(weight, channels[0], channels[1], true);
        winograd::convolve(dy, dx, geometry.batch, geometry.input, channels, &filters, None);
    } else {
        direct::input_gradient(geometry, weight, dy, dx);
    }
}

/// `dweight` = the gradient by `weight` of Σ y·dy, and `dbias`, if given, that by the bias, for
/// which little more work is needed; shapes as in [`convolve`], every number is written.
///
/// # Panics
/// If a slice is not of its size.
pub fn weight_gradient(
    geometry: &Geometry,
    x: &[f32],
    dy: &[f32],
    dweight: &mut [f32],
    dbias: Option<&mut [f32]>,
) {
    check(geometry, Some(x), Some(dweight), dy);
    let rows_match = |dbias: &&mut [f32]| dbias.len() == geometry.channels_out;
    assert!(dbias.as_ref().is_none_or(rows_match), "one bias per channel");
    if by_winograd(geometry) {
        let channels = [geometry.channels_in, geometry.channels_out];
        winograd::weight_gradient(x, dy, geometry.batch, geometry.input, channels, dweight, dbias);
    } else {
        filter_gradient::weight_gradient(geometry, x, dy, dweight, dbias);
    }
}

/// The gradient by the bias: sums over all but the last, `channels` long axis of `dy`.
///
/// # Panics
/// If `dy` is not whole rows.
pub fn bias_gradient(dy: &[f32], channels: usize) -> Vec<f32> {
    /// Rows summed in single precision before the rest goes on in double.
    const ROWS: usize = 512;
    let mut total = vec![0.0f64; channels];
    if channels == 0 {
        return Vec::new();
    }
    assert!(dy.len().is_multiple_of(channels), "a gradient of {channels} channels in whole rows");
    let parts: Vec<Vec<f32>> = dy
        .par_chunks(ROWS * channels)
        .map(|rows| {
            let mut sums = vec![0.0; channels];
            // SAFETY: `rows` is a whole number of rows of `channels`, as is `sums`.
            unsafe {
                dispatch(ColumnSums {
                    rows: rows.as_ptr(),
                    count: rows.len() / channels,
                    channels,
                    sums: sums.as_mut_ptr(),
                })
            };
            sums
        })
        .collect();
    for part in parts {
        total.iter_mut().zip(part).for_each(|(total, part)| *total += f64::from(part));
    }
    total.into_iter().map(|sum| sum as f32).collect()
}

/// Adds the rows to `sums`.
pub(crate) struct ColumnSums {
    pub(crate) rows: *const f32,
    pub(crate) count: usize,
    pub(crate) channels: usize,
    pub(crate) sums: *mut f32,
}

impl Task for ColumnSums {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        for channel in (0..self.channels).step_by(L::LANES) {
            let left = self.channels - channel;
            // SAFETY: partial loads and stores keep to the row's channels.
            unsafe {
                let mut sum = L::load_up_to(self.sums.add(channel), left);
                for row in 0..self.count {
                    let from = self.rows.add(row * self.channels + channel);
                    sum = L::add(sum, L::load_up_to(from, left));
                }
                L::store_up_to(self.sums.add(channel), left, sum);
            }
        }
    }
}

fn check(geometry: &Geometry, x: Option<&[f32]>, weight: Option<&[f32]>, y: &[f32]) {
    assert!(x.is_none_or(|x| x.len() == geometry.input_len()), "input of {geometry:?}");
    assert!(weight.is_none_or(|w| w.len() == geometry.weight_len()), "weights of {geometry:?}");
    assert_eq!(y.len(), geometry.output_len(), "output of {geometry:?}");
    assert!(
        geometry.kernel.iter().chain(&geometry.stride).all(|&size| size > 0),
        "the filter and its stride are at least 1, got {geometry:?}"
    );
}

#[cfg(test)]
mod tests;
