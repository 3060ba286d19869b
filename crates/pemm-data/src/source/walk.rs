//! Walking over folders of images: what each entry is, by one set of rules, and an account of all.

use std::fs::{self, Metadata};
use std::io::Read;
use std::path::{Path, PathBuf};

use super::account::{Account, Rule};
use super::read;
use crate::{DataError, Result, decode};

/// Deepest level of folders below the one where a walk starts.
const MAX_DEPTH: usize = 32;
/// Endings of images that are read, in small letters.
pub(super) const ENDINGS: [&str; 11] =
    ["jpg", "jpeg", "jpe", "jfif", "png", "webp", "bmp", "dib", "gif", "tif", "tiff"];
/// Endings of images that are not read, and are named so that nobody misses them.
const OTHER_FORMATS: [&str; 26] = [
    "heic", "heif", "hif", "avif", "jp2", "j2k", "jpf", "jpx", "jxl", "jxr", "ppm", "pgm", "pbm",
    "pnm", "svg", "tga", "psd", "ico", "exr", "hdr", "dng", "cr2", "cr3", "nef", "arw", "raf",
];
/// How names of archives end, in small letters.
const ARCHIVES: [&str; 9] =
    [".zip", ".rar", ".7z", ".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz", ".tar.zst"];
/// Names of folders and files that no person made, in small letters.
const SYSTEM: [&str; 18] = [
    "@eadir",
    "@tmp",
    "@recycle",
    "#recycle",
    "#snapshot",
    "$recycle.bin",
    "recycler",
    "__macosx",
    "lost+found",
    "system volume information",
    "__pycache__",
    "node_modules",
    "site-packages",
    "venv",
    "thumbs.db",
    "ehthumbs.db",
    "desktop.ini",
    "icon\r",
];
/// Files by which folders of runs and audits are known.
const OWN_FILES: [&str; 6] = [
    "record.json",
    "experiment.toml",
    "audit.json",
    "label_issues.csv",
    "log.jsonl",
    "state.safetensors",
];
/// Names under which this program puts runs, audits and grids.
const OWN_FOLDERS: [&str; 3] = ["runs", "audits", "grids"];

/// An entry that may be of interest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Met {
    /// A file with the ending of an image that is read, or a link that leads nowhere: it stays, to
    /// be named as broken.
    Image(PathBuf),
    /// A folder, or a link to one.
    Folder(PathBuf),
}

/// A walk below `root`, to which the paths of its account are relative.
#[derive(Debug)]
pub(super) struct Walk<'a> {
    root: &'a Path,
    pub(super) account: Account,
}

impl<'a> Walk<'a> {
    pub(super) fn new(root: &'a Path) -> Self {
        Self { root, account: Account::default() }
    }

    /// What is directly in `folder`, sorted by name; all else is left out and noted.
    pub(super) fn entries(&mut self, folder: &Path) -> Result<Vec<Met>> {
        let mut paths = Vec::new();
        for entry in fs::read_dir(folder).map_err(|error| DataError::io(folder, error))? {
            paths.push(entry.map_err(|error| DataError::io(folder, error))?.path());
        }
        paths.sort();
        let mut met = Vec::new();
        for path in paths {
            match kind(&path) {
                Ok(Kind::Folder) => met.push(Met::Folder(path)),
                Ok(Kind::Image) => met.push(Met::Image(path)),
                Err(rule) => self.leave_out(rule, &path),
            }
        }
        Ok(met)
    }

    /// Adds the images at any depth below `folder` to `images`, sorted by path. Links to folders
    /// are not followed, so nothing can loop.
    pub(super) fn images_below(&mut self, folder: &Path, images: &mut Vec<PathBuf>) -> Result<()> {
        self.collect(folder, 0, images)
    }

    fn collect(&mut self, folder: &Path, depth: usize, images: &mut Vec<PathBuf>) -> Result<()> {
        for met in self.entries(folder)? {
            match met {
                Met::Image(path) => images.push(path),
                Met::Folder(path) if path.is_symlink() => {
                    self.leave_out(Rule::LinkedFolder, &path);
                }
                Met::Folder(path) if depth == MAX_DEPTH => {
                    let reason = format!("more than {MAX_DEPTH} folders in each other");
                    return Err(DataError::format(path, reason));
                }
                Met::Folder(path) => self.collect(&path, depth + 1, images)?,
            }
        }
        Ok(())
    }

    /// Notes an entry that is not used.
    pub(super) fn leave_out(&mut self, rule: Rule, path: &Path) {
        self.account.leave_out(rule, &relative(self.root, path), &ending(path));
    }
}

/// `path` relative to `root`, with `/`, as text; what is no Unicode is replaced.
pub(super) fn relative(root: &Path, path: &Path) -> String {
    let relative = path.strip_prefix(root).unwrap_or(path);
    let parts: Vec<_> = relative.components().map(|c| c.as_os_str().to_string_lossy()).collect();
    // The first component of an absolute path is its first slash.
    parts.join("/").replacen("//", "/", 1)
}

/// Whether an image lies somewhere below `folder`.
pub(super) fn holds_image(folder: &Path) -> Result<bool> {
    fn search(folder: &Path, depth: usize) -> Result<bool> {
        let mut folders = Vec::new();
        for met in Walk::new(folder).entries(folder)? {
            match met {
                Met::Image(_) => return Ok(true),
                Met::Folder(path) if !path.is_symlink() && depth < MAX_DEPTH => folders.push(path),
                Met::Folder(_) => {}
            }
        }
        for folder in folders {
            if search(&folder, depth + 1)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
    search(folder, 0)
}

enum Kind {
    Folder,
    Image,
}

/// What the entry at `path` is, or the rule that leaves it out.
fn kind(path: &Path) -> Result<Kind, Rule> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    if name.starts_with('.') {
        return Err(Rule::Hidden);
    }
    if SYSTEM.contains(&name.as_str()) {
        return Err(Rule::System);
    }
    let ending = ending(path);
    let has_ending = |endings: &[&str]| endings.contains(&ending.as_str());
    let metadata = path.metadata().ok();
    if metadata.as_ref().is_some_and(Metadata::is_dir) {
        return if path.join("pyvenv.cfg").is_file() {
            Err(Rule::System)
        } else if is_own_output(path, &name, 3) {
            Err(Rule::OwnOutput)
        } else {
            Ok(Kind::Folder)
        };
    }
    if metadata.as_ref().is_some_and(|metadata| !metadata.is_file()) {
        return Err(Rule::NoFile);
    }
    if has_ending(&ENDINGS) {
        Ok(Kind::Image)
    } else if has_ending(&OTHER_FORMATS) {
        Err(Rule::OtherFormat)
    } else if metadata.is_some() && is_image_by_content(path) {
        Err(Rule::OtherEnding)
    } else if metadata.is_none() && path.is_symlink() {
        Err(Rule::DeadLink)
    } else if ARCHIVES.iter().any(|ending| name.ends_with(ending)) {
        Err(Rule::Archive)
    } else {
        Err(Rule::OtherFile)
    }
}

/// Whether a folder is a run, an audit or a grid, or holds nothing but such folders.
fn is_own_output(folder: &Path, name: &str, depth: usize) -> bool {
    let Ok(entries) = fs::read_dir(folder) else { return false };
    let paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    // Images mean that somebody's pictures are here, whatever lies beside them.
    if paths.iter().any(|path| ENDINGS.contains(&ending(path).as_str())) {
        return false;
    }
    let is_own = |path: &PathBuf| {
        path.file_name().is_some_and(|name| OWN_FILES.iter().any(|own| name == *own))
    };
    if paths.iter().any(is_own) || OWN_FOLDERS.contains(&name) {
        return true;
    }
    let mut folders = paths.iter().filter(|path| path.is_dir() && !path.is_symlink()).peekable();
    depth > 0 && folders.peek().is_some() && folders.all(|path| is_own_output(path, "", depth - 1))
}

fn is_image_by_content(path: &Path) -> bool {
    let mut head = Vec::new();
    let read = read::regular_file(path).and_then(|file| file.take(16).read_to_end(&mut head));
    read.is_ok() && decode::is_image(&head)
}

/// What follows the last point of the name, in small letters.
pub(super) fn ending(path: &Path) -> String {
    path.extension().and_then(|ending| ending.to_str()).unwrap_or("").to_ascii_lowercase()
}
