//! The backbones that an experiment can name. Their code stands in `pemm::backbone`, a file each; an
//! exhaustive match there joins the two.

use pemm_data::Shape;

use crate::kind::kinds;
use crate::method::{Parameter, Range};

const WIDTHS: Range = Range::within(1.0, 4096.0);

/// Where the residual networks for small images come from.
const SMALL_RESNET: &str = "He et al. 2016, section 4.2";
/// What they are made of.
const SMALL_RESNET_STAGES: &str = "a 3×3 convolution to 16 channels, three stages of n blocks of two 3×3 \
                                   convolutions with 16, 32, 64 channels, global average pooling: \
                                   6n + 2 layers, 64 features";

kinds! {
    /// The backbones that an experiment can name.
    BackboneKind, "Backbones", "model.backbone":

    /// Stages of two 3×3 convolutions, as many as the images are large.
    Cnn = "cnn" {
        summary: "stages of two 3×3 convolutions, as many as the images are large",
        equation: &[
            "s = log2(smaller side), rounded, less 2, within 2 to 5 stages: 2 at 8 pixels, 3 at 32, 4 at 64",
            "stage i: two 3×3 convolutions to 2^min(i, 3) w channels with BatchNorm and ReLU, then 2×2 \
             max pooling",
            "then the mean over the places that are left",
        ],
        parameters: &[Parameter::count("width", 32, WIDTHS, "channels of the first stage")],
        reference: "the form of VGG (Simonyan and Zisserman 2015) with BatchNorm",
        differs: &["A mean over the places stands where VGG has fully connected layers."],
    }
    /// Six 3×3 convolutions and two fully connected layers, the second of which is the head.
    Cnn8 = "cnn8" {
        summary: "six 3×3 convolutions and a fully connected layer, for small images",
        equation: &[
            "3×3 convolutions to w, w, 2w, 2w, 49w/16, 49w/16 channels with BatchNorm and ReLU, 2×2 max \
             pooling after each two",
            "then fully connected to 4w features, BatchNorm, ReLU",
        ],
        parameters: &[Parameter::count("width", 64, WIDTHS, "channels of the first layer")],
        reference: "paper, section 6; the authors' script",
        differs: &[],
    }
    /// Fully connected layers, for vectors and tiny images.
    Mlp = "mlp" {
        summary: "two fully connected layers, for vectors and tiny images",
        equation: &["z = ReLU(BatchNorm(W_2 ReLU(BatchNorm(W_1 x + b_1)) + b_2))"],
        parameters: &[Parameter::count("width", 128, WIDTHS, "units of each layer")],
        reference: "",
        differs: &[],
    }
    /// Nothing: the head sits on the features themselves.
    None = "none" {
        summary: "no layer: the head sits on the features themselves, which are standardised",
        equation: &["z = x"],
        parameters: &[],
        reference: "",
        differs: &[],
    }
    /// One fully connected layer, for features of a pretrained network.
    Hidden = "hidden" {
        summary: "one fully connected layer, for the features of a pretrained network",
        equation: &["z = ReLU(BatchNorm(W x + b))"],
        parameters: &[Parameter::count("width", 256, WIDTHS, "units of the layer")],
        reference: "",
        differs: &[],
    }
    /// ResNet-20 for small images.
    Resnet20 = "resnet20" {
        summary: "residual network of 20 layers, for small images",
        equation: &[SMALL_RESNET_STAGES],
        parameters: &[],
        reference: SMALL_RESNET,
        differs: &[],
    }
    /// ResNet-32 for small images.
    Resnet32 = "resnet32" {
        summary: "residual network of 32 layers, for small images",
        equation: &[SMALL_RESNET_STAGES],
        parameters: &[],
        reference: SMALL_RESNET,
        differs: &[],
    }
    /// ResNet-44 for small images.
    Resnet44 = "resnet44" {
        summary: "residual network of 44 layers, for small images",
        equation: &[SMALL_RESNET_STAGES],
        parameters: &[],
        reference: SMALL_RESNET,
        differs: &[],
    }
    /// ResNet-56 for small images.
    Resnet56 = "resnet56" {
        summary: "residual network of 56 layers, for small images",
        equation: &[SMALL_RESNET_STAGES],
        parameters: &[],
        reference: SMALL_RESNET,
        differs: &[],
    }
    /// ResNet-34 for small images.
    Resnet34 = "resnet34" {
        summary: "residual network of 34 layers, for small images and many classes",
        equation: &[
            "a 3×3 convolution to 64 channels, stages of 3, 4, 6, 3 blocks of two 3×3 convolutions with 64, \
             128, 256, 512 channels, 512 features by global average pooling",
        ],
        parameters: &[],
        reference: "He et al. 2016, section 4.1; the authors' script for CIFAR-100",
        differs: &[
            "The 7×7 convolution of stride 2 and the maximum in front, which are for photographs, are a 3×3 \
             convolution of stride 1, as is usual for images of 32×32 pixels.",
        ],
    }
    /// ResNet-50 for photographs.
    Resnet50 = "resnet50" {
        summary: "residual network of 50 layers, for photographs",
        equation: &[
            "a 7×7 convolution and 3×3 max pooling of stride 2, stages of 3, 4, 6, 3 bottlenecks, 2,048 \
             features by global average pooling",
        ],
        parameters: &[],
        reference: "He et al. 2016, section 4.1",
        differs: &[
            "As in torchvision, whose weights load, the 3×3 convolution of a bottleneck takes the stride; \
             in the paper the first 1×1 does.",
        ],
    }
}

/// Sizes of a backbone that follow from its width and from a sample's size. What reads a file of
/// weights holds them to the tensors that are there, before it builds anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackboneSizes {
    /// Size D of the features.
    pub num_features: Option<usize>,
    /// The tensor whose second axis a sample's size, or the width, decides; none where there is
    /// none but the head's.
    pub tensor: Option<&'static str>,
    /// The size of that axis.
    pub num_inputs: Option<usize>,
}

/// Channels of each stage of `cnn`: the first has `width`, each has twice those of the one before, up
/// to eight times the first's.
pub fn cnn_channels(width: usize, shape: Shape) -> Vec<usize> {
    let side = shape.height.min(shape.width).max(1) as f64;
    let num_stages = (side.log2().round() as usize).saturating_sub(2).clamp(2, 5);
    (0..num_stages).map(|stage| width.saturating_mul(1 << stage.min(3))).collect()
}

impl BackboneKind {
    /// Smallest height and width of an image; none for what also takes vectors.
    pub fn smallest_side(self) -> Option<usize> {
        match self {
            Self::Mlp | Self::None | Self::Hidden => None,
            Self::Resnet50 => Some(32),
            Self::Cnn
            | Self::Cnn8
            | Self::Resnet20
            | Self::Resnet32
            | Self::Resnet44
            | Self::Resnet56
            | Self::Resnet34 => Some(8),
        }
    }

    /// The sizes at `width` (ignored by those that have none) for samples of `shape`; `None` where
    /// a size is beyond all memory.
    pub fn sizes(self, width: usize, shape: Shape) -> BackboneSizes {
        let Shape { channels, height, width: across } = shape;
        let product = |factors: &[usize]| factors.iter().try_fold(1usize, |a, &b| a.checked_mul(b));
        match self {
            Self::Cnn => BackboneSizes {
                num_features: width.checked_mul(cnn_channels(1, shape).pop().unwrap_or(1)),
                tensor: Some("backbone.blocks.0.conv.weight"),
                num_inputs: Some(channels),
            },
            Self::Cnn8 => BackboneSizes {
                num_features: width.checked_mul(4),
                tensor: Some("backbone.fc.weight"),
                num_inputs: product(&[
                    (49 * width.min(1 << 20) / 16).max(1),
                    height / 8,
                    across / 8,
                ]),
            },
            Self::Mlp => BackboneSizes {
                num_features: Some(width),
                tensor: Some("backbone.layers.0.weight"),
                num_inputs: product(&[channels, height, across]),
            },
            Self::None => BackboneSizes {
                num_features: product(&[channels, height, across]),
                tensor: None,
                num_inputs: None,
            },
            Self::Hidden => BackboneSizes {
                num_features: Some(width),
                tensor: Some("backbone.layers.0.weight"),
                num_inputs: product(&[channels, height, across]),
            },
            Self::Resnet20 | Self::Resnet32 | Self::Resnet44 | Self::Resnet56 => BackboneSizes {
                num_features: Some(64),
                tensor: Some("backbone.conv.weight"),
                num_inputs: Some(channels),
            },
            Self::Resnet34 => BackboneSizes {
                num_features: Some(512),
                tensor: Some("backbone.conv1.weight"),
                num_inputs: Some(channels),
            },
            Self::Resnet50 => BackboneSizes {
                num_features: Some(2048),
                tensor: Some("backbone.conv1.weight"),
                num_inputs: Some(channels),
            },
        }
    }
}
