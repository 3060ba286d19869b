//! Grids on Slurm. A stand-in for its commands shows what is submitted; the real one, where there is
//! one, that a grid ends with the same numbers whatever befalls its nodes and jobs.

mod real;

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::place::{Place, Said};

const GRID: &str = r#"
[base]
noise = { kind = "symmetric", rate = 0.4 }
model = { backbone = "mlp", width = 16 }
schedule = { num_epochs = 2, kind = "constant", batch_size = 64 }

[[axis]]
key = "seed"
values = [1, 2]

[[axis]]
points = [{ preset = "ce", schedule.milestones = [] }, { preset = "pemm" }]
"#;

/// Runs every task of the array at once, as a node would.
const SBATCH: &str = r#"
last=$(sed -n 's/^#SBATCH --array=1-\([0-9]*\).*/\1/p' job.sh)
for task in $(seq "$last"); do
    SLURM_ARRAY_JOB_ID=7 SLURM_ARRAY_TASK_ID=$task SLURM_CPUS_PER_TASK=1 bash job.sh >$task.log 2>&1
done
echo 7
"#;

/// A folder with a grid and commands that stand in for those of Slurm.
struct Cluster {
    place: Place,
}

impl Cluster {
    fn new(grid: &str) -> Self {
        let place = Place::new();
        place.write(grid, GRID);
        let cluster = Self { place };
        cluster.has("sbatch", SBATCH);
        cluster.has("squeue", "cat \"$(dirname \"$0\")/queue\" 2>/dev/null; true");
        cluster.has("scontrol", "echo 'MaxArraySize            = 1001'");
        cluster
    }

    fn has(&self, name: &str, script: &str) {
        let path = format!("bin/{name}");
        self.place.write(&path, format!("#!/bin/bash\n{script}\n"));
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(self.place.path(&path), mode).unwrap();
    }

    fn grid(&self, line: &str, last: &str) -> Said {
        let mut command = self.place.command(&format!("grid {line}"));
        command.arg(last).env("PATH", self.path());
        Said::of(line, command.output().unwrap())
    }

    fn path(&self) -> String {
        format!("{}:{}", self.place.path("bin").display(), std::env::var("PATH").unwrap())
    }
}

#[test]
fn every_task_of_an_array_is_a_run() {
    let name = "Anna's $grid \"1\".toml";
    let cluster = Cluster::new(name);
    let place = &cluster.place;
    let runs = "runs/Anna's $grid \"1\"";
    let shown = cluster.grid("--slurm --dry-run", name).ok();
    shown.says(&["#SBATCH --array=1-4\n", "#SBATCH --cpus-per-task=1\n", "#SBATCH --mem="]);
    shown.says(&["--cell=\"$cell\"", "#   seed-2_pemm"]);
    assert!(!shown.out.contains("--time="), "nothing is measured: {shown}");
    assert!(!place.exists("runs"));

    // One is finished here before: it is measured, and not submitted.
    cluster.grid("--only arm=ce,seed=1 -q", name).ok();
    let options = "--partition=long --mem=1G";
    let line = ["--records kept --jobs 2 --slurm-options", options].join(" ");
    let mut command = place.command("grid --slurm --records kept --jobs 2 --slurm-options");
    command.args([options, name]).env("PATH", cluster.path());
    let said = Said::of(&line, command.output().unwrap()).ok();
    said.says(&["submitted 3 runs as job 7", "MiB, time 11", "slurm/1"]);
    let script = place.text(&format!("{runs}/slurm/1/job.sh"));
    assert!(script.contains("--array=1-3%2\n"), "{script}");
    assert!(script.contains("USR1@60\n#SBATCH --partition=long --mem=1G\n"), "{script}");
    let log = place.text(&format!("{runs}/slurm/1/1.log"));
    assert!(log.contains("done   seed-1_pemm  2 epochs in runs/Anna's"), "{log}");
    assert_eq!(place.names("kept").len(), 3);
    cluster.grid("--slurm", name).ok().says(&["all 4 runs are finished"]);
    place.pemm_with("table --judge last", name).ok().says(&["| ce | ", "(2)"]);
}

#[test]
fn what_is_in_the_queue_is_not_submitted_twice() {
    let cluster = Cluster::new("g.toml");
    let place = &cluster.place;
    cluster.has("sbatch", "echo 'seed-1_ce cannot start' >1.log; echo '7;far'");
    cluster.grid("--slurm --only seed=1", "g.toml").ok().says(&["submitted 2 runs as job 7"]);
    place.write("bin/queue", "7|1|RUNNING|n12|None\n7|2|PENDING||Resources\n");
    cluster
        .grid("--slurm --only seed=1", "g.toml")
        .ok()
        .says(&["all 2 runs that are not finished"]);
    cluster.has("sbatch", "echo 8");
    let said = cluster.grid("--slurm", "g.toml").ok();
    said.says(&["submitted 2 runs as job 8; 2 more were in the queue already"]);
    assert_eq!(place.text("runs/g/slurm/2/cells.txt"), "seed-2_ce\nseed-2_pemm\n");
    cluster.grid("--status", "g.toml").ok().says(&[
        "seed-1_ce  runs on n12 (job 7_1), 0 of 2 epochs done\n",
        "seed-1_pemm  waits in the queue (job 7_2: Resources), 0 of 2 epochs done\n",
        "seed-2_ce  new\n",
    ]);
    let values = cluster.grid("--status --json", "g.toml").ok().json_lines().remove(0);
    assert_eq!(values[0]["slurm_job"], "7_1");

    // It left the queue without having done anything.
    place.write("bin/queue", "");
    let ended = "seed-1_ce  new; no longer in the queue, runs/g/slurm/1/1.log ends with: seed-1_ce";
    cluster.grid("--status", "g.toml").ok().says(&[ended]);
    cluster.grid("--slurm", "g.toml").ok().says(&["submitted 4 runs"]);

    // Slurm does not answer: the list comes without it, and nothing is submitted.
    cluster.has("squeue", "echo 'Unable to contact slurm controller' >&2; exit 1");
    let said = cluster.grid("--status", "g.toml").ok();
    assert!(said.err.contains("the queue is not shown: squeue: Unable to contact"), "{said}");
    cluster.grid("--slurm", "g.toml").fails(1, &["squeue: Unable to contact slurm controller"]);
}

#[test]
fn what_cannot_be_submitted_is_said_and_leaves_nothing() {
    let cluster = Cluster::new("g.toml");
    let place = &cluster.place;
    cluster.has("sbatch", "echo 'error: Memory specification can not be satisfied' >&2; exit 1");
    let parts = ["Slurm does not take the job: error: Memory spec", "--memory 0"];
    cluster.grid("--slurm", "g.toml").fails(1, &parts);
    assert_eq!(place.names("runs/g/slurm"), [""; 0]);
    cluster.has("scontrol", "echo 'MaxArraySize            = 4'");
    let parts = ["4 runs are to be submitted, and this Slurm takes at most 3", "--only seed=1"];
    cluster.grid("--slurm", "g.toml").fails(2, &parts);
    cluster.grid("--slurm --time soon", "g.toml").fails(2, &["--time: must look like 90"]);
    cluster.grid("--time 10", "g.toml").fails(2, &["--slurm"]);
    cluster.grid("--cell seed-3_ce", "g.toml").fails(2, &["the grid has no run seed-3_ce"]);
    std::fs::remove_file(place.path("bin/sbatch")).unwrap();
    let mut command = place.command("grid g.toml --slurm --only seed=1");
    let said = Said::of("", command.env("PATH", place.path("bin")).output().unwrap());
    said.fails(2, &["there is no command sbatch here; run this where Slurm's commands are"]);
}

#[test]
fn a_task_near_its_time_limit_goes_back_into_the_queue() {
    let cluster = Cluster::new("g.toml");
    let place = &cluster.place;
    place.write("g.toml", GRID.replace("epochs = 2", "epochs = 100000"));
    cluster.has("sbatch", "echo 7");
    cluster.grid("--slurm", "g.toml").ok();
    // As Slurm does: the task is ended by TERM once it is in the queue again.
    cluster.has("scontrol", "echo \"$@\" >>asked; pkill -TERM -P $PPID pemm; kill -TERM $PPID");
    let mut task = Command::new("bash");
    task.current_dir(place.path("")).arg("runs/g/slurm/1/job.sh").env("PATH", cluster.path());
    for (name, value) in [("ARRAY_JOB_ID", "7"), ("ARRAY_TASK_ID", "2"), ("CPUS_PER_TASK", "1")] {
        task.env(format!("SLURM_{name}"), value);
    }
    let mut task = task.spawn().unwrap();
    let lines = || place.exists("runs/g/seed-1_pemm/log.jsonl");
    while !lines() || place.text("runs/g/seed-1_pemm/log.jsonl").lines().count() < 2 {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let told = Command::new("kill").args(["-USR1", &task.id().to_string()]).status().unwrap();
    assert!(told.success());
    task.wait().unwrap();
    assert_eq!(place.text("asked"), "requeue 7_2\n");
    assert_eq!(place.json("runs/g/seed-1_pemm/record.json")["status"], "interrupted");
}
