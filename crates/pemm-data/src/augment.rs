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
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::seed::{Stream, Streams};

    const SHAPE: Shape = Shape { channels: 1, height: 3, width: 4 };

    /// Tables that give each byte as it is.
    fn plain(num_channels: usize) -> Vec<[f32; 256]> {
        vec![std::array::from_fn(|value| value as f32); num_channels]
    }

    /// The 3×4 image 11 12 13 14 / 21 … 24 / 31 … 34, changed.
    fn changed(flip: bool, shift: [isize; 2], crop: [isize; 2]) -> [[u8; 4]; 3] {
        let pixels = [11, 12, 13, 14, 21, 22, 23, 24, 31, 32, 33, 34];
        let mut out = [f32::NAN; 12];
        Change { flip, shift, crop, rotation: 0.0 }.write(&pixels, SHAPE, &plain(1), &mut out);
        std::array::from_fn(|y| std::array::from_fn(|x| out[4 * y + x] as u8))
    }

    #[test]
    fn flip_mirrors_left_and_right() {
        let flipped = [[14, 13, 12, 11], [24, 23, 22, 21], [34, 33, 32, 31]];
        assert_eq!(changed(true, [0, 0], [0, 0]), flipped);
    }

    #[test]
    fn shift_moves_down_and_right_and_repeats_the_edge() {
        let down_right = [[11, 11, 12, 13], [11, 11, 12, 13], [21, 21, 22, 23]];
        assert_eq!(changed(false, [1, 1], [0, 0]), down_right);
        let up_left = [[23, 24, 24, 24], [33, 34, 34, 34], [33, 34, 34, 34]];
        assert_eq!(changed(false, [-1, -2], [0, 0]), up_left);
    }

    #[test]
    fn crop_brings_in_zeros() {
        let window_up_left = [[0, 0, 0, 0], [0, 0, 11, 12], [0, 0, 21, 22]];
        assert_eq!(changed(false, [0, 0], [-1, -2]), window_up_left);
        let window_down_right = [[22, 23, 24, 0], [32, 33, 34, 0], [0, 0, 0, 0]];
        assert_eq!(changed(false, [0, 0], [1, 1]), window_down_right);
    }

    #[test]
    fn flip_comes_before_shift_and_shift_before_crop() {
        let all = [[0, 0, 0, 0], [0, 14, 14, 13], [0, 24, 24, 23]];
        assert_eq!(changed(true, [0, 1], [-1, -1]), all);
    }

    #[test]
    fn rotation_is_that_of_pillow() {
        // Image.fromarray(image).rotate(degrees, Image.NEAREST), of rows 11 … 16, 21 … 26, … 51 … 56.
        let shape = Shape { channels: 2, height: 5, width: 6 };
        let image: Vec<u8> = (0..30).map(|place| 11 + 10 * (place / 6) + place % 6).collect();
        let pixels: Vec<u8> = image.iter().chain(&image).copied().collect();
        for (rotation, expected) in [
            (
                20.0,
                [
                    [0, 13, 14, 15, 26, 0],
                    [11, 22, 23, 24, 35, 36],
                    [21, 22, 33, 34, 45, 46],
                    [31, 32, 43, 44, 45, 56],
                    [0, 41, 52, 53, 54, 0],
                ],
            ),
            (
                -33.5,
                [
                    [0, 21, 22, 13, 14, 0],
                    [41, 32, 23, 23, 14, 15],
                    [41, 42, 33, 34, 25, 26],
                    [52, 53, 44, 44, 35, 26],
                    [0, 53, 54, 45, 46, 0],
                ],
            ),
        ] {
            let mut out = vec![f32::NAN; 60];
            let change = Change { rotation, ..Change::default() };
            change.write(&pixels, shape, &plain(2), &mut out);
            let found: Vec<u8> = out.iter().map(|&value| value as u8).collect();
            assert_eq!(found[..30], expected.concat(), "{rotation} degrees");
            assert_eq!(found[30..], found[..30], "every channel alike");
        }
        // A half turn is both mirrors.
        let mut out = vec![f32::NAN; 60];
        let half = Change { rotation: 180.0, ..Change::default() };
        half.write(&pixels, shape, &plain(2), &mut out);
        assert!(out[..30].iter().rev().zip(&image).all(|(a, &b)| *a == f32::from(b)));
    }

    #[test]
    fn rotation_is_drawn_last_and_within_its_limit() {
        let draw = |rotation: f64, at: u64| {
            let augment = Augment { flip: true, shift: 0.5, crop: 1, rotation };
            augment.draw(&mut Streams::new(9).open_at(Stream::Augment, at), SHAPE)
        };
        let degrees: Vec<f64> = (0..2000).map(|at| draw(20.0, at).rotation).collect();
        assert!(degrees.iter().all(|angle| angle.abs() <= 20.0));
        let below = degrees.iter().filter(|angle| **angle < -10.0).count();
        assert!((430..570).contains(&below), "{below}");
        assert_eq!(Change { rotation: 0.0, ..draw(20.0, 3) }, draw(0.0, 3), "the rest stays");
    }

    proptest! {
        /// The one pass gives what the definition gives pixel by pixel.
        #[test]
        fn one_pass_is_flip_then_shift_then_crop(
            (height, width) in (1usize..9, 1usize..9), seed: u64, flip: bool,
            shares in (0.0..1.0f64, 0.0..1.0f64, 0.0..1.0f64, 0.0..1.0f64),
        ) {
            let shape = Shape { channels: 2, height, width };
            let pick = |share: f64, most: usize| {
                (share * (2 * most + 1) as f64) as isize - most as isize
            };
            let most = height.min(width) / 2;
            let shift = [pick(shares.0, height.div_ceil(2)), pick(shares.1, width.div_ceil(2))];
            let crop = [pick(shares.2, most), pick(shares.3, most)];
            let mut rng = Streams::new(seed).open(Stream::Init);
            let pixels: Vec<u8> = (0..shape.len()).map(|_| rng.below(255) as u8 + 1).collect();
            let mut out = vec![f32::NAN; shape.len()];
            Change { flip, shift, crop, rotation: 0.0 }.write(&pixels, shape, &plain(2), &mut out);

            let (last_y, last_x) = (height as isize - 1, width as isize - 1);
            for (index, &value) in out.iter().enumerate() {
                let (plane, place) = (index / (height * width), index % (height * width));
                let y = (place / width) as isize + crop[0];
                let x = (place % width) as isize + crop[1];
                let expected = if (0..=last_y).contains(&y) && (0..=last_x).contains(&x) {
                    let y = (y - shift[0]).clamp(0, last_y);
                    let x = (x - shift[1]).clamp(0, last_x);
                    let x = if flip { last_x - x } else { x };
                    pixels[plane * height * width + y as usize * width + x as usize]
                } else {
                    0
                };
                prop_assert_eq!(value, f32::from(expected));
            }
        }
    }

    #[test]
    fn draws_reach_every_place_and_no_further() {
        let augment = Augment { flip: true, shift: 0.3, crop: 1, rotation: 0.0 };
        let mut rng = Streams::new(5).open(Stream::Augment);
        let draws: Vec<Change> = (0..4000).map(|_| augment.draw(&mut rng, SHAPE)).collect();
        let flips = draws.iter().filter(|change| change.flip).count();
        assert!((1850..2150).contains(&flips), "{flips}");
        // 0.3 · 3 and 0.3 · 4 both round to 1; |u| below 0.5 stays.
        for axis in 0..2 {
            let share = |value| {
                draws.iter().filter(|change| change.shift[axis] == value).count() as f64 / 4000.0
            };
            let expected = 0.5 / (0.3 * [3.0, 4.0][axis]);
            assert!((share(0) - expected).abs() < 0.03);
            assert!((share(0) + share(1) + share(-1) - 1.0).abs() < 1e-9);
            assert!((share(1) - share(-1)).abs() < 0.04);
            for window in -1..=1 {
                let count = draws.iter().filter(|change| change.crop[axis] == window).count();
                assert!((1200..1470).contains(&count), "{count}");
            }
        }
    }

    #[test]
    fn switching_one_change_off_leaves_the_others() {
        let draw = |augment: Augment| {
            augment.draw(&mut Streams::new(9).open_at(Stream::Augment, 3), SHAPE)
        };
        let all = draw(Augment { flip: true, shift: 0.5, crop: 1, rotation: 0.0 });
        assert_eq!(
            draw(Augment { flip: false, shift: 0.5, crop: 0, rotation: 0.0 }).shift,
            all.shift
        );
        assert_eq!(
            draw(Augment { flip: false, shift: 0.0, crop: 1, rotation: 0.0 }).crop,
            all.crop
        );
        assert_eq!(draw(Augment::default()), Change::default());
    }

    #[test]
    fn defaults_follow_the_kind_of_the_data() {
        let resolve = |channels, height, width, vectors| {
            let shape = Shape { channels, height, width };
            Augment::resolve(&AugmentConfig::default(), shape, vectors).unwrap()
        };
        let shifted = |flip, shift| Augment { flip, shift, ..Augment::default() };
        assert_eq!(resolve(3, 32, 32, false), shifted(true, 0.1));
        assert_eq!(resolve(3, 8, 32, false), shifted(false, 0.1875));
        assert_eq!(resolve(1, 28, 28, false), shifted(false, 0.1));
        assert_eq!(resolve(1, 8, 8, false), shifted(false, 0.1875));
        for none in [resolve(1, 7, 7, false), resolve(64, 1, 1, true)] {
            assert!(none.is_none());
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_by_key() {
        let cifar = Shape { channels: 3, height: 32, width: 30 };
        let vector = Shape { channels: 64, height: 1, width: 1 };
        let shift = |shift| AugmentConfig { shift: Some(shift), ..Default::default() };
        let crop = |crop| AugmentConfig { crop: Some(crop), ..Default::default() };
        let turn = |angle| AugmentConfig { rotation: Some(angle), ..Default::default() };
        let flip = |flip| AugmentConfig { flip: Some(flip), ..Default::default() };
        for (config, shape, key) in [
            (shift(0.51), cifar, "augment.shift: "),
            (shift(-0.1), cifar, "augment.shift: "),
            (shift(f64::NAN), cifar, "augment.shift: "),
            (crop(16), cifar, "augment.crop: "),
            (crop(usize::MAX), cifar, "augment.crop: "),
            (turn(180.5), cifar, "augment.rotation: "),
            (turn(-1.0), cifar, "augment.rotation: "),
            (turn(f64::NAN), cifar, "augment.rotation: "),
            (turn(5.0), vector, "augment.rotation: "),
            (flip(true), vector, "augment.flip: "),
            (shift(0.1), vector, "augment.shift: "),
            (crop(1), vector, "augment.crop: "),
        ] {
            let error = Augment::resolve(&config, shape, shape == vector).unwrap_err();
            assert!(error.to_string().starts_with(key), "{error}");
        }
        for (config, shape) in [(shift(0.5), cifar), (crop(15), cifar), (flip(false), vector)] {
            Augment::resolve(&config, shape, shape == vector).unwrap();
        }
    }
}
