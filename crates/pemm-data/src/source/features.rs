//! Feature vectors in a CSV file: a header, numeric columns and one label column.
//!
//! The label column is the one called `label`, or else the last one. Every other column is a
//! feature: finite numbers, kept as 32-bit floats in the order of the columns. Labels are any
//! non-empty text; the classes are the distinct training labels (integers in numeric order, names
//! in byte order). `<stem>.test.csv` beside the file, with the same header, is the test part. A
//! sample's name is the number of its row below the header, from 0. Vectors have shape `[D, 1, 1]`.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::classes::Classes;
use super::table::Table;
use crate::stop::check;
use crate::{DataError, DataSet, Part, Pixels, Result, Shape};

/// One file as read.
struct Columns {
    columns: Vec<String>,
    values: Vec<f32>,
    labels: Vec<String>,
    /// Line of each row, for messages.
    lines: Vec<u64>,
}

/// Reads the file and its test file.
pub(super) fn open(path: &Path, stop: &AtomicBool) -> Result<DataSet> {
    let train = table(path, stop)?;
    let classes = Classes::of(train.labels.iter().map(String::as_str));
    let test_path = path.with_extension("test.csv");
    let test = if test_path.is_file() {
        let test = table(&test_path, stop)?;
        if test.columns != train.columns {
            let reason = format!(
                "the columns are {} but those of the training file are {}",
                test.columns.join(", "),
                train.columns.join(", ")
            );
            return Err(DataError::format(test_path, reason));
        }
        Some(part(test, &classes, &test_path)?)
    } else {
        None
    };
    let train = part(train, &classes, path)?;
    let name = path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into());
    Ok(DataSet::of(name, classes.names, train, test))
}

fn part(table: Columns, classes: &Classes, path: &Path) -> Result<Part> {
    let numbered = table.labels.iter().zip(&table.lines).map(|(label, line)| {
        let place = |reason| DataError::format(path, format!("line {line}: {reason}"));
        classes.id(label).map_err(place)
    });
    let given = numbered.collect::<Result<_>>()?;
    Ok(vectors(table.values, given))
}

/// A part of feature vectors `[N, D]` that are named by their index; `given` must not be empty.
pub(super) fn vectors(values: Vec<f32>, given: Vec<u32>) -> Part {
    Part {
        shape: Shape { channels: values.len() / given.len(), height: 1, width: 1 },
        pixels: Arc::new(Pixels::Vectors(values)),
        rows: (0..given.len() as u32).collect(),
        names: Arc::new((0..given.len()).map(|index| index.to_string()).collect()),
        given,
        weights: None,
    }
}

fn table(path: &Path, stop: &AtomicBool) -> Result<Columns> {
    let mut table = Table::open(path, csv::Trim::All)?;
    let columns = table.columns()?;
    if columns.len() < 2 {
        let reason = "line 1: a header with at least one feature and a label column is needed";
        return Err(DataError::format(path, reason));
    }
    let names_images = |name: &String| name.eq_ignore_ascii_case("path");
    if columns.iter().any(names_images) {
        let reason = "line 1: a column \"path\" names images, so this is a labels file: give the folder \
                      of the images as the data, and this file with --labels";
        return Err(DataError::format(path, reason));
    }
    let last = columns.len() - 1;
    let label_column = columns.iter().position(|name| name == "label").unwrap_or(last);
    let (mut values, mut labels, mut lines) = (Vec::new(), Vec::new(), Vec::new());
    while let Some((line, row)) = table.next_row()? {
        check(stop)?;
        let wrong = |column: usize, reason: String| {
            let name = &columns[column];
            DataError::format(path, format!("line {line}, column {name:?}: {reason}"))
        };
        for (column, field) in row.iter().enumerate() {
            if column == label_column {
                if field.is_empty() {
                    return Err(wrong(column, "the label is missing".into()));
                }
                labels.push(field.to_string());
            } else {
                let value = field.parse().ok().filter(|value: &f32| value.is_finite());
                values.push(
                    value.ok_or_else(|| {
                        wrong(column, format!("{field:?} is not a finite number"))
                    })?,
                );
            }
        }
        lines.push(line);
    }
    if labels.is_empty() {
        return Err(DataError::format(path, "there is no row below the header"));
    }
    Ok(Columns { columns, values, labels, lines })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn read(train: &str, test: Option<&str>) -> Result<DataSet> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("iris.csv"), train).unwrap();
        if let Some(test) = test {
            fs::write(folder.path().join("iris.test.csv"), test).unwrap();
        }
        open(&folder.path().join("iris.csv"), &crate::stop::NEVER)
    }

    #[test]
    fn the_label_column_is_found_by_name_or_place() {
        let set = read("x,label,y\n1,b,2\n3,a,4.5\n", Some("x,label,y\n0,a,0\n")).unwrap();
        assert_eq!(set.name, "iris");
        assert_eq!(set.classes, ["a", "b"]);
        assert_eq!(set.train.given, [1, 0]);
        assert_eq!(set.train.shape, Shape { channels: 2, height: 1, width: 1 });
        let Pixels::Vectors(values) = &*set.train.pixels else { panic!("vectors") };
        assert_eq!(values[..], [1.0, 2.0, 3.0, 4.5]);
        assert_eq!(set.test.unwrap().given, [0]);
        let set = read("x,y,kind\n1,2,10\n3,4,9\n", None).unwrap();
        assert_eq!(set.classes, ["9", "10"]);
    }

    #[test]
    fn mistakes_are_named_by_line_and_column() {
        let cases = [
            ("x,label\n1,a\nsix,b\n", None, "line 3, column \"x\": \"six\" is not a finite number"),
            ("x,label\nNaN,a\n", None, "line 2, column \"x\""),
            ("x,label\n1e99,a\n", None, "line 2, column \"x\""),
            ("x,label\n1,\n", None, "line 2, column \"label\": the label is missing"),
            ("x,label\n1,a,7\n", None, "line: 2"),
            ("x,label\n", None, "no row"),
            ("path,label\na.jpg,a\n", None, "this is a labels file: give the folder"),
            ("label\na\n", None, "at least one feature"),
            ("x,label\n1,a\n", Some("y,label\n1,a\n"), "columns are y, label"),
            ("x,label\n1,a\n", Some("x,label\n1,c\n"), "line 2: label \"c\" is no class"),
        ];
        for (train, test, expected) in cases {
            let error = read(train, test).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
