//! `--preset auto`: trains a few methods that fail differently, where nobody knows the noise, and lets them
//! predict together. The members are runs like any other, in folders of their own.

use std::path::Path;

use burn::tensor::Device;
use pemm_experiment::{Auto, Experiment};
use pemm_runs::folder::{ENSEMBLE, EXPERIMENT, REPORT};
use pemm_runs::{EnsembleMember, EnsembleRecord, Record, RunFolder, Status};

use crate::continuing::{finished, known};
use crate::data::{Embedding, RunData};
use crate::ensemble::Ensemble;
use crate::error::{Error, Result};
use crate::finished::Weights;
use crate::places::Places;
use crate::ready::Ready;
use crate::train::{Event, Outcome, RunOptions, train};

/// Trains the members of `auto` one after another, each in a folder of its name in that of `options`, or
/// goes on where it stopped; those that are finished are told, which needs no data. `on_event` hears the
/// number of the member, from 0. The last outcome is of an interrupted run if it was cancelled.
///
/// # Errors
/// Those of [`Ready::of`] for any member, before there is a folder, and of [`train`]; a folder that holds
/// something else.
pub fn run(
    auto: &Auto,
    options: &RunOptions<'_>,
    on_event: &mut dyn FnMut(usize, Event<'_>),
) -> Result<Vec<Outcome>> {
    let members = auto.members();
    let outs: Vec<_> = members.iter().map(|member| options.out.join(&member.preset)).collect();
    let pairs: Vec<(&Experiment, RunOptions<'_>)> = members
        .iter()
        .zip(&outs)
        .map(|(member, out)| (member, RunOptions { out, git: options.git.clone(), ..*options }))
        .collect();
    let found = pairs.iter().map(|(member, options)| finished(member, options));
    let mut done: Vec<Option<Outcome>> = found.collect::<Result<_>>()?;
    if done.iter().all(Option::is_some) {
        return Ok(done.into_iter().flatten().collect());
    }

    if options.out.join(EXPERIMENT).is_file() {
        let reason = format!(
            "{} holds a run that was not begun with preset = \"auto\"; choose another --out",
            options.out.display()
        );
        return Err(Error::setting("preset", reason));
    }
    // They differ in method alone, so they share the data; what is wrong with the last is said now.
    let data = RunData::open(&members[0], &options.embedding)?;
    let ready = |member: &Experiment| Ready::of(member, data.clone(), options.device);
    for ((member, options), _) in pairs.iter().zip(&done).filter(|(_, done)| done.is_none()) {
        let ready = ready(member)?;
        ready.check_memory()?;
        // A folder that is there already has to be that of this run, or an empty one.
        if options.out.exists() {
            let known = known(ready.plan(), options.out);
            drop(RunFolder::claim(options.out, &known.identity, &known.text)?);
        }
    }
    let names = members.iter().map(|member| member.preset.as_str());
    let inside: Vec<&str> = names.chain([ENSEMBLE, REPORT]).collect();
    let _held = RunFolder::hold(options.out, &inside)?;
    let mut outcomes = Vec::new();
    for (number, (member, options)) in pairs.iter().enumerate() {
        let outcome = match done[number].take() {
            Some(outcome) => outcome,
            None => train(ready(member)?, options, &mut |event| on_event(number, event))?,
        };
        let is_finished = outcome.record.status == Status::Finished;
        outcomes.push(outcome);
        if !is_finished {
            break;
        }
    }
    Ok(outcomes)
}

/// Lets the finished `members`, which lie in `path`, predict together on the parts that none of them was
/// trained on, and writes `ensemble.json`, unless it is there already. Gives it with what is to be said.
///
/// # Errors
/// Those of [`Ensemble::open`] and [`Ensemble::predict`], and data that are nowhere.
pub fn finish(
    path: &Path,
    members: &[Outcome],
    places: &Places,
    device: &Device,
    embedding: &Embedding<'_>,
    on_samples: &mut dyn FnMut(usize),
) -> Result<(EnsembleRecord, Vec<String>)> {
    let members: Vec<EnsembleMember> = members
        .iter()
        .map(|Outcome { folder, record, .. }| EnsembleMember {
            run: folder.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            identity: record.identity.clone(),
            epoch: returned_epoch(record),
        })
        .collect();
    // One that cannot be read is made anew.
    if let Ok(Some(record)) = EnsembleRecord::read(path)
        && record.members == members
    {
        return Ok((record, Vec::new()));
    }
    let ensemble = Ensemble::of(path, &members, Weights::Chosen, device)?;
    let reopened = ensemble.reopen(Weights::Chosen, places, device, embedding)?;
    let of_members = ensemble.members().iter().flat_map(|member| &member.trained.warnings);
    let warnings = of_members.cloned().chain(reopened.warnings).collect();
    let (val, test) = ensemble.held_out_scores(&reopened.data.prepared, on_samples)?;
    let record =
        EnsembleRecord::new(members, val.as_ref().map(Into::into), test.as_ref().map(Into::into));
    record.write(path)?;
    Ok((record, warnings))
}

/// Epoch of the weights that a finished run returns.
fn returned_epoch(record: &Record) -> usize {
    let last = record.epochs.len();
    record.scores.as_ref().map_or(last, |scores| scores.epoch)
}
