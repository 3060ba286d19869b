//! Mean absolute error.

use burn::tensor::{Int, Tensor};

use super::{Code, Loss, log_probability};

pub(super) const CODE: Code = Code {
    build: |_| Box::new(MeanAbsoluteError),
    class_sum: Some(|_, num_classes| 2.0 * (num_classes as f64 - 1.0)),
    may_be_negative: false,
    limits: &[],
};

/// Mean absolute error, `Σ_k |p[n,k] - [k = y_n]| = 2 (1 - p[n, y_n])`.
///
/// Gradient: `∂/∂s[n,k] = 2 p[n, y_n] (p[n,k] - [k = y_n])`. It vanishes where p of the given label
/// does, so samples that the model doubts teach it nothing: that is the robustness, and the reason
/// why it learns slowly and with many classes hardly at all.
///
/// # Shapes
/// scores `[N, K]`, given `[N]` → `[N]`.
///
/// # Range
/// `[0, 2]`. Symmetric: the sum over the K classes is the constant `2 (K - 1)`.
///
/// # Numerics
/// p as exp of log-softmax; finite for every finite score.
///
/// # Reference
/// Ghosh, Kumar, Sastry 2017, Robust Loss Functions under Label Noise for Deep Neural Networks.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use pemm::loss::{Loss, MeanAbsoluteError};
///
/// let device = Device::flex();
/// let scores = Tensor::from_floats([[0.0, 0.0, 0.0, 0.0]], &device);
/// let loss = MeanAbsoluteError.forward(scores, Tensor::from_ints([1], &device));
/// assert!((loss.into_scalar::<f32>() - 1.5).abs() < 1e-6);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct MeanAbsoluteError;

impl Loss for MeanAbsoluteError {
    fn forward(&self, scores: Tensor<2>, given: Tensor<1, Int>) -> Tensor<1> {
        (-log_probability(scores, given).exp() + 1.0) * 2.0
    }
}
