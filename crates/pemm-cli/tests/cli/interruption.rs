//! Ctrl-C and kill at any moment: the same command goes on and ends with the same bits.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::place::{Place, QUICK};
use crate::running::Running;

/// Epochs that take long enough to be interrupted in.
const TRAIN: &str = "train digits --noise symmetric:0.4 --set model.backbone=cnn8 \
                     --set model.width=16 --set schedule.num_epochs=6";

/// [`TRAIN`] into `out`.
fn start(place: &Place, out: &str) -> Running {
    Running::of(place.command(&format!("{TRAIN} --out {out}")))
}

#[test]
fn an_interrupted_run_ends_with_the_same_bits() {
    let place = Place::new();
    place.pemm(&format!("{TRAIN} --out whole")).ok();

    let mut running = start(&place, "cut");
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
        let mut running = start(&place, "cut");
        running.wait_for(part, millis);
        running.kill("-KILL");
        let (code, said) = running.end();
        assert_eq!(code, None, "it ended before it was killed: {said}");
    }
    place.pemm(&format!("{TRAIN} --out cut")).ok();
    assert_same(&place, "cut", "whole");
}

/// The binary as `sh` runs it after `before`, with what follows its arguments.
fn in_shell(place: &Place, before: &str, line: &str) -> Command {
    let mut command = place.command("");
    let program = command.get_program().to_owned();
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("{before} exec {} {line}", program.display())]);
    shell.current_dir(place.path("")).envs(command.get_envs().filter_map(|(k, v)| Some((k, v?))));
    command = shell;
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[test]
fn signals_that_were_ignored_at_the_start_stay_ignored() {
    let place = Place::new();
    let line = format!("{TRAIN} --out run");
    let mut running = Running::of(in_shell(&place, "trap '' HUP TERM;", &line));
    running.wait_for("epoch   1/6", 0);
    running.kill("-HUP");
    running.kill("-TERM");
    let (code, said) = running.end();
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(place.json("run/record.json")["status"], "finished");
}

/// A step of a minute or so.
const HUGE_STEP: &str = "train digits --set model.backbone=cnn8 --set model.width=384 --batch 1442";

#[test]
fn a_step_that_takes_long_is_ended_in_the_middle() {
    let place = Place::new();
    for (signal, code) in [("-TERM", 143), ("-INT", 130), ("-HUP", 129)] {
        let mut running = Running::of(place.command(&format!("{HUGE_STEP} --out run")));
        running.wait_for("run folder", 500);
        let since = Instant::now();
        running.kill(signal);
        let (found, said) = running.end();
        assert_eq!(found, Some(code), "{said}");
        assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
        assert!(said.contains("interrupted during a step"), "{said}");
        assert_eq!(place.json("run/record.json")["status"], "running");
    }
}

#[test]
fn a_signal_while_images_are_read_is_answered_and_nothing_empty_is_left() {
    let place = Place::new();
    place.png("photos/a/0.png", [1500, 1000], [90, 90, 90], 1);
    for (class, number) in (0..400).map(|i| (["a", "b"][i % 2], i)) {
        let path = place.path(&format!("photos/{class}/{}.png", number + 1));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::hard_link(place.path("photos/a/0.png"), path).unwrap();
    }
    for (command, code) in [("train", 143), ("audit", 143), ("train", 130)] {
        let running = Running::of(place.command(&format!("{command} photos --size 16")));
        std::thread::sleep(Duration::from_millis(400));
        let since = Instant::now();
        running.kill(if code == 143 { "-TERM" } else { "-INT" });
        let (found, said) = running.end();
        assert_eq!(found, Some(code), "{said}");
        assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
        assert!(said.contains("interrupted: "), "{said}");
        assert!(!place.exists("runs") && !place.exists("audits"), "an empty folder is left");
    }
}

/// The lock belongs to the folder, what is written goes to its path.
#[test]
fn a_run_whose_folder_is_moved_ends_and_goes_on_where_it_is() {
    let place = Place::new();
    let mut running = start(&place, "run");
    running.wait_for("epoch   1/6", 0);
    running.kill("-STOP");
    std::fs::rename(place.path("run"), place.path("moved")).unwrap();
    place.pemm(&format!("{TRAIN} --out run")).ok();
    let files = || place.names("run").iter().map(|n| place.read(&format!("run/{n}"))).collect();
    let before: Vec<Vec<u8>> = files();
    running.kill("-CONT");
    let (code, said) = running.end();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("run: was moved, removed or replaced while the run went on"), "{said}");
    assert!(before == files(), "two processes wrote into one folder");
    place.pemm(&format!("{TRAIN} --out moved")).ok();
    assert_same(&place, "moved", "run");

    let mut running = start(&place, "gone");
    running.wait_for("epoch   1/6", 0);
    std::fs::remove_dir_all(place.path("gone")).unwrap();
    assert_eq!(running.end().0, Some(1));
    assert!(!place.exists("gone"), "the folder came back");
}

#[test]
fn other_vector_instructions_are_recorded_and_told_when_a_run_goes_on() {
    let place = Place::new();
    let mut command = place.command(&format!("{TRAIN} --out run"));
    command.env("PEMM_SIMD", "portable");
    let mut running = Running::of(command);
    running.wait_for("epoch   1/6", 0);
    running.kill("-INT");
    assert_eq!(running.end().0, Some(130));
    assert_eq!(place.json("run/environment.json")["simd"], "portable");
    let said = place.pemm(&format!("{TRAIN} --out run")).ok();
    let now = place.json("run/environment.json")["simd"].as_str().unwrap().to_owned();
    let told = format!("begun with portable and goes on with {now}, which may round otherwise");
    assert_eq!(said.err.contains(&told), now != "portable", "{said}");
}

#[test]
fn an_error_stream_that_nobody_can_read_does_not_end_the_work() {
    let place = Place::new();
    let line = format!("train digits {QUICK} --out run 2>/dev/full");
    let output = in_shell(&place, "", &line).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8(output.stdout).unwrap().contains("run folder: run"));
    let line = "train nothing-there 2>/dev/full";
    assert_eq!(in_shell(&place, "", line).output().unwrap().status.code(), Some(2));
    let closed = format!("train digits {QUICK} --out again 2>&-");
    assert_eq!(in_shell(&place, "", &closed).output().unwrap().status.code(), Some(0));
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
