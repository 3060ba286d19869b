//! The layout of the class centers: what is recorded of it, and how centers that coincide come
//! apart.

use burn::tensor::{Tensor, TensorData};
use pemm_data::Rng;
use pemm_runs::CenterStats;

use crate::energy::Potential;
use crate::head::Head;
use crate::tensors::{Values, read};

/// Distances of `centers` `[K, D]` and their energy, in float64 on the host.
///
/// Minimum, mean and maximum are over the K(K-1)/2 pairs of centers; the sum and the energy also
/// take the K pairs with the origin (eq. 11 and 15).
pub fn center_stats(centers: Tensor<2>, potential: Potential) -> CenterStats {
    let Values { shape, data } = read(centers);
    let rows: Vec<&[f32]> = data.chunks_exact(shape[1].max(1)).collect();
    let mut stats = CenterStats {
        min_distance: f64::INFINITY,
        mean_distance: 0.0,
        max_distance: 0.0,
        sum_with_origin: 0.0,
        energy: 0.0,
    };
    let mut num_pairs = 0;
    for (i, a) in rows.iter().enumerate() {
        let radius = a.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
        stats.sum_with_origin += radius;
        stats.energy += potential.value(radius);
        for b in &rows[i + 1..] {
            let r = distance(a, b);
            stats.min_distance = stats.min_distance.min(r);
            stats.max_distance = stats.max_distance.max(r);
            stats.mean_distance += r;
            stats.energy += potential.value(r);
            num_pairs += 1;
        }
    }
    stats.sum_with_origin += stats.mean_distance;
    stats.mean_distance /= f64::from(num_pairs.max(1));
    stats
}

fn distance(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2)).sum::<f64>().sqrt()
}

/// Moves every center that lies exactly on an earlier one, or on the origin, by a random vector of
/// length 1e-3, so that the energy, which has no direction there, can take them apart. Says whether
/// any did.
pub fn separate(head: &mut Head, rng: &mut Rng) -> bool {
    const OFFSET: f64 = 1e-3;
    let Some(centers) = head.center_parameter() else { return false };
    let Values { shape, mut data } = read(centers.val());
    let size = shape[1];
    let mut moved = false;
    for k in 0..shape[0] {
        let (before, from) = data.split_at_mut(k * size);
        let center = &mut from[..size];
        let on_origin = center.iter().all(|&x| x == 0.0);
        let on_earlier = || before.chunks_exact(size).any(|earlier| earlier == &*center);
        if !on_origin && !on_earlier() {
            continue;
        }
        let direction: Vec<f64> = (0..size).map(|_| rng.normal()).collect();
        let norm = direction.iter().map(|x| x * x).sum::<f64>().sqrt().max(1e-12);
        for (x, d) in center.iter_mut().zip(direction) {
            *x += (OFFSET * d / norm) as f32;
        }
        moved = true;
    }
    if moved {
        *centers = centers.clone().map(|tensor| {
            let new = Tensor::from_data(TensorData::new(data, shape), &tensor.device());
            new.set_require_grad(tensor.is_require_grad())
        });
    }
    moved
}
