//! Estimators of the share of wrong labels that fail differently, a file each;
//! [`NoiseRate`](crate::rate::NoiseRate) weighs them.

mod certain;
mod checked;
mod margins;

pub use certain::{Certain, certain_by_model, certain_by_neighbors};
pub use checked::{Checked, by_checked};
pub use margins::by_margins;

/// Of the normal distribution, for 95 %.
pub(crate) const NORMAL_QUANTILE: f64 = 1.96;

/// Wilson's 95 % interval of a share that was found among `count`; 0 to 1 for a count of 0.
pub(crate) fn binomial_interval(share: f64, count: usize) -> [f64; 2] {
    if count == 0 {
        return [0.0, 1.0];
    }
    let (n, z) = (count as f64, NORMAL_QUANTILE * NORMAL_QUANTILE);
    let center = (share + z / (2.0 * n)) / (1.0 + z / n);
    let variance = share * (1.0 - share) / n + z / (4.0 * n * n);
    let reach = NORMAL_QUANTILE * variance.max(0.0).sqrt() / (1.0 + z / n);
    [(center - reach).max(0.0), (center + reach).min(1.0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_wilsons() {
        // 10 of 100: 0.0552 to 0.1744.
        let [low, high] = binomial_interval(0.1, 100);
        assert!((low - 0.05523).abs() < 1e-4 && (high - 0.17437).abs() < 1e-4, "{low} {high}");
        assert!(binomial_interval(0.0, 5)[0] < 1e-12 && binomial_interval(1.0, 5)[1] == 1.0);
        assert_eq!(binomial_interval(0.0, 0), [0.0, 1.0]);
    }
}
