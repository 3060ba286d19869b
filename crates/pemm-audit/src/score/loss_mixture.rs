//! Which of two groups of losses a sample belongs to.

use crate::mixture::Mixture;
use crate::samples::Samples;

/// Smallest probability of which the loss is taken.
const SMALLEST: f64 = 1e-6;

/// Probability that the sample's cross entropy `-ln p[given]` belongs to the component with the
/// larger mean of a mixture of two Gaussians, in 0 to 1; and that mixture. All 0 and `None` where
/// all losses are equal.
///
/// The loss is bounded at `-ln 1e-6` and divided by that bound.
///
/// # Reference
/// Li, Socher, Hoi: DivideMix, 2020, which fits losses of training samples; here they are of samples
/// that the model was not trained on, unless the caller's probabilities are.
pub fn loss_mixture(samples: &Samples<'_>) -> (Vec<f32>, Option<Mixture>) {
    let bound = -SMALLEST.ln();
    let loss = |(given, row): (usize, &[f32])| -f64::from(row[given]).max(SMALLEST).ln() / bound;
    let losses: Vec<f64> = samples.rows().map(loss).collect();
    let Some(mixture) = Mixture::fit(&losses) else { return (vec![0.0; losses.len()], None) };
    (losses.iter().map(|&loss| mixture.high_share(loss) as f32).collect(), Some(mixture))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::Arrays;

    #[test]
    fn the_few_with_a_large_loss_stand_out() {
        let given = [0u32; 100];
        let p = |i: usize| if i < 20 { 0.02 + 0.001 * i as f32 } else { 0.9 + 0.001 * i as f32 };
        let probabilities: Vec<f32> =
            (0..100).flat_map(|i| [p(i).min(1.0), 1.0 - p(i).min(1.0)]).collect();
        let arrays = Arrays {
            num_classes: 2,
            given: &given,
            probabilities: &probabilities,
            ..Arrays::default()
        };
        let (scores, mixture) = loss_mixture(&Samples::new(arrays).unwrap());
        assert!((mixture.unwrap().high.weight - 0.2).abs() < 1e-3);
        assert!(scores[..20].iter().all(|&s| s > 0.99) && scores[20..].iter().all(|&s| s < 0.01));
        let equal = Arrays { probabilities: &[0.5; 200], ..arrays };
        assert_eq!(loss_mixture(&Samples::new(equal).unwrap()), (vec![0.0; 100], None));
    }
}
