//! The objectives that an experiment can name. Their equations and code stand in `pemm::objective`, a
//! file each; an exhaustive match there joins the two.

use crate::kind::kinds;
use crate::method::{Parameter, Range};

const fn warmup(default: usize, least: f64) -> Parameter {
    Parameter::count("warmup_epochs", default, Range::from(least), "epochs of plain training first")
}

const fn alpha(default: f64) -> Parameter {
    let range = Range::within(0.05, 16.0);
    Parameter::number("alpha", default, range, "of Beta(alpha, alpha); 1 is uniform, near 0 none")
}

kinds! {
    /// The objectives that an experiment can name.
    ObjectiveKind, "Objectives", "objective.kind":

    /// The mean loss and the terms of the centers.
    Plain = "plain" {
        summary: "mean loss and the terms of the centers",
        parameters: &[],
        reference: "the paper, eq. 13",
    }
    /// Straight lines between samples.
    Mixup = "mixup" {
        summary: "straight lines between pairs of samples",
        parameters: &[alpha(1.0)],
        reference: "Zhang et al. 2018",
    }
    /// Early-learning regularisation.
    Elr = "elr" {
        summary: "early-learning regularisation: a memory of early predictions against labels",
        parameters: &[
            Parameter::number(
                "memory_rate",
                0.7,
                Range::up_to(0.0, 1.0),
                "share of the memory that an epoch keeps",
            ),
            Parameter::number("weight", 3.0, Range::NOT_NEGATIVE, "of the second term"),
        ],
        reference: "Liu et al. 2020",
    }
    /// Samples weighted by how probably their label is right.
    Reweight = "reweight" {
        summary: "samples weighted by a mixture of two normals over losses or distances",
        parameters: &[
            Parameter::word("by", &["loss", "distance"], "what a label is doubted by"),
            warmup(5, 1.0),
        ],
        reference: "the paper, section 4.4; Arazo et al. 2019",
    }
    /// Two networks that select for each other.
    CoTeaching = "co-teaching" {
        summary: "two networks, each learns from what the other finds easy",
        parameters: &[
            Parameter::number(
                "forget_rate",
                0.2,
                Range::within(0.0, 0.95),
                "share of a batch that is left out in the end",
            ),
            Parameter::count("ramp_epochs", 10, Range::from(1.0), "epochs until it is"),
        ],
        reference: "Han et al. 2018",
    }
    /// Two networks that learn where they disagree.
    Decoupling = "decoupling" {
        summary: "two networks that learn only where they disagree",
        parameters: &[warmup(0, 0.0)],
        reference: "Malach and Shalev-Shwartz 2017",
    }
    /// Two networks that guess the labels which they doubt.
    DivideMix = "divide-mix" {
        summary: "two networks; doubted labels are replaced by guesses, with mixup",
        parameters: &[
            warmup(10, 1.0),
            Parameter::number("threshold", 0.5, Range::SHARE, "trust above which labels stay"),
            Parameter::number(
                "temperature",
                0.5,
                Range::within(0.01, 1.0),
                "of the targets; smaller is sharper",
            ),
            alpha(4.0),
            Parameter::number("weight", 25.0, Range::NOT_NEGATIVE, "of unlabeled samples"),
        ],
        reference: "Li et al. 2020, simplified",
    }
}

impl ObjectiveKind {
    /// Networks that it trains, 1 or 2.
    pub fn num_networks(self) -> usize {
        match self {
            Self::Plain | Self::Mixup | Self::Elr | Self::Reweight => 1,
            Self::CoTeaching | Self::Decoupling | Self::DivideMix => 2,
        }
    }
}
