//! A plane map of feature vectors by t-SNE (van der Maaten and Hinton 2008), with the same bits on
//! every run.
//!
//! The way: principal components (at most 50), exact neighbours among them, Barnes–Hut t-SNE from
//! the first two components. The library draws random numbers only where no start is given, and its
//! sums depend on threads, so it gets a start and one thread.

use bhtsne::{Neighbor, tSNE};
use rayon::prelude::*;

use crate::eigen::Symmetric;

/// Points of one map; beyond, a part of the samples is taken.
pub const MAX_POINTS: usize = 10_000;
/// Principal components that distances are taken over.
const COMPONENTS: usize = 50;
/// Effective number of neighbours of a point.
const PERPLEXITY: f32 = 30.0;
/// How far away a group of points must be to act as one; the usual value.
const THETA: f32 = 0.5;
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
    if features.is_empty() || num_features == 0 {
        return Vec::new();
    }
    let components = principal_components(features, num_features);
    let num_points = components.len();
    let start = start(&components);
    if num_points < MIN_POINTS {
        return places(&start);
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
        tsne.barnes_hut_with_neighbors(THETA, &neighbors);
        tsne.embedding()
    });
    places(if map.iter().all(|value| value.is_finite()) { &map } else { &start })
}

fn places(map: &[f32]) -> Vec<[f64; 2]> {
    map.chunks_exact(2).map(|row| [row[0].into(), row[1].into()]).collect()
}

/// The first principal components of each row, at most [`COMPONENTS`].
fn principal_components(features: &[f32], num_features: usize) -> Vec<Vec<f32>> {
    let rows = || features.chunks_exact(num_features);
    let num_points = (features.len() / num_features) as f64;
    let mean: Vec<f64> = (0..num_features)
        .map(|column| rows().map(|row| f64::from(row[column])).sum::<f64>() / num_points)
        .collect();
    // By columns, so that each entry of the covariance is one run over memory.
    let columns: Vec<Vec<f32>> = (0..num_features)
        .map(|column| rows().map(|row| (f64::from(row[column]) - mean[column]) as f32).collect())
        .collect();
    let entries: Vec<Vec<f64>> = (0..num_features)
        .into_par_iter()
        .map(|i| (0..=i).map(|j| product(&columns[i], &columns[j]) / num_points).collect())
        .collect();
    let covariance = Symmetric::new(num_features, |i, j| entries[i][j]);
    // Neighbours care for the space of the components, not for each of them: few rounds are enough.
    let basis = covariance.largest(COMPONENTS, 40).vectors;
    let project = |row: &[f32]| {
        let along = |vector: &Vec<f64>| {
            let entries = row.iter().zip(&mean).zip(vector);
            entries.map(|((x, mean), v)| (f64::from(*x) - mean) * v).sum::<f64>() as f32
        };
        basis.iter().map(along).collect()
    };
    rows().map(project).collect()
}

fn product(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

/// The first two components with a deviation of 1e-4, as is usual; points that coincide are moved
/// apart a little, by their number.
fn start(components: &[Vec<f32>]) -> Vec<f32> {
    let square: f32 = components.iter().map(|row| row[0] * row[0]).sum();
    let deviation = (square / components.len() as f32).sqrt();
    let scale = if deviation > 0.0 { 1e-4 / deviation } else { 0.0 };
    let place = |(number, row): (usize, &Vec<f32>)| {
        let turn = number as f32 * 2.399_963; // the golden angle
        let jitter = [1e-7 * turn.cos(), 1e-7 * turn.sin()];
        [0, 1].map(|axis| row.get(axis).copied().unwrap_or_default() * scale + jitter[axis])
    };
    components.iter().enumerate().flat_map(place).collect()
}

/// The nearest other points of each point, exact, by ascending distance; of equals the earlier.
fn neighbors(components: &[Vec<f32>], num_neighbors: usize) -> Vec<Vec<Neighbor<f32>>> {
    let of = |index: usize| {
        let squared = |other: &[f32]| {
            components[index].iter().zip(other).map(|(a, b)| (a - b) * (a - b)).sum::<f32>()
        };
        let others = components.iter().enumerate().filter(|(other, _)| *other != index);
        let mut all: Vec<(f32, usize)> = others.map(|(other, row)| (squared(row), other)).collect();
        let order = |a: &(f32, usize), b: &(f32, usize)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1));
        all.select_nth_unstable_by(num_neighbors - 1, order);
        all.truncate(num_neighbors);
        all.sort_unstable_by(order);
        let neighbor =
            |(squared, index): (f32, usize)| Neighbor { index, distance: squared.sqrt() };
        all.into_iter().map(neighbor).collect()
    };
    (0..components.len()).into_par_iter().map(of).collect()
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
