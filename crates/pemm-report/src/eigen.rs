//! The largest eigenvalues of a symmetric matrix without negative ones (a covariance, inner
//! products), by orthogonal iteration: multiply, make orthogonal, again.
//!
//! A linear-algebra library would bring more crates than this file has lines, and would switch
//! features on in one that Burn uses, so that Burn would be compiled twice.

/// A symmetric matrix, row by row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Symmetric {
    size: usize,
    values: Vec<f64>,
}

/// Eigenvalues in falling order, and a unit vector for each.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Eigen {
    pub(crate) values: Vec<f64>,
    /// Each with its largest entry above 0. That of an eigenvalue 0 may be all zeros.
    pub(crate) vectors: Vec<Vec<f64>>,
}

impl Symmetric {
    /// The matrix with these entries; `entry(i, j)` is asked for j ≤ i only.
    pub(crate) fn new(size: usize, entry: impl Fn(usize, usize) -> f64) -> Self {
        let mut values = vec![0.0; size * size];
        for row in 0..size {
            for column in 0..=row {
                let value = entry(row, column);
                values[row * size + column] = value;
                values[column * size + row] = value;
            }
        }
        Self { size, values }
    }

    /// Sum of the diagonal, which is that of all eigenvalues.
    pub(crate) fn trace(&self) -> f64 {
        self.values.iter().step_by(self.size + 1).sum()
    }

    fn times(&self, vector: &[f64]) -> Vec<f64> {
        self.values.chunks_exact(self.size.max(1)).map(|row| dot(row, vector)).collect()
    }

    /// The `most` largest eigenvalues, after `rounds` rounds or when nothing moves any more. The same
    /// bits on every run.
    pub(crate) fn largest(&self, most: usize, rounds: usize) -> Eigen {
        let num = most.min(self.size);
        // Any start that is orthogonal to no eigenvector will do.
        let mut state = 1u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 40) as f64 / (1u64 << 24) as f64 - 0.5
        };
        let mut vectors: Vec<Vec<f64>> =
            (0..num).map(|_| (0..self.size).map(|_| random()).collect()).collect();
        orthogonalize(&mut vectors);
        let mut values = vec![0.0; num];
        for _ in 0..rounds {
            let mut next: Vec<Vec<f64>> = vectors.iter().map(|v| self.times(v)).collect();
            let found: Vec<f64> = vectors.iter().zip(&next).map(|(v, w)| dot(v, w)).collect();
            orthogonalize(&mut next);
            vectors = next;
            let largest = found.iter().copied().fold(0.0, f64::max);
            let is_still = values.iter().zip(&found).all(|(a, b)| (a - b).abs() <= 1e-15 * largest);
            values = found;
            if is_still {
                break;
            }
        }
        let mut order: Vec<usize> = (0..num).collect();
        order.sort_by(|&a, &b| values[b].total_cmp(&values[a]).then(a.cmp(&b)));
        Eigen {
            values: order.iter().map(|&i| values[i].max(0.0)).collect(),
            vectors: order.iter().map(|&i| upright(&vectors[i])).collect(),
        }
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Gram–Schmidt, twice, which is enough for rounding; what has no direction left becomes zeros.
fn orthogonalize(vectors: &mut [Vec<f64>]) {
    for j in 0..vectors.len() {
        let (before, from) = vectors.split_at_mut(j);
        let vector = &mut from[0];
        let length = dot(vector, vector).sqrt();
        for _ in 0..2 {
            for earlier in before.iter() {
                let along = dot(earlier, vector);
                vector.iter_mut().zip(earlier).for_each(|(x, e)| *x -= along * e);
            }
        }
        let left = dot(vector, vector).sqrt();
        let scale = if left > 1e-12 * length && left > 0.0 { 1.0 / left } else { 0.0 };
        vector.iter_mut().for_each(|x| *x *= scale);
    }
}

/// An eigenvector is one up to its sign; ours has its largest entry above 0, the first of equals.
fn upright(vector: &[f64]) -> Vec<f64> {
    let further = |best: f64, &x: &f64| if x.abs() > best.abs() + 1e-12 { x } else { best };
    let sign = if vector.iter().fold(0.0, further) < 0.0 { -1.0 } else { 1.0 };
    vector.iter().map(|x| sign * x).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_eigenvalues_come_out() {
        // 2 on the diagonal, -1 beside it: 2 - 2 cos(k π / (n + 1))
        let size = 12;
        let matrix = Symmetric::new(size, |i, j| match i - j {
            0 => 2.0,
            1 => -1.0,
            _ => 0.0,
        });
        let eigen = matrix.largest(size, 2000);
        assert!((matrix.trace() - eigen.values.iter().sum::<f64>()).abs() < 1e-9);
        for (index, value) in eigen.values.iter().enumerate() {
            let angle = (size - index) as f64 * std::f64::consts::PI / (size as f64 + 1.0);
            assert!((value - (2.0 - 2.0 * angle.cos())).abs() < 1e-9, "{index} {value}");
        }
        let first = &eigen.vectors[0];
        let image = matrix.times(first);
        for (x, y) in first.iter().zip(image) {
            assert!((eigen.values[0] * x - y).abs() < 1e-6);
        }
    }

    #[test]
    fn equal_and_vanishing_eigenvalues_are_allowed() {
        let equal = Symmetric::new(4, |i, j| f64::from(u8::from(i == j))).largest(2, 50);
        assert!(equal.values.iter().all(|value| (value - 1.0).abs() < 1e-12));
        assert!(dot(&equal.vectors[0], &equal.vectors[1]).abs() < 1e-12);
        let zero = Symmetric::new(3, |_, _| 0.0).largest(2, 50);
        assert_eq!(zero.values, [0.0, 0.0]);
        assert!(zero.vectors.iter().flatten().all(|x| x.is_finite()));
        let one = Symmetric::new(3, |i, j| f64::from(u8::from(i == 0 && j == 0))).largest(3, 50);
        assert!((one.values[0] - 1.0).abs() < 1e-12 && one.values[1].abs() < 1e-12);
        assert_eq!(Symmetric::new(0, |_, _| 0.0).largest(2, 50).values.len(), 0);
    }
}
