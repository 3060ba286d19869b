//! `outputs.safetensors`: what a trained model says of every sample, for pictures and audits.
//!
//! It is written after the last epoch, from the weights of that epoch, and read by no training.
//! Features are float16, which is more than a picture needs. Probabilities are not: rounding would make
//! equals of the two largest here and there, and then the accuracy would not be that of the record.
//! 50,000 samples of 256 features and 10 classes take 28 MB.
//!
//! | tensor | type | shape |
//! |---|---|---|
//! | `train.probabilities`, `test.probabilities` | F32 | `[N, K]` |
//! | `train.features`, `test.features` | F16 | `[N, D]` |
//! | `train.given` | U32 | `[N]` |
//! | `train.clean` (if known), `test.labels` | U32 | `[N]` |
//! | `centers` (if the head has centers) | F32 | `[K, D]` |
//! | `gallery.samples` | U32 | `[M]`, positions in the training part, most doubted first |
//! | `gallery.images` (unless samples are vectors) | U8 | `[M, height, width, 1 or 3]` |
//!
//! The metadata entry `pemm` holds the schema, the epoch, the names of the gallery's samples, and since
//! schema 2 the [`Bond`] to the run.

use std::path::Path;

use half::f16;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};

use crate::bond::{self, Bond};
use crate::error::{Result, RunError};
use crate::record::Record;
use crate::{ordinary, write};

/// The schema that this version writes.
const SCHEMA: u32 = 2;
/// That of before there were bonds, which is still read.
const WITHOUT_BOND: u32 = 1;
/// Larger files are not read: nobody's pictures need them.
const MAX_BYTES: u64 = 2 << 30;
const METADATA: &str = "pemm";

/// What a model says of a run's samples.
#[derive(Debug, Clone, PartialEq)]
pub struct Outputs {
    /// The run that they are of; none in files of schema 1.
    pub run: Option<Bond>,
    /// The epoch of the weights, from 1.
    pub epoch: usize,
    /// The training part.
    pub train: PartOutputs,
    /// Given label of each training sample.
    pub given: Vec<u32>,
    /// Clean label of each training sample, if known.
    pub clean: Option<Vec<u32>>,
    /// The test part, if there is one.
    pub test: Option<PartOutputs>,
    /// Label of each test sample.
    pub test_labels: Vec<u32>,
    /// Class centers `[K, D]`, if the head has any.
    pub centers: Option<Vec<f32>>,
    /// The samples whose given label the model doubts most.
    pub gallery: Gallery,
}

/// What a model says of the samples of one part, in the order of the part.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PartOutputs {
    /// Number of classes K.
    pub num_classes: usize,
    /// Class probabilities, `[N, K]`.
    pub probabilities: Vec<f32>,
    /// Number of features D.
    pub num_features: usize,
    /// Features, the input of the last layer, `[N, D]`.
    pub features: Vec<f32>,
}

/// Small images of some training samples.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Gallery {
    /// Positions in the training part.
    pub samples: Vec<u32>,
    /// Stable name of each.
    pub names: Vec<String>,
    /// Height, width and channels (1 or 3) of an image; zeros where samples are no images.
    pub shape: [usize; 3],
    /// Pixels, `[M, height, width, channels]`.
    pub pixels: Vec<u8>,
}

/// A training sample whose label the model doubts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Doubt {
    /// Position in the training part.
    pub sample: u32,
    /// Its given label.
    pub given: u32,
    /// The most probable class that is not the given one.
    pub suggestion: u32,
    /// `p[suggestion] - p[given]`, -1 to 1: above 0 the model disagrees with the label.
    pub score: f32,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Card {
    schema: u32,
    epoch: usize,
    names: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    run: Option<Bond>,
}

impl PartOutputs {
    /// Number of samples N.
    pub fn len(&self) -> usize {
        self.probabilities.len() / self.num_classes.max(1)
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.probabilities.is_empty()
    }

    /// The class probabilities of each sample.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.probabilities.chunks_exact(self.num_classes.max(1))
    }

    /// The most probable class of each sample; the first of equals.
    pub fn classes(&self) -> Vec<u32> {
        let best = |row: &[f32]| (1..row.len()).fold(0, |b, k| if row[k] > row[b] { k } else { b });
        self.rows().map(|row| best(row) as u32).collect()
    }

    /// Every sample with its doubt about labels `given`, the most doubted first.
    ///
    /// The score is the margin `max_{k ≠ y} p_k - p_y` of a model that was trained on these very
    /// labels. A model that memorised them doubts nothing; `pemm audit` judges out of sample.
    pub fn doubts(&self, given: &[u32]) -> Vec<Doubt> {
        let doubt = |(sample, (row, &given)): (usize, (&[f32], &u32))| {
            let others = (0..row.len()).filter(|&k| k != given as usize);
            let suggestion = others.reduce(|b, k| if row[k] > row[b] { k } else { b })?;
            let score = row[suggestion] - row[given as usize];
            Some(Doubt { sample: sample as u32, given, suggestion: suggestion as u32, score })
        };
        let mut doubts: Vec<Doubt> = self.rows().zip(given).enumerate().filter_map(doubt).collect();
        doubts.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.sample.cmp(&b.sample)));
        doubts
    }

    fn check(&self, name: &str) -> std::result::Result<(), String> {
        if self.features.len() != self.len() * self.num_features {
            return Err(format!("{name}.features: one row per row of {name}.probabilities"));
        }
        let all = self.probabilities.iter().chain(&self.features);
        match all.copied().find(|value| !value.is_finite()) {
            Some(value) => Err(format!("{name}: every value must be finite, one is {value}")),
            None => Ok(()),
        }
    }
}

impl Outputs {
    /// Writes the file `path`, whole or not at all. Values beyond float16 are cut to its range.
    ///
    /// # Errors
    /// [`RunError::Format`] for values that contradict each other, [`RunError::Full`],
    /// [`RunError::Io`].
    pub fn write(&self, path: &Path) -> Result<()> {
        let wrong = |reason: String| RunError::format(path, reason);
        self.check().map_err(wrong)?;
        let card = Card {
            schema: if self.run.is_some() { SCHEMA } else { WITHOUT_BOND },
            epoch: self.epoch,
            names: self.gallery.names.clone(),
            run: self.run.clone(),
        };
        let card = serde_json::to_string(&card).map_err(|error| wrong(error.to_string()))?;
        let mut tensors: Vec<(&str, Dtype, Vec<usize>, Vec<u8>)> = Vec::new();
        let test = self.test.as_ref().map(|part| ("test.probabilities", "test.features", part));
        let train = ("train.probabilities", "train.features", &self.train);
        for (probabilities, features, part) in std::iter::once(train).chain(test) {
            let shape = vec![part.len(), part.num_classes];
            tensors.push((probabilities, Dtype::F32, shape, singles(&part.probabilities)));
            let shape = vec![part.len(), part.num_features];
            tensors.push((features, Dtype::F16, shape, halves(&part.features)));
        }
        let mut integers = |name, values: &[u32]| {
            let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            tensors.push((name, Dtype::U32, vec![values.len()], bytes));
        };
        integers("train.given", &self.given);
        integers("gallery.samples", &self.gallery.samples);
        if let Some(clean) = &self.clean {
            integers("train.clean", clean);
        }
        if self.test.is_some() {
            integers("test.labels", &self.test_labels);
        }
        if let Some(centers) = &self.centers {
            let shape = vec![self.train.num_classes, self.train.num_features];
            tensors.push(("centers", Dtype::F32, shape, singles(centers)));
        }
        if !self.gallery.pixels.is_empty() {
            let [height, width, channels] = self.gallery.shape;
            let shape = vec![self.gallery.samples.len(), height, width, channels];
            tensors.push(("gallery.images", Dtype::U8, shape, self.gallery.pixels.clone()));
        }
        let views = tensors.iter().map(|(name, dtype, shape, bytes)| {
            let view = TensorView::new(*dtype, shape.clone(), bytes).expect("sizes were checked");
            (*name, view)
        });
        let metadata = [(METADATA.to_owned(), card)].into_iter().collect();
        let mut bytes = safetensors::serialize(views, Some(metadata))
            .map_err(|error| wrong(error.to_string()))?;
        if self.run.is_some() {
            bond::stamp(&mut bytes);
        }
        write::atomic(path, &bytes)
    }

    /// Whether they are of the run of `record`.
    ///
    /// # Errors
    /// What differs.
    pub fn check_run(&self, record: &Record) -> std::result::Result<(), String> {
        if let Some(bond) = &self.run {
            bond.check(record)?;
        }
        let test = self.test.as_ref().map_or(0, PartOutputs::len);
        let found = (self.train.num_classes, self.given.len(), test);
        let expected = (record.data.classes.len(), record.data.num_train, record.data.num_test);
        if found != expected {
            return Err(format!(
                "is for (classes, training, test samples) {found:?}, the record for {expected:?}"
            ));
        }
        Ok(())
    }

    /// Whether they are of the weights that the run of `record` returns, and not of earlier ones.
    pub fn are_of_the_last_weights(&self, record: &Record) -> bool {
        record.choice.last.as_ref().is_none_or(|last| last.epoch == self.epoch)
    }

    /// Reads and checks the file `path`.
    ///
    /// # Errors
    /// [`RunError::Format`] for what is no such file, is of another schema, contradicts itself or
    /// is larger than 2 GiB; [`RunError::Io`].
    pub fn read(path: &Path) -> Result<Self> {
        let io = |source| RunError::io(path, source);
        let size = std::fs::metadata(path).map_err(io)?.len();
        if size > MAX_BYTES {
            let reason = format!("it has {size} bytes, more than the {MAX_BYTES} that are read");
            return Err(RunError::format(path, reason));
        }
        let bytes = ordinary::read(path).map_err(io)?;
        parse(&bytes).map_err(|reason| RunError::format(path, reason))
    }

    fn check(&self) -> std::result::Result<(), String> {
        self.train.check("train")?;
        let num_classes = self.train.num_classes;
        if num_classes < 2 || self.given.len() != self.train.len() {
            return Err("train.given: one label per sample, and 2 classes or more".into());
        }
        let below = |name: &str, labels: &[u32], limit: usize| match labels
            .iter()
            .find(|&&label| label as usize >= limit)
        {
            Some(label) => Err(format!("{name}: must be below {limit}, one is {label}")),
            None => Ok(()),
        };
        below("train.given", &self.given, num_classes)?;
        if let Some(clean) = &self.clean {
            below("train.clean", clean, num_classes)?;
            if clean.len() != self.train.len() {
                return Err("train.clean: one label per sample".into());
            }
        }
        if let Some(test) = &self.test {
            test.check("test")?;
            below("test.labels", &self.test_labels, num_classes)?;
            let sizes = (test.num_classes, test.num_features);
            if sizes != (num_classes, self.train.num_features)
                || test.len() != self.test_labels.len()
            {
                return Err("test: its sizes must be those of train and of test.labels".into());
            }
        }
        if let Some(centers) = &self.centers
            && (centers.len() != num_classes * self.train.num_features
                || centers.iter().any(|value| !value.is_finite()))
        {
            return Err("centers: must be finite, one row per class".into());
        }
        let Gallery { samples, names, shape: [height, width, channels], pixels } = &self.gallery;
        below("gallery.samples", samples, self.train.len())?;
        let size = [height, width, channels, &samples.len()]
            .into_iter()
            .try_fold(1usize, |product, &size| product.checked_mul(size));
        if names.len() != samples.len()
            || (!pixels.is_empty() && (size != Some(pixels.len()) || ![1, 3].contains(channels)))
        {
            return Err("gallery: one name and one image of 1 or 3 channels per sample".into());
        }
        Ok(())
    }
}

fn singles(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn halves(values: &[f32]) -> Vec<u8> {
    let (low, high) = (f16::MIN.to_f32(), f16::MAX.to_f32());
    values.iter().flat_map(|value| f16::from_f32(value.clamp(low, high)).to_le_bytes()).collect()
}

fn parse(bytes: &[u8]) -> std::result::Result<Outputs, String> {
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|error| error.to_string())?;
    let card = header.metadata().as_ref().and_then(|metadata| metadata.get(METADATA));
    let card: Card = serde_json::from_str(card.map_or("", String::as_str))
        .map_err(|error| format!("its metadata is not that of a run's outputs: {error}"))?;
    let expected = if card.run.is_some() { SCHEMA } else { WITHOUT_BOND };
    if card.schema != expected {
        return Err(format!(
            "written under schema {}, this pemm reads {WITHOUT_BOND} and {SCHEMA}",
            card.schema
        ));
    }
    bond::check(bytes)?;
    let tensors = SafeTensors::deserialize(bytes).map_err(|error| error.to_string())?;
    let file = File { tensors };
    let part = |name: &str| -> std::result::Result<PartOutputs, String> {
        let (probabilities, num_classes) = file.matrix(&format!("{name}.probabilities"))?;
        let (features, num_features) = file.halves(&format!("{name}.features"))?;
        Ok(PartOutputs { num_classes, probabilities, num_features, features })
    };
    let has = |name: &str| file.tensors.tensor(name).is_ok();
    let mut gallery = Gallery {
        samples: file.integers("gallery.samples")?,
        names: card.names,
        ..Gallery::default()
    };
    if has("gallery.images") {
        let view = file.view("gallery.images", Dtype::U8, 4)?;
        gallery.shape = [view.shape()[1], view.shape()[2], view.shape()[3]];
        gallery.pixels = view.data().to_vec();
    }
    let has_test = has("test.probabilities");
    let outputs = Outputs {
        run: card.run,
        epoch: card.epoch,
        train: part("train")?,
        given: file.integers("train.given")?,
        clean: has("train.clean").then(|| file.integers("train.clean")).transpose()?,
        test: has_test.then(|| part("test")).transpose()?,
        test_labels: if has_test { file.integers("test.labels")? } else { Vec::new() },
        centers: has("centers")
            .then(|| file.matrix("centers").map(|(centers, _)| centers))
            .transpose()?,
        gallery,
    };
    outputs.check()?;
    Ok(outputs)
}

struct File<'a> {
    tensors: SafeTensors<'a>,
}

impl File<'_> {
    fn view(
        &self,
        name: &str,
        dtype: Dtype,
        rank: usize,
    ) -> std::result::Result<TensorView<'_>, String> {
        let view = self.tensors.tensor(name).map_err(|_| format!("tensor {name} is missing"))?;
        if view.dtype() != dtype || view.shape().len() != rank {
            let (found, shape) = (view.dtype(), view.shape());
            return Err(format!(
                "tensor {name} must be {dtype:?} with {rank} axes, is {found:?} {shape:?}"
            ));
        }
        Ok(view)
    }

    fn matrix(&self, name: &str) -> std::result::Result<(Vec<f32>, usize), String> {
        let view = self.view(name, Dtype::F32, 2)?;
        Ok((words(&view).map(f32::from_le_bytes).collect(), view.shape()[1]))
    }

    fn halves(&self, name: &str) -> std::result::Result<(Vec<f32>, usize), String> {
        let view = self.view(name, Dtype::F16, 2)?;
        let halves = view.data().chunks_exact(2).map(|b| f16::from_le_bytes([b[0], b[1]]).to_f32());
        Ok((halves.collect(), view.shape()[1]))
    }

    fn integers(&self, name: &str) -> std::result::Result<Vec<u32>, String> {
        let view = self.view(name, Dtype::U32, 1)?;
        Ok(words(&view).map(u32::from_le_bytes).collect())
    }
}

fn words<'a>(view: &TensorView<'a>) -> impl Iterator<Item = [u8; 4]> + use<'a> {
    view.data().chunks_exact(4).map(|b| [b[0], b[1], b[2], b[3]])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::record;

    fn outputs() -> Outputs {
        let part = |rows: &[[f32; 2]]| PartOutputs {
            num_classes: 2,
            probabilities: rows.concat(),
            num_features: 1,
            features: rows.iter().map(|row| row[0] * 8.0).collect(),
        };
        Outputs {
            run: Some(Bond::of(&record("pemm", 1, 0.9))),
            epoch: 3,
            train: part(&[[0.75, 0.25], [0.25, 0.75], [0.5, 0.5]]),
            given: vec![1, 1, 0],
            clean: Some(vec![0, 1, 0]),
            test: Some(part(&[[1.0, 0.0]])),
            test_labels: vec![0],
            centers: Some(vec![0.5, -0.5]),
            gallery: Gallery {
                samples: vec![0],
                names: vec!["train/<b>/😀.png".into()],
                shape: [1, 2, 1],
                pixels: vec![0, 255],
            },
        }
    }

    #[test]
    fn outputs_survive_their_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("outputs.safetensors");
        let full = outputs();
        let bare = Outputs {
            run: None,
            clean: None,
            test: None,
            test_labels: vec![],
            centers: None,
            gallery: Gallery::default(),
            ..outputs()
        };
        for outputs in [full, bare] {
            outputs.write(&path).unwrap();
            let mut read = Outputs::read(&path).unwrap();
            assert_eq!(read.run.is_some(), outputs.run.is_some());
            read.run.clone_from(&outputs.run);
            assert_eq!(read, outputs);
        }
        let mut wide = outputs();
        wide.train.features[0] = 1e9;
        wide.write(&path).unwrap();
        assert_eq!(Outputs::read(&path).unwrap().train.features[0], 65504.0);
    }

    #[test]
    fn the_most_doubted_stand_first() {
        let outputs = outputs();
        let doubts = outputs.train.doubts(&outputs.given);
        let order: Vec<_> = doubts.iter().map(|d| (d.sample, d.suggestion, d.score)).collect();
        assert_eq!(order, [(0, 0, 0.5), (2, 1, 0.0), (1, 0, -0.5)]);
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("outputs.safetensors");
        type Break = fn(&mut Outputs);
        let cases: [(Break, &str); 6] = [
            (|o| o.given[0] = 2, "train.given: must be below 2, one is 2"),
            (|o| o.test_labels.push(0), "test: its sizes"),
            (|o| o.train.features[0] = f32::NAN, "must be finite, one is NaN"),
            (|o| o.gallery.pixels.push(0), "gallery: one name and one image"),
            (|o| o.centers = Some(vec![1.0]), "centers: must be finite, one row per class"),
            (|o| o.clean = Some(vec![0]), "train.clean: one label per sample"),
        ];
        for (spoil, reason) in cases {
            let mut outputs = outputs();
            spoil(&mut outputs);
            let message = outputs.write(&path).unwrap_err().to_string();
            assert!(message.contains(reason), "{message}");
            assert!(!path.exists());
        }
    }

    #[test]
    fn half_a_file_and_other_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("outputs.safetensors");
        outputs().write(&path).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for cut in (0..whole.len()).step_by(7) {
            std::fs::write(&path, &whole[..cut]).unwrap();
            assert!(matches!(Outputs::read(&path), Err(RunError::Format { .. })), "{cut}");
        }
        let schema = br#"\"schema\":2"#;
        let at = whole.windows(schema.len()).position(|window| window == schema).unwrap();
        let mut bytes = whole.clone();
        bytes[at + schema.len() - 1] = b'7';
        std::fs::write(&path, bytes).unwrap();
        let message = Outputs::read(&path).unwrap_err().to_string();
        assert!(message.contains("written under schema 7"), "{message}");
        let mut bytes = whole;
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let message = Outputs::read(&path).unwrap_err().to_string();
        assert!(message.contains("was damaged or changed"), "{message}");
    }

    #[test]
    fn those_of_another_run_or_of_other_weights_are_told() {
        let mut run = record("pemm", 1, 0.9);
        run.data.classes.truncate(2);
        (run.data.num_train, run.data.num_test) = (3, 1);
        let now = Outputs { epoch: 1, ..outputs() };
        now.check_run(&run).unwrap();
        assert!(now.are_of_the_last_weights(&run) && !outputs().are_of_the_last_weights(&run));
        let other = Outputs { run: Some(Bond::of(&record("pemm", 2, 0.9))), ..now.clone() };
        assert!(other.check_run(&run).unwrap_err().contains("another run"));
        run.data.num_test = 2;
        assert!(now.check_run(&run).unwrap_err().contains("(2, 3, 1)"));
    }
}
