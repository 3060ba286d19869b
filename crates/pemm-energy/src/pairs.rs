//! Sums over all pairs of `{x_0 = 0, x_1 … x_K}`: the energy, its gradient, and the distances.
//!
//! Coordinates are kept by dimension (`[D, K]`), and a row of the pair matrix is worked on in blocks
//! of neighbours, so that the inner loops run over neighbouring memory and no `[K, K]` matrix is
//! made. Each row is summed in a fixed order, and rows are put together in their order, so threads
//! change no bit.

use std::ops::Range;

use rayon::prelude::*;

use crate::potential::Potential;

/// Neighbours that are worked on together; their buffers stay in the first-level cache.
const BLOCK: usize = 128;
/// Rows that one task takes, which share the block of neighbours that they read.
const ROWS: usize = 16;
/// Sums kept apart, so that a sum need not wait for the one before it.
const LANES: usize = 8;

/// K points in D dimensions.
#[derive(Debug, Clone, PartialEq)]
pub struct Points {
    num_points: usize,
    dimensions: usize,
    /// `[D, K]`
    coordinates: Vec<f64>,
}

impl Points {
    /// `num_points` points with the coordinates `[D, K]`: all of the first dimension, then all of
    /// the second.
    ///
    /// # Panics
    /// If there are not `num_points · dimensions` coordinates, or none.
    pub fn new(num_points: usize, dimensions: usize, coordinates: Vec<f64>) -> Self {
        assert!(num_points > 0 && dimensions > 0, "there must be a point and a dimension");
        assert_eq!(coordinates.len(), num_points * dimensions);
        Self { num_points, dimensions, coordinates }
    }

    /// Number of points K.
    pub fn num_points(&self) -> usize {
        self.num_points
    }

    /// Number of dimensions D.
    pub fn dimensions(&self) -> usize {
        self.dimensions
    }

    /// Coordinate `dimension` of every point.
    pub fn axis(&self, dimension: usize) -> &[f64] {
        &self.coordinates[dimension * self.num_points..][..self.num_points]
    }

    /// Coordinate `dimension` of every point, to be changed.
    pub fn axis_mut(&mut self, dimension: usize) -> &mut [f64] {
        &mut self.coordinates[dimension * self.num_points..][..self.num_points]
    }
}

/// Distances of all K(K+1)/2 pairs, those with the origin included.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Distances {
    /// Smallest.
    pub min: f64,
    /// Mean.
    pub mean: f64,
    /// Largest.
    pub max: f64,
    /// Standard deviation (of the pairs, not of a sample of them).
    pub deviation: f64,
    /// Sum, eq. 15's left side.
    pub sum: f64,
}

/// What a state of the points gives.
#[derive(Debug, Clone, PartialEq)]
pub struct PairSums {
    /// `Σ_{i<j} V(‖x_i - x_j‖)` over all K(K+1)/2 pairs (eq. 11).
    pub energy: f64,
    /// Its gradient with respect to each point, laid out as the points are; a pair at distance 0
    /// gives 0.
    pub gradient: Points,
    /// The distances.
    pub distances: Distances,
}

/// Energy, gradient and distances of `points`.
///
/// Takes K² D operations, on all threads.
pub fn pair_sums(potential: Potential, points: &Points) -> PairSums {
    let kernel = Kernel::of(potential);
    let num_points = points.num_points;
    let starts: Vec<usize> = (0..num_points).step_by(ROWS).collect();
    let blocks: Vec<Vec<Row>> = starts
        .par_iter()
        .map(|&start| rows(kernel, points, start..(start + ROWS).min(num_points)))
        .collect();

    let mut gradient = points.clone();
    let (mut between, mut with_origin) = (Tally::default(), Tally::default());
    for (i, row) in blocks.into_iter().flatten().enumerate() {
        for (d, value) in row.gradient.into_iter().enumerate() {
            gradient.axis_mut(d)[i] = value;
        }
        between.add(row.between);
        with_origin.add(row.with_origin);
    }
    // Each pair of two points was met from both of its ends.
    let num_pairs = (num_points * (num_points + 1) / 2) as f64;
    let offsets = 0.5 * between.offsets + with_origin.offsets;
    let squares = 0.5 * between.squares + with_origin.squares;
    let mean_offset = offsets / num_pairs;
    let distances = Distances {
        min: between.min.min(with_origin.min),
        mean: kernel.rest + mean_offset,
        max: between.max.max(with_origin.max),
        deviation: (squares / num_pairs - mean_offset * mean_offset).max(0.0).sqrt(),
        sum: num_pairs * kernel.rest + offsets,
    };
    PairSums { energy: 0.5 * between.energy + with_origin.energy, gradient, distances }
}

/// The pairs of one point.
struct Row {
    gradient: Vec<f64>,
    between: Tally,
    with_origin: Tally,
}

/// Sums over some pairs. Distances are counted from the one at rest, so that their deviation is
/// exact where all are nearly equal.
#[derive(Debug, Clone, Copy)]
struct Tally {
    energy: f64,
    offsets: f64,
    squares: f64,
    min: f64,
    max: f64,
}

impl Default for Tally {
    fn default() -> Self {
        Self { energy: 0.0, offsets: 0.0, squares: 0.0, min: f64::INFINITY, max: 0.0 }
    }
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.energy += other.energy;
        self.offsets += other.offsets;
        self.squares += other.squares;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    fn add_pairs(&mut self, rest: f64, distances: &[f64], values: &[f64]) {
        self.energy += sum(values, |value| value);
        self.offsets += sum(distances, |r| r - rest);
        self.squares += sum(distances, |r| (r - rest) * (r - rest));
        let [min, max] = extremes(distances);
        (self.min, self.max) = (self.min.min(min), self.max.max(max));
    }
}

/// The rows `range` of the pair matrix.
fn rows(kernel: Kernel, points: &Points, range: Range<usize>) -> Vec<Row> {
    let (num_points, dimensions) = (points.num_points, points.dimensions);
    let mut rows: Vec<Row> = range.clone().map(|i| kernel.with_origin(points, i)).collect();
    for start in (0..num_points).step_by(BLOCK) {
        let length = BLOCK.min(num_points - start);
        for (i, row) in range.clone().zip(&mut rows) {
            // Lanes beyond the last point hold any distance that is not 0, and are never read.
            let mut distances = [1.0; BLOCK];
            distances[..length].fill(0.0);
            for d in 0..dimensions {
                let axis = points.axis(d);
                let own = axis[i];
                for (square, other) in distances[..length].iter_mut().zip(&axis[start..]) {
                    *square += (own - other) * (own - other);
                }
            }
            distances.iter_mut().for_each(|square| *square = square.sqrt());
            let (values, weights) = kernel.pairs(&distances);
            // A point is no pair with itself.
            let own = i.checked_sub(start).filter(|&own| own < length);
            let (end, again) = own.map_or((length, length), |own| (own, own + 1));
            for part in [0..end, again..length] {
                row.between.add_pairs(kernel.rest, &distances[part.clone()], &values[part]);
            }
            for (d, gradient) in row.gradient.iter_mut().enumerate() {
                let axis = points.axis(d);
                *gradient += pull(&weights[..length], axis[i], &axis[start..start + length]);
            }
        }
    }
    rows
}

/// A potential as it is worked out for a block of pairs.
#[derive(Debug, Clone, Copy)]
struct Kernel {
    potential: Potential,
    rest: f64,
    /// u and u - v, if both are whole: products are many times as fast as powers.
    powers: Option<[u32; 2]>,
}

impl Kernel {
    fn of(potential: Potential) -> Self {
        Self { potential, rest: potential.rest_distance(), powers: potential.whole_powers() }
    }

    /// A row with point `i`'s pair with the origin.
    fn with_origin(self, points: &Points, i: usize) -> Row {
        let own: Vec<f64> = (0..points.dimensions).map(|d| points.axis(d)[i]).collect();
        let r = own.iter().map(|x| x * x).sum::<f64>().sqrt();
        let weight = if r > 0.0 { self.potential.derivative(r) / r } else { 0.0 };
        let mut with_origin = Tally::default();
        with_origin.add_pairs(self.rest, &[r], &[self.potential.value(r)]);
        let gradient = own.into_iter().map(|x| weight * x).collect();
        Row { gradient, between: Tally::default(), with_origin }
    }

    /// V(r) and V'(r) / r, which is 0 at r = 0.
    fn pairs(self, distances: &[f64; BLOCK]) -> ([f64; BLOCK], [f64; BLOCK]) {
        let (mut values, mut weights) = ([0.0; BLOCK], [0.0; BLOCK]);
        match (self.potential, self.powers) {
            (Potential::Energy { u, v, xi, beta }, Some([push, difference])) => {
                let shifted = distances.map(|r| r + beta);
                let (push, pull) = (power(&shifted, push), power(&shifted, difference));
                for k in 0..BLOCK {
                    values[k] = (1.0 - xi * pull[k]) / push[k];
                    weights[k] = (xi * v * pull[k] - u) / (push[k] * shifted[k] * distances[k]);
                }
            }
            (potential, _) => {
                for k in 0..BLOCK {
                    values[k] = potential.value(distances[k]);
                    weights[k] = potential.derivative(distances[k]) / distances[k];
                }
            }
        }
        for (weight, &r) in weights.iter_mut().zip(distances) {
            *weight = if r > 0.0 { *weight } else { 0.0 };
        }
        (values, weights)
    }
}

/// Every value to a whole power, by squaring.
fn power(base: &[f64; BLOCK], mut exponent: u32) -> [f64; BLOCK] {
    let (mut result, mut square) = ([1.0; BLOCK], *base);
    while exponent > 0 {
        if exponent % 2 == 1 {
            result.iter_mut().zip(&square).for_each(|(result, square)| *result *= square);
        }
        square.iter_mut().for_each(|square| *square *= *square);
        exponent /= 2;
    }
    result
}

/// `Σ_j w_j (x - x_j)`
fn pull(weights: &[f64], own: f64, others: &[f64]) -> f64 {
    let mut lanes = [0.0; LANES];
    let (weight_chunks, other_chunks) = (weights.chunks_exact(LANES), others.chunks_exact(LANES));
    let rest = weight_chunks.remainder().iter().zip(other_chunks.remainder());
    let rest: f64 = rest.map(|(weight, other)| weight * (own - other)).sum();
    for (weights, others) in weight_chunks.zip(other_chunks) {
        for k in 0..LANES {
            lanes[k] += weights[k] * (own - others[k]);
        }
    }
    lanes.iter().sum::<f64>() + rest
}

/// Smallest and largest; NaN is neither.
fn extremes(values: &[f64]) -> [f64; 2] {
    let (mut least, mut most) = ([f64::INFINITY; LANES], [0.0; LANES]);
    for chunk in values.chunks(LANES) {
        for (k, &value) in chunk.iter().enumerate() {
            least[k] = if value < least[k] { value } else { least[k] };
            most[k] = if value > most[k] { value } else { most[k] };
        }
    }
    [least.into_iter().fold(f64::INFINITY, f64::min), most.into_iter().fold(0.0, f64::max)]
}

fn sum(values: &[f64], term: impl Fn(f64) -> f64) -> f64 {
    let mut lanes = [0.0; LANES];
    let chunks = values.chunks_exact(LANES);
    let rest: f64 = chunks.remainder().iter().map(|&value| term(value)).sum();
    for chunk in chunks {
        for k in 0..LANES {
            lanes[k] += term(chunk[k]);
        }
    }
    lanes.iter().sum::<f64>() + rest
}

#[cfg(test)]
mod tests;
