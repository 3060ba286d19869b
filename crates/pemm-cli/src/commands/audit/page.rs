//! The audit as a page, with the samples that are doubted most.

use pemm::folds::SamplePredictions;
use pemm_audit::Audit;
use pemm_audit::files::{About, Origin};
use pemm_audit::rate::NoiseRate;
use pemm_report::audit::{Doubted, report};
use pemm_runs::outputs::Gallery;

use super::output::lead;
use crate::failure::Failure;

/// Samples in the gallery.
const GALLERY: usize = 120;

/// The page of an audit.
pub(super) fn page(
    judged: &SamplePredictions,
    audit: &Audit,
    about: &About,
) -> Result<String, Failure> {
    // A sample that may well be what its label says is nothing to look at.
    let is_doubted = |&sample: &u32| {
        let sample = sample as usize;
        audit.is_issue[sample] || audit.suggested[sample] != judged.given[sample]
    };
    let mut most: Vec<u32> = (0..judged.given.len() as u32).filter(is_doubted).collect();
    most.sort_unstable_by_key(|&sample| {
        (!audit.is_issue[sample as usize], audit.ranks[sample as usize])
    });
    most.truncate(GALLERY);
    let doubted: Vec<Doubted> = most
        .iter()
        .map(|&sample| sample as usize)
        .map(|sample| Doubted {
            given: judged.given[sample],
            suggested: audit.suggested[sample],
            score: audit.scores.combined[sample].into(),
        })
        .collect();
    let gallery = match &judged.part {
        Some(part) => pemm::outputs::thumbnails(part, most)?,
        None => Gallery {
            names: most.iter().map(|&sample| judged.names[sample as usize].clone()).collect(),
            samples: most,
            ..Gallery::default()
        },
    };
    let title = format!("Labels of {}", about.data);
    let mut report =
        report(title, lead(about.origin), &judged.classes, &audit.summary, &gallery, &doubted);
    let is_by_hand = audit.summary.noise_rate.as_ref().is_some_and(NoiseRate::is_by_hand);
    if about.origin == Origin::InSample && !is_by_hand {
        report.tiles[0].note = "at least: the model was trained on them".into();
    }
    Ok(report.html())
}
