//! What is found in a run folder before a run begins in it.

use std::path::Path;

use pemm_experiment::Experiment;
use pemm_runs::{DataRecord, Environment, LockedFolder, NoiseRecord, RunFolder, Status};

use crate::error::{Error, Result};
use crate::run::Outcome;

/// The finished run of this very experiment in `out`, if it is there: it can be told without its
/// data.
pub(crate) fn finished(experiment: &Experiment, out: &Path) -> Result<Option<Outcome>> {
    let Ok(folder) = RunFolder::open(out) else { return Ok(None) };
    if !folder.has(pemm_runs::folder::RECORD) {
        return Ok(None);
    }
    let record = folder.read_record()?;
    if record.status != Status::Finished {
        return Ok(None);
    }
    // What does not go with the data of the record is refused with the data at hand.
    let same = record.compare(experiment).is_ok_and(|found| found.differences.is_empty());
    if same {
        // It may have been killed after its last epoch, while it wrote its report.
        folder.tidy();
    }
    let folder = folder.path().to_owned();
    Ok(same.then_some(Outcome { folder, record, was_finished: true }))
}

/// What is to be said where the epochs so far were calculated otherwise than those to come.
pub(crate) fn other_machine(folder: &LockedFolder, environment: &Environment) -> Option<String> {
    if !folder.has(pemm_runs::folder::STATE) {
        return None;
    }
    let (before, now) = folder.read_environment().ok()?.rounds_otherwise(environment)?;
    Some(format!(
        "the run was begun with {before} and goes on with {now}, which may round otherwise: it can end \
         with other bits than a run that never stopped"
    ))
}

/// A run is not continued on data that changed under the same path.
pub(crate) fn refuse_other_data(
    folder: &LockedFolder,
    data: &DataRecord,
    noise: &NoiseRecord,
) -> Result<()> {
    if !folder.has(pemm_runs::folder::RECORD) {
        return Ok(());
    }
    let before = folder.read_record()?;
    let same = before.data.data_sha256 == data.data_sha256
        && before.noise.labels_sha256 == noise.labels_sha256;
    if same {
        return Ok(());
    }
    Err(Error::setting(
        "data",
        format!(
            "samples or labels are not those that {} was started on; choose another --out, or \
             bring the old data back",
            folder.path().display()
        ),
    ))
}
