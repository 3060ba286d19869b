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
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    const FLIP_AND_SHIFT: Augment = Augment { flip: true, shift: 0.3, crop: 0, rotation: 0.0 };

    /// Images in which every value differs from its neighbours, in a part that counts down.
    fn part(num_samples: usize, shape: [usize; 3]) -> Part {
        let [channels, height, width] = shape;
        let shape = Shape { channels, height, width };
        let pixels = (0..num_samples * shape.len()).map(|at| (at * 37 % 251) as u8).collect();
        Part {
            pixels: Arc::new(Pixels::Decoded(pixels)),
            shape,
            rows: (0..num_samples as u32).rev().collect(),
            names: Arc::new((0..num_samples).map(|row| format!("{row:04}.png")).collect()),
            given: (0..num_samples as u32).map(|index| index % 3).collect(),
            weights: Some((0..num_samples).map(|index| index as f32 / 8.0).collect()),
        }
    }

    fn loader(part: Part, augment: Augment, batch_size: usize) -> Loader {
        let normalization = Normalization::of(&part).unwrap();
        Loader::new(part, normalization, augment, batch_size, Streams::new(1)).unwrap()
    }

    fn all(batches: Batches) -> Vec<Batch> {
        batches.collect::<Result<_>>().unwrap()
    }

    /// The same part as files, and the folder that holds them.
    fn in_files(part: &Part) -> (tempfile::TempDir, Part) {
        let folder = tempfile::tempdir().unwrap();
        let Pixels::Decoded(pixels) = &*part.pixels else { panic!("images in memory") };
        let Shape { channels, height, width } = part.shape;
        let area = height * width;
        let mut paths = Vec::new();
        for (planes, name) in pixels.chunks_exact(part.shape.len()).zip(&*part.names) {
            let value = |at| planes[at % channels * area + at / channels];
            let interleaved: Vec<u8> = (0..planes.len()).map(value).collect();
            let kind = if channels == 1 { image::ColorType::L8 } else { image::ColorType::Rgb8 };
            let path = folder.path().join(name);
            image::save_buffer(&path, &interleaved, width as u32, height as u32, kind).unwrap();
            paths.push(path);
        }
        let part = Part { pixels: Arc::new(Pixels::Files(paths)), ..part.clone() };
        (folder, part)
    }

    /// A separate Python program, with its own ChaCha8, gives the same orders and digests.
    #[test]
    fn golden_epochs() {
        let loader = loader(part(5, [3, 3, 4]), FLIP_AND_SHIFT, 2);
        let digest = |batches: &[Batch]| {
            let values = batches.iter().flat_map(|batch| &batch.pixels);
            let bytes: Vec<u8> = values.flat_map(|value| value.to_le_bytes()).collect();
            Sha256::digest(bytes)[..4].iter().map(|byte| format!("{byte:02x}")).collect::<String>()
        };
        let order = |batches: &[Batch]| {
            batches.iter().map(|batch| batch.indices.clone()).collect::<Vec<_>>()
        };
        let (first, second) = (all(loader.shuffled(0)), all(loader.shuffled(1)));
        let plain = all(loader.in_order());
        assert_eq!(order(&first), [[2, 1], [3, 0]]);
        assert_eq!(order(&second), [[3, 4], [1, 0]]);
        assert_eq!(order(&plain), [vec![0, 1], vec![2, 3], vec![4]]);
        assert_eq!(
            [digest(&first), digest(&second), digest(&plain)],
            ["85e1047b", "f0a2e451", "899f9ace"]
        );
    }

    #[test]
    fn every_sample_comes_once_with_its_own_label_and_weight() {
        for (num_samples, batch_size) in [(0, 2), (1, 2), (2, 2), (9, 4), (10, 4), (12, 4), (3, 8)]
        {
            let part = part(num_samples, [1, 2, 2]);
            let normalization = Normalization { mean: vec![0.5], deviation: vec![0.25] };
            let augment = Augment::default();
            let loader =
                Loader::new(part, normalization, augment, batch_size, Streams::new(3)).unwrap();
            let batches = all(loader.shuffled(7));
            assert_eq!(batches.len(), loader.num_batches());
            let mut seen: Vec<u32> = Vec::new();
            for batch in &batches {
                assert!((2..=batch_size).contains(&batch.len()));
                let weights = batch.weights.as_ref().unwrap();
                for (place, &index) in batch.indices.iter().enumerate() {
                    assert_eq!(batch.given[place], index % 3);
                    assert_eq!(weights[place], index as f32 / 8.0);
                    let row = loader.part().rows[index as usize] as usize;
                    let scaled = (row * 4 * 37 % 251) as f32 / 255.0;
                    let expected = (scaled - 0.5) / 0.25;
                    assert_eq!(batch.pixels[place * 4], expected);
                }
                seen.extend(&batch.indices);
            }
            seen.sort_unstable();
            seen.dedup();
            let dropped = usize::from(num_samples % batch_size == 1);
            assert_eq!(seen.len(), num_samples - dropped);

            let indices = all(loader.in_order()).into_iter().flat_map(|batch| batch.indices);
            assert!(indices.eq(0..num_samples as u32));
        }
    }

    /// Large enough for the thread that works ahead and for several threads in a batch.
    #[test]
    fn threads_change_nothing() {
        let part = part(70, [3, 40, 40]);
        let here = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let ahead = all(loader(part.clone(), FLIP_AND_SHIFT, 32).shuffled(4));
        assert!(here.install(|| all(loader(part, FLIP_AND_SHIFT, 32).shuffled(4)) == ahead));
    }

    #[test]
    fn a_sample_changes_alike_in_every_selection_and_apart_in_every_epoch() {
        let part = part(40, [3, 9, 9]);
        let subset: Vec<usize> = (5..25).collect();
        let whole = loader(part.clone(), FLIP_AND_SHIFT, 8);
        let normalization = Normalization::of(&part).unwrap();
        let streams = Streams::new(1);
        let some =
            Loader::new(part.select(&subset), normalization, FLIP_AND_SHIFT, 5, streams).unwrap();
        let by_row = |loader: &Loader, epoch| {
            let mut samples = std::collections::BTreeMap::new();
            for batch in all(loader.shuffled(epoch)) {
                for (pixels, &index) in batch.pixels.chunks(3 * 81).zip(&batch.indices) {
                    samples.insert(loader.part().rows[index as usize], pixels.to_vec());
                }
            }
            samples
        };
        let (first, second) = (by_row(&whole, 0), by_row(&whole, 1));
        let same = by_row(&some, 0);
        assert_eq!(same.len(), subset.len());
        assert!(same.iter().all(|(row, pixels)| first[row] == *pixels));
        assert!(first.iter().filter(|(row, pixels)| second[row] != **pixels).count() > 30);
    }

    #[test]
    fn files_and_memory_give_the_same_batches() {
        for shape in [[3, 10, 12], [1, 5, 3]] {
            let memory = part(11, shape);
            let (_folder, files) = in_files(&memory);
            assert_eq!(Normalization::of(&files).unwrap(), Normalization::of(&memory).unwrap());
            let [memory, files] = [memory, files].map(|part| loader(part, FLIP_AND_SHIFT, 4));
            assert_eq!(all(files.shuffled(2)), all(memory.shuffled(2)));
            assert_eq!(all(files.in_order()), all(memory.in_order()));
        }
    }

    #[test]
    fn a_pool_of_one_thread_that_reads_files_does_not_wait_for_itself() {
        let (_folder, files) = in_files(&part(8, [3, 4, 4]));
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let loader = loader(files, Augment::default(), 2);
        assert_eq!(pool.install(|| all(loader.in_order())).len(), 4);
    }

    #[test]
    fn vectors_are_normalised_and_never_changed() {
        let memory = part(6, [4, 1, 1]);
        let features = (0..24).map(|at| at as f32).collect();
        let vectors = Part { pixels: Arc::new(Pixels::Vectors(features)), ..memory };
        let normalization = Normalization { mean: vec![1.0; 4], deviation: vec![2.0; 4] };
        let streams = Streams::new(1);
        let refused =
            Loader::new(vectors.clone(), normalization.clone(), FLIP_AND_SHIFT, 2, streams);
        assert!(refused.unwrap_err().to_string().starts_with("augment.flip"));
        let loader = Loader::new(vectors, normalization, Augment::default(), 4, streams).unwrap();
        // Position 5 holds row 0.
        assert_eq!(all(loader.in_order())[1].pixels[4..], [-0.5, 0.0, 0.5, 1.0]);
    }

    #[test]
    fn broken_files_end_the_epoch_and_are_named() {
        let (folder, files) = in_files(&part(40, [3, 4, 4]));
        let loader = loader(files, FLIP_AND_SHIFT, 4);
        // Positions 6 and 5 of 40, whose rows count down.
        for name in ["0033.png", "0034.png"] {
            std::fs::write(folder.path().join(name), "no image").unwrap();
        }
        let mut batches = loader.in_order();
        assert!(batches.next().unwrap().is_ok());
        let Err(DataError::Broken { broken }) = batches.next().unwrap() else {
            panic!("the second batch is broken")
        };
        let names: Vec<_> = broken.iter().map(|(path, _)| path.file_name().unwrap()).collect();
        assert_eq!(names, ["0034.png", "0033.png"]);
        assert!(batches.next().is_none());
        assert_eq!(loader.shuffled(0).filter(Result::is_err).count(), 1);
    }

    #[test]
    fn a_reader_that_leaves_early_stops_the_work() {
        let (_folder, files) = in_files(&part(100, [3, 4, 4]));
        let loader = loader(files, FLIP_AND_SHIFT, 2);
        let mut batches = loader.shuffled(0);
        assert!(batches.next().unwrap().is_ok());
        drop(batches);
        let start = std::time::Instant::now();
        while Arc::strong_count(&loader.shared) > 1 {
            assert!(start.elapsed().as_secs() < 20, "the thread still holds the part");
            std::thread::yield_now();
        }
    }

    #[test]
    fn settings_are_checked() {
        let part = part(4, [3, 4, 4]);
        let new = |normalization: &Normalization, augment, batch_size| {
            let streams = Streams::new(1);
            Loader::new(part.clone(), normalization.clone(), augment, batch_size, streams)
        };
        let fitting = Normalization::of(&part).unwrap();
        let grey = Normalization { mean: vec![0.0], deviation: vec![1.0] };
        let wide = Augment { crop: 3, ..Default::default() };
        for (result, key) in [
            (new(&fitting, Augment::default(), 1), "batch_size: "),
            (new(&grey, Augment::default(), 2), "normalization: "),
            (new(&fitting, wide, 2), "augment.crop: "),
        ] {
            let error = result.unwrap_err().to_string();
            assert!(error.starts_with(key), "{error}");
        }
    }
}
