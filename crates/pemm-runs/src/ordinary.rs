//! Only ordinary files are opened in a folder of runs. A pipe would be waited for, maybe for ever; a
//! link that somebody put there would lead what is written to another place; and a file with a hole of
//! terabytes would fill the memory.

use std::fs::{self, File, OpenOptions};
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

/// Opens the file `path` to write to it, made if missing.
///
/// # Errors
/// What the system says; a link, and anything else that is no file.
pub(crate) fn open_to_write(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
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
    options.write(true).create(true).truncate(false).open(path)
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::symlink;
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

    #[test]
    fn links_and_pipes_are_not_written_to() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("mine"), "kept").unwrap();
        symlink(at("mine"), at("link")).unwrap();
        symlink(at("nothing"), at("dangling")).unwrap();
        assert!(Command::new("mkfifo").arg(at("pipe")).status().unwrap().success());
        for (name, what) in [("link", "a link"), ("dangling", "a link"), ("pipe", "no ordinary")] {
            let error = open_to_write(&at(name), &mut File::options()).unwrap_err().to_string();
            assert!(error.contains(what) && error.contains("remove it"), "{error}");
        }
        assert_eq!(fs::read(at("mine")).unwrap(), b"kept");
        assert!(!at("nothing").exists());
        open_to_write(&at("new"), &mut File::options()).unwrap();
    }
}
