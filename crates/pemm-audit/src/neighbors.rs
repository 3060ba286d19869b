//! Exact nearest neighbours among feature vectors, by blocked matrix products.
//!
//! Features are divided by their norm, so that the nearest are those with the largest cosine. The
//! N² products are made in blocks of fixed size, so memory is linear in N and the bits depend on
//! neither the number of threads nor their timing. Past [`MAX_EXACT_ROWS`] rows of more than
//! [`PROJECTED_FEATURES`] features, the features are projected to as many principal components
//! first, and the search is exact in those.

mod projection;

use ndarray::{Array2, ArrayView2, s};
use rayon::prelude::*;

use crate::samples::Samples;
use projection::project;

/// Rows up to which all features are used.
pub const MAX_EXACT_ROWS: usize = 150_000;
/// Principal components that are used beyond.
pub const PROJECTED_FEATURES: usize = 64;

/// Rows of a block of queries, and of a block of those that are searched.
const QUERIES: usize = 256;
const SEARCHED: usize = 2048;
/// No neighbour: fewer samples than neighbours were asked for.
const NONE: u32 = u32::MAX;

/// The nearest other samples of each sample.
#[derive(Debug, Clone, PartialEq)]
pub struct Neighbors {
    num_neighbors: usize,
    /// `[N, num_neighbors]`, nearest first, [`NONE`] where there are no more.
    samples: Vec<u32>,
    /// Whether the features were projected first.
    pub projected: bool,
}

impl Neighbors {
    /// The `num_neighbors` nearest samples of each, among those whose features come from the same
    /// model; of equally near ones the first. `None` without features.
    ///
    /// Takes time quadratic in the number of samples of a model: 50,000 × 256 about 20 seconds on
    /// one core.
    pub fn of(samples: &Samples<'_>, num_neighbors: usize) -> Option<Self> {
        let arrays = samples.arrays();
        let features = arrays.features?;
        let mut found = Self {
            num_neighbors,
            samples: vec![NONE; samples.len() * num_neighbors],
            projected: false,
        };
        for members in members(samples.len(), arrays.models) {
            let unit = unit_rows(features, arrays.num_features, &members);
            let is_large =
                members.len() > MAX_EXACT_ROWS && arrays.num_features > PROJECTED_FEATURES;
            found.projected |= is_large;
            let unit = if is_large { project(unit.view(), PROJECTED_FEATURES) } else { unit };
            let blocks: Vec<Vec<u32>> = (0..members.len().div_ceil(QUERIES))
                .into_par_iter()
                .map(|block| search(unit.view(), block * QUERIES, num_neighbors))
                .collect();
            let nearest = blocks.iter().flat_map(|block| block.chunks_exact(num_neighbors));
            for (&sample, nearest) in members.iter().zip(nearest) {
                let row = &mut found.samples[sample as usize * num_neighbors..][..num_neighbors];
                for (to, &from) in row.iter_mut().zip(nearest) {
                    *to = if from == NONE { NONE } else { members[from as usize] };
                }
            }
        }
        Some(found)
    }

    /// The neighbours of `sample`, nearest first.
    pub fn of_sample(&self, sample: usize) -> impl Iterator<Item = usize> + '_ {
        let row = &self.samples[sample * self.num_neighbors..][..self.num_neighbors];
        row.iter().filter(|&&other| other != NONE).map(|&other| other as usize)
    }
}

/// Positions of the samples of each model, by the number of the model.
fn members(num_samples: usize, models: Option<&[u32]>) -> Vec<Vec<u32>> {
    let mut members = std::collections::BTreeMap::<u32, Vec<u32>>::new();
    for sample in 0..num_samples {
        members.entry(models.map_or(0, |models| models[sample])).or_default().push(sample as u32);
    }
    members.into_values().collect()
}

/// The features of `members`, each divided by its norm; rows of zeros stay.
fn unit_rows(features: &[f32], size: usize, members: &[u32]) -> Array2<f32> {
    let mut unit = Vec::with_capacity(members.len() * size);
    for &member in members {
        let row = &features[member as usize * size..][..size];
        // Divided by the largest first, so that no square overflows or vanishes.
        let largest = row.iter().fold(0.0f32, |largest, x| largest.max(x.abs()));
        let scale = if largest == 0.0 { 1.0 } else { largest };
        let norm = row.iter().map(|&x| f64::from(x / scale).powi(2)).sum::<f64>().sqrt();
        let norm = if norm == 0.0 { 1.0 } else { norm };
        unit.extend(row.iter().map(|&x| (f64::from(x / scale) / norm) as f32));
    }
    Array2::from_shape_vec((members.len(), size), unit).expect("a row for each member")
}

/// The nearest rows of each of up to [`QUERIES`] rows from `first` on, `[queries, num_neighbors]`.
fn search(unit: ArrayView2<'_, f32>, first: usize, num_neighbors: usize) -> Vec<u32> {
    let num_rows = unit.nrows();
    let queries = unit.slice(s![first..num_rows.min(first + QUERIES), ..]); // [queries, D]
    let mut best: Vec<Nearest> = vec![Nearest::new(num_neighbors); queries.nrows()];
    for start in (0..num_rows).step_by(SEARCHED) {
        let searched = unit.slice(s![start..num_rows.min(start + SEARCHED), ..]);
        let products = queries.dot(&searched.t()); // [queries, searched]
        for (query, (best, products)) in best.iter_mut().zip(products.rows()).enumerate() {
            for (offset, &product) in products.iter().enumerate() {
                if product > best.worst && start + offset != first + query {
                    best.insert(product, (start + offset) as u32);
                }
            }
        }
    }
    best.into_iter().flat_map(|nearest| nearest.rows).collect()
}

/// The largest products so far with their rows, largest first.
#[derive(Debug, Clone)]
struct Nearest {
    products: Vec<f32>,
    rows: Vec<u32>,
    /// The smallest of them.
    worst: f32,
}

impl Nearest {
    fn new(count: usize) -> Self {
        Self {
            products: vec![f32::NEG_INFINITY; count],
            rows: vec![NONE; count],
            worst: f32::NEG_INFINITY,
        }
    }

    /// Takes `row`, whose product is above the smallest, in; behind equal ones, which came earlier.
    fn insert(&mut self, product: f32, row: u32) {
        let at = self.products.partition_point(|&other| other >= product);
        self.products[at..].rotate_right(1);
        self.rows[at..].rotate_right(1);
        (self.products[at], self.rows[at]) = (product, row);
        self.worst = self.products[self.products.len() - 1];
    }
}

#[cfg(test)]
mod tests;
