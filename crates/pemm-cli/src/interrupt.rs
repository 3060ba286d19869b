//! Ctrl-C: the first asks the work to stop at the next safe point, the second ends the process.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::dashboard::screen;
use crate::failure::Failure;

static CANCELLED: AtomicBool = AtomicBool::new(false);
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// Set once somebody pressed Ctrl-C (or the process got a termination signal).
pub(crate) fn watch() -> Result<&'static AtomicBool, Failure> {
    handle(interrupt)?;
    Ok(&CANCELLED)
}

/// Counts how often somebody pressed Ctrl-C, for work that has processes of its own to end: after
/// the first they should save and stop, after the second be killed.
pub(crate) fn count() -> Result<&'static AtomicUsize, Failure> {
    handle(|| {
        if COUNT.fetch_add(1, Ordering::SeqCst) == 0 {
            eprintln!("\nevery run saves and stops after its step; Ctrl-C again kills them");
        }
    })?;
    Ok(&COUNT)
}

fn handle(handler: impl FnMut() + Send + 'static) -> Result<(), Failure> {
    ctrlc::set_handler(handler)
        .map_err(|error| Failure::new(format!("cannot watch for Ctrl-C: {error}")))
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
