//! The commands, one file each: their arguments, and what they do.

pub(crate) mod audit;
pub(crate) mod completions;
pub(crate) mod data;
pub(crate) mod embed;
pub(crate) mod energy;
pub(crate) mod evaluate;
pub(crate) mod explain;
pub(crate) mod grid;
pub(crate) mod methods;
pub(crate) mod noise;
pub(crate) mod predict;
pub(crate) mod report;
pub(crate) mod table;
pub(crate) mod train;

mod experiment;

use pemm_runs::{Record, Status};

use crate::console::Console;

/// Says that what a run that is not finished gives is not what it will give.
fn warn_if_unfinished(record: &Record, console: &Console) {
    if record.status == Status::Finished {
        return;
    }
    let done = record.epochs.len();
    let of = record.num_epochs().map_or(String::new(), |planned| format!(" of {planned}"));
    console.warn(&format!(
        "the run is not finished: {done}{of} epochs are done; run the same `pemm train` again, with \
         the same --out, to continue"
    ));
}
