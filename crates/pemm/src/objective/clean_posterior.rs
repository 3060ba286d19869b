//! How probably a label is right by its loss: the posterior of the lower of two normals, by the few
//! rounds in which DivideMix fits them.

/// Rounds of expectation maximisation at most.
const MAX_ROUNDS: usize = 10;
/// The rounds end when the mean log-likelihood moves by less than this.
const TOLERANCE: f64 = 1e-2;
/// Added to each variance, in units of the squared range of the losses.
const VARIANCE_FLOOR: f64 = 5e-4;

/// `N(x; μ, v)` with its share of the samples.
#[derive(Debug, Clone, Copy)]
struct Normal {
    share: f64,
    mean: f64,
    variance: f64,
}

impl Normal {
    fn log_density(&self, x: f64) -> f64 {
        let squared = (x - self.mean).powi(2) / self.variance;
        self.share.ln() - 0.5 * (squared + (std::f64::consts::TAU * self.variance).ln())
    }
}

/// Posterior of the normal with the smaller mean for each of `losses`, 0 to 1; 1 for all where there are
/// fewer than 2 losses or all are equal.
///
/// The losses are scaled to 0–1, so that a few large ones press the rest together, and two normals are
/// fitted in at most 10 rounds, until the mean log-likelihood moves by less than 1e-2; 5e-4 is added to
/// each variance. The posterior is taken as it is: where the upper normal is so wide that it takes the
/// far left too, the smallest losses count as its.
///
/// # Reference
/// Li et al. 2020, whose code calls scikit-learn's `GaussianMixture(2, max_iter=10, tol=1e-2,
/// reg_covar=5e-4)`. That starts at a k-means from random centers; here at the two groups that k-means
/// would find at best, so that nothing is drawn.
pub(super) fn clean_posterior(losses: &[f64]) -> Vec<f64> {
    let low = losses.iter().copied().fold(f64::INFINITY, f64::min);
    let range = losses.iter().copied().fold(f64::NEG_INFINITY, f64::max) - low;
    if losses.len() < 2 || range.is_nan() || range <= 0.0 {
        return vec![1.0; losses.len()];
    }
    let scaled: Vec<f64> = losses.iter().map(|loss| (loss - low) / range).collect();
    let bound = best_split(&scaled);
    let start: Vec<f64> = scaled.iter().map(|&x| f64::from(u8::from(x > bound))).collect();
    let mut normals = fitted(&scaled, &start);
    let mut likelihood = f64::NEG_INFINITY;
    for _ in 0..MAX_ROUNDS {
        let before = likelihood;
        let shares: Vec<f64>;
        (shares, likelihood) = posterior_of_second(&scaled, normals);
        normals = fitted(&scaled, &shares);
        if (likelihood - before).abs() < TOLERANCE {
            break;
        }
    }
    let (shares, _) = posterior_of_second(&scaled, normals);
    let first_is_low = normals[0].mean <= normals[1].mean;
    shares.into_iter().map(|share| if first_is_low { 1.0 - share } else { share }).collect()
}

/// The value at and below which the first of two groups lies, so that the squared distances to the
/// groups' means are least.
fn best_split(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let total: f64 = sorted.iter().sum();
    // Least distances are a largest Σ count · mean².
    let (mut sum, mut best) = (0.0, (f64::NEG_INFINITY, sorted[0]));
    for (index, pair) in sorted.windows(2).enumerate() {
        sum += pair[0];
        let (below, above) = ((index + 1) as f64, (sorted.len() - index - 1) as f64);
        let apart = sum * sum / below + (total - sum) * (total - sum) / above;
        if pair[0] < pair[1] && apart > best.0 {
            best = (apart, pair[0]);
        }
    }
    best.1
}

/// The normals that make `values` most likely where `shares` of them are of the second.
fn fitted(values: &[f64], shares: &[f64]) -> [Normal; 2] {
    [0, 1].map(|number| {
        let of = |share: f64| if number == 0 { 1.0 - share } else { share };
        let weighted = |part: &dyn Fn(f64) -> f64| -> f64 {
            values.iter().zip(shares).map(|(&x, &share)| of(share) * part(x)).sum()
        };
        let count = weighted(&|_| 1.0) + 10.0 * f64::EPSILON;
        let mean = weighted(&|x| x) / count;
        let variance = weighted(&|x| (x - mean).powi(2)) / count + VARIANCE_FLOOR;
        Normal { share: count / values.len() as f64, mean, variance }
    })
}

/// Posterior of the second normal for each value, and the mean log-likelihood.
fn posterior_of_second(values: &[f64], normals: [Normal; 2]) -> (Vec<f64>, f64) {
    let mut likelihood = 0.0;
    let shares = values.iter().map(|&x| {
        let [first, second] = normals.map(|normal| normal.log_density(x));
        let top = first.max(second);
        likelihood += top + ((first - top).exp() + (second - top).exp()).ln();
        1.0 / (1.0 + (first - second).exp())
    });
    let shares = shares.collect();
    (shares, likelihood / values.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objective::reference_case::objectives;

    #[test]
    fn the_posterior_is_that_of_scikit_learn() {
        let known = &objectives()["clean_posterior"];
        let numbers =
            |key: &str| -> Vec<f64> { serde_json::from_value(known[key].clone()).unwrap() };
        let (losses, expected) = (numbers("losses"), numbers("posterior"));
        let found = clean_posterior(&losses);
        assert_eq!(found.len(), 90);
        for (a, b) in found.iter().zip(&expected) {
            assert!((a - b).abs() < 1e-9, "{a}, not {b}");
        }
        // They are of two sorts, so that something is seen.
        let trusted = expected.iter().filter(|&&share| share > 0.5).count();
        assert!((50..75).contains(&trusted), "{trusted}");
        // Neither size nor unit of the losses matters.
        let moved: Vec<f64> = losses.iter().map(|loss| 3.0 + 100.0 * loss).collect();
        for (a, b) in clean_posterior(&moved).iter().zip(&found) {
            assert!((a - b).abs() < 1e-9, "{a}, not {b}");
        }
    }

    #[test]
    fn what_has_no_two_parts_is_trusted() {
        assert_eq!(clean_posterior(&[0.7; 5]), [1.0; 5]);
        assert_eq!(clean_posterior(&[0.7]), [1.0]);
        assert!(clean_posterior(&[]).is_empty());
        let outlier = clean_posterior(&[0.1, 0.1, 0.1, 9.0]);
        assert!(outlier[0] > 0.99 && outlier[3] < 0.01, "{outlier:?}");
    }
}
