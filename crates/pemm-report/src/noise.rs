//! The noise of a run as a matrix: the one that was drawn, and the one that the outputs imply.

use pemm_data::noise::{NoiseManifest, Realised};

/// `T[i][j]` as it came out, P(given j | true i), or else as asked for; none where unknown, or
/// where its size is not `num_classes`.
pub fn matrix(manifest: &NoiseManifest, num_classes: usize) -> Option<Vec<Vec<f64>>> {
    let is_square = |rows: usize, mut lengths: Box<dyn Iterator<Item = usize> + '_>| {
        rows == num_classes && lengths.all(|length| length == num_classes)
    };
    if let Some(Realised { counts, .. }) = &manifest.realised
        && is_square(counts.len(), Box::new(counts.iter().map(Vec::len)))
    {
        let rows = counts.iter().map(|row| row.iter().map(|&count| f64::from(count)).collect());
        return Some(rows.map(shares).collect());
    }
    let matrix = manifest.nominal_matrix.as_ref()?;
    let fits = is_square(matrix.len(), Box::new(matrix.iter().map(Vec::len)));
    fits.then(|| matrix.clone())
}

/// The noise matrix that probabilities imply: `T[i][j] = Σ_n p_n[i] [y_n = j] / Σ_n p_n[i]`, where
/// p_n says how likely class i is the true one of sample n, and y_n is its given label.
///
/// It is as good as the model. One that memorised the labels sees no noise.
pub fn implied<'a>(
    rows: impl Iterator<Item = &'a [f32]>,
    given: &[u32],
    num_classes: usize,
) -> Vec<Vec<f64>> {
    let mut matrix = vec![vec![0.0; num_classes]; num_classes];
    for (row, &given) in rows.zip(given) {
        for (class, &probability) in row.iter().enumerate() {
            matrix[class][given as usize] += f64::from(probability);
        }
    }
    matrix.into_iter().map(shares).collect()
}

/// Mean over classes of half the sum of differences of two rows, 0–1: the share of the labels that
/// the one matrix puts elsewhere than the other.
pub fn difference(a: &[Vec<f64>], b: &[Vec<f64>]) -> f64 {
    let row = |(a, b): (&Vec<f64>, &Vec<f64>)| {
        a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum::<f64>() / 2.0
    };
    a.iter().zip(b).map(row).sum::<f64>() / a.len().max(1) as f64
}

/// A row divided by its sum; zeros stay.
fn shares(row: Vec<f64>) -> Vec<f64> {
    let sum: f64 = row.iter().sum();
    row.into_iter().map(|value| if sum > 0.0 { value / sum } else { 0.0 }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sure_model_gives_back_the_counts() {
        let rows: [&[f32]; 4] = [&[1.0, 0.0], &[1.0, 0.0], &[0.0, 1.0], &[0.0, 1.0]];
        let matrix = implied(rows.into_iter(), &[0, 1, 1, 1], 2);
        assert_eq!(matrix, [[0.5, 0.5], [0.0, 1.0]]);
        assert_eq!(difference(&matrix, &[vec![1.0, 0.0], vec![0.0, 1.0]]), 0.25);
        let never: [&[f32]; 1] = [&[1.0, 0.0]];
        assert_eq!(implied(never.into_iter(), &[0], 2), [[1.0, 0.0], [0.0, 0.0]]);
    }

    #[test]
    fn what_came_out_goes_before_what_was_asked_for() {
        let mut manifest = NoiseManifest::given(&[1, 1, 0, 0, 1, 1], Some(&[0; 6]), 2);
        assert_eq!(matrix(&manifest, 2).unwrap()[0], [2.0 / 6.0, 4.0 / 6.0]);
        assert_eq!(matrix(&manifest, 3), None);
        manifest.nominal_matrix = Some(vec![vec![0.9, 0.1], vec![0.2, 0.8]]);
        manifest.realised = None;
        assert_eq!(matrix(&manifest, 2).unwrap()[1], [0.2, 0.8]);
        assert_eq!(matrix(&NoiseManifest::given(&[0], None, 2), 2), None);
    }
}
