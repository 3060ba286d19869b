//! Depthwise convolution, where rten 0.27 is slow: each channel has a filter of its own.
//!
//! ```text
//! y[o, i, j] = b[o] + Σ_{u,v} w[o, u, v] · x[⌊o/m⌋, i·s + u·d - p, j·s + v·d - p]
//! ```
//!
//! rten goes over each output row once for every tap of the filter, with a loop over scalars; its own
//! profile of EfficientNet-Lite0 shows most of the time there. Here a padded channel is cut into s·s
//! planes, one for each remainder of its rows and columns by the stride, so
//! that each tap reads consecutive values; the whole channel is then one long vector, the few
//! columns between the rows are computed for nothing, and the sum over the taps stays in registers.
//! The order of the sum is that of the taps, whatever the number of threads.

use rten_simd::ops::{BitOps, NumOps};
use rten_simd::{Isa, SimdOp};

use crate::dry_run::Windows;

/// Vectors that are summed at the same time, so that the processor need not wait for each.
const BLOCK: usize = 4;
/// Values that may be read or written behind the last one: more than a block of any processor.
const SLACK: usize = 256;

/// A depthwise convolution of one image `[C, H, W]`.
#[derive(Debug)]
pub(crate) struct Depthwise {
    /// Channels, height and width of the image.
    pub(crate) image: [usize; 3],
    /// Filters; a multiple of the channels.
    pub(crate) filters: usize,
    /// Height and width of a filter.
    pub(crate) kernel: [usize; 2],
    /// `[filters, kernel]`.
    pub(crate) weights: Vec<f32>,
    /// `[filters]`.
    pub(crate) bias: Vec<f32>,
    /// Two dimensions.
    pub(crate) windows: Windows,
}

/// How a channel lies in memory while its filters go over it.
struct Planes {
    rows: usize,
    columns: usize,
    /// Where each tap begins to read.
    taps: Vec<usize>,
    /// Values from the first to the last of the result, those between its rows included.
    reach: usize,
}

impl Depthwise {
    fn planes(&self) -> Planes {
        let [height, width] = [self.windows.sizes[0], self.windows.sizes[1]];
        let (stride, dilation) = (&self.windows.strides, &self.windows.dilations);
        let rows = height + (self.kernel[0] - 1) * dilation[0] / stride[0];
        let columns = width + (self.kernel[1] - 1) * dilation[1] / stride[1];
        let mut taps = Vec::with_capacity(self.kernel[0] * self.kernel[1]);
        for y in (0..self.kernel[0]).map(|y| y * dilation[0]) {
            for x in (0..self.kernel[1]).map(|x| x * dilation[1]) {
                let plane = y % stride[0] * stride[1] + x % stride[1];
                taps.push((plane * rows + y / stride[0]) * columns + x / stride[1]);
            }
        }
        Planes { rows, columns, taps, reach: (height - 1) * columns + width }
    }

    /// Values of the planes of one channel, padding included: what the cost of the node is seen by.
    pub(crate) fn scratch_len(&self) -> usize {
        let planes = self.planes();
        self.windows.strides[0] * self.windows.strides[1] * planes.rows * planes.columns
    }

    /// The result `[filters, H', W']` for an image `[C, H, W]`.
    pub(crate) fn run(&self, image: &[f32]) -> Vec<f32> {
        let planes = self.planes();
        let [height, width] = [self.windows.sizes[0], self.windows.sizes[1]];
        let mut result = vec![0.0; self.filters * height * width];
        // The padding stays 0: every channel fills the same places.
        let mut scratch = vec![0.0; self.scratch_len() + SLACK];
        let mut sums = vec![0.0; planes.reach + SLACK];
        let [channels, image_height, image_width] = self.image;
        let (each, taps) = (self.filters / channels, planes.taps.len());
        for (c, channel) in image.chunks_exact(image_height * image_width).enumerate() {
            self.fill(channel, &planes, &mut scratch);
            for filter in c * each..(c + 1) * each {
                let weights = &self.weights[filter * taps..(filter + 1) * taps];
                let (bias, reach) = (self.bias[filter], planes.reach);
                let taps = &planes.taps;
                Sum { scratch: &scratch, weights, taps, bias, reach, sums: &mut sums }.dispatch();
                let to = &mut result[filter * height * width..(filter + 1) * height * width];
                for (to, from) in to.chunks_exact_mut(width).zip(sums.chunks(planes.columns)) {
                    to.copy_from_slice(&from[..width]);
                }
            }
        }
        result
    }

    /// Puts a channel into its planes.
    fn fill(&self, channel: &[f32], planes: &Planes, scratch: &mut [f32]) {
        let [_, height, width] = self.image;
        let (stride, pads) = (&self.windows.strides, &self.windows.pads);
        for y in 0..height {
            let row = &channel[y * width..(y + 1) * width];
            let (padded, left) = (y + pads[0][0], pads[1][0]);
            if padded / stride[0] >= planes.rows {
                break;
            }
            for phase in 0..stride[1] {
                // The first column of the image that belongs to this plane.
                let first = (phase + stride[1] - left % stride[1]) % stride[1];
                let at = (first + left) / stride[1];
                let plane = padded % stride[0] * stride[1] + phase;
                let start = (plane * planes.rows + padded / stride[0]) * planes.columns;
                let to = &mut scratch[start..start + planes.columns];
                let Some(to) = to.get_mut(at..) else { continue };
                if stride[1] == 1 {
                    let len = to.len().min(width);
                    to[..len].copy_from_slice(&row[..len]);
                } else {
                    let values = row.iter().skip(first).step_by(stride[1]);
                    for (to, value) in to.iter_mut().zip(values) {
                        *to = *value;
                    }
                }
            }
        }
    }
}

/// The sum over the taps of one filter, for a whole channel.
struct Sum<'a> {
    scratch: &'a [f32],
    weights: &'a [f32],
    taps: &'a [usize],
    bias: f32,
    reach: usize,
    sums: &'a mut [f32],
}

impl SimdOp for Sum<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) {
        let ops = isa.f32();
        let lanes = ops.len();
        let mut start = 0;
        while start < self.reach {
            let mut block = [ops.splat(self.bias); BLOCK];
            for (&tap, &weight) in self.taps.iter().zip(self.weights) {
                let from = &self.scratch[tap + start..][..BLOCK * lanes];
                let (values, weight) = (ops.load_many::<BLOCK>(from), ops.splat(weight));
                for k in 0..BLOCK {
                    block[k] = ops.mul_add(values[k], weight, block[k]);
                }
            }
            for (k, sum) in block.into_iter().enumerate() {
                ops.store(sum, &mut self.sums[start + k * lanes..][..lanes]);
            }
            start += BLOCK * lanes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition, value by value.
    fn plainly(conv: &Depthwise, image: &[f32]) -> Vec<f32> {
        let [channels, height, width] = conv.image;
        let each = conv.filters / channels;
        let windows = &conv.windows;
        let mut result = Vec::new();
        for o in 0..conv.filters {
            for i in 0..windows.sizes[0] {
                for j in 0..windows.sizes[1] {
                    let mut sum = conv.bias[o];
                    for u in 0..conv.kernel[0] {
                        for v in 0..conv.kernel[1] {
                            let y = i * windows.strides[0] + u * windows.dilations[0];
                            let x = j * windows.strides[1] + v * windows.dilations[1];
                            let y = y.checked_sub(windows.pads[0][0]).filter(|&y| y < height);
                            let x = x.checked_sub(windows.pads[1][0]).filter(|&x| x < width);
                            if let (Some(y), Some(x)) = (y, x) {
                                let w = conv.weights[(o * conv.kernel[0] + u) * conv.kernel[1] + v];
                                sum += w * image[(o / each * height + y) * width + x];
                            }
                        }
                    }
                    result.push(sum);
                }
            }
        }
        result
    }

    /// Numbers between -1 and 1 without a pattern.
    fn numbers(count: usize) -> Vec<f32> {
        (0..count as u32)
            .map(|i| (i.wrapping_mul(2_654_435_761) >> 8) as f32 / 8_388_608.0 - 1.0)
            .collect()
    }

    #[test]
    fn agrees_with_the_definition() {
        let cases = [
            ([3, 7, 7], 3, [3, 3], [1, 1], [1, 1], [[1, 1], [1, 1]]),
            ([2, 14, 9], 4, [5, 5], [1, 1], [1, 1], [[2, 2], [2, 2]]),
            ([4, 15, 16], 4, [3, 3], [2, 2], [1, 1], [[0, 1], [1, 0]]),
            ([1, 33, 20], 2, [7, 3], [2, 3], [2, 1], [[3, 3], [2, 4]]),
            ([2, 5, 40], 2, [1, 5], [1, 4], [1, 3], [[0, 0], [6, 6]]),
            ([1, 1, 1], 1, [7, 7], [1, 1], [1, 1], [[3, 3], [3, 3]]),
        ];
        for (image, filters, kernel, strides, dilations, pads) in cases {
            let size = |d: usize| {
                let room = image[d + 1] + pads[d][0] + pads[d][1];
                (room - (kernel[d] - 1) * dilations[d] - 1) / strides[d] + 1
            };
            let windows = Windows {
                pads: pads.to_vec(),
                strides: strides.to_vec(),
                dilations: dilations.to_vec(),
                sizes: vec![size(0), size(1)],
            };
            let weights = numbers(filters * kernel[0] * kernel[1]);
            let conv =
                Depthwise { image, filters, kernel, weights, bias: numbers(filters), windows };
            let pixels = numbers(image.iter().product());
            let (found, expected) = (conv.run(&pixels), plainly(&conv, &pixels));
            assert_eq!(found.len(), expected.len());
            for (found, expected) in found.iter().zip(&expected) {
                assert!((found - expected).abs() < 1e-5, "{image:?}: {found} {expected}");
            }
        }
    }
}
