//! One run of a grid by its name, in this process: what a task of a job array runs on its node.

use std::path::{Path, PathBuf};
use std::time::Duration;

use pemm::train::{Event, RunOptions, run as train};
use pemm_experiment::Grid;
use pemm_runs::Status;
use pemm_runs::found::record_file;
use pemm_runs::time::duration;
use serde_json::json;

use super::patience::patiently;
use crate::commit::commit;
use crate::console::Console;
use crate::embedding::Features;
use crate::failure::Failure;
use crate::interrupt;

/// How long to wait for a folder that another process holds. A node that is gone gives its locks on
/// a shared folder back late, and one that was thought gone may still be ending its run.
const PATIENCE: Duration = Duration::from_secs(180);

/// Where and how to run it.
#[derive(Debug)]
pub(super) struct Place<'a> {
    /// Folder of the grid's runs.
    pub(super) out: &'a Path,
    pub(super) device: &'a str,
    /// Where the finished record is copied to.
    pub(super) records: Option<&'a PathBuf>,
}

/// Runs the run `name` of `grid` to its end, from where it was left.
pub(super) fn run(
    grid: &Grid,
    name: &str,
    place: &Place<'_>,
    console: &Console,
) -> Result<(), Failure> {
    let cell = grid.cells.iter().find(|cell| cell.name == name).ok_or_else(|| {
        Failure::usage(format!(
            "--cell: the grid has no run {name}; --dry-run lists those that it has. If the grid \
             file was changed since the run was submitted, submit again"
        ))
    })?;
    let folder = place.out.join(name);
    let cancel = interrupt::watch()?;
    let mut num_epochs = 0;
    let features = Features::new(console, Some(cancel));
    let outcome = features.with(|embedding| {
        let options =
            RunOptions { out: &folder, device: place.device, git: commit(), cancel, embedding };
        let mut tell = |event: Event<'_>| match event {
            Event::Started { plan, warnings, record, .. } => {
                num_epochs = plan.experiment().schedule.num_epochs();
                warnings.iter().for_each(|warning| console.warn(warning));
                console.note(&match record.epochs.len() {
                    0 => format!("start  {name}"),
                    done => format!("start  {name}  continues after epoch {done}"),
                });
            }
            Event::Epoch(epoch) => console.note(&format!(
                "       {name}  epoch {}/{num_epochs}  {}",
                epoch.epoch,
                duration(epoch.seconds)
            )),
            Event::Step(..) => {}
        };
        patiently(&folder, PATIENCE, || train(&cell.experiment, &options, &mut tell))
    })?;
    let record = outcome.record;
    if record.status == Status::Interrupted {
        return Err(Failure::interrupted(format!(
            "{name} after {} of {num_epochs} epochs; the same command continues",
            record.epochs.len()
        )));
    }
    if let Some(records) = place.records {
        pemm_data::disk::make_folder(records)
            .map_err(|error| Failure::new(format!("{}: {error}", records.display())))?;
        record.write(&record_file(records, name))?;
    }
    let text = format!("done   {name}  {} epochs in {}", record.epochs.len(), folder.display());
    console.result(&text, &json!({"name": name, "status": "finished"}))
}
