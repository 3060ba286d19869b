//! Small inputs, changed at random but alike in every run: no reader may panic, hang or fill the
//! memory, whatever it is given. What a reader says of a mutation does not matter here.

use std::fs;
use std::io::Cursor;
use std::path::Path;
use std::time::{Duration, Instant};

use image::{DynamicImage, ImageFormat};
use pemm_data::config::DataConfig;
use pemm_data::decode::image_bytes;
use pemm_data::source::{matrix, npy_header, open};
use pemm_data::{Rng, Stream, Streams, labels};

use crate::pictures::{JPEG, add, picture};

/// Longest that one input may take; it is some milliseconds, but a machine may do other things.
const PATIENCE: Duration = Duration::from_secs(60);
/// Most memory that this process may have taken, in KiB. Its largest inputs have some kilobytes, and
/// all images that are decoded at once share one GiB.
#[cfg(target_os = "linux")]
const MAX_KIB: u64 = 2 << 20;

/// One of the ways in which files break and attackers change them.
fn mutated(bytes: &[u8], rng: &mut Rng) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..1 + rng.below(3) {
        let at = rng.below(bytes.len().max(1));
        match rng.below(7) {
            0 => bytes.truncate(at),
            1 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << (at % 8)),
            2 => bytes.iter_mut().skip(at).take(4).for_each(|byte| *byte = 0xff),
            3 => bytes.iter_mut().skip(at).for_each(|byte| *byte = 0),
            4 => bytes.iter_mut().skip(at).take(2).for_each(|byte| *byte = 0x7f),
            5 => bytes.extend_from_within(at..),
            _ => {
                let inserted = [b'{', b'[', b'"', b',', b'\n', 0, 0xd9][at % 7];
                bytes.splice(at..at, std::iter::repeat_n(inserted, 1 + at % 40));
            }
        }
    }
    bytes
}

/// Calls `read` with mutations of `bytes`.
fn attack(name: &str, bytes: &[u8], count: usize, mut read: impl FnMut(&[u8])) {
    let mut rng = Streams::new(20).open(Stream::Shuffle);
    for number in 0..count {
        let input = mutated(bytes, &mut rng);
        let start = Instant::now();
        read(&input);
        assert!(start.elapsed() < PATIENCE, "{name} {number} took {:?}", start.elapsed());
    }
}

#[test]
fn images_of_every_format() {
    use ImageFormat::{Bmp, Gif, Png, Tiff, WebP};
    let image: DynamicImage = picture(3).into();
    for format in [Png, WebP, Bmp, Gif, Tiff] {
        for image in [image.clone(), image.to_luma_alpha8().into(), image.to_rgba8().into()] {
            let mut bytes = Cursor::new(Vec::new());
            if image.write_to(&mut bytes, format).is_ok() {
                attack(&format!("{format:?}"), bytes.get_ref(), 120, |bytes| {
                    let _ = image_bytes(bytes, None, None);
                    let _ = image_bytes(bytes, Some(1), Some([3, 5]));
                });
            }
        }
    }
    attack("JPEG", &JPEG, 1500, |bytes| {
        let _ = image_bytes(bytes, Some(3), Some([3, 5]));
    });
    #[cfg(target_os = "linux")]
    {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        let kib: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
        assert!(kib < MAX_KIB, "{kib} KiB");
    }
}

/// A file that is read by opening the data set `path` beside it.
fn attack_file(file: &Path, path: &Path, count: usize) {
    let whole = fs::read(file).unwrap();
    let config = DataConfig { path: path.to_str().unwrap().into(), ..DataConfig::default() };
    assert!(open(&config).is_ok(), "{}: {}", file.display(), open(&config).unwrap_err());
    attack(&file.display().to_string(), &whole, count, |bytes| {
        fs::write(file, bytes).unwrap();
        let _ = open(&config);
    });
    fs::write(file, whole).unwrap();
}

#[test]
fn features_of_both_kinds() {
    let folder = tempfile::tempdir().unwrap();
    let csv = folder.path().join("x.csv");
    fs::write(&csv, "a,b,label\n1,2,x\n3,4.5,y\n-1e3,\"0\",x\n").unwrap();
    attack_file(&csv, &csv, 600);
    let npy = folder.path().join("npy");
    fs::create_dir(&npy).unwrap();
    let values: Vec<u8> = [1f32, 2.0, 3.0, 4.0].iter().flat_map(|v| v.to_le_bytes()).collect();
    fs::write(npy.join("features.npy"), [npy_header(2, 2), values].concat()).unwrap();
    let header = b"{'descr': '<i8', 'fortran_order': False, 'shape': (2,), }\n";
    let start = [&b"\x93NUMPY\x01\x00"[..], &(header.len() as u16).to_le_bytes(), header].concat();
    fs::write(npy.join("labels.npy"), [start, vec![0; 15], vec![1]].concat()).unwrap();
    for name in ["features.npy", "labels.npy"] {
        attack_file(&npy.join(name), &npy, 600);
        let whole = fs::read(npy.join(name)).unwrap();
        let path = folder.path().join("matrix");
        attack("matrix", &whole, 400, |bytes| {
            fs::write(&path, bytes).unwrap();
            let _ = matrix(&path);
        });
    }
}

#[test]
fn idx_and_cifar() {
    let folder = tempfile::tempdir().unwrap();
    let words =
        |words: &[u32]| words.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<_>>();
    let images = [words(&[0x803, 4, 2, 3]), (0..24).collect()].concat();
    let labels = [words(&[0x801, 4]), vec![0, 1, 0, 1]].concat();
    let images_path = folder.path().join("train-images-idx3-ubyte");
    fs::write(&images_path, images).unwrap();
    fs::write(folder.path().join("train-labels-idx1-ubyte"), labels).unwrap();
    attack_file(&images_path, folder.path(), 500);
    attack_file(&folder.path().join("train-labels-idx1-ubyte"), folder.path(), 500);

    let cifar = tempfile::tempdir().unwrap();
    let record = |label: u8| [vec![label], vec![label; 3072]].concat();
    let records: Vec<u8> = (0..10).flat_map(record).collect();
    let mut tar = tar::Builder::new(Vec::new());
    for name in [
        "data_batch_1",
        "data_batch_2",
        "data_batch_3",
        "data_batch_4",
        "data_batch_5",
        "test_batch",
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_size(records.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, format!("c/{name}.bin"), &records[..]).unwrap();
    }
    let path = cifar.path().join("c.tar");
    fs::write(&path, tar.into_inner().unwrap()).unwrap();
    attack_file(&path, &path, 300);
}

#[test]
fn labels_files() {
    let folder = tempfile::tempdir().unwrap();
    add(folder.path(), &["train/cat/1.png", "train/cat/2.png", "train/dog/1.png"]);
    let path = folder.path().join("labels.csv");
    let config = DataConfig {
        path: folder.path().to_str().unwrap().into(),
        labels: Some(path.clone()),
        ..DataConfig::default()
    };
    let set = open(&config).unwrap();
    let text = "path,label,weight,clean\ntrain/cat/1.png,cat,1,0\ntrain/cat/2.png,\"dog\",0.5,1\n\
                train/dog/1.png,1.0,2,cat\n";
    fs::write(&path, text).unwrap();
    labels::join(&mut set.clone(), &config).unwrap();
    attack("labels", text.as_bytes(), 1000, |bytes| {
        fs::write(&path, bytes).unwrap();
        let _ = labels::join(&mut set.clone(), &config);
    });
}
