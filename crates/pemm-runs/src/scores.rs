//! How well the finished model does, class by class: the end of a record.

use std::cmp::Reverse;

use pemm_data::score::{ClassScore, Score};
use serde::{Deserialize, Serialize};

use crate::number;

/// What the weights that a run returns say of the parts that it was not trained on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scores {
    /// Epoch of the weights, from 1.
    pub epoch: usize,
    /// The validation part, against its given labels, which may be wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation: Option<PartScores>,
    /// The test part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<PartScores>,
}

/// One part. Rates are 0–1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartScores {
    /// Number of samples.
    pub num_samples: usize,
    /// Share predicted as labelled.
    #[serde(with = "number")]
    pub accuracy: f64,
    /// Mean recall of the classes.
    #[serde(with = "number")]
    pub balanced_accuracy: f64,
    /// Share of the largest class: the accuracy of naming always that one.
    #[serde(with = "number")]
    pub majority: f64,
    /// Share whose label is among the five most probable classes; of data with 20 classes or more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top5: Option<f64>,
    /// The classes, by label.
    pub classes: Vec<ClassScore>,
}

impl PartScores {
    /// What scores promise beyond their types.
    ///
    /// # Errors
    /// Rates outside of 0–1, and classes that do not have the samples.
    pub(crate) fn check(&self) -> std::result::Result<(), String> {
        let rates = [self.accuracy, self.balanced_accuracy, self.majority];
        let in_class = |class: &ClassScore| [class.recall, class.precision, class.f1];
        let rates = rates.into_iter().chain(self.top5);
        let mut rates = rates.chain(self.classes.iter().flat_map(in_class).flatten());
        if !rates.all(|rate| (0.0..=1.0).contains(&rate)) {
            return Err("scores: a rate is not within 0 and 1".into());
        }
        let num_samples =
            self.classes.iter().try_fold(0usize, |sum, class| sum.checked_add(class.num_samples));
        match num_samples == Some(self.num_samples) && !self.classes.is_empty() {
            true => Ok(()),
            false => Err("scores: the classes do not have as many samples as the part".into()),
        }
    }

    /// The class with the most samples, the first of equals; `None` without classes.
    pub fn largest_class(&self) -> Option<usize> {
        let counts = self.classes.iter().map(|class| class.num_samples).enumerate();
        counts.max_by_key(|&(class, count)| (count, Reverse(class))).map(|(class, _)| class)
    }
}

impl From<&Score> for PartScores {
    fn from(score: &Score) -> Self {
        Self {
            num_samples: score.num_samples,
            accuracy: score.accuracy,
            balanced_accuracy: score.balanced_accuracy,
            majority: score.majority,
            top5: score.top5,
            classes: score.classes(),
        }
    }
}
