//! Losses: scores `[N, K]` and given labels `[N]` → one value per sample `[N]`. Only the trainer
//! takes the mean.
//!
//! Each loss is a file: its equation, its code, and the [`Entry`] by which experiments, `pemm
//! methods` and the contract test know it. A new one is that file, a [`LossKind`], and a row in
//! [`LOSSES`]; a parameter that no loss had before is also a field of
//! [`LossConfig`](crate::experiment::LossConfig).

pub mod bootstrap_hard;
pub mod bootstrap_soft;
pub mod catalogue;
pub mod cross_entropy;
pub mod forward;
pub mod generalized_cross_entropy;
pub mod label_smoothing;
pub mod mean_absolute_error;
pub mod normalized_and_reverse;
pub mod normalized_cross_entropy;
pub mod partially_huberised;
pub mod reverse_cross_entropy;
pub mod symmetric_cross_entropy;
pub mod truncated_generalized;

use burn::tensor::{Int, Tensor, activation};
use serde::{Deserialize, Serialize};

pub use bootstrap_hard::BootstrapHard;
pub use bootstrap_soft::BootstrapSoft;
pub use catalogue::{Entry, LOSSES, Limit, Settings};
pub use cross_entropy::CrossEntropy;
pub use forward::ForwardCorrection;
pub use generalized_cross_entropy::GeneralizedCrossEntropy;
pub use label_smoothing::LabelSmoothing;
pub use mean_absolute_error::MeanAbsoluteError;
pub use normalized_and_reverse::NormalizedAndReverse;
pub use normalized_cross_entropy::NormalizedCrossEntropy;
pub use partially_huberised::PartiallyHuberised;
pub use reverse_cross_entropy::ReverseCrossEntropy;
pub use symmetric_cross_entropy::SymmetricCrossEntropy;
pub use truncated_generalized::TruncatedGeneralized;

/// A loss that needs nothing but scores and given labels.
pub trait Loss: Send {
    /// The loss of each sample: scores `[N, K]`, given `[N]` → `[N]`.
    fn forward(&self, scores: Tensor<2>, given: Tensor<1, Int>) -> Tensor<1>;
}

/// The losses that an experiment can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LossKind {
    /// [`CrossEntropy`].
    Ce,
    /// [`MeanAbsoluteError`].
    Mae,
    /// [`GeneralizedCrossEntropy`].
    Gce,
    /// [`TruncatedGeneralized`].
    GceTruncated,
    /// [`ReverseCrossEntropy`].
    Rce,
    /// [`SymmetricCrossEntropy`].
    Sce,
    /// [`NormalizedCrossEntropy`].
    Nce,
    /// [`NormalizedAndReverse`].
    NceRce,
    /// [`BootstrapSoft`].
    BootstrapSoft,
    /// [`BootstrapHard`].
    BootstrapHard,
    /// [`ForwardCorrection`].
    Forward,
    /// [`PartiallyHuberised`].
    PhuberCe,
    /// [`LabelSmoothing`].
    LabelSmoothing,
}

/// Log-probability of the given label, `[N]`: `s[n, y_n] - log Σ_k exp s[n,k]`.
pub(crate) fn log_probability(scores: Tensor<2>, given: Tensor<1, Int>) -> Tensor<1> {
    of_given(activation::log_softmax(scores, 1), given)
}

/// The value of each row at its given label: `[N, K]`, `[N]` → `[N]`.
pub(crate) fn of_given(rows: Tensor<2>, given: Tensor<1, Int>) -> Tensor<1> {
    rows.gather(1, given.unsqueeze_dim(1)).squeeze_dim(1)
}
