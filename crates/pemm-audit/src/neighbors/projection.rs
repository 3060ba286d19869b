//! Fewer dimensions: the leading principal directions of unit vectors.

use ndarray::{Array2, ArrayView2, Axis, s};
use rayon::prelude::*;

use crate::random::Random;

/// Rows, evenly spaced, from which the directions are computed.
const NUM_ROWS: usize = 20_000;
/// Rounds of orthogonal iteration.
const ROUNDS: usize = 30;
/// Rows of a block that is projected at once.
const BLOCK: usize = 4096;

/// The coordinates of the rows of `unit`, `[N, D]`, along `count` directions, `[N, count]`: the leading
/// eigenvectors of `Σ z zᵀ`, not centred, since it is products and not distances that the search
/// compares.
///
/// By orthogonal iteration: where two eigenvalues at the cut are close, the
/// directions there are mixtures of the two, which serve as well.
pub(super) fn project(unit: ArrayView2<'_, f32>, count: usize) -> Array2<f32> {
    let (num_rows, size) = unit.dim();
    let taken = num_rows.min(NUM_ROWS);
    let mut second = Array2::<f64>::zeros((size, size));
    for start in (0..taken).step_by(BLOCK) {
        let rows: Vec<usize> =
            (start..taken.min(start + BLOCK)).map(|i| i * num_rows / taken).collect();
        let block = unit.select(Axis(0), &rows).mapv(f64::from);
        second += &block.t().dot(&block);
    }
    // Each row is a direction; at random first, so that none is orthogonal to all that matters.
    let mut random = Random::new(1);
    let mut directions = Array2::from_shape_simple_fn((count, size), || random.unit() - 0.5);
    for _ in 0..ROUNDS {
        directions = directions.dot(&second);
        make_orthonormal(&mut directions);
    }
    let directions = directions.mapv(|x| x as f32);
    let blocks: Vec<Array2<f32>> = (0..num_rows.div_ceil(BLOCK))
        .into_par_iter()
        .map(|block| {
            let rows = s![block * BLOCK..num_rows.min((block + 1) * BLOCK), ..];
            unit.slice(rows).dot(&directions.t())
        })
        .collect();
    let blocks: Vec<ArrayView2<'_, f32>> = blocks.iter().map(|block| block.view()).collect();
    ndarray::concatenate(Axis(0), &blocks).expect("all blocks have as many columns")
}

/// Gram–Schmidt over the rows, twice for precision; a row that lies in the span of those before it
/// becomes zero.
fn make_orthonormal(rows: &mut Array2<f64>) {
    for index in 0..rows.nrows() {
        let (before, mut rest) = rows.view_mut().split_at(Axis(0), index);
        let mut row = rest.row_mut(0);
        let length = row.dot(&row).sqrt();
        for _ in 0..2 {
            for other in before.rows() {
                let along = row.dot(&other);
                row.scaled_add(-along, &other);
            }
        }
        let left = row.dot(&row).sqrt();
        let scale = if left > 1e-9 * length { 1.0 / left } else { 0.0 };
        row.mapv_inplace(|x| x * scale);
    }
}
