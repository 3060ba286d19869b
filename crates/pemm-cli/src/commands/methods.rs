//! `pemm methods`.

use clap::Args;
use pemm_experiment::catalogue::{Group, PresetSummary, groups, named_by_preset};
use pemm_experiment::method::Method;
use serde_json::json;

use crate::console::Console;
use crate::failure::Failure;

/// List all methods and presets, or show the page of one
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The name of a method, for its page: equation, parameters, source, and where it differs from that
    /// source. Part of a name lists all that contain it
    #[arg(value_name = "NAME")]
    name: Option<String>,
}

/// Runs the command.
pub(crate) fn run(arguments: Arguments, console: &Console) -> Result<(), Failure> {
    let wanted = arguments.name.unwrap_or_default();
    let has_page = groups().iter().flat_map(|group| &group.methods).any(|m| m.name == wanted)
        || named_by_preset().iter().any(|preset| preset.name == wanted);
    let is_wanted = |name: &str| if has_page { name == wanted } else { name.contains(&wanted) };
    let mut groups = groups();
    groups.iter_mut().for_each(|group| group.methods.retain(|method| is_wanted(method.name)));
    groups.retain(|group| !group.methods.is_empty());
    let mut presets = named_by_preset();
    presets.retain(|preset| is_wanted(preset.name));
    if groups.is_empty() && presets.is_empty() {
        let message =
            format!("no method or preset has `{wanted}` in its name; leave it out for all");
        return Err(Failure::usage(message));
    }
    let lines = if has_page { pages(&groups, &presets) } else { list(&groups, &presets) };
    console.result(&lines.join("\n"), &json!({ "groups": groups, "presets": presets }))
}

fn list(groups: &[Group], presets: &[PresetSummary]) -> Vec<String> {
    let mut lines = Vec::new();
    for group in groups {
        lines.push(format!("{} ({})", group.title, group.key));
        for method in &group.methods {
            let reference = match method.reference {
                "" => String::new(),
                reference => format!(" [{reference}]"),
            };
            lines.push(format!("  {:<17}{}{reference}", method.name, method.summary));
            lines.extend(method.parameters.iter().map(|parameter| format!("      {parameter}")));
        }
        lines.push(String::new());
    }
    if !presets.is_empty() {
        lines.push("Presets (--preset)".to_owned());
        let line = |preset: &PresetSummary| format!("  {:<19}{}", preset.name, preset.summary);
        lines.extend(presets.iter().map(line));
    }
    lines
}

/// One page after the other: methods of one name may be of several sorts.
fn pages(groups: &[Group], presets: &[PresetSummary]) -> Vec<String> {
    let of_group = |group: &Group| {
        let page = |method: &Method| page(method, group.key);
        group.methods.iter().map(page).collect::<Vec<_>>()
    };
    let methods = groups.iter().flat_map(of_group);
    let presets = presets.iter().map(|preset| {
        let mut lines = vec![format!("--preset {}", preset.name), String::new()];
        lines.extend(preset.text.trim_end().lines().map(|line| format!("  {line}")));
        lines
    });
    methods.chain(presets).collect::<Vec<_>>().join(&String::new())
}

/// What a method says of itself, a heading for each sort of saying.
fn page(method: &Method, key: &str) -> Vec<String> {
    let mut lines = vec![format!("{key} = \"{}\"", method.name), format!("  {}", method.summary)];
    let parameters: Vec<String> = method.parameters.iter().map(ToString::to_string).collect();
    let mut section = |heading: &str, entries: &[&str]| {
        if !entries.is_empty() {
            lines.extend([String::new(), heading.to_owned()]);
            lines.extend(entries.iter().flat_map(|entry| wrapped(entry)));
        }
    };
    section("Equation", method.equation);
    section("Parameters", &parameters.iter().map(String::as_str).collect::<Vec<_>>());
    if !method.reference.is_empty() {
        section("Source", &[method.reference]);
        let nothing: &[&str] = &["in nothing that we know of"];
        section(
            "Differs from it",
            if method.differs.is_empty() { nothing } else { method.differs },
        );
    }
    lines
}

/// `text` in lines of at most [`WIDTH`] characters, the first indented less than the others.
fn wrapped(text: &str) -> Vec<String> {
    const WIDTH: usize = 96;
    let mut lines = vec![" ".to_owned()];
    for word in text.split_whitespace() {
        let last = lines.last_mut().expect("there is always a line");
        if last.chars().count() + 1 + word.chars().count() > WIDTH {
            lines.push(format!("    {word}"));
        } else {
            last.push(' ');
            last.push_str(word);
        }
    }
    lines
}
