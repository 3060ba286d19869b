//! One file from its address, continued where an earlier attempt stopped.
//!
//! The bytes grow in `NAME.part`; beside it `NAME.part.etag` keeps the server's name for the
//! version they belong to. A server continues a file by answering 206 with the very range that was
//! asked for; any other good answer starts from nothing. What never depends on the server: the part
//! does not grow past the catalogue's size, and only the right SHA-256 gives it its final name.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use sha2::{Digest, Sha256};
use ureq::Body;
use ureq::http::{Response, StatusCode};

use super::request::{self, Failure};
use super::{RemoteFile, Stage, Watch, stopped, sync_folder};
use crate::DataError;
use crate::disk::{self, Unlocked};
use crate::source::read;

/// Bytes a piece, after which progress is told and the cancel flag is read.
const PIECE: usize = 64 << 10;

/// How often a cut connection is taken up again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// Attempts in all, at least 1.
    pub(super) attempts: u32,
    /// Pause after the first failure; each further one is twice as long.
    pub(super) pause: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { attempts: 6, pause: Duration::from_secs(1) }
    }
}

/// Brings `file` to `place`, whose folder exists. A file that is already there is checked only.
pub(super) fn download(
    file: &RemoteFile,
    place: &Path,
    patience: Patience,
    watch: &mut Watch<'_>,
) -> Result<(), Failure> {
    if place.exists() {
        let mut there = read::regular_file(place).map_err(|error| DataError::io(place, error))?;
        let found = sha256(&mut there, file, place, watch)?;
        if found != file.sha256 {
            return Err(wrong_hash(place, file, &found, "move it away").into());
        }
        // Whoever put it there by hand may have tried to download it before.
        remove(&part_of(place, file))?;
        remove(&etag_of(place, file))?;
        return Ok(());
    }

    let mut part = Part::open(file, place)?;
    let mut attempt = 1;
    while let Err(failure) = part.continue_from(file, watch) {
        match failure {
            Failure::Passing(_) if attempt < patience.attempts => {
                wait(patience.pause * 2u32.pow(attempt - 1), place, watch)?;
                attempt += 1;
            }
            failure => return Err(failure),
        }
    }
    Ok(part.finish(file, place, watch)?)
}

fn part_of(place: &Path, file: &RemoteFile) -> PathBuf {
    place.with_file_name(format!("{}.part", file.name))
}

fn etag_of(place: &Path, file: &RemoteFile) -> PathBuf {
    place.with_file_name(format!("{}.part.etag", file.name))
}

/// The bytes that have come so far.
struct Part {
    path: PathBuf,
    etag_path: PathBuf,
    bytes: Unlocked,
    length: u64,
}

impl Part {
    fn open(file: &RemoteFile, place: &Path) -> Result<Self, DataError> {
        let path = part_of(place, file);
        let etag_path = etag_of(place, file);
        let at = |error| DataError::io(&path, error);
        let bytes = Unlocked(disk::open(&path, File::options().read(true)).map_err(at)?);
        // File systems without locks are let through: there, two downloads at once end in a wrong
        // hash and a further attempt.
        if let Err(TryLockError::WouldBlock) = bytes.try_lock() {
            return Err(at(io::Error::other(
                "another process is downloading this file; wait for it",
            )));
        }
        let length = bytes.metadata().map_err(at)?.len();
        Ok(Self { path, etag_path, bytes, length })
    }

    /// One attempt to bring the part to its full length.
    fn continue_from(&mut self, file: &RemoteFile, watch: &mut Watch<'_>) -> Result<(), Failure> {
        if self.length > file.bytes {
            self.restart()?;
        }
        if self.length == file.bytes {
            return Ok(());
        }
        watch.check(&self.path)?;
        let response = request::ask(file, self.length, self.etag())?;
        let starts_anew = match response.status() {
            StatusCode::OK => true,
            StatusCode::PARTIAL_CONTENT if self.is_continued_by(&response, file) => false,
            StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => {
                self.restart()?;
                return Err(Failure::Passing(format!("{} cannot be continued", file.address)));
            }
            status => return Err(request::refused(status, file)),
        };
        // Asked before the part is given up, which the log-in page of a network must not cause.
        let missing = if starts_anew { file.bytes } else { file.bytes - self.length };
        if let Some(promised) = request::content_length(&response)
            && promised != missing
        {
            return Err(Failure::Lasting(format!(
                "{} is not the file of the catalogue: the server announces {promised} bytes where \
                 {missing} are missing",
                file.address
            )));
        }
        if starts_anew {
            self.restart()?;
        }
        self.keep_etag(&response)?;
        self.receive(response.into_body(), file, watch)
    }

    /// Is this 206 the rest of the version that the part is the beginning of?
    fn is_continued_by(&self, response: &Response<Body>, file: &RemoteFile) -> bool {
        let range = format!("bytes {}-{}/{}", self.length, file.bytes - 1, file.bytes);
        let same_version = match (self.etag(), request::strong_etag(response)) {
            (Some(ours), Some(theirs)) => ours == theirs,
            _ => true,
        };
        request::content_range(response) == Some(&range) && same_version
    }

    fn receive(
        &mut self,
        body: Body,
        file: &RemoteFile,
        watch: &mut Watch<'_>,
    ) -> Result<(), Failure> {
        let mut body = body.into_reader();
        let mut piece = vec![0; PIECE];
        while self.length < file.bytes {
            watch.check(&self.path)?;
            let cut = |reason: String| {
                Failure::Passing(format!("{}: the connection was cut: {reason}", file.address))
            };
            let count = match body.read(&mut piece) {
                Ok(0) => return Err(cut(format!("{} of {} bytes", self.length, file.bytes))),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(cut(error.to_string())),
            };
            if count as u64 > file.bytes - self.length {
                self.restart()?;
                return Err(Failure::Lasting(format!(
                    "{} is not the file of the catalogue: it is longer than {} bytes",
                    file.address, file.bytes
                )));
            }
            let written = disk::append(&mut *self.bytes, &piece[..count]);
            written.map_err(|error| DataError::io(&self.path, error))?;
            self.length += count as u64;
            watch.report(Stage::Download, file, self.length);
        }
        Ok(())
    }

    /// Forgets every byte.
    fn restart(&mut self) -> Result<(), DataError> {
        self.length = 0;
        let emptied = disk::cut(&self.bytes, 0).and_then(|()| self.bytes.rewind());
        emptied.map_err(|error| DataError::io(&self.path, error))?;
        remove(&self.etag_path)
    }

    fn etag(&self) -> Option<String> {
        let mut etag = String::new();
        let mut kept = File::open(&self.etag_path).ok()?.take(request::ETAG_BYTES as u64 + 1);
        kept.read_to_string(&mut etag).ok()?;
        Some(etag).filter(|etag| request::is_strong_etag(etag))
    }

    fn keep_etag(&mut self, response: &Response<Body>) -> Result<(), DataError> {
        let end = self.bytes.seek(SeekFrom::End(0));
        end.map_err(|error| DataError::io(&self.path, error))?;
        match request::strong_etag(response) {
            Some(etag) => disk::whole(&self.etag_path, etag.as_bytes())
                .map_err(|error| DataError::io(&self.etag_path, error)),
            None => remove(&self.etag_path),
        }
    }

    /// The whole part becomes the file, if it is the right one.
    fn finish(
        mut self,
        file: &RemoteFile,
        place: &Path,
        watch: &mut Watch<'_>,
    ) -> Result<(), DataError> {
        let found = sha256(&mut self.bytes, file, &self.path, watch)?;
        remove(&self.etag_path)?;
        if found != file.sha256 {
            remove(&self.path)?;
            return Err(wrong_hash(place, file, &found, "what came was removed"));
        }
        disk::sync(&self.bytes).map_err(|error| DataError::io(&self.path, error))?;
        drop(self.bytes); // Windows renames no open file.
        disk::rename(&self.path, place).map_err(|error| DataError::io(place, error))?;
        sync_folder(place.parent().unwrap_or(Path::new("")))
    }
}

/// SHA-256 of the whole of `bytes`, in lower-case hexadecimal digits.
fn sha256(
    bytes: &mut File,
    file: &RemoteFile,
    path: &Path,
    watch: &mut Watch<'_>,
) -> Result<String, DataError> {
    let at = |error| DataError::io(path, error);
    bytes.rewind().map_err(at)?;
    let mut hasher = Sha256::new();
    let mut piece = vec![0; PIECE];
    let mut done = 0;
    loop {
        watch.check(path)?;
        let count = bytes.read(&mut piece).map_err(at)?;
        if count == 0 {
            break;
        }
        hasher.update(&piece[..count]);
        done += count as u64;
        watch.report(Stage::Check, file, done.min(file.bytes));
    }
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

fn wrong_hash(place: &Path, file: &RemoteFile, found: &str, done: &str) -> DataError {
    DataError::format(
        place,
        format!(
            "is not the file of the catalogue: SHA-256 must be {} and is {found}; {done} and run \
             the same command again, or bring the file from {} by another way",
            file.sha256, file.address
        ),
    )
}

/// Sleeps, waking often enough that a cancel is not felt as a wait.
fn wait(pause: Duration, place: &Path, watch: &Watch<'_>) -> Result<(), DataError> {
    const BLINK: Duration = Duration::from_millis(100);
    let mut left = pause;
    while !left.is_zero() {
        if watch.cancelled() {
            return Err(stopped(place));
        }
        let blink = left.min(BLINK);
        thread::sleep(blink);
        left -= blink;
    }
    Ok(())
}

fn remove(path: &Path) -> Result<(), DataError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(DataError::io(path, error)),
        _ => Ok(()),
    }
}
