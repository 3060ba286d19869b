//! Words that a shell offers for an argument. They are offered and no more: what is written is read
//! where it is used, which says what is wrong in its own words.

use clap::builder::{PossibleValue, TypedValueParser};
use clap::error::ErrorKind;
use clap::{Arg, Command};
use pemm_experiment::catalogue;
use pemm_experiment::presets::PRESETS;
use pemm_experiment::{Experiment, Layer};
use serde_json::Value;

/// Reads any text, and offers the words of a list.
#[derive(Clone)]
pub(crate) struct Offered(fn() -> Vec<String>);

impl Offered {
    /// The presets.
    pub(crate) fn presets() -> Self {
        Self(|| catalogue::named_by_preset().iter().map(|preset| preset.name.to_owned()).collect())
    }

    /// The keys of an experiment, each with the equals sign after it.
    pub(crate) fn keys() -> Self {
        Self(|| keys().into_iter().map(|key| format!("{key}=")).collect())
    }

    /// The kinds of label noise, each with the colon before its rate.
    pub(crate) fn noises() -> Self {
        Self(|| {
            let groups = catalogue::groups();
            let noises = groups.iter().filter(|group| group.key == "noise.kind");
            let names = noises.flat_map(|group| group.methods.iter().map(|method| method.name));
            names.filter(|&name| name != "none").map(|name| format!("{name}:")).collect()
        })
    }
}

impl TypedValueParser for Offered {
    type Value = String;

    fn parse_ref(
        &self,
        command: &Command,
        _: Option<&Arg>,
        value: &std::ffi::OsStr,
    ) -> Result<String, clap::Error> {
        let text = value.to_str().map(str::to_owned);
        text.ok_or_else(|| clap::Error::new(ErrorKind::InvalidUtf8).with_cmd(command))
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        // Once in the life of a process that prints completions and ends.
        let words = (self.0)().into_iter();
        Some(Box::new(words.map(|word| PossibleValue::new(&*Box::leak(word.into_boxed_str())))))
    }
}

/// The dotted keys that some preset sets, and those that have a default: all but what few people set.
fn keys() -> Vec<String> {
    let mut keys = Vec::new();
    for (name, _) in PRESETS {
        let layer = Layer::from_assignment(&format!("preset={name}")).expect("presets are valid");
        let experiment = Experiment::from_layers(&[layer]).expect("presets are valid");
        walk("", &experiment.value(), &mut keys);
    }
    keys.sort();
    keys.dedup();
    keys
}

fn walk(above: &str, value: &Value, keys: &mut Vec<String>) {
    let Value::Object(table) = value else {
        return keys.push(above.to_owned());
    };
    for (name, value) in table {
        let key = if above.is_empty() { name.clone() } else { format!("{above}.{name}") };
        walk(&key, value, keys);
    }
}
