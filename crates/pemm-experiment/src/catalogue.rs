//! Everything that an experiment can choose from, for `pemm methods`.

use pemm_data::config::NoiseKind;
use serde::Serialize;

use crate::auto;
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
    /// Its file.
    #[serde(skip)]
    pub text: &'static str,
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
    PRESETS.iter().map(|&(name, text)| summary(name, text)).collect()
}

/// What `--preset` can name: every preset, and those that predict together.
pub fn named_by_preset() -> Vec<PresetSummary> {
    presets().into_iter().chain([summary(auto::NAME, auto::TEXT)]).collect()
}

fn summary(name: &'static str, text: &'static str) -> PresetSummary {
    let lines = text.lines().map_while(|line| line.strip_prefix("# "));
    let sentences = lines.collect::<Vec<_>>().join(" ");
    // "et al. 2017" does not end a sentence.
    let is_end = |at: usize| !sentences[at + 2..].starts_with(|next: char| next.is_ascii_digit());
    let end = sentences.match_indices(". ").map(|(at, _)| at).find(|&at| is_end(at));
    let summary = sentences[..end.unwrap_or(sentences.len())].trim_end_matches('.').to_owned();
    PresetSummary { name, summary, text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_says_what_it_is_in_one_line() {
        for PresetSummary { name, summary, .. } in named_by_preset() {
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

    /// A page without its equation, or one whose differences are from nothing, says too little.
    #[test]
    fn every_method_has_its_equation_and_every_difference_its_source() {
        for Group { methods, key, .. } in groups() {
            for method in methods {
                let is_nothing = method.name == "none" && key == EnergyKind::KEY;
                assert_eq!(method.equation.is_empty(), is_nothing, "{key} {}", method.name);
                let place = format!("{key} {}: {:?}", method.name, method.differs);
                assert!(method.differs.is_empty() || !method.reference.is_empty(), "{place}");
                let texts = method.equation.iter().chain(method.differs);
                assert!(
                    texts.clone().all(|text| text.trim() == *text && text.len() > 3),
                    "{place}"
                );
                // A difference ends as a sentence does, and one that begins with a key is of a key.
                for text in method.differs {
                    assert!(text.ends_with('.'), "{place}");
                    let word = text.split(':').next().filter(|word| !word.contains(' '));
                    if let Some(word) = word.filter(|word| word.len() < text.len()) {
                        assert!(method.parameter(word).is_some(), "{place}");
                    }
                }
            }
        }
    }
}
