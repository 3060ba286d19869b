//! The layers of an experiment: what a file, the arguments and each `--set` say, to be put over each
//! other.

use pemm_data::config::NoiseKind;
use pemm_data::nearest;
use serde::Deserialize;
use toml::{Table, Value};

use crate::error::{ExperimentError, Result};
use crate::experiment::Experiment;
use crate::heads::HeadKind;
use crate::kind::Kind;
use crate::losses::LossKind;
use crate::objectives::ObjectiveKind;
use crate::pretrained::lift;

/// One layer of an experiment: where it comes from, and its keys.
#[derive(Debug, Clone)]
pub struct Layer {
    pub(crate) table: Table,
    /// Whether it says that the data are the features of a pretrained network.
    of_features: bool,
}

impl Layer {
    /// A layer from the text of an experiment file. Unknown keys and wrong types are errors that
    /// show line and column.
    pub fn from_text(origin: &str, text: &str) -> Result<Self> {
        let fail = |error: toml::de::Error| ExperimentError::Text {
            origin: origin.to_owned(),
            message: with_suggestion(&error.to_string()),
        };
        let mut table = text.parse::<Table>().map_err(fail)?;
        let written = table.clone();
        lift(&mut table);
        if table == written {
            // The text again, for its lines.
            toml::from_str::<Experiment>(text).map_err(fail)?;
        } else {
            check_keys(origin, &table)?;
        }
        Ok(Self { table, of_features: false })
    }

    /// A layer from `key=value`, where key is dotted and value is TOML; a word that is no TOML value
    /// is taken as a string.
    pub fn from_assignment(assignment: &str) -> Result<Self> {
        let origin = format!("--set {}", shortened(assignment));
        let Some((key, value)) = assignment.split_once('=') else {
            return Err(ExperimentError::Text {
                origin,
                message: "expected key=value, for example --set optim.learning_rate=0.05".into(),
            });
        };
        let (key, value) = (key.trim(), value.trim());
        let literal = format!("x = {value}").parse::<Table>().ok().and_then(|mut t| t.remove("x"));
        let value = literal.unwrap_or_else(|| Value::String(value.to_owned()));
        let mut table = nested(key, value)
            .map_err(|message| ExperimentError::Text { origin: origin.clone(), message })?;
        lift(&mut table);
        check_keys(&origin, &table)?;
        Ok(Self { table, of_features: false })
    }

    /// A layer that names a preset and nothing else.
    pub(crate) fn of_preset(name: &str) -> Self {
        let table = Table::from_iter([("preset".to_owned(), Value::String(name.to_owned()))]);
        Self { table, of_features: false }
    }

    /// A layer from values, for the arguments of a command line.
    pub fn from_experiment_keys(table: Table) -> Result<Self> {
        Self::from_table("arguments", table)
    }

    /// A layer from values that come from `origin`.
    pub fn from_table(origin: &str, mut table: Table) -> Result<Self> {
        lift(&mut table);
        check_keys(origin, &table)?;
        Ok(Self { table, of_features: false })
    }

    /// This layer with `above` put over it: one layer, so that the order of its keys means nothing.
    pub fn over(mut self, above: Self) -> Self {
        merge(&mut self.table, above.table);
        self.of_features |= above.of_features;
        self
    }

    pub(crate) fn preset(&self) -> Option<&str> {
        self.table.get("preset").and_then(Value::as_str)
    }

    pub(crate) fn recipe(&self) -> Option<&str> {
        self.table.get("recipe").and_then(Value::as_str)
    }

    /// A layer for data that `pemm embed` wrote: they get the recipe and the backbone that the same
    /// features get behind their pretrained network. It belongs below what somebody asks for.
    pub fn of_features() -> Self {
        let table = nested("model.backbone", "none".into()).expect("it is a key");
        Self { table, of_features: true }
    }

    /// The data that it names.
    pub fn data_path(&self) -> Option<&str> {
        self.table.get("data")?.get("path")?.as_str()
    }

    /// Whether a pretrained backbone is named, or the data are the features of one.
    pub(crate) fn is_of_features(&self) -> bool {
        self.of_features
            || self.table.get("pretrained").is_some_and(|table| table.get("backbone").is_some())
    }
}

/// No experiment has keys of more parts.
const MAX_PARTS: usize = 8;

/// The tables that the dotted `key` names, with `value` in the innermost.
pub(crate) fn nested(key: &str, value: Value) -> Result<Table, String> {
    let parts: Vec<&str> = key.split('.').map(str::trim).collect();
    if parts.iter().any(|part| part.is_empty()) {
        return Err(format!("`{}` is no dotted key", shortened(key)));
    }
    if parts.len() > MAX_PARTS {
        let key = shortened(key);
        return Err(format!(
            "`{key}` has {} parts; a key has at most {MAX_PARTS}, as in optim.learning_rate",
            parts.len()
        ));
    }
    let (last, above) = parts.split_last().expect("a text has at least one part");
    let innermost = Table::from_iter([((*last).to_owned(), value)]);
    Ok(above.iter().rev().fold(innermost, |inner, part| {
        Table::from_iter([((*part).to_owned(), Value::Table(inner))])
    }))
}

/// As much of `text` as a message can show.
fn shortened(text: &str) -> String {
    const MOST: usize = 120;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Whether a table alone is an experiment. The parser's own text has no line here, so it names the
/// key by itself.
fn check_keys(origin: &str, table: &Table) -> Result<()> {
    match Experiment::deserialize(table.clone()) {
        Ok(_) => Ok(()),
        Err(error) => Err(ExperimentError::Text {
            origin: origin.to_owned(),
            message: with_suggestion(error.to_string().trim_end()),
        }),
    }
}

/// Adds the nearest known key to the parser's message about an unknown one.
pub(crate) fn with_suggestion(message: &str) -> String {
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

/// Parameters of one loss, head, schedule or noise mean nothing to another: where a layer names
/// another kind, those of the layers below go. The rate of noise means the same to all that have one.
pub(crate) fn drop_other_kinds(below: &mut Table, above: &Table) {
    let of = |parameters: Vec<&'static crate::method::Parameter>| {
        parameters.into_iter().map(|parameter| parameter.key)
    };
    let of_losses = of(LossKind::parameters()).chain(["matrix_sha256"]).collect();
    let of_objectives = of(ObjectiveKind::parameters()).chain(["similarity_sha256"]).collect();
    let of_noises = of(NoiseKind::parameters()).filter(|&key| key != "rate").collect();
    let parameters: [(&str, &str, Vec<&str>); 9] = [
        ("loss", "kind", of_losses),
        ("model", "head", of(HeadKind::parameters()).collect()),
        ("objective", "kind", of_objectives),
        ("schedule", "kind", vec!["milestones", "factor", "half_period"]),
        ("noise", "kind", of_noises),
        // Not kinds, but files whose hash stands beside them.
        ("loss", "matrix", vec!["matrix_sha256"]),
        ("objective", "similarity", vec!["similarity_sha256"]),
        ("model", "weights", vec!["weights_sha256"]),
        ("pretrained", "backbone", vec!["backbone_sha256"]),
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

pub(crate) fn merge(below: &mut Table, above: Table) {
    for (key, value) in above {
        match (below.get_mut(&key), value) {
            (Some(Value::Table(inner)), Value::Table(over)) => merge(inner, over),
            (_, value) => {
                below.insert(key, value);
            }
        }
    }
}
