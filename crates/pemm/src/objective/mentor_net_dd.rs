//! MentorNet's data-driven curriculum: a small network learns from trusted labels which losses are those
//! of right labels.

use burn::tensor::{Int, Tensor, TensorData};

use super::center::{times, weighted};
use super::epoch_memory::EpochMemory;
use super::mentor::{Mentor, Seen};
use super::mentor_net::{drop_some, moved};
use super::{Batch, CenterObjective, Objective, Progress, Terms};
use crate::error::{Error, Result};
use crate::model::Classifier;
use crate::tensors::{TensorMap, Values, floats};

/// MentorNet DD: `1/N Σ_n v_n ℓ_n` plus the center terms, over a batch of N.
///
/// For `warmup_epochs` v is 1, and trusted samples have the label that they had before somebody looked, so
/// that their losses are like those of the others. What is seen of them (loss, how far it lies beyond the
/// moving bound λ of [`MentorNet`](super::mentor_net::MentorNet), label, time) is kept. From it a small
/// network learns whether the label was right (`Mentor`); it gives `v_n` from there on. A trusted sample
/// then has its right label and v 1. A random share of each batch has v 0.
///
/// # Parameters
/// `warmup_epochs` ≥ 1. `percentile`, `decay` and the dropouts as in `MentorNet`; the early dropout is that
/// of the first epochs.
///
/// # Reference
/// Jiang et al. 2018, MentorNet: Learning Data-Driven Curriculum for Very Deep Neural Networks on
/// Corrupted Labels, section 3.2, and their public code; what differs stands in the entry.
pub struct MentorNetDd {
    base: CenterObjective,
    parameters: MentorNetDdParameters,
    num_classes: usize,
    /// Given labels, of trusted samples the right ones.
    given: Vec<u32>,
    /// What each sample of the training part that is trusted was called before.
    before: Vec<Option<u32>>,
    /// λ, one value.
    bound: EpochMemory,
    /// What was seen of trusted samples, and whether their label was right, until the mentor has learned.
    seen: Vec<(Seen, bool)>,
    mentor: Option<Mentor>,
}

/// Settings of [`MentorNetDd`].
#[derive(Debug, Clone, Copy)]
pub struct MentorNetDdParameters {
    /// Epochs in which all samples count.
    pub warmup_epochs: usize,
    /// Percentile of a batch's losses.
    pub percentile: f64,
    /// Share of the bound that a step keeps.
    pub decay: f64,
    /// Share that is dropped at first, and later.
    pub dropout: [f64; 2],
}

/// Names in the checkpoint.
const SEEN: &str = "mentor.seen";
const MENTOR: &str = "mentor.values";
/// Values of a row of what was seen.
const WIDTH: usize = 5;

impl MentorNetDd {
    /// With the labels `given`, and what each sample that is trusted was called `before`.
    pub fn new(
        base: CenterObjective,
        parameters: MentorNetDdParameters,
        given: &[u32],
        before: Vec<Option<u32>>,
        num_classes: usize,
    ) -> Self {
        let (given, seen) = (given.to_vec(), Vec::new());
        let bound = EpochMemory::new("bound", 1, 1, 0.0);
        Self { base, parameters, num_classes, given, before, bound, seen, mentor: None }
    }

    /// Weights of the samples `indices` with these losses in `epoch`. Moves the bound, and notes what is
    /// seen of trusted samples until there is a mentor.
    fn weights(&mut self, losses: &[f32], indices: &[u32], epoch: usize) -> Vec<f32> {
        let MentorNetDdParameters { warmup_epochs, percentile, decay, .. } = self.parameters;
        let bound = moved(&mut self.bound, losses, percentile, decay);
        let time = ((epoch + 1) as f32 / warmup_epochs as f32).min(1.0);
        let of_sample = |(&loss, &index): (&f32, &u32)| {
            let (label, before) = (self.given[index as usize], self.before[index as usize]);
            let seen = Seen { loss, beyond: loss - bound, label: before.unwrap_or(label), time };
            match (&self.mentor, before) {
                (None, Some(before)) => {
                    self.seen.push((seen, before == label));
                    1.0
                }
                (None, None) | (Some(_), Some(_)) => 1.0,
                (Some(mentor), None) => mentor.weight(seen),
            }
        };
        losses.iter().zip(indices).map(of_sample).collect()
    }

    /// The labels to learn from: until there is a mentor, what samples were called before.
    fn labels(&self, batch: &Batch) -> Tensor<1, Int> {
        if self.mentor.is_some() {
            return batch.given.clone();
        }
        let called = batch.pick(&self.before).into_iter().zip(batch.pick(&self.given));
        let called: Vec<i64> =
            called.map(|(before, given)| i64::from(before.unwrap_or(given))).collect();
        let num = called.len();
        Tensor::from_data(TensorData::new(called, [num]), &batch.given.device())
    }
}

impl Objective for MentorNetDd {
    fn forward(
        &mut self,
        networks: &[Classifier],
        batch: &Batch,
        progress: &mut Progress<'_>,
    ) -> Terms {
        let is_early = progress.epoch < self.parameters.warmup_epochs;
        if !is_early && self.mentor.is_none() {
            let (seen, right): (Vec<Seen>, Vec<bool>) = self.seen.drain(..).unzip();
            self.mentor = Some(Mentor::learn(&seen, &right, self.num_classes, progress.rng));
        }
        let output = networks[0].forward(batch.images.clone(), progress.rng);
        let losses = self.base.losses(&networks[0], &output, self.labels(batch));
        let values = floats(losses.clone().detach());
        let mut weights = self.weights(&values, &batch.indices, progress.epoch);
        drop_some(&mut weights, self.parameters.dropout[usize::from(!is_early)], progress.rng);
        let losses = times(weighted(losses, batch), weights);
        self.base.with_loss(losses.mean(), &networks[0], output)
    }

    fn state(&self) -> TensorMap {
        let mut state = self.bound.state();
        if let Some(mentor) = &self.mentor {
            let data = mentor.values();
            state.insert(MENTOR.to_owned(), Values { shape: vec![data.len()], data });
        } else if !self.seen.is_empty() {
            let row = |(seen, is_right): &(Seen, bool)| {
                let right = f32::from(u8::from(*is_right));
                [seen.loss, seen.beyond, seen.label as f32, seen.time, right]
            };
            let data = self.seen.iter().flat_map(row).collect();
            state.insert(SEEN.to_owned(), Values { shape: vec![self.seen.len(), WIDTH], data });
        }
        state
    }

    fn load(&mut self, mut state: TensorMap) -> Result<()> {
        self.bound.take(&mut state)?;
        let wrong = |name: &str| {
            let reason = format!("{name} has not the values that it had when it was written");
            Error::Weights { file: "objective".into(), reason }
        };
        if let Some(values) = state.remove(MENTOR) {
            if values.data.len() != Mentor::num_values(self.num_classes) {
                return Err(wrong(MENTOR));
            }
            self.mentor = Some(Mentor::of(&values.data, self.num_classes));
        } else if let Some(values) = state.remove(SEEN) {
            let is_label = |label: f32| label >= 0.0 && label < self.num_classes as f32;
            let mut rows = values.data.chunks_exact(WIDTH);
            if !rows.all(|row| is_label(row[2])) {
                return Err(wrong(SEEN));
            }
            let row = |row: &[f32]| {
                let seen =
                    Seen { loss: row[0], beyond: row[1], label: row[2] as u32, time: row[3] };
                (seen, row[4] > 0.5)
            };
            self.seen = values.data.chunks_exact(WIDTH).map(row).collect();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::CrossEntropy;

    fn objective() -> MentorNetDd {
        let base =
            CenterObjective { loss: Box::new(CrossEntropy), energy: None, reconstruction: 0.0 };
        let parameters = MentorNetDdParameters {
            warmup_epochs: 2,
            percentile: 75.0,
            decay: 0.0,
            dropout: [0.0, 0.0],
        };
        MentorNetDd::new(base, parameters, &[0, 1, 1, 0], vec![None, Some(0), Some(1), None], 2)
    }

    #[test]
    fn what_is_seen_of_trusted_samples_is_kept_with_the_label_that_they_had() {
        let mut objective = objective();
        assert_eq!(objective.weights(&[4.0, 3.0, 1.0, 2.0], &[0, 1, 2, 3], 0), [1.0; 4]);
        let seen = |loss: f32, label| Seen { loss, beyond: loss - 3.0, label, time: 0.5 };
        assert_eq!(objective.seen, [(seen(3.0, 0), false), (seen(1.0, 1), true)]);
        let mut continued = super::tests::objective();
        continued.load(objective.state()).unwrap();
        assert_eq!(continued.seen, objective.seen);
        assert_eq!(continued.bound.values(), objective.bound.values());
    }

    #[test]
    fn the_mentor_weighs_what_is_not_trusted_and_survives_a_checkpoint() {
        let mut before = objective();
        let values: Vec<f32> = (0..Mentor::num_values(2)).map(|i| (i as f32).sin()).collect();
        before.mentor = Some(Mentor::of(&values, 2));
        let mut after = objective();
        after.load(before.state()).unwrap();
        assert_eq!(after.mentor, before.mentor);
        let weights = after.weights(&[4.0, 3.0, 1.0, 2.0], &[0, 1, 2, 3], 5);
        assert_eq!(weights[1..3], [1.0, 1.0], "trusted");
        let seen = Seen { loss: 4.0, beyond: 1.0, label: 0, time: 1.0 };
        assert_eq!(weights[0], Mentor::of(&values, 2).weight(seen));
        assert_ne!(weights[0], weights[3]);
        let mut state = before.state();
        state.get_mut(MENTOR).unwrap().data.pop();
        assert!(objective().load(state).is_err());
    }
}
