//! The largest of each 3×3 window, two pixels apart, one pixel of nothing around, as where a residual
//! network for photographs begins (He et al. 2016). Which of the nine it was is not kept: it is found
//! again from the input. Of equal ones the first takes the gradient.

use rayon::prelude::*;

use crate::simd::{Lanes, Task, dispatch};

/// Sizes \[batch, height, width, channels\] of the output for such sizes of the input.
pub(crate) fn pooled([batch, height, width, channels]: [usize; 4]) -> [usize; 4] {
    [batch, height.div_ceil(2), width.div_ceil(2), channels]
}

/// Writes the largest of each window of `x`, whose sizes are \[batch, height, width, channels\].
///
/// # Panics
/// If a slice is not of its size.
pub(crate) fn largest(x: &[f32], size: [usize; 4], y: &mut [f32]) {
    let [batch, rows, columns, _] = pooled(size);
    let [_, height, width, channels] = size;
    let sizes = [size.iter().product(), batch * rows * columns * channels];
    assert_eq!([x.len(), y.len()], sizes, "input and output of {size:?}");
    y.par_chunks_mut((columns * channels).max(1)).enumerate().for_each(|(line, y)| {
        let x = &x[line / rows * height * width * channels..][..height * width * channels];
        let image = Image { x: x.as_ptr(), size: [height, width, channels] };
        // SAFETY: `x` is an image, `y` one row of its output.
        unsafe { dispatch(Largest { image, row: line % rows, y: y.as_mut_ptr() }) }
    });
}

/// Writes the gradient by `x` from `dy`.
///
/// # Panics
/// If a slice is not of its size.
pub(crate) fn gradient(x: &[f32], size: [usize; 4], dy: &[f32], dx: &mut [f32]) {
    let [batch, rows, columns, _] = pooled(size);
    let [_, height, width, channels] = size;
    let all = size.iter().product();
    let sizes = [all, batch * rows * columns * channels, all];
    assert_eq!([x.len(), dy.len(), dx.len()], sizes, "input and gradients of {size:?}");
    let (of_image, of_output) = (height * width * channels, rows * columns * channels);
    // Windows share pixels, so an image is one job.
    let from = x.par_chunks(of_image.max(1)).zip(dy.par_chunks(of_output.max(1)));
    from.zip(dx.par_chunks_mut(of_image.max(1))).for_each(|((x, dy), dx)| {
        dx.fill(0.0);
        let image = Image { x: x.as_ptr(), size: [height, width, channels] };
        // SAFETY: `x` and `dx` are an image, `dy` its output.
        unsafe { dispatch(Gradient { image, dy: dy.as_ptr(), dx: dx.as_mut_ptr() }) }
    });
}

#[derive(Clone, Copy)]
struct Image {
    x: *const f32,
    /// Height, width and channels.
    size: [usize; 3],
}

impl Image {
    /// Calls `each` with where each pixel of a window begins.
    #[inline(always)]
    fn window(&self, row: usize, column: usize, mut each: impl FnMut(usize)) {
        let [height, width, channels] = self.size;
        for down in (2 * row).saturating_sub(1)..(2 * row + 2).min(height) {
            for across in (2 * column).saturating_sub(1)..(2 * column + 2).min(width) {
                each((down * width + across) * channels);
            }
        }
    }

    /// The largest of a window, for the vector of channels that begins at `channel`.
    #[inline(always)]
    unsafe fn largest<L: Lanes>(&self, row: usize, column: usize, channel: usize) -> L::Vector {
        let left = self.size[2] - channel;
        // SAFETY: partial loads keep to the pixel's channels.
        unsafe {
            let mut largest = L::splat(f32::NEG_INFINITY);
            self.window(row, column, |at| {
                let x = L::load_up_to(self.x.add(at + channel), left);
                // The order matters: where all are NaN, so is the largest.
                largest = L::select_greater(largest, x, largest, x);
            });
            largest
        }
    }
}

struct Largest {
    image: Image,
    row: usize,
    y: *mut f32,
}

impl Task for Largest {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let [_, width, channels] = self.image.size;
        for column in 0..width.div_ceil(2) {
            for channel in (0..channels).step_by(L::LANES) {
                // SAFETY: partial stores keep to the pixel's channels.
                unsafe {
                    let largest = self.image.largest::<L>(self.row, column, channel);
                    let to = self.y.add(column * channels + channel);
                    L::store_up_to(to, channels - channel, largest);
                }
            }
        }
    }
}

struct Gradient {
    image: Image,
    dy: *const f32,
    dx: *mut f32,
}

impl Task for Gradient {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let [height, width, channels] = self.image.size;
        let columns = width.div_ceil(2);
        for row in 0..height.div_ceil(2) {
            for column in 0..columns {
                for channel in (0..channels).step_by(L::LANES) {
                    let left = channels - channel;
                    // SAFETY: partial loads and stores keep to the pixel's channels.
                    unsafe {
                        let zero = L::splat(0.0);
                        let largest = self.image.largest::<L>(row, column, channel);
                        let at = (row * columns + column) * channels + channel;
                        let mut dy = L::load_up_to(self.dy.add(at), left);
                        self.image.window(row, column, |at| {
                            let x = L::load_up_to(self.image.x.add(at + channel), left);
                            let to = self.dx.add(at + channel);
                            let taken = L::select_greater(largest, x, zero, dy);
                            dy = L::select_greater(largest, x, dy, zero);
                            L::store_up_to(to, left, L::add(L::load_up_to(to, left), taken));
                        });
                    }
                }
            }
        }
    }
}
