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
use crate::method::{Method, Parameter, Range};

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

/// An objective of the catalogue.
pub struct ObjectiveEntry {
    /// What `objective.kind` names.
    pub kind: ObjectiveKind,
    /// What it says of itself.
    pub method: Method,
}

const fn warmup(default: f64, least: f64) -> Parameter {
    let range = Range::from(least);
    Parameter::number("warmup_epochs", default, range, "epochs of plain training first")
}

const fn alpha(default: f64) -> Parameter {
    let range = Range::within(0.05, 16.0);
    Parameter::number("alpha", default, range, "of Beta(alpha, alpha); 1 is uniform, near 0 none")
}

/// Every objective: the one list that defaults, checks and documentation are made from.
pub const OBJECTIVES: [ObjectiveEntry; 7] = [
    ObjectiveEntry {
        kind: ObjectiveKind::Plain,
        method: Method {
            name: "plain",
            summary: "mean loss and the terms of the centers",
            parameters: &[],
            reference: "the paper, eq. 13",
        },
    },
    ObjectiveEntry {
        kind: ObjectiveKind::Mixup,
        method: Method {
            name: "mixup",
            summary: "straight lines between pairs of samples",
            parameters: &[alpha(1.0)],
            reference: "Zhang et al. 2018",
        },
    },
    ObjectiveEntry {
        kind: ObjectiveKind::Elr,
        method: Method {
            name: "elr",
            summary: "early-learning regularisation: a memory of early predictions against labels",
            parameters: &[
                Parameter::number(
                    "memory_rate",
                    0.7,
                    Range::up_to(0.0, 1.0),
                    "share of the memory that an epoch keeps",
                ),
                Parameter::number("weight", 3.0, Range::NOT_NEGATIVE, "of the second term"),
            ],
            reference: "Liu et al. 2020",
        },
    },
    ObjectiveEntry {
        kind: ObjectiveKind::Reweight,
        method: Method {
            name: "reweight",
            summary: "samples weighted by a mixture of two normals over losses or distances",
            parameters: &[
                Parameter::words("by", "loss", "loss or distance", "what a label is doubted by"),
                warmup(5.0, 1.0),
            ],
            reference: "the paper, section 4.4; Arazo et al. 2019",
        },
    },
    ObjectiveEntry {
        kind: ObjectiveKind::CoTeaching,
        method: Method {
            name: "co-teaching",
            summary: "two networks, each learns from what the other finds easy",
            parameters: &[
                Parameter::number(
                    "forget_rate",
                    0.2,
                    Range::within(0.0, 0.95),
                    "share of a batch that is left out in the end",
                ),
                Parameter::number("ramp_epochs", 10.0, Range::from(1.0), "epochs until it is"),
            ],
            reference: "Han et al. 2018",
        },
    },
    ObjectiveEntry {
        kind: ObjectiveKind::Decoupling,
        method: Method {
            name: "decoupling",
            summary: "two networks that learn only where they disagree",
            parameters: &[warmup(0.0, 0.0)],
            reference: "Malach and Shalev-Shwartz 2017",
        },
    },
    ObjectiveEntry {
        kind: ObjectiveKind::DivideMix,
        method: Method {
            name: "divide-mix",
            summary: "two networks; doubted labels are replaced by guesses, with mixup",
            parameters: &[
                warmup(10.0, 1.0),
                Parameter::number("threshold", 0.5, Range::SHARE, "trust above which labels stay"),
                Parameter::number(
                    "temperature",
                    0.5,
                    Range::within(0.01, 1.0),
                    "of the targets; smaller is sharper",
                ),
                alpha(4.0),
                Parameter::number("weight", 25.0, Range::NOT_NEGATIVE, "of unlabeled samples"),
            ],
            reference: "Li et al. 2020, simplified",
        },
    },
];

impl ObjectiveKind {
    /// Its entry in the catalogue.
    pub fn entry(self) -> &'static ObjectiveEntry {
        OBJECTIVES.iter().find(|entry| entry.kind == self).expect("every kind is listed")
    }
}

impl ObjectiveConfig {
    /// Keys that belong to some kinds only.
    pub(crate) fn parameters() -> impl Iterator<Item = &'static str> {
        OBJECTIVES.iter().flat_map(|entry| entry.method.parameters).map(|parameter| parameter.key)
    }

    /// Whether it says nothing, for experiments from before there were objectives.
    pub(crate) fn is_plain(&self) -> bool {
        *self == Self::default()
    }

    /// Fills in defaults, and refuses what does not belong to the kind or is out of range.
    pub(crate) fn resolve(&mut self, has_centers: bool, num_epochs: usize) -> Result<()> {
        let method = &self.kind.entry().method;
        for (key, value) in self.reals() {
            method.fill("objective", "objective.kind", key, value)?;
        }
        for (key, value) in self.counts() {
            let mut number = value.map(|count| count as f64);
            method.fill("objective", "objective.kind", key, &mut number)?;
            *value = number.map(|number| number as usize);
        }
        self.resolve_by(has_centers)?;
        match self.warmup_epochs {
            Some(warmup) if warmup >= num_epochs => Err(Error::setting(
                "objective.warmup_epochs",
                format!("must be below schedule.num_epochs = {num_epochs}, is {warmup}"),
            )),
            _ => Ok(()),
        }
    }

    fn resolve_by(&mut self, has_centers: bool) -> Result<()> {
        let method = &self.kind.entry().method;
        if method.parameter("by").is_none() {
            return match self.by {
                Some(_) => Err(method.lacks("objective.by".into(), "objective.kind")),
                None => Ok(()),
            };
        }
        if *self.by.get_or_insert(DoubtedBy::Loss) == DoubtedBy::Distance && !has_centers {
            let reason = "\"distance\" needs centers: set model.head = \"distance\"";
            return Err(Error::setting("objective.by", reason));
        }
        Ok(())
    }

    /// The parameters that are real numbers, by key.
    fn reals(&mut self) -> [(&'static str, &mut Option<f64>); 6] {
        [
            ("alpha", &mut self.alpha),
            ("memory_rate", &mut self.memory_rate),
            ("weight", &mut self.weight),
            ("forget_rate", &mut self.forget_rate),
            ("threshold", &mut self.threshold),
            ("temperature", &mut self.temperature),
        ]
    }

    /// The parameters that count epochs, by key.
    fn counts(&mut self) -> [(&'static str, &mut Option<usize>); 2] {
        [("warmup_epochs", &mut self.warmup_epochs), ("ramp_epochs", &mut self.ramp_epochs)]
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
    fn names_are_those_of_experiment_files() {
        for entry in &OBJECTIVES {
            let word = serde_json::to_value(entry.kind).unwrap();
            assert_eq!(word, entry.method.name);
        }
    }

    #[test]
    fn every_kind_is_filled_from_the_list_and_refuses_what_is_not_its_own() {
        let has = |entry: &ObjectiveEntry, key| entry.method.parameter(key).is_some();
        for entry in &OBJECTIVES {
            let mut filled = config(entry.kind);
            filled.resolve(true, 60).unwrap();
            for (key, value) in filled.reals() {
                assert_eq!(value.is_some(), has(entry, key), "{}, {key}", entry.method.name);
            }
            for (key, value) in filled.counts() {
                assert_eq!(value.is_some(), has(entry, key), "{}, {key}", entry.method.name);
            }
            for index in 0..6 {
                let mut wrong = config(entry.kind);
                let key = wrong.reals()[index].0;
                if has(entry, key) {
                    continue;
                }
                *wrong.reals()[index].1 = Some(0.5);
                let error = wrong.resolve(true, 60).unwrap_err().to_string();
                assert!(error.contains(key) && error.contains(entry.method.name), "{error}");
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
        assert!(refused(&mut reweight).contains("must be 1 or more, is 0"));
        reweight.warmup_epochs = Some(1);
        reweight.by = Some(DoubtedBy::Distance);
        assert!(refused(&mut reweight).contains("needs centers"));
    }
}
