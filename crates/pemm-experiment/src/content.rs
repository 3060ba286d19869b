//! Files that an experiment names beside its data. They are part of it with what they hold: a run that
//! continues, and the next run of a grid, has to find the same bytes.

use std::io;
use std::path::Path;

use pemm_data::noise::Transition;

use crate::error::{ExperimentError, Result};
use crate::experiment::Experiment;
use crate::identity::of_bytes;

/// Larger files of weights are refused before they are read.
pub const MAX_WEIGHTS: u64 = 4 << 30;
/// Larger files of a matrix are refused before they are read: 1,000 classes with 64 bytes a value.
const MAX_MATRIX: u64 = 64 << 20;

/// A file that an experiment names.
struct Named<'a> {
    key: &'static str,
    path: Option<&'a str>,
    sha256: &'a mut Option<String>,
    max_len: u64,
}

impl Experiment {
    fn named(&mut self) -> [Named<'_>; 4] {
        let Self { model, loss, objective, pretrained, .. } = self;
        let (matrix, matrix_sha256) = loss.matrix_file();
        let (similarity, similarity_sha256) = objective.similarity_file();
        [
            Named {
                key: "model.weights",
                path: model.weights.as_deref(),
                sha256: &mut model.weights_sha256,
                max_len: MAX_WEIGHTS,
            },
            Named {
                key: "pretrained.backbone",
                path: pretrained.backbone.as_deref(),
                sha256: &mut pretrained.backbone_sha256,
                max_len: MAX_WEIGHTS,
            },
            Named { key: "loss.matrix", path: matrix, sha256: matrix_sha256, max_len: MAX_MATRIX },
            Named {
                key: "objective.similarity",
                path: similarity,
                sha256: similarity_sha256,
                max_len: MAX_MATRIX,
            },
        ]
    }

    /// Writes the SHA-256 of every file that the experiment names beside it.
    ///
    /// # Errors
    /// A file that cannot be read, or holds something else than the hash that stands there says.
    pub fn pin_files(&mut self) -> Result<()> {
        self.named().into_iter().try_for_each(Named::pin)
    }

    /// As [`Self::pin_files`], to compare with the experiment of a record. A record from before
    /// hashes were kept has none, and then none is asked for; and where a file is no more at hand, as
    /// where only records are read, that of the record is believed to be meant.
    ///
    /// # Errors
    /// Those of [`Self::pin_files`].
    pub fn pin_files_as(&mut self, record: &Self) -> Result<()> {
        let mut record = record.clone();
        for (own, theirs) in self.named().into_iter().zip(record.named()) {
            let asks_for_no_other = own.sha256.is_none() || *own.sha256 == *theirs.sha256;
            let is_the_same = own.path.is_some() && own.path == theirs.path && asks_for_no_other;
            match own.path.map(|path| Path::new(path).try_exists()) {
                _ if is_the_same && theirs.sha256.is_none() => {}
                Some(Ok(false)) if is_the_same => own.sha256.clone_from(theirs.sha256),
                _ => own.pin()?,
            }
        }
        Ok(())
    }
}

impl Named<'_> {
    fn pin(self) -> Result<()> {
        let Self { key, path, sha256, max_len } = self;
        let Some(path) = path else {
            return match sha256 {
                None => Ok(()),
                Some(_) => Err(ExperimentError::setting(
                    format!("{key}_sha256"),
                    format!("is the hash of a file that {key} does not name; leave it out"),
                )),
            };
        };
        *sha256 = Some(of_bytes(&read(key, path, sha256.as_deref(), max_len)?));
        Ok(())
    }
}

/// Reads the file at `path`, the value of `key`, and holds it against its hash, where that is known.
pub fn read(key: &str, path: &str, sha256: Option<&str>, max_len: u64) -> Result<Vec<u8>> {
    let bytes = bounded(Path::new(path), max_len)
        .map_err(|error| ExperimentError::setting(key, format!("{path}: {error}")))?;
    let found = of_bytes(&bytes);
    match sha256 {
        Some(wanted) if wanted != found => Err(ExperimentError::setting(
            key,
            format!(
                "{path} has the SHA-256 {found}, and {key}_sha256 asks for {wanted}: it has \
                 changed since; put the old file back, or start anew without {key}_sha256"
            ),
        )),
        _ => Ok(bytes),
    }
}

/// The matrix of K classes in the CSV file at `path`, read as [`read`] does.
///
/// # Errors
/// Those of [`read`] and [`Transition::from_csv`].
pub(crate) fn matrix(
    key: &str,
    path: &str,
    sha256: Option<&str>,
    num_classes: usize,
) -> Result<Transition> {
    let bytes = read(key, path, sha256, MAX_MATRIX)?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(Transition::from_csv(Path::new(path), &text, num_classes)?)
}

fn bounded(path: &Path, max_len: u64) -> io::Result<Vec<u8>> {
    let metadata = std::fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(io::Error::other("is no file"));
    }
    if metadata.len() > max_len {
        return Err(io::Error::other(format!("is larger than {max_len} bytes")));
    }
    std::fs::read(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    // The first example of FIPS 180-4.
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn with_weights(path: &Path) -> Experiment {
        let mut experiment = Experiment::default();
        experiment.model.weights = path.to_str().map(str::to_owned);
        experiment
    }

    #[test]
    fn a_file_is_known_by_what_it_holds() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("w");
        std::fs::write(&file, "abc").unwrap();
        let mut experiment = with_weights(&file);
        experiment.pin_files().unwrap();
        assert_eq!(experiment.model.weights_sha256.as_deref(), Some(ABC));
        experiment.pin_files().unwrap();

        std::fs::write(&file, "abd").unwrap();
        let error = experiment.pin_files().unwrap_err().to_string();
        assert!(error.starts_with("model.weights: ") && error.contains(ABC), "{error}");
        for path in [folder.path().to_path_buf(), folder.path().join("none")] {
            let error = with_weights(&path).pin_files().unwrap_err().to_string();
            assert!(error.contains(path.to_str().unwrap()), "{error}");
        }
        assert!(read("loss.matrix", file.to_str().unwrap(), None, 2).is_err(), "three bytes");
        experiment.model.weights = None;
        let error = experiment.pin_files().unwrap_err().to_string();
        assert!(error.starts_with("model.weights_sha256: "), "{error}");
    }

    #[test]
    fn a_record_is_believed_only_where_nothing_speaks_against_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("w");
        std::fs::write(&file, "abc").unwrap();
        let before_hashes = with_weights(&file);
        let mut record = before_hashes.clone();
        record.pin_files().unwrap();
        let pinned = |record: &Experiment| {
            let mut experiment = with_weights(&file);
            experiment.pin_files_as(record).map(|()| experiment.model.weights_sha256)
        };
        assert_eq!(pinned(&before_hashes).unwrap(), None);
        assert_eq!(pinned(&record).unwrap().as_deref(), Some(ABC));
        std::fs::write(&file, "abd").unwrap();
        assert_ne!(pinned(&record).unwrap().as_deref(), Some(ABC), "the file at hand counts");
        std::fs::remove_file(&file).unwrap();
        assert_eq!(pinned(&record).unwrap().as_deref(), Some(ABC));
        record.clone().pin_files_as(&record).expect("the record itself");
        let elsewhere = with_weights(&folder.path().join("other"));
        assert!(pinned(&elsewhere).is_err(), "another file is not meant");
        let mut said = record.clone();
        said.model.weights_sha256 = Some("0".repeat(64));
        assert!(said.pin_files_as(&record).is_err(), "a hash that was asked for stays");
    }
}
