//! Sources: what `data.path` may be, and how it becomes a [`DataSet`].
//!
//! | `data.path` | source |
//! |---|---|
//! | the word `digits` (a folder of that name is `./digits`) | compiled-in digits |
//! | folder with `data_batch_1.bin` or `train.bin`, or a `.tar.gz` of it | CIFAR |
//! | folder with `train-images-idx3-ubyte[.gz]` | IDX |
//! | folder with `features.npy` | NumPy features |
//! | folder with `train/<class>/` or `<class>/`, or images and `data.labels` | image folder |
//! | `.csv` file | CSV features |

mod account;
mod cifar;
mod cifar_names;
pub(crate) mod classes;
mod digits;
mod features;
mod flat;
pub(crate) mod folder;
mod idx;
mod images;
mod loose;
mod matrix;
pub(crate) mod names;
mod npy;
mod parts;
pub(crate) mod read;
pub(crate) mod table;
pub(crate) mod walk;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

pub use account::{Account, LeftOut, ReadPart, Rule};
pub use cifar_names::{CIFAR10, CIFAR100};
pub use classes::{class_order, counting_order, two_orders};
pub use loose::{BrokenFiles, LooseImages, loose_images};
pub use matrix::{Matrix, matrix, npy_header};
pub use npy::is_embedding;
pub use read::nearest_sibling;

use crate::config::DataConfig;
use crate::{DataError, DataSet, Part, Pixels, Result, Shape, decode, nearest, stop};

const DIGITS: &str = "digits";
/// Most classes; confusions of all with all are counted.
const MAX_CLASSES: usize = 1 << 15;

/// What kind of source a path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The compiled-in digits.
    Digits,
    /// CIFAR-10 or CIFAR-100, binary version, in a folder.
    CifarFolder,
    /// The same in its `.tar.gz`.
    CifarArchive,
    /// MNIST-style IDX files.
    Idx,
    /// Class folders of images.
    ImageFolder,
    /// Feature vectors in a CSV file.
    FeaturesCsv,
    /// Feature vectors in NumPy files.
    FeaturesNpy,
}

/// What a source is known by, and that in the words of a message.
enum Sign {
    /// Its path is this word.
    Word(&'static str),
    /// Something in a folder.
    InFolder(fn(&Path) -> Result<bool>, String),
    /// One of these endings of a file, in small letters.
    Ending(&'static [&'static str], &'static str),
}

impl Kind {
    /// Every kind, in the order in which a path is held against their signs.
    pub const ALL: [Self; 7] = [
        Self::Digits,
        Self::CifarFolder,
        Self::CifarArchive,
        Self::Idx,
        Self::FeaturesNpy,
        Self::FeaturesCsv,
        // Last, because the folders of others may hold images too.
        Self::ImageFolder,
    ];

    fn sign(self) -> Sign {
        match self {
            Self::Digits => Sign::Word(DIGITS),
            Self::CifarFolder => Sign::InFolder(
                |folder| Ok(cifar::is_here(folder)),
                "data_batch_1.bin (CIFAR-10), train.bin (CIFAR-100)".into(),
            ),
            Self::CifarArchive => {
                Sign::Ending(&[".tar.gz", ".tgz", ".tar"], ".tar.gz (CIFAR, binary version)")
            }
            Self::Idx => Sign::InFolder(
                |folder| Ok(idx::is_here(folder)),
                "train-images-idx3-ubyte[.gz] (IDX)".into(),
            ),
            Self::ImageFolder => Sign::InFolder(
                folder::is_here,
                format!(
                    "train/<class>/ or <class>/ with {} files (images)",
                    walk::ENDINGS.join(", ")
                ),
            ),
            Self::FeaturesCsv => Sign::Ending(&[".csv"], ".csv (features)"),
            Self::FeaturesNpy => {
                Sign::InFolder(|folder| Ok(npy::is_here(folder)), "features.npy (features)".into())
            }
        }
    }

    /// Whether its samples are vectors of features, and no images.
    pub fn is_of_vectors(self) -> bool {
        match self {
            Self::Digits
            | Self::CifarFolder
            | Self::CifarArchive
            | Self::Idx
            | Self::ImageFolder => false,
            Self::FeaturesCsv | Self::FeaturesNpy => true,
        }
    }

    /// What it is, in a few words.
    pub fn title(self) -> &'static str {
        match self {
            Self::Digits => "compiled in",
            Self::CifarFolder => "CIFAR, binary version",
            Self::CifarArchive => "CIFAR, binary version, archive",
            Self::Idx => "IDX files",
            Self::ImageFolder => "image folder",
            Self::FeaturesCsv => "features, CSV",
            Self::FeaturesNpy => "features, NumPy",
        }
    }
}

/// Finds out what kind of source `path` is, by what is there and without reading much of it.
///
/// # Errors
/// `data.path` if there is nothing, with the nearest name that is there, or nothing that any
/// source reads, with what was looked for.
pub fn detect(path: &str) -> Result<Kind> {
    let place = Path::new(path);
    let (is_folder, lower) = (place.is_dir(), path.to_ascii_lowercase());
    let ends = |endings: &[&str]| endings.iter().any(|ending| lower.ends_with(ending));
    let (mut in_folder, mut of_files) = (Vec::new(), Vec::new());
    for kind in Kind::ALL {
        let is_it = match kind.sign() {
            Sign::Word(word) => path == word,
            Sign::InFolder(is_here, looked_for) => {
                in_folder.push(looked_for);
                is_folder && is_here(place)?
            }
            Sign::Ending(endings, looked_for) => {
                of_files.push(looked_for);
                !is_folder && place.exists() && ends(endings)
            }
        };
        if is_it {
            return Ok(kind);
        }
    }
    let reason = if is_folder {
        let looked_for = in_folder.join(", ");
        format!("no source is found in the folder {path:?}; looked for {looked_for}")
    } else if !place.exists() {
        missing(path)
    } else if ends(&[".zip", ".rar", ".7z", ".gz", ".xz", ".bz2", ".zst"]) {
        format!("{path:?} is an archive; unpack it and give the folder")
    } else {
        format!(
            "{path:?} is a file, but of files only {} are read; images belong into a folder <class>/ \
             or train/<class>/",
            of_files.join(" and ")
        )
    };
    Err(DataError::setting("data.path", reason))
}

/// [`open_until`] without a way to stop it.
///
/// # Errors
/// Those of [`open_until`].
pub fn open(config: &DataConfig) -> Result<DataSet> {
    open_until(config, &stop::NEVER)
}

/// Opens the source at `config.path`; `layout`, `resize`, `broken` and `memory_mib` apply, the other
/// keys belong to later steps. Only where images lie flat, the labels file is read for its classes.
///
/// Every class has at least one training sample, there are at least two classes, and all parts
/// have the same shape.
///
/// # Errors
/// See [`detect`]; then whatever breaks the format of the source, with file and place;
/// [`DataError::Stopped`] once `stop` is set.
pub fn open_until(config: &DataConfig, stop: &AtomicBool) -> Result<DataSet> {
    if let Some([height, width]) = config.resize {
        let sides = 1..=decode::MAX_SIDE;
        if !sides.contains(&height) || !sides.contains(&width) {
            let reason =
                format!("[{height}, {width}] has a side outside 1 to {}", decode::MAX_SIDE);
            return Err(DataError::setting("data.resize", reason));
        }
    }
    let path = Path::new(&config.path);
    let mut set = match detect(&config.path)? {
        Kind::Digits => digits::open(),
        Kind::CifarFolder => cifar::open_folder(path)?,
        Kind::CifarArchive => cifar::open_archive(path)?,
        Kind::Idx => idx::open(path)?,
        Kind::FeaturesCsv => features::open(path, stop)?,
        Kind::FeaturesNpy => npy::open(path)?,
        Kind::ImageFolder => {
            images::load(listing(config)?, read::display_name(path), config, stop)?
        }
    };
    check(&set, &config.path)?;
    if let Some(size) = config.resize {
        resize(&mut set, size, config.memory_mib, stop)?;
    }
    Ok(set)
}

/// The files and classes of an image folder, by the labels file where they lie flat.
pub(crate) fn listing(config: &DataConfig) -> Result<folder::Listing> {
    let mut listing = folder::list(config)?;
    if listing.classes.is_empty() {
        flat::label(&mut listing, config)?;
    }
    Ok(listing)
}

/// Bytes of everything that a source which is no image folder consists of.
pub(crate) fn num_bytes(path: &str, kind: Kind) -> Result<u64> {
    if kind == Kind::Digits {
        return Ok(digits::num_bytes());
    }
    let place = PathBuf::from(path);
    let files = if place.is_dir() { read::entries(&place)? } else { vec![place] };
    let size = |file: PathBuf| {
        let metadata = file.metadata().map_err(|error| DataError::io(&file, error))?;
        Ok(if metadata.is_file() { metadata.len() } else { 0 })
    };
    files.into_iter().map(size).sum()
}

fn missing(path: &str) -> String {
    let known = nearest(path, [DIGITS]).map(PathBuf::from);
    match known.or_else(|| read::nearest_sibling(Path::new(path))) {
        Some(near) => {
            format!(
                "there is no file or folder {path:?}; did you mean {:?}?",
                near.display().to_string()
            )
        }
        None => format!(
            "there is no file or folder {path:?}; the images that are built in are called {DIGITS:?}"
        ),
    }
}

/// What holds for every source.
fn check(set: &DataSet, path: &str) -> Result<()> {
    check_classes(&set.classes, set.train.given.iter().copied(), path)?;
    for (name, part) in [("validation", &set.val), ("test", &set.test)] {
        if part.as_ref().is_some_and(Part::is_empty) {
            let reason = format!("the {name} part has no sample; remove it or fill it");
            return Err(DataError::format(path, reason));
        }
    }
    let parts = [Some(&set.train), set.val.as_ref(), set.test.as_ref()];
    if let Some(part) =
        parts.into_iter().flatten().find(|part| part.names.len() > u32::MAX as usize)
    {
        let reason = format!("{} samples are more than {}", part.names.len(), u32::MAX);
        return Err(DataError::format(path, reason));
    }
    Ok(())
}

/// At least two classes, each with at least one training sample, and not so many that they are no
/// classes.
fn check_classes(classes: &[String], given: impl Iterator<Item = u32>, path: &str) -> Result<()> {
    if classes.len() > MAX_CLASSES {
        let reason = format!(
            "{} classes are more than the limit of {MAX_CLASSES}; is the label column one of names \
             or measurements?",
            classes.len()
        );
        return Err(DataError::format(path, reason));
    }
    if classes.len() < 2 {
        let reason = format!("{} class is too few, at least 2 are needed", classes.len());
        return Err(DataError::format(path, reason));
    }
    let mut seen = vec![false; classes.len()];
    for label in given {
        seen[label as usize] = true;
    }
    let empty: Vec<&str> = classes
        .iter()
        .zip(&seen)
        .filter_map(|(class, seen)| (!seen).then_some(class.as_str()))
        .collect();
    if empty.is_empty() {
        return Ok(());
    }
    let shown = empty[..empty.len().min(10)].join(", ");
    let reason = format!(
        "{} of {} classes have no training sample: {shown}{}; fill or remove them",
        empty.len(),
        classes.len(),
        if empty.len() > 10 { ", …" } else { "" }
    );
    Err(DataError::format(path, reason))
}

/// Resizes what is decoded but not yet of this size; parts that share pixels stay so.
fn resize(
    set: &mut DataSet,
    [height, width]: [usize; 2],
    memory_mib: usize,
    stop: &AtomicBool,
) -> Result<()> {
    let mut done: Vec<(Arc<Pixels>, Arc<Pixels>)> = Vec::new();
    let parts = [Some(&mut set.train), set.val.as_mut(), set.test.as_mut()];
    for part in parts.into_iter().flatten() {
        let from = part.shape;
        if [from.height, from.width] == [height, width] {
            continue;
        }
        let Pixels::Decoded(pixels) = &*part.pixels else {
            return Err(DataError::setting(
                "data.resize",
                "feature vectors have no size in pixels",
            ));
        };
        let total = part.names.len().checked_mul(from.channels * height * width);
        if total.is_none_or(|total| total.div_ceil(1 << 20) > memory_mib) {
            let reason = format!(
                "{} images of {height}×{width} need more than data.memory_mib = {memory_mib}",
                part.names.len()
            );
            return Err(DataError::setting("data.resize", reason));
        }
        let known = done.iter().find(|(old, _)| Arc::ptr_eq(old, &part.pixels));
        let resized = known.map(|(_, new)| new.clone()).unwrap_or_else(|| {
            let images = pixels.par_chunks_exact(from.len());
            let resize = |image| match stop::check(stop) {
                Ok(()) => decode::resize(image, from, [height, width]),
                Err(_) => Vec::new(),
            };
            let resized: Vec<Vec<u8>> = images.map(resize).collect();
            Arc::new(Pixels::Decoded(resized.concat()))
        });
        stop::check(stop)?;
        done.push((part.pixels.clone(), resized.clone()));
        part.pixels = resized;
        part.shape = Shape { height, width, ..from };
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;

    use super::*;

    fn error(path: &str) -> String {
        open(&DataConfig { path: path.into(), ..DataConfig::default() }).unwrap_err().to_string()
    }

    /// The parser of the words in reports knows every kind; a kind that is not in the list is detected
    /// nowhere.
    #[test]
    fn no_kind_is_missing_in_the_list() {
        let error = serde_json::from_str::<Kind>("\"no such word\"").unwrap_err().to_string();
        let known: BTreeSet<&str> = error.split('`').skip(1).step_by(2).skip(1).collect();
        let words = Kind::ALL.map(|kind| serde_json::to_value(kind).unwrap());
        let listed: BTreeSet<&str> = words.iter().filter_map(|word| word.as_str()).collect();
        assert_eq!(known, listed);
        assert_eq!(listed.len(), Kind::ALL.len(), "each once");
    }

    #[test]
    fn digits_are_always_there_and_resize() {
        let config = DataConfig { resize: Some([16, 12]), ..DataConfig::default() };
        let set = open(&config).unwrap();
        assert_eq!(set.train.shape, Shape { channels: 1, height: 16, width: 12 });
        assert!(Arc::ptr_eq(&set.train.pixels, &set.test.unwrap().pixels));
        let Pixels::Decoded(pixels) = &*set.train.pixels else { panic!("decoded") };
        assert_eq!(pixels.len(), 1797 * 16 * 12);
        let zero = DataConfig { resize: Some([0, 8]), ..DataConfig::default() };
        assert!(open(&zero).unwrap_err().to_string().starts_with("data.resize: [0, 8]"));
    }

    #[test]
    fn a_path_that_leads_nowhere_names_the_nearest() {
        assert!(error("digit").contains("did you mean \"digits\"?"));
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("flowers")).unwrap();
        let typo = folder.path().join("flwers");
        let message = error(typo.to_str().unwrap());
        assert!(message.contains("did you mean") && message.contains("flowers"), "{message}");
        let message = error(folder.path().join("flowers").to_str().unwrap());
        assert!(message.contains("looked for data_batch_1.bin"), "{message}");
        let file = folder.path().join("photo.jpg");
        fs::write(&file, "").unwrap();
        assert!(error(file.to_str().unwrap()).contains("images belong into a folder"));
        let file = folder.path().join("Flowers.ZIP");
        fs::write(&file, "PK").unwrap();
        assert!(error(file.to_str().unwrap()).contains("unpack it and give the folder"));
    }

    #[test]
    fn vectors_have_no_size() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x.csv");
        fs::write(&file, "x,label\n1,a\n2,b\n").unwrap();
        let path = file.to_str().unwrap().to_string();
        let config = DataConfig { path, resize: Some([2, 2]), ..DataConfig::default() };
        assert!(open(&config).unwrap_err().to_string().contains("no size in pixels"));
        fs::write(&file, "x,label\n1,a\n2,a\n").unwrap();
        assert!(error(file.to_str().unwrap()).contains("at least 2 are needed"));
    }

    /// Real data: set PEMM_TEST_CIFAR10 to CIFAR-10 as an image folder, PEMM_TEST_IDX to a folder
    /// of Fashion-MNIST.
    #[test]
    fn real_data_sets_open() {
        let open_at = |variable: &str| match std::env::var(variable) {
            Ok(path) => Some(open(&DataConfig { path, ..DataConfig::default() }).unwrap()),
            Err(_) => {
                eprintln!("skipped: {variable} is not set");
                None
            }
        };
        if let Some(set) = open_at("PEMM_TEST_CIFAR10") {
            assert_eq!(set.classes, CIFAR10);
            assert_eq!(set.train.shape, Shape { channels: 3, height: 32, width: 32 });
            assert_eq!((set.train.len(), set.test.unwrap().len()), (50_000, 10_000));
            assert_eq!(set.train.name(5000), "train/automobile/0000.jpg");
        }
        if let Some(set) = open_at("PEMM_TEST_IDX") {
            assert_eq!(set.classes.len(), 10);
            assert_eq!(set.train.shape, Shape { channels: 1, height: 28, width: 28 });
            assert_eq!((set.train.len(), set.test.unwrap().len()), (60_000, 10_000));
        }
    }
}
