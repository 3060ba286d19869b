//! Normalised and reverse cross entropy, an active-passive loss.

use burn::tensor::{Int, Tensor, activation};

use super::normalized_cross_entropy::normalized;
use super::reverse_cross_entropy::reverse;
use super::{Code, Limit, Loss, LossKind, of_given};

pub(super) const CODE: Code = Code {
    build: |settings| {
        Box::new(NormalizedAndReverse {
            alpha: settings.number("alpha"),
            beta_rce: settings.number("beta_rce"),
            log_zero: settings.number("log_zero"),
        })
    },
    class_sum: Some(|settings, num_classes| {
        let reverse = -settings.number("log_zero") * (num_classes as f64 - 1.0);
        settings.number("alpha") + settings.number("beta_rce") * reverse
    }),
    may_be_negative: false,
    limits: &[
        Limit::same(&[("beta_rce", 0.0)], LossKind::Nce),
        Limit::same(&[("alpha", 0.0)], LossKind::Rce),
    ],
};

/// Normalised and reverse cross entropy, `α NCE + β_rce RCE`, that is
/// `α log p[n, y_n] / Σ_k log p[n,k] - β_rce A (1 - p[n, y_n])`.
///
/// Gradient: α times that of [`NormalizedCrossEntropy`](super::NormalizedCrossEntropy) plus β_rce
/// times that of [`ReverseCrossEntropy`](super::ReverseCrossEntropy).
///
/// # Shapes
/// scores `[N, K]`, given `[N]` → `[N]`.
///
/// # Parameters
/// `alpha` ≥ 0, weight of the active loss NCE; `beta_rce` ≥ 0, weight of the passive loss RCE;
/// `log_zero` = A < 0. The paper takes α/β 1/1 for CIFAR-10 and 10/0.1 for CIFAR-100.
///
/// # Range
/// `[0, α - β_rce A]`. Symmetric: the sum over the K classes is `α - β_rce A (K - 1)`.
///
/// # Numerics
/// By log-softmax; finite for every finite score.
///
/// # Reference
/// Ma et al. 2020, Normalized Loss Functions for Deep Learning with Noisy Labels.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use pemm::loss::{Loss, NormalizedAndReverse};
///
/// let device = Device::flex();
/// let scores = Tensor::from_floats([[0.0, 0.0]], &device);
/// let loss = NormalizedAndReverse { alpha: 1.0, beta_rce: 1.0, log_zero: -4.0 };
/// let loss = loss.forward(scores, Tensor::from_ints([1], &device));
/// assert!((loss.into_scalar::<f32>() - 2.5).abs() < 1e-6);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct NormalizedAndReverse {
    /// Weight of normalised cross entropy.
    pub alpha: f64,
    /// Weight of reverse cross entropy.
    pub beta_rce: f64,
    /// A, the value of log 0.
    pub log_zero: f64,
}

impl Loss for NormalizedAndReverse {
    fn forward(&self, scores: Tensor<2>, given: Tensor<1, Int>) -> Tensor<1> {
        let log_p = activation::log_softmax(scores, 1); // [N, K]
        let passive = reverse(of_given(log_p.clone(), given.clone()), self.log_zero);
        normalized(log_p, given) * self.alpha + passive * self.beta_rce
    }
}
