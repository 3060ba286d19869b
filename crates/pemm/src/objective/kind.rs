//! The objectives that an experiment can name, and their parameters.

use serde::{Deserialize, Serialize};

use super::co_teaching::CoTeaching;
use super::decoupling::Decoupling;
use super::divide_mix::{DivideMix, DivideMixParameters};
use super::early_learning::EarlyLearning;
use super::mixup::Mixup;
use super::reweighting::{DoubtedBy, Reweighting};
use super::{CenterObjective, Objective};
use crate::error::{Error, Result};

/// The objectives that an experiment can name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ObjectiveKind {
    /// [`CenterObjective`] itself.
    #[default]
    Plain,
    /// [`Mixup`].
    Mixup,
    /// [`EarlyLearning`].
    Elr,
    /// [`Reweighting`].
    Reweight,
    /// [`CoTeaching`].
    CoTeaching,
    /// [`Decoupling`].
    Decoupling,
    /// [`DivideMix`].
    DivideMix,
}

/// The `[objective]` table: how the loss of the samples is put together. Parameters that are left
/// out take the default of their kind; see `pemm methods`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ObjectiveConfig {
    /// The objective.
    pub kind: ObjectiveKind,
    /// Of the Beta distribution of `mixup` and `divide-mix`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alpha: Option<f64>,
    /// How much of its memory `elr` keeps in an epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_rate: Option<f64>,
    /// Of the second term of `elr`, of the unlabeled samples of `divide-mix`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<f64>,
    /// Plain epochs first, of `reweight`, `decoupling` and `divide-mix`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warmup_epochs: Option<usize>,
    /// What `reweight` doubts by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<DoubtedBy>,
    /// Share of a batch that `co-teaching` leaves out in the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forget_rate: Option<f64>,
    /// Epochs until it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ramp_epochs: Option<usize>,
    /// Trust above which `divide-mix` keeps a label.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// Of `divide-mix`'s targets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
}

/// A number in `[objective]`: its key, and where it may lie.
struct Range {
    key: &'static str,
    low: f64,
    high: f64,
}

/// An objective in the list of `pemm methods`.
pub struct ObjectiveEntry {
    /// What it is called in `objective.kind`.
    pub kind: ObjectiveKind,
    /// One line.
    pub summary: &'static str,
    /// Keys and defaults.
    pub parameters: &'static [(&'static str, f64)],
    /// Where it is from.
    pub reference: &'static str,
}

/// Every key with its range. Whole numbers are checked by their type.
const RANGES: [Range; 8] = [
    Range { key: "alpha", low: 0.05, high: 16.0 },
    Range { key: "memory_rate", low: 0.0, high: 0.999_999 },
    Range { key: "weight", low: 0.0, high: 1e6 },
    Range { key: "warmup_epochs", low: 0.0, high: 1e6 },
    Range { key: "forget_rate", low: 0.0, high: 0.95 },
    Range { key: "ramp_epochs", low: 1.0, high: 1e6 },
    Range { key: "threshold", low: 0.0, high: 1.0 },
    Range { key: "temperature", low: 0.01, high: 1.0 },
];

/// Every objective: the one list that defaults, checks and documentation are made from.
pub const OBJECTIVES: [ObjectiveEntry; 7] = [
    ObjectiveEntry {
        kind: ObjectiveKind::Plain,
        summary: "mean loss and the terms of the centers",
        parameters: &[],
        reference: "the paper, eq. 13",
    },
    ObjectiveEntry {
        kind: ObjectiveKind::Mixup,
        summary: "straight lines between pairs of samples",
        parameters: &[("alpha", 1.0)],
        reference: "Zhang et al. 2018",
    },
    ObjectiveEntry {
        kind: ObjectiveKind::Elr,
        summary: "early-learning regularisation: a memory of early predictions holds against labels",
        parameters: &[("memory_rate", 0.7), ("weight", 3.0)],
        reference: "Liu et al. 2020",
    },
    ObjectiveEntry {
        kind: ObjectiveKind::Reweight,
        summary: "samples weighted by a two-component mixture over losses or distances (objective.by)",
        parameters: &[("warmup_epochs", 5.0)],
        reference: "the paper, section 4.4; Arazo et al. 2019",
    },
    ObjectiveEntry {
        kind: ObjectiveKind::CoTeaching,
        summary: "two networks, each learns from what the other finds easy",
        parameters: &[("forget_rate", 0.2), ("ramp_epochs", 10.0)],
        reference: "Han et al. 2018",
    },
    ObjectiveEntry {
        kind: ObjectiveKind::Decoupling,
        summary: "two networks that learn only where they disagree",
        parameters: &[("warmup_epochs", 0.0)],
        reference: "Malach and Shalev-Shwartz 2017",
    },
    ObjectiveEntry {
        kind: ObjectiveKind::DivideMix,
        summary: "two networks; doubted labels are replaced by guesses, with mixup",
        parameters: &[
            ("warmup_epochs", 10.0),
            ("threshold", 0.5),
            ("temperature", 0.5),
            ("alpha", 4.0),
            ("weight", 25.0),
        ],
        reference: "Li et al. 2020",
    },
];

impl ObjectiveKind {
    /// The name in experiment files.
    pub fn name(self) -> String {
        match serde_json::to_value(self) {
            Ok(serde_json::Value::String(name)) => name,
            other => unreachable!("a kind is written as a word, not {other:?}"),
        }
    }

    fn entry(self) -> &'static ObjectiveEntry {
        OBJECTIVES.iter().find(|entry| entry.kind == self).expect("every kind is listed")
    }
}

impl ObjectiveConfig {
    /// Keys that belong to some kinds only.
    pub(crate) const PARAMETERS: [&str; 9] = [
        "alpha",
        "memory_rate",
        "weight",
        "warmup_epochs",
        "by",
        "forget_rate",
        "ramp_epochs",
        "threshold",
        "temperature",
    ];

    /// Whether it says nothing, for experiments from before there were objectives.
    pub(crate) fn is_plain(&self) -> bool {
        *self == Self::default()
    }

    /// Fills in defaults, and refuses what does not belong to the kind or is out of range.
    pub(crate) fn resolve(&mut self, has_centers: bool, num_epochs: usize) -> Result<()> {
        let kind = self.kind;
        for Range { key, low, high } in RANGES {
            let default = kind
                .entry()
                .parameters
                .iter()
                .find(|(name, _)| *name == key)
                .map(|(_, value)| *value);
            let key_path = format!("objective.{key}");
            let Some(value) = self.fill(key, default) else { continue };
            if default.is_none() {
                let reason = format!("objective.kind = \"{}\" has no such parameter", kind.name());
                return Err(Error::setting(&key_path, reason));
            }
            if !(low..=high).contains(&value) {
                let reason = format!("must be from {low} to {high}, is {value}");
                return Err(Error::setting(&key_path, reason));
            }
        }
        if kind == ObjectiveKind::Reweight {
            let by = *self.by.get_or_insert(DoubtedBy::Loss);
            if by == DoubtedBy::Distance && !has_centers {
                let reason = "\"distance\" needs centers: set model.head = \"distance\"";
                return Err(Error::setting("objective.by", reason));
            }
        } else if self.by.is_some() {
            let reason = format!("objective.kind = \"{}\" has no such parameter", kind.name());
            return Err(Error::setting("objective.by", reason));
        }
        let fits_to_losses = matches!(kind, ObjectiveKind::Reweight | ObjectiveKind::DivideMix);
        match self.warmup_epochs {
            Some(0) if fits_to_losses => Err(Error::setting(
                "objective.warmup_epochs",
                "must be at least 1: the weights are fitted to the losses of the epoch before",
            )),
            Some(warmup) if warmup >= num_epochs => Err(Error::setting(
                "objective.warmup_epochs",
                format!("must be below schedule.num_epochs = {num_epochs}, is {warmup}"),
            )),
            _ => Ok(()),
        }
    }

    /// The value of a number, set to `default` where it is left out.
    fn fill(&mut self, key: &str, default: Option<f64>) -> Option<f64> {
        let real = |value: &mut Option<f64>| {
            *value = value.or(default);
            *value
        };
        let whole = |value: &mut Option<usize>| {
            *value = value.or(default.map(|default| default as usize));
            value.map(|value| value as f64)
        };
        match key {
            "alpha" => real(&mut self.alpha),
            "memory_rate" => real(&mut self.memory_rate),
            "weight" => real(&mut self.weight),
            "warmup_epochs" => whole(&mut self.warmup_epochs),
            "forget_rate" => real(&mut self.forget_rate),
            "ramp_epochs" => whole(&mut self.ramp_epochs),
            "threshold" => real(&mut self.threshold),
            "temperature" => real(&mut self.temperature),
            _ => unreachable!("{key} is no number of [objective]"),
        }
    }

    /// The objective of a checked experiment over `base`, for a training part of `num_samples`.
    pub(crate) fn build(
        &self,
        base: CenterObjective,
        num_samples: usize,
        num_classes: usize,
    ) -> Box<dyn Objective> {
        let number = |value: Option<f64>| value.expect("checked: parameters are filled in");
        let count = |value: Option<usize>| value.expect("checked: parameters are filled in");
        match self.kind {
            ObjectiveKind::Plain => Box::new(base),
            ObjectiveKind::Mixup => Box::new(Mixup { base, alpha: number(self.alpha) }),
            ObjectiveKind::Elr => {
                let (rate, weight) = (number(self.memory_rate), number(self.weight));
                Box::new(EarlyLearning::new(base, rate, weight, num_samples, num_classes))
            }
            ObjectiveKind::Reweight => {
                let by = self.by.expect("checked: filled in");
                Box::new(Reweighting::new(base, by, count(self.warmup_epochs), num_samples))
            }
            ObjectiveKind::CoTeaching => Box::new(CoTeaching {
                base,
                forget_rate: number(self.forget_rate),
                ramp_epochs: count(self.ramp_epochs),
            }),
            ObjectiveKind::Decoupling => {
                Box::new(Decoupling { base, warmup_epochs: count(self.warmup_epochs) })
            }
            ObjectiveKind::DivideMix => {
                let parameters = DivideMixParameters {
                    warmup_epochs: count(self.warmup_epochs),
                    threshold: number(self.threshold),
                    temperature: number(self.temperature),
                    alpha: number(self.alpha),
                    weight: number(self.weight),
                };
                Box::new(DivideMix::new(base, parameters, num_samples))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(kind: ObjectiveKind) -> ObjectiveConfig {
        ObjectiveConfig { kind, ..ObjectiveConfig::default() }
    }

    #[test]
    fn every_kind_is_filled_from_the_list_and_refuses_what_is_not_its_own() {
        for entry in &OBJECTIVES {
            let mut filled = config(entry.kind);
            filled.resolve(true, 60).unwrap();
            for Range { key, .. } in RANGES {
                let default = entry.parameters.iter().find(|(name, _)| *name == key);
                assert_eq!(filled.fill(key, None), default.map(|(_, value)| *value), "{key}");
                if default.is_none() {
                    let mut wrong = config(entry.kind);
                    wrong.fill(key, Some(1.0));
                    let error = wrong.resolve(true, 60).unwrap_err().to_string();
                    assert!(error.contains(key) && error.contains(&entry.kind.name()), "{error}");
                }
            }
        }
    }

    #[test]
    fn values_out_of_range_are_refused_by_key() {
        let refused =
            |config: &mut ObjectiveConfig| config.resolve(false, 5).unwrap_err().to_string();
        let mut mixup = config(ObjectiveKind::Mixup);
        mixup.alpha = Some(f64::NAN);
        assert!(refused(&mut mixup).contains("objective.alpha"));
        let mut divide = config(ObjectiveKind::DivideMix);
        assert!(refused(&mut divide).contains("below schedule.num_epochs = 5, is 10"));
        let mut reweight = config(ObjectiveKind::Reweight);
        reweight.warmup_epochs = Some(0);
        assert!(refused(&mut reweight).contains("at least 1"));
        reweight.warmup_epochs = Some(1);
        reweight.by = Some(DoubtedBy::Distance);
        assert!(refused(&mut reweight).contains("needs centers"));
    }
}
