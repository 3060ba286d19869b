//! What runs that predict together are worth.

use pemm_runs::{EnsembleMember, PartScores, Record, Status};

use super::Runs;
use crate::report::{Section, percent};
use crate::run::by_class::{each_class, judged};

/// The records of the members in their order, if each of them is still the run that was to be part of it.
fn members(all: &Runs) -> Option<Vec<&Record>> {
    let of = |member: &EnsembleMember| {
        let (_, record) = all.runs.iter().find(|(path, record)| {
            path.file_name().is_some_and(|name| name == member.run.as_str())
                && record.identity == member.identity
                && record.status == Status::Finished
        })?;
        Some(record)
    };
    all.together.as_ref()?.members.iter().map(of).collect()
}

/// What a reader must know first: that the runs are no longer those that predicted together.
pub(super) fn notice(all: &Runs) -> Option<String> {
    let is_stale = all.together.is_some() && members(all).is_none();
    is_stale.then(|| {
        "The runs here are not those that ensemble.json names, so what it says is not shown. Run the same \
         `pemm train` again, with the same --out."
            .into()
    })
}

/// The part that is told of.
fn judged_of(all: &Runs) -> Option<(&PartScores, bool)> {
    members(all)?;
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
    let alone = members(all).into_iter().flatten().filter_map(|record| {
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
