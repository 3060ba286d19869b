//! The default score: log odds, and how training went where that was recorded.

use crate::samples::Samples;

/// The doubts ([`log_odds`](super::log_odds), or plain [`self_confidence`](super::self_confidence) where
/// the models cannot judge) in the order of a mean of two ranks: twice that of the
/// doubt itself and, as far as the noise has no direction (`1 - directed`), once that of the standardised
/// margin of training. `[N]`, in 0 to 1; just the doubts without margins.
///
/// The margin of sample n given class g is standardised as `(m[n] - μ[g]) / δ[g]`, where μ and δ are
/// the mean and deviation of the margins of all samples given g, each counted by `1 - doubt`: a
/// model that is slow to learn a class says nothing against its labels. Ranks are averaged because
/// the two have no common unit. The sample that is the j-th most doubtful by that mean then gets the
/// j-th largest doubt, so that the values keep their meaning. Equal ones stand in the order of the
/// samples.
///
/// The two complement each other: the doubt comes from models that have not seen the label, the margin
/// from models that were made to learn it. But a model learns labels that all go one way as easily as
/// right ones, so margins do not count there. Weights were chosen on the choosing half of `bench/audit`.
///
/// # Parameters
/// `directed` from 0 to 1, [`Pattern::weight`](crate::pattern::Pattern::weight).
pub fn combined(samples: &Samples<'_>, doubts: &[f32], directed: f64) -> Vec<f32> {
    let Some(margins) = samples.arrays().margins else { return doubts.to_vec() };
    let standardised = standardised(samples, doubts, margins);
    let (by_doubt, by_margin) = (
        order(doubts.len(), |sample| f64::from(doubts[sample])),
        order(doubts.len(), |sample| -standardised[sample]),
    );
    let mut ranks = vec![0.0f64; doubts.len()];
    for (order, weight) in [(&by_doubt, DOUBT_WEIGHT), (&by_margin, 1.0 - directed)] {
        for (rank, &sample) in order.iter().enumerate() {
            ranks[sample as usize] += weight * rank as f64;
        }
    }
    let mut both = by_doubt.clone();
    let rank = |sample: u32| ranks[sample as usize];
    both.sort_unstable_by(|&a, &b| rank(a).total_cmp(&rank(b)).then(b.cmp(&a)));
    let mut combined = vec![0.0; doubts.len()];
    for (&sample, &like) in both.iter().zip(&by_doubt) {
        combined[sample as usize] = doubts[like as usize];
    }
    combined
}

/// `(m[n] - μ[g]) / δ[g]`, where each class has [`ADDED`] samples of the mean and deviation of all.
fn standardised(samples: &Samples<'_>, doubts: &[f32], margins: &[f32]) -> Vec<f64> {
    let given = samples.given();
    // Weight, sum and sum of squares of each class, and of all.
    let mut sums = vec![[0.0f64; 3]; samples.num_classes()];
    for ((&class, &doubt), &margin) in given.iter().zip(doubts).zip(margins) {
        let (trust, margin) = (1.0 - f64::from(doubt), f64::from(margin));
        let terms = [trust, trust * margin, trust * margin * margin];
        sums[class as usize].iter_mut().zip(terms).for_each(|(to, term)| *to += term);
    }
    let all = sums.iter().fold([0.0; 3], |[a, b, c], [d, e, f]| [a + d, b + e, c + f]);
    if all[0] <= 0.0 {
        return margins.iter().map(|&margin| f64::from(margin)).collect();
    }
    let standard = |(&class, &margin): (&u32, &f32)| {
        let with_all = |i: usize| sums[class as usize][i] + ADDED * all[i] / all[0];
        let (mean, squares) = (with_all(1) / with_all(0), with_all(2) / with_all(0));
        let deviation = (squares - mean * mean).max(0.0).sqrt();
        (f64::from(margin) - mean) / deviation.max(MIN_DEVIATION)
    };
    given.iter().zip(margins).map(standard).collect()
}

/// Samples like all others that each class is thought to have: few margins tell no deviation.
const ADDED: f64 = 20.0;
/// Weight of the doubt where the margin has 1.
const DOUBT_WEIGHT: f64 = 2.0;
/// Smallest deviation of the margins of a class.
const MIN_DEVIATION: f64 = 1e-3;

/// Samples by rising value; equal ones from the last to the first, so that the first is more
/// doubtful.
fn order(num_samples: usize, value: impl Fn(usize) -> f64) -> Vec<u32> {
    let mut order: Vec<u32> = (0..num_samples as u32).collect();
    order
        .sort_unstable_by(|&a, &b| value(a as usize).total_cmp(&value(b as usize)).then(b.cmp(&a)));
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::Arrays;

    const DOUBTS: [f32; 6] = [0.1, 0.2, 0.3, 0.7, 0.8, 0.9];

    fn combine(given: &[u32], margins: Option<&[f32]>) -> Vec<f32> {
        let arrays = Arrays {
            num_classes: 2,
            given,
            probabilities: &[0.5; 12],
            margins,
            ..Arrays::default()
        };
        combined(&Samples::new(arrays).unwrap(), &DOUBTS, 0.0)
    }

    #[test]
    fn the_values_stay_and_margins_change_their_order() {
        assert_eq!(combine(&[0; 6], None), DOUBTS);
        // Margins that agree change nothing.
        assert_eq!(combine(&[0; 6], Some(&[0.9, 0.8, 0.7, 0.2, 0.1, 0.0])), DOUBTS);
        // The fifth was learned best of all: by mean rank it is now no more doubtful than the third.
        let changed = combine(&[0; 6], Some(&[0.8, 0.7, 0.6, 0.2, 0.9, 0.0]));
        let mut sorted = changed.clone();
        sorted.sort_by(f32::total_cmp);
        assert_eq!(sorted, DOUBTS);
        assert!(changed[4] < changed[3] && changed[5] == 0.9, "{changed:?}");
    }

    #[test]
    fn a_class_that_is_learned_slowly_is_not_doubted_for_it() {
        // Two classes whose margins differ by a half, a thousand samples each.
        let n = 2000;
        let given: Vec<u32> = (0..n).map(|i| i % 2).collect();
        let margins: Vec<f32> = (0..n)
            .map(|i| 0.4 + 0.001 * (i / 2 % 100) as f32 - if i % 2 == 0 { 0.0 } else { 0.5 })
            .collect();
        let arrays = Arrays {
            num_classes: 2,
            given: &given,
            probabilities: &[0.5; 4000],
            margins: Some(&margins),
            ..Arrays::default()
        };
        let samples = Samples::new(arrays).unwrap();
        let standardised = standardised(&samples, &[0.5; 2000], &margins);
        let mean = |class: usize| standardised.iter().skip(class).step_by(2).sum::<f64>() / 1000.0;
        assert!((mean(0) - mean(1)).abs() < 0.5, "{} {}", mean(0), mean(1));
    }

    #[test]
    fn equal_margins_and_certain_doubts_stay_finite() {
        let combined = combine(&[0, 0, 0, 1, 1, 1], Some(&[0.3; 6]));
        assert!(combined.iter().all(|score| (0.0..=1.0).contains(score)));
    }
}
