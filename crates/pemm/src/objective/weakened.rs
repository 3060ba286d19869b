//! The paper's objective with an energy that is the weaker the fewer labels are doubted.
//!
//! Centers that are held at equal distances cost something where the labels are right: on frozen features
//! without noise the energy takes 1.4 points, with 40 % of wrong labels it gives 1.4 to 2 and more
//! (`docs/results/features.md`). How many are wrong nobody says, so the network is asked once, early,
//! before it can have learned wrong labels by heart.

use super::{Batch, CenterObjective, Objective, Progress, Survey, Terms};
use crate::error::{Error, Result};
use crate::model::Classifier;
use crate::tensors::{TensorMap, Values};

/// [`CenterObjective`] whose weight of the energy is `λ · min(1, d / full_at)²`.
///
/// d is the share of doubted labels: of the samples that are predicted as one class, among the fifth
/// with the largest lead of that class over the next, the share whose given label is another; the mean of
/// that over the half of the classes where it is largest, so that noise in some classes alone counts. It is
/// taken before epoch `max(2, epochs / 10)`; until then the energy has its full weight.
///
/// # Parameters
/// `full_at` in (0, 1].
///
/// # Reference
/// Ours. That confident predictions show how labels are wrong is Patrini et al. 2017.
pub struct WeakenedEnergy {
    base: CenterObjective,
    /// λ.
    weight: f64,
    full_at: f64,
    /// Epoch, from 0, before which the network is asked.
    ask_before: usize,
    /// What λ is multiplied with.
    strength: f64,
}

/// Name of the strength in the checkpoint.
const STRENGTH: &str = "energy_strength";
/// Share of the samples of a class that are taken for confident, and how few they may be.
const CONFIDENT: (f64, usize) = (0.2, 10);

impl WeakenedEnergy {
    /// `base`, which has an energy, for a training of `num_epochs`.
    pub fn new(base: CenterObjective, full_at: f64, num_epochs: usize) -> Self {
        let weight = base.energy.as_ref().map_or(0.0, |(weight, _)| *weight);
        Self { base, weight, full_at, ask_before: (num_epochs / 10).max(2), strength: 1.0 }
    }

    fn apply(&mut self) {
        if let Some((weight, _)) = &mut self.base.energy {
            *weight = self.weight * self.strength;
        }
    }
}

/// The share of doubted labels, see [`WeakenedEnergy`]; 1 where no class has enough confident samples.
fn doubted(scores: &[f32], given: &[u32]) -> f64 {
    let num_classes = scores.len() / given.len().max(1);
    // Lead and given label of the samples of each predicted class.
    let mut of_class: Vec<Vec<(f32, u32)>> = vec![Vec::new(); num_classes];
    for (row, &given) in scores.chunks_exact(num_classes.max(1)).zip(given) {
        let (mut best, mut lead) = (0, f32::INFINITY);
        for k in 1..num_classes {
            if row[k] > row[best] {
                (best, lead) = (k, row[k] - row[best]);
            } else {
                lead = lead.min(row[best] - row[k]);
            }
        }
        of_class[best].push((lead, given));
    }
    let (share, least) = CONFIDENT;
    let mut doubts: Vec<f64> = (of_class.iter_mut().enumerate())
        .filter(|(_, samples)| samples.len() >= 2 * least)
        .map(|(class, samples)| {
            samples.sort_by(|a, b| b.0.total_cmp(&a.0));
            let num = ((share * samples.len() as f64) as usize).max(least);
            let other = samples[..num].iter().filter(|(_, given)| *given as usize != class).count();
            other as f64 / num as f64
        })
        .collect();
    if doubts.is_empty() {
        return 1.0;
    }
    doubts.sort_by(|a, b| b.total_cmp(a));
    let worse = &doubts[..doubts.len().div_ceil(2)];
    worse.iter().sum::<f64>() / worse.len() as f64
}

impl Objective for WeakenedEnergy {
    fn wants_survey(&self, epoch: usize) -> bool {
        epoch == self.ask_before
    }

    fn survey(&mut self, Survey { scores, given, .. }: Survey<'_>) {
        self.strength = (doubted(&scores[0], given) / self.full_at).min(1.0).powi(2);
        self.apply();
    }

    fn repeats(&self) -> bool {
        self.base.repeats()
    }

    fn forward(
        &mut self,
        networks: &[Classifier],
        batch: &Batch,
        progress: &mut Progress<'_>,
    ) -> Terms {
        self.base.forward(networks, batch, progress)
    }

    fn state(&self) -> TensorMap {
        let strength = Values { shape: vec![1], data: vec![self.strength as f32] };
        TensorMap::from([(STRENGTH.to_owned(), strength)])
    }

    fn load(&mut self, mut state: TensorMap) -> Result<()> {
        let strength = state.remove(STRENGTH).and_then(|values| values.data.first().copied());
        match strength.filter(|strength| (0.0..=1.0).contains(strength)) {
            Some(strength) => {
                self.strength = f64::from(strength);
                self.apply();
                Ok(())
            }
            None => Err(Error::Weights {
                file: "objective".into(),
                reason: format!("{STRENGTH} is missing or not within 0 and 1"),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::energy::{CenterPotential, Pairs, Potential};
    use crate::loss::CrossEntropy;

    /// 100 samples of each of two classes, of which the network is the surer the later they come; every
    /// `nth` of class 1 has the other label.
    fn survey(nth: usize) -> (Vec<f32>, Vec<u32>) {
        let scores = (0..200).flat_map(|at| match at % 2 {
            0 => [at as f32 / 10.0, -1.0],
            _ => [-1.0, at as f32 / 10.0],
        });
        let given = (0..200).map(|at| u32::from(at % 2 == 1 && at / 2 % nth != 0));
        (scores.collect(), given.collect())
    }

    fn objective() -> WeakenedEnergy {
        let potential = Potential::Energy { u: 3.0, v: 2.0, xi: 2.0, beta: 0.3 };
        let energy = Some((2.0, CenterPotential::new(potential, Pairs::Sum)));
        let base = CenterObjective { loss: Box::new(CrossEntropy), energy, reconstruction: 0.0 };
        WeakenedEnergy::new(base, 0.5, 30)
    }

    #[test]
    fn the_weight_follows_the_doubt_of_the_worse_half_of_the_classes() {
        let weight = |nth: usize| {
            let mut objective = objective();
            let (scores, given) = survey(nth);
            objective.survey(Survey { scores: vec![scores], features: Vec::new(), given: &given });
            objective.base.energy.unwrap().0
        };
        // Of the 20 surest of class 1 there are 5 with the other label: a quarter, half of `full_at`.
        assert_eq!(weight(4), 0.5);
        assert_eq!(weight(1), 2.0, "never more than the whole");
        assert_eq!(weight(1000), 0.0, "only the least sure is labelled otherwise");
        assert_eq!(doubted(&[0.0; 20], &[0; 10]), 1.0, "too few to say");
    }

    #[test]
    fn it_is_asked_once_and_what_it_said_goes_into_the_checkpoint() {
        let mut objective = objective();
        assert_eq!((0..30).filter(|&epoch| objective.wants_survey(epoch)).collect::<Vec<_>>(), [3]);
        let (scores, given) = survey(4);
        objective.survey(Survey { scores: vec![scores], features: Vec::new(), given: &given });
        let mut other = self::objective();
        other.load(objective.state()).unwrap();
        assert_eq!(other.base.energy.unwrap().0, 0.5);
        assert!(self::objective().load(TensorMap::new()).is_err());
    }
}
