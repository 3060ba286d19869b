//! Local outlier factors: how much thinner the samples lie around a sample than around its neighbours.
//!
//! Distances are one minus the cosine, in float64. The N² products are made in blocks of fixed size,
//! so the bits depend on neither the number of threads nor their timing.

use ndarray::{Array2, ArrayView2, s};
use rayon::prelude::*;

/// Rows of a block of queries.
const QUERIES: usize = 256;
/// Keeps the density of samples that lie on each other finite, as scikit-learn does.
const LEAST_REACH: f64 = 1e-10;

/// The local outlier factor of each row of `features`, `[N, D]`, among its `num_neighbors` nearest
/// others (all of them, if there are fewer; of equally near ones the first): the mean of their local
/// densities over its own, about 1 inside of a cluster and larger outside. The local density is one
/// over the mean of `max(d(p, o), distance of o to its last neighbour)` over the neighbours o of p.
///
/// 1 for all where no row has a neighbour. Takes time quadratic in N, and memory for N · `num_neighbors`
/// distances.
///
/// # Panics
/// Where `features` are no rows of `num_features`.
///
/// # Reference
/// Breunig et al. 2000, LOF: Identifying Density-Based Local Outliers; as scikit-learn's
/// `LocalOutlierFactor(metric="cosine")`.
pub fn local_outlier_factors(
    features: &[f32],
    num_features: usize,
    num_neighbors: usize,
) -> Vec<f64> {
    assert_eq!(features.len() % num_features.max(1), 0, "rows of {num_features} features");
    let num = features.len() / num_features.max(1);
    let num_neighbors = num_neighbors.min(num.saturating_sub(1));
    if num_neighbors == 0 {
        return vec![1.0; num];
    }
    let unit = unit_rows(features, num_features);
    let blocks: Vec<Vec<(f64, u32)>> = (0..num.div_ceil(QUERIES))
        .into_par_iter()
        .map(|block| nearest(unit.view(), block * QUERIES, num_neighbors))
        .collect();
    // [N, num_neighbors], nearest first.
    let neighbors: Vec<&[(f64, u32)]> =
        blocks.iter().flat_map(|block| block.chunks_exact(num_neighbors)).collect();
    let radius = |sample: u32| neighbors[sample as usize][num_neighbors - 1].0;
    let mean = |values: &mut dyn Iterator<Item = f64>| values.sum::<f64>() / num_neighbors as f64;
    let densities: Vec<f64> = neighbors
        .par_iter()
        .map(|row| {
            let mut reaches = row.iter().map(|&(distance, other)| distance.max(radius(other)));
            1.0 / (mean(&mut reaches) + LEAST_REACH)
        })
        .collect();
    neighbors
        .par_iter()
        .zip(&densities)
        .map(|(row, density)| {
            mean(&mut row.iter().map(|&(_, other)| densities[other as usize])) / density
        })
        .collect()
}

/// Rows divided by their norms; a row of zeros stays, and is at distance 1 from all.
fn unit_rows(features: &[f32], num_features: usize) -> Array2<f64> {
    let mut unit = Vec::with_capacity(features.len());
    for row in features.chunks_exact(num_features) {
        let norm = row.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
        let norm = if norm == 0.0 { 1.0 } else { norm };
        unit.extend(row.iter().map(|&x| f64::from(x) / norm));
    }
    let shape = (features.len() / num_features, num_features);
    Array2::from_shape_vec(shape, unit).expect("as many rows as there are")
}

/// Distance and number of the `num_neighbors` nearest others of up to [`QUERIES`] rows from `first` on,
/// nearest first.
fn nearest(unit: ArrayView2<'_, f64>, first: usize, num_neighbors: usize) -> Vec<(f64, u32)> {
    let last = (first + QUERIES).min(unit.nrows());
    let products = unit.slice(s![first..last, ..]).dot(&unit.t()); // [queries, N]
    let mut all = Vec::with_capacity((last - first) * num_neighbors);
    for (query, row) in (first..).zip(products.rows()) {
        let others = (0..).zip(row).filter(|(other, _)| *other != query as u32);
        let mut others: Vec<(f64, u32)> =
            others.map(|(other, product)| ((1.0 - product).max(0.0), other)).collect();
        let order = |a: &(f64, u32), b: &(f64, u32)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1));
        if num_neighbors < others.len() {
            others.select_nth_unstable_by(num_neighbors, order);
            others.truncate(num_neighbors);
        }
        others.sort_unstable_by(order);
        all.extend(others);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By `tests/reference/make_outliers.py`, in scikit-learn.
    const CASES: &str = include_str!("../tests/reference/outliers.json");

    #[test]
    fn factors_are_those_of_scikit_learn() {
        let cases: serde_json::Value = serde_json::from_str(CASES).unwrap();
        let cases = cases.as_array().unwrap();
        assert_eq!(cases.len(), 3);
        for case in cases {
            let rows: Vec<Vec<f32>> = serde_json::from_value(case["features"].clone()).unwrap();
            let expected: Vec<f64> = serde_json::from_value(case["factors"].clone()).unwrap();
            let num_neighbors = case["num_neighbors"].as_u64().unwrap() as usize;
            let found = local_outlier_factors(&rows.concat(), rows[0].len(), num_neighbors);
            assert_eq!(found.len(), expected.len());
            for (a, b) in found.iter().zip(&expected) {
                assert!((a - b).abs() < 1e-9 * b, "{num_neighbors} neighbours: {a}, not {b}");
            }
        }
    }

    #[test]
    fn what_lies_apart_has_the_largest_factor_whatever_its_length() {
        // Ten directions close together and one across; lengths do not count.
        let mut features: Vec<f32> =
            (0..10).flat_map(|i| [10.0 + i as f32, 0.1 * (i as f32 - 4.5)]).collect();
        features.extend([0.0, 0.01]);
        let factors = local_outlier_factors(&features, 2, 4);
        assert!(factors[..10].iter().all(|&factor| factor < 2.0), "{factors:?}");
        assert!(factors[10] > 10.0, "{factors:?}");
    }

    #[test]
    fn the_least_of_samples_are_judged_without_a_panic() {
        assert_eq!(local_outlier_factors(&[], 3, 5), [0.0; 0]);
        assert_eq!(local_outlier_factors(&[1.0, 0.0], 2, 5), [1.0]);
        let equal = local_outlier_factors(&[1.0, 0.0, 2.0, 0.0, 0.0, 0.0], 2, 1);
        assert!(equal.iter().all(|factor| factor.is_finite()), "{equal:?}");
        assert_eq!(equal[0], 1.0);
    }
}
