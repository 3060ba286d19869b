//! `pemm methods`.

use clap::Args;
use pemm_experiment::catalogue::{groups, presets};
use pemm_experiment::method::Method;
use serde_json::json;

use crate::console::Console;
use crate::failure::Failure;

/// List the losses, heads, regularisers and presets, with their parameters and references
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Only methods and presets whose name contains this
    #[arg(value_name = "NAME")]
    name: Option<String>,
}

/// Runs the command.
pub(crate) fn run(arguments: Arguments, console: &Console) -> Result<(), Failure> {
    let wanted = arguments.name.unwrap_or_default();
    let mut groups = groups();
    groups.iter_mut().for_each(|group| group.methods.retain(|m| m.name.contains(&wanted)));
    groups.retain(|group| !group.methods.is_empty());
    let mut presets = presets();
    presets.retain(|preset| preset.name.contains(&wanted));
    if groups.is_empty() && presets.is_empty() {
        let message =
            format!("no method or preset has `{wanted}` in its name; leave it out for all");
        return Err(Failure::usage(message));
    }
    let mut lines = Vec::new();
    for group in &groups {
        lines.push(format!("{} ({})", group.title, group.key));
        group.methods.iter().for_each(|method| lines.extend(text(method)));
        lines.push(String::new());
    }
    if !presets.is_empty() {
        lines.push("Presets (--preset)".to_owned());
        let line = |name: &str, summary: &str| format!("  {name:<19}{summary}");
        lines.extend(presets.iter().map(|preset| line(preset.name, &preset.summary)));
    }
    console.result(&lines.join("\n"), &json!({ "groups": groups, "presets": presets }))
}

fn text(method: &Method) -> Vec<String> {
    let reference = match method.reference {
        "" => String::new(),
        reference => format!(" [{reference}]"),
    };
    let mut lines = vec![format!("  {:<17}{}{reference}", method.name, method.summary)];
    lines.extend(method.parameters.iter().map(|parameter| format!("      {parameter}")));
    lines
}
