//! What a source gives, and the parts that training and scoring work on.
//!
//! A [`Part`] carries pixels and *given* labels: the training loop holds parts and has no field that
//! is a clean label. (Names of image files contain their folder, for error messages.) Clean labels and the test set are [`Sealed`], which answers
//! only with counts.

use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::labels::JoinReport;
use crate::score::Score;
use crate::source::Account;

/// Size of one sample. A vector of D features is `[D, 1, 1]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// Channels C (1 grey, 3 RGB, D for vectors).
    pub channels: usize,
    /// Height in pixels.
    pub height: usize,
    /// Width in pixels.
    pub width: usize,
}

impl Shape {
    /// Values in one sample, C·H·W.
    pub fn len(self) -> usize {
        self.channels * self.height * self.width
    }
    /// Whether a sample holds no value at all.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }
}

/// The samples of one part of a source, in the source's own order.
#[derive(Debug)]
pub enum Pixels {
    /// Decoded images, `[N, C, H, W]`, 0–255.
    Decoded(Vec<u8>),
    /// Feature vectors, `[N, D]`.
    Vectors(Vec<f32>),
    /// Image files that are decoded (and resized to the data set's shape) each time they are
    /// needed, because together they are too large to keep.
    Files(Vec<PathBuf>),
}

impl Pixels {
    /// Memory that they take, in bytes.
    pub fn num_bytes(&self) -> u64 {
        match self {
            Self::Decoded(values) => values.len() as u64,
            Self::Vectors(values) => 4 * values.len() as u64,
            Self::Files(paths) => paths.iter().map(|path| path.as_os_str().len() as u64).sum(),
        }
    }
}

/// Samples with given labels: the only form in which training sees data.
#[derive(Debug, Clone)]
pub struct Part {
    /// The pixels of the whole source part; shared, never copied by limits and splits.
    pub pixels: Arc<Pixels>,
    /// Size of each sample.
    pub shape: Shape,
    /// Row in `pixels` of each sample of this part.
    pub rows: Vec<u32>,
    /// Stable name of each row of `pixels`: a path relative to the data folder, or an index.
    pub names: Arc<Vec<String>>,
    /// Given label of each sample of this part, below the number of classes.
    pub given: Vec<u32>,
    /// Weight of each sample in the training loss, if the labels file has such a column.
    pub weights: Option<Vec<f32>>,
}

impl Part {
    /// Number of samples.
    pub fn len(&self) -> usize {
        self.rows.len()
    }
    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
    /// Name of sample `index` of this part.
    pub fn name(&self, index: usize) -> &str {
        &self.names[self.rows[index] as usize]
    }
    /// The part that holds the samples at `keep` (positions in this part), in that order.
    pub fn select(&self, keep: &[usize]) -> Self {
        Self {
            pixels: self.pixels.clone(),
            shape: self.shape,
            rows: keep.iter().map(|&i| self.rows[i]).collect(),
            names: self.names.clone(),
            given: keep.iter().map(|&i| self.given[i]).collect(),
            weights: self.weights.as_ref().map(|w| keep.iter().map(|&i| w[i]).collect()),
        }
    }
}

/// Which training samples have a given label that is known to be right, and what they would be called if
/// nobody had looked at them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trusted {
    /// Whether the given label of each sample is known to be right.
    pub marks: Vec<bool>,
    /// The label of each sample before somebody looked: of one that is trusted, that of the source or the
    /// labels file, or the one that noise drew for it; of another its given label.
    pub before: Vec<u32>,
}

impl Trusted {
    /// The samples at `keep`, in that order.
    pub(crate) fn select(&self, keep: &[usize]) -> Self {
        Self {
            marks: keep.iter().map(|&i| self.marks[i]).collect(),
            before: keep.iter().map(|&i| self.before[i]).collect(),
        }
    }

    /// Number of samples that are trusted.
    pub fn count(&self) -> usize {
        self.marks.iter().filter(|&&is| is).count()
    }
}

/// What a source gives before labels are joined, limited, made noisy and split.
#[derive(Debug, Clone)]
pub struct DataSet {
    /// Name of the source, for records (`digits`, `cifar10`, the folder's name).
    pub name: String,
    /// Class names; a label is an index into these.
    pub classes: Vec<String>,
    /// Training samples with the labels that the source gives.
    pub train: Part,
    /// Clean labels of the training samples, where a labels file has a `clean` column.
    pub clean: Option<Vec<u32>>,
    /// Which training samples have a given label that is known to be right, where somebody says so.
    pub trusted: Option<Trusted>,
    /// The source's own validation part, if it has one.
    pub val: Option<Part>,
    /// The source's test part, if it has one.
    pub test: Option<Part>,
    /// Names of images that were left out because they do not decode.
    pub skipped: Vec<String>,
    /// What was done to the data that a reader of the results should know.
    pub notes: Vec<String>,
    /// What the folder held and what was left out, for image folders.
    pub account: Account,
    /// What joining a labels file did, if one was joined.
    pub joined: Option<JoinReport>,
}

impl DataSet {
    /// A data set without validation part, clean labels and anything to tell.
    pub fn of(name: String, classes: Vec<String>, train: Part, test: Option<Part>) -> Self {
        Self {
            name,
            classes,
            train,
            clean: None,
            trusted: None,
            val: None,
            test,
            skipped: Vec::new(),
            notes: Vec::new(),
            account: Account::default(),
            joined: None,
        }
    }
}

/// Clean training labels and the test set, which training must not see.
///
/// The fields are private and every answer is an aggregate over many samples, so that no code
/// outside this file can read one clean label or one test label, unless it gives up the seal for
/// good ([`Self::reveal`]).
#[derive(Debug, Clone)]
pub struct Sealed {
    num_classes: usize,
    clean: Option<Vec<u32>>,
    test: Option<Part>,
}

/// How many training samples with a correct and with a wrong given label are fitted, that is
/// predicted as given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fits {
    /// Samples whose given label is clean.
    pub num_clean: usize,
    /// Of these, predicted as given.
    pub clean_fitted: usize,
    /// Samples whose given label is wrong.
    pub num_flipped: usize,
    /// Of these, predicted as given: memorised mistakes.
    pub flipped_fitted: usize,
    /// Of the flipped, predicted as the clean label: mistakes that did no harm.
    pub flipped_corrected: usize,
}

impl Sealed {
    /// Seals clean labels (one per training sample) and the test part.
    pub fn new(num_classes: usize, clean: Option<Vec<u32>>, test: Option<Part>) -> Self {
        Self { num_classes, clean, test }
    }

    /// The test samples with all given labels blanked to 0: what a model may look at.
    pub fn test_images(&self) -> Option<Part> {
        let test = self.test.as_ref()?;
        Some(Part { given: vec![0; test.len()], weights: None, ..test.clone() })
    }

    /// The seal with `part` in the place of [`Self::test_images`]: the same samples in the same order,
    /// made into something else. Labels stay sealed.
    ///
    /// # Panics
    /// If `part` has another number of samples.
    pub fn with_test_images(self, part: Part) -> Self {
        let test = self.test.map(|test| {
            assert_eq!(part.len(), test.len(), "the same samples");
            Part { given: test.given, weights: test.weights, ..part }
        });
        Self { test, ..self }
    }

    /// Scores what a model says of [`Self::test_images`], in order; see [`Score::of`].
    pub fn score_test(&self, scores: &[f32]) -> Option<Score> {
        let test = self.test.as_ref()?;
        Some(Score::of(self.num_classes, &test.given, scores))
    }

    /// Breaks the seal: the clean training labels, if known, and the test labels, if there is a
    /// test part. Whoever holds them has no [`Sealed`] any more, so a run that still trains cannot
    /// have them; they are for what is written about a finished run.
    pub fn reveal(self) -> (Option<Vec<u32>>, Option<Vec<u32>>) {
        (self.clean, self.test.map(|test| test.given))
    }

    /// Whether clean training labels are known.
    pub fn has_clean(&self) -> bool {
        self.clean.is_some()
    }

    /// Counts fitted samples; `given` and `predicted` are in the order of the training part.
    pub fn fits(&self, given: &[u32], predicted: &[u32]) -> Option<Fits> {
        let clean = self.clean.as_ref()?;
        assert_eq!(clean.len(), given.len(), "one given label per clean label");
        assert_eq!(clean.len(), predicted.len(), "one prediction per clean label");
        let mut fits = Fits {
            num_clean: 0,
            clean_fitted: 0,
            num_flipped: 0,
            flipped_fitted: 0,
            flipped_corrected: 0,
        };
        for ((&clean, &given), &predicted) in clean.iter().zip(given).zip(predicted) {
            if clean == given {
                fits.num_clean += 1;
                fits.clean_fitted += usize::from(predicted == given);
            } else {
                fits.num_flipped += 1;
                fits.flipped_fitted += usize::from(predicted == given);
                fits.flipped_corrected += usize::from(predicted == clean);
            }
        }
        Some(fits)
    }
}
