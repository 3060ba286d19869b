//! The large margin cosine head.

use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor};
use pemm_data::Rng;

use super::cosine::cosines;
use crate::layers::uniform;
use crate::tensors::one_hot;

/// A classifier by the direction of the features, with a margin on the cosine in training.
///
/// `s[n,k] = s cos θ[n,k]` with `cos θ[n,k] = z_n·w_k / (‖z_n‖ ‖w_k‖)`. A loss in training sees
/// `s (cos θ[n,k] - m [k = y_n])`: the given label must win by the margin.
///
/// # Shapes
/// features `[N, D]` → scores `[N, K]`; `weight` is `[K, D]`. There is no bias.
///
/// # Parameters
/// `scale` = s > 0: the softmax gets no surer than `1 / (1 + (K - 1) e^(-2s))`. `margin` = m in
/// [0, 1]; m = 0 is a plain cosine head. The paper takes 64 and 0.35, for faces and thousands of
/// classes.
///
/// # Centers
/// The normalised rows of `weight`: they lie on the unit sphere, so their distance to the origin is
/// always 1, and an energy moves only the angles between them. The scores are a distance head's on
/// unit features and centers with σ² = 2/s, up to a constant: `s cos θ = s - s d²/2`.
///
/// # Numerics
/// Norms are kept above 1e-12. The gradient is finite everywhere, also at cos θ = ±1.
///
/// # Reference
/// Wang et al. 2018, CosFace: Large Margin Cosine Loss for Deep Face Recognition, eq. 4.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use pemm::head::LargeMarginCosine;
///
/// let device = Device::flex();
/// let weight = Tensor::from_floats([[2.0, 0.0], [0.0, 3.0]], &device);
/// let head = LargeMarginCosine::from_weight(weight, 8.0, 0.25);
/// let scores = head.forward(Tensor::from_floats([[5.0, 0.0]], &device));
/// assert_eq!(scores.clone().into_data().try_to_vec::<f32>().unwrap(), [8.0, 0.0]);
/// let seen = head.margin(scores, Tensor::from_ints([0], &device));
/// assert_eq!(seen.into_data().try_to_vec::<f32>().unwrap(), [6.0, 0.0]);
/// ```
#[derive(Module, Debug)]
pub struct LargeMarginCosine {
    /// One direction per class, `[K, D]`.
    pub weight: Param<Tensor<2>>,
    pub(super) scale: f64,
    margin: f64,
}

impl LargeMarginCosine {
    /// Weights from U(-1/√D, 1/√D), as a linear layer's.
    pub fn new(
        [features, classes]: [usize; 2],
        scale: f64,
        margin: f64,
        rng: &mut Rng,
        device: &Device,
    ) -> Self {
        let bound = 1.0 / (features as f64).sqrt();
        Self { weight: uniform([classes, features], bound, rng, device), scale, margin }
    }

    /// A head with the given weights, `[K, D]`.
    pub fn from_weight(weight: Tensor<2>, scale: f64, margin: f64) -> Self {
        Self { weight: Param::from_tensor(weight), scale, margin }
    }

    /// Scores of a batch of features, without the margin.
    pub fn forward(&self, features: Tensor<2>) -> Tensor<2> {
        cosines(features, self.weight.val()) * self.scale
    }

    /// Takes the margin off the given labels' scores.
    pub fn margin(&self, scores: Tensor<2>, given: Tensor<1, Int>) -> Tensor<2> {
        let margin = one_hot(given, &scores) * (self.scale * self.margin);
        scores - margin
    }
}
