//! Heads: features `[N, D]` → scores `[N, K]`, whose softmax are the class probabilities.
//!
//! Each head is a file: its equation, its code, and the [`Method`] by which experiments and `pemm
//! methods` know it.

pub mod arcface;
pub mod cosface;
mod cosine;
pub mod distance;

use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor};
use pemm_data::Rng;
use serde::{Deserialize, Serialize};

pub use arcface::AdditiveAngularMargin;
pub use cosface::LargeMarginCosine;
pub use distance::DistanceHead;

use crate::layers::Linear;
use crate::method::Method;

/// The heads that an experiment can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HeadKind {
    /// [`Linear`].
    Linear,
    /// [`DistanceHead`].
    Distance,
    /// [`LargeMarginCosine`].
    Cosface,
    /// [`AdditiveAngularMargin`].
    Arcface,
}

/// Every head.
pub static HEADS: [(HeadKind, Method); 4] = [
    (HeadKind::Linear, LINEAR),
    (HeadKind::Distance, distance::METHOD),
    (HeadKind::Cosface, cosface::METHOD),
    (HeadKind::Arcface, arcface::METHOD),
];

const LINEAR: Method = Method {
    name: "linear",
    summary: "score w_k·z + b_k; no centers",
    parameters: &[],
    reference: "the usual last layer",
};

impl HeadKind {
    /// Its row in the catalogue.
    pub fn method(self) -> &'static Method {
        let row = HEADS.iter().find(|(kind, _)| *kind == self);
        &row.expect("the catalogue has every kind, as a test holds").1
    }

    /// Whether the head has class centers, which an energy can hold apart.
    pub fn has_centers(self) -> bool {
        self != Self::Linear
    }
}

/// The numbers of a head; each kind takes its own.
#[derive(Debug, Clone, Copy)]
pub struct HeadParameters {
    /// σ of the distance head.
    pub sigma: f64,
    /// s of the cosine heads.
    pub scale: f64,
    /// m of the cosine heads.
    pub margin: f64,
}

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
    /// Builds `kind` for `[D, K]`.
    pub fn new(
        kind: HeadKind,
        sizes: [usize; 2],
        HeadParameters { sigma, scale, margin }: HeadParameters,
        rng: &mut Rng,
        device: &Device,
    ) -> Self {
        match kind {
            HeadKind::Linear => Self::Linear(Linear::new(sizes, rng, device)),
            HeadKind::Distance => Self::Distance(DistanceHead::new(sizes, sigma, rng, device)),
            HeadKind::Cosface => {
                Self::Cosface(LargeMarginCosine::new(sizes, scale, margin, rng, device))
            }
            HeadKind::Arcface => {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogue_has_every_kind_under_its_word() {
        for (kind, method) in &HEADS {
            assert_eq!(serde_json::to_value(kind).unwrap(), method.name);
            assert_eq!(kind.method().name, method.name, "kinds are unique");
        }
    }
}
