//! Image folders: from listed files to pixels.
//!
//! The headers of all files are read first. They give the one size of the data set, or an error
//! that names two files of different sizes; the number of channels (grey only if every image is
//! grey, else RGB); and whether all images fit into `data.memory_mib`. If they do they are decoded
//! now, else they stay files that are decoded whenever they are needed. Broken images are all
//! collected before the first of them is an error; of files that stay files those are the ones with
//! a broken header, and with `data.broken = "skip"` all.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;

use super::folder::{ImageFile, Listing};
use crate::config::{BrokenImages, DataConfig};
use crate::{DataError, DataSet, Part, Pixels, Result, Shape, decode};

type Broken = Vec<(PathBuf, String)>;

/// Loads the images of a listing.
pub(super) fn load(listing: Listing, name: String, config: &DataConfig) -> Result<DataSet> {
    let note = listing.note();
    let Listing { classes, train, val, test, .. } = listing;
    super::check_classes(&classes, train.iter().map(|file| file.class), &config.path)?;
    let mut broken = Broken::new();
    let train = measure(train, &mut broken);
    let val = val.map(|files| measure(files, &mut broken));
    let test = test.map(|files| measure(files, &mut broken));
    let all = || train.iter().chain(val.iter().flatten()).chain(test.iter().flatten());
    let Some(shape) = common_shape(all(), config.resize)? else {
        return Err(DataError::Broken { broken });
    };
    let total = all().count().checked_mul(shape.len());
    let fits = total.is_some_and(|total| total.div_ceil(1 << 20) <= config.memory_mib);
    let skips = config.broken == BrokenImages::Skip;
    let mut part = |files| match (fits, skips) {
        (true, _) => decoded(files, shape, config.resize, &mut broken),
        (false, true) => kept(sound(files, shape, &mut broken), shape),
        (false, false) => kept(files, shape),
    };
    let (train, val, test) = (part(train), val.map(&mut part), test.map(&mut part));
    if !broken.is_empty() && config.broken == BrokenImages::Error {
        return Err(DataError::Broken { broken });
    }
    let mut set = DataSet { val, ..DataSet::of(name, classes, train, test) };
    set.notes.extend(note);
    if !broken.is_empty() {
        let num = broken.len();
        set.notes.push(format!("data.broken: {num} images do not decode and were left out"));
        let root = Path::new(&config.path);
        set.skipped = broken
            .iter()
            .map(|(path, _)| path.strip_prefix(root).unwrap_or(path))
            .map(|path| {
                path.components()
                    .map(|c| c.as_os_str().to_string_lossy())
                    .collect::<Vec<_>>()
                    .join("/")
            })
            .collect();
    }
    Ok(set)
}

/// Reads the headers; files whose header is broken go to `broken`.
fn measure(files: Vec<ImageFile>, broken: &mut Broken) -> Vec<(ImageFile, Shape)> {
    let measured: Vec<_> = files
        .into_par_iter()
        .map(|file| {
            decode::dimensions(&file.path)
                .map_err(|reason| (file.path.clone(), reason))
                .map(|shape| (file, shape))
        })
        .collect();
    sift(measured, broken)
}

/// The good ones in order; the others go to `broken`.
fn sift<T>(results: Vec<Result<T, (PathBuf, String)>>, broken: &mut Broken) -> Vec<T> {
    let keep = |result: Result<T, _>| result.map_err(|bad| broken.push(bad)).ok();
    results.into_iter().filter_map(keep).collect()
}

/// The shape that all images get, or `None` if there is no image.
fn common_shape<'a>(
    files: impl Iterator<Item = &'a (ImageFile, Shape)>,
    resize: Option<[usize; 2]>,
) -> Result<Option<Shape>> {
    let mut channels = 1;
    // The first file and the number of files of each size.
    let mut sizes: BTreeMap<[usize; 2], (&str, usize)> = BTreeMap::new();
    for (file, shape) in files {
        channels = channels.max(shape.channels);
        sizes.entry([shape.height, shape.width]).or_insert((&file.name, 0)).1 += 1;
    }
    let Some((&common, &(common_name, _))) = sizes.iter().max_by_key(|(_, (_, count))| *count)
    else {
        return Ok(None);
    };
    if let Some([height, width]) = resize {
        return Ok(Some(Shape { channels, height, width }));
    }
    if let Some((&[height, width], &(name, _))) = sizes.iter().find(|(size, _)| **size != common) {
        let [common_height, common_width] = common;
        let reason = format!(
            "the images have {} different sizes (height×width), for example {common_name} \
             {common_height}×{common_width} and {name} {height}×{width}; set data.resize, for \
             example data.resize = [{common_height}, {common_width}]",
            sizes.len()
        );
        return Err(DataError::setting("data.resize", reason));
    }
    Ok(Some(Shape { channels, height: common[0], width: common[1] }))
}

/// Decodes every file. Files that do not decode keep their row in the pixels (as zeros) but are no
/// samples of the part.
fn decoded(
    files: Vec<(ImageFile, Shape)>,
    shape: Shape,
    resize: Option<[usize; 2]>,
    broken: &mut Broken,
) -> Part {
    let mut pixels = vec![0; files.len() * shape.len()];
    let results: Vec<_> = pixels
        .par_chunks_mut(shape.len())
        .zip(&files)
        .enumerate()
        .map(|(row, (slot, (file, _)))| {
            let image = decode::image_file(&file.path, Some(shape.channels), resize);
            let image = image.map_err(|reason| (file.path.clone(), reason))?;
            if image.shape != shape {
                return Err((file.path.clone(), "the file changed while it was read".into()));
            }
            slot.copy_from_slice(&image.pixels);
            Ok((row as u32, file.class))
        })
        .collect();
    let (rows, given) = sift(results, broken).into_iter().unzip();
    let names = Arc::new(files.into_iter().map(|(file, _)| file.name).collect());
    Part { pixels: Arc::new(Pixels::Decoded(pixels)), shape, rows, names, given, weights: None }
}

/// The files that decode. Left out later they would be missing from batches, so where broken files
/// are skipped each one is decoded once before training.
fn sound(
    files: Vec<(ImageFile, Shape)>,
    shape: Shape,
    broken: &mut Broken,
) -> Vec<(ImageFile, Shape)> {
    let size = Some([shape.height, shape.width]);
    let tried: Vec<_> = files
        .into_par_iter()
        .map(|entry| {
            let path = &entry.0.path;
            match decode::image_file(path, Some(shape.channels), size) {
                Ok(_) => Ok(entry),
                Err(reason) => Err((path.clone(), reason)),
            }
        })
        .collect();
    sift(tried, broken)
}

/// Keeps the paths.
fn kept(files: Vec<(ImageFile, Shape)>, shape: Shape) -> Part {
    let given: Vec<u32> = files.iter().map(|(file, _)| file.class).collect();
    let (paths, names) = files.into_iter().map(|(file, _)| (file.path, file.name)).unzip();
    Part {
        pixels: Arc::new(Pixels::Files(paths)),
        shape,
        rows: (0..given.len() as u32).collect(),
        names: Arc::new(names),
        given,
        weights: None,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use image::{GrayImage, Luma, Rgb, RgbImage};

    use super::super::open;
    use super::*;

    fn grey(path: &Path, width: u32, value: u8) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        GrayImage::from_pixel(width, 2, Luma([value])).save(path).unwrap();
    }

    /// Two classes of two grey 2×3 images, values 10, 20, 30, 40.
    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (i, name) in ["a/1", "a/2", "b/1", "b/2"].iter().enumerate() {
            let path = folder.path().join(format!("train/{name}.png"));
            grey(&path, 3, 10 * (i as u8 + 1));
        }
        folder
    }

    fn config(folder: &tempfile::TempDir) -> DataConfig {
        DataConfig { path: folder.path().to_str().unwrap().into(), ..DataConfig::default() }
    }

    #[test]
    fn small_folders_are_decoded_and_large_ones_stay_files() {
        let folder = folder();
        let set = open(&config(&folder)).unwrap();
        assert_eq!(set.train.shape, Shape { channels: 1, height: 2, width: 3 });
        let Pixels::Decoded(pixels) = &*set.train.pixels else { panic!("it fits") };
        assert_eq!((pixels[0], pixels[6], pixels[23]), (10, 20, 40));
        let set = open(&DataConfig { memory_mib: 0, ..config(&folder) }).unwrap();
        let Pixels::Files(files) = &*set.train.pixels else { panic!("nothing fits into 0 MiB") };
        assert_eq!(files.len(), 4);
        assert_eq!((set.train.name(3), set.train.given[3]), ("train/b/2.png", 1));
    }

    #[test]
    fn one_colour_image_makes_all_rgb() {
        let folder = folder();
        let path = folder.path().join("train/a/3.png");
        RgbImage::from_pixel(3, 2, Rgb([1, 2, 3])).save(path).unwrap();
        let set = open(&config(&folder)).unwrap();
        assert_eq!(set.train.shape.channels, 3);
        let Pixels::Decoded(pixels) = &*set.train.pixels else { panic!("it fits") };
        assert!(pixels[..18].iter().all(|&value| value == 10));
    }

    #[test]
    fn mixed_sizes_need_resize() {
        let folder = folder();
        grey(&folder.path().join("train/b/3.png"), 5, 50);
        let error = open(&config(&folder)).unwrap_err().to_string();
        assert!(error.contains("train/a/1.png 2×3 and train/b/3.png 2×5"), "{error}");
        assert!(error.contains("data.resize = [2, 3]"), "{error}");
        let set = open(&DataConfig { resize: Some([4, 4]), ..config(&folder) }).unwrap();
        assert_eq!(set.train.shape, Shape { channels: 1, height: 4, width: 4 });
        let Pixels::Decoded(pixels) = &*set.train.pixels else { panic!("it fits") };
        assert!(pixels[64..].iter().all(|&value| value == 50));
    }

    #[test]
    fn all_broken_images_are_listed_or_skipped() {
        let folder = folder();
        fs::write(folder.path().join("train/a/text.jpg"), "hello").unwrap();
        let whole = fs::read(folder.path().join("train/b/2.png")).unwrap();
        // The header is whole, so only decoding finds this one.
        fs::write(folder.path().join("train/b/cut.png"), &whole[..45]).unwrap();
        let error = open(&config(&folder)).unwrap_err();
        let DataError::Broken { broken } = &error else { panic!("{error}") };
        assert_eq!(broken.len(), 2, "{error}");
        for memory_mib in [0, 4096] {
            let skip = DataConfig { broken: BrokenImages::Skip, memory_mib, ..config(&folder) };
            let set = open(&skip).unwrap();
            assert_eq!(set.train.given, [0, 0, 1, 1]);
            assert_eq!(set.train.name(3), "train/b/2.png");
        }
    }

    #[test]
    fn a_class_without_images_is_named() {
        let folder = folder();
        fs::create_dir(folder.path().join("train/empty")).unwrap();
        let error = open(&config(&folder)).unwrap_err().to_string();
        assert!(error.contains("no training sample: empty"), "{error}");
    }
}
