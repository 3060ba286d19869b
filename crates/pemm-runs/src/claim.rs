//! Which experiment may write to a run folder: one for good.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use pemm_data::disk;
use serde_json::Value;

use crate::error::{Result, RunError};
use crate::folder::{EXPERIMENT, LOCK, RECORD, RunFolder, STATE};
use crate::locked::LockedFolder;
use crate::record::{Record, Status};
use crate::{ordinary, write};
use pemm_experiment::identity::{differences, flatten, short};

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
        let wanted = parse(&path.join(EXPERIMENT), experiment_toml)?;
        let locked = Self::hold(path, &[])?;
        let folder = Self { path: path.to_path_buf() };

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

    /// Locks the folder `path`, made if missing, in which there may be a run, or nothing but what is called
    /// as one of `inside`. Removes temporary files of a killed process.
    ///
    /// # Errors
    /// [`RunError::Foreign`] for a folder that holds other things, [`RunError::Busy`] if another
    /// process holds the lock, [`RunError::Io`].
    pub fn hold(path: &Path, inside: &[&str]) -> Result<LockedFolder> {
        let io = |source| RunError::io(path, source);
        if path.is_file() {
            let reason = "it is a file; choose a new or an empty folder".into();
            return Err(RunError::NoRun { path: path.to_path_buf(), reason });
        }
        disk::make_folder(path).map_err(io)?;
        let folder = Self { path: path.to_path_buf() };
        folder.refuse_foreign(inside)?;
        let locked = LockedFolder::of(&folder)?;
        disk::sweep(path).map_err(io)?;
        Ok(locked)
    }

    /// A folder is ours if it has an experiment, or nothing but what a claim killed early leaves, and what
    /// is called as one of `inside`.
    fn refuse_foreign(&self, inside: &[&str]) -> Result<()> {
        let io = |source| RunError::io(&self.path, source);
        let mut holds = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(io)? {
            holds.push(entry.map_err(io)?.file_name().to_string_lossy().into_owned());
        }
        if holds.iter().any(|name| name == EXPERIMENT) {
            return Ok(());
        }
        holds.sort();
        let is_ours =
            |name: &str| name == LOCK || inside.contains(&name) || disk::is_temporary(name);
        match holds.into_iter().find(|name| !is_ours(name)) {
            Some(holds) => Err(RunError::Foreign { path: self.path.clone(), holds }),
            None => Ok(()),
        }
    }
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
pub(crate) mod tests {
    use super::*;
    use crate::folder::LOG;
    use crate::record::tests::record;
    use pemm_data::noise::NoiseManifest;

    pub(crate) const TOML: &str = "arm = \"pemm\"\nseed = 1\n[optim]\nlearning_rate = 0.01\n";

    pub(crate) fn locked(claim: Result<Claim>) -> LockedFolder {
        match claim {
            Ok(Claim::Fresh(locked) | Claim::Continue(locked)) => locked,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn manifest() -> NoiseManifest {
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
            assert!(
                message.contains("asked for: arm \"ce\", seed 1, identity 01234567\n"),
                "{message}"
            );
            assert!(message.contains("there: arm \"pemm\", seed 1"), "{message}");
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
