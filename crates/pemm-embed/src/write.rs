//! A file is replaced whole or not at all: temporary file in the same folder, sync, rename, sync of
//! the folder.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use tempfile::NamedTempFile;

use crate::error::{EmbedError, Result};

/// A file that does not have its name yet. Dropped before [`Pending::keep`], it leaves nothing.
#[derive(Debug)]
pub(crate) struct Pending<'a> {
    path: &'a Path,
    file: BufWriter<NamedTempFile>,
}

impl<'a> Pending<'a> {
    /// Opens a temporary file beside `path`, whose folder is made if it is missing.
    pub(crate) fn new(path: &'a Path) -> Result<Self> {
        let folder = folder_of(path);
        let open = || {
            fs::create_dir_all(folder)?;
            let mut builder = tempfile::Builder::new();
            builder.prefix(".pemm-").suffix(".part");
            // tempfile's own default is 0600: nobody else could read the results.
            #[cfg(unix)]
            builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
            builder.tempfile_in(folder)
        };
        let file = open().map_err(|source| EmbedError::io(path, source))?;
        // What is not locked is taken for the rest of a killed process by whoever writes here next.
        let _ = file.as_file().lock();
        Ok(Self { path, file: BufWriter::new(file) })
    }

    /// Adds bytes.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(|source| EmbedError::io(self.path, source))
    }

    /// Gives the file its name.
    pub(crate) fn keep(self) -> Result<()> {
        let path = self.path;
        let keep = || -> io::Result<()> {
            let file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
            file.as_file().sync_all()?;
            file.persist(path).map_err(|failed| failed.error)?;
            if cfg!(unix) {
                File::open(folder_of(path))?.sync_all()?;
            }
            Ok(())
        };
        keep().map_err(|source| EmbedError::io(path, source))
    }
}

/// Writes `bytes` as the file `path`.
pub(crate) fn whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut pending = Pending::new(path)?;
    pending.write(bytes)?;
    pending.keep()
}

fn folder_of(path: &Path) -> &Path {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    parent.unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_there_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new").join("file");
        let mut pending = Pending::new(&path).unwrap();
        pending.write(b"half").unwrap();
        drop(pending);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 0);
        whole(&path, b"all").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"all");
        let error = whole(&path.join("below"), b"x").unwrap_err().to_string();
        assert!(error.contains("below"), "{error}");
    }
}
