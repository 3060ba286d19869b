//! Image folders: which files there are, and of which class and part.
//!
//! `train/<class>/…` with optional `val/<class>/…` and `test/<class>/…`; or, without any of these
//! three, `<class>/…` directly, and everything is the training part. Images are files ending in
//! `.jpg`, `.jpeg`, `.png`, `.webp` or `.bmp` in either case, at any depth (up to [`MAX_DEPTH`])
//! below their class folder; other files and hidden ones are skipped. Links to files, part folders
//! and class folders are followed, links to folders below a class are not, so nothing can loop.
//!
//! Classes are the folders of the training part, sorted by the bytes of their names; the other
//! parts may lack some of them but not have more. Samples are sorted by class, then by path. Their
//! names are paths relative to the data folder, with `/`: `train/cat/0001.jpg`.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::path::{Path, PathBuf};

use super::read::{entries, file_name};
use crate::nearest;
use crate::{DataError, Result};

/// Deepest level of folders below a class folder.
const MAX_DEPTH: usize = 8;
const ENDINGS: [&str; 5] = ["jpg", "jpeg", "png", "webp", "bmp"];
/// Endings of images that are not read, and are named so that nobody misses them.
const OTHER_IMAGES: [&str; 12] =
    ["gif", "tif", "tiff", "heic", "heif", "avif", "jp2", "jfif", "jxl", "ppm", "svg", "tga"];

/// One image file.
#[derive(Debug, Clone)]
pub(crate) struct ImageFile {
    pub(crate) path: PathBuf,
    pub(crate) name: String,
    pub(crate) class: u32,
}

/// All image files of a folder; a class may still be empty.
#[derive(Debug)]
pub(crate) struct Listing {
    pub(crate) classes: Vec<String>,
    pub(crate) train: Vec<ImageFile>,
    pub(crate) val: Option<Vec<ImageFile>>,
    pub(crate) test: Option<Vec<ImageFile>>,
    /// Number of images in formats that are not read, by ending.
    pub(crate) unread: BTreeMap<String, usize>,
}

impl Listing {
    /// What to say of images that are not read.
    pub(crate) fn note(&self) -> Option<String> {
        let parts: Vec<String> =
            self.unread.iter().map(|(ending, num)| format!("{num} .{ending}")).collect();
        (!parts.is_empty()).then(|| {
            format!(
                "data.path: images in formats that are not read were left out: {}; convert them to \
                 {}",
                parts.join(", "),
                ENDINGS.join(", ")
            )
        })
    }
}

/// Whether `folder` has a `train` folder, or a folder with an image somewhere below it.
pub(super) fn is_here(folder: &Path) -> Result<bool> {
    if folder.join("train").is_dir() {
        return Ok(true);
    }
    for class in class_folders(folder)? {
        let mut files = Vec::new();
        images_below(&class, &mut files)?;
        if !files.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Lists the image files of `folder`.
pub(crate) fn list(folder: &Path) -> Result<Listing> {
    let part = |name: &str| Some(folder.join(name)).filter(|path| path.is_dir());
    let (train_folder, val, test) = match (part("train"), part("val"), part("test")) {
        (Some(train), val, test) => (train, val, test),
        (None, None, None) => (folder.to_path_buf(), None, None),
        (None, ..) => {
            let reason = "there is val/ or test/ but no train/ beside it";
            return Err(DataError::format(folder, reason));
        }
    };
    let class_paths = class_folders(&train_folder)?;
    if class_paths.is_empty() {
        let reason = "there is no class folder in it: images belong into train/<class>/";
        return Err(DataError::format(train_folder, reason));
    }
    let classes: Vec<String> =
        class_paths.iter().map(|path| file_name(path).map(String::from)).collect::<Result<_>>()?;
    let ids: BTreeMap<&str, u32> = classes.iter().map(String::as_str).zip(0..).collect();
    let mut unread = BTreeMap::new();
    let train = files(folder, &train_folder, &ids, &mut unread)?;
    let mut other = |path: Option<PathBuf>| {
        path.map(|path| files(folder, &path, &ids, &mut unread)).transpose()
    };
    let (val, test) = (other(val)?, other(test)?);
    Ok(Listing { train, val, test, classes, unread })
}

/// The image files below the class folders of `part`.
fn files(
    root: &Path,
    part: &Path,
    ids: &BTreeMap<&str, u32>,
    unread: &mut BTreeMap<String, usize>,
) -> Result<Vec<ImageFile>> {
    let mut files = Vec::new();
    for class_path in class_folders(part)? {
        let class_name = file_name(&class_path)?;
        let class = *ids.get(class_name).ok_or_else(|| {
            let hint = nearest(class_name, ids.keys().copied())
                .map(|name| format!("; did you mean {name:?}?"))
                .unwrap_or_default();
            let reason = format!("class {class_name:?} is not in the training part{hint}");
            DataError::format(&class_path, reason)
        })?;
        let mut paths = Vec::new();
        collect(&class_path, 0, &mut paths, unread)?;
        for path in paths {
            files.push(ImageFile { name: relative_name(root, &path)?, path, class });
        }
    }
    Ok(files)
}

/// Folders directly in `folder`, links to folders included.
fn class_folders(folder: &Path) -> Result<Vec<PathBuf>> {
    Ok(entries(folder)?.into_iter().filter(|path| path.is_dir()).collect())
}

/// Adds the image files at any depth below `folder`, sorted by path.
pub(super) fn images_below(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    collect(folder, 0, files, &mut BTreeMap::new())
}

fn collect(
    folder: &Path,
    depth: usize,
    files: &mut Vec<PathBuf>,
    unread: &mut BTreeMap<String, usize>,
) -> Result<()> {
    for path in entries(folder)? {
        // A link that leads nowhere has no metadata; it stays, to be named as broken.
        let metadata = path.metadata().ok();
        if metadata.as_ref().is_some_and(Metadata::is_dir) {
            if path.is_symlink() {
                continue;
            }
            if depth == MAX_DEPTH {
                let reason = format!("more than {MAX_DEPTH} folders below a class folder");
                return Err(DataError::format(path, reason));
            }
            collect(&path, depth + 1, files, unread)?;
        } else if metadata.is_none_or(|metadata| metadata.is_file()) {
            let ending = ending(&path);
            if ENDINGS.contains(&ending.as_str()) {
                files.push(path);
            } else if OTHER_IMAGES.contains(&ending.as_str()) {
                *unread.entry(ending).or_default() += 1;
            }
        }
    }
    Ok(())
}

/// What follows the last point of the name, in small letters.
fn ending(path: &Path) -> String {
    path.extension().and_then(|ending| ending.to_str()).unwrap_or("").to_ascii_lowercase()
}

fn relative_name(root: &Path, path: &Path) -> Result<String> {
    let relative = path.strip_prefix(root).expect("the walk started at the root");
    let parts: Option<Vec<&str>> = relative.iter().map(|part| part.to_str()).collect();
    parts
        .map(|parts| parts.join("/"))
        .ok_or_else(|| DataError::format(path, "the file name is not valid UTF-8; rename it"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn tree(paths: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for path in paths {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, b"x").unwrap();
        }
        folder
    }

    fn names(files: &[ImageFile]) -> Vec<&str> {
        files.iter().map(|file| file.name.as_str()).collect()
    }

    #[test]
    fn parts_classes_and_order() {
        let folder = tree(&[
            "train/dog/b.JPG",
            "train/dog/a.png",
            "train/cat/deep/c.webp",
            "train/cat/notes.txt",
            "train/cat/.hidden.jpg",
            "test/dog/d.bmp",
            "README.md",
        ]);
        let listing = list(folder.path()).unwrap();
        assert_eq!(listing.classes, ["cat", "dog"]);
        let expected = ["train/cat/deep/c.webp", "train/dog/a.png", "train/dog/b.JPG"];
        assert_eq!(names(&listing.train), expected);
        assert_eq!(listing.train[1].class, 1);
        assert_eq!(names(listing.test.as_ref().unwrap()), ["test/dog/d.bmp"]);
        assert!(listing.val.is_none());
        assert_eq!(listing.note(), None);
    }

    #[test]
    fn images_that_are_not_read_are_counted() {
        let folder = tree(&["cat/1.jpg", "cat/2.GIF", "cat/3.gif", "dog/4.heic", "dog/notes.txt"]);
        let note = list(folder.path()).unwrap().note().unwrap();
        assert!(note.contains("left out: 2 .gif, 1 .heic; convert them to jpg"), "{note}");
    }

    #[test]
    fn without_train_the_children_are_the_classes() {
        let folder = tree(&["cat/1.jpg", "dog/2.jpg"]);
        assert!(is_here(folder.path()).unwrap());
        assert_eq!(names(&list(folder.path()).unwrap().train), ["cat/1.jpg", "dog/2.jpg"]);
        assert!(!is_here(tree(&["docs/readme.txt"]).path()).unwrap());
    }

    #[test]
    fn mistakes_are_named() {
        let error = |paths: &[&str]| list(tree(paths).path()).unwrap_err().to_string();
        assert!(error(&["train/1.jpg"]).contains("no class folder"));
        assert!(error(&["test/cat/1.jpg", "cat/1.jpg"]).contains("no train/"));
        let extra = error(&["train/cat/1.jpg", "test/catt/1.jpg"]);
        assert!(extra.contains("\"catt\" is not in the training part; did you mean \"cat\"?"));
    }

    #[cfg(unix)]
    #[test]
    fn links_to_files_count_and_loops_do_not_hang() {
        let folder = tree(&["train/cat/1.jpg", "train/dog/2.jpg"]);
        let cat = folder.path().join("train/cat");
        std::os::unix::fs::symlink(cat.join("1.jpg"), cat.join("link.jpg")).unwrap();
        std::os::unix::fs::symlink(&cat, cat.join("loop")).unwrap();
        let listing = list(folder.path()).unwrap();
        let expected = ["train/cat/1.jpg", "train/cat/link.jpg", "train/dog/2.jpg"];
        assert_eq!(names(&listing.train), expected);
    }
}
