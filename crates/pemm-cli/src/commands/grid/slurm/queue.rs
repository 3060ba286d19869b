//! What was submitted, and what Slurm still has of it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use pemm_experiment::grid::GRID_SLURM;

use crate::failure::Failure;

/// Names of the runs of a submission, one a line: task 1 is the first.
pub(super) const CELLS: &str = "cells.txt";
/// The script.
pub(super) const SCRIPT: &str = "job.sh";
/// The number that Slurm gave the array.
pub(super) const JOB: &str = "job-id";

/// An array that was submitted, in a folder of its own below the grid's.
#[derive(Debug)]
pub(super) struct Submission {
    folder: PathBuf,
    job: String,
    cells: Vec<String>,
}

/// A task that Slurm has not ended.
#[derive(Debug)]
pub(super) struct Task {
    /// Array and number, as Slurm's commands take it.
    pub(super) id: String,
    /// In Slurm's words.
    pub(super) state: String,
    node: String,
    reason: String,
}

impl Task {
    /// Where it is, for people.
    pub(super) fn place(&self) -> String {
        let Self { id, state, node, reason } = self;
        match state.as_str() {
            "RUNNING" => format!("runs on {node} (job {id})"),
            "PENDING" if reason.to_lowercase().contains("held") => {
                format!(
                    "is held in the queue (job {id}: {reason}); `scontrol release {id}` frees it"
                )
            }
            "PENDING" => format!("waits in the queue (job {id}: {reason})"),
            other => format!("{} (job {id})", other.to_lowercase().replace('_', " ")),
        }
    }
}

/// The folder of the next submission to the grid in `out`, which is not made yet.
pub(super) fn next_folder(out: &Path) -> PathBuf {
    let root = out.join(GRID_SLURM);
    let last = numbered(&root).last().map_or(0, |(number, _)| *number);
    root.join((last + 1).to_string())
}

/// Everything that was submitted of the grid in `out`, the oldest first.
pub(super) fn submissions(out: &Path) -> Vec<Submission> {
    let read = |(_, folder): (u64, PathBuf)| {
        let job = fs::read_to_string(folder.join(JOB)).ok()?.trim().to_owned();
        let cells = fs::read_to_string(folder.join(CELLS)).ok()?;
        let is_number = !job.is_empty() && job.bytes().all(|byte| byte.is_ascii_digit());
        let cells = cells.lines().map(str::to_owned).collect();
        is_number.then_some(Submission { folder, job, cells })
    };
    numbered(&out.join(GRID_SLURM)).into_iter().filter_map(read).collect()
}

fn numbered(root: &Path) -> Vec<(u64, PathBuf)> {
    let entries = fs::read_dir(root).into_iter().flatten().flatten();
    let mut found: Vec<(u64, PathBuf)> = entries
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path())))
        .collect();
    found.sort();
    found
}

/// The tasks of `submissions` that wait or run, by the name of their run. Asks Slurm only where
/// something was submitted.
pub(super) fn tasks(submissions: &[Submission]) -> Result<BTreeMap<String, Task>, Failure> {
    if submissions.is_empty() {
        return Ok(BTreeMap::new());
    }
    let jobs: Vec<&str> = submissions.iter().map(|submission| submission.job.as_str()).collect();
    let mut command = Command::new("squeue");
    command.args(["--noheader", "--array", "--format=%F|%K|%T|%N|%r"]);
    let output = run(command.arg(format!("--jobs={}", jobs.join(","))))?;
    let said = String::from_utf8_lossy(&output.stderr);
    // A single job that has ended long ago is none that Slurm knows.
    if !output.status.success() && !said.contains("Invalid job id") {
        return Err(Failure::new(format!("squeue: {}", said.trim())));
    }
    Ok(read(&String::from_utf8_lossy(&output.stdout), submissions))
}

fn read(listing: &str, submissions: &[Submission]) -> BTreeMap<String, Task> {
    let mut tasks = BTreeMap::new();
    for line in listing.lines() {
        let [job, number, state, node, reason] = line.splitn(5, '|').collect::<Vec<_>>()[..] else {
            continue;
        };
        let cell = submissions
            .iter()
            .find(|submission| submission.job == job)
            .and_then(|found| found.cells.get(number.parse::<usize>().ok()?.checked_sub(1)?));
        if let Some(cell) = cell {
            let id = format!("{job}_{number}");
            let [state, node, reason] = [state, node, reason].map(str::to_owned);
            tasks.insert(cell.clone(), Task { id, state, node, reason });
        }
    }
    tasks
}

/// The log of the last task of the run `name`, and the last line in it, if it was ever submitted and
/// started.
pub(super) fn last_words(submissions: &[Submission], name: &str) -> Option<(PathBuf, String)> {
    const END: u64 = 4096;
    submissions.iter().rev().find_map(|submission| {
        let number = submission.cells.iter().position(|cell| cell == name)? + 1;
        let log = submission.folder.join(format!("{number}.log"));
        let mut file = File::open(&log).ok()?;
        let length = file.metadata().ok()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(END))).ok()?;
        let mut end = Vec::new();
        file.take(END).read_to_end(&mut end).ok()?;
        let end = String::from_utf8_lossy(&end).trim().to_owned();
        Some((log, end.lines().next_back().unwrap_or_default().to_owned()))
    })
}

/// Runs a command of Slurm's to its end.
pub(super) fn run(command: &mut Command) -> Result<Output, Failure> {
    command.output().map_err(|error| {
        let name = command.get_program().display().to_string();
        if error.kind() != ErrorKind::NotFound {
            return Failure::new(format!("{name}: {error}"));
        }
        Failure::usage(format!(
            "there is no command {name} here; run this where Slurm's commands are, for example on a \
             login node of the cluster. Without --slurm a grid runs on this machine"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_are_told_by_their_number() {
        let submissions = [Submission {
            folder: "1".into(),
            job: "7".into(),
            cells: vec!["a".into(), "b".into(), "c".into()],
        }];
        let listing = "7|1|RUNNING|n1|None\n7|3|PENDING||launch failed requeued held\n\
                       8|2|RUNNING|n1|None\n7|N/A|PENDING||Priority\n7|4|PENDING||Priority\n";
        let tasks = read(listing, &submissions);
        assert_eq!(tasks.keys().collect::<Vec<_>>(), ["a", "c"]);
        assert_eq!(tasks["a"].place(), "runs on n1 (job 7_1)");
        assert!(tasks["c"].place().ends_with("`scontrol release 7_3` frees it"));
    }
}
