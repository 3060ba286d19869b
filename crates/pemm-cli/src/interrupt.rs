//! Ctrl-C: the first asks the work to stop at the next safe point, the second ends the process.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::dashboard::screen;
use crate::failure::Failure;

static CANCELLED: AtomicBool = AtomicBool::new(false);

/// Set once somebody pressed Ctrl-C (or the process got a termination signal).
pub(crate) fn watch() -> Result<&'static AtomicBool, Failure> {
    ctrlc::set_handler(interrupt)
        .map_err(|error| Failure::new(format!("cannot watch for Ctrl-C: {error}")))?;
    Ok(&CANCELLED)
}

/// What Ctrl-C does.
pub(crate) fn interrupt() {
    if CANCELLED.swap(true, Ordering::SeqCst) {
        screen::leave();
        std::process::exit(130);
    }
    if !screen::is_ours() {
        eprintln!("\nstopping after this step; Ctrl-C again ends at once");
    }
}

/// Asks the work to stop, however often.
pub(crate) fn request() {
    CANCELLED.store(true, Ordering::SeqCst);
}

/// Whether the work was asked to stop.
pub(crate) fn requested() -> bool {
    CANCELLED.load(Ordering::SeqCst)
}
