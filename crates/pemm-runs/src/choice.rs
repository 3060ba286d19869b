//! Which epoch a run is judged by: the last, the best by noisy validation, and the oracle's.
//!
//! The first two can be had without clean labels. The oracle chooses by the test set itself; it is
//! a bound that nobody reaches in practice and is always shown as such.

use serde::{Deserialize, Serialize};

use crate::epoch::EpochRecord;
use crate::number;

/// The three epochs of a run, each absent where its accuracy is unknown.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Choice {
    /// The last epoch; of a run that was stopped early, the one that it returns.
    pub last: Option<Chosen>,
    /// The epoch with the largest accuracy on the given labels of the validation part.
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

impl Choice {
    /// Chooses among `epochs`. Among equals the earliest wins; NaN never does. A run with early
    /// stopping returns its best epoch by noisy validation.
    pub fn of(epochs: &[EpochRecord], stops_early: bool) -> Self {
        let best_by_noisy_val = best(epochs, |epoch| epoch.val_accuracy_given);
        let last = epochs.last().map(Chosen::from);
        Self {
            last: if stops_early { best_by_noisy_val.or(last) } else { last },
            best_by_noisy_val,
            oracle_best_on_test: best(epochs, EpochRecord::test_accuracy),
        }
    }
}

impl Choice {
    /// Whether the weights that are best by noisy validation should be used instead of the last: the
    /// last ones agree less with the given labels of the n = `num_val` validation samples, and by more
    /// than two standard errors of the best agreement, `2 √(p (1 − p) / n)` with p = (hits + 1) /
    /// (n + 2), so that few samples decide nothing. A smaller difference is what choosing the highest
    /// of many epochs brings by itself.
    pub fn prefers_best(&self, num_val: usize) -> bool {
        let accuracy = |chosen: Option<Chosen>| chosen.and_then(|chosen| chosen.val_accuracy);
        let (Some(best), Some(last)) = (accuracy(self.best_by_noisy_val), accuracy(self.last))
        else {
            return false;
        };
        let n = num_val.max(1) as f64;
        let p = (best * n + 1.0) / (n + 2.0);
        best - last > 2.0 * (p * (1.0 - p) / n).sqrt()
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

fn best(epochs: &[EpochRecord], accuracy: impl Fn(&EpochRecord) -> Option<f64>) -> Option<Chosen> {
    let mut best: Option<(f64, &EpochRecord)> = None;
    for epoch in epochs {
        let Some(value) = accuracy(epoch).filter(|value| !value.is_nan()) else { continue };
        if best.is_none_or(|(most, _)| value > most) {
            best = Some((value, epoch));
        }
    }
    best.map(|(_, epoch)| epoch.into())
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
        let choice = Choice::of(&epochs, false);
        assert_eq!(choice.last.unwrap().test_accuracy, Some(0.70));
        let best = choice.best_by_noisy_val.unwrap();
        assert_eq!(
            (best.epoch, best.val_accuracy, best.test_accuracy),
            (2, Some(0.55), Some(0.80))
        );
        assert_eq!(choice.oracle_best_on_test.unwrap().epoch, 3);
        assert_eq!(Choice::of(&epochs, true).last.unwrap().epoch, 2);
    }

    #[test]
    fn the_best_is_preferred_where_the_last_is_clearly_worse() {
        // Of 100 samples an agreement of 50 % has a standard error of 5 points, of 400 of 2.5.
        let prefers = |last, num_val| {
            let epochs = [epoch(1, Some(0.50), None), epoch(2, Some(last), None)];
            Choice::of(&epochs, false).prefers_best(num_val)
        };
        assert!(prefers(0.39, 100) && !prefers(0.41, 100));
        assert!(prefers(0.44, 400) && !prefers(0.46, 400));
        assert!(!prefers(0.25, 8), "two samples of eight");
        assert!(!prefers(0.60, 400), "the last is the best");
        assert!(!Choice::of(&[epoch(1, None, Some(0.9))], false).prefers_best(100));
    }

    #[test]
    fn unknown_stays_unknown() {
        assert_eq!(Choice::of(&[], false), Choice::default());
        let choice = Choice::of(&[epoch(1, None, None), epoch(2, None, None)], false);
        assert_eq!(choice.last, Some(Chosen { epoch: 2, val_accuracy: None, test_accuracy: None }));
        assert_eq!((choice.best_by_noisy_val, choice.oracle_best_on_test), (None, None));
    }
}
