//! Images through a backbone, in order, several at a time.
//!
//! Images are independent, so threads work on different images and never inside of one: the features
//! of an image have the same bits whatever the number of threads. Work goes in blocks; after each
//! one its new features are in the cache and its rows are handed on, so memory holds one block
//! whatever the number of images.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use pemm_data::{Part, Pixels};

use crate::backbone::{Backbone, one_thread};
use crate::cache::{FeatureCache, Key};
use crate::error::{EmbedError, Result};
use crate::preprocessing::Picture;

/// Images in a block.
const BLOCK: usize = 256;
/// Most images at a time.
const MAX_THREADS: usize = 256;

/// An image with its name for messages.
#[derive(Debug, Clone, Copy)]
pub struct Sample<'a> {
    /// Name, for example a path relative to the data.
    pub name: &'a str,
    /// The image.
    pub picture: Picture<'a>,
}

/// How far the work is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// Images finished.
    pub done: usize,
    /// All images.
    pub total: usize,
    /// Of the finished ones, those whose features were in the cache.
    pub from_cache: usize,
    /// Time since the start.
    pub elapsed: Duration,
}

impl Progress {
    /// Time left at the pace of the images that were computed, or `None` before there is one.
    pub fn left(&self) -> Option<Duration> {
        let computed = self.done - self.from_cache;
        let rest = (self.total - self.done) as f64;
        (computed > 0).then(|| self.elapsed.mul_f64(rest / computed as f64))
    }
}

/// How images are worked on.
#[derive(Default)]
pub struct EmbedOptions<'a> {
    /// Images at a time; 0 for as many as there are processors.
    pub threads: usize,
    /// Is told after each image, from any thread.
    pub progress: Option<&'a (dyn Fn(Progress) + Sync)>,
    /// Ends the work soon after it becomes true.
    pub cancelled: Option<&'a AtomicBool>,
}

impl std::fmt::Debug for EmbedOptions<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EmbedOptions").field("threads", &self.threads).finish_non_exhaustive()
    }
}

/// The samples of a part, in its order.
///
/// Image files are taken at their own size, whatever the shape of the part.
///
/// # Errors
/// [`EmbedError::Image`] for a part of feature vectors.
pub fn samples(part: &Part) -> Result<Vec<Sample<'_>>> {
    let len = part.shape.len();
    let picture = |index: usize| {
        let row = part.rows[index] as usize;
        let name = part.name(index);
        let picture = match &*part.pixels {
            Pixels::Files(paths) => Picture::File(&paths[row]),
            Pixels::Decoded(pixels) => {
                Picture::Pixels { pixels: &pixels[row * len..(row + 1) * len], shape: part.shape }
            }
            Pixels::Vectors(_) => {
                let reason = "feature vectors have no image for a backbone; train on them without \
                              one";
                return Err(EmbedError::Image { sample: name.into(), reason: reason.into() });
            }
        };
        Ok(Sample { name, picture })
    };
    (0..part.len()).map(picture).collect()
}

/// What all threads share while they work on one block.
struct Work<'a, 'b> {
    backbone: &'b Backbone,
    samples: &'a [Sample<'a>],
    options: &'b EmbedOptions<'b>,
    cache: Mutex<Option<&'b mut FeatureCache>>,
    done: AtomicUsize,
    from_cache: AtomicUsize,
    start: Instant,
}

/// Key and features of an image, and whether they are new.
type Row = (Key, Vec<f32>, bool);

impl Backbone {
    /// Puts `samples` through the network and hands on their features in order, a block of whole
    /// rows `[n, num_features]` at a time.
    ///
    /// # Errors
    /// The first sample, in their order within a block, that is no image or whose features are not
    /// finite; [`EmbedError::Cancelled`]; whatever `each` or the cache fails with. What was finished
    /// before is in the cache.
    pub fn embed(
        &self,
        samples: &[Sample<'_>],
        cache: Option<&mut FeatureCache>,
        options: &EmbedOptions<'_>,
        each: &mut dyn FnMut(&[f32]) -> Result<()>,
    ) -> Result<()> {
        let available = || thread::available_parallelism().map_or(1, usize::from);
        let threads = if options.threads == 0 { available() } else { options.threads };
        let pools: Vec<_> =
            (0..threads.min(samples.len()).min(MAX_THREADS)).map(|_| one_thread()).collect();
        let work = Work {
            backbone: self,
            samples,
            options,
            cache: Mutex::new(cache),
            done: AtomicUsize::new(0),
            from_cache: AtomicUsize::new(0),
            start: Instant::now(),
        };
        for start in (0..samples.len()).step_by(BLOCK) {
            let rows = work.block(start, &pools)?;
            each(&rows)?;
        }
        Ok(())
    }

    /// The features of all `samples`, `[N, num_features]`.
    ///
    /// # Errors
    /// As [`Self::embed`].
    pub fn embed_all(
        &self,
        samples: &[Sample<'_>],
        cache: Option<&mut FeatureCache>,
        options: &EmbedOptions<'_>,
    ) -> Result<Vec<f32>> {
        let mut all = Vec::new();
        self.embed(samples, cache, options, &mut |rows| {
            all.extend_from_slice(rows);
            Ok(())
        })?;
        Ok(all)
    }
}

impl Work<'_, '_> {
    /// The rows of the block that begins at `start`.
    fn block(&self, start: usize, pools: &[std::sync::Arc<rten::ThreadPool>]) -> Result<Vec<f32>> {
        let end = (start + BLOCK).min(self.samples.len());
        let (next, failed) = (AtomicUsize::new(start), AtomicBool::new(false));
        let finished: Mutex<BTreeMap<usize, Result<Row>>> = Mutex::new(BTreeMap::new());
        let work = |pool: &std::sync::Arc<rten::ThreadPool>| {
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                if index >= end || self.is_cancelled() || failed.load(Ordering::Relaxed) {
                    break;
                }
                let row = self.row(index, pool);
                failed.fetch_or(row.is_err(), Ordering::Relaxed);
                finished.lock().expect("no thread panics with the lock").insert(index, row);
            }
        };
        thread::scope(|scope| {
            for pool in pools {
                scope.spawn(|| work(pool));
            }
        });
        let finished = finished.into_inner().expect("no thread panics with the lock");
        let (mut rows, mut new, mut error) = (Vec::new(), BTreeMap::new(), None);
        let num_finished = finished.len();
        for row in finished.into_values() {
            match row {
                Ok((key, features, is_new)) => {
                    rows.extend_from_slice(&features);
                    if is_new {
                        new.insert(key, features);
                    }
                }
                Err(found) => error = error.or(Some(found)),
            }
        }
        if let Some(cache) = &mut *self.cache.lock().expect("no thread panics with the lock") {
            cache.put(&new.into_iter().collect::<Vec<_>>())?;
        }
        if let Some(error) = error {
            return Err(error);
        }
        if num_finished < end - start {
            let done = self.done.load(Ordering::Relaxed);
            return Err(EmbedError::Cancelled { done, total: self.samples.len() });
        }
        Ok(rows)
    }

    fn is_cancelled(&self) -> bool {
        self.options.cancelled.is_some_and(|cancelled| cancelled.load(Ordering::Relaxed))
    }

    /// The features of one image.
    fn row(&self, index: usize, pool: &std::sync::Arc<rten::ThreadPool>) -> Result<Row> {
        let sample = &self.samples[index];
        let wrong = |reason: String| EmbedError::Image { sample: sample.name.to_string(), reason };
        let loaded = sample.picture.load().map_err(wrong)?;
        let key = loaded.hash();
        let cached = match &mut *self.cache.lock().expect("no thread panics with the lock") {
            Some(cache) => cache.get(&key)?,
            None => None,
        };
        let is_new = cached.is_none();
        let features = match cached {
            Some(features) => features,
            None => {
                let card = self.backbone.card();
                let image = loaded.prepare(&card.preprocessing, card.layout).map_err(wrong)?;
                drop(loaded);
                self.backbone.features(image, pool)?
            }
        };
        if let Some(feature) = features.iter().position(|value| !value.is_finite()) {
            return Err(EmbedError::NotFinite {
                file: self.backbone.path().to_path_buf(),
                sample: sample.name.to_string(),
                feature,
                value: features[feature],
            });
        }
        // Whoever reports the last image sees all that came from the cache.
        self.from_cache.fetch_add(usize::from(!is_new), Ordering::SeqCst);
        let done = self.done.fetch_add(1, Ordering::SeqCst) + 1;
        if let Some(progress) = self.options.progress {
            let from_cache = self.from_cache.load(Ordering::SeqCst).min(done);
            let (total, elapsed) = (self.samples.len(), self.start.elapsed());
            progress(Progress { done, total, from_cache, elapsed });
        }
        Ok((key, features, is_new))
    }
}
