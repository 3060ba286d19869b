//! Normalised cross entropy.

use burn::tensor::{Int, Tensor, activation};

use super::{Code, Loss, of_given};

pub(super) const CODE: Code = Code {
    build: |_| Box::new(NormalizedCrossEntropy),
    class_sum: Some(|_, _| 1.0),
    may_be_negative: false,
    limits: &[],
};

/// Normalised cross entropy, `log p[n, y_n] / Σ_k log p[n,k]`.
///
/// Gradient, with `S = Σ_k log p[n,k]` and L the loss:
/// `∂/∂s[n,k] = ([k = y_n] - p[n,k] - L (1 - K p[n,k])) / S`.
///
/// # Shapes
/// scores `[N, K]`, given `[N]` → `[N]`.
///
/// # Range
/// `[0, 1]`. Symmetric: the sum over the K classes is 1.
///
/// # Numerics
/// By log-softmax. The denominator is at most `-K ln K`, so nothing is divided by 0.
///
/// # Reference
/// Ma et al. 2020, Normalized Loss Functions for Deep Learning with Noisy Labels.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use pemm::loss::{Loss, NormalizedCrossEntropy};
///
/// let device = Device::flex();
/// let scores = Tensor::from_floats([[0.0, 0.0, 0.0, 0.0]], &device);
/// let loss = NormalizedCrossEntropy.forward(scores, Tensor::from_ints([1], &device));
/// assert!((loss.into_scalar::<f32>() - 0.25).abs() < 1e-6);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct NormalizedCrossEntropy;

impl Loss for NormalizedCrossEntropy {
    fn forward(&self, scores: Tensor<2>, given: Tensor<1, Int>) -> Tensor<1> {
        normalized(activation::log_softmax(scores, 1), given)
    }
}

/// `log p[n, y_n] / Σ_k log p[n,k]` of `[N, K]` log-probabilities.
pub(super) fn normalized(log_p: Tensor<2>, given: Tensor<1, Int>) -> Tensor<1> {
    let all = log_p.clone().sum_dim(1).squeeze_dim(1);
    of_given(log_p, given) / all
}
