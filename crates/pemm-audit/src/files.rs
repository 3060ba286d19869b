//! The files of an audit: `label_issues.csv`, `audit.json`, a labels CSV for training, and a list of
//! samples to check.

use serde::Serialize;

use crate::cleaning::Action;
use crate::report::{Audit, Summary};

/// Of the shape of `audit.json`. Schema 1 had an estimate always, and no judgement.
pub const SCHEMA: u32 = 2;

/// Whether the models had seen the labels that they judge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// They had not: cross-validation.
    OutOfSample,
    /// They had: a finished run and its own training samples.
    InSample,
    /// Nobody knows: probabilities from a file.
    Probabilities,
}

/// What was audited.
#[derive(Debug, Clone, Serialize)]
pub struct About {
    /// Whether the models had seen the labels.
    pub origin: Origin,
    /// What the user named: data, run, or labels file.
    pub data: String,
    /// Folds of the cross-validation.
    pub folds: Option<usize>,
    /// The experiment that was trained.
    pub experiment: Option<serde_json::Value>,
}

/// Names and given labels of the samples, `[N]` each, and the names of the classes.
#[derive(Debug, Clone, Copy)]
pub struct Labels<'a> {
    /// Class names, by label.
    pub classes: &'a [String],
    /// Name of each sample, as in a labels file.
    pub names: &'a [String],
    /// Given label of each sample.
    pub given: &'a [u32],
}

/// What a labels CSV for training does with doubtful labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// Every sample keeps its label and counts by how probably it is right.
    Weight,
    /// Labels that the plan would change or drop count nothing.
    Drop,
    /// The plan: labels are changed where that mends far more than it harms, else dropped.
    Correct,
}

/// `audit.json`.
///
/// # Errors
/// Numbers that JSON cannot hold.
pub fn json(
    program: &str,
    about: &About,
    labels: Labels<'_>,
    [data_sha256, labels_sha256]: [&str; 2],
    training_secs: f64,
    summary: &Summary,
) -> serde_json::Result<Vec<u8>> {
    #[derive(Serialize)]
    struct File<'a> {
        schema: u32,
        program: &'a str,
        #[serde(flatten)]
        about: &'a About,
        classes: &'a [String],
        data_sha256: &'a str,
        labels_sha256: &'a str,
        training_secs: f64,
        #[serde(flatten)]
        summary: &'a Summary,
    }
    serde_json::to_vec_pretty(&File {
        schema: SCHEMA,
        program,
        about,
        classes: labels.classes,
        data_sha256,
        labels_sha256,
        training_secs,
        summary,
    })
}

/// `label_issues.csv`: every sample, most doubtful first, with what is said of it and every score.
pub fn issues(labels: Labels<'_>, audit: &Audit) -> Vec<u8> {
    let columns = audit.scores.columns();
    let header = [labels.column(), "given", "suggested", "score", "is_issue", "rank", "action"];
    let header = header.into_iter().chain(columns.iter().map(|column| column.0));
    let mut order: Vec<usize> = (0..labels.given.len()).collect();
    order.sort_unstable_by_key(|&sample| audit.ranks[sample]);
    let rows = order.into_iter().map(|sample| {
        let mut row = vec![
            labels.names[sample].clone(),
            labels.class(labels.given[sample]),
            labels.class(audit.suggested[sample]),
            format!("{:.6}", audit.scores.combined[sample]),
            audit.is_issue[sample].to_string(),
            audit.ranks[sample].to_string(),
            word(audit.cleaning.actions[sample]).to_owned(),
        ];
        row.extend(columns.iter().map(|(_, values)| format!("{:.6}", values[sample])));
        row
    });
    csv(header.map(str::to_owned).collect(), rows)
}

/// A labels CSV for training as `how` wants it, in the order of the source. It keeps the given label
/// and says what became of it. Who changes no label writes none.
pub fn for_training(labels: Labels<'_>, audit: &Audit, how: How) -> Vec<u8> {
    let cleaning = &audit.cleaning;
    let header = [labels.column(), "label", "weight", "given", "action"].map(str::to_owned);
    let rows = (0..labels.given.len()).map(|sample| {
        let (given, action) = (labels.given[sample], cleaning.actions[sample]);
        let (label, weight, action) = match (how, action) {
            (_, Action::Checked) => (cleaning.labels[sample], 1.0, word(action)),
            (How::Weight, _) => (given, cleaning.weights[sample], "weight"),
            (_, Action::Keep) => (given, 1.0, word(Action::Keep)),
            (How::Correct, Action::Change) => (cleaning.labels[sample], 1.0, word(action)),
            (How::Drop, Action::Change) | (_, Action::Drop) => (given, 0.0, word(Action::Drop)),
        };
        vec![
            labels.names[sample].clone(),
            labels.class(label),
            format!("{weight:.6}"),
            labels.class(given),
            action.to_owned(),
        ]
    });
    csv(header.to_vec(), rows)
}

/// A list of `samples` for a person to look at: name, given label, and a blank column `label` for the right
/// one.
pub fn to_check(labels: Labels<'_>, samples: &[u32]) -> Vec<u8> {
    let header = [labels.column(), "given", "label"].map(str::to_owned);
    let rows = samples.iter().map(|&sample| sample as usize).map(|sample| {
        vec![labels.names[sample].clone(), labels.class(labels.given[sample]), String::new()]
    });
    csv(header.to_vec(), rows)
}

impl Labels<'_> {
    /// `index` where every name is the number of its row, as in a labels file.
    fn column(&self) -> &'static str {
        let is_number = |name: &String| name.parse::<u64>().is_ok();
        if self.names.iter().all(is_number) { "index" } else { "path" }
    }

    fn class(&self, label: u32) -> String {
        self.classes[label as usize].clone()
    }
}

fn word(action: Action) -> &'static str {
    match action {
        Action::Keep => "keep",
        Action::Change => "change",
        Action::Drop => "drop",
        Action::Checked => "checked",
    }
}

fn csv(header: Vec<String>, rows: impl Iterator<Item = Vec<String>>) -> Vec<u8> {
    const WRITTEN: &str = "writing to memory does not fail";
    let mut writer = ::csv::Writer::from_writer(Vec::new());
    for row in std::iter::once(header).chain(rows) {
        writer.write_record(&row).expect(WRITTEN);
    }
    writer.into_inner().expect(WRITTEN)
}
