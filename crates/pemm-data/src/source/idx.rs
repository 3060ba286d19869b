//! MNIST-style IDX files: `train-images-idx3-ubyte`, `train-labels-idx1-ubyte` and the same with
//! `t10k`, plain or with `.gz`, also written `train-images.idx3-ubyte`.
//!
//! Images: magic 0x00000803, then N, H, W as big-endian 32-bit numbers, then N·H·W bytes. Labels:
//! magic 0x00000801, N, then N bytes. Sizes must match the header to the byte and both files must
//! have the same N. The classes are the distinct training labels in numeric order and are named by
//! them; the `t10k` files are the test part and may be missing. A sample's name is its index.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::classes::Classes;
use super::read;
use crate::{DataError, DataSet, Part, Pixels, Result, Shape, decode::MAX_SIDE};

/// Largest images file after unpacking.
const MAX_BYTES: u64 = 4 << 30;

/// The file of `part` (`train` or `t10k`) that holds `kind` (`images-idx3` or `labels-idx1`).
fn find(folder: &Path, part: &str, kind: &str) -> Option<PathBuf> {
    let dotted = kind.replace('-', ".");
    [kind, dotted.as_str()]
        .iter()
        .flat_map(|kind| ["", ".gz"].map(|end| folder.join(format!("{part}-{kind}-ubyte{end}"))))
        .find(|path| path.is_file())
}

/// Whether `folder` holds IDX training images.
pub(super) fn is_here(folder: &Path) -> bool {
    find(folder, "train", "images-idx3").is_some()
}

/// Reads the folder.
pub(super) fn open(folder: &Path) -> Result<DataSet> {
    let (train, labels) = raw_part(folder, "train")?
        .ok_or_else(|| DataError::format(folder, "train-images-idx3-ubyte[.gz] is missing"))?;
    let names: Vec<String> = (0..=u8::MAX).map(|label| label.to_string()).collect();
    let name = |label: u8| names[label as usize].as_str();
    let classes = Classes::of(labels.iter().map(|&label| name(label)));
    let number = |labels: Vec<u8>| -> Result<Vec<u32>> {
        let number = |(index, label)| {
            let place = |reason| format!("sample {index}: {reason}");
            classes.id(name(label)).map_err(|reason| DataError::format(folder, place(reason)))
        };
        labels.into_iter().enumerate().map(number).collect()
    };
    let shape = train.shape;
    let train = part(train, number(labels)?);
    let test = match raw_part(folder, "t10k")? {
        None => None,
        Some((images, _)) if images.shape != shape => {
            let reason = format!(
                "test images are {}×{} but training images {}×{} (height×width)",
                images.shape.height, images.shape.width, shape.height, shape.width
            );
            return Err(DataError::format(folder, reason));
        }
        Some((images, labels)) => Some(part(images, number(labels)?)),
    };
    let name = read::display_name(folder);
    Ok(DataSet::of(name, classes.names, train, test))
}

struct Images {
    shape: Shape,
    pixels: Vec<u8>,
}

fn part(images: Images, given: Vec<u32>) -> Part {
    Part {
        pixels: Arc::new(Pixels::Decoded(images.pixels)),
        shape: images.shape,
        rows: (0..given.len() as u32).collect(),
        names: Arc::new((0..given.len()).map(|index| index.to_string()).collect()),
        given,
        weights: None,
    }
}

/// Images and labels of one part; `None` if neither file is there.
fn raw_part(folder: &Path, part: &str) -> Result<Option<(Images, Vec<u8>)>> {
    let images = find(folder, part, "images-idx3");
    let labels = find(folder, part, "labels-idx1");
    let (images_path, labels_path) = match (images, labels) {
        (None, None) => return Ok(None),
        (Some(images), Some(labels)) => (images, labels),
        (Some(_), None) => {
            let reason = format!("{part}-labels-idx1-ubyte[.gz] is missing beside the images");
            return Err(DataError::format(folder, reason));
        }
        (None, Some(_)) => {
            let reason = format!("{part}-images-idx3-ubyte[.gz] is missing beside the labels");
            return Err(DataError::format(folder, reason));
        }
    };
    let ([num_images, height, width], pixels) = array::<3>(&images_path, 0x803)?;
    let ([num_labels], labels) = array::<1>(&labels_path, 0x801)?;
    if num_images != num_labels {
        let reason = format!("{num_labels} labels for {num_images} images");
        return Err(DataError::format(labels_path, reason));
    }
    if num_images == 0 || height == 0 || width == 0 || height.max(width) > MAX_SIDE {
        let reason = format!(
            "{num_images} images of {height}×{width}: at least one image is needed, and sides of \
             1 to {MAX_SIDE}"
        );
        return Err(DataError::format(images_path, reason));
    }
    Ok(Some((Images { shape: Shape { channels: 1, height, width }, pixels }, labels)))
}

/// Sizes and bytes of an IDX file with `D` dimensions.
fn array<const D: usize>(path: &Path, magic: u32) -> Result<([usize; D], Vec<u8>)> {
    let mut reader = read::open(path)?;
    let mut word = || -> Result<u32> {
        let mut bytes = [0; 4];
        reader.read_exact(&mut bytes).map_err(|error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => {
                DataError::format(path, "the file ends inside its header")
            }
            _ => DataError::io(path, error),
        })?;
        Ok(u32::from_be_bytes(bytes))
    };
    let found = word()?;
    if found != magic {
        let reason = format!("the magic number is {found:#010x} and not {magic:#010x}");
        return Err(DataError::format(path, reason));
    }
    let mut sizes = [0; D];
    for size in &mut sizes {
        *size = word()? as usize;
    }
    let total = sizes.iter().try_fold(1u64, |total, &size| total.checked_mul(size as u64));
    let Some(total) = total.filter(|&total| total <= MAX_BYTES) else {
        let reason = format!("sizes {sizes:?} are more than the limit of {MAX_BYTES} bytes");
        return Err(DataError::format(path, reason));
    };
    Ok((sizes, read::exactly(reader, total, path)?))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use super::*;

    fn header(magic: u32, sizes: &[u32]) -> Vec<u8> {
        let words = std::iter::once(&magic).chain(sizes);
        words.flat_map(|word| word.to_be_bytes()).collect()
    }

    /// Three 1×2 images with labels 5, 2, 5.
    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let images = [header(0x803, &[3, 1, 2]), vec![1, 2, 3, 4, 5, 6]].concat();
        let labels = [header(0x801, &[3]), vec![5, 2, 5]].concat();
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), Default::default());
        gzip.write_all(&images).unwrap();
        fs::write(folder.path().join("train-images-idx3-ubyte.gz"), gzip.finish().unwrap())
            .unwrap();
        fs::write(folder.path().join("train-labels.idx1-ubyte"), labels).unwrap();
        folder
    }

    fn error_with(name: &str, bytes: &[u8]) -> String {
        let folder = folder();
        fs::write(folder.path().join(name), bytes).unwrap();
        open(folder.path()).unwrap_err().to_string()
    }

    #[test]
    fn a_download_that_broke_off_is_named_as_such() {
        let name = "train-images-idx3-ubyte.gz";
        let whole = fs::read(folder().path().join(name)).unwrap();
        let error = error_with(name, &whole[..whole.len() - 12]);
        assert!(error.contains("cut off; copy or download the file again"), "{error}");
    }

    #[test]
    fn gzip_and_dotted_names_are_read() {
        let folder = folder();
        assert!(is_here(folder.path()));
        let set = open(folder.path()).unwrap();
        assert_eq!(set.classes, ["2", "5"]);
        assert_eq!(set.train.given, [1, 0, 1]);
        assert_eq!(set.train.shape, Shape { channels: 1, height: 1, width: 2 });
        assert_eq!(set.train.name(2), "2");
        assert!(set.test.is_none());
    }

    #[test]
    fn what_breaks_the_format_is_named() {
        let labels = "train-labels.idx1-ubyte";
        let cases: [(&str, Vec<u8>, &str); 7] = [
            (labels, header(0x803, &[3]), "magic number is 0x00000803"),
            (labels, header(0x801, &[]), "ends inside its header"),
            (labels, [header(0x801, &[3]), vec![1, 2]].concat(), "there are 2: cut off"),
            (labels, [header(0x801, &[3]), vec![1; 4]].concat(), "more than the 3 bytes"),
            (labels, [header(0x801, &[2]), vec![1; 2]].concat(), "2 labels for 3 images"),
            (
                "train-images-idx3-ubyte",
                header(0x803, &[u32::MAX, u32::MAX, u32::MAX]),
                "more than the limit",
            ),
            ("t10k-images-idx3-ubyte", vec![], "t10k-labels-idx1-ubyte[.gz] is missing"),
        ];
        for (name, bytes, expected) in cases {
            let error = error_with(name, &bytes);
            assert!(error.contains(expected), "{error}");
        }
    }
}
