//! Errors as the shell sees them: a message and an exit code.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "an error that is not named here is a failure of the work, exit code 1"
)]

use std::io;
use std::path::Path;
use std::process::ExitCode;

use pemm_data::source::nearest_sibling;

use crate::console::say;
use crate::interrupt;

/// Why a command did not succeed.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    code: u8,
    was_interrupted: bool,
}

impl Failure {
    /// A failure of the work itself, exit code 1.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: 1, was_interrupted: false }
    }
    /// Wrong arguments or settings, exit code 2.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: 2, was_interrupted: false }
    }
    /// Stopped by Ctrl-C or a signal, exit code 130, 143 or 129.
    pub(crate) fn interrupted(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: interrupt::code(), was_interrupted: true }
    }
    /// The text file `path`, which the user named, cannot be read.
    pub(crate) fn unread(path: &Path, error: &io::Error) -> Self {
        let reason = match error.kind() {
            io::ErrorKind::NotFound => match nearest_sibling(path) {
                Some(near) => format!("there is no such file; did you mean {}?", near.display()),
                None => "there is no such file".into(),
            },
            io::ErrorKind::IsADirectory => "is a folder; name a .toml file".into(),
            _ => error.to_string(),
        };
        Self::usage(format!("{}: {reason}", path.display()))
    }
    /// What went wrong.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }
    /// Prints the message and gives the exit code.
    pub(crate) fn report(self) -> ExitCode {
        if !self.message.is_empty() {
            let label = if self.was_interrupted { "interrupted" } else { "error" };
            say(&format!("{label}: {}", self.message));
        }
        ExitCode::from(self.code)
    }
}

/// An error with everything that caused it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        // Transparent errors and those that print their cause would say it twice.
        if !message.contains(&cause.to_string()) {
            message = format!("{message}: {cause}");
        }
        source = cause.source();
    }
    message
}

impl From<pemm::Error> for Failure {
    fn from(error: pemm::Error) -> Self {
        let message = chain(&error);
        match error {
            pemm::Error::Experiment(error) => error.into(),
            pemm::Error::Embed(error) => error.into(),
            pemm::Error::Data(error) => error.into(),
            pemm::Error::Run(error) => error.into(),
            _ => Self::new(message),
        }
    }
}

impl From<pemm_experiment::ExperimentError> for Failure {
    fn from(error: pemm_experiment::ExperimentError) -> Self {
        match error {
            pemm_experiment::ExperimentError::Data(error) => error.into(),
            error => Self::usage(chain(&error)),
        }
    }
}

impl From<pemm_embed::EmbedError> for Failure {
    fn from(error: pemm_embed::EmbedError) -> Self {
        let message = chain(&error);
        match error {
            pemm_embed::EmbedError::Cancelled { .. } => Self::interrupted(format!(
                "{message}; the features so far are kept, run the same command to continue"
            )),
            pemm_embed::EmbedError::Io { path, source }
                if source.kind() == std::io::ErrorKind::NotFound =>
            {
                Self::usage(format!(
                    "{}: there is no such file; say where the pretrained backbone is with --backbone FILE.onnx",
                    path.display()
                ))
            }
            pemm_embed::EmbedError::Io { .. } | pemm_embed::EmbedError::NotFinite { .. } => {
                Self::new(message)
            }
            _ => Self::usage(message),
        }
    }
}

impl From<pemm_data::DataError> for Failure {
    fn from(error: pemm_data::DataError) -> Self {
        let message = chain(&error);
        match error {
            pemm_data::DataError::Setting { .. } => Self::usage(message),
            pemm_data::DataError::Stopped => Self::interrupted(
                "while images were read; what was done so far is kept. The same command with the same --out continues",
            ),
            _ => Self::new(message),
        }
    }
}

impl From<pemm_energy::EnergyError> for Failure {
    fn from(error: pemm_energy::EnergyError) -> Self {
        let pemm_energy::EnergyError::Setting { key, reason } = error;
        // Every parameter is an argument of its name, but for the start, which is drawn.
        let dashes = if key == "start" { "" } else { "--" };
        Self::usage(format!("{dashes}{key}: {reason}"))
    }
}

impl From<pemm_runs::RunError> for Failure {
    fn from(error: pemm_runs::RunError) -> Self {
        use pemm_runs::RunError::{Data, Experiment, Foreign, NoRun, NoRuns, OtherExperiment};
        let message = chain(&error);
        match error {
            NoRun { .. } | NoRuns { .. } | Foreign { .. } | OtherExperiment { .. } => {
                Self::usage(message)
            }
            Experiment(error) => error.into(),
            Data(error) => error.into(),
            _ => Self::new(message),
        }
    }
}

impl From<pemm_audit::AuditError> for Failure {
    fn from(error: pemm_audit::AuditError) -> Self {
        Self::usage(chain(&error))
    }
}

impl From<pemm_report::ReportError> for Failure {
    fn from(error: pemm_report::ReportError) -> Self {
        match error {
            pemm_report::ReportError::Run(error) => error.into(),
            error => Self::new(chain(&error)),
        }
    }
}
