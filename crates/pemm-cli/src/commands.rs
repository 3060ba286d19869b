//! The commands, one file each: their arguments, and what they do.

pub(crate) mod audit;
pub(crate) mod completions;
pub(crate) mod data;
pub(crate) mod devices;
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
mod places;

use pemm::finished::Weights;
use pemm_runs::{Record, Status};

use crate::console::Console;

/// Names as a list of a sentence.
fn list(names: &[impl AsRef<str>], last: &str) -> String {
    let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    match names[..] {
        [] => String::new(),
        [name] => name.to_owned(),
        [ref names @ .., name] => format!("{} {last} {name}", names.join(", ")),
    }
}

/// The weights that `--best` and `--last` ask for.
fn weights(best: bool, last: bool) -> Weights {
    match (best, last) {
        (true, _) => Weights::Best,
        (_, true) => Weights::Last,
        (false, false) => Weights::Chosen,
    }
}

/// Says where the weights that are used are not the last, and why.
fn note_choice(record: &Record, epoch: usize, console: &Console) {
    let (Some(best), Some(last)) = (record.choice.best_by_noisy_val, record.choice.last) else {
        return;
    };
    if epoch == best.epoch
        && epoch != last.epoch
        && let (Some(then), Some(now)) = (best.val_accuracy, last.val_accuracy)
    {
        console.note(&format!(
            "the weights after epoch {epoch} are used: they agree with {:.2} % of the held-out given \
             labels, those after epoch {} with {:.2} %",
            100.0 * then,
            last.epoch,
            100.0 * now
        ));
    }
}

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
