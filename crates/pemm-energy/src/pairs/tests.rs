//! Sums against the plain equation, and what must never happen.

use super::*;

/// Points that lie apart: no two of these multiples of the golden ratio are near each other.
fn scattered(num_points: usize, dimensions: usize) -> Points {
    let coordinate = |i: usize| 3.0 * (i as f64 * 0.618_033_988_749_895).fract() - 1.2;
    let coordinates = (1..=num_points * dimensions).map(coordinate).collect();
    Points::new(num_points, dimensions, coordinates)
}

fn row(points: &Points, i: usize) -> Vec<f64> {
    (0..points.dimensions()).map(|d| points.axis(d)[i]).collect()
}

/// All distances, written as eq. 11 is: the origin is point 0.
fn plain_distances(points: &Points) -> Vec<f64> {
    let mut all = vec![vec![0.0; points.dimensions()]];
    all.extend((0..points.num_points()).map(|i| row(points, i)));
    let distance =
        |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt();
    let pairs = (0..all.len()).flat_map(|i| (i + 1..all.len()).map(move |j| (i, j)));
    pairs.map(|(i, j)| distance(&all[i], &all[j])).collect()
}

#[test]
fn sums_are_those_of_the_plain_equation() {
    let potentials = [
        Potential::energy(3.0, 2.0, 2.0, 0.3).unwrap(),
        Potential::energy(7.0, 4.0, 0.5, 0.0).unwrap(),
        Potential::energy(2.5, 1.25, 2.0, 0.1).unwrap(),
        Potential::Margin { rest: 1.5 },
    ];
    // Fewer than a block, more, and exactly one.
    for (num_points, dimensions) in [(2, 1), (9, 4), (BLOCK, 3), (BLOCK + 7, 2)] {
        let points = scattered(num_points, dimensions);
        let plain = plain_distances(&points);
        for potential in potentials {
            let found = pair_sums(potential, &points);
            let energy: f64 = plain.iter().map(|&r| potential.value(r)).sum();
            let near = |a: f64, b: f64| (a - b).abs() <= 1e-10 * (1.0 + b.abs());
            assert!(near(found.energy, energy), "{potential:?} {} {energy}", found.energy);
            let Distances { min, mean, max, deviation, sum } = found.distances;
            let count = plain.len() as f64;
            assert!(near(sum, plain.iter().sum()) && near(mean, sum / count));
            assert!(near(min, plain.iter().copied().fold(f64::INFINITY, f64::min)));
            assert!(near(max, plain.iter().copied().fold(0.0, f64::max)));
            let variance = plain.iter().map(|r| (r - mean).powi(2)).sum::<f64>() / count;
            assert!(near(deviation, variance.sqrt()), "{deviation} {variance}");
        }
    }
}

#[test]
fn the_gradient_is_that_of_the_energy() {
    let potential = Potential::energy(3.0, 2.0, 2.0, 0.3).unwrap();
    let points = scattered(20, 3);
    let gradient = pair_sums(potential, &points).gradient;
    for (i, d) in [(0, 0), (7, 1), (19, 2)] {
        let energy = |step: f64| {
            let mut moved = points.clone();
            moved.axis_mut(d)[i] += step;
            pair_sums(potential, &moved).energy
        };
        let slope = (energy(1e-6) - energy(-1e-6)) / 2e-6;
        let exact = gradient.axis(d)[i];
        assert!((slope - exact).abs() < 1e-5 * exact.abs().max(1.0), "{slope} {exact}");
    }
}

#[test]
fn coinciding_points_push_nothing_and_give_no_nan() {
    let coordinates = vec![0.0, 1.0, 1.0, 0.0, 0.0, 0.0];
    let points = Points::new(3, 2, coordinates);
    let offset = pair_sums(Potential::energy(3.0, 2.0, 2.0, 0.3).unwrap(), &points);
    assert!(offset.energy.is_finite());
    for d in 0..2 {
        assert!(offset.gradient.axis(d).iter().all(|x| x.is_finite()));
    }
    let bare = pair_sums(Potential::energy(3.0, 2.0, 2.0, 0.0).unwrap(), &points);
    assert_eq!(bare.energy, f64::INFINITY);
    assert!(bare.gradient.axis(0).iter().all(|x| x.is_finite()));
}

#[test]
fn threads_change_no_bit() {
    let potential = Potential::energy(3.0, 2.0, 2.0, 0.3).unwrap();
    let points = scattered(300, 5);
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| pair_sums(potential, &points))
    };
    assert_eq!(with(1), with(3));
}
