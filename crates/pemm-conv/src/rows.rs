//! Rows of pixels on their way between a batch, [pixel][channel], and a window, [plane][pixel][lane].

use crate::passes::{By, Channels, first_largest, window};
use crate::simd::{Lanes, Task, dispatch, fence, lanes};
use crate::strips::{Job, Strips};

/// Numbers of activations from which on they are stored past the caches.
const STREAMED: usize = 1 << 20;

/// Copies a row of pixels into the planes of a window, zeros beyond the last channel.
pub(crate) struct Spread {
    pub(crate) from: *const f32,
    /// From one pixel to the next.
    pub(crate) step: usize,
    pub(crate) pixels: usize,
    pub(crate) channels: usize,
    pub(crate) to: *mut f32,
    pub(crate) plane: usize,
}

impl Task for Spread {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        for channel in (0..self.channels).step_by(L::LANES) {
            let left = self.channels - channel;
            // SAFETY: partial loads keep to the pixel's channels; a plane has room for the row.
            unsafe {
                let to = self.to.add(channel / L::LANES * self.plane);
                for pixel in 0..self.pixels {
                    let value = L::load_up_to(self.from.add(pixel * self.step + channel), left);
                    L::store(to.add(pixel * L::LANES), value);
                }
            }
        }
    }
}

/// Copies max(z, 0) of a row of pixels x, which is what a normalization makes of them.
pub(crate) struct SpreadNormalized {
    pub(crate) by: Channels,
    pub(crate) x: *const f32,
    pub(crate) pixels: usize,
    pub(crate) to: *mut f32,
    pub(crate) plane: usize,
}

impl Task for SpreadNormalized {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let channels = self.by.count;
        for channel in (0..channels).step_by(L::LANES) {
            let left = channels - channel;
            // SAFETY: partial loads keep to the pixel's channels; a plane has room for the row.
            unsafe {
                let by = self.by.at::<L>(channel);
                let zero = L::splat(0.0);
                let to = self.to.add(channel / L::LANES * self.plane);
                for pixel in 0..self.pixels {
                    let x = L::load_up_to(self.x.add(pixel * channels + channel), left);
                    let z = by.z(x);
                    // The order matters: a NaN must come through, not turn into 0.
                    L::store(to.add(pixel * L::LANES), L::select_greater(zero, z, zero, z));
                }
            }
        }
    }
}

/// Copies the gradient of a normalization by its input x, see [`Gradient`](crate::passes::Gradient),
/// for a row of pixels.
pub(crate) struct SpreadGradient {
    pub(crate) by: Channels,
    pub(crate) slope: *const f32,
    pub(crate) constant: *const f32,
    pub(crate) x: *const f32,
    pub(crate) dy: *const f32,
    pub(crate) open: Open<*const f32>,
    pub(crate) pixels: usize,
    pub(crate) to: *mut f32,
    pub(crate) plane: usize,
}

/// The same where 2×2 max pooling follows the ReLU: one of the two rows of pixels of its windows, whose
/// first largest value takes dy.
pub(crate) struct SpreadGradientPool {
    pub(crate) by: Channels,
    pub(crate) slope: *const f32,
    pub(crate) constant: *const f32,
    /// The first row of the windows; the second is `row_step` further on.
    pub(crate) x: *const f32,
    pub(crate) row_step: usize,
    /// Which of the two it is, 0 or 1.
    pub(crate) own: usize,
    pub(crate) dy: *const f32,
    /// Windows; a pixel beyond them takes nothing.
    pub(crate) windows: usize,
    pub(crate) pixels: usize,
    pub(crate) to: *mut f32,
    pub(crate) plane: usize,
}

impl Task for SpreadGradientPool {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let channels = self.by.count;
        for channel in (0..channels).step_by(L::LANES) {
            let left = channels - channel;
            // SAFETY: partial loads keep to the pixel's channels; a plane has room for the row, and
            // there is a second row wherever there are windows.
            unsafe {
                let by = self.by.at::<L>(channel);
                let slope = L::load(self.slope.add(channel));
                let constant = L::load(self.constant.add(channel));
                let zero = L::splat(0.0);
                let to = self.to.add(channel / L::LANES * self.plane);
                let put = |pixel: usize, x: L::Vector, g: L::Vector| {
                    let rest = L::mul_add(slope, L::sub(x, by.mean), constant);
                    L::store(to.add(pixel * L::LANES), L::mul_add(by.scale, g, rest));
                };
                for pixel in 0..self.windows {
                    let from = self.x.add(2 * pixel * channels + channel);
                    let x = window::<L>(from, [self.row_step, channels], left);
                    let dy = L::load_up_to(self.dy.add(pixel * channels + channel), left);
                    let g = first_largest::<L>(&by, x, dy);
                    for side in 0..2 {
                        let place = 2 * self.own + side;
                        put(2 * pixel + side, x[place], g[place]);
                    }
                }
                for pixel in 2 * self.windows..self.pixels {
                    let at = self.own * self.row_step + pixel * channels + channel;
                    put(pixel, L::load_up_to(self.x.add(at), left), zero);
                }
            }
        }
    }
}

/// Where a gradient comes through a ReLU.
#[derive(Clone, Copy)]
pub(crate) enum Open<Y> {
    /// Where the normalized value is above 0.
    Normalized,
    /// Where this output is above 0.
    Output(Y),
    /// It has come through already.
    Everywhere,
}

impl<Y> Open<Y> {
    pub(crate) fn map<Z>(self, of: impl FnOnce(Y) -> Z) -> Open<Z> {
        match self {
            Self::Normalized => Open::Normalized,
            Self::Output(y) => Open::Output(of(y)),
            Self::Everywhere => Open::Everywhere,
        }
    }
}

impl Task for SpreadGradient {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let channels = self.by.count;
        for channel in (0..channels).step_by(L::LANES) {
            let left = channels - channel;
            // SAFETY: partial loads keep to the pixel's channels; a plane has room for the row.
            unsafe {
                let by = self.by.at::<L>(channel);
                let slope = L::load(self.slope.add(channel));
                let constant = L::load(self.constant.add(channel));
                let zero = L::splat(0.0);
                let to = self.to.add(channel / L::LANES * self.plane);
                for pixel in 0..self.pixels {
                    let at = pixel * channels + channel;
                    let x = L::load_up_to(self.x.add(at), left);
                    let dy = L::load_up_to(self.dy.add(at), left);
                    let g = match self.open {
                        Open::Normalized => L::select_greater(by.z(x), zero, dy, zero),
                        Open::Output(y) => {
                            L::select_greater(L::load_up_to(y.add(at), left), zero, dy, zero)
                        }
                        Open::Everywhere => dy,
                    };
                    let rest = L::mul_add(slope, L::sub(x, by.mean), constant);
                    L::store(to.add(pixel * L::LANES), L::mul_add(by.scale, g, rest));
                }
            }
        }
    }
}

/// Copies max(z + shortcut, 0) of a row of pixels, the end of a residual block, to `y` too if that is
/// given.
pub(crate) struct SpreadEnd {
    pub(crate) by: Channels,
    pub(crate) x: *const f32,
    pub(crate) shortcut: *const f32,
    pub(crate) pixels: usize,
    pub(crate) to: *mut f32,
    pub(crate) plane: usize,
    pub(crate) y: Option<*mut f32>,
    pub(crate) stream: bool,
}

impl Task for SpreadEnd {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let channels = self.by.count;
        for channel in (0..channels).step_by(L::LANES) {
            let left = channels - channel;
            // SAFETY: partial loads and stores keep to the pixel's channels; a plane has room for
            // the row.
            unsafe {
                let by = self.by.at::<L>(channel);
                let zero = L::splat(0.0);
                let to = self.to.add(channel / L::LANES * self.plane);
                for pixel in 0..self.pixels {
                    let at = pixel * channels + channel;
                    let x = L::load_up_to(self.x.add(at), left);
                    let sum = L::add(by.z(x), L::load_up_to(self.shortcut.add(at), left));
                    // The order matters: a NaN must come through, not turn into 0.
                    let value = L::select_greater(zero, sum, zero, sum);
                    L::store(to.add(pixel * L::LANES), value);
                    if let Some(y) = self.y {
                        put::<L>(y.add(at), left, value, self.stream);
                    }
                }
            }
        }
    }
}

/// The way back: what comes out of a window, and where it goes.
#[derive(Clone, Copy)]
pub(crate) struct Gather {
    pub(crate) from: *const f32,
    pub(crate) plane: usize,
    pub(crate) pixels: usize,
    pub(crate) channels: usize,
    pub(crate) to: *mut f32,
    /// See [`streams`].
    pub(crate) stream: bool,
}

impl Gather {
    /// Calls `each` with the first channel of each vector, and then with each pixel, whose value it
    /// may change on its way.
    #[inline(always)]
    unsafe fn each<L: Lanes, S>(
        &self,
        start: impl Fn(usize, usize) -> S,
        change: impl Fn(&mut S, usize, usize, L::Vector) -> L::Vector,
        end: impl Fn(S, usize, usize),
    ) {
        for channel in (0..self.channels).step_by(L::LANES) {
            let left = self.channels - channel;
            // SAFETY: partial stores keep to the pixel's channels; a plane has the row.
            unsafe {
                let from = self.from.add(channel / L::LANES * self.plane);
                let mut state = start(channel, left);
                for pixel in 0..self.pixels {
                    let at = pixel * self.channels + channel;
                    let value = L::load(from.add(pixel * L::LANES));
                    let value = change(&mut state, at, left, value);
                    put::<L>(self.to.add(at), left, value, self.stream);
                }
                end(state, channel, left);
            }
        }
    }
}

impl Task for Gather {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        // SAFETY: the caller's word.
        unsafe { self.each::<L, ()>(|_, _| (), |_, _, _, value| value, |_, _, _| ()) }
    }
}

/// And normalizes on the way: z or max(z, 0) is written.
pub(crate) struct GatherNormalized {
    pub(crate) gather: Gather,
    pub(crate) by: Channels,
    pub(crate) relu: bool,
}

impl Task for GatherNormalized {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        // SAFETY: the rows are whole vectors.
        unsafe {
            let floor = L::splat(if self.relu { 0.0 } else { f32::NEG_INFINITY });
            self.gather.each::<L, By<L>>(
                |channel, _| self.by.at::<L>(channel),
                |by, _, _, value| {
                    let z = by.z(value);
                    // The order matters: a NaN must come through, not turn into 0.
                    L::select_greater(floor, z, floor, z)
                },
                |_, _, _| (),
            );
        }
    }
}

/// And adds Σ (y − first) and Σ (y − first)² to `out`.
pub(crate) struct GatherMoments {
    pub(crate) gather: Gather,
    pub(crate) first: *const f32,
    pub(crate) out: *mut f32,
}

impl Task for GatherMoments {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let squares_from = self.gather.channels;
        // SAFETY: `first` is a row of the channels, `out` two.
        unsafe {
            self.gather.each::<L, [L::Vector; 3]>(
                |channel, left| {
                    let out = self.out.add(channel);
                    [
                        L::load_up_to(self.first.add(channel), left),
                        L::load_up_to(out, left),
                        L::load_up_to(out.add(squares_from), left),
                    ]
                },
                |[first, sum, squares], _, _, value| {
                    let offset = L::sub(value, *first);
                    *sum = L::add(*sum, offset);
                    *squares = L::mul_add(offset, offset, *squares);
                    value
                },
                |[_, sum, squares], channel, left| {
                    let out = self.out.add(channel);
                    L::store_up_to(out, left, sum);
                    L::store_up_to(out.add(squares_from), left, squares);
                },
            );
        }
    }
}

/// And adds Σ g and Σ g·(x − mean) to `out`, where g is what is written where max(z, 0) lets it
/// through; see [`Sums`](crate::passes::Sums).
pub(crate) struct GatherSums {
    pub(crate) gather: Gather,
    pub(crate) by: Channels,
    pub(crate) x: *const f32,
    pub(crate) out: *mut f32,
}

impl Task for GatherSums {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let products_from = self.gather.channels;
        // SAFETY: `x` has the pixels of the row, `out` two rows of the channels.
        unsafe {
            let zero = L::splat(0.0);
            self.gather.each::<L, (By<L>, [L::Vector; 2])>(
                |channel, left| {
                    let out = self.out.add(channel);
                    let sums = [0, products_from].map(|from| L::load_up_to(out.add(from), left));
                    (self.by.at::<L>(channel), sums)
                },
                |(by, [sum, products]), at, left, value| {
                    let x = L::load_up_to(self.x.add(at), left);
                    let g = L::select_greater(by.z(x), zero, value, zero);
                    *sum = L::add(*sum, g);
                    *products = L::mul_add(g, L::sub(x, by.mean), *products);
                    value
                },
                |(_, [sum, products]), channel, left| {
                    let out = self.out.add(channel);
                    L::store_up_to(out, left, sum);
                    L::store_up_to(out.add(products_from), left, products);
                },
            );
        }
    }
}

/// And adds the gradient of a shortcut, dy where `open` is above 0, or all of it.
pub(crate) struct GatherAdd {
    pub(crate) gather: Gather,
    pub(crate) dy: *const f32,
    pub(crate) open: Option<*const f32>,
}

impl GatherAdd {
    #[inline(always)]
    unsafe fn sum<L: Lanes>(&self, at: usize, left: usize, value: L::Vector) -> L::Vector {
        // SAFETY: the rows have the pixels of what is gathered.
        unsafe {
            let dy = L::load_up_to(self.dy.add(at), left);
            L::add(
                value,
                match self.open {
                    Some(open) => {
                        let open = L::load_up_to(open.add(at), left);
                        L::select_greater(open, L::splat(0.0), dy, L::splat(0.0))
                    }
                    None => dy,
                },
            )
        }
    }
}

impl Task for GatherAdd {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        // SAFETY: the caller's word.
        unsafe {
            self.gather.each::<L, ()>(
                |_, _| (),
                |(), at, left, value| self.sum::<L>(at, left, value),
                |_, _, _| (),
            );
        }
    }
}

/// The same into the block below, whose output is `y`: where that is not above 0, 0 is written. Adds
/// Σ g and Σ g·(x − mean) of what is written to `out`, where x is the input of that block's last
/// normalization.
pub(crate) struct GatherBelow {
    pub(crate) add: GatherAdd,
    pub(crate) y: *const f32,
    pub(crate) x: *const f32,
    pub(crate) mean: *const f32,
    pub(crate) out: *mut f32,
}

impl Task for GatherBelow {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let products_from = self.add.gather.channels;
        // SAFETY: `x` and `y` have the pixels of the row, `mean` whole vectors, `out` two rows of the
        // channels.
        unsafe {
            let zero = L::splat(0.0);
            self.add.gather.each::<L, [L::Vector; 3]>(
                |channel, left| {
                    let out = self.out.add(channel);
                    [
                        L::load(self.mean.add(channel)),
                        L::load_up_to(out, left),
                        L::load_up_to(out.add(products_from), left),
                    ]
                },
                |[mean, sum, products], at, left, value| {
                    let y = L::load_up_to(self.y.add(at), left);
                    let x = L::load_up_to(self.x.add(at), left);
                    let dy = self.add.sum::<L>(at, left, value);
                    let g = L::select_greater(y, zero, dy, zero);
                    *sum = L::add(*sum, g);
                    *products = L::mul_add(g, L::sub(x, *mean), *products);
                    g
                },
                |[_, sum, products], channel, left| {
                    let out = self.out.add(channel);
                    L::store_up_to(out, left, sum);
                    L::store_up_to(out.add(products_from), left, products);
                },
            );
        }
    }
}

/// Stores the first `left` channels, past the caches with `stream`.
#[inline(always)]
pub(crate) unsafe fn put<L: Lanes>(to: *mut f32, left: usize, value: L::Vector, stream: bool) {
    // SAFETY: the caller's word; what streams is aligned, see `streams`.
    unsafe { if stream { L::stream(to, value) } else { L::store_up_to(to, left, value) } }
}

/// Whether activations of this size are stored past the caches: they would push out all else, and
/// nobody reads them soon.
pub(crate) fn streams(activations: &[f32], channels: usize) -> bool {
    let aligned = (activations.as_ptr() as usize).is_multiple_of(4 * lanes());
    activations.len() >= STREAMED && aligned && channels.is_multiple_of(lanes())
}

/// Fills the window of a job, with one pixel around: `row` is given the number of each row of pixels
/// that the image has, and where it goes in `window`; around them come zeros. It may stream.
pub(crate) fn fill(
    strips: &Strips,
    job: &Job,
    channels: usize,
    window: &mut [f32],
    mut row: impl FnMut(usize, &mut [f32]),
) {
    let sizes = strips.window(1);
    let planes = channels.div_ceil(lanes());
    let own = lanes()..(strips.width + 1) * lanes();
    for (at, pixels) in strips.lines(job, 1) {
        for plane in 0..planes {
            let line = &mut window[plane * sizes.plane + at..][..sizes.row];
            if pixels.is_some() {
                line[..own.start].fill(0.0);
                line[own.end..].fill(0.0);
            } else {
                line.fill(0.0);
            }
        }
        if let Some(pixels) = pixels {
            row(pixels, &mut window[at + own.start..]);
        }
    }
    fence();
}

/// Fills the window of a job with `channels` channels from `first` on of an image of `step` channels.
pub(crate) fn spread(
    strips: &Strips,
    job: &Job,
    x: &[f32],
    step: usize,
    [first, channels]: [usize; 2],
    window: &mut [f32],
) {
    let plane = strips.window(1).plane;
    fill(strips, job, channels, window, |row, to| {
        let from = &x[row * strips.width * step..][..strips.width * step];
        // SAFETY: `from` has a row of `step` for each pixel, and `to` the row in each plane.
        unsafe {
            dispatch(Spread {
                from: from.as_ptr().add(first),
                step,
                pixels: strips.width,
                channels,
                to: to.as_mut_ptr(),
                plane,
            });
        }
    });
}

/// Calls `row` for each row of a job's own pixels: where it begins in the window without pixels
/// around, and its place in the batch and in the job's part of it. It may stream.
pub(crate) fn own_rows(
    strips: &Strips,
    job: &Job,
    channels: usize,
    mut row: impl FnMut(usize, usize, usize),
) {
    let len = strips.width * channels;
    let rows = strips.lines(job, 0).filter_map(|(at, row)| Some((at, row?)));
    for (number, (at, pixels)) in rows.enumerate() {
        row(at, pixels * len, number * len);
    }
    fence();
}

/// Writes what a window without pixels around holds to the job's pixels `y`.
pub(crate) fn gather(
    strips: &Strips,
    job: &Job,
    channels: usize,
    window: &[f32],
    y: &mut [f32],
    stream: bool,
) {
    own_rows(strips, job, channels, |at, _, to| {
        let gather = Gather::row(strips, channels, &window[at..], &mut y[to..], stream);
        // SAFETY: each plane of the window has the row, and `y` a row of pixels.
        unsafe { dispatch(gather) }
    });
}

impl Gather {
    /// Of one row of pixels.
    pub(crate) fn row(
        strips: &Strips,
        channels: usize,
        from: &[f32],
        to: &mut [f32],
        stream: bool,
    ) -> Self {
        let (pixels, plane) = (strips.width, strips.window(0).plane);
        Self { from: from.as_ptr(), plane, pixels, channels, to: to.as_mut_ptr(), stream }
    }
}
