//! `pemm train`.

mod ensemble;
mod metrics;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use indicatif::ProgressBar;
use pemm::needs::Needs;
use pemm::places::Places;
use pemm::train::{Event, Outcome, RunOptions, run as train};
use pemm_experiment::Experiment;
use pemm_runs::folder::REPORT;
use pemm_runs::time::duration;
use pemm_runs::{EpochRecord, PartScores, Record, RunFolder, Status};

use super::experiment::{ExperimentArguments, Wanted};
use super::report;
use crate::by_class;
use crate::commit::commit;
use crate::console::Console;
use crate::dashboard::{self, Dashboard, Facts, State};
use crate::embedding::Features;
use crate::failure::Failure;
use crate::interrupt;
use crate::overwrite::remove_if_empty;
use metrics::{Metrics, MetricsArguments};

/// Where runs go that are given no folder.
const RUNS: &str = "runs";
/// While a run goes on, its report is not written more often than this.
const REFRESH: Duration = Duration::from_secs(30);
/// Without --verbose every so many epochs have a line.
const MILESTONE: usize = 10;
/// Samples in the report's map of the features; `pemm report` draws more.
const POINTS: usize = 2_000;

/// Train a classifier, or continue an interrupted run
///
/// The same command with the same --out continues where it stopped and ends with the same weights. For
/// a finished run it prints the result again.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    experiment: ExperimentArguments,
    /// Where to compute: cpu, gpu (the first there is), cuda:N or wgpu:N; `pemm devices` lists them
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Run folder; by default a new one under runs/
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Store the model's predictions for every sample, which the report needs; auto does so where they
    /// take less than 64 MiB
    #[arg(long, value_enum, default_value_t = When::Auto, value_name = "WHEN")]
    outputs: When,
    /// Write no report.html into the run folder
    #[arg(long)]
    no_report: bool,
    /// Show curves, progress and time left in the terminal while training; q stops
    #[arg(long)]
    tui: bool,
    /// Print a line for every epoch, not only for the first, every tenth and the last
    #[arg(long, short)]
    verbose: bool,
    #[command(flatten)]
    metrics: MetricsArguments,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum When {
    /// If the file is small
    Auto,
    /// Always
    On,
    /// Never
    Off,
}

impl When {
    fn stores(self, record: &Record) -> bool {
        const LIMIT: usize = 64 << 20;
        match self {
            Self::Auto => pemm::outputs::num_bytes(record) < LIMIT,
            Self::On => true,
            Self::Off => false,
        }
    }
}

/// Runs the command.
pub(crate) fn run(arguments: Arguments, console: &Console) -> Result<(), Failure> {
    let wanted = arguments.experiment.wanted()?;
    pemm::device::open(&arguments.device)?;
    let is_fresh = arguments.out.is_none();
    let out = match &arguments.out {
        Some(out) => out.clone(),
        None => RunFolder::fresh_under(
            Path::new(RUNS),
            &stem(&wanted.first().data.path, wanted.name()),
        )?,
    };
    if is_fresh {
        interrupt::leave_nothing_empty(&out);
    }
    let done = match &wanted {
        Wanted::One(experiment) => one(experiment, &arguments, &out, console),
        Wanted::Together(auto) => ensemble::together(auto, &arguments, &out, console),
    };
    if done.is_err() && is_fresh {
        remove_if_empty(&out);
    }
    done
}

/// Trains one run in `out`.
fn one(
    experiment: &Experiment,
    arguments: &Arguments,
    out: &Path,
    console: &Console,
) -> Result<(), Failure> {
    let cancel = interrupt::watch()?;
    let mut watch = Watch::of(arguments, out, console);
    let result = Features::new(console, Some(cancel)).with(|embedding| {
        let device = arguments.device.as_str();
        let options = RunOptions { out, device, git: commit(), cancel, embedding };
        train(experiment, &options, &mut |event| watch.note(event))
    });
    let outcome = watch.ended(result)?;
    settle(&outcome, &Places::of(experiment), arguments, out, console)?;
    console.result(&summary(&outcome), &outcome.record)
}

/// What is left to do when a run ended: outputs and a report, or to say how an interrupted one goes on,
/// which was begun with `--out` as `out`.
fn settle(
    outcome: &Outcome,
    places: &Places,
    arguments: &Arguments,
    out: &Path,
    console: &Console,
) -> Result<(), Failure> {
    let Outcome { folder, record, was_finished, changed } = outcome;
    if record.status == Status::Interrupted {
        if !arguments.no_report {
            report::refresh(folder, 0, console);
        }
        return Err(Failure::interrupted(format!(
            "after {} of {} epochs; the same command with --out {} continues",
            record.epochs.len(),
            record.num_epochs().unwrap_or_default(),
            out.display()
        )));
    }
    if let Some(changed) = changed {
        console.warn(&format!("data: {changed}"));
    }
    if *was_finished {
        Metrics::new(arguments.metrics, folder, console).begin(&record.epochs)?;
    }
    if arguments.outputs.stores(record) && !report::has_outputs(folder, record) {
        let stored = report::store_outputs(folder, places, &arguments.device, console);
        if let Err(failure) = stored {
            console.warn(&format!("no outputs for the report: {}", failure.message()));
        }
    }
    let is_reported = *was_finished && folder.join(REPORT).is_file();
    if !arguments.no_report && !is_reported {
        report::refresh(folder, POINTS, console);
    }
    Ok(())
}

/// A name for a run's folder: the last part of the data's path, and the arm.
fn stem(data: &str, arm: &str) -> String {
    let name = Path::new(data).file_stem().map_or("data".into(), |name| name.to_string_lossy());
    let plain = |c: char| if c.is_alphanumeric() || "-_".contains(c) { c } else { '-' };
    let name: String = format!("{name}-{arm}").chars().map(plain).collect();
    name.trim_start_matches('-').to_owned()
}

/// What a person and other programs see while a run goes on, or several one after another.
struct Watch<'a> {
    display: Display<'a>,
    metrics: Metrics<'a>,
    arguments: &'a Arguments,
    folder: &'a Path,
    reported: Instant,
}

impl<'a> Watch<'a> {
    /// Of the run in `folder`.
    fn of(arguments: &'a Arguments, folder: &'a Path, console: &'a Console) -> Self {
        let display = Display {
            console,
            wants_dashboard: arguments.tui && !console.is_quiet(),
            verbose: arguments.verbose,
            dashboard: None,
            bar: None,
            num_epochs: 0,
            num_steps: 0,
            warned: Vec::new(),
        };
        let metrics = Metrics::new(arguments.metrics, folder, console);
        Self { display, metrics, arguments, folder, reported: Instant::now() }
    }

    /// What follows is of the run in `folder`.
    fn turn_to(&mut self, folder: &'a Path) {
        self.display.end();
        self.metrics = Metrics::new(self.arguments.metrics, folder, self.display.console);
        self.folder = folder;
    }

    fn note(&mut self, event: Event<'_>) {
        self.metrics.note(&event);
        let is_epoch = matches!(event, Event::Epoch(_));
        self.display.show(event);
        if is_epoch && !self.arguments.no_report && self.reported.elapsed() >= REFRESH {
            report::refresh(self.folder, 0, self.display.console);
            self.reported = Instant::now();
        }
    }

    /// Takes down whatever draws.
    fn ended<T>(mut self, result: pemm::Result<T>) -> Result<T, Failure> {
        self.display.end();
        // Only a run that failed has something new to tell, and a folder that is its own.
        if !self.arguments.no_report && matches!(result, Err(pemm::Error::NotFinite { .. })) {
            report::refresh(self.folder, 0, self.display.console);
        }
        Ok(result?)
    }
}

struct Display<'a> {
    console: &'a Console,
    wants_dashboard: bool,
    verbose: bool,
    dashboard: Option<Dashboard>,
    bar: Option<ProgressBar>,
    num_epochs: usize,
    num_steps: usize,
    /// What was warned of: runs on the same data do so of the same.
    warned: Vec<String>,
}

impl Display<'_> {
    fn warn(&mut self, warnings: &[String]) {
        for warning in warnings {
            if !self.warned.contains(warning) {
                self.console.warn(warning);
                self.warned.push(warning.clone());
            }
        }
    }

    fn show(&mut self, event: Event<'_>) {
        if let Some(dashboard) = &self.dashboard {
            return dashboard.note(&event);
        }
        match event {
            Event::Started { folder, plan, warnings, record, num_steps, needs } => {
                self.warn(warnings);
                self.console.note(&headline(folder, record));
                self.console.note(&if record.epochs.is_empty() {
                    needed(&needs)
                } else {
                    format!("continues after epoch {}", record.epochs.len())
                });
                if self.wants_dashboard {
                    let facts = Facts::of(folder, plan, warnings, record, num_steps);
                    self.dashboard = self.start_dashboard(State::new(facts, record.epochs.clone()));
                }
                if self.dashboard.is_some() {
                    return;
                }
                self.num_epochs = plan.experiment().schedule.num_epochs();
                self.num_steps = num_steps;
                let images = (self.num_epochs * record.data.num_train) as u64;
                let bar = self.console.bar(images, "images");
                let done = (record.epochs.len() * record.data.num_train) as u64;
                bar.set_position(done);
                bar.reset_eta();
                self.bar = Some(bar);
            }
            Event::Step(epoch, step, num_samples) => {
                if let Some(bar) = &self.bar {
                    bar.inc(num_samples as u64);
                    bar.set_message(format!(
                        "epoch {epoch}/{} step {step}/{}",
                        self.num_epochs, self.num_steps
                    ));
                }
            }
            Event::Epoch(epoch) => {
                let is_milestone = epoch.epoch == 1
                    || epoch.epoch == self.num_epochs
                    || epoch.epoch.is_multiple_of(MILESTONE);
                if !self.verbose && !is_milestone {
                    return;
                }
                let line = epoch_line(epoch, self.num_epochs);
                match &self.bar {
                    Some(bar) if self.console.draws() => bar.println(line),
                    _ => self.console.note(&line),
                }
            }
        }
    }

    /// The dashboard, or a note why there are plain lines instead.
    fn start_dashboard(&self, state: State) -> Option<Dashboard> {
        let started = match dashboard::obstacle() {
            Some(obstacle) => Err(obstacle),
            None => Dashboard::start(state).map_err(|error| error.to_string()),
        };
        started
            .inspect_err(|why| {
                self.console.note(&format!("--tui is not possible here ({why}); printing lines"))
            })
            .ok()
    }

    /// Takes down whatever draws.
    fn end(&mut self) {
        self.dashboard = None;
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

fn headline(folder: &Path, record: &Record) -> String {
    let size = match record.data.shape {
        [features, 1, 1] => format!("{features} features"),
        [channels, height, width] => format!("{channels}×{height}×{width}"),
    };
    format!(
        "{} · {} classes · {} training{}, {} validation, {} test samples of {size}\n\
         {} · {} parameters · {}{}{}\n\
         run folder {}",
        record.data.name,
        record.data.classes.len(),
        record.data.num_train,
        record.data.num_trusted.map_or(String::new(), |num| format!(" ({num} trusted)")),
        record.data.num_val,
        record.data.num_test,
        record.arm,
        record.model.num_parameters,
        labels(record),
        record.noise.realised_rate.map_or(String::new(), |rate| format!(
            " ({:.1} % of the labels are wrong)",
            100.0 * rate
        )),
        match record.environment.device.as_str() {
            "cpu" => String::new(),
            device => format!("\non {device}"),
        },
        folder.display()
    )
}

/// Which labels it trains on.
fn labels(record: &Record) -> String {
    let file = record.experiment.pointer("/data/labels").and_then(|file| file.as_str());
    let given = file.map_or("labels as given".into(), |file| format!("labels of {file}"));
    match record.noise.convention.as_str() {
        "none" => given,
        noise => format!("{given}, noise {noise}"),
    }
}

fn needed(needs: &Needs) -> String {
    let memory = needs.memory.div_ceil(1 << 20);
    match needs.seconds {
        Some(seconds) => format!(
            "will need about {memory} MiB of memory and take about {}",
            duration(seconds.max(0.1))
        ),
        None => format!(
            "will need about {memory} MiB of memory; the first steps prepare the GPU, which can take a \
             minute or two the first time a network is trained here"
        ),
    }
}

fn percent(value: f64) -> String {
    format!("{:5.2} %", 100.0 * value)
}

fn epoch_line(epoch: &EpochRecord, num_epochs: usize) -> String {
    let known = |name: &str, value: Option<f64>| {
        value.map_or(String::new(), |value| format!("{name} {}", percent(value)))
    };
    let of_centers = |name: &str| {
        let term = epoch.terms.get(name);
        term.map_or(String::new(), |term| format!("  {name} {term:.4}"))
    };
    format!(
        "epoch {:>3}/{num_epochs}  loss {:>7.4}{}  agrees with given labels: training {}{}{}  {:.0} \
         images/s",
        epoch.epoch,
        epoch.terms.get("loss").copied().unwrap_or(epoch.loss),
        of_centers("energy"),
        percent(epoch.train_accuracy_given),
        known(", validation", epoch.val_accuracy_given),
        known("  test accuracy", epoch.test_accuracy()),
        epoch.images_per_sec
    )
}

fn summary(outcome: &Outcome) -> String {
    let Outcome { folder, record, was_finished, .. } = outcome;
    let mut lines = Vec::new();
    if *was_finished {
        lines.push("already finished; this is the stored result".to_owned());
    }
    let choice = &record.choice;
    if let Some(last) = &choice.last
        && let Some(accuracy) = last.test_accuracy
    {
        let accuracy = percent(accuracy);
        lines.push(format!("test accuracy after the last epoch ({})      {accuracy}", last.epoch));
    }
    if let Some(best) = &choice.best_by_noisy_val
        && let Some(accuracy) = best.test_accuracy
    {
        let accuracy = percent(accuracy);
        lines.push(format!("test accuracy, best by noisy validation ({})  {accuracy}", best.epoch));
    }
    if let Some(scores) = &record.scores {
        let classes = &record.data.classes;
        if let (Some(part), None) = (&scores.validation, &scores.test) {
            lines.push(kept_aside(part, classes));
        }
        if let Some(part) = scores.test.as_ref().or(scores.validation.as_ref()) {
            lines.extend(by_class::rows(part, classes));
        }
        if record.prefers_best() {
            lines.push(format!(
                "the weights after epoch {} are the better ones, and `pemm predict` uses them",
                scores.epoch
            ));
        }
    }
    if let Some(scored) = record.epochs.iter().rev().find_map(|epoch| epoch.scored.as_ref())
        && let (Some(fitted), Some(corrected), Some(flipped)) =
            (scored.flipped_fitted, scored.flipped_corrected, scored.num_flipped)
        && flipped > 0
    {
        let share = |count: usize| 100.0 * count as f64 / flipped as f64;
        lines.push(format!(
            "of {flipped} wrong training labels {:.1} % were learned; for {:.1} % the model predicts the true class",
            share(fitted),
            share(corrected)
        ));
    }
    lines.push(format!(
        "trained in {:.1} s; run folder: {}",
        record.total_seconds,
        folder.display()
    ));
    if folder.join(REPORT).is_file() {
        lines.push(format!("report: {}", folder.join(REPORT).display()));
    }
    lines.join("\n")
}

/// How well the held-out part is predicted, where there is no test part.
fn kept_aside(part: &PartScores, classes: &[String]) -> String {
    let headline = by_class::headline(part, classes);
    format!("no separate test images; agreement with your labels on images kept aside: {headline}")
}
