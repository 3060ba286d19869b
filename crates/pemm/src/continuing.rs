//! What is found in a run folder before a run begins in it.

use std::path::Path;

use pemm_data::Shape;
use pemm_runs::{DataRecord, LockedFolder, NoiseRecord, RunFolder, Status, identity};
use serde::Deserialize;

use crate::error::{Error, Result};
use crate::experiment::Experiment;
use crate::plan::DataFacts;
use crate::train::Outcome;

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
    let [channels, height, width] = record.data.shape;
    let facts = DataFacts {
        shape: Shape { channels, height, width },
        vectors: height == 1 && width == 1,
        num_classes: record.data.classes.len(),
    };
    let Ok(mut plan) = experiment.clone().resolve(facts) else { return Ok(None) };
    if let Ok(before) = Experiment::deserialize(&record.experiment) {
        plan.experiment.pin_files_as(&before)?;
    }
    let value = serde_json::to_value(&plan.experiment).expect("experiments are plain data");
    let same = record.identity == identity::identity(&value);
    let folder = folder.path().to_owned();
    Ok(same.then_some(Outcome { folder, record, was_finished: true }))
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
