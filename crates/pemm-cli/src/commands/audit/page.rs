//! The audit as a page, with the samples that are doubted most.

use pemm::folds::SamplePredictions;
use pemm_audit::Audit;
use pemm_data::normalize::Normalization;
use pemm_report::audit::{Doubted, report};
use pemm_runs::outputs::Gallery;

use crate::failure::Failure;

/// Samples in the gallery.
const GALLERY: usize = 120;

/// The page of an audit of `data`, whose models `how` knew the labels.
pub(super) fn page(
    said: &SamplePredictions,
    audit: &Audit,
    data: &str,
    how: &str,
) -> Result<String, Failure> {
    let mut most: Vec<u32> = (0..said.given.len() as u32).collect();
    most.sort_unstable_by_key(|&sample| audit.ranks[sample as usize]);
    most.truncate(GALLERY);
    let doubted: Vec<Doubted> = most
        .iter()
        .map(|&sample| sample as usize)
        .map(|sample| Doubted {
            given: said.given[sample],
            suggested: audit.suggested[sample],
            score: audit.scores.combined[sample].into(),
        })
        .collect();
    let gallery = match &said.part {
        Some(part) => pemm::outputs::thumbnails(part, &Normalization::of(part)?, most)?,
        None => Gallery {
            names: most.iter().map(|&sample| said.names[sample as usize].clone()).collect(),
            samples: most,
            ..Gallery::default()
        },
    };
    let title = format!("Labels of {data}");
    Ok(report(title, how, &said.classes, &audit.summary, &gallery, &doubted).html())
}
