//! What an audit leaves: its files, and a summary for the terminal.

use std::path::{Path, PathBuf};

use pemm::folds::SamplePredictions;
use pemm_audit::files::{self, About, Labels, Origin};
use pemm_audit::judge::Verdict;
use pemm_audit::{Audit, Summary};
use pemm_data::source::npy_header;
use pemm_runs::write;

use super::page::page;
use super::{Arguments, checks};
use crate::failure::Failure;

/// Every sample, most doubtful first.
const ISSUES: &str = "label_issues.csv";
/// The same as a page.
const PAGE: &str = "audit.html";
/// The audit without the samples.
const AUDIT: &str = "audit.json";

/// How the samples were judged, in a sentence.
pub(super) fn lead(origin: Origin) -> &'static str {
    match origin {
        Origin::OutOfSample => {
            "Every sample was judged by a model that was trained without it, in cross-validation."
        }
        Origin::InSample => {
            "The samples were judged by the model that was trained on these very labels. It does not \
             doubt labels that it has memorised; an audit of the data finds more of the wrong ones."
        }
        Origin::Probabilities => "Judged by probabilities from a file.",
    }
}

/// Files that were written, for the summary.
pub(super) struct Files(Vec<PathBuf>);

/// Writes all files into `out`, and the labels CSV where it is asked for.
pub(super) fn write(
    arguments: &Arguments,
    about: &About,
    judged: &SamplePredictions,
    audit: &Audit,
    out: &Path,
) -> Result<Files, Failure> {
    let labels = Labels { classes: &judged.classes, names: &judged.names, given: &judged.given };
    let program = format!("pemm {}", env!("CARGO_PKG_VERSION"));
    let hashes = [judged.data_sha256.as_str(), &judged.labels_sha256];
    let json = files::json(&program, about, labels, hashes, judged.training_secs, &audit.summary)
        .map_err(|error| Failure::new(error.to_string()))?;
    let page = page(judged, audit, about)?;
    let mut files = vec![
        (out.join(ISSUES), files::issues(labels, audit)),
        (out.join(AUDIT), json),
        (out.join(PAGE), page.into_bytes()),
    ];
    if let Some(path) = &arguments.write_labels {
        files.push((path.clone(), files::for_training(labels, audit, arguments.how.into())));
    }
    if let Some(path) = &arguments.write_check {
        files.extend(checks::files(path, arguments.check_size, judged)?);
    }
    if arguments.keep_outputs {
        let predictions = &judged.predictions;
        let array = |values: &[f32], columns: usize| {
            let mut bytes = npy_header(judged.given.len(), columns);
            bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
            bytes
        };
        let probabilities = array(&predictions.probabilities, predictions.num_classes);
        files.push((out.join("probabilities.npy"), probabilities));
        if predictions.num_features > 0 {
            let features = array(&predictions.features, predictions.num_features);
            files.push((out.join("features.npy"), features));
        }
    }
    // All or none: what may not be replaced is found before the first is written.
    for (path, bytes) in &files {
        let same = || std::fs::read(path).is_ok_and(|old| old == *bytes);
        if path.exists() && !arguments.force && !same() {
            let message = format!("{} holds another audit; --force replaces it", path.display());
            return Err(Failure::usage(message));
        }
    }
    pemm_data::disk::make_folder(out)
        .map_err(|error| Failure::new(format!("--out: {}: {error}", out.display())))?;
    for (path, bytes) in &files {
        write::atomic(path, bytes)?;
    }
    Ok(Files(files.into_iter().map(|(path, _)| path).collect()))
}

/// What a person wants to know.
pub(super) fn text(
    about: &About,
    judged: &SamplePredictions,
    audit: &Audit,
    files: &Files,
) -> String {
    let Summary { noise_rate, num_issues, confusions, judgement, cleaning, .. } = &audit.summary;
    let percent = |share: f64| format!("{:.1} %", 100.0 * share);
    let num_samples = judged.given.len();
    let mut lines = Vec::new();
    match noise_rate {
        None => {
            let reason = judgement.reason.as_deref().unwrap_or("they know too little");
            lines.push(format!("the models cannot judge these labels: {reason}"));
            lines.push(
                "the samples are ranked all the same. A pretrained backbone (--backbone) or a larger one, \
                 more images or longer training may help, or your own look at 100 of the samples \
                 (--write-check)"
                    .into(),
            );
        }
        Some(rate) => {
            let (low, high) = (percent(rate.low), percent(rate.high));
            let estimate = percent(rate.estimate);
            let is_least = about.origin == Origin::InSample && !rate.is_by_hand();
            let or_more = if is_least { " or more" } else { "" };
            if judgement.verdict == Verdict::No {
                let reason = judgement.reason.as_deref().unwrap_or("they know too little");
                lines.push(format!(
                    "the models cannot judge these labels: {reason}. The number comes from the samples \
                     that you checked"
                ));
            }
            lines.push(format!(
                "about {estimate}{or_more} of the labels are wrong ({low} to {high}); {num_issues} of \
                 {num_samples} samples are listed as issues"
            ));
            if rate.is_doubtful {
                lines.push(
                    "take the number with care: the methods disagree, or the interval is wide; to know \
                     better, look at 100 of them yourself (--write-check)"
                        .into(),
                );
            }
            if !rate.doubtful.is_empty() {
                lines.push(format!(
                    "the estimate is doubtful for {}",
                    names(judged, &rate.doubtful)
                ));
            }
            lines.push("other estimates, for comparison:".into());
            for method in &rate.methods {
                lines.push(format!("  {:<24} {:>7}", method.name, percent(method.estimate)));
            }
        }
    }
    if judgement.verdict == Verdict::NotTheseClasses {
        lines.push("not checked, their labels may be right or wrong:".into());
        for (class, why) in &judgement.unjudged {
            lines.push(format!("  {}: {}", judged.classes[*class as usize], why.reason()));
        }
    }
    if !confusions.is_empty() {
        lines.push("most frequent confusions (given → suggested):".into());
    }
    for confusion in confusions.iter().take(5) {
        lines.push(format!(
            "  {} → {}  {}",
            judged.classes[confusion.given as usize],
            judged.classes[confusion.suggested as usize],
            confusion.count
        ));
    }
    if cleaning.num_halved > 0 && noise_rate.is_some() {
        lines.push(format!(
            "cleaned labels would give {} samples less than half their weight; about {:.0} of these are \
             probably labelled correctly. --how correct would change {} labels (about {:.0} to the right \
             one, {:.0} away from it) and leave out {} samples",
            cleaning.num_halved,
            cleaning.halved_right,
            cleaning.num_changed,
            cleaning.mended,
            cleaning.made,
            cleaning.num_dropped
        ));
    }
    lines.extend(files.0.iter().map(|path| format!("wrote {}", path.display())));
    if let Some(page) = files.0.iter().find(|path| path.ends_with(PAGE)) {
        lines
            .push(format!("to look at the doubtful samples, open {} in a browser", page.display()));
    }
    lines.join("\n")
}

/// Names of classes, the first few.
fn names(judged: &SamplePredictions, classes: &[u32]) -> String {
    const SHOWN: usize = 8;
    let shown: Vec<&str> =
        classes.iter().take(SHOWN).map(|&class| judged.classes[class as usize].as_str()).collect();
    let more = if classes.len() > SHOWN { ", …" } else { "" };
    format!("{}{more}", shown.join(", "))
}
