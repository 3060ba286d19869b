//! A checked row-stochastic matrix: T[i][j] = P(given j | true i).

use std::io::Read;
use std::path::Path;

use crate::config::NoiseConfig;
use crate::error::{DataError, Result};
use crate::source::read;

use super::scheme::Scheme;

/// How far the sum of a row may lie from 1.
const TOLERANCE: f64 = 1e-9;
/// Characters that one entry of a matrix file may take, separator included.
const MAX_ENTRY_LEN: u64 = 64;

/// `T[i][j]` = P(given j | true i): K rows of K finite probabilities, each row with sum 1 ± 1e-9.
#[derive(Debug, Clone, PartialEq)]
pub struct Transition {
    rows: Vec<Vec<f64>>,
}

impl Transition {
    /// Checks `rows`.
    ///
    /// # Errors
    /// The number (from 1) and the rule of the first row that is not a distribution over as many
    /// classes as there are rows.
    pub fn new(rows: Vec<Vec<f64>>) -> std::result::Result<Self, String> {
        let num_classes = rows.len();
        for (number, row) in (1..).zip(&rows) {
            if row.len() != num_classes {
                return Err(format!(
                    "row {number}: needs {num_classes} probabilities, as many as there are rows, \
                     and has {}",
                    row.len()
                ));
            }
            check_row(row).map_err(|reason| format!("row {number}: {reason}"))?;
        }
        Ok(Self { rows })
    }

    /// The nominal matrix of a noise; `None` for `instance`, which has one per image. The seed
    /// matters for `block-pair` only.
    ///
    /// # Errors
    /// Those of [`NoiseConfig::check`], classes that the kind does not know, a broken matrix file.
    pub fn of(config: &NoiseConfig, classes: &[String], seed: u64) -> Result<Option<Self>> {
        Ok(Scheme::of(config, classes, seed)?.transition(config.rate, classes.len()))
    }

    /// The matrix that changes nothing.
    pub fn identity(num_classes: usize) -> Self {
        let row = |i| (0..num_classes).map(|j| f64::from(u8::from(i == j))).collect();
        Self { rows: (0..num_classes).map(row).collect() }
    }

    /// Reads a CSV file without header: one line of K probabilities for each of the K classes, in
    /// the order of the classes.
    ///
    /// # Errors
    /// The line that is not such a row, and the rule that it breaks. A file larger than K² entries
    /// can be is refused before it is read.
    pub fn read(path: &Path, num_classes: usize) -> Result<Self> {
        let max_len = MAX_ENTRY_LEN * (num_classes as u64).pow(2) + 4096;
        let file = read::regular_file(path).map_err(|source| DataError::io(path, source))?;
        let mut text = String::new();
        file.take(max_len + 1)
            .read_to_string(&mut text)
            .map_err(|source| DataError::io(path, source))?;
        if text.len() as u64 > max_len {
            return Err(DataError::format(
                path,
                format!(
                    "is longer than a matrix of {num_classes}×{num_classes} probabilities can be \
                     ({max_len} bytes)"
                ),
            ));
        }
        Self::from_csv(path, &text, num_classes)
    }

    /// As [`Self::read`], of the text of `path`.
    ///
    /// # Errors
    /// Those of [`Self::read`].
    pub fn from_csv(path: &Path, text: &str, num_classes: usize) -> Result<Self> {
        let refuse = |reason: String| DataError::format(path, reason);
        let mut rows = Vec::new();
        for (line, text) in (1..).zip(text.trim_start_matches('\u{feff}').lines()) {
            if text.trim().is_empty() {
                continue;
            }
            let row = parse_row(text, num_classes)
                .and_then(|row| check_row(&row).map(|()| row))
                .map_err(|reason| refuse(format!("line {line}: {reason}")))?;
            rows.push(row);
        }
        if rows.len() != num_classes {
            return Err(refuse(format!(
                "needs {num_classes} lines, one per class, and has {}",
                rows.len()
            )));
        }
        Ok(Self { rows })
    }

    /// The rows, `[K][K]`.
    pub fn rows(&self) -> &[Vec<f64>] {
        &self.rows
    }

    /// Number of classes K.
    pub fn num_classes(&self) -> usize {
        self.rows.len()
    }

    /// Expected share of wrong labels when class c has `counts[c]` samples; 0 without samples.
    pub fn rate(&self, counts: &[usize]) -> f64 {
        let total: usize = counts.iter().sum();
        let flipped: f64 = self
            .rows
            .iter()
            .zip(counts)
            .enumerate()
            .map(|(class, (row, &count))| (1.0 - row[class]) * count as f64)
            .sum();
        flipped / total.max(1) as f64
    }

    /// Classes whose most likely given label is another one (or as likely as another one), each
    /// with that other class.
    pub fn overtaken(&self) -> Vec<(usize, usize)> {
        let rival = |class: usize| {
            let row = &self.rows[class];
            let (rival, &most) = row
                .iter()
                .enumerate()
                .filter(|&(other, _)| other != class)
                .max_by(|a, b| a.1.total_cmp(b.1).then(b.0.cmp(&a.0)))?;
            (most >= row[class] - TOLERANCE).then_some((class, rival))
        };
        (0..self.rows.len()).filter_map(rival).collect()
    }
}

fn parse_row(line: &str, num_classes: usize) -> std::result::Result<Vec<f64>, String> {
    let fields: Vec<&str> = line.split(',').map(str::trim).collect();
    if fields.len() != num_classes {
        return Err(format!(
            "needs {num_classes} probabilities, one per class, and has {}",
            fields.len()
        ));
    }
    let parse = |(column, field): (usize, &&str)| {
        field.parse().map_err(|_| format!("column {column}: \"{field}\" is no number"))
    };
    (1..).zip(&fields).map(parse).collect()
}

fn check_row(row: &[f64]) -> std::result::Result<(), String> {
    if let Some(column) = row.iter().position(|p| !p.is_finite() || *p < 0.0) {
        return Err(format!(
            "column {}: a probability must be finite and not negative, and is {}",
            column + 1,
            row[column]
        ));
    }
    let sum: f64 = row.iter().sum();
    if (sum - 1.0).abs() > TOLERANCE {
        return Err(format!(
            "the probabilities must sum to 1 within {TOLERANCE:e} and sum to {sum}; write more \
             digits or divide the row by its sum"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn read(text: &str, num_classes: usize) -> std::result::Result<Transition, String> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        Transition::read(file.path(), num_classes).map_err(|error| error.to_string())
    }

    #[test]
    fn a_file_is_read() {
        let transition = read("0.9, 0.1\n0.25,0.75\n", 2).unwrap();
        assert_eq!(transition.rows(), [[0.9, 0.1], [0.25, 0.75]]);
        assert_eq!(transition.rate(&[10, 10]), (0.1 + 0.25) / 2.0);
        assert!(transition.overtaken().is_empty());
    }

    #[test]
    fn broken_files_name_the_line() {
        for (text, part) in [
            ("0.9,0.1\n0.2,0.7\n", "line 2: the probabilities must sum to 1"),
            ("0.9,0.1\n1.2,-0.2\n", "line 2: column 2: a probability"),
            ("nan,0.1\n0.2,0.8\n", "line 1: column 1"),
            ("0.9,0.1\n0.2,x\n", "line 2: column 2: \"x\" is no number"),
            ("1,0\n\n1,0,0\n", "line 3: needs 2 probabilities"),
            ("1,0\n", "needs 2 lines, one per class, and has 1"),
            ("1,0\n0,1\n0,1\n", "has 3"),
        ] {
            let error = read(text, 2).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
        assert!(read(&"1,0\n".repeat(10_000), 2).unwrap_err().contains("is longer"));
        assert!(Transition::read(Path::new("/no/such.csv"), 2).is_err());
    }

    #[test]
    fn rows_are_checked_and_rivals_found() {
        assert!(Transition::new(vec![vec![1.0], vec![1.0]]).unwrap_err().starts_with("row 1"));
        let rows = vec![vec![0.4, 0.6, 0.0], vec![0.0, 1.0, 0.0], vec![0.5, 0.0, 0.5]];
        assert_eq!(Transition::new(rows).unwrap().overtaken(), [(0, 1), (2, 0)]);
        assert!(Transition::identity(3).overtaken().is_empty());
    }
}
