//! A run, in execution order.
//!
//! The loop sees a part with given labels, and nothing else: clean labels and the test set are with
//! the [`Scorer`](crate::evaluate::Scorer), whose answers go into the records only.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use pemm_data::Streams;
use pemm_data::normalize::Normalization;
use pemm_data::prepare::prepare;
use pemm_runs::{
    Claim, Environment, EpochRecord, ModelRecord, Record, RunFolder, Status, identity,
};

use crate::checkpoint::take_best;
use crate::continuing::{finished, refuse_other_data};
use crate::error::{Error, Result};
use crate::experiment::{Experiment, LossContext};
use crate::plan::{DataFacts, Plan};
use crate::session::Session;
use crate::{device, pretrained, records};

/// How to run, beside what: none of it changes a result.
#[derive(Debug)]
pub struct RunOptions<'a> {
    /// Run folder; made if missing, continued if it holds this very experiment.
    pub out: &'a Path,
    /// `cpu`, `cuda`, `wgpu`; see [`device::open`].
    pub device: &'a str,
    /// Commit that the program was built from, and whether the tree was dirty.
    pub git: Option<(String, bool)>,
    /// Set from outside to stop after the current step.
    pub cancel: &'a AtomicBool,
}

/// What a run tells while it goes.
#[derive(Debug)]
pub enum Event<'a> {
    /// Before the first step.
    Started {
        /// Where the run lies.
        folder: &'a Path,
        /// What is run.
        plan: &'a Plan,
        /// What will be recorded.
        record: &'a Record,
        /// Steps of an epoch.
        num_steps: usize,
    },
    /// After a step: epoch and step from 1, samples in the step.
    Step(usize, usize, usize),
    /// After an epoch.
    Epoch(&'a EpochRecord),
}

/// How a run ended.
#[derive(Debug)]
pub struct Outcome {
    /// Where it lies.
    pub folder: PathBuf,
    /// What came out.
    pub record: Record,
    /// Whether it had been finished before.
    pub was_finished: bool,
}

/// Trains `experiment`, or continues it, and leaves a run folder.
///
/// The continued run has the same bits as the uninterrupted one on one machine: every epoch opens
/// its random substreams by number, and [`State`](crate::checkpoint::State) holds the rest.
pub fn train(
    experiment: Experiment,
    options: &RunOptions<'_>,
    on_event: &mut dyn FnMut(Event<'_>),
) -> Result<Outcome> {
    if let Some(outcome) = finished(&experiment, options.out)? {
        return Ok(outcome);
    }

    // ---- data, plan, folder -------------------------------------------------------------------
    let prepared = prepare(&experiment.data, &experiment.noise, experiment.seed)?;
    let mut plan = experiment.resolve(DataFacts::of(&prepared))?;
    plan.experiment.pin_files()?;
    plan.experiment.schedule.check_parts(prepared.val.is_some())?;
    plan.warnings.extend(prepared.notes.iter().cloned());
    let value = serde_json::to_value(&plan.experiment).expect("experiments are plain data");
    let text = toml::to_string(&plan.experiment).expect("experiments are plain data");
    // Whatever refuses to start does so before there is a folder.
    let device = device::open(options.device)?;
    let normalization = Normalization::of(&prepared.train)?;
    let context = LossContext::of(prepared.classes.len(), &prepared.manifest);
    let objective = plan.experiment.build_objective(&context, prepared.train.len())?;
    let weights = pretrained::read(&plan, prepared.shape)?;
    let folder = match RunFolder::claim(options.out, &identity::identity(&value), &text)? {
        Claim::Finished(folder) => {
            let record = folder.read_record()?;
            return Ok(Outcome { folder: folder.path().to_owned(), record, was_finished: true });
        }
        Claim::Fresh(folder) => folder,
        Claim::Continue(folder) => folder,
    };

    // ---- model, optimiser, objective ------------------------------------------------------------
    let streams = Streams::new(plan.experiment.seed);
    let environment = Environment::here(
        env!("CARGO_PKG_VERSION"),
        options.git.clone(),
        rayon::current_num_threads(),
        options.device,
    );
    let data = records::data(&prepared);
    let noise = records::noise(&prepared.manifest);
    refuse_other_data(&folder, &data, &noise)?;
    folder.write_environment(&environment)?;
    folder.write_noise(&prepared.manifest)?;
    let mut session =
        Session::new(&mut plan, weights, objective, prepared, normalization, streams, device)?;
    let model = ModelRecord {
        num_parameters: session.networks.iter().map(crate::model::num_parameters).sum(),
        num_features: session.networks[0].backbone.num_features(),
    };
    let mut record = Record::new(value, environment, noise, data, model)?;
    record.tags = plan.experiment.loss.tags();
    let mut log = session.restore(&folder, &mut record)?;
    folder.write_record(&record)?;
    let num_steps = session.train.num_batches();
    on_event(Event::Started { folder: folder.path(), plan: &plan, record: &record, num_steps });

    // ---- epochs ---------------------------------------------------------------------------------
    while !session.is_done(&plan.experiment.schedule) {
        let kept = match session.epoch(&plan, options.cancel, on_event) {
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
    if plan.experiment.schedule.patience.is_some() {
        take_best(&folder)?;
    }
    record.status = Status::Finished;
    folder.write_record(&record)?;
    Ok(Outcome { folder: folder.path().to_owned(), record, was_finished: false })
}
