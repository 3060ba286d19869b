//! The matrix product at the core of every convolution here.
//!
//! C\[r\]\[j\] = start\[j\] + Σₛ Σₖ A\[rows\[r\] + s·a_segment + k·a_step\] · B\[s·b_segment + k·b_step + j\]
//!
//! The sum runs over `segments` stretches of `length` steps. With row offsets given one by one,
//! this single form is a plain product, a product with the transpose, and a convolution read in
//! place from a padded image (rows are pixels, segments the rows of the filter), so nothing is
//! ever unrolled into columns. A block of C, some rows of a few vectors, is held in registers.

use crate::simd::{Lanes, Level, Task, lanes, level, prefetch};

/// What C starts from.
#[derive(Clone, Copy)]
pub(crate) enum Start {
    /// Zero.
    Zero,
    /// This row (the bias), `columns` long.
    Row(*const f32),
    /// The values C already has.
    Itself,
}

/// Numbers of a line of the cache.
const LINE: usize = 16;

/// So many blocks ahead rows of C are fetched, and those of A while the first columns are made; after that they are
/// in the cache. The processor by itself foresees how a row goes on, not where the next ones begin.
const AHEAD: usize = 2;

/// One product; all offsets and steps count numbers.
#[derive(Clone, Copy)]
pub(crate) struct Product<'a> {
    pub(crate) a: *const f32,
    /// Where each row of A begins; its length is the number of rows.
    pub(crate) rows: &'a [usize],
    pub(crate) segments: usize,
    pub(crate) length: usize,
    pub(crate) a_segment: usize,
    pub(crate) a_step: usize,
    pub(crate) b: *const f32,
    pub(crate) b_segment: usize,
    pub(crate) b_step: usize,
    /// From one panel of [`panel_width`] columns of B to the next, each with `b_step` in a row.
    pub(crate) b_panel: usize,
    pub(crate) c: *mut f32,
    pub(crate) c_step: usize,
    pub(crate) columns: usize,
    pub(crate) start: Start,
}

/// Columns of a panel of B where it has so many.
pub(crate) fn panel_width(columns: usize) -> usize {
    (vectors(level()) * lanes()).min(columns.next_multiple_of(lanes()))
}

/// Rows of a block of C where B has so many columns.
pub(crate) fn block_rows(columns: usize) -> usize {
    rows(level(), panel_width(columns) / lanes())
}

/// Most vectors in a row of a block of C.
const fn vectors(level: Level) -> usize {
    match level {
        Level::Avx512 => 4,
        Level::Avx2 | Level::Portable => 2,
    }
}

/// Rows of a block of so many vectors, whose sums still fit in the registers. Few long rows are better than many
/// short ones: rows of A often lie a power of two apart, and there more than eight push each other out of the
/// cache.
const fn rows(level: Level, vectors: usize) -> usize {
    match (level, vectors) {
        (Level::Avx512, ..=2) => 12,
        (Level::Avx512 | Level::Avx2, _) => 6,
        (Level::Portable, _) => 4,
    }
}

impl Task for Product<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let most = vectors(L::LEVEL);
        let width = most * L::LANES;
        for (panel, column) in (0..self.columns).step_by(width).enumerate() {
            let own = width.min(self.columns - column);
            // SAFETY: the caller's product is valid for all its columns, of which these are some.
            unsafe {
                let b = self.b.add(panel * self.b_panel);
                match (own.div_ceil(L::LANES), own.is_multiple_of(L::LANES)) {
                    (4, true) if most >= 4 => self.panel::<L, 4, false>(b, column),
                    (4, false) if most >= 4 => self.panel::<L, 4, true>(b, column),
                    (3, true) if most >= 3 => self.panel::<L, 3, false>(b, column),
                    (3, false) if most >= 3 => self.panel::<L, 3, true>(b, column),
                    (2, true) => self.panel::<L, 2, false>(b, column),
                    (2, false) => self.panel::<L, 2, true>(b, column),
                    (_, true) => self.panel::<L, 1, false>(b, column),
                    (_, false) => self.panel::<L, 1, true>(b, column),
                }
            }
        }
    }
}

impl Product<'_> {
    #[inline(always)]
    unsafe fn panel<L: Lanes, const V: usize, const PART: bool>(
        &self,
        b: *const f32,
        column: usize,
    ) {
        let height = rows(L::LEVEL, V);
        let mut row = 0;
        // SAFETY: rows and columns stay inside the product, whose pointers the caller vouches for.
        unsafe {
            while self.rows.len() - row >= height {
                match height {
                    12 => self.block::<L, 12, V, PART>(b, row, column),
                    6 => self.block::<L, 6, V, PART>(b, row, column),
                    _ => self.block::<L, 4, V, PART>(b, row, column),
                }
                row += height;
            }
            while self.rows.len() - row >= 4 {
                self.block::<L, 4, V, PART>(b, row, column);
                row += 4;
            }
            while row < self.rows.len() {
                self.block::<L, 1, V, PART>(b, row, column);
                row += 1;
            }
        }
    }

    /// From one row of A to the next, about.
    #[inline(always)]
    fn row_step(&self) -> usize {
        match self.rows {
            [first, .., last] => (last - first) / (self.rows.len() - 1),
            _ => 0,
        }
    }

    /// M rows by V vectors of C; with `PART` the last vector is not full.
    #[inline(always)]
    unsafe fn block<L: Lanes, const M: usize, const V: usize, const PART: bool>(
        &self,
        b: *const f32,
        row: usize,
        column: usize,
    ) {
        // SAFETY: A, B and C are valid for the rows, columns and steps of the product; partial
        // loads and stores keep the last vector inside `columns`.
        unsafe {
            let last = self.columns - column - (V - 1) * L::LANES;
            let c = self.c.add(row * self.c_step + column);
            for r in 0..M {
                let next = c.wrapping_add((AHEAD * M + r) * self.c_step);
                (0..V).for_each(|v| prefetch(next.wrapping_add(v * L::LANES)));
            }
            let mut sums = [[L::splat(0.0); V]; M];
            for (r, sums) in sums.iter_mut().enumerate() {
                for (v, sum) in sums.iter_mut().enumerate() {
                    *sum = match self.start {
                        Start::Zero => L::splat(0.0),
                        Start::Row(bias) => load::<L, V, PART>(bias.add(column), v, last),
                        Start::Itself => load::<L, V, PART>(c.add(r * self.c_step), v, last),
                    };
                }
            }
            let rows = self.rows.as_ptr().add(row).cast::<[usize; M]>().read();
            let fetches = column == 0 && self.a_step == 1;
            let ahead = AHEAD * M * self.row_step();
            for segment in 0..self.segments {
                let a = rows.map(|offset| self.a.add(offset + segment * self.a_segment));
                let b = b.add(segment * self.b_segment);
                for first in (0..self.length).step_by(LINE) {
                    if fetches {
                        a.iter().for_each(|a| prefetch(a.wrapping_add(ahead + first)));
                    }
                    for k in first..(first + LINE).min(self.length) {
                        let from = b.add(k * self.b_step);
                        let mut right = [L::splat(0.0); V];
                        for (v, right) in right.iter_mut().enumerate() {
                            *right = load::<L, V, PART>(from, v, last);
                        }
                        for r in 0..M {
                            let left = L::splat(*a[r].add(k * self.a_step));
                            for v in 0..V {
                                sums[r][v] = L::mul_add(left, right[v], sums[r][v]);
                            }
                        }
                    }
                }
            }
            for (r, sums) in sums.iter().enumerate() {
                for (v, sum) in sums.iter().enumerate() {
                    let to = c.add(r * self.c_step + v * L::LANES);
                    if PART && v == V - 1 {
                        L::store_part(to, last, *sum);
                    } else {
                        L::store(to, *sum);
                    }
                }
            }
        }
    }
}

/// Vector `index` of V from `from` on, of which with `PART` the last has `last` numbers.
#[inline(always)]
unsafe fn load<L: Lanes, const V: usize, const PART: bool>(
    from: *const f32,
    index: usize,
    last: usize,
) -> L::Vector {
    // SAFETY: the caller gives as many numbers as are loaded.
    unsafe {
        let from = from.add(index * L::LANES);
        if PART && index == V - 1 { L::load_part(from, last) } else { L::load(from) }
    }
}
