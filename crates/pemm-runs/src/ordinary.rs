//! Only ordinary files are read in a folder of runs. A pipe would be waited for, maybe for ever, and a
//! file with a hole of terabytes would fill the memory. Writing is [`pemm_data::disk`]'s.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::Path;

/// Most bytes of a file that is read whole: weights of a billion parameters.
const MAX_BYTES: u64 = 4 << 30;
/// Most bytes of a file of text: the record of a run of 100,000 epochs.
const MAX_TEXT_BYTES: u64 = 512 << 20;

/// What the file `path` holds.
///
/// # Errors
/// What the system says; anything but a file, and one of more than 4 GiB.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    at_most(path, MAX_BYTES)
}

/// The text that the file `path` holds.
///
/// # Errors
/// As [`read`], and from 512 MiB on; text that is not UTF-8.
pub fn read_text(path: &Path) -> io::Result<String> {
    String::from_utf8(at_most(path, MAX_TEXT_BYTES)?)
        .map_err(|_| io::Error::new(ErrorKind::InvalidData, "is not text in UTF-8"))
}

fn at_most(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(io::Error::other("is no ordinary file"));
    }
    let too_large = || io::Error::other(format!("is larger than the {limit} bytes that are read"));
    if metadata.len() > limit {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit { Err(too_large()) } else { Ok(bytes) }
}

#[cfg(all(test, unix))]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn pipes_and_holes_are_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let (pipe, hole) = (folder.path().join("pipe"), folder.path().join("hole"));
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        File::create(&hole).unwrap().set_len(MAX_BYTES + 1).unwrap();
        assert!(read(&pipe).unwrap_err().to_string().contains("no ordinary file"));
        assert!(read_text(folder.path()).unwrap_err().to_string().contains("no ordinary file"));
        assert!(read(&hole).unwrap_err().to_string().contains("larger"));
        File::create(&hole).unwrap().set_len(MAX_TEXT_BYTES + 1).unwrap();
        assert!(read_text(&hole).unwrap_err().to_string().contains("larger"));
        fs::write(&hole, b"\xff").unwrap();
        assert!(read_text(&hole).unwrap_err().to_string().contains("UTF-8"));
    }
}
