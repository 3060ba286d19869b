//! Backward correction.

use burn::tensor::{Int, Tensor, TensorData, activation};
use pemm_data::noise::Transition;

use super::{Code, Limit, Loss, LossKind};

pub(super) const CODE: Code = Code {
    build: |settings| Box::new(BackwardCorrection::new(settings.matrix())),
    class_sum: None,
    may_be_negative: true,
    limits: &[Limit::same(&[], LossKind::Ce)],
};

/// Backward correction, `-Σ_j (T⁻¹)[y_n][j] log p[n,j]`: the combination of the cross entropies of all
/// classes whose mean over the noise is the cross entropy of the true class.
///
/// Gradient: `∂/∂s[n,k] = p[n,k] - (T⁻¹)[y_n][k]`, since the rows of `T⁻¹` sum to 1.
///
/// # Shapes
/// scores `[N, K]`, given `[N]` → `[N]`; T is `[K, K]`, `T[i][j]` = P(given j | true i).
///
/// # Parameters
/// T, row-stochastic. The identity gives cross entropy. `T⁻¹` is [`Transition::inverse`], which for a T
/// that has none is that of the nearest mixture with the identity that has one.
///
/// # Range
/// (-∞, ∞): where `(T⁻¹)[y_n][j]` is negative, an improbable class j lowers the loss without limit.
/// Not symmetric.
///
/// # Numerics
/// By log-softmax; finite for every finite score. `T⁻¹` grows as the noise makes classes alike, and the
/// loss varies with it: with little data that is what this correction costs.
///
/// # Reference
/// Patrini et al. 2017, Making Deep Neural Networks Robust to Label Noise: a Loss Correction Approach,
/// theorem 1.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use pemm::loss::{BackwardCorrection, Loss};
/// use pemm_data::noise::Transition;
///
/// let device = Device::flex();
/// let noise = Transition::new(vec![vec![0.75, 0.25], vec![0.25, 0.75]]).unwrap();
/// let scores = Tensor::from_floats([[0.0, 0.0]], &device);
/// let loss = BackwardCorrection::new(&noise).forward(scores, Tensor::from_ints([1], &device));
/// assert!((loss.into_scalar::<f32>() - 2f32.ln()).abs() < 1e-6);
/// ```
#[derive(Debug, Clone)]
pub struct BackwardCorrection {
    /// `T⁻¹`, `[K, K]`.
    inverse: Vec<f32>,
    num_classes: usize,
}

impl BackwardCorrection {
    /// Corrects for `transition`.
    pub fn new(transition: &Transition) -> Self {
        let inverse =
            transition.inverse().into_iter().flatten().map(|value| value as f32).collect();
        Self { inverse, num_classes: transition.num_classes() }
    }
}

impl Loss for BackwardCorrection {
    fn forward(&self, scores: Tensor<2>, given: Tensor<1, Int>) -> Tensor<1> {
        let inverse = TensorData::new(self.inverse.clone(), [self.num_classes; 2]);
        let weights = Tensor::<2>::from_data(inverse, &scores.device()).select(0, given); // [N, K]
        -(activation::log_softmax(scores, 1) * weights).sum_dim(1).squeeze_dim(1)
    }
}
