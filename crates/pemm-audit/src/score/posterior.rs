//! How probable it is that another class is the true one, given the label too.

use rayon::prelude::*;

use crate::noise_model::NoiseModel;
use crate::samples::Samples;

/// `1 - P(true = given | x, given)` under `model`, in 0 to 1.
///
/// Beside what the image looks like it weighs how often each class is given that label. It takes
/// wrong labels to depend on the class alone, so where people err on images that are hard for the
/// model too, it trusts the label of a hard image too much.
pub fn posterior(samples: &Samples<'_>, model: &NoiseModel) -> Vec<f32> {
    let k = samples.num_classes();
    let rows = samples.arrays().probabilities.par_chunks_exact(k).zip(samples.given());
    rows.map_init(
        || vec![0.0; k],
        |posterior, (row, &given)| {
            model.posterior(given as usize, row, posterior);
            (1.0 - posterior[given as usize]).clamp(0.0, 1.0) as f32
        },
    )
    .collect()
}
