//! Two groups of margins of training.

use crate::mixture::Mixture;
use crate::samples::Samples;

/// Weight of the lower component of a mixture of two Gaussians over the mean margins of training,
/// `p[given] - max of the others`; `None` without margins or where all are equal.
///
/// # Fails
/// Hard samples with right labels are learned late too, so the estimate is too high where the model
/// has trouble; and on clean labels a mixture still finds two groups.
///
/// # Reference
/// Arazo et al. 2019 (mixtures over losses); Pleiss et al. 2020 (margins).
pub fn by_margins(samples: &Samples<'_>) -> Option<f64> {
    let margins: Vec<f64> =
        samples.arrays().margins?.iter().map(|&margin| f64::from(margin)).collect();
    Some(Mixture::fit(&margins)?.low.weight)
}
