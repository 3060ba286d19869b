//! `pemm grid --slurm`: the unfinished runs as one job array of Slurm. There is no server of ours:
//! the runs, the script, its logs and the number of the job lie in the grid's folder, which the nodes
//! share, and each task is `pemm grid --cell NAME` on its node.

mod queue;
mod script;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use clap::Args;
use pemm::cells::Checked;
use pemm_data::disk;
use pemm_runs::Record;
use pemm_runs::found::Found;
use pemm_runs::grid_lock::GridLock;
use serde_json::json;

use super::runner::Job;
use crate::console::Console;
use crate::failure::Failure;
use queue::{CELLS, JOB, SCRIPT, Submission, Task};
use script::{Resources, Script};

/// Largest array of a Slurm that does not say how many it takes: its default.
const MAX_ARRAY: usize = 1000;

/// What to submit, and with what.
#[derive(Debug, Args)]
#[command(next_help_heading = "Slurm")]
pub(super) struct SlurmArguments {
    /// Submit what is not finished to Slurm, as one job array, instead of running it here; with
    /// --dry-run print the script
    #[arg(long)]
    pub(super) slurm: bool,
    /// Show how far every run is, with what waits and runs in Slurm's queue; start nothing
    #[arg(long, conflicts_with_all = ["slurm", "dry_run"])]
    pub(super) status: bool,
    /// Time limit of a run, as Slurm writes it: 90 (minutes), 2:30:00 or 1-12:00:00; by default twice
    /// what finished runs took. A run that comes to its limit goes on in the queue
    #[arg(long, value_name = "LIMIT", requires = "slurm")]
    time: Option<String>,
    /// More options for sbatch, for example "--partition=long --account=lab"
    #[arg(long, value_name = "TEXT", requires = "slurm", allow_hyphen_values = true)]
    slurm_options: Option<String>,
}

/// What else a submission needs to know.
#[derive(Debug)]
pub(super) struct Request<'a> {
    pub(super) arguments: &'a SlurmArguments,
    pub(super) grid: &'a Path,
    pub(super) out: &'a Path,
    pub(super) device: &'a str,
    pub(super) records: Option<&'a Path>,
    pub(super) threads: usize,
    /// Most runs at once.
    pub(super) at_once: Option<usize>,
    /// MiB of each run; 0 asks Slurm for none.
    pub(super) memory: Option<u64>,
    pub(super) dry_run: bool,
}

impl SlurmArguments {
    /// Refuses what would break the script.
    pub(super) fn check(&self) -> Result<(), Failure> {
        let is_time = |text: &str| {
            text.starts_with(|c: char| c.is_ascii_digit())
                && text.chars().all(|c| c.is_ascii_digit() || ":-".contains(c))
        };
        if let Some(time) = self.time.as_ref().filter(|time| !is_time(time)) {
            let forms = "90 (minutes), 2:30:00 or 1-12:00:00";
            return Err(Failure::usage(format!("--time: must look like {forms}, is {time}")));
        }
        if self.slurm_options.as_ref().is_some_and(|options| options.contains(char::is_control)) {
            return Err(Failure::usage("--slurm-options: must be one line"));
        }
        Ok(())
    }
}

/// Submits those of `jobs` that are neither finished nor in the queue. `check` looks at their data and
/// gives the memory that each will take, in bytes.
pub(super) fn submit(
    request: &Request<'_>,
    jobs: &[Job<'_>],
    check: impl FnOnce(&[&Job<'_>]) -> Result<Checked, Failure>,
    console: &Console,
) -> Result<(), Failure> {
    let out = request.out;
    let to_do: Vec<&Job<'_>> = jobs.iter().filter(|job| !job.is_finished()).collect();
    if to_do.is_empty() {
        let text = format!("all {} runs are finished; there is nothing to submit", jobs.len());
        return console.result(&text, &json!({"job": null, "cells": []}));
    }
    let before = queue::submissions(out);
    let known = queue::tasks(&before)?;
    let (queued, new): (Vec<&Job<'_>>, Vec<&Job<'_>>) =
        to_do.into_iter().partition(|job| known.contains_key(&job.cell.name));
    if new.is_empty() {
        let text = format!(
            "all {} runs that are not finished wait or run in Slurm's queue already; --status shows \
             them",
            queued.len()
        );
        return console.result(&text, &json!({"job": null, "cells": []}));
    }
    let most = max_array().unwrap_or(MAX_ARRAY);
    if new.len() > most {
        return Err(Failure::usage(format!(
            "{} runs are to be submitted, and this Slurm takes at most {most} as one array \
             (MaxArraySize in its configuration); submit them in parts, each with another --only, \
             for example --only seed={}",
            new.len(),
            new[0].cell.experiment.seed
        )));
    }
    let resources = resources(request, jobs, &new, &check(&new)?);

    // ---- the script -------------------------------------------------------------------------------
    let folder = queue::next_folder(out);
    let cells: String = new.iter().map(|job| format!("{}\n", job.cell.name)).collect();
    let io =
        |what: &Path, error: std::io::Error| Failure::new(format!("{}: {error}", what.display()));
    let script = Script {
        name: &request.grid.file_stem().unwrap_or_default().to_string_lossy(),
        num_tasks: new.len(),
        at_once: request.at_once,
        resources: &resources,
        options: request.arguments.slurm_options.as_deref(),
        here: std::env::current_dir().map_err(|error| io(Path::new("."), error))?,
        program: std::env::current_exe().map_err(|error| io(Path::new("pemm"), error))?,
        grid: request.grid,
        out,
        cells: &folder.join(CELLS),
        device: request.device,
        records: request.records,
    };
    let text = script.text()?;
    if request.dry_run {
        let names: Vec<&str> = cells.lines().collect();
        let shown = format!("{text}\n# {}:\n#   {}", CELLS, names.join("\n#   "));
        return console.result(&shown, &json!({"script": text, "cells": names}));
    }
    // So that nothing is submitted that a grid here runs, or that another command submits.
    let _lock = GridLock::take(out)?;
    if queue::submissions(out).len() != before.len() {
        let message =
            "another `pemm grid --slurm` has submitted meanwhile; run the same command again";
        return Err(Failure::new(message));
    }
    disk::make_folder(&folder).map_err(|error| io(&folder, error))?;
    for (name, text) in [(CELLS, &cells), (SCRIPT, &text)] {
        disk::whole(&folder.join(name), text.as_bytes()).map_err(|error| io(&folder, error))?;
    }
    let job = sbatch(&folder).inspect_err(|_| {
        // Nothing was submitted, so nothing is left; --dry-run shows the script.
        let _ = fs::remove_dir_all(&folder);
    })?;
    let written = disk::whole(&folder.join(JOB), format!("{job}\n").as_bytes());
    written.map_err(|error| io(&folder, error))?;

    // ---- what was done ------------------------------------------------------------------------------
    let Resources { threads, memory, time } = &resources;
    let each = format!(
        "{}, {}, {}",
        if *threads == 1 { "1 thread".into() } else { format!("{threads} threads") },
        memory.map_or("Slurm's default of memory".into(), |mib| format!("{mib} MiB")),
        time.as_ref().map_or("the partition's time limit".into(), |time| format!("time {time}"))
    );
    let already = match queued.len() {
        0 => String::new(),
        num => format!("; {num} more were in the queue already"),
    };
    let text = format!(
        "submitted {} runs as job {job}{already}\neach asks for {each}\nscript and logs: {}\n\
         --status shows how far they are; `scancel {job}` takes them back",
        new.len(),
        folder.display()
    );
    let names: Vec<&str> = new.iter().map(|job| job.cell.name.as_str()).collect();
    console.result(&text, &json!({"job": job, "folder": folder, "cells": names}))
}

/// Hands the script in `folder` to Slurm; gives the number of the job.
fn sbatch(folder: &Path) -> Result<String, Failure> {
    let mut command = Command::new("sbatch");
    // Logs go where it is started, so no path stands in a line that is not for the shell.
    let output = queue::run(command.args(["--parsable", SCRIPT]).current_dir(folder))?;
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if !output.status.success() {
        let hint = match said.to_lowercase() {
            said if said.contains("memory") => {
                "; --memory MIB asks for another amount, and --memory 0 for none where a cluster \
                 does not count memory"
            }
            said if said.contains("time limit") => "; --time sets another limit",
            _ => "; --slurm-options gives sbatch what it lacks, --dry-run shows the script",
        };
        return Err(Failure::new(format!("Slurm does not take the job: {said}{hint}")));
    }
    // With several clusters, `number;cluster`.
    let answer = String::from_utf8_lossy(&output.stdout);
    let job: String = answer.trim().chars().take_while(char::is_ascii_digit).collect();
    if job.is_empty() {
        return Err(Failure::new(format!("sbatch gave no job number but {answer:?} {said}")));
    }
    Ok(job)
}

/// Most tasks of an array, if Slurm says it. Numbers begin with 1 and end below MaxArraySize.
fn max_array() -> Option<usize> {
    let output = Command::new("scontrol").args(["show", "config"]).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().find_map(|line| line.strip_prefix("MaxArraySize"))?;
    let number: usize = line.trim_start_matches([' ', '=']).trim().parse().ok()?;
    Some(number.saturating_sub(1))
}

/// What each of the runs `new` may take: what the user says, else what finished runs took, else what is
/// estimated. All tasks of an array get the same, so it is that of the largest.
fn resources(
    request: &Request<'_>,
    jobs: &[Job<'_>],
    new: &[&Job<'_>],
    checked: &Checked,
) -> Resources {
    let threads = request.threads;
    let mut measured = Measured::default();
    for job in jobs {
        if let Found::Finished(record) = &job.found {
            measured.add(job.cell.experiment.arm(), record, threads);
        }
    }
    let memory = request.memory.unwrap_or_else(|| {
        let each = new.iter().zip(&checked.memory).map(|(job, &estimated)| {
            let arm = job.cell.experiment.arm();
            measured.memory.get(arm).copied().unwrap_or_default().max(estimated)
        });
        mebibytes(each.max().unwrap_or_default())
    });
    let time = request.arguments.time.clone().or_else(|| {
        let each = new.iter().zip(&checked.num_epochs).map(|(job, num_epochs)| {
            let to_come = num_epochs.saturating_sub(job.epochs_done());
            measured.seconds(job.cell.experiment.arm()).map(|s| s * to_come as f64)
        });
        let longest = each.collect::<Option<Vec<f64>>>()?.into_iter().fold(0.0, f64::max);
        Some(minutes(longest).to_string())
    });
    Resources { threads, memory: (memory > 0).then_some(memory), time }
}

/// A third more than `bytes`, as an estimate may be wrong by so much, in steps of 64 MiB and no less
/// than the programs around a run need.
fn mebibytes(bytes: u64) -> u64 {
    const STEP: u64 = 64;
    const LEAST: u64 = 256;
    ((bytes / 3 * 4).div_ceil(STEP << 20) * STEP).max(LEAST)
}

/// Twice `seconds`, as nodes differ, and ten minutes to read the data and save.
fn minutes(seconds: f64) -> u64 {
    (2.0 * seconds / 60.0).ceil() as u64 + 10
}

/// What finished runs took, by arm.
#[derive(Debug, Default)]
struct Measured {
    /// Bytes.
    memory: BTreeMap<String, u64>,
    /// Of an epoch.
    seconds: BTreeMap<String, f64>,
}

impl Measured {
    /// Takes a run into account, as it would have gone with so many threads.
    fn add(&mut self, arm: &str, record: &Record, threads: usize) {
        if let Some(peak) = record.environment.peak_memory {
            let most = self.memory.entry(arm.to_owned()).or_default();
            *most = peak.max(*most);
        }
        let by_processors = record.total_cpu_seconds.map_or(0.0, |total| total / threads as f64);
        let seconds = record.total_seconds.max(by_processors) / record.epochs.len().max(1) as f64;
        if seconds.is_finite() {
            let most = self.seconds.entry(arm.to_owned()).or_default();
            *most = seconds.max(*most);
        }
    }

    /// Seconds of an epoch of `arm`, or of the slowest that was measured.
    fn seconds(&self, arm: &str) -> Option<f64> {
        let slowest = || self.seconds.values().copied().reduce(f64::max);
        self.seconds.get(arm).copied().or_else(slowest)
    }
}

/// What Slurm has and had of a grid.
#[derive(Debug)]
pub(super) struct Status {
    submissions: Vec<Submission>,
    tasks: BTreeMap<String, Task>,
}

impl Status {
    /// Asks Slurm, where something was submitted. If it does not answer, that is said, and the folders
    /// tell what they know.
    pub(super) fn of(out: &Path, console: &Console) -> Self {
        let submissions = queue::submissions(out);
        let tasks = queue::tasks(&submissions).unwrap_or_else(|failure| {
            console.warn(&format!("the queue is not shown: {}", failure.message()));
            BTreeMap::new()
        });
        Self { submissions, tasks }
    }

    /// Number of the task that waits or runs for the run `name`, and its state in Slurm's words.
    pub(super) fn task(&self, name: &str) -> Option<(&str, &str)> {
        self.tasks.get(name).map(|task| (task.id.as_str(), task.state.as_str()))
    }

    /// What there is to say of a run that is not finished.
    pub(super) fn tell(&self, job: &Job<'_>, state: String) -> String {
        let name = &job.cell.name;
        if let Some(task) = self.tasks.get(name) {
            let of = job.num_epochs.map(|all| format!(" of {all}")).unwrap_or_default();
            return format!("{}, {}{of} epochs done", task.place(), job.epochs_done());
        }
        match queue::last_words(&self.submissions, name) {
            Some((log, line)) => {
                format!("{state}; no longer in the queue, {} ends with: {line}", log.display())
            }
            None => state,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{mebibytes, minutes};

    #[test]
    fn more_is_asked_for_than_was_measured() {
        assert_eq!(mebibytes(60 << 20), 256);
        assert_eq!(mebibytes(300 << 20), 448);
        assert_eq!((minutes(0.2), minutes(3600.0)), (11, 130));
    }
}
