//! Whether wrong labels go where the model's mistakes go, or evenly, or somewhere of their own.

use crate::noise_model::NoiseModel;

/// Where wrong labels go, `N = P(true = i) T[i][j]` for `i ≠ j`, against two patterns: `S`, the model's
/// own mistakes in both directions, and `U`, even over the other classes. `N ≈ x S + y U` by least
/// squares with `x, y ≥ 0`.
///
/// Labels that seem to go where the model errs may be its mistakes: nothing in the data tells the two
/// apart. Noise that fits neither has a direction of its own, and its matrix is worth using.
///
/// # Fails
/// Where people confuse what the model confuses (cats and dogs), right estimates look suspicious; with
/// two classes all patterns are alike, and nothing is said.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pattern {
    /// `Σ x S`: share of the samples whose labels seem wrong in the way in which the model errs.
    pub suspicious: f64,
    /// Cosine of N and S.
    pub like_mistakes: f64,
    /// Cosine of N and of what guessing by the classes' sizes would do.
    pub like_chance: f64,
    /// `Σ max(N - x S - y U, 0) / Σ N`: share of the wrong labels with a direction of their own.
    pub directed: f64,
}

/// Share with a direction from which on the matrix is used for single samples, and from which on it
/// is used wholly.
const DIRECTED: [f64; 2] = [0.55, 0.65];

impl Pattern {
    /// Of a fitted model.
    pub fn of(model: &NoiseModel) -> Self {
        let k = model.joint.len();
        let cells = (0..k).flat_map(|i| (0..k).map(move |j| (i, j))).filter(|(i, j)| i != j);
        let shares: Vec<f64> = model.joint.iter().map(|row| row.iter().sum()).collect();
        let mut values = Vec::with_capacity(k * (k - 1)); // N, S, U, sizes
        for (i, j) in cells {
            let mistakes = model.mistakes[i][j] + model.mistakes[j][i];
            let even = shares[i] / (k - 1) as f64;
            let wrong = shares[i] * model.transition[i][j];
            values.push([wrong, mistakes, even, shares[i] * shares[j]]);
        }
        let dot = |a: usize, b: usize| values.iter().map(|v| v[a] * v[b]).sum::<f64>();
        let [ns, nu, ss, su, uu, nn] =
            [dot(0, 1), dot(0, 2), dot(1, 1), dot(1, 2), dot(2, 2), dot(0, 0)];
        let (nc, cc) = (dot(0, 3), dot(3, 3));
        let ratio = |a: f64, b: f64| if b > 0.0 { a / b } else { 0.0 };
        let determinant = ss * uu - su * su;
        let both = [ratio(ns * uu - nu * su, determinant), ratio(nu * ss - ns * su, determinant)];
        let [x, y] = match both {
            [x, y] if x >= 0.0 && y >= 0.0 && determinant > 1e-12 * ss * uu => [x, y],
            // On the border one of the two alone explains more.
            _ if ns * ns * uu > nu * nu * ss => [ratio(ns, ss), 0.0],
            _ => [0.0, ratio(nu, uu)],
        };
        let left = |&[n, s, u, _]: &[f64; 4]| (n - x * s - y * u).max(0.0);
        let (total, rest): (f64, f64) =
            (values.iter().map(|v| v[0]).sum(), values.iter().map(left).sum());
        Self {
            suspicious: x * values.iter().map(|v| v[1]).sum::<f64>(),
            like_mistakes: ratio(ns, (nn * ss).sqrt()),
            like_chance: ratio(nc, (nn * cc).sqrt()),
            directed: ratio(rest, total),
        }
    }

    /// How far the matrix is to be used for single samples, 0 to 1.
    pub fn weight(&self) -> f64 {
        ((self.directed - DIRECTED[0]) / (DIRECTED[1] - DIRECTED[0])).clamp(0.0, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::made::{made, pair, symmetric};
    use crate::samples::{Arrays, Samples};

    fn pattern(transition: &[Vec<f64>]) -> Pattern {
        let (given, probabilities) = made(5000, transition);
        let num_classes = transition.len();
        let arrays = Arrays {
            num_classes,
            given: &given,
            probabilities: &probabilities,
            ..Arrays::default()
        };
        Pattern::of(&NoiseModel::fit(&Samples::new(arrays).unwrap()))
    }

    #[test]
    fn noise_with_a_direction_is_told_from_noise_without() {
        let (even, directed) = (pattern(&symmetric(6, 0.3)), pattern(&pair(6, 0.3)));
        assert!(even.directed < 0.4 && even.weight() == 0.0, "{even:?}");
        assert!(directed.directed > 0.6 && directed.weight() > 0.5, "{directed:?}");
        assert!(even.like_chance > directed.like_chance);
    }

    #[test]
    fn two_classes_say_nothing() {
        let found = pattern(&pair(2, 0.2));
        assert!(found.directed < 0.5 && found.like_chance.is_finite(), "{found:?}");
    }
}
