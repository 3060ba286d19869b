//! The signals that end a process, as far as they were not ignored when it began.

use crate::failure::Failure;

/// Whether the process was started to go on without its terminal, as `nohup` does.
#[cfg(unix)]
pub(super) fn outlives_the_terminal() -> bool {
    is_ignored(signal_hook::consts::SIGHUP)
}

/// Whether the process was started to go on without its terminal; only Unix has that.
#[cfg(not(unix))]
pub(super) fn outlives_the_terminal() -> bool {
    false
}

/// Has `handler` called, on a thread of its own, with the exit code that goes with each signal. Once
/// in a process.
#[cfg(unix)]
pub(super) fn handle(mut handler: impl FnMut(u8) + Send + 'static) -> Result<(), Failure> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

    let heard = [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|&signal| !is_ignored(signal));
    let mut signals = signal_hook::iterator::Signals::new(heard)
        .map_err(|error| Failure::new(format!("cannot watch for signals: {error}")))?;
    std::thread::spawn(move || {
        for signal in signals.forever() {
            handler(u8::try_from(128 + signal).unwrap_or(u8::MAX));
        }
    });
    Ok(())
}

/// Has `handler` called with the exit code at each Ctrl-C. Once in a process.
#[cfg(not(unix))]
pub(super) fn handle(mut handler: impl FnMut(u8) + Send + 'static) -> Result<(), Failure> {
    ctrlc::set_handler(move || handler(super::INTERRUPTED))
        .map_err(|error| Failure::new(format!("cannot watch for Ctrl-C: {error}")))
}

/// Whether `signal` is ignored. Only Linux tells; elsewhere none is taken to be.
#[cfg(unix)]
fn is_ignored(signal: i32) -> bool {
    std::fs::read_to_string("/proc/self/status").is_ok_and(|status| has(&status, signal))
}

/// Whether the mask of ignored signals in a `/proc/self/status` has `signal`.
#[cfg(unix)]
fn has(status: &str, signal: i32) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask >> (signal - 1) & 1 == 1
}

#[cfg(all(test, unix))]
mod tests {
    use super::has;

    #[test]
    fn the_mask_counts_from_one() {
        let status = "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000001\nSigCgt:\t2\n";
        assert!(has(status, 1) && !has(status, 2));
        assert!(has("SigIgn:\t0000000000004002\n", 15) && has("SigIgn:\t0000000000004002\n", 2));
        assert!(!has("", 1) && !has("SigIgn:\tnone\n", 1));
    }
}
