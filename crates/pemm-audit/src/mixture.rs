//! A mixture of two Gaussians in one dimension, by expectation maximisation.

/// A component.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Component {
    /// Share of the samples, 0 to 1; the two sum to 1.
    pub weight: f64,
    /// Mean.
    pub mean: f64,
    /// Variance, above 0.
    pub variance: f64,
}

/// `w_1 N(x; μ_1, v_1) + w_2 N(x; μ_2, v_2)` with `μ_1 ≤ μ_2`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mixture {
    /// The component with the smaller mean.
    pub low: Component,
    /// The component with the larger mean.
    pub high: Component,
}

/// Rounds of expectation maximisation at most.
const MAX_ROUNDS: usize = 200;
/// The rounds end when the mean log-likelihood grows by less than this.
const TOLERANCE: f64 = 1e-7;
/// Smallest variance, as a share of the variance of all values: keeps a component from shrinking
/// to a single value.
const VARIANCE_FLOOR: f64 = 1e-3;

impl Mixture {
    /// The mixture that makes `values` most likely, from a start at their quartiles; the same for
    /// the same values in the same order. `None` if there are fewer than 4 values or all are equal.
    pub fn fit(values: &[f64]) -> Option<Self> {
        if values.len() < 4 {
            return None;
        }
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let spread = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / values.len() as f64;
        if spread.is_nan() || spread <= 0.0 {
            return None;
        }
        let floor = spread * VARIANCE_FLOOR;
        let [first, third] = quartiles(values);
        let start = |mean| Component { weight: 0.5, mean, variance: spread };
        let mut mixture = Self { low: start(first), high: start(third) };
        if first == third {
            // Half of the values are equal: the rest lies to one side.
            mixture.low.mean = mean - spread.sqrt();
            mixture.high.mean = mean + spread.sqrt();
        }
        let mut likelihood = f64::NEG_INFINITY;
        for _ in 0..MAX_ROUNDS {
            let before = likelihood;
            (mixture, likelihood) = mixture.improved(values, floor);
            if likelihood - before < TOLERANCE {
                break;
            }
        }
        if mixture.low.mean > mixture.high.mean {
            std::mem::swap(&mut mixture.low, &mut mixture.high);
        }
        Some(mixture)
    }

    /// Probability that `value` comes from the component with the larger mean, but never less than
    /// a smaller value's: where the wider component would take the far left too, 0 is meant.
    pub fn high_share(&self, value: f64) -> f64 {
        // Between the means the share rises; outside it is held at its value there.
        let value = value.clamp(self.low.mean, self.high.mean);
        self.share(value)
    }

    fn share(&self, value: f64) -> f64 {
        let (low, high) = (self.low.log_density(value), self.high.log_density(value));
        1.0 / (1.0 + (low - high).exp())
    }

    /// One round, and the mean log-likelihood before it.
    fn improved(&self, values: &[f64], floor: f64) -> (Self, f64) {
        // Sums of 1, x and x² under each component, around the old means for precision.
        let mut sums = [[0.0; 3]; 2];
        let mut likelihood = 0.0;
        let centers = [self.low.mean, self.high.mean];
        for &x in values {
            let (low, high) = (self.low.log_density(x), self.high.log_density(x));
            let top = low.max(high);
            likelihood += top + ((low - top).exp() + (high - top).exp()).ln();
            let share = 1.0 / (1.0 + (low - high).exp());
            for (sums, (share, center)) in
                sums.iter_mut().zip([1.0 - share, share].into_iter().zip(centers))
            {
                let offset = x - center;
                sums[0] += share;
                sums[1] += share * offset;
                sums[2] += share * offset * offset;
            }
        }
        let n = values.len() as f64;
        let component = |[count, first, second]: [f64; 3], old: Component| {
            if count < 1e-9 * n {
                return Component { weight: 1e-9, ..old };
            }
            let shift = first / count;
            let variance = (second / count - shift * shift).max(floor);
            Component { weight: count / n, mean: old.mean + shift, variance }
        };
        let better =
            Self { low: component(sums[0], self.low), high: component(sums[1], self.high) };
        (better, likelihood / n)
    }
}

impl Component {
    /// `ln w N(x; μ, v)`.
    fn log_density(&self, x: f64) -> f64 {
        let squared = (x - self.mean).powi(2) / self.variance;
        self.weight.ln() - 0.5 * (squared + (std::f64::consts::TAU * self.variance).ln())
    }
}

/// First and third quartile.
fn quartiles(values: &[f64]) -> [f64; 2] {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    [sorted.len() / 4, 3 * sorted.len() / 4].map(|at| sorted[at])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn two_bumps_are_found_with_their_shares() {
        let mut random = Random::new(3);
        let draw = |i: usize| {
            let (mean, deviation) = if i % 10 < 3 { (2.0, 0.5) } else { (-1.0, 0.3) };
            mean + deviation * random.normal()
        };
        let values: Vec<f64> = (0..20_000).map(draw).collect();
        let Mixture { low, high } = Mixture::fit(&values).unwrap();
        assert!((high.weight - 0.3).abs() < 0.01, "{high:?}");
        assert!((low.mean + 1.0).abs() < 0.02 && (high.mean - 2.0).abs() < 0.03);
        assert!((low.variance - 0.09).abs() < 0.01 && (high.variance - 0.25).abs() < 0.03);
    }

    #[test]
    fn the_share_rises_with_the_value() {
        let low = Component { weight: 0.7, mean: 0.0, variance: 4.0 };
        let mixture = Mixture { low, high: Component { weight: 0.3, mean: 3.0, variance: 0.1 } };
        let shares: Vec<f64> = (-50..=50).map(|i| mixture.high_share(f64::from(i) / 5.0)).collect();
        assert!(shares.is_sorted());
        assert!(shares[0] < 0.01 && shares[100] > 0.5);
    }

    #[test]
    fn what_has_no_two_parts_gives_none_or_stays_finite() {
        assert!(Mixture::fit(&[1.0; 100]).is_none());
        assert!(Mixture::fit(&[1.0, 2.0, 3.0]).is_none());
        for values in [vec![0.0, 0.0, 0.0, 0.0, 1.0], vec![-1e9, 0.0, 0.0, 1e9], vec![0.0; 99]] {
            let Some(mixture) = Mixture::fit(&values) else { continue };
            for value in values {
                assert!((0.0..=1.0).contains(&mixture.high_share(value)), "{mixture:?}");
            }
        }
    }
}
