//! Stopping long work from outside, for example at Ctrl-C.
//!
//! Whatever may take long has a form that ends in `_until` and takes a flag. It looks at the flag
//! before each file, and of a table before each row, so it answers within the time that the largest
//! image takes, which is about a second.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::{DataError, Result};

/// A flag that nobody sets.
pub(crate) static NEVER: AtomicBool = AtomicBool::new(false);

/// An error once the flag is set.
pub(crate) fn check(stop: &AtomicBool) -> Result<()> {
    if stop.load(Ordering::Relaxed) { Err(DataError::Stopped) } else { Ok(()) }
}
