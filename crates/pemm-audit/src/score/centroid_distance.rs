//! Whether the mean of another class is nearer.

use rayon::prelude::*;

use crate::samples::Samples;

/// `(1 - (cos(z, μ[given]) - max_{k ≠ given} cos(z, μ[k])) / 2) / 2`, in 0 to 1, with the mean μ of the
/// unit features of each class, from which the sample itself is left out; ½ on the border. `None` without
/// features.
///
/// With features of several models (folds) the means are taken in each.
///
/// # Fails
/// Where a class is several heaps, or noise pulls a mean away.
///
/// # Reference
/// Nearest class mean; the centers of a distance head are a learned form of it.
pub fn centroid_distance(samples: &Samples<'_>) -> Option<Vec<f32>> {
    let arrays = samples.arrays();
    let (features, d, k) = (arrays.features?, arrays.num_features, samples.num_classes());
    let model = |sample: usize| arrays.models.map_or(0, |models| models[sample]);
    let mut places = std::collections::BTreeMap::<u32, usize>::new();
    for sample in 0..samples.len() {
        let next = places.len();
        places.entry(model(sample)).or_insert(next);
    }
    let norm = |z: &[f32]| {
        let norm = z.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
        if norm > 0.0 && norm.is_finite() { norm } else { 1.0 }
    };
    let mut sums = vec![0.0f64; places.len() * k * d];
    for (sample, z) in features.chunks_exact(d).enumerate() {
        let class = places[&model(sample)] * k + samples.given()[sample] as usize;
        let norm = norm(z);
        let sum = &mut sums[class * d..][..d];
        sum.iter_mut().zip(z).for_each(|(to, &x)| *to += f64::from(x) / norm);
    }
    let score = |(sample, z): (usize, &[f32])| {
        let (own, first) = (samples.given()[sample] as usize, places[&model(sample)] * k);
        let size = norm(z);
        let cosine = |class: usize| {
            let (mut dot, mut squares) = (0.0, 0.0);
            for (&sum, &x) in sums[(first + class) * d..][..d].iter().zip(z) {
                let x = f64::from(x) / size;
                let sum = if class == own { sum - x } else { sum };
                dot += sum * x;
                squares += sum * sum;
            }
            if squares > 1e-18 { dot / squares.sqrt() } else { 0.0 }
        };
        let others = (0..k).filter(|&class| class != own).map(cosine);
        let other = others.fold(f64::NEG_INFINITY, f64::max);
        (0.5 * (1.0 - 0.5 * (cosine(own) - other))).clamp(0.0, 1.0) as f32
    };
    Some(features.par_chunks_exact(d).enumerate().map(score).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::Arrays;

    #[test]
    fn the_sample_that_lies_with_the_others_stands_out() {
        let arrays = Arrays {
            num_classes: 2,
            given: &[0, 0, 1, 1, 1, 0],
            probabilities: &[0.5; 12],
            num_features: 2,
            features: Some(&[1.0, 0.0, 2.0, 0.1, 0.0, 1.0, 0.1, 3.0, 0.0, 0.5, 0.05, 1.0]),
            ..Arrays::default()
        };
        let scores = centroid_distance(&Samples::new(arrays).unwrap()).unwrap();
        assert!(scores[5] > 0.6 && scores[..5].iter().all(|&score| score < 0.5), "{scores:?}");
    }
}
