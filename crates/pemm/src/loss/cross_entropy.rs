//! Cross entropy.

use burn::tensor::{Int, Tensor};

use super::{Code, Loss, log_probability};

pub(super) const CODE: Code = Code {
    build: |_| Box::new(CrossEntropy),
    class_sum: None,
    may_be_negative: false,
    limits: &[],
};

/// Cross entropy, `-log p[n, y_n]` with `p = softmax(s)`.
///
/// Gradient: `∂/∂s[n,k] = p[n,k] - [k = y_n]`.
///
/// # Shapes
/// scores `[N, K]`, given `[N]` → `[N]`.
///
/// # Range
/// `[0, ∞)`. Not symmetric: the sum over classes has no bound, so wrong labels are fitted in the end.
///
/// # Numerics
/// By log-softmax; finite for every finite score.
///
/// # Reference
/// Paper, eq. 1.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use pemm::loss::{CrossEntropy, Loss};
///
/// let device = Device::flex();
/// let loss = CrossEntropy.forward(
///     Tensor::from_floats([[0.0, 0.0]], &device),
///     Tensor::from_ints([1], &device),
/// );
/// assert!((loss.into_scalar::<f32>() - 2f32.ln()).abs() < 1e-6);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct CrossEntropy;

impl Loss for CrossEntropy {
    fn forward(&self, scores: Tensor<2>, given: Tensor<1, Int>) -> Tensor<1> {
        -log_probability(scores, given)
    }
}
