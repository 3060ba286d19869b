//! Normalisation per channel, measured on the training samples only.
//!
//! A pixel v of 0–255 becomes (v/255 - μ) / s, a feature x becomes (x - μ) / s, with the mean μ and
//! the population deviation s of its channel (each feature of a vector is a channel of its own).

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::dataset::{Part, Pixels, Shape};
use crate::error::{DataError, Result};
use crate::{decode, stop};

/// Images that are measured at most when they have to be decoded from files.
const MAX_FILES: usize = 10_000;

/// Mean and deviation of each channel, of pixels scaled to 0–1 or of features as they are.
///
/// A channel that is the same in every training sample, or whose deviation is below the smallest
/// positive `f32`, has deviation 1: it becomes 0 in training, and another value elsewhere stays
/// finite.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Normalization {
    /// Mean μ, `[C]`.
    pub mean: Vec<f32>,
    /// Population deviation s, `[C]`, positive.
    pub deviation: Vec<f32>,
}

impl Normalization {
    /// [`Self::of_until`] without a way to stop it.
    ///
    /// # Errors
    /// Those of [`Self::of_until`].
    pub fn of(part: &Part) -> Result<Self> {
        Self::of_until(part, &stop::NEVER)
    }

    /// Measures `part`, which must be the training part after limit and split.
    ///
    /// Pixels are summed as integers and features in `f64` in the order of the part, so the result
    /// does not depend on threads. Of image files at most 10,000 are decoded: with n files and
    /// m = min(n, 10,000), those at positions ⌊i·n/m⌋ for i in 0..m.
    ///
    /// # Errors
    /// [`DataError::Setting`] if there is no sample or a feature is not finite;
    /// [`DataError::Broken`] with every measured file that does not decode;
    /// [`DataError::Stopped`] once `stop` is set.
    pub fn of_until(part: &Part, stop: &AtomicBool) -> Result<Self> {
        if part.is_empty() || part.shape.is_empty() {
            let reason = "no training sample is left, but at least one is needed to measure mean \
                          and deviation; check data.limit, data.val_rate and data.labels";
            return Err(DataError::setting("data.path", reason));
        }
        match &*part.pixels {
            Pixels::Decoded(_) => of_images(part, &part.rows, stop),
            Pixels::Files(_) => {
                let num_measured = part.len().min(MAX_FILES);
                let spaced = |i| part.rows[i * part.len() / num_measured];
                of_images(part, &(0..num_measured).map(spaced).collect::<Vec<_>>(), stop)
            }
            Pixels::Vectors(features) => of_vectors(part, features),
        }
    }

    /// Refuses a normalisation that was measured on data of another kind, or tampered with.
    ///
    /// # Errors
    /// [`DataError::Setting`] for another number of channels, and for a value that cannot be.
    pub fn check(&self, shape: Shape) -> Result<()> {
        let refuse = |reason| Err(DataError::setting("normalization", reason));
        if [self.mean.len(), self.deviation.len()] != [shape.channels; 2] {
            return refuse(format!(
                "has {} means and {} deviations, but the data has {} channels; use data of the \
                 kind that the model was trained on",
                self.mean.len(),
                self.deviation.len(),
                shape.channels,
            ));
        }
        for (channel, (mean, deviation)) in self.mean.iter().zip(&self.deviation).enumerate() {
            if !(mean.is_finite() && deviation.is_finite() && *deviation > 0.0) {
                return refuse(format!(
                    "mean must be finite and deviation finite and positive, but channel {channel} \
                     has {mean} and {deviation}; measure the training data anew",
                ));
            }
        }
        Ok(())
    }

    /// The normalised value of each pixel value, per channel: `tables[c][v]`.
    pub(crate) fn tables(&self) -> Vec<[f32; 256]> {
        let table = |(&mean, &deviation): (&f32, &f32)| {
            std::array::from_fn(|value| {
                // Rounded like the mean, so that a constant channel becomes exactly 0.
                let scaled = (value as f64 / 255.0) as f32;
                ((f64::from(scaled) - f64::from(mean)) / f64::from(deviation)) as f32
            })
        };
        self.mean.iter().zip(&self.deviation).map(table).collect()
    }

    /// Writes one normalised vector, `[D]`.
    pub(crate) fn write_vector(&self, features: &[f32], out: &mut [f32]) {
        let scale = self.mean.iter().zip(&self.deviation);
        for ((out, &feature), (&mean, &deviation)) in out.iter_mut().zip(features).zip(scale) {
            *out = ((f64::from(feature) - f64::from(mean)) / f64::from(deviation)) as f32;
        }
    }
}

/// Image `row` of the source, `[C, H, W]`; an error is the file and what is wrong with it. Vectors
/// have no images.
pub(crate) fn image(part: &Part, row: u32) -> Result<Cow<'_, [u8]>, (PathBuf, String)> {
    let (row, shape) = (row as usize, part.shape);
    match &*part.pixels {
        Pixels::Decoded(pixels) => Ok(pixels[row * shape.len()..][..shape.len()].into()),
        Pixels::Files(paths) => {
            let size = Some([shape.height, shape.width]);
            let image = decode::image_file(&paths[row], Some(shape.channels), size)
                .map_err(|reason| (paths[row].clone(), reason))?;
            assert_eq!(image.shape, shape, "the decoder gives the shape that it is asked for");
            Ok(image.pixels.into())
        }
        Pixels::Vectors(_) => unreachable!("vectors are read as features"),
    }
}

/// Sums of pixel values, which as integers do not depend on the order.
struct Tally {
    /// Sum and sum of squares per channel.
    sums: Vec<[u64; 2]>,
    broken: Vec<(PathBuf, String)>,
}

impl Tally {
    fn new(shape: Shape) -> Self {
        Self { sums: vec![[0; 2]; shape.channels], broken: Vec::new() }
    }

    fn add(&mut self, pixels: &[u8]) {
        // 65,536 squares of a byte still fit in 32 bits, and short sums are fast.
        const BLOCK: usize = 1 << 16;
        let area = pixels.len() / self.sums.len();
        for (plane, [sum, squares]) in pixels.chunks_exact(area).zip(&mut self.sums) {
            for block in plane.chunks(BLOCK) {
                *sum += u64::from(block.iter().map(|&v| u32::from(v)).sum::<u32>());
                *squares += u64::from(block.iter().map(|&v| u32::from(v).pow(2)).sum::<u32>());
            }
        }
    }

    fn merge(mut self, other: Self) -> Self {
        for (sums, others) in self.sums.iter_mut().zip(other.sums) {
            sums[0] += others[0];
            sums[1] += others[1];
        }
        self.broken.extend(other.broken);
        self
    }
}

fn of_images(part: &Part, rows: &[u32], stop: &AtomicBool) -> Result<Normalization> {
    let empty = || Tally::new(part.shape);
    let add = |mut tally: Tally, &row: &u32| {
        // The tally of a stopped pass is not used.
        if stop::check(stop).is_err() {
            return tally;
        }
        match image(part, row) {
            Ok(pixels) => tally.add(&pixels),
            Err(broken) => tally.broken.push(broken),
        }
        tally
    };
    let tally = rows.par_iter().fold(empty, add).reduce(empty, Tally::merge);
    stop::check(stop)?;
    if !tally.broken.is_empty() {
        return Err(DataError::Broken { broken: tally.broken });
    }
    let num_pixels = (rows.len() * part.shape.height * part.shape.width) as u128;
    let mean = |&[sum, _]: &[u64; 2]| (sum as f64 / num_pixels as f64 / 255.0) as f32;
    let deviation = |&[sum, squares]: &[u64; 2]| {
        // n Σv² - (Σv)² is exact, so it is 0 only if all pixels are equal.
        let scaled = num_pixels * u128::from(squares) - u128::from(sum).pow(2);
        positive(libm::sqrt(scaled as f64) / num_pixels as f64 / 255.0)
    };
    Ok(Normalization {
        mean: tally.sums.iter().map(mean).collect(),
        deviation: tally.sums.iter().map(deviation).collect(),
    })
}

fn of_vectors(part: &Part, features: &[f32]) -> Result<Normalization> {
    let num_features = part.shape.len();
    let vector = |row: u32| &features[row as usize * num_features..][..num_features];
    let mut means = vec![0.0; num_features];
    for (index, &row) in part.rows.iter().enumerate() {
        for (feature, (mean, &value)) in means.iter_mut().zip(vector(row)).enumerate() {
            if !value.is_finite() {
                let name = part.name(index);
                let reason = format!(
                    "features must be finite, but feature {feature} of sample {name} is {value}; \
                     repair it or remove the sample"
                );
                return Err(DataError::setting("data.path", reason));
            }
            *mean += f64::from(value);
        }
    }
    means.iter_mut().for_each(|mean| *mean /= part.len() as f64);

    let first = vector(part.rows[0]);
    let mut squares = vec![0.0; num_features];
    // A mean is rounded, so equal features are told by comparison and not by a sum of 0.
    let mut constant = vec![true; num_features];
    for &row in &part.rows {
        for (feature, &value) in vector(row).iter().enumerate() {
            squares[feature] += (f64::from(value) - means[feature]).powi(2);
            constant[feature] &= value == first[feature];
        }
    }
    let deviation = |(&squares, constant): (&f64, bool)| {
        if constant { 1.0 } else { positive(libm::sqrt(squares / part.len() as f64)) }
    };
    Ok(Normalization {
        mean: means.iter().map(|&mean| mean as f32).collect(),
        deviation: squares.iter().zip(constant).map(deviation).collect(),
    })
}

/// The deviation, or 1 where it is 0.
fn positive(deviation: f64) -> f32 {
    let deviation = deviation as f32;
    if deviation > 0.0 { deviation } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn part(pixels: Pixels, shape: [usize; 3], rows: &[u32]) -> Part {
        let [channels, height, width] = shape;
        Part {
            pixels: Arc::new(pixels),
            shape: Shape { channels, height, width },
            rows: rows.to_vec(),
            names: Arc::new((0..10).map(|row| format!("s{row}")).collect()),
            given: vec![0; rows.len()],
            weights: None,
        }
    }

    #[test]
    fn channels_are_measured_apart_and_only_on_the_part() {
        // Two channels of 1×2 pixels; row 1 does not belong to the part.
        let pixels = vec![0, 255, 51, 51, 9, 9, 9, 9, 255, 0, 51, 51];
        let of = Normalization::of(&part(Pixels::Decoded(pixels), [2, 1, 2], &[2, 0])).unwrap();
        assert_eq!(of.mean, [0.5, 0.2]);
        assert_eq!(of.deviation, [0.5, 1.0], "a constant channel has deviation 1");
        let tables = of.tables();
        assert_eq!([tables[0][0], tables[0][255], tables[1][51]], [-1.0, 1.0, 0.0]);
    }

    #[test]
    fn images_larger_than_a_block_of_sums_do_not_overflow() {
        let white = vec![255; 300 * 300];
        let of = Normalization::of(&part(Pixels::Decoded(white), [1, 300, 300], &[0])).unwrap();
        assert_eq!(of, Normalization { mean: vec![1.0], deviation: vec![1.0] });
    }

    #[test]
    fn features_are_measured_each_by_itself() {
        let features = Pixels::Vectors(vec![1.0, 0.1, -2.0, 3.0, 0.1, 2.0, 5.0, 0.1, 0.0]);
        let of = Normalization::of(&part(features, [3, 1, 1], &[0, 1, 2])).unwrap();
        let deviation = (8.0f64 / 3.0).sqrt() as f32;
        assert_eq!(of.mean, [3.0, 0.1, 0.0]);
        assert_eq!(of.deviation, [deviation, 1.0, deviation]);
        let mut out = [f32::NAN; 3];
        of.write_vector(&[3.0 + deviation, 0.1, f32::MAX], &mut out);
        assert_eq!((out[0], out[1]), (1.0, 0.0));
        assert!(out[2].is_finite());
    }

    #[test]
    fn what_cannot_be_measured_is_named() {
        let text = |part: &Part| Normalization::of(part).unwrap_err().to_string();
        let features = Pixels::Vectors(vec![1.0, 2.0, f32::NAN, 4.0]);
        let message = text(&part(features, [2, 1, 1], &[0, 1]));
        assert!(message.contains("feature 0 of sample s1 is NaN"), "{message}");
        let message = text(&part(Pixels::Decoded(vec![]), [3, 2, 2], &[]));
        assert!(message.contains("no training sample"), "{message}");
        let missing = Pixels::Files(vec!["b/missing.png".into(), "a/missing.jpg".into()]);
        let message = text(&part(missing, [3, 2, 2], &[0, 1]));
        let places = [message.find("b/missing.png"), message.find("a/missing.jpg")];
        assert!(places[0].is_some() && places[0] < places[1], "in order: {message}");
    }

    #[test]
    fn a_foreign_or_broken_normalization_is_refused() {
        let shape = Shape { channels: 2, height: 1, width: 1 };
        let check = |mean: &[f32], deviation: &[f32]| {
            Normalization { mean: mean.to_vec(), deviation: deviation.to_vec() }.check(shape)
        };
        check(&[0.0, 1.0], &[1.0, 2.0]).unwrap();
        for (mean, deviation) in [
            (&[0.0][..], &[1.0][..]),
            (&[0.0, 0.0], &[1.0]),
            (&[0.0, 0.0], &[1.0, 0.0]),
            (&[0.0, 0.0], &[1.0, f32::INFINITY]),
            (&[0.0, f32::NAN], &[1.0, 1.0]),
        ] {
            assert!(check(mean, deviation).is_err(), "{mean:?} {deviation:?}");
        }
    }
}
