//! Tries some presets where nobody knows the noise, and trains the one that does best: successive halving
//! on given labels.
//!
//! Each trial is a run like any other, in `tried/PRESET-ROUND` below the run folder: interrupted it goes
//! on, finished it is found. What is compared is whether its model said the given labels of the samples
//! that were held out. These come as a [`Part`], which has no clean label, and the test part is not asked
//! for. Once a preset is taken, that stands in `tried.json`, and its run is the run of the folder.

use burn::tensor::Device;
use pemm_data::Part;
use pemm_experiment::{Auto, Experiment};
use pemm_runs::folder::{EXPERIMENT, TRIALS};
use pemm_runs::halving::{Difference, kept, taken};
use pemm_runs::tried::{Candidate, Trial};
use pemm_runs::{LockedFolder, RunFolder, Status, Tried};
use serde::Serialize;

use crate::data::{Embedding, Opened, RunData};
use crate::device;
use crate::error::{Error, Result};
use crate::finished::{Trained, Weights};
use crate::ready::Ready;
use crate::train::{self, Event, Outcome, RunOptions, train};

/// Standard errors by which a candidate may lie behind the best and still be taken, if it is simpler.
pub const MARGIN: f64 = 0.5;

/// What is told on the way.
#[derive(Debug)]
pub enum Told<'a> {
    /// Before the first trial: what is going to be tried, and what is allowed but probably not meant.
    Begun(&'a Program, &'a [String]),
    /// Of the trial with this number, from 1, of the preset of this name.
    Trial(usize, &'a str, Event<'a>),
    /// The trial with this number, of this preset, was judged by so many given labels, and agreed with so
    /// many.
    Judged(usize, &'a str, usize, usize),
    /// The choice was made.
    Chosen(&'a Tried),
    /// Of the run itself.
    Run(Event<'a>),
}

/// What is going to be tried.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Program {
    /// The presets, the simplest first.
    pub presets: Vec<String>,
    /// Candidates of each round.
    pub rounds: Vec<usize>,
    /// Epochs of a trial.
    pub num_epochs: usize,
    /// Samples that a trial is trained on, round by round; those that judge it are the others.
    pub num_train: Vec<usize>,
    /// Samples that judge it, round by round.
    pub num_held: Vec<usize>,
    /// What trials and run cost together, in runs.
    pub cost: f64,
    /// Seconds that this takes, about; `None` on a GPU, see [`Needs`](crate::needs::Needs).
    pub seconds: Option<f64>,
}

impl Program {
    /// Trials of all rounds.
    pub fn num_trials(&self) -> usize {
        self.rounds.iter().sum()
    }
}

/// The data of the run and of the trials, and every candidate checked against them.
#[derive(Debug)]
pub struct Prepared {
    /// What is going to be tried.
    pub program: Program,
    /// What is allowed but probably not meant, each once.
    pub warnings: Vec<String>,
    /// The data of each round.
    halves: Vec<RunData>,
    /// Identity of each candidate's run.
    identities: Vec<String>,
}

impl Prepared {
    /// Opens the data, and makes the run and the trials of every candidate ready, so that what is wrong
    /// with any of them is said before there is a folder.
    ///
    /// # Errors
    /// Those of [`Ready::of`], and a class with fewer samples than there are halves.
    pub fn of(auto: &Auto, device: &str, embedding: &Embedding<'_>) -> Result<Self> {
        let first = &auto.candidates()[0];
        let opened = Opened::open(first, embedding)?;
        let whole = opened.clone().prepare(first, embedding)?;
        let (mut identities, mut warnings) = (Vec::new(), Vec::new());
        let mut of_run = None;
        for candidate in auto.candidates() {
            let ready = Ready::of(candidate, whole.clone(), device)?;
            ready.check_memory()?;
            identities.push(ready.plan().identity());
            of_run = of_run.or(ready.needs()?.seconds);
            for warning in ready.warnings() {
                if !warnings.contains(warning) {
                    warnings.push(warning.clone());
                }
            }
        }
        let rounds = auto.rounds().to_vec();
        let half = |round| opened.clone().prepare(&Auto::trial(first, round, 1), embedding);
        let halves: Vec<RunData> = (1..=rounds.len()).map(half).collect::<Result<_>>()?;
        let num_whole = whole.prepared.train.len();
        let num_train: Vec<usize> = halves.iter().map(|half| half.prepared.train.len()).collect();
        let num_held = halves.iter().map(|half| held(half).len()).collect();
        let num_epochs = auto.trial_epochs(num_train.iter().copied().max().unwrap_or(0), num_whole);
        for candidate in auto.candidates() {
            for (half, round) in halves.iter().zip(1..) {
                let trial = Auto::trial(candidate, round, num_epochs);
                Ready::of(&trial, half.clone(), device)?;
            }
        }
        let samples_of_run = (num_whole * first.schedule.num_epochs) as f64;
        let of_trials: usize = rounds.iter().zip(&num_train).map(|(num, train)| num * train).sum();
        let cost = 1.0 + (of_trials * num_epochs) as f64 / samples_of_run;
        let presets = auto.candidates().iter().map(|candidate| candidate.preset.clone()).collect();
        let seconds = of_run.map(|seconds| seconds * cost);
        let program = Program { presets, rounds, num_epochs, num_train, num_held, cost, seconds };
        Ok(Self { program, warnings, halves, identities })
    }
}

/// Tries the candidates of `auto` and trains the one that is taken, or goes on where it stopped; tells the
/// finished run, which needs no data. `None` if it was cancelled before one was taken.
///
/// # Errors
/// Those of [`Prepared::of`] and [`train`], and a folder with a run that was not begun like this.
pub fn run(
    auto: &Auto,
    options: &RunOptions<'_>,
    on_event: &mut dyn FnMut(Told<'_>),
) -> Result<Option<Outcome>> {
    let tried = match Tried::read(options.out)? {
        Some(tried) => tried,
        None => {
            refuse_other_run(options)?;
            let prepared = Prepared::of(auto, options.device, &options.embedding)?;
            let folder = RunFolder::hold(options.out)?;
            match choose(auto, &prepared, &folder, options, on_event)? {
                Some(tried) => tried,
                None => return Ok(None),
            }
        }
    };
    let chosen = candidate(auto, &tried)?;
    train::run(chosen, options, &mut |event| on_event(Told::Run(event))).map(Some)
}

/// A run that was begun with a preset of its own is not the run of a choice.
fn refuse_other_run(options: &RunOptions<'_>) -> Result<()> {
    if !options.out.join(EXPERIMENT).is_file() {
        return Ok(());
    }
    let reason = format!(
        "{} holds a run that was not begun with preset = \"auto\"; choose another --out",
        options.out.display()
    );
    Err(Error::setting("preset", reason))
}

/// The candidate that `tried` says was taken.
fn candidate<'a>(auto: &'a Auto, tried: &Tried) -> Result<&'a Experiment> {
    let found = auto.candidates().iter().find(|candidate| candidate.preset == tried.chosen);
    found.ok_or_else(|| {
        let reason = format!(
            "\"auto\" chose {0:?} here, which this pemm no longer tries; the same command with --preset \
             {0} goes on",
            tried.chosen
        );
        Error::setting("preset", reason)
    })
}

/// Runs the trials and says which candidate is taken; `None` if it was cancelled. `folder` is held until
/// then, so that nobody else begins a run there.
fn choose(
    auto: &Auto,
    prepared: &Prepared,
    folder: &LockedFolder,
    options: &RunOptions<'_>,
    on_event: &mut dyn FnMut(Told<'_>),
) -> Result<Option<Tried>> {
    let Prepared { program, halves, identities, .. } = prepared;
    let device = device::open(options.device)?;
    let candidates = auto.candidates();
    on_event(Told::Begun(program, &prepared.warnings));
    let mut trials: Vec<Vec<Trial>> = vec![Vec::new(); candidates.len()];
    let mut hits: Vec<Vec<bool>> = vec![Vec::new(); candidates.len()];
    let mut inside: Vec<usize> = (0..candidates.len()).collect();
    let mut number = 0;
    for (round, half) in (1..).zip(halves) {
        inside = best(&hits, &inside, program.rounds[round - 1]);
        for &place in &inside {
            number += 1;
            let preset = candidates[place].preset.as_str();
            let out = options.out.join(TRIALS).join(format!("{preset}-{round}"));
            let trial = Auto::trial(&candidates[place], round, program.num_epochs);
            let ready = Ready::of(&trial, half.clone(), options.device)?;
            let options = RunOptions { out: &out, git: options.git.clone(), ..*options };
            let outcome =
                train(ready, &options, &mut |event| on_event(Told::Trial(number, preset, event)))?;
            if outcome.record.status != Status::Finished {
                return Ok(None);
            }
            let heard = agreements(&outcome, held(half), &device)?;
            let num_agreed = heard.iter().filter(|hit| **hit).count();
            on_event(Told::Judged(number, preset, heard.len(), num_agreed));
            hits[place].extend(heard);
            let record = outcome.record;
            trials[place].push(Trial {
                identity: record.identity,
                num_train: record.data.num_train,
                val_accuracy: record.epochs.iter().filter_map(|e| e.val_accuracy_given).collect(),
                seconds: record.total_seconds,
            });
        }
    }
    let last: Vec<Vec<bool>> = inside.iter().map(|&place| hits[place].clone()).collect();
    let chosen = inside[taken(&last, MARGIN)];
    let account = |(place, (candidate, trials)): (usize, (&Experiment, Vec<Trial>))| Candidate {
        preset: candidate.preset.clone(),
        trials,
        num_labels: hits[place].len(),
        num_agreed: hits[place].iter().filter(|hit| **hit).count(),
        against_chosen: (place != chosen).then(|| Difference::of(&hits[place], &hits[chosen])),
    };
    let tried = Tried {
        chosen: candidates[chosen].preset.clone(),
        identity: identities[chosen].clone(),
        budget: auto.budget(),
        cost: program.cost,
        candidates: candidates.iter().zip(trials).enumerate().map(account).collect(),
    };
    folder.write_tried(&tried)?;
    on_event(Told::Chosen(&tried));
    Ok(Some(tried))
}

/// The best `num` of the candidates that are `inside`.
fn best(hits: &[Vec<bool>], inside: &[usize], num: usize) -> Vec<usize> {
    let of_inside: Vec<Vec<bool>> = inside.iter().map(|&place| hits[place].clone()).collect();
    kept(&of_inside, num).into_iter().map(|place| inside[place]).collect()
}

/// What judges a trial.
fn held(half: &RunData) -> &Part {
    half.prepared.val.as_ref().expect("a half is held out")
}

/// Whether the model of a finished trial says the given label of each sample of `held`. Its last weights:
/// the best by these labels were chosen with them.
fn agreements(outcome: &Outcome, held: &Part, device: &Device) -> Result<Vec<bool>> {
    let folder = RunFolder::open(&outcome.folder)?;
    let trained = Trained::open(&folder, Weights::Last, device)?;
    let predicted = trained.predict(held.clone(), &mut |_| {})?.classes();
    Ok(predicted.iter().zip(&held.given).map(|(predicted, given)| predicted == given).collect())
}
