//! The one error type of this crate. A message gives where, the rule, and the value.

use std::path::{Path, PathBuf};

use crate::config::BrokenImages;
use crate::shown::{shown, shown_lines};

/// Shorthand for this crate's results.
pub type Result<T, E = DataError> = std::result::Result<T, E>;

/// Everything that can be wrong with data that somebody hands us.
///
/// Names of files and what stands in them may hold characters that steer a terminal; messages spell
/// these out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// A file or folder could not be read or written.
    #[error("{}: {source}", place(path))]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A file is not what its format promises.
    #[error("{}: {}", place(path), shown_lines(reason))]
    Format {
        /// The file.
        path: PathBuf,
        /// The rule and the value that breaks it, and where in the file.
        reason: String,
    },
    /// A setting is outside its range, or does not fit the data.
    #[error("{key}: {}", shown_lines(reason))]
    Setting {
        /// The key as written in an experiment file, for example `data.limit`.
        key: String,
        /// The rule and the value, and what to do.
        reason: String,
    },
    /// Images that do not decode, by name.
    #[error("{} cannot be read:\n{}", images(broken.len()), first_lines(broken))]
    Broken {
        /// Path and reason of each broken image.
        broken: Vec<(PathBuf, String)>,
    },
    /// More images that do not decode than may be left out unasked.
    #[error(
        "{} of {num_images} images cannot be read. Up to one in {} is left out by itself; these are more:\n{}",
        broken.len(),
        BrokenImages::FEW,
        first_lines(broken)
    )]
    ManyBroken {
        /// Path and reason of each broken image.
        broken: Vec<(PathBuf, String)>,
        /// Images in all, sound or broken.
        num_images: usize,
    },
    /// The work was stopped from outside before it ended.
    #[error("stopped while the data were read")]
    Stopped,
}

impl DataError {
    /// An input or output error with its path.
    pub fn io(path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        Self::Io { path: path.into(), source }
    }
    /// A format error with its path.
    pub fn format(path: impl Into<PathBuf>, reason: impl Into<String>) -> Self {
        Self::Format { path: path.into(), reason: reason.into() }
    }
    /// A setting error with its key.
    pub fn setting(key: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Setting { key: key.into(), reason: reason.into() }
    }
}

fn place(path: &Path) -> String {
    shown(&path.display().to_string()).into_owned()
}

fn images(num: usize) -> String {
    if num == 1 { "1 image".into() } else { format!("{num} images") }
}

fn first_lines(broken: &[(PathBuf, String)]) -> String {
    const SHOWN: usize = 20;
    let mut lines: Vec<String> = broken
        .iter()
        .take(SHOWN)
        .map(|(path, reason)| format!("  {}: {}", place(path), shown(reason)))
        .collect();
    if broken.len() > SHOWN {
        lines.push(format!("  … and {} more", broken.len() - SHOWN));
    }
    let advice = "repair or remove them, or leave them out: --set data.broken=skip in training, \
                  --skip-broken in predicting";
    lines.push(advice.into());
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_do_not_steer_the_terminal() {
        let path = PathBuf::from("a\u{1b}[2J/\u{202e}gpj.png");
        let errors = [
            DataError::format(&path, "a \u{1b}[31mred\nreason"),
            DataError::io(&path, std::io::Error::other("no")),
            DataError::setting("data.path", "b\u{7}ell"),
            DataError::Broken { broken: vec![(path, "bad\r".into())] },
        ];
        for error in errors {
            let message = error.to_string();
            let is_plain = |c: char| c == '\n' || !(c.is_control() || c == '\u{202e}');
            assert!(message.chars().all(is_plain), "{message:?}");
        }
    }
}
