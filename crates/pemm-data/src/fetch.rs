//! Known data sets from their official addresses: download, check, unpack.
//!
//! What comes over the network is hostile until its SHA-256 is the one of the [`catalogue`]: a
//! download never grows past the catalogue's size, and an archive is unpacked into a folder of its
//! own that gets its final name only when everything in it is right. Interrupted at any point, the
//! same call continues, and a finished data set is found and left alone.

mod catalogue;
mod download;
mod request;
mod unpack;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

pub use catalogue::{Entry, Form, RemoteFile, catalogue, find};
use download::Patience;
use request::Failure;
pub use unpack::Limits;

use crate::{DataError, Result, disk};

/// What is being done to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Its bytes come over the network.
    Download,
    /// Its SHA-256 is computed.
    Check,
    /// Its files are written out.
    Unpack,
}

/// How far a fetch is; `done` and `total` are bytes of the file that is downloaded, so they count
/// from nothing again in each stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress<'a> {
    /// What is being done.
    pub stage: Stage,
    /// Name of the file.
    pub file: &'a str,
    /// Bytes behind us, 0 to `total`.
    pub done: u64,
    /// Size of the file.
    pub total: u64,
}

/// Who hears of the progress, and the flag that stops the work.
struct Watch<'a> {
    progress: &'a mut dyn FnMut(Progress<'_>),
    cancel: &'a AtomicBool,
}

impl Watch<'_> {
    fn report(&mut self, stage: Stage, file: &RemoteFile, done: u64) {
        (self.progress)(Progress { stage, file: file.name, done, total: file.bytes });
    }

    fn cancelled(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
    }

    fn check(&self, path: &Path) -> Result<()> {
        if self.cancelled() { Err(stopped(path)) } else { Ok(()) }
    }
}

/// The error of a cancelled fetch: an [`io::ErrorKind::Interrupted`].
fn stopped(path: &Path) -> DataError {
    let reason = "stopped; the same command continues from here";
    DataError::io(path, io::Error::new(io::ErrorKind::Interrupted, reason))
}

/// Brings `entry` into `folder`, which is made when it is missing, and returns what to pass as
/// `data.path`.
///
/// A file whose SHA-256 is right is not downloaded again, a partial one (`NAME.part`) is continued,
/// and a data folder that is already there is never written to. `progress` is called for every
/// piece of some 64 KiB. Setting `cancel` stops at the next piece, at the latest when a silent
/// server runs into the timeout of 20 seconds.
///
/// # Errors
/// - [`DataError::Io`] where the disk fails, where the server cannot be reached (the message says
///   which files to put where by hand, with address, size and SHA-256), and with
///   [`io::ErrorKind::Interrupted`] after `cancel`.
/// - [`DataError::Format`] where a file, an archive or an existing folder is not what the catalogue
///   says.
pub fn fetch(
    entry: &Entry,
    folder: &Path,
    progress: &mut dyn FnMut(Progress<'_>),
    cancel: &AtomicBool,
) -> Result<PathBuf> {
    fetch_with(entry, folder, Patience::default(), &mut Watch { progress, cancel })
}

fn fetch_with(
    entry: &Entry,
    folder: &Path,
    patience: Patience,
    watch: &mut Watch<'_>,
) -> Result<PathBuf> {
    let data_path = folder.join(entry.folder);
    if let Form::Archive { file, contents, .. } = &entry.form
        && data_path.exists()
    {
        require(&data_path, contents, file)?;
        return Ok(data_path);
    }

    for file in entry.files() {
        let place = entry.place(folder, file);
        let parent = place.parent().unwrap_or(folder);
        disk::make_folder(parent).map_err(|error| DataError::io(parent, error))?;
        download::download(file, &place, patience, watch).map_err(|failure| match failure {
            Failure::Passing(reason) | Failure::Lasting(reason) => by_hand(entry, folder, &reason),
            Failure::Data(error) => error,
        })?;
    }

    if let Form::Archive { file, limits, contents } = &entry.form {
        let archive = entry.place(folder, file);
        unpack::unpack(&archive, file, *limits, watch, folder, |unpacked| {
            let top = unpacked.join(entry.folder);
            require(&top, contents, file)?;
            disk::rename(&top, &data_path).map_err(|error| DataError::io(&data_path, error))
        })?;
        sync_folder(folder)?;
    }
    Ok(data_path)
}

/// Checks that the unpacked `folder` has the files and folders a reader of it needs.
fn require(folder: &Path, contents: &[&str], file: &RemoteFile) -> Result<()> {
    match contents.iter().find(|name| !folder.join(name).exists()) {
        None => Ok(()),
        Some(missing) => Err(DataError::format(
            folder,
            format!(
                "must hold `{missing}`, as unpacked from {}, and does not; move the folder away \
                 and run the same command again",
                file.name
            ),
        )),
    }
}

/// The error of a server out of reach: which files to put where, and that this is enough.
fn by_hand(entry: &Entry, folder: &Path, reason: &str) -> DataError {
    let mut lines = vec![format!(
        "{reason}. The same command tries again and continues. Where there is no network, put \
         what is missing exactly here, and the same command continues from there:"
    )];
    for file in entry.files() {
        let place = entry.place(folder, file);
        if !place.exists() {
            lines.push(format!("  {}", place.display()));
            lines.push(format!("    from {}", file.address));
            lines.push(format!("    {} bytes, SHA-256 {}", file.bytes, file.sha256));
        }
    }
    DataError::io(folder, io::Error::other(lines.join("\n")))
}

/// Makes a rename last through a power cut; on Windows a folder cannot be synced.
fn sync_folder(folder: &Path) -> Result<()> {
    // The parent of a bare file name is "".
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    disk::sync_folder(folder).map_err(|error| DataError::io(folder, error))
}

#[cfg(test)]
mod tests;
