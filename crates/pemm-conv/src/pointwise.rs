//! The gradients of a 1×1 convolution of stride 1: each output pixel has an input pixel of its own, so
//! they are plain products over pixels.
//!
//! ∂x = ∂y · w,  ∂w = ∂yᵀ · x
//!
//! With few channels and many pixels, as in most stages of a bottleneck network, reading and writing
//! takes as long as multiplying. There both products come from one reading, of a gradient
//! that is made where it is read.

use rayon::prelude::*;

use crate::buffers::Buffer;
use crate::direct::Panels;
use crate::filter_gradient::{JOBS, Packing, chunks, collect};
use crate::geometry::Geometry;
use crate::product::{Product, Start};
use crate::scratch;
use crate::simd::dispatch;
use crate::source::Source;

/// Where a gradient goes.
pub(crate) struct Target<'a> {
    pub(crate) numbers: &'a mut [f32],
    /// It is added to what stands there.
    pub(crate) adds: bool,
}

impl<'a> Target<'a> {
    /// Where it is written.
    pub(crate) fn new(numbers: &'a mut [f32]) -> Self {
        Self { numbers, adds: false }
    }

    /// The gradient is zero.
    pub(crate) fn nothing(self) {
        if !self.adds {
            self.numbers.fill(0.0);
        }
    }
}

/// Pixels that go through together.
const PIXELS: usize = 256;

/// Most weights for both gradients at once: each job has sums of its own for them.
const WEIGHTS: usize = 1 << 18;

/// Numbers that the sums of all jobs have, about, where there are more than [`JOBS`] of these.
const SUMS: usize = 1 << 22;

/// Whether both gradients are made at once.
pub(crate) fn fuses(geometry: &Geometry) -> bool {
    geometry.is_flat() && geometry.channels_in * geometry.channels_out <= WEIGHTS
}

/// Writes ∂x to `dx`, from `dy` and `weight`.
pub(crate) fn input_gradient(geometry: &Geometry, weight: &[f32], dy: &[f32], dx: Target) {
    let (ins, outs) = (geometry.channels_in, geometry.channels_out);
    if dx.numbers.is_empty() || outs == 0 {
        return dx.nothing();
    }
    let by_input = ByInput::new(geometry, weight, dx.adds);
    let parts = dx.numbers.par_chunks_mut(PIXELS * ins).zip(dy.par_chunks(PIXELS * outs));
    parts.for_each(|(dx, dy)| by_input.write(dy, dx));
}

/// Writes `dweight` = ∂w, and ∂x to `dx`, from `x` and what `make` writes as ∂y of up to [`PIXELS`]
/// pixels, given the number of the first.
pub(crate) fn gradients_with(
    geometry: &Geometry,
    x: Source,
    weight: &[f32],
    make: impl Fn(usize, &mut [f32]) + Sync,
    dweight: &mut [f32],
    dx: Target,
) {
    let (ins, outs) = (geometry.channels_in, geometry.channels_out);
    if dx.numbers.is_empty() || outs == 0 {
        dweight.fill(0.0);
        return dx.nothing();
    }
    let by_input = ByInput::new(geometry, weight, dx.adds);
    let dx = dx.numbers;
    let (_, chunk) = chunks(ins);
    let packing = Packing::new(PIXELS, outs);
    let taps: Vec<usize> = (0..ins).collect();
    let patches: Vec<usize> = (0..PIXELS).map(|pixel| pixel * ins).collect();
    // As many parts however many threads there are, so that these do not change the sums.
    let num_jobs = (SUMS / (ins * outs)).clamp(JOBS, 4 * JOBS);
    let of_part = (dx.len() / ins).div_ceil(num_jobs).max(PIXELS / 2);
    let num_parts = (dx.len() / ins).div_ceil(of_part);
    let mut sums = Buffer::take(num_parts * ins * outs);
    let parts = dx.par_chunks_mut(of_part * ins).zip(sums.par_chunks_mut(ins * outs));
    parts.enumerate().for_each(|(part, (dx, sums))| {
        sums.fill(0.0);
        let of_x = x.memory(PIXELS, ins);
        scratch::with(of_x + PIXELS * outs + packing.len(chunk), |memory| {
            let (made, memory) = memory.split_at_mut(of_x);
            let (dy, packed) = memory.split_at_mut(PIXELS * outs);
            let (packed, panel) = packed.split_at_mut(packing.block_len(chunk));
            for (number, dx) in dx.chunks_mut(PIXELS * ins).enumerate() {
                let (first, pixels) = (part * of_part + number * PIXELS, dx.len() / ins);
                let dy = &mut dy[..pixels * outs];
                make(first, dy);
                by_input.write(dy, dx);
                let x = x.pixels([first, pixels], ins, made);
                for (taps, sums) in taps.chunks(chunk).zip(sums.chunks_mut(chunk * outs)) {
                    packing.pack(x, taps, &patches[..pixels], packed);
                    packing.add(packed, dy, panel, pixels, outs, sums);
                }
            }
        });
    });
    collect(geometry, &sums, dweight);
}

/// The product that gives ∂x.
struct ByInput {
    filters: Panels,
    ins: usize,
    outs: usize,
    pixels: Vec<usize>,
    adds: bool,
}

impl ByInput {
    fn new(geometry: &Geometry, weight: &[f32], adds: bool) -> Self {
        let outs = geometry.channels_out;
        let pixels = (0..PIXELS).map(|pixel| pixel * outs).collect();
        let filters = Panels::of_filters(geometry, weight, true);
        Self { filters, ins: geometry.channels_in, outs, pixels, adds }
    }

    /// Writes ∂x of up to [`PIXELS`] pixels.
    fn write(&self, dy: &[f32], dx: &mut [f32]) {
        let pixels = &self.pixels[..dx.len() / self.ins];
        assert_eq!(dy.len(), pixels.len() * self.outs, "as many pixels on either side");
        // SAFETY: `dy` holds a row of `outs` and `dx` one of `ins` for each of the pixels.
        unsafe {
            dispatch(Product {
                a: dy.as_ptr(),
                rows: pixels,
                segments: 1,
                length: self.outs,
                a_segment: 0,
                a_step: 1,
                b: self.filters.packed.as_ptr(),
                b_segment: 0,
                b_step: self.filters.width,
                b_panel: self.filters.panel,
                c: dx.as_mut_ptr(),
                c_step: self.ins,
                columns: self.ins,
                start: if self.adds { Start::Itself } else { Start::Zero },
            });
        }
    }
}
