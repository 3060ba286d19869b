//! How the pairs of centers are put together: a sum, or a mean of some kind.

use serde::{Deserialize, Serialize};

/// How the pairs of `{c_0 = 0, c_1 … c_K}` are put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pairs {
    /// Sum over all pairs (eq. 11).
    Sum,
    /// Mean over all pairs, so that one weight serves any number of classes.
    Mean,
    /// Sum over all pairs divided by the K + 1 points: each center is held as firmly however many
    /// there are, so that one weight and one learning rate serve any number of classes.
    PerCenter,
    /// Mean over the K pairs with the origin plus mean over the other pairs (the authors' script).
    SplitMean,
}

impl Pairs {
    /// Weight of each pair with the origin and of each pair of two of `num_centers` centers; `origin`
    /// says whether the origin is one of the points.
    pub fn shares(self, num_centers: usize, origin: bool) -> (f64, f64) {
        let origin_pairs = num_centers as f64;
        let between_pairs = (num_centers * num_centers.saturating_sub(1) / 2) as f64;
        let counted = between_pairs + if origin { origin_pairs } else { 0.0 };
        match self {
            Self::Sum => (1.0, 1.0),
            Self::Mean => (1.0 / counted.max(1.0), 1.0 / counted.max(1.0)),
            Self::PerCenter => (1.0 / (origin_pairs + 1.0), 1.0 / (origin_pairs + 1.0)),
            Self::SplitMean => (1.0 / origin_pairs.max(1.0), 1.0 / between_pairs.max(1.0)),
        }
    }
}
