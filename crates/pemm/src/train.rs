//! A run, in execution order.
//!
//! The loop sees a [`Part`] with given labels, and nothing else: clean labels and
//! the test set are with the [`Scorer`], whose answers go into the records only.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use burn::tensor::Device;
use pemm_data::augment::Augment;
use pemm_data::loader::Loader;
use pemm_data::normalize::Normalization;
use pemm_data::prepare::{Prepared, prepare};
use pemm_data::{Part, Stream, Streams};
use pemm_runs::{
    Claim, Environment, EpochRecord, LockedFolder, Log, ModelRecord, Record, RunFolder, Status,
    identity, process,
};

use crate::centers::{self, center_stats, separate};
use crate::checkpoint::{Progress as Saved, State, take_best, write_weights};
use crate::continuing::{finished, refuse_other_data};
use crate::dynamics::Dynamics;
use crate::error::{Error, Result};
use crate::evaluate::{Scorer, agreement, predict, to_device};
use crate::experiment::{Experiment, LossContext};
use crate::finished::ModelCard;
use crate::model::Classifier;
use crate::networks::{apply_all, collect_all, join, networks, split};
use crate::objective::{Objective, Progress, Terms};
use crate::optim::Sgd;
use crate::plan::{DataFacts, Plan};
use crate::schedule::Schedule;
use crate::statistics::EpochStatistics;
use crate::tensors::{TensorMap, apply, floats};
use crate::weights::sample_weights;
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
/// its random substreams by number, and [`State`] holds the rest.
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

/// Everything that changes while a run goes.
struct Session {
    networks: Vec<Classifier>,
    /// One for each network.
    sgds: Vec<Sgd>,
    objective: Box<dyn Objective>,
    train: Loader,
    val: Option<Loader>,
    scorer: Scorer,
    streams: Streams,
    device: Device,
    dynamics: Dynamics,
    /// Of the model as it will be after the epoch under way.
    card: ModelCard,
    saved: Saved,
}

impl Session {
    /// Adds to the warnings of `plan` what only the built networks can tell.
    fn new(
        plan: &mut Plan,
        weights: Option<TensorMap>,
        objective: Box<dyn Objective>,
        prepared: Prepared,
        normalization: Normalization,
        streams: Streams,
        device: Device,
    ) -> Result<Self> {
        let Prepared { classes, shape, mut train, val, sealed, .. } = prepared;
        let num_classes = classes.len();
        if train.len() < 2 {
            let reason =
                format!("{} training sample is too few, at least 2 are needed", train.len());
            return Err(Error::setting("data", reason));
        }
        train.weights = sample_weights(&train, num_classes, plan.experiment.loss.class_weights)?;
        let batch_size = plan.experiment.schedule.batch_size.min(train.len().max(2));
        let given = train.given.clone();
        let loader = |part: Part, augment| {
            Loader::new(part, normalization.clone(), augment, batch_size, streams)
        };
        let test = sealed.test_images().map(|part| loader(part, Augment::default())).transpose()?;
        let training_device = device.autodiff();
        let num_networks = objective.num_networks();
        let mut networks =
            networks(num_networks, &plan.model, shape, num_classes, streams, &training_device);
        let rest = plan.experiment.loss.energy.start_distance();
        for network in &mut networks {
            if let Some(weights) = weights.clone() {
                network.backbone = apply(network.backbone.clone(), weights, "model.weights")?;
            }
            let warning = centers::start(&mut network.head, rest);
            plan.warnings.extend(warning);
        }
        plan.warnings.dedup();
        Ok(Self {
            card: ModelCard {
                epoch: 0,
                classes,
                shape,
                normalization: normalization.clone(),
                model: plan.model.clone(),
                num_networks,
            },
            sgds: vec![Sgd::new(plan.experiment.optim.clone()); num_networks],
            networks,
            objective,
            val: val.map(|part| loader(part, Augment::default())).transpose()?,
            dynamics: Dynamics::new(train.len()),
            train: loader(train, plan.augment)?,
            scorer: Scorer::new(sealed, given, test),
            streams,
            device: training_device,
            saved: Saved::start(),
        })
    }

    /// Takes up the checkpoint of `folder`, if there is one, and cuts the log back to it.
    fn restore(&mut self, folder: &LockedFolder, record: &mut Record) -> Result<Log> {
        if folder.has(pemm_runs::folder::STATE) {
            let State { model, momentum, objective, dynamics, progress } = State::read(folder)?;
            let device = self.device.clone().without_autodiff();
            let num = self.networks.len();
            let models = split(model.clone(), num);
            for ((sgd, momentum), model) in
                self.sgds.iter_mut().zip(split(momentum, num)).zip(&models)
            {
                sgd.load(momentum, model, &device)?;
            }
            self.objective.load(objective)?;
            let name = folder.file(pemm_runs::folder::STATE).display().to_string();
            self.dynamics.load(dynamics, &name)?;
            self.networks = apply_all(std::mem::take(&mut self.networks), model, &name)?;
            record.set_epochs(progress.epochs.clone());
            self.saved = progress;
        }
        Ok(folder.open_log(self.saved.epochs.len())?.0)
    }

    /// Whether all epochs are done, or the last ones brought nothing.
    fn is_done(&self, schedule: &Schedule) -> bool {
        let done = self.saved.epochs.len();
        done == schedule.num_epochs || schedule.is_out_of_patience(done, self.saved.best_epoch)
    }

    /// One pass over the training part; `None` if it was cancelled.
    fn epoch(
        &mut self,
        plan: &Plan,
        cancel: &AtomicBool,
        on_event: &mut dyn FnMut(Event<'_>),
    ) -> Result<Option<EpochRecord>> {
        let schedule = &plan.experiment.schedule;
        let epoch = self.saved.epochs.len();
        let started = Instant::now();
        let cpu_before = process::cpu_seconds();
        let num_steps = self.train.num_batches();
        let mut rng = self.streams.open_at(Stream::Step, epoch as u64);
        let mut statistics = EpochStatistics::new(self.train.part().given.clone());
        let mut learning_rate = 0.0;

        // ---- steps ------------------------------------------------------------------------------
        for (step, batch) in self.train.shuffled(epoch as u64).enumerate() {
            if cancel.load(Ordering::Relaxed) {
                return Ok(None);
            }
            if plan.experiment.loss.energy.is_on() {
                for network in &mut self.networks {
                    separate(&mut network.head, &mut rng);
                }
            }
            let batch = to_device(batch?, &self.device);
            let num_samples = batch.indices.len();
            let mut progress = Progress { epoch, num_epochs: schedule.num_epochs, rng: &mut rng };
            let Terms { total, terms, scores } =
                self.objective.forward(&self.networks, &batch, &mut progress);
            let terms: Vec<(&str, f64)> =
                terms.into_iter().map(|(name, term)| (name, scalar(term))).collect();
            check_finite(epoch, step, &terms, scalar(total.clone()))?;
            learning_rate =
                plan.experiment.optim.learning_rate * schedule.share(epoch, step, num_steps);
            let mut gradients = total.backward();
            for (network, sgd) in self.networks.iter_mut().zip(&mut self.sgds) {
                *network = sgd.step(network.clone(), &mut gradients, learning_rate);
            }
            statistics.add(&batch.indices, &floats(scores), &terms);
            on_event(Event::Step(epoch + 1, step + 1, num_samples));
        }
        self.dynamics.add(&statistics.margins);
        let training_secs = started.elapsed().as_secs_f64();

        // ---- validation by given labels -----------------------------------------------------------
        let val_accuracy_given = match &self.val {
            Some(loader) => {
                let predicted =
                    predict(&self.networks, loader, &self.device, false, &mut |_| {})?.classes();
                Some(agreement(&loader.part().given, &predicted))
            }
            None => None,
        };

        // ---- for the records only -----------------------------------------------------------------
        let is_best = self.is_best(val_accuracy_given);
        let scored = if schedule.scores(epoch + 1, is_best) {
            self.scorer.score(&self.networks, &self.device, &statistics.predicted)?
        } else {
            None
        };
        let potential = plan.experiment.loss.energy.potential();
        let centers = self.networks[0].head.centers().map(|c| center_stats(c, potential));
        let num_seen = statistics.num_samples as f64;
        Ok(Some(EpochRecord {
            epoch: epoch + 1,
            learning_rate,
            loss: statistics.total(),
            terms: statistics.terms(),
            train_accuracy_given: statistics.accuracy(),
            val_accuracy_given,
            mean_max_softmax: statistics.mean_max_softmax(),
            mean_prediction_entropy: statistics.mean_entropy(),
            centers,
            images_per_sec: num_seen / training_secs.max(1e-9),
            seconds: started.elapsed().as_secs_f64(),
            cpu_seconds: cpu_before.and_then(|before| Some(process::cpu_seconds()? - before)),
            scored,
        }))
    }

    /// Whether an epoch with this accuracy on the given validation labels is the best so far.
    fn is_best(&self, val_accuracy_given: Option<f64>) -> bool {
        let best = self.saved.best_epoch.map(|best| self.saved.epochs[best - 1].val_accuracy_given);
        val_accuracy_given.is_some() && best.is_none_or(|best| val_accuracy_given > best)
    }

    /// Writes what an epoch leaves: log line, weights, and last the state, which makes it count.
    fn keep(
        &mut self,
        folder: &LockedFolder,
        log: &mut Log,
        record: &mut Record,
        epoch: EpochRecord,
        on_event: &mut dyn FnMut(Event<'_>),
    ) -> Result<()> {
        let tensors = collect_all(&self.networks);
        check_weights(epoch.epoch, self.train.num_batches(), &tensors)?;
        log.append(&epoch)?;
        self.card.epoch = epoch.epoch;
        write_weights(folder, false, &tensors, &self.card)?;
        if self.is_best(epoch.val_accuracy_given) {
            write_weights(folder, true, &tensors, &self.card)?;
            self.saved.best_epoch = Some(epoch.epoch);
        }
        self.saved.epochs.push(epoch);
        let state = State {
            model: tensors,
            momentum: join(self.sgds.iter().map(Sgd::state).collect()),
            objective: self.objective.state(),
            dynamics: self.dynamics.state(),
            progress: self.saved.clone(),
        };
        state.write(folder)?;
        record.set_epochs(self.saved.epochs.clone());
        folder.write_record(record)?;
        on_event(Event::Epoch(&self.saved.epochs[self.saved.epochs.len() - 1]));
        Ok(())
    }
}

fn scalar(tensor: burn::tensor::Tensor<1>) -> f64 {
    f64::from(tensor.into_scalar::<f32>())
}

/// The last update of an epoch is seen by no loss any more.
fn check_weights(epoch: usize, step: usize, tensors: &TensorMap) -> Result<()> {
    for (name, values) in tensors {
        if let Some(&value) = values.data.iter().find(|value| !value.is_finite()) {
            let (term, value) = (format!("tensor {name}"), f64::from(value));
            return Err(Error::NotFinite { epoch, step, term, value });
        }
    }
    Ok(())
}

fn check_finite(epoch: usize, step: usize, terms: &[(&str, f64)], total: f64) -> Result<()> {
    let all = terms.iter().copied().chain([("total", total)]);
    match all.into_iter().find(|(_, value)| !value.is_finite()) {
        Some((term, value)) => {
            Err(Error::NotFinite { epoch: epoch + 1, step: step + 1, term: term.to_owned(), value })
        }
        None => Ok(()),
    }
}
