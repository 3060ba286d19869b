//! Waiting for a run folder that another process still holds.

use std::path::Path;
use std::time::{Duration, Instant};

use pemm::train::Outcome;
use pemm_runs::{RunError, RunFolder};

/// Does `train`, which works in `folder`, as soon as no other process does, and gives up after
/// `patience`. A process that began earlier and has not come as far as its folder may take it between
/// two looks, so `train` itself is asked again.
pub(super) fn patiently(
    folder: &Path,
    patience: Duration,
    mut train: impl FnMut() -> pemm::Result<Outcome>,
) -> pemm::Result<Outcome> {
    let since = Instant::now();
    loop {
        RunFolder::wait_until_free(folder, patience.saturating_sub(since.elapsed()));
        match train() {
            Err(pemm::Error::Run(RunError::Busy { .. })) if since.elapsed() < patience => {}
            outcome => return outcome,
        }
    }
}
