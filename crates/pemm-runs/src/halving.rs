//! Successive halving on given labels: which candidates go on, and which is taken.
//!
//! A candidate is known by its hits: whether it said the given label of a sample that it was not trained
//! on, sample by sample. All candidates of a round spoke of the same samples, so they are compared in
//! pairs: what makes a sample hard, a wrong label above all, falls out of the difference.

use serde::{Deserialize, Serialize};

use crate::number;

/// Half the width of a 95 % interval, in standard errors.
const WIDTH: f64 = 1.959_963_984_540_054;

/// How much more often one candidate agrees with the given labels than another: −1 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Difference {
    /// Mean over the samples that both spoke of.
    #[serde(with = "number")]
    pub mean: f64,
    /// Its 95 % interval, `mean ± 1.96 √(var(d) / n)` with d = 1, 0 or −1 of each of n samples; of the
    /// labels drawn, not of the training.
    #[serde(with = "number")]
    pub low: f64,
    /// Its upper end.
    #[serde(with = "number")]
    pub high: f64,
}

impl Difference {
    /// That of `first` minus `second`, on as many samples as both have.
    pub fn of(first: &[bool], second: &[bool]) -> Self {
        let (mean, error) = mean_and_error(first, second);
        Self { mean, low: mean - WIDTH * error, high: mean + WIDTH * error }
    }
}

/// Mean difference of `first` and `second`, and its standard error; 0 and infinity without samples. One
/// sample is added on which either is ahead, so that few samples decide nothing.
fn mean_and_error(first: &[bool], second: &[bool]) -> (f64, f64) {
    let num = first.len().min(second.len());
    if num == 0 {
        return (0.0, f64::INFINITY);
    }
    let ahead = first.iter().zip(second).filter(|(first, second)| **first && !**second).count();
    let behind = first.iter().zip(second).filter(|(first, second)| !**first && **second).count();
    let n = num as f64;
    let mean = (ahead as f64 - behind as f64) / n;
    let variance = (ahead as f64 + behind as f64 + 1.0) / n - mean * mean;
    (mean, (variance.max(0.0) / n).sqrt())
}

/// The `num` candidates with the most hits, in their order; among equals the earlier ones.
pub fn kept(hits: &[Vec<bool>], num: usize) -> Vec<usize> {
    let count = |candidate: &usize| hits[*candidate].iter().filter(|hit| **hit).count();
    let mut order: Vec<usize> = (0..hits.len()).collect();
    order.sort_by_key(|candidate| std::cmp::Reverse(count(candidate)));
    order.truncate(num);
    order.sort_unstable();
    order
}

/// The candidate that is taken: the first of those that lie behind the one with the most hits by at most
/// `margin` standard errors of the difference. They stand in order, the simplest first.
///
/// # Panics
/// Without candidates.
pub fn taken(hits: &[Vec<bool>], margin: f64) -> usize {
    let best = kept(hits, 1)[0];
    let is_close = |candidate: &Vec<bool>| {
        let (behind, error) = mean_and_error(&hits[best], candidate);
        behind <= margin * error
    };
    hits.iter().position(is_close).unwrap_or(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hits of 100 samples from strings of tens: `1` is ten hits.
    fn hits(tens: &str) -> Vec<bool> {
        tens.chars().flat_map(|char| [char == '1'; 10]).collect()
    }

    #[test]
    fn the_difference_by_hand() {
        // 30 ahead, 10 behind of 100: mean 0.2, variance 0.41 - 0.04.
        let difference = Difference::of(&hits("1111100000"), &hits("0001100001"));
        let error = (0.37f64 / 100.0).sqrt();
        assert!((difference.mean - 0.2).abs() < 1e-12, "{difference:?}");
        assert!((difference.high - 0.2 - WIDTH * error).abs() < 1e-12, "{difference:?}");
        assert!((difference.low - 0.2 + WIDTH * error).abs() < 1e-12, "{difference:?}");
        let back = Difference::of(&hits("0001100001"), &hits("1111100000"));
        assert!((back.mean + 0.2).abs() < 1e-12 && (back.low + difference.high).abs() < 1e-12);
        // Of two that say the same, one sample more could tell them apart.
        let same = Difference::of(&hits("11"), &hits("11"));
        assert!(same.mean == 0.0 && same.low < 0.0 && same.high > 0.0);
        assert_eq!(Difference::of(&[], &[]).high, f64::INFINITY);
    }

    #[test]
    fn the_better_half_goes_on_in_order() {
        let all = [hits("1000"), hits("1110"), hits("0000"), hits("1111"), hits("0111")];
        assert_eq!(kept(&all, 3), [1, 3, 4]);
        assert_eq!(kept(&all, 2), [1, 3], "of equals the earlier one");
        assert_eq!(kept(&all, 9), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn the_simplest_that_is_not_told_from_the_best_is_taken() {
        // The last is best: 60 of 100. The second lies 10 behind, with 10 samples apart: 0.1 ± 0.032.
        let all = [hits("1000000000"), hits("1111100000"), hits("1111110000")];
        assert_eq!(taken(&all, 2.0), 2);
        assert_eq!(taken(&all, 4.0), 1);
        assert_eq!(taken(&all, 0.0), 2);
        assert_eq!(taken(&all, 100.0), 0);
        // Equals are not told apart, whatever the margin.
        assert_eq!(taken(&[hits("10"), hits("01"), hits("10")], 0.0), 0);
    }
}
