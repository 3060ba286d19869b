//! Centers in the plane: classical multidimensional scaling, which is PCA of the centers. Distances
//! in the plane are shadows of the true ones; how much of them is seen is told with the picture.

use crate::eigen::Symmetric;

/// Centers `[K, D]` and the origin, drawn in a plane.
#[derive(Debug, Clone, PartialEq)]
pub struct Layout {
    /// Place of each center; the origin of the feature space has the place `origin`.
    pub places: Vec<[f64; 2]>,
    /// Place of the origin.
    pub origin: [f64; 2],
    /// Share of the squared distances that the plane shows, 0–1.
    pub shown: f64,
}

/// Distances of all pairs of rows of `centers`, `[K][K]`.
pub fn distances(centers: &[f32], num_features: usize) -> Vec<Vec<f64>> {
    let rows: Vec<&[f32]> = centers.chunks_exact(num_features.max(1)).collect();
    let distance = |a: &[f32], b: &[f32]| {
        a.iter().zip(b).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum::<f64>().sqrt()
    };
    rows.iter().map(|a| rows.iter().map(|b| distance(a, b)).collect()).collect()
}

/// The plane in which `centers` `[K, D]` and the origin spread most; none below two centers.
pub fn layout(centers: &[f32], num_features: usize) -> Option<Layout> {
    let num_centers = centers.len() / num_features.max(1);
    if num_centers < 2 {
        return None;
    }
    let num_points = num_centers + 1;
    let mut with_origin = centers.to_vec();
    with_origin.extend(std::iter::repeat_n(0.0, num_features));
    let mut squared = distances(&with_origin, num_features);
    squared.iter_mut().flatten().for_each(|distance| *distance = distance.powi(2));
    // B = -½ J D² J with J = I - 1/n: the inner products of centred points.
    let mean = |row: &Vec<f64>| row.iter().sum::<f64>() / num_points as f64;
    let means: Vec<f64> = squared.iter().map(mean).collect();
    let all = mean(&means);
    let products =
        Symmetric::new(num_points, |i, j| -0.5 * (squared[i][j] - means[i] - means[j] + all));
    let eigen = products.largest(2, 500);
    let axis = |number: usize| {
        let scale = eigen.values[number].sqrt();
        eigen.vectors[number].iter().map(move |x| x * scale)
    };
    let total = products.trace();
    let seen: f64 = eigen.values.iter().sum();
    let mut places: Vec<[f64; 2]> = axis(0).zip(axis(1)).map(|(x, y)| [x, y]).collect();
    let origin = places.pop()?;
    Some(Layout { places, origin, shown: if total > 0.0 { seen / total } else { 1.0 } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_in_a_plane_keeps_its_distances() {
        let centers = [3.0f32, 0.0, 0.0, 0.0, 4.0, 0.0, -3.0, 0.0, 0.0];
        let layout = layout(&centers, 3).unwrap();
        assert!((layout.shown - 1.0).abs() < 1e-9);
        let apart = |a: [f64; 2], b: [f64; 2]| (a[0] - b[0]).hypot(a[1] - b[1]);
        assert!((apart(layout.places[0], layout.places[1]) - 5.0).abs() < 1e-6);
        assert!((apart(layout.places[0], layout.places[2]) - 6.0).abs() < 1e-6);
        assert!((apart(layout.places[1], layout.origin) - 4.0).abs() < 1e-6);
        assert!((distances(&centers, 3)[0][1] - 5.0).abs() < 1e-6);
    }

    #[test]
    fn a_simplex_shows_what_a_plane_can() {
        let centers: Vec<f32> =
            (0..10).flat_map(|i| (0..10).map(move |j| f32::from(u8::from(i == j)))).collect();
        let shown = layout(&centers, 10).unwrap().shown;
        assert!((0.15..0.4).contains(&shown), "{shown}");
        assert_eq!(layout(&[0.0; 3], 3), None);
        let zero = layout(&[0.0; 6], 3).unwrap();
        assert!(zero.places.iter().flatten().all(|x| x.is_finite()));
    }
}
