//! The binary while it runs: what it says, and signals to it.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStderr, Command};
use std::time::Duration;

pub(crate) struct Running {
    pub(crate) child: Child,
    said: BufReader<ChildStderr>,
}

impl Running {
    /// Starts `command` as the head of a process group of its own.
    pub(crate) fn of(mut command: Command) -> Self {
        let mut child = command.process_group(0).spawn().unwrap();
        let said = BufReader::new(child.stderr.take().unwrap());
        Self { child, said }
    }

    /// Waits for a line with `part`, and then a little longer.
    pub(crate) fn wait_for(&mut self, part: &str, millis: u64) {
        let mut line = String::new();
        while !line.contains(part) {
            line.clear();
            assert!(self.said.read_line(&mut line).unwrap() > 0, "{part:?} was never said");
        }
        std::thread::sleep(Duration::from_millis(millis));
    }

    /// Sends a signal to the process alone.
    pub(crate) fn kill(&self, signal: &str) {
        send(signal, &self.child.id().to_string());
    }

    /// Sends a signal to the process and all that it started.
    pub(crate) fn kill_group(&self, signal: &str) {
        send(signal, &format!("-{}", self.child.id()));
    }

    /// The exit code, `None` if a signal ended the process, and what it still said.
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        let rest: Vec<String> = self.said.by_ref().lines().map(Result::unwrap).collect();
        (self.child.wait().unwrap().code(), rest.join("\n"))
    }
}

fn send(signal: &str, process: &str) {
    assert!(Command::new("kill").args([signal, "--", process]).status().unwrap().success());
}
