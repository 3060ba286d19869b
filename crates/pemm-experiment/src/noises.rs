//! The label noises that an experiment can name. Their conventions and code stand in
//! `pemm_data::noise`.

use pemm_data::config::NoiseKind;

use crate::kind::Kind;
use crate::method::{Accepts, Method, Parameter, Range};

const RATE: Parameter = Parameter::number("rate", 0.0, Range::SHARE, "share ε of the labels");

const fn method(name: &'static str, summary: &'static str, reference: &'static str) -> Method {
    Method { name, summary, parameters: &[RATE], reference }
}

static NONE: Method =
    Method { name: "none", summary: "labels stay as they are", parameters: &[], reference: "" };
static SYMMETRIC: Method = method(
    "symmetric",
    "to each of the other classes alike; an exact count of each class",
    "Patrini et al. 2017",
);
static SYMMETRIC_INCLUSIVE: Method = method(
    "symmetric-inclusive",
    "to any of all classes alike, the own one included, so that fewer are wrong",
    "Li et al. 2020",
);
static ASYMMETRIC: Method = method(
    "asymmetric",
    "CIFAR-10: truck→automobile, bird→airplane, deer→horse, cat↔dog",
    "Wang et al. 2019",
);
static ASYMMETRIC_INPLACE: Method = method(
    "asymmetric-inplace",
    "the same, drawn one pair after the other, so that some cats and dogs flip back",
    "the authors' script",
);
static BLOCK_CYCLE: Method = method(
    "block-cycle",
    "CIFAR-100: to the next class inside blocks of 5 consecutive classes",
    "Zhang and Sabuncu 2018",
);
static BLOCK_PAIR: Method = method(
    "block-pair",
    "CIFAR-100: one random pair of classes in each block of 5",
    "Wang et al. 2019",
);
static SUPERCLASS: Method = Method {
    name: "superclass",
    summary: "to the next class within the true superclass",
    parameters: &[
        RATE,
        Parameter {
            key: "groups",
            meaning: "the superclasses, each a list of class names",
            accepts: Accepts::Text { default: "CIFAR-100's", range: "lists of class names" },
        },
    ],
    reference: "Patrini et al. 2017",
};
static PAIR: Method = method("pair", "class i to class i + 1", "Han et al. 2018");
static INSTANCE: Method =
    method("instance", "whether and where a label flips depends on the image", "Xia et al. 2020");
static MATRIX: Method = Method {
    name: "matrix",
    summary: "by a given matrix P(given j | true i)",
    parameters: &[Parameter {
        key: "matrix",
        meaning: "the matrix",
        accepts: Accepts::Text { default: "none", range: "a CSV file of K×K" },
    }],
    reference: "",
};

impl Kind for NoiseKind {
    const TITLE: &'static str = "Label noise";
    const KEY: &'static str = "noise.kind";
    const ALL: &'static [Self] = &Self::ALL;

    fn method(self) -> &'static Method {
        match self {
            Self::None => &NONE,
            Self::Symmetric => &SYMMETRIC,
            Self::SymmetricInclusive => &SYMMETRIC_INCLUSIVE,
            Self::Asymmetric => &ASYMMETRIC,
            Self::AsymmetricInplace => &ASYMMETRIC_INPLACE,
            Self::BlockCycle => &BLOCK_CYCLE,
            Self::BlockPair => &BLOCK_PAIR,
            Self::Superclass => &SUPERCLASS,
            Self::Pair => &PAIR,
            Self::Instance => &INSTANCE,
            Self::Matrix => &MATRIX,
        }
    }
}
