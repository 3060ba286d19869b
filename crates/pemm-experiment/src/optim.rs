//! The `[optim]` table: stochastic gradient descent.

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::method::Range;

/// The `[optim]` table of an experiment file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OptimConfig {
    /// Base learning rate, > 0.
    pub learning_rate: f64,
    /// Momentum μ, `[0, 1)`. There is no dampening (Burn's own default is 0.1).
    pub momentum: f64,
    /// Nesterov's form.
    pub nesterov: bool,
    /// L2 decay added to the gradient, of weights and biases of convolutions and fully connected
    /// layers, a linear head included; ≥ 0.
    pub weight_decay: f64,
    /// The same for the centers of a distance head.
    pub weight_decay_centers: f64,
    /// The same for BatchNorm's scale and shift.
    pub weight_decay_norm: f64,
    /// Gradients are scaled down to this norm over all parameters where they exceed it.
    pub clip_norm: Option<f64>,
}

impl Default for OptimConfig {
    fn default() -> Self {
        Self {
            learning_rate: 0.01,
            momentum: 0.9,
            nesterov: false,
            weight_decay: 1e-4,
            weight_decay_centers: 0.0,
            weight_decay_norm: 0.0,
            clip_norm: None,
        }
    }
}

impl OptimConfig {
    /// Holds every value to its range.
    pub(crate) fn check(&self) -> Result<()> {
        Range::POSITIVE.check("optim.learning_rate", self.learning_rate)?;
        Range::up_to(0.0, 1.0).check("optim.momentum", self.momentum)?;
        Range::NOT_NEGATIVE.check("optim.weight_decay", self.weight_decay)?;
        Range::NOT_NEGATIVE.check("optim.weight_decay_centers", self.weight_decay_centers)?;
        Range::NOT_NEGATIVE.check("optim.weight_decay_norm", self.weight_decay_norm)?;
        self.clip_norm.map_or(Ok(()), |limit| Range::POSITIVE.check("optim.clip_norm", limit))
    }
}
