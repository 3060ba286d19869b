//! How little probability the given label has.

use crate::samples::Samples;

/// `1 - p[given]`, in 0 to 1.
///
/// # Reference
/// Northcutt, Jiang, Chuang: Confident Learning, 2021; cleanlab's `self_confidence` is `p[given]`.
pub fn self_confidence(samples: &Samples<'_>) -> Vec<f32> {
    samples.rows().map(|(given, row)| (1.0 - row[given]).clamp(0.0, 1.0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::Arrays;

    #[test]
    fn it_is_what_is_left_of_the_probability() {
        let arrays = Arrays {
            num_classes: 2,
            given: &[0, 0, 1],
            probabilities: &[1.0, 0.0, 0.25, 0.75, 0.25, 0.75],
            ..Arrays::default()
        };
        assert_eq!(self_confidence(&Samples::new(arrays).unwrap()), [0.0, 0.75, 0.25]);
    }
}
