//! Image folders: which files there are, and of which class and part.
//!
//! `train/<class>/…` with optional `val/<class>/…` and `test/<class>/…`, by any of the names that
//! `parts.rs` knows; or, without parts, `<class>/…` directly, and everything is the training part.
//! Images are files with an ending that `walk.rs` knows, in either case, at any depth below their
//! class folder. Every other entry is left out by a [`Rule`] and counted. Links to files, part
//! folders and class folders are followed, links to folders below a class are not, so nothing can
//! loop.
//!
//! Classes are the folders of the training part, in the one order of `classes.rs`; the other parts
//! may lack some of them but not have more. Samples are sorted by class, then by path. Their names
//! are paths relative to the data folder, with `/`: `train/cat/0001.jpg`.
//!
//! Images that lie flat in the training part have no class; with a labels file they are a data set,
//! see `flat.rs`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::account::{Account, ReadPart, Rule};
use super::classes::{class_order, order_note, twin_notes};
use super::names::{Finder, same_to_the_eye};
use super::parts;
use super::read::file_name;
use super::walk::{Met, Walk, holds_image, relative};
use crate::config::DataConfig;
use crate::nearest;
use crate::shown::shown;
use crate::{DataError, Result};

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
    /// Class names; none while the images lie flat and no labels file has been asked.
    pub(crate) classes: Vec<String>,
    pub(crate) train: Vec<ImageFile>,
    pub(crate) val: Option<Vec<ImageFile>>,
    pub(crate) test: Option<Vec<ImageFile>>,
    /// What was left out. What was read is entered once it is known which images decode.
    pub(crate) account: Account,
    /// What a reader of the results should know, beside the account.
    pub(crate) notes: Vec<String>,
    /// Folders of the parts train, val and test, relative to the data folder.
    folders: [String; 3],
}

impl Listing {
    /// What was read as the parts train, val and test, by the class of each sample.
    pub(crate) fn read_parts(&self, given: [Option<&[u32]>; 3]) -> Vec<ReadPart> {
        let names = ["train", "val", "test"].into_iter().zip(&self.folders);
        let counted = names.zip(given).filter_map(|((part, folder), given)| {
            let mut images = vec![0; self.classes.len()];
            given?.iter().for_each(|&class| images[class as usize] += 1);
            Some(ReadPart { part: part.into(), folder: folder.clone(), images })
        });
        counted.collect()
    }
}

/// Whether an image lies somewhere below `folder`, or a folder of a training part.
pub(super) fn is_here(folder: &Path) -> Result<bool> {
    Ok(folder.join("train").is_dir() || holds_image(folder)?)
}

/// Lists the image files of the folder `config.path`; `layout` matters, and whether there is a
/// labels file.
pub(crate) fn list(config: &DataConfig) -> Result<Listing> {
    let root = Path::new(&config.path);
    let mut walk = Walk::new(root);
    let parts = parts::find(&mut walk, root, config.layout)?;
    let part = PartFolder::list(&mut walk, &parts.train)?;
    let folder = |path: &Option<PathBuf>| {
        path.as_ref().map_or_else(String::new, |path| relative(root, path))
    };
    let mut listing = Listing {
        classes: Vec::new(),
        train: Vec::new(),
        val: None,
        test: None,
        account: Account::default(),
        notes: Vec::new(),
        folders: [relative(root, &parts.train), folder(&parts.val), folder(&parts.test)],
    };
    if part.is_flat(config.labels.is_some()) {
        if config.labels.is_none() {
            return Err(no_class_folder(&parts.train));
        }
        listing.train = part.all(root)?;
        for path in [parts.val, parts.test].into_iter().flatten() {
            walk.leave_out(Rule::UnlabelledPart, &path);
        }
        listing.account = walk.account;
        return Ok(listing);
    }
    if part.classes.is_empty() {
        return Err(no_class_folder(&parts.train));
    }
    let classes = class_order(part.classes.iter().map(|class| class.name.as_str()));
    if let Some([one, other]) = same_to_the_eye(&classes) {
        let reason = format!(
            "two class folders are both called {one}, once in Unicode's composed and once in its \
             decomposed form ({} and {}); move their images into one",
            one.escape_default(),
            other.escape_default()
        );
        return Err(DataError::format(parts.train, reason));
    }
    listing.notes.extend(twin_notes(&classes));
    listing.notes.extend(order_note(&classes));
    listing.notes.extend(part.group_note());
    let finder = Finder::new(classes.iter().map(String::as_str));
    listing.train = part.by_class(root, &finder, &mut walk)?;
    let mut other = |path: Option<PathBuf>| -> Result<Option<Vec<ImageFile>>> {
        let Some(path) = path else { return Ok(None) };
        let part = PartFolder::list(&mut walk, &path)?;
        if part.is_flat(false) {
            walk.leave_out(Rule::UnlabelledPart, &path);
            return Ok(None);
        }
        part.by_class(root, &finder, &mut walk).map(Some)
    };
    (listing.val, listing.test) = (other(parts.val)?, other(parts.test)?);
    listing.account = walk.account;
    listing.classes = classes;
    Ok(listing)
}

/// What is in the folder of a part.
struct PartFolder {
    classes: Vec<ClassFolder>,
    /// Images beside the class folders.
    loose: Vec<PathBuf>,
}

struct ClassFolder {
    path: PathBuf,
    name: String,
    images: Vec<PathBuf>,
}

impl PartFolder {
    fn list(walk: &mut Walk<'_>, folder: &Path) -> Result<Self> {
        let (mut classes, mut loose) = (Vec::new(), Vec::new());
        for met in walk.entries(folder)? {
            let path = match met {
                Met::Folder(path) => path,
                Met::Image(path) => {
                    loose.push(path);
                    continue;
                }
            };
            let before = walk.account.clone();
            let mut images = Vec::new();
            walk.images_below(&path, &mut images)?;
            // A folder of scripts or notes is no class; one that is empty, or whose images are not
            // read, is one that lacks its images.
            let found = |rule| walk.account.num_left_out(rule) > before.num_left_out(rule);
            let is_other = found(Rule::OtherFile)
                && walk.account.num_images_left_out() == before.num_images_left_out();
            if images.is_empty() && is_other {
                walk.account = before;
                walk.leave_out(Rule::NoImages, &path);
                continue;
            }
            let name = file_name(&path)?.to_string();
            classes.push(ClassFolder { path, name, images });
        }
        Ok(Self { classes, loose })
    }

    /// Whether the images lie beside each other and not in class folders. With a labels file one
    /// folder around them does not count.
    fn is_flat(&self, has_labels: bool) -> bool {
        match self.classes.iter().filter(|class| !class.images.is_empty()).count() {
            0 => !self.loose.is_empty(),
            1 => has_labels,
            _ => false,
        }
    }

    /// What is to be said where a class folder looks like a group of classes: it has no image itself,
    /// but several folders with some.
    fn group_note(&self) -> Option<String> {
        let folders_of = |class: &ClassFolder| -> BTreeSet<PathBuf> {
            let below =
                class.images.iter().filter_map(|image| image.strip_prefix(&class.path).ok());
            below.filter_map(|image| image.parent()?.iter().next().map(PathBuf::from)).collect()
        };
        let is_direct = |class: &ClassFolder| {
            class.images.iter().any(|image| image.parent() == Some(&class.path))
        };
        let groups = self.classes.iter().filter(|class| !is_direct(class));
        let (class, folders) = groups
            .map(|class| (class, folders_of(class)))
            .find(|(_, folders)| folders.len() > 1)?;
        let names: Vec<_> = folders
            .iter()
            .take(3)
            .map(|folder| shown(&folder.to_string_lossy()).into_owned())
            .collect();
        let more = if folders.len() > names.len() { ", …" } else { "" };
        Some(format!(
            "folders within a class folder are no classes: all images in {} ({}{more}) are of \
             class {:?}; if they are classes, move them to where the class folders are",
            shown(&class.name),
            names.join(", "),
            class.name
        ))
    }

    /// All images, sorted by path, as of one class.
    fn all(self, root: &Path) -> Result<Vec<ImageFile>> {
        let mut paths = self.loose;
        paths.extend(self.classes.into_iter().flat_map(|class| class.images));
        paths.sort();
        let file =
            |path: PathBuf| Ok(ImageFile { name: sample_name(root, &path)?, path, class: 0 });
        paths.into_iter().map(file).collect()
    }

    /// The images of the class folders, sorted by class, then by path; what is loose is left out.
    fn by_class(
        self,
        root: &Path,
        ids: &Finder<'_>,
        walk: &mut Walk<'_>,
    ) -> Result<Vec<ImageFile>> {
        self.loose.iter().for_each(|path| walk.leave_out(Rule::BesideClasses, path));
        let mut files = Vec::new();
        for ClassFolder { path, name, images } in self.classes {
            let class = ids.find(&name).ok_or_else(|| {
                let hint = nearest(&name, ids.names())
                    .map(|name| format!("; did you mean {name:?}?"))
                    .unwrap_or_default();
                let reason = format!("class {name:?} is not in the training part{hint}");
                DataError::format(path, reason)
            })?;
            for path in images {
                files.push(ImageFile { name: sample_name(root, &path)?, path, class });
            }
        }
        files.sort_by_key(|file| file.class);
        Ok(files)
    }
}

fn no_class_folder(part: &Path) -> DataError {
    let reason = "there is no class folder in it: put the images into a folder for each class, or \
                  give their classes by a labels file (data.labels) with the columns path and \
                  label; if this folder is a class itself, set data.layout = \"classes\"";
    DataError::format(part, reason)
}

fn sample_name(root: &Path, path: &Path) -> Result<String> {
    let relative = path.strip_prefix(root).expect("the walk started at the root");
    let parts: Option<Vec<&str>> = relative.iter().map(|part| part.to_str()).collect();
    parts
        .map(|parts| parts.join("/"))
        .ok_or_else(|| DataError::format(path, "the file name is not valid UTF-8; rename it"))
}

#[cfg(test)]
mod tests;
