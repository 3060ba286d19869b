//! One experiment, readable top to bottom: text → [`Experiment`] → [`Experiment::resolve`] →
//! [`Plan`](crate::plan::Plan) → run.
//!
//! Layers, each over the one before: built-in defaults, a preset, a recipe, a file, and
//! `--set key=value`.

use pemm_data::config::{AugmentConfig, DataConfig, NoiseConfig, NoiseKind};
use pemm_data::nearest;
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::auto;
use crate::error::{ExperimentError, Result};
use crate::identity::identity;
use crate::layer::{Layer, drop_other_kinds, merge, with_suggestion};
use crate::loss::{LossConfig, TRUSTED};
use crate::model::ModelConfig;
use crate::objective::ObjectiveConfig;
use crate::optim::OptimConfig;
use crate::presets::{DEFAULT, PRESETS};
use crate::pretrained::PretrainedConfig;
use crate::recipes;
use crate::schedule::Schedule;

/// An experiment as it is written. Values left out are chosen by [`resolve`](Self::resolve).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Experiment {
    /// The preset below this file.
    pub preset: String,
    /// The recipe over that preset, see [`recipes`]. What it says is in the other
    /// keys, so nothing keeps it.
    #[serde(skip_serializing)]
    pub recipe: Option<String>,
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
    /// A network from a file, before the one that is trained.
    #[serde(skip_serializing_if = "PretrainedConfig::is_default")]
    pub pretrained: PretrainedConfig,
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
            preset: DEFAULT.into(),
            recipe: None,
            arm: None,
            seed: 1,
            data: DataConfig::default(),
            noise: NoiseConfig::default(),
            augment: AugmentConfig::default(),
            pretrained: PretrainedConfig::default(),
            model: ModelConfig::default(),
            loss: LossConfig::default(),
            objective: ObjectiveConfig::default(),
            optim: OptimConfig::default(),
            schedule: Schedule::default(),
        }
    }
}

impl Experiment {
    /// Puts `layers` over each other, the last on top of all, over the recipe and the preset that the
    /// topmost of them name.
    ///
    /// # Errors
    /// A preset or a recipe that there is not, and values of a wrong type.
    pub fn from_layers(layers: &[Layer]) -> Result<Self> {
        let preset = layers.iter().rev().find_map(Layer::preset).unwrap_or(DEFAULT);
        if preset == auto::NAME {
            let reason = format!(
                "`{preset}` is no method: it trains {}, which then predict together, and only `pemm train` \
                 and `pemm explain` know it; name one preset here",
                auto::MEMBERS.join(", ")
            );
            return Err(ExperimentError::setting("preset", reason));
        }
        let Some((_, text)) = PRESETS.iter().find(|(name, _)| *name == preset) else {
            let names = PRESETS.iter().map(|(name, _)| *name);
            let hint = nearest(preset, names).map(|near| format!("did you mean `{near}`? "));
            let reason = format!(
                "there is no preset `{preset}`; {}`pemm methods` lists them all",
                hint.unwrap_or_default()
            );
            return Err(ExperimentError::setting("preset", reason));
        };
        let mut table: Table = text.parse().expect("presets are valid");
        let recipe = layers.iter().rev().find_map(Layer::recipe);
        let features = layers.iter().any(Layer::is_of_features);
        let recipe = recipes::over(&mut table, recipe, features)?;
        for above in std::iter::once(&recipe).chain(layers.iter().map(|layer| &layer.table)) {
            drop_other_kinds(&mut table, above);
            merge(&mut table, above.clone());
        }
        table.remove("recipe");
        table.insert("preset".into(), Value::String(preset.into()));
        Self::deserialize(table).map_err(|error| ExperimentError::Text {
            origin: "experiment".into(),
            message: with_suggestion(&error.to_string()),
        })
    }

    /// Reads the file that a run left behind. Every value stands in it, so the preset that it names
    /// need not be known any more.
    pub fn from_resolved(origin: &str, text: &str) -> Result<Self> {
        toml::from_str(text).map_err(|error| ExperimentError::Text {
            origin: origin.to_owned(),
            message: with_suggestion(&error.to_string()),
        })
    }

    /// Name of the arm in tables.
    pub fn arm(&self) -> &str {
        self.arm.as_deref().unwrap_or(&self.preset)
    }

    /// Every key and value, as records hold them.
    pub fn value(&self) -> serde_json::Value {
        serde_json::to_value(self).expect("experiments are plain data")
    }

    /// Its text, as run folders hold it.
    pub fn text(&self) -> String {
        toml::to_string(self).expect("experiments are plain data")
    }

    /// The hash of its keys and values.
    pub fn identity(&self) -> String {
        identity(&self.value())
    }

    /// What tables must say of an arm with this experiment: [`ORACLE`](crate::loss::ORACLE),
    /// [`TRUSTED`], or nothing.
    pub fn tags(&self) -> Vec<String> {
        let mut tags = self.loss.tags();
        tags.extend(self.objective.kind.uses_trusted().then(|| TRUSTED.to_owned()));
        tags
    }

    /// Whether the labels are those of the data set itself: no noise on them, and none in their
    /// place, so that what a noise model has to know is known.
    pub fn knows_that_nothing_was_drawn(&self) -> bool {
        self.noise.kind == NoiseKind::None && self.data.labels.is_none()
    }
}
