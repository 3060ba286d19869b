//! Generalised cross entropy.

use burn::tensor::{Int, Tensor};

use super::{Code, Limit, Loss, LossKind, log_probability};

pub(super) const CODE: Code = Code {
    build: |settings| Box::new(GeneralizedCrossEntropy { q: settings.number("q") }),
    class_sum: None,
    may_be_negative: false,
    limits: &[
        Limit::same(&[("q", 1e-3)], LossKind::Ce),
        Limit { at: &[("q", 1.0)], other: LossKind::Mae, with: &[], factor: 0.5 },
    ],
};

/// Generalised cross entropy, `(1 - p[n, y_n]^q) / q`.
///
/// Gradient: `∂/∂s[n,k] = p[n, y_n]^q (p[n,k] - [k = y_n])`: that of cross entropy, weighted by
/// p^q of the given label.
///
/// # Shapes
/// scores `[N, K]`, given `[N]` → `[N]`.
///
/// # Parameters
/// `q` in (0, 1]. q → 0 gives cross entropy, q = 1 half of the mean absolute error. The paper takes
/// 0.7 for all data sets.
///
/// # Range
/// `[0, 1/q]`. Symmetric only for q = 1; else the sum over the classes lies between
/// `(K - K^(1-q)) / q` and `(K - 1) / q`.
///
/// # Numerics
/// p^q as `exp(q log p)`; finite for every finite score. In float32 about 1e-7/q is lost to
/// cancellation.
///
/// # Reference
/// Zhang and Sabuncu 2018, Generalized Cross Entropy Loss for Training Deep Neural Networks with
/// Noisy Labels, eq. 6.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use pemm::loss::{GeneralizedCrossEntropy, Loss};
///
/// let device = Device::flex();
/// let scores = Tensor::from_floats([[0.0, 0.0]], &device);
/// let loss = GeneralizedCrossEntropy { q: 1.0 }.forward(scores, Tensor::from_ints([1], &device));
/// assert!((loss.into_scalar::<f32>() - 0.5).abs() < 1e-6);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct GeneralizedCrossEntropy {
    /// q, in (0, 1].
    pub q: f64,
}

impl Loss for GeneralizedCrossEntropy {
    fn forward(&self, scores: Tensor<2>, given: Tensor<1, Int>) -> Tensor<1> {
        box_cox(log_probability(scores, given), self.q)
    }
}

/// `(1 - exp(q log p)) / q`.
pub(super) fn box_cox(log_p: Tensor<1>, q: f64) -> Tensor<1> {
    (-(log_p * q).exp() + 1.0) * (1.0 / q)
}
