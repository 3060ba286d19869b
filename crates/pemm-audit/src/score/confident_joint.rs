//! How usual it is that samples of the given label are confidently of another class.

use crate::joint::ConfidentJoint;
use crate::samples::Samples;

/// `C[g][j] / (C[g][g] + C[g][j])` for a sample given g whose model is confident of class j ≠ g, in
/// 0 to 1: of the samples given g that are confidently g or j, the share that is j. 0 where the model
/// is confident of the given class or of none.
///
/// # Reference
/// The counts C are those of [`ConfidentJoint`]; cleanlab prunes by them, here they are a score.
pub fn confident_joint(samples: &Samples<'_>, joint: &ConfidentJoint) -> Vec<f32> {
    let score = |(&given, &confident): (&u32, &Option<u32>)| match confident {
        Some(other) if other != given => {
            let row = &joint.counts[given as usize];
            let (own, other) = (row[given as usize] as f64, row[other as usize] as f64);
            (other / (own + other)) as f32
        }
        _ => 0.0,
    };
    samples.given().iter().zip(&joint.confident).map(score).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::Arrays;

    #[test]
    fn only_confident_disagreement_counts_and_more_where_it_is_usual() {
        let arrays = Arrays {
            num_classes: 2,
            given: &[0, 0, 0, 1, 1],
            probabilities: &[0.9, 0.1, 0.5, 0.5, 0.1, 0.9, 0.2, 0.8, 0.45, 0.55],
            ..Arrays::default()
        };
        let samples = Samples::new(arrays).unwrap();
        let scores = confident_joint(&samples, &ConfidentJoint::of(&samples));
        assert_eq!(scores, [0.0, 0.0, (1.0 / 3.0) as f32, 0.0, 0.0]);
    }
}
