//! What the heads that compare directions share.

use burn::tensor::Tensor;

/// Rows divided by their norms, `[N, D]` → `[N, D]`; a row of zeros stays, and gets no gradient.
pub(super) fn unit(rows: Tensor<2>) -> Tensor<2> {
    // Clamped before the root, whose gradient at 0 is infinite.
    let norms = rows.clone().square().sum_dim(1).clamp_min(1e-24).sqrt(); // [N, 1]
    rows / norms
}

/// Cosines of the angles between features `[N, D]` and class weights `[K, D]`, `[N, K]`.
pub(super) fn cosines(features: Tensor<2>, weight: Tensor<2>) -> Tensor<2> {
    unit(features).matmul(unit(weight).transpose())
}

/// Distances on the unit sphere, `√(2 - 2 cos θ)`, from scores `s cos θ`.
pub(super) fn distances(scores: Tensor<2>, scale: f64) -> Tensor<2> {
    (scores * (-2.0 / scale) + 2.0).clamp_min(0.0).sqrt()
}
