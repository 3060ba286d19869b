//! `--preset auto`: several runs one after another, which then predict together.

use std::path::{Path, PathBuf};

use pemm::auto as members;
use pemm::places::Places;
use pemm::train::{Outcome, RunOptions};
use pemm_experiment::Auto;
use pemm_runs::folder::REPORT;
use pemm_runs::time::duration;
use pemm_runs::{EnsembleRecord, Record, Status};

use super::{Arguments, Watch, kept_aside, percent, settle};
use crate::by_class;
use crate::commands::{list, report};
use crate::commit::commit;
use crate::console::Console;
use crate::embedding::Features;
use crate::failure::Failure;
use crate::interrupt;

/// Trains the members of `auto` in folders in `out`, and says how well they do together.
pub(super) fn together(
    auto: &Auto,
    arguments: &Arguments,
    out: &Path,
    console: &Console,
) -> Result<(), Failure> {
    let names: Vec<&str> = auto.members().iter().map(|member| member.preset.as_str()).collect();
    let folders: Vec<PathBuf> = names.iter().map(|name| out.join(name)).collect();
    let cancel = interrupt::watch()?;
    let features = Features::new(console, Some(cancel));
    let mut watch = Watch::of(arguments, &folders[0], console);
    let mut current = None;
    let result = features.with(|embedding| {
        let device = arguments.device.as_str();
        let options = RunOptions { out, device, git: commit(), cancel, embedding };
        members::run(auto, &options, &mut |number, event| {
            if current.is_none() {
                console.note(&format!(
                    "trains {} one after another; they then predict together",
                    list(&names, "and")
                ));
            }
            if current != Some(number) {
                current = Some(number);
                watch.turn_to(&folders[number]);
                console.note(&format!("{} of {}: {}", number + 1, names.len(), names[number]));
            }
            watch.note(event);
        })
    });
    let outcomes = watch.ended(result)?;
    let places = Places::of(&auto.members()[0]);
    // One that was interrupted is told at once; the next call looks after the others.
    let interrupted = |outcome: &&Outcome| outcome.record.status == Status::Interrupted;
    for outcome in outcomes.iter().rev().take_while(interrupted).chain(&outcomes) {
        settle(outcome, &places, arguments, out, console)?;
    }
    let device = pemm::device::open(&arguments.device)?;
    let bar = console.counter("images");
    let finished = features.with(|embedding| {
        let mut count = |count| bar.inc(count as u64);
        members::finish(out, &outcomes, &places, &device, &embedding, &mut count)
    });
    bar.finish_and_clear();
    let (together, warnings) = finished?;
    warnings.iter().for_each(|warning| console.warn(warning));
    if !arguments.no_report {
        report::refresh(out, 0, console);
    }
    let records: Vec<&Record> = outcomes.iter().map(|outcome| &outcome.record).collect();
    let mut lines = Vec::new();
    if outcomes.iter().all(|outcome| outcome.was_finished) {
        lines.push("already finished; this is the stored result".to_owned());
    }
    lines.extend(summary(&together, &records));
    let seconds = records.iter().map(|record| record.total_seconds).sum::<f64>();
    lines.push(format!("trained in {}; folder: {}", duration(seconds.max(0.1)), out.display()));
    if out.join(REPORT).is_file() {
        lines.push(format!("report: {}", out.join(REPORT).display()));
    }
    console.result(&lines.join("\n"), &together)
}

/// How well they do together, and each alone.
fn summary(together: &EnsembleRecord, records: &[&Record]) -> Vec<String> {
    let names: Vec<&str> = records.iter().map(|record| record.arm.as_str()).collect();
    let classes = &records[0].data.classes;
    let mut lines = vec![format!("{} predict together", list(&names, "and"))];
    let part = together.test.as_ref().or(together.validation.as_ref());
    match (&together.test, &together.validation) {
        (Some(test), _) => {
            lines.push(format!("test accuracy: {}", by_class::headline(test, classes)));
        }
        (None, Some(part)) => lines.push(kept_aside(part, classes)),
        (None, None) => {}
    }
    lines.extend(part.into_iter().flat_map(|part| by_class::rows(part, classes)));
    let alone = |record: &&Record| {
        let scores = record.scores.as_ref()?;
        let part = if together.test.is_some() { &scores.test } else { &scores.validation };
        Some(format!("{} {}", record.arm, percent(part.as_ref()?.accuracy).trim_start()))
    };
    let alone: Vec<String> = records.iter().filter_map(alone).collect();
    if !alone.is_empty() {
        lines.push(format!("alone: {}", alone.join(", ")));
    }
    lines
}
