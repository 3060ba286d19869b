//! The runs of a grid, started as there is room for them, until all are done or somebody stops.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use pemm_experiment::grid::Cell;
use pemm_runs::Record;
use pemm_runs::found::{Found, look};
use pemm_runs::grid_pace::{Budget, Pace};
use pemm_runs::process::{Memory, free_memory};

use super::display::{Display, View};
use super::message::Task;
use super::worker::{RunProgress, Worker};
use crate::failure::Failure;
use crate::interrupt;

/// How often the runs are looked at.
const PAUSE: Duration = Duration::from_millis(100);

/// One run of the grid, and what is there of it.
#[derive(Debug)]
pub(super) struct Job<'a> {
    pub(super) cell: &'a Cell,
    pub(super) folder: PathBuf,
    pub(super) found: Found,
    /// Epochs of the whole run. The data may decide on them; then they are known once these were read.
    pub(super) num_epochs: Option<usize>,
}

impl Job<'_> {
    /// Whether it was finished before.
    pub(super) fn is_finished(&self) -> bool {
        matches!(self.found, Found::Finished(_))
    }

    /// Epochs that are done.
    pub(super) fn epochs_done(&self) -> usize {
        match &self.found {
            Found::Nothing => 0,
            Found::Begun { num_epochs, .. } => *num_epochs,
            Found::Moved(record) | Found::Finished(record) => record.epochs.len(),
        }
    }

    /// Epochs that are to come, if that is known.
    pub(super) fn epochs_to_come(&self) -> Option<usize> {
        Some(self.num_epochs?.saturating_sub(self.epochs_done()))
    }
}

/// How the runs are run.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) device: String,
    /// Of each run.
    pub(super) threads: usize,
    pub(super) budget: Budget,
    /// Where finished records are copied to.
    pub(super) records: Option<PathBuf>,
}

/// How a run ended.
#[derive(Debug)]
pub(super) enum Ending {
    /// All epochs are done.
    Finished(Box<Record>),
    /// Stopped on demand, or not started because of that.
    Stopped,
    /// With an error, a crash, or by the system.
    Failed(String),
}

struct Running {
    job: usize,
    worker: Worker,
    since: Instant,
}

/// Runs all of `jobs`, in their order; gives one ending for each.
pub(super) fn run(
    jobs: &[&Job<'_>],
    settings: &Settings,
    pace: &mut Pace,
    display: &mut Display<'_>,
) -> Result<Vec<Ending>, Failure> {
    let interrupts = interrupt::count()?;
    let mut waiting: VecDeque<usize> = (0..jobs.len()).collect();
    let mut running: Vec<Running> = Vec::new();
    let mut endings: Vec<Option<Ending>> = jobs.iter().map(|_| None).collect();
    let mut largest: Option<u64> = None;
    loop {
        // ---- what somebody wants ----------------------------------------------------------------
        match interrupts.load(Ordering::SeqCst) {
            0 => {}
            1 => {
                waiting.clear();
                running.iter_mut().for_each(|run| run.worker.stop());
            }
            _ => {
                running.clear(); // kills them
                return Err(Failure::interrupted("killed; run the same command to continue"));
            }
        }

        // ---- what has ended ---------------------------------------------------------------------
        let mut still = Vec::with_capacity(running.len());
        for mut run in running {
            let ended = run.worker.poll();
            let progress = run.worker.progress();
            if progress.measured.0 > 0 {
                largest = largest.max(Some(run.worker.memory.peak).filter(|&peak| peak > 0));
            }
            let job = jobs[run.job];
            let (status, said) = match ended {
                Ok(None) => {
                    still.push(run);
                    continue;
                }
                Ok(Some(ended)) => ended,
                Err(error) => return Err(Failure::new(format!("{}: {error}", job.cell.name))),
            };
            pace.add(job.cell.experiment.arm(), progress.measured.1, progress.measured.0);
            let mut ending = match status.code() {
                Some(0) => finished(job),
                Some(129 | 130 | 143) => Ending::Stopped,
                Some(code) if said.is_empty() => {
                    Ending::Failed(format!("its process ended with exit code {code}"))
                }
                Some(_) => Ending::Failed(said.trim_start_matches("error: ").to_owned()),
                None => Ending::Failed(crash(&status.to_string(), &said, run.worker.memory)),
            };
            if let (Ending::Finished(record), Some(records)) = (&ending, &settings.records)
                && let Err(error) = record.write(&super::record_file(records, &job.cell.name))
            {
                ending = Ending::Failed(error.to_string());
            }
            display.ended(job, &ending, run.since.elapsed());
            endings[run.job] = Some(ending);
        }
        running = still;

        // ---- what may start ---------------------------------------------------------------------
        while let Some(&next) = waiting.front() {
            let memory: Vec<Memory> = running.iter().map(|run| run.worker.memory).collect();
            if !settings.budget.has_room(&memory, largest, free_memory()) {
                break;
            }
            waiting.pop_front();
            let job = jobs[next];
            let task = Task {
                experiment: job.cell.experiment.clone(),
                out: job.folder.clone(),
                device: settings.device.clone(),
            };
            match Worker::start(&task, settings.threads) {
                Ok(worker) => {
                    display.started(job);
                    running.push(Running { job: next, worker, since: Instant::now() });
                }
                Err(error) => {
                    let ending = Ending::Failed(format!("cannot start a process: {error}"));
                    display.ended(job, &ending, Duration::ZERO);
                    endings[next] = Some(ending);
                }
            }
        }
        if running.is_empty() {
            break;
        }

        // ---- what somebody sees -----------------------------------------------------------------
        let now: Vec<(&Job<'_>, RunProgress)> =
            running.iter().map(|run| (jobs[run.job], run.worker.progress())).collect();
        let mut measured = pace.clone();
        let to_come = |job: &Job<'_>, progress: &RunProgress| {
            let num_epochs = progress.num_epochs.or(job.num_epochs)?;
            Some(num_epochs.saturating_sub(progress.num_done))
        };
        for (job, progress) in &now {
            let (epochs, seconds) = progress.measured;
            measured.add(job.cell.experiment.arm(), seconds, epochs);
        }
        let todo = waiting.iter().map(|&job| (jobs[job], jobs[job].epochs_to_come()));
        let todo = now.iter().map(|(job, progress)| (*job, to_come(job, progress))).chain(todo);
        let todo = todo.map(|(job, epochs)| (job.cell.experiment.arm(), epochs));
        let left = measured.left(todo, settings.budget.jobs);
        display.show(&View { running: &now, left, largest });
        std::thread::sleep(PAUSE);
    }
    Ok(endings.into_iter().map(|ending| ending.unwrap_or(Ending::Stopped)).collect())
}

/// A run that says it is done must have left its record.
fn finished(job: &Job<'_>) -> Ending {
    match look(&job.cell.experiment, &job.folder) {
        Ok(Found::Finished(record) | Found::Moved(record)) => Ending::Finished(record),
        Ok(_) => Ending::Failed("its process ended without a finished record".into()),
        Err(error) => Ending::Failed(error.to_string()),
    }
}

fn crash(status: &str, said: &str, memory: Memory) -> String {
    let mut message = format!("its process ended by {status}");
    if status.contains("SIGKILL") {
        message += &format!(
            ", as the system does when memory runs out; it had taken up to {} MiB (--jobs and \
             --memory say how much goes at once)",
            memory.peak >> 20
        );
    }
    if said.is_empty() { message } else { format!("{message}: {said}") }
}
