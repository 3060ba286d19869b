//! Pruning: samples whose given label the network finds improbable are left out, chosen anew once in
//! some epochs.

use super::center::times;
use super::epoch_memory::EpochMemory;
use super::{Batch, CenterObjective, Objective, Progress, Survey, Terms};
use crate::error::Result;
use crate::model::Classifier;
use crate::tensors::TensorMap;

/// Pruning: `1/N Σ_n v_n ℓ_n` plus the center terms, over a batch of N. Before epochs `warmup_epochs`,
/// `+ prune_every`, `+ 2 prune_every` … `v_n` becomes 1 where `p[n, y_n] > truncation` in evaluation,
/// not augmented, else 0; until then it is 1. With `ℓ` generalised cross entropy this is the alternating
/// search for the minimum of the truncated loss `min(ℓ, (1 - truncation^q) / q)`.
///
/// # Parameters
/// `warmup_epochs` ≥ 1, `prune_every` ≥ 1 epochs. `truncation` in (0, 1): → 0 leaves nothing out.
///
/// # Reference
/// Zhang and Sabuncu 2018, Generalized Cross Entropy Loss for Training Deep Neural Networks with Noisy
/// Labels, section 3.3 and algorithm 1; what differs stands in the entry.
pub struct Pruning {
    base: CenterObjective,
    warmup_epochs: usize,
    prune_every: usize,
    truncation: f64,
    /// v, `[N, 1]`.
    kept: EpochMemory,
}

impl Pruning {
    /// Over `num_samples` training samples, all of them kept.
    pub fn new(
        base: CenterObjective,
        warmup_epochs: usize,
        prune_every: usize,
        truncation: f64,
        num_samples: usize,
    ) -> Self {
        let kept = EpochMemory::new("kept", num_samples, 1, 1.0);
        Self { base, warmup_epochs, prune_every, truncation, kept }
    }
}

/// Probability of label `given` by the softmax of one row of scores.
fn probability(scores: &[f32], given: u32) -> f64 {
    let own = f64::from(scores[given as usize]);
    1.0 / scores.iter().map(|&score| (f64::from(score) - own).exp()).sum::<f64>()
}

impl Objective for Pruning {
    fn wants_survey(&self, epoch: usize) -> bool {
        let since = epoch.checked_sub(self.warmup_epochs);
        since.is_some_and(|since| since.is_multiple_of(self.prune_every))
    }

    fn survey(&mut self, survey: Survey<'_>) {
        let num_classes = survey.scores[0].len() / survey.given.len().max(1);
        let rows = survey.scores[0].chunks_exact(num_classes.max(1));
        for ((index, row), &given) in (0..).zip(rows).zip(survey.given) {
            let is_kept = probability(row, given) > self.truncation;
            self.kept.row_mut(index)[0] = f32::from(u8::from(is_kept));
        }
    }

    fn forward(
        &mut self,
        networks: &[Classifier],
        batch: &Batch,
        progress: &mut Progress<'_>,
    ) -> Terms {
        let output = networks[0].forward(batch.images.clone(), progress.rng);
        let losses = self.base.weighted_losses(&networks[0], &output, batch);
        let losses = times(losses, batch.pick(self.kept.values()));
        self.base.with_loss(losses.mean(), &networks[0], output)
    }

    fn state(&self) -> TensorMap {
        self.kept.state()
    }

    fn load(&mut self, mut state: TensorMap) -> Result<()> {
        self.kept.take(&mut state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::CrossEntropy;

    fn pruning() -> Pruning {
        let base =
            CenterObjective { loss: Box::new(CrossEntropy), energy: None, reconstruction: 0.0 };
        Pruning::new(base, 3, 10, 0.5, 4)
    }

    #[test]
    fn improbable_labels_are_left_out_until_they_are_probable_again() {
        let mut pruning = pruning();
        assert_eq!(pruning.kept.values(), [1.0; 4], "before the first choice all count");
        let scores = vec![1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 900.0, -900.0];
        pruning.survey(Survey { scores: vec![scores], features: Vec::new(), given: &[0, 0, 1, 1] });
        // 0.73, 0.27, exactly ½, which is not above it, and 0.
        assert_eq!(pruning.kept.values(), [1.0, 0.0, 0.0, 0.0]);
        let mut continued = super::tests::pruning();
        continued.load(pruning.state()).unwrap();
        assert_eq!(continued.kept.values(), pruning.kept.values());
        let scores = vec![0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 0.0, 1.0];
        pruning.survey(Survey { scores: vec![scores], features: Vec::new(), given: &[0, 0, 1, 1] });
        assert_eq!(pruning.kept.values(), [0.0, 1.0, 1.0, 1.0]);
    }

    #[test]
    fn the_choice_is_made_once_in_ten_epochs_after_the_warm_up() {
        let pruning = pruning();
        let at: Vec<usize> = (0..25).filter(|&epoch| pruning.wants_survey(epoch)).collect();
        assert_eq!(at, [3, 13, 23]);
    }
}
