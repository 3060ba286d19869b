//! The label noises that an experiment can name. Their conventions and code stand in
//! `pemm_data::noise`.

use pemm_data::config::NoiseKind;

use crate::kind::Kind;
use crate::method::{Method, Parameter, Range};

const RATE: Parameter = Parameter::number("rate", 0.0, Range::SHARE, "share ε of the labels");

/// Of noises that flip round(ε n_c) samples of each class.
const EXACT: &str = "The authors' code draws every sample by itself; here the count of each class is exact, \
                     so that seeds differ in which labels are wrong and not in how many.";

static NONE: Method = Method {
    name: "none",
    summary: "labels stay as they are",
    equation: &["T = 1"],
    parameters: &[],
    reference: "",
    differs: &[],
};
static SYMMETRIC: Method = Method {
    name: "symmetric",
    summary: "to each of the other classes alike; an exact count of each class",
    equation: &["T[i][i] = 1 - ε, T[i][j] = ε/(K - 1)"],
    parameters: &[RATE],
    reference: "Patrini et al. 2017; the code of Wang et al. 2019",
    differs: &[
        "Public code takes ε N/K of every class, rounded down; here it is round(ε n_c) of n_c.",
    ],
};
static SYMMETRIC_INCLUSIVE: Method = Method {
    name: "symmetric-inclusive",
    summary: "to any of all classes alike, the own one included, so that fewer are wrong",
    equation: &["T[i][i] = 1 - ε + ε/K, T[i][j] = ε/K"],
    parameters: &[RATE],
    reference: "Li et al. 2020",
    differs: &["Their code takes ε N of the whole set; here it is round(ε n_c) of each class."],
};
static ASYMMETRIC: Method = Method {
    name: "asymmetric",
    summary: "CIFAR-10: truck→automobile, bird→airplane, deer→horse, cat↔dog",
    equation: &["T[i][i] = 1 - ε, T[i][target(i)] = ε for these five; half of ε is realised"],
    parameters: &[RATE],
    reference: "Patrini et al. 2017; sources from the labels before noise, as in the code of Wang et al. \
                2019",
    differs: &[EXACT],
};
static ASYMMETRIC_INPLACE: Method = Method {
    name: "asymmetric-inplace",
    summary: "the same, drawn one pair after the other, so that some cats and dogs flip back",
    equation: &[
        "as asymmetric, but T[cat][dog] = ε (1 - ε): 18.4 % are wrong at ε = 0.4, not 20 %",
    ],
    parameters: &[RATE],
    reference: "the authors' script; the code of Ma et al. 2020",
    differs: &["They round ε n down; here it is rounded to the nearest."],
};
static BLOCK_CYCLE: Method = Method {
    name: "block-cycle",
    summary: "CIFAR-100: to the next class inside blocks of 5 consecutive classes",
    equation: &["T[i][i] = 1 - ε, T[i][next(i)] = ε"],
    parameters: &[RATE],
    reference: "the code of Patrini et al. 2017 and the authors' script, which call the blocks \
                superclasses, though CIFAR-100's ids are alphabetical",
    differs: &[EXACT],
};
static BLOCK_PAIR: Method = Method {
    name: "block-pair",
    summary: "CIFAR-100: one random pair of classes in each block of 5",
    equation: &["T[a][a] = T[b][b] = 1 - ε, T[a][b] = T[b][a] = ε; 2/5 of ε is realised"],
    parameters: &[RATE],
    reference: "the code of Wang et al. 2019",
    differs: &[EXACT],
};
static SUPERCLASS: Method = Method {
    name: "superclass",
    summary: "to the next class within the true superclass",
    equation: &["T[i][i] = 1 - ε, T[i][next(i)] = ε"],
    parameters: &[
        RATE,
        Parameter::text(
            "groups",
            "CIFAR-100's",
            "lists of class names",
            "the superclasses, each a list of class names",
        ),
    ],
    reference: "Patrini et al. 2017",
    differs: &["Their code takes blocks of ids for the superclasses: that is block-cycle."],
};
static PAIR: Method = Method {
    name: "pair",
    summary: "class i to class i + 1",
    equation: &["T[i][i] = 1 - ε, T[i][i + 1 modulo K] = ε"],
    parameters: &[RATE],
    reference: "Han et al. 2018",
    differs: &[EXACT],
};
static INSTANCE: Method = Method {
    name: "instance",
    summary: "whether and where a label flips depends on the image, whose pixels are standardised",
    equation: &[
        "T_n[i][i] = 1 - q_n, T_n[i][j] = q_n softmax_{j ≠ i}(x_n·W_i)[j]",
        "q_n from N(ε, 0.1²) within 0 to 1; W_i [D, K] from N(0, 1); x_n standardised pixel by pixel",
    ],
    parameters: &[RATE],
    reference: "after Xia et al. 2020",
    differs: &[
        "Their public generator takes the raw bytes: that is instance-raw. Standardised, images of a class \
         agree less on where they flip: on the digits 40 % of the flips of a class go to its most \
         frequent target, and 67 % with raw bytes.",
        "W depends on the seed alone, so that training and validation part share it.",
    ],
};
static INSTANCE_RAW: Method = Method {
    name: "instance-raw",
    summary: "as instance, from raw bytes: the flips of a class go mostly to one other",
    equation: &["as instance, x_n the bytes 0 to 255 (or the values of a vector) as they are"],
    parameters: &[RATE],
    reference: "Xia et al. 2020, the public generator",
    differs: &["W depends on the seed alone, so that training and validation part share it."],
};
static MATRIX: Method = Method {
    name: "matrix",
    summary: "by a given matrix P(given j | true i)",
    equation: &["T is the file's; every sample draws its label by itself"],
    parameters: &[Parameter::text("matrix", "none", "a CSV file of K×K", "the matrix")],
    reference: "",
    differs: &[],
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
            Self::InstanceRaw => &INSTANCE_RAW,
            Self::Matrix => &MATRIX,
        }
    }
}
