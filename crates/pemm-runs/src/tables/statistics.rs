//! The statistics of a table: mean and deviation over seeds, and the paired comparison of two arms.

use std::collections::BTreeMap;

use statrs::distribution::{ContinuousCDF, StudentsT};

/// Share of the intervals that hold the true difference, if the differences are normal.
pub const CONFIDENCE: f64 = 0.95;

/// A value over the seeds of a cell.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// The seeds, in order.
    pub seeds: Vec<u64>,
    /// Mean; accuracies are 0–1.
    pub mean: f64,
    /// Sample standard deviation (divisor n - 1); unknown for one seed.
    pub deviation: Option<f64>,
}

impl Summary {
    /// Mean and deviation of values by seed; none without values.
    pub fn of(values: &[(u64, f64)]) -> Option<Self> {
        let numbers: Vec<f64> = values.iter().map(|(_, value)| *value).collect();
        let (mean, deviation) = mean_and_deviation(&numbers)?;
        Some(Self { seeds: values.iter().map(|(seed, _)| *seed).collect(), mean, deviation })
    }
}

/// Mean, and sample standard deviation (divisor n - 1; unknown for one value); none without values.
pub fn mean_and_deviation(values: &[f64]) -> Option<(f64, Option<f64>)> {
    let num = values.len() as f64;
    let mean = values.iter().sum::<f64>() / num;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    let deviation = (values.len() > 1).then(|| (squares / (num - 1.0)).sqrt());
    (!values.is_empty()).then_some((mean, deviation))
}

/// Two arms compared on the seeds that both have.
///
/// Runs of one seed share data, noise, split and order, so what a seed does to both arms falls out
/// of the difference. The test is Student's t on the differences `d`, which are taken as normal:
/// with n seeds `t = mean(d) / (sd(d) / √n)` on n - 1 degrees of freedom. With three seeds the
/// interval is 4.3 standard errors wide on each side; it says how little is known, not that two
/// arms are equal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Paired {
    /// Number of seeds that both have.
    pub num_seeds: usize,
    /// Mean of first minus second.
    pub difference: f64,
    /// Interval of that mean at [`CONFIDENCE`]; unknown for one seed.
    pub interval: Option<[f64; 2]>,
    /// Two-sided probability of a difference as large if there were none; unknown for one seed.
    pub p_value: Option<f64>,
}

impl Paired {
    /// Compares values by seed; none without a seed that both have.
    pub fn of(first: &[(u64, f64)], second: &[(u64, f64)]) -> Option<Self> {
        let second: BTreeMap<u64, f64> = second.iter().copied().collect();
        let differences: Vec<f64> =
            first.iter().filter_map(|(seed, value)| Some(value - second.get(seed)?)).collect();
        let (difference, deviation) = mean_and_deviation(&differences)?;
        let num_seeds = differences.len();
        let error = deviation.map(|deviation| deviation / (num_seeds as f64).sqrt());
        let test = error.filter(|error| error.is_finite()).map(|error| {
            if error == 0.0 {
                // All differences are equal: nothing is left to doubt.
                let p_value = if difference == 0.0 { 1.0 } else { 0.0 };
                return ([difference; 2], p_value);
            }
            let student = StudentsT::new(0.0, 1.0, (num_seeds - 1) as f64);
            let student = student.expect("two seeds give a degree of freedom");
            let reach = student.inverse_cdf(0.5 + CONFIDENCE / 2.0) * error;
            let p_value = 2.0 * student.cdf(-(difference / error).abs());
            ([difference - reach, difference + reach], p_value)
        });
        let (interval, p_value) = test.unzip();
        Some(Self { num_seeds, difference, interval, p_value })
    }

    /// Whether the interval contains 0, so that the seeds do not tell the arms apart.
    pub fn is_open(&self) -> bool {
        self.interval.is_some_and(|[low, high]| low <= 0.0 && 0.0 <= high)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seeds(values: &[f64]) -> Vec<(u64, f64)> {
        (1..).zip(values.iter().copied()).collect()
    }

    #[test]
    fn means_and_deviations_by_hand() {
        let summary = Summary::of(&seeds(&[0.84, 0.87, 0.90])).unwrap();
        assert_eq!(summary.seeds, [1, 2, 3]);
        assert!((summary.mean - 0.87).abs() < 1e-12);
        assert!((summary.deviation.unwrap() - 0.03).abs() < 1e-12);
        assert_eq!(Summary::of(&seeds(&[0.5])).unwrap().deviation, None);
        assert_eq!(Summary::of(&[]), None);
    }

    #[test]
    fn the_paired_test_agrees_with_scipy() {
        // scipy.stats.ttest_rel(a, b) and its confidence_interval(0.95)
        let first = seeds(&[0.552, 0.561, 0.547, 0.570, 0.559]);
        let second = seeds(&[0.541, 0.556, 0.549, 0.551, 0.548]);
        let paired = Paired::of(&first, &second).unwrap();
        assert_eq!(paired.num_seeds, 5);
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-9, "{a} is not {b}");
        near(paired.difference, 0.0088);
        let [low, high] = paired.interval.unwrap();
        near(low, SCIPY[0]);
        near(high, SCIPY[1]);
        near(paired.p_value.unwrap(), SCIPY[2]);
        assert!(paired.is_open());
        let back = Paired::of(&second, &first).unwrap();
        near(back.difference, -paired.difference);
        assert_eq!(back.p_value, paired.p_value);
    }
    const SCIPY: [f64; 3] =
        [-0.000_913_590_708_252_197_1, 0.018_513_590_708_252_17, 0.065_684_106_503_027_64];

    #[test]
    fn only_seeds_that_both_have_count() {
        let first = [(1, 0.9), (2, 0.8), (9, 0.1)];
        let second = [(2, 0.7), (1, 0.8), (3, 0.5)];
        let paired = Paired::of(&first, &second).unwrap();
        assert_eq!(paired.num_seeds, 2);
        assert!((paired.difference - 0.1).abs() < 1e-12);
        assert!(!paired.is_open());
        assert_eq!(Paired::of(&first, &[(4, 0.5)]), None);
        let one = Paired::of(&first, &[(9, 0.2)]).unwrap();
        assert_eq!((one.num_seeds, one.interval, one.p_value), (1, None, None));
        let same = Paired::of(&first, &first).unwrap();
        assert_eq!((same.interval, same.p_value), (Some([0.0, 0.0]), Some(1.0)));
        assert!(same.is_open());
    }
}
