//! A run taken from its folder, to be used.

use std::path::Path;

use burn::tensor::Device;
use pemm_data::augment::Augment;
use pemm_data::loader::Loader;
use pemm_data::normalize::Normalization;
use pemm_data::{Part, Shape, Streams};
use pemm_embed::{Backbone, BackboneCard};
use pemm_experiment::Experiment;
use pemm_experiment::identity::Difference;
use pemm_runs::{Bond, Record, RunFolder};
use serde::{Deserialize, Serialize};

use crate::checkpoint::{check_owner, read_weights, unbound};
use crate::data::{Embedding, RunData};
use crate::error::{Error, Result};
use crate::evaluate::{Combination, Predictions, predict};
use crate::model::{Classifier, ModelPlan};
use crate::networks::{MAX_NETWORKS, apply_all, networks};
use crate::places::Places;
use crate::tensors::TensorMap;

/// What a model needs beside its weights; stands in the metadata of every weights file, so that the
/// file alone is enough to predict.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelCard {
    /// Epoch after which the weights were taken, from 1.
    pub epoch: usize,
    /// Class names.
    pub classes: Vec<String>,
    /// Size of a sample.
    pub shape: Shape,
    /// Mean and deviation of the training images.
    pub normalization: Normalization,
    /// What the classifier is made of.
    pub model: ModelPlan,
    /// Networks that predict together, 1 or 2; the second's tensors stand below `peer.`.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub num_networks: usize,
    /// How they do.
    #[serde(default, skip_serializing_if = "Combination::is_of_probabilities")]
    pub combination: Combination,
    /// The pretrained backbone whose features the classifier takes, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pretrained: Option<BackboneCard>,
    /// The run that it is of; none in files of versions before it was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<Bond>,
}

fn one() -> usize {
    1
}

fn is_one(num: &usize) -> bool {
    *num == 1
}

impl ModelCard {
    /// Holds what the card would make us build to the tensors that are there, so that a hostile
    /// file cannot ask for more memory than it has bytes, and both to what can be calculated with.
    fn check(&self, tensors: &TensorMap) -> std::result::Result<(), String> {
        /// Values of one sample, 256 MiB of them.
        const MAX_VALUES: usize = 1 << 26;
        let Shape { channels, height, width } = self.shape;
        let size = [channels, height, width].into_iter().try_fold(1usize, usize::checked_mul);
        if !size.is_some_and(|size| (1..=MAX_VALUES).contains(&size)) {
            return Err(format!(
                "its metadata claim samples of {channels}×{height}×{width} values; 1 to {MAX_VALUES} \
                 are possible"
            ));
        }
        // The layer of the backbone whose size is the file's to choose, and both sizes of the head.
        let sizes = self.model.backbone.sizes(self.model.width(), self.shape);
        let has = |name: &str, axis: usize, size: Option<usize>| {
            let found = tensors.get(name).and_then(|values| values.shape.get(axis));
            size.is_some_and(|size| size > 0 && found == Some(&size))
        };
        let head = self.model.head.tensor();
        let fits = (1..=MAX_NETWORKS).contains(&self.num_networks)
            && sizes.tensor.is_none_or(|tensor| has(tensor, 1, sizes.num_inputs))
            && has(head, 0, Some(self.classes.len()))
            && has(head, 1, sizes.num_features);
        if !fits {
            return Err("its metadata do not describe the model it holds".into());
        }
        self.normalization.check(self.shape).map_err(|error| error.to_string())?;
        for (name, values) in tensors {
            if let Some(value) = values.data.iter().find(|value| !value.is_finite()) {
                return Err(format!(
                    "tensor {name} holds {value}; every weight must be a finite number, so this is no \
                     trained model"
                ));
            }
        }
        Ok(())
    }
}

/// Which weights of a run are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weights {
    /// Those after the last epoch, unless the best by noisy validation are clearly better
    /// ([`Record::prefers_best`]).
    Chosen,
    /// Those after the last epoch; of a run with patience, those that it returned.
    Last,
    /// The best by noisy validation.
    Best,
}

impl Weights {
    /// Whether those of the best epoch are meant in the run of `record` in `folder`. Without a record,
    /// or where the best were deleted, there are the last.
    fn are_best(self, folder: &RunFolder, record: Option<&Record>) -> bool {
        match self {
            Self::Chosen => {
                folder.has(pemm_runs::folder::BEST) && record.is_some_and(Record::prefers_best)
            }
            Self::Last => false,
            Self::Best => true,
        }
    }
}

/// A trained classifier.
#[derive(Debug)]
pub struct Trained {
    /// The classifier, on a device without autodiff: one network, or two that predict together.
    pub networks: Vec<Classifier>,
    /// What it needs.
    pub card: ModelCard,
    /// What could not be checked.
    pub warnings: Vec<String>,
    device: Device,
    /// Path of the weights, for errors.
    file: String,
}

impl Trained {
    /// Reads `weights` of a run folder, and holds them to the run's record, if that can be read.
    ///
    /// # Errors
    /// A file that is no model's, is damaged, of another run, or an older copy.
    pub fn open(folder: &RunFolder, weights: Weights, device: &Device) -> Result<Self> {
        // Before the weights: a run that goes on replaces them first.
        let record = folder.read_record();
        let best = weights.are_best(folder, record.as_ref().ok());
        let (tensors, text, file) = read_weights(folder, best)?;
        let refuse = |reason: String| Error::Weights { file: file.clone(), reason };
        let card: ModelCard = serde_json::from_str(&text)
            .map_err(|error| refuse(format!("its metadata is not that of a model: {error}")))?;
        card.check(&tensors).map_err(refuse)?;
        let mut warnings = Vec::new();
        match &record {
            Ok(record) => {
                check_owner(card.run.as_ref(), card.epoch, best, record).map_err(|reason| {
                    refuse(format!("{reason}; bring this run's own file back, or train it again"))
                })?
            }
            Err(error) => warnings
                .push(format!("{error}; whether {file} is of this run is therefore not checked")),
        }
        if card.run.is_none() {
            warnings.push(unbound(&file));
        }
        let device = device.clone().without_autodiff();
        let ModelCard { num_networks, ref model, shape, .. } = card;
        let blank =
            networks(num_networks, model, shape, card.classes.len(), Streams::new(0), &device);
        Ok(Self { networks: apply_all(blank, tensors, &file)?, card, warnings, device, file })
    }

    /// Probabilities, features, and distances to the centers, of all samples of `part`.
    ///
    /// # Errors
    /// Samples that cannot be read, and a model whose numbers leave the range of 32 bits.
    pub fn predict(&self, part: Part, on_samples: &mut dyn FnMut(usize)) -> Result<Predictions> {
        let (loader, how) = (self.loader(part)?, self.card.combination);
        let predictions = predict(&self.networks, how, &loader, &self.device, true, on_samples)?;
        match predictions.not_finite() {
            None => Ok(predictions),
            Some((sample, what)) => Err(Error::Weights {
                file: self.file.clone(),
                reason: format!(
                    "{what} of {} is not a number: the weights, the normalisation or model.sigma are \
                     too large or too small to calculate with; train again",
                    loader.part().name(sample)
                ),
            }),
        }
    }

    /// The pretrained backbone whose features the classifier takes, if it does, from `file`, or from
    /// where the run in `folder` found it.
    ///
    /// # Errors
    /// No such file, or one that holds something else than at the training.
    pub fn backbone(&self, folder: &RunFolder, file: Option<&Path>) -> Result<Option<Backbone>> {
        let Some(card) = &self.card.pretrained else { return Ok(None) };
        let recorded = || -> Result<Option<String>> {
            let origin = folder.file(pemm_runs::folder::EXPERIMENT).display().to_string();
            let text = folder.read_experiment()?;
            Ok(Experiment::from_resolved(&origin, &text)?.pretrained.backbone)
        };
        let path = match file {
            Some(file) => file.to_path_buf(),
            None => recorded()?.unwrap_or_else(|| card.file.clone()).into(),
        };
        Ok(Some(Backbone::reopen(&path, card)?))
    }

    fn loader(&self, part: Part) -> Result<Loader> {
        const BATCH: usize = 256;
        /// Values of a batch, so that large images do not need more memory than small ones.
        const BATCH_VALUES: usize = 1 << 25;
        let batch_size = (BATCH_VALUES / part.shape.len().max(1)).clamp(2, BATCH);
        let normalization = self.card.normalization.clone();
        Ok(Loader::new(part, normalization, Augment::default(), batch_size, Streams::new(0))?)
    }
}

/// A run with its data at hand.
pub(crate) struct Reopened {
    pub(crate) record: Record,
    pub(crate) trained: Trained,
    pub(crate) data: RunData,
    /// What is to be said of the data.
    pub(crate) warnings: Vec<String>,
}

/// The record, model and data of the run in `path`.
///
/// # Errors
/// The data or its given labels are no longer those that the run was trained on.
pub(crate) fn reopen(
    path: &Path,
    weights: Weights,
    places: &Places,
    device: &Device,
    embedding: &Embedding<'_>,
) -> Result<Reopened> {
    let folder = RunFolder::open(path)?;
    let record = folder.read_record()?;
    let trained = Trained::open(&folder, weights, device)?;
    let origin = folder.file(pemm_runs::folder::EXPERIMENT).display().to_string();
    let experiment = Experiment::from_resolved(&origin, &folder.read_experiment()?)?;
    let mut first = None;
    for (experiment, moved) in places.candidates(&experiment, path)? {
        match open_data(&record, &trained, &experiment, &moved, embedding) {
            Ok((data, warnings)) => return Ok(Reopened { record, trained, data, warnings }),
            // Elsewhere they may be the right ones; if not, what is wrong where they were is told.
            Err(error @ (Error::Data(_) | Error::Experiment(_))) => {
                first.get_or_insert(error);
            }
            Err(error) => return Err(error),
        }
    }
    Err(first.expect("there is a candidate"))
}

/// The data that `experiment` names, if they are those of the run of `record`, and what is to be said of
/// them; `moved` is where they lie otherwise than when it began.
fn open_data(
    record: &Record,
    trained: &Trained,
    experiment: &Experiment,
    moved: &[Difference],
    embedding: &Embedding<'_>,
) -> Result<(RunData, Vec<String>)> {
    let data = RunData::open(experiment, embedding)?;
    let prepared = &data.prepared;
    let path = &experiment.data.path;
    if prepared.shape != trained.card.shape || prepared.classes != trained.card.classes {
        let reason = format!("{path} does not have the classes and sizes of the run");
        return Err(Error::setting("data.path", reason));
    }
    if prepared.manifest.labels_sha256 != record.noise.labels_sha256 {
        let reason = "the given labels are not those of the run; bring the old data and labels file \
                      back, or say with --data and --labels where they are now";
        return Err(Error::setting("data", reason));
    }
    let mut warnings = Vec::new();
    let is_same = prepared.data_sha256 == record.data.data_sha256;
    if !moved.is_empty() {
        if !is_same {
            let reason = format!("the samples in {path} are not those that the run was trained on");
            return Err(Error::setting("data.path", reason));
        }
        let moved: Vec<String> = moved.iter().map(ToString::to_string).collect();
        warnings.push(format!(
            "the data are found at another path than the run was begun with, and are known by their names \
             and labels ({})",
            moved.join(", ")
        ));
    } else if !is_same {
        warnings.push(format!(
            "{path} changed since the run: samples of the validation or test part were added, removed, \
             renamed or labelled anew, or training samples were renamed; what follows is of those that \
             are there now"
        ));
    }
    Ok((data, warnings))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backbone::BackboneKind;
    use crate::head::HeadKind;
    use crate::networks::collect_all;

    #[test]
    fn the_card_of_every_backbone_describes_its_weights() {
        let shape = Shape { channels: 3, height: 32, width: 48 };
        for &backbone in BackboneKind::ALL {
            let mut model = ModelPlan::new(backbone, HeadKind::Distance);
            if backbone.method().parameter("width").is_some() {
                model = model.with("width", 8);
            }
            let device = crate::device::open("cpu").unwrap();
            let tensors = collect_all(&networks(1, &model, shape, 2, Streams::new(1), &device));
            let normalization = Normalization { mean: vec![0.0; 3], deviation: vec![1.0; 3] };
            let classes = vec!["a".into(), "b".into()];
            let card = ModelCard {
                epoch: 1,
                classes,
                shape,
                normalization,
                model,
                num_networks: 1,
                combination: Combination::default(),
                pretrained: None,
                run: None,
            };
            card.check(&tensors).unwrap();
            let other = ModelCard { shape: Shape { channels: 4, ..shape }, ..card.clone() };
            assert!(other.check(&tensors).is_err(), "{backbone:?} has three channels");
            let fewer = ModelCard { classes: vec!["a".into()], ..card };
            assert!(fewer.check(&tensors).is_err(), "{backbone:?} has two classes");
        }
    }
}
