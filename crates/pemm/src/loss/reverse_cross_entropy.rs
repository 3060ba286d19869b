//! Reverse cross entropy.

use burn::tensor::{Int, Tensor};

use super::{Code, Limit, Loss, LossKind, log_probability};

pub(super) const CODE: Code = Code {
    build: |settings| Box::new(ReverseCrossEntropy { log_zero: settings.number("log_zero") }),
    class_sum: Some(|settings, num_classes| {
        -settings.number("log_zero") * (num_classes as f64 - 1.0)
    }),
    may_be_negative: false,
    limits: &[Limit::same(&[("log_zero", -2.0)], LossKind::Mae)],
};

/// Reverse cross entropy, `-Σ_k p[n,k] log q[n,k]` with one-hot `q` and `log 0 := A`, which is
/// `-A (1 - p[n, y_n])`.
///
/// Gradient: `∂/∂s[n,k] = A p[n, y_n] ([k = y_n] - p[n,k])`.
///
/// # Shapes
/// scores `[N, K]`, given `[N]` → `[N]`.
///
/// # Parameters
/// `log_zero` = A < 0. The SCE paper's text says -4; most public code clamps q at 1e-4, which is
/// A = ln 1e-4 = -9.21. With A = -2 it is the mean absolute error.
///
/// # Range
/// `[0, -A]`. Symmetric: the sum over the K classes is the constant `-A (K - 1)`.
///
/// # Numerics
/// p as exp of log-softmax; finite for every finite score.
///
/// # Reference
/// Paper, eq. 8; Wang et al. 2019 (Symmetric Cross Entropy), eq. 5.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use pemm::loss::{Loss, ReverseCrossEntropy};
///
/// let device = Device::flex();
/// let scores = Tensor::from_floats([[0.0, 0.0]], &device);
/// let loss = ReverseCrossEntropy { log_zero: -4.0 };
/// let loss = loss.forward(scores, Tensor::from_ints([1], &device));
/// assert!((loss.into_scalar::<f32>() - 2.0).abs() < 1e-6);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct ReverseCrossEntropy {
    /// A, the value of log 0.
    pub log_zero: f64,
}

impl Loss for ReverseCrossEntropy {
    fn forward(&self, scores: Tensor<2>, given: Tensor<1, Int>) -> Tensor<1> {
        reverse(log_probability(scores, given), self.log_zero)
    }
}

/// `-A (1 - exp(log p))`.
pub(super) fn reverse(log_p: Tensor<1>, log_zero: f64) -> Tensor<1> {
    (log_p.exp() - 1.0) * log_zero
}
