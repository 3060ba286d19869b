//! Joining a labels file: training labels from a CSV instead of from the source.
//!
//! The file has a header; case does not matter in it. One column says which sample: `path`, or `index`
//! for sources that number their samples; both hold the sample's name, as in
//! [`Part::name`](crate::Part::name), or so much of the end of it that no other can be meant. The column
//! `data.label_column` holds the given label. Optional: `weight` (finite, at least 0), `clean`
//! (the true label) and `trusted` (1 where the given label is known to be right, else 0). Of a column
//! `action`, which an audit writes, only how many labels were changed is noted. Other columns are ignored.
//!
//! A label is a class name. If it is none, and no class name is itself an integer, an integer from
//! 0 to K-1 is the id of a class; where class names are integers, a label can only be a name. `3.0`
//! is read as `3`. Where counting and the order of the classes differ (`c2`, `c10`) an id could mean
//! either and is refused. Blanks at the ends, and the two ways in which Unicode writes an accent,
//! are passed over only where the name as it is written is not there.
//!
//! New labels make clean labels that were known before worthless for scoring, so these are dropped
//! unless the file brings its own. Only training samples can be listed.

mod agreement;
mod alone;
mod checked;
mod samples;
mod trusted;

use std::cell::Cell;
use std::path::Path;

use serde::{Deserialize, Serialize};

pub use alone::{LabelsFile, NamedLabels};
pub use checked::checked;
use samples::{Meant, Samples};

use crate::config::{DataConfig, Unlisted};
use crate::nearest;
use crate::source::classes::{counting_order, first, plain_integer};
use crate::source::names::Finder;
use crate::source::read;
use crate::source::table::Table;
use crate::{DataError, DataSet, Part, Result, Trusted};

/// What joining did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinReport {
    /// Training samples that the file lists.
    pub listed: usize,
    /// Training samples left out because the file does not list them.
    pub dropped: usize,
    /// Listed samples whose given label is not the one of the source: "`changed` of `listed` labels
    /// differ from the folders'". Images that lie flat have no label of their own, so 0 there.
    pub changed: usize,
}

impl JoinReport {
    /// What to say where labels differ from those of the source.
    pub fn note(&self) -> Option<String> {
        (self.changed > 0).then(|| {
            format!(
                "data.labels: {} of {} labels differ from those that the data have themselves",
                self.changed, self.listed
            )
        })
    }
}

/// Replaces the training labels of `set` by those of `config.labels`, and notes the report in
/// [`DataSet::joined`]; without such a file nothing changes and the report is all zero. Then notes which
/// labels are known to be right, by a column of that file or by `config.trusted`.
///
/// Classes that the file leaves without a sample, and labels that look renumbered, are noted.
///
/// # Errors
/// With file and line: a sample that is not in the training part, or listed twice; a label that is
/// no class; a weight that is negative or not finite. Missing columns, with those that are there.
/// Samples that are not listed, unless `data.unlisted` is `"drop"`; dropping all of a class is
/// allowed, dropping all samples is not. Ids that count from 1; labels that leave one class. A label
/// that is said to be right and is not the clean one; trusted samples that are named twice over, or
/// none at all.
pub fn join(set: &mut DataSet, config: &DataConfig) -> Result<JoinReport> {
    let report = join_labels(set, config)?;
    trusted::join(set, config)?;
    Ok(report)
}

fn join_labels(set: &mut DataSet, config: &DataConfig) -> Result<JoinReport> {
    let Some(path) = &config.labels else { return Ok(JoinReport::default()) };
    check_exists(path)?;
    set.trusted = None;
    let mut rows = rows(path, set, &config.label_column)?;
    let keep: Vec<usize> = (0..set.train.len()).filter(|&i| rows.found[i].is_some()).collect();
    let report = JoinReport {
        listed: keep.len(),
        dropped: set.train.len() - keep.len(),
        changed: keep
            .iter()
            .filter(|&&i| rows.found[i].is_some_and(|row| row.given != set.train.given[i]))
            .count(),
    };
    if report.dropped > 0 && (config.unlisted == Unlisted::Error || keep.is_empty()) {
        return Err(unlisted(path, &set.train, &rows, report));
    }
    let found: Vec<Row> = rows.found.drain(..).flatten().collect();
    if report.dropped > 0 {
        set.train = set.train.select(&keep);
    }
    let given: Vec<u32> = found.iter().map(|row| row.given).collect();
    let agreement = agreement::Agreement::of(&set.classes, &set.train.given, &given);
    if rows.by_id {
        agreement.check_ids().map_err(|reason| DataError::format(path, reason))?;
    }
    if report.dropped == 0 {
        agreement.check_classes().map_err(|reason| DataError::format(path, reason))?;
    }
    set.notes.extend(rows.note.map(|note| format!("data.labels: {note}")));
    set.notes.extend(agreement.notes().map(|note| format!("data.labels: {note}")));
    set.train.given = given;
    if rows.has_weight {
        set.train.weights = Some(found.iter().map(|row| row.weight).collect());
    }
    set.clean = rows.has_clean.then(|| found.iter().map(|row| row.clean).collect());
    set.trusted = rows.has_trusted.then(|| Trusted {
        marks: found.iter().map(|row| row.is_trusted).collect(),
        before: set.train.given.clone(),
    });
    if rows.num_changed > 0 {
        set.notes.push(format!(
            "data.labels: {} of the labels are an audit's and not the given ones; where the validation part is \
             held out of them, accuracy on it says how well the model agrees with the audit too",
            rows.num_changed
        ));
    }
    if report.dropped > 0 {
        let all = report.listed + report.dropped;
        set.notes.push(format!(
            "data.unlisted: {} of {all} training samples are not in the labels file and were dropped",
            report.dropped
        ));
    }
    set_own_validation_aside(set);
    set.joined = Some(report);
    Ok(report)
}

/// A source's own validation part keeps its own labels, which may be clean: choosing a model by it
/// would not be choosing by labels like those that are trained on. It becomes the test part if there
/// is none, else it is left out; the validation part is then held out of the joined labels.
fn set_own_validation_aside(set: &mut DataSet) {
    let Some(val) = set.val.take() else { return };
    let what = if set.test.is_none() {
        set.test = Some(val);
        "is the test part"
    } else {
        "is not used"
    };
    set.notes.push(format!(
        "data.labels: the labels file does not cover val/, which {what}; the validation part is \
         held out of the training samples"
    ));
}

/// What one line says about a sample; `weight` is 1, `clean` is 0 and nothing is trusted without such a
/// column.
#[derive(Debug, Clone, Copy)]
struct Row {
    line: u64,
    given: u32,
    clean: u32,
    weight: f32,
    is_trusted: bool,
}

/// In the column `action`: the label is an audit's, not the given one.
const CHANGED: &str = "change";

struct Rows {
    /// One entry per training sample.
    found: Vec<Option<Row>>,
    has_weight: bool,
    has_clean: bool,
    has_trusted: bool,
    /// Whether a label was given by the id of its class.
    by_id: bool,
    /// Labels that an audit changed.
    num_changed: usize,
    /// What to say of how samples are named.
    note: Option<String>,
}

/// The columns of a labels file, by their positions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LabelColumns {
    /// The name of the sample.
    pub(crate) sample: usize,
    /// Its given label.
    pub(crate) given: usize,
    weight: Option<usize>,
    clean: Option<usize>,
    trusted: Option<usize>,
    action: Option<usize>,
}

impl LabelColumns {
    /// Finds them by their names; an error names those that are there.
    pub(crate) fn find(path: &Path, columns: &[String], label_column: &str) -> Result<Self> {
        let column = |name: &str| position(columns, name);
        let missing = |name: &str| missing_column(path, columns, name);
        let given = column(label_column)
            .ok_or_else(|| missing(&format!("{label_column:?}, which data.label_column names")));
        Ok(Self {
            sample: column("path")
                .or_else(|| column("index"))
                .ok_or_else(|| missing("path or index"))?,
            given: given?,
            weight: column("weight"),
            clean: column("clean"),
            trusted: column("trusted"),
            action: column("action"),
        })
    }
}

/// The position of the column `name`, or of the one that differs from it in nothing but case.
fn position(columns: &[String], name: &str) -> Option<usize> {
    let same = columns.iter().position(|column| column == name);
    same.or_else(|| columns.iter().position(|column| column.eq_ignore_ascii_case(name)))
}

/// What to say where a column is not there.
fn missing_column(path: &Path, columns: &[String], name: &str) -> DataError {
    let hint = match columns {
        [only] if only.contains([';', '\t', '|']) => "; columns are separated by commas",
        _ => "",
    };
    let hint = if hint.is_empty() && name.starts_with("path") {
        "; the first line names the columns, as path,label"
    } else {
        hint
    };
    let found = columns.join(", ");
    DataError::format(path, format!("line 1: there is no column {name}; found: {found}{hint}"))
}

fn rows(path: &Path, set: &DataSet, label_column: &str) -> Result<Rows> {
    let mut table = Table::open(path, csv::Trim::Headers)?;
    let names = table.columns()?;
    let columns = LabelColumns::find(path, &names, label_column)?;
    let classes = ClassNames::new(&set.classes);
    let samples = Samples::of(set);
    let mut found: Vec<Option<Row>> = vec![None; set.train.len()];
    let mut num_changed = 0;
    while let Some((line, row)) = table.next_row()? {
        let wrong = |reason: String| DataError::format(path, format!("line {line}: {reason}"));
        let label = |column: usize| {
            let id = classes.id(&row[column]);
            id.map_err(|reason| wrong(format!("column {:?}: {reason}", names[column])))
        };
        let name = &row[columns.sample];
        let sample = match samples.find(name).map_err(wrong)? {
            Meant::Training(sample) => sample,
            Meant::LeftOut => continue,
            Meant::Elsewhere(part, own) => {
                // Noisy Imagenette's file lists the validation images too, with their own labels.
                if own == label(columns.given)? {
                    continue;
                }
                let name = name.trim();
                return Err(wrong(format!(
                    "{name:?} is in the {part} part; a labels file replaces training labels only"
                )));
            }
        };
        num_changed += usize::from(columns.action.is_some_and(|c| row[c].trim() == CHANGED));
        let row = Row {
            line,
            given: label(columns.given)?,
            clean: columns.clean.map_or(Ok(0), label)?,
            weight: columns.weight.map_or(Ok(1.0), |c| weight(row[c].trim()).map_err(wrong))?,
            is_trusted: columns
                .trusted
                .map_or(Ok(false), |c| trusted::mark(row[c].trim()).map_err(wrong))?,
        };
        if row.is_trusted && columns.clean.is_some() && row.clean != row.given {
            return Err(wrong(trusted::CONTRADICTION.into()));
        }
        if let Some(first) = found[sample].replace(row) {
            let name = set.train.name(sample);
            let reason = format!("{name:?} is listed a second time, first in line {}", first.line);
            return Err(wrong(reason));
        }
    }
    Ok(Rows {
        found,
        has_weight: columns.weight.is_some(),
        has_clean: columns.clean.is_some(),
        has_trusted: columns.trusted.is_some(),
        by_id: classes.by_id.get(),
        num_changed,
        note: samples.note(),
    })
}

/// Refuses a labels file that is not there, with the nearest name that is.
pub(crate) fn check_exists(path: &Path) -> Result<()> {
    if path.exists() { Ok(()) } else { Err(DataError::setting("data.labels", missing(path))) }
}

fn missing(path: &Path) -> String {
    match read::nearest_sibling(path) {
        Some(near) => format!("there is no file {path:?}; did you mean {near:?}?"),
        None => format!("there is no file {path:?}"),
    }
}

/// How a label of the file becomes a class id.
struct ClassNames<'a> {
    names: &'a [String],
    finder: Finder<'a>,
    ids_allowed: bool,
    /// Whether a label was an id.
    by_id: Cell<bool>,
}

impl<'a> ClassNames<'a> {
    fn new(names: &'a [String]) -> Self {
        Self {
            names,
            finder: Finder::new(names.iter().map(String::as_str)),
            ids_allowed: names.iter().all(|name| name.parse::<i64>().is_err()),
            by_id: Cell::new(false),
        }
    }

    fn id(&self, written: &str) -> Result<u32, String> {
        let label = written.trim();
        let number = plain_integer(label);
        let by_number = || number.as_ref().and_then(|number| self.finder.find(number));
        if let Some(id) = self.finder.find(written).or_else(by_number) {
            return Ok(id);
        }
        if let Some(number) = number.filter(|_| self.ids_allowed) {
            return self.by_number(&number);
        }
        let hint = nearest(label, self.finder.names());
        let hint = hint.map(|name| format!("; did you mean {name:?}?")).unwrap_or_default();
        let (count, first) = (self.names.len(), first(self.names));
        Err(format!("{label:?} is none of the {count} classes ({first}){hint}"))
    }

    /// The class whose id is `number`.
    fn by_number(&self, number: &str) -> Result<u32, String> {
        let count = self.names.len();
        let known = number.parse().ok().filter(|&id: &u32| (id as usize) < count);
        let Some(id) = known else {
            let from_one = number == count.to_string();
            let hint = if from_one {
                "; ids count from 0: do those of this file count from 1?"
            } else {
                ""
            };
            return Err(format!("class id {number} is not in 0 to {}{hint}", count - 1));
        };
        if !self.by_id.replace(true)
            && let Some(counting) = counting_order(self.names)
        {
            let at = (0..count).find(|&at| counting[at] != at).expect("the orders differ");
            return Err(format!(
                "a label is the class id {number}, but ids are not plain here: id {at} is {:?} in \
                 the order of the names and {:?} if one counts; write the names of the classes",
                self.names[at], self.names[counting[at]]
            ));
        }
        Ok(id)
    }
}

fn weight(field: &str) -> Result<f32, String> {
    let value = field.parse().ok().filter(|weight: &f32| weight.is_finite() && *weight >= 0.0);
    value.ok_or_else(|| format!("weight {field:?} is no finite number of at least 0"))
}

fn unlisted(path: &Path, train: &Part, rows: &Rows, report: JoinReport) -> DataError {
    let absent = (0..train.len()).filter(|&i| rows.found[i].is_none());
    let first: Vec<&str> = absent.take(5).map(|i| train.name(i)).collect();
    let more = if report.dropped > first.len() { ", …" } else { "" };
    let advice = if report.listed == 0 {
        "no sample is listed at all"
    } else {
        "list them, or leave them out with data.unlisted = \"drop\""
    };
    let reason = format!(
        "{} of {} training samples are not listed ({}{more}); {advice}",
        report.dropped,
        train.len(),
        first.join(", ")
    );
    DataError::format(path, reason)
}

#[cfg(test)]
mod tests;
