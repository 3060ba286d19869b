//! A file is replaced whole or not at all, see [`pemm_data::disk`]; and what is said where that fails.

use std::io::{self, ErrorKind};
use std::path::Path;

use pemm_data::disk;

use crate::error::{Result, RunError};

/// Writes `bytes` as the file `path`, which holds either its old content or all of `bytes`.
///
/// # Errors
/// [`RunError::Full`] without space, else [`RunError::Io`]; both name `path`, and an existing file
/// is as it was before.
pub fn atomic(path: &Path, bytes: &[u8]) -> Result<()> {
    disk::whole(path, bytes).map_err(|source| failed(path, source))
}

/// The error for `source` while writing `path`, before anything was replaced.
pub(crate) fn failed(path: &Path, source: io::Error) -> RunError {
    if [ErrorKind::StorageFull, ErrorKind::QuotaExceeded].contains(&source.kind()) {
        return RunError::Full { path: path.to_path_buf() };
    }
    RunError::io(path, source)
}

#[cfg(test)]
mod tests {
    use pemm_data::disk::faults::{self, Fault};

    use super::*;

    #[test]
    fn a_full_disk_in_the_middle_leaves_the_old_file_and_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("record.json");
        atomic(&path, b"old").unwrap();
        let fault = Fault { at: 2, lasts: true, kind: ErrorKind::StorageFull };
        let (result, _) = faults::with(Some(fault), || atomic(&path, b"the new one"));
        let message = result.unwrap_err().to_string();
        assert!(message.contains("record.json: no space left on the disk"), "{message}");
        assert!(message.contains("nothing was overwritten"), "{message}");
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
    }

    #[test]
    fn errors_name_the_path() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("missing").join("record.json");
        let message = atomic(&path, b"x").unwrap_err().to_string();
        assert!(message.starts_with(&path.display().to_string()), "{message}");
    }
}
