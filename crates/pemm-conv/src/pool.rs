//! The largest of each 3×3 window, two pixels apart, one pixel of nothing around, as where a residual
//! network for photographs begins (He et al. 2016). Of the input nothing is kept for the gradient, only which
//! pixel of each window it was, which is a quarter as much. Of equal ones the first takes the gradient.

use rayon::prelude::*;

use crate::simd::{Lanes, Task, dispatch};

/// Sizes \[batch, height, width, channels\] of the output for such sizes of the input.
pub(crate) fn pooled([batch, height, width, channels]: [usize; 4]) -> [usize; 4] {
    [batch, height.div_ceil(2), width.div_ceil(2), channels]
}

/// Writes the largest of each window of `x`, whose sizes are \[batch, height, width, channels\], and to
/// `which`, if it is asked for, the number of its pixel among those of the window.
///
/// # Panics
/// If a slice is not of its size.
pub(crate) fn largest(x: &[f32], size: [usize; 4], y: &mut [f32], which: Option<&mut [f32]>) {
    let [batch, rows, columns, _] = pooled(size);
    let [_, height, width, channels] = size;
    let sizes = [size.iter().product(), batch * rows * columns * channels];
    assert_eq!([x.len(), y.len()], sizes, "input and output of {size:?}");
    assert!(which.as_ref().is_none_or(|which| which.len() == y.len()), "one for each window");
    let pixels = (columns * channels).max(1);
    let size = [height, width, channels];
    let each = |line: usize, y: &mut [f32], which: Option<&mut [f32]>| {
        let x = x[line / rows * height * width * channels..][..height * width * channels].as_ptr();
        let (row, y, which) = (line % rows, y.as_mut_ptr(), which.map(<[f32]>::as_mut_ptr));
        // SAFETY: `x` is an image, `y` and `which` are one row of its output.
        unsafe { dispatch(Largest { x, size, row, y, which }) }
    };
    let lines = y.par_chunks_mut(pixels).enumerate();
    match which {
        Some(which) => lines
            .zip(which.par_chunks_mut(pixels))
            .for_each(|((line, y), which)| each(line, y, Some(which))),
        None => lines.for_each(|(line, y)| each(line, y, None)),
    }
}

/// Writes the gradient by an input of the sizes `size` from `dy` and what [`largest`] found.
///
/// # Panics
/// If a slice is not of its size.
pub(crate) fn gradient(which: &[f32], size: [usize; 4], dy: &[f32], dx: &mut [f32]) {
    let [batch, rows, columns, _] = pooled(size);
    let [_, height, width, channels] = size;
    let of_output = rows * columns * channels;
    let sizes = [batch * of_output, batch * of_output, size.iter().product()];
    assert_eq!([which.len(), dy.len(), dx.len()], sizes, "windows and gradients of {size:?}");
    let size = [height, width, channels];
    // Windows share pixels, so an image is one job.
    let from = which.par_chunks(of_output.max(1)).zip(dy.par_chunks(of_output.max(1)));
    let images = dx.par_chunks_mut((height * width * channels).max(1));
    from.zip(images).for_each(|((which, dy), dx)| {
        dx.fill(0.0);
        let (which, dy, dx) = (which.as_ptr(), dy.as_ptr(), dx.as_mut_ptr());
        // SAFETY: `dx` is an image, `which` and `dy` its output.
        unsafe { dispatch(Gradient { size, which, dy, dx }) }
    });
}

/// Calls `each` with where each pixel of a window begins, and its number in the window.
#[inline(always)]
fn window(
    [height, width, channels]: [usize; 3],
    [row, column]: [usize; 2],
    mut each: impl FnMut(usize, f32),
) {
    let mut number = 0.0;
    for down in (2 * row).saturating_sub(1)..(2 * row + 2).min(height) {
        for across in (2 * column).saturating_sub(1)..(2 * column + 2).min(width) {
            each((down * width + across) * channels, number);
            number += 1.0;
        }
    }
}

struct Largest {
    x: *const f32,
    /// Height, width and channels of the image.
    size: [usize; 3],
    row: usize,
    y: *mut f32,
    which: Option<*mut f32>,
}

impl Task for Largest {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let [_, width, channels] = self.size;
        for column in 0..width.div_ceil(2) {
            for channel in (0..channels).step_by(L::LANES) {
                let left = channels - channel;
                // SAFETY: partial loads and stores keep to the pixel's channels.
                unsafe {
                    let mut largest = L::splat(f32::NEG_INFINITY);
                    let mut which = L::splat(0.0);
                    window(self.size, [self.row, column], |at, number| {
                        let x = L::load_up_to(self.x.add(at + channel), left);
                        which = L::select_greater(x, largest, L::splat(number), which);
                        // The order matters: where all are NaN, so is the largest.
                        largest = L::select_greater(largest, x, largest, x);
                    });
                    let to = column * channels + channel;
                    L::store_up_to(self.y.add(to), left, largest);
                    if let Some(all) = self.which {
                        L::store_up_to(all.add(to), left, which);
                    }
                }
            }
        }
    }
}

struct Gradient {
    /// Height, width and channels of the image.
    size: [usize; 3],
    which: *const f32,
    dy: *const f32,
    dx: *mut f32,
}

impl Task for Gradient {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let [height, width, channels] = self.size;
        let columns = width.div_ceil(2);
        for row in 0..height.div_ceil(2) {
            for column in 0..columns {
                for channel in (0..channels).step_by(L::LANES) {
                    let left = channels - channel;
                    let at = (row * columns + column) * channels + channel;
                    // SAFETY: partial loads and stores keep to the pixel's channels.
                    unsafe {
                        let which = L::load_up_to(self.which.add(at), left);
                        let mut dy = L::load_up_to(self.dy.add(at), left);
                        let zero = L::splat(0.0);
                        // Numbers rise: what is not above this one, and was not taken yet, is this one.
                        window(self.size, [row, column], |at, number| {
                            let number = L::splat(number);
                            let taken = L::select_greater(which, number, zero, dy);
                            dy = L::select_greater(which, number, dy, zero);
                            let to = self.dx.add(at + channel);
                            L::store_up_to(to, left, L::add(L::load_up_to(to, left), taken));
                        });
                    }
                }
            }
        }
    }
}
