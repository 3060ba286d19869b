//! The `[data]`, `[noise]` and `[augment]` tables of an experiment file.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use crate::noise::NoiseKind;

/// What to do with samples that the labels file does not list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unlisted {
    /// Stop and name them.
    #[default]
    Error,
    /// Leave them out.
    Drop,
}

/// What to do with images that do not decode.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BrokenImages {
    /// Leave them out and name them, where they are at most one image in [`Self::FEW`]; else stop.
    #[default]
    Few,
    /// Stop and name them.
    Error,
    /// Leave them out, however many.
    Skip,
}

impl BrokenImages {
    /// `few` leaves out at most one image in so many: more of them are no accident of single files.
    pub const FEW: usize = 10;

    /// Whether `num_broken` of `num_images` images may be left out.
    pub fn allows(self, num_broken: usize, num_images: usize) -> bool {
        match self {
            Self::Few => num_broken <= num_images / Self::FEW,
            Self::Error => num_broken == 0,
            Self::Skip => true,
        }
    }
}

/// What the folders of an image folder are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// Folders named like parts are parts, else all are classes; what could be both stops.
    #[default]
    Auto,
    /// Folders named like parts are parts, and what is beside them is left out.
    Parts,
    /// Every folder is a class, whatever its name.
    Classes,
}

impl Layout {
    fn is_auto(&self) -> bool {
        *self == Self::Auto
    }
}

/// Where the samples come from and which of them are used. The order of the steps is fixed: join
/// labels, limit, noise, split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DataConfig {
    /// `digits`, or a folder or file that one of the sources reads.
    pub path: String,
    /// Whether the folders of an image folder are parts or classes, where that is not plain.
    #[serde(skip_serializing_if = "Layout::is_auto")]
    pub layout: Layout,
    /// CSV that replaces the training labels, or gives them where images lie in no class folders.
    pub labels: Option<PathBuf>,
    /// Column of `labels` that holds the given label.
    pub label_column: String,
    /// Samples that `labels` does not list.
    pub unlisted: Unlisted,
    /// CSV of training samples whose label is known to be right, with that label. Left out, they are
    /// those that a column `trusted` of `labels` marks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trusted: Option<PathBuf>,
    /// Images that do not decode.
    pub broken: BrokenImages,
    /// `[height, width]` to which every image is resized (Lanczos3). Left out, images of one size of
    /// at most 64 pixels a side stay as they are, and all others are brought to one size of at most
    /// 64×64, which a note says.
    pub resize: Option<[usize; 2]>,
    /// Use this many training samples, the same share of each given class; the test part is whole.
    pub limit: Option<usize>,
    /// Share of the training samples held out as test part when the source has none, 0 to 0.9.
    pub test_rate: f64,
    /// Share of the training samples, by given label, held out for model choice when the source
    /// has no validation part, 0 to 0.9.
    pub val_rate: f64,
    /// `[index, count]`: the validation part is fold `index` (from 1) of `count` (at least 2), and
    /// `val_rate` and the source's own validation part are not used. The `count` folds of a seed
    /// are a partition of the training samples, stratified by given label.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fold: Option<[usize; 2]>,
    /// Decoded images are kept in memory up to this many MiB, else decoded as they stream.
    pub memory_mib: usize,
}

impl Default for DataConfig {
    fn default() -> Self {
        Self {
            path: "digits".into(),
            layout: Layout::Auto,
            labels: None,
            label_column: "label".into(),
            unlisted: Unlisted::Error,
            trusted: None,
            broken: BrokenImages::Few,
            resize: None,
            limit: None,
            test_rate: 0.0,
            val_rate: 0.1,
            fold: None,
            memory_mib: 4096,
        }
    }
}

/// Label noise to draw on the training labels.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NoiseConfig {
    /// The convention.
    pub kind: NoiseKind,
    /// Nominal rate ε, 0 to 1.
    pub rate: f64,
    /// CSV without header, K rows of K probabilities, for `kind = "matrix"`.
    pub matrix: Option<PathBuf>,
    /// Groups of class names for `kind = "superclass"`; CIFAR-100's are known.
    pub groups: Option<Vec<Vec<String>>>,
}

/// Random changes of a training image. A value left out is chosen by the kind of the data: images are
/// shifted unless `crop` is set, colour images are flipped too, and vectors are left alone.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AugmentConfig {
    /// Mirror left and right with probability ½.
    pub flip: Option<bool>,
    /// Shift by up to this share of height and width (Keras `width_shift_range`), 0 to 0.5; what
    /// comes in is the nearest edge pixel.
    pub shift: Option<f64>,
    /// Pad by this many zero pixels on each side and crop at random (in normalised units, so the
    /// padding is the mean colour), 0 to half of the smaller side.
    pub crop: Option<usize>,
    /// Rotate by a uniform angle of up to so many degrees either way, 0 to 180; what comes in is black.
    /// Left out, 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rotation: Option<f64>,
}
