//! How often those are contradicted that are most certain.

use rayon::prelude::*;

use super::binomial_interval;
use crate::neighbors::Neighbors;
use crate::noise_model::predicted;
use crate::samples::Samples;
use crate::stacked::num_voters;

/// Of each class, the tenth of its predictions that are most certain: how many there are, and how many
/// of them are given another label.
///
/// # Fails
/// Too low where the easy images of a class have the right labels and the hard ones the wrong ones; too
/// high where even the most certain predictions err.
#[derive(Debug, Clone, PartialEq)]
pub struct Certain {
    /// Most certain predictions of each class, `[K]`.
    pub certain: Vec<usize>,
    /// Of these, given another label, `[K]`.
    pub contradicted: Vec<usize>,
}

/// One of so many predictions of a class counts as certain.
const SHARE: usize = 10;

/// By the model: `max_k p[k]`, `samples` with calibrated probabilities.
pub fn certain_by_model(samples: &Samples<'_>) -> Certain {
    let rows = samples.arrays().probabilities.par_chunks_exact(samples.num_classes());
    let said = rows.map(|row| {
        let class = predicted(row);
        (class as u32, row[class])
    });
    Certain::of(&said.collect::<Vec<_>>(), samples)
}

/// By the nearest samples: the label that most of them have, and their share.
pub fn certain_by_neighbors(samples: &Samples<'_>, neighbors: &Neighbors) -> Certain {
    let (n, k) = (samples.len(), samples.num_classes());
    let voters = num_voters(n, k, crate::report::NUM_NEIGHBORS);
    let vote = |votes: &mut Vec<u32>, sample: usize| {
        votes.clear();
        votes.resize(k, 0);
        let mut found = 0u32;
        for other in neighbors.of_sample(sample).take(voters) {
            votes[samples.given()[other] as usize] += 1;
            found += 1;
        }
        let most = predicted(votes);
        (most as u32, votes[most] as f32 / found.max(1) as f32)
    };
    let said: Vec<(u32, f32)> = (0..n).into_par_iter().map_init(Vec::new, vote).collect();
    Certain::of(&said, samples)
}

impl Certain {
    /// From the predicted class and the certainty of each sample; of equally certain ones the earlier
    /// come first.
    fn of(said: &[(u32, f32)], samples: &Samples<'_>) -> Self {
        let k = samples.num_classes();
        let mut members = vec![Vec::new(); k];
        for (sample, &(class, _)) in said.iter().enumerate() {
            members[class as usize].push(sample);
        }
        let mut found = Self { certain: vec![0; k], contradicted: vec![0; k] };
        for (class, mut members) in members.into_iter().enumerate() {
            members.sort_by(|&a, &b| said[b].1.total_cmp(&said[a].1)); // stable
            let count = members.len().div_ceil(SHARE);
            found.certain[class] = count;
            let is_other = |&&sample: &&usize| samples.given()[sample] as usize != class;
            found.contradicted[class] = members[..count].iter().filter(is_other).count();
        }
        found
    }

    /// Share of the contradicted among all certain ones, 0 to 1.
    pub fn share(&self) -> f64 {
        let [certain, contradicted] = self.totals();
        contradicted as f64 / certain.max(1) as f64
    }

    /// Its 95 % interval (Wilson's).
    pub fn interval(&self) -> [f64; 2] {
        binomial_interval(self.share(), self.totals()[0])
    }

    /// The 95 % interval of one class.
    pub fn interval_of(&self, class: usize) -> [f64; 2] {
        let (certain, contradicted) = (self.certain[class], self.contradicted[class]);
        binomial_interval(contradicted as f64 / certain.max(1) as f64, certain)
    }

    fn totals(&self) -> [usize; 2] {
        [self.certain.iter().sum(), self.contradicted.iter().sum()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::Arrays;

    #[test]
    fn only_the_most_certain_of_each_class_are_asked() {
        // 20 predictions of class 0, of which two count; one of class 1.
        let mut probabilities: Vec<f32> = [0.6, 0.4].repeat(20);
        probabilities[..4].copy_from_slice(&[0.99, 0.01, 0.9, 0.1]);
        probabilities.extend([0.2, 0.8]);
        let mut given = [0u32; 21];
        given[1] = 1;
        let arrays = Arrays {
            num_classes: 2,
            given: &given,
            probabilities: &probabilities,
            ..Arrays::default()
        };
        let certain = certain_by_model(&Samples::new(arrays).unwrap());
        assert_eq!(certain, Certain { certain: vec![2, 1], contradicted: vec![1, 1] });
        assert!((certain.share() - 2.0 / 3.0).abs() < 1e-12);
        assert!(certain.interval()[0] > 0.1 && certain.interval_of(1)[0] > 0.1);
    }
}
