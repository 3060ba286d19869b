//! Heads: features `[N, D]` → scores `[N, K]`, whose softmax are the class probabilities.
//!
//! Each head is a file with its equation and code; name, parameters and reference stand in
//! [`pemm_experiment::heads`], and the matches here join the two.

pub mod arcface;
pub mod cosface;
mod cosine;
pub mod distance;

use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor};
use pemm_data::Rng;
pub use pemm_experiment::heads::HeadKind;
use pemm_experiment::parameters::Parameters;

pub use arcface::AdditiveAngularMargin;
pub use cosface::LargeMarginCosine;
pub use distance::DistanceHead;

use crate::layers::Linear;

/// A head of any kind.
#[derive(Module, Debug)]
pub enum Head {
    /// `s = z · Wᵀ + b`.
    Linear(Linear),
    /// Distances to centers.
    Distance(DistanceHead),
    /// Cosines, with a margin on the cosine.
    Cosface(LargeMarginCosine),
    /// Cosines, with a margin on the angle.
    Arcface(AdditiveAngularMargin),
}

impl Head {
    /// Builds `kind` for `[D, K]`, with parameters that are all filled in.
    pub fn new(
        kind: HeadKind,
        sizes: [usize; 2],
        parameters: &Parameters,
        rng: &mut Rng,
        device: &Device,
    ) -> Self {
        let number = |key| {
            let number = parameters.number(key);
            number.unwrap_or_else(|| panic!("a head reads {key} without declaring it"))
        };
        match kind {
            HeadKind::Linear => Self::Linear(Linear::new(sizes, rng, device)),
            HeadKind::Distance => {
                Self::Distance(DistanceHead::new(sizes, number("sigma"), rng, device))
            }
            HeadKind::Cosface => {
                let (scale, margin) = (number("scale"), number("margin"));
                Self::Cosface(LargeMarginCosine::new(sizes, scale, margin, rng, device))
            }
            HeadKind::Arcface => {
                let (scale, margin) = (number("scale"), number("margin"));
                Self::Arcface(AdditiveAngularMargin::new(sizes, scale, margin, rng, device))
            }
        }
    }

    /// Scores of a batch of features, `[N, D]` → `[N, K]`: those of predictions and records, without
    /// a margin.
    pub fn forward(&self, features: Tensor<2>) -> Tensor<2> {
        match self {
            Self::Linear(head) => head.forward(features),
            Self::Distance(head) => head.forward(features),
            Self::Cosface(head) => head.forward(features),
            Self::Arcface(head) => head.forward(features),
        }
    }

    /// The scores that a loss sees in training: those of [`Self::forward`], with the head's margin
    /// taken off the given label's; `[N, K]`, `[N]` → `[N, K]`. Heads without a margin change
    /// nothing.
    pub fn margin(&self, scores: Tensor<2>, given: Tensor<1, Int>) -> Tensor<2> {
        match self {
            Self::Linear(_) | Self::Distance(_) => scores,
            Self::Cosface(head) => head.margin(scores, given),
            Self::Arcface(head) => head.margin(scores, given),
        }
    }

    /// Distances of the features to the centers, `[N, K]`, from their scores, if there are centers.
    /// For the cosine heads both lie on the unit sphere.
    pub fn distances(&self, scores: Tensor<2>) -> Option<Tensor<2>> {
        match self {
            Self::Linear(_) => None,
            Self::Distance(head) => Some(head.distances(scores)),
            Self::Cosface(head) => Some(cosine::distances(scores, head.scale)),
            Self::Arcface(head) => Some(cosine::distances(scores, head.scale)),
        }
    }

    /// The class centers `[K, D]`, if the head has any; those of the cosine heads have norm 1.
    pub fn centers(&self) -> Option<Tensor<2>> {
        match self {
            Self::Linear(_) => None,
            Self::Distance(head) => Some(head.centers.val()),
            Self::Cosface(head) => Some(cosine::unit(head.weight.val())),
            Self::Arcface(head) => Some(cosine::unit(head.weight.val())),
        }
    }

    /// The parameter that the centers are made of.
    pub(crate) fn center_parameter(&mut self) -> Option<&mut Param<Tensor<2>>> {
        match self {
            Self::Linear(_) => None,
            Self::Distance(head) => Some(&mut head.centers),
            Self::Cosface(head) => Some(&mut head.weight),
            Self::Arcface(head) => Some(&mut head.weight),
        }
    }
}
