//! The end of a residual block: y = max(x + shortcut, 0), and its gradient, which is the same for
//! both sides: dy where y > 0. Where x comes from a normalization, it is made where it is read.

use rayon::prelude::*;

use crate::normalization::{PIXELS, Rows, Shared};
use crate::passes::{NormalizeAdd, SumsAdd};
use crate::rows::{put, streams};
use crate::simd::{Lanes, Task, dispatch, fence};

/// Numbers of a job, a multiple of any vector.
const PART: usize = 1 << 15;

/// Writes max(x + shortcut, 0); a NaN comes through.
///
/// # Panics
/// If the slices differ in length.
pub(crate) fn join(x: &[f32], shortcut: &[f32], y: &mut [f32]) {
    assert!([x.len(), shortcut.len()] == [y.len(); 2], "both sides are as long as the output");
    let stream = streams(y, y.len());
    let from = x.par_chunks(PART).zip(shortcut.par_chunks(PART));
    from.zip(y.par_chunks_mut(PART)).for_each(|((x, shortcut), y)| {
        let (from, to) = ([x.as_ptr(), shortcut.as_ptr()], y.as_mut_ptr());
        // SAFETY: the three have the same numbers.
        unsafe { dispatch(Pairs::<false> { from, to, count: y.len(), stream }) }
        fence();
    });
}

/// Writes dy where y > 0, and 0 elsewhere.
///
/// # Panics
/// If the slices differ in length.
pub(crate) fn gradient(y: &[f32], dy: &[f32], dx: &mut [f32]) {
    assert!([y.len(), dy.len()] == [dx.len(); 2], "gradients are as long as the output");
    let stream = streams(dx, dx.len());
    let from = y.par_chunks(PART).zip(dy.par_chunks(PART));
    from.zip(dx.par_chunks_mut(PART)).for_each(|((y, dy), dx)| {
        let (from, to) = ([y.as_ptr(), dy.as_ptr()], dx.as_mut_ptr());
        // SAFETY: the three have the same numbers.
        unsafe { dispatch(Pairs::<true> { from, to, count: dx.len(), stream }) }
        fence();
    });
}

/// Writes y = max(norm(x) + shortcut, 0).
pub(crate) fn normalize_join(
    rows: &Rows,
    channels: usize,
    [x, shortcut]: [&[f32]; 2],
    y: &mut [f32],
) {
    assert!([x.len(), shortcut.len()] == [y.len(); 2], "both sides are as long as the output");
    if y.is_empty() {
        return;
    }
    let by = Shared(rows.channels(channels));
    let stream = streams(y, channels);
    let from = x.par_chunks(PIXELS * channels).zip(shortcut.par_chunks(PIXELS * channels));
    from.zip(y.par_chunks_mut(PIXELS * channels)).for_each(|((x, shortcut), y)| {
        // SAFETY: the three are the same whole pixels.
        unsafe {
            dispatch(NormalizeAdd {
                by: *by.get(),
                x: x.as_ptr(),
                shortcut: shortcut.as_ptr(),
                y: y.as_mut_ptr(),
                count: y.len() / channels,
                stream,
            });
        }
        fence();
    });
}

/// Σ g and Σ g·(x − mean) where g = dy wherever y is above 0, a part per job, in order; g is written
/// too, unless it is empty.
pub(crate) fn sums(
    rows: &Rows,
    channels: usize,
    [x, y, dy]: [&[f32]; 3],
    g: &mut [f32],
) -> Vec<Vec<f32>> {
    assert!([y.len(), dy.len()] == [x.len(); 2], "gradients are as long as the output");
    assert!(g.is_empty() || g.len() == x.len(), "what is written is as long, too");
    if x.is_empty() {
        return Vec::new();
    }
    let by = Shared(rows.channels(channels));
    let part = PIXELS * channels;
    let mut g: Vec<_> = g.chunks_mut(part).map(Some).collect();
    g.resize_with(x.len().div_ceil(part), || None);
    let parts = x.par_chunks(part).zip(y.par_chunks(part)).zip(dy.par_chunks(part));
    let parts = parts.zip(g).map(|(((x, y), dy), g)| {
        let mut out = vec![0.0; 2 * channels];
        // SAFETY: all are the same whole pixels.
        unsafe {
            dispatch(SumsAdd {
                by: *by.get(),
                x: x.as_ptr(),
                y: y.as_ptr(),
                dy: dy.as_ptr(),
                count: x.len() / channels,
                g: g.map(|g| g.as_mut_ptr()),
                out: out.as_mut_ptr(),
            });
        }
        out
    });
    parts.collect()
}

/// From x and shortcut their sum, or, with `GRADIENT`, from y and dy the gradient.
struct Pairs<const GRADIENT: bool> {
    from: [*const f32; 2],
    to: *mut f32,
    count: usize,
    /// See [`streams`].
    stream: bool,
}

impl<const GRADIENT: bool> Task for Pairs<GRADIENT> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        for at in (0..self.count).step_by(L::LANES) {
            let left = self.count - at;
            // SAFETY: partial loads and stores keep to the numbers; what streams is whole vectors.
            unsafe {
                let zero = L::splat(0.0);
                let [a, b] = self.from.map(|from| L::load_up_to(from.add(at), left));
                let value = if GRADIENT {
                    L::select_greater(a, zero, b, zero)
                } else {
                    let sum = L::add(a, b);
                    // The order matters: a NaN must come through, not turn into 0.
                    L::select_greater(zero, sum, zero, sum)
                };
                put::<L>(self.to.add(at), left, value, self.stream);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_written_past_the_end_of_a_length_that_no_vector_divides() {
        // Long enough to be stored past the caches, where the memory is aligned.
        let length = (1 << 20) + 5;
        let (x, y) = (vec![1.0; length], vec![2.0; length]);
        let mut memory = vec![7.0f32; length + 64];
        let start = memory.as_ptr().align_offset(64);
        let check = |run: &dyn Fn(&mut [f32]), expected: f32, memory: &mut [f32]| {
            run(&mut memory[start..][..length]);
            assert!(memory[start..][..length].iter().all(|&value| value == expected));
            assert!(memory[start + length..].iter().all(|&value| value == 7.0));
        };
        check(&|out| join(&x, &y, out), 3.0, &mut memory);
        check(&|out| gradient(&x, &y, out), 2.0, &mut memory);
    }
}
