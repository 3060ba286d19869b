//! Which epoch a run is judged by: the last, the best by noisy validation, and the oracle's.
//!
//! The first two can be had without clean labels. The oracle chooses by the test set itself; it is
//! a bound that nobody reaches in practice and is always shown as such.

use serde::{Deserialize, Serialize};

use crate::epoch::EpochRecord;
use crate::number;

/// Epochs over which a run of today takes the mean of its noisy validation. One epoch of a long training
/// jumps by several points, and the highest of many is the luckiest: with 40 % noise on the digits and 400
/// epochs the mean over five chooses weights that are 1.6 points better on the test part than the highest
/// single one does (six seeds; `bench/pixels/README.md`).
pub const OVER: usize = 5;

/// The three epochs of a run, each absent where its accuracy is unknown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Choice {
    /// Epochs over which the noisy validation is averaged for `best_by_noisy_val`, from 1; 1 in records
    /// from before it was.
    #[serde(default = "alone", skip_serializing_if = "is_alone")]
    pub over: usize,
    /// The last epoch; of a run that was stopped early, the one that it returns.
    pub last: Option<Chosen>,
    /// The epoch with the largest accuracy on the given labels of the validation part, in the mean over
    /// it and the epochs before it, as many as `over` says where there are so many.
    pub best_by_noisy_val: Option<Chosen>,
    /// The epoch with the largest accuracy on the test part: an oracle's choice.
    pub oracle_best_on_test: Option<Chosen>,
}

/// An epoch and its accuracies, 0–1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chosen {
    /// Number of the epoch, from 1.
    pub epoch: usize,
    /// Accuracy on the given labels of the validation part, if there is one.
    #[serde(with = "number::optional")]
    pub val_accuracy: Option<f64>,
    /// Accuracy on the test part, if the epoch was scored.
    #[serde(with = "number::optional")]
    pub test_accuracy: Option<f64>,
}

/// [`Choice::over`] in files from before it was written: each epoch was looked at alone.
pub fn alone() -> usize {
    1
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_alone(over: &usize) -> bool {
    *over == alone()
}

impl Default for Choice {
    /// Of a run of today, before its first epoch.
    fn default() -> Self {
        Self { over: OVER, last: None, best_by_noisy_val: None, oracle_best_on_test: None }
    }
}

impl Choice {
    /// Chooses among `epochs`, the noisy validation averaged over as many as `over`. Among equals the
    /// earliest wins; NaN never does. A run with early stopping returns its best epoch by noisy
    /// validation.
    pub fn of(epochs: &[EpochRecord], stops_early: bool, over: usize) -> Self {
        let at = |place: Option<usize>| place.map(|place| Chosen::from(&epochs[place]));
        let given: Vec<_> = epochs.iter().map(|epoch| epoch.val_accuracy_given).collect();
        let test: Vec<_> = epochs.iter().map(EpochRecord::test_accuracy).collect();
        let best_by_noisy_val = at(best(&given, over));
        let last = epochs.last().map(Chosen::from);
        Self {
            over,
            last: if stops_early { best_by_noisy_val.or(last) } else { last },
            best_by_noisy_val,
            oracle_best_on_test: at(best(&test, 1)),
        }
    }
}

impl Choice {
    /// Whether the weights that are best by noisy validation should be used instead of the last of
    /// `epochs`, which this is the choice among: in the mean over `over` epochs the last ones agree less
    /// with the given labels of the n = `num_val` validation samples, and by more than one standard error
    /// of the best agreement, `√(p (1 − p) / n)` with p = (hits + 1) / (n + 2), so that few samples decide
    /// nothing. A smaller difference is what choosing the highest of many epochs brings by itself: over
    /// 132 runs nothing was lost to the last epoch this way, and 1.1 points were gained on average
    /// (`bench/README.md`).
    pub fn prefers_best(&self, epochs: &[EpochRecord], num_val: usize) -> bool {
        let given: Vec<_> = epochs.iter().map(|epoch| epoch.val_accuracy_given).collect();
        let agreement = |chosen: Option<Chosen>| {
            let at =
                epochs.iter().position(|epoch| Some(epoch.epoch) == chosen.map(|c| c.epoch))?;
            mean(&given, at, self.over)
        };
        let (Some(best), Some(last)) = (agreement(self.best_by_noisy_val), agreement(self.last))
        else {
            return false;
        };
        let n = num_val.max(1) as f64;
        let p = (best * n + 1.0) / (n + 2.0);
        best - last > (p * (1.0 - p) / n).sqrt()
    }
}

impl From<&EpochRecord> for Chosen {
    fn from(epoch: &EpochRecord) -> Self {
        Self {
            epoch: epoch.epoch,
            val_accuracy: epoch.val_accuracy_given,
            test_accuracy: epoch.test_accuracy(),
        }
    }
}

/// Place of the largest of `values`, each in the mean over it and those before it, at most `over` of them;
/// the first of equals. What is unknown or NaN takes its means out with it.
pub fn best(values: &[Option<f64>], over: usize) -> Option<usize> {
    let mut best: Option<(f64, usize)> = None;
    for at in 0..values.len() {
        let Some(mean) = mean(values, at, over).filter(|mean| !mean.is_nan()) else { continue };
        if best.is_none_or(|(most, _)| mean > most) {
            best = Some((mean, at));
        }
    }
    best.map(|(_, at)| at)
}

/// The mean over the value at a place and those before it, at most `over` of them, if all are known.
fn mean(values: &[Option<f64>], at: usize, over: usize) -> Option<f64> {
    let from = (at + 1).saturating_sub(over.max(1));
    let sum: Option<f64> = values[from..=at].iter().copied().sum();
    sum.map(|sum| sum / (at + 1 - from) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::epoch::tests::epoch;

    #[test]
    fn the_three_epochs_by_hand() {
        let epochs = [
            epoch(1, Some(0.40), Some(0.60)),
            epoch(2, Some(0.55), Some(0.80)),
            epoch(3, Some(0.55), Some(0.85)),
            epoch(4, Some(f64::NAN), Some(0.70)),
        ];
        let choice = Choice::of(&epochs, false, 1);
        assert_eq!(choice.last.unwrap().test_accuracy, Some(0.70));
        let best = choice.best_by_noisy_val.unwrap();
        assert_eq!(
            (best.epoch, best.val_accuracy, best.test_accuracy),
            (2, Some(0.55), Some(0.80))
        );
        assert_eq!(choice.oracle_best_on_test.unwrap().epoch, 3);
        assert_eq!(Choice::of(&epochs, true, 1).last.unwrap().epoch, 2);
    }

    #[test]
    fn the_mean_over_some_epochs_is_not_misled_by_one() {
        let vals = [0.2, 0.9, 0.3, 0.6, 0.7, 0.7, 0.5];
        let epochs: Vec<EpochRecord> =
            vals.iter().zip(1..).map(|(&val, number)| epoch(number, Some(val), None)).collect();
        let best = |over| Choice::of(&epochs, false, over).best_by_noisy_val.unwrap().epoch;
        assert_eq!((best(1), best(3), best(0)), (2, 6, 2));
        // Before there are so many the mean is over those that there are.
        assert_eq!(best(100), 6);
        // An old record says nothing of it.
        let old = serde_json::json!({
            "last": null, "best_by_noisy_val": null, "oracle_best_on_test": null
        });
        assert_eq!(serde_json::from_value::<Choice>(old.clone()).unwrap().over, 1);
        let again = Choice { over: 1, ..Choice::default() };
        assert_eq!(serde_json::to_value(again).unwrap(), old);
    }

    #[test]
    fn the_best_is_preferred_where_the_last_is_clearly_worse() {
        // Of 100 samples an agreement of 50 % has a standard error of 5 points, of 400 of 2.5.
        let prefers = |last, num_val| {
            let epochs = [epoch(1, Some(0.50), None), epoch(2, Some(last), None)];
            Choice::of(&epochs, false, 1).prefers_best(&epochs, num_val)
        };
        assert!(prefers(0.44, 100) && !prefers(0.46, 100));
        assert!(prefers(0.47, 400) && !prefers(0.48, 400));
        assert!(!prefers(0.375, 8), "one sample of eight");
        assert!(!prefers(0.60, 400), "the last is the best");
        let unknown = [epoch(1, None, Some(0.9))];
        assert!(!Choice::of(&unknown, false, 1).prefers_best(&unknown, 100));
        // One bad last epoch does not decide: in the mean over five it is nearly as good.
        let jump = [0.5, 0.5, 0.5, 0.5, 0.5, 0.4];
        let epochs: Vec<EpochRecord> =
            jump.iter().zip(1..).map(|(&val, number)| epoch(number, Some(val), None)).collect();
        let prefers = |over| Choice::of(&epochs, false, over).prefers_best(&epochs, 100);
        assert!(prefers(1) && !prefers(5));
    }

    #[test]
    fn unknown_stays_unknown() {
        assert_eq!(Choice::of(&[], false, OVER), Choice::default());
        let choice = Choice::of(&[epoch(1, None, None), epoch(2, None, None)], false, 1);
        assert_eq!(choice.last, Some(Chosen { epoch: 2, val_accuracy: None, test_accuracy: None }));
        assert_eq!((choice.best_by_noisy_val, choice.oracle_best_on_test), (None, None));
    }
}
