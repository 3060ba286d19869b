//! Learning-rate schedules.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

use crate::error::{ExperimentError, Result};
use crate::method::Range;

/// The schedules that an experiment can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScheduleKind {
    /// The rate stays.
    Constant,
    /// Multiplied by `factor` at each milestone.
    Step,
    /// `½ (1 + cos(π e / half_period))` of the rate in epoch e (from 0). Beyond the half-period it
    /// rises again, as PyTorch's `CosineAnnealingLR` does.
    Cosine,
    /// One cycle over the whole run, step by step: over the first 30 % of the steps the rate rises from
    /// 1/25 of itself to itself, then falls to 1/10,000 of where it began, each along half a cosine
    /// (Smith and Topin 2018, as in PyTorch's `OneCycleLR`; the momentum stays).
    #[serde(rename = "one-cycle")]
    OneCycle,
}

/// The `[schedule]` table of an experiment file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Schedule {
    /// Passes over the training part, at least 1; left out, 70 where images are mirrored at random and 50
    /// elsewhere: images that look different each time are memorised later.
    pub num_epochs: Option<usize>,
    /// Samples per step, at least 2 (BatchNorm needs two).
    pub batch_size: usize,
    /// The form.
    pub kind: ScheduleKind,
    /// Epochs (from 1: "after so many epochs") at which `step` multiplies, increasing.
    pub milestones: Vec<usize>,
    /// What `step` multiplies by, above 0 and at most 1.
    pub factor: f64,
    /// Half-period of `cosine` in epochs; left out, `num_epochs`.
    pub half_period: Option<f64>,
    /// Epochs over which the rate rises linearly, step by step, to its value; 0 for none.
    pub warmup_epochs: usize,
    /// Early stopping: the run ends after so many epochs without a new best accuracy on the given
    /// labels of the validation part, and returns the weights of the best; it does the latter also
    /// where it reaches `num_epochs`. Left out, it returns those of the last epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patience: Option<usize>,
    /// The test set and the fits are scored every so many epochs, and always after the last; the
    /// training does not depend on it. So is every new best epoch by noisy validation, so that its
    /// test accuracy is known. 0 scores after the last only. With `patience` every epoch is scored,
    /// since any may be the one that is returned.
    pub score_every: usize,
}

impl Default for Schedule {
    fn default() -> Self {
        Self {
            num_epochs: None,
            batch_size: 128,
            kind: ScheduleKind::Cosine,
            milestones: Vec::new(),
            factor: 0.1,
            half_period: None,
            warmup_epochs: 0,
            patience: None,
            score_every: 1,
        }
    }
}

impl Schedule {
    /// Share of the steps over which the rate of `one-cycle` rises.
    const RISE: f64 = 0.3;

    /// Epochs where they are left to the data, of which nothing is known yet.
    const EPOCHS: usize = 50;
    /// The same of images that are mirrored at random (bench/pixels/README.md).
    const EPOCHS_OF_MIRRORED: usize = 70;

    /// Passes over the training part, of an experiment that is resolved. Of another that leaves them to the
    /// data, the fewest that they may be.
    pub fn num_epochs(&self) -> usize {
        self.num_epochs.unwrap_or(Self::EPOCHS)
    }

    /// Fills in what was left out, for images that are mirrored at random or not, and checks all.
    pub(crate) fn resolve(&mut self, mirrored: bool, warnings: &mut Vec<String>) -> Result<()> {
        let schedule = self;
        let by_data = if mirrored { Self::EPOCHS_OF_MIRRORED } else { Self::EPOCHS };
        let num_epochs = *schedule.num_epochs.get_or_insert(by_data);
        Range::within(1.0, 1e6).check("schedule.num_epochs", num_epochs as f64)?;
        Range::within(2.0, 1e6).check("schedule.batch_size", schedule.batch_size as f64)?;
        if schedule.kind != ScheduleKind::Step && !schedule.milestones.is_empty() {
            let reason = "goes with schedule.kind = \"step\" only";
            return Err(ExperimentError::setting("schedule.milestones", reason));
        }
        if schedule.kind == ScheduleKind::Step && schedule.milestones.is_empty() {
            let reason = "is empty; name the epochs at which the rate falls, for example [40, 80], \
                          or use schedule.kind = \"constant\"";
            return Err(ExperimentError::setting("schedule.milestones", reason));
        }
        if schedule.kind != ScheduleKind::Cosine {
            if schedule.half_period.is_some() {
                let reason = "goes with schedule.kind = \"cosine\" only";
                return Err(ExperimentError::setting("schedule.half_period", reason));
            }
        } else {
            let half_period = *schedule.half_period.get_or_insert(num_epochs as f64);
            Range::POSITIVE.check("schedule.half_period", half_period)?;
        }
        Range::above(0.0, 1.0).check("schedule.factor", schedule.factor)?;
        if schedule.patience == Some(0) {
            return Err(ExperimentError::setting("schedule.patience", "must be at least 1, is 0"));
        }
        if !schedule.milestones.is_sorted_by(|a, b| a < b) {
            let reason = format!("must increase, are {:?}", schedule.milestones);
            return Err(ExperimentError::setting("schedule.milestones", reason));
        }
        if let Some(late) = schedule.milestones.iter().find(|&&m| m >= num_epochs) {
            warnings
                .push(format!("schedule.milestones: {late} is not reached in {num_epochs} epochs"));
        }
        if schedule.warmup_epochs >= num_epochs {
            let reason = format!(
                "must be below schedule.num_epochs = {num_epochs}, is {}",
                schedule.warmup_epochs
            );
            return Err(ExperimentError::setting("schedule.warmup_epochs", reason));
        }
        Ok(())
    }

    /// Share of the base rate in `step` (from 0) of `num_steps` of `epoch` (from 0).
    pub fn share(&self, epoch: usize, step: usize, num_steps: usize) -> f64 {
        let warm = if epoch < self.warmup_epochs {
            let done = epoch as f64 + (step + 1) as f64 / num_steps as f64;
            done / self.warmup_epochs as f64
        } else {
            1.0
        };
        let form = match self.kind {
            ScheduleKind::Constant => 1.0,
            ScheduleKind::Step => {
                let passed = self.milestones.iter().filter(|&&m| m <= epoch).count();
                self.factor.powi(passed as i32)
            }
            ScheduleKind::Cosine => {
                let half_period = self.half_period.unwrap_or(self.num_epochs() as f64);
                0.5 * (1.0 + (PI * epoch as f64 / half_period).cos())
            }
            ScheduleKind::OneCycle => {
                let all = (self.num_epochs() * num_steps) as f64;
                let step = (epoch * num_steps + step) as f64;
                // The step with the highest rate, and the last one.
                let (top, last) = ((Self::RISE * all - 1.0).max(0.0), all - 1.0);
                let [begin, end] = [1.0 / 25.0, 1.0 / 25.0e4];
                // From `from` to `to` along half a cosine, as `x` goes from 0 to 1.
                let between =
                    |from: f64, to: f64, x: f64| to + (from - to) * 0.5 * (1.0 + (PI * x).cos());
                if step < top {
                    between(begin, 1.0, step / top)
                } else {
                    between(1.0, end, (step - top) / (last - top).max(1.0))
                }
            }
        };
        warm * form
    }

    /// Whether a run of `done` epochs, the best of which was `best` (from 1), stops early.
    pub fn is_out_of_patience(&self, done: usize, best: Option<usize>) -> bool {
        self.patience.is_some_and(|patience| best.is_some_and(|best| done - best >= patience))
    }

    /// Whether epoch `epoch` (from 1) is scored; `is_best` if it is the best by noisy validation so
    /// far.
    pub fn scores(&self, epoch: usize, is_best: bool) -> bool {
        epoch == self.num_epochs()
            || self.patience.is_some()
            || (self.score_every > 0 && (is_best || epoch.is_multiple_of(self.score_every)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_fall_at_the_milestones() {
        let schedule =
            Schedule { kind: ScheduleKind::Step, milestones: vec![40, 80], ..Schedule::default() };
        assert_eq!(schedule.share(39, 0, 10), 1.0);
        assert_eq!(schedule.share(40, 0, 10), 0.1);
        assert!((schedule.share(80, 0, 10) - 0.01).abs() < 1e-12);
    }

    #[test]
    fn cosine_falls_and_rises_with_its_period() {
        let schedule = Schedule { half_period: Some(10.0), ..Schedule::default() };
        assert_eq!(schedule.share(0, 0, 5), 1.0);
        assert!(schedule.share(10, 0, 5).abs() < 1e-12);
        assert!((schedule.share(20, 0, 5) - 1.0).abs() < 1e-12);
        assert!((schedule.share(5, 4, 5) - 0.5).abs() < 1e-12);
    }

    #[test]
    fn one_cycle_rises_and_falls_step_by_step() {
        let schedule =
            Schedule { kind: ScheduleKind::OneCycle, num_epochs: Some(11), ..Schedule::default() };
        // torch.optim.lr_scheduler.OneCycleLR(optimizer, 1.0, total_steps=110, cycle_momentum=False)
        let torch = [
            (0, 0.040000000000000036),
            (1, 0.042311331197345536),
            (15, 0.47295177264181076),
            (32, 1.0),
            (33, 0.9995839013366927),
            (60, 0.7077086756709172),
            (100, 0.033335606154358696),
            (108, 0.00042009866330724647),
            (109, 4e-6),
        ];
        for (step, rate) in torch {
            let share = schedule.share(step / 10, step % 10, 10);
            assert!((share - rate).abs() < 1e-12, "step {step}: {share}");
        }
    }

    #[test]
    fn warm_up_ends_at_the_full_rate() {
        let schedule =
            Schedule { kind: ScheduleKind::Constant, warmup_epochs: 2, ..Schedule::default() };
        assert_eq!(schedule.share(0, 0, 4), 0.125);
        assert_eq!(schedule.share(1, 3, 4), 1.0);
        assert_eq!(schedule.share(2, 0, 4), 1.0);
    }

    #[test]
    fn patience_counts_from_the_best_epoch() {
        let schedule = Schedule { patience: Some(3), ..Schedule::default() };
        assert!(!schedule.is_out_of_patience(0, None));
        assert!(!schedule.is_out_of_patience(6, Some(4)));
        assert!(schedule.is_out_of_patience(7, Some(4)));
        assert!(!Schedule::default().is_out_of_patience(7, Some(1)));
    }

    #[test]
    fn the_last_epoch_is_always_scored() {
        let schedule = Schedule { num_epochs: Some(7), score_every: 3, ..Schedule::default() };
        let scored: Vec<usize> = (1..=7).filter(|&e| schedule.scores(e, e == 4)).collect();
        assert_eq!(scored, [3, 4, 6, 7]);
    }
}
