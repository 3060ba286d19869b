//! Probabilities from elsewhere, and the labels that they speak of.

use std::collections::BTreeSet;
use std::path::Path;

use pemm::evaluate::Predictions;
use pemm::folds::SamplePredictions;
use pemm_audit::columns::agreements;
use pemm_audit::{Arrays, Samples};
use pemm_data::Part;
use pemm_data::labels::{LabelsFile, NamedLabels};
use pemm_data::prepare::prepare;
use pemm_data::source::{Kind, Matrix, detect, matrix, two_orders};

use super::super::experiment::ExperimentArguments;
use super::{Arguments, RowOrder};
use crate::failure::Failure;

/// Names and given labels that probabilities speak of, in the order of their rows.
struct Labels {
    named: NamedLabels,
    part: Option<Part>,
    data_sha256: String,
    labels_sha256: String,
    /// What is to be said of the data.
    notes: Vec<String>,
    /// The samples in the order of their paths as text, where that is another one.
    by_text: Option<Vec<usize>>,
}

/// Reads the probabilities and features that `arguments` name, one row per training sample of the
/// data, or, without data, per line of the labels file.
pub(super) fn from_files(
    arguments: &Arguments,
    probabilities: &Path,
) -> Result<SamplePredictions, Failure> {
    let mut read = matrix(probabilities)?;
    let in_file =
        |reason: String| Failure::usage(format!("--probs: {}: {reason}", probabilities.display()));
    let experiment = &arguments.experiment;
    let labels = match (experiment.input(), experiment.labels()) {
        (None, Some(path)) => {
            let file = LabelsFile::read(path, experiment.label_column())?;
            let columns =
                columns(&mut read, &arguments.columns, file.num_rows()).map_err(in_file)?;
            check_size("--probs", probabilities, &read, file.num_rows())?;
            let named = file.among(read.num_columns, columns.as_deref())?;
            let labels_sha256 = pemm_data::noise::labels_sha256(&named.given);
            let (data_sha256, notes) = (String::new(), Vec::new());
            Labels { named, part: None, data_sha256, labels_sha256, notes, by_text: None }
        }
        (None, None) => {
            return Err(Failure::usage(
                "--probs: name the DATA that it belongs to, or --labels CSV",
            ));
        }
        (Some(_), _) => {
            let labels = from_data(experiment)?;
            let (classes, num) = (&labels.named.classes, labels.named.given.len());
            let columns = columns(&mut read, &arguments.columns, num).map_err(in_file)?;
            check_size("--probs", probabilities, &read, num)?;
            if read.num_columns != classes.len() {
                return Err(in_file(format!(
                    "{} columns, but there are {} classes ({})",
                    read.num_columns,
                    classes.len(),
                    shown(classes)
                )));
            }
            match (columns, two_orders(classes)) {
                (Some(columns), _) => {
                    reorder(&mut read.values, &columns, classes).map_err(in_file)?;
                }
                (None, Some(orders)) => {
                    return Err(in_file(format!(
                        "the columns have no names, and {orders}: name them (--columns)"
                    )));
                }
                (None, None) => {}
            }
            if let Some(order) = &labels.by_text {
                match arguments.rows {
                    None => check_rows(&read.values, &labels.named, order).map_err(in_file)?,
                    Some(RowOrder::Text) => sort_rows(&mut read, order),
                    Some(RowOrder::Counting) => {}
                }
            }
            labels
        }
    };
    let Labels { named, part, data_sha256, labels_sha256, notes, by_text } = labels;
    let NamedLabels { classes, names, given } = named;
    let features = match &arguments.features {
        Some(path) => {
            let mut features = matrix(path)?;
            check_size("--features", path, &features, given.len())?;
            if let (Some(order), Some(RowOrder::Text)) = (&by_text, arguments.rows) {
                sort_rows(&mut features, order);
            }
            Some(features)
        }
        None => None,
    };
    Ok(SamplePredictions {
        models: vec![1; given.len()],
        predictions: Predictions {
            num_classes: classes.len(),
            probabilities: read.values,
            distances: None,
            num_features: features.as_ref().map_or(0, |features| features.num_columns),
            features: features.map(|features| features.values).unwrap_or_default(),
        },
        classes,
        names,
        given,
        part,
        margins: None,
        data_sha256,
        labels_sha256,
        training_secs: 0.0,
        warnings: notes,
    })
}

/// What the columns of `read` are called: by `asked`, or by a header, which may look like a row of
/// numbers where classes are called by such.
fn columns(
    read: &mut Matrix,
    asked: &[String],
    num_rows: usize,
) -> Result<Option<Vec<String>>, String> {
    let mut names = read.header.take();
    let first = || read.values.iter().take(read.num_columns);
    let is_header = read.num_rows == num_rows + 1 && first().all(|value| value.fract() == 0.0);
    if names.is_none() && is_header {
        names = Some(first().map(f32::to_string).collect());
        read.values.drain(..read.num_columns);
        read.num_rows -= 1;
    }
    if !asked.is_empty() {
        if names.is_some() {
            return Err("has a header, which names the columns; leave --columns out".into());
        }
        if asked.len() != read.num_columns {
            let (asked, found) = (asked.len(), read.num_columns);
            return Err(format!("has {found} columns, but --columns names {asked}"));
        }
        names = Some(asked.to_vec());
    }
    if let Some(names) = &names {
        if let Some(at) = names.iter().position(|name| name.is_empty()) {
            return Err(format!(
                "column {} has no name; if it numbers the rows, take it out",
                at + 1
            ));
        }
        let mut seen = BTreeSet::new();
        if let Some(twice) = names.iter().find(|name| !seen.insert(name.as_str())) {
            return Err(format!("two columns are named {twice:?}"));
        }
    }
    Ok(names)
}

fn check_size(key: &str, path: &Path, read: &Matrix, num_samples: usize) -> Result<(), Failure> {
    if read.num_rows == num_samples {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "{key}: {}: {} rows, but there are {num_samples} training samples; give a row for each, in \
         the order in which `pemm noise` lists them",
        path.display(),
        read.num_rows
    )))
}

/// Puts the columns that `header` names into the order of `classes`.
fn reorder(values: &mut [f32], header: &[String], classes: &[String]) -> Result<(), String> {
    // `0.0` is the class 0.
    let integer = |name: &String| name.parse::<f64>().ok().filter(|value| value.fract() == 0.0);
    let place = |class: &String| {
        let is_number = |name: &String| integer(name).is_some_and(|n| integer(class) == Some(n));
        let same = header.iter().position(|name| name == class);
        same.or_else(|| header.iter().position(is_number))
            .ok_or_else(|| format!("no column is named {class:?}; found {}", shown(header)))
    };
    let order = classes.iter().map(place).collect::<Result<Vec<_>, _>>()?;
    for row in values.chunks_exact_mut(classes.len()) {
        let old = row.to_vec();
        row.iter_mut().zip(&order).for_each(|(to, &from)| *to = old[from]);
    }
    Ok(())
}

fn from_data(arguments: &ExperimentArguments) -> Result<Labels, Failure> {
    let mut experiment = arguments.experiment()?;
    experiment.data.val_rate = 0.0;
    experiment.data.fold = None;
    let prepared = prepare(&experiment.data, &experiment.noise, experiment.seed)?;
    let part = &prepared.train;
    let names: Vec<String> = (0..part.len()).map(|i| part.name(i).to_owned()).collect();
    let is_folder = detect(&experiment.data.path)? == Kind::ImageFolder;
    let by_text = is_folder.then(|| text_order(&names)).flatten();
    let named = NamedLabels { classes: prepared.classes, names, given: part.given.clone() };
    let joined = prepared.joined.and_then(|joined| joined.note());
    Ok(Labels {
        named,
        part: Some(part.clone()),
        data_sha256: prepared.data_sha256,
        labels_sha256: prepared.manifest.labels_sha256,
        notes: prepared.notes.into_iter().chain(joined).collect(),
        by_text,
    })
}

/// The samples in the order of their paths as text, `None` where it is theirs already.
fn text_order(names: &[String]) -> Option<Vec<usize>> {
    let mut order: Vec<usize> = (0..names.len()).collect();
    order.sort_by_key(|&sample| Path::new(&names[sample]));
    (!order.is_sorted()).then_some(order)
}

/// Puts rows that stand in `order` to their samples.
fn sort_rows(read: &mut Matrix, order: &[usize]) {
    let rows = read.values.clone();
    for (row, &sample) in rows.chunks_exact(read.num_columns).zip(order) {
        read.values[sample * read.num_columns..][..read.num_columns].copy_from_slice(row);
    }
}

/// Refuses rows that fit the labels much better in `order`.
fn check_rows(values: &[f32], labels: &NamedLabels, order: &[usize]) -> Result<(), String> {
    /// Least rise of the agreement, and what another order of the columns may be better by.
    const RISE: f64 = 0.1;
    const EVEN: f64 = 0.02;
    let agreement = |given: &[u32]| {
        let arrays = Arrays {
            num_classes: labels.classes.len(),
            given,
            probabilities: values,
            ..Arrays::default()
        };
        let samples = Samples::new(arrays).map_err(|error| error.to_string())?;
        Ok::<_, String>(agreements(&samples))
    };
    let by_text: Vec<u32> = order.iter().map(|&sample| labels.given[sample]).collect();
    let [counting, best_counting] = agreement(&labels.given)?;
    let [text, best_text] = agreement(&by_text)?;
    // Rows that explain all by themselves, or together with another order of the columns, which is
    // looked at later.
    let alone = text >= counting + RISE && text >= best_counting - EVEN;
    if !alone && best_text < best_counting + RISE {
        return Ok(());
    }
    Err(format!(
        "its rows seem to be sorted by path as text (folder 10 before folder 2): so the predictions agree \
         with {:.1} % of the labels, in the order of counting with {:.1} %; say --rows text, or --rows \
         counting if they are not",
        100.0 * if alone { text } else { best_text },
        100.0 * if alone { counting } else { best_counting }
    ))
}

fn shown(names: &[String]) -> String {
    let first: Vec<&str> = names.iter().take(12).map(String::as_str).collect();
    format!("{}{}", first.join(", "), if names.len() > first.len() { ", …" } else { "" })
}
