//! Truncated generalised cross entropy.

use burn::tensor::{Int, Tensor};

use super::generalized_cross_entropy::box_cox;
use super::{Code, Limit, Loss, LossKind, log_probability};

pub(super) const CODE: Code = Code {
    build: |settings| {
        let (q, truncation) = (settings.number("q"), settings.number("truncation"));
        Box::new(TruncatedGeneralized { q, truncation })
    },
    class_sum: None,
    may_be_negative: false,
    limits: &[Limit::same(&[("truncation", 1e-6)], LossKind::Gce)],
};

/// Truncated generalised cross entropy: `(1 - p^q) / q` with `p = max(p[n, y_n], k)`.
///
/// Gradient: `p[n, y_n]^q (p[n,k'] - [k' = y_n])` where `p[n, y_n] > k`, else 0: samples whose given
/// label the model holds improbable are left out.
///
/// # Shapes
/// scores `[N, K]`, given `[N]` → `[N]`.
///
/// # Parameters
/// `q` in (0, 1], as for [`GeneralizedCrossEntropy`](super::GeneralizedCrossEntropy). `truncation`,
/// the paper's k, in (0, 1): k → 0 gives the untruncated loss. The paper takes 0.5, and starts to
/// truncate after 40 epochs. A fresh model gives every class about 1/K, so with k at 1/K or above
/// nothing is learned from the start; `resolve` warns of that.
///
/// # Range
/// `[0, (1 - k^q) / q]`. Not symmetric.
///
/// # Numerics
/// The maximum is taken of logarithms; finite for every finite score. The gradient jumps at k.
///
/// # Reference
/// Zhang and Sabuncu 2018, section 3.3, eq. 11 without its weights.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use pemm::loss::{Loss, TruncatedGeneralized};
///
/// let device = Device::flex();
/// let loss = TruncatedGeneralized { q: 1.0, truncation: 0.5 };
/// let scores = Tensor::from_floats([[0.0, 9.0], [0.0, 0.0]], &device);
/// let loss = loss.forward(scores, Tensor::from_ints([0, 0], &device));
/// assert_eq!(loss.into_data().try_to_vec::<f32>().unwrap(), [0.5, 0.5]);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct TruncatedGeneralized {
    /// q, in (0, 1].
    pub q: f64,
    /// k, in (0, 1).
    pub truncation: f64,
}

impl Loss for TruncatedGeneralized {
    fn forward(&self, scores: Tensor<2>, given: Tensor<1, Int>) -> Tensor<1> {
        box_cox(log_probability(scores, given).clamp_min(self.truncation.ln()), self.q)
    }
}
