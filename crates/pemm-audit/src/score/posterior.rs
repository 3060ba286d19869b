//! How probable it is that the given label is not the true one.

use crate::noise_model::NoiseModel;
use crate::samples::Samples;

/// `1 - P(true = given | x, given)` under `model`, in 0 to 1; `samples` with calibrated probabilities.
///
/// Beside what the sample looks like it weighs how often each class is given that label. It takes
/// wrong labels to depend on the class alone, so where people err on images that are hard for the
/// model too, it trusts the label of a hard image too much.
pub fn posterior(samples: &Samples<'_>, model: &NoiseModel) -> Vec<f32> {
    model.wrong(samples)
}
