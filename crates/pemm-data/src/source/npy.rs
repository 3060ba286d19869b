//! Feature vectors in a folder of NumPy files.
//!
//! `features.npy` is `[N, D]` of 32- or 64-bit floats or of integers up to 32 bits (kept as 32-bit
//! floats, all finite), `labels.npy` is `[N]` of integers; or `labels.csv` has a header and a
//! `label` column (else its last one) with N rows. `test_features.npy` and `test_labels.npy` (or
//! `test_labels.csv`) are the test part, if there is one. Arrays must be in C order and as long as
//! their header says. Classes are the distinct training labels, as for CSV features; a sample's
//! name is its index. Where `pemm embed` wrote the folder, labels are positions in the class names of its
//! `embedding.json`.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::Path;

use npyz::{DType, NpyFile, Order, TypeChar};

use super::classes::Classes;
use super::matrix::Matrix;
use super::table::Table;
use super::{features, read};
use crate::{DataError, DataSet, Part, Result};

type Array = NpyFile<BufReader<File>>;

/// Longest header; NumPy itself reads no longer one from a file that it does not trust.
const MAX_HEADER_BYTES: u64 = 10_000;
/// Most numbers in an array; as 32-bit floats they take 8 GiB.
const MAX_VALUES: u64 = 2 << 30;
/// Most labels of a part.
const MAX_LABELS: u64 = 1 << 26;
/// What `pemm embed` writes last.
const EMBEDDING: &str = "embedding.json";
/// How every array begins.
const MAGIC: &[u8] = b"\x93NUMPY";

/// Whether `folder` holds `features.npy`.
pub(super) fn is_here(folder: &Path) -> bool {
    folder.join("features.npy").is_file()
}

/// Whether `pemm embed` wrote `folder`, so that its vectors are the features of a pretrained network.
pub fn is_embedding(folder: &Path) -> bool {
    is_here(folder) && folder.join(EMBEDDING).is_file()
}

/// Reads the folder.
pub(super) fn open(folder: &Path) -> Result<DataSet> {
    let train_labels = labels(folder, "")?;
    let classes = Classes::of(train_labels.iter().map(String::as_str));
    let train = part(folder, "", &train_labels, &classes)?;
    let test = if folder.join("test_features.npy").is_file() {
        let test = part(folder, "test_", &labels(folder, "test_")?, &classes)?;
        if test.shape != train.shape {
            let (found, expected) = (test.shape.channels, train.shape.channels);
            let reason = format!("{found} features a sample, but the training part has {expected}");
            return Err(DataError::format(folder.join("test_features.npy"), reason));
        }
        Some(test)
    } else {
        None
    };
    let name = read::display_name(folder);
    Ok(DataSet::of(name, classes.names, train, test))
}

/// Whether the file at `path` begins like a NumPy array.
pub(super) fn begins_like_one(path: &Path) -> Result<bool> {
    let mut start = Vec::new();
    let file = read::regular_file(path).map_err(|error| DataError::io(path, error))?;
    file.take(MAGIC.len() as u64)
        .read_to_end(&mut start)
        .map_err(|error| DataError::io(path, error))?;
    Ok(start == MAGIC)
}

/// Reads an array `[rows, columns]`.
pub(super) fn matrix(path: &Path) -> Result<Matrix> {
    let array = array(path)?;
    let sizes = array.shape().to_vec();
    let (num_rows, num_columns) = match sizes[..] {
        [rows, columns] if rows > 0 && columns > 0 => (rows as usize, columns as usize),
        _ => {
            let reason = format!("the shape is {sizes:?}, but [rows, columns] is needed");
            return Err(DataError::format(path, reason));
        }
    };
    Ok(Matrix { num_rows, num_columns, values: floats(array, path)?, header: None })
}

fn part(folder: &Path, prefix: &str, labels: &[String], classes: &Classes) -> Result<Part> {
    let path = folder.join(format!("{prefix}features.npy"));
    let array = array(&path)?;
    let &[samples, size] = array.shape() else {
        let reason = format!("the shape is {:?}, but [samples, features] is needed", array.shape());
        return Err(DataError::format(path, reason));
    };
    if samples != labels.len() as u64 || samples == 0 || size == 0 {
        let reason = format!(
            "{samples} samples of {size} features, but {} labels: at least one sample and feature \
             is needed, and one label a sample",
            labels.len()
        );
        return Err(DataError::format(path, reason));
    }
    let values = floats(array, &path)?;
    if let Some(index) = values.iter().position(|value| !value.is_finite()) {
        let (sample, feature) = (index as u64 / size, index as u64 % size);
        let reason = format!("sample {sample}, feature {feature}: {} is not finite", values[index]);
        return Err(DataError::format(path, reason));
    }
    let number = |(index, label): (usize, &String)| {
        let place = |reason| DataError::format(folder, format!("sample {index}: {reason}"));
        classes.id(label).map_err(place)
    };
    let given = labels.iter().enumerate().map(number).collect::<Result<_>>()?;
    Ok(features::vectors(values, given))
}

/// The names of the classes, where `pemm embed` wrote the folder: its labels are positions in these.
fn embedded_classes(folder: &Path) -> Result<Option<Vec<String>>> {
    /// Longest manifest.
    const MAX_BYTES: u64 = 16 << 20;
    #[derive(serde::Deserialize)]
    struct Manifest {
        classes: Vec<String>,
    }
    if !is_embedding(folder) {
        return Ok(None);
    }
    let path = folder.join(EMBEDDING);
    let mut text = Vec::new();
    let file = read::regular_file(&path).map_err(|error| DataError::io(&path, error))?;
    file.take(MAX_BYTES).read_to_end(&mut text).map_err(|error| DataError::io(&path, error))?;
    let Manifest { classes } = serde_json::from_slice(&text)
        .map_err(|error| DataError::format(&path, format!("does not name the classes: {error}")))?;
    let distinct: BTreeSet<&String> = classes.iter().collect();
    if distinct.len() < classes.len() {
        return Err(DataError::format(&path, "names a class twice"));
    }
    Ok(Some(classes))
}

fn labels(folder: &Path, prefix: &str) -> Result<Vec<String>> {
    let npy = folder.join(format!("{prefix}labels.npy"));
    if npy.is_file() {
        let names = embedded_classes(folder)?;
        let array = array(&npy)?;
        if array.shape().len() != 1 {
            let reason = format!("the shape is {:?}, but [samples] is needed", array.shape());
            return Err(DataError::format(npy, reason));
        }
        // Each label becomes a text, which takes more than the file.
        if array.shape()[0] > MAX_LABELS {
            let reason = format!("more than the limit of {MAX_LABELS} labels");
            return Err(DataError::format(npy, reason));
        }
        let labels = integers(array, &npy)?;
        let Some(names) = names else { return Ok(labels) };
        let named = |(index, label): (usize, String)| {
            let name = label.parse().ok().and_then(|id: usize| names.get(id)).cloned();
            let reason = || format!("sample {index}: embedding.json has no class {label}");
            name.ok_or_else(|| DataError::format(&npy, reason()))
        };
        return labels.into_iter().enumerate().map(named).collect();
    }
    let csv = folder.join(format!("{prefix}labels.csv"));
    if !csv.is_file() {
        let reason = format!("neither {prefix}labels.npy nor {prefix}labels.csv is there");
        return Err(DataError::format(folder, reason));
    }
    let mut table = Table::open(&csv, csv::Trim::All)?;
    let columns = table.columns()?;
    let named = columns.iter().position(|name| name == "label");
    let column = named.or(columns.len().checked_sub(1)).unwrap_or(0);
    let mut labels = Vec::new();
    while let Some((line, row)) = table.next_row()? {
        let label = row.get(column).filter(|label| !label.is_empty()).map(String::from);
        let missing = || DataError::format(&csv, format!("line {line}: the label is missing"));
        labels.push(label.ok_or_else(missing)?);
    }
    Ok(labels)
}

/// Opens an array and checks its header against the size of the file, before any value is read.
fn array(path: &Path) -> Result<Array> {
    let io = |error| DataError::io(path, error);
    let file = read::regular_file(path).map_err(io)?;
    let file_bytes = file.metadata().map_err(io)?.len();
    let mut reader = BufReader::new(file);
    check_header(&mut reader, path)?;
    reader.rewind().map_err(io)?;
    let header = npyz::NpyHeader::from_reader(&mut reader)
        .map_err(|error| DataError::format(path, format!("not a NumPy array: {error}")))?;
    let data_bytes = file_bytes - reader.stream_position().map_err(io)?.min(file_bytes);
    if header.order() == Order::Fortran && header.shape().len() > 1 {
        let reason = "the array is in Fortran order; save numpy.ascontiguousarray(array)";
        return Err(DataError::format(path, reason));
    }
    let value_bytes = header.dtype().num_bytes().unwrap_or(0) as u64;
    let count = header.shape().iter().try_fold(1u64, |total, &size| total.checked_mul(size));
    let promised = count.and_then(|count| count.checked_mul(value_bytes));
    if value_bytes == 0 || promised != Some(data_bytes) {
        let (shape, dtype) = (header.shape(), header.dtype().descr());
        let reason = format!(
            "shape {shape:?} of {dtype} does not match the {data_bytes} bytes after the header"
        );
        return Err(DataError::format(path, reason));
    }
    if count.is_none_or(|count| count > MAX_VALUES) {
        let shape = header.shape();
        let reason = format!("shape {shape:?} has more than the limit of {MAX_VALUES} values");
        return Err(DataError::format(path, reason));
    }
    Ok(NpyFile::with_header(header, reader))
}

/// Refuses a header that is no plain one, before it is parsed.
///
/// The parser allocates what the header's length promises, and needs time that doubles with every
/// bracket in a bracket. A plain header is one pair of braces around a text, a word and the sizes.
fn check_header(reader: &mut impl Read, path: &Path) -> Result<()> {
    let wrong = |reason: &str| Err(DataError::format(path, format!("not a NumPy array: {reason}")));
    let mut start = Vec::new();
    let most = 12 + MAX_HEADER_BYTES;
    reader.take(most).read_to_end(&mut start).map_err(|error| DataError::io(path, error))?;
    let (length, text) = match *start {
        [_, _, _, _, _, _, 1, _, a, b, ref text @ ..] => (u32::from_le_bytes([a, b, 0, 0]), text),
        [_, _, _, _, _, _, _, _, a, b, c, d, ref text @ ..] => {
            (u32::from_le_bytes([a, b, c, d]), text)
        }
        _ => return wrong("the file ends inside its header"),
    };
    if u64::from(length) > MAX_HEADER_BYTES || length as usize > text.len() {
        return wrong(&format!("a header of {length} bytes"));
    }
    let text = &text[..length as usize];
    let count = |bracket: u8| text.iter().filter(|&&byte| byte == bracket).count();
    if count(b'{') > 1 || count(b'(') > 1 || count(b'[') > 0 {
        let reason = "its values are records or its header is malformed; save an array of plain \
                      numbers";
        return wrong(reason);
    }
    Ok(())
}

/// Kind and bytes of a number, for example `(Float, 4)`.
fn number_type(array: &Array) -> Option<(TypeChar, u64)> {
    match array.dtype() {
        DType::Plain(plain) => Some((plain.type_char(), plain.size_field())),
        _ => None,
    }
}

fn read_as<T: npyz::Deserialize, U>(
    array: Array,
    path: &Path,
    convert: impl Fn(T) -> U,
) -> Result<Vec<U>> {
    let values = array.data::<T>().map_err(|error| DataError::format(path, error.to_string()))?;
    let convert = |value: std::io::Result<T>| value.map(&convert);
    values.map(convert).collect::<Result<_, _>>().map_err(|error| DataError::io(path, error))
}

fn floats(array: Array, path: &Path) -> Result<Vec<f32>> {
    match number_type(&array) {
        Some((TypeChar::Float, 4)) => read_as(array, path, |value: f32| value),
        Some((TypeChar::Float, 8)) => read_as(array, path, |value: f64| value as f32),
        Some((TypeChar::Uint, 1)) => read_as(array, path, |value: u8| value.into()),
        Some((TypeChar::Uint, 2)) => read_as(array, path, |value: u16| value.into()),
        Some((TypeChar::Uint, 4)) => read_as(array, path, |value: u32| value as f32),
        Some((TypeChar::Int, 1)) => read_as(array, path, |value: i8| value.into()),
        Some((TypeChar::Int, 2)) => read_as(array, path, |value: i16| value.into()),
        Some((TypeChar::Int, 4)) => read_as(array, path, |value: i32| value as f32),
        _ => Err(wrong_type(&array, path, "float32")),
    }
}

fn integers(array: Array, path: &Path) -> Result<Vec<String>> {
    match number_type(&array) {
        Some((TypeChar::Uint, 1)) => read_as(array, path, |value: u8| value.to_string()),
        Some((TypeChar::Uint, 2)) => read_as(array, path, |value: u16| value.to_string()),
        Some((TypeChar::Uint, 4)) => read_as(array, path, |value: u32| value.to_string()),
        Some((TypeChar::Uint, 8)) => read_as(array, path, |value: u64| value.to_string()),
        Some((TypeChar::Int, 1)) => read_as(array, path, |value: i8| value.to_string()),
        Some((TypeChar::Int, 2)) => read_as(array, path, |value: i16| value.to_string()),
        Some((TypeChar::Int, 4)) => read_as(array, path, |value: i32| value.to_string()),
        Some((TypeChar::Int, 8)) => read_as(array, path, |value: i64| value.to_string()),
        _ => Err(wrong_type(&array, path, "int64")),
    }
}

fn wrong_type(array: &Array, path: &Path, wanted: &str) -> DataError {
    let dtype = array.dtype().descr();
    DataError::format(
        path,
        format!("values of type {dtype} are not read; save .astype('{wanted}')"),
    )
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::Pixels;

    fn npy(dtype: &str, shape: &str, fortran: bool, data: &[u8]) -> Vec<u8> {
        let order = if fortran { "True" } else { "False" };
        let header =
            format!("{{'descr': '{dtype}', 'fortran_order': {order}, 'shape': {shape}, }}\n");
        let length = (header.len() as u16).to_le_bytes();
        [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), data].concat()
    }

    fn floats_of(values: &[f32]) -> Vec<u8> {
        values.iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    fn folder(features: &[u8], labels: &[u8]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("features.npy"), features).unwrap();
        fs::write(folder.path().join("labels.npy"), labels).unwrap();
        folder
    }

    #[test]
    fn floats_and_bytes_are_read_with_labels_from_npy_or_csv() {
        let features = npy("<f4", "(2, 3)", false, &floats_of(&[1., 2., 3., 4., 5., 6.]));
        let folder = folder(&features, &npy("|u1", "(2,)", false, &[7, 3]));
        let test = npy("|u1", "(1, 3)", false, &[9, 8, 7]);
        fs::write(folder.path().join("test_features.npy"), test).unwrap();
        fs::write(folder.path().join("test_labels.csv"), "label\n3\n").unwrap();
        let set = open(folder.path()).unwrap();
        assert_eq!(set.classes, ["3", "7"]);
        assert_eq!(set.train.given, [1, 0]);
        assert_eq!(set.train.shape.channels, 3);
        let test = set.test.unwrap();
        let Pixels::Vectors(values) = &*test.pixels else { panic!("vectors") };
        assert_eq!((&values[..], &test.given[..]), (&[9., 8., 7.][..], &[0][..]));
    }

    #[test]
    fn an_embedded_folder_has_the_names_of_its_classes() {
        let features = npy("<f4", "(3, 1)", false, &floats_of(&[1., 2., 3.]));
        let folder = folder(&features, &npy("|u1", "(3,)", false, &[2, 0, 2]));
        let classes = |json: &str| {
            fs::write(folder.path().join(EMBEDDING), json).unwrap();
            open(folder.path()).map(|set| (set.classes, set.train.given))
        };
        let (names, given) = classes(r#"{"schema":1,"classes":["cat","dog","owl"]}"#).unwrap();
        assert_eq!((names, given), (vec!["cat".to_owned(), "owl".into()], vec![1, 0, 1]));
        for (json, why) in [
            (r#"{"classes":["cat","dog"]}"#, "embedding.json has no class 2"),
            (r#"{"classes":["cat","cat","owl"]}"#, "names a class twice"),
            ("{}", "does not name the classes"),
        ] {
            let error = classes(json).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn what_breaks_the_format_is_named() {
        let good = npy("<f4", "(2, 1)", false, &floats_of(&[1., 2.]));
        let labels = npy("|u1", "(2,)", false, &[0, 1]);
        let huge = "(4611686018427387904, 4)";
        let cases = [
            (b"no".to_vec(), labels.clone(), "not a NumPy array"),
            (npy("<f4", huge, false, &[]), labels.clone(), "features.npy"),
            (npy("<f4", "(2, 1)", false, &[0; 7]), labels.clone(), "the 7 bytes after"),
            (npy("<f4", "(2, 1)", true, &[0; 8]), labels.clone(), "Fortran order"),
            (npy("<f4", "(2,)", false, &[0; 8]), labels.clone(), "[samples, features]"),
            (npy("<f2", "(2, 1)", false, &[0; 4]), labels.clone(), "astype('float32')"),
            (
                npy("<f4", "(2, 1)", false, &floats_of(&[1., f32::NAN])),
                labels,
                "sample 1, feature 0: NaN is not finite",
            ),
            (good.clone(), npy("|u1", "(1,)", false, &[0]), "but 1 labels"),
            (good, npy("<f4", "(2,)", false, &[0; 8]), "astype('int64')"),
        ];
        for (features, labels, expected) in cases {
            let error = open(folder(&features, &labels).path()).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    /// The parser of the library takes time that doubles with each bracket.
    #[test]
    fn headers_of_nested_brackets_are_refused_at_once() {
        let start = std::time::Instant::now();
        let good = npy("|u1", "(2,)", false, &[0, 1]);
        for (open, close) in [("{", "}"), ("[", "]"), ("(", ")"), ("[{(", ")}]"), ("{'a':", "}")] {
            for depth in [2, 15, 60, 3000] {
                let shape = open.repeat(depth) + &close.repeat(depth);
                let nested = npy("<f4", &shape, false, &[0; 8]);
                let error = open_with(&nested, &good);
                assert!(error.contains("not a NumPy array"), "{error}");
                let bare = [b"\x93NUMPY\x01\x00\xff\x00", open.repeat(255).as_bytes()].concat();
                let error = open_with(&good, &bare[..10 + 255]);
                assert!(error.contains("not a NumPy array"), "{error}");
            }
        }
        assert!(start.elapsed().as_secs() < 10, "{:?}", start.elapsed());
    }

    fn open_with(features: &[u8], labels: &[u8]) -> String {
        open(folder(features, labels).path()).unwrap_err().to_string()
    }

    #[test]
    fn a_sparse_file_does_not_fill_the_memory() {
        let huge = npy("|u1", "(8589934592, 1)", false, &[]);
        let labels = npy("|u1", "(8589934592,)", false, &[]);
        let good = npy("|u1", "(2,)", false, &[0, 1]);
        for (features, labels) in [(&good, &labels), (&huge, &good)] {
            let folder = folder(features, labels);
            for (name, start) in [("features.npy", features), ("labels.npy", labels)] {
                if start != &good {
                    let file = File::options().append(true).open(folder.path().join(name)).unwrap();
                    file.set_len(start.len() as u64 + (8 << 30)).unwrap();
                }
            }
            let error = open(folder.path()).unwrap_err().to_string();
            assert!(error.contains("the limit of"), "{error}");
        }
    }
}
