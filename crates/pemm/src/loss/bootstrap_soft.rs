//! Soft bootstrapping.

use burn::tensor::{Int, Tensor, activation};

use super::{Code, Limit, Loss, LossKind, of_given};

/// Says what β means for both forms of bootstrapping.
pub(super) const CODE: Code = Code {
    build: |settings| Box::new(BootstrapSoft { beta: settings.number("beta_bootstrap") }),
    class_sum: None,
    may_be_negative: false,
    limits: &[Limit::same(&[("beta_bootstrap", 1.0)], LossKind::Ce)],
};

/// Soft bootstrapping, `-Σ_k (β [k = y_n] + (1 - β) p[n,k]) log p[n,k]`: β times cross entropy plus
/// 1 - β times the entropy of the prediction.
///
/// Gradient, with `H = -Σ_k p[n,k] log p[n,k]`; the target keeps its own:
/// `∂/∂s[n,k] = β (p[n,k] - [k = y_n]) - (1 - β) p[n,k] (log p[n,k] + H)`.
///
/// # Shapes
/// scores `[N, K]`, given `[N]` → `[N]`.
///
/// # Parameters
/// `beta` in [0, 1]: β = 1 gives cross entropy; with β = 0 the labels mean nothing. The paper takes
/// 0.95.
///
/// # Range
/// `[0, ∞)`. Not symmetric.
///
/// # Numerics
/// By log-softmax; `p log p` is 0 where p underflows. Finite for every finite score.
///
/// # Reference
/// Reed et al. 2014, Training Deep Neural Networks on Noisy Labels with Bootstrapping.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use pemm::loss::{BootstrapSoft, Loss};
///
/// let device = Device::flex();
/// let scores = Tensor::from_floats([[0.0, 0.0]], &device);
/// let loss = BootstrapSoft { beta: 0.95 }.forward(scores, Tensor::from_ints([1], &device));
/// assert!((loss.into_scalar::<f32>() - 2f32.ln()).abs() < 1e-6);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct BootstrapSoft {
    /// β, weight of the given label.
    pub beta: f64,
}

impl Loss for BootstrapSoft {
    fn forward(&self, scores: Tensor<2>, given: Tensor<1, Int>) -> Tensor<1> {
        let log_p = activation::log_softmax(scores, 1); // [N, K]
        let negative_entropy = (log_p.clone().exp() * log_p.clone()).sum_dim(1).squeeze_dim(1);
        of_given(log_p, given) * -self.beta - negative_entropy * (1.0 - self.beta)
    }
}
