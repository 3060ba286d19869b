//! Points on their way, as seen: which moments, from where, at which scale.

use pemm_energy::Settled;
use pemm_energy::settle::Positions;

/// How far the eye turns around points in more than two dimensions, from start to end.
const TURN: f64 = 1.4;
/// How far it stands above them.
const PITCH: f64 = 0.35;

/// A moment.
#[derive(Debug, Clone)]
pub(super) struct Shot {
    /// The step that it lies in or at.
    pub(super) step: f64,
    /// The origin first, then every point.
    pub(super) spots: Vec<Spot>,
}

/// A point as it is seen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Spot {
    pub(super) x: f64,
    pub(super) y: f64,
    /// How near it is, -1 to 1; 0 in two dimensions.
    pub(super) nearness: f64,
}

/// `count` moments between which the points move equally far, within a square of side `side` whose
/// corner is (0, 0), and the size that a length of 1 has there.
pub(super) fn shots(settled: &Settled, count: usize, side: f64) -> (Vec<Shot>, f64) {
    let is_flat = settled.settling.dimensions == 2;
    let way = way(&settled.positions);
    let whole = way[way.len() - 1];
    let mut shots: Vec<Shot> = (0..count)
        .map(|k| {
            let share = k as f64 / (count - 1).max(1) as f64;
            shot(&settled.positions, &way, share * whole, if is_flat { None } else { Some(share) })
        })
        .collect();
    let unit = fit(&mut shots, side);
    (shots, unit)
}

/// How far the points have moved, in root mean square, up to each state.
fn way(positions: &[Positions]) -> Vec<f64> {
    let mut way = vec![0.0];
    for pair in positions.windows(2) {
        let squares: f64 = pair[0]
            .points
            .iter()
            .zip(&pair[1].points)
            .flat_map(|(a, b)| a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)))
            .sum();
        way.push(way[way.len() - 1] + (squares / pair[0].points.len() as f64).sqrt());
    }
    way
}

/// The moment at `at` of the way, between the two states around it.
fn shot(positions: &[Positions], way: &[f64], at: f64, turn: Option<f64>) -> Shot {
    let after = way.partition_point(|&reached| reached < at).clamp(1, way.len().max(2) - 1);
    let before = after - 1;
    let Some(next) = positions.get(after) else {
        return seen(&positions[before], &positions[before], 0.0, turn);
    };
    let length = way[after] - way[before];
    let share = if length > 0.0 { ((at - way[before]) / length).clamp(0.0, 1.0) } else { 1.0 };
    seen(&positions[before], next, share, turn)
}

fn seen(from: &Positions, to: &Positions, share: f64, turn: Option<f64>) -> Shot {
    let between = |a: f32, b: f32| f64::from(a) + share * (f64::from(b) - f64::from(a));
    let points = from
        .points
        .iter()
        .zip(&to.points)
        .map(|(a, b)| [between(a[0], b[0]), between(a[1], b[1]), between(a[2], b[2])]);
    let spots = std::iter::once([0.0; 3]).chain(points).map(|point| project(point, turn)).collect();
    Shot { step: from.step as f64 + share * (to.step as f64 - from.step as f64), spots }
}

/// Onto the plane of the picture, without perspective; upwards is positive.
fn project([x, y, z]: [f64; 3], turn: Option<f64>) -> Spot {
    let Some(share) = turn else { return Spot { x, y, nearness: 0.0 } };
    let (sin, cos) = (TURN * share).sin_cos();
    let (side, depth) = (x * cos + z * sin, z * cos - x * sin);
    let (sin, cos) = PITCH.sin_cos();
    Spot { x: side, y: y * cos - depth * sin, nearness: y * sin + depth * cos }
}

/// Puts all spots of all moments into a square of side `side`, downwards positive.
fn fit(shots: &mut [Shot], side: f64) -> f64 {
    let all = || shots.iter().flat_map(|shot| &shot.spots);
    let range = |of: fn(&Spot) -> f64| {
        all().map(of).fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
            (low.min(value), high.max(value))
        })
    };
    let (x, y) = (range(|spot| spot.x), range(|spot| spot.y));
    let near = all().map(|spot| spot.nearness.abs()).fold(1e-12, f64::max);
    let unit = side / (x.1 - x.0).max(y.1 - y.0).max(1e-12);
    let middle = ((x.0 + x.1) / 2.0, (y.0 + y.1) / 2.0);
    for spot in shots.iter_mut().flat_map(|shot| &mut shot.spots) {
        spot.x = side / 2.0 + unit * (spot.x - middle.0);
        spot.y = side / 2.0 - unit * (spot.y - middle.1);
        spot.nearness /= near;
    }
    unit
}

#[cfg(test)]
pub(super) mod tests {
    use pemm_energy::pairs::Points;
    use pemm_energy::{Potential, Settling, settle};

    use super::*;

    /// Points that settled from scattered positions.
    pub(crate) fn settled(num_points: usize, dimensions: usize) -> Settled {
        let potential = Potential::energy(3.0, 2.0, 2.0, 0.3).unwrap();
        let settling = Settling { potential, num_points, dimensions, max_steps: 300 };
        let coordinate = |i: usize| 2.0 * (i as f64 * 0.618_033_988_749_895).fract() - 0.8;
        let coordinates = (1..=num_points * dimensions).map(coordinate).collect();
        settle(settling, Points::new(num_points, dimensions, coordinates), &mut |_| {}).unwrap()
    }

    #[test]
    fn all_moments_lie_in_the_square_and_the_ends_are_the_ends() {
        for dimensions in [2, 3, 8] {
            let settled = settled(7, dimensions);
            let (shots, unit) = shots(&settled, 20, 100.0);
            assert_eq!((shots.len(), shots[0].spots.len()), (20, 8));
            assert_eq!(shots[0].step, 0.0);
            assert_eq!(shots[19].step, settled.steps.last().unwrap().step as f64);
            for spot in shots.iter().flat_map(|shot| &shot.spots) {
                assert!((-1e-6..=100.000_001).contains(&spot.x), "{spot:?}");
                assert!((-1e-6..=100.000_001).contains(&spot.y), "{spot:?}");
                assert!((-1.0..=1.0).contains(&spot.nearness), "{spot:?}");
            }
            if dimensions == 2 {
                let [a, b] = [settled.positions[0].points[0], settled.positions[0].points[1]];
                let true_length = f64::from(a[0] - b[0]).hypot(f64::from(a[1] - b[1]));
                let [a, b] = [shots[0].spots[1], shots[0].spots[2]];
                assert!(((a.x - b.x).hypot(a.y - b.y) - unit * true_length).abs() < 1e-3);
            }
        }
    }

    #[test]
    fn between_two_moments_the_way_is_always_as_long() {
        let (shots, _) = shots(&settled(7, 2), 30, 100.0);
        let lengths: Vec<f64> = shots
            .windows(2)
            .map(|pair| {
                let moves = pair[0].spots.iter().zip(&pair[1].spots);
                moves.map(|(a, b)| (a.x - b.x).powi(2) + (a.y - b.y).powi(2)).sum::<f64>().sqrt()
            })
            .collect();
        let longest = lengths.iter().copied().fold(0.0, f64::max);
        // Corners of the way between two moments make the straight line a little shorter.
        assert!(lengths.iter().all(|&length| length > 0.3 * longest), "{lengths:?}");
    }

    #[test]
    fn a_descent_of_one_step_is_a_picture_too() {
        let mut settled = settled(3, 2);
        settled.positions.truncate(1);
        settled.steps.truncate(1);
        assert_eq!(shots(&settled, 5, 10.0).0.len(), 5);
    }
}
