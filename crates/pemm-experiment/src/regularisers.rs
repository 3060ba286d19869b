//! The regularisers of the centers that an experiment can name. Their code is one file,
//! `pemm::energy`.

use pemm_energy::Potential;

use crate::energy::EnergyConfig;
use crate::kind::kinds;
use crate::method::{Parameter, Range};

const WEIGHT: Parameter = Parameter::number("weight", 1.0, Range::NOT_NEGATIVE, "λ");
const U: Parameter = Parameter::number("u", 3.0, Range::above(1.0, 64.0), "power of the push, > v");
const V: Parameter = Parameter::number("v", 2.0, Range::within(1.0, 64.0), "power of the pull");
const XI: Parameter = Parameter::number("xi", 2.0, Range::POSITIVE, "weight ξ of the pull");
const PAIRS: Parameter = Parameter::word(
    "pairs",
    &["sum", "mean", "per-center", "split-mean"],
    "how pairs are put together",
);
const START: Parameter =
    Parameter::word("start", &["drawn", "rest"], "where the centers are before the first step");
const CLAMP: Parameter =
    Parameter::text("clamp", "none", "[low, high]", "range to which each pair's value is clamped");

kinds! {
    /// What holds the centers apart.
    EnergyKind, "Regularisers of the centers", "loss.energy.kind":

    /// Nothing.
    None = "none" {
        summary: "nothing; the only one that goes with a linear head",
        equation: &[],
        parameters: &[],
        reference: "",
        differs: &[],
    }
    /// Potential energy (eq. 10–12).
    Potential = "potential" {
        summary: "energy 1/r^u - ξ/r^v at r = ‖c_i - c_j‖ + β over all pairs: push near, pull far",
        equation: &[
            "λ Σ E(‖c_i - c_j‖ + β) over all pairs of {0, c_1 … c_K}, E(r) = 1/r^u - ξ/r^v",
            "at rest r0 = (u / (ξ v))^(1/(u - v)), so that all distances are r0 - β",
        ],
        parameters: &[
            WEIGHT,
            U,
            V,
            XI,
            Parameter::number(
                "beta",
                0.3,
                Range::NOT_NEGATIVE,
                "offset β of the distance; from r0 on the energy only pulls",
            ),
            PAIRS,
            CLAMP,
            START,
        ],
        reference: "paper, eq. 10-12",
        differs: &[
            "The paper sums the losses of a batch, here their mean is taken: for the same λ the energy \
             is N times as strong as there.",
            "The authors' script has ξ = 1, β = 0, λ = 2, pairs = \"split-mean\" and \
             clamp = [-1.5, 1000]: preset authors.",
        ],
    }
    /// Center margin (eq. 14) at the potential's `r0`.
    Margin = "margin" {
        summary: "center margin max(0, r0 - ‖c_i - c_j‖) over all pairs: push near, nothing far",
        equation: &["λ Σ max(0, r0 - ‖c_i - c_j‖) over all pairs of {0, c_1 … c_K}"],
        parameters: &[WEIGHT, U, V, XI, PAIRS, CLAMP, START],
        reference: "paper, eq. 14",
        differs: &[],
    }
}

impl EnergyKind {
    /// The function of the distance with the parameters of `config`; the potential energy for `none`, for
    /// the records.
    pub(crate) fn potential(self, config: &EnergyConfig) -> Potential {
        let EnergyConfig { u, v, xi, .. } = *config;
        let energy = |beta| Potential::Energy { u, v, xi, beta };
        match self {
            Self::Margin => Potential::Margin { rest: energy(0.0).r0() },
            Self::None | Self::Potential => energy(config.beta),
        }
    }
}
