//! Hard bootstrapping.

use burn::tensor::{Int, Tensor, activation};

use super::{Code, Limit, Loss, LossKind, of_given};

pub(super) const CODE: Code = Code {
    build: |settings| Box::new(BootstrapHard { beta: settings.number("beta_bootstrap") }),
    class_sum: None,
    may_be_negative: false,
    limits: &[Limit::same(&[("beta_bootstrap", 1.0)], LossKind::Ce)],
};

/// Hard bootstrapping, `-Σ_k (β [k = y_n] + (1 - β) [k = ŷ_n]) log p[n,k]` with
/// `ŷ_n = argmax_k p[n,k]`.
///
/// Gradient: `∂/∂s[n,k] = p[n,k] - β [k = y_n] - (1 - β) [k = ŷ_n]`; the target is a constant.
///
/// # Shapes
/// scores `[N, K]`, given `[N]` → `[N]`.
///
/// # Parameters
/// `beta` in [0, 1]: β = 1 gives cross entropy; with β = 0 the labels mean nothing. The paper takes
/// 0.8.
///
/// # Range
/// `[0, ∞)`. Not symmetric.
///
/// # Numerics
/// By log-softmax; finite for every finite score. The gradient jumps where the predicted class
/// changes.
///
/// # Reference
/// Reed et al. 2014, Training Deep Neural Networks on Noisy Labels with Bootstrapping.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use pemm::loss::{BootstrapHard, Loss};
///
/// let device = Device::flex();
/// let scores = Tensor::from_floats([[0.0, 100.0]], &device);
/// let loss = BootstrapHard { beta: 0.8 }.forward(scores, Tensor::from_ints([0], &device));
/// assert!((loss.into_scalar::<f32>() - 80.0).abs() < 1e-4);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct BootstrapHard {
    /// β, weight of the given label.
    pub beta: f64,
}

impl Loss for BootstrapHard {
    fn forward(&self, scores: Tensor<2>, given: Tensor<1, Int>) -> Tensor<1> {
        let log_p = activation::log_softmax(scores, 1); // [N, K]
        let predicted = log_p.clone().max_dim(1).squeeze_dim(1); // [N]
        of_given(log_p, given) * -self.beta - predicted * (1.0 - self.beta)
    }
}
