//! How points come to rest: gradient descent on their energy from random positions (the paper's
//! Fig. 3 and 5).
//!
//! Each step goes along `-∂E/∂x_i`. Its length is `Δx·Δx / Δx·Δg` of the step before (Barzilai and
//! Borwein), within a factor of 4 of the length before; it is halved until the energy falls
//! as the gradient promises (Armijo), and no point moves further than a tenth of the distance at
//! rest. So the energy never rises, a pair that starts close together cannot throw the others away,
//! and flat regions do not stall the descent.

use crate::error::{EnergyError, Result};
use crate::pairs::{Distances, PairSums, Points, pair_sums};
use crate::potential::Potential;

/// At most this factor between the lengths of two steps.
const CHANGE: f64 = 4.0;
/// Share of the decrease promised by the gradient that a step must reach.
const ARMIJO: f64 = 1e-4;
/// Furthest that a point moves in a step, in distances at rest.
const FURTHEST: f64 = 0.1;
/// Points are at rest when no force would stretch a pair by this share of the distance at rest.
const TOLERANCE: f64 = 1e-5;
/// Where the energy cannot fall any more within float64, forces up to this many times as large are
/// rounding; larger ones are those of points that lie on one another.
const ROUNDING: f64 = 100.0;
/// Typical distance of two points at the start, in distances at rest.
const SPREAD: f64 = 2.0;
/// Halvings of a step after which nothing is left that float64 can improve.
const MAX_HALVINGS: usize = 60;
/// Points in all states that are kept for an animation.
const MAX_KEPT: usize = 1 << 21;

/// What to settle.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settling {
    /// Function of the distance of a pair.
    pub potential: Potential,
    /// Number of points K without the origin, 2 to 1,000.
    pub num_points: usize,
    /// Number of dimensions D, 2 to 1,024.
    pub dimensions: usize,
    /// Steps after which to stop at the latest, 1 to 100,000.
    pub max_steps: usize,
}

/// The points after a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// Number of the step; 0 is the start.
    pub step: usize,
    /// `Σ V` over all K(K+1)/2 pairs, those with the origin included (eq. 11).
    pub energy: f64,
    /// Their distances; `sum` is eq. 15's left side.
    pub distances: Distances,
}

/// Where the points are after a step.
#[derive(Debug, Clone, PartialEq)]
pub struct Positions {
    /// Number of the step.
    pub step: usize,
    /// The first three coordinates of every point, 0 where there are only two. Of a start that
    /// prefers no direction, that is the view from a random one in more than three dimensions.
    pub points: Vec<[f32; 3]>,
}

/// How points came to rest.
#[derive(Debug, Clone, PartialEq)]
pub struct Settled {
    /// What was settled.
    pub settling: Settling,
    /// The start and every step.
    pub steps: Vec<Step>,
    /// The start, the end, and as many states between as fit in memory, evenly by step.
    pub positions: Vec<Positions>,
    /// Whether no force is left that would move a point. Else the descent ended at `max_steps`, or
    /// where points were pulled onto one another by an offset β ≥ r0: there the energy has a kink
    /// instead of a slope.
    pub at_rest: bool,
}

impl Settling {
    /// Number of pairs, those with the origin included: K(K+1)/2.
    pub fn num_pairs(&self) -> usize {
        self.num_points * (self.num_points + 1) / 2
    }

    /// Eq. 15: the sum of the distances if every one is that at rest, K(K+1)/2 · (r0 - β). That is
    /// possible only where K ≤ D.
    pub fn limit(&self) -> f64 {
        self.num_pairs() as f64 * self.potential.rest_distance()
    }

    fn check(&self) -> Result<()> {
        let within = |key, value: usize, low: usize, high: usize| {
            if (low..=high).contains(&value) {
                return Ok(());
            }
            Err(EnergyError::setting(key, format!("must be from {low} to {high}, is {value}")))
        };
        within("points", self.num_points, 2, 1000)?;
        within("dimensions", self.dimensions, 2, 1024)?;
        within("steps", self.max_steps, 1, 100_000)
    }

    /// A length to measure moves by, also where the potential only pulls and its rest is at 0.
    fn length(&self) -> f64 {
        let rest = self.potential.rest_distance();
        if rest > 0.0 { rest } else { self.potential.r0() }
    }

    /// Random positions, with a typical distance of twice that at rest in any number of
    /// dimensions; `normal` draws standard normal numbers.
    ///
    /// # Errors
    /// [`EnergyError::Setting`] for sizes out of range.
    pub fn start(&self, normal: &mut dyn FnMut() -> f64) -> Result<Points> {
        self.check()?;
        let deviation = SPREAD * self.length() / (2.0 * self.dimensions as f64).sqrt();
        let num_coordinates = self.num_points * self.dimensions;
        let coordinates = (0..num_coordinates).map(|_| deviation * normal()).collect();
        Ok(Points::new(self.num_points, self.dimensions, coordinates))
    }
}

/// Lets points settle from `start`; `on_step` is told every step.
///
/// The same on any number of threads. A step takes about K² D operations, once or twice.
///
/// # Errors
/// [`EnergyError::Setting`] for sizes out of range, or other ones than those of `start`, and where
/// the energy of the start is not finite: two points coincide without an offset, or powers leave
/// float64.
pub fn settle(
    settling: Settling,
    start: Points,
    on_step: &mut dyn FnMut(&Step),
) -> Result<Settled> {
    settling.check()?;
    for (key, wanted, found) in [
        ("points", settling.num_points, start.num_points()),
        ("dimensions", settling.dimensions, start.dimensions()),
    ] {
        if wanted != found {
            let reason = format!("must be those of the start, {found}, is {wanted}");
            return Err(EnergyError::setting(key, reason));
        }
    }
    let Settling { potential, max_steps, .. } = settling;
    let length = settling.length();
    // Moving a point by x changes the force of each pair by about this times x.
    let stiffness = match potential.stiffness().abs() {
        stiffness if stiffness > 0.0 => stiffness,
        _ => 1.0 / length,
    };
    let stride = (max_steps * settling.num_points).div_ceil(MAX_KEPT).max(1);
    let mut points = start;
    let mut sums = pair_sums(potential, &points);
    if !sums.energy.is_finite() {
        let reason = format!(
            "its energy is {}; start from points that lie apart, and choose u, v and xi with r0 \
             near 1",
            sums.energy
        );
        return Err(EnergyError::setting("start", reason));
    }
    let mut settled =
        Settled { settling, steps: Vec::new(), positions: Vec::new(), at_rest: false };
    let mut rate = 1.0 / (stiffness * (settling.num_points + 1) as f64);

    for number in 0..=max_steps {
        let step = Step { step: number, energy: sums.energy, distances: sums.distances };
        on_step(&step);
        settled.steps.push(step);
        let forces = forces(&sums.gradient);
        let strain = forces.iter().copied().fold(0.0, f64::max) / (stiffness * length);
        settled.at_rest = strain < TOLERANCE;
        let next = if settled.at_rest || number == max_steps {
            None
        } else {
            descend(potential, &points, &sums, &forces, FURTHEST * length, &mut rate)
        };
        if next.is_none() || number % stride == 0 {
            settled.positions.push(positions(number, &points));
        }
        let Some((moved, next)) = next else {
            settled.at_rest |= number < max_steps && strain < ROUNDING * TOLERANCE;
            break;
        };
        let curvature = curvature(&points, &moved, &sums.gradient, &next.gradient);
        let wanted = if curvature > 0.0 { 1.0 / curvature } else { f64::INFINITY };
        rate = wanted.clamp(rate / CHANGE, rate * CHANGE);
        (points, sums) = (moved, next);
    }
    Ok(settled)
}

/// A step that lowers the energy enough, with `rate` halved until it does; `None` if none does.
fn descend(
    potential: Potential,
    points: &Points,
    sums: &PairSums,
    forces: &[f64],
    furthest: f64,
    rate: &mut f64,
) -> Option<(Points, PairSums)> {
    for _ in 0..MAX_HALVINGS {
        let rates: Vec<f64> = forces.iter().map(|force| rate.min(furthest / force)).collect();
        let mut moved = points.clone();
        for d in 0..points.dimensions() {
            let slopes = sums.gradient.axis(d);
            for ((x, slope), rate) in moved.axis_mut(d).iter_mut().zip(slopes).zip(&rates) {
                *x -= rate * slope;
            }
        }
        let promised: f64 =
            rates.iter().zip(forces).map(|(rate, force)| rate * force * force).sum();
        let next = pair_sums(potential, &moved);
        if next.energy < sums.energy - ARMIJO * promised {
            return Some((moved, next));
        }
        *rate *= 0.5;
    }
    None
}

/// Length of the force on each point.
fn forces(gradient: &Points) -> Vec<f64> {
    let mut squares = vec![0.0; gradient.num_points()];
    for d in 0..gradient.dimensions() {
        squares.iter_mut().zip(gradient.axis(d)).for_each(|(square, x)| *square += x * x);
    }
    squares.into_iter().map(f64::sqrt).collect()
}

/// `Δx·Δg / Δx·Δx`: how much the slope changed along the last step.
fn curvature(before: &Points, after: &Points, slope_before: &Points, slope_after: &Points) -> f64 {
    let (mut change, mut square) = (0.0, 0.0);
    for d in 0..before.dimensions() {
        let moves = after.axis(d).iter().zip(before.axis(d)).map(|(a, b)| a - b);
        let slopes = slope_after.axis(d).iter().zip(slope_before.axis(d)).map(|(a, b)| a - b);
        for (x, g) in moves.zip(slopes) {
            change += x * g;
            square += x * x;
        }
    }
    if square > 0.0 { change / square } else { 0.0 }
}

fn positions(step: usize, points: &Points) -> Positions {
    let mut kept = vec![[0.0; 3]; points.num_points()];
    for d in 0..points.dimensions().min(3) {
        kept.iter_mut().zip(points.axis(d)).for_each(|(point, &x)| point[d] = x as f32);
    }
    Positions { step, points: kept }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settling(num_points: usize, dimensions: usize) -> Settling {
        let potential = Potential::energy(3.0, 2.0, 2.0, 0.3).unwrap();
        Settling { potential, num_points, dimensions, max_steps: 2000 }
    }

    /// Settled from positions with unit variance; Knuth's MMIX generator is random enough here.
    fn settled_from(seed: u64, settling: Settling) -> Settled {
        let mut state = seed;
        let mut draw = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            12f64.sqrt() * ((state >> 11) as f64 / (1u64 << 53) as f64 - 0.5)
        };
        let start = settling.start(&mut draw).unwrap();
        settle(settling, start, &mut |_| {}).unwrap()
    }

    fn settled(settling: Settling) -> Settled {
        settled_from(1, settling)
    }

    #[test]
    fn up_to_d_points_rest_at_equal_distances_and_equation_15_holds() {
        for (num_points, dimensions) in [(2, 2), (3, 3), (3, 8), (10, 10), (64, 64)] {
            for seed in 1..=3 {
                let settled = settled_from(seed, settling(num_points, dimensions));
                assert!(settled.at_rest);
                let last = settled.steps.last().unwrap();
                let Distances { min, max, sum, .. } = last.distances;
                assert!((min - 0.45).abs() < 3e-5 && (max - 0.45).abs() < 3e-5, "{min} {max}");
                let limit = settled.settling.limit();
                assert!((sum - limit).abs() < 1e-5 * limit, "{sum} {limit}");
            }
        }
        assert_eq!(
            settling(10, 10).limit(),
            55.0 * Potential::energy(3.0, 2.0, 2.0, 0.3).unwrap().rest_distance()
        );
    }

    #[test]
    fn more_points_than_dimensions_reach_the_known_minimum() {
        // A PyTorch prototype found E = -5981 and distances from 0.45 to 0.63.
        let settled = settled(settling(100, 64));
        let last = settled.steps.last().unwrap();
        assert!((last.energy + 5981.0).abs() < 1.0, "{}", last.energy);
        let Distances { min, max, .. } = last.distances;
        assert!((min - 0.45).abs() < 0.01 && (max - 0.63).abs() < 0.01, "{min} {max}");
    }

    #[test]
    fn the_energy_never_rises_and_no_point_jumps() {
        // Without an offset two points that start close together push with all their might.
        let bare = Potential::energy(3.0, 2.0, 2.0, 0.0).unwrap();
        for potential in
            [bare, settling(2, 2).potential, Potential::energy(6.0, 3.0, 1.0, 0.0).unwrap()]
        {
            let settling = Settling { potential, max_steps: 300, ..settling(200, 2) };
            let settled = settled(settling);
            assert!(settled.steps.is_sorted_by(|a, b| a.energy > b.energy));
            for pair in settled.positions.windows(2) {
                for (a, b) in pair[0].points.iter().zip(&pair[1].points) {
                    let moved = (a[0] - b[0]).hypot(a[1] - b[1]);
                    assert!(f64::from(moved) <= 1.001 * FURTHEST * potential.rest_distance());
                }
            }
        }
    }

    #[test]
    fn the_start_makes_the_end() {
        let first = settled(settling(12, 3));
        assert_eq!(first, settled(settling(12, 3)));
        assert_ne!(first, settled_from(2, settling(12, 3)));
        assert_eq!(first.positions.len(), first.steps.len());
        assert_eq!(first.positions.last().unwrap().step, first.steps.last().unwrap().step);
    }

    #[test]
    fn an_offset_beyond_r0_pulls_points_onto_one_another() {
        let potential = Potential::energy(3.0, 2.0, 2.0, 1.0).unwrap();
        let settled = settled(Settling { potential, max_steps: 200, ..settling(5, 2) });
        let [first, last] = [settled.steps[0], *settled.steps.last().unwrap()];
        assert!(last.distances.min < 1e-9 && last.distances.mean < 0.5 * first.distances.mean);
        assert!(!settled.at_rest && settled.settling.limit() == 0.0);
    }

    #[test]
    fn sizes_and_powers_out_of_range_are_errors() {
        let error = |settling: Settling, coordinates: Vec<f64>| {
            let start = Points::new(coordinates.len() / 2, 2, coordinates);
            settle(settling, start, &mut |_| {}).unwrap_err().to_string()
        };
        let two = vec![0.0, 1.0, 1.0, 0.0];
        assert_eq!(error(settling(1, 2), two.clone()), "points: must be from 2 to 1000, is 1");
        assert_eq!(error(settling(2, 1), two.clone()), "dimensions: must be from 2 to 1024, is 1");
        let never = Settling { max_steps: 0, ..settling(2, 2) };
        assert!(error(never, two.clone()).starts_with("steps: must be from 1"));
        assert_eq!(error(settling(3, 2), two), "points: must be those of the start, 2, is 3");
        let bare = Potential::energy(3.0, 2.0, 2.0, 0.0).unwrap();
        let message = error(Settling { potential: bare, ..settling(2, 2) }, vec![1.0; 4]);
        assert!(message.contains("start: its energy is inf"), "{message}");
    }
}
