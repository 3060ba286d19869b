//! `pemm train --tui`, without a terminal and in one that `script` (util-linux) makes.

use crate::place::{Place, QUICK};

#[test]
fn without_a_terminal_there_are_plain_lines_and_a_note() {
    let place = Place::new();
    let train = format!("train digits --noise symmetric:0.4 {QUICK} --tui");
    let said = place.pemm(&format!("{train} --out run")).ok();
    assert!(said.err.contains("--tui is not possible here (the output is no terminal)"), "{said}");
    assert!(said.err.contains("epoch   2/2"), "{said}");
    assert_eq!(place.pemm(&format!("{train} --out quiet --quiet")).ok().err, "");
}

#[cfg(target_os = "linux")]
mod in_a_terminal {
    use std::io::{Read, Write};
    use std::process::{Child, ChildStdout, Command, Stdio};
    use std::time::Duration;

    use super::*;

    const ENTER: &str = "\u{1b}[?1049h";
    const LEAVE: &str = "\u{1b}[?1049l";

    /// The binary in a terminal of its own.
    struct Running {
        child: Child,
        screen: ChildStdout,
        seen: Vec<u8>,
    }

    impl Running {
        /// `None`, and why, where there is no `script`.
        fn start(
            place: &Place,
            before: &str,
            line: &str,
            [columns, rows]: [u16; 2],
        ) -> Option<Self> {
            if Command::new("script").arg("--version").output().is_err() {
                println!("skipped: there is no program `script`");
                return None;
            }
            let binary = env!("CARGO_BIN_EXE_pemm");
            let inside = format!(
                "stty rows {rows} cols {columns}; echo $$ > pid; {before}exec '{binary}' {line}"
            );
            let mut command = Command::new("script");
            command.args(["-qec", &inside, "/dev/null"]).current_dir(place.path(""));
            command.env("TERM", "xterm-256color").env("SHELL", "/bin/sh").env_remove("NO_COLOR");
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
            let mut child = command.spawn().unwrap();
            let screen = child.stdout.take().unwrap();
            Some(Self { child, screen, seen: Vec::new() })
        }

        fn text(&self) -> String {
            String::from_utf8_lossy(&self.seen).into_owned()
        }

        /// Waits until `part` was written.
        fn wait_for(&mut self, part: &str) {
            let mut bytes = [0; 4096];
            while !self.text().contains(part) {
                let length = self.screen.read(&mut bytes).unwrap();
                assert!(length > 0, "{part:?} was never written: {}", self.text());
                self.seen.extend(&bytes[..length]);
            }
        }

        fn press(&mut self, keys: &[u8]) {
            self.child.stdin.as_mut().unwrap().write_all(keys).unwrap();
        }

        /// The exit code, and all that was written.
        fn end(mut self) -> (Option<i32>, String) {
            self.screen.read_to_end(&mut self.seen).unwrap();
            (self.child.wait().unwrap().code(), self.text())
        }
    }

    #[test]
    fn a_run_is_drawn_and_its_result_stands_on_the_screen_of_before() {
        let place = Place::new();
        let line = format!("train digits --noise symmetric:0.4 {QUICK} --tui --out run");
        let Some(running) = Running::start(&place, "", &line, [80, 24]) else { return };
        let (code, text) = running.end();
        assert_eq!(code, Some(0), "{text}");
        let (before, from) = text.split_once(ENTER).expect("the dashboard appears");
        let (drawn, after) = from.rsplit_once(LEAVE).expect("the dashboard disappears");
        assert!(before.contains("run folder run"), "{text}");
        assert!(drawn.contains("accuracy") && drawn.contains("epoch"), "{text}");
        assert!(after.contains("test accuracy after the last epoch (2)"), "{text}");
    }

    #[test]
    fn q_and_ctrl_c_and_a_signal_stop_and_the_run_can_go_on() {
        let place = Place::new();
        let train = "train digits --set model.backbone=cnn8 --set model.width=16 \
                     --set schedule.num_epochs=300 --tui --out run";
        for stop in ["q", "\u{3}", "signal"] {
            let Some(mut running) = Running::start(&place, "", train, [80, 24]) else { return };
            running.wait_for(ENTER);
            running.wait_for("images/s");
            if stop == "signal" {
                let process = place.text("pid");
                let killed = Command::new("kill").args(["-TERM", process.trim()]).status();
                assert!(killed.unwrap().success());
            } else {
                running.press(stop.as_bytes());
            }
            let (code, text) = running.end();
            let expected = if stop == "signal" { 143 } else { 130 };
            assert_eq!(code, Some(expected), "{stop:?} {text}");
            let (_, after) = text.rsplit_once(LEAVE).expect("the terminal is given back");
            let told = "the same command with --out run continues";
            assert!(after.contains(told), "{stop:?} {after}");
        }
        assert_eq!(place.json("run/record.json")["status"], "interrupted");
    }

    /// Whether the process that wrote its number into `pid` has ended within some seconds.
    fn has_ended(place: &Place) -> bool {
        let process = format!("/proc/{}/status", place.text("pid").trim());
        (0..80).any(|_| {
            std::thread::sleep(Duration::from_millis(100));
            // Its parent is gone, so it may be that nobody looks at how it ended.
            std::fs::read_to_string(&process).map_or(true, |status| status.contains("State:\tZ"))
        })
    }

    #[test]
    fn a_run_whose_terminal_goes_away_stops_and_can_go_on() {
        let place = Place::new();
        let train = "train digits --set model.backbone=cnn8 --set model.width=16 \
                     --set schedule.num_epochs=300 --tui --out run";
        let Some(mut running) = Running::start(&place, "", train, [80, 24]) else { return };
        running.wait_for("images/s");
        running.child.kill().unwrap();
        running.child.wait().unwrap();
        assert!(has_ended(&place), "it goes on without a terminal");
        assert_eq!(place.json("run/record.json")["status"], "interrupted");
    }

    #[test]
    fn a_run_that_is_to_outlive_its_terminal_goes_on_without_it() {
        let place = Place::new();
        let train = "train digits --set model.backbone=cnn8 --set model.width=16 \
                     --set schedule.num_epochs=20 --tui --out run";
        let Some(mut running) = Running::start(&place, "trap '' HUP; ", train, [80, 24]) else {
            return;
        };
        running.wait_for("images/s");
        running.child.kill().unwrap();
        running.child.wait().unwrap();
        for _ in 0..10 {
            if has_ended(&place) {
                break;
            }
        }
        assert_eq!(place.json("run/record.json")["status"], "finished");
    }

    #[test]
    fn a_tiny_terminal_gets_plain_lines() {
        let place = Place::new();
        let line = format!("train digits {QUICK} --tui --out run");
        let Some(running) = Running::start(&place, "", &line, [30, 24]) else { return };
        let (code, text) = running.end();
        assert_eq!(code, Some(0), "{text}");
        assert!(!text.contains(ENTER) && text.contains("30×24 characters"), "{text}");
    }
}
