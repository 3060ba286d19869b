//! Predictions in the order of their certainty, cleared of noise.

use rayon::prelude::*;

use super::predicted;
use crate::samples::Samples;

/// The samples that a model is fitted to.
pub(super) struct Places<'a> {
    num_classes: usize,
    given: Vec<usize>,
    rows: Vec<&'a [f32]>,
    predicted: Vec<usize>,
}

/// The same with what noise brings subtracted.
pub(super) struct Cleared<'a> {
    pub(super) num_classes: usize,
    pub(super) given: &'a [usize],
    pub(super) predicted: &'a [usize],
    /// Place among the predictions of the class, from 0 (certain) to 1, `[N]`.
    pub(super) places: Vec<f64>,
    /// What each class is if the prediction is wrong, `[N, K]`, rows sum to 1.
    pub(super) others: Vec<f32>,
}

impl<'a> Places<'a> {
    /// At most `count` samples, evenly spaced.
    pub(super) fn of(samples: &Samples<'a>, count: usize) -> Self {
        let n = samples.len();
        let count = n.min(count);
        let chosen = (0..count).map(|i| (i as u128 * n as u128 / count as u128) as usize);
        let rows: Vec<&[f32]> = chosen.clone().map(|i| samples.row(i)).collect();
        Self {
            num_classes: samples.num_classes(),
            given: chosen.map(|i| samples.given()[i] as usize).collect(),
            predicted: rows.par_iter().map(|row| predicted(row)).collect(),
            rows,
        }
    }

    /// Mean probability of each class, `[K]`.
    pub(super) fn means(&self) -> Vec<f64> {
        let mut means = vec![0.0; self.num_classes];
        for row in &self.rows {
            means.iter_mut().zip(*row).for_each(|(to, &p)| *to += f64::from(p));
        }
        means.iter().map(|sum| sum / self.rows.len() as f64).collect()
    }

    /// Clears the order of what `transition` `[true][given]` brings.
    pub(super) fn cleared(&self, transition: &[Vec<f64>], least: &[f64]) -> Cleared<'_> {
        let k = self.num_classes;
        let mut others = vec![0.0f32; self.rows.len() * k];
        let doubts: Vec<f64> = others
            .par_chunks_mut(k)
            .zip(&self.rows)
            .zip(&self.predicted)
            .map_init(
                || vec![0.0; k],
                |scratch, ((to, row), &predicted)| {
                    let total = residual(row, predicted, &transition[predicted], least, scratch);
                    let divide = |(to, from): (&mut f32, &f64)| *to = (from / total) as f32;
                    to.iter_mut().zip(scratch.iter()).for_each(divide);
                    total / f64::from(row[predicted])
                },
            )
            .collect();
        Cleared {
            num_classes: k,
            given: &self.given,
            predicted: &self.predicted,
            places: places(&doubts, &self.predicted, k),
            others,
        }
    }
}

/// Writes `max(p[k] - p[c] T[c][k] / T[c][c], 0) + least[k]`, 0 for the predicted class c, into `to`;
/// gives its sum, which is above 0.
pub(super) fn residual(
    row: &[f32],
    predicted: usize,
    transition: &[f64],
    least: &[f64],
    to: &mut [f64],
) -> f64 {
    let scale = f64::from(row[predicted]) / transition[predicted].max(f64::MIN_POSITIVE);
    let mut total = 0.0;
    for (class, (((to, &p), &t), &least)) in
        to.iter_mut().zip(row).zip(transition).zip(least).enumerate()
    {
        let left = (f64::from(p) - scale * t).max(0.0) + least.max(1e-12);
        *to = if class == predicted { 0.0 } else { left };
        total += *to;
    }
    total
}

/// `(rank + ½) / count` of each sample among those of its predicted class, by rising doubt; of equals
/// the earlier first.
fn places(doubts: &[f64], predicted: &[usize], k: usize) -> Vec<f64> {
    let mut members = vec![Vec::new(); k];
    for (sample, &class) in predicted.iter().enumerate() {
        members[class].push(sample);
    }
    let mut places = vec![0.0; doubts.len()];
    for mut members in members {
        members.sort_by(|&a, &b| doubts[a].total_cmp(&doubts[b])); // stable
        for (rank, &sample) in members.iter().enumerate() {
            places[sample] = (rank as f64 + 0.5) / members.len() as f64;
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_noise_brings_is_no_doubt() {
        let mut left = [0.0; 3];
        let total = residual(&[0.7, 0.3, 0.0], 0, &[0.7, 0.3, 0.0], &[0.0; 3], &mut left);
        assert!(total < 1e-7, "{left:?}");
        residual(&[0.5, 0.3, 0.2], 0, &[0.7, 0.3, 0.0], &[0.0; 3], &mut left);
        assert!((left[1] - (0.3 - 0.5 * 3.0 / 7.0)).abs() < 1e-6 && (left[2] - 0.2).abs() < 1e-6);
    }

    #[test]
    fn places_are_by_class_and_ties_by_order() {
        let places = places(&[0.3, 0.1, 0.9, 0.1], &[0, 0, 1, 0], 2);
        assert_eq!(places, [2.5 / 3.0, 0.5 / 3.0, 0.5, 1.5 / 3.0]);
    }
}
