//! `--preset auto`: some presets are tried, one is trained, and all of it is told.

use std::io::{BufRead, BufReader};
use std::process::Command;

use crate::place::Place;

const AUTO: &str = "train digits --noise symmetric:0.4 --preset auto --set schedule.num_epochs=4 \
                    --set data.limit=400 --set model.backbone=mlp";

#[test]
fn what_was_tried_and_chosen_stands_in_terminal_record_and_report() {
    let place = Place::new();
    let said = place.pemm(&format!("{AUTO} --out run")).ok();
    let record = place.json("run/record.json");
    let chosen = record["tried"]["chosen"].as_str().unwrap().to_owned();
    assert_eq!(record["arm"], chosen.as_str());
    let line = format!("preset {chosen}, chosen among ");
    said.says(&[&line, "test accuracy after the last epoch (4)", "run folder: run"]);
    for part in ["tries ", "times the cost of one run", "trial 1/", &line, " (95 % interval "] {
        assert!(said.err.contains(part), "{part}: {said}");
    }
    let candidates = record["tried"]["candidates"].as_array().unwrap();
    let trials: usize = candidates.iter().map(|c| c["trials"].as_array().unwrap().len()).sum();
    assert!(said.err.contains(&format!("trial {trials}/{trials}")), "{said}");
    assert_eq!(place.names("run/tried").len(), trials);
    assert_eq!(place.json("run/tried.json"), record["tried"]);
    assert!(place.text("run/report.html").contains("How the method was chosen"));

    // It is an ordinary run, and told again when it is done.
    place.pemm(&format!("{AUTO} --out run")).ok().says(&["already finished", &line]);
    place.pemm("evaluate run").ok().says(&["weights after epoch"]);
    place.pemm("table run").ok().says(&[&chosen]);
    let named = place.pemm("train digits --noise symmetric:0.4 --epochs 4 --preset auto").ok();
    named.says(&["run folder: runs/digits-auto-1"]);
}

#[test]
fn stopped_in_a_trial_it_goes_on_and_ends_the_same() {
    let place = Place::new();
    let line =
        |out: &str| format!("{AUTO} --set model.width=64 --set schedule.num_epochs=20 --out {out}");
    place.pemm(&line("whole")).ok();
    let mut child = place.command(&line("cut")).spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let mut text = String::new();
    while !text.contains("trial 2/") {
        assert!(said.read_line(&mut text).unwrap() > 0, "{text}");
    }
    let process = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &process]).status().unwrap().success());
    let rest: Vec<String> = said.lines().map(Result::unwrap).collect();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{rest:?}");
    let rest = rest.join("\n");
    let continues = "the same command with --out cut continues";
    assert!(rest.contains("while presets were tried") && rest.contains(continues), "{rest}");
    assert_eq!(place.names("cut"), ["run.lock", "tried"]);
    place.pemm(&line("cut")).ok();
    assert!(place.tensors("cut/last.safetensors") == place.tensors("whole/last.safetensors"));
    let chosen = |out: &str| place.json(&format!("{out}/record.json"))["tried"]["chosen"].clone();
    assert_eq!(chosen("cut"), chosen("whole"));
}

#[test]
fn explain_says_what_would_be_tried_and_trains_nothing() {
    let place = Place::new();
    let said = place.pemm("explain digits --preset auto --noise symmetric:0.4").ok();
    said.says(&["# auto      tries ", "# round 2   the ", "# cost      ", "times that of one run"]);
    let program = |more: &str| {
        let said = place.pemm(&format!("explain digits --preset auto --json --quiet {more}")).ok();
        said.json_lines()[0].clone()
    };
    let (three, two) = (program(""), program("--budget 2"));
    let cost = |program: &serde_json::Value| program["cost"].as_f64().unwrap();
    assert!(cost(&three) <= 3.0 && cost(&two) <= 2.0 && cost(&two) > 1.5, "{three} {two}");
    assert!(three["presets"].as_array().unwrap().iter().any(|preset| preset == "pemm"));
    place.pemm("methods auto").ok().says(&["--preset auto", "noisy validation labels"]);
    assert_eq!(place.names(""), [] as [&str; 0]);
}

#[test]
fn what_does_not_go_with_it_is_refused_in_a_sentence() {
    let place = Place::new();
    place.write("grid.toml", "[base]\ndata.path = \"digits\"\n\n[[axis]]\nkey = \"preset\"\nvalues = [\"auto\", \"ce\"]\n");
    let no_method = "`auto` is no method: it chooses among";
    for (line, why) in [
        ("grid grid.toml", no_method),
        ("audit digits --preset auto", no_method),
        ("noise digits --preset auto --noise pair:0.2 --output n.csv", no_method),
        ("train digits --budget 2", "--budget: goes with --preset auto"),
        ("train digits --preset auto --budget 1", "budget: must be above 1"),
        ("train digits --preset auto --set loss.kind=ce", "loss.kind: is part of a method"),
        ("explain digits --preset auto --set data.fold=[1,2]", "data.fold: does not go with"),
        ("train digits --preset auto --set data.limit=12", "fewer samples than the 2 folds"),
    ] {
        place.pemm(line).fails(2, &[why]);
    }
    assert_eq!(place.names(""), ["grid.toml"]);
}
