//! The inverse of a noise matrix, for backward correction.

use super::transition::Transition;

/// A smaller pivot counts as none: what is divided by it would be rounding errors.
const SMALLEST_PIVOT: f64 = 1e-3;
/// Step by which a matrix without an inverse is mixed with the identity.
const STEP: f64 = 0.01;

impl Transition {
    /// `T⁻¹`, `[K][K]`, whose rows sum to 1. Where T has none, or one that is mostly rounding (a pivot of
    /// Gauss's elimination below 1e-3), that of `(1 - δ) T + δ 1` with the smallest of δ = 0.01, 0.02, …
    /// with which there is one.
    pub fn inverse(&self) -> Vec<Vec<f64>> {
        let mixed = |step: u32| -> Vec<Vec<f64>> {
            let identity = f64::from(step) * STEP;
            let row = |(i, row): (usize, &Vec<f64>)| -> Vec<f64> {
                let value = |(j, &p): (usize, &f64)| {
                    (1.0 - identity) * p + identity * f64::from(u8::from(i == j))
                };
                row.iter().enumerate().map(value).collect()
            };
            self.rows().iter().enumerate().map(row).collect()
        };
        (0..=100).find_map(|step| invert(mixed(step))).expect("the identity has an inverse")
    }
}

/// By Gauss and Jordan with the largest pivot of each column.
fn invert(mut rows: Vec<Vec<f64>>) -> Option<Vec<Vec<f64>>> {
    let k = rows.len();
    for (i, row) in rows.iter_mut().enumerate() {
        row.extend((0..k).map(|j| f64::from(u8::from(i == j)))); // [K, 2K]
    }
    for column in 0..k {
        let largest =
            (column..k).max_by(|&a, &b| rows[a][column].abs().total_cmp(&rows[b][column].abs()))?;
        rows.swap(column, largest);
        let pivot = rows[column][column];
        if pivot.abs() < SMALLEST_PIVOT {
            return None;
        }
        rows[column].iter_mut().for_each(|value| *value /= pivot);
        let pivot_row = rows[column].clone();
        for (_, row) in rows.iter_mut().enumerate().filter(|(i, _)| *i != column) {
            let factor = row[column];
            row.iter_mut().zip(&pivot_row).for_each(|(value, pivot)| *value -= factor * pivot);
        }
    }
    Some(rows.into_iter().map(|row| row[k..].to_vec()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn product(a: &[Vec<f64>], b: &[Vec<f64>]) -> Vec<Vec<f64>> {
        let cell = |row: &[f64], j: usize| row.iter().zip(b).map(|(x, row)| x * row[j]).sum();
        a.iter().map(|row| (0..b.len()).map(|j| cell(row, j)).collect()).collect()
    }

    #[test]
    fn it_undoes_the_noise() {
        let rows = vec![vec![0.7, 0.2, 0.1], vec![0.0, 0.4, 0.6], vec![0.3, 0.5, 0.2]];
        let transition = Transition::new(rows.clone()).unwrap();
        let inverse = transition.inverse();
        for (i, row) in product(&inverse, &rows).iter().enumerate() {
            for (j, value) in row.iter().enumerate() {
                assert!((value - f64::from(u8::from(i == j))).abs() < 1e-12, "{row:?}");
            }
            assert!((inverse[i].iter().sum::<f64>() - 1.0).abs() < 1e-12);
        }
        assert_eq!(Transition::identity(4).inverse(), Transition::identity(4).rows());
    }

    #[test]
    fn a_matrix_that_has_none_is_mixed_with_the_identity() {
        let alike = Transition::new(vec![vec![0.5, 0.5], vec![0.5, 0.5]]).unwrap();
        // (1 - δ) T + δ 1 = [[0.505, 0.495], [0.495, 0.505]] with δ = 0.01, whose second pivot is 0.0198.
        let inverse = alike.inverse();
        assert!((inverse[0][0] - 50.5).abs() < 1e-6, "{inverse:?}");
        assert!((inverse[0][1] + 49.5).abs() < 1e-6);
    }
}
