//! Fewer dimensions: the principal components of unit vectors.

use nalgebra::{DMatrix, DMatrixView, SymmetricEigen};
use rayon::prelude::*;

/// Rows, evenly spaced, from which the components are computed.
const NUM_ROWS: usize = 20_000;
/// Rows of a block that is projected at once.
const BLOCK: usize = 4096;

/// The coordinates of the rows of `unit`, `[N, D]`, along the `count` directions in which the rows
/// are longest, `[N, count]`: the leading eigenvectors of `Σ z zᵀ`, not centred, since it is products
/// and not distances that the search compares. The sign of a direction, which means nothing, makes
/// its largest entry positive.
pub(super) fn project(unit: &[f32], size: usize, count: usize) -> Vec<f32> {
    let num_rows = unit.len() / size;
    let taken = num_rows.min(NUM_ROWS);
    let mut second = DMatrix::<f64>::zeros(size, size);
    let mut block = DMatrix::<f64>::zeros(size, 256);
    for start in (0..taken).step_by(256) {
        block.fill(0.0);
        for (column, index) in (start..taken.min(start + 256)).enumerate() {
            let row = &unit[index * num_rows / taken * size..][..size];
            block.column_mut(column).iter_mut().zip(row).for_each(|(to, &x)| *to = f64::from(x));
        }
        second.gemm(1.0, &block, &block.transpose(), 1.0);
    }
    let eigen = SymmetricEigen::new(second);
    let mut order: Vec<usize> = (0..size).collect();
    order.sort_by(|&a, &b| eigen.eigenvalues[b].total_cmp(&eigen.eigenvalues[a]));
    let mut directions = DMatrix::<f32>::zeros(count, size);
    for (to, &from) in order.iter().take(count).enumerate() {
        let direction = eigen.eigenvectors.column(from);
        let sign = direction[direction.icamax()].signum();
        directions
            .row_mut(to)
            .iter_mut()
            .zip(&direction)
            .for_each(|(to, x)| *to = (sign * x) as f32);
    }
    let blocks: Vec<Vec<f32>> = unit
        .par_chunks(BLOCK * size)
        .map(|rows| {
            let rows = DMatrixView::from_slice(rows, size, rows.len() / size); // [D, block]
            (&directions * rows).as_slice().to_vec() // [count, block]
        })
        .collect();
    blocks.concat()
}
