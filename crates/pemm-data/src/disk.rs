//! The one place that changes files, for all crates.
//!
//! A file is replaced whole or not at all: temporary file in the same folder, sync, rename, sync of
//! the folder. A process that is killed at any moment leaves either the old file or the new one, and
//! maybe the temporary one, which the next that writes into the folder removes. A temporary file is
//! locked as long as its process lives, so those of others that are at work are told from what was
//! left behind.
//!
//! Every operation passes through [`faults`], where tests let the n-th of them fail.

pub mod faults;
mod unlocked;

use std::fs::{self, DirEntry, File, OpenOptions};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::Path;
use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use tempfile::NamedTempFile;

pub use unlocked::Unlocked;

const PREFIX: &str = ".pemm-";
const SUFFIX: &str = ".part";
/// A temporary file is made a moment before it is locked, so one that is not locked may be about to be.
const MOMENT: Duration = Duration::from_secs(2);
/// One from before this process wrote anything needs no more than this: that one of another process is
/// made and locked within it.
const BLINK: Duration = Duration::from_millis(50);
/// When this process first wrote.
static BEGAN: LazyLock<SystemTime> = LazyLock::new(SystemTime::now);

/// Makes the folder `path`, and those that it lies in, where they are missing.
///
/// # Errors
/// What the system says.
pub fn make_folder(path: &Path) -> io::Result<()> {
    faults::step()?;
    fs::create_dir_all(path)
}

/// Makes the folder `path`, which must not be there, in a folder that is.
///
/// # Errors
/// What the system says.
pub fn make_new_folder(path: &Path) -> io::Result<()> {
    faults::step()?;
    fs::create_dir(path)
}

/// Writes `bytes` as the file `path`, which holds either its old content or all of `bytes`.
///
/// # Errors
/// As for [`Pending::keep`].
pub fn whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut pending = Pending::new(path)?;
    pending.write_all(bytes)?;
    pending.keep()
}

/// A file that does not have its name yet. Dropped before [`Pending::keep`], it leaves nothing.
#[derive(Debug)]
pub struct Pending<'a> {
    path: &'a Path,
    file: BufWriter<Faulty<NamedTempFile>>,
}

impl<'a> Pending<'a> {
    /// Opens a temporary file beside `path`.
    ///
    /// # Errors
    /// What the system says.
    pub fn new(path: &'a Path) -> io::Result<Self> {
        let folder = folder_of(path);
        let mut builder = tempfile::Builder::new();
        builder.prefix(PREFIX).suffix(SUFFIX);
        // tempfile's own default is 0600: nobody else could read the results. The umask still applies.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        sweep_old(folder);
        faults::step()?;
        let file = builder.tempfile_in(folder)?;
        // Where files cannot be locked, none is swept either.
        let _ = file.as_file().lock();
        Ok(Self { path, file: BufWriter::new(Faulty(file)) })
    }

    /// Gives the file its name, and makes that durable.
    ///
    /// # Errors
    /// What the system says. The old file is still there, unless it says that the new one was written.
    pub fn keep(self) -> io::Result<()> {
        let Faulty(file) = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        sync(file.as_file())?;
        faults::step()?;
        file.persist(self.path).map_err(|failed| failed.error)?;
        // From here on it is no longer true that the old file is still there.
        sync_folder(folder_of(self.path)).map_err(|error| {
            io::Error::other(format!("was written, and a power cut may still undo that: {error}"))
        })
    }
}

impl Write for Pending<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// What writes its bytes by [`append`].
#[derive(Debug)]
struct Faulty<W>(W);

impl<W: Write> Write for Faulty<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        append(&mut self.0, bytes).map(|()| bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Makes the file `path`, which must not be there. It is synced by nobody.
///
/// # Errors
/// What the system says.
pub fn create_new(path: &Path) -> io::Result<impl Write> {
    faults::step()?;
    Ok(Faulty(File::create_new(path)?))
}

/// Opens the file `path` to write to it, made if missing.
///
/// # Errors
/// What the system says; a link, and anything else that is no file: a pipe would be waited for, and a
/// link that somebody put there would lead what is written to another place.
pub fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error),
        Ok(metadata) if metadata.is_file() => {}
        Ok(metadata) => {
            let what = if metadata.is_symlink() { "a link" } else { "no ordinary file" };
            let message = format!("is {what}, and is therefore not written to; remove it");
            return Err(io::Error::other(message));
        }
    }
    faults::step()?;
    options.write(true).create(true).truncate(false).open(path)
}

/// Writes all `bytes` to `file`, which is open.
///
/// # Errors
/// What the system says; some of the bytes may be written.
pub fn append(mut file: impl Write, bytes: &[u8]) -> io::Result<()> {
    if let Err(error) = faults::step() {
        // A disk takes some of it before it is full.
        file.write_all(&bytes[..bytes.len() / 2])?;
        return Err(error);
    }
    file.write_all(bytes)
}

/// Cuts `file` to `length` bytes, or fills it up with zeros.
///
/// # Errors
/// What the system says.
pub fn cut(file: &File, length: u64) -> io::Result<()> {
    faults::step()?;
    file.set_len(length)
}

/// Waits until `file` is on the disk.
///
/// # Errors
/// What the system says.
pub fn sync(file: &File) -> io::Result<()> {
    faults::step()?;
    file.sync_all()
}

/// Gives a file or folder another name, in the place of what has it.
///
/// # Errors
/// What the system says.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    faults::step()?;
    fs::rename(from, to)
}

/// Makes the names in `folder` durable; where a folder cannot be opened as a file (Windows), the
/// file system does so itself.
///
/// # Errors
/// What the system says.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { sync(&File::open(folder)?) } else { Ok(()) }
}

/// Whether `name` is that of a temporary file that a killed process may have left behind.
pub fn is_temporary(name: &str) -> bool {
    name.starts_with(PREFIX) && name.ends_with(SUFFIX)
}

/// Removes temporary files that a killed process left in `folder`, however young. Only for who alone
/// writes there.
///
/// # Errors
/// What the system says.
pub fn sweep(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if is_left(&entry) {
            faults::step()?;
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Removes those that are not of this moment. That one cannot be removed is no reason not to write.
fn sweep_old(folder: &Path) {
    let began = *BEGAN;
    let Ok(entries) = fs::read_dir(folder) else { return };
    let is_old =
        |made: SystemTime| made + BLINK < began || made.elapsed().is_ok_and(|age| age > MOMENT);
    for entry in entries.flatten() {
        let made = entry.metadata().and_then(|data| data.modified());
        if is_left(&entry) && made.is_ok_and(is_old) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Whether `entry` is a temporary file that no process is at work on.
fn is_left(entry: &DirEntry) -> bool {
    let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
    if !is_file || !is_temporary(&entry.file_name().to_string_lossy()) {
        return false;
    }
    let file = File::options().write(true).open(entry.path()).map(Unlocked);
    file.is_ok_and(|file| file.try_lock().is_ok())
}

fn folder_of(path: &Path) -> &Path {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    parent.unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::faults::Fault;
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn replaces_the_whole_file_and_leaves_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("record.json");
        whole(&path, b"a long first content").unwrap();
        whole(&path, b"short").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"short");
        let mut pending = Pending::new(&path).unwrap();
        pending.write_all(b"half").unwrap();
        drop(pending);
        assert_eq!(fs::read(&path).unwrap(), b"short");
        assert_eq!(names(folder.path()), ["record.json"]);
    }

    #[test]
    fn whatever_fails_the_file_is_the_old_or_the_new_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("record.json");
        let new = vec![7; 20_000];
        let (done, num_steps) = faults::with(None, || whole(&path, &new));
        done.unwrap();
        assert_eq!(num_steps, 5, "open, write, sync, rename, sync of the folder");
        for at in 1..=num_steps {
            for lasts in [false, true] {
                whole(&path, b"old").unwrap();
                let fault = Fault { at, lasts, kind: ErrorKind::StorageFull };
                let (failed, _) = faults::with(Some(fault), || whole(&path, &new));
                let (kind, expected) = match at {
                    5 => (ErrorKind::Other, &new[..]),
                    _ => (ErrorKind::StorageFull, &b"old"[..]),
                };
                assert_eq!(failed.unwrap_err().kind(), kind, "{at}");
                assert_eq!(fs::read(&path).unwrap(), expected, "{at}");
                assert_eq!(names(folder.path()), ["record.json"], "{at}");
            }
        }
    }

    #[test]
    fn a_folder_in_the_place_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("taken");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("inside"), "kept").unwrap();
        assert!(whole(&path, b"x").is_err());
        assert_eq!(fs::read(path.join("inside")).unwrap(), b"kept");
        assert_eq!(names(folder.path()), ["taken"]);
    }

    #[cfg(unix)]
    #[test]
    fn the_file_has_the_permissions_of_any_new_file() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let (ours, plain) = (folder.path().join("ours"), folder.path().join("plain"));
        whole(&ours, b"x").unwrap();
        fs::write(&plain, "x").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&ours), mode(&plain));
    }

    #[cfg(unix)]
    #[test]
    fn links_and_pipes_are_not_written_to() {
        use std::os::unix::fs::symlink;
        use std::process::Command;

        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("mine"), "kept").unwrap();
        symlink(at("mine"), at("link")).unwrap();
        symlink(at("nothing"), at("dangling")).unwrap();
        assert!(Command::new("mkfifo").arg(at("pipe")).status().unwrap().success());
        for (name, what) in [("link", "a link"), ("dangling", "a link"), ("pipe", "no ordinary")] {
            let error = open(&at(name), &mut File::options()).unwrap_err().to_string();
            assert!(error.contains(what) && error.contains("remove it"), "{error}");
        }
        assert_eq!(fs::read(at("mine")).unwrap(), b"kept");
        assert!(!at("nothing").exists());
        open(&at("new"), &mut File::options()).unwrap();
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
        // Of a process that was killed a moment before this one began; and of one that is beside it.
        leave(".pemm-before.part", *BEGAN - Duration::from_millis(100));
        leave(".pemm-young.part", SystemTime::now());
        leave(".pemm-notes", old);
        leave("data.part", old);
        let at_work = Unlocked(leave(".pemm-work.part", old));
        at_work.lock().unwrap();
        whole(&folder.path().join("record.json"), b"x").unwrap();
        let kept = [".pemm-notes", ".pemm-work.part", "data.part", "record.json"];
        let mut with_young = kept.to_vec();
        with_young.insert(2, ".pemm-young.part");
        assert_eq!(names(folder.path()), with_young);
        sweep(folder.path()).unwrap();
        assert_eq!(names(folder.path()), kept);
        drop(at_work);
        whole(&folder.path().join("record.json"), b"y").unwrap();
        assert!(!names(folder.path()).contains(&".pemm-work.part".into()));
    }
}
