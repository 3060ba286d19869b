//! What models that have not seen the label say against it.

use rayon::prelude::*;

use crate::neighbors::Neighbors;
use crate::samples::Samples;

/// Weight of the neighbours' vote beside the model's own word.
const VOTE_POWER: f64 = 0.5;
/// Votes that are added, spread as labels are at large.
const ADDED_VOTES: f64 = 2.0;

/// A score and the class that each sample most probably is.
#[derive(Debug, Clone, PartialEq)]
pub struct Doubt {
    /// `1 - r[given]`, `[N]`, in 0 to 1.
    pub scores: Vec<f32>,
    /// The class with the largest r, `[N]`; the first of equals.
    pub probable: Vec<u32>,
    /// The class with the largest r beside the given one, `[N]`.
    pub runner_up: Vec<u32>,
}

/// `r[k] ∝ q[k] · v[k]^½`: the balanced probabilities q of the model, see
/// [`balanced`](crate::balance::balanced), and the vote v of the sample's neighbours, where there are
/// features: `v[k] = (votes for k + 2 s[k]) / (neighbours + 2)` with the share `s[k]` of label k at
/// large. The doubt is `1 - r[given]`.
///
/// A fixed rule with nothing to tune: a product of expert opinions, in which the neighbours count half
/// because they are found by the same model's features.
///
/// # Shapes
/// `samples` holds q as its probabilities.
pub fn doubt(samples: &Samples<'_>, neighbors: Option<&Neighbors>) -> Doubt {
    let (n, k) = (samples.len(), samples.num_classes());
    let given = samples.given();
    let at_large: Vec<f64> =
        samples.class_counts().iter().map(|&count| count as f64 / n as f64).collect();
    let judge = |row: &mut Vec<f64>, sample: usize| {
        row.clear();
        row.extend(samples.row(sample).iter().map(|&q| f64::from(q)));
        if let Some(neighbors) = neighbors {
            let mut votes: Vec<f64> = at_large.iter().map(|share| ADDED_VOTES * share).collect();
            neighbors.of_sample(sample).for_each(|other| votes[given[other] as usize] += 1.0);
            row.iter_mut().zip(votes).for_each(|(r, vote)| *r *= vote.powf(VOTE_POWER));
        }
        let sum: f64 = row.iter().sum();
        let own = given[sample] as usize;
        let largest = |skip: Option<usize>| {
            let others = (0..k).filter(|&class| Some(class) != skip);
            others.reduce(|best, class| if row[class] > row[best] { class } else { best })
        };
        let probable = largest(None).expect("there are classes") as u32;
        let runner_up = largest(Some(own)).expect("there are two classes") as u32;
        let score = if sum > 0.0 { 1.0 - row[own] / sum } else { 1.0 };
        (score.clamp(0.0, 1.0) as f32, probable, runner_up)
    };
    let judged: Vec<(f32, u32, u32)> =
        (0..n).into_par_iter().map_init(|| Vec::with_capacity(k), judge).collect();
    Doubt {
        scores: judged.iter().map(|judged| judged.0).collect(),
        probable: judged.iter().map(|judged| judged.1).collect(),
        runner_up: judged.iter().map(|judged| judged.2).collect(),
    }
}
