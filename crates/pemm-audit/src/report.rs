//! The audit as a whole.

use serde::Serialize;

use crate::balance::balanced;
use crate::joint::ConfidentJoint;
use crate::neighbors::Neighbors;
use crate::noise_model::NoiseModel;
use crate::rate::{NoiseRate, temperatures};
use crate::samples::Samples;
use crate::score::{
    Scores, combined, confident_joint, distance_ratio, doubt, learning_dynamics, loss_mixture,
    neighbor_disagreement, normalized_margin, posterior, self_confidence,
};

/// Neighbours that vote on a sample's label.
pub const NUM_NEIGHBORS: usize = 100;

/// What is said of every sample, `[N]` each, and of all together.
#[derive(Debug, Clone, PartialEq)]
pub struct Audit {
    /// Every score.
    pub scores: Scores,
    /// The class that the sample most probably is; for an issue never the given one.
    pub suggested: Vec<u32>,
    /// Whether the sample is among the most doubtful ones, as many as labels are thought to be
    /// wrong.
    pub is_issue: Vec<bool>,
    /// Place by the default score, from 1 for the most doubtful; of equals the earlier sample is
    /// first.
    pub ranks: Vec<u32>,
    /// All together.
    pub summary: Summary,
}

/// An audit without the samples.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// Number of samples N.
    pub num_samples: usize,
    /// Number of issues.
    pub num_issues: usize,
    /// Share of the samples of which the given class is the most probable one, before all others.
    /// Where it is not above that of the most frequent label, the probabilities know nothing of the
    /// labels, and no score means much.
    pub agreement: f64,
    /// Share of wrong labels.
    pub noise_rate: NoiseRate,
    /// Every class.
    #[serde(rename = "per_class")]
    pub classes: Vec<ClassSummary>,
    /// `T[true][given]`, `[K][K]`, rows sum to 1: the mean of the two noise models of [`NoiseRate`].
    pub transition: Vec<Vec<f64>>,
    /// `Q[given][true]`, `[K][K]`, sums to 1; see [`ConfidentJoint::calibrated`].
    pub confident_joint: Vec<Vec<f64>>,
    /// Pairs of classes among the issues, most frequent first.
    pub confusions: Vec<Confusion>,
    /// Whether features were projected to fewer dimensions before neighbours were sought.
    pub projected: bool,
}

/// Of the samples that are given a class.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassSummary {
    /// How many there are.
    pub num_given: usize,
    /// How many of them are issues.
    pub num_issues: usize,
    /// Number of issues of other classes that are suggested to be of this one.
    pub num_suggested: usize,
    /// Mean probability that they have of it: the threshold of the confident joint.
    pub threshold: f64,
}

/// Issues of one given class and one suggested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Confusion {
    /// The given class.
    pub given: u32,
    /// The suggested class.
    pub suggested: u32,
    /// Number of issues.
    pub count: usize,
}

/// Audits `samples`.
///
/// Takes a few passes over the probabilities and, with features, time quadratic in the number of
/// samples of each model; see [`Neighbors::of`].
pub fn audit(samples: &Samples<'_>) -> Audit {
    let (n, k) = (samples.len(), samples.num_classes());
    let given = samples.given();
    let joint = ConfidentJoint::of(samples);
    let fair = balanced(samples);
    let fair = samples.with_probabilities(&fair);
    let neighbors = Neighbors::of(samples, NUM_NEIGHBORS);
    let doubt = doubt(&fair, neighbors.as_ref());
    let combined = combined(samples, &doubt.scores);
    let models = temperatures(&fair, &joint).map(|t| NoiseModel::fit(&fair, &joint, t));
    let [by_model, by_softer] = [0, 1].map(|i| posterior(&fair, &models[i]));
    let (loss_mixture, mixture) = loss_mixture(samples);
    let noise_rate =
        NoiseRate::of(samples, &models, [&by_model, &by_softer], &joint, mixture.as_ref());

    // ---- order and cut --------------------------------------------------------------------------
    let mut order: Vec<u32> = (0..n as u32).collect();
    order.sort_unstable_by(|&a, &b| {
        let score = |sample: u32| combined[sample as usize];
        score(b).total_cmp(&score(a)).then(a.cmp(&b))
    });
    let num_issues = ((noise_rate.estimate * n as f64).round() as usize).min(n);
    let (mut ranks, mut is_issue) = (vec![0; n], vec![false; n]);
    let mut suggested = doubt.probable;
    for (place, &sample) in order.iter().enumerate() {
        ranks[sample as usize] = place as u32 + 1;
        if place < num_issues {
            is_issue[sample as usize] = true;
            suggested[sample as usize] = doubt.runner_up[sample as usize];
        }
    }

    // ---- summary --------------------------------------------------------------------------------
    let mut pairs = vec![0usize; k * k];
    let issues = (0..n).filter(|&sample| is_issue[sample]);
    issues.for_each(|i| pairs[given[i] as usize * k + suggested[i] as usize] += 1);
    let class_counts = samples.class_counts();
    let class = |class: usize| ClassSummary {
        num_given: class_counts[class],
        num_issues: pairs[class * k..(class + 1) * k].iter().sum(),
        num_suggested: (0..k).map(|given| pairs[given * k + class]).sum(),
        threshold: joint.thresholds[class],
    };
    let summary = Summary {
        num_samples: n,
        num_issues,
        agreement: agreement(samples),
        noise_rate,
        classes: (0..k).map(class).collect(),
        transition: mean_matrix(&models[0].transition, &models[1].transition),
        confident_joint: joint.calibrated(&class_counts),
        confusions: confusions(&pairs, k),
        projected: neighbors.as_ref().is_some_and(|neighbors| neighbors.projected),
    };
    let scores = Scores {
        combined,
        doubt: doubt.scores,
        self_confidence: self_confidence(samples),
        normalized_margin: normalized_margin(samples),
        posterior: by_model,
        confident_joint: confident_joint(samples, &joint),
        loss_mixture,
        distance_ratio: distance_ratio(samples),
        neighbor_disagreement: neighbors.map(|found| neighbor_disagreement(samples, &found)),
        learning_dynamics: learning_dynamics(samples),
    };
    Audit { scores, suggested, is_issue, ranks, summary }
}

fn agreement(samples: &Samples<'_>) -> f64 {
    let agrees = |&(given, row): &(usize, &[f32])| {
        row.iter().enumerate().all(|(class, &p)| class == given || p < row[given])
    };
    samples.rows().filter(agrees).count() as f64 / samples.len() as f64
}

/// The mean of two matrices.
fn mean_matrix(a: &[Vec<f64>], b: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let row =
        |(a, b): (&Vec<f64>, &Vec<f64>)| a.iter().zip(b).map(|(a, b)| 0.5 * (a + b)).collect();
    a.iter().zip(b).map(row).collect()
}

/// The pairs that occur, `[given, suggested]` counts in `pairs`.
fn confusions(pairs: &[usize], num_classes: usize) -> Vec<Confusion> {
    let pair = |(at, &count): (usize, &usize)| Confusion {
        given: (at / num_classes) as u32,
        suggested: (at % num_classes) as u32,
        count,
    };
    let mut found: Vec<Confusion> =
        pairs.iter().enumerate().filter(|(_, count)| **count > 0).map(pair).collect();
    found.sort_by_key(|confusion| std::cmp::Reverse(confusion.count)); // stable
    found
}
