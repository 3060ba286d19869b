//! Scores: how doubtful each given label is, from 0 to 1, higher for more doubtful. One file each.

mod combined;
mod confident_joint;
mod distance_ratio;
mod doubt;
mod learning_dynamics;
mod loss_mixture;
mod neighbor_disagreement;
mod normalized_margin;
mod posterior;
mod self_confidence;

pub use combined::combined;
pub use confident_joint::confident_joint;
pub use distance_ratio::distance_ratio;
pub use doubt::{Doubt, doubt};
pub use learning_dynamics::learning_dynamics;
pub use loss_mixture::loss_mixture;
pub use neighbor_disagreement::neighbor_disagreement;
pub use normalized_margin::normalized_margin;
pub use posterior::posterior;
pub use self_confidence::self_confidence;

/// All scores of all samples, `[N]` each; those that need an array that is not there are `None`.
#[derive(Debug, Clone, PartialEq)]
pub struct Scores {
    /// The default: [`combined`].
    pub combined: Vec<f32>,
    /// [`doubt`].
    pub doubt: Vec<f32>,
    /// [`self_confidence`].
    pub self_confidence: Vec<f32>,
    /// [`normalized_margin`].
    pub normalized_margin: Vec<f32>,
    /// [`posterior`].
    pub posterior: Vec<f32>,
    /// [`confident_joint`].
    pub confident_joint: Vec<f32>,
    /// [`loss_mixture`].
    pub loss_mixture: Vec<f32>,
    /// [`distance_ratio`].
    pub distance_ratio: Option<Vec<f32>>,
    /// [`neighbor_disagreement`].
    pub neighbor_disagreement: Option<Vec<f32>>,
    /// [`learning_dynamics`].
    pub learning_dynamics: Option<Vec<f32>>,
}

impl Scores {
    /// Name and values of every score that there is, beside the default.
    pub fn columns(&self) -> Vec<(&'static str, &[f32])> {
        let mut columns: Vec<(&'static str, &[f32])> = vec![
            ("doubt", &self.doubt),
            ("self_confidence", &self.self_confidence),
            ("normalized_margin", &self.normalized_margin),
            ("posterior", &self.posterior),
            ("confident_joint", &self.confident_joint),
            ("loss_mixture", &self.loss_mixture),
        ];
        let optional = [
            ("distance_ratio", &self.distance_ratio),
            ("neighbor_disagreement", &self.neighbor_disagreement),
            ("learning_dynamics", &self.learning_dynamics),
        ];
        columns.extend(
            optional.into_iter().filter_map(|(name, values)| Some((name, values.as_deref()?))),
        );
        columns
    }
}
