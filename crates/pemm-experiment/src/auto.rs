//! `preset = "auto"`: nobody knows the noise of somebody's data, and no method is the best against every
//! kind, so a few that fail differently are trained, and predict together. Which these are.

use toml::{Table, Value};

use crate::error::{ExperimentError, Result};
use crate::experiment::Experiment;
use crate::heads::HeadKind;
use crate::kind::Kind;
use crate::layer::Layer;

/// The word that asks for it.
pub const NAME: &str = "auto";
/// What it is, as the files of the presets say it of themselves.
pub const TEXT: &str = "\
# Trains gce, elr and pemm, which then predict together, where nobody knows the noise: three times the time,
# and seldom more than a point worse than the best of them. It is no method itself, so only `pemm train` and
# `pemm explain` know it (docs/guide/auto.md).
";
/// What is trained. docs/guide/auto.md says why these.
pub const MEMBERS: [&str; 3] = ["gce", "elr", "pemm"];

/// The members on some data, none of them checked yet.
#[derive(Debug, Clone)]
pub struct Auto {
    members: Vec<Experiment>,
}

impl Auto {
    /// Whether the topmost of `layers` that names a preset names this one.
    pub fn is_asked_for(layers: &[Layer]) -> bool {
        layers.iter().rev().find_map(Layer::preset) == Some(NAME)
    }

    /// The members under `layers`.
    ///
    /// # Errors
    /// A key that is a member's own, and those of [`Experiment::from_layers`].
    pub fn from_layers(layers: &[Layer]) -> Result<Self> {
        for layer in layers {
            refuse_keys_of_methods(&layer.table)?;
        }
        let member = |name: &&str| {
            let layers: Vec<Layer> =
                layers.iter().cloned().chain([Layer::of_preset(name)]).collect();
            Experiment::from_layers(&layers)
        };
        Ok(Self { members: MEMBERS.iter().map(member).collect::<Result<_>>()? })
    }

    /// The experiments, which differ in method alone.
    pub fn members(&self) -> &[Experiment] {
        &self.members
    }
}

/// Keys that belong to a method, and the name of an arm, which tells methods apart.
fn refuse_keys_of_methods(table: &Table) -> Result<()> {
    let section = |name: &str| table.get(name).and_then(Value::as_table).into_iter().flatten();
    let of_heads: Vec<&str> = HeadKind::parameters().into_iter().map(|p| p.key).collect();
    let loss =
        section("loss").map(|(key, _)| ("loss", key)).filter(|(_, key)| *key != "class_weights");
    let objective = section("objective").map(|(key, _)| ("objective", key));
    let model = section("model").map(|(key, _)| ("model", key));
    let model = model.filter(|(_, key)| *key == "head" || of_heads.contains(&key.as_str()));
    let key = loss.chain(objective).chain(model).next();
    let key = key.map(|(section, key)| format!("{section}.{key}"));
    match key.or_else(|| table.contains_key("arm").then(|| "arm".into())) {
        None => Ok(()),
        Some(key) => {
            let reason = format!(
                "is part of a method, and preset = {NAME:?} trains several: leave it out, or name one \
                 preset"
            );
            Err(ExperimentError::setting(key, reason))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::presets::PRESETS;

    fn auto(assignments: &[&str]) -> Result<Auto> {
        let layers = assignments.iter().chain(&["preset=auto"]).map(|a| Layer::from_assignment(a));
        let layers: Vec<Layer> = layers.collect::<Result<_>>()?;
        assert!(Auto::is_asked_for(&layers));
        Auto::from_layers(&layers)
    }

    #[test]
    fn every_member_is_a_preset_and_costs_as_much_as_another() {
        let auto = auto(&["seed=3"]).unwrap();
        for (experiment, name) in auto.members().iter().zip(MEMBERS) {
            assert_eq!((experiment.preset.as_str(), experiment.seed), (name, 3));
            assert!(PRESETS.iter().any(|(preset, _)| *preset == name));
            assert_eq!(experiment.objective.kind.num_networks(), 1, "{name}");
            assert_eq!(experiment.schedule, auto.members()[0].schedule, "{name}");
            assert!(experiment.tags().is_empty(), "{name} knows what nobody knows");
            assert!(TEXT.contains(name));
        }
    }

    #[test]
    fn keys_of_methods_are_refused() {
        for key in [
            "loss.kind=ce",
            "loss.energy.weight=0",
            "objective.kind=mixup",
            "model.sigma=2",
            "arm=x",
        ] {
            let error = auto(&[key]).unwrap_err().to_string();
            let name = key.split('=').next().unwrap();
            assert!(error.contains("is part of a method"), "{error}");
            assert!(error.starts_with(name) || error.starts_with("loss.energy"), "{error}");
        }
        auto(&["loss.class_weights=balanced", "model.width=8", "schedule.num_epochs=4"]).unwrap();
    }

    #[test]
    fn it_is_no_preset_where_one_method_is_wanted() {
        let error = Experiment::from_layers(&[Layer::of_preset(NAME)]).unwrap_err().to_string();
        assert!(error.contains("is no method") && error.contains("pemm train"), "{error}");
    }
}
