//! Who may write to a run folder: one experiment for good, one process at a time.

use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::ops::Deref;
use std::path::Path;
use std::time::{Duration, Instant};

use pemm_data::disk;
use pemm_data::noise::NoiseManifest;
use serde::Serialize;
use serde_json::Value;

use crate::environment::Environment;
use crate::epoch::EpochRecord;
use crate::error::{Result, RunError};
use crate::folder::{ENVIRONMENT, EXPERIMENT, LOCK, LOG, NOISE, RECORD, RunFolder, STATE};
use crate::log::Log;
use crate::record::{Record, Status};
use crate::{ordinary, write};
use pemm_experiment::identity::{differences, flatten, short};

/// A run folder that this process alone may write to, as long as the value lives and the folder stays
/// where it is. The lock belongs to the folder, and what is written goes to its path, so each write
/// first looks whether the two are still one.
#[derive(Debug)]
pub struct LockedFolder {
    folder: RunFolder,
    lock: File,
}

/// What [`RunFolder::claim`] found.
#[derive(Debug)]
pub enum Claim {
    /// No checkpoint: start with the first epoch.
    Fresh(LockedFolder),
    /// A checkpoint of this very experiment: continue.
    Continue(LockedFolder),
    /// All epochs of this very experiment are done: nothing to write.
    Finished(RunFolder),
}

impl RunFolder {
    /// Claims the folder `path`, made if missing, for the experiment whose resolved form has
    /// identity `identity_hash` and reads `experiment_toml`. Writes `experiment.toml` if the folder
    /// is new, else nothing; removes temporary files of a killed process.
    ///
    /// # Errors
    /// [`RunError::Foreign`] for a folder that holds other things, [`RunError::Busy`] if another
    /// process holds the lock, [`RunError::OtherExperiment`] with the keys that differ, and
    /// whatever [`Record::read`] says about a record that is there.
    pub fn claim(path: &Path, identity_hash: &str, experiment_toml: &str) -> Result<Claim> {
        let io = |source| RunError::io(path, source);
        let wanted = parse(&path.join(EXPERIMENT), experiment_toml)?;
        if path.is_file() {
            let reason = "it is a file; choose a new or an empty folder".into();
            return Err(RunError::NoRun { path: path.to_path_buf(), reason });
        }
        disk::make_folder(path).map_err(io)?;
        let folder = Self { path: path.to_path_buf() };
        folder.refuse_foreign()?;
        let locked = LockedFolder { lock: lock(path)?, folder: folder.clone() };
        disk::sweep(path).map_err(io)?;

        let found = match ordinary::read_text(&folder.file(EXPERIMENT)) {
            Ok(text) => parse(&folder.file(EXPERIMENT), &text)?,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                write::atomic(&folder.file(EXPERIMENT), experiment_toml.as_bytes())?;
                return Ok(Claim::Fresh(locked));
            }
            Err(error) => return Err(RunError::io(folder.file(EXPERIMENT), error)),
        };
        let record = folder.has(RECORD).then(|| folder.read_record()).transpose()?;
        let differences = differences(&flatten(&found), &flatten(&wanted));
        // The resolved experiment decides. Before the first record there is only the text.
        let is_same = match &record {
            Some(record) => record.identity == identity_hash,
            None => differences.is_empty(),
        };
        if !is_same {
            return Err(RunError::OtherExperiment {
                path: folder.path,
                found: describe(&found, record.as_ref().map(|record| record.identity.as_str())),
                wanted: describe(&wanted, Some(identity_hash)),
                differences,
            });
        }
        Ok(match record {
            Some(Record { status: Status::Finished, .. }) => Claim::Finished(folder),
            _ if folder.has(STATE) => Claim::Continue(locked),
            _ => Claim::Fresh(locked),
        })
    }

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

    /// A folder is ours if it has an experiment, or nothing but what a claim killed early leaves.
    fn refuse_foreign(&self) -> Result<()> {
        let io = |source| RunError::io(&self.path, source);
        let mut holds = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(io)? {
            holds.push(entry.map_err(io)?.file_name().to_string_lossy().into_owned());
        }
        if holds.iter().any(|name| name == EXPERIMENT) {
            return Ok(());
        }
        holds.sort();
        match holds.into_iter().find(|name| name != LOCK && !disk::is_temporary(name)) {
            Some(holds) => Err(RunError::Foreign { path: self.path.clone(), holds }),
            None => Ok(()),
        }
    }
}

impl LockedFolder {
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

    fn write_json(&self, name: &str, value: &impl Serialize) -> Result<()> {
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

/// The lock of folder `path`. The system releases it when the file closes, whatever ends the
/// process; the file stays, because removing it would let two processes lock two files.
fn lock(path: &Path) -> Result<File> {
    let busy = || RunError::Busy { path: path.to_path_buf() };
    lock_file(&path.join(LOCK))?.ok_or_else(busy)
}

/// The file `path`, made if missing and locked; `None` if another process holds its lock.
pub(crate) fn lock_file(path: &Path) -> Result<Option<File>> {
    let file = disk::open(path, &mut File::options());
    let file = file.map_err(|source| write::failed(path, source))?;
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

fn parse(path: &Path, text: &str) -> Result<Value> {
    let wrong = |error: String| RunError::format(path, error);
    let table: toml::Table = toml::from_str(text).map_err(|error| wrong(error.to_string()))?;
    serde_json::to_value(table).map_err(|error| wrong(error.to_string()))
}

/// An experiment's arm, seed and identity, as far as they are known.
fn describe(experiment: &Value, identity: Option<&str>) -> String {
    let key = |name: &str| experiment.get(name).map(|value| format!("{name} {value}"));
    let identity = identity.map(|hash| format!("identity {}", short(hash)));
    let known: Vec<String> = [key("arm"), key("seed"), identity].into_iter().flatten().collect();
    if known.is_empty() { "without a name".into() } else { known.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::record;

    const TOML: &str = "arm = \"pemm\"\nseed = 1\n[optim]\nlearning_rate = 0.01\n";

    fn locked(claim: Result<Claim>) -> LockedFolder {
        match claim {
            Ok(Claim::Fresh(locked) | Claim::Continue(locked)) => locked,
            other => panic!("{other:?}"),
        }
    }

    fn manifest() -> NoiseManifest {
        NoiseManifest::given(&[0, 1], None, 2)
    }

    #[test]
    fn a_run_from_fresh_to_finished() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("deep").join("run");
        let mut record = record("pemm", 1, 0.9);
        let identity = record.identity.clone();
        let claim = || RunFolder::claim(&path, &identity, TOML);

        record.status = Status::Running;
        let Claim::Fresh(folder) = claim().unwrap() else { panic!("must be fresh") };
        folder.write_environment(&record.environment).unwrap();
        folder.write_record(&record).unwrap();
        folder.write_noise(&manifest()).unwrap();
        folder.open_log(&[]).unwrap().append(&record.epochs[0]).unwrap();
        drop(folder);

        // Killed before its first checkpoint, while it wrote one.
        fs::write(path.join(".pemm-x1.part"), "half").unwrap();
        let Claim::Fresh(folder) = claim().unwrap() else { panic!("must be fresh") };
        assert!(!path.join(".pemm-x1.part").exists());
        fs::write(path.join(".pemm-x2.part"), "half").unwrap();
        RunFolder::open(&path).unwrap().tidy();
        assert!(path.join(".pemm-x2.part").exists(), "somebody works in the folder");
        fs::write(folder.file(STATE), "state").unwrap();
        drop(folder);

        let Claim::Continue(folder) = claim().unwrap() else { panic!("must continue") };
        folder.open_log(&record.epochs).unwrap();
        record.status = Status::Finished;
        folder.write_record(&record).unwrap();
        drop(folder);

        let Claim::Finished(folder) = claim().unwrap() else { panic!("must be finished") };
        fs::write(path.join(".pemm-x3.part"), "half").unwrap();
        folder.tidy();
        assert!(!path.join(".pemm-x3.part").exists());
        assert_eq!(folder, RunFolder::open(&path).unwrap());
        assert_eq!(folder.read_record().unwrap(), record);
        assert_eq!(folder.read_environment().unwrap(), record.environment);
        assert_eq!(folder.read_noise().unwrap(), manifest());
        assert_eq!(folder.read_log().unwrap(), record.epochs);
        assert_eq!(folder.read_experiment().unwrap(), TOML);
    }

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

    #[cfg(unix)]
    #[test]
    fn planted_links_and_pipes_are_refused() {
        use std::os::unix::fs::symlink;

        let root = tempfile::tempdir().unwrap();
        let mine = root.path().join("mine");
        fs::write(&mine, "kept").unwrap();
        for name in [LOCK, LOG] {
            let path = root.path().join(format!("run-{name}"));
            fs::create_dir(&path).unwrap();
            fs::write(path.join(EXPERIMENT), TOML).unwrap();
            symlink(&mine, path.join(name)).unwrap();
            let claim = RunFolder::claim(&path, "h", TOML);
            let error = match claim {
                Ok(Claim::Fresh(folder)) => folder.open_log(&[]).map(|_| ()).unwrap_err(),
                other => other.map(|_| ()).unwrap_err(),
            };
            let message = error.to_string();
            assert!(message.contains(name) && message.contains("is a link"), "{message}");
        }
        assert_eq!(fs::read(&mine).unwrap(), b"kept");
        let path = root.path().join("pipes");
        fs::create_dir(&path).unwrap();
        let pipe = |name| {
            let made = std::process::Command::new("mkfifo").arg(path.join(name)).status();
            assert!(made.unwrap().success());
        };
        pipe(LOCK);
        let message = RunFolder::claim(&path, "h", TOML).unwrap_err().to_string();
        assert!(message.contains("run.lock: is no ordinary file"), "{message}");
        fs::remove_file(path.join(LOCK)).unwrap();
        pipe(EXPERIMENT);
        let message = RunFolder::claim(&path, "h", TOML).unwrap_err().to_string();
        assert!(message.contains("experiment.toml: is no ordinary file"), "{message}");
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

    #[test]
    fn another_experiment_is_refused_and_nothing_is_overwritten() {
        let root = tempfile::tempdir().unwrap();
        let record = record("pemm", 1, 0.9);
        let other = TOML.replace("0.01", "0.1").replace("pemm", "ce");

        let folder = locked(RunFolder::claim(root.path(), &record.identity, TOML));
        drop(folder);
        let before_record = RunFolder::claim(root.path(), "0123456789", &other).unwrap_err();
        let folder = locked(RunFolder::claim(root.path(), &record.identity, TOML));
        folder.write_record(&record).unwrap();
        drop(folder);
        let with_record = RunFolder::claim(root.path(), "0123456789", &other).unwrap_err();

        for message in [before_record.to_string(), with_record.to_string()] {
            assert!(message.contains("arm \"ce\", seed 1, identity 01234567)"), "{message}");
            assert!(message.contains("(arm \"pemm\", seed 1"), "{message}");
            assert!(message.contains("\n  arm: \"pemm\" → \"ce\"\n"), "{message}");
            assert!(message.contains("\n  optim.learning_rate: 0.01 → 0.1"), "{message}");
        }
        assert!(with_record.to_string().contains(short(&record.identity)));
        let folder = RunFolder::open(root.path()).unwrap();
        assert_eq!(folder.read_experiment().unwrap(), TOML);
        assert_eq!(folder.read_record().unwrap(), record);

        // The same text, resolved otherwise by another version.
        let message = RunFolder::claim(root.path(), "0123456789", TOML).unwrap_err().to_string();
        assert!(message.contains("another version of pemm"), "{message}");
    }

    #[test]
    fn comments_and_order_make_no_other_experiment() {
        let root = tempfile::tempdir().unwrap();
        drop(locked(RunFolder::claim(root.path(), "h", TOML)));
        let other = "# again\nseed = 1\narm = 'pemm'\noptim.learning_rate = 1e-2\n";
        drop(locked(RunFolder::claim(root.path(), "h", other)));
        assert_eq!(fs::read_to_string(root.path().join(EXPERIMENT)).unwrap(), TOML);
    }

    #[test]
    fn a_folder_of_other_things_is_refused_and_left_as_it_is() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("thesis.tex"), "").unwrap();
        let message = RunFolder::claim(root.path(), "h", TOML).unwrap_err().to_string();
        assert!(message.contains("`thesis.tex`"), "{message}");
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
        let file = RunFolder::claim(&root.path().join("thesis.tex"), "h", TOML).unwrap_err();
        assert!(file.to_string().contains("thesis.tex: not a run folder: it is a file"), "{file}");
        assert!(matches!(RunFolder::open(root.path()), Err(RunError::NoRun { .. })));
        assert!(matches!(RunFolder::open(&root.path().join("no")), Err(RunError::NoRun { .. })));
    }

    #[test]
    fn an_old_record_stops_the_claim() {
        let root = tempfile::tempdir().unwrap();
        drop(locked(RunFolder::claim(root.path(), "h", TOML)));
        fs::write(root.path().join(RECORD), r#"{"schema": 0}"#).unwrap();
        let refused = RunFolder::claim(root.path(), "h", TOML);
        assert!(matches!(refused, Err(RunError::Schema { found: 0, .. })), "{refused:?}");
    }
}
