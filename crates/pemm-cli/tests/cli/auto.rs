//! `--preset auto`: three methods are trained, predict together, and all of it is told.

use std::io::{BufRead, BufReader};
use std::process::Command;

use crate::place::Place;

const AUTO: &str = "train digits --noise symmetric:0.4 --preset auto --set schedule.num_epochs=4 \
                    --set data.limit=400 --set model.backbone=mlp";

#[test]
fn three_runs_predict_together_in_terminal_file_and_report() {
    let place = Place::new();
    let said = place.pemm(&format!("{AUTO} --out run")).ok();
    let together =
        ["gce, elr and pemm predict together", "test accuracy: ", "alone: gce ", "folder: run"];
    said.says(&together);
    for part in ["trains gce, elr and pemm one after another", "1 of 3: gce", "3 of 3: pemm"] {
        assert!(said.err.contains(part), "{part}: {said}");
    }
    let ensemble = place.json("run/ensemble.json");
    let accuracy = 100.0 * ensemble["test"]["accuracy"].as_f64().unwrap();
    said.says(&[&format!("test accuracy: {accuracy:.2} %")]);
    let page = place.text("run/report.html");
    assert!(page.contains("Together, gce, elr and pemm are right for"), "no verdict");
    assert!(place.text("run/elr/report.html").contains("elr on digits"));

    let again = place.pemm(&format!("{AUTO} --out run")).ok();
    again.says(&together);
    again.says(&["already finished"]);
    assert!(!again.err.contains("one after another"), "{again}");
    let evaluated = place.pemm("evaluate run --json --quiet").ok().json_lines()[0].clone();
    assert_eq!(evaluated["test"]["accuracy"], ensemble["test"]["accuracy"]);
    place.pemm("evaluate run").ok().says(&["gce after epoch ", ", together"]);
    place.pemm("table run").ok().says(&["gce", "elr", "pemm"]);
    place.pemm("audit run").fails(2, &["an audit looks at one: name it, for example run/pemm"]);
    let named = place.pemm("train digits --noise symmetric:0.4 --epochs 2 --preset auto").ok();
    named.says(&["folder: runs/digits-auto-1"]);
}

#[test]
fn images_are_predicted_by_all_three_together() {
    let place = Place::new();
    place.images("flowers", 12);
    place.pemm("train flowers --preset auto --epochs 2 --out run --no-report").ok();
    let of =
        |run: &str| place.pemm(&format!("predict {run} flowers --json --quiet")).ok().json_lines();
    let (all, one) = (of("run"), of("run/elr"));
    assert_eq!(all.len(), one.len());
    for (all, one) in all.iter().zip(&one) {
        assert_eq!(all["path"], one["path"]);
        assert!(all["distances"].is_null());
    }
    let probabilities = |lines: &[serde_json::Value]| -> Vec<f64> {
        lines.iter().map(|line| line["probability"].as_f64().unwrap()).collect()
    };
    assert_ne!(probabilities(&all), probabilities(&one));
}

#[test]
fn stopped_in_a_member_it_goes_on_and_ends_the_same() {
    let place = Place::new();
    let line =
        |out: &str| format!("{AUTO} --set model.width=64 --set schedule.num_epochs=20 --out {out}");
    place.pemm(&line("whole")).ok();
    let mut child = place.command(&line("cut")).spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let mut text = String::new();
    while !text.contains("2 of 3: elr") {
        assert!(said.read_line(&mut text).unwrap() > 0, "{text}");
    }
    let process = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &process]).status().unwrap().success());
    let rest: Vec<String> = said.lines().map(Result::unwrap).collect();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{rest:?}");
    let rest = rest.join("\n");
    assert!(rest.contains("the same command with --out cut continues"), "{rest}");
    place.pemm("predict cut nothing").fails(2, &["runs that do not predict together yet"]);
    place.pemm(&line("cut")).ok();
    for name in ["gce", "elr", "pemm"] {
        let of = |out: &str| place.tensors(&format!("{out}/{name}/last.safetensors"));
        assert!(of("cut") == of("whole"), "{name}");
    }
    assert_eq!(place.json("cut/ensemble.json"), place.json("whole/ensemble.json"));
}

#[test]
fn explain_says_what_would_be_trained_and_trains_nothing() {
    let place = Place::new();
    let said = place.pemm("explain digits --preset auto --noise symmetric:0.4").ok();
    said.says(&["# auto      trains gce, elr and pemm", "# needs     about ", "with --preset gce"]);
    let said = place.pemm("explain digits --preset auto --json --quiet").ok();
    assert_eq!(said.json_lines()[0].as_array().unwrap().len(), 3);
    place.pemm("methods auto").ok().says(&["--preset auto", "predict together"]);
    assert_eq!(place.names(""), [] as [&str; 0]);
}

#[test]
fn what_does_not_go_with_it_is_refused_in_a_sentence() {
    let place = Place::new();
    place.write("grid.toml", "[base]\ndata.path = \"digits\"\n\n[[axis]]\nkey = \"preset\"\nvalues = [\"auto\", \"ce\"]\n");
    let no_method = "`auto` is no method: it trains gce, elr, pemm";
    for (line, why) in [
        ("grid grid.toml", no_method),
        ("audit digits --preset auto", no_method),
        ("noise digits --preset auto --noise pair:0.2 --output n.csv", no_method),
        ("train digits --preset auto --set loss.kind=ce", "loss.kind: is part of a method"),
    ] {
        place.pemm(line).fails(2, &[why]);
    }
    place.pemm("explain digits --preset auto --tensors").fails(2, &["--tensors: goes with one"]);
    assert_eq!(place.names(""), ["grid.toml"]);
}

#[test]
fn what_is_in_the_way_of_a_later_member_is_said_before_the_first_is_trained() {
    let place = Place::new();
    place.write("run/elr/letter.txt", "dear");
    place.pemm(&format!("{AUTO} --out run")).fails(2, &["run/elr", "letter.txt"]);
    assert_eq!(place.names("run"), ["elr"]);
}

#[test]
fn a_file_that_tells_nonsense_is_refused_and_made_anew() {
    let place = Place::new();
    let line = format!("{AUTO} --set schedule.num_epochs=1 --out run --no-report");
    place.pemm(&line).ok();
    let whole = place.json("run/ensemble.json");
    for (key, value) in [("accuracy", 7.5.into()), ("classes", serde_json::json!([]))] {
        let mut wrong = whole.clone();
        wrong["test"][key] = value;
        place.write("run/ensemble.json", wrong.to_string());
        place.pemm("evaluate run").fails(1, &["ensemble.json", "scores"]);
        place.pemm(&line).ok();
        assert_eq!(place.json("run/ensemble.json"), whole);
    }
}
