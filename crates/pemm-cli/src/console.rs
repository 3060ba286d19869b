//! What a person sees: progress on standard error, results on standard output.

use std::io::{IsTerminal, Write};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use pemm_data::shown_lines;
use serde::Serialize;

use crate::failure::Failure;

/// A line on standard error, or several, with the control characters that a name may hold spelled out.
/// If nobody can read it (a closed pipe, a full disk, a terminal that is gone), that is no reason to end
/// the work.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{}", shown_lines(line));
}

/// How to speak: `--quiet`, `--json`, and whether somebody watches.
#[derive(Debug)]
pub(crate) struct Console {
    quiet: bool,
    json: bool,
    terminal: bool,
}

impl Console {
    /// Looks at standard error to see whether it is a terminal.
    pub(crate) fn new(quiet: bool, json: bool) -> Self {
        Self { quiet, json, terminal: std::io::stderr().is_terminal() }
    }

    /// Whether only results are wanted.
    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Whether results are JSON.
    pub(crate) fn json(&self) -> bool {
        self.json
    }

    /// A line about the work, on standard error.
    pub(crate) fn note(&self, line: &str) {
        if !self.quiet {
            say(line);
        }
    }

    /// Something that is allowed but probably not meant, on standard error, `--quiet` or not.
    pub(crate) fn warn(&self, line: &str) {
        say(&format!("warning: {line}"));
    }

    /// A result, on standard output: a value with `--json`, else a text.
    pub(crate) fn result(&self, text: &str, value: &impl Serialize) -> Result<(), Failure> {
        if self.json {
            let value = serde_json::to_string(value)
                .map_err(|error| Failure::new(format!("cannot write JSON: {error}")))?;
            self.line(&value)
        } else {
            self.line(text.trim_end())
        }
    }

    /// A line on standard output. A terminal gets names with their control characters spelled out; a
    /// file and a program get them as they are. A reader that went away (`| head`) ends the command
    /// quietly.
    pub(crate) fn line(&self, line: &str) -> Result<(), Failure> {
        let stdout = std::io::stdout();
        let line = if stdout.is_terminal() { shown_lines(line) } else { line.into() };
        match writeln!(stdout.lock(), "{line}") {
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
            result => result.map_err(|error| Failure::new(format!("standard output: {error}"))),
        }
    }

    /// A bar with time left and rate, drawn only where somebody watches.
    pub(crate) fn bar(&self, length: u64, what: &'static str) -> ProgressBar {
        let target = if self.quiet || !self.terminal {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr_with_hz(8)
        };
        let template = format!(
            "{{prefix}}{{bar:28}} {{pos}}/{{len}} {what}  {{per_sec}}  {{eta}} left  {{msg}}"
        );
        let style = ProgressStyle::with_template(&template).expect("the template is valid");
        ProgressBar::with_draw_target(Some(length), target).with_style(style.progress_chars("━╸ "))
    }

    /// A count with rate where the length is not known before, drawn where bars are.
    pub(crate) fn counter(&self, what: &'static str) -> ProgressBar {
        let style =
            ProgressStyle::with_template(&format!("{{spinner}} {{pos}} {what}  {{per_sec}}"));
        self.bar(0, what).with_style(style.expect("the template is valid"))
    }

    /// Whether bars are drawn; without, plain lines tell how far the work is.
    pub(crate) fn draws(&self) -> bool {
        self.terminal && !self.quiet
    }
}
