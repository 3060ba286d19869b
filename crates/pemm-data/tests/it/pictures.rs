//! Folders of small pictures, made by a list of their paths.

use std::fs;
use std::io::Cursor;
use std::path::Path;

use image::{ImageFormat, Rgb, RgbImage};
use pemm_data::config::DataConfig;
use tempfile::TempDir;

/// An 8×8 picture of one colour with some texture.
pub(crate) fn picture(seed: usize) -> RgbImage {
    let value = |x: u32, y: u32| ((seed * 89) as u32 + x * 13 + y * 29) as u8;
    RgbImage::from_fn(8, 8, |x, y| Rgb([value(x, y), value(y, x), seed as u8]))
}

/// A folder with a picture at each of `paths`, all as PNG by content; a path that ends in `/` is an
/// empty folder.
pub(crate) fn folder<S: AsRef<str>>(paths: &[S]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    add(folder.path(), paths);
    folder
}

/// Adds pictures to a folder.
pub(crate) fn add<S: AsRef<str>>(folder: &Path, paths: &[S]) {
    for (seed, path) in paths.iter().enumerate() {
        let to = folder.join(path.as_ref());
        if path.as_ref().ends_with('/') {
            fs::create_dir_all(to).unwrap();
            continue;
        }
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        let mut png = Cursor::new(Vec::new());
        picture(seed).write_to(&mut png, ImageFormat::Png).unwrap();
        fs::write(to, png.into_inner()).unwrap();
    }
}

/// The settings of a data set at `folder`.
pub(crate) fn config(folder: &TempDir) -> DataConfig {
    DataConfig { path: folder.path().to_str().unwrap().into(), ..DataConfig::default() }
}
