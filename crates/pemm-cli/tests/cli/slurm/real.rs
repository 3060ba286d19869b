//! A real Slurm of one node, started by `slurm.sh` beside this file.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::grid::assert_same;
use crate::place::{Place, Said};

/// Twelve runs of some seconds each.
const GRID: &str = r#"
[base]
noise = { kind = "symmetric", rate = 0.4 }
model = { backbone = "cnn8", width = 16 }
schedule = { num_epochs = 30, kind = "constant", batch_size = 64 }

[[axis]]
key = "seed"
values = [1, 2, 3, 4]

[[axis]]
points = [{ preset = "ce", schedule.milestones = [] }, { preset = "sce" }, { preset = "pemm" }]
"#;
const PROGRAMS: [&str; 6] = ["munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol"];
const PATIENCE: Duration = Duration::from_secs(900);

/// Everything of it lies in the folder `slurm` of a place; it ends with the value.
struct Slurm<'a> {
    place: &'a Place,
}

impl<'a> Slurm<'a> {
    fn start(place: &'a Place) -> Self {
        let free = || TcpListener::bind("127.0.0.1:0").unwrap();
        let (one, other) = (free(), free());
        let ports = [&one, &other].map(|port| port.local_addr().unwrap().port().to_string());
        drop((one, other));
        let slurm = Self { place };
        slurm.script("start", &ports);
        slurm
    }

    fn script(&self, what: &str, more: &[String]) {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/slurm/slurm.sh");
        let mut command = Command::new(file);
        // Daemons keep what they inherit, and a pipe would never end.
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let status = command.arg(what).arg(self.place.path("")).args(more).status().unwrap();
        assert!(status.success(), "slurm.sh {what}");
    }

    fn pemm(&self, line: &str) -> Said {
        let mut command = self.place.command(line);
        command.env("SLURM_CONF", self.place.path("slurm/slurm.conf"));
        Said::of(line, command.output().unwrap())
    }

    fn ask(&self, program: &str, arguments: &[&str]) -> String {
        let mut command = Command::new(program);
        command.args(arguments).env("SLURM_CONF", self.place.path("slurm/slurm.conf"));
        let output = command.output().unwrap();
        assert!(output.status.success(), "{program} {arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Tasks in a state, as `job_number`.
    fn tasks(&self, state: &str) -> Vec<String> {
        let state = format!("--states={state}");
        let listing = self.ask("squeue", &["--noheader", "--array", &state, "--format=%F_%K"]);
        listing.lines().map(str::to_owned).collect()
    }

    /// Waits until a task runs whose run has done some epochs and is far from its end.
    fn wait_for_a_run(&self) -> String {
        let cells = self.place.text("runs/g/slurm/1/cells.txt");
        wait_until("a task runs", || {
            self.tasks("RUNNING").into_iter().find(|task| {
                let number: usize = task.split_once('_').unwrap().1.parse().unwrap();
                let log = format!("runs/g/{}/log.jsonl", cells.lines().nth(number - 1).unwrap());
                let epochs =
                    if self.place.exists(&log) { self.place.text(&log).lines().count() } else { 0 };
                (2..20).contains(&epochs)
            })
        })
    }
}

impl Drop for Slurm<'_> {
    fn drop(&mut self) {
        self.script("stop", &[]);
    }
}

fn wait_until<T>(what: &str, mut is_so: impl FnMut() -> Option<T>) -> T {
    let since = Instant::now();
    loop {
        if let Some(value) = is_so() {
            return value;
        }
        assert!(since.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Why a real Slurm is not tried here.
fn obstacle() -> Option<String> {
    if std::env::var_os("PEMM_TEST_SLURM").is_none() {
        return Some("PEMM_TEST_SLURM is not set".into());
    }
    let path = std::env::var("PATH").unwrap() + ":/usr/sbin:/sbin";
    let is_there =
        |name: &&str| path.split(':').any(|folder| Path::new(folder).join(name).is_file());
    let missing = PROGRAMS.iter().find(|name| !is_there(name))?;
    Some(format!("there is no {missing} (Debian's slurm-wlm and munge have it)"))
}

#[test]
fn a_real_slurm_ends_with_the_records_of_a_local_grid() {
    if let Some(obstacle) = obstacle() {
        eprintln!("skipped a_real_slurm_ends_with_the_records_of_a_local_grid: {obstacle}");
        return;
    }
    let place = Place::new();
    place.write("g.toml", GRID);
    place.pemm("grid g.toml --out whole --jobs 2 --threads-per-job 1 -q").ok();
    let slurm = Slurm::start(&place);
    slurm.pemm("grid g.toml --slurm").ok().says(&["submitted 12 runs as job 1"]);

    // One job goes back into the queue, and the node dies with the two that run on it.
    let requeued = slurm.wait_for_a_run();
    slurm.ask("scontrol", &["requeue", &requeued]);
    wait_until("the job is back in the queue", || {
        slurm.tasks("PENDING").contains(&requeued).then_some(())
    });
    slurm.wait_for_a_run();
    slurm.script("crash", &[]);
    slurm.script("node", &[]);
    wait_until("all runs are done", || {
        // What went back has to wait for two minutes, unless somebody says otherwise.
        for task in slurm.tasks("PENDING") {
            if slurm
                .ask("squeue", &["--noheader", "--format=%r", "--jobs", &task])
                .contains("Begin")
            {
                slurm.ask("scontrol", &["update", &format!("JobId={task}"), "StartTime=now"]);
            }
        }
        slurm.tasks("PENDING,RUNNING,COMPLETING").is_empty().then_some(())
    });
    let said = slurm.pemm("grid g.toml --status").ok();
    said.says(&["12 runs, 12 finished, 0 to do"]);
    let names: Vec<String> =
        place.text("runs/g/slurm/1/cells.txt").lines().map(Into::into).collect();
    assert_eq!(names.len(), 12);
    let logs = (1..=12).map(|number| place.text(&format!("runs/g/slurm/1/{number}.log")));
    let continued = logs.filter(|log| log.contains("continues after epoch")).count();
    assert!((2..=3).contains(&continued), "{continued} runs were cut");
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert_same(&place, "runs/g", "whole", &names);
    slurm.pemm("table g.toml --judge last").ok().says(&["| pemm | ", "(4)"]);
}
