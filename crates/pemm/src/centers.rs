//! The layout of the class centers: what is recorded of it, how it is at rest, and how centers that
//! coincide come apart.

use burn::module::Param;
use burn::tensor::{Tensor, TensorData};
use pemm_data::Rng;
use pemm_runs::CenterStats;

use crate::energy::Potential;
use crate::head::{DistanceHead, Head};
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

/// Puts the centers at equal distances `rest` > 0 from each other and from the origin, as the energy
/// has them at its minimum, and says whether there is such a layout: there is none for more centers K
/// than dimensions D, and on the unit sphere of the cosine heads. Then they stay.
///
/// The K vectors then have the Gram matrix `rest²/2 · (I + J)` (J of ones), whose root is
/// `rest/√2 · (I + (√(K+1) - 1)/K · J)`; it is multiplied with orthonormal vectors, those that Gram
/// and Schmidt make of the centers as they are. So each seed has a rotation of its own.
pub fn lay_out(head: &mut Head, rest: f64) -> bool {
    let Head::Distance(DistanceHead { centers, .. }) = head else { return false };
    let Values { shape, data } = read(centers.val());
    let [num_centers, size] = [shape[0], shape[1]];
    if num_centers > size || rest <= 0.0 {
        return false;
    }
    let mut rows: Vec<Vec<f64>> =
        data.chunks_exact(size).map(|row| row.iter().map(|&x| f64::from(x)).collect()).collect();
    for k in 0..num_centers {
        let (before, from) = rows.split_at_mut(k);
        let row = &mut from[0];
        // Twice is enough for rounding not to matter.
        for _ in 0..2 {
            for earlier in &*before {
                let along: f64 = earlier.iter().zip(&*row).map(|(a, b)| a * b).sum();
                row.iter_mut().zip(earlier).for_each(|(x, e)| *x -= along * e);
            }
            let norm = row.iter().map(|x| x * x).sum::<f64>().sqrt();
            row.iter_mut().for_each(|x| *x /= norm);
        }
    }
    let share = ((num_centers as f64 + 1.0).sqrt() - 1.0) / num_centers as f64;
    let total: Vec<f64> = (0..size).map(|d| rows.iter().map(|row| row[d]).sum()).collect();
    let scale = rest / 2f64.sqrt();
    let laid_out: Vec<f32> = rows
        .iter()
        .flat_map(|row| row.iter().zip(&total).map(|(x, t)| (scale * (x + share * t)) as f32))
        .collect();
    replace(centers, TensorData::new(laid_out, shape));
    true
}

/// Lays the centers out for the start at distance `rest`, if there is one; a warning if that cannot
/// be.
pub(crate) fn start(head: &mut Head, rest: Option<f64>) -> Option<String> {
    let rest = rest?;
    (!lay_out(head, rest)).then(|| {
        "loss.energy.start: these centers have no layout at rest (it needs model.head = \
         \"distance\", no more classes than features, and loss.energy.beta below r0), so they start \
         as drawn"
            .into()
    })
}

/// Gives a parameter other values.
fn replace(parameter: &mut Param<Tensor<2>>, values: TensorData) {
    *parameter = parameter.clone().map(|tensor| {
        let new = Tensor::from_data(values, &tensor.device());
        new.set_require_grad(tensor.is_require_grad())
    });
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
        replace(centers, TensorData::new(data, shape));
    }
    moved
}
