//! A labels file without its data, beside probabilities from elsewhere.
//!
//! Which class a column of probabilities is of must be known and not guessed. If the columns have
//! names, a label is one of these. If they have none, labels that are integers from 0 to K-1 are
//! the columns' numbers; other labels stand in the one order of `classes.rs`, and where counting
//! would give another order (`c2`, `c10`) the names of the columns are asked for.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{missing_column, position};
use crate::source::classes::{as_meant, class_order, first, plain_integer, two_orders};
use crate::source::names::Finder;
use crate::source::table::Table;
use crate::{DataError, Result};

/// The rows of a labels file.
#[derive(Debug, Clone)]
pub struct LabelsFile {
    path: PathBuf,
    /// Name of each sample; its number where there is no column `path` or `index`.
    names: Vec<String>,
    /// Line and label of each.
    labels: Vec<(u64, String)>,
}

/// Labels whose classes are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedLabels {
    /// Class names in the order of the columns.
    pub classes: Vec<String>,
    /// Name of each sample.
    pub names: Vec<String>,
    /// Label of each sample, a position in `classes`.
    pub given: Vec<u32>,
}

impl LabelsFile {
    /// Reads `path`, whose labels stand in `label_column`.
    ///
    /// # Errors
    /// With line: a label that is missing, a sample that is listed twice; no such column, no row.
    pub fn read(path: &Path, label_column: &str) -> Result<Self> {
        super::check_exists(path)?;
        let mut table = Table::open(path, csv::Trim::All)?;
        let columns = table.columns()?;
        let find = |name: &str| position(&columns, name);
        let label = find(label_column).ok_or_else(|| {
            let wanted = format!("{label_column:?}, which data.label_column names");
            missing_column(path, &columns, &wanted)
        })?;
        let name = find("path").or_else(|| find("index"));
        let (mut names, mut labels) = (Vec::new(), Vec::new());
        let mut lines: BTreeMap<String, u64> = BTreeMap::new();
        while let Some((line, row)) = table.next_row()? {
            let wrong = |reason: String| DataError::format(path, format!("line {line}: {reason}"));
            if row[label].is_empty() {
                return Err(wrong("the label is missing".into()));
            }
            labels.push((line, row[label].to_owned()));
            let Some(column) = name else {
                names.push(names.len().to_string());
                continue;
            };
            if let Some(first) = lines.insert(row[column].to_owned(), line) {
                let name = &row[column];
                return Err(wrong(format!(
                    "{name:?} is listed a second time, first in line {first}"
                )));
            }
            names.push(row[column].to_owned());
        }
        if labels.is_empty() {
            return Err(DataError::format(path, "there is no row"));
        }
        Ok(Self { path: path.to_owned(), names, labels })
    }

    /// Number of rows.
    pub fn num_rows(&self) -> usize {
        self.labels.len()
    }

    /// The labels as positions of `num_columns` columns, which are called `columns` if they have
    /// names.
    ///
    /// # Errors
    /// A label that is no column's; more or fewer classes than columns; columns without names where
    /// these could stand in two orders, or where ids may count from 1.
    pub fn among(self, num_columns: usize, columns: Option<&[String]>) -> Result<NamedLabels> {
        let (classes, given) = match columns {
            Some(columns) => self.by_name(columns)?,
            None => match self.integers() {
                Some(numbers) => self.by_number(&numbers, num_columns)?,
                None => self.by_order(num_columns)?,
            },
        };
        Ok(NamedLabels { classes, names: self.names, given })
    }

    fn wrong(&self, line: u64, reason: &str) -> DataError {
        DataError::format(&self.path, format!("line {line}: {reason}"))
    }

    fn by_name(&self, columns: &[String]) -> Result<(Vec<String>, Vec<u32>)> {
        let classes: Vec<String> = columns.iter().map(|name| as_meant(name)).collect();
        let number = |name: &str| plain_integer(name).unwrap_or_else(|| name.into());
        let numbers: Vec<String> = classes.iter().map(|name| number(name)).collect();
        let finder = Finder::new(classes.iter().map(String::as_str));
        let by_number = Finder::new(numbers.iter().map(String::as_str));
        let of = |(line, label): &(u64, String)| {
            let found = finder.find(&as_meant(label)).or_else(|| by_number.find(&number(label)));
            found.ok_or_else(|| {
                let (num, first) = (columns.len(), first(columns));
                self.wrong(*line, &format!("{label:?} is none of the {num} columns ({first})"))
            })
        };
        let given = self.labels.iter().map(of).collect::<Result<_>>()?;
        Ok((classes, given))
    }

    /// The labels as integers, if all are.
    fn integers(&self) -> Option<Vec<i64>> {
        self.labels.iter().map(|(_, label)| plain_integer(label)?.parse().ok()).collect()
    }

    fn by_number(&self, numbers: &[i64], num_columns: usize) -> Result<(Vec<String>, Vec<u32>)> {
        let texts: Vec<String> = self.labels.iter().map(|(_, label)| as_meant(label)).collect();
        let classes = class_order(texts.iter().map(String::as_str));
        if classes.len() == num_columns {
            return self.by_name(&classes);
        }
        let id = |number: i64| u32::try_from(number).ok().filter(|&id| (id as usize) < num_columns);
        let of = |(&number, (line, _)): (&i64, &(u64, String))| {
            let reason = || format!("label {number} is not in 0 to {}", num_columns - 1);
            id(number).ok_or_else(|| self.wrong(*line, &reason()))
        };
        let given: Vec<u32> = numbers.iter().zip(&self.labels).map(of).collect::<Result<_>>()?;
        if !given.contains(&0) {
            let reason = format!(
                "no label is 0, but columns without names are counted from 0 to {}: if the labels \
                 count from 1, name the columns (--columns)",
                num_columns - 1
            );
            return Err(DataError::format(&self.path, reason));
        }
        Ok(((0..num_columns).map(|id| id.to_string()).collect(), given))
    }

    fn by_order(&self, num_columns: usize) -> Result<(Vec<String>, Vec<u32>)> {
        let classes = class_order(self.labels.iter().map(|(_, label)| label.as_str()));
        if classes.len() != num_columns {
            let reason = format!(
                "{} different labels ({}), but {num_columns} columns of probabilities; if a class has \
                 no sample, name the columns (--columns)",
                classes.len(),
                first(&classes)
            );
            return Err(DataError::format(&self.path, reason));
        }
        if let Some(orders) = two_orders(&classes) {
            let reason = format!("the columns have no names, and {orders}: name them (--columns)");
            return Err(DataError::format(&self.path, reason));
        }
        self.by_name(&classes)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn among(text: &str, num_columns: usize, columns: Option<&[&str]>) -> Result<NamedLabels> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("labels.csv");
        fs::write(&path, text).unwrap();
        let columns: Option<Vec<String>> =
            columns.map(|names| names.iter().map(|&name| name.into()).collect());
        LabelsFile::read(&path, "label")?.among(num_columns, columns.as_deref())
    }

    #[test]
    fn numbers_are_columns_however_a_table_program_writes_them() {
        for text in
            ["label\n0\n2\n1\n", "\u{feff}label\r\n0.0\r\n2.0\r\n1.0\r\n", "label\n0\n2.0\n+1\n"]
        {
            let labels = among(text, 3, None).unwrap();
            assert_eq!(
                (&labels.given[..], labels.classes.concat().as_str()),
                (&[0, 2, 1][..], "012")
            );
        }
        let twelve: String = (0..12).map(|id| format!("{id}\n")).collect();
        let labels = among(&format!("label\n{twelve}"), 12, None).unwrap();
        assert_eq!(labels.given, (0..12).collect::<Vec<_>>(), "in the order of counting");
        assert_eq!(among("label\n0\n1\n", 3, None).unwrap().classes, ["0", "1", "2"]);
        // All of 1 to 3 are there: so many classes as columns, in the order of counting.
        assert_eq!(among("label\n3\n1\n2\n", 3, None).unwrap().given, [2, 0, 1]);
    }

    #[test]
    fn a_column_that_could_be_two_classes_is_asked_for() {
        let text = "path,label\na,c10\nb,c2\nc,c1\n";
        let error = among(text, 3, None).unwrap_err().to_string();
        assert!(error.contains("c1, c10, c2") && error.contains("c1, c2, c10"), "{error}");
        let labels = among(text, 3, Some(&["c1", "c2", "c10"])).unwrap();
        assert_eq!((labels.given, labels.names.concat()), (vec![2, 1, 0], "abc".into()));
        let floats = among("label\n0\n1.0\n", 2, Some(&["1.0", "0.0"])).unwrap();
        assert_eq!((floats.given, floats.classes.concat()), (vec![1, 0], "10".into()));
        let padded = among("label\n1\n02\n", 2, Some(&["01", "02"])).unwrap();
        assert_eq!((padded.given, padded.classes.concat()), (vec![0, 1], "0102".into()));
    }

    #[test]
    fn mistakes_are_named() {
        let cases = [
            ("label\n0\n3\n", 3, "line 3: label 3 is not in 0 to 2"),
            ("label\n1\n2\n", 3, "no label is 0"),
            ("label\n0\n\"\"\n", 2, "line 3: the label is missing"),
            (
                "path,label\na,0\nb,1\na,1\n",
                2,
                "line 4: \"a\" is listed a second time, first in line 2",
            ),
            ("label\ncat\ndog\n", 3, "2 different labels (cat, dog), but 3 columns"),
            ("class\n0\n", 2, "there is no column \"label\""),
            ("label\n", 2, "there is no row"),
        ];
        for (text, num_columns, expected) in cases {
            let error = among(text, num_columns, None).unwrap_err().to_string();
            assert!(error.contains(expected), "{error:?} lacks {expected:?}");
        }
        let error = among("label\nbird\n", 2, Some(&["cat", "dog"])).unwrap_err().to_string();
        assert!(error.contains("line 2: \"bird\" is none of the 2 columns (cat, dog)"), "{error}");
    }
}
