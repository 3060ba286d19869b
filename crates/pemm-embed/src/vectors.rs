//! A data set of images becomes one of feature vectors: what training, audit and prediction take.

use std::sync::Arc;

use pemm_data::{DataSet, Part, Pixels, Shape};

use crate::backbone::Backbone;
use crate::cache::FeatureCache;
use crate::embed::{EmbedOptions, samples};
use crate::error::Result;

impl Backbone {
    /// `part` with features in the place of its images; names, labels, weights and order stay.
    ///
    /// Memory: `4 · N · num_features` bytes, for example 5 GB for 1,000,000 images and 1,280
    /// features.
    ///
    /// # Errors
    /// As [`Backbone::embed`], and for a part that has no images.
    pub fn vectors(
        &self,
        part: &Part,
        cache: Option<&mut FeatureCache>,
        options: &EmbedOptions<'_>,
    ) -> Result<Part> {
        let features = self.embed_all(&samples(part)?, cache, options)?;
        Ok(Part {
            pixels: Arc::new(Pixels::Vectors(features)),
            shape: Shape { channels: self.num_features(), height: 1, width: 1 },
            rows: (0..part.len() as u32).collect(),
            names: Arc::new((0..part.len()).map(|index| part.name(index).to_string()).collect()),
            ..part.clone()
        })
    }

    /// `set` with features in the place of its images, in all of its parts, one after the other:
    /// progress and cancellation tell of each part on its own.
    ///
    /// # Errors
    /// As [`Self::vectors`].
    pub fn vectors_of_all(
        &self,
        set: DataSet,
        mut cache: Option<&mut FeatureCache>,
        options: &EmbedOptions<'_>,
    ) -> Result<DataSet> {
        let mut vectors = |part: &Part| self.vectors(part, cache.as_deref_mut(), options);
        let train = vectors(&set.train)?;
        let val = set.val.as_ref().map(&mut vectors).transpose()?;
        let test = set.test.as_ref().map(&mut vectors).transpose()?;
        Ok(DataSet { train, val, test, ..set })
    }
}
