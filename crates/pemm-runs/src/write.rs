//! A file is replaced whole or not at all: temporary file in the same folder, sync, rename, sync of
//! the folder. A run that is killed at any moment leaves either the old file or the new one, and maybe
//! the temporary one, which the next that writes into the folder removes. A temporary file is locked as
//! long as its process lives, so those of others that are at work are told from what was left behind.

use std::fs::{self, DirEntry, File};
use std::io::{self, ErrorKind, Write};
use std::path::Path;
use std::time::Duration;

use crate::error::{Result, RunError};

const PREFIX: &str = ".pemm-";
const SUFFIX: &str = ".part";
/// A temporary file is made a moment before it is locked.
const MOMENT: Duration = Duration::from_secs(2);

/// Writes `bytes` as the file `path`, which holds either its old content or all of `bytes`.
///
/// # Errors
/// [`RunError::Full`] without space, else [`RunError::Io`]; both name `path`, and an existing file
/// is as it was before.
pub fn atomic(path: &Path, bytes: &[u8]) -> Result<()> {
    atomic_with(path, |file| file.write_all(bytes))
}

/// As [`atomic`], for content that `fill` writes piece by piece.
///
/// # Errors
/// As [`atomic`]; an error of `fill` leaves the old file.
pub fn atomic_with(path: &Path, fill: impl FnOnce(&mut File) -> io::Result<()>) -> Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let folder = parent.unwrap_or(Path::new("."));
    replace(folder, path, fill).map_err(|source| failed(path, source))?;
    sync_folder(folder)
}

fn replace(
    folder: &Path,
    path: &Path,
    fill: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<()> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(PREFIX).suffix(SUFFIX);
    // tempfile's own default is 0600: nobody else could read the results. The umask still applies.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    sweep_in(folder);
    let mut temporary = builder.tempfile_in(folder)?;
    // Where files cannot be locked, none is swept either.
    let _ = temporary.as_file().lock();
    fill(temporary.as_file_mut())?;
    temporary.as_file().sync_all()?;
    temporary.persist(path).map_err(|failed| failed.error)?;
    Ok(())
}

/// The error for `source` while writing `path`, before anything was replaced.
pub(crate) fn failed(path: &Path, source: io::Error) -> RunError {
    if [ErrorKind::StorageFull, ErrorKind::QuotaExceeded].contains(&source.kind()) {
        return RunError::Full { path: path.to_path_buf() };
    }
    RunError::io(path, source)
}

/// Makes the names in `folder` durable; where a folder cannot be opened as a file (Windows), the
/// file system does so itself.
pub(crate) fn sync_folder(folder: &Path) -> Result<()> {
    if cfg!(unix) {
        let sync = File::open(folder).and_then(|folder| folder.sync_all());
        sync.map_err(|source| RunError::io(folder, source))?;
    }
    Ok(())
}

/// Whether `name` is that of a temporary file that a killed process may have left behind.
pub(crate) fn is_temporary(name: &str) -> bool {
    name.starts_with(PREFIX) && name.ends_with(SUFFIX)
}

/// Removes temporary files that killed processes left in `folder`. That one cannot be removed is no
/// reason not to write.
fn sweep_in(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let age = entry.metadata().and_then(|data| data.modified()).map(|time| time.elapsed());
        if is_left(&entry) && matches!(age, Ok(Ok(age)) if age > MOMENT) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Removes temporary files that a killed process left in `folder`, however young. Only for who holds
/// its lock.
pub(crate) fn sweep(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder).map_err(|source| RunError::io(folder, source))? {
        let entry = entry.map_err(|source| RunError::io(folder, source))?;
        if is_left(&entry) {
            fs::remove_file(entry.path()).map_err(|source| RunError::io(entry.path(), source))?;
        }
    }
    Ok(())
}

/// Whether `entry` is a temporary file that no process is at work on.
fn is_left(entry: &DirEntry) -> bool {
    let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
    if !is_file || !is_temporary(&entry.file_name().to_string_lossy()) {
        return false;
    }
    let lock = File::options().write(true).open(entry.path()).map(|file| file.try_lock());
    matches!(lock, Ok(Ok(())))
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn replaces_the_whole_file_and_leaves_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("record.json");
        atomic(&path, b"a long first content").unwrap();
        atomic(&path, b"short").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"short");
        assert_eq!(names(folder.path()), ["record.json"]);
    }

    #[test]
    fn a_full_disk_in_the_middle_leaves_the_old_file_and_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("record.json");
        atomic(&path, b"old").unwrap();
        let error = atomic_with(&path, |file| {
            file.write_all(b"half of the ne")?;
            Err(ErrorKind::StorageFull.into())
        });
        let message = error.unwrap_err().to_string();
        assert!(message.contains("record.json: no space left on the disk"), "{message}");
        assert!(message.contains("nothing was overwritten"), "{message}");
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(folder.path()), ["record.json"]);
    }

    #[test]
    fn errors_name_the_path() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("missing").join("record.json");
        let message = atomic(&path, b"x").unwrap_err().to_string();
        assert!(message.starts_with(&path.display().to_string()), "{message}");
        let path = folder.path().join("taken");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("inside"), "kept").unwrap();
        assert!(atomic(&path, b"x").is_err());
        assert_eq!(fs::read(path.join("inside")).unwrap(), b"kept");
        assert_eq!(names(folder.path()), ["taken"]);
    }

    #[cfg(unix)]
    #[test]
    fn the_file_has_the_permissions_of_any_new_file() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let (ours, plain) = (folder.path().join("ours"), folder.path().join("plain"));
        atomic(&ours, b"x").unwrap();
        fs::write(&plain, "x").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&ours), mode(&plain));
    }

    #[test]
    fn what_killed_processes_left_goes_and_what_others_write_stays() {
        let folder = tempfile::tempdir().unwrap();
        let old = SystemTime::now() - Duration::from_secs(60);
        let leave = |name: &str, time: SystemTime| {
            let file = File::create(folder.path().join(name)).unwrap();
            file.set_modified(time).unwrap();
            file
        };
        leave(".pemm-left.part", old);
        leave(".pemm-young.part", SystemTime::now());
        leave("data.part", old);
        let at_work = leave(".pemm-work.part", old);
        at_work.lock().unwrap();
        atomic(&folder.path().join("record.json"), b"x").unwrap();
        let mut left = names(folder.path());
        left.sort();
        assert_eq!(left, [".pemm-work.part", ".pemm-young.part", "data.part", "record.json"]);
        drop(at_work);
        atomic(&folder.path().join("record.json"), b"y").unwrap();
        assert!(!names(folder.path()).contains(&".pemm-work.part".into()));
    }

    #[test]
    fn sweep_removes_only_its_own_leftovers() {
        let folder = tempfile::tempdir().unwrap();
        for name in [".pemm-abc.part", "data.part", ".pemm-notes"] {
            fs::write(folder.path().join(name), "x").unwrap();
        }
        sweep(folder.path()).unwrap();
        let mut left = names(folder.path());
        left.sort();
        assert_eq!(left, [".pemm-notes", "data.part"]);
    }
}
