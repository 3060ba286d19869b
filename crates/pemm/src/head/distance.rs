//! The distance head.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use pemm_data::Rng;

use crate::layers::uniform;

/// A classifier by distance to learned class centers.
///
/// `s[n,k] = -‖z_n - c_k‖² / σ²`, computed as `(2 z·c - ‖z‖² - ‖c‖²) / σ²` by one matrix product,
/// never through a `[N, K, D]` tensor. Then `softmax(s)` is the posterior of a mixture of K equal
/// spherical Gaussians with variance σ²/2.
///
/// # Shapes
/// features `[N, D]` → scores `[N, K]`; `centers` is `[K, D]`.
///
/// # Parameters
/// `sigma` > 0, the radius of the balls. σ → ∞ makes every class equally likely; σ → 0 the nearest
/// center certain. Scores lie in (-∞, 0].
///
/// # Reference
/// Wang et al., Potential Energy based Mixture Model for Noisy Label Learning, eq. 6 and 7.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use pemm::head::DistanceHead;
///
/// let device = Device::flex();
/// let head = DistanceHead::from_centers(Tensor::from_floats([[0.0, 0.0], [3.0, 4.0]], &device), 1.0);
/// let scores = head.forward(Tensor::from_floats([[0.0, 0.0]], &device));
/// assert_eq!(scores.into_data().try_to_vec::<f32>().unwrap(), [0.0, -25.0]);
/// ```
#[derive(Module, Debug)]
pub struct DistanceHead {
    /// One center per class, `[K, D]`.
    pub centers: Param<Tensor<2>>,
    sigma: f64,
}

impl DistanceHead {
    /// Centers from U(-1/√D, 1/√D), as a linear layer's weights.
    pub fn new(
        [features, classes]: [usize; 2],
        sigma: f64,
        rng: &mut Rng,
        device: &Device,
    ) -> Self {
        let bound = 1.0 / (features as f64).sqrt();
        Self { centers: uniform([classes, features], bound, rng, device), sigma }
    }

    /// A head with the given centers, `[K, D]`.
    pub fn from_centers(centers: Tensor<2>, sigma: f64) -> Self {
        Self { centers: Param::from_tensor(centers), sigma }
    }

    /// Scores of a batch of features.
    pub fn forward(&self, features: Tensor<2>) -> Tensor<2> {
        let centers = self.centers.val(); // [K, D]
        let feature_norms = features.clone().square().sum_dim(1); // [N, 1]
        let center_norms = centers.clone().square().sum_dim(1).transpose(); // [1, K]
        let products = features.matmul(centers.transpose()); // [N, K]
        // Rounding may leave a tiny negative distance for a feature on its center.
        let squared = (feature_norms + center_norms - products * 2.0).clamp_min(0.0);
        squared * (-1.0 / (self.sigma * self.sigma))
    }

    /// Distances to the centers `‖z_n - c_k‖ = σ √-s[n,k]` from their scores, `[N, K]` → `[N, K]`.
    pub(super) fn distances(&self, scores: Tensor<2>) -> Tensor<2> {
        (-scores).sqrt() * self.sigma
    }
}
