//! CSV files that somebody hands us: a header, and rows that all have as many fields.
//!
//! A row is bounded as well as the file, because a quote that is never closed, or a file of zeros,
//! would else become one field that fills the memory.

use std::fs::File;
use std::io::{Error, ErrorKind, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use csv::{ReaderBuilder, StringRecord, Trim};

use super::read;
use crate::{DataError, Result};

/// Largest CSV file, in bytes.
const MAX_BYTES: u64 = 8 << 30;
/// Longest row, in bytes.
const MAX_ROW_BYTES: u64 = 16 << 20;
/// Bytes from which it is told that a file is no text.
const HEAD_BYTES: u64 = 16;

/// The rows of a CSV file.
#[derive(Debug)]
pub(crate) struct Table {
    path: PathBuf,
    reader: csv::Reader<Bounded>,
    /// Bytes of the file that may be read before the current row must have ended.
    allowed: Arc<AtomicU64>,
    record: StringRecord,
}

impl Table {
    /// Opens `path`. With [`Trim::All`] fields lose the blanks at their ends, with
    /// [`Trim::Headers`] only the names of the columns do.
    ///
    /// # Errors
    /// A file that cannot be opened, is too large, or begins like one of another format.
    pub(crate) fn open(path: &Path, trim: Trim) -> Result<Self> {
        let io = |error| DataError::io(path, error);
        let mut file = read::regular_file(path).map_err(io)?;
        let size = file.metadata().map_err(io)?.len();
        if size > MAX_BYTES {
            let reason = format!("{size} bytes are more than the {MAX_BYTES} of a CSV file");
            return Err(DataError::format(path, reason));
        }
        let mut head = Vec::new();
        file.by_ref().take(HEAD_BYTES).read_to_end(&mut head).map_err(io)?;
        file.rewind().map_err(io)?;
        if let Some(what) = other_format(&head) {
            return Err(DataError::format(path, format!("this is no CSV file but {what}")));
        }
        let allowed = Arc::new(AtomicU64::new(MAX_ROW_BYTES));
        let bounded = Bounded { file, given: 0, allowed: allowed.clone() };
        let reader = ReaderBuilder::new().trim(trim).from_reader(bounded);
        Ok(Self { path: path.into(), reader, allowed, record: StringRecord::new() })
    }

    /// The names of the columns; none in an empty file.
    pub(crate) fn columns(&mut self) -> Result<Vec<String>> {
        match self.reader.headers() {
            Ok(columns) => Ok(columns.iter().map(Into::into).collect()),
            Err(error) => Err(DataError::format(&self.path, reason(&error, 1))),
        }
    }

    /// The next row and its line, or `None` after the last.
    pub(crate) fn next_row(&mut self) -> Result<Option<(u64, &StringRecord)>> {
        let read = self.reader.position().byte();
        self.allowed.store(read.saturating_add(MAX_ROW_BYTES), Ordering::Relaxed);
        match self.reader.read_record(&mut self.record) {
            Ok(true) => {
                let line = self.record.position().map_or(0, csv::Position::line);
                Ok(Some((line, &self.record)))
            }
            Ok(false) => Ok(None),
            Err(error) => {
                let line = self.reader.position().line();
                Err(DataError::format(&self.path, reason(&error, line)))
            }
        }
    }
}

/// What is wrong with a row; `line` is where the reader is.
fn reason(error: &csv::Error, line: u64) -> String {
    match error.kind() {
        csv::ErrorKind::Io(error) => format!("line {line}: {error}"),
        csv::ErrorKind::Utf8 { pos, .. } => {
            let line = pos.as_ref().map_or(line, csv::Position::line);
            format!("line {line}: the text is not of UTF-8; save the file as UTF-8")
        }
        _ => error.to_string(),
    }
}

/// A file that gives no more than it is allowed to.
#[derive(Debug)]
struct Bounded {
    file: File,
    given: u64,
    allowed: Arc<AtomicU64>,
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.given > self.allowed.load(Ordering::Relaxed) {
            let reason = format!(
                "a row of more than {} MiB; is a quote not closed, or is this no text?",
                MAX_ROW_BYTES >> 20
            );
            return Err(Error::new(ErrorKind::InvalidData, reason));
        }
        let read = self.file.read(buffer)?;
        self.given += read as u64;
        Ok(read)
    }
}

/// What a file that begins with `head` is if it is surely no text of UTF-8, and what to do.
fn other_format(head: &[u8]) -> Option<&'static str> {
    let begins = |start: &[u8]| head.starts_with(start);
    if begins(b"PK\x03\x04") {
        Some(
            "a zip archive, as those of numpy.savez, torch.save and spreadsheets: save an array \
             with numpy.save, a table as CSV",
        )
    } else if matches!(head, [0x80, 2..=5, ..]) {
        Some("a Python pickle, which is not read: save an array with numpy.save, a table as CSV")
    } else if begins(b"\x93NUMPY") {
        Some("a NumPy array")
    } else if begins(&[0x1f, 0x8b]) {
        Some("compressed with gzip: unpack it first")
    } else if begins(b"\x89HDF") {
        Some("an HDF5 file: save an array with numpy.save, a table as CSV")
    } else if begins(b"PAR1") {
        Some("a Parquet file: save it as CSV")
    } else if begins(&[0xff, 0xfe]) || begins(&[0xfe, 0xff]) {
        Some("text of UTF-16 or UTF-32: save it as UTF-8")
    } else if head.contains(&0) {
        Some("a file with zero bytes: save it as text of UTF-8")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Instant;

    use super::*;

    fn table(bytes: &[u8], trim: Trim) -> (tempfile::TempDir, Result<Table>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.csv");
        fs::write(&path, bytes).unwrap();
        let table = Table::open(&path, trim);
        (folder, table)
    }

    #[test]
    fn fields_keep_their_blanks_only_where_that_is_wished() {
        for (trim, expected) in [(Trim::All, "x"), (Trim::Headers, " x ")] {
            let (_folder, table) = table("\u{feff} a , b \n x ,2\n".as_bytes(), trim);
            let mut table = table.unwrap();
            assert_eq!(table.columns().unwrap(), ["a", "b"]);
            let (line, row) = table.next_row().unwrap().unwrap();
            assert_eq!((line, &row[0]), (2, expected));
            assert!(table.next_row().unwrap().is_none());
        }
    }

    #[test]
    fn other_formats_are_named() {
        let cases: [(&[u8], &str); 6] = [
            (b"PK\x03\x04 rest", "numpy.savez"),
            (b"\x80\x04\x95 rest", "pickle"),
            (b"\x1f\x8b\x08 rest", "gzip"),
            (b"\xff\xfep\0a\0", "UTF-16"),
            (b"p\0a\0t\0h\0", "zero bytes"),
            (&[0; 100], "zero bytes"),
        ];
        for (bytes, expected) in cases {
            let message = table(bytes, Trim::All).1.unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
    }

    #[test]
    fn text_in_another_coding_is_named_by_line() {
        let (_folder, table) = table(b"path,label\na.jpg,cafe\nb.jpg,caf\xe9\n", Trim::All);
        let mut table = table.unwrap();
        table.columns().unwrap();
        assert!(table.next_row().is_ok());
        let message = table.next_row().unwrap_err().to_string();
        assert!(message.contains("line 3: the text is not of UTF-8"), "{message}");
    }

    #[test]
    fn a_field_without_end_stops_before_it_fills_the_memory() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sparse.csv");
        fs::write(&path, "path,label\na.jpg,\"cat\nb.jpg,\"").unwrap();
        // 4 GiB of zeros that take no room on the disk.
        File::options().append(true).open(&path).unwrap().set_len(4 << 30).unwrap();
        let mut table = Table::open(&path, Trim::All).unwrap();
        let start = Instant::now();
        let error = loop {
            match table.next_row() {
                Ok(row) => assert!(row.is_some(), "the end is far away"),
                Err(error) => break error.to_string(),
            }
        };
        assert!(error.contains("more than 16 MiB"), "{error}");
        assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
        assert!(table.record.as_slice().len() < 64 << 20);
    }

    #[test]
    fn many_rows_are_more_than_one_row_may_be() {
        let text = format!("a,b\n{}", "x,y\n".repeat(5 << 20));
        let (_folder, table) = table(text.as_bytes(), Trim::All);
        let mut table = table.unwrap();
        let mut count = 0;
        while table.next_row().unwrap().is_some() {
            count += 1;
        }
        assert_eq!(count, 5 << 20);
    }

    #[cfg(unix)]
    #[test]
    fn devices_are_refused_and_not_waited_for() {
        for device in ["/dev/zero", "/dev/null"] {
            let message = Table::open(Path::new(device), Trim::All).unwrap_err().to_string();
            assert!(message.contains("pipe, socket or device"), "{message}");
        }
    }
}
