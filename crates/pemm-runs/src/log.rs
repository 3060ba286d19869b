//! `log.jsonl`: one line per epoch, for people and programs that watch a run.
//!
//! A line is appended before the checkpoint of its epoch is written. A killed run may therefore
//! leave lines that the checkpoint does not know, and a torn last line. On continuing, the log is
//! cut back to the epochs of the checkpoint, so that every epoch stands in it exactly once.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use pemm_data::disk;

use crate::epoch::EpochRecord;
use crate::error::{Result, RunError};
use crate::{ordinary, write};

/// The log of a run, open for appending.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    file: File,
    length: u64,
    num_epochs: usize,
}

impl Log {
    /// Opens the log `path`, made if missing, and cuts it back to `epochs`, those of the checkpoint
    /// (none without one).
    ///
    /// # Errors
    /// [`RunError::Format`] if its first lines are not those epochs: the log is left as it is.
    /// [`RunError::Full`], [`RunError::Io`].
    pub(crate) fn open(path: &Path, epochs: &[EpochRecord]) -> Result<Self> {
        let io = |source| write::failed(path, source);
        let mut file = disk::open(path, File::options().read(true)).map_err(io)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(io)?;

        let (found, length) = leading_epochs(path, &bytes, epochs.len())?;
        refuse_others(path, &found, epochs)?;
        disk::cut(&file, length as u64).map_err(io)?;
        let mut length = file.seek(SeekFrom::End(0)).map_err(io)?;
        if length > 0 && bytes[length as usize - 1] != b'\n' {
            disk::append(&mut file, b"\n").map_err(io)?;
            length += 1;
        }
        disk::sync(&file).map_err(io)?;
        if let Some(folder) = path.parent() {
            disk::sync_folder(folder).map_err(io)?;
        }
        Ok(Self { path: path.to_path_buf(), file, length, num_epochs: epochs.len() })
    }

    /// Appends one line and waits until it is on the disk.
    ///
    /// # Errors
    /// [`RunError::Format`] unless `epoch` is the one after the last; [`RunError::Full`],
    /// [`RunError::Io`].
    pub fn append(&mut self, epoch: &EpochRecord) -> Result<()> {
        let next = self.num_epochs + 1;
        if epoch.epoch != next {
            let reason = format!("the next line must be epoch {next}, is epoch {}", epoch.epoch);
            return Err(RunError::format(&self.path, reason));
        }
        let mut line = serde_json::to_vec(epoch)
            .map_err(|error| RunError::format(&self.path, error.to_string()))?;
        line.push(b'\n');
        let written = disk::append(&mut self.file, &line).and_then(|()| disk::sync(&self.file));
        if let Err(source) = written {
            // Take back what was written of the line. Should this fail too, opening repairs it.
            let _ = disk::cut(&self.file, self.length);
            let _ = self.file.seek(SeekFrom::Start(self.length));
            return Err(write::failed(&self.path, source));
        }
        self.length += line.len() as u64;
        self.num_epochs = next;
        Ok(())
    }
}

/// The first `num_epochs` epochs and the number of bytes they take. What follows is not read.
fn leading_epochs(
    path: &Path,
    bytes: &[u8],
    num_epochs: usize,
) -> Result<(Vec<EpochRecord>, usize)> {
    let mut epochs = Vec::new();
    let mut length = 0;
    for (index, line) in bytes.split_inclusive(|&byte| byte == b'\n').take(num_epochs).enumerate() {
        let number = index + 1;
        let epoch: EpochRecord = serde_json::from_slice(line).map_err(|error| {
            RunError::format(path, format!("line {number}: no epoch's numbers: {error}"))
        })?;
        if epoch.epoch != number {
            let reason = format!("line {number}: must be epoch {number}, is epoch {}", epoch.epoch);
            return Err(RunError::format(path, reason));
        }
        epochs.push(epoch);
        length += line.len();
    }
    if epochs.len() < num_epochs {
        let reason = format!(
            "the checkpoint has {num_epochs} epochs, the log only {}: lines were removed; bring \
             them back, or run the experiment in a new folder",
            epochs.len()
        );
        return Err(RunError::format(path, reason));
    }
    Ok((epochs, length))
}

/// A log and a checkpoint are of one run only if they say the same of every epoch. They are compared
/// as text, in which NaN equals itself.
fn refuse_others(path: &Path, found: &[EpochRecord], epochs: &[EpochRecord]) -> Result<()> {
    let text = |epoch| serde_json::to_string(epoch).expect("an epoch is plain data");
    let other = found.iter().zip(epochs).position(|(found, epoch)| text(found) != text(epoch));
    let Some(index) = other else { return Ok(()) };
    let reason = format!(
        "line {}: these are not the numbers that the checkpoint state.safetensors has of that epoch; \
         one of the two files is of another run: bring the right one back, or run the experiment in a \
         new folder",
        index + 1
    );
    Err(RunError::format(path, reason))
}

/// The epochs of the log `path`, for watching a run: a torn last line is left out.
pub(crate) fn read(path: &Path) -> Result<Vec<EpochRecord>> {
    let bytes = match ordinary::read(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        read => read.map_err(|source| RunError::io(path, source))?,
    };
    let num_whole = bytes.iter().filter(|&&byte| byte == b'\n').count();
    Ok(leading_epochs(path, &bytes, num_whole)?.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::epoch::tests::epoch;
    use std::fs;

    fn epochs(num: usize) -> Vec<EpochRecord> {
        (1..=num).map(|number| epoch(number, None, None)).collect()
    }

    fn three_epochs(path: &Path) -> Vec<u8> {
        let mut log = Log::open(path, &[]).unwrap();
        for epoch in epochs(3) {
            log.append(&epoch).unwrap();
        }
        fs::read(path).unwrap()
    }

    /// Killed after any byte of the log: whatever the checkpoint knows, continuing gives the very
    /// bytes of a run that was never killed.
    #[test]
    fn killed_at_any_byte_and_continued_is_as_never_killed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.jsonl");
        let whole = three_epochs(&path);
        let line_ends: Vec<usize> = whole
            .iter()
            .enumerate()
            .filter(|(_, byte)| **byte == b'\n')
            .map(|(at, _)| at)
            .collect();
        for killed_at in (0..whole.len()).step_by(61).chain(line_ends.clone()) {
            let num_known = line_ends.iter().filter(|&&end| end <= killed_at).count();
            for num_epochs in 0..=num_known {
                fs::write(&path, &whole[..killed_at]).unwrap();
                let mut log = Log::open(&path, &epochs(num_epochs)).unwrap();
                for number in num_epochs + 1..=3 {
                    log.append(&epoch(number, None, None)).unwrap();
                }
                assert_eq!(fs::read(&path).unwrap(), whole, "{killed_at} {num_epochs}");
            }
        }
    }

    #[test]
    fn lost_or_foreign_lines_are_refused_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.jsonl");
        let whole = String::from_utf8(three_epochs(&path)).unwrap();
        for (text, reason) in [
            (whole.replace("\"epoch\":3", "\"epoch\":4"), "line 3: must be epoch 3, is epoch 4"),
            (whole.replacen("\"loss\"", "\"lost\"", 1), "line 1: no epoch's numbers"),
            (whole[..whole.len() - 9].to_string(), "line 3: no epoch's numbers"),
            (whole.lines().next().unwrap().to_string(), "3 epochs, the log only 1"),
            (
                whole.replacen("\"loss\":1.5", "\"loss\":1.25", 1),
                "line 1: these are not the numbers",
            ),
        ] {
            fs::write(&path, &text).unwrap();
            let message = Log::open(&path, &epochs(3)).unwrap_err().to_string();
            assert!(message.contains(reason), "{message}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    }

    #[test]
    fn epochs_are_appended_in_order_only_and_read_while_torn() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.jsonl");
        assert!(read(&path).unwrap().is_empty());
        let whole = three_epochs(&path);
        let mut log = Log::open(&path, &epochs(3)).unwrap();
        assert!(log.append(&epoch(3, None, None)).is_err());
        assert_eq!(fs::read(&path).unwrap(), whole);
        fs::write(&path, &whole[..whole.len() - 9]).unwrap();
        assert_eq!(read(&path).unwrap().len(), 2);
    }
}
