//! Scores: how doubtful each given label is, from 0 to 1, higher for more doubtful. One file each.

mod centroid_distance;
mod combined;
mod confident_joint;
mod distance_ratio;
mod ensemble;
mod learning_dynamics;
mod log_odds;
mod loss_mixture;
mod neighbor_disagreement;
mod normalized_margin;
mod posterior;
mod self_confidence;
mod weighted_vote;
mod wrong_events;

pub use centroid_distance::centroid_distance;
pub use combined::combined;
pub use confident_joint::confident_joint;
pub use distance_ratio::distance_ratio;
pub use ensemble::ensemble;
pub use learning_dynamics::learning_dynamics;
pub use log_odds::log_odds;
pub use loss_mixture::loss_mixture;
pub use neighbor_disagreement::neighbor_disagreement;
pub use normalized_margin::normalized_margin;
pub use posterior::posterior;
pub use self_confidence::self_confidence;
pub use weighted_vote::weighted_vote;
pub use wrong_events::wrong_events;

/// All scores of all samples, `[N]` each; those that need an array that is not there are `None`.
#[derive(Debug, Clone, PartialEq)]
pub struct Scores {
    /// The default: [`combined`].
    pub combined: Vec<f32>,
    /// [`log_odds`].
    pub log_odds: Vec<f32>,
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
    /// [`weighted_vote`].
    pub weighted_vote: Option<Vec<f32>>,
    /// [`centroid_distance`].
    pub centroid_distance: Option<Vec<f32>>,
    /// [`learning_dynamics`].
    pub learning_dynamics: Option<Vec<f32>>,
    /// [`wrong_events`].
    pub wrong_events: Option<Vec<f32>>,
    /// [`ensemble`] of the log odds and of what there is of neighbours and training.
    pub ensemble: Vec<f32>,
}

impl Scores {
    /// Name and values of every score that there is, beside the default.
    pub fn columns(&self) -> Vec<(&'static str, &[f32])> {
        let mut columns: Vec<(&'static str, &[f32])> = vec![
            ("log_odds", &self.log_odds),
            ("self_confidence", &self.self_confidence),
            ("normalized_margin", &self.normalized_margin),
            ("posterior", &self.posterior),
            ("confident_joint", &self.confident_joint),
            ("loss_mixture", &self.loss_mixture),
            ("ensemble", &self.ensemble),
        ];
        let optional = [
            ("distance_ratio", &self.distance_ratio),
            ("neighbor_disagreement", &self.neighbor_disagreement),
            ("weighted_vote", &self.weighted_vote),
            ("centroid_distance", &self.centroid_distance),
            ("learning_dynamics", &self.learning_dynamics),
            ("wrong_events", &self.wrong_events),
        ];
        columns.extend(
            optional.into_iter().filter_map(|(name, values)| Some((name, values.as_deref()?))),
        );
        columns
    }
}
