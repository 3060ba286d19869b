//! Whether another class's center is nearer than that of the given label.

use crate::samples::Samples;

/// `d[given] / (d[given] + min_{k ≠ given} d[k])`, in 0 to 1; ½ on the border between the given and
/// the nearest other class, and where all distances are 0. `None` without distances.
///
/// # Parameters
/// d are the distances to the centers of a distance head, `‖z - c_k‖`.
pub fn distance_ratio(samples: &Samples<'_>) -> Option<Vec<f32>> {
    let distances = samples.arrays().distances?;
    let rows = distances.chunks_exact(samples.num_classes());
    let ratio = |(row, &given): (&[f32], &u32)| {
        let own = row[given as usize];
        let others = row.iter().enumerate().filter(|(k, _)| *k != given as usize);
        let other = others.map(|(_, &d)| d).fold(f32::INFINITY, f32::min);
        // Each is divided by the larger first: distances near the largest number do not overflow.
        let scale = own.max(other);
        if scale == 0.0 { 0.5 } else { (own / scale) / (own / scale + other / scale) }
    };
    Some(rows.zip(samples.given()).map(ratio).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::Arrays;

    #[test]
    fn on_its_center_0_on_anothers_1_between_a_half() {
        let arrays = Arrays {
            num_classes: 2,
            given: &[0, 0, 1, 1, 0],
            probabilities: &[0.5; 10],
            distances: Some(&[0.0, 2.0, 2.0, 0.0, 3e38, 3e38, 1.0, 3.0, 0.0, 0.0]),
            ..Arrays::default()
        };
        let ratios = distance_ratio(&Samples::new(arrays).unwrap()).unwrap();
        assert_eq!(ratios, [0.0, 1.0, 0.5, 0.75, 0.5]);
        let none = Arrays { distances: None, ..arrays };
        assert!(distance_ratio(&Samples::new(none).unwrap()).is_none());
    }
}
