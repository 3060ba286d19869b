//! Samples that a person looks at: a random list to fill in, and what they found.

use std::path::{Path, PathBuf};

use pemm::folds::SamplePredictions;
use pemm_audit::UNKNOWN;
use pemm_audit::files::{Labels, to_check};
use pemm_data::seed::{Stream, Streams};
use pemm_runs::outputs::Gallery;

use crate::failure::Failure;

/// The right label of each sample that somebody looked at, [`UNKNOWN`] for the others.
pub(super) fn read(path: &Path, judged: &SamplePredictions) -> Result<Vec<u32>, Failure> {
    let found = pemm_data::labels::checked(path, &judged.classes, &judged.names, &judged.given)?;
    Ok(found.into_iter().map(|label| label.unwrap_or(UNKNOWN)).collect())
}

/// The list of `num` samples and its page, with their paths. The same samples at each call, so that a
/// second look does not draw until the answer pleases.
pub(super) fn files(
    list: &Path,
    num: usize,
    judged: &SamplePredictions,
) -> Result<[(PathBuf, Vec<u8>); 2], Failure> {
    let mut order: Vec<u32> = (0..judged.given.len() as u32).collect();
    Streams::new(0).open(Stream::Check).shuffle(&mut order);
    order.truncate(num);
    order.sort_unstable();
    let given: Vec<u32> = order.iter().map(|&sample| judged.given[sample as usize]).collect();
    let labels = Labels { classes: &judged.classes, names: &judged.names, given: &judged.given };
    let csv = to_check(labels, &order);
    let gallery = match &judged.part {
        Some(part) => pemm::outputs::thumbnails(part, order)?,
        None => Gallery {
            names: order.iter().map(|&sample| judged.names[sample as usize].clone()).collect(),
            samples: order,
            ..Gallery::default()
        },
    };
    let name = list.file_name().unwrap_or_default().to_string_lossy();
    let title = format!("{} labels to check", given.len());
    let page = pemm_report::audit::to_check(title, &name, &judged.classes, &gallery, &given);
    Ok([(list.to_owned(), csv), (list.with_extension("html"), page.html().into_bytes())])
}
