//! Probabilities from elsewhere, and the labels that they speak of.

use std::collections::BTreeSet;
use std::path::Path;

use pemm::evaluate::Predictions;
use pemm::folds::SamplePredictions;
use pemm_data::Part;
use pemm_data::prepare::prepare;
use pemm_data::source::{Matrix, matrix};

use super::super::experiment::ExperimentArguments;
use crate::failure::Failure;

/// Names and given labels that probabilities speak of, in the order of their rows.
struct Labels {
    classes: Vec<String>,
    names: Vec<String>,
    given: Vec<u32>,
    part: Option<Part>,
    data_sha256: String,
    labels_sha256: String,
}

/// Reads `probabilities` and `features`, one row per training sample of the data, or, without data,
/// per line of the labels file.
pub(super) fn from_files(
    experiment: &ExperimentArguments,
    probabilities: &Path,
    features: Option<&Path>,
) -> Result<SamplePredictions, Failure> {
    let mut read = matrix(probabilities)?;
    let labels = match (experiment.input(), experiment.labels()) {
        (None, Some(path)) => from_csv(path, experiment.label_column(), read.num_columns)?,
        (None, None) => {
            return Err(Failure::usage(
                "--probs: name the DATA that it belongs to, or --labels CSV",
            ));
        }
        (Some(_), _) => from_data(experiment)?,
    };
    if read.num_rows == labels.given.len() + 1 {
        take_numeric_header(&mut read, &labels.classes);
    }
    check_size("--probs", probabilities, &read, labels.given.len())?;
    let num_classes = labels.classes.len();
    if read.num_columns != num_classes {
        return Err(Failure::usage(format!(
            "--probs: {}: {} columns, but there are {num_classes} classes ({})",
            probabilities.display(),
            read.num_columns,
            shown(&labels.classes)
        )));
    }
    if let Some(header) = read.header.take() {
        reorder(&mut read.values, &header, &labels.classes).map_err(|reason| {
            Failure::usage(format!("--probs: {}: {reason}", probabilities.display()))
        })?;
    }
    let features = match features {
        Some(path) => {
            let features = matrix(path)?;
            check_size("--features", path, &features, labels.given.len())?;
            Some(features)
        }
        None => None,
    };
    Ok(SamplePredictions {
        models: vec![1; labels.given.len()],
        classes: labels.classes,
        names: labels.names,
        given: labels.given,
        part: labels.part,
        predictions: Predictions {
            num_classes,
            probabilities: read.values,
            distances: None,
            num_features: features.as_ref().map_or(0, |features| features.num_columns),
            features: features.map(|features| features.values).unwrap_or_default(),
        },
        margins: None,
        data_sha256: labels.data_sha256,
        labels_sha256: labels.labels_sha256,
        training_secs: 0.0,
        warnings: Vec::new(),
    })
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

/// Where classes are called by numbers, a header looks like a row of values.
fn take_numeric_header(read: &mut Matrix, classes: &[String]) {
    let first: Vec<String> =
        read.values.iter().take(read.num_columns).map(f32::to_string).collect();
    let names_all = first.len() == classes.len() && classes.iter().all(|c| first.contains(c));
    if read.header.is_none() && names_all {
        read.values.drain(..read.num_columns);
        read.num_rows -= 1;
        read.header = Some(first);
    }
}

/// Puts the columns that `header` names into the order of `classes`.
fn reorder(values: &mut [f32], header: &[String], classes: &[String]) -> Result<(), String> {
    let place = |class: &String| {
        header
            .iter()
            .position(|name| name == class)
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
    Ok(Labels {
        names: (0..part.len()).map(|i| part.name(i).to_owned()).collect(),
        given: part.given.clone(),
        part: Some(part.clone()),
        classes: prepared.classes,
        data_sha256: prepared.data_sha256,
        labels_sha256: prepared.manifest.labels_sha256,
    })
}

/// Labels of a CSV alone: ids from 0 to K-1 if all are, else names, whose order is that of their
/// bytes.
fn from_csv(path: &Path, column: &str, num_classes: usize) -> Result<Labels, Failure> {
    let fail = |reason: String| Failure::new(format!("{}: {reason}", path.display()));
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_path(path)
        .map_err(|error| fail(error.to_string()))?;
    let header = reader.headers().map_err(|error| fail(error.to_string()))?.clone();
    let find = |name: &str| header.iter().position(|found| found == name);
    let label_column = find(column).ok_or_else(|| {
        let found: Vec<&str> = header.iter().collect();
        fail(format!("there is no column {column:?}; found {}", found.join(", ")))
    })?;
    let name_column = find("path").or_else(|| find("index"));
    let (mut names, mut labels) = (Vec::new(), Vec::new());
    for record in reader.records() {
        let record = record.map_err(|error| fail(error.to_string()))?;
        names.push(name_column.map_or_else(|| names.len().to_string(), |c| record[c].to_owned()));
        labels.push(record[label_column].to_owned());
    }
    let ids: Option<Vec<u32>> = labels.iter().map(|label| label.parse().ok()).collect();
    let (classes, given) = match ids {
        Some(ids) => {
            if let Some(row) = ids.iter().position(|&id| id as usize >= num_classes) {
                let reason = format!("label {} is not in 0 to {}", ids[row], num_classes - 1);
                return Err(fail(format!("row {}: {reason}", row + 1)));
            }
            ((0..num_classes).map(|id| id.to_string()).collect(), ids)
        }
        None => {
            let classes: Vec<String> =
                labels.iter().collect::<BTreeSet<_>>().into_iter().cloned().collect();
            let id =
                |label: &String| classes.binary_search(label).expect("it is one of them") as u32;
            let given = labels.iter().map(id).collect();
            (classes, given)
        }
    };
    let labels_sha256 = pemm_data::noise::labels_sha256(&given);
    Ok(Labels { classes, names, given, part: None, data_sha256: String::new(), labels_sha256 })
}

fn shown(names: &[String]) -> String {
    let first: Vec<&str> = names.iter().take(12).map(String::as_str).collect();
    format!("{}{}", first.join(", "), if names.len() > first.len() { ", …" } else { "" })
}
