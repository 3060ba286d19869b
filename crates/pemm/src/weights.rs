//! How much each training sample counts in the loss.

use pemm_data::Part;
use pemm_experiment::loss::ClassWeights;

use crate::error::{Error, Result};

/// Weight of each training sample, with mean 1: its class's times that of the labels file.
pub(crate) fn sample_weights(
    part: &Part,
    num_classes: usize,
    kind: ClassWeights,
) -> Result<Option<Vec<f32>>> {
    let mut weights: Vec<f64> = match (&part.weights, kind) {
        (None, ClassWeights::None) => return Ok(None),
        (Some(weights), _) => weights.iter().map(|&w| f64::from(w)).collect(),
        (None, ClassWeights::Balanced) => vec![1.0; part.len()],
    };
    if kind == ClassWeights::Balanced {
        let mut counts = vec![0usize; num_classes];
        part.given.iter().for_each(|&label| counts[label as usize] += 1);
        for (weight, &label) in weights.iter_mut().zip(&part.given) {
            *weight /= counts[label as usize] as f64;
        }
    }
    let mean = weights.iter().sum::<f64>() / weights.len() as f64;
    if mean == 0.0 {
        let reason =
            "the weight column is 0 for every training sample, so nothing would be learned";
        return Err(Error::setting("data.labels", reason));
    }
    Ok(Some(weights.iter().map(|w| (w / mean) as f32).collect()))
}
