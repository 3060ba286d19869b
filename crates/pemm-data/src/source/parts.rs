//! Which folders of a data folder are its parts, and which are its classes.
//!
//! A folder is a part if it has one of the names that people, exporters and course material use,
//! in any case and with or without `_`, `-` and blanks:
//!
//! | part | names |
//! |---|---|
//! | train | train, training; with set, data or images behind, or seg before |
//! | val | val, valid, validation, dev, eval, evaluation; the same |
//! | test | test, testing; the same |
//!
//! A zip in a zip often puts a part into itself (`seg_train/seg_train/<class>`); the inner one is
//! taken then. Where a name could be a part or a class, nothing is guessed: the error says how to
//! choose with `data.layout`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::account::Rule;
use super::read::file_name;
use super::walk::{Met, Walk, holds_image};
use crate::config::Layout;
use crate::{DataError, Result};

/// A part of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum PartKind {
    Train,
    Val,
    Test,
}

impl PartKind {
    const ALL: [Self; 3] = [Self::Train, Self::Val, Self::Test];

    /// What the name of a folder says.
    fn of(name: &str) -> Option<Self> {
        let name = plain(Path::new(name));
        let name = name.strip_prefix("seg").unwrap_or(&name);
        let ends = ["set", "data", "images"];
        let name = ends.iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
        match name {
            "train" | "training" => Some(Self::Train),
            "val" | "valid" | "validation" | "dev" | "eval" | "evaluation" => Some(Self::Val),
            "test" | "testing" => Some(Self::Test),
            _ => None,
        }
    }

    /// The same for a name with a number behind, as `test1`: likely a part, but nobody knows which.
    fn of_numbered(name: &str) -> Option<Self> {
        Self::of(name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '_' || c == '-'))
    }
}

/// The folders of the parts; without parts, the data folder is the training part.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) train: PathBuf,
    pub(super) val: Option<PathBuf>,
    pub(super) test: Option<PathBuf>,
}

/// Finds the parts of the folder at the root of `walk`.
///
/// # Errors
/// What could be parts or classes, two folders of one part, parts without a training part.
pub(super) fn find(walk: &mut Walk<'_>, root: &Path, layout: Layout) -> Result<Parts> {
    let whole = || Parts { train: root.to_path_buf(), val: None, test: None };
    if layout == Layout::Classes {
        return Ok(whole());
    }
    // What lies beside the folders is noted when the training part is listed, or below.
    let met = Walk::new(root).entries(root)?;
    let folders: Vec<&PathBuf> = met
        .iter()
        .filter_map(|met| if let Met::Folder(path) = met { Some(path) } else { None })
        .collect();
    let mut parts: Vec<(PartKind, PathBuf)> = Vec::new();
    let mut others = Vec::new();
    for path in folders {
        match PartKind::of(file_name(path).unwrap_or("")) {
            Some(part) => parts.push((part, path.clone())),
            None => others.push(path.clone()),
        }
    }
    if parts.is_empty() {
        return match layout {
            Layout::Auto => check_classes(root, &others).map(|()| whole()),
            Layout::Classes | Layout::Parts => {
                let reason = "data.layout = \"parts\", but there is no folder train/ in it";
                Err(DataError::format(root, reason))
            }
        };
    }
    let mut beside = Vec::new();
    for path in others {
        if holds_image(&path)? {
            beside.push(path);
        } else {
            walk.leave_out(Rule::OtherFile, &path);
        }
    }
    check_parts(root, &parts, &beside, layout)?;
    beside.iter().for_each(|path| walk.leave_out(Rule::BesideParts, path));
    for met in walk.entries(root)? {
        if let Met::Image(path) = met {
            walk.leave_out(Rule::BesideClasses, &path);
        }
    }
    let mut folder = |wanted| {
        let found = parts.iter().find(|(part, _)| *part == wanted);
        found.map(|(part, path)| innermost(walk, *part, path.clone())).transpose()
    };
    let [train, val, test] = PartKind::ALL.map(&mut folder);
    Ok(Parts { train: train?.expect("it was checked"), val: val?, test: test? })
}

/// Goes on into a folder that holds nothing but one of the same part.
fn innermost(walk: &mut Walk<'_>, part: PartKind, path: PathBuf) -> Result<PathBuf> {
    let met = Walk::new(&path).entries(&path)?;
    match &met[..] {
        [Met::Folder(inner)] if PartKind::of(file_name(inner).unwrap_or("")) == Some(part) => {
            // What else is there is hidden, or no image, and shall be counted too.
            walk.entries(&path)?;
            Ok(inner.clone())
        }
        _ => Ok(path),
    }
}

/// Whether folders with names of parts are surely parts, and complete.
fn check_parts(
    root: &Path,
    parts: &[(PartKind, PathBuf)],
    beside: &[PathBuf],
    layout: Layout,
) -> Result<()> {
    for wanted in PartKind::ALL {
        let same: Vec<&PathBuf> =
            parts.iter().filter(|(part, _)| *part == wanted).map(|(_, path)| path).collect();
        if same.len() > 1 {
            let what = match wanted {
                PartKind::Train => "training",
                PartKind::Val => "validation",
                PartKind::Test => "test",
            };
            let reason = format!(
                "{} could each be the {what} part; keep one of them here, or name {} apart, or, if \
                 these are classes, set data.layout = \"classes\"",
                names(same.iter().copied()),
                if same.len() == 2 { "them" } else { "all" }
            );
            return Err(DataError::format(root, reason));
        }
    }
    let part_names = names(parts.iter().map(|(_, path)| path));
    let has_train = parts.iter().any(|(part, _)| *part == PartKind::Train);
    if !has_train {
        let reason = if beside.is_empty() {
            format!("there is {part_names} but no train/ beside it; name the training part train/")
        } else {
            format!(
                "there is {part_names} but no train/ beside it, only {}: are all of these classes? \
                 Then set data.layout = \"classes\". Else put the training classes into train/",
                names(beside)
            )
        };
        return Err(DataError::format(root, reason));
    }
    let numbered = |path: &PathBuf| PartKind::of_numbered(file_name(path).unwrap_or("")).is_some();
    let could_be_classes = parts.len() == 1 && !beside.iter().all(numbered);
    if layout == Layout::Auto && could_be_classes {
        let reason = format!(
            "{part_names} is named like the training part, but images lie beside it in {}: is it a \
             class like these? Set data.layout = \"classes\" if it is; if it is the training part, \
             set data.layout = \"parts\", which leaves the others out",
            names(beside)
        );
        return Err(DataError::format(root, reason));
    }
    Ok(())
}

/// Refuses "classes" that are more likely parts.
fn check_classes(root: &Path, folders: &[PathBuf]) -> Result<()> {
    let choose = "rename them to train/, val/ and test/, or, if these are the classes, set \
                  data.layout = \"classes\"";
    let numbered = |path: &PathBuf| PartKind::of_numbered(file_name(path).unwrap_or("")).is_some();
    if folders.len() >= 2 && folders.iter().all(numbered) {
        let reason = format!("{} are named like parts, not like classes; {choose}", names(folders));
        return Err(DataError::format(root, reason));
    }
    // What lies beside the images, as the labels/ of a detector beside images/, tells nothing.
    let mut with_images = Vec::new();
    for folder in folders {
        if holds_image(folder)? {
            with_images.push(folder.clone());
        }
    }
    let folders = &with_images[..];
    if folders.len() >= 2
        && folders.iter().any(|path| is_of_masks(path))
        && folders.iter().all(|path| is_of_segmentation(path))
    {
        let reason = format!(
            "{} look like images and their masks, as for segmentation, not like classes; pemm wants a \
             folder for each class, or, if these are the classes, set data.layout = \"classes\"",
            names(folders)
        );
        return Err(DataError::format(root, reason));
    }
    let mut common: Option<BTreeSet<String>> = None;
    for folder in folders {
        let mut inner = BTreeSet::new();
        for met in Walk::new(folder).entries(folder)? {
            match met {
                Met::Image(_) => return Ok(()),
                Met::Folder(path) => {
                    inner.insert(file_name(&path).unwrap_or("").to_lowercase());
                }
            }
        }
        if common.as_ref().is_some_and(|common| *common != inner) {
            return Ok(());
        }
        common = Some(inner);
    }
    let needed = if folders.len() == 1 { 1 } else { 2 };
    let Some(common) = common.filter(|common| common.len() >= needed) else { return Ok(()) };
    let inner: Vec<&str> = common.iter().take(6).map(String::as_str).collect();
    let more = if common.len() > inner.len() { ", …" } else { "" };
    let parts = || common.iter().all(|name| PartKind::of(name).is_some());
    let reason = match folders {
        // A zip in a zip: the one folder holds what this folder should.
        [only] => format!(
            "all images are in {}, which holds {}/{more}; use data.path = {:?}, or, if {0} is a class, put \
             the others beside it",
            names(folders),
            inner.join("/, "),
            unwrapped(only)?.display().to_string()
        ),
        [first, ..] if parts() => format!(
            "{} hold {}/ each, but classes lie inside of parts: make it {}/{} and so on, or set \
             data.layout = \"classes\", which takes all images of a class for training",
            names(folders),
            inner.join("/, "),
            inner[0],
            names([first])
        ),
        _ => format!(
            "{} all hold the same folders ({}{more}), so they look like parts and not like \
             classes; {choose}",
            names(folders),
            inner.join(", ")
        ),
    };
    Err(DataError::format(root, reason))
}

/// Whether a folder is named like one of masks that say what each pixel shows.
fn is_of_masks(path: &Path) -> bool {
    let masks =
        ["mask", "masks", "groundtruth", "gt", "segmentation", "segmentations", "annotations"];
    masks.contains(&&*plain(path))
}

/// Whether a folder is named like one of such masks, or of the images that they belong to.
fn is_of_segmentation(path: &Path) -> bool {
    let images = ["image", "images", "img", "imgs", "jpegimages", "photos", "labels"];
    is_of_masks(path) || images.contains(&&*plain(path))
}

/// The name of a folder in small letters, without what parts its words.
fn plain(path: &Path) -> String {
    let name = file_name(path).unwrap_or("").to_lowercase();
    name.chars().filter(|c| !"_- ".contains(*c)).collect()
}

/// The innermost folder that is alone in the one around it, from `folder` on.
fn unwrapped(folder: &Path) -> Result<PathBuf> {
    let met = Walk::new(folder).entries(folder)?;
    match &met[..] {
        [Met::Folder(inner)] if !inner.is_symlink() => unwrapped(inner),
        _ => Ok(folder.to_path_buf()),
    }
}

/// Names of folders for a message.
fn names<'a>(folders: impl IntoIterator<Item = &'a PathBuf>) -> String {
    const SHOWN: usize = 6;
    let names: Vec<String> = folders
        .into_iter()
        .map(|path| format!("{}/", path.file_name().unwrap_or_default().to_string_lossy()))
        .collect();
    let more = if names.len() > SHOWN { ", …" } else { "" };
    format!("{}{more}", names[..names.len().min(SHOWN)].join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_that_people_use() {
        use PartKind::{Test, Train, Val};
        let cases = [
            (Train, "train Train TRAIN training training_set train-set seg_train train_images"),
            (Val, "val valid Validation VAL dev eval evaluation validation_set seg_val devset"),
            (Test, "test Testing TEST test_set seg_test test_data test-images"),
        ];
        for (part, names) in cases {
            for name in names.split(' ') {
                assert_eq!(PartKind::of(name), Some(part), "{name}");
            }
        }
        for name in ["trains", "retest", "value", "device", "cat", "set", "images", "seg", ""] {
            assert_eq!(PartKind::of(name), None, "{name}");
        }
        assert_eq!(PartKind::of_numbered("test1"), Some(Test));
        assert_eq!(PartKind::of_numbered("val_02"), Some(Val));
        assert_eq!(PartKind::of_numbered("c1"), None);
    }
}
