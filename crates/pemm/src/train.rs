//! A run, in execution order.
//!
//! The loop sees a part with given labels, and nothing else: clean labels and the test set are with
//! the [`Scorer`](crate::evaluate::Scorer), whose answers go into the records only.

use pemm_experiment::Experiment;
use pemm_runs::{Claim, Environment, ModelRecord, Record, RunFolder, Status, process};

use crate::checkpoint::take_best;
use crate::continuing::{finished, known, other_machine, refuse_other_data};
use crate::data::RunData;
use crate::error::{Error, Result};
use crate::ready::Ready;
use crate::records;
pub use crate::run::{Event, Outcome, RunOptions};
use crate::session::Session;

/// Tells the finished run of `experiment` in the folder of `options`, which needs no data but says where
/// those that are there changed, or makes it ready and [`train`]s it.
///
/// # Errors
/// Those of [`Ready::of`] and [`train`].
pub fn run(
    experiment: &Experiment,
    options: &RunOptions<'_>,
    on_event: &mut dyn FnMut(Event<'_>),
) -> Result<Outcome> {
    if let Some(outcome) = finished(experiment, options)? {
        return Ok(outcome);
    }
    let ready =
        Ready::of(experiment, RunData::open(experiment, &options.embedding)?, options.device)?;
    train(ready, options, on_event)
}

/// Trains what is ready, or continues it, and leaves a run folder.
///
/// The continued run has the same bits as the uninterrupted one on one machine: every epoch opens
/// its random substreams by number, and [`State`](crate::checkpoint::State) holds the rest.
///
/// # Errors
/// More memory than is free, a folder of another run, data that are no longer those of the run, a loss that is not finite, and
/// what the disk says.
pub fn train(
    ready: Ready,
    options: &RunOptions<'_>,
    on_event: &mut dyn FnMut(Event<'_>),
) -> Result<Outcome> {
    ready.check_memory()?;
    let needs = ready.needs()?;

    // ---- folder, record -------------------------------------------------------------------------
    let plan = ready.plan();
    let known = known(plan, options.out);
    let mut data = records::data(ready.data());
    let noise = records::noise(&ready.data().manifest);
    let folder = match RunFolder::claim(options.out, &known.identity, &known.text)? {
        Claim::Finished(folder) => {
            let mut record = folder.read_record()?;
            if !known.moved.is_empty() {
                refuse_other_data(&folder, &mut data, &noise)?;
                record.data.note_places(&known.moved);
                // A run may lie where nobody may write any more; then it is looked at again next time.
                let _ = record.write(&folder.file(pemm_runs::folder::RECORD));
            }
            return Ok(Outcome {
                folder: folder.path().to_owned(),
                record,
                was_finished: true,
                changed: None,
            });
        }
        Claim::Fresh(folder) => folder,
        Claim::Continue(folder) => folder,
    };
    let environment = Environment {
        simd: Some(pemm_conv::level().name().into()),
        ..Environment::here(
            env!("CARGO_PKG_VERSION"),
            options.git.clone(),
            rayon::current_num_threads(),
            &ready.device_name,
        )
    };
    refuse_other_data(&folder, &mut data, &noise)?;
    data.note_places(&known.moved);
    let mut warnings = ready.warnings().to_vec();
    warnings.extend(known.warning());
    warnings.extend(other_machine(&folder, &environment));
    folder.write_environment(&environment)?;
    folder.write_noise(&ready.data().manifest)?;
    let (num_parameters, num_features) = (ready.num_parameters(), ready.num_features());
    let model = ModelRecord { num_parameters, num_features };
    let mut record = Record::new(known.value, environment, noise, data, model)?;
    record.tags = plan.experiment().tags();

    // ---- what changes while it goes -------------------------------------------------------------
    let mut session = Session::new(ready)?;
    let mut log = session.restore(&folder, &mut record, &mut warnings)?;
    folder.write_record(&record)?;
    let num_steps = session.train.num_batches();
    on_event(Event::Started {
        folder: folder.path(),
        plan: &session.plan,
        warnings: &warnings,
        record: &record,
        num_steps,
        needs,
    });

    // ---- epochs ---------------------------------------------------------------------------------
    while !session.is_done() {
        let kept = match session.epoch(options.cancel, on_event) {
            Ok(Some(epoch)) => {
                session.keep(&folder, &mut log, &mut record, epoch, on_event).map(Some)
            }
            other => other.map(|_| None),
        };
        match kept {
            Ok(Some(())) => {}
            Ok(None) => {
                record.status = Status::Interrupted;
                folder.write_record(&record)?;
                return Ok(Outcome {
                    folder: folder.path().to_owned(),
                    record,
                    was_finished: false,
                    changed: None,
                });
            }
            Err(error) => {
                if let Error::NotFinite { epoch, step, ref term, .. } = error {
                    record.status = Status::Failed {
                        step: ((epoch - 1) * num_steps + step) as u64,
                        term: term.clone(),
                        message: error.to_string(),
                    };
                    folder.write_record(&record)?;
                }
                return Err(error);
            }
        }
    }

    // ---- end ------------------------------------------------------------------------------------
    if session.plan.experiment().schedule.patience.is_some() {
        take_best(&folder, &record)?;
    }
    // Somebody may have deleted the best weights of a run that does not need them to end.
    let is_best = record.prefers_best() && folder.has(pemm_runs::folder::BEST);
    let chosen = if is_best { record.choice.best_by_noisy_val } else { record.choice.last };
    if let Some(chosen) = chosen {
        record.scores = session.scores(&folder, chosen, is_best)?;
    }
    record.environment.peak_memory = process::memory(std::process::id()).map(|memory| memory.peak);
    record.status = Status::Finished;
    folder.write_record(&record)?;
    Ok(Outcome { folder: folder.path().to_owned(), record, was_finished: false, changed: None })
}
