//! The gradient by the weights: for each tap of the filter and each output channel a sum over all
//! pixels.
//!
//! Image and gradient lie pixel by pixel, with a row of channels each. Read in place, channels by
//! powers of two put the rows of all pixels into the same few lines of the cache, where each pushes
//! out the one before. So some taps of some pixels are packed, in blocks as high as the kernel of the
//! product, and beside them a panel of the gradient; both stay in the cache while they are used.

use rayon::prelude::*;

use crate::buffers::Buffer;
use crate::convolution::ColumnSums;
use crate::direct::{Reader, tap};
use crate::geometry::Geometry;
use crate::product::{Product, Start, block_rows, panel_width};
use crate::scratch;
use crate::simd::{Lanes, Task, dispatch, prefetch};

/// Most taps of a job: what is packed of them stays in the second level of the cache.
const TAPS: usize = 240;
/// Taps of a job are a multiple of this: whole blocks at every instruction set.
const BLOCKS: usize = 12;
/// About as many pixels as a window has.
const PIXELS: usize = 256;
/// About as many jobs as there are; fixed, so that threads do not change the sums.
pub(crate) const JOBS: usize = 16;
/// Output channels whose sums are turned together into rows of the weights.
const TURNED: usize = 16;

/// The sums of some taps over some pixels.
struct Job<'a> {
    part: usize,
    first_tap: usize,
    sums: &'a mut [f32],
    /// Those of the bias, in the first job of a part.
    bias: Option<&'a mut [f32]>,
}

/// `gradient` = ∂weight \[out\]\[in\]\[kernel\] from `x` and `dy`, both channels-last; the
/// bias's comes along if asked for.
pub(crate) fn weight_gradient(
    geometry: &Geometry,
    x: &[f32],
    dy: &[f32],
    gradient: &mut [f32],
    dbias: Option<&mut [f32]>,
) {
    if x.is_empty() || dy.is_empty() {
        gradient.fill(0.0);
        if let Some(dbias) = dbias {
            dbias.fill(0.0);
        }
        return;
    }
    let geometry = &geometry.flat();
    let [_, across] = geometry.output();
    let reader = Reader::new(geometry, PIXELS / across.max(1));
    let outs = geometry.channels_out;
    let taps = geometry.kernel[0] * reader.stretch();

    let (num_chunks, chunk) = chunks(taps);
    // Partial sums over windows of the images, fewer of them where there are many taps anyway.
    let windows = geometry.batch * reader.jobs_per_image;
    let windows_per_part = windows.div_ceil(JOBS.div_ceil(num_chunks));
    let num_parts = windows.div_ceil(windows_per_part);
    let mut sums = Buffer::take(num_parts * taps * outs);
    let mut bias_sums = vec![0.0; num_parts * outs];
    let with_bias = dbias.is_some();
    let mut jobs = Vec::new();
    for (part, (sums, bias)) in
        sums.chunks_mut(taps * outs).zip(bias_sums.chunks_mut(outs)).enumerate()
    {
        let mut bias = with_bias.then_some(bias);
        for (number, sums) in sums.chunks_mut(chunk * outs).enumerate() {
            jobs.push(Job { part, first_tap: number * chunk, sums, bias: bias.take() });
        }
    }

    let rows_of_taps = reader.taps();
    let patches = reader.patches();
    let packing = Packing::new(patches.len(), outs);
    jobs.into_par_iter().for_each(|Job { part, first_tap, sums, mut bias }| {
        sums.fill(0.0);
        let of_job = &rows_of_taps[first_tap..][..sums.len() / outs];
        let copy_len = if reader.in_place() { 0 } else { reader.window() };
        scratch::with(copy_len + packing.len(of_job.len()), |memory| {
            let (copy, packed) = memory.split_at_mut(copy_len);
            let (packed, panel) = packed.split_at_mut(packing.block_len(of_job.len()));
            let first = part * windows_per_part;
            for window in first..(first + windows_per_part).min(windows) {
                let (image, first, rows) = reader.job(window);
                let pixels = rows * across;
                let x = reader.read(x, image, first, rows, copy);
                let from = (image * geometry.output()[0] + first) * across * outs;
                let dy = &dy[from..][..pixels * outs];
                packing.pack(x, of_job, &patches[..pixels], packed);
                packing.add(packed, dy, panel, pixels, outs, sums);
                if let Some(bias) = &mut bias {
                    // SAFETY: `dy` holds a row of `outs` for each pixel of the window.
                    unsafe {
                        dispatch(ColumnSums {
                            rows: dy.as_ptr(),
                            count: pixels,
                            channels: outs,
                            sums: bias.as_mut_ptr(),
                        });
                    }
                }
            }
        });
    });

    for (out, dbias) in dbias.into_iter().flatten().enumerate() {
        *dbias = bias_sums.iter().skip(out).step_by(outs).sum();
    }
    collect(geometry, &sums, gradient);
}

/// Number and length of the chunks that so many taps are packed in.
pub(crate) fn chunks(taps: usize) -> (usize, usize) {
    // As even as they go: a job of a few taps would pack the gradient for little.
    let num_chunks = taps.div_ceil(TAPS);
    (num_chunks, taps.div_ceil(num_chunks).next_multiple_of(BLOCKS))
}

/// Adds up the sums \[part\]\[tap\]\[out\] of all parts to the gradient \[out\]\[in\]\[kernel\].
pub(crate) fn collect(geometry: &Geometry, sums: &[f32], gradient: &mut [f32]) {
    let outs = geometry.channels_out;
    let taps = geometry.channels_in * geometry.kernel[0] * geometry.kernel[1];
    gradient.par_chunks_mut(TURNED * taps).enumerate().for_each(|(group, gradient)| {
        let (first, num) = (group * TURNED, gradient.len() / taps);
        for k in 0..taps {
            let mut total = [0.0; TURNED];
            for of_part in sums.chunks_exact(taps * outs) {
                let row = &of_part[k * outs + first..][..num];
                total.iter_mut().zip(row).for_each(|(total, sum)| *total += sum);
            }
            let place = tap(geometry, 0, k);
            for (out, total) in total[..num].iter().enumerate() {
                gradient[out * taps + place] = *total;
            }
        }
    });
}

/// How taps are packed: blocks of `height` taps, in each a row of them for every pixel.
pub(crate) struct Packing {
    height: usize,
    /// Columns of a panel of the gradient.
    width: usize,
    /// Most pixels of a window.
    pixels: usize,
    /// Where each of [`TAPS`] taps begins.
    offsets: Vec<usize>,
}

impl Packing {
    /// For windows of so many pixels, and a gradient of `outs` channels.
    pub(crate) fn new(pixels: usize, outs: usize) -> Self {
        let (height, width) = (block_rows(outs), panel_width(outs));
        let offset = |tap: usize| tap / height * pixels * height + tap % height;
        Self { height, width, pixels, offsets: (0..TAPS).map(offset).collect() }
    }

    /// Numbers of so many taps, packed.
    pub(crate) fn block_len(&self, taps: usize) -> usize {
        taps.next_multiple_of(self.height) * self.pixels
    }

    /// The same, and a panel of the gradient.
    pub(crate) fn len(&self, taps: usize) -> usize {
        self.block_len(taps) + self.pixels * self.width
    }

    /// Packs the taps that lie at `taps` from each of `patches`.
    pub(crate) fn pack(
        &self,
        window: &[f32],
        taps: &[usize],
        patches: &[usize],
        packed: &mut [f32],
    ) {
        let blocks = packed.chunks_mut(self.height * self.pixels);
        for (taps, block) in taps.chunks(self.height).zip(blocks) {
            match self.height {
                12 => pack_block::<12>(window, taps, patches, block),
                6 => pack_block::<6>(window, taps, patches, block),
                _ => pack_block::<4>(window, taps, patches, block),
            }
        }
    }

    /// Adds the product of packed taps and `dy` to `sums`, a row of `outs` for each tap; `panel` is
    /// working memory.
    pub(crate) fn add(
        &self,
        packed: &[f32],
        dy: &[f32],
        panel: &mut [f32],
        pixels: usize,
        outs: usize,
        sums: &mut [f32],
    ) {
        let width = self.width;
        for column in (0..outs).step_by(width) {
            let columns = width.min(outs - column);
            assert!(dy.len() >= pixels * outs && panel.len() >= pixels * width, "a row a pixel");
            // SAFETY: every tap has a packed number for each of `pixels`, the panel a row of
            // `columns`; `sums` holds a row of `outs` for each tap, `columns` of them from `column`.
            unsafe {
                dispatch(CopyColumns {
                    from: dy.as_ptr().add(column),
                    from_step: outs,
                    to: panel.as_mut_ptr(),
                    to_step: width,
                    rows: pixels,
                    columns,
                });
                dispatch(Product {
                    a: packed.as_ptr(),
                    rows: &self.offsets[..sums.len() / outs],
                    segments: 1,
                    length: pixels,
                    a_segment: 0,
                    a_step: self.height,
                    b: panel.as_ptr(),
                    b_segment: 0,
                    b_step: width,
                    b_panel: 0,
                    c: sums.as_mut_ptr().add(column),
                    c_step: outs,
                    columns,
                    start: Start::Itself,
                });
            }
        }
    }
}

/// Copies some columns of a matrix.
struct CopyColumns {
    from: *const f32,
    from_step: usize,
    to: *mut f32,
    to_step: usize,
    rows: usize,
    columns: usize,
}

impl Task for CopyColumns {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        /// Rows lie too far apart for the processor to foresee them.
        const AHEAD: usize = 8;
        for row in 0..self.rows {
            let next = self.from.wrapping_add((row + AHEAD) * self.from_step);
            for column in (0..self.columns).step_by(L::LANES) {
                prefetch(next.wrapping_add(column));
                let left = self.columns - column;
                // SAFETY: both have so many rows and columns, by the caller's word.
                unsafe {
                    let value = L::load_up_to(self.from.add(row * self.from_step + column), left);
                    L::store_up_to(self.to.add(row * self.to_step + column), left, value);
                }
            }
        }
    }
}

fn pack_block<const N: usize>(
    window: &[f32],
    taps: &[usize],
    patches: &[usize],
    block: &mut [f32],
) {
    let rows = block.as_chunks_mut::<N>().0;
    // Most taps lie side by side.
    if taps.len() == N && taps[N - 1] - taps[0] == N - 1 {
        for (&patch, row) in patches.iter().zip(rows) {
            let from = &window[patch + taps[0]..];
            *row = *from.first_chunk().expect("a patch lies in its window");
        }
    } else {
        for (&patch, row) in patches.iter().zip(rows) {
            for (&tap, value) in taps.iter().zip(row) {
                *value = window[patch + tap];
            }
        }
    }
}
