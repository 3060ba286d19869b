//! From an image of any size to what the network gets.

use std::io::Read;
use std::path::Path;

use pemm_data::plane::scaled;
use pemm_data::{Shape, decode};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Colour, Preprocessing, Resize};
use crate::file::ordinary;

/// Largest image file, in bytes.
const MAX_FILE_BYTES: u64 = 512 << 20;
/// A longer side is cut to this many times the shorter one before anything is resized: what is cut
/// off lies outside the middle anyway, and a strip of 16,384×1 pixels must not become a giant.
const MAX_RATIO: usize = 8;

/// Order of the dimensions of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// `[N, C, H, W]`.
    ChannelsFirst,
    /// `[N, H, W, C]`.
    ChannelsLast,
}

/// Where an image comes from.
#[derive(Debug, Clone, Copy)]
pub enum Picture<'a> {
    /// A file, at its own size.
    File(&'a Path),
    /// Decoded pixels `[C, H, W]`.
    Pixels {
        /// The bytes, 0–255.
        pixels: &'a [u8],
        /// Channels (1 or 3), height and width.
        shape: Shape,
    },
}

/// The bytes of a picture, read but not decoded.
#[derive(Debug)]
pub(crate) enum Loaded<'a> {
    File(Vec<u8>),
    Pixels(&'a [u8], Shape),
}

impl<'a> Picture<'a> {
    /// Reads the file, if it is one.
    pub(crate) fn load(self) -> Result<Loaded<'a>, String> {
        match self {
            Self::Pixels { pixels, shape } => {
                let fits = pixels.len() == shape.len() && matches!(shape.channels, 1 | 3);
                let fits = fits && shape.height > 0 && shape.width > 0;
                let reason = || format!("{shape:?} is no image of {} bytes", pixels.len());
                if fits { Ok(Loaded::Pixels(pixels, shape)) } else { Err(reason()) }
            }
            Self::File(path) => {
                let mut bytes = Vec::new();
                let file = ordinary(path).map_err(|error| error.to_string())?;
                let read = file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes);
                read.map_err(|error| error.to_string())?;
                if bytes.len() as u64 > MAX_FILE_BYTES {
                    return Err(format!("the file is larger than {MAX_FILE_BYTES} bytes"));
                }
                Ok(Loaded::File(bytes))
            }
        }
    }
}

impl Loaded<'_> {
    /// A hash of the content: of the file's bytes, or of size and pixels.
    pub(crate) fn hash(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        match self {
            Self::File(bytes) => {
                hash.update(b"file");
                hash.update(bytes);
            }
            Self::Pixels(pixels, shape) => {
                hash.update(b"pixels");
                for size in [shape.channels, shape.height, shape.width] {
                    hash.update((size as u64).to_le_bytes());
                }
                hash.update(pixels);
            }
        }
        hash.finalize().into()
    }

    /// What the network gets, `[C, H, W]` or `[H, W, C]` by `layout`.
    pub(crate) fn prepare(&self, rule: &Preprocessing, layout: Layout) -> Result<Vec<f32>, String> {
        match self {
            Self::Pixels(pixels, shape) => Ok(arrange(rule, layout, pixels, *shape)),
            Self::File(bytes) => {
                let image = decode::image_bytes(bytes, Some(rule.num_channels()), None)?;
                Ok(arrange(rule, layout, &image.pixels, image.shape))
            }
        }
    }
}

/// The image that a network gets by `rule`, `[C, H, W]`, for showing and comparing it.
///
/// # Errors
/// Why the picture is none, without its name.
pub fn prepare(picture: Picture<'_>, rule: &Preprocessing) -> Result<Vec<f32>, String> {
    picture.load()?.prepare(rule, Layout::ChannelsFirst)
}

fn arrange(rule: &Preprocessing, layout: Layout, pixels: &[u8], shape: Shape) -> Vec<f32> {
    let [height, width] = rule.size;
    let area = height * width;
    let mut planes: Vec<Vec<u8>> = pixels
        .chunks_exact(shape.height * shape.width)
        .map(|plane| resized(rule, plane, [shape.height, shape.width]))
        .collect();
    match (planes.len(), rule.colour) {
        (1, Colour::Rgb | Colour::Bgr) => planes = vec![planes[0].clone(); 3],
        (3, Colour::Grey) => {
            let luma = |i: usize| {
                let [r, g, b] = [0, 1, 2].map(|c| u32::from(planes[c][i]));
                ((2126 * r + 7152 * g + 722 * b + 5000) / 10_000) as u8
            };
            planes = vec![(0..area).map(luma).collect()];
        }
        (_, Colour::Bgr) => planes.reverse(),
        (_, Colour::Rgb | Colour::Grey) => {}
    }
    let channels = planes.len();
    let mut image = vec![0.0; channels * area];
    for (c, plane) in planes.iter().enumerate() {
        let value = |byte: u8| (f32::from(byte) * rule.rescale - rule.mean[c]) / rule.deviation[c];
        let table: Vec<f32> = (0..=255).map(value).collect();
        match layout {
            Layout::ChannelsFirst => {
                let to = &mut image[c * area..(c + 1) * area];
                to.iter_mut().zip(plane).for_each(|(to, &byte)| *to = table[usize::from(byte)]);
            }
            Layout::ChannelsLast => {
                let to = image[c..].iter_mut().step_by(channels);
                to.zip(plane).for_each(|(to, &byte)| *to = table[usize::from(byte)]);
            }
        }
    }
    image
}

/// One channel in the size of the network.
fn resized(rule: &Preprocessing, plane: &[u8], [height, width]: [usize; 2]) -> Vec<u8> {
    match rule.resize {
        Resize::Stretch => scaled(rule.filter, plane, [height, width], rule.size),
        Resize::Crop => {
            let most = height.min(width) * MAX_RATIO;
            let short = [height.min(most), width.min(most)];
            let plane = middle(plane, [height, width], short);
            let shorter = short[0].min(short[1]);
            let to = short.map(|side| side * rule.resize_to / shorter);
            middle(&scaled(rule.filter, &plane, short, to), to, rule.size)
        }
    }
}

/// The middle of a channel; an odd margin leaves one more pixel behind than before.
fn middle(plane: &[u8], [height, width]: [usize; 2], size: [usize; 2]) -> Vec<u8> {
    let (top, left) = ((height - size[0]) / 2, (width - size[1]) / 2);
    let rows = plane.chunks_exact(width).skip(top).take(size[0]);
    rows.flat_map(|row| row[left..left + size[1]].iter().copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preprocessing::Filter;

    fn rule(size: [usize; 2], resize: Resize, resize_to: usize, colour: Colour) -> Preprocessing {
        let channels = if colour == Colour::Grey { 1 } else { 3 };
        Preprocessing {
            size,
            resize,
            resize_to,
            filter: Filter::Bilinear,
            colour,
            rescale: 1.0,
            mean: (0..channels).map(|c| c as f32).collect(),
            deviation: vec![2.0; channels],
        }
    }

    fn pixels(shape: Shape) -> Vec<u8> {
        (0..shape.len()).map(|i| (i * 7 % 256) as u8).collect()
    }

    #[test]
    fn cuts_the_middle_and_orders_the_channels() {
        let shape = Shape { channels: 3, height: 2, width: 4 };
        let bytes = pixels(shape);
        let picture = Picture::Pixels { pixels: &bytes, shape };
        let get = |colour| prepare(picture, &rule([2, 2], Resize::Crop, 2, colour)).unwrap();
        let rgb = get(Colour::Rgb);
        assert_eq!(rgb[..4], [7, 14, 35, 42].map(|value| value as f32 / 2.0));
        assert_eq!(rgb[4], (9 * 7 - 1) as f32 / 2.0);
        let bgr = get(Colour::Bgr);
        assert_eq!(bgr[8] + 1.0, rgb[0]);
        assert_eq!(get(Colour::Grey).len(), 4);
        let last = picture.load().unwrap();
        let rule = rule([2, 2], Resize::Crop, 2, Colour::Rgb);
        let last = last.prepare(&rule, Layout::ChannelsLast).unwrap();
        assert_eq!(last[..3], [rgb[0], rgb[4], rgb[8]]);
    }

    #[test]
    fn any_size_becomes_the_size_of_the_network() {
        for [height, width] in [[1, 1], [1, 3000], [500, 3], [64, 48], [7, 7]] {
            let shape = Shape { channels: 1, height, width };
            let bytes = pixels(shape);
            for resize in [Resize::Crop, Resize::Stretch] {
                let picture = Picture::Pixels { pixels: &bytes, shape };
                let image = prepare(picture, &rule([8, 6], resize, 9, Colour::Rgb)).unwrap();
                assert_eq!(image.len(), 3 * 8 * 6);
            }
        }
    }

    #[test]
    fn what_is_no_image_is_said() {
        let shape = Shape { channels: 2, height: 2, width: 2 };
        let bytes = [0; 8];
        let rule = rule([2, 2], Resize::Crop, 2, Colour::Rgb);
        assert!(prepare(Picture::Pixels { pixels: &bytes, shape }, &rule).is_err());
        let error = prepare(Picture::File(Path::new("nowhere.png")), &rule).unwrap_err();
        assert!(error.contains("No such file"), "{error}");
    }
}
