//! Partially Huberised cross entropy.

use burn::tensor::{Int, Tensor};

use super::{Code, Limit, Loss, LossKind, log_probability};

pub(super) const CODE: Code = Code {
    build: |settings| Box::new(PartiallyHuberised { tau: settings.number("tau") }),
    class_sum: None,
    may_be_negative: false,
    limits: &[
        Limit::same(&[("tau", 1e9)], LossKind::Ce),
        Limit { at: &[("tau", 1.0)], other: LossKind::Mae, with: &[], factor: 0.5 },
    ],
};

/// Partially Huberised cross entropy: `-log p[n, y_n]` where `p[n, y_n] > 1/τ`, else its tangent
/// there, `log τ + 1 - τ p[n, y_n]`.
///
/// Gradient: `∂/∂s[n,k] = min(1, τ p[n, y_n]) (p[n,k] - [k = y_n])`: the derivative with respect to
/// p is clipped at -τ.
///
/// # Shapes
/// scores `[N, K]`, given `[N]` → `[N]`.
///
/// # Parameters
/// `tau` ≥ 1. τ = 1 gives half of the mean absolute error, τ → ∞ cross entropy. Public code takes 2
/// for CIFAR-10 and 10 for CIFAR-100.
///
/// # Range
/// `[0, log τ + 1]`. Symmetric for τ = 1 only.
///
/// # Numerics
/// As `-max(log p, -log τ) + max(0, 1 - τ p)`, which has no branch; finite for every finite score.
///
/// # Reference
/// Menon et al. 2020, Can Gradient Clipping Mitigate Label Noise?
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use pemm::loss::{Loss, PartiallyHuberised};
///
/// let device = Device::flex();
/// let scores = Tensor::from_floats([[0.0, 100.0]], &device);
/// let loss = PartiallyHuberised { tau: 2.0 }.forward(scores, Tensor::from_ints([0], &device));
/// assert!((loss.into_scalar::<f32>() - (2f32.ln() + 1.0)).abs() < 1e-6);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct PartiallyHuberised {
    /// τ, at least 1.
    pub tau: f64,
}

impl Loss for PartiallyHuberised {
    fn forward(&self, scores: Tensor<2>, given: Tensor<1, Int>) -> Tensor<1> {
        let log_p = log_probability(scores, given);
        let line = (log_p.clone().exp() * -self.tau + 1.0).clamp_min(0.0);
        line - log_p.clamp_min(-self.tau.ln())
    }
}
