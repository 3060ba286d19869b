//! Where inputs lie that are read as files.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

thread_local! {
    static FOLDER: TempDir = tempfile::tempdir().expect("there is room for small files");
}

/// A folder of this thread; `name` tells it from those of other targets.
pub(crate) fn folder(name: &str) -> PathBuf {
    let path = FOLDER.with(|folder| folder.path().join(name));
    fs::create_dir_all(&path).expect("there is room for small files");
    path
}

/// Writes `bytes` as the file `name` in `folder`.
pub(crate) fn write(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().expect("it has a folder")).expect("there is room");
    fs::write(&path, bytes).expect("there is room for small files");
    path
}
