//! Symmetric cross entropy.

use burn::tensor::{Int, Tensor};

use super::{Code, Limit, Loss, LossKind, log_probability};

pub(super) const CODE: Code = Code {
    build: |settings| {
        Box::new(SymmetricCrossEntropy {
            alpha: settings.number("alpha"),
            beta_rce: settings.number("beta_rce"),
            log_zero: settings.number("log_zero"),
        })
    },
    class_sum: None,
    may_be_negative: false,
    limits: &[
        Limit::same(&[("alpha", 1.0), ("beta_rce", 0.0)], LossKind::Ce),
        Limit::same(&[("alpha", 0.0)], LossKind::Rce),
    ],
};

/// Symmetric cross entropy, `α CE + β_rce RCE`, that is
/// `-α log p[n, y_n] - β_rce A (1 - p[n, y_n])`.
///
/// Gradient: `∂/∂s[n,k] = (α - β_rce A p[n, y_n]) (p[n,k] - [k = y_n])`.
///
/// # Shapes
/// scores `[N, K]`, given `[N]` → `[N]`.
///
/// # Parameters
/// `alpha` ≥ 0, weight of [`CrossEntropy`](super::CrossEntropy): α → 0 leaves the robust part, which
/// learns slowly. `beta_rce` ≥ 0, weight of [`ReverseCrossEntropy`](super::ReverseCrossEntropy):
/// β_rce = 0 with α = 1 is cross entropy. `log_zero` = A < 0.
///
/// # Range
/// `[0, ∞)`; not symmetric unless α = 0.
///
/// # Numerics
/// By log-softmax; finite for every finite score.
///
/// # Reference
/// Paper, eq. 9 (β_rce = 1); Wang et al. 2019.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use pemm::loss::{Loss, SymmetricCrossEntropy};
///
/// let device = Device::flex();
/// let scores = Tensor::from_floats([[0.0, 0.0]], &device);
/// let loss = SymmetricCrossEntropy { alpha: 0.1, beta_rce: 1.0, log_zero: -4.0 };
/// let loss = loss.forward(scores, Tensor::from_ints([1], &device));
/// assert!((loss.into_scalar::<f32>() - (0.1 * 2f32.ln() + 2.0)).abs() < 1e-6);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct SymmetricCrossEntropy {
    /// Weight of cross entropy.
    pub alpha: f64,
    /// Weight of reverse cross entropy.
    pub beta_rce: f64,
    /// A, the value of log 0.
    pub log_zero: f64,
}

impl Loss for SymmetricCrossEntropy {
    fn forward(&self, scores: Tensor<2>, given: Tensor<1, Int>) -> Tensor<1> {
        let log_p = log_probability(scores, given);
        let reverse = (log_p.clone().exp() - 1.0) * (self.log_zero * self.beta_rce);
        log_p * -self.alpha + reverse
    }
}
