//! A function of the distance between two points: potential energy, or the margin that the paper
//! compares it with.

use crate::error::{EnergyError, Result};

/// A function V of the distance r between two points.
///
/// # Parameters
/// [`Self::energy`] checks them and states their ranges.
///
/// # Reference
/// Wang et al., Potential Energy based Mixture Model for Noisy Label Learning, eq. 10, 12 and 14.
///
/// # Example
/// ```
/// use pemm_energy::Potential;
///
/// let energy = Potential::energy(3.0, 2.0, 2.0, 0.3)?;
/// assert!((energy.rest_distance() - 0.45).abs() < 1e-12);
/// assert!(energy.value(0.4) > energy.value(0.45) && energy.value(0.5) > energy.value(0.45));
/// # Ok::<(), pemm_energy::EnergyError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Potential {
    /// `E(r + β)` with `E(r) = 1/r^u - ξ/r^v`: push near, pull far.
    Energy {
        /// Power of the push, u > v.
        u: f64,
        /// Power of the pull, v ≥ 1.
        v: f64,
        /// Weight of the pull, ξ > 0.
        xi: f64,
        /// Offset of the distance, β ≥ 0.
        beta: f64,
    },
    /// `max(0, r0 - r)`: push near, nothing far.
    Margin {
        /// Distance beyond which nothing pushes, r0 > 0.
        rest: f64,
    },
}

impl Potential {
    /// The energy with checked parameters: 1 ≤ v < u ≤ 64, ξ > 0, β ≥ 0.
    ///
    /// From β = r0 on the energy only pulls; the paper sweeps β that far, so it is allowed. What is
    /// not, are combinations whose minimum is beyond float64, such as u = 64, v = 63, ξ = 1e-9.
    ///
    /// # Errors
    /// [`EnergyError::Setting`] with the key `u`, `v`, `xi` or `beta`.
    pub fn energy(u: f64, v: f64, xi: f64, beta: f64) -> Result<Self> {
        if !(xi.is_finite() && xi > 0.0) {
            return Err(EnergyError::setting("xi", format!("must be above 0, is {xi}")));
        }
        if !(beta.is_finite() && beta >= 0.0) {
            return Err(EnergyError::setting("beta", format!("must be 0 or more, is {beta}")));
        }
        if !(1.0..=64.0).contains(&v) {
            return Err(EnergyError::setting("v", format!("must be from 1 to 64, is {v}")));
        }
        if !(u > v && u <= 64.0) {
            let reason = format!("must be above v = {v} and at most 64, is {u}");
            return Err(EnergyError::setting("u", reason));
        }
        let bare = Self::Energy { u, v, xi, beta: 0.0 };
        let (r0, depth, stiffness) = (bare.r0(), bare.value(bare.r0()), bare.stiffness());
        if !(depth.is_normal() && stiffness.is_normal()) {
            let reason = format!(
                "with these powers the energy is smallest at r0 = {r0:.3e}, where float64 cannot \
                 tell it from 0 or from infinity; choose it nearer to 1, is {xi}"
            );
            return Err(EnergyError::setting("xi", reason));
        }
        Ok(Self::Energy { u, v, xi, beta })
    }

    /// `r0 = (u / (ξ v))^(1 / (u - v))`, where E(r) is smallest; the margin's own r0.
    pub fn r0(self) -> f64 {
        match self {
            Self::Energy { u, v, xi, .. } => (u / (xi * v)).powf(1.0 / (u - v)),
            Self::Margin { rest } => rest,
        }
    }

    /// Distance at which the value is smallest: `r0 - β`, not below 0, for the energy; for the
    /// margin the smallest such distance, `r0`.
    pub fn rest_distance(self) -> f64 {
        match self {
            Self::Energy { beta, .. } => (self.r0() - beta).max(0.0),
            Self::Margin { rest } => rest,
        }
    }

    /// u and u - v, if it has powers and both are whole.
    pub(crate) fn whole_powers(self) -> Option<[u32; 2]> {
        match self {
            Self::Energy { u, v, .. } if u.fract() == 0.0 && v.fract() == 0.0 => {
                Some([u as u32, (u - v) as u32])
            }
            Self::Energy { .. } | Self::Margin { .. } => None,
        }
    }

    /// Second derivative at rest, E''(r0): how stiff a pair is; 0 for the margin.
    pub fn stiffness(self) -> f64 {
        match self {
            Self::Energy { u, v, xi, beta } => {
                let r = self.rest_distance() + beta;
                u * (u + 1.0) / r.powf(u + 2.0) - xi * v * (v + 1.0) / r.powf(v + 2.0)
            }
            Self::Margin { .. } => 0.0,
        }
    }

    /// Value at distance `r`; +∞ (never NaN) where `r + β` is 0.
    pub fn value(self, r: f64) -> f64 {
        match self {
            // (1 - ξ r^(u-v)) / r^u has no ∞ - ∞ at 0.
            Self::Energy { u, v, xi, beta } => {
                (1.0 - xi * (r + beta).powf(u - v)) / (r + beta).powf(u)
            }
            Self::Margin { rest } => (rest - r).max(0.0),
        }
    }

    /// Derivative at distance `r`: below 0 where two points are pushed apart, -∞ (never NaN) where
    /// `r + β` is 0. The margin's is -1 below r0 and 0 from there on.
    pub fn derivative(self, r: f64) -> f64 {
        match self {
            // -u/r^(u+1) + ξ v/r^(v+1)
            Self::Energy { u, v, xi, beta } => {
                (xi * v * (r + beta).powf(u - v) - u) / (r + beta).powf(u + 1.0)
            }
            Self::Margin { rest } => {
                if r < rest {
                    -1.0
                } else {
                    0.0
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_paper_constants_rest_at_three_quarters() {
        let bare = Potential::energy(3.0, 2.0, 2.0, 0.0).unwrap();
        assert!((bare.rest_distance() - 0.75).abs() < 1e-15);
        // 1/0.75³ - 2/0.75² = 64/27 - 32/9
        assert!((bare.value(0.75) + 32.0 / 27.0).abs() < 1e-12);
        let offset = Potential::energy(3.0, 2.0, 2.0, 0.3).unwrap();
        assert!(
            (offset.rest_distance() - 0.45).abs() < 1e-15 && (offset.r0() - 0.75).abs() < 1e-15
        );
        assert_eq!(Potential::energy(3.0, 2.0, 2.0, 0.9).unwrap().rest_distance(), 0.0);
    }

    #[test]
    fn coinciding_points_have_infinite_energy_and_never_nan() {
        let bare = Potential::energy(3.0, 2.0, 2.0, 0.0).unwrap();
        assert_eq!((bare.value(0.0), bare.derivative(0.0)), (f64::INFINITY, f64::NEG_INFINITY));
        let offset = Potential::energy(3.0, 2.0, 2.0, 0.3).unwrap();
        assert!(offset.value(0.0).is_finite() && offset.derivative(0.0).is_finite());
    }

    #[test]
    fn the_margin_pushes_below_r0_only() {
        let margin = Potential::Margin { rest: 0.75 };
        assert_eq!([0.0, 0.5, 0.75, 2.0].map(|r| margin.value(r)), [0.75, 0.25, 0.0, 0.0]);
        assert_eq!([0.0, 0.5, 0.75, 2.0].map(|r| margin.derivative(r)), [-1.0, -1.0, 0.0, 0.0]);
    }

    #[test]
    fn parameters_out_of_range_are_named() {
        let cases = [
            ([2.0, 2.0, 2.0, 0.0], "u: must be above v = 2 and at most 64, is 2"),
            ([65.0, 2.0, 2.0, 0.0], "u: must be above v = 2 and at most 64, is 65"),
            ([f64::NAN, 2.0, 2.0, 0.0], "u: must be above v = 2 and at most 64, is NaN"),
            ([3.0, 0.5, 2.0, 0.0], "v: must be from 1 to 64, is 0.5"),
            ([3.0, 2.0, 0.0, 0.0], "xi: must be above 0, is 0"),
            ([3.0, 2.0, 2.0, -0.1], "beta: must be 0 or more, is -0.1"),
            ([3.0, 2.0, 2.0, f64::INFINITY], "beta: must be 0 or more, is inf"),
        ];
        for ([u, v, xi, beta], message) in cases {
            let error = Potential::energy(u, v, xi, beta).unwrap_err();
            assert_eq!(error.to_string(), message);
        }
        for [u, v, xi] in [[64.0, 63.0, 1e-9], [1.001, 1.0, 5.0]] {
            let message = Potential::energy(u, v, xi, 0.0).unwrap_err().to_string();
            assert!(message.starts_with("xi: with these powers"), "{message}");
        }
    }

    /// Values across `low` to `high`, evenly by ratio.
    fn across(low: f64, high: f64) -> impl Iterator<Item = f64> + Clone {
        (0..=12).map(move |i| low * (high / low).powf(f64::from(i) / 12.0))
    }

    #[test]
    fn rest_is_the_minimum() {
        for v in across(1.0, 8.0) {
            for (more, xi) in across(0.2, 8.0).flat_map(|m| across(0.1, 10.0).map(move |x| (m, x)))
            {
                let potential = Potential::energy(v + more, v, xi, 0.0).unwrap();
                let rest = potential.rest_distance();
                let lowest = potential.value(rest);
                assert!(potential.value(0.99 * rest) > lowest, "{potential:?}");
                assert!(potential.value(1.01 * rest) > lowest, "{potential:?}");
                let scale = potential.stiffness() * rest;
                assert!(scale > 0.0 && potential.derivative(rest).abs() < 1e-9 * scale);
            }
        }
    }

    #[test]
    fn derivative_and_stiffness_are_those_of_the_value() {
        for (r, beta) in across(0.05, 5.0).flat_map(|r| [(r, 0.0), (r, 0.3), (r, 1.0)]) {
            let potential = Potential::energy(3.0, 2.0, 2.0, beta).unwrap();
            let h = 1e-5 * r;
            let slope = (potential.value(r + h) - potential.value(r - h)) / (2.0 * h);
            let exact = potential.derivative(r);
            assert!((slope - exact).abs() < 1e-5 * exact.abs().max(1.0), "{slope} {exact}");
        }
        let potential = Potential::energy(3.0, 2.0, 2.0, 0.3).unwrap();
        let slope = |step: f64| potential.derivative(potential.rest_distance() + step);
        let stiffness = (slope(1e-5) - slope(-1e-5)) / 2e-5;
        assert!((stiffness / potential.stiffness() - 1.0).abs() < 1e-6, "{stiffness}");
    }
}
