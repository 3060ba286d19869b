//! Everything that an experiment can choose from, for `pemm methods`.

use pemm_data::config::NoiseKind;
use serde::Serialize;

use crate::backbones::BackboneKind;
use crate::heads::HeadKind;
use crate::kind::Kind;
use crate::losses::LossKind;
use crate::method::Method;
use crate::objectives::ObjectiveKind;
use crate::presets::PRESETS;
use crate::regularisers::EnergyKind;

/// Methods of one sort.
#[derive(Debug, Clone, Serialize)]
pub struct Group {
    /// What they are.
    pub title: &'static str,
    /// The key that names one of them.
    pub key: &'static str,
    /// The methods.
    pub methods: Vec<Method>,
}

/// A preset and what it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PresetSummary {
    /// Its name.
    pub name: &'static str,
    /// The first sentence of its file.
    pub summary: String,
}

/// Every method, by sort. A new sort of methods is a row here.
pub fn groups() -> Vec<Group> {
    vec![
        group::<LossKind>(),
        group::<HeadKind>(),
        group::<EnergyKind>(),
        group::<ObjectiveKind>(),
        group::<BackboneKind>(),
        group::<NoiseKind>(),
    ]
}

fn group<K: Kind>() -> Group {
    let methods = K::ALL.iter().map(|kind| *kind.method()).collect();
    Group { title: K::TITLE, key: K::KEY, methods }
}

/// Every preset.
pub fn presets() -> Vec<PresetSummary> {
    let summary = |text: &str| {
        let lines = text.lines().map_while(|line| line.strip_prefix("# "));
        let text = lines.collect::<Vec<_>>().join(" ");
        // "et al. 2017" does not end a sentence.
        let is_end = |at: usize| !text[at + 2..].starts_with(|next: char| next.is_ascii_digit());
        let end = text.match_indices(". ").map(|(at, _)| at).find(|&at| is_end(at));
        text[..end.unwrap_or(text.len())].trim_end_matches('.').to_owned()
    };
    PRESETS.iter().map(|&(name, text)| PresetSummary { name, summary: summary(text) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_says_what_it_is_in_one_line() {
        for PresetSummary { name, summary } in presets() {
            assert!((20..200).contains(&summary.len()), "{name}: {summary}");
        }
    }

    #[test]
    fn names_are_unique_and_lines_are_short() {
        for Group { title, methods, .. } in groups() {
            for (index, method) in methods.iter().enumerate() {
                assert!(methods[..index].iter().all(|other| other.name != method.name), "{title}");
                assert!(method.summary.chars().count() <= 90, "{}", method.summary);
            }
        }
    }
}
