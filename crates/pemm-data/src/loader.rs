//! Batches of normalised samples, made ahead of their use.
//!
//! What a batch holds depends on the part, the seed and the epoch only: the order of an epoch comes
//! from the `Shuffle` substream of the epoch, the change of a sample from the `Augment` substream of
//! the epoch and the sample's row in its source. Threads decide nothing but the time it takes.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rayon::prelude::*;

use crate::ahead::{Ahead, Stopped};
use crate::augment::{Augment, Change};
use crate::dataset::{Part, Pixels, Shape};
use crate::error::{DataError, Result};
use crate::normalize::{Normalization, image};
use crate::seed::{Stream, Streams};
use crate::stop;

/// Values that one thread writes in about 0.1 ms. A batch in memory that is not larger is made where
/// it is asked for: threads make an epoch of 8×8 digits three times slower.
const SMALL: usize = 1 << 16;

/// Some samples of a part, ready for a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Normalised values, `[N, C, H, W]`.
    pub pixels: Vec<f32>,
    /// Size of each sample.
    pub shape: Shape,
    /// Given labels, `[N]`.
    pub given: Vec<u32>,
    /// Weight of each sample in the training loss, `[N]`, if the part has weights.
    pub weights: Option<Vec<f32>>,
    /// Position of each sample in the part, `[N]`.
    pub indices: Vec<u32>,
}

impl Batch {
    /// Number of samples N.
    pub fn len(&self) -> usize {
        self.indices.len()
    }
    /// Whether there is no sample; a loader never gives such a batch.
    pub fn is_empty(&self) -> bool {
        self.indices.is_empty()
    }
}

/// Gives the samples of one part in batches.
#[derive(Debug, Clone)]
pub struct Loader {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    part: Part,
    normalization: Normalization,
    /// Normalised value of each pixel value, per channel; empty for vectors.
    tables: Vec<[f32; 256]>,
    augment: Augment,
    batch_size: usize,
    streams: Streams,
}

/// Number of batches of `size` of a shuffled epoch of `len` samples: a last batch of one is left out.
pub fn num_batches(len: usize, size: usize) -> usize {
    len / size + usize::from(len % size > 1)
}

impl Loader {
    /// A loader of `part` in batches of `batch_size` samples, which must be at least 2.
    ///
    /// # Errors
    /// [`DataError::Setting`] if the batch size is below 2, or if `normalization` or `augment` do
    /// not fit the part's shape.
    ///
    /// # Panics
    /// If the part contradicts itself (a row outside of its pixels, labels of another number).
    pub fn new(
        part: Part,
        normalization: Normalization,
        augment: Augment,
        batch_size: usize,
        streams: Streams,
    ) -> Result<Self> {
        if batch_size < 2 {
            let reason = format!("must be at least 2, as BatchNorm needs, but is {batch_size}");
            return Err(DataError::setting("batch_size", reason));
        }
        normalization.check(part.shape)?;
        let (vectors, num_rows) = match &*part.pixels {
            Pixels::Decoded(pixels) => (false, pixels.len() / part.shape.len().max(1)),
            Pixels::Vectors(features) => (true, features.len() / part.shape.len().max(1)),
            Pixels::Files(paths) => (false, paths.len()),
        };
        augment.check(part.shape, vectors)?;
        assert!(!part.shape.is_empty(), "a sample has values");
        assert!(part.rows.iter().all(|&row| (row as usize) < num_rows), "rows lie in the pixels");
        assert_eq!(part.given.len(), part.len(), "one given label per sample");
        assert!(part.weights.as_ref().is_none_or(|w| w.len() == part.len()), "one weight a sample");
        let tables = if vectors { Vec::new() } else { normalization.tables() };
        let shared = Shared { part, normalization, tables, augment, batch_size, streams };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The part whose samples this gives.
    pub fn part(&self) -> &Part {
        &self.shared.part
    }

    /// Number of batches of a [`Self::shuffled`] epoch.
    pub fn num_batches(&self) -> usize {
        num_batches(self.shared.part.len(), self.shared.batch_size)
    }

    /// All samples in the order of `epoch` (below 2³²), augmented. If the last batch would hold a
    /// single sample, that sample is left out of this epoch, because BatchNorm needs two; which one
    /// it is changes with the epoch.
    ///
    /// A file that does not decode ends the epoch with [`DataError::Broken`], which names every
    /// such file of its batch.
    ///
    /// # Panics
    /// If the epoch is 2³² or more.
    pub fn shuffled(&self, epoch: u64) -> Batches {
        assert!(epoch >> 32 == 0, "an epoch and a row share the 64 bits of a substream's number");
        let mut order = self.positions();
        self.shared.streams.open_at(Stream::Shuffle, epoch).shuffle(&mut order);
        if order.len() % self.shared.batch_size == 1 {
            order.pop();
        }
        self.batches(order, Some(epoch))
    }

    /// All samples in the order of the part, not augmented; the last batch may hold one sample.
    /// Errors are those of [`Self::shuffled`].
    pub fn in_order(&self) -> Batches {
        self.batches(self.positions(), None)
    }

    fn positions(&self) -> Vec<u32> {
        (0..self.shared.part.len() as u32).collect()
    }

    fn batches(&self, order: Vec<u32>, epoch: Option<u64>) -> Batches {
        let pass = Pass { shared: self.shared.clone(), order, epoch, next: 0 };
        // A pool thread that waits for a batch could be the one that has to make it.
        let in_pool = rayon::current_thread_index().is_some();
        let values = self.shared.batch_size.saturating_mul(self.shared.part.shape.len());
        if in_pool || (values <= SMALL && !self.shared.decodes()) || self.num_batches() < 2 {
            return Batches(Source::Here(pass));
        }
        // Without a thread the batches come later, but they come.
        Batches(Ahead::of(pass.clone()).map_or(Source::Here(pass), Source::Ahead))
    }
}

/// The batches of one pass over a part. They are made on a thread of their own, at most three ahead
/// of the reader; small ones in memory, and those asked for from inside a rayon pool, are made when
/// they are asked for. Dropping this early ends the thread after the batch that it is making.
#[derive(Debug)]
pub struct Batches(Source);

#[derive(Debug)]
enum Source {
    Here(Pass),
    Ahead(Ahead<Result<Batch>>),
}

impl Batches {
    /// The next batch, or [`DataError::Stopped`] if `stop` is set before it is ready. A batch that is
    /// being made goes on in the background and is thrown away.
    ///
    /// Where batches are made when they are asked for, the one under way ends first.
    pub fn next_until(&mut self, stop: &AtomicBool) -> Option<Result<Batch>> {
        match &mut self.0 {
            Source::Here(pass) => match stop::check(stop) {
                Ok(()) => pass.next(),
                Err(stopped) => Some(Err(stopped)),
            },
            Source::Ahead(batches) => match batches.next_until(stop) {
                Ok(batch) => batch,
                Err(Stopped) => Some(Err(DataError::Stopped)),
            },
        }
    }
}

impl Iterator for Batches {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Source::Here(pass) => pass.next(),
            Source::Ahead(batches) => batches.next(),
        }
    }
}

/// Makes the batches of one pass, each when it is asked for.
#[derive(Debug, Clone)]
struct Pass {
    shared: Arc<Shared>,
    /// Positions in the part.
    order: Vec<u32>,
    /// The epoch whose changes are drawn, if samples are changed.
    epoch: Option<u64>,
    /// Place in `order` of the next batch.
    next: usize,
}

impl Iterator for Pass {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = &self.order[self.next..];
        let indices = &rest[..rest.len().min(self.shared.batch_size)];
        if indices.is_empty() {
            return None;
        }
        let batch = self.shared.batch(indices, self.epoch);
        self.next = if batch.is_ok() { self.next + indices.len() } else { self.order.len() };
        Some(batch)
    }
}

impl Shared {
    fn decodes(&self) -> bool {
        matches!(*self.part.pixels, Pixels::Files(_))
    }

    fn batch(&self, indices: &[u32], epoch: Option<u64>) -> Result<Batch> {
        let part = &self.part;
        let num_values = part.shape.len();
        let mut pixels = vec![0.0; indices.len() * num_values];
        let write = |(out, &index): (&mut [f32], &u32)| {
            self.write(part.rows[index as usize], epoch, out).err()
        };
        // One file is work enough for a thread to take; of samples in memory it takes several.
        let at_once = if self.decodes() { 1 } else { SMALL.div_ceil(num_values) };
        let broken: Vec<(PathBuf, String)> = if at_once >= indices.len() {
            pixels.chunks_exact_mut(num_values).zip(indices).filter_map(write).collect()
        } else {
            let samples = pixels.par_chunks_exact_mut(num_values).zip(indices);
            samples.with_min_len(at_once).filter_map(write).collect()
        };
        if !broken.is_empty() {
            return Err(DataError::Broken { broken });
        }
        let pick = |index: &u32| *index as usize;
        Ok(Batch {
            pixels,
            shape: part.shape,
            given: indices.iter().map(|index| part.given[pick(index)]).collect(),
            weights: (part.weights.as_ref())
                .map(|weights| indices.iter().map(|index| weights[pick(index)]).collect()),
            indices: indices.to_vec(),
        })
    }

    /// Writes one sample; an error is the file and what is wrong with it.
    fn write(
        &self,
        row: u32,
        epoch: Option<u64>,
        out: &mut [f32],
    ) -> Result<(), (PathBuf, String)> {
        if let Pixels::Vectors(features) = &*self.part.pixels {
            let features = &features[row as usize * out.len()..][..out.len()];
            self.normalization.write_vector(features, out);
            return Ok(());
        }
        let shape = self.part.shape;
        let change = match epoch {
            Some(epoch) if !self.augment.is_none() => {
                let at = (epoch << 32) | u64::from(row);
                self.augment.draw(&mut self.streams.open_at(Stream::Augment, at), shape)
            }
            _ => Change::default(),
        };
        change.write(&image(&self.part, row)?, shape, &self.tables, out);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
