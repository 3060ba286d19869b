//! Any convolution without groups or dilation, as matrix products read in place.
//!
//! Channels-last, the numbers under one row of the filter lie next to each other. So the patch of
//! an output pixel is `kernel height` stretches of `kernel width · channels` numbers in the padded
//! image, and a product whose rows begin at the pixels' patches needs no unrolled copy. Only the
//! few image rows that a job reads are copied, and only where there is padding.

use rayon::prelude::*;

use crate::buffers::Buffer;
use crate::geometry::Geometry;
use crate::pointwise::{self, Target};
use crate::product::{Product, Start, panel_width};
use crate::rows::{put, streams};
use crate::scratch;
use crate::simd::{Lanes, Task, dispatch, fence};

/// About as many output pixels as a job takes.
const PIXELS: usize = 256;

/// Rows of weights that are packed together.
const BLOCK: usize = 8;

/// A matrix in the panels of the product: rows × columns.
pub(crate) struct Panels {
    pub(crate) packed: Buffer,
    /// Columns of a panel.
    pub(crate) width: usize,
    /// From one panel to the next.
    pub(crate) panel: usize,
}

impl Panels {
    /// The number in row r and column c is `weight[rows[r] + columns[c]]`.
    fn new(weight: &[f32], rows: &[usize], columns: &[usize]) -> Self {
        let width = panel_width(columns.len());
        let panel = rows.len() * width;
        let mut packed = Buffer::take(panel * columns.len().div_ceil(width));
        let panels = packed.par_chunks_mut(panel.max(1)).zip(columns.par_chunks(width));
        panels.for_each(|(packed, columns)| {
            if columns.len() < width {
                packed.fill(0.0);
            }
            // The columns of a row may lie side by side.
            if columns.windows(2).all(|pair| pair[1] == pair[0] + 1) {
                for (packed, row) in packed.chunks_exact_mut(width).zip(rows) {
                    let from = &weight[row + columns[0]..][..columns.len()];
                    packed[..columns.len()].copy_from_slice(from);
                }
                return;
            }
            // Else some rows at a time: the numbers of a column do, and far from those of the next.
            for (packed, rows) in packed.chunks_mut(BLOCK * width).zip(rows.chunks(BLOCK)) {
                for (lane, column) in columns.iter().enumerate() {
                    for (packed, row) in packed.chunks_exact_mut(width).zip(rows) {
                        packed[lane] = weight[row + column];
                    }
                }
            }
        });
        Self { packed, width, panel }
    }

    /// The filters of `geometry`: a row for each tap, or turned, one for each output channel.
    pub(crate) fn of_filters(geometry: &Geometry, weight: &[f32], turned: bool) -> Self {
        let of_out = geometry.channels_in * geometry.kernel[0] * geometry.kernel[1];
        let taps: Vec<usize> = (0..of_out).map(|k| tap(geometry, 0, k)).collect();
        let outs: Vec<usize> = (0..geometry.channels_out).map(|out| out * of_out).collect();
        if turned { Self::new(weight, &outs, &taps) } else { Self::new(weight, &taps, &outs) }
    }
}

/// Index into the weights \[out\]\[in\]\[kernel\] of tap `k`, counted channels-last.
pub(crate) fn tap(geometry: &Geometry, out: usize, k: usize) -> usize {
    let (place, channel) = (k / geometry.channels_in, k % geometry.channels_in);
    let taps = geometry.kernel[0] * geometry.kernel[1];
    (out * geometry.channels_in + channel) * taps + place
}

/// How jobs read the image: some output rows at a time, the rows above them padded.
pub(crate) struct Reader {
    geometry: Geometry,
    output: [usize; 2],
    /// Output rows of a job.
    rows: usize,
    pub(crate) jobs_per_image: usize,
    /// Numbers in a padded image row.
    line: usize,
}

impl Reader {
    pub(crate) fn new(geometry: &Geometry, rows: usize) -> Self {
        let output = geometry.output();
        let rows = rows.clamp(1, output[0].max(1));
        Self {
            geometry: *geometry,
            output,
            rows,
            jobs_per_image: output[0].div_ceil(rows),
            line: geometry.padded()[1] * geometry.channels_in,
        }
    }

    pub(crate) fn in_place(&self) -> bool {
        self.geometry.padding == [0, 0]
    }

    /// Image, first output row and number of output rows of a job.
    pub(crate) fn job(&self, job: usize) -> (usize, usize, usize) {
        let first = job % self.jobs_per_image * self.rows;
        (job / self.jobs_per_image, first, self.rows.min(self.output[0] - first))
    }

    /// Numbers of padded image that a job reads.
    pub(crate) fn window(&self) -> usize {
        ((self.rows - 1) * self.geometry.stride[0] + self.geometry.kernel[0]) * self.line
    }

    /// Where the patches of a job's output pixels begin in its window.
    pub(crate) fn patches(&self) -> Vec<usize> {
        let [down, right] = self.geometry.stride;
        (0..self.rows * self.output[1])
            .map(|pixel| {
                pixel / self.output[1] * down * self.line
                    + pixel % self.output[1] * right * self.geometry.channels_in
            })
            .collect()
    }

    /// Numbers under a row of the filter.
    pub(crate) fn stretch(&self) -> usize {
        self.geometry.kernel[1] * self.geometry.channels_in
    }

    /// Where each tap of the filter, counted channels-last, lies from the beginning of a patch.
    pub(crate) fn taps(&self) -> Vec<usize> {
        let stretch = self.stretch();
        (0..self.geometry.kernel[0] * stretch)
            .map(|k| k / stretch * self.line + k % stretch)
            .collect()
    }

    /// The window of a job: the image itself, or a copy with zeros around.
    pub(crate) fn read<'a>(
        &self,
        x: &'a [f32],
        image: usize,
        first: usize,
        rows: usize,
        copy: &'a mut [f32],
    ) -> &'a [f32] {
        let [height, width] = self.geometry.input;
        let channels = self.geometry.channels_in;
        let x = &x[image * height * width * channels..][..height * width * channels];
        let top = first * self.geometry.stride[0];
        if self.in_place() {
            return &x[top * self.line..];
        }
        let lines = (rows - 1) * self.geometry.stride[0] + self.geometry.kernel[0];
        let edge = self.geometry.padding[1] * channels;
        for (line, copy) in copy.chunks_exact_mut(self.line).take(lines).enumerate() {
            let row = (top + line).wrapping_sub(self.geometry.padding[0]);
            if row < height {
                copy[..edge].fill(0.0);
                copy[edge..][..width * channels]
                    .copy_from_slice(&x[row * width * channels..][..width * channels]);
                copy[edge + width * channels..].fill(0.0);
            } else {
                copy.fill(0.0);
            }
        }
        copy
    }
}

/// y = x ∗ weight + bias; `x`, `y` channels-last, `weight` \[out\]\[in\]\[kernel\].
pub(crate) fn convolve(
    geometry: &Geometry,
    x: &[f32],
    weight: &[f32],
    bias: Option<&[f32]>,
    y: &mut [f32],
) {
    convolve_then(geometry, x, weight, bias, y, |_, made, y| keep(made, y));
}

/// The same where `then` has the last word on each job's pixels of `y`: it is given where in `y` they begin,
/// what the convolution made for them, or nothing where that lies in `y` already, and these. It may stream. What
/// it returns is given back in the order of the jobs.
pub(crate) fn convolve_then<R: Send>(
    geometry: &Geometry,
    x: &[f32],
    weight: &[f32],
    bias: Option<&[f32]>,
    y: &mut [f32],
    then: impl Fn(usize, Option<&[f32]>, &mut [f32]) -> R + Sync,
) -> Vec<R> {
    if y.is_empty() {
        return Vec::new();
    }
    let geometry = &geometry.flat();
    let [down, across] = geometry.output();
    let reader = Reader::new(geometry, PIXELS / across.max(1));
    let stretch = geometry.kernel[1] * geometry.channels_in;
    let outs = geometry.channels_out;
    let filters = Panels::of_filters(geometry, weight, false);
    let patches = reader.patches();
    let copy_len = if reader.in_place() { 0 } else { reader.window() };
    // What is to be stored past the caches is made in the working memory first.
    let apart = streams(y, outs);
    let made_len = if apart { patches.len() * outs } else { 0 };
    let jobs = cut(y, &reader, geometry.batch, across * outs).into_par_iter().enumerate();
    let results = jobs.map(|(job, y)| {
        let (image, first, rows) = reader.job(job);
        scratch::with(copy_len + made_len, |memory| {
            let (copy, made) = memory.split_at_mut(copy_len);
            let window = reader.read(x, image, first, rows, copy);
            let to = if apart { &mut made[..y.len()] } else { &mut *y };
            // SAFETY: the patches of `rows` output rows lie in the window, and `to` has a row of `outs` for
            // each.
            unsafe {
                dispatch(Product {
                    a: window.as_ptr(),
                    rows: &patches[..rows * across],
                    segments: geometry.kernel[0],
                    length: stretch,
                    a_segment: reader.line,
                    a_step: 1,
                    b: filters.packed.as_ptr(),
                    b_segment: stretch * filters.width,
                    b_step: filters.width,
                    b_panel: filters.panel,
                    c: to.as_mut_ptr(),
                    c_step: outs,
                    columns: outs,
                    start: bias.map_or(Start::Zero, |bias| Start::Row(bias.as_ptr())),
                });
            }
            let made = apart.then(|| &made[..y.len()]);
            let result = then((image * down + first) * across * outs, made, y);
            fence();
            result
        })
    });
    results.collect()
}

/// Stores what was made for `y`, past the caches, unless it lies there already.
pub(crate) fn keep(made: Option<&[f32]>, y: &mut [f32]) {
    if let Some(made) = made {
        assert_eq!(made.len(), y.len(), "all of it was made");
        // SAFETY: both have the same numbers; what is made apart is whole vectors, and `y` is aligned.
        unsafe { dispatch(Copy { from: made.as_ptr(), to: y.as_mut_ptr(), count: y.len() }) }
    }
}

/// Stores whole vectors past the caches.
struct Copy {
    from: *const f32,
    to: *mut f32,
    count: usize,
}

impl Task for Copy {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        for at in (0..self.count).step_by(L::LANES) {
            // SAFETY: the caller's word.
            unsafe { put::<L>(self.to.add(at), L::LANES, L::load(self.from.add(at)), true) }
        }
    }
}

/// Cuts the output into the jobs' own rows.
fn cut<'a>(mut y: &'a mut [f32], reader: &Reader, batch: usize, line: usize) -> Vec<&'a mut [f32]> {
    (0..batch * reader.jobs_per_image)
        .map(|job| {
            let (part, rest) = std::mem::take(&mut y).split_at_mut(reader.job(job).2 * line);
            y = rest;
            part
        })
        .collect()
}

/// ∂x from `dy` (both channels-last): dy times the weights, added up where the patches overlap.
pub(crate) fn input_gradient(geometry: &Geometry, weight: &[f32], dy: &[f32], dx: &mut [f32]) {
    if geometry.is_flat() {
        return pointwise::input_gradient(geometry, weight, dy, Target::new(dx));
    }
    let [down, across] = geometry.output();
    if dx.is_empty() || dy.is_empty() {
        dx.fill(0.0);
        return;
    }
    let reader = Reader::new(geometry, PIXELS / across.max(1));
    let [height, width] = geometry.input;
    let (ins, outs) = (geometry.channels_in, geometry.channels_out);
    let stretch = geometry.kernel[1] * ins;
    let taps = geometry.kernel[0] * stretch;
    let filters = Panels::of_filters(geometry, weight, true);
    let pixels: Vec<usize> = (0..reader.rows * across).map(|pixel| pixel * outs).collect();
    let patches = reader.patches();
    let padded_len = geometry.padded()[0] * reader.line;
    let edge = geometry.padding[1] * ins;
    dx.par_chunks_exact_mut(height * width * ins).enumerate().for_each(|(image, dx)| {
        scratch::with(padded_len + pixels.len() * taps, |memory| {
            let (padded, columns) = memory.split_at_mut(padded_len);
            padded.fill(0.0);
            for job in 0..reader.jobs_per_image {
                let (_, first, rows) = reader.job(job);
                let dy = &dy[(image * down + first) * across * outs..][..rows * across * outs];
                // SAFETY: `dy` holds the job's pixels, `columns` a row of `taps` for each.
                unsafe {
                    dispatch(Product {
                        a: dy.as_ptr(),
                        rows: &pixels[..rows * across],
                        segments: 1,
                        length: outs,
                        a_segment: 0,
                        a_step: 1,
                        b: filters.packed.as_ptr(),
                        b_segment: 0,
                        b_step: filters.width,
                        b_panel: filters.panel,
                        c: columns.as_mut_ptr(),
                        c_step: taps,
                        columns: taps,
                        start: Start::Zero,
                    });
                }
                let window = &mut padded[first * geometry.stride[0] * reader.line..];
                for (patch, column) in patches[..rows * across].iter().zip(columns.chunks(taps)) {
                    for (line, column) in column.chunks_exact(stretch).enumerate() {
                        let to = &mut window[patch + line * reader.line..][..stretch];
                        for (to, value) in to.iter_mut().zip(column) {
                            *to += value;
                        }
                    }
                }
            }
            for (row, dx) in dx.chunks_exact_mut(width * ins).enumerate() {
                let from = (row + geometry.padding[0]) * reader.line + edge;
                dx.copy_from_slice(&padded[from..][..width * ins]);
            }
        });
    });
}
