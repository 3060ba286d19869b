//! Faults of the disk, for tests.
//!
//! Each operation that changes a file or a folder (make, open, write, cut, sync, rename, remove) is a
//! step here first. A test lets the n-th step of its thread fail, for every n that a piece of work
//! has. Without a test a step is a look at two numbers of the thread.

use std::cell::Cell;
use std::io::{self, ErrorKind};

/// A fault to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// Number of the step that fails, from 1.
    pub at: u64,
    /// Whether all steps after it fail too, as on a full disk.
    pub lasts: bool,
    /// What the system says.
    pub kind: ErrorKind,
}

thread_local! {
    static FAULT: Cell<Option<Fault>> = const { Cell::new(None) };
    static STEPS: Cell<u64> = const { Cell::new(0) };
}

/// Does `work` with `fault`; gives what came out, and the number of steps that were taken.
pub fn with<T>(fault: Option<Fault>, work: impl FnOnce() -> T) -> (T, u64) {
    STEPS.set(0);
    FAULT.set(fault);
    let done = work();
    FAULT.set(None);
    (done, STEPS.get())
}

/// Before an operation.
pub(super) fn step() -> io::Result<()> {
    let number = STEPS.get() + 1;
    STEPS.set(number);
    match FAULT.get() {
        Some(Fault { at, lasts, kind }) if number == at || (lasts && number > at) => {
            Err(kind.into())
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nth_step_fails_and_where_it_lasts_all_after_it() {
        let three = || [step().is_ok(), step().is_ok(), step().is_ok()];
        let fault = |at, lasts| Some(Fault { at, lasts, kind: ErrorKind::Other });
        assert_eq!(with(fault(2, false), three), ([true, false, true], 3));
        assert_eq!(with(fault(2, true), three), ([true, false, false], 3));
        assert_eq!(with(fault(4, true), three), ([true; 3], 3));
        assert_eq!(with(None, three), ([true; 3], 3));
    }
}
