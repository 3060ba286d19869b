//! Backbones: images `[N, C, H, W]` → features `[N, D]`.
//!
//! Each is a file with its code; name, parameters and sizes stand in
//! [`pemm_experiment::backbones`], and the matches here join the two.

pub mod cnn;
pub mod cnn8;
pub mod identity;
pub mod mlp;
pub mod resnet;
pub mod resnet34;
pub mod resnet50;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use pemm_data::{Rng, Shape};
pub use pemm_experiment::backbones::BackboneKind;

pub use cnn::Cnn;
pub use cnn8::Cnn8;
pub use identity::Identity;
pub use mlp::Mlp;
pub use resnet::ResNet;
pub use resnet34::ResNet34;
pub use resnet50::ResNet50;

/// A backbone of any kind.
#[derive(Module, Debug)]
pub enum Backbone {
    /// See [`Cnn`].
    Cnn(Cnn),
    /// See [`Cnn8`].
    Cnn8(Cnn8),
    /// See [`Mlp`].
    Mlp(Mlp),
    /// See [`Identity`].
    Identity(Identity),
    /// See [`ResNet`].
    ResNet(ResNet),
    /// See [`ResNet34`].
    ResNet34(ResNet34),
    /// See [`ResNet50`].
    ResNet50(ResNet50),
}

impl Backbone {
    /// Builds `kind` for samples of `shape`. `width` is the first layer's channels of `cnn` and `cnn8` and
    /// the units per layer of `mlp`; the ResNets have the widths of their paper and ignore it.
    pub fn new(
        kind: BackboneKind,
        width: usize,
        shape: Shape,
        rng: &mut Rng,
        device: &Device,
    ) -> Self {
        match kind {
            BackboneKind::Cnn => Self::Cnn(Cnn::new(width, shape, rng, device)),
            BackboneKind::Cnn8 => Self::Cnn8(Cnn8::new(width, shape, rng, device)),
            BackboneKind::Mlp => Self::Mlp(Mlp::new(width, shape, rng, device)),
            BackboneKind::None => Self::Identity(Identity::new(shape)),
            BackboneKind::Hidden => Self::Mlp(Mlp::hidden(width, shape, rng, device)),
            BackboneKind::Resnet20 => Self::ResNet(ResNet::new(20, shape, rng, device)),
            BackboneKind::Resnet32 => Self::ResNet(ResNet::new(32, shape, rng, device)),
            BackboneKind::Resnet44 => Self::ResNet(ResNet::new(44, shape, rng, device)),
            BackboneKind::Resnet56 => Self::ResNet(ResNet::new(56, shape, rng, device)),
            BackboneKind::Resnet34 => Self::ResNet34(ResNet34::new(shape, rng, device)),
            BackboneKind::Resnet50 => Self::ResNet50(ResNet50::new(shape, rng, device)),
        }
    }

    /// Size D of the features.
    pub fn num_features(&self) -> usize {
        match self {
            Self::Cnn(net) => net.num_features(),
            Self::Cnn8(net) => net.num_features(),
            Self::Mlp(net) => net.num_features(),
            Self::Identity(net) => net.num_features(),
            Self::ResNet(net) => net.num_features(),
            Self::ResNet34(_) => ResNet34::NUM_FEATURES,
            Self::ResNet50(_) => ResNet50::NUM_FEATURES,
        }
    }

    /// Features of a batch, `[N, C, H, W]` → `[N, D]`.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        match self {
            Self::Cnn(net) => net.forward(images),
            Self::Cnn8(net) => net.forward(images),
            Self::Mlp(net) => net.forward(images),
            Self::Identity(net) => net.forward(images),
            Self::ResNet(net) => net.forward(images),
            Self::ResNet34(net) => net.forward(images),
            Self::ResNet50(net) => net.forward(images),
        }
    }
}
