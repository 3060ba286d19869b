//! The additive angular margin head.

use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor};
use pemm_data::Rng;

use super::cosine::cosines;
use crate::layers::uniform;
use crate::tensors::one_hot;

/// Below this, sin² θ is held: the root's gradient would be infinite at 0.
const SMALLEST_SQUARED_SINE: f64 = 1e-7;

/// A classifier by the direction of the features, with a margin on the angle in training.
///
/// `s[n,k] = s cos θ[n,k]` with `cos θ[n,k] = z_n·w_k / (‖z_n‖ ‖w_k‖)`. A loss in training sees
/// `s cos(θ[n,k] + m [k = y_n])`: the given label must win by the angle m.
///
/// # Shapes
/// features `[N, D]` → scores `[N, K]`; `weight` is `[K, D]`. There is no bias.
///
/// # Parameters
/// `scale` = s > 0, as for [`LargeMarginCosine`](super::LargeMarginCosine). `margin` = m in
/// [0, 1.5] radians; m = 0 is a plain cosine head. The paper takes 64 and 0.5, for faces and
/// thousands of classes.
///
/// # Centers
/// The normalised rows of `weight`, on the unit sphere, as for
/// [`LargeMarginCosine`](super::LargeMarginCosine).
///
/// # Numerics
/// `cos(θ + m) = cos θ cos m - √(1 - cos² θ) sin m`, with the radicand kept above 1e-7, so that the
/// gradient is finite at cos θ = ±1. Norms are kept above 1e-12.
///
/// # Reference
/// Deng et al. 2019, ArcFace: Additive Angular Margin Loss for Deep Face Recognition, eq. 3.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use pemm::head::AdditiveAngularMargin;
///
/// let device = Device::flex();
/// let weight = Tensor::from_floats([[2.0, 0.0], [0.0, 3.0]], &device);
/// let head = AdditiveAngularMargin::from_weight(weight, 8.0, 0.5);
/// let scores = head.forward(Tensor::from_floats([[5.0, 0.0]], &device));
/// let seen = head.margin(scores, Tensor::from_ints([1], &device));
/// let seen = seen.into_data().try_to_vec::<f32>().unwrap();
/// assert!((seen[1] + 8.0 * 0.5f32.sin()).abs() < 1e-4 && seen[0] == 8.0);
/// ```
#[derive(Module, Debug)]
pub struct AdditiveAngularMargin {
    /// One direction per class, `[K, D]`.
    pub weight: Param<Tensor<2>>,
    pub(super) scale: f64,
    margin: f64,
}

impl AdditiveAngularMargin {
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

    /// Turns the given labels' angles by the margin.
    pub fn margin(&self, scores: Tensor<2>, given: Tensor<1, Int>) -> Tensor<2> {
        let is_given = one_hot(given, &scores);
        let cosines = scores.clone() * (1.0 / self.scale);
        let squared_sines = (-cosines.clone().square() + 1.0).clamp_min(SMALLEST_SQUARED_SINE);
        let (sin, cos) = self.margin.sin_cos();
        let turned = (cosines * cos - squared_sines.sqrt() * sin) * self.scale;
        scores.clone() + (turned - scores) * is_given
    }
}
