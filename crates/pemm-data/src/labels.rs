//! Joining a labels file: training labels from a CSV instead of from the source.
//!
//! The file has a header. One column says which sample: `path`, or `index` for sources that number
//! their samples; both hold the sample's name, as in [`Part::name`](crate::Part::name). The column
//! `data.label_column` holds the given label. Optional: `weight` (finite, at least 0) and `clean`
//! (the true label). Other columns are ignored.
//!
//! A label is a class name. If it is none, and no class name is itself an integer, an integer from
//! 0 to K-1 is the id of a class; where class names are integers, a label can only be a name.
//!
//! New labels make clean labels that were known before worthless for scoring, so these are dropped
//! unless the file brings its own. Only training samples can be listed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::config::{DataConfig, Unlisted};
use crate::nearest;
use crate::source::read;
use crate::{DataError, DataSet, Part, Result};

/// What joining did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinReport {
    /// Training samples that the file lists.
    pub listed: usize,
    /// Training samples left out because the file does not list them.
    pub dropped: usize,
    /// Listed samples whose given label is not the one of the source.
    pub changed: usize,
}

/// Replaces the training labels of `set` by those of `config.labels`; without such a file nothing
/// changes and the report is all zero.
///
/// # Errors
/// With file and line: a sample that is not in the training part, or listed twice; a label that is
/// no class; a weight that is negative or not finite. Missing columns, with those that are there.
/// Samples that are not listed, unless `data.unlisted` is `"drop"`; dropping all of a class is
/// allowed, dropping all samples is not.
pub fn join(set: &mut DataSet, config: &DataConfig) -> Result<JoinReport> {
    let Some(path) = &config.labels else { return Ok(JoinReport::default()) };
    if !path.exists() {
        return Err(DataError::setting("data.labels", missing(path)));
    }
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
    set.train.given = found.iter().map(|row| row.given).collect();
    if rows.has_weight {
        set.train.weights = Some(found.iter().map(|row| row.weight).collect());
    }
    set.clean = rows.has_clean.then(|| found.iter().map(|row| row.clean).collect());
    if report.dropped > 0 {
        let all = report.listed + report.dropped;
        set.notes.push(format!(
            "data.unlisted: {} of {all} training samples are not in the labels file and were dropped",
            report.dropped
        ));
    }
    set_own_validation_aside(set);
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

/// What one line says about a sample; `weight` is 1 and `clean` is 0 without such a column.
#[derive(Debug, Clone, Copy)]
struct Row {
    line: u64,
    given: u32,
    clean: u32,
    weight: f32,
}

struct Rows {
    /// One entry per training sample.
    found: Vec<Option<Row>>,
    has_weight: bool,
    has_clean: bool,
}

fn rows(path: &Path, set: &DataSet, label_column: &str) -> Result<Rows> {
    let mut reader = read::csv(path)?;
    let bad_row = |error| read::csv_error(path, error);
    let columns: Vec<String> = reader.headers().map_err(bad_row)?.iter().map(Into::into).collect();
    let column = |name: &str| columns.iter().position(|column| column == name);
    let missing = |name: &str| {
        let found = columns.join(", ");
        let hint = match columns.as_slice() {
            [only] if only.contains([';', '\t']) => "; columns are separated by commas",
            _ => "",
        };
        DataError::format(path, format!("line 1: there is no column {name}; found: {found}{hint}"))
    };
    let sample_column =
        column("path").or_else(|| column("index")).ok_or_else(|| missing("path or index"))?;
    let given_column = column(label_column)
        .ok_or_else(|| missing(&format!("{label_column:?}, which data.label_column names")))?;
    let (weight_column, clean_column) = (column("weight"), column("clean"));

    let classes = ClassNames::new(&set.classes);
    let samples: BTreeMap<&str, usize> =
        (0..set.train.len()).map(|i| (set.train.name(i), i)).collect();
    let skipped: BTreeSet<&str> = set.skipped.iter().map(String::as_str).collect();
    let mut found: Vec<Option<Row>> = vec![None; set.train.len()];
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record).map_err(bad_row)? {
        let line = record.position().map_or(0, csv::Position::line);
        let wrong = |reason: String| DataError::format(path, format!("line {line}: {reason}"));
        let label = |column: usize| {
            let id = classes.id(&record[column]);
            id.map_err(|reason| wrong(format!("column {:?}: {reason}", columns[column])))
        };
        let name = &record[sample_column];
        let Some(&sample) = samples.get(name) else {
            if skipped.contains(name) {
                continue;
            }
            match label_elsewhere(name, set) {
                // Noisy Imagenette's file lists the validation images too, with their own labels.
                Some(own) if own == label(given_column)? => continue,
                _ => return Err(wrong(unknown_sample(name, set))),
            }
        };
        let row = Row {
            line,
            given: label(given_column)?,
            clean: clean_column.map_or(Ok(0), label)?,
            weight: weight_column.map_or(Ok(1.0), |c| weight(&record[c]).map_err(wrong))?,
        };
        if let Some(first) = found[sample].replace(row) {
            let reason = format!("{name:?} is listed a second time, first in line {}", first.line);
            return Err(wrong(reason));
        }
    }
    Ok(Rows { found, has_weight: weight_column.is_some(), has_clean: clean_column.is_some() })
}

fn missing(path: &Path) -> String {
    match read::nearest_sibling(path) {
        Some(near) => format!("there is nothing at {path:?}; did you mean {near:?}?"),
        None => format!("there is nothing at {path:?}"),
    }
}

/// How a label of the file becomes a class id.
struct ClassNames<'a> {
    names: &'a [String],
    ids: BTreeMap<&'a str, u32>,
    ids_allowed: bool,
}

impl<'a> ClassNames<'a> {
    fn new(names: &'a [String]) -> Self {
        Self {
            names,
            ids: names.iter().map(String::as_str).zip(0..).collect(),
            ids_allowed: names.iter().all(|name| name.parse::<i64>().is_err()),
        }
    }

    fn id(&self, label: &str) -> Result<u32, String> {
        let count = self.ids.len();
        if let Some(&id) = self.ids.get(label) {
            return Ok(id);
        }
        if self.ids_allowed
            && let Ok(id) = label.parse::<i64>()
        {
            return match u32::try_from(id) {
                Ok(id) if (id as usize) < count => Ok(id),
                _ => Err(format!("class id {id} is not in 0 to {}", count - 1)),
            };
        }
        let hint = nearest(label, self.ids.keys().copied());
        let hint = hint.map(|name| format!("; did you mean {name:?}?")).unwrap_or_default();
        let first: Vec<&str> = self.names.iter().take(12).map(String::as_str).collect();
        let more = if count > first.len() { ", …" } else { "" };
        let shown = first.join(", ");
        Err(format!("{label:?} is none of the {count} classes ({shown}{more}){hint}"))
    }
}

fn weight(field: &str) -> Result<f32, String> {
    let value = field.parse().ok().filter(|weight: &f32| weight.is_finite() && *weight >= 0.0);
    value.ok_or_else(|| format!("weight {field:?} is no finite number of at least 0"))
}

/// The label of a sample of the validation or test part.
fn label_elsewhere(name: &str, set: &DataSet) -> Option<u32> {
    [&set.val, &set.test]
        .into_iter()
        .flatten()
        .find_map(|part| (0..part.len()).find(|&i| part.name(i) == name).map(|i| part.given[i]))
}

fn unknown_sample(name: &str, set: &DataSet) -> String {
    for (part_name, part) in [("validation", &set.val), ("test", &set.test)] {
        let Some(part) = part else { continue };
        if (0..part.len()).any(|i| part.name(i) == name) {
            let reason = "a labels file replaces training labels only";
            return format!("{name:?} is in the {part_name} part; {reason}");
        }
    }
    match nearest(name, (0..set.train.len()).map(|i| set.train.name(i))) {
        Some(known) => format!("{name:?} is no training sample; did you mean {known:?}?"),
        None => {
            let example = set.train.name(0);
            format!("{name:?} is no training sample; samples are named like {example:?}")
        }
    }
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
mod tests {
    use std::fs;
    use std::sync::Arc;

    use super::*;
    use crate::{Pixels, Shape};

    fn part(names: &[&str], given: &[u32]) -> Part {
        Part {
            pixels: Arc::new(Pixels::Vectors(vec![0.0; names.len()])),
            shape: Shape { channels: 1, height: 1, width: 1 },
            rows: (0..names.len() as u32).collect(),
            names: Arc::new(names.iter().map(|&name| name.into()).collect()),
            given: given.to_vec(),
            weights: None,
        }
    }

    fn set(classes: &[&str]) -> DataSet {
        DataSet {
            name: "pets".into(),
            classes: classes.iter().map(|&name| name.into()).collect(),
            train: part(&["train/cat/1.jpg", "train/cat/2.jpg", "train/dog/1.jpg"], &[0, 0, 1]),
            clean: Some(vec![0, 0, 1]),
            val: None,
            test: Some(part(&["test/dog/9.jpg"], &[1])),
            skipped: Vec::new(),
            notes: Vec::new(),
        }
    }

    fn join_text(set: &mut DataSet, text: &str, unlisted: Unlisted) -> Result<JoinReport> {
        let folder = tempfile::tempdir().unwrap();
        let labels = folder.path().join("labels.csv");
        fs::write(&labels, text).unwrap();
        join(set, &DataConfig { labels: Some(labels), unlisted, ..DataConfig::default() })
    }

    #[test]
    fn labels_weights_and_clean_are_taken_in_any_order() {
        let mut set = set(&["cat", "dog"]);
        let text = "label,path,weight,clean,note\n\
                    dog,train/dog/1.jpg,0.5,dog,x\n\
                    1,train/cat/1.jpg,2,cat,y\n\
                    cat,train/cat/2.jpg,0,0,z\n";
        let report = join_text(&mut set, text, Unlisted::Error).unwrap();
        assert_eq!(report, JoinReport { listed: 3, dropped: 0, changed: 1 });
        assert_eq!(set.train.given, [1, 0, 1]);
        assert_eq!(set.train.weights, Some(vec![2.0, 0.0, 0.5]));
        assert_eq!(set.clean, Some(vec![0, 0, 1]));
    }

    #[test]
    fn unlisted_samples_stop_or_drop_and_old_clean_labels_go() {
        let text = "path,label\ntrain/dog/1.jpg,cat\n";
        let error = join_text(&mut set(&["cat", "dog"]), text, Unlisted::Error).unwrap_err();
        let error = error.to_string();
        assert!(error.contains("2 of 3 training samples are not listed (train/cat/1.jpg"));
        assert!(error.contains("data.unlisted = \"drop\""));
        let mut set = set(&["cat", "dog"]);
        let report = join_text(&mut set, text, Unlisted::Drop).unwrap();
        assert_eq!(report, JoinReport { listed: 1, dropped: 2, changed: 1 });
        assert_eq!((set.train.name(0), &set.train.given[..]), ("train/dog/1.jpg", &[0][..]));
        assert_eq!(set.clean, None);
        let error = join_text(&mut set, "path,label\n", Unlisted::Drop).unwrap_err();
        assert!(error.to_string().contains("no sample is listed at all"));
    }

    #[test]
    fn class_names_that_are_integers_are_never_ids() {
        let mut set = set(&["7", "9"]);
        let line = |label: &str| format!("path,label\ntrain/cat/1.jpg,{label}\n");
        join_text(&mut set, &line("9"), Unlisted::Drop).unwrap();
        assert_eq!(set.train.given, [1]);
        let error = join_text(&mut set, &line("1"), Unlisted::Drop).unwrap_err().to_string();
        assert!(error.contains("\"1\" is none of the 2 classes"), "{error}");
    }

    #[test]
    fn rows_of_skipped_images_and_unchanged_ones_of_other_parts_are_passed_over() {
        let mut set = set(&["cat", "dog"]);
        set.skipped.push("train/cat/broken.jpg".into());
        set.val = Some(part(&["val/cat/7.jpg"], &[0]));
        let text = "path,label\ntest/dog/9.jpg,dog\nval/cat/7.jpg,cat\ntrain/cat/broken.jpg,dog\n\
                    train/cat/1.jpg,dog\ntrain/cat/2.jpg,cat\ntrain/dog/1.jpg,dog\n";
        let report = join_text(&mut set, text, Unlisted::Error).unwrap();
        assert_eq!((report.listed, report.changed), (3, 1));
        assert_eq!(set.train.given, [1, 0, 1]);
        // The labels of val/ are its own: no model is chosen by them.
        assert!(set.val.is_none());
        assert!(set.notes[0].contains("is not used"), "{:?}", set.notes);
        let mut alone = DataSet { test: None, val: Some(part(&["val/cat/7.jpg"], &[0])), ..set };
        let text = text.replace("test/dog/9.jpg,dog\n", "");
        join_text(&mut alone, &text, Unlisted::Error).unwrap();
        assert_eq!(alone.test.unwrap().name(0), "val/cat/7.jpg");
    }

    #[test]
    fn mistakes_are_named_by_line() {
        let cases = [
            ("file,label\n", "no column path or index; found: file, label"),
            ("path,worse\n", "no column \"label\", which data.label_column names; found: path"),
            ("path,label\ntrain/cat/3.jpg,cat\n", "line 2: \"train/cat/3.jpg\" is no training"),
            ("path,label\ntrain/cat/1.jpge,cat\n", "did you mean \"train/cat/1.jpg\"?"),
            ("path,label\ntest/dog/9.jpg,cat\n", "is in the test part"),
            (
                "path,label\ntrain/cat/1.jpg,cat\ntrain/cat/1.jpg,dog\n",
                "line 3: \"train/cat/1.jpg\" is listed a second time, first in line 2",
            ),
            ("path,label\ntrain/cat/1.jpg,catt\n", "line 2: column \"label\": \"catt\" is none"),
            ("path,label\ntrain/cat/1.jpg,-1\n", "class id -1 is not in 0 to 1"),
            ("path,label\ntrain/cat/1.jpg,2\n", "class id 2 is not in 0 to 1"),
            ("path,label\ntrain/cat/1.jpg,\n", "\"\" is none of the 2 classes"),
            ("path,label,weight\ntrain/cat/1.jpg,cat,-1\n", "weight \"-1\" is no finite"),
            ("path,label,weight\ntrain/cat/1.jpg,cat,NaN\n", "weight \"NaN\" is no finite"),
            ("path,label\ntrain/cat/1.jpg\n", "line: 2"),
        ];
        for (text, expected) in cases {
            let result = join_text(&mut set(&["cat", "dog"]), text, Unlisted::Drop);
            let error = result.unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    /// Real data: PEMM_TEST_CIFAR10 is CIFAR-10 as an image folder, PEMM_TEST_CIFAR10N the labels
    /// `path,clean,worse,random1` of CIFAR-10N, of which 40.2 % in `worse` are wrong.
    #[test]
    fn human_labels_of_cifar10_join() {
        let variables = ["PEMM_TEST_CIFAR10", "PEMM_TEST_CIFAR10N"].map(std::env::var);
        let [Ok(path), Ok(labels)] = variables else {
            eprintln!("skipped: PEMM_TEST_CIFAR10 or PEMM_TEST_CIFAR10N is not set");
            return;
        };
        let config = DataConfig {
            path,
            labels: Some(labels.into()),
            label_column: "worse".into(),
            ..DataConfig::default()
        };
        let mut set = crate::source::open(&config).unwrap();
        let given = set.train.given.clone();
        let report = join(&mut set, &config).unwrap();
        assert_eq!((report.listed, report.dropped), (50_000, 0));
        assert!((report.changed as f64 / 50_000.0 - 0.402).abs() < 0.001, "{report:?}");
        assert_eq!(set.clean, Some(given));
    }
}
