//! How outputs lie in `outputs.safetensors`.
//!
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

use super::{Gallery, Outputs, PartOutputs};
use crate::bond::{self, Bond};
use crate::error::{Result, RunError};
use crate::{ordinary, write};

/// The schema that this version writes.
const SCHEMA: u32 = 2;
/// That of before there were bonds, which is still read.
const WITHOUT_BOND: u32 = 1;
/// Larger files are not read: nobody's pictures need them.
const MAX_BYTES: u64 = 2 << 30;
const METADATA: &str = "pemm";

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Card {
    schema: u32,
    epoch: usize,
    names: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    run: Option<Bond>,
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
    use super::super::tests::outputs;
    use super::*;

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
}
