//! How far the given label lies behind the strongest other.

use crate::samples::{Samples, strongest_other};

/// `(1 - (p[given] - max_{k ≠ given} p[k])) / 2`, in 0 to 1; ½ where two labels are as likely.
///
/// # Reference
/// Northcutt, Jiang, Chuang: Confident Learning, 2021; cleanlab's `normalized_margin` is 1 minus
/// this.
pub fn normalized_margin(samples: &Samples<'_>) -> Vec<f32> {
    samples
        .rows()
        .map(|(given, row)| {
            (0.5 * (1.0 - row[given] + strongest_other(row, given).1)).clamp(0.0, 1.0)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::Arrays;

    #[test]
    fn certain_wrong_is_1_certain_right_is_0_and_a_tie_is_a_half() {
        let arrays = Arrays {
            num_classes: 3,
            given: &[0, 1, 2],
            probabilities: &[1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.4, 0.2, 0.4],
            ..Arrays::default()
        };
        assert_eq!(normalized_margin(&Samples::new(arrays).unwrap()), [0.0, 1.0, 0.5]);
    }
}
