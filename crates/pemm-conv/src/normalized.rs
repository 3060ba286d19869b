//! A convolution and the normalization by the batch after it, as one operation.
//!
//! a = x ∗ w + bias,  y = after(norm(a)),  or at the end of a residual block  y = max(norm(a) + shortcut, 0)
//!
//! The statistics come out of writing a, and backward the gradient by a is made where the convolution's two
//! gradients read it, from a and dy, if it is Winograd's, or 1×1 with stride 1 and no pooling after it, and has
//! not too many channels. Elsewhere it is one step after the other. The gradient of the bias is zero: the
//! normalization takes it away again.

use crate::buffers::Buffer;
use crate::convolution::{by_winograd, input_gradient, weight_gradient};
use crate::direct::{convolve_then, keep};
use crate::geometry::Geometry;
use crate::junction;
use crate::normalization::{
    self, After, Extent, Part, Rows, Shared, Slopes, Statistics, join, sums,
};
use crate::passes::{Gradient, Normalize, NormalizeAdd};
use crate::pointwise::{self, Target};
use crate::rows::{
    Gather, GatherMoments, GatherNormalized, Open, SpreadGradient, SpreadGradientPool, fill,
    gather, own_rows, spread, streams,
};
use crate::simd::dispatch;
use crate::source::Source;
use crate::strips::{Job, Strips};
use crate::winograd::{Filters, convolve_with, fuses, gradients_with};

/// What the convolution is normalized by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Norm<'a> {
    pub(crate) gamma: &'a [f32],
    pub(crate) beta: &'a [f32],
    pub(crate) epsilon: f32,
    pub(crate) after: After,
}

impl Norm<'_> {
    /// The same as rows, by given statistics.
    pub(crate) fn rows(&self, statistics: &Statistics) -> Rows {
        Rows::new(statistics, self.gamma, self.beta, self.epsilon)
    }
}

/// Sizes of a.
pub(crate) fn extent(geometry: &Geometry) -> Extent {
    let [height, width] = geometry.output();
    Extent { batch: geometry.batch, height, width, channels: geometry.channels_out }
}

/// Writes a, and returns its statistics.
pub(crate) fn convolution_with_statistics(
    geometry: &Geometry,
    x: &[f32],
    weight: &[f32],
    bias: Option<&[f32]>,
    a: &mut [f32],
) -> Statistics {
    if !by_winograd(geometry) {
        let channels = geometry.channels_out;
        let part = |_, made: Option<&[f32]>, a: &mut [f32]| {
            let part = Part::of(made.unwrap_or(a), channels);
            keep(made, a);
            part
        };
        return join(&convolve_then(geometry, x, weight, bias, a, part), channels);
    }
    let [ins, outs] = [geometry.channels_in, geometry.channels_out];
    let filters = Filters::new(weight, outs, ins, false);
    let strips = Strips::new(geometry.batch, geometry.input);
    let fill = |job: &Job, window: &mut [f32], _: &mut [f32]| {
        spread(&strips, job, x, ins, [0, ins], window);
    };
    convolve_to(&strips, [ins, outs], &filters, bias, [a, &mut []], &[x], fill)
}

/// y = after(norm(x ∗ w + bias)) by given statistics, in one pass.
///
/// # Panics
/// If pooling is to follow.
pub(crate) fn convolve_normalized(
    geometry: &Geometry,
    [x, weight, bias]: [&[f32]; 3],
    statistics: &Statistics,
    norm: &Norm,
    y: &mut [f32],
) {
    let relu = match norm.after {
        After::Nothing => false,
        After::Relu => true,
        After::ReluPool => panic!("pooling is a pass of its own"),
    };
    let [ins, outs] = [geometry.channels_in, geometry.channels_out];
    let rows = norm.rows(statistics);
    let by = Shared(rows.channels(outs));
    if !by_winograd(geometry) {
        convolve_then(geometry, x, weight, Some(bias), y, |_, made, y| {
            let (count, stream, y) = (y.len() / outs, made.is_some(), y.as_mut_ptr());
            let x = made.map_or(y.cast_const(), <[f32]>::as_ptr);
            // SAFETY: whole pixels, each number read before it is written.
            unsafe { dispatch(Normalize { by: *by.get(), x, y, count, relu, stream }) }
        });
        return;
    }
    let strips = Strips::new(geometry.batch, geometry.input);
    let filters = Filters::new(weight, outs, ins, false);
    let stream = streams(y, outs);
    convolve_with(
        &strips,
        [ins, outs],
        &filters,
        Some(bias),
        strips.cut(y, outs),
        &[x],
        |job, window, _| spread(&strips, job, x, ins, [0, ins], window),
        |job, window, y| {
            own_rows(&strips, job, outs, |at, _, to| {
                let gather = Gather::row(&strips, outs, &window[at..], &mut y[to..], stream);
                // SAFETY: each plane of the window has the row, and `y` a row of pixels.
                unsafe { dispatch(GatherNormalized { gather, by: *by.get(), relu }) }
            });
        },
    );
}

/// y = max(norm(x ∗ w) + shortcut, 0) by given statistics, in one pass, for 1×1 filters.
pub(crate) fn convolve_joined(
    geometry: &Geometry,
    [x, weight, shortcut]: [&[f32]; 3],
    statistics: &Statistics,
    norm: &Norm,
    y: &mut [f32],
) {
    assert!(geometry.is_flat(), "a bottleneck ends with a 1×1 filter");
    assert_eq!(shortcut.len(), y.len(), "both sides are as long as the output");
    let outs = geometry.channels_out;
    let rows = norm.rows(statistics);
    let by = Shared(rows.channels(outs));
    convolve_then(geometry, x, weight, None, y, |at, made, y| {
        let shortcut = shortcut[at..][..y.len()].as_ptr();
        let (count, stream, y) = (y.len() / outs, made.is_some(), y.as_mut_ptr());
        let x = made.map_or(y.cast_const(), <[f32]>::as_ptr);
        // SAFETY: the same whole pixels, each number read before it is written.
        unsafe { dispatch(NormalizeAdd { by: *by.get(), x, shortcut, y, count, stream }) }
    });
}

/// A convolution by Winograd to `a`, whose statistics are returned; `fill` makes the window of a job from
/// `sources`, and may write to the job's part of `beside`, if that is not empty.
pub(crate) fn convolve_to(
    strips: &Strips,
    [ins, outs]: [usize; 2],
    filters: &Filters,
    bias: Option<&[f32]>,
    [a, beside]: [&mut [f32]; 2],
    sources: &[&[f32]],
    fill: impl Fn(&Job, &mut [f32], &mut [f32]) + Sync,
) -> Statistics {
    let stream = streams(a, outs);
    let mut beside = if beside.is_empty() { Vec::new() } else { strips.cut(beside, ins) };
    let mut beside = beside.drain(..);
    let parts = strips.cut(a, outs).into_iter();
    let parts = parts.map(|a| (a, beside.next().unwrap_or_default())).collect();
    let parts = convolve_with(
        strips,
        [ins, outs],
        filters,
        bias,
        parts,
        sources,
        |job, window, (_, beside)| fill(job, window, beside),
        |job, window, (a, _)| {
            let mut part = Part::new(a.len() / outs, strips.first_pixel(window, outs));
            own_rows(strips, job, outs, |at, _, to| {
                let gather = Gather::row(strips, outs, &window[at..], &mut a[to..], stream);
                let (first, out) = (part.first.as_ptr(), part.moments.as_mut_ptr());
                // SAFETY: the part has a row and two rows of channels.
                unsafe { dispatch(GatherMoments { gather, first, out }) }
            });
            part
        },
    );
    join(&parts, outs)
}

/// Writes `dweight` and, if it is asked for, `dx`, and returns the gradients by scale and shift.
#[allow(clippy::too_many_arguments)]
pub(crate) fn backward(
    geometry: &Geometry,
    x: Source,
    [weight, a]: [&[f32]; 2],
    statistics: &Statistics,
    norm: &Norm,
    dy: &[f32],
    dweight: &mut [f32],
    dx: Option<Target>,
) -> [Vec<f32>; 2] {
    let extent = extent(geometry);
    let lengths = [extent.len(), extent.output_len(norm.after)];
    assert_eq!(
        [a.len(), dy.len()],
        lengths,
        "what is normalized of {geometry:?}, and its gradient"
    );
    let rows = norm.rows(statistics);
    let parts = sums(a, dy, &extent, norm.after, &Shared(rows.channels(extent.channels)));
    let slopes = Slopes::new(&parts, &rows, statistics, norm.epsilon, extent.pixels());
    let of_a = GradientRows { rows: &rows, slopes: &slopes };
    gradients(geometry, x, [weight, a], of_a, norm.after, dy, dweight, dx);
    [slopes.dgamma, slopes.dbeta]
}

/// The same where y = max(norm(a) + shortcut, 0); the gradient by the shortcut is written to `dshortcut`.
#[allow(clippy::too_many_arguments)]
pub(crate) fn backward_joined(
    geometry: &Geometry,
    x: Source,
    [weight, a, y]: [&[f32]; 3],
    statistics: &Statistics,
    norm: &Norm,
    dy: &[f32],
    dshortcut: &mut [f32],
    dweight: &mut [f32],
    dx: Option<Target>,
) -> [Vec<f32>; 2] {
    let extent = extent(geometry);
    let lengths = [a.len(), y.len(), dy.len(), dshortcut.len()];
    assert_eq!(lengths, [extent.len(); 4], "what is joined of {geometry:?}, and its gradients");
    let rows = norm.rows(statistics);
    let parts = junction::sums(&rows, extent.channels, [a, y, dy], dshortcut);
    let slopes = Slopes::new(&parts, &rows, statistics, norm.epsilon, extent.pixels());
    let of_a = GradientRows { rows: &rows, slopes: &slopes };
    gradients(geometry, x, [weight, a], of_a, After::Nothing, dshortcut, dweight, dx);
    [slopes.dgamma, slopes.dbeta]
}

/// Writes `dweight` and, if it is asked for, `dx`, where the gradient by a is `of_a`.
///
/// # Panics
/// If `dx` is to be added to, the filter is not 1×1 with stride 1, and there are pixels.
#[allow(clippy::too_many_arguments)]
fn gradients(
    geometry: &Geometry,
    x: Source,
    [weight, a]: [&[f32]; 2],
    of_a: GradientRows,
    after: After,
    dy: &[f32],
    dweight: &mut [f32],
    dx: Option<Target>,
) {
    let extent = extent(geometry);
    let channels = [geometry.channels_in, geometry.channels_out];
    if extent.is_empty() {
        dweight.fill(0.0);
        dx.into_iter().for_each(Target::nothing);
        return;
    }
    assert!(
        geometry.is_flat() || dx.as_ref().is_none_or(|dx| !dx.adds),
        "only where each output pixel has an input pixel of its own is a gradient added"
    );
    let dx = match dx {
        Some(dx) if fuses_gradients(geometry, after) => dx,
        dx => {
            let Source::Given(x) = x else {
                panic!("an input is made where both gradients come from one reading");
            };
            let mut da = Buffer::take(a.len());
            normalization::input_gradient(a, &extent, of_a.rows, of_a.slopes, after, dy, &mut da);
            weight_gradient(geometry, x, &da, dweight, None);
            match dx {
                Some(dx) if geometry.is_flat() => {
                    pointwise::input_gradient(geometry, weight, &da, dx);
                }
                Some(dx) => input_gradient(geometry, weight, &da, dx.numbers),
                None => {}
            }
            return;
        }
    };
    if !by_winograd(geometry) {
        let relu = after == After::Relu;
        let make = |first, da: &mut [f32]| of_a.write(first, [a, dy], relu, da);
        pointwise::gradients_with(geometry, x, weight, make, dweight, dx);
        return;
    }
    let dx = dx.numbers;
    let strips = Strips::new(geometry.batch, geometry.input);
    let turned = Filters::new(weight, channels[1], channels[0], true);
    let stream = streams(dx, channels[0]);
    gradients_with(
        &strips,
        channels,
        &turned,
        dweight,
        dx,
        &[x.read(), a, dy],
        |job, [x_window, dy_window]| {
            x.spread(&strips, job, channels[0], x_window);
            match after {
                After::Nothing => of_a.spread(&strips, job, [a, dy], Open::Everywhere, dy_window),
                After::Relu => of_a.spread(&strips, job, [a, dy], Open::Normalized, dy_window),
                After::ReluPool => of_a.spread_pool(&strips, job, &extent, [a, dy], dy_window),
            }
        },
        |job, window, dx| gather(&strips, job, channels[0], window, dx, stream),
    );
}

/// Whether both gradients come from one reading of what they are made of.
pub(crate) fn fuses_gradients(geometry: &Geometry, after: After) -> bool {
    match by_winograd(geometry) {
        true => fuses([geometry.channels_in, geometry.channels_out]),
        false => pointwise::fuses(geometry) && after != After::ReluPool,
    }
}

/// What makes the gradient by the input of a normalization where it is read.
#[derive(Clone, Copy)]
pub(crate) struct GradientRows<'a> {
    pub(crate) rows: &'a Rows,
    pub(crate) slopes: &'a Slopes,
}

impl GradientRows<'_> {
    /// Writes the gradient by the input x of pixels from `first` on, from that of the output, after the
    /// ReLU if there is one.
    fn write(&self, first: usize, [x, dy]: [&[f32]; 2], relu: bool, dx: &mut [f32]) {
        let channels = self.slopes.dbeta.len();
        let of_pixels = |all: &[f32]| all[first * channels..][..dx.len()].as_ptr();
        let [x, dy] = [x, dy].map(of_pixels);
        // SAFETY: the three are the same whole pixels.
        unsafe {
            dispatch(Gradient {
                by: self.rows.channels(channels),
                slope: self.slopes.slope.as_ptr(),
                constant: self.slopes.constant.as_ptr(),
                x,
                dy,
                dy_step: channels,
                dx: dx.as_mut_ptr(),
                count: dx.len() / channels,
                relu,
                stream: false,
            });
        }
    }

    /// Fills the window of a job with the gradient by the input x, from that of the output after the
    /// ReLU.
    pub(crate) fn spread(
        &self,
        strips: &Strips,
        job: &Job,
        [x, dy]: [&[f32]; 2],
        open: Open<&[f32]>,
        window: &mut [f32],
    ) {
        let channels = self.slopes.dbeta.len();
        let (pixels, plane) = (strips.width, strips.window(1).plane);
        fill(strips, job, channels, window, |row, to| {
            let of_row = |all: &[f32]| all[row * pixels * channels..][..pixels * channels].as_ptr();
            // SAFETY: each has a row of pixels, and `to` the row in each plane.
            unsafe {
                dispatch(SpreadGradient {
                    by: self.rows.channels(channels),
                    slope: self.slopes.slope.as_ptr(),
                    constant: self.slopes.constant.as_ptr(),
                    x: of_row(x),
                    dy: of_row(dy),
                    open: open.map(of_row),
                    pixels,
                    to: to.as_mut_ptr(),
                    plane,
                });
            }
        });
    }

    /// The same from that of the output after ReLU and pooling.
    fn spread_pool(
        &self,
        strips: &Strips,
        job: &Job,
        extent: &Extent,
        [x, dy]: [&[f32]; 2],
        window: &mut [f32],
    ) {
        let channels = extent.channels;
        let (pixels, plane) = (strips.width, strips.window(1).plane);
        let [height, width] = extent.output(After::ReluPool);
        let line = pixels * channels;
        fill(strips, job, channels, window, |row, to| {
            let (image, row) = (row / extent.height, row % extent.height);
            // An odd last row has no windows.
            let has_windows = row / 2 < height;
            let own = if has_windows { row % 2 } else { 0 };
            let first = image * extent.height + row - own;
            let x = &x[first * line..][..(1 + usize::from(has_windows)) * line];
            let dy = match has_windows {
                true => &dy[(image * height + row / 2) * width * channels..][..width * channels],
                false => &[],
            };
            // SAFETY: `x` has both rows of the windows, or the one row, `dy` a pixel for each window,
            // and `to` the row in each plane.
            unsafe {
                dispatch(SpreadGradientPool {
                    by: self.rows.channels(channels),
                    slope: self.slopes.slope.as_ptr(),
                    constant: self.slopes.constant.as_ptr(),
                    x: x.as_ptr(),
                    row_step: line,
                    own,
                    dy: dy.as_ptr(),
                    windows: dy.len() / channels,
                    pixels,
                    to: to.as_mut_ptr(),
                    plane,
                });
            }
        });
    }
}

#[cfg(test)]
mod tests;
