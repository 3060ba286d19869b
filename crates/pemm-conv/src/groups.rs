//! Convolution and its gradient by the weights over groups of tiles in the transformed domain.
//!
//! A group of [`GROUP`] tiles is transformed, multiplied at each of the 36 positions and transformed
//! back while it is in the cache. A transformed group is a vector of channels for each block of
//! channels, position and tile, in this order, so a product reads and writes at steps that the
//! compiler knows.

use std::ops::Range;

use crate::simd::{Lanes, Task, lanes, prefetch};
use crate::strips::Window;
use crate::tiles::{POSITIONS, transform_data, transform_gradient, transform_sums};

/// Tiles that go through together.
pub(crate) const GROUP: usize = 16;

/// Numbers between two positions: one vector beyond the group, so that positions do not share the
/// sets of the cache.
const fn step(lanes: usize) -> usize {
    (GROUP + 1) * lanes
}

/// Columns of a panel of filters.
pub(crate) fn panel_width() -> usize {
    2 * lanes()
}

/// Numbers of a transformed group of so many channels.
pub(crate) fn group_len(channels: usize) -> usize {
    channels.div_ceil(lanes()) * POSITIONS * step(lanes())
}

/// Transformed filters in panels of two vectors of output channels, as `winograd` packs them.
#[derive(Clone, Copy)]
pub(crate) struct Panels {
    pub(crate) packed: *const f32,
    /// From one position to the next.
    pub(crate) position: usize,
    /// From one panel to the next.
    pub(crate) panel: usize,
}

/// y = x ∗ filters + bias of the tiles of a window.
pub(crate) struct TileConvolution<'a> {
    pub(crate) x: *const f32,
    pub(crate) x_window: Window,
    /// Where each tile begins in the window of `x`, and in that of `y`.
    pub(crate) from: &'a [usize],
    pub(crate) to: &'a [usize],
    pub(crate) filters: Panels,
    /// A whole number of vectors.
    pub(crate) bias: *const f32,
    pub(crate) y: *mut f32,
    pub(crate) y_window: Window,
    /// Channels of `x` and of `y`.
    pub(crate) ins: usize,
    pub(crate) outs: usize,
    /// Working memory for a transformed group of `ins` and one of `outs`.
    pub(crate) data: *mut f32,
    pub(crate) sums: *mut f32,
    /// What is read after this task, fetched while it multiplies.
    pub(crate) ahead: &'a [&'a [f32]],
}

/// Fetches the share of a step of what is `ahead`.
#[inline(always)]
fn fetch(ahead: &[&[f32]], step: usize, steps: usize) {
    /// Numbers of a line of the cache.
    const LINE: usize = 16;
    for ahead in ahead {
        let lines = ahead.len() / LINE;
        for line in lines * step / steps..lines * (step + 1) / steps {
            prefetch(ahead.as_ptr().wrapping_add(line * LINE));
        }
    }
}

impl Task for TileConvolution<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let out_blocks = self.outs.div_ceil(L::LANES);
        // SAFETY: windows, origins, filters and working memory are those of the task's sizes.
        unsafe {
            let groups = self.from.len().div_ceil(GROUP);
            let pairs = self.from.chunks(GROUP).zip(self.to.chunks(GROUP));
            for (group, (from, to)) in pairs.enumerate() {
                transform::<L>(from, self.x, self.x_window, self.ins, self.data);
                for position in 0..POSITIONS {
                    fetch(self.ahead, group * POSITIONS + position, groups * POSITIONS);
                    let filters = self.filters.packed.add(position * self.filters.position);
                    let data = self.data.add(position * step(L::LANES));
                    let sums = self.sums.add(position * step(L::LANES));
                    for block in (0..out_blocks).step_by(2) {
                        let filters = filters.add(block / 2 * self.filters.panel);
                        let sums = sums.add(block * POSITIONS * step(L::LANES));
                        let (tiles, ins) = (from.len(), self.ins);
                        let product = Product { data, filters, sums, tiles, ins };
                        if out_blocks - block > 1 {
                            product.run::<L, 2>();
                        } else {
                            product.run::<L, 1>();
                        }
                    }
                }
                for block in 0..out_blocks {
                    let bias = L::load(self.bias.add(block * L::LANES));
                    for (tile, to) in to.iter().enumerate() {
                        let at = block * POSITIONS * step(L::LANES) + tile * L::LANES;
                        let y = self.y.add(block * self.y_window.plane + to);
                        transform_sums::<L>(
                            self.sums.add(at),
                            step(L::LANES),
                            bias,
                            y,
                            self.y_window.row,
                        );
                    }
                }
            }
        }
    }
}

/// Bᵀ d B of a group.
#[inline(always)]
unsafe fn transform<L: Lanes>(
    origins: &[usize],
    x: *const f32,
    window: Window,
    channels: usize,
    data: *mut f32,
) {
    for block in 0..channels.div_ceil(L::LANES) {
        for (tile, origin) in origins.iter().enumerate() {
            // SAFETY: the tile lies in the window, and the group has room for it.
            unsafe {
                let x = x.add(block * window.plane + origin);
                let data = data.add(block * POSITIONS * step(L::LANES) + tile * L::LANES);
                transform_data::<L>(x, window.row, data, step(L::LANES));
            }
        }
    }
}

/// The product of a group at one position with V vectors of filters.
struct Product {
    data: *const f32,
    filters: *const f32,
    sums: *mut f32,
    tiles: usize,
    ins: usize,
}

impl Product {
    #[inline(always)]
    unsafe fn run<L: Lanes, const V: usize>(&self) {
        // Rows beyond the group's tiles are multiplied with it, up to a whole block; nobody reads them.
        // SAFETY: a group has room for all of them.
        unsafe {
            match (L::TILES, V) {
                (8, 1) => self.rows::<L, V, 16>(),
                (8, _) => self.rows::<L, V, 8>(),
                (_, 1) => self.rows::<L, V, 8>(),
                (_, _) => self.rows::<L, V, 4>(),
            }
        }
    }

    #[inline(always)]
    unsafe fn rows<L: Lanes, const V: usize, const M: usize>(&self) {
        for tile in (0..self.tiles).step_by(M) {
            // SAFETY: as the caller's.
            unsafe { self.block::<L, V, M>(tile) }
        }
    }

    /// M tiles.
    #[inline(always)]
    unsafe fn block<L: Lanes, const V: usize, const M: usize>(&self, tile: usize) {
        // SAFETY: as the caller's; filters have a row of two vectors for each channel.
        unsafe {
            let mut sums = [[L::splat(0.0); V]; M];
            let mut filters = self.filters;
            for first in (0..self.ins).step_by(L::LANES) {
                let block = first / L::LANES * POSITIONS * step(L::LANES);
                let data = self.data.add(block + tile * L::LANES);
                for channel in 0..L::LANES.min(self.ins - first) {
                    let mut right = [L::splat(0.0); V];
                    for (v, right) in right.iter_mut().enumerate() {
                        *right = L::load(filters.add(v * L::LANES));
                    }
                    for (r, sums) in sums.iter_mut().enumerate() {
                        let left = L::splat(*data.add(r * L::LANES + channel));
                        for (v, sum) in sums.iter_mut().enumerate() {
                            *sum = L::mul_add(left, right[v], *sum);
                        }
                    }
                    filters = filters.add(2 * L::LANES);
                }
            }
            for (r, sums) in sums.iter().enumerate() {
                for (v, sum) in sums.iter().enumerate() {
                    let to = v * POSITIONS * step(L::LANES) + (tile + r) * L::LANES;
                    L::store(self.sums.add(to), *sum);
                }
            }
        }
    }
}

/// Bᵀ d B and A ∂Y Aᵀ of the tiles of two windows, a group after the other.
pub(crate) struct TileTransforms<'a> {
    pub(crate) x: *const f32,
    pub(crate) dy: *const f32,
    /// The window of both, with one pixel around.
    pub(crate) window: Window,
    pub(crate) origins: &'a [usize],
    pub(crate) ins: usize,
    pub(crate) outs: usize,
    /// Where the groups of either go.
    pub(crate) data: *mut f32,
    pub(crate) gradient: *mut f32,
}

impl Task for TileTransforms<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let inside = self.window.row + L::LANES;
        let [of_data, of_gradient] = [self.ins, self.outs]
            .map(|channels| channels.div_ceil(L::LANES) * POSITIONS * step(L::LANES));
        // SAFETY: windows, origins and groups are those of the task's sizes.
        unsafe {
            for (group, origins) in self.origins.chunks(GROUP).enumerate() {
                let data = self.data.add(group * of_data);
                transform::<L>(origins, self.x, self.window, self.ins, data);
                let gradient = self.gradient.add(group * of_gradient);
                for block in 0..self.outs.div_ceil(L::LANES) {
                    for (tile, origin) in origins.iter().enumerate() {
                        let dy = self.dy.add(block * self.window.plane + origin + inside);
                        let at = block * POSITIONS * step(L::LANES) + tile * L::LANES;
                        let to = gradient.add(at);
                        transform_gradient::<L>(dy, self.window.row, to, step(L::LANES));
                    }
                }
            }
        }
    }
}

/// A transformed group of both sides.
#[derive(Clone, Copy)]
pub(crate) struct Pair {
    pub(crate) data: *const f32,
    pub(crate) gradient: *const f32,
    pub(crate) tiles: usize,
}

// SAFETY: bare addresses; each use says why it may read there.
unsafe impl Send for Pair {}
// SAFETY: as above.
unsafe impl Sync for Pair {}

/// Σ (Bᵀ d B)ᵀ (A ∂Y Aᵀ) of some groups at some positions.
pub(crate) struct GroupSums<'a> {
    pub(crate) groups: &'a [Pair],
    pub(crate) positions: Range<usize>,
    /// The first of some input channels, of a whole vector, and how many they are.
    pub(crate) first: usize,
    pub(crate) ins: usize,
    pub(crate) outs: usize,
    /// For each position a row of whole vectors for each of these channels.
    pub(crate) sums: *mut f32,
    /// Whether to add to what stands there.
    pub(crate) add: bool,
}

impl Task for GroupSums<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let out_blocks = self.outs.div_ceil(L::LANES);
        let row = out_blocks * L::LANES;
        for (index, position) in self.positions.clone().enumerate() {
            for part in (0..self.ins).step_by(L::LANES) {
                let data = ((self.first + part) / L::LANES * POSITIONS + position) * step(L::LANES);
                for block in (0..out_blocks).step_by(2) {
                    let sums = (index * self.ins + part) * row + block * L::LANES;
                    let outer = Outer {
                        groups: self.groups,
                        data,
                        gradient: (block * POSITIONS + position) * step(L::LANES),
                        // SAFETY: each channel has a row at each position.
                        sums: unsafe { self.sums.add(sums) },
                        sums_row: row,
                        ins: L::LANES.min(self.ins - part),
                        add: self.add,
                    };
                    // SAFETY: groups and sums have the channels.
                    unsafe {
                        match out_blocks - block {
                            1 => outer.run::<L, 1>(),
                            _ => outer.run::<L, 2>(),
                        }
                    }
                }
            }
        }
    }
}

/// Σ over the tiles of groups of data × V vectors of the gradient, perhaps added to what stands there.
struct Outer<'a> {
    groups: &'a [Pair],
    /// Where both begin in their group.
    data: usize,
    gradient: usize,
    sums: *mut f32,
    sums_row: usize,
    ins: usize,
    add: bool,
}

impl Outer<'_> {
    #[inline(always)]
    unsafe fn run<L: Lanes, const V: usize>(&self) {
        // SAFETY: as the caller's.
        unsafe {
            match (L::TILES, V) {
                (8, 1) => self.rows::<L, V, 16>(),
                (8, _) => self.rows::<L, V, 8>(),
                (_, 1) => self.rows::<L, V, 8>(),
                (_, _) => self.rows::<L, V, 4>(),
            }
        }
    }

    #[inline(always)]
    unsafe fn rows<L: Lanes, const V: usize, const M: usize>(&self) {
        let mut channel = 0;
        // SAFETY: as the caller's.
        unsafe {
            while channel + M <= self.ins {
                self.block::<L, V, M>(channel);
                channel += M;
            }
            while channel < self.ins {
                self.block::<L, V, 1>(channel);
                channel += 1;
            }
        }
    }

    /// M input channels.
    #[inline(always)]
    unsafe fn block<L: Lanes, const V: usize, const M: usize>(&self, channel: usize) {
        // SAFETY: as the caller's.
        unsafe {
            let mut sums = [[L::splat(0.0); V]; M];
            if self.add {
                for (r, sums) in sums.iter_mut().enumerate() {
                    for (v, sum) in sums.iter_mut().enumerate() {
                        let from = self.sums.add((channel + r) * self.sums_row + v * L::LANES);
                        *sum = L::load(from);
                    }
                }
            }
            for group in self.groups {
                let (data, gradient) =
                    (group.data.add(self.data + channel), group.gradient.add(self.gradient));
                for tile in 0..group.tiles {
                    let data = data.add(tile * L::LANES);
                    let mut right = [L::splat(0.0); V];
                    for (v, right) in right.iter_mut().enumerate() {
                        let block = v * POSITIONS * step(L::LANES);
                        *right = L::load(gradient.add(block + tile * L::LANES));
                    }
                    for (r, sums) in sums.iter_mut().enumerate() {
                        let left = L::splat(*data.add(r));
                        for (v, sum) in sums.iter_mut().enumerate() {
                            *sum = L::mul_add(left, right[v], *sum);
                        }
                    }
                }
            }
            for (r, sums) in sums.iter().enumerate() {
                for (v, sum) in sums.iter().enumerate() {
                    L::store(self.sums.add((channel + r) * self.sums_row + v * L::LANES), *sum);
                }
            }
        }
    }
}
