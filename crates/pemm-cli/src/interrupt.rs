//! Ctrl-C and the signals that end a process. The first asks the work to stop at the next safe point,
//! and ends it if that does not come soon; the second ends it at once. Whatever ends it, what was
//! saved stays, and the same command goes on from there.

mod signals;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Mutex, Once};
use std::time::Duration;

use crate::console::say;
use crate::dashboard::screen;
use crate::failure::Failure;
use crate::overwrite::remove_if_empty;

/// How long the work may take to come to a safe point.
const PATIENCE: Duration = Duration::from_secs(4);
/// The same for a run of a grid, which ends before its grid does.
const PATIENCE_OF_A_RUN: Duration = Duration::from_secs(3);
/// What a shell says of a process that SIGINT ended.
const INTERRUPTED: u8 = 130;
/// The same of SIGHUP.
const HUNG_UP: u8 = 129;

static CANCELLED: AtomicBool = AtomicBool::new(false);
static COUNT: AtomicUsize = AtomicUsize::new(0);
static CODE: AtomicU8 = AtomicU8::new(INTERRUPTED);
/// A folder that was made for the work and goes with it if nothing has come into it.
static FRESH: Mutex<Option<PathBuf>> = Mutex::new(None);

/// Set once somebody pressed Ctrl-C, or the process got a signal that ends it. Signals that were
/// ignored when the process began, as `nohup` does with SIGHUP, stay ignored.
pub(crate) fn watch() -> Result<&'static AtomicBool, Failure> {
    signals::handle(received)?;
    Ok(&CANCELLED)
}

/// Counts how often that happened, for work that has processes of its own to end: after the first they
/// should save and stop, after the second be killed.
pub(crate) fn count() -> Result<&'static AtomicUsize, Failure> {
    signals::handle(|code| {
        if COUNT.fetch_add(1, Ordering::SeqCst) == 0 {
            CODE.store(code, Ordering::SeqCst);
            say("\nevery run stops after its current step and saves; Ctrl-C again kills them");
            end_after(PATIENCE);
        }
    })?;
    Ok(&COUNT)
}

/// The exit code of work that was stopped: 130 by Ctrl-C, 143 by SIGTERM, 129 by SIGHUP.
pub(crate) fn code() -> u8 {
    CODE.load(Ordering::SeqCst)
}

/// What Ctrl-C does.
pub(crate) fn interrupt() {
    received(INTERRUPTED);
}

/// What the end of the terminal does, unless the process was told to outlive it.
pub(crate) fn hang_up() {
    if !signals::outlives_the_terminal() && !requested() {
        received(HUNG_UP);
    }
}

/// Asks the work to stop, however often.
pub(crate) fn request() {
    CANCELLED.store(true, Ordering::SeqCst);
}

/// Asks a run of a grid to stop, and ends it if it does not.
pub(crate) fn request_of_the_grid() {
    request();
    end_after(PATIENCE_OF_A_RUN);
}

/// Whether the work was asked to stop.
pub(crate) fn requested() -> bool {
    CANCELLED.load(Ordering::SeqCst)
}

/// Has `folder`, which was made for the work, taken away if the work is ended before there is anything
/// in it.
pub(crate) fn leave_nothing_empty(folder: &Path) {
    if let Ok(mut fresh) = FRESH.lock() {
        *fresh = Some(folder.to_owned());
    }
}

fn received(code: u8) {
    if CANCELLED.swap(true, Ordering::SeqCst) && COUNT.fetch_add(1, Ordering::SeqCst) > 0 {
        end();
    }
    CODE.store(code, Ordering::SeqCst);
    COUNT.fetch_max(1, Ordering::SeqCst);
    if !screen::is_ours() {
        say("\nstopping after this step; press Ctrl-C again to stop at once");
    }
    end_after(PATIENCE);
}

/// Ends the process in `patience`, unless it has ended by then.
fn end_after(patience: Duration) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        std::thread::spawn(move || {
            std::thread::sleep(patience);
            screen::leave();
            say("interrupted during a step; earlier progress is saved. The same command with the same --out continues");
            end();
        });
    });
}

/// Ends the process now. Files are replaced whole, so nothing can be torn by that.
fn end() -> ! {
    screen::leave();
    if let Ok(Some(folder)) = FRESH.try_lock().as_deref() {
        remove_if_empty(folder);
    }
    std::process::exit(i32::from(code()))
}
