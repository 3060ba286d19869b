//! MentorNet's predefined curriculum: which samples of a step count, by how their loss stands to a moving
//! percentile of the losses.

use pemm_data::Rng;

use super::center::{times, weighted};
use super::epoch_memory::EpochMemory;
use super::{Batch, CenterObjective, Objective, Progress, Terms};
use crate::error::Result;
use crate::model::Classifier;
use crate::tensors::{TensorMap, floats};

/// How a weight follows from a loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Curriculum {
    /// 1 for all samples in the first 19 hundredths of the training; then 1 up to the bound and 0
    /// beyond; in the last tenth `1 - (ℓ - λ)`, kept within 0 and 1.
    Predefined,
    /// 1 up to the bound and 0 beyond, from the first step on.
    SelfPaced,
}

/// MentorNet PD: `1/N Σ_n v_n ℓ_n` plus the center terms, over a batch of N. The bound
/// `λ ← d λ + (1 - d) (percentile of the batch's losses)` moves with every step, from 0 on;
/// `v_n` is the weight that the [`Curriculum`] gives to `ℓ_n` under it, and 0 for the share of the
/// batch that is dropped at random.
///
/// # Parameters
/// `percentile` in `[0, 100]`: 100 takes all, but for those beyond a bound that lags behind. `decay` d in
/// `[0, 1)`: 0 is the percentile of this step. `early_dropout` and `late_dropout` in `[0, 1)`: the share
/// that is dropped in the first 17 hundredths of the training and after them.
///
/// # Reference
/// Jiang et al. 2018, MentorNet: Learning Data-Driven Curriculum for Very Deep Neural Networks on
/// Corrupted Labels, eq. 4 and algorithm 1, and their public code; what differs stands in the entry.
pub struct MentorNet {
    /// Loss per sample and terms of the centers.
    base: CenterObjective,
    curriculum: Curriculum,
    percentile: f64,
    decay: f64,
    /// Early and late.
    dropout: [f64; 2],
    /// λ, one value.
    bound: EpochMemory,
}

/// Settings of [`MentorNet`].
#[derive(Debug, Clone, Copy)]
pub struct MentorNetParameters {
    /// How a weight follows from a loss.
    pub curriculum: Curriculum,
    /// Percentile of a batch's losses.
    pub percentile: f64,
    /// Share d of the bound that a step keeps.
    pub decay: f64,
    /// Share that is dropped at first, and later.
    pub dropout: [f64; 2],
}

/// The last hundredth of the training in which every sample has weight 1.
const LAST_OF_ALL: usize = 18;
/// Hundredths of the training with the early dropout.
const EARLY: usize = 17;
/// The first hundredth of the training in which weights fall off gradually.
const GRADUAL: usize = 90;

impl MentorNet {
    /// With its bound at 0.
    pub fn new(base: CenterObjective, parameters: MentorNetParameters) -> Self {
        let MentorNetParameters { curriculum, percentile, decay, dropout } = parameters;
        let bound = EpochMemory::new("bound", 1, 1, 0.0);
        Self { base, curriculum, percentile, decay, dropout, bound }
    }

    /// Weights of a batch with these losses in the hundredth `at` of the training. Moves the bound.
    fn weights(&mut self, losses: &[f32], at: usize, rng: &mut Rng) -> Vec<f32> {
        let bound = moved(&mut self.bound, losses, self.percentile, self.decay);
        let mut weights: Vec<f32> =
            losses.iter().map(|loss| self.curriculum.weight(loss - bound, at)).collect();
        drop_some(&mut weights, self.dropout[usize::from(at >= EARLY)], rng);
        weights
    }
}

impl Curriculum {
    /// The weight of a loss that lies `beyond` the bound in the hundredth `at` of the training, from 0.
    fn weight(self, beyond: f32, at: usize) -> f32 {
        let is_easy = f32::from(u8::from(beyond <= 0.0));
        match self {
            Self::SelfPaced => is_easy,
            Self::Predefined if at <= LAST_OF_ALL => 1.0,
            Self::Predefined if at < GRADUAL => is_easy,
            Self::Predefined => (1.0 - beyond).clamp(0.0, 1.0),
        }
    }
}

/// λ, one value, after a step with these losses.
pub(super) fn moved(bound: &mut EpochMemory, losses: &[f32], percentile: f64, decay: f64) -> f32 {
    let (bound, keep) = (&mut bound.row_mut(0)[0], decay as f32);
    *bound = keep * *bound + (1.0 - keep) * percentile_of(losses, percentile);
    *bound
}

/// Sets the weights of a random share `rate` of a batch to 0.
pub(super) fn drop_some(weights: &mut [f32], rate: f64, rng: &mut Rng) {
    if rate > 0.0 {
        let mut order: Vec<usize> = (0..weights.len()).collect();
        rng.shuffle(&mut order);
        let kept = (weights.len() as f64 * (1.0 - rate)) as usize;
        order[kept..].iter().for_each(|&index| weights[index] = 0.0);
    }
}

/// The value nearest to the `percentile` of `values`, as TensorFlow's `percentile` has it.
fn percentile_of(values: &[f32], percentile: f64) -> f32 {
    let mut sorted = values.to_vec();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let place = (sorted.len() - 1) as f64 * (1.0 - percentile / 100.0);
    sorted[place.round_ties_even() as usize]
}

impl Objective for MentorNet {
    fn forward(
        &mut self,
        networks: &[Classifier],
        batch: &Batch,
        progress: &mut Progress<'_>,
    ) -> Terms {
        let output = networks[0].forward(batch.images.clone(), progress.rng);
        let losses = self.base.losses(&networks[0], &output, batch.given.clone());
        let num_steps = progress.num_steps.max(1);
        let done = progress.epoch * num_steps + progress.step;
        let at = done * 100 / (progress.num_epochs * num_steps);
        let weights = self.weights(&floats(losses.clone().detach()), at, progress.rng);
        let losses = times(weighted(losses, batch), weights);
        self.base.with_loss(losses.mean(), &networks[0], output)
    }

    fn state(&self) -> TensorMap {
        self.bound.state()
    }

    fn load(&mut self, mut state: TensorMap) -> Result<()> {
        self.bound.take(&mut state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::{CrossEntropy, Loss};
    use crate::objective::reference_case::{ReferenceCase, objectives};
    use burn::tensor::Tensor;
    use pemm_data::{Stream, Streams};

    fn mentor(curriculum: Curriculum, percentile: f64, dropout: [f64; 2]) -> MentorNet {
        let base =
            CenterObjective { loss: Box::new(CrossEntropy), energy: None, reconstruction: 0.0 };
        MentorNet::new(base, MentorNetParameters { curriculum, percentile, decay: 0.5, dropout })
    }

    #[test]
    fn weights_of_a_training_are_those_of_the_authors_rules() {
        let known = &objectives()["mentor_net"];
        let steps = known["steps"].as_array().unwrap();
        let numbers = |value: &serde_json::Value| -> Vec<f32> {
            serde_json::from_value(value.clone()).unwrap()
        };
        for (curriculum, key) in
            [(Curriculum::Predefined, "predefined"), (Curriculum::SelfPaced, "self_paced")]
        {
            let percentile = known["percentile"].as_f64().unwrap();
            let mut mentor = mentor(curriculum, percentile, [0.0, 0.0]);
            let mut rng = Streams::new(1).open(Stream::Step);
            let mut seen = [0, 0, 0];
            for step in steps {
                let at = step["at"].as_u64().unwrap() as usize;
                let found = mentor.weights(&numbers(&step["losses"]), at, &mut rng);
                let expected = numbers(&step[key]);
                for (a, b) in found.iter().zip(&expected) {
                    assert!((a - b).abs() < 1e-5, "{key} at {at}: {found:?}, not {expected:?}");
                    seen[if *b == 0.0 {
                        0
                    } else if *b == 1.0 {
                        1
                    } else {
                        2
                    }] += 1;
                }
                let bound = step["bound"].as_f64().unwrap() as f32;
                assert!((mentor.bound.values()[0] - bound).abs() < 1e-5 * bound);
            }
            let has_gradual = curriculum == Curriculum::Predefined;
            assert!(seen[0] > 0 && seen[1] > 0 && (seen[2] > 0) == has_gradual, "{seen:?}");
        }
    }

    #[test]
    fn value_and_gradient_are_those_of_pytorch() {
        for case in ReferenceCase::all_of_objectives("mentor_net") {
            let mut mentor = mentor(Curriculum::SelfPaced, 75.0, [0.0, 0.0]);
            mentor.decay = 0.0;
            let logits = case.input("logits").require_grad();
            let losses = CrossEntropy.forward(logits.clone(), case.given());
            let mut rng = Streams::new(1).open(Stream::Step);
            let weights = mentor.weights(&floats(losses.clone().detach()), 50, &mut rng);
            let weights = Tensor::from_floats(&weights[..], &losses.device());
            case.agrees((losses * weights).mean(), &[("logits", &logits)]);
        }
    }

    #[test]
    fn dropout_drops_as_many_as_it_says_and_others_in_each_step() {
        let mut mentor = mentor(Curriculum::Predefined, 75.0, [0.5, 0.05]);
        let mut rng = Streams::new(1).open(Stream::Step);
        let mut dropped = |at: usize| {
            let weights = mentor.weights(&[1.0; 128], at, &mut rng);
            (weights.iter().filter(|&&weight| weight == 0.0).count(), weights)
        };
        let (first, second) = (dropped(0), dropped(16));
        assert_eq!((first.0, second.0), (64, 64));
        assert_ne!(first.1, second.1);
        // int(128 · 0.95) = 121 are kept.
        assert_eq!(dropped(17).0, 7);
    }

    #[test]
    fn the_percentile_is_the_nearest_value() {
        let values = [3.0, 1.0, 2.0, 5.0, 4.0];
        let found = [0.0, 50.0, 70.0, 75.0, 100.0].map(|p| percentile_of(&values, p));
        assert_eq!(found, [1.0, 3.0, 4.0, 4.0, 5.0]);
        assert_eq!(percentile_of(&[7.0], 75.0), 7.0);
    }
}
