//! Images without labels, for a trained model: files, and folders that are searched.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rayon::prelude::*;

use super::account::{Account, ReadPart, Rule};
use super::read;
use super::walk::{ENDINGS, Walk, ending};
use crate::dataset::{Part, Pixels, Shape};
use crate::{DataError, Result, decode, stop};

/// More bytes of pixels than this are not kept but decoded again as they are needed.
const KEPT_BYTES: usize = 1 << 30;

/// Images that do not decode: path and reason.
pub type BrokenFiles = Vec<(PathBuf, String)>;

/// Images without labels, and what else was met.
#[derive(Debug, Clone)]
pub struct LooseImages {
    /// The images, in the order of the inputs. Labels are 0 and mean nothing; names are the paths.
    pub part: Part,
    /// Images that were left out because they do not decode; these are in `account` too.
    pub broken: BrokenFiles,
    /// What was read and what was left out of the folders.
    pub account: Account,
}

/// Decodes image files, whatever their ending, and those at any depth below folders (sorted by
/// path) that have the ending of one; resized to `shape` where they differ.
///
/// # Errors
/// A path that is not there or no file, a folder without images, no image left;
/// [`DataError::Broken`] unless `skip_broken`; [`DataError::Stopped`] once `stop` is set.
pub fn loose_images(
    inputs: &[PathBuf],
    shape: Shape,
    skip_broken: bool,
    stop: &AtomicBool,
) -> Result<LooseImages> {
    let is_image = shape.height > 1 && matches!(shape.channels, 1 | 3);
    if !is_image {
        let reason = "this model was trained on feature vectors, not on images";
        return Err(DataError::format(&inputs[0], reason));
    }
    let mut files = Vec::new();
    let mut walk = Walk::new(Path::new(""));
    for input in inputs {
        if input.is_dir() {
            let before = files.len();
            walk.images_below(input, &mut files)?;
            if files.len() == before {
                let mut reason = format!("no {} file is in this folder", ENDINGS.join(", "));
                for line in walk.account.warnings() {
                    reason.push_str(&format!("; {line}"));
                }
                return Err(DataError::format(input, reason));
            }
        } else if !input.exists() {
            return Err(DataError::format(input, missing(input)));
        } else {
            files.push(input.clone());
        }
    }
    // Each file is decoded once to see whether it can be; few enough are kept as they are.
    let keep = files.len().saturating_mul(shape.len()) <= KEPT_BYTES;
    let size = [shape.height, shape.width];
    let decode = |file: &PathBuf| {
        stop::check(stop).ok()?;
        let image = decode::image_file(file, Some(shape.channels), Some(size));
        Some(
            image.map(|image| (if keep { image.pixels } else { Vec::new() }, image.is_transparent)),
        )
    };
    let decoded: Vec<_> = files.par_iter().map(decode).collect();
    stop::check(stop)?;
    let mut account = walk.account;
    let (mut pixels, mut good, mut broken) = (Vec::new(), Vec::new(), Vec::new());
    for (file, decoded) in files.into_iter().zip(decoded.into_iter().flatten()) {
        match decoded {
            Ok((image, is_transparent)) => {
                pixels.extend(image);
                account.transparent += usize::from(is_transparent);
                good.push(file);
            }
            Err(reason) => broken.push((file, reason)),
        }
    }
    let names: Vec<String> = good.iter().map(|file| file.display().to_string()).collect();
    if names.is_empty() || !(skip_broken || broken.is_empty()) {
        return Err(DataError::Broken { broken });
    }
    for (path, _) in &broken {
        account.leave_out(Rule::Broken, &path.display().to_string(), &ending(path));
    }
    let (part, folder) = ("images".into(), String::new());
    account.read = vec![ReadPart { part, folder, images: vec![names.len()] }];
    let part = Part {
        pixels: Arc::new(if keep { Pixels::Decoded(pixels) } else { Pixels::Files(good) }),
        shape,
        rows: (0..names.len() as u32).collect(),
        given: vec![0; names.len()],
        names: Arc::new(names),
        weights: None,
    };
    Ok(LooseImages { part, broken, account })
}

fn missing(input: &Path) -> String {
    match read::nearest_sibling(input) {
        Some(near) => format!("there is no such file or folder; did you mean {near:?}?"),
        None => "there is no such file or folder".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape { channels: 3, height: 4, width: 4 };

    fn write_png(path: &Path) {
        image::RgbImage::from_pixel(6, 6, image::Rgb([10, 20, 30])).save(path).unwrap();
    }

    fn images_at(
        inputs: &[PathBuf],
        shape: Shape,
        skip_broken: bool,
    ) -> Result<(Part, BrokenFiles)> {
        let LooseImages { part, broken, .. } =
            loose_images(inputs, shape, skip_broken, &stop::NEVER)?;
        Ok((part, broken))
    }

    #[test]
    fn files_and_folders_are_resized_and_broken_ones_named() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("a/b");
        std::fs::create_dir_all(&inner).unwrap();
        write_png(&inner.join("good.png"));
        let bad = folder.path().join("bad.jpg");
        std::fs::write(&bad, "no image").unwrap();
        let all = [folder.path().to_path_buf()];
        let (part, broken) = images_at(&all, SHAPE, true).unwrap();
        assert_eq!((part.len(), broken.len()), (1, 1));
        assert!(part.name(0).ends_with("good.png"));
        let Pixels::Decoded(pixels) = &*part.pixels else { panic!("decoded") };
        assert_eq!(pixels.len(), SHAPE.len());
        let error = images_at(&all, SHAPE, false).unwrap_err().to_string();
        assert!(error.contains("bad.jpg"), "{error}");
    }

    #[test]
    fn what_is_not_there_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        for skip_broken in [false, true] {
            let missing = [folder.path().join("no.png")];
            let error = images_at(&missing, SHAPE, skip_broken).unwrap_err().to_string();
            assert!(error.ends_with("no.png: there is no such file or folder"), "{error}");
        }
        let error = images_at(&[folder.path().to_path_buf()], SHAPE, false).unwrap_err();
        assert!(error.to_string().contains("no jpg"));
    }
}
