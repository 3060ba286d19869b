//! 3×3 convolutions of stride 1 and padding 1 by Winograd's F(4×4, 3×3).
//!
//! A 4×4 tile of the output needs a 6×6 tile d of the input and costs 36 multiplications per pair
//! of channels instead of 144:
//!
//! Y = Aᵀ \[ (G g Gᵀ) ⊙ (Bᵀ d B) \] A
//!
//! and, being linear in each factor, its gradients are the transposed steps:
//!
//! ∂g = Gᵀ \[ Σ_tiles (A ∂Y Aᵀ) ⊙ (Bᵀ d B) \] G,  ∂d: the same convolution of ∂Y with g turned by
//! 180° and its channels swapped.
//!
//! Summed over channels (or tiles), each of the 36 positions is a matrix product. Tiles go through
//! in groups whose transforms fit in the cache.
//!
//! Numerics: the transforms lose about one digit; the error stays near 1e-6 of the largest output.
//! Reference: Lavin and Gray, "Fast algorithms for convolutional neural networks", CVPR 2016.

use std::ops::Range;

use rayon::prelude::*;

use crate::buffers::Buffer;
use crate::geometry::Geometry;
use crate::groups::{
    GROUP, GroupSums, Pair, Panels, TileConvolution, TileTransforms, group_len, panel_width,
};
use crate::rows::{gather, spread, streams};
use crate::scratch;
use crate::simd::{dispatch, lanes};
use crate::strips::{Job, Strips};
use crate::tiles::{FilterGradient, FilterTransform, POSITIONS};

/// Numbers between two positions beyond the block itself, so that they do not share cache sets.
const SKEW: usize = 16;
/// Numbers that the transforms of all jobs in flight may take in the weight gradient.
const IN_FLIGHT: usize = 1 << 20;
/// Numbers that the sums of both gradients' jobs may take together, about.
const SUMS: usize = 1 << 20;

/// Whether the kernel of this module can do it.
pub(crate) fn applies(geometry: &Geometry) -> bool {
    geometry.kernel == [3, 3] && geometry.stride == [1, 1] && geometry.padding == [1, 1]
}

/// Whether both gradients are made at once: the sums of its jobs are small enough for one each.
pub(crate) fn fuses([ins, outs]: [usize; 2]) -> bool {
    POSITIONS * ins * pad(outs) <= SUMS / 4
}

/// Filters in the transformed domain, in panels of two vectors.
pub(crate) struct Filters {
    packed: Buffer,
    position: usize,
    panel: usize,
}

impl Filters {
    /// `weight` is [out][in][3][3]. With `turned`, the filters of the input gradient: turned by
    /// 180°, and the roles of the channels swapped.
    pub(crate) fn new(weight: &[f32], outs: usize, ins: usize, turned: bool) -> Self {
        let width = panel_width();
        let (from, to) = if turned { (outs, ins) } else { (ins, outs) };
        let panels = to.div_ceil(width);
        let (panel, padded) = (from * width, panels * width);
        let position = panels * panel + SKEW;
        let mut packed = Buffer::take(POSITIONS * position);
        let base = Shared(packed.as_mut_ptr());
        (0..from).into_par_iter().for_each(|from| {
            scratch::with(9 * padded, |taps| {
                taps.fill(0.0);
                for to in 0..to {
                    let (o, i) = if turned { (from, to) } else { (to, from) };
                    let filter = &weight[(o * ins + i) * 9..][..9];
                    for (tap, &value) in filter.iter().enumerate() {
                        let tap = if turned { 8 - tap } else { tap };
                        taps[tap * padded + to] = value;
                    }
                }
                for index in 0..panels {
                    let to = index * panel + from * width;
                    // SAFETY: `taps` holds nine rows of `padded`, of which a panel takes `width`;
                    // row `from` of each panel and position of `packed` belongs to this job alone.
                    unsafe {
                        dispatch(FilterTransform {
                            taps: taps.as_ptr().add(index * width),
                            tap_step: padded,
                            out: base.at(to),
                            position,
                            columns: width,
                        });
                    }
                }
            });
        });
        Self { packed, position, panel }
    }

    pub(crate) fn panels(&self) -> Panels {
        Panels { packed: self.packed.as_ptr(), position: self.position, panel: self.panel }
    }
}

/// A pointer that jobs share, each writing its own places only.
#[derive(Clone, Copy)]
pub(crate) struct Shared(pub(crate) *mut f32);

// SAFETY: a bare address; each use says why its places belong to one job alone.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    /// The address `offset` numbers on.
    ///
    /// # Safety
    /// It must lie in the same buffer.
    pub(crate) unsafe fn at(&self, offset: usize) -> *mut f32 {
        // SAFETY: the caller's word.
        unsafe { self.0.add(offset) }
    }
}

/// y = x ∗ filters + bias, all channels-last: `x` \[batch, height, width, ins\], `y` the same with
/// `outs` channels.
pub(crate) fn convolve(
    x: &[f32],
    y: &mut [f32],
    batch: usize,
    size: [usize; 2],
    channels: [usize; 2],
    filters: &Filters,
    bias: Option<&[f32]>,
) {
    let strips = Strips::new(batch, size);
    let [ins, outs] = channels;
    let stream = streams(y, outs);
    let parts = strips.cut(y, outs);
    let fill = |job: &Job, window: &mut [f32], _: &mut &mut [f32]| {
        spread(&strips, job, x, ins, [0, ins], window);
    };
    convolve_with(&strips, channels, filters, bias, parts, &[x], fill, |job, window, y| {
        gather(&strips, job, outs, window, y, stream);
    });
}

/// The same where `fill` makes the window of a job, and `put` takes away the window of its result.
/// Each job has one of `parts` to write to. `sources` are what is read for the window, by which a job
/// fetches what the next will want. What `put` returns is given back in their order.
#[allow(clippy::too_many_arguments)]
pub(crate) fn convolve_with<P: Send, R: Send>(
    strips: &Strips,
    channels: [usize; 2],
    filters: &Filters,
    bias: Option<&[f32]>,
    parts: Vec<P>,
    sources: &[&[f32]],
    fill: impl Fn(&Job, &mut [f32], &mut P) + Sync,
    put: impl Fn(&Job, &[f32], P) -> R + Sync,
) -> Vec<R> {
    let work = Work::new(strips, channels, bias);
    let jobs = parts.into_par_iter().enumerate().map(|(index, mut part)| {
        let job = strips.job(index);
        scratch::with(work.lengths().iter().sum(), |memory| {
            let [source, result, data, sums] = split(memory, work.lengths());
            fill(&job, source, &mut part);
            let ahead = ahead(strips, index + 1, sources);
            work.convolve(&job, filters, source, result, [data, sums], &ahead);
            put(&job, result, part)
        })
    });
    jobs.collect()
}

/// A convolution of windows.
struct Work<'a> {
    strips: &'a Strips,
    channels: [usize; 2],
    /// Where the tiles of a job begin in the window of x, and in that of y.
    origins: [Vec<usize>; 2],
    /// A whole number of vectors.
    bias: Vec<f32>,
}

impl<'a> Work<'a> {
    fn new(strips: &'a Strips, channels: [usize; 2], bias: Option<&[f32]>) -> Self {
        let mut padded = vec![0.0; pad(channels[1])];
        if let Some(bias) = bias {
            padded[..channels[1]].copy_from_slice(bias);
        }
        Self { strips, channels, origins: [strips.origins(1), strips.origins(0)], bias: padded }
    }

    /// Of the two windows, and of a transformed group of each side.
    fn lengths(&self) -> [usize; 4] {
        let [ins, outs] = self.channels;
        let [x, y] = [self.strips.window(1), self.strips.window(0)];
        [blocks(ins) * x.plane, blocks(outs) * y.plane, group_len(ins), group_len(outs)]
    }

    fn convolve(
        &self,
        job: &Job,
        filters: &Filters,
        x: &[f32],
        y: &mut [f32],
        [data, sums]: [&mut [f32]; 2],
        ahead: &[&[f32]],
    ) {
        let tiles = self.strips.tiles(job);
        let lengths = self.lengths();
        let given = [x.len(), y.len(), data.len(), sums.len()];
        let large = given.iter().zip(lengths).all(|(given, length)| *given >= length);
        assert!(large, "windows of {job:?} take {lengths:?}, got {given:?}");
        // SAFETY: windows and working memory have the lengths of the sizes given, and the origins
        // are those of the windows.
        unsafe {
            dispatch(TileConvolution {
                x: x.as_ptr(),
                x_window: self.strips.window(1),
                from: &self.origins[0][..tiles],
                to: &self.origins[1][..tiles],
                filters: filters.panels(),
                bias: self.bias.as_ptr(),
                y: y.as_mut_ptr(),
                y_window: self.strips.window(0),
                ins: self.channels[0],
                outs: self.channels[1],
                data: data.as_mut_ptr(),
                sums: sums.as_mut_ptr(),
                ahead,
            });
        }
    }
}

/// The pixels of a job, if there is one of this number, in activations of the batch.
fn ahead<'a>(strips: &Strips, index: usize, sources: &[&'a [f32]]) -> Vec<&'a [f32]> {
    if index >= strips.jobs() {
        return Vec::new();
    }
    let pixels = strips.pixels(&strips.job(index));
    let of_job = |source: &&'a [f32]| {
        let channels = source.len() / strips.batch_pixels();
        &source[pixels.start * channels..pixels.end * channels]
    };
    sources.iter().map(of_job).collect()
}

/// Both gradients of a convolution to `outs` channels at once: `dweight` \[out\]\[in\]\[3\]\[3\],
/// and that by x, which `put` takes from the window of a job to the job's part of `dx`. `fill` makes
/// the windows of x and dy; what `put` returns is given back in the order of the jobs.
#[allow(clippy::too_many_arguments)]
pub(crate) fn gradients_with<R: Send>(
    strips: &Strips,
    [ins, outs]: [usize; 2],
    turned: &Filters,
    dweight: &mut [f32],
    dx: &mut [f32],
    sources: &[&[f32]],
    fill: impl Fn(&Job, [&mut [f32]; 2]) + Sync,
    put: impl Fn(&Job, &[f32], &mut [f32]) -> R + Sync,
) -> Vec<R> {
    if dx.is_empty() {
        dweight.fill(0.0);
        return Vec::new();
    }
    let work = Work::new(strips, [outs, ins], None);
    let len = POSITIONS * ins * pad(outs);
    let num_parts = (SUMS / len).next_power_of_two().clamp(8, 32);
    let mut parts = strips.cut(dx, ins);
    let per_part = parts.len().div_ceil(num_parts);
    let num_parts = parts.len().div_ceil(per_part);
    let mut sums = Buffer::take(num_parts * len);
    let jobs = sums.par_chunks_exact_mut(len).zip(parts.par_chunks_mut(per_part)).enumerate();
    let results = jobs.map(|(part, (sums, dx))| {
        let [dy_len, result_len, data_len, sums_len] = work.lengths();
        let x_len = blocks(ins) * strips.window(1).plane;
        // The transforms of one gradient are done with when those of the other come.
        let groups = work.origins[0].len().div_ceil(GROUP);
        let lengths = [x_len, dy_len, result_len, groups * data_len, groups * sums_len];
        scratch::with(lengths.iter().sum(), |memory| {
            let [x, dy, result, of_dy, of_x] = split(memory, lengths);
            let mut results = Vec::with_capacity(dx.len());
            for (index, dx) in dx.iter_mut().enumerate() {
                let job = strips.job(part * per_part + index);
                fill(&job, [&mut *x, &mut *dy]);
                let ahead = ahead(strips, part * per_part + index + 1, sources);
                let groups = [&mut *of_dy, &mut *of_x];
                work.convolve(&job, turned, dy, result, groups, &ahead);
                results.push(put(&job, result, dx));
                let pair = transform_pair(
                    strips,
                    &job,
                    &work.origins[0],
                    [ins, outs],
                    [x, dy],
                    [&mut *of_x, &mut *of_dy],
                );
                sum_groups(&pair, 0..POSITIONS, 0..ins, outs, sums, index > 0);
            }
            results
        })
    });
    let results: Vec<Vec<R>> = results.collect();
    finish_gradient(&mut sums, num_parts, [ins, outs], dweight);
    results.into_iter().flatten().collect()
}

/// Cuts memory into pieces of these lengths.
fn split<const N: usize>(mut memory: &mut [f32], lengths: [usize; N]) -> [&mut [f32]; N] {
    lengths.map(|length| {
        let (piece, rest) = std::mem::take(&mut memory).split_at_mut(length);
        memory = rest;
        piece
    })
}

/// Vectors of so many channels.
fn blocks(channels: usize) -> usize {
    channels.div_ceil(lanes())
}

/// Channels as they stand in the transformed domain: a whole number of vectors.
fn pad(channels: usize) -> usize {
    channels.next_multiple_of(lanes())
}

/// Transforms the tiles of a job's windows of x and dy to `groups`, and says where they are.
fn transform_pair(
    strips: &Strips,
    job: &Job,
    origins: &[usize],
    [ins, outs]: [usize; 2],
    [x, dy]: [&[f32]; 2],
    [data, gradient]: [&mut [f32]; 2],
) -> Vec<Pair> {
    let (window, tiles) = (strips.window(1), strips.tiles(job));
    let groups = tiles.div_ceil(GROUP);
    assert!(x.len() >= blocks(ins) * window.plane && dy.len() >= blocks(outs) * window.plane);
    assert!(data.len() >= groups * group_len(ins) && gradient.len() >= groups * group_len(outs));
    // SAFETY: the origins are those of the windows, which have the channels, and each group has room.
    unsafe {
        dispatch(TileTransforms {
            x: x.as_ptr(),
            dy: dy.as_ptr(),
            window,
            origins: &origins[..tiles],
            ins,
            outs,
            data: data.as_mut_ptr(),
            gradient: gradient.as_mut_ptr(),
        });
    }
    let pairs = (0..groups).map(|group| Pair {
        data: data[group * group_len(ins)..].as_ptr(),
        gradient: gradient[group * group_len(outs)..].as_ptr(),
        tiles: GROUP.min(tiles - group * GROUP),
    });
    pairs.collect()
}

/// Sums groups for the input channels `ins`, from the first of a vector on, to a row of whole vectors for
/// each at each position.
fn sum_groups(
    groups: &[Pair],
    positions: Range<usize>,
    ins: Range<usize>,
    outs: usize,
    sums: &mut [f32],
    add: bool,
) {
    assert_eq!(sums.len(), positions.len() * ins.len() * pad(outs), "a row for each channel");
    let (first, ins) = (ins.start, ins.len());
    // SAFETY: the groups have all channels, and `sums` has the rows.
    unsafe {
        let sums = sums.as_mut_ptr();
        dispatch(GroupSums { groups, positions, first, ins, outs, sums, add });
    }
}

/// `gradient` = ∂weight \[out\]\[in\]\[3\]\[3\] from `x` and `dy`, both channels-last.
///
/// Jobs are transformed side by side, then the 36 positions summed side by side, each over the jobs in
/// order: the sums do not depend on the threads.
pub(crate) fn weight_gradient(
    x: &[f32],
    dy: &[f32],
    batch: usize,
    size: [usize; 2],
    [ins, outs]: [usize; 2],
    gradient: &mut [f32],
    dbias: Option<&mut [f32]>,
) {
    /// Rows of the sums that one job takes.
    const ROWS: usize = 48;
    if let Some(dbias) = dbias {
        dbias.copy_from_slice(&crate::convolution::bias_gradient(dy, outs));
    }
    if x.is_empty() || gradient.is_empty() {
        gradient.fill(0.0);
        return;
    }
    let strips = Strips::new(batch, size);
    let plane = strips.window(1).plane;
    let origins = strips.origins(1);
    let groups = origins.len().div_ceil(GROUP);
    let lengths = [groups * group_len(ins), groups * group_len(outs)];
    let of_job: usize = lengths.iter().sum();
    let at_once = (IN_FLIGHT / of_job).clamp(4, 64).min(strips.jobs());
    let mut memory = Buffer::take(at_once * of_job);
    let mut sums = Buffer::take(POSITIONS * ins * pad(outs));
    for first in (0..strips.jobs()).step_by(at_once) {
        let count = at_once.min(strips.jobs() - first);
        let jobs = memory[..count * of_job].par_chunks_exact_mut(of_job).enumerate();
        let pairs = jobs.map(|(index, memory)| {
            let job = strips.job(first + index);
            let windows = [blocks(ins) * plane, blocks(outs) * plane];
            scratch::with(windows.iter().sum(), |copies| {
                let [x_copy, dy_copy] = split(copies, windows);
                spread(&strips, &job, x, ins, [0, ins], x_copy);
                spread(&strips, &job, dy, outs, [0, outs], dy_copy);
                let groups = split(memory, lengths);
                transform_pair(&strips, &job, &origins, [ins, outs], [x_copy, dy_copy], groups)
            })
        });
        let pairs: Vec<Vec<Pair>> = pairs.collect();
        let pairs: Vec<Pair> = pairs.into_iter().flatten().collect();
        sums.par_chunks_mut(ins * pad(outs)).enumerate().for_each(|(position, sums)| {
            sums.par_chunks_mut(ROWS * pad(outs)).enumerate().for_each(|(part, sums)| {
                let channels = part * ROWS..(part * ROWS + ROWS).min(ins);
                let positions = position..position + 1;
                sum_groups(&pairs, positions, channels, outs, sums, first > 0);
            });
        });
    }
    finish_gradient(&mut sums, 1, [ins, outs], gradient);
}

/// Gᵀ u G of the parts' sums, each \[36\]\[ins\]\[padded outs\].
fn finish_gradient(
    sums: &mut [f32],
    num_parts: usize,
    [ins, outs]: [usize; 2],
    gradient: &mut [f32],
) {
    /// Numbers that a job adds up.
    const PART: usize = 1 << 12;
    let (total, others) = sums.split_at_mut(sums.len() / num_parts);
    let len = total.len();
    total.par_chunks_mut(PART).enumerate().for_each(|(index, total)| {
        for part in others.chunks_exact(len) {
            let part = &part[index * PART..][..total.len()];
            total.iter_mut().zip(part).for_each(|(total, part)| *total += part);
        }
    });
    let sums = &*total;
    let outs_padded = pad(outs);
    let step = lanes();
    gradient.par_chunks_mut(step * ins * 9).enumerate().for_each(|(group, gradient)| {
        let mut taps = [0.0; 9 * 16];
        for i in 0..ins {
            // SAFETY: `sums` holds row `i` of each position, `outs_padded` wide; `taps` nine
            // vectors of at most 16 lanes.
            unsafe {
                dispatch(FilterGradient {
                    sums: sums.as_ptr().add(i * outs_padded + group * step),
                    position: ins * outs_padded,
                    taps: taps.as_mut_ptr(),
                });
            }
            for (lane, filter) in gradient.chunks_exact_mut(ins * 9).enumerate() {
                for (tap, value) in filter[i * 9..][..9].iter_mut().enumerate() {
                    *value = taps[tap * step + lane];
                }
            }
        }
    });
}
