//! Label smoothing.

use burn::tensor::{Int, Tensor, activation};

use super::{Code, Limit, Loss, LossKind, of_given};

pub(super) const CODE: Code = Code {
    build: |settings| Box::new(LabelSmoothing { smoothing: settings.number("smoothing") }),
    class_sum: None,
    may_be_negative: false,
    limits: &[Limit::same(&[("smoothing", 0.0)], LossKind::Ce)],
};

/// Label smoothing, `-Σ_k ((1 - ε) [k = y_n] + ε/K) log p[n,k]`.
///
/// Gradient: `∂/∂s[n,k] = p[n,k] - (1 - ε) [k = y_n] - ε/K`.
///
/// # Shapes
/// scores `[N, K]`, given `[N]` → `[N]`.
///
/// # Parameters
/// `smoothing` = ε in [0, 1]: ε = 0 gives cross entropy; with ε = 1 the labels mean nothing. The
/// usual value is 0.1.
///
/// # Range
/// `[H(target), ∞)`, whose lower end is above 0 for ε > 0. Not symmetric.
///
/// # Numerics
/// By log-softmax; finite for every finite score.
///
/// # Reference
/// Szegedy et al. 2015, Rethinking the Inception Architecture for Computer Vision, section 7. The
/// uniform part includes the given class, as there and in PyTorch.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use pemm::loss::{LabelSmoothing, Loss};
///
/// let device = Device::flex();
/// let scores = Tensor::from_floats([[100.0, 0.0]], &device);
/// let loss = LabelSmoothing { smoothing: 0.1 }.forward(scores, Tensor::from_ints([0], &device));
/// assert!((loss.into_scalar::<f32>() - 5.0).abs() < 1e-5);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct LabelSmoothing {
    /// ε, weight of all classes alike.
    pub smoothing: f64,
}

impl Loss for LabelSmoothing {
    fn forward(&self, scores: Tensor<2>, given: Tensor<1, Int>) -> Tensor<1> {
        let log_p = activation::log_softmax(scores, 1); // [N, K]
        let uniform = log_p.clone().mean_dim(1).squeeze_dim(1); // [N]
        of_given(log_p, given) * (self.smoothing - 1.0) - uniform * self.smoothing
    }
}
