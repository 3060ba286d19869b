//! What a record promises beyond its types: it is of its experiment, and contradicts nothing in itself.

use std::path::Path;

use pemm_experiment::identity::identity;
use serde_json::Value;

use super::Record;
use crate::error::{Result, RunError};

impl Record {
    /// Holds the record, which lies at `path`, to that.
    ///
    /// # Errors
    /// [`RunError::Format`] with what is wrong.
    pub(super) fn check(&self, path: &Path) -> Result<()> {
        let wrong = |reason: String| Err(RunError::format(path, reason));
        if self.experiment.get("seed").and_then(Value::as_u64).is_none() {
            return wrong("experiment.seed: must be an integer of 0 or more".into());
        }
        let arm = self.experiment.get("arm").and_then(Value::as_str);
        if arm != Some(&self.arm) || self.arm.is_empty() {
            return wrong(format!(
                "experiment.arm: must be a name, and equal to the record's `{}`",
                self.arm
            ));
        }
        if self.identity != identity(&self.experiment) {
            return wrong(
                "identity: is not the hash of `experiment`; the record was edited by hand, run \
                 the experiment again"
                    .into(),
            );
        }
        let rates = [
            ("nominal_rate", self.noise.nominal_rate),
            ("realised_rate", self.noise.realised_rate.unwrap_or_default()),
        ];
        for (key, rate) in rates {
            if !(0.0..=1.0).contains(&rate) {
                return wrong(format!("noise.{key}: must be within 0 and 1, is {rate}"));
            }
        }
        for (index, epoch) in self.epochs.iter().enumerate() {
            if epoch.epoch != index + 1 {
                return wrong(format!(
                    "epochs: number {} must stand at that place, is {}",
                    index + 1,
                    epoch.epoch
                ));
            }
            let accuracies = [
                ("train_accuracy_given", Some(epoch.train_accuracy_given)),
                ("val_accuracy_given", epoch.val_accuracy_given),
                ("scored.test_accuracy", epoch.test_accuracy()),
            ];
            for (key, accuracy) in accuracies {
                if accuracy.is_some_and(|value| !(0.0..=1.0).contains(&value)) {
                    let value = accuracy.unwrap_or_default();
                    return wrong(format!(
                        "epochs: {key} of epoch {} must be within 0 and 1, is {value}",
                        epoch.epoch
                    ));
                }
            }
        }
        let said = (self.choice.clone(), self.total_seconds, self.total_cpu_seconds);
        if !self.epochs.is_empty() && said != self.summary() {
            return wrong(
                "choice, total_seconds, total_cpu_seconds: do not follow from `epochs`; the \
                 record was edited by hand, run the experiment again"
                    .into(),
            );
        }
        Ok(())
    }
}
