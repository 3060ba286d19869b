//! Can the models judge these labels at all?

use serde::Serialize;

use crate::noise_model::{NoiseModel, predicted};
use crate::pattern::Pattern;
use crate::samples::Samples;

/// The answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Yes.
    Yes,
    /// Yes, but not the labels of some classes.
    NotTheseClasses,
    /// No: there is no estimate, and no label is to be changed.
    No,
}

/// Why a class is not judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unjudged {
    /// Fewer than 8 samples are given it.
    TooFew,
    /// The models predict it no more often for samples that are given it than for others.
    NotRecognised,
    /// Its samples seem to be given another label more often than its own.
    MostlyAnother,
    /// Its labels seem to be wrong where the models err: the two cannot be told apart.
    Confused,
}

impl Unjudged {
    /// The reason in a few words.
    pub fn reason(self) -> &'static str {
        match self {
            Self::TooFew => "too few samples",
            Self::NotRecognised => "the models do not recognise it",
            Self::MostlyAnother => "its samples look more like another class",
            Self::Confused => "wrong labels cannot be told from the models' own mistakes",
        }
    }
}

/// The test and its answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Judgement {
    /// The answer.
    pub verdict: Verdict,
    /// Why not, for people; for [`Verdict::No`].
    pub reason: Option<String>,
    /// Classes that are not judged, and why, in order.
    pub unjudged: Vec<(u32, Unjudged)>,
    /// Share of the samples whose given class is the most probable one.
    pub agreement: f64,
    /// Mean over the classes of that share.
    pub balanced_agreement: f64,
    /// What guessing reaches of it: 1 / K, of the classes that occur.
    pub chance: f64,
    /// Share of the most frequent label.
    pub majority: f64,
    /// Mean distance between the certainty of predictions and how often given labels agree, over ten
    /// groups of equal size, after the probabilities were brought to the scale of the labels.
    pub calibration_error: f64,
    /// Estimated share of wrong predictions.
    pub mistaken: f64,
    /// Share of the predictions of which at most one in twenty is thought wrong.
    pub plateau: f64,
}

/// Samples below which a class is not judged.
const LEAST_SAMPLES: usize = 8;
/// Standard errors above chance that agreement has to be; of a single class.
const ERRORS: f64 = 3.0;
const ERRORS_OF_CLASS: f64 = 2.0;
/// Estimated share of wrong predictions from which on a model is asked further.
const MISTAKEN: f64 = 0.2;
/// Share of certain predictions below which there is nothing to stand on; below which wrong labels must
/// not look like the model's mistakes; and the chance of being wrong of a certain one.
const LEAST_PLATEAU: f64 = 0.1;
const PLATEAU: f64 = 0.2;
const CERTAIN: f64 = 0.05;
/// Share of labels that may be wrong in the way in which the model errs.
const SUSPICIOUS: f64 = 0.2;
/// Most of the labels that are thought wrong: beyond, a weak model looks the same.
const MOST_WRONG: f64 = 0.6;
/// A pair of classes is confused where so much of a class is thought to be given the other label, this
/// is so much of all its wrong labels, and the model errs at least half as often between the two.
const CONFUSED: [f64; 3] = [0.15, 0.5, 0.5];
/// Share of the samples in classes that are not judged, beyond which nothing is.
const MOST_LEFT_OUT: f64 = 0.5;
/// Samples of the middle class below which agreement has to be this much: with so few, models that
/// learned too little and wrong labels look the same.
const FEW_SAMPLES: usize = 50;
const LEAST_AGREEMENT_OF_FEW: f64 = 0.6;
/// Groups of the calibration.
const GROUPS: usize = 10;

/// Judges the judges: `samples` with calibrated probabilities, and what was fitted to them.
///
/// No, where
/// - the mean agreement of the classes is not 3 standard errors above chance, or
/// - more than 60 % of the labels seem wrong, or
/// - the middle class in size has fewer than 50 samples and the mean agreement is below 60 %, or
/// - more than a fifth of the predictions seem wrong, and less than a tenth is certain (5 %), or
/// - more than a fifth of the predictions seem wrong, and either less than a fifth is certain and
///   the wrong labels look like the model's mistakes rather than chance, or more than a fifth of all
///   labels look like that, or
/// - more than half of the samples are in classes that are not judged.
pub fn judge(samples: &Samples<'_>, model: &NoiseModel, pattern: &Pattern) -> Judgement {
    let (n, k) = (samples.len(), samples.num_classes());
    let counts = samples.class_counts();
    let (mut agreeing, mut predictions) = (vec![0usize; k], vec![0usize; k]);
    let mut certainties: Vec<(f32, bool)> = Vec::with_capacity(n);
    for (given, row) in samples.rows() {
        let class = predicted(row);
        predictions[class] += 1;
        agreeing[given] += usize::from(class == given);
        certainties.push((row[class], class == given));
    }
    let recall = |class: usize| agreeing[class] as f64 / counts[class] as f64;
    let occurring: Vec<usize> = (0..k).filter(|&class| counts[class] > 0).collect();
    let num = occurring.len() as f64;
    let balanced_agreement = occurring.iter().map(|&class| recall(class)).sum::<f64>() / num;
    let variance = |class: &usize| {
        // One sample more that half agrees: a class of one is not known exactly.
        let p = (agreeing[*class] as f64 + 0.5) / (counts[*class] as f64 + 1.0);
        p * (1.0 - p) / counts[*class] as f64
    };
    let error = occurring.iter().map(variance).sum::<f64>().sqrt() / num;
    let chance = 1.0 / num;
    let plateau = model.plateau(CERTAIN);
    let mut sizes: Vec<usize> = occurring.iter().map(|&class| counts[class]).collect();
    sizes.sort_unstable();
    let middle = sizes.get(sizes.len() / 2).copied().unwrap_or(0);
    let is_like_mistakes = pattern.like_mistakes >= pattern.like_chance;
    let suspicious = match pattern.like_mistakes > pattern.like_chance + 0.1 {
        true => pattern.suspicious,
        false => 0.0,
    };
    // With hundreds of classes chance is less than half a percent.
    let percent = |share: f64| match share {
        0.01.. | 0.0 => format!("{:.0} %", 100.0 * share),
        _ => format!("{:.2} %", 100.0 * share),
    };
    let reason = if occurring.len() < 2 {
        Some("all samples are given one class".to_owned())
    } else if balanced_agreement < chance + ERRORS * error {
        Some(format!(
            "the models agree with the labels of a class in {} of the samples on average, where \
             guessing reaches {}",
            percent(balanced_agreement),
            percent(chance)
        ))
    } else if model.rate > MOST_WRONG {
        Some(format!(
            "{} of the labels seem wrong; above {} models that know little look the same",
            percent(model.rate),
            percent(MOST_WRONG)
        ))
    } else if middle < FEW_SAMPLES && balanced_agreement < LEAST_AGREEMENT_OF_FEW {
        Some(format!(
            "the models agree with only {} of the labels, and a class has about {middle} samples: with so \
             few, wrong labels and models that have learned too little look the same",
            percent(balanced_agreement)
        ))
    } else if model.mistaken > MISTAKEN && plateau < LEAST_PLATEAU {
        Some(format!(
            "about {} of the predictions are wrong themselves and only {} are certain",
            percent(model.mistaken),
            percent(plateau)
        ))
    } else if model.mistaken > MISTAKEN && plateau < PLATEAU && is_like_mistakes {
        Some(format!(
            "about {} of the predictions are wrong themselves and only {} are certain, and the labels \
             that seem wrong look like the models' own mistakes",
            percent(model.mistaken),
            percent(plateau)
        ))
    } else if model.mistaken > MISTAKEN && suspicious > SUSPICIOUS {
        Some(format!(
            "{} of the labels seem wrong just where the models err, which is in about {} of the \
             predictions",
            percent(suspicious.min(model.rate)),
            percent(model.mistaken)
        ))
    } else {
        None
    };
    let unjudged = unjudged(&counts, &agreeing, &predictions, model);
    let left_out: usize = unjudged.iter().map(|&(class, _)| counts[class as usize]).sum();
    let reason = reason.or_else(|| {
        (left_out as f64 > MOST_LEFT_OUT * n as f64).then(|| {
            format!(
                "{} of {num} classes, with {} of the samples, cannot be judged: too few samples a \
                 class, or not recognised",
                unjudged.len(),
                percent(left_out as f64 / n as f64)
            )
        })
    });
    let verdict = match (&reason, unjudged.is_empty()) {
        (Some(_), _) => Verdict::No,
        (None, false) => Verdict::NotTheseClasses,
        (None, true) => Verdict::Yes,
    };
    Judgement {
        verdict,
        reason,
        unjudged,
        agreement: agreeing.iter().sum::<usize>() as f64 / n as f64,
        balanced_agreement,
        chance,
        majority: counts.iter().copied().max().unwrap_or(0) as f64 / n as f64,
        calibration_error: calibration_error(certainties),
        mistaken: model.mistaken,
        plateau,
    }
}

impl Judgement {
    /// Whether each class is judged, `[K]`; none where the answer is no.
    pub fn judged(&self, num_classes: usize) -> Vec<bool> {
        let mut judged = vec![self.verdict != Verdict::No; num_classes];
        self.unjudged.iter().for_each(|&(class, _)| judged[class as usize] = false);
        judged
    }
}

fn unjudged(
    counts: &[usize],
    agreeing: &[usize],
    predictions: &[usize],
    model: &NoiseModel,
) -> Vec<(u32, Unjudged)> {
    let n: usize = counts.iter().sum();
    let mut found = Vec::new();
    for class in (0..counts.len()).filter(|&class| counts[class] > 0) {
        let (own, others) = (counts[class] as f64, (n - counts[class]) as f64);
        let recall = agreeing[class] as f64 / own;
        let elsewhere = (predictions[class] - agreeing[class]) as f64 / others.max(1.0);
        let pooled = predictions[class] as f64 / n as f64;
        let error = (pooled * (1.0 - pooled) * (1.0 / own + 1.0 / others.max(1.0))).sqrt();
        let row = &model.transition[class];
        let is_beaten = row.iter().enumerate().any(|(k, &t)| k != class && t > row[class]);
        let why = if counts[class] < LEAST_SAMPLES {
            Unjudged::TooFew
        } else if recall <= elsewhere + ERRORS_OF_CLASS * error {
            Unjudged::NotRecognised
        } else if is_beaten {
            Unjudged::MostlyAnother
        } else if is_confused(class, model) {
            Unjudged::Confused
        } else {
            continue;
        };
        found.push((class as u32, why));
    }
    found
}

fn is_confused(class: usize, model: &NoiseModel) -> bool {
    let [share, of_wrong, mistakes] = CONFUSED;
    let row = &model.transition[class];
    let wrong = 1.0 - row[class];
    row.iter().enumerate().filter(|&(other, _)| other != class).any(|(other, &t)| {
        let between = model.mistakes[class][other] + model.mistakes[other][class];
        t >= share && t >= of_wrong * wrong && between >= mistakes * model.joint[class][other]
    })
}

/// Mean over ten groups of equal size of |mean certainty - agreement|.
fn calibration_error(mut certainties: Vec<(f32, bool)>) -> f64 {
    certainties.sort_by(|a, b| a.0.total_cmp(&b.0)); // stable
    let n = certainties.len();
    let groups = GROUPS.min(n);
    let error = |group: usize| {
        let members = &certainties[group * n / groups..(group + 1) * n / groups];
        let size = members.len() as f64;
        let certainty = members.iter().map(|&(p, _)| f64::from(p)).sum::<f64>() / size;
        (certainty - members.iter().filter(|(_, agrees)| *agrees).count() as f64 / size).abs()
    };
    (0..groups).map(error).sum::<f64>() / groups as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::made::{made, symmetric};
    use crate::random::Random;
    use crate::samples::Arrays;
    use crate::stacked::Stacked;

    fn judged(num_classes: usize, given: &[u32], probabilities: &[f32]) -> Judgement {
        let arrays = Arrays { num_classes, given, probabilities, ..Arrays::default() };
        let samples = Samples::new(arrays).unwrap();
        let stacked = Stacked::of(&samples, None);
        let calibrated = samples.with_probabilities(&stacked.probabilities);
        let model = NoiseModel::fit(&calibrated);
        judge(&calibrated, &model, &Pattern::of(&model))
    }

    #[test]
    fn a_good_model_may_judge_and_one_that_guesses_may_not() {
        let (given, probabilities) = made(2000, &symmetric(5, 0.2));
        let good = judged(5, &given, &probabilities);
        assert_eq!(good.verdict, Verdict::Yes, "{good:?}");
        assert!(good.calibration_error < 0.05 && good.balanced_agreement > 0.6, "{good:?}");
        let mut random = Random::new(1);
        let guesses: Vec<f32> = (0..2000)
            .flat_map(|_| {
                let odds: Vec<f64> = (0..5).map(|_| random.normal().exp()).collect();
                let sum: f64 = odds.iter().sum();
                odds.into_iter().map(move |odds| (odds / sum) as f32)
            })
            .collect();
        let bad = judged(5, &given, &guesses);
        assert_eq!(bad.verdict, Verdict::No);
        assert!(bad.reason.unwrap().contains("guessing reaches 20 %"));
        assert!(bad.unjudged.iter().all(|(_, why)| *why != Unjudged::TooFew));
    }

    /// What is said of twenty classes of `size` samples, all labels right, the true class `lead` ahead.
    fn of_right_labels(size: u32, lead: f64) -> Judgement {
        let mut random = Random::new(8);
        let given: Vec<u32> = (0..20 * size).map(|i| i % 20).collect();
        let probabilities: Vec<f32> = given
            .iter()
            .flat_map(|&class| {
                let lead = |k: u32| if k == class { lead } else { 0.0 };
                let odds: Vec<f64> = (0..20).map(|k| (lead(k) + random.normal()).exp()).collect();
                let sum: f64 = odds.iter().sum();
                odds.into_iter().map(move |odds| (odds / sum) as f32)
            })
            .collect();
        judged(20, &given, &probabilities)
    }

    #[test]
    fn models_that_know_little_may_not_judge_right_labels() {
        let found = of_right_labels(25, 0.8);
        assert!(found.agreement > 0.1 && found.agreement < 0.3, "{found:?}");
        assert_eq!(found.verdict, Verdict::No, "{found:?}");
    }

    #[test]
    fn with_few_samples_a_class_the_models_have_to_be_better() {
        let few = of_right_labels(25, 2.0);
        assert!(few.agreement > 0.45 && few.agreement < 0.6, "{few:?}");
        assert_eq!(few.verdict, Verdict::No, "{few:?}");
        assert!(few.reason.unwrap().contains("a class has about 25 samples"));
        let good = of_right_labels(25, 4.0);
        assert!(good.agreement > 0.9 && good.verdict == Verdict::Yes, "{good:?}");
    }

    #[test]
    fn a_model_that_always_says_the_large_class_may_not() {
        let given: Vec<u32> = (0..500).map(|i| u32::from(i % 100 == 0)).collect();
        let found = judged(2, &given, &[0.99, 0.01].repeat(500));
        assert_eq!(found.verdict, Verdict::No, "{found:?}");
        assert_eq!(found.unjudged[0], (0, Unjudged::NotRecognised));
        assert_eq!(found.unjudged[1], (1, Unjudged::TooFew));
    }

    #[test]
    fn small_classes_are_named_and_the_others_judged() {
        let (mut given, mut probabilities) = made(2000, &symmetric(4, 0.1));
        // Of the last class all but three samples go.
        let mut left = 3;
        let mut keep = given.iter().map(|&class| {
            class != 3 || {
                left -= 1;
                left >= 0
            }
        });
        let keep: Vec<bool> = keep.by_ref().collect();
        let mut rows = keep.iter();
        given.retain(|_| *rows.next().unwrap());
        probabilities = probabilities
            .chunks_exact(4)
            .zip(&keep)
            .filter(|(_, keep)| **keep)
            .flat_map(|(row, _)| row.to_vec())
            .collect();
        let found = judged(4, &given, &probabilities);
        assert_eq!(found.verdict, Verdict::NotTheseClasses, "{found:?}");
        assert_eq!(found.unjudged, [(3, Unjudged::TooFew)]);
        assert_eq!(found.judged(4), [true, true, true, false]);
    }
}
