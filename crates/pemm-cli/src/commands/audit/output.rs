//! What an audit leaves: label_issues.csv, audit.json, a labels CSV on request, and a summary.

use std::path::{Path, PathBuf};

use pemm::folds::SamplePredictions;
use pemm_audit::{Audit, Summary};
use pemm_data::source::npy_header;
use pemm_runs::write;
use serde::Serialize;

use super::page::page;
use super::{Arguments, How};
use crate::failure::Failure;

/// Every sample, most doubtful first.
const ISSUES: &str = "label_issues.csv";
/// The same to look at.
const PAGE: &str = "audit.html";
/// The audit without the samples.
const AUDIT: &str = "audit.json";
/// Of the shape of `audit.json`.
const SCHEMA: u32 = 1;

/// Whether the models had seen the labels that they judge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Origin {
    /// They had not: cross-validation.
    OutOfSample,
    /// They had: a finished run and its own training samples.
    InSample,
    /// Nobody knows: probabilities from a file.
    Probabilities,
}

impl Origin {
    fn lead(self) -> &'static str {
        match self {
            Self::OutOfSample => {
                "Every sample was judged by a model that was trained without it, in cross-validation."
            }
            Self::InSample => {
                "The samples were judged by the model that was trained on these very labels: it \
                 does not doubt labels that it has memorised. An audit of the data finds more."
            }
            Self::Probabilities => "Judged by probabilities from a file.",
        }
    }
}

/// What was audited, for `audit.json`.
#[derive(Debug, Serialize)]
pub(super) struct About {
    origin: Origin,
    /// What the user named: data, run, or labels file.
    data: String,
    /// Folds of the cross-validation.
    folds: Option<usize>,
    /// Arm or preset that was trained.
    experiment: Option<serde_json::Value>,
    /// Why the numbers mean little, where they do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) warning: Option<String>,
}

#[derive(Serialize)]
struct File<'a> {
    schema: u32,
    program: String,
    #[serde(flatten)]
    about: &'a About,
    classes: &'a [String],
    data_sha256: &'a str,
    labels_sha256: &'a str,
    #[serde(with = "pemm_runs::number")]
    training_secs: f64,
    #[serde(flatten)]
    summary: &'a Summary,
}

impl About {
    /// What was audited, for people.
    pub(super) fn data(&self) -> &str {
        &self.data
    }

    /// How the samples were judged, in a sentence.
    pub(super) fn lead(&self) -> &'static str {
        self.origin.lead()
    }

    /// Whether the models had seen the labels, so that more are wrong than they doubt.
    pub(super) fn is_lower_bound(&self) -> bool {
        self.origin == Origin::InSample
    }

    pub(super) fn new(
        origin: Origin,
        data: String,
        folds: Option<usize>,
        experiment: Option<serde_json::Value>,
    ) -> Self {
        Self { origin, data, folds, experiment, warning: None }
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
    let json = File {
        schema: SCHEMA,
        program: format!("pemm {}", env!("CARGO_PKG_VERSION")),
        about,
        classes: &judged.classes,
        data_sha256: &judged.data_sha256,
        labels_sha256: &judged.labels_sha256,
        training_secs: judged.training_secs,
        summary: &audit.summary,
    };
    let json = serde_json::to_vec_pretty(&json).map_err(|e| Failure::new(e.to_string()))?;
    let page = page(judged, audit, about)?;
    let mut files = vec![
        (out.join(ISSUES), issues(judged, audit)),
        (out.join(AUDIT), json),
        (out.join(PAGE), page.into_bytes()),
    ];
    if let Some(path) = &arguments.write_labels {
        files.push((path.clone(), labels(judged, audit, arguments.how)));
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
    std::fs::create_dir_all(out)
        .map_err(|error| Failure::new(format!("--out: {}: {error}", out.display())))?;
    for (path, bytes) in &files {
        write::atomic(path, bytes)?;
    }
    Ok(Files(files.into_iter().map(|(path, _)| path).collect()))
}

/// A CSV of all samples, most doubtful first.
fn issues(judged: &SamplePredictions, audit: &Audit) -> Vec<u8> {
    let columns = audit.scores.columns();
    let mut writer = csv::Writer::from_writer(Vec::new());
    let written = "writing to memory does not fail";
    let header = [sample_column(judged), "given", "suggested", "score", "is_issue", "rank"];
    writer.write_record(header.into_iter().chain(columns.iter().map(|c| c.0))).expect(written);
    let mut order: Vec<usize> = (0..judged.given.len()).collect();
    order.sort_unstable_by_key(|&sample| audit.ranks[sample]);
    for sample in order {
        let class = |label: u32| judged.classes[label as usize].clone();
        let mut record = vec![
            judged.names[sample].clone(),
            class(judged.given[sample]),
            class(audit.suggested[sample]),
            format!("{:.6}", audit.scores.combined[sample]),
            audit.is_issue[sample].to_string(),
            audit.ranks[sample].to_string(),
        ];
        record.extend(columns.iter().map(|(_, values)| format!("{:.6}", values[sample])));
        writer.write_record(&record).expect(written);
    }
    writer.into_inner().expect(written)
}

/// The labels as `how` wants them, in the order of the source.
fn labels(judged: &SamplePredictions, audit: &Audit, how: How) -> Vec<u8> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let written = "writing to memory does not fail";
    let mut header = vec![sample_column(judged), "label"];
    header.extend((how == How::Weight).then_some("weight"));
    writer.write_record(&header).expect(written);
    for (sample, name) in judged.names.iter().enumerate() {
        let is_issue = audit.is_issue[sample];
        if is_issue && how == How::Drop {
            continue;
        }
        let label = match is_issue && how == How::Correct {
            true => audit.suggested[sample],
            false => judged.given[sample],
        };
        let mut record = vec![name.clone(), judged.classes[label as usize].clone()];
        if how == How::Weight {
            record.push(format!("{:.6}", 1.0 - audit.scores.combined[sample]));
        }
        writer.write_record(&record).expect(written);
    }
    writer.into_inner().expect(written)
}

/// `index` where every name is the number of its row, as in a labels file.
fn sample_column(judged: &SamplePredictions) -> &'static str {
    let is_number = |name: &String| name.parse::<u64>().is_ok();
    if judged.names.iter().all(is_number) { "index" } else { "path" }
}

/// What a person wants to know.
pub(super) fn text(
    about: &About,
    judged: &SamplePredictions,
    audit: &Audit,
    files: &Files,
) -> String {
    let Summary { noise_rate, num_issues, confusions, .. } = &audit.summary;
    let percent = |share: f64| format!("{:.1} %", 100.0 * share);
    let estimate = percent(noise_rate.estimate);
    let share = match (&about.warning, about.is_lower_bound()) {
        (Some(_), _) => format!("an estimate of {estimate} wrong labels, see the warning"),
        (None, true) => format!("at least about {estimate} of the labels are wrong"),
        (None, false) => {
            let (low, high) = (percent(noise_rate.low), percent(noise_rate.high));
            format!("about {estimate} of the labels are wrong ({low} to {high})")
        }
    };
    let num_samples = judged.given.len();
    let mut lines =
        vec![format!("{share}; {num_issues} of {num_samples} samples are listed as issues")];
    for method in &noise_rate.methods {
        lines.push(format!("  {:<22} {:>7}", method.name, percent(method.estimate)));
    }
    if !confusions.is_empty() {
        lines.push("most frequent confusions (given → suggested)".into());
    }
    for confusion in confusions.iter().take(5) {
        lines.push(format!(
            "  {} → {}  {}",
            judged.classes[confusion.given as usize],
            judged.classes[confusion.suggested as usize],
            confusion.count
        ));
    }
    lines.extend(files.0.iter().map(|path| format!("wrote {}", path.display())));
    lines.join("\n")
}
