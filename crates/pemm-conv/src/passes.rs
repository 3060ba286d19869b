//! The passes of batch normalization over rows of pixels; see `normalization` for the equations.

use crate::rows::put;
use crate::simd::{Lanes, Task};

/// What each channel is normalized by: rows of whole vectors.
#[derive(Clone, Copy)]
pub(crate) struct Channels {
    pub(crate) count: usize,
    pub(crate) mean: *const f32,
    pub(crate) scale: *const f32,
    pub(crate) beta: *const f32,
}

/// The same for one vector of channels.
#[derive(Clone, Copy)]
pub(crate) struct By<L: Lanes> {
    pub(crate) mean: L::Vector,
    pub(crate) scale: L::Vector,
    beta: L::Vector,
}

impl Channels {
    #[inline(always)]
    pub(crate) unsafe fn at<L: Lanes>(&self, channel: usize) -> By<L> {
        // SAFETY: the rows are whole vectors.
        unsafe {
            By {
                mean: L::load(self.mean.add(channel)),
                scale: L::load(self.scale.add(channel)),
                beta: L::load(self.beta.add(channel)),
            }
        }
    }
}

impl<L: Lanes> By<L> {
    #[inline(always)]
    pub(crate) unsafe fn z(&self, x: L::Vector) -> L::Vector {
        // SAFETY: arithmetic of the dispatched set only.
        unsafe { L::mul_add(L::sub(x, self.mean), self.scale, self.beta) }
    }
}

/// Σ (x − first) and Σ (x − first)², `first` the part's first pixel.
pub(crate) struct Moments {
    pub(crate) x: *const f32,
    pub(crate) count: usize,
    pub(crate) channels: usize,
    pub(crate) out: *mut f32,
}

impl Task for Moments {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        for channel in (0..self.channels).step_by(L::LANES) {
            let left = self.channels - channel;
            // SAFETY: partial loads and stores keep to the pixel's channels.
            unsafe {
                let first = L::load_up_to(self.x.add(channel), left);
                let (mut sum, mut squares) = (L::splat(0.0), L::splat(0.0));
                for pixel in 1..self.count {
                    let x = L::load_up_to(self.x.add(pixel * self.channels + channel), left);
                    let offset = L::sub(x, first);
                    sum = L::add(sum, offset);
                    squares = L::mul_add(offset, offset, squares);
                }
                L::store_up_to(self.out.add(channel), left, sum);
                L::store_up_to(self.out.add(self.channels + channel), left, squares);
            }
        }
    }
}

/// y = z or max(z, 0).
pub(crate) struct Normalize {
    pub(crate) by: Channels,
    pub(crate) x: *const f32,
    pub(crate) y: *mut f32,
    pub(crate) count: usize,
    pub(crate) relu: bool,
    /// See [`streams`](crate::rows::streams).
    pub(crate) stream: bool,
}

impl Task for Normalize {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let channels = self.by.count;
        // SAFETY: partial loads and stores keep to the pixel's channels.
        unsafe {
            let floor = L::splat(if self.relu { 0.0 } else { f32::NEG_INFINITY });
            for pixel in 0..self.count {
                for channel in (0..channels).step_by(L::LANES) {
                    let at = pixel * channels + channel;
                    let x = L::load_up_to(self.x.add(at), channels - channel);
                    let z = self.by.at::<L>(channel).z(x);
                    // The order matters: a NaN must come through, not turn into 0.
                    let y = L::select_greater(floor, z, floor, z);
                    put::<L>(self.y.add(at), channels - channel, y, self.stream);
                }
            }
        }
    }
}

/// The four pixels of window `window` that begin at `x`.
#[inline(always)]
pub(crate) unsafe fn window<L: Lanes>(
    x: *const f32,
    [row_step, channels]: [usize; 2],
    left: usize,
) -> [L::Vector; 4] {
    // SAFETY: two pixels of two rows, of which `left` channels are read, are the caller's word.
    unsafe {
        [
            L::load_up_to(x, left),
            L::load_up_to(x.add(channels), left),
            L::load_up_to(x.add(row_step), left),
            L::load_up_to(x.add(row_step + channels), left),
        ]
    }
}

/// y = the largest max(z, 0) of each window.
pub(crate) struct NormalizePool {
    pub(crate) by: Channels,
    pub(crate) x: *const f32,
    pub(crate) row_step: usize,
    pub(crate) y: *mut f32,
    /// Windows.
    pub(crate) count: usize,
}

impl Task for NormalizePool {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let channels = self.by.count;
        // SAFETY: partial loads and stores keep to the pixel's channels.
        unsafe {
            for pixel in 0..self.count {
                for channel in (0..channels).step_by(L::LANES) {
                    let left = channels - channel;
                    let from = self.x.add(2 * pixel * channels + channel);
                    let by = self.by.at::<L>(channel);
                    let x = window::<L>(from, [self.row_step, channels], left);
                    let mut y = L::splat(0.0);
                    for x in x {
                        let z = by.z(x);
                        // A NaN comes through whichever side it is on.
                        y = L::select_greater(y, z, y, L::add(z, L::sub(y, y)));
                    }
                    L::store_up_to(self.y.add(pixel * channels + channel), left, y);
                }
            }
        }
    }
}

/// Σ g and Σ g·(x − mean).
pub(crate) struct Sums {
    pub(crate) by: Channels,
    pub(crate) x: *const f32,
    pub(crate) dy: *const f32,
    pub(crate) count: usize,
    pub(crate) relu: bool,
    pub(crate) out: *mut f32,
}

impl Task for Sums {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let channels = self.by.count;
        for channel in (0..channels).step_by(L::LANES) {
            let left = channels - channel;
            // SAFETY: partial loads and stores keep to the pixel's channels.
            unsafe {
                let by = self.by.at::<L>(channel);
                let zero = L::splat(0.0);
                let floor = L::splat(if self.relu { 0.0 } else { f32::NEG_INFINITY });
                let (mut sum, mut product) = (zero, zero);
                for pixel in 0..self.count {
                    let at = pixel * channels + channel;
                    let x = L::load_up_to(self.x.add(at), left);
                    let dy = L::load_up_to(self.dy.add(at), left);
                    let g = L::select_greater(by.z(x), floor, dy, zero);
                    sum = L::add(sum, g);
                    product = L::mul_add(g, L::sub(x, by.mean), product);
                }
                L::store_up_to(self.out.add(channel), left, sum);
                L::store_up_to(self.out.add(channels + channel), left, product);
            }
        }
    }
}

/// Adds Σ g and Σ g·(x − mean) of a row of windows to `out`.
pub(crate) struct SumsPool {
    pub(crate) by: Channels,
    pub(crate) x: *const f32,
    pub(crate) row_step: usize,
    pub(crate) dy: *const f32,
    pub(crate) count: usize,
    pub(crate) out: *mut f32,
}

impl Task for SumsPool {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let channels = self.by.count;
        for channel in (0..channels).step_by(L::LANES) {
            let left = channels - channel;
            // SAFETY: partial loads and stores keep to the pixel's channels.
            unsafe {
                let by = self.by.at::<L>(channel);
                let zero = L::splat(0.0);
                let (to_sum, to_product) =
                    (self.out.add(channel), self.out.add(channels + channel));
                let mut sum = L::load_up_to(to_sum, left);
                let mut product = L::load_up_to(to_product, left);
                for pixel in 0..self.count {
                    let from = self.x.add(2 * pixel * channels + channel);
                    let x = window::<L>(from, [self.row_step, channels], left);
                    let dy = L::load_up_to(self.dy.add(pixel * channels + channel), left);
                    let (mut largest, mut at_largest) = (by.z(x[0]), x[0]);
                    for x in &x[1..] {
                        let z = by.z(*x);
                        at_largest = L::select_greater(z, largest, *x, at_largest);
                        largest = L::select_greater(z, largest, z, largest);
                    }
                    let g = L::select_greater(largest, zero, dy, zero);
                    sum = L::add(sum, g);
                    product = L::mul_add(g, L::sub(at_largest, by.mean), product);
                }
                L::store_up_to(to_sum, left, sum);
                L::store_up_to(to_product, left, product);
            }
        }
    }
}

/// ∂x = scale·g + slope·(x − mean) + constant.
pub(crate) struct Gradient {
    pub(crate) by: Channels,
    pub(crate) slope: *const f32,
    pub(crate) constant: *const f32,
    pub(crate) x: *const f32,
    pub(crate) dy: *const f32,
    pub(crate) dy_step: usize,
    pub(crate) dx: *mut f32,
    pub(crate) count: usize,
    pub(crate) relu: bool,
    /// See [`streams`](crate::rows::streams).
    pub(crate) stream: bool,
}

impl Task for Gradient {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let channels = self.by.count;
        // SAFETY: partial loads and stores keep to the pixel's channels.
        unsafe {
            let zero = L::splat(0.0);
            let floor = L::splat(if self.relu { 0.0 } else { f32::NEG_INFINITY });
            for pixel in 0..self.count {
                for channel in (0..channels).step_by(L::LANES) {
                    let left = channels - channel;
                    let at = pixel * channels + channel;
                    let by = self.by.at::<L>(channel);
                    let slope = L::load(self.slope.add(channel));
                    let constant = L::load(self.constant.add(channel));
                    let x = L::load_up_to(self.x.add(at), left);
                    let dy = L::load_up_to(self.dy.add(pixel * self.dy_step + channel), left);
                    let g = L::select_greater(by.z(x), floor, dy, zero);
                    let rest = L::mul_add(slope, L::sub(x, by.mean), constant);
                    let dx = L::mul_add(by.scale, g, rest);
                    put::<L>(self.dx.add(at), left, dx, self.stream);
                }
            }
        }
    }
}

/// dy at the first largest of the normalized pixels of a window, if that is above 0, and 0 elsewhere.
#[inline(always)]
pub(crate) unsafe fn first_largest<L: Lanes>(
    by: &By<L>,
    x: [L::Vector; 4],
    dy: L::Vector,
) -> [L::Vector; 4] {
    // SAFETY: arithmetic of the dispatched set only.
    unsafe {
        let zero = L::splat(0.0);
        let mut largest = zero;
        let mut g = [zero; 4];
        for place in 0..4 {
            let z = by.z(x[place]);
            for earlier in 0..place {
                g[earlier] = L::select_greater(z, largest, zero, g[earlier]);
            }
            g[place] = L::select_greater(z, largest, dy, zero);
            largest = L::select_greater(z, largest, z, largest);
        }
        g
    }
}

/// The same for a row of windows, of which the first largest pixel takes g.
pub(crate) struct GradientPool {
    pub(crate) by: Channels,
    pub(crate) slope: *const f32,
    pub(crate) constant: *const f32,
    pub(crate) x: *const f32,
    pub(crate) row_step: usize,
    pub(crate) dy: *const f32,
    pub(crate) dx: *mut f32,
    pub(crate) count: usize,
}

impl Task for GradientPool {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let channels = self.by.count;
        // SAFETY: partial loads and stores keep to the pixel's channels.
        unsafe {
            for pixel in 0..self.count {
                for channel in (0..channels).step_by(L::LANES) {
                    let left = channels - channel;
                    let at = 2 * pixel * channels + channel;
                    let by = self.by.at::<L>(channel);
                    let slope = L::load(self.slope.add(channel));
                    let constant = L::load(self.constant.add(channel));
                    let x = window::<L>(self.x.add(at), [self.row_step, channels], left);
                    let dy = L::load_up_to(self.dy.add(pixel * channels + channel), left);
                    let g = first_largest::<L>(&by, x, dy);
                    let places = [0, channels, self.row_step, self.row_step + channels];
                    for ((x, g), place) in x.into_iter().zip(g).zip(places) {
                        let rest = L::mul_add(slope, L::sub(x, by.mean), constant);
                        let dx = L::mul_add(by.scale, g, rest);
                        L::store_up_to(self.dx.add(at + place), left, dx);
                    }
                }
            }
        }
    }
}

/// y = max(z + shortcut, 0), the end of a residual block.
pub(crate) struct NormalizeAdd {
    pub(crate) by: Channels,
    pub(crate) x: *const f32,
    pub(crate) shortcut: *const f32,
    pub(crate) y: *mut f32,
    pub(crate) count: usize,
    /// See [`streams`](crate::rows::streams).
    pub(crate) stream: bool,
}

impl Task for NormalizeAdd {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let channels = self.by.count;
        // SAFETY: partial loads and stores keep to the pixel's channels.
        unsafe {
            let zero = L::splat(0.0);
            for pixel in 0..self.count {
                for channel in (0..channels).step_by(L::LANES) {
                    let left = channels - channel;
                    let at = pixel * channels + channel;
                    let x = L::load_up_to(self.x.add(at), left);
                    let shortcut = L::load_up_to(self.shortcut.add(at), left);
                    let sum = L::add(self.by.at::<L>(channel).z(x), shortcut);
                    // The order matters: a NaN must come through, not turn into 0.
                    let y = L::select_greater(zero, sum, zero, sum);
                    put::<L>(self.y.add(at), left, y, self.stream);
                }
            }
        }
    }
}

/// Σ g and Σ g·(x − mean), where g = dy wherever y is above 0: [`Sums`] at the end of a residual block.
pub(crate) struct SumsAdd {
    pub(crate) by: Channels,
    pub(crate) x: *const f32,
    pub(crate) y: *const f32,
    pub(crate) dy: *const f32,
    pub(crate) count: usize,
    /// Where g is written, if anywhere.
    pub(crate) g: Option<*mut f32>,
    pub(crate) out: *mut f32,
}

impl Task for SumsAdd {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let channels = self.by.count;
        for channel in (0..channels).step_by(L::LANES) {
            let left = channels - channel;
            // SAFETY: partial loads and stores keep to the pixel's channels.
            unsafe {
                let by = self.by.at::<L>(channel);
                let zero = L::splat(0.0);
                let (mut sum, mut product) = (zero, zero);
                for pixel in 0..self.count {
                    let at = pixel * channels + channel;
                    let x = L::load_up_to(self.x.add(at), left);
                    let y = L::load_up_to(self.y.add(at), left);
                    let dy = L::load_up_to(self.dy.add(at), left);
                    let g = L::select_greater(y, zero, dy, zero);
                    if let Some(to) = self.g {
                        L::store_up_to(to.add(at), left, g);
                    }
                    sum = L::add(sum, g);
                    product = L::mul_add(g, L::sub(x, by.mean), product);
                }
                L::store_up_to(self.out.add(channel), left, sum);
                L::store_up_to(self.out.add(channels + channel), left, product);
            }
        }
    }
}
