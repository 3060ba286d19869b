//! CIFAR-10 and CIFAR-100 in the binary version, as a folder or as the published `.tar.gz`, which
//! is read in place.
//!
//! A record of CIFAR-10 is 1 label byte and 3,072 pixel bytes `[3, 32, 32]`, in `data_batch_1.bin`
//! … `data_batch_5.bin` (all five are needed, at most 10,000 records each) and `test_batch.bin`.
//! A record of CIFAR-100 is a coarse label, a fine label and the pixels, in `train.bin` (at most
//! 50,000 records) and `test.bin`; the fine labels are used. Samples are named by their index in
//! the part, over all batches: 0 … 49999, the order of CIFAR-10N.
//!
//! Source: A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use super::cifar_names::{CIFAR10, CIFAR100};
use super::read;
use crate::{DataError, DataSet, Part, Pixels, Result, Shape};

const SHAPE: Shape = Shape { channels: 3, height: 32, width: 32 };
/// Most bytes that are unpacked from an archive; CIFAR-10 has 184 million.
const MAX_ARCHIVE_BYTES: u64 = 256 << 20;

/// What differs between the two data sets.
struct Variant {
    name: &'static str,
    classes: &'static [&'static str],
    train: &'static [&'static str],
    test: &'static str,
    /// Number of classes of each label byte before the pixels; the last byte is the label used.
    label_bytes: &'static [u8],
    max_records: usize,
}

const VARIANTS: [Variant; 2] = [
    Variant {
        name: "cifar10",
        classes: &CIFAR10,
        train: &[
            "data_batch_1.bin",
            "data_batch_2.bin",
            "data_batch_3.bin",
            "data_batch_4.bin",
            "data_batch_5.bin",
        ],
        test: "test_batch.bin",
        label_bytes: &[10],
        max_records: 10_000,
    },
    Variant {
        name: "cifar100",
        classes: &CIFAR100,
        train: &["train.bin"],
        test: "test.bin",
        label_bytes: &[20, 100],
        max_records: 50_000,
    },
];

impl Variant {
    fn files(&self) -> impl Iterator<Item = &'static str> {
        self.train.iter().copied().chain([self.test])
    }
    fn record_bytes(&self) -> usize {
        self.label_bytes.len() + SHAPE.len()
    }
    fn max_file_bytes(&self) -> u64 {
        (self.max_records * self.record_bytes()) as u64
    }
}

/// The variant that has a file of this name.
fn variant_of(file: &str) -> Option<&'static Variant> {
    VARIANTS.iter().find(|variant| variant.files().any(|name| name == file))
}

/// Whether `folder` looks like the binary (or, to say so, the Python) version of CIFAR.
pub(super) fn is_here(folder: &Path) -> bool {
    let first = |variant: &Variant| folder.join(variant.train[0]).is_file();
    VARIANTS.iter().any(first) || is_python_version(folder)
}

fn is_python_version(folder: &Path) -> bool {
    folder.join("data_batch_1").is_file()
}

/// Reads a folder.
pub(super) fn open_folder(folder: &Path) -> Result<DataSet> {
    if is_python_version(folder) {
        return Err(python_version(folder));
    }
    let present = VARIANTS.iter().find(|variant| folder.join(variant.train[0]).is_file());
    let variant = present.expect("the caller has seen the first file");
    let mut files = BTreeMap::new();
    for name in variant.files() {
        let path = folder.join(name);
        let file = read::regular_file(&path).map_err(|error| DataError::io(&path, error))?;
        files.insert(name, read::at_most(file, variant.max_file_bytes(), &path)?);
    }
    assemble(variant, &files, folder)
}

/// Reads a `.tar.gz` (or `.tar`) without unpacking it to disk.
pub(super) fn open_archive(path: &Path) -> Result<DataSet> {
    let mut archive = tar::Archive::new(read::open(path)?.take(MAX_ARCHIVE_BYTES));
    let mut files: BTreeMap<&str, Vec<u8>> = BTreeMap::new();
    let mut found: Option<&Variant> = None;
    for entry in archive.entries().map_err(|error| DataError::io(path, error))? {
        let entry = entry.map_err(|error| DataError::io(path, error))?;
        let inside = entry.path().map_err(|error| DataError::io(path, error))?.into_owned();
        let Some(file) = inside.file_name().and_then(|name| name.to_str()) else { continue };
        if file == "data_batch_1" || inside.ends_with("cifar-100-python/train") {
            return Err(python_version(path));
        }
        let Some(variant) = variant_of(file).filter(|_| entry.header().entry_type().is_file())
        else {
            continue;
        };
        if found.is_some_and(|found| found.name != variant.name) {
            let reason = "the archive holds files of CIFAR-10 and of CIFAR-100";
            return Err(DataError::format(path, reason));
        }
        found = Some(variant);
        let size = entry.size();
        if size > variant.max_file_bytes() {
            let limit = variant.max_file_bytes();
            let reason = format!("{file} has {size} bytes, more than the {limit} of the format");
            return Err(DataError::format(path, reason));
        }
        let name = variant.files().find(|name| *name == file).expect("it is one of its files");
        if files.insert(name, read::exactly(entry, size, path)?).is_some() {
            return Err(DataError::format(path, format!("the archive holds {file} twice")));
        }
    }
    let Some(variant) = found else {
        let reason = "the archive holds neither data_batch_1.bin (CIFAR-10) nor train.bin \
                      (CIFAR-100); other archives have to be unpacked first";
        return Err(DataError::format(path, reason));
    };
    assemble(variant, &files, path)
}

fn python_version(path: &Path) -> DataError {
    let reason = "this is the Python version of CIFAR, whose pickle files are not read; take the \
                  binary version, for example cifar-10-binary.tar.gz";
    DataError::format(path, reason)
}

fn assemble(variant: &Variant, files: &BTreeMap<&str, Vec<u8>>, path: &Path) -> Result<DataSet> {
    if let Some(missing) = variant.files().find(|name| !files.contains_key(name)) {
        let reason = format!("{missing} of {} is missing", variant.name);
        return Err(DataError::format(path, reason));
    }
    Ok(DataSet::of(
        variant.name.into(),
        variant.classes.iter().map(|&name| name.into()).collect(),
        part(variant, variant.train, files, path)?,
        Some(part(variant, &[variant.test], files, path)?),
    ))
}

fn part(
    variant: &Variant,
    names: &[&str],
    files: &BTreeMap<&str, Vec<u8>>,
    path: &Path,
) -> Result<Part> {
    let (mut pixels, mut given) = (Vec::new(), Vec::new());
    for &name in names {
        let bytes = &files[name];
        let wrong = |reason: String| Err(DataError::format(path.join(name), reason));
        if bytes.is_empty() || !bytes.len().is_multiple_of(variant.record_bytes()) {
            return wrong(format!(
                "{} bytes are not a whole number of {}-byte records: cut off, or another format",
                bytes.len(),
                variant.record_bytes()
            ));
        }
        for (index, record) in bytes.chunks_exact(variant.record_bytes()).enumerate() {
            let (labels, values) = record.split_at(variant.label_bytes.len());
            for (label, &limit) in labels.iter().zip(variant.label_bytes) {
                if *label >= limit {
                    return wrong(format!("record {index}: label {label} is not below {limit}"));
                }
            }
            given.push(u32::from(labels[labels.len() - 1]));
            pixels.extend_from_slice(values);
        }
    }
    Ok(Part {
        pixels: Arc::new(Pixels::Decoded(pixels)),
        shape: SHAPE,
        rows: (0..given.len() as u32).collect(),
        names: Arc::new((0..given.len()).map(|index| index.to_string()).collect()),
        given,
        weights: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// One record per file; the label of file i is i, its pixels are all i.
    fn cifar10_files() -> Vec<(&'static str, Vec<u8>)> {
        let record = |i: usize| [vec![i as u8], vec![i as u8; 3072]].concat();
        VARIANTS[0].files().enumerate().map(|(i, name)| (name, record(i))).collect()
    }

    fn folder(files: &[(&str, Vec<u8>)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            fs::write(folder.path().join(name), bytes).unwrap();
        }
        folder
    }

    fn archive(files: &[(&str, Vec<u8>)]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::with_suffix(".tar.gz").unwrap();
        let gzip = flate2::write::GzEncoder::new(file.reopen().unwrap(), Default::default());
        let mut builder = tar::Builder::new(gzip);
        for (name, bytes) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_cksum();
            builder.append_data(&mut header, format!("cifar/{name}"), &bytes[..]).unwrap();
        }
        builder.into_inner().unwrap().finish().unwrap();
        file
    }

    #[test]
    fn folder_and_archive_give_the_same() {
        let files = cifar10_files();
        let folder = folder(&files);
        let archive = archive(&files);
        for set in [open_folder(folder.path()).unwrap(), open_archive(archive.path()).unwrap()] {
            assert_eq!(set.name, "cifar10");
            assert_eq!(set.classes[9], "truck");
            assert_eq!(set.train.given, [0, 1, 2, 3, 4]);
            assert_eq!(set.test.unwrap().given, [5]);
            let Pixels::Decoded(pixels) = &*set.train.pixels else { panic!("decoded") };
            assert_eq!(pixels[3072], 1);
        }
    }

    #[test]
    fn cifar100_uses_the_fine_label() {
        let record = [vec![19, 99], vec![7; 3072]].concat();
        let folder = folder(&[("train.bin", record.clone()), ("test.bin", record)]);
        let set = open_folder(folder.path()).unwrap();
        assert_eq!((set.name.as_str(), &set.train.given[..]), ("cifar100", &[99][..]));
        assert_eq!(set.classes[99], "worm");
    }

    #[test]
    fn what_breaks_the_format_is_named() {
        let mut cut = cifar10_files();
        cut[2].1.pop();
        let mut label = cifar10_files();
        label[5].1[0] = 10;
        let mut missing = cifar10_files();
        missing.pop();
        let mut twice = cifar10_files();
        twice.push(twice[0].clone());
        let mut both = cifar10_files();
        both.push(("train.bin", vec![]));
        let python = vec![("data_batch_1", vec![])];
        let cases = [
            (cut, "data_batch_3.bin: 3072 bytes are not a whole number"),
            (label, "test_batch.bin: record 0: label 10 is not below 10"),
            (missing, "test_batch.bin of cifar10 is missing"),
            (twice, "data_batch_1.bin twice"),
            (both, "files of CIFAR-10 and of CIFAR-100"),
            (python, "take the binary version"),
            (vec![], "neither data_batch_1.bin"),
        ];
        for (files, expected) in cases {
            let error = open_archive(archive(&files).path()).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
