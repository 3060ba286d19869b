//! The data of a run: the parts, features in the place of images where an experiment names a
//! pretrained backbone, and the mean and deviation of what is trained on.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use pemm_data::config::BrokenImages;
use pemm_data::normalize::Normalization;
use pemm_data::prepare::{Prepared, prepare_set};
use pemm_data::{DataError, DataSet, Part, labels, source};
use pemm_embed::{Backbone, BackboneCard, EmbedError, EmbedOptions, FeatureCache, Progress};
use pemm_experiment::{DataFacts, Experiment, ExperimentError};

use crate::error::{Error, Result};

/// How images become features: none of it changes one of them.
#[derive(Clone, Copy, Default)]
pub struct Embedding<'a> {
    /// Folder in which features are kept from run to run; without one they are computed anew.
    pub cache: Option<&'a Path>,
    /// Hears of each image, from any thread.
    pub on_image: Option<&'a (dyn Fn(Progress) + Sync)>,
    /// Ends the work, reading the images included, soon after it becomes true.
    pub cancel: Option<&'a AtomicBool>,
}

impl Embedding<'_> {
    fn stop(&self) -> &AtomicBool {
        static NEVER: AtomicBool = AtomicBool::new(false);
        self.cancel.unwrap_or(&NEVER)
    }

    /// Whether the work was told to end.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.stop().load(Ordering::Relaxed)
    }

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
    backbone: Option<Arc<Backbone>>,
}

impl Opened {
    /// Opens the data that `experiment` names and joins their labels; opens the pretrained backbone,
    /// if it names one, before any image is read.
    ///
    /// # Errors
    /// Those of [`Backbone::open`], [`source::open_until`] and [`labels::join`]; a backbone for data that
    /// are vectors already.
    pub fn open(experiment: &Experiment, embedding: &Embedding<'_>) -> Result<Self> {
        let mut data = experiment.data.clone();
        let mut backbone = None;
        if let Some(file) = &experiment.pretrained.backbone {
            let opened = Backbone::open(Path::new(file), &experiment.pretrained.keys())?;
            if source::detect(&data.path)?.is_of_vectors() {
                let reason = "is for images, and these data are feature vectors; leave it out";
                return Err(ExperimentError::setting("pretrained.backbone", reason).into());
            }
            // It takes every image at its own size; nothing is to be kept in memory here.
            data.resize = data.resize.or(Some(opened.card().preprocessing.size));
            data.memory_mib = 0;
            backbone = Some(Arc::new(opened));
        }
        let mut set = source::open_until(&data, embedding.stop())?;
        labels::join(&mut set, &experiment.data)?;
        Ok(Self { set, backbone })
    }

    /// What tells these data from others, with the noise and split of `experiment`: no pixel is read.
    ///
    /// # Errors
    /// Those of [`prepare_set`].
    pub(crate) fn hashes(self, experiment: &Experiment) -> Result<Hashes> {
        let of = prepare_set(self.set, &experiment.data, &experiment.noise, experiment.seed)?;
        Ok(Hashes { data: of.data_sha256, labels: of.manifest.labels_sha256 })
    }

    /// Draws the noise of `experiment` and splits; then puts what is left through the backbone. So
    /// noise and split are those of the same experiment without one.
    ///
    /// # Errors
    /// Those of [`prepare_set`] and [`Embedding::part`].
    pub fn prepare(self, experiment: &Experiment, embedding: &Embedding<'_>) -> Result<RunData> {
        let Self { set, backbone } = self;
        let prepared = prepare_set(set, &experiment.data, &experiment.noise, experiment.seed)?;
        let data =
            RunData { prepared, images: None, backbone: None, normalization: Arc::default() };
        match backbone {
            Some(backbone) => data.through(&backbone, embedding),
            None => Ok(data),
        }
    }
}

/// What tells the data of a run from others.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Hashes {
    /// See [`pemm_data::prepare::data_sha256`].
    pub(crate) data: String,
    /// Of the given labels of the training part.
    pub(crate) labels: String,
}

/// The data of a run. Clones share the pixels, and the normalisation once one of them has measured it.
#[derive(Debug, Clone)]
pub struct RunData {
    pub(crate) prepared: Prepared,
    /// The images that the samples were before they became features: row r of the training part, and
    /// of a validation part that was held out of it, is image r of this part.
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
        let open = |experiment: &Experiment| {
            Opened::open(experiment, embedding)?.prepare(experiment, embedding)
        };
        let mut hopeful = experiment.clone();
        hopeful.data.broken = BrokenImages::Error;
        // With a limit, samples are drawn among those that are sound, so these have to be known.
        let knows_all = hopeful.data == experiment.data || experiment.data.limit.is_some();
        if experiment.pretrained.backbone.is_none() || knows_all {
            return open(experiment);
        }
        // To look for broken images is to decode all of them, which takes longer than to fetch their
        // features from the cache. Most folders have none, and then the backbone meets none.
        match open(&hopeful) {
            Err(Error::Data(DataError::Broken { .. }) | Error::Embed(EmbedError::Image { .. })) => {
                open(experiment)
            }
            opened => opened,
        }
    }

    /// The data with the features of `backbone` in the place of its images.
    fn through(mut self, backbone: &Backbone, embedding: &Embedding<'_>) -> Result<Self> {
        let Prepared { train, val, sealed, .. } = &mut self.prepared;
        // What was held out shares the pixels, and goes through together with what is left.
        let num_train = train.len();
        let held = val.as_ref().filter(|val| Arc::ptr_eq(&val.pixels, &train.pixels));
        let mut images = train.clone();
        images.weights = None;
        if let Some(held) = held {
            images.rows.extend(&held.rows);
            images.given.extend(&held.given);
        }
        let features = embedding.part(backbone, &images)?;
        let of = |part: &Part, from: usize| Part {
            given: part.given.clone(),
            weights: part.weights.clone(),
            ..features.select(&(from..from + part.len()).collect::<Vec<_>>())
        };
        *val = match &*val {
            Some(own) if held.is_none() => Some(embedding.part(backbone, own)?),
            held => held.as_ref().map(|held| of(held, num_train)),
        };
        *train = of(train, 0);
        if let Some(test) = sealed.test_images() {
            *sealed = sealed.clone().with_test_images(embedding.part(backbone, &test)?);
        }
        self.prepared.shape = features.shape;
        let guesses = backbone.card().assumptions.iter();
        self.prepared.notes.extend(guesses.map(|guess| format!("pretrained backbone: {guess}")));
        self.backbone = Some(backbone.card().clone());
        self.images = Some(images);
        Ok(self)
    }

    /// Row in the source of each sample of `part`, the training part or one that was held out of it.
    pub(crate) fn source_rows(&self, part: &Part) -> Vec<u32> {
        match &self.images {
            Some(images) => part.rows.iter().map(|&row| images.rows[row as usize]).collect(),
            None => part.rows.clone(),
        }
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
