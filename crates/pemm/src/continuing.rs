//! What is found in a run folder before a run begins in it.

use std::path::Path;

use pemm_experiment::identity::{Difference, differences, flatten};
use pemm_experiment::same::only_places;
use pemm_experiment::{Experiment, Plan};
use pemm_runs::{DataRecord, Environment, NoiseRecord, Record, RunFolder, Status};
use serde_json::Value;

use crate::changed::{Held, other_data};
use crate::error::{Error, Result};
use crate::run::{Outcome, RunOptions};

/// The finished run of this very experiment in the folder of `options`, if it is there: it can be told
/// without its data.
pub(crate) fn finished(
    experiment: &Experiment,
    options: &RunOptions<'_>,
) -> Result<Option<Outcome>> {
    let Ok(folder) = RunFolder::open(options.out) else { return Ok(None) };
    if !folder.has(pemm_runs::folder::RECORD) {
        return Ok(None);
    }
    let record = folder.read_record()?;
    if record.status != Status::Finished {
        return Ok(None);
    }
    // What does not go with the data of the record is refused with the data at hand.
    let same = record.compare(experiment).is_ok_and(|found| found.differences.is_empty());
    if !same {
        return Ok(None);
    }
    // It may have been killed after its last epoch, while it wrote its report.
    folder.tidy();
    let changed = Held::default().changed(&record, experiment, &folder, &options.embedding);
    let folder = folder.path().to_owned();
    Ok(Some(Outcome { folder, record, was_finished: true, changed }))
}

/// What a run is known by: its experiment as a value and as a text, and their identity.
pub(crate) struct Known {
    pub(crate) value: Value,
    pub(crate) text: String,
    pub(crate) identity: String,
    /// Where the data lie otherwise than when the run began.
    pub(crate) moved: Vec<Difference>,
}

impl Known {
    /// What is to be said, where the run was begun on data at another place.
    pub(crate) fn warning(&self) -> Option<String> {
        let places: Vec<String> = self.moved.iter().map(ToString::to_string).collect();
        (!places.is_empty()).then(|| {
            format!(
                "the data of this run were elsewhere when it began, and are known by their names and \
                 labels ({})",
                places.join(", ")
            )
        })
    }
}

/// What the run of `plan` in `out` is known by. A run that was begun there and differs in nothing but
/// where its data lie keeps the places that it was begun with; that they are its data,
/// [`refuse_other_data`] finds out.
pub(crate) fn known(plan: &Plan, out: &Path) -> Known {
    let (value, text, identity) = (plan.value(), plan.text(), plan.identity());
    let begun = || {
        let folder = RunFolder::open(out).ok()?;
        let record = folder.read_record().ok()?;
        let places = differences(&flatten(&record.experiment), &flatten(&value));
        let is_moved = !places.is_empty() && only_places(&places);
        let text = folder.read_experiment().ok().filter(|_| is_moved)?;
        let Record { experiment: value, identity, .. } = record;
        Some(Known { value, text, identity, moved: places })
    };
    begun().unwrap_or(Known { value, text, identity, moved: Vec::new() })
}

/// What is to be said where the epochs so far were calculated otherwise than those to come.
pub(crate) fn other_machine(folder: &RunFolder, environment: &Environment) -> Option<String> {
    if !folder.has(pemm_runs::folder::STATE) {
        return None;
    }
    let (before, now) = folder.read_environment().ok()?.rounds_otherwise(environment)?;
    Some(format!(
        "the run was begun with {before} and goes on with {now}, which may round otherwise: it can end \
         with other bits than a run that never stopped"
    ))
}

/// A run is not continued on other data than those it was begun on, wherever they lie; `data` keep the
/// name that they had.
pub(crate) fn refuse_other_data(
    folder: &RunFolder,
    data: &mut DataRecord,
    noise: &NoiseRecord,
) -> Result<()> {
    if !folder.has(pemm_runs::folder::RECORD) {
        return Ok(());
    }
    let before = folder.read_record()?;
    let same = before.data.data_sha256 == data.data_sha256
        && before.noise.labels_sha256 == noise.labels_sha256;
    if same {
        // It is that of their folder, which may have another one now.
        data.name = before.data.name;
        data.found_at = before.data.found_at;
        return Ok(());
    }
    Err(Error::setting("data", other_data(folder)))
}
