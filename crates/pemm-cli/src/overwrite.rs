//! Nothing is overwritten unasked, and nothing empty is left behind.

use std::path::Path;

use crate::failure::Failure;

/// Refuses to write to `path`, which the argument `name` named, if something is there and `force` was
/// not given.
pub(crate) fn refuse_existing(name: &str, path: &Path, force: bool) -> Result<(), Failure> {
    // A link to nothing is something, too.
    if path.symlink_metadata().is_err() || force {
        return Ok(());
    }
    let message = format!("{name}: {} is there already; --force replaces it", path.display());
    Err(Failure::usage(message))
}

/// The folder that was made for work which could not start is taken away again, and the one around
/// it if it holds nothing else.
pub(crate) fn remove_if_empty(folder: &Path) {
    // Each fails where something is in it, which is what is wanted.
    let around = folder.parent().filter(|around| !around.as_os_str().is_empty());
    let _ = std::fs::remove_dir(folder).and_then(|()| around.map_or(Ok(()), std::fs::remove_dir));
}
