//! A plane map of feature vectors by t-SNE (van der Maaten and Hinton 2008), with the same bits on
//! every run.
//!
//! The way: principal components (at most 50), exact neighbours among them, FIt-SNE from the first
//! two components. The library draws random numbers only where no start is given, and its sums
//! depend on threads, so it gets a start and one thread.

use bhtsne::{Neighbor, tSNE};
use nalgebra::{DMatrix, SymmetricEigen};
use rayon::prelude::*;

/// Points of one map; beyond, a part of the samples is taken.
pub const MAX_POINTS: usize = 10_000;
/// Principal components that distances are taken over.
const COMPONENTS: usize = 50;
/// Effective number of neighbours of a point.
const PERPLEXITY: f32 = 30.0;
/// Steps of the optimisation.
const ROUNDS: usize = 750;
/// Fewer points are shown by their principal components.
const MIN_POINTS: usize = 12;

/// Positions of at most `most` of `total` samples, evenly spread.
pub fn spread(total: usize, most: usize) -> Vec<usize> {
    let num = total.min(most);
    (0..num).map(|i| i * total / num).collect()
}

/// A place in the plane for each row of `features` `[N, D]`. `on_round` hears how many rounds are
/// done and of how many.
///
/// Distances in the map mean little; which points are neighbours means much. Rows that are equal, or
/// nothing but zeros, are allowed.
pub fn embed(
    features: &[f32],
    num_features: usize,
    on_round: &mut (dyn FnMut(usize, usize) + Send),
) -> Vec<[f64; 2]> {
    let Some(components) = principal_components(features, num_features, COMPONENTS) else {
        return Vec::new();
    };
    let num_points = components.nrows();
    let start = start(&components);
    if num_points < MIN_POINTS {
        return start.chunks_exact(2).map(|row| [row[0].into(), row[1].into()]).collect();
    }
    let perplexity = PERPLEXITY.min((num_points - 1) as f32 / 3.0 - 0.5);
    let num_neighbors = ((3.0 * perplexity) as usize).clamp(1, num_points - 1);
    let neighbors = neighbors(&components, num_neighbors);
    let rows: Vec<usize> = (0..num_points).collect();
    let one_thread = rayon::ThreadPoolBuilder::new().num_threads(1).build();
    let one_thread = one_thread.expect("the system gives one more thread");
    let map = one_thread.install(|| {
        let mut tsne: tSNE<f32, usize> = tSNE::new(&rows);
        let mut round = 0;
        tsne.perplexity(perplexity).epochs(ROUNDS).initial_embedding(start.clone());
        tsne.epoch_callback(move |_, _| {
            round += 1;
            on_round(round, ROUNDS);
        });
        tsne.fit_sne_with_neighbors(&neighbors);
        tsne.embedding()
    });
    let is_finite = map.iter().all(|value| value.is_finite());
    let map = if is_finite { map } else { start };
    map.chunks_exact(2).map(|row| [row[0].into(), row[1].into()]).collect()
}

/// The first `most` principal components of the rows, `[N, ≤ most]`; none without values.
fn principal_components(
    features: &[f32],
    num_features: usize,
    most: usize,
) -> Option<DMatrix<f32>> {
    if features.is_empty() || num_features == 0 {
        return None;
    }
    let num_points = features.len() / num_features;
    let mut centered = DMatrix::from_row_slice(num_points, num_features, features);
    for mut column in centered.column_iter_mut() {
        // In f64, and in the order of the rows.
        let mean = column.iter().map(|&x| f64::from(x)).sum::<f64>() / num_points as f64;
        column.add_scalar_mut(-mean as f32);
    }
    let covariance = centered.tr_mul(&centered) / num_points as f32;
    let eigen = SymmetricEigen::new(covariance.cast::<f64>());
    let mut order: Vec<usize> = (0..num_features).collect();
    order.sort_by(|&a, &b| eigen.eigenvalues[b].total_cmp(&eigen.eigenvalues[a]).then(a.cmp(&b)));
    let kept = num_features.min(most).max(1);
    let basis = DMatrix::from_fn(num_features, kept, |row, column| {
        let vector = eigen.eigenvectors.column(order[column]);
        (sign(vector.iter().copied()) * vector[row]) as f32
    });
    Some(centered * basis)
}

/// An eigenvector is one up to its sign; ours has its largest entry above 0, the first of equals.
pub(crate) fn sign(vector: impl Iterator<Item = f64>) -> f64 {
    let largest =
        vector.fold(0.0f64, |best, x| if x.abs() > best.abs() + 1e-12 { x } else { best });
    if largest < 0.0 { -1.0 } else { 1.0 }
}

/// The first two components with a deviation of 1e-4, as is usual; points that coincide are moved
/// apart a little, by their number.
fn start(components: &DMatrix<f32>) -> Vec<f32> {
    let num_points = components.nrows();
    let first = components.column(0);
    let deviation = (first.iter().map(|x| x * x).sum::<f32>() / num_points as f32).sqrt();
    let scale = if deviation > 0.0 { 1e-4 / deviation } else { 0.0 };
    let mut start = Vec::with_capacity(2 * num_points);
    for row in 0..num_points {
        for column in 0..2 {
            let value = if column < components.ncols() { components[(row, column)] } else { 0.0 };
            let turn = row as f32 * 2.399_963; // the golden angle
            let jitter = 1e-7 * if column == 0 { turn.cos() } else { turn.sin() };
            start.push(value * scale + jitter);
        }
    }
    start
}

/// The nearest other points of each point, exact, by ascending distance; of equals the earlier.
fn neighbors(components: &DMatrix<f32>, num_neighbors: usize) -> Vec<Vec<Neighbor<f32>>> {
    let rows: Vec<Vec<f32>> =
        components.row_iter().map(|row| row.iter().copied().collect()).collect();
    (0..rows.len())
        .into_par_iter()
        .map(|index| {
            let squared = |other: &Vec<f32>| {
                rows[index].iter().zip(other).map(|(a, b)| (a - b) * (a - b)).sum::<f32>()
            };
            let others = rows.iter().enumerate().filter(|(other, _)| *other != index);
            let mut all: Vec<(f32, usize)> =
                others.map(|(other, row)| (squared(row), other)).collect();
            let order =
                |a: &(f32, usize), b: &(f32, usize)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1));
            all.select_nth_unstable_by(num_neighbors - 1, order);
            all.truncate(num_neighbors);
            all.sort_unstable_by(order);
            let neighbor =
                |(squared, index): (f32, usize)| Neighbor { index, distance: squared.sqrt() };
            all.into_iter().map(neighbor).collect()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three groups of 8-dimensional points, far from one another.
    fn groups(num: usize) -> Vec<f32> {
        let mut state = 1u64;
        let mut random = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 40) as f32 / (1 << 24) as f32
        };
        (0..3 * num)
            .flat_map(|i| (0..8).map(move |d| if d == i % 3 { 20.0 } else { 0.0 }))
            .map(|center| center + random())
            .collect()
    }

    #[test]
    fn groups_stay_together_and_every_run_gives_the_same_bits() {
        let features = groups(50);
        let mut rounds = 0;
        let map = embed(&features, 8, &mut |done, all| {
            assert!(done <= all);
            rounds += 1;
        });
        assert_eq!((map.len(), rounds), (150, ROUNDS));
        let distance = |a: [f64; 2], b: [f64; 2]| (a[0] - b[0]).hypot(a[1] - b[1]);
        for (i, point) in map.iter().enumerate() {
            let others = (0..map.len()).filter(|&j| j != i);
            let nearest = others
                .min_by(|&a, &b| distance(*point, map[a]).total_cmp(&distance(*point, map[b])));
            assert_eq!(nearest.unwrap() % 3, i % 3, "{i}");
        }
        for num_threads in [1, 4] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(num_threads).build().unwrap();
            let again = pool.install(|| embed(&features, 8, &mut |_, _| {}));
            assert!(again == map);
        }
    }

    #[test]
    fn odd_inputs_have_places() {
        for (features, num_features) in [
            (vec![], 4),
            (vec![1.0, 2.0], 2),
            (vec![0.0; 40], 1),
            (vec![0.0; 400], 4),
            (vec![7.5; 130], 1),
            ((0..26).map(|i| i as f32).collect(), 2),
        ] {
            let map = embed(&features, num_features, &mut |_, _| {});
            assert_eq!(map.len(), features.len() / num_features);
            assert!(map.iter().flatten().all(|value| value.is_finite()), "{features:?}");
        }
    }

    #[test]
    fn a_part_is_spread_evenly() {
        assert_eq!(spread(3, 10), [0, 1, 2]);
        assert_eq!(spread(10, 4), [0, 2, 5, 7]);
        assert_eq!(spread(0, 4), [0usize; 0]);
    }
}
