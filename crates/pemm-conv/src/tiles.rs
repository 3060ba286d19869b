//! The transforms of Winograd's F(4×4, 3×3) on one tile and one vector of channels.
//!
//! Points 0, ±1, ±2, ∞:
//! ```text
//!       4  0 -5  0 1 0         1/4    0     0
//!       0 -4 -4  1 1 0        -1/6  -1/6  -1/6          1  1  1  1  1  0
//! Bᵀ =  0  4 -4 -1 1 0   G =  -1/6   1/6  -1/6    Aᵀ =  0  1 -1  2 -2  0
//!       0 -2 -1  2 1 0        1/24  1/12   1/6          0  1  1  4  4  0
//!       0  2 -1 -2 1 0        1/24 -1/12   1/6          0  1 -1  8 -8  1
//!       0  4  0 -5 0 1          0     0     1
//! ```

use crate::simd::{Lanes, Task};

/// Positions of a transformed tile.
pub(crate) const POSITIONS: usize = 36;

/// Bᵀ v.
#[inline(always)]
unsafe fn data<L: Lanes>(v: [L::Vector; 6]) -> [L::Vector; 6] {
    // SAFETY: arithmetic of the dispatched set only.
    unsafe {
        let (two, four, five) = (L::splat(2.0), L::splat(4.0), L::splat(5.0));
        let a = L::neg_mul_add(four, v[2], v[4]);
        let b = L::neg_mul_add(four, v[1], v[3]);
        let c = L::sub(v[4], v[2]);
        let d = L::mul(two, L::sub(v[3], v[1]));
        [
            L::mul_add(four, v[0], L::neg_mul_add(five, v[2], v[4])),
            L::add(a, b),
            L::sub(a, b),
            L::add(c, d),
            L::sub(c, d),
            L::mul_add(four, v[1], L::neg_mul_add(five, v[3], v[5])),
        ]
    }
}

/// Aᵀ v.
#[inline(always)]
unsafe fn output<L: Lanes>(v: [L::Vector; 6]) -> [L::Vector; 4] {
    // SAFETY: arithmetic of the dispatched set only.
    unsafe {
        let (two, four, eight) = (L::splat(2.0), L::splat(4.0), L::splat(8.0));
        let (a, b) = (L::add(v[1], v[2]), L::sub(v[1], v[2]));
        let (c, d) = (L::add(v[3], v[4]), L::sub(v[3], v[4]));
        [
            L::add(v[0], L::add(a, c)),
            L::mul_add(two, d, b),
            L::mul_add(four, c, a),
            L::add(L::mul_add(eight, d, b), v[5]),
        ]
    }
}

/// A v.
#[inline(always)]
unsafe fn gradient<L: Lanes>(v: [L::Vector; 4]) -> [L::Vector; 6] {
    // SAFETY: arithmetic of the dispatched set only.
    unsafe {
        let (two, four) = (L::splat(2.0), L::splat(4.0));
        let (a, b) = (L::add(v[0], v[2]), L::add(v[1], v[3]));
        let c = L::mul_add(four, v[2], v[0]);
        let d = L::mul(two, L::mul_add(four, v[3], v[1]));
        [v[0], L::add(a, b), L::sub(a, b), L::add(c, d), L::sub(c, d), v[3]]
    }
}

/// G v.
#[inline(always)]
unsafe fn filter<L: Lanes>(v: [L::Vector; 3]) -> [L::Vector; 6] {
    // SAFETY: arithmetic of the dispatched set only.
    unsafe {
        let a = L::mul(L::splat(-1.0 / 6.0), L::add(v[0], v[2]));
        let b = L::mul(L::splat(1.0 / 6.0), v[1]);
        let c = L::mul_add(L::splat(1.0 / 24.0), v[0], L::mul(L::splat(1.0 / 6.0), v[2]));
        let d = L::mul(L::splat(1.0 / 12.0), v[1]);
        [L::mul(L::splat(0.25), v[0]), L::sub(a, b), L::add(a, b), L::add(c, d), L::sub(c, d), v[2]]
    }
}

/// Gᵀ v.
#[inline(always)]
unsafe fn filter_gradient<L: Lanes>(v: [L::Vector; 6]) -> [L::Vector; 3] {
    // SAFETY: arithmetic of the dispatched set only.
    unsafe {
        let sixth = L::splat(1.0 / 6.0);
        let (a, b) = (L::mul(sixth, L::add(v[1], v[2])), L::mul(sixth, L::sub(v[2], v[1])));
        let (c, d) = (L::add(v[3], v[4]), L::sub(v[3], v[4]));
        [
            L::sub(L::mul_add(L::splat(0.25), v[0], L::mul(L::splat(1.0 / 24.0), c)), a),
            L::mul_add(L::splat(1.0 / 12.0), d, b),
            L::add(L::sub(L::mul(sixth, c), a), v[5]),
        ]
    }
}

/// Bᵀ d B of the 6×6 tile at `from`, whose rows are `row` apart; its positions go `step` apart.
#[inline(always)]
pub(crate) unsafe fn transform_data<L: Lanes>(
    from: *const f32,
    row: usize,
    to: *mut f32,
    step: usize,
) {
    // SAFETY: six rows of six vectors and 36 positions are the caller's word.
    unsafe {
        let mut half = [[L::splat(0.0); 6]; 6];
        for column in 0..6 {
            let mut v = [L::splat(0.0); 6];
            for (line, v) in v.iter_mut().enumerate() {
                *v = L::load(from.add(line * row + column * L::LANES));
            }
            let v = data::<L>(v);
            for line in 0..6 {
                half[line][column] = v[line];
            }
        }
        for (line, half) in half.iter().enumerate() {
            for (column, value) in data::<L>(*half).into_iter().enumerate() {
                L::store(to.add((line * 6 + column) * step), value);
            }
        }
    }
}

/// A ∂Y Aᵀ of the 4×4 tile at `from`; otherwise as [`transform_data`].
#[inline(always)]
pub(crate) unsafe fn transform_gradient<L: Lanes>(
    from: *const f32,
    row: usize,
    to: *mut f32,
    step: usize,
) {
    // SAFETY: four rows of four vectors and 36 positions are the caller's word.
    unsafe {
        let mut half = [[L::splat(0.0); 4]; 6];
        for column in 0..4 {
            let mut v = [L::splat(0.0); 4];
            for (line, v) in v.iter_mut().enumerate() {
                *v = L::load(from.add(line * row + column * L::LANES));
            }
            let v = gradient::<L>(v);
            for line in 0..6 {
                half[line][column] = v[line];
            }
        }
        for (line, half) in half.iter().enumerate() {
            for (column, value) in gradient::<L>(*half).into_iter().enumerate() {
                L::store(to.add((line * 6 + column) * step), value);
            }
        }
    }
}

/// Aᵀ m A + bias of the 36 positions at `from`, `step` apart, to the 4×4 tile at `to`, whose rows
/// are `row` apart.
#[inline(always)]
pub(crate) unsafe fn transform_sums<L: Lanes>(
    from: *const f32,
    step: usize,
    bias: L::Vector,
    to: *mut f32,
    row: usize,
) {
    // SAFETY: 36 positions and four rows of four vectors are the caller's word.
    unsafe {
        let mut half = [[L::splat(0.0); 6]; 4];
        for column in 0..6 {
            let mut v = [L::splat(0.0); 6];
            for (line, v) in v.iter_mut().enumerate() {
                *v = L::load(from.add((line * 6 + column) * step));
            }
            let v = output::<L>(v);
            for line in 0..4 {
                half[line][column] = v[line];
            }
        }
        for (line, half) in half.iter().enumerate() {
            for (column, value) in output::<L>(*half).into_iter().enumerate() {
                L::store(to.add(line * row + column * L::LANES), L::add(value, bias));
            }
        }
    }
}

/// G g Gᵀ of `columns` filters side by side.
pub(crate) struct FilterTransform {
    /// Nine rows, `tap_step` apart.
    pub(crate) taps: *const f32,
    pub(crate) tap_step: usize,
    pub(crate) out: *mut f32,
    pub(crate) position: usize,
    /// A whole number of vectors.
    pub(crate) columns: usize,
}

impl Task for FilterTransform {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        for column in (0..self.columns).step_by(L::LANES) {
            // SAFETY: nine rows and 36 positions of `columns` numbers each are the caller's word.
            unsafe {
                let mut half = [[L::splat(0.0); 3]; 6];
                for across in 0..3 {
                    let mut v = [L::splat(0.0); 3];
                    for (row, v) in v.iter_mut().enumerate() {
                        *v = L::load(self.taps.add((3 * row + across) * self.tap_step + column));
                    }
                    let v = filter::<L>(v);
                    for row in 0..6 {
                        half[row][across] = v[row];
                    }
                }
                for (row, half) in half.iter().enumerate() {
                    for (across, value) in filter::<L>(*half).into_iter().enumerate() {
                        L::store(self.out.add((row * 6 + across) * self.position + column), value);
                    }
                }
            }
        }
    }
}

/// Gᵀ u G of one vector of filters.
pub(crate) struct FilterGradient {
    pub(crate) sums: *const f32,
    pub(crate) position: usize,
    /// Nine vectors.
    pub(crate) taps: *mut f32,
}

impl Task for FilterGradient {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        // SAFETY: a vector at each of 36 positions and nine vectors of taps are the caller's word.
        unsafe {
            let mut half = [[L::splat(0.0); 6]; 3];
            for column in 0..6 {
                let mut v = [L::splat(0.0); 6];
                for (row, v) in v.iter_mut().enumerate() {
                    *v = L::load(self.sums.add((row * 6 + column) * self.position));
                }
                let v = filter_gradient::<L>(v);
                for row in 0..3 {
                    half[row][column] = v[row];
                }
            }
            for (row, half) in half.iter().enumerate() {
                for (column, value) in filter_gradient::<L>(*half).into_iter().enumerate() {
                    L::store(self.taps.add((row * 3 + column) * L::LANES), value);
                }
            }
        }
    }
}
