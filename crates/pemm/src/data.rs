//! The data of a run: the parts, features in the place of images where an experiment names a
//! pretrained backbone, and the mean and deviation of what is trained on.

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

use pemm_data::normalize::Normalization;
use pemm_data::prepare::{Prepared, prepare_set};
use pemm_data::{DataSet, Part, labels, source};
use pemm_embed::{Backbone, BackboneCard, EmbedOptions, FeatureCache, Progress};
use pemm_experiment::{DataFacts, Experiment, ExperimentError};

use crate::error::Result;

/// How images become features: none of it changes one of them.
#[derive(Clone, Copy, Default)]
pub struct Embedding<'a> {
    /// Folder in which features are kept from run to run; without one they are computed anew.
    pub cache: Option<&'a Path>,
    /// Hears of each image, from any thread.
    pub on_image: Option<&'a (dyn Fn(Progress) + Sync)>,
    /// Ends the work soon after it becomes true.
    pub cancel: Option<&'a AtomicBool>,
}

impl Embedding<'_> {
    fn options(&self) -> EmbedOptions<'_> {
        EmbedOptions {
            threads: rayon::current_num_threads(),
            progress: self.on_image,
            cancelled: self.cancel,
        }
    }

    fn open_cache(&self, card: &BackboneCard) -> Result<Option<FeatureCache>> {
        Ok(self.cache.map(|root| FeatureCache::open(root, card)).transpose()?)
    }

    /// `part` with the features of `backbone` in the place of its images.
    ///
    /// # Errors
    /// Those of [`Backbone::vectors`].
    pub fn part(&self, backbone: &Backbone, part: &Part) -> Result<Part> {
        let mut cache = self.open_cache(backbone.card())?;
        Ok(backbone.vectors(part, cache.as_mut(), &self.options())?)
    }
}

impl std::fmt::Debug for Embedding<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Embedding").field("cache", &self.cache).finish_non_exhaustive()
    }
}

/// A source that was opened, before noise and split; clones share the pixels.
#[derive(Debug, Clone)]
pub struct Opened {
    set: DataSet,
    /// The images that the training samples were before they became features.
    images: Option<Part>,
    backbone: Option<BackboneCard>,
}

impl Opened {
    /// Opens the data that `experiment` names, joins their labels, and puts images through the
    /// pretrained backbone, if it names one.
    ///
    /// # Errors
    /// Those of [`source::open`], [`labels::join`] and [`Backbone::open`]; data that are vectors
    /// already.
    pub fn open(experiment: &Experiment, embedding: &Embedding<'_>) -> Result<Self> {
        let Some(file) = &experiment.pretrained.backbone else {
            let mut set = source::open(&experiment.data)?;
            labels::join(&mut set, &experiment.data)?;
            return Ok(Self { set, images: None, backbone: None });
        };
        // What is wrong with the backbone is said before any image is read.
        let backbone = Backbone::open(Path::new(file), &experiment.pretrained.keys())?;
        let mut data = experiment.data.clone();
        // The backbone takes every image at its own size; nothing is to be kept in memory here.
        data.resize = data.resize.or(Some(backbone.card().preprocessing.size));
        data.memory_mib = 0;
        let mut set = source::open(&data)?;
        labels::join(&mut set, &experiment.data)?;
        if matches!(*set.train.pixels, pemm_data::Pixels::Vectors(_)) {
            let reason = "is for images, and these data are feature vectors; leave it out";
            return Err(ExperimentError::setting("pretrained.backbone", reason).into());
        }
        let images = set.train.clone();
        let mut cache = embedding.open_cache(backbone.card())?;
        let set = backbone.vectors_of_all(set, cache.as_mut(), &embedding.options())?;
        Ok(Self { set, images: Some(images), backbone: Some(backbone.card().clone()) })
    }

    /// Draws the noise of `experiment` and splits.
    ///
    /// # Errors
    /// Those of [`prepare_set`].
    pub fn prepare(self, experiment: &Experiment) -> Result<RunData> {
        let Self { set, images, backbone } = self;
        let mut prepared = prepare_set(set, &experiment.data, &experiment.noise, experiment.seed)?;
        let guesses = backbone.iter().flat_map(|card| &card.assumptions);
        prepared.notes.extend(guesses.map(|guess| format!("pretrained backbone: {guess}")));
        Ok(RunData { prepared, images, backbone, normalization: Arc::default() })
    }
}

/// The data of a run. Clones share the pixels, and the normalisation once one of them has measured it.
#[derive(Debug, Clone)]
pub struct RunData {
    pub(crate) prepared: Prepared,
    /// The images that the training samples were before they became features; row r of the training
    /// part is image r.
    pub(crate) images: Option<Part>,
    /// The pretrained backbone that made the features.
    pub(crate) backbone: Option<BackboneCard>,
    normalization: Arc<OnceLock<Normalization>>,
}

impl RunData {
    /// Opens the data that `experiment` names, draws its noise and splits.
    ///
    /// # Errors
    /// Those of [`Opened::open`] and [`Opened::prepare`].
    pub fn open(experiment: &Experiment, embedding: &Embedding<'_>) -> Result<Self> {
        Opened::open(experiment, embedding)?.prepare(experiment)
    }

    /// What the data say that an experiment leaves to them.
    pub fn facts(&self) -> DataFacts {
        DataFacts::of(&self.prepared)
    }

    /// Mean and deviation of the training samples, which are read for it the first time.
    ///
    /// # Errors
    /// Images that cannot be read.
    pub(crate) fn normalization(&self) -> Result<Normalization> {
        if let Some(known) = self.normalization.get() {
            return Ok(known.clone());
        }
        let measured = Normalization::of(&self.prepared.train)?;
        Ok(self.normalization.get_or_init(|| measured).clone())
    }
}
