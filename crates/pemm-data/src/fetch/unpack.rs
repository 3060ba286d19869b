//! A `.tar.gz` into a folder, taking files and folders only.
//!
//! Everything is written into a hidden folder beside the final one, which is renamed at the end:
//! an interrupted unpacking leaves nothing that looks finished, and the next one clears it away.
//! Nothing here makes a link, and no name leads out of the folder. That the archive is whole is the
//! business of its SHA-256, which was checked before.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use tar::{Archive, Entry, EntryType};

use super::{RemoteFile, Stage, Watch, stopped};
use crate::disk::{self, Unlocked};
use crate::{DataError, Result};

/// What an archive may unpack to, so that a small file cannot fill a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Files and folders.
    pub entries: u64,
    /// Bytes of one file.
    pub entry_bytes: u64,
    /// Bytes of all files.
    pub total_bytes: u64,
}

impl Limits {
    /// Bytes of the tar stream: the files, and for each entry its header, its padding and an
    /// extended header with a long name.
    fn stream_bytes(self) -> u64 {
        self.total_bytes + self.entries * 4 * 512 + (1 << 20)
    }
}

/// Unpacks `archive` inside `folder` and hands the temporary folder to `finish`, which moves out of
/// it what is to stay; the rest is removed.
///
/// The files themselves are not synced, as thousands of them would take minutes on a slow disk:
/// after a power cut within seconds the newest can be short, which reading them finds.
pub(super) fn unpack(
    archive: &Path,
    file: &RemoteFile,
    limits: Limits,
    watch: &mut Watch<'_>,
    folder: &Path,
    finish: impl FnOnce(&Path) -> Result<()>,
) -> Result<()> {
    let at = |error| DataError::io(archive, error);
    let packed = Unlocked(File::open(archive).map_err(at)?);
    // The lock lets us clear what a killed process left; where there are no locks, that is at worst
    // the work of another one, which then fails by name.
    if let Err(TryLockError::WouldBlock) = packed.try_lock() {
        return Err(at(io::Error::other("another process is unpacking this file; wait for it")));
    }
    let prefix = format!(".{}.unpacking", file.name);
    let left = folder.join(&prefix);
    if left.exists() {
        fs::remove_dir_all(&left).map_err(|error| DataError::io(&left, error))?;
    }
    let unpacked = tempfile::Builder::new().prefix(&prefix).rand_bytes(0).tempdir_in(folder);
    let unpacked = unpacked.map_err(|error| DataError::io(&left, error))?;

    let packed = Packed { archive: packed, file, done: 0, watch };
    let stream = Capped { bytes: MultiGzDecoder::new(packed), left: limits.stream_bytes() };
    let taken = take_all(stream, unpacked.path(), limits);
    if watch.cancelled() {
        return Err(stopped(archive));
    }
    taken.map_err(|trouble| match trouble {
        Trouble::Read(error) => DataError::format(archive, format!("does not unpack: {error}")),
        Trouble::Entry(name, reason) => {
            let name = String::from_utf8_lossy(&name[..name.len().min(200)]).into_owned();
            DataError::format(archive, format!("entry {name:?} {reason}; nothing was unpacked"))
        }
        Trouble::Write(path, error) => DataError::io(path, error),
    })?;
    finish(unpacked.path())
}

enum Trouble {
    /// The archive cannot be read on.
    Read(io::Error),
    /// An entry that is not taken: its name and why.
    Entry(Vec<u8>, String),
    /// The disk.
    Write(PathBuf, io::Error),
}

fn take_all(stream: impl Read, folder: &Path, limits: Limits) -> Result<(), Trouble> {
    let mut archive = Archive::new(stream);
    let mut entries = 0;
    let mut bytes = 0;
    for entry in archive.entries().map_err(Trouble::Read)? {
        let mut entry = entry.map_err(Trouble::Read)?;
        if entry.header().entry_type() == EntryType::XGlobalHeader {
            continue; // Remarks on the whole archive, as `git archive` writes them.
        }
        let name = entry.path_bytes().into_owned();
        let refuse = |reason: String| Trouble::Entry(name.clone(), reason);

        entries += 1;
        if entries > limits.entries {
            return Err(refuse(format!("is one more than the {} allowed", limits.entries)));
        }
        let path = folder.join(inside(&name).map_err(refuse)?);
        if is_folder(&entry, &name).map_err(refuse)? {
            disk::make_folder(&path).map_err(|error| Trouble::Write(path, error))?;
            continue;
        }
        let size = entry.size();
        if size > limits.entry_bytes {
            let most = limits.entry_bytes;
            return Err(refuse(format!("has {size} bytes, more than the {most} allowed")));
        }
        bytes += size;
        if bytes > limits.total_bytes {
            let most = limits.total_bytes;
            return Err(refuse(format!("brings the whole to {bytes} bytes, {most} are allowed")));
        }
        write_out(&mut entry, size, path, refuse)?;
    }
    Ok(())
}

fn write_out(
    entry: &mut impl Read,
    size: u64,
    path: PathBuf,
    refuse: impl Fn(String) -> Trouble,
) -> Result<(), Trouble> {
    let at = |error| Trouble::Write(path.clone(), error);
    if let Some(parent) = path.parent() {
        disk::make_folder(parent).map_err(at)?;
    }
    let mut file = match disk::create_new(&path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(refuse("is there twice".into()));
        }
        file => file.map_err(at)?,
    };
    // A broken archive and a full disk both end here; the message of either tells which.
    let copied = io::copy(entry, &mut file).map_err(at)?;
    if copied != size {
        return Err(refuse(format!("has {copied} of its {size} bytes")));
    }
    Ok(())
}

/// A folder or a file? Everything else is refused: links, devices, pipes, sparse files.
fn is_folder<R: Read>(entry: &Entry<'_, R>, name: &[u8]) -> Result<bool, String> {
    match entry.header().entry_type() {
        EntryType::Directory => Ok(true),
        // Archives older than POSIX mark a folder by its name only.
        EntryType::Regular => Ok(name.ends_with(b"/")),
        EntryType::Symlink => Err("is a symbolic link; only files and folders are taken".into()),
        EntryType::Link => Err("is a hard link; only files and folders are taken".into()),
        other => Err(format!(
            "is of type {:?}; only files and folders are taken",
            char::from(other.as_byte())
        )),
    }
}

/// The relative path that an entry's name stands for, which never leads out of its folder.
fn inside(name: &[u8]) -> Result<PathBuf, String> {
    let text = str::from_utf8(name).map_err(|_| "has a name that is not UTF-8".to_string())?;
    // Backslashes and colons are separators and drives on Windows; no archive here needs them.
    if text.chars().any(|letter| letter.is_control() || letter == '\\' || letter == ':') {
        return Err("has a control character, a backslash or a colon in its name".into());
    }
    if text.starts_with('/') {
        return Err("has an absolute path".into());
    }
    if text.is_empty() || text.split('/').any(|step| step == "..") {
        return Err("has an empty name, or `..` in it".into());
    }
    Ok(text.split('/').filter(|step| !step.is_empty() && *step != ".").collect())
}

/// The packed bytes: tells progress and stops when cancelled.
struct Packed<'a, 'w> {
    archive: Unlocked,
    file: &'a RemoteFile,
    done: u64,
    watch: &'a mut Watch<'w>,
}

impl Read for Packed<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.watch.cancelled() {
            return Err(io::Error::other("cancelled"));
        }
        let count = self.archive.read(buffer)?;
        self.done += count as u64;
        self.watch.report(Stage::Unpack, self.file, self.done);
        Ok(count)
    }
}

/// The unpacked bytes, which end in an error where they become too many.
struct Capped<R> {
    bytes: R,
    left: u64,
}

impl<R: Read> Read for Capped<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.bytes.read(buffer)?;
        match self.left.checked_sub(count as u64) {
            Some(left) => self.left = left,
            None => return Err(io::Error::other("it unpacks to more than is allowed")),
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use flate2::{Compression, write::GzEncoder};
    use tar::{Builder, Header};

    use super::*;

    const LIMITS: Limits = Limits { entries: 10, entry_bytes: 1000, total_bytes: 3000 };
    const FILE: RemoteFile =
        RemoteFile { name: "a.tgz", address: "http://127.0.0.1/a.tgz", bytes: 1, sha256: "" };

    /// A header of any name and kind, past the checks of the tar library.
    fn header(name: &str, kind: EntryType, size: u64) -> Header {
        let mut header = Header::new_ustar();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(0o644);
        header.set_size(size);
        header.set_cksum();
        header
    }

    fn file(name: &str, content: &[u8]) -> (Header, Vec<u8>) {
        (header(name, EntryType::Regular, content.len() as u64), content.to_vec())
    }

    fn link(kind: EntryType) -> (Header, Vec<u8>) {
        let mut header = header("top/link", kind, 0);
        header.set_link_name("/etc/passwd").unwrap();
        header.set_cksum();
        (header, Vec::new())
    }

    fn pack(entries: &[(Header, Vec<u8>)]) -> Vec<u8> {
        let mut builder = Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        for (header, content) in entries {
            builder.append(header, &content[..]).unwrap();
        }
        builder.into_inner().unwrap().finish().unwrap()
    }

    /// Unpacks into a fresh folder whose `out` becomes what was in the archive.
    fn unpack_all(packed: &[u8], limits: Limits) -> (tempfile::TempDir, Result<()>) {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("data");
        fs::create_dir(&folder).unwrap();
        let archive = folder.join(FILE.name);
        fs::write(&archive, packed).unwrap();
        let cancel = AtomicBool::new(false);
        let mut watch = Watch { progress: &mut |_| {}, cancel: &cancel };
        let result = unpack(&archive, &FILE, limits, &mut watch, &folder, |unpacked| {
            fs::create_dir(folder.join("out")).unwrap();
            fs::rename(unpacked.join("top"), folder.join("out/top")).unwrap();
            Ok(())
        });
        (home, result)
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn assert_refused(entries: &[(Header, Vec<u8>)], reason: &str) {
        let (home, result) = unpack_all(&pack(entries), LIMITS);
        let message = result.unwrap_err().to_string();
        assert!(message.contains(reason), "{message}");
        assert_eq!(names(home.path()), ["data"], "{message}");
        assert_eq!(names(&home.path().join("data")), ["a.tgz"], "{message}");
    }

    #[test]
    fn files_and_folders_come_out() {
        let long = format!("top/{}/image.png", "deep".repeat(60));
        let mut builder = Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        builder.append(&header("./top/", EntryType::Directory, 0), &[][..]).unwrap();
        builder.append(&header("top/old/", EntryType::Regular, 0), &[][..]).unwrap();
        let mut long_header = Header::new_gnu();
        long_header.set_size(4);
        builder.append_data(&mut long_header, &long, &b"long"[..]).unwrap();
        let (short, content) = file("top/./a.bin", &[7; 1000]);
        builder.append(&short, &content[..]).unwrap();
        let packed = builder.into_inner().unwrap().finish().unwrap();

        let (home, result) = unpack_all(&packed, LIMITS);
        result.unwrap();
        let data = home.path().join("data");
        assert_eq!(names(&data), ["a.tgz", "out"]);
        assert_eq!(fs::read(data.join("out/top/a.bin")).unwrap(), [7; 1000]);
        assert_eq!(fs::read(data.join("out").join(long)).unwrap(), b"long");
        assert!(data.join("out/top/old").is_dir());
    }

    #[test]
    fn names_that_lead_out_are_refused() {
        for (name, reason) in [
            ("../evil", "`..`"),
            ("top/../../evil", "`..`"),
            ("top/..", "`..`"),
            ("/tmp/pemm-evil", "absolute path"),
            ("C:\\evil", "backslash"),
            ("top\\..\\evil", "backslash"),
            ("C:evil", "colon"),
            ("top/a\nb", "control character"),
        ] {
            assert_refused(&[file("top/a", b"a"), file(name, b"evil")], reason);
        }
    }

    #[test]
    fn everything_but_files_and_folders_is_refused() {
        assert_refused(&[link(EntryType::Symlink)], "\"top/link\" is a symbolic link");
        assert_refused(&[link(EntryType::Link)], "\"top/link\" is a hard link");
        for kind in [EntryType::Char, EntryType::Block, EntryType::Fifo, EntryType::Continuous] {
            assert_refused(&[(header("top/odd", kind, 0), Vec::new())], "only files and folders");
        }
        assert_refused(&[file("top/a", b"1"), file("top/a", b"2")], "is there twice");
    }

    #[test]
    fn bombs_are_refused() {
        assert_refused(&[file("top/a", &[0; 1001])], "has 1001 bytes, more than the 1000");
        let four: Vec<_> = (0..4).map(|n| file(&format!("top/{n}"), &[0; 1000])).collect();
        assert_refused(&four, "brings the whole to 4000 bytes, 3000 are allowed");
        let many: Vec<_> = (0..11).map(|n| file(&format!("top/{n}"), b"")).collect();
        assert_refused(&many, "one more than the 10 allowed");
        // A name of 16 MiB of zeros packs to a few KiB, and must not be held in memory.
        let name = (header("././@LongLink", EntryType::GNULongName, 16 << 20), vec![0; 16 << 20]);
        assert_refused(&[name, file("top/a", b"a")], "more than is allowed");
        // A size that no disk has, in base 256.
        let mut huge = Header::new_gnu();
        huge.as_old_mut().name[..5].copy_from_slice(b"top/a");
        huge.set_size(u64::MAX / 2);
        huge.set_cksum();
        assert_refused(&[(huge, Vec::new())], "allowed");
    }

    #[test]
    fn broken_archives_are_refused() {
        let noise: Vec<u8> =
            (0..900u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        let packed = pack(&[file("top/a", &noise), file("top/b", &noise)]);
        // What is cut behind the last file is the business of the SHA-256.
        for length in [0, 1, 10, packed.len() / 4, packed.len() / 2] {
            let (home, result) = unpack_all(&packed[..length], LIMITS);
            let message = result.expect_err(&format!("{length} bytes")).to_string();
            assert_eq!(names(&home.path().join("data")), ["a.tgz"], "{message}");
        }
    }

    #[test]
    fn what_a_killed_process_left_is_cleared() {
        let home = tempfile::tempdir().unwrap();
        let left = home.path().join(".a.tgz.unpacking");
        fs::create_dir_all(left.join("top")).unwrap();
        fs::write(left.join("top/a"), "half").unwrap();
        let archive = home.path().join(FILE.name);
        fs::write(&archive, pack(&[file("top/a", b"whole")])).unwrap();
        let cancel = AtomicBool::new(false);
        let mut watch = Watch { progress: &mut |_| {}, cancel: &cancel };
        unpack(&archive, &FILE, LIMITS, &mut watch, home.path(), |unpacked| {
            assert_eq!(fs::read(unpacked.join("top/a")).unwrap(), b"whole");
            Ok(())
        })
        .unwrap();
        assert_eq!(names(home.path()), ["a.tgz"]);
    }
}
