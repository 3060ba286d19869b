//! Ctrl-C and kill at any moment: the same command goes on and ends with the same bits.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStderr, Command};
use std::time::Duration;

use crate::place::Place;

/// Epochs that take long enough to be interrupted in.
const TRAIN: &str = "train digits --noise symmetric:0.4 --set model.backbone=cnn8 \
                     --set model.width=16 --set schedule.num_epochs=6";

struct Running {
    child: Child,
    said: BufReader<ChildStderr>,
}

impl Running {
    fn start(place: &Place, out: &str) -> Self {
        let mut child = place.command(&format!("{TRAIN} --out {out}")).spawn().unwrap();
        let said = BufReader::new(child.stderr.take().unwrap());
        Self { child, said }
    }

    /// Waits for a line with `part`, and then a little longer.
    fn wait_for(&mut self, part: &str, millis: u64) {
        let mut line = String::new();
        while !line.contains(part) {
            line.clear();
            assert!(self.said.read_line(&mut line).unwrap() > 0, "{part:?} was never said");
        }
        std::thread::sleep(Duration::from_millis(millis));
    }

    fn kill(&self, signal: &str) {
        let process = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &process]).status().unwrap().success());
    }

    /// The exit code, `None` if a signal ended the process, and what it still said.
    fn end(mut self) -> (Option<i32>, String) {
        let rest: Vec<String> = self.said.by_ref().lines().map(Result::unwrap).collect();
        (self.child.wait().unwrap().code(), rest.join("\n"))
    }
}

#[test]
fn an_interrupted_run_ends_with_the_same_bits() {
    let place = Place::new();
    place.pemm(&format!("{TRAIN} --out whole")).ok();

    let mut running = Running::start(&place, "cut");
    running.wait_for("epoch   1/6", 0);
    running.kill("-STOP");
    let busy = place.pemm(&format!("{TRAIN} --out cut"));
    busy.fails(1, &["cut: another process is running this experiment"]);
    running.kill("-INT");
    running.kill("-CONT");
    let (code, said) = running.end();
    assert_eq!(code, Some(130), "{said}");
    assert!(said.contains("stopping after this step"), "{said}");
    assert!(said.contains("of 6 epochs; the same command with --out cut continues"), "{said}");
    let record = place.json("cut/record.json");
    assert_eq!(record["status"], "interrupted");
    let done = record["epochs"].as_array().unwrap().len();
    assert!((1..6).contains(&done));
    // What is there already can be used.
    place.pemm("evaluate cut").ok().says(&[&format!("weights after epoch {done}")]);
    place.pemm("table cut").ok().says(&["Not finished, not averaged", "interrupted"]);

    let said = place.pemm(&format!("{TRAIN} --out cut")).ok();
    assert!(said.err.contains(&format!("continues after epoch {done}")), "{said}");
    assert_same(&place, "cut", "whole");
}

#[test]
fn a_killed_run_ends_with_the_same_bits() {
    let place = Place::new();
    place.pemm(&format!("{TRAIN} --out whole")).ok();
    // Before the first checkpoint, while one may be written, in the middle of an epoch.
    for (part, millis) in [("run folder", 0), ("/6  loss", 0), ("/6  loss", 15)] {
        let mut running = Running::start(&place, "cut");
        running.wait_for(part, millis);
        running.kill("-KILL");
        let (code, said) = running.end();
        assert_eq!(code, None, "it ended before it was killed: {said}");
    }
    place.pemm(&format!("{TRAIN} --out cut")).ok();
    assert_same(&place, "cut", "whole");
}

/// Weights have the same bits, records differ in times only, and nothing temporary is left.
fn assert_same(place: &Place, cut: &str, whole: &str) {
    assert_eq!(place.names(cut), place.names(whole));
    for name in ["last.safetensors", "best.safetensors", "experiment.toml", "noise.json"] {
        let read = |run: &str| place.read(&format!("{run}/{name}"));
        assert!(read(cut) == read(whole), "{name} differs");
    }
    let epochs = |run: &str| {
        let mut record = place.json(&format!("{run}/record.json"));
        assert_eq!(record["status"], "finished");
        let epochs = record["epochs"].as_array_mut().unwrap();
        for epoch in epochs.iter_mut() {
            let epoch = epoch.as_object_mut().unwrap();
            assert!(epoch.remove("seconds").is_some() && epoch.remove("images_per_sec").is_some());
            epoch.remove("cpu_seconds");
        }
        std::mem::take(epochs)
    };
    assert_eq!(epochs(cut), epochs(whole));
    assert_eq!(place.text(&format!("{cut}/log.jsonl")).lines().count(), 6);
}
