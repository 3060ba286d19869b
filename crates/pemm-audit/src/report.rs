//! The audit as a whole.

use rayon::prelude::*;
use serde::Serialize;

use crate::cleaning::{Cleaning, Expected, clean};
use crate::columns::{Permutation, permutation};
use crate::estimate::{by_checked, by_margins, certain_by_model, certain_by_neighbors};
use crate::joint::ConfidentJoint;
use crate::judge::{Judgement, Verdict, judge};
use crate::neighbors::Neighbors;
use crate::noise_model::NoiseModel;
use crate::pattern::Pattern;
use crate::rate::{NoiseRate, Said};
use crate::samples::Samples;
use crate::score::{
    Scores, centroid_distance, combined, confident_joint, distance_ratio, ensemble,
    learning_dynamics, log_odds, loss_mixture, neighbor_disagreement, normalized_margin, posterior,
    self_confidence, weighted_vote, wrong_events,
};
use crate::stacked::Stacked;

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
    /// wrong; in no class more than half as many again as the noise model thinks, and none in a class
    /// that is not judged. Of samples that somebody checked, those whose given label is wrong.
    pub is_issue: Vec<bool>,
    /// Place by the default score, from 1 for the most doubtful; of equals the earlier sample is
    /// first.
    pub ranks: Vec<u32>,
    /// What may be done to the labels.
    pub cleaning: Cleaning,
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
    pub agreement: f64,
    /// Whether the models can judge these labels.
    pub judgement: Judgement,
    /// Another order of the columns that fits much better, if there is one.
    pub permutation: Option<Permutation>,
    /// Share of wrong labels; `None` where the models cannot judge and nobody checked enough samples.
    pub noise_rate: Option<NoiseRate>,
    /// What cleaning is expected to mend and to make.
    pub cleaning: Expected,
    /// Every class.
    #[serde(rename = "per_class")]
    pub classes: Vec<ClassSummary>,
    /// `T[true][given]`, `[K][K]`, rows sum to 1: that of the [`NoiseModel`].
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

/// How far beyond the noise model's share of a class its issues may go, and by how many samples.
const CAP: [f64; 2] = [1.5, 2.0];

/// Audits `samples`.
///
/// Takes a few passes over the probabilities and, with features, time quadratic in the number of
/// samples of each model; see [`Neighbors::of`].
pub fn audit(samples: &Samples<'_>) -> Audit {
    let (n, k) = (samples.len(), samples.num_classes());
    let class_counts = samples.class_counts();

    // ---- one scale ------------------------------------------------------------------------------
    let neighbors = Neighbors::of(samples, NUM_NEIGHBORS);
    let stacked = Stacked::of(samples, neighbors.as_ref());
    let calibrated = samples.with_probabilities(&stacked.probabilities);
    let model = NoiseModel::fit(&calibrated);
    let pattern = Pattern::of(&model);
    let single = model.spread(pattern.weight());

    // ---- how many, and can that be told ---------------------------------------------------------
    let joint = ConfidentJoint::of(&calibrated);
    let confident = joint.calibrated(&class_counts);
    let by_posterior = posterior(&calibrated, &single);
    let judgement = judge(&calibrated, &model, &pattern);
    let certain = certain_by_model(&calibrated);
    let by_neighbors = neighbors.as_ref().map(|found| certain_by_neighbors(samples, found));
    let checked = by_checked(samples, &by_posterior);
    let rate = NoiseRate::of(&Said {
        num_samples: n,
        model: &model,
        certain: &certain,
        by_neighbors: by_neighbors.as_ref(),
        confident_joint: 1.0 - (0..k).map(|class| confident[class][class]).sum::<f64>(),
        margins: by_margins(samples),
        checked,
    });

    // ---- order and cut --------------------------------------------------------------------------
    let log_odds = log_odds(&calibrated, &single, pattern.weight());
    let self_confidence = self_confidence(samples);
    // Models that cannot judge are not asked for more than their plain word.
    let doubts = match judgement.verdict {
        Verdict::Yes | Verdict::NotTheseClasses => &log_odds,
        Verdict::No => &self_confidence,
    };
    let combined = combined(samples, doubts, pattern.weight());
    let mut order: Vec<u32> = (0..n as u32).collect();
    order.sort_unstable_by(|&a, &b| {
        let score = |sample: u32| combined[sample as usize];
        score(b).total_cmp(&score(a)).then(a.cmp(&b))
    });
    let mut ranks = vec![0; n];
    order.iter().zip(1..).for_each(|(&sample, place)| ranks[sample as usize] = place);
    let is_issue = issues(samples, &order, &rate, &judgement, &model);
    let suggested = suggested(&calibrated, &single, &is_issue);
    let cleaning = clean(&calibrated, &single, &rate, &judgement);

    // ---- summary --------------------------------------------------------------------------------
    let given = samples.given();
    let mut pairs = vec![0usize; k * k];
    let found = (0..n).filter(|&sample| is_issue[sample]);
    found.for_each(|i| pairs[given[i] as usize * k + suggested[i] as usize] += 1);
    let class = |class: usize| ClassSummary {
        num_given: class_counts[class],
        num_issues: pairs[class * k..(class + 1) * k].iter().sum(),
        num_suggested: (0..k).map(|given| pairs[given * k + class]).sum(),
        threshold: joint.thresholds[class],
    };
    let summary = Summary {
        num_samples: n,
        num_issues: pairs.iter().sum(),
        agreement: agreement(samples),
        permutation: permutation(samples),
        noise_rate: match judgement.verdict {
            Verdict::Yes | Verdict::NotTheseClasses => Some(rate),
            Verdict::No => checked.map(NoiseRate::by_hand),
        },
        judgement,
        cleaning: cleaning.expected,
        classes: (0..k).map(class).collect(),
        transition: model.transition,
        confident_joint: confident,
        confusions: confusions(&pairs, k),
        projected: neighbors.as_ref().is_some_and(|neighbors| neighbors.projected),
    };
    let neighbor_disagreement =
        neighbors.as_ref().map(|found| neighbor_disagreement(samples, found));
    let learning_dynamics = learning_dynamics(samples);
    let members = [Some(&log_odds), neighbor_disagreement.as_ref(), learning_dynamics.as_ref()];
    let members: Vec<&[f32]> = members.into_iter().flatten().map(Vec::as_slice).collect();
    let scores = Scores {
        ensemble: ensemble(&members),
        combined,
        self_confidence,
        normalized_margin: normalized_margin(samples),
        posterior: by_posterior,
        confident_joint: confident_joint(samples, &joint),
        loss_mixture: loss_mixture(samples).0,
        distance_ratio: distance_ratio(samples),
        weighted_vote: neighbors.as_ref().map(|found| weighted_vote(samples, found)),
        centroid_distance: centroid_distance(samples),
        wrong_events: wrong_events(samples),
        neighbor_disagreement,
        learning_dynamics,
        log_odds,
    };
    Audit { scores, suggested, is_issue, ranks, cleaning, summary }
}

/// The most doubtful of the classes that are judged, `[N]`.
fn issues(
    samples: &Samples<'_>,
    order: &[u32],
    rate: &NoiseRate,
    judgement: &Judgement,
    model: &NoiseModel,
) -> Vec<bool> {
    let judged = judgement.judged(samples.num_classes());
    let counts = samples.class_counts();
    let mut left: Vec<usize> = (0..counts.len())
        .map(|class| {
            let given: f64 = model.joint.iter().map(|row| row[class]).sum();
            let wrong = 1.0 - model.joint[class][class] / given.max(f64::MIN_POSITIVE);
            let cap = CAP[0] * wrong.clamp(0.0, 1.0) * counts[class] as f64 + CAP[1];
            if judged[class] { (cap as usize).min(counts[class]) } else { 0 }
        })
        .collect();
    let of_judged: usize = (0..counts.len()).filter(|&k| judged[k]).map(|k| counts[k]).sum();
    let mut num = (rate.estimate * of_judged as f64).round() as usize;
    let mut is_issue = vec![false; samples.len()];
    for (sample, is_issue) in is_issue.iter_mut().enumerate() {
        *is_issue = samples.checked(sample).is_some_and(|label| label != samples.given()[sample]);
        num = num.saturating_sub(usize::from(*is_issue));
    }
    for &sample in order.iter().filter(|&&sample| samples.checked(sample as usize).is_none()) {
        let left = &mut left[samples.given()[sample as usize] as usize];
        if num > 0 && *left > 0 {
            (num, *left) = (num - 1, *left - 1);
            is_issue[sample as usize] = true;
        }
    }
    is_issue
}

/// What somebody said who checked the sample, else the class with the largest posterior; of issues beside
/// the given one. `[N]`.
fn suggested(samples: &Samples<'_>, model: &NoiseModel, is_issue: &[bool]) -> Vec<u32> {
    let k = samples.num_classes();
    let class = |posterior: &mut Vec<f64>, sample: usize| {
        if let Some(label) = samples.checked(sample) {
            return label;
        }
        let own = samples.given()[sample] as usize;
        model.posterior(own, samples.row(sample), posterior);
        let allowed = (0..k).filter(|&class| class != own || !is_issue[sample]);
        let best = allowed.reduce(
            |best, class| {
                if posterior[class] > posterior[best] { class } else { best }
            },
        );
        best.expect("there are two classes") as u32
    };
    (0..samples.len()).into_par_iter().map_init(|| vec![0.0; k], class).collect()
}

fn agreement(samples: &Samples<'_>) -> f64 {
    let agrees = |&(given, row): &(usize, &[f32])| {
        row.iter().enumerate().all(|(class, &p)| class == given || p < row[given])
    };
    samples.rows().filter(agrees).count() as f64 / samples.len() as f64
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::made::{made, made_with_truth, pair, symmetric};
    use crate::samples::{Arrays, UNKNOWN};

    #[test]
    fn the_number_of_threads_changes_no_bit() {
        let (given, probabilities) = made(3000, &pair(4, 0.2));
        let margins: Vec<f32> = (0..3000).map(|i| (i % 19) as f32 / 19.0).collect();
        let arrays = Arrays {
            num_classes: 4,
            given: &given,
            probabilities: &probabilities,
            num_features: 4,
            features: Some(&probabilities),
            margins: Some(&margins),
            events: Some(&margins),
            ..Arrays::default()
        };
        let samples = Samples::new(arrays).unwrap();
        let by = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| audit(&samples))
        };
        assert_eq!(by(1), by(3));
    }

    #[test]
    fn issues_are_found_and_ranked_and_models_that_guess_get_no_number() {
        let (given, probabilities, truth) = made_with_truth(5000, &symmetric(5, 0.2));
        let arrays = Arrays {
            num_classes: 5,
            given: &given,
            probabilities: &probabilities,
            ..Arrays::default()
        };
        let found = audit(&Samples::new(arrays).unwrap());
        let rate = found.summary.noise_rate.as_ref().unwrap();
        assert!(rate.low < 0.2 && rate.high > 0.2 && found.summary.num_issues > 500, "{rate:?}");
        let right = (0..5000).filter(|&i| found.is_issue[i] && given[i] != truth[i]).count();
        assert!(2 * right > found.summary.num_issues, "{right} of {}", found.summary.num_issues);
        assert!((0..5000).all(|i| !found.is_issue[i] || found.suggested[i] != given[i]));

        // Whoever looked at a sample knows best, and their word gives a number where models give none.
        let mut checked = vec![UNKNOWN; 5000];
        (0..5000).step_by(25).for_each(|i| checked[i] = truth[i]);
        let arrays = Arrays { checked: Some(&checked), ..arrays };
        let found = audit(&Samples::new(arrays).unwrap());
        for i in (0..5000).step_by(25) {
            assert_eq!((found.is_issue[i], found.suggested[i]), (given[i] != truth[i], truth[i]));
            assert_eq!((found.cleaning.labels[i], found.cleaning.weights[i]), (truth[i], 1.0));
        }
        let even = vec![0.2; 25_000];
        let guessed = audit(&Samples::new(Arrays { probabilities: &even, ..arrays }).unwrap());
        let rate = guessed.summary.noise_rate.unwrap();
        assert!(rate.low < 0.2 && rate.high > 0.2 && rate.high - rate.low < 0.12, "{rate:?}");
        let arrays = Arrays { checked: None, ..arrays };
        let guessed = audit(&Samples::new(Arrays { probabilities: &even, ..arrays }).unwrap());
        assert_eq!(guessed.summary.noise_rate, None);
        assert_eq!(guessed.summary.num_issues, 0);
        assert!(guessed.cleaning.labels == given);
    }
}
