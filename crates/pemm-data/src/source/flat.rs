//! Images that lie flat, and a labels file that says what they are: `train/*.jpg` and `train.csv`,
//! as competitions hand out data.
//!
//! The classes are the labels that the file gives to images that are there, in the one order of
//! `classes.rs`. `3.0` is the class 3. What else can be wrong with a labels file is found when it is
//! joined, as for every source.

use super::classes::{as_meant, class_order, first, order_note, twin_notes};
use super::folder::Listing;
use super::names::{Finder, Tail, Tails, same_to_the_eye};
use super::table::Table;
use crate::config::DataConfig;
use crate::labels::{LabelColumns, check_exists};
use crate::{DataError, Result};

/// Gives the images of `listing` the classes that `config.labels` names. Images that it does not
/// list stay with the first class until it is joined, which drops them or stops.
pub(super) fn label(listing: &mut Listing, config: &DataConfig) -> Result<()> {
    let path = config.labels.as_ref().expect("a flat folder is listed with labels only");
    check_exists(path)?;
    let mut table = Table::open(path, csv::Trim::Headers)?;
    let columns = LabelColumns::find(path, &table.columns()?, &config.label_column)?;
    let names: Vec<String> = listing.train.iter().map(|file| file.name.clone()).collect();
    let samples = Finder::new(names.iter().map(String::as_str));
    let ends = Tails::new(names.iter().map(String::as_str));
    let mut labels: Vec<Option<String>> = vec![None; names.len()];
    while let Some((line, row)) = table.next_row()? {
        let name = &row[columns.sample];
        let sample = match (samples.find(name), ends.find(name)) {
            (Some(sample), _) | (None, Tail::One(sample)) => sample,
            (None, Tail::Nothing | Tail::Several(_)) => continue,
        };
        let label = row[columns.given].trim();
        if label.is_empty() {
            return Err(DataError::format(path, format!("line {line}: the label is missing")));
        }
        labels[sample as usize] = Some(as_meant(label));
    }
    let classes = class_order(labels.iter().flatten().map(String::as_str));
    if classes.len() < 2 {
        let reason = if classes.is_empty() {
            format!(
                "none of the {} images is listed; they are named like {:?}, relative to the data \
                 folder",
                names.len(),
                names[0]
            )
        } else {
            format!("all listed images have the label {:?}; at least 2 are needed", classes[0])
        };
        return Err(DataError::format(path, reason));
    }
    if let Some([one, _]) = same_to_the_eye(&classes) {
        let reason = format!(
            "the label {one:?} is written in two forms of Unicode, composed and decomposed; write \
             it in one"
        );
        return Err(DataError::format(path, reason));
    }
    listing.notes.extend(classes.iter().filter(|class| is_nothing(class)).map(|class| {
        format!(
            "the label {class:?} counts as a class; if it says that a label is missing, take its rows out"
        )
    }));
    listing.notes.extend(twin_notes(&classes));
    listing.notes.extend(order_note(&classes));
    let ids = Finder::new(classes.iter().map(String::as_str));
    for (file, label) in listing.train.iter_mut().zip(&labels) {
        file.class = label.as_ref().and_then(|label| ids.find(label)).unwrap_or(0);
    }
    listing.notes.push(format!(
        "the images lie in no class folders; their {} classes are those of the labels file: {}",
        classes.len(),
        first(&classes)
    ));
    listing.classes = classes;
    Ok(())
}

/// Whether a label is a word by which table programs say that there is none.
fn is_nothing(label: &str) -> bool {
    ["nan", "na", "n/a", "null", "none", "unknown", "?"].contains(&label.to_lowercase().as_str())
}
