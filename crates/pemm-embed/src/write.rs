//! Files that are written whole, see [`pemm_data::disk`], with this crate's errors.

use std::io::Write;
use std::path::Path;

use pemm_data::disk;

use crate::error::{EmbedError, Result};

/// A file that does not have its name yet. Dropped before [`Pending::keep`], it leaves nothing.
#[derive(Debug)]
pub(crate) struct Pending<'a> {
    path: &'a Path,
    file: disk::Pending<'a>,
}

impl<'a> Pending<'a> {
    /// Opens a temporary file beside `path`, whose folder is made if it is missing.
    pub(crate) fn new(path: &'a Path) -> Result<Self> {
        let open = || {
            if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
                disk::make_folder(folder)?;
            }
            disk::Pending::new(path)
        };
        let file = open().map_err(|source| EmbedError::io(path, source))?;
        Ok(Self { path, file })
    }

    /// Adds bytes.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(|source| EmbedError::io(self.path, source))
    }

    /// Gives the file its name.
    pub(crate) fn keep(self) -> Result<()> {
        self.file.keep().map_err(|source| EmbedError::io(self.path, source))
    }
}

/// Writes `bytes` as the file `path`.
pub(crate) fn whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut pending = Pending::new(path)?;
    pending.write(bytes)?;
    pending.keep()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_folder_is_made_and_errors_name_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new").join("file");
        drop(Pending::new(&path).unwrap());
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 0);
        whole(&path, b"all").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"all");
        let error = whole(&path.join("below"), b"x").unwrap_err().to_string();
        assert!(error.contains("below"), "{error}");
    }
}
