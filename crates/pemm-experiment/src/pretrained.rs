//! The `[pretrained]` table: a network from a file that turns images into features before anything is
//! trained.

use pemm_embed::BackboneKeys;
use pemm_embed::output::OutputChoice;
use pemm_embed::preprocessing::PreprocessingKeys;
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

/// The `[pretrained]` table. Without a backbone the network is trained from the pixels.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PretrainedConfig {
    /// ONNX file. `model.backbone = "FILE.onnx"` means this key, too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backbone: Option<String>,
    /// SHA-256 of that file; left out, it is filled in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backbone_sha256: Option<String>,
    /// What the features are.
    pub output: OutputChoice,
    /// Name of the value of the network that they are taken from, if it is not to be chosen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_name: Option<String>,
    /// How images are prepared; what is left out is found beside the file, or guessed, which is said.
    pub preprocessing: PreprocessingKeys,
}

impl PretrainedConfig {
    /// Whether it says nothing, as in experiments from before it existed.
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// What is said about the backbone besides its file.
    pub fn keys(&self) -> BackboneKeys {
        BackboneKeys {
            output: self.output,
            output_name: self.output_name.clone(),
            preprocessing: self.preprocessing.clone(),
        }
    }
}

/// Moves `model.backbone = "FILE.onnx"` to `pretrained.backbone`, where it belongs; other backbones
/// are names.
pub(crate) fn lift(table: &mut Table) {
    let Some(Value::Table(model)) = table.get_mut("model") else { return };
    let is_file = |value: &Value| value.as_str().is_some_and(|word| word.ends_with(".onnx"));
    if !model.get("backbone").is_some_and(is_file) {
        return;
    }
    let file = model.remove("backbone").expect("it is there");
    let pretrained = table.entry("pretrained").or_insert_with(|| Value::Table(Table::new()));
    if let Value::Table(pretrained) = pretrained {
        pretrained.insert("backbone".into(), file);
    }
}
