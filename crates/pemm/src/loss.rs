//! Losses: scores `[N, K]` and given labels `[N]` → one value per sample `[N]`. Only the trainer
//! takes the mean.
//!
//! Each loss is a file: its equation, its code, and the [`Code`] that joins it to its entry in
//! [`pemm_experiment::losses`], where its name, parameters and reference stand.

pub mod backward;
pub mod bootstrap_hard;
pub mod bootstrap_soft;
pub mod code;
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
use pemm_data::noise::Transition;
use pemm_experiment::loss::{LossConfig, LossContext};
pub use pemm_experiment::losses::LossKind;
use pemm_experiment::parameters::Parameters;

use crate::error::Result;

pub use backward::BackwardCorrection;
pub use bootstrap_hard::BootstrapHard;
pub use bootstrap_soft::BootstrapSoft;
pub use code::{Code, Limit, Settings};
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

/// The code of a loss; the compiler sees to it that each kind has one.
pub fn code(kind: LossKind) -> Code {
    match kind {
        LossKind::Ce => cross_entropy::CODE,
        LossKind::Mae => mean_absolute_error::CODE,
        LossKind::Gce => generalized_cross_entropy::CODE,
        LossKind::GceTruncated => truncated_generalized::CODE,
        LossKind::Rce => reverse_cross_entropy::CODE,
        LossKind::Sce => symmetric_cross_entropy::CODE,
        LossKind::Nce => normalized_cross_entropy::CODE,
        LossKind::NceRce => normalized_and_reverse::CODE,
        LossKind::BootstrapSoft => bootstrap_soft::CODE,
        LossKind::BootstrapHard => bootstrap_hard::CODE,
        LossKind::Forward => forward::CODE,
        LossKind::Backward => backward::CODE,
        LossKind::PhuberCe => partially_huberised::CODE,
        LossKind::LabelSmoothing => label_smoothing::CODE,
    }
}

/// The loss per sample of a checked experiment; for `forward` and `backward` with an estimated matrix
/// the cross entropy with which they start.
///
/// # Errors
/// Those of [`LossConfig::matrix`].
pub fn build(config: &LossConfig, context: &LossContext) -> Result<Box<dyn Loss>> {
    if config.estimate_after().is_some() {
        return Ok(Box::new(CrossEntropy));
    }
    let settings = Settings::new(config.parameters.clone(), config.matrix(context)?);
    Ok((code(config.kind).build)(&settings))
}

/// The loss `kind`, which corrects for a matrix, with this one.
pub(crate) fn corrected(kind: LossKind, matrix: &Transition) -> Box<dyn Loss> {
    let settings = Settings::new(Parameters::default(), Some(matrix.clone()));
    (code(kind).build)(&settings)
}

/// Log-probability of the given label, `[N]`: `s[n, y_n] - log Σ_k exp s[n,k]`.
pub(crate) fn log_probability(scores: Tensor<2>, given: Tensor<1, Int>) -> Tensor<1> {
    of_given(activation::log_softmax(scores, 1), given)
}

/// The value of each row at its given label: `[N, K]`, `[N]` → `[N]`.
pub(crate) fn of_given(rows: Tensor<2>, given: Tensor<1, Int>) -> Tensor<1> {
    rows.gather(1, given.unsqueeze_dim(1)).squeeze_dim(1)
}
