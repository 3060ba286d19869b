use super::*;
use crate::random::Random;
use crate::samples::Arrays;

fn normals(count: usize, seed: u64) -> Vec<f32> {
    let mut random = Random::new(seed);
    (0..count).map(|_| random.normal() as f32).collect()
}

/// Neighbours of one sample by sorting all cosines.
fn by_sorting(
    features: &[f32],
    size: usize,
    models: &[u32],
    k: usize,
    sample: usize,
) -> Vec<usize> {
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        a.iter().zip(b).map(|(&x, &y)| f64::from(x) * f64::from(y)).sum()
    };
    let row = |i: usize| &features[i * size..(i + 1) * size];
    let cosine = |other: usize| {
        let norms = dot(row(sample), row(sample)) * dot(row(other), row(other));
        dot(row(sample), row(other)) / norms.sqrt()
    };
    let mut others: Vec<(usize, f64)> = (0..models.len())
        .filter(|&other| other != sample && models[other] == models[sample])
        .map(|other| (other, cosine(other)))
        .collect();
    others.sort_by(|a, b| b.1.total_cmp(&a.1));
    others.truncate(k);
    others.into_iter().map(|(other, _)| other).collect()
}

fn find(features: &[f32], size: usize, models: &[u32], k: usize) -> Vec<Vec<usize>> {
    let given = vec![0; models.len()];
    let probabilities: Vec<f32> = [0.5, 0.5].repeat(models.len());
    let arrays = Arrays {
        num_classes: 2,
        given: &given,
        probabilities: &probabilities,
        num_features: size,
        features: Some(features),
        models: Some(models),
        ..Arrays::default()
    };
    let found = Neighbors::of(&Samples::new(arrays).unwrap(), k).unwrap();
    assert!(!found.projected);
    (0..models.len()).map(|sample| found.of_sample(sample).collect()).collect()
}

#[test]
fn they_are_those_that_sorting_finds_within_each_model() {
    // More rows than a block of queries, and more than one model.
    let (n, size) = (700, 9);
    let features = normals(n * size, 1);
    let models: Vec<u32> = (0..n).map(|i| u32::from(i % 3 == 0) * 7).collect();
    for (sample, found) in find(&features, size, &models, 5).into_iter().enumerate() {
        assert_eq!(found, by_sorting(&features, size, &models, 5, sample), "{sample}");
    }
}

#[test]
fn more_rows_than_a_block_that_is_searched() {
    let (n, size) = (SEARCHED + 100, 8);
    let features = normals(n * size, 2);
    let models = vec![0; n];
    let found = find(&features, size, &models, 3);
    for sample in [0, 1, SEARCHED - 1, SEARCHED, n - 1] {
        assert_eq!(found[sample], by_sorting(&features, size, &models, 3, sample), "{sample}");
    }
}

#[test]
fn few_samples_have_few_neighbours_and_equal_ones_are_in_order() {
    let features = [1.0, 0.0, 2.0, 0.0, 3.0, 0.0, 0.0, 0.0];
    let found = find(&features, 2, &[0; 4], 5);
    assert_eq!(found, [[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]]);
    assert_eq!(find(&features, 2, &[0, 1, 2, 3], 2), [[0usize; 0]; 4]);
    // Norms beyond the range of squares.
    let far = [1e30, 1e30, 1e-30, 1e-30, -1e30, 1e30];
    assert_eq!(find(&far, 2, &[0; 3], 1), [[1], [0], [0]]);
}

#[test]
fn threads_change_no_bit() {
    let features = normals(1000 * 16, 3);
    let models = vec![0; 1000];
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| find(&features, 16, &models, 10))
    };
    assert_eq!(with(1), with(3));
}

#[test]
fn a_projection_keeps_what_lies_in_few_directions() {
    // Two directions in 80 dimensions: the products of rows are those of their coordinates.
    let (n, size) = (300, 80);
    let basis = normals(2 * size, 4);
    let plane = normals(2 * n, 5);
    let rows: Vec<f32> = plane
        .chunks_exact(2)
        .flat_map(|c| {
            (0..size).map(|j| c[0] * basis[j] + c[1] * basis[size + j]).collect::<Vec<_>>()
        })
        .collect();
    let members: Vec<u32> = (0..n as u32).collect();
    let unit = unit_rows(&rows, size, &members);
    let projected = project(unit.view(), 4);
    assert_eq!(projected.dim(), (n, 4));
    let (full, few) = (unit.dot(&unit.t()), projected.dot(&projected.t()));
    let furthest = full.iter().zip(&few).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(furthest < 1e-5, "{furthest}");
}
