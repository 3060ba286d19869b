//! Data sets that are no images, and files of labels and probabilities.

use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use pemm_data::config::DataConfig;
use pemm_data::source::{Kind, matrix, npy_header, open};
use pemm_data::{DataSet, labels};

use crate::{MIB, Target, images, place};

/// Text becomes numbers and names of many times its size.
const MAX_BYTES: usize = 256 * MIB;
/// Most that is unpacked, and the same again as the parts of a data set.
const MAX_UNPACKED: usize = 768 * MIB;

pub(crate) const TARGETS: [Target; 10] = [
    Target { name: "labels", seeds: labels_files, read: read_labels, max_bytes: MAX_BYTES },
    Target { name: "trusted", seeds: labels_files, read: read_trusted, max_bytes: MAX_BYTES },
    Target { name: "features", seeds: feature_files, read: read_features, max_bytes: MAX_BYTES },
    Target { name: "npy", seeds: arrays, read: read_npy, max_bytes: MAX_BYTES },
    Target { name: "npy-labels", seeds: label_arrays, read: read_npy_labels, max_bytes: MAX_BYTES },
    Target { name: "probabilities", seeds: matrices, read: read_matrix, max_bytes: MAX_BYTES },
    Target { name: "idx", seeds: idx, read: read_idx, max_bytes: MAX_BYTES },
    Target { name: "idx-labels", seeds: idx_labels, read: read_idx_labels, max_bytes: MAX_BYTES },
    Target { name: "cifar", seeds: cifar, read: read_cifar, max_bytes: MAX_BYTES },
    Target { name: "archive", seeds: archives, read: read_archive, max_bytes: MAX_UNPACKED },
];

/// The targets that read each kind of source; the compiler sees to it that a new one is thought of.
pub fn targets_of(kind: Kind) -> &'static [&'static str] {
    match kind {
        // Compiled in: nobody else writes them.
        Kind::Digits => &[],
        Kind::CifarFolder => &["cifar"],
        Kind::CifarArchive => &["archive"],
        Kind::Idx => &["idx", "idx-labels"],
        Kind::ImageFolder => &["png", "jpeg"],
        Kind::FeaturesCsv => &["features"],
        Kind::FeaturesNpy => &["npy", "npy-labels"],
    }
}

fn config(path: &Path) -> DataConfig {
    let path = path.to_str().expect("temporary folders have plain names").to_owned();
    DataConfig { path, ..DataConfig::default() }
}

fn open_at(path: &Path) {
    let _ = open(&config(path));
}

fn labels_files() -> Vec<Vec<u8>> {
    vec![
        b"path,label,weight,clean\ntrain/cat/1.png,cat,1,0\ntrain/cat/2.png,\"dog\",0.5,1\n\
          train/dog/1.png,1.0,2,cat\n"
            .to_vec(),
        b"index,label,trusted\n0,cat,true\n1,dog,0\n2,cat,1\n".to_vec(),
        b"label;path\r\ncat;train/cat/1.png\r\n".to_vec(),
        b"\xef\xbb\xbffile,label\n1.png,0\n".to_vec(),
    ]
}

/// Three images in two classes.
fn small_set(name: &str) -> (DataSet, DataConfig) {
    let folder = place::folder(name);
    if !folder.join("train").exists() {
        let png = (images::TARGETS[1].seeds)().remove(0);
        for path in ["train/cat/1.png", "train/cat/2.png", "train/dog/1.png"] {
            place::write(&folder, path, &png);
        }
    }
    let config = config(&folder);
    (open(&config).expect("the images are whole"), config)
}

thread_local! {
    static SET: (DataSet, DataConfig) = small_set("labels");
}

fn read_labels(bytes: &[u8]) {
    SET.with(|(set, config)| {
        let path = place::write(&place::folder("labels"), "labels.csv", bytes);
        let _ =
            labels::join(&mut set.clone(), &DataConfig { labels: Some(path), ..config.clone() });
    });
}

fn read_trusted(bytes: &[u8]) {
    SET.with(|(set, config)| {
        let path = place::write(&place::folder("labels"), "trusted.csv", bytes);
        let _ =
            labels::join(&mut set.clone(), &DataConfig { trusted: Some(path), ..config.clone() });
    });
}

fn feature_files() -> Vec<Vec<u8>> {
    vec![
        b"a,b,label\n1,2,x\n3,4.5,y\n-1e3,\"0\",x\n".to_vec(),
        b"1,2,0\n3,4,1\n".to_vec(),
        b"label;a\nx;1\ny;nan\n".to_vec(),
    ]
}

fn read_features(bytes: &[u8]) {
    open_at(&place::write(&place::folder("features"), "x.csv", bytes));
}

fn array(descr: &str, shape: &str, values: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
    let length = (header.len() as u16).to_le_bytes();
    [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), values].concat()
}

fn arrays() -> Vec<Vec<u8>> {
    let values: Vec<u8> = [1f32, 2.0, 3.0, 4.0].iter().flat_map(|v| v.to_le_bytes()).collect();
    vec![
        [npy_header(2, 2), values].concat(),
        array("<f8", "(2, 1)", &[0; 16]),
        array(">i2", "(2, 2)", &[1; 8]),
        array("|u1", "(2, 3)", &[7; 6]),
    ]
}

fn label_arrays() -> Vec<Vec<u8>> {
    vec![array("<i8", "(2,)", &[[0; 15].as_slice(), &[1]].concat()), array("|u1", "(2,)", &[0, 1])]
}

fn read_npy(bytes: &[u8]) {
    let folder = place::folder("npy");
    place::write(&folder, "labels.npy", &label_arrays()[0]);
    place::write(&folder, "features.npy", bytes);
    open_at(&folder);
}

fn read_npy_labels(bytes: &[u8]) {
    let folder = place::folder("npy-labels");
    place::write(&folder, "features.npy", &arrays()[0]);
    place::write(&folder, "labels.npy", bytes);
    open_at(&folder);
}

fn matrices() -> Vec<Vec<u8>> {
    [arrays(), vec![b"cat,dog\n0.25,0.75\n1,0\n".to_vec(), b"0.5 0.5\n".to_vec()]].concat()
}

fn read_matrix(bytes: &[u8]) {
    let _ = matrix(&place::write(&place::folder("probabilities"), "matrix", bytes));
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(bytes).and_then(|()| gzip.finish()).expect("memory takes everything")
}

fn idx() -> Vec<Vec<u8>> {
    let plain = [words(&[0x803, 4, 2, 3]), (0..24).collect()].concat();
    vec![gzipped(&plain), plain]
}

fn idx_labels() -> Vec<Vec<u8>> {
    let plain = [words(&[0x801, 4]), vec![0, 1, 0, 1]].concat();
    vec![gzipped(&plain), plain]
}

fn read_idx(bytes: &[u8]) {
    let folder = place::folder("idx");
    place::write(&folder, "train-labels-idx1-ubyte", &idx_labels()[1]);
    place::write(&folder, "train-images-idx3-ubyte", bytes);
    open_at(&folder);
}

fn read_idx_labels(bytes: &[u8]) {
    let folder = place::folder("idx-labels");
    place::write(&folder, "train-images-idx3-ubyte", &idx()[1]);
    place::write(&folder, "train-labels-idx1-ubyte", bytes);
    open_at(&folder);
}

/// Records of CIFAR-100: one for each class, or one in all.
fn cifar() -> Vec<Vec<u8>> {
    let record = |label: u8| [vec![label / 5, label], vec![label; 3072]].concat();
    vec![record(7), [record(3), record(99)].concat()]
}

fn read_cifar(bytes: &[u8]) {
    let folder = place::folder("cifar");
    place::write(&folder, "test.bin", &cifar()[0]);
    place::write(&folder, "train.bin", bytes);
    open_at(&folder);
}

fn archives() -> Vec<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, bytes) in [("c/train.bin", &cifar()[1]), ("c/test.bin", &cifar()[0])] {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, &bytes[..]).expect("memory takes everything");
    }
    let tar = tar.into_inner().expect("memory takes everything");
    vec![gzipped(&tar), tar]
}

fn read_archive(bytes: &[u8]) {
    open_at(&place::write(&place::folder("archive"), "c.tar.gz", bytes));
}
