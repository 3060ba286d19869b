//! Reading what somebody hands us: files with a size cap, gzip when they are, folders in order.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use crate::nearest;
use crate::{DataError, Result};

/// Opens a file. Anything else is refused: to open a pipe waits for whoever writes into it, maybe
/// for ever, and a device has no end.
pub(crate) fn regular_file(path: &Path) -> std::io::Result<File> {
    let metadata = fs::metadata(path).map_err(|error| {
        if path.is_symlink() {
            std::io::Error::new(error.kind(), "the link leads nowhere")
        } else {
            error
        }
    })?;
    if metadata.is_file() {
        return File::open(path);
    }
    Err(std::io::Error::other(if metadata.is_dir() {
        "this is a folder where a file is needed"
    } else {
        "this is a pipe, socket or device where a file is needed; write what it gives into a file"
    }))
}

/// Opens a file for reading; gzip is recognised by its first two bytes and unpacked on the way.
pub(crate) fn open(path: &Path) -> Result<Box<dyn Read>> {
    let mut file = BufReader::new(regular_file(path).map_err(|error| DataError::io(path, error))?);
    let head = file.fill_buf().map_err(|error| DataError::io(path, error))?;
    Ok(if head.starts_with(&[0x1f, 0x8b]) {
        Box::new(MultiGzDecoder::new(file))
    } else {
        Box::new(file)
    })
}

/// Reads until the end of `reader`, which must hold exactly `expected` bytes more. Memory grows
/// with what is really there, never with what a header promises.
pub(crate) fn exactly(reader: impl Read, expected: u64, path: &Path) -> Result<Vec<u8>> {
    let bytes = at_most(reader, expected, path)?;
    if bytes.len() as u64 != expected {
        let found = bytes.len();
        return Err(DataError::format(
            path,
            format!("the header promises {expected} bytes of data but there are {found}: cut off"),
        ));
    }
    Ok(bytes)
}

/// Reads until the end of `reader`, which must come after at most `limit` bytes.
pub(crate) fn at_most(reader: impl Read, limit: u64, path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = reader.take(limit.saturating_add(1)).read_to_end(&mut bytes);
    read.map_err(|error| match error.kind() {
        ErrorKind::UnexpectedEof => DataError::format(
            path,
            "the compressed data are cut off; copy or download the file again",
        ),
        _ => DataError::io(path, error),
    })?;
    if bytes.len() as u64 > limit {
        let reason = format!("there are more than the {limit} bytes that the format allows");
        return Err(DataError::format(path, reason));
    }
    Ok(bytes)
}

/// Folders and files directly in `folder`, sorted by name, without hidden ones.
pub(crate) fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(|error| DataError::io(folder, error))? {
        let entry = entry.map_err(|error| DataError::io(folder, error))?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

/// The last component of `path` as text.
pub(crate) fn file_name(path: &Path) -> Result<&str> {
    path.file_name()
        .and_then(|name| name.to_str())
        .ok_or_else(|| DataError::format(path, "the file name is not valid UTF-8; rename it"))
}

/// The name that records show for the data at `path`: its last component, resolved if it is `.`.
pub(crate) fn display_name(path: &Path) -> String {
    let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
    name(path)
        .or_else(|| name(&fs::canonicalize(path).ok()?))
        .unwrap_or_else(|| path.display().to_string())
}

/// The neighbour of a `path` that does not exist whose name is nearest, if one is near.
pub fn nearest_sibling(path: &Path) -> Option<PathBuf> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let siblings = entries(parent.unwrap_or(Path::new("."))).ok()?;
    let names: Vec<&str> = siblings.iter().filter_map(|path| file_name(path).ok()).collect();
    let found = nearest(file_name(path).ok()?, names.iter().copied())?;
    Some(parent.map_or_else(|| PathBuf::from(found), |parent| parent.join(found)))
}
