//! Residual blocks of two 3×3 convolutions each (He et al. 2016), one after the other, as one
//! operation.
//!
//! a = x ∗ w₁,  b = max(norm₁(a), 0) ∗ w₂,  y = max(norm₂(b) + x, 0), which is the next block's x
//!
//! The activations of such blocks do not fit in the cache, and most of the time would go into reading
//! and writing them. Here a convolution makes what it reads where it reads it: the normalized input of
//! the second, the sum that ends one block and begins the next, and backward the gradient of its output.
//! The statistics of what it writes, and the sums that the gradient of a normalization needs, come out of
//! the writing. Both gradients of a convolution come from one reading. Kept are x, a and b of each block,
//! and the last y.

use std::ops::Deref;

use crate::buffers::Buffer;
use crate::junction;
use crate::normalization::{Extent, Rows, Slopes, Statistics};
use crate::normalized::{GradientRows, convolve_to};
use crate::rows::{
    Gather, GatherAdd, GatherBelow, GatherSums, Open, SpreadEnd, fill, own_rows, spread, streams,
};
use crate::simd::dispatch;
use crate::source::spread_normalized;
use crate::strips::{Job, Strips};
use crate::winograd::{Filters, gradients_with};

/// Sizes and parameters of some blocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Blocks<'a> {
    pub(crate) extent: Extent,
    /// [two for each block][out][in][3][3], as many channels out as in.
    pub(crate) weights: &'a [f32],
    /// Scale and shift of the normalizations, each [two for each block][channel].
    pub(crate) norms: [&'a [f32]; 2],
    pub(crate) epsilon: f32,
}

/// The channels-last activations of a block; its y is the next block's x.
#[derive(Clone, Debug)]
pub(crate) struct Activations<M> {
    pub(crate) a: M,
    pub(crate) b: M,
    pub(crate) y: M,
}

/// Gradients by the parameters, laid out as these.
#[derive(Debug)]
pub(crate) struct Gradients {
    pub(crate) weights: Buffer,
    pub(crate) norms: [Vec<f32>; 2],
}

impl Blocks<'_> {
    /// The activations of each block, and the statistics of a and b of each in turn.
    ///
    /// # Panics
    /// If a slice is not of its size.
    pub(crate) fn forward(&self, x: &[f32]) -> (Vec<Activations<Buffer>>, Vec<Statistics>) {
        let (strips, channels) = (self.strips(), self.extent.channels);
        assert_eq!(x.len(), self.extent.len(), "input of {:?}", self.extent);
        let take = || Buffer::take(x.len());
        let num_blocks = self.num_blocks();
        let mut statistics: Vec<Statistics> = Vec::with_capacity(2 * num_blocks);
        let mut blocks: Vec<Activations<Buffer>> = Vec::with_capacity(num_blocks);
        // Those of the last block, as long as its y is not written.
        let mut open: Option<[Buffer; 2]> = None;
        for index in 0..num_blocks {
            let x = blocks.last().map_or(x, |block| &block.y);
            let mut a = take();
            let first = match open.take() {
                None => {
                    let fill = |job: &Job, window: &mut [f32], _: &mut [f32]| {
                        spread(&strips, job, x, channels, [0, channels], window);
                    };
                    self.convolve(&strips, 2 * index, [&mut a, &mut []], &[x], fill)
                }
                Some([a_before, b_before]) => {
                    let mut y = take();
                    let rows = self.rows(2 * index - 1, &statistics);
                    let stream = streams(&y, channels);
                    let end = |job: &Job, window: &mut [f32], y: &mut [f32]| {
                        self.spread_end(&strips, job, &rows, [&b_before, x], window, (y, stream));
                    };
                    let to = [&mut *a, &mut *y];
                    let first = self.convolve(&strips, 2 * index, to, &[&b_before, x], end);
                    blocks.push(Activations { a: a_before, b: b_before, y });
                    first
                }
            };
            statistics.push(first);
            let rows = self.rows(2 * index, &statistics);
            let mut b = take();
            let fill = |job: &Job, window: &mut [f32], _: &mut [f32]| {
                spread_normalized(&strips, job, channels, &rows, &a, window);
            };
            let second = self.convolve(&strips, 2 * index + 1, [&mut b, &mut []], &[&a], fill);
            statistics.push(second);
            open = Some([a, b]);
        }
        if let Some([a, b]) = open {
            let rows = self.rows(2 * num_blocks - 1, &statistics);
            let mut y = take();
            let x = blocks.last().map_or(x, |block| &block.y);
            junction::normalize_join(&rows, channels, [&b, x], &mut y);
            blocks.push(Activations { a, b, y });
        }
        (blocks, statistics)
    }

    /// Writes `dx` from the gradient `dy` of the last y, and returns the gradients by the parameters. A
    /// block's activations are dropped when they have been used.
    ///
    /// # Panics
    /// If a slice is not of its size.
    pub(crate) fn backward<M: Deref<Target = [f32]> + Sync>(
        &self,
        x: &[f32],
        mut blocks: Vec<Activations<M>>,
        statistics: &[Statistics],
        dy: &[f32],
        dx: &mut [f32],
    ) -> Gradients {
        let (strips, channels) = (self.strips(), self.extent.channels);
        let sizes = [x.len(), dy.len(), dx.len()];
        assert_eq!(sizes, [self.extent.len(); 3], "input and gradients of {:?}", self.extent);
        let rows = |index: usize| self.rows(index, statistics);
        let slopes = |parts: &[Vec<f32>], index: usize| {
            let pixels = self.extent.pixels();
            Slopes::new(parts, &rows(index), &statistics[index], self.epsilon, pixels)
        };
        let mut gradients = Gradients {
            weights: Buffer::take(self.weights.len()),
            norms: self.norms.map(|rows| vec![0.0; rows.len()]),
        };
        let Some(last) = blocks.last() else {
            dx.copy_from_slice(dy);
            return gradients;
        };
        let of_filters = 9 * channels * channels;
        let index = 2 * blocks.len() - 1;
        let parts = junction::sums(&rows(index), channels, [&last.b, &last.y, dy], &mut []);
        let mut second = slopes(&parts, index);
        // The gradient of the block's output, once it has come through the ReLU.
        let mut through: Option<Buffer> = None;
        while let Some(Activations { a, b, y }) = blocks.pop() {
            let index = blocks.len();
            let below = blocks.last();
            let x = below.map_or(x, |below| &below.y);
            let (g, open) = match &through {
                None => (dy, Some(&*y)),
                Some(through) => (&**through, None),
            };
            let of_block = &mut gradients.weights[2 * index * of_filters..][..2 * of_filters];
            let (dweight_1, dweight_2) = of_block.split_at_mut(of_filters);

            // By max(norm₁(a), 0).
            let mut inner = Buffer::take(x.len());
            let stream = streams(&inner, channels);
            let (rows_1, rows_2) = (rows(2 * index), rows(2 * index + 1));
            let of_b = GradientRows { rows: &rows_2, slopes: &second };
            let sources: Vec<&[f32]> = [&*a, &*b, g].into_iter().chain(open).collect();
            let parts = gradients_with(
                &strips,
                [channels; 2],
                &self.filters(2 * index + 1, true),
                dweight_2,
                &mut inner,
                &sources,
                |job, [x_window, dy_window]| {
                    spread_normalized(&strips, job, channels, &rows_1, &a, x_window);
                    let open = open.map_or(Open::Everywhere, Open::Output);
                    of_b.spread(&strips, job, [&b, g], open, dy_window);
                },
                |job, window, inner| {
                    let mut out = vec![0.0; 2 * channels];
                    own_rows(&strips, job, channels, |at, pixels, to| {
                        let to = &mut inner[to..];
                        let gather = Gather::row(&strips, channels, &window[at..], to, stream);
                        let by = rows_1.channels(channels);
                        let x = a[pixels..].as_ptr();
                        // SAFETY: `a` has the pixels of the row, `out` two rows of channels.
                        unsafe { dispatch(GatherSums { gather, by, x, out: out.as_mut_ptr() }) }
                    });
                    out
                },
            );
            let first = slopes(&parts, 2 * index);
            let of_a = GradientRows { rows: &rows_1, slopes: &first };

            let mut next = below.map(|_| Buffer::take(x.len()));
            let target = next.as_deref_mut().unwrap_or(&mut *dx);
            let stream = streams(target, channels);
            let below = below.map(|below| (below, rows(2 * index - 1)));
            let of_below = below.as_ref().map(|(below, _)| &*below.b);
            let sources: Vec<&[f32]> = [x, &*a, &*inner, g].into_iter().chain(of_below).collect();
            let parts = gradients_with(
                &strips,
                [channels; 2],
                &self.filters(2 * index, true),
                dweight_1,
                target,
                &sources,
                |job, [x_window, dy_window]| {
                    spread(&strips, job, x, channels, [0, channels], x_window);
                    of_a.spread(&strips, job, [&a, &inner], Open::Normalized, dy_window);
                },
                |job, window, dx| {
                    let mut out = vec![0.0; 2 * channels];
                    own_rows(&strips, job, channels, |at, pixels, to| {
                        let to = &mut dx[to..];
                        let gather = Gather::row(&strips, channels, &window[at..], to, stream);
                        let dy = g[pixels..].as_ptr();
                        let open = open.map(|y| y[pixels..].as_ptr());
                        let add = GatherAdd { gather, dy, open };
                        // SAFETY: each has the pixels of the row, `out` two rows of channels.
                        unsafe {
                            match &below {
                                None => dispatch(add),
                                Some((below, rows)) => dispatch(GatherBelow {
                                    add,
                                    y: x[pixels..].as_ptr(),
                                    x: below.b[pixels..].as_ptr(),
                                    mean: rows.channels(channels).mean,
                                    out: out.as_mut_ptr(),
                                }),
                            }
                        }
                    });
                    out
                },
            );
            for (number, slopes) in [&first, &second].into_iter().enumerate() {
                let at = (2 * index + number) * channels;
                gradients.norms[0][at..][..channels].copy_from_slice(&slopes.dgamma);
                gradients.norms[1][at..][..channels].copy_from_slice(&slopes.dbeta);
            }
            if below.is_some() {
                second = slopes(&parts, 2 * index - 1);
            }
            through = next;
        }
        gradients
    }

    fn num_blocks(&self) -> usize {
        self.weights.len() / (18 * self.extent.channels * self.extent.channels)
    }

    fn strips(&self) -> Strips {
        Strips::new(self.extent.batch, [self.extent.height, self.extent.width])
    }

    /// Those of a convolution, counted over the blocks.
    fn filters(&self, index: usize, turned: bool) -> Filters {
        let channels = self.extent.channels;
        let len = 9 * channels * channels;
        Filters::new(&self.weights[index * len..][..len], channels, channels, turned)
    }

    /// What a normalization, counted over the blocks, works by.
    fn rows(&self, index: usize, statistics: &[Statistics]) -> Rows {
        let channels = self.extent.channels;
        let [gamma, beta] = self.norms.map(|rows| &rows[index * channels..][..channels]);
        Rows::new(&statistics[index], gamma, beta, self.epsilon)
    }

    /// Convolution `index`, see [`convolve_to`].
    fn convolve(
        &self,
        strips: &Strips,
        index: usize,
        to: [&mut [f32]; 2],
        sources: &[&[f32]],
        fill: impl Fn(&Job, &mut [f32], &mut [f32]) + Sync,
    ) -> Statistics {
        let channels = [self.extent.channels; 2];
        convolve_to(strips, channels, &self.filters(index, false), None, to, sources, fill)
    }

    /// Fills the window of a job with max(norm(x) + shortcut, 0), and writes its own pixels to `y`.
    fn spread_end(
        &self,
        strips: &Strips,
        job: &Job,
        rows: &Rows,
        [x, shortcut]: [&[f32]; 2],
        window: &mut [f32],
        (y, stream): (&mut [f32], bool),
    ) {
        let channels = self.extent.channels;
        let (pixels, plane) = (strips.width, strips.window(1).plane);
        let own = strips.pixels(job);
        fill(strips, job, channels, window, |row, to| {
            let of_row = |all: &[f32]| all[row * pixels * channels..][..pixels * channels].as_ptr();
            let place = (row * pixels).checked_sub(own.start).map(|pixel| pixel * channels);
            let y = place.and_then(|place| y.get_mut(place..place + pixels * channels));
            // SAFETY: each has a row of pixels, and `to` the row in each plane.
            unsafe {
                dispatch(SpreadEnd {
                    by: rows.channels(channels),
                    x: of_row(x),
                    shortcut: of_row(shortcut),
                    pixels,
                    to: to.as_mut_ptr(),
                    plane,
                    y: y.map(|y| y.as_mut_ptr()),
                    stream,
                });
            }
        });
    }
}

#[cfg(test)]
mod tests;
