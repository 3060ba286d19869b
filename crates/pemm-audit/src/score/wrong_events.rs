//! In how many epochs of training the prediction was another class.

use crate::samples::Samples;

/// The share of epochs in which the model that was trained on the sample predicted another class than
/// the given one, in 0 to 1. `None` without events.
///
/// Unlike the loss it does not fall to nothing when a wrong label is learned at last.
///
/// # Fails
/// With few epochs most samples share a few values.
///
/// # Reference
/// "Wrong events" of Zhang et al.: IDO, 2025; forgetting events of Toneva et al. 2019 count changes.
pub fn wrong_events(samples: &Samples<'_>) -> Option<Vec<f32>> {
    samples.arrays().events.map(<[f32]>::to_vec)
}
