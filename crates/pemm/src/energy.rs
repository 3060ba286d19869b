//! Potential energy of the class centers, and the center margin that the paper compares it with.
//!
//! Both are sums of a function of the distance over pairs of points, so they share one
//! implementation. Distances come from differences, in blocks: the matrix-product form gives 0 for
//! small true distances in float32. The gradient is written by hand,
//! `∂E/∂c_i = Σ_j E'(r_ij) / r_ij · (c_i - c_j)`, as two matrix products of a `[K, K]` matrix of
//! weights, so that memory grows with K² and not with K² D.

use burn::tensor::{Tensor, s};
pub use pemm_energy::{Pairs, Potential};

use crate::tensors::positions;

/// Values of `potential` at distances `r`.
fn values(potential: Potential, r: Tensor<2>) -> Tensor<2> {
    match potential {
        Potential::Energy { u, v, xi, beta } => {
            let r = r + beta;
            (r.clone().powf_scalar(u - v) * -xi + 1.0) / r.powf_scalar(u)
        }
        Potential::Margin { rest } => (-r + rest).clamp_min(0.0),
    }
}

/// Derivatives of `potential` at distances `r`.
fn derivatives(potential: Potential, r: Tensor<2>) -> Tensor<2> {
    match potential {
        // -u/r^(u+1) + ξ v / r^(v+1)
        Potential::Energy { u, v, xi, beta } => {
            let r = r + beta;
            (r.clone().powf_scalar(u - v) * (xi * v) - u) / r.powf_scalar(u + 1.0)
        }
        Potential::Margin { rest } => r.clone().zeros_like().mask_fill(r.lower_scalar(rest), -1.0),
    }
}

/// A potential over all pairs of `{c_0 = 0, c_1 … c_K}`.
///
/// `Σ_{i<j} V(‖c_i - c_j‖)` over K(K+1)/2 pairs, or a mean. The gradient with respect to a center
/// is `Σ_j V'(r_ij) (c_i - c_j) / r_ij`; at distance 0 it is 0, never NaN.
///
/// # Shapes
/// centers `[K, D]` → `[1]`.
///
/// # Parameters
/// `clamp`: each pair's value is clamped to this range, and gets no gradient where it is clamped.
///
/// # Range
/// At rest all distances equal [`Potential::rest_distance`], which is possible only if K ≤ D; the
/// sum of the distances is then K(K+1)/2 · (r0 - β) (eq. 15). Invariant under rotation.
///
/// # Reference
/// Paper, eq. 10–12 and 14.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use pemm::energy::{CenterPotential, Pairs, Potential};
///
/// let energy = Potential::Energy { u: 3.0, v: 2.0, xi: 2.0, beta: 0.3 };
/// let centers = Tensor::from_floats([[0.45, 0.0], [0.225, 0.389_711_43]], &Device::flex());
/// let total = CenterPotential::new(energy, Pairs::Sum).forward(centers);
/// let at_rest = 3.0 * energy.value(energy.rest_distance());
/// assert!((f64::from(total.into_scalar::<f32>()) - at_rest).abs() < 1e-5);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CenterPotential {
    /// The function of the distance.
    pub potential: Potential,
    /// Sum or mean.
    pub pairs: Pairs,
    /// Whether c_0 = 0 is one of the points.
    pub origin: bool,
    /// Range to which each pair's value is clamped.
    pub clamp: Option<[f64; 2]>,
}

impl CenterPotential {
    /// With the origin, without a clamp.
    pub fn new(potential: Potential, pairs: Pairs) -> Self {
        Self { potential, pairs, origin: true, clamp: None }
    }

    /// The energy of `centers`, `[K, D]` → `[1]`, with its gradient.
    pub fn forward(&self, centers: Tensor<2>) -> Tensor<1> {
        let plain = centers.clone().detach().without_autodiff();
        let [k, _] = plain.dims();
        let between = distances(&plain); // [K, K]
        let (values, weights) = self.pair(between);
        // Every pair stands twice in the matrix, and a center with itself once at distance 0.
        let at = positions(k, &plain.device());
        let diagonal = at.clone().unsqueeze_dim::<2>(0).equal(at.unsqueeze_dim::<2>(1));
        let off_diagonal = diagonal.clone().bool_not().float();
        let (origin_share, between_share) = self.pairs.shares(k, self.origin);
        let weights = weights * off_diagonal * between_share;
        // A masked product would turn an infinite value on the diagonal into NaN.
        let values = values.mask_fill(diagonal, 0.0);
        let mut value = values.sum() * (0.5 * between_share);
        // Σ_j w_ij (c_i - c_j) = (Σ_j w_ij) c_i - (W C)_i
        let mut gradient =
            plain.clone() * weights.clone().sum_dim(1) - weights.matmul(plain.clone());
        if self.origin {
            let radii = plain.clone().square().sum_dim(1).sqrt(); // [K, 1]
            let (values, weights) = self.pair(radii);
            value = value + values.sum() * origin_share;
            gradient = gradient + plain.clone() * weights * origin_share;
        }
        if !centers.is_autodiff() {
            return value;
        }
        // A term whose value is 0 and whose derivative is the gradient from above.
        let attach = |x: Tensor<2>| Tensor::<2>::from_inner(x);
        let slope = (attach(gradient) * (centers - attach(plain))).sum();
        Tensor::from_inner(value) + slope
    }

    /// Value, and derivative divided by the distance, of pairs at distances `r`.
    fn pair(&self, r: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
        let coincide = r.clone().equal_scalar(0.0);
        let values = values(self.potential, r.clone());
        let mut weights = (derivatives(self.potential, r.clone()) / r).mask_fill(coincide, 0.0);
        let Some([low, high]) = self.clamp else { return (values, weights) };
        let outside = values.clone().lower_scalar(low).bool_or(values.clone().greater_scalar(high));
        weights = weights.mask_fill(outside, 0.0);
        (values.clamp(low, high), weights)
    }
}

/// All distances between rows, `[K, D]` → `[K, K]`, from differences, a block of rows at a time.
fn distances(points: &Tensor<2>) -> Tensor<2> {
    const BLOCK_VALUES: usize = 1 << 22;
    let [k, d] = points.dims();
    let rows = (BLOCK_VALUES / (k * d).max(1)).clamp(1, k.max(1));
    let others: Tensor<3> = points.clone().unsqueeze_dim(0); // [1, K, D]
    let blocks = (0..k)
        .step_by(rows)
        .map(|start| {
            let block: Tensor<3> =
                points.clone().slice(s![start..(start + rows).min(k), ..]).unsqueeze_dim(1);
            (block - others.clone()).square().sum_dim(2).sqrt().squeeze_dim::<2>(2) // [rows, K]
        })
        .collect();
    Tensor::cat(blocks, 0)
}
