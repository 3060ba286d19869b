//! One experiment, readable top to bottom: text → [`Experiment`] → [`Experiment::resolve`] →
//! [`Plan`](crate::plan::Plan) → run.
//!
//! Layers, each over the one before: built-in defaults, a preset, a file, and `--set key=value`.

pub(crate) mod content;
mod energy;
mod loss;

use pemm_data::config::{AugmentConfig, DataConfig, NoiseConfig};
use pemm_data::nearest;
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::backbone::BackboneKind;
use crate::error::{Error, Result};
use crate::head::{HEADS, HeadKind};
use crate::loss::LOSSES;
use crate::objective::ObjectiveConfig;
use crate::optim::OptimConfig;
use crate::schedule::Schedule;

pub use energy::{CenterStart, EnergyConfig, EnergyKind, REGULARISERS};
pub use loss::{ClassWeights, LossConfig, LossContext, ORACLE};

/// The presets by name, each with its text.
pub const PRESETS: [(&str, &str); 26] = [
    ("pemm", include_str!("../presets/pemm.toml")),
    ("paper", include_str!("../presets/paper.toml")),
    ("paper-tables", include_str!("../presets/paper-tables.toml")),
    ("paper-unit", include_str!("../presets/paper-unit.toml")),
    ("authors", include_str!("../presets/authors.toml")),
    ("sce", include_str!("../presets/sce.toml")),
    ("ce", include_str!("../presets/ce.toml")),
    ("mae", include_str!("../presets/mae.toml")),
    ("gce", include_str!("../presets/gce.toml")),
    ("nce-rce", include_str!("../presets/nce-rce.toml")),
    ("bootstrap-soft", include_str!("../presets/bootstrap-soft.toml")),
    ("bootstrap-hard", include_str!("../presets/bootstrap-hard.toml")),
    ("forward", include_str!("../presets/forward.toml")),
    ("forward-estimated", include_str!("../presets/forward-estimated.toml")),
    ("phuber", include_str!("../presets/phuber.toml")),
    ("cosface", include_str!("../presets/cosface.toml")),
    ("arcface", include_str!("../presets/arcface.toml")),
    ("label-smoothing", include_str!("../presets/label-smoothing.toml")),
    ("ce-early", include_str!("../presets/ce-early.toml")),
    ("elr", include_str!("../presets/elr.toml")),
    ("mixup", include_str!("../presets/mixup.toml")),
    ("pemm-reweight", include_str!("../presets/pemm-reweight.toml")),
    ("co-teaching", include_str!("../presets/co-teaching.toml")),
    ("decoupling", include_str!("../presets/decoupling.toml")),
    ("divide-mix", include_str!("../presets/divide-mix.toml")),
    ("audit", include_str!("../presets/audit.toml")),
];

/// An experiment as it is written. Values left out are chosen by [`resolve`](Self::resolve).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Experiment {
    /// The preset below this file.
    pub preset: String,
    /// Name of the arm in tables; left out, the preset's.
    pub arm: Option<String>,
    /// Opens every random stream.
    pub seed: u64,
    /// Where the samples come from.
    pub data: DataConfig,
    /// Noise drawn on the labels.
    pub noise: NoiseConfig,
    /// Random changes of training images.
    pub augment: AugmentConfig,
    /// Backbone and head.
    pub model: ModelConfig,
    /// What is minimised.
    pub loss: LossConfig,
    /// How the losses of the samples are put together.
    #[serde(skip_serializing_if = "ObjectiveConfig::is_plain")]
    pub objective: ObjectiveConfig,
    /// Stochastic gradient descent.
    pub optim: OptimConfig,
    /// Epochs, batches and learning rates.
    pub schedule: Schedule,
}

impl Default for Experiment {
    fn default() -> Self {
        Self {
            preset: PRESETS[0].0.into(),
            arm: None,
            seed: 1,
            data: DataConfig::default(),
            noise: NoiseConfig::default(),
            augment: AugmentConfig::default(),
            model: ModelConfig::default(),
            loss: LossConfig::default(),
            objective: ObjectiveConfig::default(),
            optim: OptimConfig::default(),
            schedule: Schedule::default(),
        }
    }
}

/// The `[model]` table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModelConfig {
    /// Left out: `mlp` for vectors and images with a side below 16, else `cnn8`.
    pub backbone: Option<BackboneKind>,
    /// Channels of `cnn8`'s first layer (left out, 64) or units per layer of `mlp` (left out, 128);
    /// the ResNets have none to choose.
    pub width: Option<usize>,
    /// Divide features by their norm.
    pub unit_norm: bool,
    /// Share of the features dropped in training, `[0, 1)`.
    pub dropout: f64,
    /// The head.
    pub head: HeadKind,
    /// σ of the distance head, > 0.
    pub sigma: f64,
    /// s of `cosface` and `arcface`; left out, [`HEADS`] says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale: Option<f64>,
    /// m of `cosface` and `arcface`; left out, [`HEADS`] says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub margin: Option<f64>,
    /// Safetensors file that the backbone starts from: of a run, or with torchvision's names; the
    /// head is drawn. Both networks of a run that trains two start from it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights: Option<String>,
    /// SHA-256 of that file; left out, it is filled in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights_sha256: Option<String>,
}

impl Default for ModelConfig {
    fn default() -> Self {
        Self {
            backbone: None,
            width: None,
            unit_norm: false,
            dropout: 0.0,
            head: HeadKind::Distance,
            sigma: 1.0,
            scale: None,
            margin: None,
            weights: None,
            weights_sha256: None,
        }
    }
}

/// One layer of an experiment: where it comes from, and its keys.
#[derive(Debug, Clone)]
pub struct Layer {
    table: Table,
}

impl Layer {
    /// A layer from the text of an experiment file. Unknown keys and wrong types are errors that
    /// show line and column.
    pub fn from_text(origin: &str, text: &str) -> Result<Self> {
        let fail = |error: toml::de::Error| Error::Experiment {
            origin: origin.to_owned(),
            message: with_suggestion(&error.to_string()),
        };
        toml::from_str::<Experiment>(text).map_err(fail)?;
        Ok(Self { table: text.parse::<Table>().map_err(fail)? })
    }

    /// A layer from `key=value`, where key is dotted and value is TOML; a word that is no TOML value
    /// is taken as a string.
    pub fn from_assignment(assignment: &str) -> Result<Self> {
        let origin = format!("--set {assignment}");
        let Some((key, value)) = assignment.split_once('=') else {
            return Err(Error::Experiment {
                origin,
                message: "expected key=value, for example --set optim.learning_rate=0.05".into(),
            });
        };
        let (key, value) = (key.trim(), value.trim());
        let literal = format!("x = {value}").parse::<Table>().ok().and_then(|mut t| t.remove("x"));
        let value = literal.unwrap_or_else(|| Value::String(value.to_owned()));
        let table = key.rsplit('.').fold(value, |inner, part| {
            Value::Table(Table::from_iter([(part.trim().to_owned(), inner)]))
        });
        let Value::Table(table) = table else { unreachable!("a key has at least one part") };
        check_keys(&origin, &table)?;
        Ok(Self { table })
    }

    /// A layer that names a preset and nothing else.
    pub(crate) fn of_preset(name: &str) -> Self {
        Self { table: Table::from_iter([("preset".to_owned(), Value::String(name.to_owned()))]) }
    }

    /// A layer from values, for the arguments of a command line.
    pub fn from_experiment_keys(table: Table) -> Result<Self> {
        Self::from_table("arguments", table)
    }

    /// A layer from values that come from `origin`.
    pub fn from_table(origin: &str, table: Table) -> Result<Self> {
        check_keys(origin, &table)?;
        Ok(Self { table })
    }

    /// This layer with `above` put over it: one layer, so that the order of its keys means nothing.
    pub fn over(mut self, above: Self) -> Self {
        merge(&mut self.table, above.table);
        self
    }

    fn preset(&self) -> Option<&str> {
        self.table.get("preset").and_then(Value::as_str)
    }
}

/// Whether a table alone is an experiment. The parser's own text has no line here, so it names the
/// key by itself.
fn check_keys(origin: &str, table: &Table) -> Result<()> {
    match Experiment::deserialize(table.clone()) {
        Ok(_) => Ok(()),
        Err(error) => Err(Error::Experiment {
            origin: origin.to_owned(),
            message: with_suggestion(error.to_string().trim_end()),
        }),
    }
}

/// Adds the nearest known key to the parser's message about an unknown one.
fn with_suggestion(message: &str) -> String {
    let quoted = |text: &str| -> Vec<String> {
        text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    };
    let line = message
        .lines()
        .find(|line| line.contains("unknown field") || line.contains("unknown variant"));
    let words = line.map(quoted).unwrap_or_default();
    let message = message.trim_end();
    match words.split_first().and_then(|(wrong, known)| {
        nearest(wrong, known.iter().map(String::as_str)).map(str::to_owned)
    }) {
        Some(known) => format!("{message}\ndid you mean `{known}`?"),
        None => message.to_owned(),
    }
}

impl Experiment {
    /// Puts `layers` over each other, the last on top of all, over the preset that the topmost of
    /// them names.
    pub fn from_layers(layers: &[Layer]) -> Result<Self> {
        let preset = layers.iter().rev().find_map(Layer::preset).unwrap_or(PRESETS[0].0);
        let Some((_, text)) = PRESETS.iter().find(|(name, _)| *name == preset) else {
            let names = PRESETS.map(|(name, _)| name);
            let hint = nearest(preset, names).map(|n| format!(" (did you mean {n}?)"));
            return Err(Error::setting(
                "preset",
                format!(
                    "`{preset}` is not one of {}{}",
                    names.join(", "),
                    hint.unwrap_or_default()
                ),
            ));
        };
        let mut table: Table = text.parse().expect("presets are valid");
        for layer in layers {
            drop_other_kinds(&mut table, &layer.table);
            merge(&mut table, layer.table.clone());
        }
        table.insert("preset".into(), Value::String(preset.into()));
        Self::deserialize(table).map_err(|error| Error::Experiment {
            origin: "experiment".into(),
            message: with_suggestion(&error.to_string()),
        })
    }

    /// Reads the file that a run left behind. Every value stands in it, so the preset that it names
    /// need not be known any more.
    pub fn from_resolved(origin: &str, text: &str) -> Result<Self> {
        toml::from_str(text).map_err(|error| Error::Experiment {
            origin: origin.to_owned(),
            message: with_suggestion(&error.to_string()),
        })
    }

    /// Name of the arm in tables.
    pub fn arm(&self) -> &str {
        self.arm.as_deref().unwrap_or(&self.preset)
    }
}

/// Parameters of one loss, head, schedule or noise mean nothing to another: where a layer names
/// another kind, those of the layers below go.
fn drop_other_kinds(below: &mut Table, above: &Table) {
    let of_losses = LOSSES.iter().flat_map(|loss| loss.method.parameters).map(|p| p.key);
    let of_losses = of_losses.chain(["matrix_sha256"]).collect();
    let of_heads = HEADS.iter().flat_map(|(_, head)| head.parameters).map(|p| p.key);
    // σ has a place in every record, whatever the head.
    let of_heads = of_heads.filter(|&key| key != "sigma").collect();
    let parameters: [(&str, &str, Vec<&str>); 7] = [
        ("loss", "kind", of_losses),
        ("model", "head", of_heads),
        ("objective", "kind", ObjectiveConfig::parameters().collect()),
        ("schedule", "kind", vec!["milestones", "factor", "half_period"]),
        ("noise", "kind", vec!["rate", "groups", "matrix"]),
        // Not kinds, but files whose hash stands beside them.
        ("loss", "matrix", vec!["matrix_sha256"]),
        ("model", "weights", vec!["weights_sha256"]),
    ];
    for (section, kind, parameters) in parameters {
        let kind = |table: &Table| table.get(section)?.get(kind).cloned();
        if kind(above).is_some_and(|kind_above| kind(below) != Some(kind_above))
            && let Some(Value::Table(section)) = below.get_mut(section)
        {
            section.retain(|key, _| !parameters.contains(&key));
        }
    }
}

fn merge(below: &mut Table, above: Table) {
    for (key, value) in above {
        match (below.get_mut(&key), value) {
            (Some(Value::Table(inner)), Value::Table(over)) => merge(inner, over),
            (_, value) => {
                below.insert(key, value);
            }
        }
    }
}
