//! What may be done to the labels without doing harm.

use rayon::prelude::*;
use serde::Serialize;

use crate::judge::{Judgement, Verdict};
use crate::noise_model::NoiseModel;
use crate::rate::NoiseRate;
use crate::samples::Samples;

/// What becomes of a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It stays.
    Keep,
    /// It becomes the suggested one.
    Change,
    /// The sample is left out of training.
    Drop,
    /// Somebody looked at the sample: the label is what they said, given or not.
    Checked,
}

/// What is to be done to every label, and what that is expected to bring.
#[derive(Debug, Clone, PartialEq)]
pub struct Cleaning {
    /// What becomes of each label, `[N]`.
    pub actions: Vec<Action>,
    /// The label afterwards, `[N]`; the given one but for [`Action::Change`] and
    /// [`Action::Checked`].
    pub labels: Vec<u32>,
    /// `P(true = given | x, given)`, `[N]`, 0 to 1: a weight for training.
    pub weights: Vec<f32>,
    /// All together.
    pub expected: Expected,
}

/// What cleaning is expected to bring, in samples; by calibrated posteriors, with doubt on the safe side.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Expected {
    /// Labels that change.
    pub num_changed: usize,
    /// Of these, wrong labels that become right.
    pub mended: f64,
    /// Of these, right labels that become wrong.
    pub made: f64,
    /// Samples that are dropped.
    pub num_dropped: usize,
    /// Of these, samples with right labels.
    pub dropped_right: f64,
    /// Where samples are weighted instead: those that count less than a half.
    pub num_halved: usize,
    /// Of these, samples with right labels.
    pub halved_right: f64,
}

/// A label is changed where the suggested class is at least so many times as probable as the given one,
/// and is at least so probable.
const TIMES: f64 = 16.0;
const PROBABLE: f64 = 0.8;
/// A sample is dropped where its label is wrong with at least this probability.
const DROPPED: f64 = 0.75;
/// Most of a class that may be dropped or changed.
const MOST: f64 = 0.5;
/// In a class the expected new errors are at most this share of the mended ones, or nothing changes.
const HARM: f64 = 0.1;
/// Labels change only where the low end of the rate is at least this share of the estimate.
const SURE: f64 = 0.7;
/// Expected numbers of new errors are thought to be so many times as large, and larger by so many.
const CAUTION: [f64; 2] = [3.0, 2.0];

/// Three ways to use a plan, of which the first did best and never harm in `bench/audit`: train with the
/// weights; leave out what is changed or dropped; change and drop.
///
/// Plans for `samples` with calibrated probabilities; `model` as it is used for single samples
/// ([`NoiseModel::spread`]).
///
/// Nothing is touched where the verdict is no, in classes that are not judged (nor is anything changed
/// *to* such a class), and beyond the share of a class that the noise model thinks wrong, times low end
/// over estimate of the rate, and never more than half. The most probably wrong come first. Where the
/// estimate is in doubt, a class's contradictions are, or the low end is below 0.7 of the estimate, labels
/// are dropped and none is changed. Labels change to a class, and from one, only where the wrong labels
/// that this brings it (three times the expected ones, and two) are fewer than those that it loses: so no
/// class comes out worse, which dropping alone cannot do.
///
/// A sample that somebody checked gets the label that they said, and the weight 1.
///
/// # Fails
/// Posteriors are no better than the noise model: where that takes mistakes of the model for wrong
/// labels, right ones are dropped.
pub fn clean(
    samples: &Samples<'_>,
    model: &NoiseModel,
    rate: &NoiseRate,
    judgement: &Judgement,
) -> Cleaning {
    let (n, k) = (samples.len(), samples.num_classes());
    let given = samples.given();
    let judged = judgement.judged(k);
    let posterior = |posterior: &mut Vec<f64>, sample: usize| {
        let own = given[sample] as usize;
        model.posterior(own, samples.row(sample), posterior);
        let best = (0..k).filter(|&class| class != own);
        let best = best.fold(usize::from(own == 0), |best, class| {
            if posterior[class] > posterior[best] { class } else { best }
        });
        (posterior[own] as f32, best as u32, posterior[best] as f32)
    };
    let said: Vec<(f32, u32, f32)> =
        (0..n).into_par_iter().map_init(|| vec![0.0; k], posterior).collect();
    let mut cleaning = Cleaning {
        actions: vec![Action::Keep; n],
        labels: given.to_vec(),
        weights: said.iter().map(|said| said.0).collect(),
        expected: Expected::default(),
    };
    for sample in 0..n {
        if let Some(label) = samples.checked(sample) {
            cleaning.actions[sample] = Action::Checked;
            cleaning.labels[sample] = label;
            cleaning.weights[sample] = 1.0;
        }
    }
    for &weight in cleaning.weights.iter().filter(|&&weight| weight < 0.5) {
        cleaning.expected.num_halved += 1;
        cleaning.expected.halved_right += f64::from(weight);
    }
    if judgement.verdict == Verdict::No {
        return cleaning;
    }
    let mut members = vec![Vec::new(); k];
    for (sample, &class) in given.iter().enumerate() {
        let is_open = samples.checked(sample).is_none();
        if is_open && judged[class as usize] && f64::from(said[sample].0) <= 1.0 - DROPPED {
            members[class as usize].push(sample);
        }
    }
    let counts = samples.class_counts();
    let sure = if rate.estimate > 0.0 { rate.low / rate.estimate } else { 0.0 };
    let may_change_any = !rate.is_doubtful && sure >= SURE;
    // Wrong labels that each class is expected to lose and to get, by given and by true class.
    let (mut lost, mut got) = (vec![[0.0f64; 2]; k], vec![[0.0f64; 2]; k]);
    let mut changes = Vec::new();
    for (class, mut members) in members.into_iter().enumerate() {
        let given_share: f64 = model.joint.iter().map(|row| row[class]).sum();
        let wrong = 1.0 - model.joint[class][class] / given_share.max(f64::MIN_POSITIVE);
        let most = (wrong * sure).min(MOST) * counts[class] as f64;
        members.sort_by(|&a, &b| said[a].0.total_cmp(&said[b].0)); // stable
        members.truncate(most as usize);
        let is_doubtful = rate.doubtful.contains(&(class as u32));
        let may_change = |&sample: &usize| {
            let (own, best, probability) = said[sample];
            judged[best as usize] && f64::from(probability) >= PROBABLE.max(TIMES * f64::from(own))
        };
        for &sample in &members {
            let (own, best, probability) = said[sample];
            cleaning.actions[sample] = Action::Drop;
            lost[class][0] += 1.0 - f64::from(own);
            lost[best as usize][1] += f64::from(probability);
        }
        if !is_doubtful && may_change_any {
            changes.extend(members.into_iter().filter(may_change));
        }
    }
    for &sample in &changes {
        let (own, best, probability) = said[sample];
        got[best as usize][0] += 1.0 - f64::from(probability);
        got[given[sample] as usize][1] += f64::from(own);
    }
    let is_safe: Vec<bool> = lost
        .iter()
        .zip(&got)
        .map(|(lost, got)| (0..2).all(|by| CAUTION[0] * got[by] + CAUTION[1] <= lost[by]))
        .collect();
    changes.retain(|&sample| is_safe[said[sample].1 as usize] && is_safe[given[sample] as usize]);
    let mut balance = vec![[0.0f64; 2]; k]; // mended, made, by given class
    for &sample in &changes {
        let [mended, made] = &mut balance[given[sample] as usize];
        *mended += f64::from(said[sample].2);
        *made += f64::from(said[sample].0);
    }
    changes.retain(|&sample| {
        let [mended, made] = balance[given[sample] as usize];
        made <= HARM * mended
    });
    for &sample in &changes {
        cleaning.actions[sample] = Action::Change;
        cleaning.labels[sample] = said[sample].1;
        cleaning.expected.mended += f64::from(said[sample].2);
        cleaning.expected.made += f64::from(said[sample].0);
    }
    for (action, said) in cleaning.actions.iter().zip(&said) {
        match action {
            Action::Keep | Action::Checked => {}
            Action::Change => cleaning.expected.num_changed += 1,
            Action::Drop => {
                cleaning.expected.num_dropped += 1;
                cleaning.expected.dropped_right += f64::from(said.0);
            }
        }
    }
    cleaning
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit;
    use crate::made::{made_with_truth, pair, symmetric};
    use crate::samples::Arrays;

    fn cleaned(transition: &[Vec<f64>]) -> (Vec<u32>, Vec<u32>, Cleaning) {
        let (given, probabilities, truth) = made_with_truth(6000, transition);
        let num_classes = transition.len();
        let arrays = Arrays {
            num_classes,
            given: &given,
            probabilities: &probabilities,
            ..Arrays::default()
        };
        let cleaning = audit(&Samples::new(arrays).unwrap()).cleaning;
        (given, truth, cleaning)
    }

    #[test]
    fn no_class_has_more_wrong_labels_than_before_and_many_have_fewer() {
        for transition in [symmetric(5, 0.3), pair(5, 0.3), symmetric(5, 0.0), symmetric(3, 0.1)] {
            let (given, truth, cleaning) = cleaned(&transition);
            let mut gone = 0;
            for class in 0..transition.len() as u32 {
                let wrong = |labels: &[u32], of: &dyn Fn(usize) -> bool| {
                    (0..truth.len()).filter(|&i| labels[i] != truth[i] && of(i)).count()
                };
                let left = |i: usize| cleaning.actions[i] != Action::Drop;
                let before = wrong(&given, &|i| truth[i] == class);
                let after = wrong(&cleaning.labels, &|i| truth[i] == class && left(i));
                assert!(after <= before, "class {class}: {before} became {after}");
                gone += before - after;
            }
            if transition[0][0] < 0.75 {
                assert!(gone > 6000 * 3 / 10 / 4, "only {gone} are gone");
            }
        }
    }

    #[test]
    fn what_is_expected_is_what_happens() {
        let (given, truth, cleaning) = cleaned(&pair(5, 0.3));
        let changed = (0..truth.len()).filter(|&i| cleaning.actions[i] == Action::Change);
        let (mut mended, mut made) = (0.0, 0.0);
        for i in changed {
            mended += f64::from(u8::from(given[i] != truth[i] && cleaning.labels[i] == truth[i]));
            made += f64::from(u8::from(given[i] == truth[i]));
        }
        let Expected { mended: expected, made: harm, num_changed, .. } = cleaning.expected;
        assert!(
            num_changed > 100 && (expected - mended).abs() < 0.1 * mended,
            "{expected} {mended}"
        );
        assert!(made <= 0.1 * mended && harm <= 0.1 * expected, "{made} {harm}");
    }
}
