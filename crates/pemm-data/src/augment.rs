//! Random changes of training images, applied while an image is normalised.
//!
//! An image is rotated, then flipped, then shifted, then cropped; `Change::write` does the last three in
//! one pass from bytes to normalised values.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::config::AugmentConfig;
use crate::dataset::Shape;
use crate::error::{DataError, Result};
use crate::seed::Rng;

/// What is drawn for each training image, with every default resolved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Augment {
    /// Mirror left and right with probability ½.
    pub flip: bool,
    /// Shift down by `round(u)` pixels with u uniform in [-s·H, s·H), right by the same with W,
    /// halves rounded away from zero, for this s of 0 to 0.5. What comes in is the nearest pixel of
    /// the edge. Like Keras' `width_shift_range`, but always by whole pixels.
    pub shift: f64,
    /// Pad each side by this many zeros (the mean colour) and crop back to size at a uniform place.
    pub crop: usize,
    /// Rotate about the middle by a uniform angle of up to so many degrees either way, 0 to 180. Each pixel
    /// is the one that its middle falls on, and black where that is outside, as torchvision's
    /// `RandomRotation` has it.
    pub rotation: f64,
}

impl Augment {
    /// Fills in what `config` leaves out and checks what it gives.
    ///
    /// Images of at least 8×8 pixels are shifted by up to a tenth of their sides, small ones by up to
    /// a pixel, unless `crop` moves them; colour images (three channels) larger than 8×8 are flipped
    /// too, grey ones are not, for they may be letters or digits. Smaller images and vectors are left
    /// alone. `vectors` says that the samples are feature vectors.
    ///
    /// # Errors
    /// [`DataError::Setting`] with the key for a shift outside 0 to 0.5, a crop above half of the
    /// smaller side, a rotation outside 0 to 180, and any change of vectors.
    pub fn resolve(config: &AugmentConfig, shape: Shape, vectors: bool) -> Result<Self> {
        let side = shape.height.min(shape.width);
        let photo = !vectors && shape.channels == 3 && side > 8;
        let moves = !vectors && side >= 8 && config.crop.is_none_or(|crop| crop == 0);
        // From -1.5 to 1.5 pixels, rounded, is -1, 0 or 1, each as often.
        let shift = if moves { (1.5 / side as f64).max(0.1) } else { 0.0 };
        let augment = Self {
            flip: config.flip.unwrap_or(photo),
            shift: config.shift.unwrap_or(shift),
            crop: config.crop.unwrap_or(0),
            rotation: config.rotation.unwrap_or(0.0),
        };
        augment.check(shape, vectors)?;
        Ok(augment)
    }

    /// Whether images stay as they are.
    pub fn is_none(self) -> bool {
        self == Self::default()
    }

    /// The rules that [`Self::resolve`] names.
    pub(crate) fn check(self, shape: Shape, vectors: bool) -> Result<()> {
        if vectors && !self.is_none() {
            let (key, value) = match self {
                Self { flip: true, .. } => ("augment.flip", "true".to_string()),
                Self { crop: 1.., .. } => ("augment.crop", self.crop.to_string()),
                _ if self.shift != 0.0 => ("augment.shift", self.shift.to_string()),
                _ => ("augment.rotation", self.rotation.to_string()),
            };
            let reason =
                format!("is {value}, but only images can be changed; remove it for vectors");
            return Err(DataError::setting(key, reason));
        }
        if !(0.0..=0.5).contains(&self.shift) {
            let reason =
                format!("must be a share of the side from 0 to 0.5, but is {}", self.shift);
            return Err(DataError::setting("augment.shift", reason));
        }
        if !(0.0..=180.0).contains(&self.rotation) {
            let reason = format!("must be from 0 to 180 degrees, but is {}", self.rotation);
            return Err(DataError::setting("augment.rotation", reason));
        }
        let (height, width) = (shape.height, shape.width);
        let most = height.min(width) / 2;
        if self.crop > most {
            let reason = format!(
                "must be at most {most}, half of the smaller side of {height}×{width} images, but \
                 is {}",
                self.crop
            );
            return Err(DataError::setting("augment.crop", reason));
        }
        Ok(())
    }

    /// Draws the change of one image. Always takes the same draws in the same order, so switching
    /// one change off leaves the others as they were.
    pub(crate) fn draw(self, rng: &mut Rng, shape: Shape) -> Change {
        let flip = rng.unit() < 0.5;
        let mut shift = |side: usize| {
            let most = self.shift * side as f64;
            rng.uniform(-most, most).round() as isize
        };
        let shift = [shift(shape.height), shift(shape.width)];
        let mut crop = || rng.below(2 * self.crop + 1) as isize - self.crop as isize;
        let crop = [crop(), crop()];
        let rotation = rng.uniform(-self.rotation, self.rotation);
        Change { flip: self.flip && flip, shift, crop, rotation }
    }
}

/// The change of one image; the default leaves it as it is.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Change {
    /// Mirror left and right.
    flip: bool,
    /// Pixels by which the content moves down and right.
    shift: [isize; 2],
    /// Pixels by which the window on the padded image moves down and right from its middle.
    crop: [isize; 2],
    /// Degrees by which the image is turned against the clock, first of all.
    rotation: f64,
}

impl Change {
    /// Writes the changed image, each channel through its table, into `out`. `pixels` and `out` are
    /// `[C, H, W]`.
    pub(crate) fn write(self, pixels: &[u8], shape: Shape, tables: &[[f32; 256]], out: &mut [f32]) {
        let turned = (self.rotation != 0.0).then(|| rotated(pixels, shape, self.rotation));
        let pixels = turned.as_deref().unwrap_or(pixels);
        let (height, width) = (shape.height, shape.width);
        let down = Span::new(height, self.shift[0], self.crop[0]);
        let right = Span::new(width, self.shift[1], self.crop[1]);
        let area = height * width;
        let planes = pixels.chunks_exact(area).zip(out.chunks_exact_mut(area)).zip(tables);
        for ((pixels, out), table) in planes {
            for (y, out) in out.chunks_exact_mut(width).enumerate() {
                match down.source(y) {
                    Some(row) => {
                        right.write(&pixels[row * width..][..width], self.flip, table, out)
                    }
                    None => out.fill(0.0),
                }
            }
        }
    }
}

/// `pixels` `[C, H, W]` turned by `degrees` against the clock about the middle.
fn rotated(pixels: &[u8], shape: Shape, degrees: f64) -> Vec<u8> {
    // By libm, so that an image is turned alike on every machine.
    let (sin, cos) = libm::sincos(degrees.to_radians());
    let (height, width) = (shape.height, shape.width);
    let middle = [height, width].map(|side| side as f64 / 2.0);
    let source = |place: usize| {
        let down = (place / width) as f64 + 0.5 - middle[0];
        let right = (place % width) as f64 + 0.5 - middle[1];
        let y = (sin * right + cos * down + middle[0]).floor();
        let x = (cos * right - sin * down + middle[1]).floor();
        let is_inside = (0.0..height as f64).contains(&y) && (0.0..width as f64).contains(&x);
        is_inside.then(|| y as usize * width + x as usize)
    };
    let sources: Vec<Option<usize>> = (0..height * width).map(source).collect();
    let plane = |plane: &[u8]| -> Vec<u8> {
        sources.iter().map(|source| source.map_or(0, |at| plane[at])).collect()
    };
    pixels.chunks_exact(height * width).flat_map(plane).collect()
}

/// Where the places along one axis come from: zeros outside of `inside`, source places in a row
/// within `copied`, and in between the nearest source place.
struct Span {
    side: isize,
    /// Source place minus place.
    offset: isize,
    inside: Range<usize>,
    copied: Range<usize>,
}

impl Span {
    fn new(side: usize, shift: isize, crop: isize) -> Self {
        let side = side as isize;
        let offset = crop - shift;
        let inside = [(-crop).max(0), (side - crop).min(side)];
        let start = (-offset).clamp(inside[0], inside[1]);
        let end = (side - offset).clamp(start, inside[1]);
        Self {
            side,
            offset,
            inside: inside[0] as usize..inside[1] as usize,
            copied: start as usize..end as usize,
        }
    }

    /// Source place of `place`, if it is not in the padding.
    fn source(&self, place: usize) -> Option<usize> {
        let nearest = (place as isize + self.offset).clamp(0, self.side - 1);
        self.inside.contains(&place).then_some(nearest as usize)
    }

    /// Writes one row along this axis.
    fn write(&self, row: &[u8], flip: bool, table: &[f32; 256], out: &mut [f32]) {
        let value = |&byte: &u8| table[usize::from(byte)];
        let [mut first, mut last] = [0, row.len() - 1];
        if flip {
            (first, last) = (last, first);
        }
        out[..self.inside.start].fill(0.0);
        out[self.inside.start..self.copied.start].fill(value(&row[first]));
        if !self.copied.is_empty() {
            let from = (self.copied.start as isize + self.offset) as usize;
            let copied = &mut out[self.copied.clone()];
            if flip {
                let source = &row[row.len() - from - copied.len()..][..copied.len()];
                copied.iter_mut().zip(source.iter().rev()).for_each(|(out, v)| *out = value(v));
            } else {
                copied.iter_mut().zip(&row[from..]).for_each(|(out, v)| *out = value(v));
            }
        }
        out[self.copied.end..self.inside.end].fill(value(&row[last]));
        out[self.inside.end..].fill(0.0);
    }
}

#[cfg(test)]
mod tests;
