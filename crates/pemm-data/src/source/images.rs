//! Image folders: from listed files to pixels.
//!
//! The headers of all files are read first. They give the one size of the data set; the number of
//! channels (grey only if every image is grey, else RGB); and whether all images fit into
//! `data.memory_mib`. If they do they are decoded now, else they stay files that are decoded whenever
//! they are needed. Broken images are all collected before they are an error or left out; of files
//! that stay files those are the ones with a broken header, and all where broken ones may be left out.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rayon::prelude::*;

use super::account::Rule;
use super::folder::{ImageFile, Listing};
use super::walk::{ending, relative};
use crate::config::{BrokenImages, DataConfig};
use crate::stop;
use crate::{DataError, DataSet, Part, Pixels, Result, Shape, decode};

type Broken = Vec<(PathBuf, String)>;

/// Loads the images of a listing.
pub(super) fn load(
    mut listing: Listing,
    name: String,
    config: &DataConfig,
    stop: &AtomicBool,
) -> Result<DataSet> {
    let (classes, given) = (&listing.classes, listing.train.iter().map(|file| file.class));
    if let [only] = &classes[..] {
        let reason = format!(
            "all images are in one class folder, {only:?}, and at least 2 classes are needed: put the \
             images of each class into a folder of its own, or give their classes by a labels file \
             (--labels) with the columns path and label"
        );
        return Err(DataError::format(&config.path, reason));
    }
    super::check_classes(classes, given, &config.path)?;
    let mut reader = Reader { resize: config.resize, stop, broken: Vec::new(), transparent: 0 };
    let train = reader.measure(std::mem::take(&mut listing.train))?;
    let val = listing.val.take().map(|files| reader.measure(files)).transpose()?;
    let test = listing.test.take().map(|files| reader.measure(files)).transpose()?;
    let all = || train.iter().chain(val.iter().flatten()).chain(test.iter().flatten());
    let Some((shape, resized)) = common_shape(all(), config.resize) else {
        return Err(DataError::Broken { broken: reader.broken });
    };
    reader.resize = reader.resize.or(resized.is_some().then_some([shape.height, shape.width]));
    let num_images = all().count() + reader.broken.len();
    let total = all().count().checked_mul(shape.len());
    let fits = total.is_some_and(|total| total.div_ceil(1 << 20) <= config.memory_mib);
    let skips = config.broken != BrokenImages::Error;
    let mut part = |files| match (fits, skips) {
        (true, _) => reader.decoded(files, shape),
        (false, true) => reader.sound(files, shape).map(|files| kept(files, shape)),
        (false, false) => Ok(kept(files, shape)),
    };
    let train = part(train)?;
    let (val, test) = (val.map(&mut part).transpose()?, test.map(&mut part).transpose()?);
    let Reader { broken, transparent, .. } = reader;
    if !config.broken.allows(broken.len(), num_images) {
        return Err(match config.broken {
            BrokenImages::Few => DataError::ManyBroken { broken, num_images },
            BrokenImages::Error | BrokenImages::Skip => DataError::Broken { broken },
        });
    }
    let given = [Some(&train), val.as_ref(), test.as_ref()];
    // Else the class or the part would be called empty, and its files would not be named.
    let has_all = (0..listing.classes.len() as u32).all(|class| train.given.contains(&class));
    let has_empty_part = given.iter().flatten().any(|part| part.given.is_empty());
    if !broken.is_empty() && (!has_all || has_empty_part) {
        return Err(DataError::Broken { broken });
    }
    let read = listing.read_parts(given.map(|part| part.map(|part| &part.given[..])));
    let Listing { classes, mut account, notes, .. } = listing;
    let mut set = DataSet { val, ..DataSet::of(name, classes, train, test) };
    (account.read, account.transparent) = (read, transparent);
    set.notes.extend(account.warnings().into_iter().map(|line| format!("data.path: {line}")));
    set.notes.extend(notes.into_iter().map(|note| format!("data.path: {note}")));
    set.notes.extend(resized);
    if !broken.is_empty() {
        let root = Path::new(&config.path);
        set.skipped = broken.iter().map(|(path, _)| relative(root, path)).collect();
        set.notes.push(left_out(&set.skipped));
        for ((path, _), name) in broken.iter().zip(&set.skipped) {
            account.leave_out(Rule::Broken, name, &ending(path));
        }
    }
    set.account = account;
    Ok(set)
}

/// Reads files and notes what is wrong with them.
struct Reader<'a> {
    resize: Option<[usize; 2]>,
    stop: &'a AtomicBool,
    broken: Broken,
    /// Images that were decoded and are partly transparent.
    transparent: usize,
}

impl Reader<'_> {
    /// `read` of each item in order; items whose file is broken are left out and noted.
    ///
    /// # Errors
    /// If the work was stopped.
    fn each<I: Send, T: Send>(
        &mut self,
        items: impl IndexedParallelIterator<Item = I>,
        read: impl Fn(I) -> Result<T, (PathBuf, String)> + Sync,
    ) -> Result<Vec<T>> {
        let stop = self.stop;
        let read = |item| if stop::check(stop).is_ok() { Some(read(item)) } else { None };
        let results: Vec<_> = items.map(read).collect();
        stop::check(stop)?;
        let keep = |result: Result<T, _>| result.map_err(|bad| self.broken.push(bad)).ok();
        Ok(results.into_iter().flatten().filter_map(keep).collect())
    }

    /// Reads the headers.
    fn measure(&mut self, files: Vec<ImageFile>) -> Result<Vec<(ImageFile, Shape)>> {
        self.each(files.into_par_iter(), |file| match decode::dimensions(&file.path) {
            Ok(shape) => Ok((file, shape)),
            Err(reason) => Err((file.path, reason)),
        })
    }

    /// Decodes every file. Files that do not decode keep their row in the pixels (as zeros) but are
    /// no samples of the part.
    fn decoded(&mut self, files: Vec<(ImageFile, Shape)>, shape: Shape) -> Result<Part> {
        let mut pixels = vec![0; files.len() * shape.len()];
        let resize = self.resize;
        let items = pixels.par_chunks_mut(shape.len()).zip(&files).enumerate();
        let samples = self.each(items, |(row, (slot, (file, _)))| {
            let image = decode::image_file(&file.path, Some(shape.channels), resize);
            let image = image.map_err(|reason| (file.path.clone(), reason))?;
            if image.shape != shape {
                return Err((file.path.clone(), "the file changed while it was read".into()));
            }
            slot.copy_from_slice(&image.pixels);
            Ok((row as u32, file.class, image.is_transparent))
        })?;
        self.transparent += samples.iter().filter(|sample| sample.2).count();
        let rows = samples.iter().map(|sample| sample.0).collect();
        let given = samples.iter().map(|sample| sample.1).collect();
        let names = Arc::new(files.into_iter().map(|(file, _)| file.name).collect());
        let pixels = Arc::new(Pixels::Decoded(pixels));
        Ok(Part { pixels, shape, rows, names, given, weights: None })
    }

    /// The files that decode. Left out later they would be missing from batches, so where broken
    /// files are skipped each one is decoded once before training.
    fn sound(
        &mut self,
        files: Vec<(ImageFile, Shape)>,
        shape: Shape,
    ) -> Result<Vec<(ImageFile, Shape)>> {
        let tried = self.each(files.into_par_iter(), |entry| {
            let path = &entry.0.path;
            // At its own size: to bring small images to a backbone's takes longer than to decode them.
            match decode::image_file(path, Some(shape.channels), None) {
                Ok(image) => Ok((entry, image.is_transparent)),
                Err(reason) => Err((path.clone(), reason)),
            }
        })?;
        self.transparent += tried.iter().filter(|(_, is_transparent)| *is_transparent).count();
        Ok(tried.into_iter().map(|(entry, _)| entry).collect())
    }
}

/// Larger sides than this are trained on only where `data.resize` names them: a network for small
/// images takes gigabytes and minutes for photographs, and nobody asked for that.
const MAX_UNASKED: usize = 64;

/// The shape that all images get, with a note where nobody asked for it; `None` if there is no image.
fn common_shape<'a>(
    files: impl Iterator<Item = &'a (ImageFile, Shape)>,
    resize: Option<[usize; 2]>,
) -> Option<(Shape, Option<String>)> {
    let mut channels = 1;
    // The number of files of each size.
    let mut sizes: BTreeMap<[usize; 2], usize> = BTreeMap::new();
    for (_, shape) in files {
        channels = channels.max(shape.channels);
        *sizes.entry([shape.height, shape.width]).or_insert(0) += 1;
    }
    let (&[first_height, first_width], _) = sizes.first_key_value()?;
    let as_asked = match resize {
        Some(size) => Some(size),
        None => {
            let is_small = first_height.max(first_width) <= MAX_UNASKED;
            (sizes.len() == 1 && is_small).then_some([first_height, first_width])
        }
    };
    if let Some([height, width]) = as_asked {
        return Some((Shape { channels, height, width }, None));
    }
    let found = match sizes.len() {
        1 => format!("all images have {first_height}×{first_width} pixels"),
        num => format!("the images have {num} different sizes"),
    };
    let side = median_side(&sizes).min(MAX_UNASKED);
    let note = format!(
        "data.resize: {found}; they are brought to {side}×{side} (--size changes that). A \
         pretrained backbone (--backbone) uses more detail, and is the better choice for photographs"
    );
    let (height, width) = (side, side);
    Some((Shape { channels, height, width }, Some(note)))
}

/// The median side of squares of the images' areas, at least 8.
fn median_side(sizes: &BTreeMap<[usize; 2], usize>) -> usize {
    let side = |[height, width]: [usize; 2]| height.saturating_mul(width).isqrt();
    let mut sides: Vec<usize> =
        sizes.iter().flat_map(|(&size, &count)| std::iter::repeat_n(side(size), count)).collect();
    sides.sort_unstable();
    sides[sides.len() / 2].max(8)
}

/// The images that could not be read, by name, the first of them if they are many.
fn left_out(names: &[String]) -> String {
    const SHOWN: usize = 5;
    let mut shown = names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN {
        shown.push_str(&format!(" and {} more", names.len() - SHOWN));
    }
    let images = if names.len() == 1 { "image" } else { "images" };
    format!("data.broken: {} {images} cannot be read, left out: {shown}", names.len())
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
    fn photographs_are_not_trained_on_at_full_size_unasked() {
        let shape_of = |sizes: &[[usize; 2]], resize| {
            let file = |&[height, width]: &[usize; 2]| {
                let file = ImageFile { path: "a".into(), name: "a".into(), class: 0 };
                (file, Shape { channels: 3, height, width })
            };
            let files: Vec<_> = sizes.iter().map(file).collect();
            let (shape, note) = common_shape(files.iter(), resize).unwrap();
            ([shape.height, shape.width], note.unwrap_or_default())
        };
        let (shape, note) = shape_of(&[[600, 800], [600, 800]], None);
        assert_eq!(shape, [64, 64]);
        assert!(note.contains("all images have 600×800") && note.contains("to 64×64"), "{note}");
        // Icons among photographs do not make the photographs small.
        let (shape, note) = shape_of(&[[32, 32], [32, 32], [600, 70], [70, 80], [90, 80]], None);
        assert_eq!(shape, [64, 64]);
        assert!(note.contains("4 different sizes"), "{note}");
        assert_eq!(shape_of(&[[20, 30], [24, 24], [90, 28]], None).0, [24, 24]);
        assert_eq!(shape_of(&[[2, 600]], None).0, [34, 34], "thin ones keep their area");
        assert_eq!(shape_of(&[[1, 1], [1, 1], [50, 40]], None).0, [8, 8]);
        assert_eq!(shape_of(&[[600, 800]], Some([600, 800])), ([600, 800], String::new()));
        assert_eq!(shape_of(&[[64, 48]], None), ([64, 48], String::new()));
        assert!(common_shape([].iter(), None).is_none());
    }

    #[test]
    fn mixed_sizes_become_one() {
        let folder = folder();
        grey(&folder.path().join("train/b/3.png"), 5, 50);
        let set = open(&config(&folder)).unwrap();
        assert_eq!(set.train.shape, Shape { channels: 1, height: 8, width: 8 });
        assert!(set.notes.iter().any(|note| note.contains("brought to 8×8")), "{:?}", set.notes);
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
        let DataError::ManyBroken { broken, num_images: 6 } = &error else { panic!("{error}") };
        assert_eq!(broken.len(), 2, "{error}");
        for memory_mib in [0, 4096] {
            let skip = DataConfig { broken: BrokenImages::Skip, memory_mib, ..config(&folder) };
            let set = open(&skip).unwrap();
            assert_eq!(set.train.given, [0, 0, 1, 1]);
            assert_eq!(set.train.name(3), "train/b/2.png");
        }
    }

    #[test]
    fn a_few_broken_images_are_left_out_and_named() {
        let folder = folder();
        for image in 3..7 {
            for class in ["a", "b"] {
                grey(&folder.path().join(format!("train/{class}/{image}.png")), 3, 7);
            }
        }
        fs::write(folder.path().join("train/a/cut.png"), "").unwrap();
        for memory_mib in [0, 4096] {
            let set = open(&DataConfig { memory_mib, ..config(&folder) }).unwrap();
            assert_eq!(set.train.len(), 12);
            let note = "data.broken: 1 image cannot be read, left out: train/a/cut.png";
            assert!(set.notes.iter().any(|said| said == note), "{:?}", set.notes);
        }
        fs::write(folder.path().join("train/b/cut.png"), "").unwrap();
        let error = open(&config(&folder)).unwrap_err().to_string();
        assert!(error.contains("2 of 14 images") && error.contains("one in 10"), "{error}");
        // A class that is broken as a whole is not merely empty.
        fs::create_dir_all(folder.path().join("train/c")).unwrap();
        fs::rename(folder.path().join("train/a/cut.png"), folder.path().join("train/c/cut.png"))
            .unwrap();
        fs::remove_file(folder.path().join("train/b/cut.png")).unwrap();
        let error = open(&config(&folder)).unwrap_err().to_string();
        assert!(error.contains("train/c/cut.png"), "{error}");
        fs::rename(folder.path().join("train/c/cut.png"), folder.path().join("train/a/cut.png"))
            .unwrap();
        fs::remove_dir(folder.path().join("train/c")).unwrap();
        let strict = DataConfig { broken: BrokenImages::Error, ..config(&folder) };
        assert!(open(&strict).is_err());
    }

    #[test]
    fn a_class_without_images_is_named() {
        let folder = folder();
        fs::create_dir(folder.path().join("train/empty")).unwrap();
        let error = open(&config(&folder)).unwrap_err().to_string();
        assert!(error.contains("no training sample: empty"), "{error}");
    }
}
