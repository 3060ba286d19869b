//! The recipes: how long and how fast to train, the same for all methods that are compared.

use pemm_data::nearest;
use toml::Table;

use crate::error::{ExperimentError, Result};

/// The recipes by name, each with its text.
pub const RECIPES: &[(&str, &str)] = &[
    ("scratch", include_str!("../recipes/scratch.toml")),
    ("features", include_str!("../recipes/features.toml")),
    ("paper", include_str!("../recipes/paper.toml")),
];

/// The recipe of that name.
///
/// # Errors
/// [`ExperimentError::Setting`] with the names that there are.
fn named(name: &str) -> Result<&'static str> {
    if let Some((_, text)) = RECIPES.iter().find(|(known, _)| *known == name) {
        return Ok(text);
    }
    let names: Vec<&str> = RECIPES.iter().map(|(name, _)| *name).collect();
    let hint = nearest(name, names.iter().copied()).map(|near| format!(" (did you mean {near}?)"));
    let reason = format!("`{name}` is not one of {}{}", names.join(", "), hint.unwrap_or_default());
    Err(ExperimentError::setting("recipe", reason))
}

/// What lies over `preset`: the recipe that is `asked` for. Where none is, the preset's own if it has one, else
/// that for `features` of a pretrained network or that for training from nothing. A recipe that is asked for may
/// leave the number of epochs to the data, so the preset's is taken out for it.
///
/// # Errors
/// A name that there is not.
pub(crate) fn over(preset: &mut Table, asked: Option<&str>, features: bool) -> Result<Table> {
    let own = preset.get_mut("schedule").and_then(toml::Value::as_table_mut);
    let has_its_own = match (own, asked) {
        (Some(own), Some(_)) => own.remove("num_epochs").is_some(),
        (Some(own), None) => own.contains_key("num_epochs"),
        (None, _) => false,
    };
    let text = match asked {
        Some(name) => named(name)?,
        None if has_its_own => "",
        None => named(if features { "features" } else { "scratch" })?,
    };
    Ok(text.parse().expect("recipes are valid"))
}
