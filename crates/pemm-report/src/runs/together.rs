//! What runs that predict together are worth.

use pemm_runs::PartScores;

use super::Runs;
use crate::report::{Section, percent};
use crate::run::by_class::{each_class, judged};

/// The part that is told of.
fn judged_of(all: &Runs) -> Option<(&PartScores, bool)> {
    all.together.as_ref().and_then(|together| judged(&together.test, &together.validation))
}

/// In a sentence, with what each is worth alone.
pub(super) fn verdict(all: &Runs) -> String {
    let (Some(together), Some((part, is_test))) = (&all.together, judged_of(all)) else {
        return String::new();
    };
    let names: Vec<&str> = together.members.iter().map(|member| member.run.as_str()).collect();
    let (last, first) = names.split_last().expect("an ensemble has a member");
    let names = match first {
        [] => (*last).to_owned(),
        first => format!("{} and {last}", first.join(", ")),
    };
    let accuracy = percent(part.accuracy);
    let mut said = match is_test {
        true => format!(
            "Together, {names} are right for {accuracy} of {} test samples.",
            part.num_samples
        ),
        false => format!(
            "Together, {names} agree with {accuracy} of {} labels that they were not trained on. Some of \
             these labels may be wrong themselves, so this is not their accuracy.",
            part.num_samples
        ),
    };
    let alone = all.runs.iter().filter_map(|(_, record)| {
        let scores = record.scores.as_ref()?;
        let part = if is_test { &scores.test } else { &scores.validation };
        Some(format!("{} {}", record.arm, percent(part.as_ref()?.accuracy)))
    });
    let alone: Vec<String> = alone.collect();
    if !alone.is_empty() {
        said += &format!(" Alone: {}.", alone.join(", "));
    }
    said
}

/// A row per class.
pub(super) fn by_class(all: &Runs) -> Section {
    let classes = all.runs.first().map_or(&[][..], |(_, record)| &record.data.classes);
    each_class(classes, judged_of(all))
}
