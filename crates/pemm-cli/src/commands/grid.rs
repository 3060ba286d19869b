//! `pemm grid`: many runs by one command, each in a process of its own.

mod cell;
mod display;
mod explain;
mod file;
mod message;
mod named;
mod patience;
mod runner;
mod slurm;
mod worker;

use std::path::{Path, PathBuf};

use clap::Args;
use pemm::cells::{Checked, check};
use pemm::changed::changed_since;
use pemm_experiment::Grid;
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
use slurm::{Request, SlurmArguments, Status};

pub(crate) use cell::run as run_cell;
pub(crate) use explain::explain_grid;
pub(crate) use file::{GridArguments, default_folder, open};

/// Run the experiments of a grid file that are not finished yet
///
/// The same command continues where it was stopped or killed. A run that fails does not stop the
/// others; the next call tries it once more.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    grid: GridArguments,
    /// How many runs at once, by default 1, with --slurm as many as it has room for; results do not
    /// depend on it
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// Threads of each run; by default the threads are divided among the runs, with --slurm each has 1
    #[arg(long, value_name = "N")]
    threads_per_job: Option<usize>,
    /// Most memory of all runs together, by default what the system has free; with --slurm of each
    /// run, by default what finished runs took, and 0 asks for none
    #[arg(long, value_name = "MIB")]
    memory: Option<u64>,
    /// Where to compute: cpu, gpu (the first there is), cuda:N or wgpu:N; `pemm devices` lists them
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Copy the record of every finished run into this folder, as NAME.json, and count runs whose
    /// records are already there as finished
    #[arg(long, value_name = "DIR")]
    records: Option<PathBuf>,
    /// List the runs and how far they are; start nothing
    #[arg(long)]
    dry_run: bool,
    /// Run this one run in this process and nothing else, as each task of a job array does
    #[arg(
        long,
        value_name = "NAME",
        conflicts_with_all = ["only", "jobs", "threads_per_job", "memory", "dry_run", "slurm", "status"]
    )]
    cell: Option<String>,
    #[command(flatten)]
    slurm: SlurmArguments,
}

const MAX_JOBS: usize = 256;
const MAX_SLURM_JOBS: usize = 10_000;

/// Runs the command.
pub(crate) fn run(arguments: Arguments, console: &Console) -> Result<(), Failure> {
    let Arguments { jobs, threads_per_job, memory, device, records, dry_run, grid, .. } =
        &arguments;
    // Slurm has more than one machine.
    let most = if arguments.slurm.slurm { MAX_SLURM_JOBS } else { MAX_JOBS };
    if let Some(jobs) = jobs.filter(|jobs| !(1..=most).contains(jobs)) {
        return Err(Failure::usage(format!("--jobs: must be from 1 to {most}, is {jobs}")));
    }
    let at_once = jobs.unwrap_or(1);
    if threads_per_job.is_some_and(|threads| !(1..=crate::MAX_THREADS).contains(&threads)) {
        let message = format!("--threads-per-job: must be from 1 to {}", crate::MAX_THREADS);
        return Err(Failure::usage(message));
    }
    arguments.slurm.check()?;
    let opened = grid.open()?;
    let out = grid.out();
    if records.as_ref().is_some_and(|records| is_same_folder(records, &out)) {
        let message = "--records: must be another folder than that of the runs (--out)";
        return Err(Failure::usage(message));
    }
    pemm::device::open(device)?;
    if let Some(name) = &arguments.cell {
        let place = named::Place { out: &out, device, records: records.as_ref() };
        return named::run(&opened, name, &place, console);
    }

    // ---- what is there already ------------------------------------------------------------------
    let mut jobs_of_grid = look_at_all(&opened, &out, records.as_deref())?;
    warn_of_changed(&jobs_of_grid, console);
    let mut pace = Pace::default();
    for job in &jobs_of_grid {
        if let Found::Finished(record) = &job.found {
            pace.add(job.cell.experiment.arm(), record.total_seconds, record.epochs.len());
        }
    }
    if arguments.slurm.slurm {
        let request = Request {
            arguments: &arguments.slurm,
            grid: grid.file(),
            out: &out,
            device,
            records: records.as_deref(),
            threads: threads_per_job.unwrap_or(1),
            at_once: *jobs,
            memory: *memory,
            dry_run: *dry_run,
        };
        let check = |jobs: &[&Job<'_>]| check_all(&opened, jobs, console);
        return slurm::submit(&request, &jobs_of_grid, check, console);
    }
    if *dry_run || arguments.slurm.status {
        let status = arguments.slurm.status.then(|| Status::of(&out, console));
        return list(&jobs_of_grid, status.as_ref(), &pace, at_once, console);
    }

    // ---- all are checked before the first starts --------------------------------------------------
    let to_do: Vec<_> = jobs_of_grid.iter().filter(|job| !job.is_finished()).collect();
    let checked = check_all(&opened, &to_do, console)?;
    let unfinished = jobs_of_grid.iter_mut().filter(|job| !job.is_finished());
    for (job, num_epochs) in unfinished.zip(checked.num_epochs) {
        job.num_epochs = Some(num_epochs);
    }
    let to_do: Vec<_> = jobs_of_grid.iter().filter(|job| !job.is_finished()).collect();
    let _lock = GridLock::take(&out)?;
    if let Some(folder) = records {
        pemm_data::disk::make_folder(folder)
            .map_err(|error| Failure::new(format!("{}: {error}", folder.display())))?;
        for job in &jobs_of_grid {
            keep_record(folder, job)?;
        }
    }

    // ---- runs -------------------------------------------------------------------------------------
    let threads = rayon::current_num_threads();
    let settings = Settings {
        device: device.clone(),
        threads: threads_per_job.unwrap_or((threads / at_once).max(1)),
        budget: Budget { jobs: at_once, memory: memory.map(|mib| mib.saturating_mul(1 << 20)) },
        records: records.clone(),
    };
    let mut display = Display::new(console, jobs_of_grid.len(), jobs_of_grid.len() - to_do.len());
    let endings = runner::run(&to_do, &settings, &mut pace, &mut display)?;
    drop(display);
    conclude(&jobs_of_grid, endings, &out, console)
}

/// What is there of every run: in its folder, or among `records`.
fn look_at_all<'a>(
    grid: &'a Grid,
    out: &Path,
    records: Option<&Path>,
) -> Result<Vec<Job<'a>>, Failure> {
    let mut jobs = Vec::with_capacity(grid.cells.len());
    for cell in &grid.cells {
        let folder = out.join(&cell.name);
        let found = look(&cell.experiment, &folder)?;
        let found = match (found, records) {
            (found @ Found::Finished(_), _) | (found, None) => found,
            (found, Some(records)) => {
                let file = record_file(records, &cell.name);
                look_at_record(&cell.experiment, &file)?.map_or(found, Found::Finished)
            }
        };
        let asked = cell.experiment.schedule.num_epochs;
        let num_epochs = asked.or(match &found {
            Found::Nothing => None,
            Found::Begun { of, .. } => *of,
            Found::Moved(record) | Found::Finished(record) => record.num_epochs(),
        });
        jobs.push(Job { cell, folder, found, num_epochs });
    }
    // Where the data decide, those of one run are those of all, but for grids over different data.
    let of_one = jobs.iter().find_map(|job| job.num_epochs);
    jobs.iter_mut().for_each(|job| job.num_epochs = job.num_epochs.or(of_one));
    Ok(jobs)
}

/// Says which finished runs were trained on other samples or labels than there are now: they are not run
/// again, and would be taken for results of these.
fn warn_of_changed(jobs: &[Job<'_>], console: &Console) {
    let finished: Vec<_> = jobs
        .iter()
        .filter_map(|job| match &job.found {
            Found::Finished(record) => Some((job.cell, &**record)),
            Found::Nothing | Found::Begun { .. } | Found::Moved(_) => None,
        })
        .collect();
    let features = Features::new(console, None);
    let changed = features.with(|embedding| changed_since(&finished, &embedding));
    changed.iter().for_each(|warning| console.warn(warning));
}

/// Checks the runs `jobs` of `grid` and their data, and says what is to be warned of.
fn check_all(grid: &Grid, jobs: &[&Job<'_>], console: &Console) -> Result<Checked, Failure> {
    if !jobs.is_empty() {
        console.note(&format!("{} runs to do; checking them and their data", jobs.len()));
    }
    let cells: Vec<_> = jobs.iter().map(|job| job.cell).collect();
    let features = Features::new(console, None);
    let (expects, table) = (grid.expects.as_ref(), &grid.table);
    let checked = features.with(|embedding| check(&cells, expects, table, &embedding))?;
    checked.warnings.iter().for_each(|warning| console.warn(warning));
    Ok(checked)
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
        Found::Nothing | Found::Begun { .. } | Found::Moved(_) => Ok(()),
    }
}

fn is_same_folder(one: &Path, other: &Path) -> bool {
    let place = |path: &Path| path.canonicalize().or_else(|_| std::path::absolute(path)).ok();
    place(one) == place(other)
}

/// Every run and how far it is, with `status` also in Slurm's queue.
fn list(
    jobs: &[Job<'_>],
    status: Option<&Status>,
    pace: &Pace,
    at_once: usize,
    console: &Console,
) -> Result<(), Failure> {
    let mut lines = Vec::new();
    let mut values = Vec::new();
    for job in jobs {
        let (state, epochs) = match &job.found {
            Found::Nothing => ("new".to_owned(), 0),
            Found::Begun { num_epochs, failure: None, .. } => {
                (format!("continues after epoch {num_epochs}"), *num_epochs)
            }
            Found::Begun { num_epochs, failure: Some(failure), .. } => {
                (format!("failed after epoch {num_epochs}: {failure}"), *num_epochs)
            }
            Found::Moved(record) => {
                ("finished, on data that were elsewhere then".into(), record.epochs.len())
            }
            Found::Finished(record) => ("finished".into(), record.epochs.len()),
        };
        let name = &job.cell.name;
        let state = match status {
            Some(status) if !job.is_finished() => status.tell(job, state),
            _ => state,
        };
        lines.push(format!("{name}  {state}"));
        let mut value = json!({
            "name": name,
            "arm": job.cell.experiment.arm(),
            "seed": job.cell.experiment.seed,
            "finished": job.is_finished(),
            "num_epochs_done": epochs,
        });
        if let Some((task, state)) = status.and_then(|status| status.task(name)) {
            (value["slurm_job"], value["slurm_state"]) = (task.into(), state.into());
        }
        values.push(value);
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
