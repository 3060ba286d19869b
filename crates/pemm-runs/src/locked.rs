//! A run folder that is locked: one process at a time writes to it, and where it was locked.

use std::fs::{self, File, TryLockError};
use std::ops::Deref;
use std::path::Path;
use std::time::{Duration, Instant};

use pemm_data::disk::{self, Unlocked};
use pemm_data::noise::NoiseManifest;
use serde::Serialize;

use crate::environment::Environment;
use crate::epoch::EpochRecord;
use crate::error::{Result, RunError};
use crate::folder::{ENVIRONMENT, LOCK, LOG, NOISE, RECORD, RunFolder};
use crate::log::Log;
use crate::record::Record;
use crate::write;

/// A run folder that this process alone may write to, as long as the value lives and the folder stays
/// where it is. The lock belongs to the folder, and what is written goes to its path, so each write
/// first looks whether the two are still one.
#[derive(Debug)]
pub struct LockedFolder {
    folder: RunFolder,
    lock: Unlocked,
}

impl RunFolder {
    /// Removes temporary files of a killed process, if no other process works in the folder.
    pub fn tidy(&self) {
        if let Ok(_lock) = lock(&self.path) {
            // That one cannot be removed is no reason not to tell a run.
            let _ = disk::sweep(&self.path);
        }
    }

    /// Waits until no process works in the folder `path`, for `patience` at most. Another may still
    /// come first.
    pub fn wait_until_free(path: &Path, patience: Duration) {
        const PAUSE: Duration = Duration::from_millis(100);
        let since = Instant::now();
        let is_busy = || {
            // A lock file is made by who claims the folder.
            path.join(LOCK).is_file() && matches!(lock(path), Err(RunError::Busy { .. }))
        };
        while is_busy() && since.elapsed() < patience {
            std::thread::sleep(PAUSE);
        }
    }
}

impl LockedFolder {
    /// Locks `folder`, which is there.
    ///
    /// # Errors
    /// [`RunError::Busy`] if another process holds the lock, [`RunError::Io`].
    pub(crate) fn of(folder: &RunFolder) -> Result<Self> {
        Ok(Self { lock: lock(&folder.path)?, folder: folder.clone() })
    }

    /// Replaces the file `name` of the layout by `bytes`, whole or not at all.
    ///
    /// # Errors
    /// [`RunError::Moved`], [`RunError::Full`], [`RunError::Io`].
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        self.check_place()?;
        write::atomic(&self.file(name), bytes)
    }

    /// Whether the folder that is locked is still the one at its path.
    ///
    /// # Errors
    /// [`RunError::Moved`].
    pub fn check_place(&self) -> Result<()> {
        if is_same_file(&self.lock, &self.file(LOCK)) {
            return Ok(());
        }
        Err(RunError::Moved { path: self.path.clone() })
    }

    /// Writes `environment.json`.
    ///
    /// # Errors
    /// [`RunError::Full`], [`RunError::Io`].
    pub fn write_environment(&self, environment: &Environment) -> Result<()> {
        self.write_json(ENVIRONMENT, environment)
    }

    /// Writes the manifest of the noise draw.
    ///
    /// # Errors
    /// [`RunError::Full`], [`RunError::Io`].
    pub fn write_noise(&self, manifest: &NoiseManifest) -> Result<()> {
        self.write_json(NOISE, manifest)
    }

    /// Writes the record.
    ///
    /// # Errors
    /// [`RunError::Full`], [`RunError::Io`].
    pub fn write_record(&self, record: &Record) -> Result<()> {
        self.check_place()?;
        record.write(&self.file(RECORD))
    }

    /// Opens the log for appending after `epochs`, those of the checkpoint (none without one). Later
    /// lines are cut off.
    ///
    /// # Errors
    /// [`RunError::Format`] if the log does not begin with those epochs; [`RunError::Io`].
    pub fn open_log(&self, epochs: &[EpochRecord]) -> Result<Log> {
        self.check_place()?;
        Log::open(&self.file(LOG), epochs)
    }

    pub(crate) fn write_json(&self, name: &str, value: &impl Serialize) -> Result<()> {
        let path = self.file(name);
        let mut text = serde_json::to_vec_pretty(value)
            .map_err(|error| RunError::format(&path, error.to_string()))?;
        text.push(b'\n');
        self.write(name, &text)
    }
}

impl Deref for LockedFolder {
    type Target = RunFolder;
    fn deref(&self) -> &RunFolder {
        &self.folder
    }
}

/// The lock of folder `path`. It ends with the value, and the system releases it whatever ends the
/// process; the file stays, because removing it would let two processes lock two files.
fn lock(path: &Path) -> Result<Unlocked> {
    let busy = || RunError::Busy { path: path.to_path_buf() };
    lock_file(&path.join(LOCK))?.ok_or_else(busy)
}

/// The file `path`, made if missing and locked; `None` if another process holds its lock.
pub(crate) fn lock_file(path: &Path) -> Result<Option<Unlocked>> {
    let file = disk::open(path, &mut File::options());
    let file = Unlocked(file.map_err(|source| write::failed(path, source))?);
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(source)) => Err(RunError::io(path, source)),
    }
}

/// Whether `file`, which is open, is what lies at `path`.
#[cfg(unix)]
fn is_same_file(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;

    let place = |data: fs::Metadata| (data.dev(), data.ino());
    match (file.metadata(), fs::symlink_metadata(path)) {
        (Ok(open), Ok(there)) => place(open) == place(there),
        _ => false,
    }
}

/// Whether `file`, which is open, is what lies at `path`. Windows moves no folder with open files.
#[cfg(not(unix))]
fn is_same_file(_: &File, path: &Path) -> bool {
    path.is_file()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claim::tests::{TOML, locked, manifest};
    use crate::folder::STATE;
    use crate::record::tests::record;

    #[test]
    fn a_folder_belongs_to_one_process_at_a_time() {
        let root = tempfile::tempdir().unwrap();
        let first = locked(RunFolder::claim(root.path(), "h", TOML));
        let busy = RunFolder::claim(root.path(), "h", TOML);
        assert!(matches!(busy, Err(RunError::Busy { .. })), "{busy:?}");
        drop(first);
        locked(RunFolder::claim(root.path(), "h", TOML));
    }

    /// Moved away, removed, and replaced by the folder of another process.
    #[cfg(unix)]
    #[test]
    fn nothing_is_written_to_a_folder_that_is_no_longer_the_locked_one() {
        let root = tempfile::tempdir().unwrap();
        let (here, there) = (root.path().join("run"), root.path().join("moved"));
        let record = record("pemm", 1, 0.9);
        let folder = locked(RunFolder::claim(&here, &record.identity, TOML));
        let refused = |folder: &LockedFolder| {
            let message = folder.write_record(&record).unwrap_err().to_string();
            assert!(message.contains("run: was moved, removed or replaced"), "{message}");
            for refused in [
                folder.write(STATE, b"state"),
                folder.write_noise(&manifest()),
                folder.write_environment(&record.environment),
                folder.open_log(&[]).map(|_| ()),
            ] {
                assert!(matches!(refused, Err(RunError::Moved { .. })), "{refused:?}");
            }
        };
        fs::rename(&here, &there).unwrap();
        refused(&folder);
        assert!(!here.exists());
        // The other process has it now, and the first has its own again once it lies there.
        let other = locked(RunFolder::claim(&here, &record.identity, TOML));
        refused(&folder);
        other.write_record(&record).unwrap();
        let held = RunFolder::claim(&there, &record.identity, TOML);
        assert!(matches!(held, Err(RunError::Busy { .. })), "{held:?}");
        fs::remove_dir_all(&here).unwrap();
        refused(&other);
        fs::rename(&there, &here).unwrap();
        folder.write_record(&record).unwrap();
    }

    #[test]
    fn a_folder_is_waited_for_until_it_is_free() {
        let root = tempfile::tempdir().unwrap();
        let first = locked(RunFolder::claim(root.path(), "h", TOML));
        let since = Instant::now();
        RunFolder::wait_until_free(root.path(), Duration::from_millis(300));
        assert!(since.elapsed() >= Duration::from_millis(300));
        let ends = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(300));
            drop(first);
        });
        RunFolder::wait_until_free(root.path(), Duration::from_secs(60));
        locked(RunFolder::claim(root.path(), "h", TOML));
        ends.join().unwrap();
    }
}
