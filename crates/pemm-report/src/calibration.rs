//! Whether a model that says "80 %" is right in 80 of 100 cases (Guo et al. 2017).

use pemm_data::score::first_of_highest;

/// Bins of equal width.
pub const NUM_BINS: usize = 15;

/// The samples whose largest probability lies in one bin.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Bin {
    /// Number of samples.
    pub num_samples: usize,
    /// Mean of their largest probabilities; 0 without samples.
    pub confidence: f64,
    /// Share of them that is predicted correctly; 0 without samples.
    pub accuracy: f64,
}

/// Accuracy by confidence.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibration {
    /// The bins, `((b - 1)/B, b/B]`.
    pub bins: Vec<Bin>,
    /// Expected calibration error, `Σ_b n_b / n · |accuracy_b - confidence_b|`, 0–1.
    pub error: f64,
    /// Mean confidence minus accuracy: above 0 the model is too sure.
    pub excess: f64,
}

/// Compares rows of probabilities with labels; none without samples.
pub fn calibration<'a>(
    rows: impl Iterator<Item = &'a [f32]>,
    labels: &[u32],
) -> Option<Calibration> {
    let mut bins = vec![Bin::default(); NUM_BINS];
    for (row, label) in rows.zip(labels) {
        let class = first_of_highest(row);
        let confidence = f64::from(row[class]).clamp(0.0, 1.0);
        let place = ((confidence * NUM_BINS as f64).ceil() as usize).clamp(1, NUM_BINS) - 1;
        let bin = &mut bins[place];
        bin.num_samples += 1;
        bin.confidence += confidence;
        bin.accuracy += f64::from(u8::from(class == *label as usize));
    }
    let total: usize = bins.iter().map(|bin| bin.num_samples).sum();
    if total == 0 {
        return None;
    }
    let sum = |value: fn(&Bin) -> f64| bins.iter().map(value).sum::<f64>() / total as f64;
    let excess = sum(|bin| bin.confidence) - sum(|bin| bin.accuracy);
    let error = sum(|bin| (bin.accuracy - bin.confidence).abs());
    for bin in &mut bins {
        bin.confidence /= bin.num_samples.max(1) as f64;
        bin.accuracy /= bin.num_samples.max(1) as f64;
    }
    Some(Calibration { bins, error, excess })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        let rows: [&[f32]; 4] = [&[0.75, 0.25], &[0.75, 0.25], &[0.25, 0.75], &[0.5, 0.5]];
        let calibration = calibration(rows.into_iter(), &[0, 0, 0, 1]).unwrap();
        // three at 0.75, two of them right; one at 0.5, wrong
        let expected = (3.0 * (0.75f64 - 2.0 / 3.0) + 0.5) / 4.0;
        assert!((calibration.error - expected).abs() < 1e-9);
        assert!((calibration.excess - (2.75 / 4.0 - 0.5)).abs() < 1e-9);
        let bin = calibration.bins[11];
        assert_eq!((bin.num_samples, bin.confidence), (3, 0.75));
    }

    #[test]
    fn ends_have_bins_and_nothing_has_none() {
        assert_eq!(calibration(std::iter::empty(), &[]), None);
        let sure: [&[f32]; 2] = [&[1.0, 0.0], &[0.0, 0.0]];
        let calibration = calibration(sure.into_iter(), &[0, 0]).unwrap();
        assert_eq!((calibration.bins[14].num_samples, calibration.bins[0].num_samples), (1, 1));
    }
}
