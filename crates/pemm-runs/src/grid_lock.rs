//! One grid at a time in a folder, so that two do not start the same runs.

use std::path::Path;

use pemm_data::disk::{self, Unlocked};
use pemm_experiment::grid::GRID_LOCK;

use crate::error::{Result, RunError};
use crate::locked::lock_file;

/// The lock of a grid's folder; it ends with the value, or with the process.
#[derive(Debug)]
pub struct GridLock {
    _file: Unlocked,
}

impl GridLock {
    /// Locks the folder `path`, made if missing.
    ///
    /// # Errors
    /// [`RunError::GridBusy`] if another process holds it, [`RunError::Full`], [`RunError::Io`].
    pub fn take(path: &Path) -> Result<Self> {
        disk::make_folder(path).map_err(|source| RunError::io(path, source))?;
        let busy = || RunError::GridBusy { path: path.to_path_buf() };
        Ok(Self { _file: lock_file(&path.join(GRID_LOCK))?.ok_or_else(busy)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_grid_is_refused_until_the_first_ends() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("runs");
        let first = GridLock::take(&path).unwrap();
        let message = GridLock::take(&path).unwrap_err().to_string();
        assert!(message.contains("another `pemm grid` is at work"), "{message}");
        drop(first);
        GridLock::take(&path).unwrap();
    }
}
