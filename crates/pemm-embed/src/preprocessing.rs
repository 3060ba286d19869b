//! What happens to an image before the network sees it. It is half of the model and not in the
//! file: size, resizing, colours, mean and deviation.
//!
//! Each key is taken from the first of these that has it: the keys that the user gives; a rule by
//! name; `preprocessor_config.json` (transformers) or `config.json` (timm) beside the file; the
//! graph, for a size that is fixed; the rule `imagenet`, which is then reported as an assumption.
//! A channel becomes `(value · rescale - mean) / deviation` with values from 0 to 255.

mod beside;
mod picture;

use std::path::Path;

use serde::{Deserialize, Serialize};

pub use pemm_data::plane::Filter;
pub use picture::Layout;
pub use picture::{Picture, prepare};

use crate::error::{EmbedError, Result};

/// Largest side of the image that a network gets, in pixels.
pub const MAX_SIZE: usize = 4096;
/// Side where nothing says another one, in pixels.
const DEFAULT_SIDE: usize = 224;

/// A named rule of preprocessing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// Mean and deviation of ImageNet's colours (torchvision, most of timm); bilinear, of 256
    /// pixels the middle 224.
    Imagenet,
    /// Mean and deviation of OpenAI's CLIP; bicubic, no margin.
    Clip,
    /// (x - 0.5) / 0.5 of values from 0 to 1 (ViT of Google, SigLIP, Inception); bicubic, of 256
    /// pixels the middle 224.
    Half,
    /// (x - 127) / 128 of values from 0 to 255 (EfficientNet-Lite); bicubic, of 256 pixels the
    /// middle 224.
    Lite,
    /// Values from 0 to 1; bilinear, of 256 pixels the middle 224.
    Unit,
    /// Values from 0 to 255 in the order blue, green, red, less the means 103.939, 116.779 and
    /// 123.68 (Caffe); bilinear, of 256 pixels the middle 224.
    Caffe,
}

/// How a file's pixels become as many as the network wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Resize {
    /// The shorter side gets `resize_to` pixels, then the middle is cut out.
    Crop,
    /// Both sides are resized on their own; nothing is cut off, proportions change.
    Stretch,
}

/// What the channels are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Colour {
    /// Red, green, blue.
    Rgb,
    /// Blue, green, red.
    Bgr,
    /// One channel, luma by Rec. 709.
    Grey,
}

/// Keys of the preprocessing that a user may give; each one left out is found elsewhere.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PreprocessingKeys {
    /// The rule by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<Rule>,
    /// `[height, width]` that the network gets; also for a file whose size is fixed, if the network
    /// goes through with another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<[usize; 2]>,
    /// Crop or stretch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resize: Option<Resize>,
    /// Shorter side before the middle is cut out, in pixels, at least the size.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resize_to: Option<usize>,
    /// Interpolation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<Filter>,
    /// Order of the channels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub colour: Option<Colour>,
    /// Factor for values from 0 to 255, usually 1/255 or 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rescale: Option<f32>,
    /// One number for each channel, in the order of the channels, after the factor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean: Option<Vec<f32>>,
    /// The same, positive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deviation: Option<Vec<f32>>,
}

/// A complete preprocessing, as recorded with a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preprocessing {
    /// `[height, width]` that the network gets.
    pub size: [usize; 2],
    /// Crop or stretch.
    pub resize: Resize,
    /// Shorter side before the middle is cut out, in pixels; not used by a stretch.
    pub resize_to: usize,
    /// Interpolation.
    pub filter: Filter,
    /// Order of the channels.
    pub colour: Colour,
    /// Factor for values from 0 to 255.
    pub rescale: f32,
    /// One number for each channel.
    pub mean: Vec<f32>,
    /// The same, positive.
    pub deviation: Vec<f32>,
}

/// Keys of one place, where the shorter side may be told by a share instead.
#[derive(Debug, Clone, Default, PartialEq)]
struct Found {
    keys: PreprocessingKeys,
    /// Size of the network by the shorter side before the crop, above 0 and at most 1.
    crop_rate: Option<f64>,
}

impl Rule {
    fn found(self) -> Found {
        const BYTE: f32 = 1.0 / 255.0;
        let (rescale, mean, deviation, filter, crop_rate) = match self {
            Self::Imagenet => {
                let (mean, deviation) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
                (BYTE, mean, deviation, Filter::Bilinear, 0.875)
            }
            Self::Clip => {
                let mean = [0.481_454_66, 0.457_827_5, 0.408_210_73];
                let deviation = [0.268_629_54, 0.261_302_6, 0.275_777_1];
                (BYTE, mean, deviation, Filter::Bicubic, 1.0)
            }
            Self::Half => (BYTE, [0.5; 3], [0.5; 3], Filter::Bicubic, 0.875),
            Self::Lite => (1.0, [127.0; 3], [128.0; 3], Filter::Bicubic, 0.875),
            Self::Unit => (BYTE, [0.0; 3], [1.0; 3], Filter::Bilinear, 0.875),
            Self::Caffe => (1.0, [103.939, 116.779, 123.68], [1.0; 3], Filter::Bilinear, 0.875),
        };
        let colour = if self == Self::Caffe { Colour::Bgr } else { Colour::Rgb };
        let keys = PreprocessingKeys {
            resize: Some(Resize::Crop),
            filter: Some(filter),
            colour: Some(colour),
            rescale: Some(rescale),
            mean: Some(mean.to_vec()),
            deviation: Some(deviation.to_vec()),
            ..PreprocessingKeys::default()
        };
        Found { keys, crop_rate: Some(crop_rate) }
    }
}

impl Found {
    /// These keys, and where one is missing that of `other`.
    fn or(self, other: Self) -> Self {
        let (a, b) = (self.keys, other.keys);
        // How much is cut off belongs together, and so do the numbers of the channels.
        let has_margin = a.resize_to.is_some() || self.crop_rate.is_some();
        // One of them alone is in the units of the other, so the factor stays with that.
        let has_numbers = a.mean.is_some() && a.deviation.is_some();
        Self {
            crop_rate: if has_margin { self.crop_rate } else { other.crop_rate },
            keys: PreprocessingKeys {
                rule: None,
                size: a.size.or(b.size),
                resize: a.resize.or(b.resize),
                resize_to: if has_margin { a.resize_to } else { b.resize_to },
                filter: a.filter.or(b.filter),
                colour: a.colour.or(b.colour),
                rescale: a.rescale.or(if has_numbers { None } else { b.rescale }),
                mean: a.mean.or(b.mean),
                deviation: a.deviation.or(b.deviation),
            },
        }
    }

    fn is_complete(&self) -> bool {
        self.keys.mean.is_some() && self.keys.deviation.is_some()
    }
}

impl Preprocessing {
    /// Finds the preprocessing for the network in `file`, whose graph fixes the sides `fixed` and
    /// has `channels`; also what had to be assumed, for the user to hear.
    ///
    /// # Errors
    /// [`EmbedError::Preprocessing`] for a file beside it that is broken, and for values out of
    /// their range, with the key.
    pub(crate) fn find(
        file: &Path,
        keys: &PreprocessingKeys,
        fixed: [Option<usize>; 2],
        channels: usize,
    ) -> Result<(Self, Vec<String>)> {
        let mut assumptions = Vec::new();
        let mut found = Found { keys: keys.clone(), crop_rate: None };
        if let Some(rule) = keys.rule {
            found = found.or(rule.found());
        } else if let Some((_, beside)) = beside::read(file)? {
            found = found.or(beside);
        }
        if !found.is_complete() {
            assumptions.push(
                "there is no preprocessor_config.json beside the file, so images are prepared as most \
                 networks want them (ImageNet's colours). If this one wants them otherwise, put that \
                 file there or add, for example, --set pretrained.preprocessing.rule=clip"
                    .into(),
            );
        }
        // Complete numbers without a factor are of values from 0 to 1.
        let by_default = found.is_complete().then_some(1.0 / 255.0);
        found.keys.rescale = found.keys.rescale.or(by_default);
        let found = found.or(Rule::Imagenet.found());
        let both = |[height, width]: [Option<usize>; 2]| Some([height?, width?]);
        let size = match (keys.size, both(fixed), found.keys.size) {
            (Some(size), _, _) | (None, Some(size), _) => size,
            (None, None, Some([height, width])) => {
                [fixed[0].unwrap_or(height), fixed[1].unwrap_or(width)]
            }
            (None, None, None) => {
                assumptions.push(format!(
                    "the network takes images of any size and nothing says which: \
                     {DEFAULT_SIDE}×{DEFAULT_SIDE} pixels are assumed"
                ));
                [fixed[0].unwrap_or(DEFAULT_SIDE), fixed[1].unwrap_or(DEFAULT_SIDE)]
            }
        };
        let shorter = *size.iter().max().expect("two sides") as f64;
        let by_rate = |rate: f64| (shorter / rate + 1e-6).floor() as usize;
        // A margin in pixels belongs to the size that it was written for.
        let margin = found.keys.resize_to.filter(|_| keys.resize_to.is_some()).or_else(|| {
            let written = found.keys.size.filter(|written| *written == size);
            found.keys.resize_to.filter(|_| written.is_some())
        });
        let resize_to = margin.unwrap_or_else(|| by_rate(found.crop_rate.unwrap_or(1.0)));
        let colour = if channels == 1 { Colour::Grey } else { found.keys.colour.expect("a rule") };
        let per_channel = |values: Option<Vec<f32>>| {
            let values = values.expect("a rule says them");
            let is_mean_of_colours = channels == 1 && values.len() == 3;
            if is_mean_of_colours { vec![values.iter().sum::<f32>() / 3.0] } else { values }
        };
        let complete = Self {
            size,
            resize: found.keys.resize.expect("a rule"),
            resize_to,
            filter: found.keys.filter.expect("a rule"),
            colour,
            rescale: found.keys.rescale.expect("a rule"),
            mean: per_channel(found.keys.mean),
            deviation: per_channel(found.keys.deviation),
        };
        complete.check(channels)?;
        Ok((complete, assumptions))
    }

    /// Channels that the network gets.
    pub fn num_channels(&self) -> usize {
        match self.colour {
            Colour::Grey => 1,
            Colour::Rgb | Colour::Bgr => 3,
        }
    }

    /// Whether the values are possible ones, also those of a record that somebody changed.
    pub(crate) fn check(&self, channels: usize) -> Result<()> {
        let wrong = |key: &str, reason: String| Err(EmbedError::setting(key, reason));
        if self.size.iter().any(|side| !(1..=MAX_SIZE).contains(side)) {
            let [height, width] = self.size;
            return wrong("size", format!("{height}×{width} has a side outside 1 to {MAX_SIZE}"));
        }
        let largest = *self.size.iter().max().expect("two sides");
        if self.resize == Resize::Crop && !(largest..=2 * MAX_SIZE).contains(&self.resize_to) {
            let (to, most) = (self.resize_to, 2 * MAX_SIZE);
            let reason = format!("{to} pixels are not within {largest} (the size) and {most}");
            return wrong("resize_to", reason);
        }
        if self.num_channels() != channels {
            let reason = format!("{:?} does not go with the {channels} channels", self.colour);
            return wrong("colour", reason);
        }
        if !(self.rescale.is_finite() && self.rescale > 0.0) {
            return wrong("rescale", format!("{} is no positive number", self.rescale));
        }
        for (key, values) in [("mean", &self.mean), ("deviation", &self.deviation)] {
            if values.len() != channels || values.iter().any(|value| !value.is_finite()) {
                let reason = format!("{values:?} is not one finite number for each of {channels}");
                return wrong(key, format!("{reason} channels"));
            }
        }
        if self.deviation.iter().any(|&value| value <= 0.0) {
            return wrong("deviation", format!("{:?} must be above 0", self.deviation));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FREE: [Option<usize>; 2] = [None, None];

    fn find(keys: &PreprocessingKeys, fixed: [Option<usize>; 2]) -> (Preprocessing, Vec<String>) {
        Preprocessing::find(Path::new("nowhere/net.onnx"), keys, fixed, 3).unwrap()
    }

    #[test]
    fn nothing_is_imagenet_at_224_and_said_aloud() {
        let (found, said) = find(&PreprocessingKeys::default(), FREE);
        assert_eq!((found.size, found.resize_to), ([224, 224], 256));
        assert_eq!(found.mean, [0.485, 0.456, 0.406]);
        assert_eq!(said.len(), 2);
        let (found, said) = find(&PreprocessingKeys::default(), [Some(160), Some(160)]);
        assert_eq!((found.size, found.resize_to), ([160, 160], 182));
        assert_eq!(said.len(), 1);
    }

    #[test]
    fn a_rule_is_no_assumption_and_keys_go_before_it() {
        let keys = PreprocessingKeys {
            rule: Some(Rule::Lite),
            size: Some([160, 160]),
            filter: Some(Filter::Nearest),
            ..PreprocessingKeys::default()
        };
        let (found, said) = find(&keys, [Some(224), Some(224)]);
        assert_eq!((found.size, found.rescale, found.filter), ([160, 160], 1.0, Filter::Nearest));
        assert_eq!((&found.mean[..], &found.deviation[..]), (&[127.0; 3][..], &[128.0; 3][..]));
        assert_eq!(said, [""; 0]);
        // Own numbers without a factor are of values from 0 to 1.
        let keys = PreprocessingKeys {
            mean: Some(vec![0.5; 3]),
            deviation: Some(vec![0.25; 3]),
            ..PreprocessingKeys::default()
        };
        let (found, said) = find(&keys, [Some(8), Some(8)]);
        assert_eq!((found.rescale, found.deviation[0], said.len()), (1.0 / 255.0, 0.25, 0));
    }

    #[test]
    fn values_out_of_range_are_named_by_key() {
        let cases = [
            ("size", PreprocessingKeys { size: Some([0, 8]), ..PreprocessingKeys::default() }),
            ("size", PreprocessingKeys { size: Some([8, 5000]), ..PreprocessingKeys::default() }),
            ("resize_to", PreprocessingKeys { resize_to: Some(9), ..PreprocessingKeys::default() }),
            (
                "colour",
                PreprocessingKeys { colour: Some(Colour::Grey), ..PreprocessingKeys::default() },
            ),
            ("rescale", PreprocessingKeys { rescale: Some(0.0), ..PreprocessingKeys::default() }),
            ("mean", PreprocessingKeys { mean: Some(vec![1.0]), ..PreprocessingKeys::default() }),
            (
                "deviation",
                PreprocessingKeys {
                    deviation: Some(vec![1.0, 0.0, 1.0]),
                    ..PreprocessingKeys::default()
                },
            ),
        ];
        for (key, keys) in cases {
            let found = Preprocessing::find(Path::new("x/net.onnx"), &keys, FREE, 3);
            let error = found.unwrap_err().to_string();
            assert!(error.starts_with(&format!("{key}: ")), "{error}");
        }
    }
}
