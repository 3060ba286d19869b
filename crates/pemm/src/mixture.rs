//! A mixture of two normals in one dimension, by expectation maximisation.

/// `π N(x; m_0, v_0) + (1 - π) N(x; m_1, v_1)` with `m_0 ≤ m_1`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mixture {
    /// Share of the lower component, 0–1.
    pub share: f64,
    /// Means, the lower first.
    pub means: [f64; 2],
    /// Variances.
    pub variances: [f64; 2],
}

const MAX_ROUNDS: usize = 200;

impl Mixture {
    /// Fits by expectation maximisation, from the quartiles as means, until no parameter moves by
    /// more than 1e-6 of the range, or 200 rounds. Variances stay above 1e-4 of the squared range,
    /// so that a component does not collapse onto one value. Values that are not finite are left
    /// out. Without a range, both components are alike.
    ///
    /// Source: Dempster, Laird and Rubin 1977; the floor of the variances is ours.
    pub fn fit(values: &[f64]) -> Self {
        let mut sorted: Vec<f64> = values.iter().copied().filter(|x| x.is_finite()).collect();
        sorted.sort_by(f64::total_cmp);
        let (Some(&low), Some(&high)) = (sorted.first(), sorted.last()) else {
            return Self { share: 0.5, means: [0.0; 2], variances: [1.0; 2] };
        };
        let range = high - low;
        if range == 0.0 {
            return Self { share: 0.5, means: [low; 2], variances: [1.0; 2] };
        }
        let quantile = |at: f64| sorted[(at * (sorted.len() - 1) as f64) as usize];
        let floor = 1e-4 * range * range;
        let spread = range * range / 16.0;
        let mut fitted =
            Self { share: 0.5, means: [quantile(0.25), quantile(0.75)], variances: [spread; 2] };
        if fitted.means[0] == fitted.means[1] {
            fitted.means = [low, high];
        }
        for _ in 0..MAX_ROUNDS {
            let next = fitted.round(&sorted, floor);
            let moved = (0..2).map(|k| (next.means[k] - fitted.means[k]).abs()).sum::<f64>()
                / range
                + (next.share - fitted.share).abs();
            fitted = next;
            if moved < 1e-6 {
                break;
            }
        }
        if fitted.means[0] > fitted.means[1] {
            fitted.means.swap(0, 1);
            fitted.variances.swap(0, 1);
            fitted.share = 1.0 - fitted.share;
        }
        fitted
    }

    /// One expectation and one maximisation.
    fn round(&self, values: &[f64], floor: f64) -> Self {
        let posteriors: Vec<f64> = values.iter().map(|&x| self.posterior(x)).collect();
        let total = values.len() as f64;
        let weight = posteriors.iter().sum::<f64>();
        let component = |weight_of: &dyn Fn(f64) -> f64| {
            let sum = posteriors.iter().map(|&p| weight_of(p)).sum::<f64>().max(1e-9);
            let weighted = |of: &dyn Fn(f64) -> f64| -> f64 {
                values.iter().zip(&posteriors).map(|(&x, &p)| weight_of(p) * of(x)).sum::<f64>()
                    / sum
            };
            let mean = weighted(&|x| x);
            (mean, weighted(&|x| (x - mean).powi(2)).max(floor))
        };
        let (first, second) = (component(&|p| p), component(&|p| 1.0 - p));
        Self {
            share: (weight / total).clamp(1e-6, 1.0 - 1e-6),
            means: [first.0, second.0],
            variances: [first.1, second.1],
        }
    }

    fn posterior(&self, x: f64) -> f64 {
        let log_density = |k: usize| {
            -0.5 * ((x - self.means[k]).powi(2) / self.variances[k] + self.variances[k].ln())
        };
        let odds = (log_density(1) - log_density(0)).exp() * (1.0 - self.share) / self.share;
        1.0 / (1.0 + odds)
    }

    /// Posterior probability of the lower component at `x`. Below the lower mean it is that at the
    /// mean, where a wide upper component would win again in its far tail.
    pub fn lower(&self, x: f64) -> f64 {
        self.posterior(x.max(self.means[0]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pemm_data::{Stream, Streams};

    #[test]
    fn two_normals_are_found_again() {
        let mut rng = Streams::new(1).open(Stream::Step);
        let values: Vec<f64> = (0..4_000)
            .map(|i| if i % 10 < 7 { 1.0 + 0.3 * rng.normal() } else { 4.0 + 0.8 * rng.normal() })
            .collect();
        let found = Mixture::fit(&values);
        assert!((found.share - 0.7).abs() < 0.02, "{found:?}");
        assert!((found.means[0] - 1.0).abs() < 0.03 && (found.means[1] - 4.0).abs() < 0.08);
        assert!((found.variances[0].sqrt() - 0.3).abs() < 0.03, "{found:?}");
        assert!(found.lower(1.0) > 0.99 && found.lower(4.0) < 0.01 && found.lower(-50.0) > 0.99);
    }

    #[test]
    fn degenerate_values_give_no_nan() {
        for values in [&[][..], &[2.0], &[3.0; 7], &[0.0, f64::NAN, 1.0], &[0.0, 0.0, 0.0, 9.0]] {
            let found = Mixture::fit(values);
            assert!(found.lower(0.5).is_finite(), "{values:?}: {found:?}");
        }
    }
}
