//! What changes while a run goes, and one epoch of it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use burn::tensor::Device;
use pemm_data::augment::Augment;
use pemm_data::loader::Loader;
use pemm_data::prepare::Prepared;
use pemm_data::{Part, Score, Stream, Streams};
use pemm_experiment::Plan;
use pemm_runs::{
    Bond, Chosen, EpochRecord, LockedFolder, Log, PartScores, Record, Scores, process,
};

use crate::centers::center_stats;
use crate::checkpoint::{Saved, State, check_best, read_weights, write_weights};
use crate::dynamics::Dynamics;
use crate::error::{Error, Result};
use crate::evaluate::{Scorer, score, scores_of_each, to_device};
use crate::finished::ModelCard;
use crate::networks::collect_all;
use crate::objective::{Progress, Survey};
use crate::readings::{Readings, Step};
use crate::ready::Ready;
use crate::run::Event;
use crate::statistics::EpochStatistics;
use crate::tensors::TensorMap;
use crate::training::Training;

/// Everything that changes while a run goes.
pub(crate) struct Session {
    pub(crate) plan: Plan,
    training: Training,
    pub(crate) train: Loader,
    val: Option<Loader>,
    scorer: Scorer,
    streams: Streams,
    device: Device,
    dynamics: Dynamics,
    /// Of the model as it will be after the epoch under way.
    card: ModelCard,
    saved: Saved,
    /// Of the epoch that ended last, and of the best by noisy validation, where they were made since
    /// this process began.
    scores: [Option<Scores>; 2],
}

impl Session {
    /// Before the first step of `ready`.
    pub(crate) fn new(ready: Ready) -> Result<Self> {
        let batch_size = ready.batch_size();
        let Ready {
            plan,
            prepared,
            normalization,
            objective,
            networks,
            streams,
            device,
            backbone,
            ..
        } = ready;
        let Prepared { classes, shape, train, val, sealed, .. } = prepared;
        let given = train.given.clone();
        let combination = plan.experiment().objective.kind.combination();
        let loader = |part: Part, augment| {
            Loader::new(part, normalization.clone(), augment, batch_size, streams)
        };
        let test = sealed.test_images().map(|part| loader(part, Augment::default())).transpose()?;
        Ok(Self {
            card: ModelCard {
                epoch: 0,
                classes,
                shape,
                normalization: normalization.clone(),
                model: plan.model().clone(),
                num_networks: networks.len(),
                combination,
                pretrained: backbone,
                run: None,
            },
            training: Training::new(&plan, networks, objective, batch_size, device.clone()),
            val: val.map(|part| loader(part, Augment::default())).transpose()?,
            dynamics: Dynamics::new(train.len()),
            train: loader(train, plan.augment())?,
            scorer: Scorer::new(sealed, given, test, combination),
            streams,
            device,
            saved: Saved::start(),
            scores: [None, None],
            plan,
        })
    }

    /// Takes up the checkpoint of `folder`, if there is one, and cuts the log back to it. What could
    /// not be checked goes to `warnings`.
    pub(crate) fn restore(
        &mut self,
        folder: &LockedFolder,
        record: &mut Record,
        warnings: &mut Vec<String>,
    ) -> Result<Log> {
        self.card.run = Some(Bond::of(record));
        if folder.has(pemm_runs::folder::STATE) {
            let (state, warning) = State::read(folder, record)?;
            warnings.extend(warning);
            let State { model, momentum, objective, dynamics, progress } = state;
            let name = folder.file(pemm_runs::folder::STATE).display().to_string();
            self.dynamics.load(dynamics, &name)?;
            self.training.load(model, momentum, objective, &name)?;
            record.choice.over = progress.over;
            record.set_epochs(progress.epochs.clone());
            self.saved = progress;
            // A run with patience ends with its best weights, so it must have them.
            let returns_best = self.plan.experiment().schedule.patience.is_some();
            let needs_best = returns_best && self.saved.best_epoch.is_some();
            if needs_best || folder.has(pemm_runs::folder::BEST) {
                check_best(folder, record)?;
            }
            // The last weights are the state's; whatever lies in their place is of no use.
            self.card.epoch = self.saved.epochs.len();
            write_weights(folder, false, &collect_all(self.training.networks()), &self.card)?;
        }
        Ok(folder.open_log(&self.saved.epochs)?)
    }

    /// Whether all epochs are done, or the last ones brought nothing.
    pub(crate) fn is_done(&self) -> bool {
        let schedule = &self.plan.experiment().schedule;
        let done = self.saved.epochs.len();
        done == schedule.num_epochs() || schedule.is_out_of_patience(done, self.saved.best_epoch)
    }

    /// One pass over the training part; `None` if it was cancelled.
    pub(crate) fn epoch(
        &mut self,
        cancel: &AtomicBool,
        on_event: &mut dyn FnMut(Event<'_>),
    ) -> Result<Option<EpochRecord>> {
        let plan = self.plan.clone();
        let schedule = &plan.experiment().schedule;
        let epoch = self.saved.epochs.len();
        let started = Instant::now();
        let cpu_before = process::cpu_seconds();
        let num_steps = self.train.num_batches();
        let mut rng = self.streams.open_at(Stream::Step, epoch as u64);
        let mut statistics = EpochStatistics::new(self.train.part().given.clone());
        let mut readings = Readings::on(&self.device);
        let mut learning_rate = 0.0;

        // ---- what the objective asks for --------------------------------------------------------
        if self.training.objective().wants_survey(epoch) {
            let with_features = self.training.objective().wants_features();
            let networks = self.training.networks();
            let (scores, features) =
                scores_of_each(networks, &self.train, &self.device, with_features)?;
            let given = &self.train.part().given;
            let survey = Survey { scores, features, given };
            check_survey(epoch, num_steps, &survey)?;
            self.training.survey(survey);
        }

        // ---- steps ------------------------------------------------------------------------------
        if plan.experiment().loss.energy.is_on() {
            self.training.separate_centers(&mut rng);
        }
        let num_passes = self.training.objective().num_passes();
        let train = &self.train;
        let batches = (0..num_passes).flat_map(|pass| {
            let batches = train.shuffled(order(epoch, pass)).enumerate();
            batches.map(move |(step, batch)| (pass, step, batch))
        });
        for (pass, step, batch) in batches {
            if cancel.load(Ordering::Relaxed) {
                return Ok(None);
            }
            let batch = to_device(batch?, &self.device);
            let num_samples = batch.indices.len();
            let num_epochs = schedule.num_epochs();
            let mut progress = Progress { epoch, num_epochs, pass, step, num_steps, rng: &mut rng };
            learning_rate =
                plan.experiment().optim.learning_rate * schedule.share(epoch, step, num_steps);
            let said = self.training.step(&batch, learning_rate, &mut progress);
            let this = Step { pass, step, indices: batch.indices };
            for reading in readings.add(this, said) {
                statistics.take(epoch, &reading)?;
            }
            // Steps and samples of an epoch are told as those of one pass.
            let done = (pass * num_steps + step + 1).div_ceil(num_passes);
            let share = num_samples * (pass + 1) / num_passes - num_samples * pass / num_passes;
            on_event(Event::Step(epoch + 1, done, share));
        }
        for reading in readings.rest() {
            statistics.take(epoch, &reading)?;
        }
        self.dynamics.add(&statistics.margins);
        let training_secs = started.elapsed().as_secs_f64();

        // ---- validation by given labels -----------------------------------------------------------
        let how = self.card.combination;
        let val = self.val.as_ref();
        let val =
            val.map(|val| score(self.training.networks(), how, val, &self.device)).transpose()?;
        let val_accuracy_given = val.as_ref().map(|val| val.accuracy);

        // ---- for the records only -----------------------------------------------------------------
        let is_best = self.saved.is_best(val_accuracy_given);
        let is_scored = schedule.scores(epoch + 1, is_best);
        let test = if is_scored {
            self.scorer.test(self.training.networks(), &self.device)?
        } else {
            None
        };
        let scored =
            if is_scored { self.scorer.scored(test.as_ref(), &statistics.predicted) } else { None };
        self.scores[0] = is_scored.then(|| scores(epoch + 1, val.as_ref(), test.as_ref()));
        if is_best {
            let [latest, best] = &mut self.scores;
            best.clone_from(latest);
        }
        let potential = plan.experiment().loss.energy.potential();
        let centers =
            self.training.networks()[0].head.centers().map(|c| center_stats(c, potential));
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

    /// How well the weights after `chosen` do, which are those of `folder`'s best epoch by noisy
    /// validation if `is_best`, else the last; `None` where there is nothing to hold them against.
    pub(crate) fn scores(
        &mut self,
        folder: &LockedFolder,
        chosen: Chosen,
        is_best: bool,
    ) -> Result<Option<Scores>> {
        let known = self.scores.iter().flatten().find(|scores| scores.epoch == chosen.epoch);
        let scores = match known {
            Some(scores) => scores.clone(),
            None => {
                let (tensors, _, file) = read_weights(folder, is_best)?;
                self.training.load_networks(tensors, &file)?;
                let val = self.val.as_ref();
                let how = self.card.combination;
                let val = val
                    .map(|val| score(self.training.networks(), how, val, &self.device))
                    .transpose()?;
                let test = self.scorer.test(self.training.networks(), &self.device)?;
                scores(chosen.epoch, val.as_ref(), test.as_ref())
            }
        };
        Ok((scores.validation.is_some() || scores.test.is_some()).then_some(scores))
    }

    /// Writes what an epoch leaves: log line, weights, and last the state, which makes it count.
    pub(crate) fn keep(
        &mut self,
        folder: &LockedFolder,
        log: &mut Log,
        record: &mut Record,
        epoch: EpochRecord,
        on_event: &mut dyn FnMut(Event<'_>),
    ) -> Result<()> {
        let tensors = collect_all(self.training.networks());
        check_weights(epoch.epoch, self.train.num_batches(), &tensors)?;
        folder.check_place()?;
        log.append(&epoch)?;
        self.card.epoch = epoch.epoch;
        write_weights(folder, false, &tensors, &self.card)?;
        if self.saved.is_best(epoch.val_accuracy_given) {
            write_weights(folder, true, &tensors, &self.card)?;
            self.saved.best_epoch = Some(epoch.epoch);
        }
        self.saved.epochs.push(epoch);
        let (momentum, objective) = self.training.state();
        let state = State {
            model: tensors,
            momentum,
            objective,
            dynamics: self.dynamics.state(),
            progress: self.saved.clone(),
        };
        state.write(folder, record)?;
        record.set_epochs(self.saved.epochs.clone());
        folder.write_record(record)?;
        on_event(Event::Epoch(&self.saved.epochs[self.saved.epochs.len() - 1]));
        Ok(())
    }
}

fn scores(epoch: usize, val: Option<&Score>, test: Option<&Score>) -> Scores {
    Scores { epoch, validation: val.map(PartScores::from), test: test.map(PartScores::from) }
}

/// Number of the order in which `pass` of `epoch` takes the samples.
fn order(epoch: usize, pass: usize) -> u64 {
    epoch as u64 | (pass as u64) << 31
}

/// An objective keeps what it makes of a survey, so one value that is no number would stay. `epoch` and
/// `step` are the last that were made.
fn check_survey(epoch: usize, step: usize, survey: &Survey<'_>) -> Result<()> {
    let scores = survey.scores.iter().flatten().map(|&value| ("score in evaluation", value));
    let features = survey.features.iter().map(|&value| ("feature in evaluation", value));
    match scores.chain(features).find(|(_, value)| !value.is_finite()) {
        Some((term, value)) => {
            Err(Error::NotFinite { epoch, step, term: term.into(), value: f64::from(value) })
        }
        None => Ok(()),
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::RunData;
    use crate::rows::{AS_ON_A_GPU, MOST};
    use crate::tensors::READS;
    #[cfg(feature = "wgpu")]
    use crate::{
        model::Classifier,
        objective::{Batch, Objective, Terms},
    };
    use pemm_experiment::catalogue::presets;
    use pemm_experiment::{Experiment, Layer};

    fn ready(keys: &[String], device: &str) -> Ready {
        let layers: Vec<Layer> =
            keys.iter().map(|key| Layer::from_assignment(key).unwrap()).collect();
        let experiment = Experiment::from_layers(&layers).unwrap();
        let data = RunData::open(&experiment, &Default::default()).unwrap();
        Ready::of(&experiment, data, device).unwrap()
    }

    /// Settings of a short run by a preset, in which what comes after its warm-up is seen too. `trusted` lists
    /// digits of which some have another label.
    fn short(preset: &str, own: &[&str], trusted: &std::path::Path) -> Vec<String> {
        let first = format!("preset={preset}");
        let objective =
            Experiment::from_layers(&[Layer::from_assignment(&first).unwrap()]).unwrap().objective;
        let common = ["data.limit=300", "schedule.batch_size=4", "schedule.num_epochs=2"];
        let common = common.into_iter().chain(["model.backbone=mlp", "model.width=8"]);
        let mut keys: Vec<String> = common.chain(own.iter().copied()).map(str::to_owned).collect();
        keys.insert(0, first);
        if objective.warmup_epochs().is_some() {
            keys.push("objective.warmup_epochs=1".into());
        }
        if objective.kind.uses_trusted() {
            keys.push(format!("data.trusted={}", trusted.display()));
        }
        keys
    }

    fn trusted_digits(folder: &std::path::Path) -> std::path::PathBuf {
        let file = folder.join("right.csv");
        let rows: String = (0..90).map(|row| format!("{row},{}\n", row % 10)).collect();
        std::fs::write(&file, format!("index,label\n{rows}")).unwrap();
        file
    }

    /// Presets whose steps read from the device: their objectives work on the host with the losses, the joint
    /// probabilities or the labels of a batch.
    const READING: [&str; 5] = ["mentor-net", "self-paced", "mentor-net-dd", "crf", "iterative"];

    #[test]
    fn between_two_fetches_no_step_reads_from_the_device() {
        let folder = tempfile::tempdir().unwrap();
        let trusted = trusted_digits(folder.path());
        let device = if cfg!(feature = "wgpu") { "wgpu" } else { "cpu" };
        AS_ON_A_GPU.set(true);
        let own = presets().into_iter().map(|preset| (preset.name, ""));
        let with = [("pemm", "optim.clip_norm=1.0"), ("pemm", "model.dropout=0.1")];
        for (preset, own) in own.chain(with) {
            let own: Vec<&str> = own.split_whitespace().collect();
            let mut session = Session::new(ready(&short(preset, &own, &trusted), device)).unwrap();
            // On the CPU the norm to clip by is read, where no sum depends on the threads.
            let clips = session.plan.experiment().optim.clip_norm.is_some() && device == "cpu";
            let mut most = 0;
            for _ in 0..2 {
                let mut seen = Vec::new();
                let told = &mut |event: Event<'_>| {
                    if let Event::Step(..) = event {
                        seen.push(READS.get());
                    }
                };
                let epoch = session.epoch(&AtomicBool::new(false), told).unwrap().unwrap();
                session.saved.epochs.push(epoch);
                assert!(seen.len() >= MOST, "{preset}: {} steps", seen.len());
                let between = seen[..MOST - 1].windows(2).map(|pair| pair[1] - pair[0]);
                most = most.max(between.max().unwrap());
            }
            if READING.contains(&preset) {
                assert!(most > 0, "{preset} reads no more: take it off the list");
            } else if !clips {
                assert_eq!(most, 0, "{preset} {own:?}");
            }
        }
    }

    #[test]
    fn what_is_read_later_is_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let trusted = trusted_digits(folder.path());
        for preset in
            ["pemm", "elr", "pemm-reweight", "forward-estimated", "co-teaching", "decoupling"]
        {
            let [late, at_once] = [true, false].map(|late| {
                AS_ON_A_GPU.set(late);
                let mut session =
                    Session::new(ready(&short(preset, &[], &trusted), "cpu")).unwrap();
                let epochs = [(); 2].map(|()| {
                    let epoch = session.epoch(&AtomicBool::new(false), &mut |_| {});
                    let epoch = epoch.unwrap().unwrap();
                    session.saved.epochs.push(epoch.clone());
                    (epoch.loss.to_bits(), epoch.val_accuracy_given, session.training.state())
                });
                (epochs, collect_all(session.training.networks()))
            });
            assert!(late == at_once, "{preset}");
        }
    }

    #[test]
    fn an_objective_hears_numbers_only() {
        let survey = |score: f32, feature: f32| Survey {
            scores: vec![vec![0.0, 1.0], vec![0.5, score]],
            features: vec![feature, 2.0],
            given: &[1],
        };
        check_survey(3, 7, &survey(0.0, 0.0)).unwrap();
        for (survey, term) in
            [(survey(f32::NAN, 0.0), "score"), (survey(0.0, f32::INFINITY), "feature")]
        {
            let error = check_survey(3, 7, &survey).unwrap_err().to_string();
            assert!(
                error.starts_with("epoch 3, step 7: the term `") && error.contains(term),
                "{error}"
            );
        }
    }

    /// The objective, but for saying that its steps repeat.
    #[cfg(feature = "wgpu")]
    struct Unlike(Box<dyn Objective>);

    #[cfg(feature = "wgpu")]
    impl Objective for Unlike {
        fn forward(
            &mut self,
            networks: &[Classifier],
            batch: &Batch,
            progress: &mut Progress<'_>,
        ) -> Terms {
            self.0.forward(networks, batch, progress)
        }
    }

    /// Needs the driver that `tests/gpu.rs` names. The last batch of each epoch is a smaller one, and
    /// the learning rate changes with each step.
    #[cfg(feature = "wgpu")]
    #[test]
    fn replayed_steps_do_what_the_others_do() {
        let keys = [
            "preset=pemm",
            "data.limit=300",
            "schedule.batch_size=48",
            "schedule.kind=cosine",
            "schedule.num_epochs=3",
        ];
        for (backbone, clip) in [("mlp", ""), ("cnn", ""), ("mlp", "optim.clip_norm=0.5")] {
            let own = [&format!("model.backbone={backbone}"), "model.width=8", clip];
            let own = own.into_iter().filter(|key| !key.is_empty()).map(str::to_owned);
            let keys: Vec<String> = keys.map(str::to_owned).into_iter().chain(own).collect();
            let [replayed, ordinary] = [true, false].map(|replayed| {
                let mut ready = ready(&keys, "wgpu");
                if !replayed {
                    ready.objective = Box::new(Unlike(ready.objective));
                }
                let mut session = Session::new(ready).unwrap();
                let cancel = AtomicBool::new(false);
                let epochs: Vec<EpochRecord> = (0..3)
                    .map(|_| {
                        let epoch = session.epoch(&cancel, &mut |_| {}).unwrap().unwrap();
                        session.saved.epochs.push(epoch.clone());
                        epoch
                    })
                    .collect();
                assert_eq!(session.training.is_replayed(), replayed);
                (epochs, collect_all(session.training.networks()), session.training.state().0)
            });
            for (replayed, ordinary) in replayed.0.iter().zip(&ordinary.0) {
                let (a, b) = (replayed.loss, ordinary.loss);
                assert!((a - b).abs() < 1e-5 * b.abs(), "{backbone}: losses {a} and {b}");
                assert_eq!(replayed.val_accuracy_given, ordinary.val_accuracy_given);
            }
            for (replayed, ordinary) in [(&replayed.1, &ordinary.1), (&replayed.2, &ordinary.2)] {
                assert!(!replayed.is_empty() && replayed.keys().eq(ordinary.keys()));
                for (name, values) in replayed {
                    let apart = values.data.iter().zip(&ordinary[name].data);
                    let apart = apart.map(|(a, b)| (a - b).abs()).fold(0f32, f32::max);
                    assert!(apart < 1e-4, "{backbone}: {name} is {apart} apart");
                }
            }
        }
    }
}
