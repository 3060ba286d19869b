//! The losses that an experiment can name. Their equations and code stand in `pemm::loss`, a file
//! each; an exhaustive match there joins the two.

use crate::kind::kinds;
use crate::method::{Accepts, Parameter, Range};

const BETA_RCE: Parameter =
    Parameter::number("beta_rce", 1.0, Range::NOT_NEGATIVE, "weight of rce");
const LOG_ZERO: Parameter = Parameter::number(
    "log_zero",
    -4.0,
    Range::NEGATIVE,
    "A, the value of log 0; public code that clamps q at 1e-4 has -9.21",
);
const Q: Parameter =
    Parameter::number("q", 0.7, Range::above(0.0, 1.0), "q → 0 is ce, q = 1 is half of mae");

const fn beta_bootstrap(default: f64) -> Parameter {
    let meaning = "weight of the given label in the target, the rest is the prediction's; 1 is ce";
    Parameter::number("beta_bootstrap", default, Range::SHARE, meaning)
}

kinds! {
    /// The losses that an experiment can name.
    LossKind, "Losses", "loss.kind":

    /// Cross entropy.
    Ce = "ce" {
        summary: "cross entropy; fits wrong labels in the end",
        parameters: &[],
        reference: "paper, eq. 1",
    }
    /// Mean absolute error.
    Mae = "mae" {
        summary: "mean absolute error; robust to symmetric noise, but learns slowly",
        parameters: &[],
        reference: "Ghosh et al. 2017",
    }
    /// Generalised cross entropy.
    Gce = "gce" {
        summary: "generalised cross entropy, between ce and mae",
        parameters: &[Q],
        reference: "Zhang and Sabuncu 2018",
    }
    /// Generalised cross entropy, truncated.
    GceTruncated = "gce-truncated" {
        summary: "gce that is constant where the given label is improbable; without memory",
        parameters: &[
            Q,
            Parameter::number(
                "truncation",
                0.5,
                Range::between(0.0, 1.0),
                "samples whose given label has probability k or less teach nothing; k → 0 is gce",
            ),
        ],
        reference: "Zhang and Sabuncu 2018, section 3.3",
    }
    /// Reverse cross entropy.
    Rce = "rce" {
        summary: "reverse cross entropy; proportional to mae",
        parameters: &[LOG_ZERO],
        reference: "paper, eq. 8; Wang et al. 2019",
    }
    /// Symmetric cross entropy.
    Sce = "sce" {
        summary: "symmetric cross entropy, ce and rce together",
        parameters: &[
            Parameter::number("alpha", 0.1, Range::NOT_NEGATIVE, "weight of ce"),
            BETA_RCE,
            LOG_ZERO,
        ],
        reference: "paper, eq. 9; Wang et al. 2019",
    }
    /// Normalised cross entropy.
    Nce = "nce" {
        summary: "cross entropy over its sum over all classes; robust, but learns slowly alone",
        parameters: &[],
        reference: "Ma et al. 2020",
    }
    /// Normalised and reverse cross entropy.
    NceRce = "nce-rce" {
        summary: "normalised and reverse cross entropy together, both robust",
        parameters: &[
            Parameter::number("alpha", 1.0, Range::NOT_NEGATIVE, "weight of nce"),
            BETA_RCE,
            LOG_ZERO,
        ],
        reference: "Ma et al. 2020",
    }
    /// Bootstrapping with probabilities.
    BootstrapSoft = "bootstrap-soft" {
        summary: "cross entropy towards the given label mixed with the predicted probabilities",
        parameters: &[beta_bootstrap(0.95)],
        reference: "Reed et al. 2014",
    }
    /// Bootstrapping with the predicted class.
    BootstrapHard = "bootstrap-hard" {
        summary: "cross entropy towards the given label mixed with the predicted class",
        parameters: &[beta_bootstrap(0.8)],
        reference: "Reed et al. 2014",
    }
    /// Forward correction.
    Forward = "forward" {
        summary: "cross entropy of the prediction after the noise P(given | true) was applied to it",
        parameters: &[
            Parameter {
                key: "matrix",
                meaning: "P(given j | true i): estimated from the run's own predictions, that of \
                          the noise which was drawn (an oracle), or a CSV file of K×K",
                accepts: Accepts::Text {
                    default: "\"estimated\"",
                    range: "\"estimated\", \"noise\" or a file",
                },
            },
            Parameter {
                key: "estimate_after",
                meaning: "epochs of ce before the matrix is estimated",
                accepts: Accepts::Epochs {
                    default: "a quarter of the epochs",
                    range: "1 or more, below schedule.num_epochs",
                },
            },
        ],
        reference: "Patrini et al. 2017",
    }
    /// Partially Huberised cross entropy.
    PhuberCe = "phuber-ce" {
        summary: "cross entropy that goes on as a line where the given label is improbable",
        parameters: &[Parameter::number(
            "tau",
            2.0,
            Range::from(1.0),
            "linear below probability 1/τ; 1 is half of mae, τ → ∞ is ce",
        )],
        reference: "Menon et al. 2020",
    }
    /// Label smoothing.
    LabelSmoothing = "label-smoothing" {
        summary: "cross entropy towards the given label mixed with all classes alike",
        parameters: &[Parameter::number(
            "smoothing",
            0.1,
            Range::SHARE,
            "weight ε of all classes alike in the target; 0 is ce",
        )],
        reference: "Szegedy et al. 2015",
    }
}
