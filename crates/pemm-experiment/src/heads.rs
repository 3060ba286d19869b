//! The heads that an experiment can name. Their equations and code stand in `pemm::head`, a file
//! each; an exhaustive match there joins the two.

use crate::kind::kinds;
use crate::method::{Parameter, Range};

const SCALE: Parameter =
    Parameter::number("scale", 64.0, Range::POSITIVE, "score of a feature on its class weight");

kinds! {
    /// The heads that an experiment can name.
    HeadKind, "Heads", "model.head":

    /// The usual last layer.
    Linear = "linear" {
        summary: "score w_k·z + b_k; no centers",
        equation: &["s_k = w_k·z + b_k"],
        parameters: &[],
        reference: "the usual last layer",
        differs: &[],
    }
    /// Distance to class centers.
    Distance = "distance" {
        summary: "score -‖z - c_k‖²/σ², the posterior of a mixture of Gaussians; centers c_k",
        equation: &["s_k = -‖z - c_k‖² / σ²"],
        parameters: &[Parameter::number("sigma", 1.0, Range::POSITIVE, "radius of the balls")],
        reference: "paper, eq. 6 and 7",
        differs: &[
            "The paper normalises the features and does not say how; here, as in the authors' script, it \
             is the BatchNorm of the backbone. model.unit_norm = true is the other reading; with σ = 1 \
             it cannot be confident (preset paper-unit).",
        ],
    }
    /// Large margin cosine.
    Cosface = "cosface" {
        summary: "score s cos θ_k, less s m for the given label in training; centers on the unit sphere",
        equation: &["s_k = s (cos θ_k - m [k = y]) in training, else s cos θ_k; θ_k between z and w_k"],
        parameters: &[
            SCALE,
            Parameter::number("margin", 0.35, Range::SHARE, "taken off the cosine; 0 is none"),
        ],
        reference: "CosFace, Wang et al. 2018, eq. 4; scale and margin are for faces and thousands of \
                    classes",
        differs: &[
            "Weights start as a linear layer's; their length decides how far a step turns them.",
        ],
    }
    /// Additive angular margin.
    Arcface = "arcface" {
        summary: "score s cos θ_k, s cos(θ_k + m) for the given label in training; unit centers",
        equation: &["s_k = s cos(θ_k + m [k = y]) in training, else s cos θ_k; θ_k between z and w_k"],
        parameters: &[
            SCALE,
            Parameter::number(
                "margin",
                0.5,
                Range::within(0.0, 1.5),
                "added to the angle, in radians; 0 is none",
            ),
        ],
        reference: "ArcFace, Deng et al. 2019, eq. 3; scale and margin are for faces and thousands of \
                    classes",
        differs: &[
            "For θ above π - m, where cos(θ + m) grows with θ again, the authors' code goes on as \
             cos θ - m sin m; here it is the equation throughout, so that samples on the far side are \
             pulled less.",
            "Weights start as a linear layer's; their length decides how far a step turns them.",
        ],
    }
}

impl HeadKind {
    /// Whether the head has class centers, which an energy can hold apart.
    pub fn has_centers(self) -> bool {
        match self {
            Self::Linear => false,
            Self::Distance | Self::Cosface | Self::Arcface => true,
        }
    }

    /// Name of the tensor `[K, D]` in files of weights.
    pub fn tensor(self) -> &'static str {
        match self {
            Self::Linear | Self::Cosface | Self::Arcface => "head.weight",
            Self::Distance => "head.centers",
        }
    }
}
