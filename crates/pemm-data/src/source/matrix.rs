//! A matrix of numbers from a file, for probabilities that come from elsewhere.

use std::path::Path;

use super::npy;
use super::table::Table;
use crate::{DataError, Result};

/// Numbers in rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    /// Number of rows.
    pub num_rows: usize,
    /// Number of columns, at least 1.
    pub num_columns: usize,
    /// `[num_rows, num_columns]`.
    pub values: Vec<f32>,
    /// Names of the columns, where the file has a header.
    pub header: Option<Vec<String>>,
}

/// Reads `path`: a NumPy array `[rows, columns]` of numbers if it begins like one, else a CSV of
/// numbers, whose first line is a header if it holds anything that is no number.
///
/// # Errors
/// With file and line or sizes: no array of two dimensions, values of an unknown type, a field that
/// is no number, no rows. Numbers need not be finite here.
pub fn matrix(path: &Path) -> Result<Matrix> {
    if npy::begins_like_one(path)? { npy::matrix(path) } else { from_csv(path) }
}

fn from_csv(path: &Path) -> Result<Matrix> {
    let mut table = Table::open(path, csv::Trim::All)?;
    let first = table.columns()?;
    let number = |field: &str| field.parse::<f32>().ok();
    let mut values: Vec<f32> = first.iter().map_while(|field| number(field)).collect();
    let has_header = values.len() < first.len();
    if has_header {
        values.clear();
    }
    while let Some((line, row)) = table.next_row()? {
        for (column, field) in row.iter().enumerate() {
            values.push(number(field).ok_or_else(|| {
                let reason = format!("line {line}, column {}: {field:?} is no number", column + 1);
                DataError::format(path, reason)
            })?);
        }
    }
    let num_columns = first.len();
    if num_columns == 0 || values.is_empty() {
        return Err(DataError::format(path, "there is no row of numbers"));
    }
    let header = has_header.then_some(first);
    Ok(Matrix { num_rows: values.len() / num_columns, num_columns, values, header })
}

/// The bytes that come before the values of a NumPy array of 32-bit floats, `[rows, columns]`; the
/// values follow row by row, little endian.
pub fn npy_header(num_rows: usize, num_columns: usize) -> Vec<u8> {
    let shape = format!("({num_rows}, {num_columns})");
    let mut text = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
    // The format wants the values to begin at a multiple of 64 bytes, behind a line's end.
    while !(text.len() + 11).is_multiple_of(64) {
        text.push(' ');
    }
    text.push('\n');
    let length = u16::try_from(text.len()).expect("two numbers are short").to_le_bytes();
    [b"\x93NUMPY\x01\x00", &length[..], text.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn read_text(bytes: &[u8]) -> Result<Matrix> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("probabilities");
        fs::write(&path, bytes).unwrap();
        matrix(&path)
    }

    #[test]
    fn what_is_written_is_read() {
        let values = [0.25f32, 0.75, 1.0, 0.0, f32::NAN, 0.5];
        let mut bytes = npy_header(3, 2);
        assert_eq!(bytes.len() % 64, 0);
        bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        let read = read_text(&bytes).unwrap();
        assert_eq!((read.num_rows, read.num_columns, read.header), (3, 2, None));
        let bits = |values: &[f32]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&read.values), bits(&values));
    }

    #[test]
    fn a_csv_may_have_a_header() {
        let plain = read_text(b"0.5,0.5\n1,0\n").unwrap();
        assert_eq!((plain.num_rows, plain.header), (2, None));
        let named = read_text(b"cat,dog\n0.5,5e-1\n").unwrap();
        assert_eq!(named.values, [0.5, 0.5]);
        assert_eq!(named.header.unwrap(), ["cat", "dog"]);
    }

    #[test]
    fn mistakes_are_named() {
        let flat = {
            let mut bytes = npy_header(2, 1);
            let at = bytes.windows(6).position(|w| w == b"(2, 1)").unwrap();
            bytes[at..at + 6].copy_from_slice(b"(2,)  ");
            bytes.extend([0; 8]);
            bytes
        };
        let cases: [(&[u8], &str); 5] = [
            (b"a,b\n0.5,x\n", "line 2, column 2: \"x\" is no number"),
            (b"0.5,0.5\n1\n", "line: 2"),
            (b"a,b\n", "no row of numbers"),
            (b"", "no row of numbers"),
            (&flat, "[rows, columns] is needed"),
        ];
        for (bytes, expected) in cases {
            let message = read_text(bytes).unwrap_err().to_string();
            assert!(message.contains(expected), "{message:?} lacks {expected:?}");
        }
    }
}
