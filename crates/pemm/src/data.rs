//! The data of a run: the parts, and the mean and deviation of the training images.

use std::sync::{Arc, OnceLock};

use pemm_data::normalize::Normalization;
use pemm_data::prepare::{Prepared, prepare};
use pemm_experiment::{DataFacts, Experiment};

use crate::error::Result;

/// The data of a run. Clones share the pixels, and the normalisation once one of them has measured it.
#[derive(Debug, Clone)]
pub struct RunData {
    pub(crate) prepared: Prepared,
    normalization: Arc<OnceLock<Normalization>>,
}

impl RunData {
    /// Opens the data that `experiment` names, draws its noise and splits.
    ///
    /// # Errors
    /// Those of [`prepare`].
    pub fn open(experiment: &Experiment) -> Result<Self> {
        Ok(Self::of(prepare(&experiment.data, &experiment.noise, experiment.seed)?))
    }

    /// Of parts that are prepared already.
    pub fn of(prepared: Prepared) -> Self {
        Self { prepared, normalization: Arc::default() }
    }

    /// What the data say that an experiment leaves to them.
    pub fn facts(&self) -> DataFacts {
        DataFacts::of(&self.prepared)
    }

    /// Mean and deviation of the training images, which are read for it the first time.
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
