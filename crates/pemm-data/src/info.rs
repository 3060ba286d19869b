//! A look at a data set before anything is trained on it.
//!
//! Every image of an image folder is decoded, so that broken ones are known by name; they are
//! listed and never an error here.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::config::DataConfig;
use crate::source::folder::{ImageFile, Listing};
use crate::source::{self, Account, Kind, read};
use crate::{DataSet, Part, Pixels, Result, Shape, decode, labels, stop};

/// What a data set consists of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Info {
    /// Kind of the source.
    pub kind: Kind,
    /// Name of the data set, as records show it.
    pub name: String,
    /// Classes in the order of their ids.
    pub classes: Vec<ClassInfo>,
    /// How many good samples have which size, by channels, height and width.
    pub sizes: Vec<SizeInfo>,
    /// Bytes of all files, as they lie on disk.
    pub num_bytes: u64,
    /// Images that do not decode, in the order train, val, test.
    pub broken: Vec<BrokenFile>,
    /// What else keeps samples out, or a training from starting.
    #[serde(default)]
    pub notes: Vec<String>,
    /// What an image folder held and what was left out; broken images are counted as read.
    #[serde(default)]
    pub account: Account,
}

/// A class and its samples in each part, broken images included.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassInfo {
    /// Name of the class.
    pub name: String,
    /// Samples in the training part.
    pub train: usize,
    /// Samples in the validation part, if there is one.
    pub val: Option<usize>,
    /// Samples in the test part, if there is one.
    pub test: Option<usize>,
}

/// A size and how many samples have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SizeInfo {
    /// Channels, height and width; a vector of D features is `[D, 1, 1]`.
    pub shape: Shape,
    /// Samples of this size in all parts.
    pub count: usize,
}

/// A broken image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrokenFile {
    /// Path relative to the data folder.
    pub name: String,
    /// Why it does not decode.
    pub reason: String,
}

/// [`inspect_until`] of a path, without a way to stop it.
///
/// # Errors
/// Those of [`inspect_until`].
pub fn inspect(path: &str) -> Result<Info> {
    inspect_until(&DataConfig { path: path.into(), ..DataConfig::default() }, &stop::NEVER)
}

/// Looks at the data set at `config.path`; of the other keys `layout`, `labels`, `label_column` and
/// `unlisted` apply. With labels the training samples are counted by those.
///
/// # Errors
/// If there is no source, or one other than an image folder breaks its format, or it is not plain
/// which folders are parts and which are classes; those of [`labels::join`]; [`DataError::Stopped`](crate::DataError::Stopped)
/// once `stop` is set. Broken images, different sizes and empty classes are part of the answer.
pub fn inspect_until(config: &DataConfig, stop: &AtomicBool) -> Result<Info> {
    match source::detect(&config.path)? {
        Kind::ImageFolder => image_folder(config, stop),
        kind => other(config, kind, stop),
    }
}

fn other(config: &DataConfig, kind: Kind, stop: &AtomicBool) -> Result<Info> {
    let mut set = source::open_until(&DataConfig { resize: None, ..config.clone() }, stop)?;
    labels::join(&mut set, config)?;
    let notes = notes_of_join(&set);
    let labels = |part: &Part| part.given.clone();
    let parts = [Some(&set.train), set.val.as_ref(), set.test.as_ref()];
    let count = parts.iter().flatten().map(|part| part.len()).sum();
    Ok(Info {
        kind,
        name: set.name,
        classes: class_counts(set.classes, parts.map(|part| part.map(labels))),
        sizes: vec![SizeInfo { shape: set.train.shape, count }],
        num_bytes: source::num_bytes(&config.path, kind)?,
        broken: Vec::new(),
        notes,
        account: Account::default(),
    })
}

fn image_folder(config: &DataConfig, stop: &AtomicBool) -> Result<Info> {
    let listing = source::listing(config)?;
    let parts = [Some(&listing.train), listing.val.as_ref(), listing.test.as_ref()];
    let files: Vec<&ImageFile> = parts.iter().flatten().flat_map(|files| files.iter()).collect();
    // Only the shape of each image is kept, so memory does not grow with the folder.
    let look = |file: &&ImageFile| {
        stop::check(stop).ok()?;
        let num_bytes = file.path.metadata().map_or(0, |metadata| metadata.len());
        let image = decode::image_file(&file.path, None, None);
        Some((num_bytes, image.map(|image| (image.shape, image.is_transparent))))
    };
    let looked_at: Vec<Option<(u64, Result<_, String>)>> = files.par_iter().map(look).collect();
    stop::check(stop)?;
    let mut account = listing.account.clone();
    let mut sizes: BTreeMap<(usize, usize, usize), SizeInfo> = BTreeMap::new();
    let mut broken = Vec::new();
    let mut num_bytes = 0u64;
    for (file, (bytes, image)) in files.iter().zip(looked_at.into_iter().flatten()) {
        num_bytes = num_bytes.saturating_add(bytes);
        match image {
            Ok((shape, is_transparent)) => {
                account.transparent += usize::from(is_transparent);
                let key = (shape.channels, shape.height, shape.width);
                sizes.entry(key).or_insert(SizeInfo { shape, count: 0 }).count += 1;
            }
            Err(reason) => broken.push(BrokenFile { name: file.name.clone(), reason }),
        }
    }
    let labels = |files: &Vec<ImageFile>| files.iter().map(|file| file.class).collect::<Vec<_>>();
    let mut labels = parts.map(|part| part.map(labels));
    account.read = listing.read_parts(std::array::from_fn(|part| labels[part].as_deref()));
    let mut notes = account.warnings();
    notes.extend(listing.notes.iter().cloned());
    if config.labels.is_some() {
        let set = joined(&listing, config)?;
        notes.extend(notes_of_join(&set));
        labels[0] = Some(set.train.given);
    }
    let classes = class_counts(listing.classes.clone(), labels);
    if classes.len() < 2 {
        notes.push("there is one class; a training needs two".into());
    }
    for class in classes.iter().filter(|class| class.train == 0) {
        notes.push(format!("class {} has no training image; a training needs one", class.name));
    }
    Ok(Info {
        kind: Kind::ImageFolder,
        name: read::display_name(Path::new(&config.path)),
        classes,
        sizes: sizes.into_values().collect(),
        num_bytes,
        broken,
        notes,
        account,
    })
}

/// The images of `listing` with the labels of the labels file, without a pixel. The other parts are
/// there because the file may list them too.
fn joined(listing: &Listing, config: &DataConfig) -> Result<DataSet> {
    let part = |files: &Vec<ImageFile>| Part {
        pixels: Arc::new(Pixels::Decoded(Vec::new())),
        shape: Shape { channels: 1, height: 1, width: 1 },
        rows: (0..files.len() as u32).collect(),
        names: Arc::new(files.iter().map(|file| file.name.clone()).collect()),
        given: files.iter().map(|file| file.class).collect(),
        weights: None,
    };
    let name = read::display_name(Path::new(&config.path));
    let (classes, test) = (listing.classes.clone(), listing.test.as_ref().map(part));
    let set = DataSet::of(name, classes, part(&listing.train), test);
    let mut set = DataSet { val: listing.val.as_ref().map(part), ..set };
    labels::join(&mut set, config)?;
    Ok(set)
}

fn notes_of_join(set: &DataSet) -> Vec<String> {
    let joined = set.joined.and_then(|joined| joined.note());
    set.notes.iter().cloned().chain(joined).collect()
}

/// Counts the labels of the parts train, val and test.
fn class_counts(classes: Vec<String>, parts: [Option<Vec<u32>>; 3]) -> Vec<ClassInfo> {
    let [train, val, test] = parts.map(|labels| {
        labels.map(|labels| {
            let mut counts = vec![0; classes.len()];
            labels.iter().for_each(|&label| counts[label as usize] += 1);
            counts
        })
    });
    let count = |part: &Option<Vec<usize>>, class: usize| part.as_ref().map(|part| part[class]);
    let class = |(id, name)| ClassInfo {
        name,
        train: count(&train, id).unwrap_or(0),
        val: count(&val, id),
        test: count(&test, id),
    };
    classes.into_iter().enumerate().map(class).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn digits_are_counted() {
        let info = inspect("digits").unwrap();
        assert_eq!((info.kind, info.classes.len()), (Kind::Digits, 10));
        assert_eq!(info.classes.iter().map(|class| class.train).sum::<usize>(), 1442);
        assert_eq!(info.sizes[0].count, 1797);
        assert!(info.classes[0].val.is_none() && info.broken.is_empty());
    }

    #[test]
    fn a_labels_file_is_looked_at_with_its_images() {
        let folder = tempfile::tempdir().unwrap();
        for path in ["set/cat/1.png", "set/cat/2.png", "set/dog/1.png", "flat/a.png", "flat/b.png"]
        {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            image::GrayImage::new(2, 2).save(path).unwrap();
        }
        let look = |data: &str, text: &str| {
            let labels = folder.path().join("labels.csv");
            fs::write(&labels, text).unwrap();
            let path = folder.path().join(data).to_str().unwrap().into();
            let config = DataConfig { path, labels: Some(labels), ..DataConfig::default() };
            inspect_until(&config, &stop::NEVER)
        };
        let counts = |info: &Info| info.classes.iter().map(|class| class.train).collect::<Vec<_>>();
        let info =
            look("set", "path,label\ncat/1.png,dog\ncat/2.png,cat\ndog/1.png,dog\n").unwrap();
        assert_eq!(counts(&info), [1, 2]);
        assert!(info.notes.iter().any(|note| note.contains("1 of 3 labels differ")), "{info:?}");
        let info = look("flat", "path,label\na.png,x\nb.png,y\n").unwrap();
        assert_eq!(counts(&info), [1, 1]);
        // A list of all parts, as training takes it.
        for path in ["parts/train/cat/1.png", "parts/train/dog/1.png", "parts/test/cat/1.png"] {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            image::GrayImage::new(2, 2).save(path).unwrap();
        }
        let list = "path,label\ntrain/cat/1.png,cat\ntrain/dog/1.png,dog\ntest/cat/1.png,cat\n";
        assert_eq!(counts(&look("parts", list).unwrap()), [1, 1]);
        let error = look("set", "path,label\ncat/1.png,bird\n").unwrap_err().to_string();
        assert!(error.contains("labels.csv") && error.contains("bird"), "{error}");
    }

    #[test]
    fn broken_images_mixed_sizes_and_empty_classes_are_part_of_the_answer() {
        let folder = tempfile::tempdir().unwrap();
        for class in ["cat", "dog", "empty"] {
            fs::create_dir_all(folder.path().join("train").join(class)).unwrap();
        }
        for (name, side) in [("cat/1.png", 2), ("cat/2.png", 2), ("dog/1.png", 3)] {
            let path = folder.path().join("train").join(name);
            image::GrayImage::new(side, side).save(path).unwrap();
        }
        fs::write(folder.path().join("train/dog/bad.jpg"), "").unwrap();
        let info = inspect(folder.path().to_str().unwrap()).unwrap();
        let counts: Vec<usize> = info.classes.iter().map(|class| class.train).collect();
        assert_eq!(counts, [2, 2, 0]);
        let sizes: Vec<(usize, usize)> =
            info.sizes.iter().map(|size| (size.shape.width, size.count)).collect();
        assert_eq!(sizes, [(2, 2), (3, 1)]);
        assert_eq!(info.broken.len(), 1);
        assert_eq!(info.broken[0].name, "train/dog/bad.jpg");
        assert!(info.num_bytes > 0);
        let text = serde_json::to_string(&info).unwrap();
        assert_eq!(serde_json::from_str::<Info>(&text).unwrap(), info);
    }
}
