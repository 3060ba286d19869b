//! Grids: stopped, killed and failing, they end with the numbers of one that was left alone.

use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::place::Place;
use crate::running::Running;

/// Two arms and two seeds of runs that take long enough to be interrupted in.
const GRID: &str = r#"
[base]
noise = { kind = "symmetric", rate = 0.4 }
model = { backbone = "cnn8", width = 16 }
schedule = { num_epochs = 6, kind = "constant", batch_size = 64 }

[[axis]]
key = "seed"
values = [1, 2]

[[axis]]
points = [{ preset = "ce", schedule.milestones = [] }, { preset = "pemm" }]
"#;
const NAMES: [&str; 4] = ["seed-1_ce", "seed-1_pemm", "seed-2_ce", "seed-2_pemm"];

/// The same of runs that take no time.
fn quick() -> String {
    GRID.replace("backbone = \"cnn8\"", "backbone = \"mlp\"").replace("epochs = 6", "epochs = 2")
}

/// The record of a run without what differs from time to time.
fn record(place: &Place, run: &str) -> Value {
    let mut record = place.json(&format!("{run}/record.json"));
    assert_eq!(record["status"], "finished", "{run}");
    let table = record.as_object_mut().unwrap();
    for key in ["environment", "total_seconds", "total_cpu_seconds"] {
        assert!(table.remove(key).is_some() || !cfg!(target_os = "linux"), "{key}");
    }
    for epoch in record["epochs"].as_array_mut().unwrap() {
        let epoch = epoch.as_object_mut().unwrap();
        for key in ["seconds", "cpu_seconds", "images_per_sec"] {
            assert!(epoch.remove(key).is_some() || !cfg!(target_os = "linux"), "{key}");
        }
    }
    record
}

/// The runs `names` of two grids have the same records and weights.
#[track_caller]
pub(crate) fn assert_same(place: &Place, cut: &str, whole: &str, names: &[&str]) {
    for name in names {
        let (cut, whole) = (format!("{cut}/{name}"), format!("{whole}/{name}"));
        assert_eq!(record(place, &cut), record(place, &whole));
        for file in ["last.safetensors", "best.safetensors"] {
            let read = |run: &str| place.read(&format!("{run}/{file}"));
            assert!(read(&cut) == read(&whole), "{cut}: {file} differs");
        }
    }
}

#[test]
fn a_killed_grid_ends_with_the_same_numbers() {
    let place = Place::new();
    place.write("g.toml", GRID);
    let said = place.pemm("grid g.toml --out whole --jobs 2 --threads-per-job 1").ok();
    said.says(&["4 runs in whole: 4 finished (0 before), 0 failed, 0 not finished"]);
    let mut names = place.names("whole");
    assert_eq!(names.remove(0), "grid.lock");
    assert_eq!(names, NAMES);

    // The whole group at once: in the middle of the first run, and of a later one.
    for (part, millis) in [("start  seed-1_ce", 150), ("done ", 50)] {
        let mut running = Running::of(place.command("grid g.toml --out cut"));
        running.wait_for(part, millis);
        running.kill_group("-KILL");
        let (code, said) = running.end();
        assert_eq!(code, None, "it ended before it was killed: {said}");
    }
    // The grid alone: its runs notice and save.
    let mut running = Running::of(place.command("grid g.toml --out cut"));
    running.wait_for("start ", 0);
    let busy = place.pemm("grid g.toml --out cut");
    busy.fails(1, &["cut: another `pemm grid` is at work in this folder"]);
    running.kill("-KILL");
    assert_eq!(running.end().0, None);
    // At once, while they still do.
    let said = place.pemm("grid g.toml --out cut").ok();
    assert!(said.out.contains("4 finished ("), "{said}");
    assert_same(&place, "cut", "whole", &NAMES);
}

#[test]
fn ctrl_c_saves_and_the_same_command_goes_on() {
    let place = Place::new();
    place.write("g.toml", GRID);
    let mut running = Running::of(place.command("grid g.toml --jobs 2"));
    running.wait_for("start  seed-1_ce", 0);
    running.kill("-INT");
    let (code, said) = running.end();
    assert_eq!(code, Some(130), "{said}");
    for part in [
        "every run stops after its current step and saves",
        "saved  seed-1_ce",
        "run the same command to continue",
    ] {
        assert!(said.contains(part), "{said}");
    }
    assert_eq!(place.json("runs/g/seed-1_ce/record.json")["status"], "interrupted");
    assert!(!place.exists("runs/g/seed-2_pemm"));
    place.pemm("grid g.toml --dry-run").ok().says(&["seed-1_ce  continues after epoch "]);

    // A second Ctrl-C does not wait; from a terminal it reaches the runs as well.
    let mut running = Running::of(place.command("grid g.toml"));
    running.wait_for("start  seed-1_ce", 100);
    running.kill_group("-STOP");
    running.kill_group("-INT");
    running.kill_group("-CONT");
    std::thread::sleep(Duration::from_millis(20));
    let _ = Command::new("kill").args(["-INT", "--", &format!("-{}", running.child.id())]).status();
    assert_eq!(running.end().0, Some(130));
    place.pemm("grid g.toml --only seed=1,arm=ce").ok().says(&["1 runs in runs/g: 1 finished"]);
}

#[test]
fn a_run_that_fails_does_not_stop_the_others() {
    let place = Place::new();
    let bad = "{ preset = \"pemm\", arm = \"bad\", optim.learning_rate = 1e30 }, { preset";
    place.write("g.toml", quick().replacen("{ preset", bad, 1));
    for before in [0, 4] {
        let said = place.pemm("grid g.toml");
        assert_eq!(said.code, Some(1), "{said}");
        said.says(&[&format!("6 runs in runs/g: 4 finished ({before} before), 2 failed")]);
        for part in ["2 of 6 runs failed", "  seed-1_bad: epoch 1, step 2: the term `loss` is"] {
            assert!(said.err.contains(part), "{said}");
        }
    }
    let list = place.pemm("grid g.toml --dry-run").ok();
    list.says(&[
        "seed-2_bad  failed after epoch 0: epoch 1, step 2",
        "6 runs, 4 finished, 2 to do",
    ]);
    let values = place.pemm("grid g.toml --dry-run --json --only arm=bad --only arm=ce").ok();
    let values = &values.json_lines()[0];
    assert_eq!(values.as_array().unwrap().len(), 4);
    assert_eq!((&values[0]["finished"], &values[1]["finished"]), (&false.into(), &true.into()));
}

#[test]
fn all_runs_are_checked_before_the_first_starts() {
    let place = Place::new();
    let refused = |text: String, parts: &[&str]| {
        place.write("g.toml", text);
        place.pemm("grid g.toml").fails(2, parts);
        assert_eq!(place.names(""), ["g.toml"]);
    };
    let wrong = |point: &str| quick().replace("{ preset = \"pemm\" }", point);
    refused(wrong("{ preset = \"pem\" }"), &["run seed-1_pem: ", "did you mean `pemm`?"]);
    refused(wrong("{ name = \"x\", loss.kin = \"ce\" }"), &["unknown field `kin`"]);
    refused(
        wrong("{ preset = \"pemm\", loss.kind = \"ce\", loss.alpha = 1 }"),
        &["run seed-1_pemm: loss.alpha: "],
    );
    refused(
        quick().replace("\"symmetric\"", "\"asymmetric\""),
        &["run seed-1_ce: noise.kind: asymmetric noise is defined for CIFAR-10's"],
    );
    refused(quick() + "[expects]\nshape = [3, 32, 32]\nnum_classes = 10\n", &["has [1, 8, 8] in"]);
    refused(quick() + "[base.data]\npath = \"nowhere\"\n", &["no file or folder \"nowhere\""]);
    refused(wrong("{ preset = \"ce\", name = \"x\", schedule.milestones = [] }"), &["is the same"]);
    refused(
        wrong("{ preset = \"ce-early\", data.val_rate = 0.0 }"),
        &["run seed-1_ce-early: schedule.patience: "],
    );
    refused(
        wrong("{ preset = \"pemm\", name = \"x\", model.weights = \"none.safetensors\" }"),
        &["run seed-1_x: model.weights: none.safetensors: "],
    );
    refused(quick().replace("values", "value"), &["g.toml: ", "line 9", "unknown field `value`"]);
    refused("seed = 1\n".into(), &["is not a grid file: it has neither [base] nor"]);
    place.write("g.toml", quick());
    place.pemm("grid g.toml --only arm=sce").fails(2, &["the grid has arm ce, pemm"]);
    place.pemm("grid g.toml --only armm=ce").fails(2, &["no run of the grid has the key `armm`"]);
    place.write("g.toml", quick().replace("[1, 2]", "[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]"));
    let known = "the grid has seed 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 2 others";
    place.pemm("grid g.toml --only seed=13").fails(2, &[known]);
    place.pemm("grid g.toml --jobs 0").fails(2, &["--jobs: must be from 1"]);
    place.pemm("grid-cell").fails(2, &["is started by pemm grid"]);
    assert_eq!(place.names(""), ["g.toml"]);
}

#[test]
fn records_outlive_their_run_folders() {
    let place = Place::new();
    place.write("g.toml", quick());
    place.pemm("grid g.toml --records kept --only seed=1").ok();
    assert_eq!(place.names("kept"), ["seed-1_ce.json", "seed-1_pemm.json"]);
    std::fs::remove_dir_all(place.path("runs")).unwrap();
    let said = place.pemm("grid g.toml --records kept").ok();
    said.says(&["4 finished (2 before)"]);
    assert!(!place.exists("runs/g/seed-1_ce") && place.exists("runs/g/seed-2_ce"));
    assert_eq!(place.names("kept").len(), 4);

    // The records of another grid under the same names are neither taken nor replaced.
    let other = quick().replace("rate = 0.4", "rate = 0.3");
    place.write("other.toml", &other);
    place.pemm("grid other.toml --only seed=1 --quiet").ok();
    place
        .pemm("grid other.toml --only seed=1 --records kept")
        .fails(2, &["holds a run with other settings"]);
    place.pemm("grid g.toml --records runs/g").fails(2, &["--records: must be another folder"]);

    // A grid that means something else by a name is refused, and nothing is overwritten.
    place.write("g.toml", quick().replace("rate = 0.4", "rate = 0.2"));
    for line in ["grid g.toml --records kept --only seed=1", "grid g.toml --only seed=2"] {
        place.pemm(line).fails(2, &["holds a run with other settings", "noise.rate: 0.4 → 0.2"]);
    }
}

/// A sweep and two arms, shown in every form.
const SWEEP: &str = r#"
[base]
noise = { kind = "symmetric", rate = 0.4 }
model = { backbone = "mlp", width = 16, dropout = 0.0 }
schedule = { num_epochs = 2, kind = "constant", batch_size = 64 }
optim = { learning_rate = 0.01 }

[expects]
shape = [1, 8, 8]
num_classes = 10

[[axis]]
points = [
  { preset = "ce", schedule.milestones = [] },
  { preset = "sce", loss.alpha = 0.1, schedule.milestones = [] },
  { preset = "sce", name = "sce-1", loss.alpha = 1.0, schedule.milestones = [] },
  { preset = "forward", schedule.milestones = [] },
]

[[axis]]
key = "seed"
values = [1, 2]

[table]
trials = { ce = 1, sce = 2 }
"#;

#[test]
fn the_table_of_a_grid_in_every_form() {
    let place = Place::new();
    place.write("g.toml", SWEEP);
    let nothing = ["runs/g: no run of g.toml is there", "`pemm grid`"];
    place.pemm("table g.toml").fails(2, &nothing);
    place.pemm("grid g.toml --only seed=1 --records kept --quiet").ok();
    let said = place.pemm("table g.toml --settings").ok();
    assert!(said.err.contains("4 of the 8 runs of g.toml are not there yet"), "{said}");
    place.pemm("grid g.toml --records kept --quiet").ok();

    let hint = ["are both seed 1 of arm `sce`", "--settings makes a row of each"];
    place.pemm("table g.toml").fails(1, &hint);
    let said = place.pemm("table g.toml --settings").ok();
    assert_eq!(said.err, "", "{said}");
    said.says(&[
        "Data: digits\n\nDevice: cpu\n\n### Last epoch\n\n| arm | symmetric 0.4 |",
        "| sce: loss.alpha 0.1 | ",
        "| sce: loss.alpha 1.0 | ",
        "| forward° | ",
        "°: used what nobody knows",
        "### Oracle: best scored epoch on the test set",
        "Best against next:\n\n- symmetric 0.4: ",
        ", n = 2)",
        "| ce | 2 | 2 | ",
    ]);
    // Records give the same table as the run folders; only the paths of rows differ.
    let kept = place.pemm("table g.toml --out kept --settings").ok();
    assert_eq!(kept.out, said.out);
    let only = place.pemm("table kept --settings --judge last").ok();
    assert!(!only.out.contains("### Oracle"), "{only}");
    let latex = place.pemm("table kept --settings --format latex --judge last,val").ok();
    assert_eq!(latex.out.matches("\\begin{tabular}{lr}").count(), 2, "{latex}");
    latex.says(&["forward$^\\dagger$ & $", "2 seeds"]);
    let csv = place.pemm("table g.toml --settings --format csv").ok();
    assert_eq!(csv.out.lines().count(), 1 + 4 * 3, "{csv}");
    let counted = place.pemm("table kept --judge last --settings --trials kept --trials g.toml");
    let counted = counted.ok();
    assert!(counted.out.lines().any(|line| line.starts_with("| ce |") && line.ends_with("| 1 |")));
    let said = place.pemm("table kept --settings --allow loss.alhpa").ok();
    assert!(said.err.contains("--allow loss.alhpa: no run has such a key"), "{said}");

    // By noisy validation: the settings of each arm, and nothing of the test set.
    let ranked = place.pemm("table g.toml --by val").ok();
    ranked.says(&["### sce, 2 settings", "Best: loss.alpha ", "### ce, 1 settings"]);
    let values = place.pemm("table g.toml --by val --json").ok();
    assert!(!values.out.contains("test"), "{values}");
    let values = values.json_lines();
    let sce: Vec<_> = values.iter().filter(|value| value["arm"] == "sce").collect();
    let score = |place: usize| sce[place]["mean_last_val_accuracy_over_columns"].as_f64().unwrap();
    assert!(sce.len() == 2 && score(0) >= score(1));
    place.pemm("table g.toml --by val --format latex").fails(2, &["--by val: --format"]);
    place.pemm("table g.toml --by val --judge last").fails(2, &["--judge is for --by test"]);
    place.pemm("table g.toml kept --by val").fails(1, &["are both seed 1"]);
    place.write("bad.toml", "[base\n");
    place.pemm("table bad.toml").fails(2, &["bad.toml: ", "line 1"]);

    // What the folder holds must be what the grid means.
    place.write("g.toml", SWEEP.replace("rate = 0.4", "rate = 0.2"));
    place
        .pemm("table g.toml")
        .fails(2, &["holds a run with other settings", "noise.rate: 0.4 → 0.2"]);
}

#[test]
fn a_grid_explained_with_and_without_its_data() {
    let place = Place::new();
    let elsewhere = SWEEP.replace("[base]\n", "[base]\ndata.path = \"elsewhere\"\n");
    place.write("g.toml", &elsewhere);
    let said = place.pemm("explain g.toml").ok();
    said.says(&[
        "path = \"elsewhere\"",
        "# data      as the grid expects, not looked at: 1×8×8, 10 classes",
        "# grid      8 runs",
        "#   ce_seed-1\n",
        "#   sce-1_seed-2: arm = \"sce\"",
        "seed = 2",
    ]);
    assert_eq!(
        place.pemm("explain g.toml --json").ok().json_lines()[0].as_array().unwrap().len(),
        8
    );
    place.write("g.toml", SWEEP.replace("[expects]\nshape = [1, 8, 8]\nnum_classes = 10\n", ""));
    place.pemm("explain g.toml").ok().says(&["those of the first run: 1×8×8, 10 classes"]);
    place.pemm("explain g.toml --seed 3").fails(2, &["g.toml: is a grid"]);
    place.pemm("train g.toml").fails(2, &["g.toml: is a grid of runs: `pemm grid` runs them"]);
    assert_eq!(place.names(""), ["g.toml"]);
}

#[test]
fn every_grid_of_the_repository_is_explained_without_its_data() {
    let place = Place::new();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../experiments");
    let mut num_grids = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        if text.contains("[[axis]]") {
            if text.contains("[expects]") {
                place.pemm_with("explain", path.to_str().unwrap()).ok().says(&["# grid      "]);
            }
            num_grids += 1;
        }
    }
    assert!(num_grids > 0);
}

#[test]
fn what_cannot_start_is_said_before_anything_does() {
    let place = Place::new();
    let grid = |axis: &str| {
        "[base]\npreset = \"forward\"\nschedule = { num_epochs = 1, kind = \"constant\", \
         milestones = [] }\n[[axis]]\npoints = ["
            .to_owned()
            + axis
            + "]\n"
    };
    place.write("m.csv", "0.9,0.1\n0.1,0.9\n");
    let noise = "noise = { kind = \"symmetric\", rate = 0.4 }";
    place.write(
        "g.toml",
        grid(&format!("{{ name = \"a\", {noise} }}, {{ name = \"b\", loss.matrix = \"m.csv\" }}")),
    );
    place.pemm("grid g.toml").fails(2, &["run b", "m.csv"]);
    place.write("g.toml", grid("{ name = \"a\" }, { name = \"b\", model.backbone = \"cnn\" }"));
    place.pemm("grid g.toml").fails(2, &["run b", "is the same experiment as run a"]);
    place.write("g.toml", grid("{ name = \"grid.lock\" }"));
    place.pemm("grid g.toml").fails(2, &["is that of a file of the grid"]);
    assert!(!place.exists("runs"));

    // Without noise the matrix of the noise is known: nothing is changed.
    place.write("g.toml", grid("{ name = \"clean\" }, { name = \"ce\", preset = \"ce\" }"));
    let said = place.pemm("grid g.toml").ok();
    assert!(said.err.contains("is the identity where no noise is drawn"), "{said}");
    place.pemm("table g.toml").ok().says(&["| forward° | ", "| arm | no noise |"]);
}

/// The grid of the guide, and what it would be with a recipe of its own for one arm.
#[test]
fn arms_that_no_table_can_compare_are_told_before_they_run() {
    let place = Place::new();
    let guide = include_str!("../../../../docs/guide/grids.md");
    let (_, grid) = guide.split_once("```toml\n[base]\n").unwrap();
    let (grid, _) = grid.split_once("```").unwrap();
    let small = "[base]\nmodel.backbone = \"mlp\"\nmodel.width = 4\n";
    let grid = format!("{small}{grid}").replace("\"flowers\"", "\"digits\"");
    let grid = grid.replace("num_epochs = 30", "num_epochs = 2");
    place.write("g.toml", &grid);
    let said = place.pemm("grid g.toml --quiet").ok();
    assert!(!said.err.contains("will not compare"), "{said}");
    place.pemm("table g.toml").ok().says(&["| no-energy | ", "| pemm | ", "| ce | "]);

    let own = grid.replace("{ preset = \"ce\" }", "{ preset = \"ce\", recipe = \"paper\" }");
    place.write("two.toml", &own);
    let said = place.pemm("grid two.toml --only seed=1 --quiet").ok();
    assert!(said.err.contains("will not compare seed-1_ce with seed-1_pemm"), "{said}");
    assert!(said.err.contains("schedule.kind"), "{said}");
    place.pemm("table two.toml").fails(1, &["schedule.kind"]);
}

#[test]
fn a_grid_whose_labels_were_corrected_since_says_so() {
    let place = Place::new();
    place.features("data.csv", 60);
    let grid = "[base]\ndata.path = \"data.csv\"\nmodel = { backbone = \"mlp\", width = 4 }\n\
                schedule.num_epochs = 1\n[[axis]]\nkey = \"seed\"\nvalues = [1, 2]\n[[axis]]\n\
                points = [{ preset = \"ce\" }, { preset = \"pemm\" }]\n";
    place.write("g.toml", grid);
    place.pemm("grid g.toml --only seed=1").ok();
    let said = place.pemm("grid g.toml --dry-run").ok();
    assert!(!said.err.contains("changed since"), "{said}");
    let text = place.text("data.csv");
    place.write("data.csv", text.replacen(",a\n", ",b\n", 1));
    let changed = ["data.csv changed since 2 finished runs (seed-1_ce, seed-1_pemm) were", "--out"];
    let said = place.pemm("grid g.toml --dry-run").ok();
    assert!(changed.iter().all(|part| said.err.contains(part)), "{said}");
    let said = place.pemm("grid g.toml").ok();
    assert!(changed.iter().all(|part| said.err.contains(part)), "{said}");
    assert!(said.out.contains("4 finished (2 before)"), "{said}");
    // What cannot be read is told once.
    place.write("data.csv", "x,y,label\n1,oh,a\n");
    let said = place.pemm("grid g.toml --dry-run").ok();
    assert_eq!(said.err.matches("can no longer be read").count(), 1, "{said}");
    // Where the data are gone, what is finished stands as it is.
    std::fs::remove_file(place.path("data.csv")).unwrap();
    let said = place.pemm("grid g.toml --dry-run").ok();
    assert!(!said.err.contains("changed since") && said.out.contains("4 finished"), "{said}");
}
