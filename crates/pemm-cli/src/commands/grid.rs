//! `pemm grid`: many runs by one command, each in a process of its own.

mod cell;
mod display;
mod explain;
mod file;
mod message;
mod runner;
mod worker;

use std::path::{Path, PathBuf};

use clap::Args;
use pemm::cells::check;
use pemm_runs::found::{Found, look, look_at_record, record_file};
use pemm_runs::grid_lock::GridLock;
use pemm_runs::grid_pace::{Budget, Pace};
use pemm_runs::time::duration;
use serde_json::json;

use crate::console::Console;
use crate::embedding::Features;
use crate::failure::Failure;
use display::Display;
use runner::{Ending, Job, Settings};

pub(crate) use cell::run as run_cell;
pub(crate) use explain::explain_grid;
pub(crate) use file::{GridArguments, default_folder, open};

/// Run all experiments of a grid: what is not finished yet, and what was interrupted
///
/// The same command goes on where it was stopped or killed. A run that fails does not stop the
/// others; it is tried once more by the next call.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    grid: GridArguments,
    /// Runs at once; bits do not depend on it
    #[arg(long, default_value_t = 1, value_name = "N")]
    jobs: usize,
    /// Threads of each run; by default all are shared out
    #[arg(long, value_name = "N")]
    threads_per_job: Option<usize>,
    /// Most memory of all runs together; by default what the system has free
    #[arg(long, value_name = "MIB")]
    memory: Option<u64>,
    /// Where to compute: cpu, gpu (the first there is), cuda:N or wgpu:N; `pemm devices` lists them
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Copy the record of every finished run into this folder, as NAME.json, and take the runs whose
    /// records lie there as finished
    #[arg(long, value_name = "DIR")]
    records: Option<PathBuf>,
    /// List the runs and how far they are; start nothing
    #[arg(long)]
    dry_run: bool,
}

const MAX_JOBS: usize = 256;

/// Runs the command.
pub(crate) fn run(arguments: Arguments, console: &Console) -> Result<(), Failure> {
    let Arguments { jobs, threads_per_job, memory, device, records, dry_run, grid } = arguments;
    if !(1..=MAX_JOBS).contains(&jobs) {
        return Err(Failure::usage(format!("--jobs: must be from 1 to {MAX_JOBS}, is {jobs}")));
    }
    if threads_per_job.is_some_and(|threads| !(1..=crate::MAX_THREADS).contains(&threads)) {
        let message = format!("--threads-per-job: must be from 1 to {}", crate::MAX_THREADS);
        return Err(Failure::usage(message));
    }
    let opened = grid.open()?;
    let out = grid.out();
    if records.as_ref().is_some_and(|records| is_same_folder(records, &out)) {
        let message = "--records: must be another folder than that of the runs (--out)";
        return Err(Failure::usage(message));
    }
    pemm::device::open(&device)?;

    // ---- what is there already ------------------------------------------------------------------
    let mut jobs_of_grid = Vec::with_capacity(opened.cells.len());
    let mut pace = Pace::default();
    for cell in &opened.cells {
        let folder = out.join(&cell.name);
        let found = look(&cell.experiment, &folder)?;
        let found = match (found, &records) {
            (found @ Found::Finished(_), _) | (found, None) => found,
            (found, Some(records)) => {
                let file = record_file(records, &cell.name);
                look_at_record(&cell.experiment, &file)?.map_or(found, Found::Finished)
            }
        };
        if let Found::Finished(record) = &found {
            pace.add(cell.experiment.arm(), record.total_seconds, record.epochs.len());
        }
        jobs_of_grid.push(Job { cell, folder, found });
    }
    if dry_run {
        return list(&jobs_of_grid, &pace, jobs, console);
    }

    // ---- all are checked before the first starts --------------------------------------------------
    let to_do: Vec<_> = jobs_of_grid.iter().filter(|job| !job.is_finished()).collect();
    let cells: Vec<_> = to_do.iter().map(|job| job.cell).collect();
    if !cells.is_empty() {
        console.note(&format!("{} runs to do; checking them and their data", cells.len()));
    }
    let features = Features::new(console, None);
    let (expects, table) = (opened.expects.as_ref(), &opened.table);
    for warning in features.with(|embedding| check(&cells, expects, table, &embedding))? {
        console.warn(&warning);
    }
    let _lock = GridLock::take(&out)?;
    if let Some(folder) = &records {
        pemm_data::disk::make_folder(folder)
            .map_err(|error| Failure::new(format!("{}: {error}", folder.display())))?;
        for job in &jobs_of_grid {
            keep_record(folder, job)?;
        }
    }

    // ---- runs -------------------------------------------------------------------------------------
    let threads = rayon::current_num_threads();
    let settings = Settings {
        device,
        threads: threads_per_job.unwrap_or((threads / jobs).max(1)),
        budget: Budget { jobs, memory: memory.map(|mib| mib.saturating_mul(1 << 20)) },
        records,
    };
    let mut display = Display::new(console, jobs_of_grid.len(), jobs_of_grid.len() - cells.len());
    let endings = runner::run(&to_do, &settings, &mut pace, &mut display)?;
    drop(display);
    conclude(&jobs_of_grid, endings, &out, console)
}

/// Copies the record of a run that was finished before, unless it is there. Where the record of
/// another experiment is, it stays, and that is an error.
fn keep_record(records: &Path, job: &Job<'_>) -> Result<(), Failure> {
    let file = record_file(records, &job.cell.name);
    match &job.found {
        Found::Finished(record) => match look_at_record(&job.cell.experiment, &file)? {
            Some(_) => Ok(()),
            None => Ok(record.write(&file)?),
        },
        Found::Nothing | Found::Begun { .. } => Ok(()),
    }
}

fn is_same_folder(one: &Path, other: &Path) -> bool {
    let place = |path: &Path| path.canonicalize().or_else(|_| std::path::absolute(path)).ok();
    place(one) == place(other)
}

fn list(jobs: &[Job<'_>], pace: &Pace, at_once: usize, console: &Console) -> Result<(), Failure> {
    let mut lines = Vec::new();
    let mut values = Vec::new();
    for job in jobs {
        let (state, epochs) = match &job.found {
            Found::Nothing => ("new".to_owned(), 0),
            Found::Begun { num_epochs, failure: None } => {
                (format!("continues after epoch {num_epochs}"), *num_epochs)
            }
            Found::Begun { num_epochs, failure: Some(failure) } => {
                (format!("failed after epoch {num_epochs}: {failure}"), *num_epochs)
            }
            Found::Finished(record) => ("finished".into(), record.epochs.len()),
        };
        lines.push(format!("{}  {state}", job.cell.name));
        values.push(json!({
            "name": job.cell.name,
            "arm": job.cell.experiment.arm(),
            "seed": job.cell.experiment.seed,
            "finished": job.is_finished(),
            "num_epochs_done": epochs,
        }));
    }
    let to_do: Vec<_> = jobs.iter().filter(|job| !job.is_finished()).collect();
    let todo = to_do.iter().map(|job| (job.cell.experiment.arm(), job.epochs_to_come()));
    let left = match pace.left(todo, at_once) {
        Some(_) if to_do.is_empty() => "nothing left to do".into(),
        Some(seconds) => format!("about {} at the pace of the finished runs", duration(seconds)),
        None => "no run is finished yet, so the time is not known".into(),
    };
    lines.push(format!(
        "{} runs, {} finished, {} to do; {left}",
        jobs.len(),
        jobs.len() - to_do.len(),
        to_do.len()
    ));
    console.result(&lines.join("\n"), &values)
}

/// Says what came out, and fails if a run did or was stopped.
fn conclude(
    jobs: &[Job<'_>],
    endings: Vec<Ending>,
    out: &Path,
    console: &Console,
) -> Result<(), Failure> {
    let mut endings = endings.into_iter();
    let mut failed = Vec::new();
    let (mut before, mut now, mut stopped) = (0, 0, 0);
    let mut values = Vec::new();
    for job in jobs {
        let name = &job.cell.name;
        let state = if job.is_finished() {
            before += 1;
            json!({"name": name, "status": "finished"})
        } else {
            match endings.next().expect("one ending per run to do") {
                Ending::Finished(_) => {
                    now += 1;
                    json!({"name": name, "status": "finished"})
                }
                Ending::Stopped => {
                    stopped += 1;
                    json!({"name": name, "status": "not-finished"})
                }
                Ending::Failed(message) => {
                    failed.push(format!("  {name}: {message}"));
                    json!({"name": name, "status": "failed", "error": message})
                }
            }
        };
        values.push(state);
    }
    let text = format!(
        "{} runs in {}: {} finished ({before} before), {} failed, {stopped} not finished",
        jobs.len(),
        out.display(),
        before + now,
        failed.len()
    );
    console.result(&text, &values)?;
    let again = "the same command tries them once more";
    match (failed.is_empty(), stopped) {
        (true, 0) => Ok(()),
        (true, _) => Err(Failure::interrupted("run the same command to continue")),
        (false, 0) => Err(Failure::new(format!(
            "{} of {} runs failed; {again}:\n{}",
            failed.len(),
            jobs.len(),
            failed.join("\n")
        ))),
        (false, _) => Err(Failure::interrupted(format!(
            "run the same command to continue; {} runs failed:\n{}",
            failed.len(),
            failed.join("\n")
        ))),
    }
}
