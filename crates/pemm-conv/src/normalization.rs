//! Batch normalization with what follows it, in one pass over the activations.
//!
//! z = γ·(x − mean)·inverse + β per channel, inverse = 1/√(variance + ε);
//! y = z, max(z, 0), or the largest of max(z, 0) in each 2×2 window.
//!
//! Neither z nor the mask nor the place of the maximum is kept for the backward pass: each costs
//! one multiplication to find again and a third of the memory traffic to store. With g = ∂z and M
//! pixels, ∂β = Σ g, ∂γ = Σ g·x̂, and
//!
//! ∂x = γ·inverse·(g − ∂β/M − x̂·∂γ/M),  x̂ = (x − mean)·inverse.
//!
//! All slices are channels-last. Sums run in single precision over a fixed number of pixels, then
//! in double over those parts in order, so they do not depend on the number of threads.

use rayon::prelude::*;

use crate::passes::{Channels, Gradient, GradientPool, Moments, Normalize, NormalizePool};
use crate::passes::{Sums, SumsPool};
use crate::rows::streams;
use crate::simd::{dispatch, fence, lanes};

/// What follows the normalization.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// y = z.
    Nothing,
    /// y = max(z, 0).
    Relu,
    /// y = max(z, 0) and the largest of each 2×2 window, stride 2; an odd last row or column is
    /// dropped. Of equal values the first takes the gradient.
    ReluPool,
}

/// Sizes of the input of a normalization.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Images.
    pub batch: usize,
    /// Pixels down an image.
    pub height: usize,
    /// Pixels across an image.
    pub width: usize,
    /// Channels of a pixel.
    pub channels: usize,
}

impl Extent {
    /// Pixels of the batch.
    pub fn pixels(&self) -> usize {
        self.batch * self.height * self.width
    }

    /// Numbers in the input.
    pub fn len(&self) -> usize {
        self.pixels() * self.channels
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Height and width of the output.
    pub fn output(&self, after: After) -> [usize; 2] {
        let shrink = if after == After::ReluPool { 2 } else { 1 };
        [self.height / shrink, self.width / shrink]
    }

    /// Numbers in the output.
    pub fn output_len(&self, after: After) -> usize {
        let [height, width] = self.output(after);
        self.batch * height * width * self.channels
    }
}

/// Pixels of a job, and of a sum in single precision.
pub(crate) const PIXELS: usize = 256;

/// What a channel is normalized by.
#[derive(Clone, Debug)]
pub struct Statistics {
    /// Mean of each channel.
    pub mean: Vec<f32>,
    /// Variance of each channel, divided by the number of pixels (biased).
    pub variance: Vec<f32>,
}

/// Mean and biased variance of each channel of `x`; zeros for an empty batch.
///
/// # Panics
/// If `x` is not of its size.
pub fn statistics(x: &[f32], extent: &Extent) -> Statistics {
    assert_eq!(x.len(), extent.len(), "input of {extent:?}");
    let channels = extent.channels;
    if extent.is_empty() {
        return Statistics { mean: vec![0.0; channels], variance: vec![0.0; channels] };
    }
    let parts: Vec<Part> = x.par_chunks(PIXELS * channels).map(|x| Part::of(x, channels)).collect();
    join(&parts, channels)
}

/// Sums over some pixels.
pub(crate) struct Part {
    count: usize,
    /// The first pixel, which is near enough to the mean to lose nothing.
    pub(crate) first: Vec<f32>,
    /// Σ (x − first) and Σ (x − first)² of each channel.
    pub(crate) moments: Vec<f32>,
}

impl Part {
    /// Of `count` pixels, still without sums.
    pub(crate) fn new(count: usize, first: Vec<f32>) -> Self {
        let moments = vec![0.0; 2 * first.len()];
        Self { count, first, moments }
    }

    /// Of whole pixels, at least one.
    pub(crate) fn of(x: &[f32], channels: usize) -> Self {
        let mut part = Self::new(x.len() / channels, x[..channels].to_vec());
        let (count, out) = (part.count, part.moments.as_mut_ptr());
        // SAFETY: `x` is whole pixels, `moments` two rows of `channels`.
        unsafe { dispatch(Moments { x: x.as_ptr(), count, channels, out }) }
        part
    }
}

/// Statistics of all parts, by Chan's rule in their order; zeros if there are none.
pub(crate) fn join(parts: &[Part], channels: usize) -> Statistics {
    let mut mean = vec![0.0f64; channels];
    let mut spread = vec![0.0f64; channels];
    let mut seen = 0.0f64;
    for part in parts {
        let count = part.count as f64;
        for channel in 0..channels {
            let offset = f64::from(part.moments[channel]) / count;
            let squares = f64::from(part.moments[channels + channel]) - offset * offset * count;
            let delta = f64::from(part.first[channel]) + offset - mean[channel];
            mean[channel] += delta * count / (seen + count);
            spread[channel] += squares.max(0.0) + delta * delta * seen * count / (seen + count);
        }
        seen += count;
    }
    let seen = seen.max(1.0);
    Statistics {
        mean: mean.iter().map(|mean| *mean as f32).collect(),
        variance: spread.iter().map(|spread| (spread / seen) as f32).collect(),
    }
}

/// Per-channel rows of equal, whole-vector length.
#[derive(Clone, Debug)]
pub(crate) struct Rows {
    mean: Vec<f32>,
    scale: Vec<f32>,
    beta: Vec<f32>,
}

impl Rows {
    pub(crate) fn new(statistics: &Statistics, gamma: &[f32], beta: &[f32], epsilon: f32) -> Self {
        let channels = gamma.len();
        assert!(
            [beta.len(), statistics.mean.len(), statistics.variance.len()] == [channels; 3],
            "one scale, shift, mean and variance per channel"
        );
        let row = |value: &dyn Fn(usize) -> f32| {
            let mut row = vec![0.0; channels.next_multiple_of(lanes())];
            (0..channels).for_each(|channel| row[channel] = value(channel));
            row
        };
        Self {
            mean: row(&|channel| statistics.mean[channel]),
            scale: row(&|channel| gamma[channel] * inverse(statistics, channel, epsilon)),
            beta: row(&|channel| beta[channel]),
        }
    }

    pub(crate) fn channels(&self, channels: usize) -> Channels {
        Channels {
            count: channels,
            mean: self.mean.as_ptr(),
            scale: self.scale.as_ptr(),
            beta: self.beta.as_ptr(),
        }
    }
}

fn inverse(statistics: &Statistics, channel: usize, epsilon: f32) -> f32 {
    1.0 / (statistics.variance[channel] + epsilon).sqrt()
}

/// y = after(γ·(x − mean)·inverse + β); every number of `y` is written.
///
/// # Panics
/// If a slice is not of its size.
pub fn normalize(
    x: &[f32],
    extent: &Extent,
    statistics: &Statistics,
    [gamma, beta]: [&[f32]; 2],
    epsilon: f32,
    after: After,
    y: &mut [f32],
) {
    assert!(x.len() == extent.len() && gamma.len() == extent.channels, "input of {extent:?}");
    assert_eq!(y.len(), extent.output_len(after), "output of {extent:?}");
    if y.is_empty() {
        return;
    }
    let rows = Rows::new(statistics, gamma, beta, epsilon);
    let channels = extent.channels;
    let by = Shared(rows.channels(channels));
    if after == After::ReluPool {
        let [height, width] = extent.output(after);
        y.par_chunks_exact_mut(width * channels).enumerate().for_each(|(row, y)| {
            let top = row / height * extent.height + row % height * 2;
            // SAFETY: two rows of the image from `top` on hold the windows of this row of `y`.
            unsafe {
                dispatch(NormalizePool {
                    by: *by.get(),
                    x: x[top * extent.width * channels..].as_ptr(),
                    row_step: extent.width * channels,
                    y: y.as_mut_ptr(),
                    count: width,
                });
            }
        });
        return;
    }
    let stream = streams(y, channels);
    let parts = x.par_chunks(PIXELS * channels).zip(y.par_chunks_mut(PIXELS * channels));
    parts.for_each(|(x, y)| {
        // SAFETY: both parts are the same whole pixels.
        unsafe {
            dispatch(Normalize {
                by: *by.get(),
                x: x.as_ptr(),
                y: y.as_mut_ptr(),
                count: x.len() / channels,
                relu: after == After::Relu,
                stream,
            });
        }
        fence();
    });
}

/// Gradients of Σ y·dy where the statistics are those of `x` itself: writes ∂x, returns (∂γ, ∂β).
///
/// # Panics
/// If a slice is not of its size.
#[allow(clippy::too_many_arguments)]
pub fn gradients(
    x: &[f32],
    extent: &Extent,
    statistics: &Statistics,
    [gamma, beta]: [&[f32]; 2],
    epsilon: f32,
    after: After,
    dy: &[f32],
    dx: &mut [f32],
) -> (Vec<f32>, Vec<f32>) {
    assert!(x.len() == extent.len() && dx.len() == x.len(), "input of {extent:?}");
    assert_eq!(dy.len(), extent.output_len(after), "output of {extent:?}");
    let channels = extent.channels;
    if extent.is_empty() {
        return (vec![0.0; channels], vec![0.0; channels]);
    }
    let rows = Rows::new(statistics, gamma, beta, epsilon);
    let parts = sums(x, dy, extent, after, &Shared(rows.channels(channels)));
    let slopes = Slopes::new(&parts, &rows, statistics, epsilon, extent.pixels());
    input_gradient(x, extent, &rows, &slopes, after, dy, dx);
    (slopes.dgamma, slopes.dbeta)
}

/// Writes ∂x where the sums are known.
pub(crate) fn input_gradient(
    x: &[f32],
    extent: &Extent,
    rows: &Rows,
    Slopes { slope, constant, .. }: &Slopes,
    after: After,
    dy: &[f32],
    dx: &mut [f32],
) {
    if extent.is_empty() {
        return;
    }
    let channels = extent.channels;
    let by = Shared(rows.channels(channels));
    let zeros = vec![0.0; channels];
    let stream = streams(dx, channels);
    let plain = |x: &[f32], dy: Option<&[f32]>, dx: &mut [f32]| {
        // SAFETY: `x`, `dx` and `dy` (or one row of zeros, read again and again) are the same
        // whole pixels.
        unsafe {
            dispatch(Gradient {
                by: *by.get(),
                slope: slope.as_ptr(),
                constant: constant.as_ptr(),
                x: x.as_ptr(),
                dy: dy.unwrap_or(&zeros).as_ptr(),
                dy_step: if dy.is_some() { channels } else { 0 },
                dx: dx.as_mut_ptr(),
                count: x.len() / channels,
                relu: after != After::Nothing,
                stream,
            });
        }
        fence();
    };
    if after == After::ReluPool {
        let [height, width] = extent.output(after);
        let line = extent.width * channels;
        let images = x.par_chunks_exact(extent.height * line);
        images.zip(dx.par_chunks_exact_mut(extent.height * line)).enumerate().for_each(
            |(image, (x, dx))| {
                let pairs = x.chunks(2 * line).zip(dx.chunks_mut(2 * line)).enumerate();
                for (row, (x, dx)) in pairs {
                    if row == height {
                        plain(x, None, dx);
                        continue;
                    }
                    let dy = &dy[(image * height + row) * width * channels..];
                    // SAFETY: two rows of the image and one of `dy` hold `width` windows.
                    unsafe {
                        dispatch(GradientPool {
                            by: *by.get(),
                            slope: slope.as_ptr(),
                            constant: constant.as_ptr(),
                            x: x.as_ptr(),
                            row_step: line,
                            dy: dy.as_ptr(),
                            dx: dx.as_mut_ptr(),
                            count: width,
                        });
                    }
                    for (x, dx) in x.chunks(line).zip(dx.chunks_mut(line)) {
                        let edge = 2 * width * channels;
                        plain(&x[edge..], None, &mut dx[edge..]);
                    }
                }
            },
        );
    } else {
        x.par_chunks(PIXELS * channels)
            .zip(dy.par_chunks(PIXELS * channels))
            .zip(dx.par_chunks_mut(PIXELS * channels))
            .for_each(|((x, dy), dx)| plain(x, Some(dy), dx));
    }
}

/// What the sums of a gradient give: ∂x = scale·g + slope·(x − mean) + constant, in whole vectors, and
/// ∂γ and ∂β.
pub(crate) struct Slopes {
    pub(crate) slope: Vec<f32>,
    pub(crate) constant: Vec<f32>,
    pub(crate) dgamma: Vec<f32>,
    pub(crate) dbeta: Vec<f32>,
}

impl Slopes {
    /// From Σ g and Σ g·(x − mean) of each channel, a part per job, in order.
    pub(crate) fn new(
        parts: &[Vec<f32>],
        rows: &Rows,
        statistics: &Statistics,
        epsilon: f32,
        pixels: usize,
    ) -> Self {
        let channels = statistics.mean.len();
        let (mut dgamma, mut dbeta) = (vec![0.0f64; channels], vec![0.0f64; channels]);
        for part in parts {
            for channel in 0..channels {
                dbeta[channel] += f64::from(part[channel]);
                dgamma[channel] += f64::from(part[channels + channel]);
            }
        }
        let mut slope = vec![0.0; rows.mean.len()];
        let mut constant = vec![0.0; rows.mean.len()];
        for channel in 0..channels {
            let inverse = f64::from(inverse(statistics, channel, epsilon));
            let scale = f64::from(rows.scale[channel]) / pixels as f64;
            dgamma[channel] *= inverse;
            slope[channel] = (-scale * inverse * dgamma[channel]) as f32;
            constant[channel] = (-scale * dbeta[channel]) as f32;
        }
        let single = |sums: Vec<f64>| sums.into_iter().map(|sum| sum as f32).collect();
        Self { slope, constant, dgamma: single(dgamma), dbeta: single(dbeta) }
    }
}

/// Σ g and Σ g·(x − mean) of each channel, a part per job, in order.
pub(crate) fn sums(
    x: &[f32],
    dy: &[f32],
    extent: &Extent,
    after: After,
    by: &Shared<Channels>,
) -> Vec<Vec<f32>> {
    if extent.is_empty() {
        return Vec::new();
    }
    let channels = extent.channels;
    if after == After::ReluPool {
        let [height, width] = extent.output(after);
        let line = extent.width * channels;
        let images = (0..extent.batch).into_par_iter();
        return images
            .map(|image| {
                let mut out = vec![0.0; 2 * channels];
                for row in 0..height {
                    let x = &x[(image * extent.height + 2 * row) * line..];
                    let dy = &dy[(image * height + row) * width * channels..];
                    // SAFETY: as where the gradient is written.
                    unsafe {
                        dispatch(SumsPool {
                            by: *by.get(),
                            x: x.as_ptr(),
                            row_step: line,
                            dy: dy.as_ptr(),
                            count: width,
                            out: out.as_mut_ptr(),
                        });
                    }
                }
                out
            })
            .collect();
    }
    x.par_chunks(PIXELS * channels)
        .zip(dy.par_chunks(PIXELS * channels))
        .map(|(x, dy)| {
            let mut out = vec![0.0; 2 * channels];
            // SAFETY: both parts are the same whole pixels.
            unsafe {
                dispatch(Sums {
                    by: *by.get(),
                    x: x.as_ptr(),
                    dy: dy.as_ptr(),
                    count: x.len() / channels,
                    relu: after == After::Relu,
                    out: out.as_mut_ptr(),
                });
            }
            out
        })
        .collect()
}

/// Pointers to rows that every job reads.
pub(crate) struct Shared<T>(pub(crate) T);

// SAFETY: the rows live as long as the jobs and are only read.
unsafe impl<T> Sync for Shared<T> {}

impl<T> Shared<T> {
    pub(crate) fn get(&self) -> &T {
        &self.0
    }
}

#[cfg(test)]
mod tests;
