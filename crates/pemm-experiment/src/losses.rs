//! The losses that an experiment can name. Their code stands in `pemm::loss`, a file each; an
//! exhaustive match there joins the two.

use crate::kind::kinds;
use crate::method::{Parameter, Range};

const BETA_RCE: Parameter =
    Parameter::number("beta_rce", 1.0, Range::NOT_NEGATIVE, "weight of rce");
const LOG_ZERO: Parameter = Parameter::number(
    "log_zero",
    -4.0,
    Range::NEGATIVE,
    "A, the value of log 0; public code that clamps q at 1e-4 has ln 1e-4 = -9.21",
);
const MATRIX: Parameter = Parameter::text(
    "matrix",
    "\"estimated\"",
    "\"estimated\", \"noise\" or a file",
    "P(given j | true i): estimated from the run's own predictions, that of the noise which was drawn \
     (an oracle), or a CSV file of K×K",
);
const ESTIMATE_AFTER: Parameter = Parameter::epochs(
    "estimate_after",
    "a quarter of the epochs",
    "1 or more, below schedule.num_epochs",
    "epochs of ce before the matrix is estimated",
);
const PERCENTILE: Parameter = Parameter::open(
    "percentile",
    "within each class's own samples",
    Range::within(0.0, 100.0),
    "of all samples' probabilities of a class: the surest sample below it stands for the class; 100 is \
     the surest of all",
)
.later();
const Q: Parameter =
    Parameter::number("q", 0.7, Range::above(0.0, 1.0), "q → 0 is ce, q = 1 is half of mae");

/// What the default of [`LOG_ZERO`] changes for Wang et al.'s and Ma et al.'s losses.
const CLAMPED: &str = "log_zero: the paper of Wang et al. says -4, which is the default; their code and \
                       that of Ma et al. clamp q at 1e-4, which is -9.21. A larger -A lets improbable \
                       labels pull less beside probable ones, and takes larger steps at the same rate. \
                       The presets sce and nce-rce have the codes' value.";
/// Of losses that correct for an estimated matrix.
const ONE_MODEL: &str = "estimate_after: the paper trains a model to the end with ce, estimates, and \
                         trains a second one from the start; here one model goes on, and the matrix is \
                         of what its training steps of one epoch said, on augmented samples. As in the \
                         paper: pemm evaluate RUN --noise-matrix FILE, and loss.matrix = FILE in the \
                         next run.";
/// Of losses whose public code keeps probabilities away from 0.
const NO_CLAMP: &str = "Public code clamps p at 1e-7, so that a label which is less probable than that \
                        teaches nothing; here nothing is clamped.";

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
        equation: &["-log p_y"],
        parameters: &[],
        reference: "paper, eq. 1",
        differs: &[],
    }
    /// Mean absolute error.
    Mae = "mae" {
        summary: "mean absolute error; robust to symmetric noise, but learns slowly",
        equation: &["Σ_k |p_k - [k = y]| = 2 (1 - p_y)"],
        parameters: &[],
        reference: "Ghosh et al. 2017",
        differs: &[
            "The code of Ma et al. leaves out the factor 2: at the same learning rate its steps are \
             half as large.",
        ],
    }
    /// Generalised cross entropy.
    Gce = "gce" {
        summary: "generalised cross entropy, between ce and mae",
        equation: &["(1 - p_y^q) / q"],
        parameters: &[Q],
        reference: "Zhang and Sabuncu 2018, eq. 6",
        differs: &[NO_CLAMP],
    }
    /// Generalised cross entropy, truncated.
    GceTruncated = "gce-truncated" {
        summary: "gce that is constant where the given label is improbable; without memory",
        equation: &["(1 - max(p_y, k)^q) / q"],
        parameters: &[
            Q,
            Parameter::number(
                "truncation",
                0.5,
                Range::between(0.0, 1.0),
                "samples whose given label has probability k or less teach nothing; k → 0 is gce",
            ),
        ],
        reference: "Zhang and Sabuncu 2018, section 3.3, eq. 11 without its weights",
        differs: &[
            "The paper begins to leave samples out after 40 epochs, and chooses them anew once in ten \
             epochs by the best model so far; here every step decides by its own prediction, from the \
             first on. A fresh model gives every class about 1/K, so with k at 1/K or above nothing may \
             be learned from the start (a warning says so).",
        ],
    }
    /// Reverse cross entropy.
    Rce = "rce" {
        summary: "reverse cross entropy; proportional to mae",
        equation: &["-Σ_k p_k log q_k with log 0 := A, that is -A (1 - p_y)"],
        parameters: &[LOG_ZERO],
        reference: "paper, eq. 8; Wang et al. 2019, eq. 5",
        differs: &[CLAMPED],
    }
    /// Symmetric cross entropy.
    Sce = "sce" {
        summary: "symmetric cross entropy, ce and rce together",
        equation: &["-α log p_y - β_rce A (1 - p_y)"],
        parameters: &[
            Parameter::number("alpha", 0.1, Range::NOT_NEGATIVE, "weight of ce"),
            BETA_RCE,
            LOG_ZERO,
        ],
        reference: "paper, eq. 9; Wang et al. 2019, who take α 0.1 and β 1 for CIFAR-10, 6 and 0.1 \
                    for CIFAR-100",
        differs: &[CLAMPED],
    }
    /// Normalised cross entropy.
    Nce = "nce" {
        summary: "cross entropy over its sum over all classes; robust, but learns slowly alone",
        equation: &["log p_y / Σ_k log p_k"],
        parameters: &[],
        reference: "Ma et al. 2020",
        differs: &[],
    }
    /// Normalised and reverse cross entropy.
    NceRce = "nce-rce" {
        summary: "normalised and reverse cross entropy together, both robust",
        equation: &["α log p_y / Σ_k log p_k - β_rce A (1 - p_y)"],
        parameters: &[
            Parameter::number("alpha", 1.0, Range::NOT_NEGATIVE, "weight of nce"),
            BETA_RCE,
            LOG_ZERO,
        ],
        reference: "Ma et al. 2020, who take α 1 and β 1 for CIFAR-10, 10 and 0.1 for CIFAR-100",
        differs: &[CLAMPED],
    }
    /// Bootstrapping with probabilities.
    BootstrapSoft = "bootstrap-soft" {
        summary: "cross entropy towards the given label mixed with the predicted probabilities",
        equation: &["-Σ_k (β [k = y] + (1 - β) p_k) log p_k; the target keeps its gradient"],
        parameters: &[beta_bootstrap(0.95)],
        reference: "Reed et al. 2014",
        differs: &[NO_CLAMP],
    }
    /// Bootstrapping with the predicted class.
    BootstrapHard = "bootstrap-hard" {
        summary: "cross entropy towards the given label mixed with the predicted class",
        equation: &["-Σ_k (β [k = y] + (1 - β) [k = ŷ]) log p_k, ŷ the predicted class"],
        parameters: &[beta_bootstrap(0.8)],
        reference: "Reed et al. 2014",
        differs: &[NO_CLAMP],
    }
    /// Forward correction.
    Forward = "forward" {
        summary: "cross entropy of the prediction after the noise P(given | true) was applied to it",
        equation: &["-log Σ_i p_i T[i][y], T[i][j] = P(given j | true i)"],
        parameters: &[MATRIX, ESTIMATE_AFTER, PERCENTILE],
        reference: "Patrini et al. 2017, theorem 2; the estimate: eq. 12 and 13, section 5",
        differs: &[
            ONE_MODEL,
            "percentile: the paper takes the 97th of all samples for every data set but CIFAR-100, where \
             it takes the surest sample (100). From 33 classes on the 97th is beyond all samples of a \
             class, and then the row of another class is found. The default stays within a class's own \
             samples; with 10 classes of one size it is the 97th.",
            "With a percentile the authors' code sets the probabilities above it to 0 in place, so that \
             a sample which is too sure of one class stands with a hole for another; here nothing is \
             changed.",
            "Their code clamps p at 1e-7: a class that is less probable teaches nothing; here nothing is clamped.",
        ],
    }
    /// Backward correction.
    Backward = "backward" {
        summary: "the mix of all classes' ce that is the true class's in the mean over the noise",
        equation: &["-Σ_j (T⁻¹)[y][j] log p_j, T[i][j] = P(given j | true i)"],
        parameters: &[MATRIX, ESTIMATE_AFTER, PERCENTILE],
        reference: "Patrini et al. 2017, theorem 1; the estimate: as of forward",
        differs: &[
            ONE_MODEL,
            "percentile: as of forward.",
            "Their code clamps p at 1e-7: a class whose weight (T⁻¹)[y][j] is negative lowers the loss until \
             then, and teaches nothing beyond; here it lowers it without limit.",
            "Where T has no inverse, or next to none (a pivot below 1e-3), it is mixed with the identity \
             in steps of a hundredth until it has one. The paper says to mix them and not how much, its \
             code inverts whatever there is: near such a T the loss then is of any size.",
        ],
    }
    /// Partially Huberised cross entropy.
    PhuberCe = "phuber-ce" {
        summary: "cross entropy that goes on as a line where the given label is improbable",
        equation: &["-log p_y where p_y > 1/τ, else log τ + 1 - τ p_y"],
        parameters: &[Parameter::number(
            "tau",
            2.0,
            Range::from(1.0),
            "linear below probability 1/τ; 1 is half of mae, τ → ∞ is ce",
        )],
        reference: "Menon et al. 2020",
        differs: &[
            "tau: 2 is the value of public re-implementations for CIFAR-10 (10 for CIFAR-100); we have \
             not held it against the paper.",
        ],
    }
    /// Label smoothing.
    LabelSmoothing = "label-smoothing" {
        summary: "cross entropy towards the given label mixed with all classes alike",
        equation: &["-Σ_k ((1 - ε) [k = y] + ε/K) log p_k"],
        parameters: &[Parameter::number(
            "smoothing",
            0.1,
            Range::SHARE,
            "weight ε of all classes alike in the target; 0 is ce",
        )],
        reference: "Szegedy et al. 2015, section 7",
        differs: &[],
    }
}
