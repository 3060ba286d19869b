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
