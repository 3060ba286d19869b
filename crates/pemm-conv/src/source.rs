//! What a convolution reads: numbers that lie there, or normalized ones that are made where they are read.

use crate::normalization::Rows;
use crate::passes::Normalize;
use crate::rows::{SpreadNormalized, fill, spread};
use crate::simd::dispatch;
use crate::strips::{Job, Strips};

/// Channels-last pixels.
#[derive(Clone, Copy)]
pub(crate) enum Source<'a> {
    Given(&'a [f32]),
    /// max(norm(a), 0).
    Normalized {
        a: &'a [f32],
        rows: &'a Rows,
    },
}

impl<'a> Source<'a> {
    /// What is read from memory.
    pub(crate) fn read(&self) -> &'a [f32] {
        match *self {
            Self::Given(x) => x,
            Self::Normalized { a, .. } => a,
        }
    }

    /// Fills the window of a job.
    pub(crate) fn spread(&self, strips: &Strips, job: &Job, channels: usize, window: &mut [f32]) {
        match *self {
            Self::Given(x) => spread(strips, job, x, channels, [0, channels], window),
            Self::Normalized { a, rows } => {
                spread_normalized(strips, job, channels, rows, a, window);
            }
        }
    }

    /// Numbers of memory that [`pixels`](Self::pixels) needs for so many.
    pub(crate) fn memory(&self, count: usize, channels: usize) -> usize {
        match self {
            Self::Given(_) => 0,
            Self::Normalized { .. } => count * channels,
        }
    }

    /// `count` pixels from `first` on; where they lie nowhere, they are made in `memory`.
    pub(crate) fn pixels<'m>(
        &self,
        [first, count]: [usize; 2],
        channels: usize,
        memory: &'m mut [f32],
    ) -> &'m [f32]
    where
        'a: 'm,
    {
        let numbers = &self.read()[first * channels..][..count * channels];
        match self {
            Self::Given(_) => numbers,
            Self::Normalized { rows, .. } => {
                let made = &mut memory[..count * channels];
                normalize(rows, channels, numbers, made);
                made
            }
        }
    }
}

/// y = max(norm(x), 0) of whole pixels.
fn normalize(rows: &Rows, channels: usize, x: &[f32], y: &mut [f32]) {
    assert_eq!(x.len(), y.len(), "as many pixels on either side");
    let (x, count, y) = (x.as_ptr(), y.len() / channels.max(1), y.as_mut_ptr());
    let by = rows.channels(channels);
    // SAFETY: both are the same whole pixels.
    unsafe { dispatch(Normalize { by, x, y, count, relu: true, stream: false }) }
}

/// Fills the window of a job with max(norm(x), 0).
pub(crate) fn spread_normalized(
    strips: &Strips,
    job: &Job,
    channels: usize,
    rows: &Rows,
    x: &[f32],
    window: &mut [f32],
) {
    let (pixels, plane) = (strips.width, strips.window(1).plane);
    fill(strips, job, channels, window, |row, to| {
        let x = &x[row * pixels * channels..][..pixels * channels];
        // SAFETY: `x` has a row of pixels, and `to` the row in each plane.
        unsafe {
            dispatch(SpreadNormalized {
                by: rows.channels(channels),
                x: x.as_ptr(),
                pixels,
                to: to.as_mut_ptr(),
                plane,
            });
        }
    });
}
