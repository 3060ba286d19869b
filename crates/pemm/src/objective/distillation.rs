//! Distillation: a network that learned from trusted labels alone says what the others may be.

use burn::tensor::{Tensor, TensorData, activation};
use pemm_data::noise::Transition;

use super::center::weighted;
use super::epoch_memory::EpochMemory;
use super::gold::{by_trust, of_trusted};
use super::{Batch, CenterObjective, Objective, Progress, Survey, Terms};
use crate::error::Result;
use crate::model::Classifier;
use crate::tensors::TensorMap;

/// Distillation. For `warmup_epochs` the network learns from the trusted samples alone. What it then
/// says of every sample, `s_n = softmax(scores / T) S`, stays, and from there on all samples are learned
/// from with the targets `λ y_n + (1 - λ) s_n`:
///
/// `mean_n w_n (λ ℓ_n - (1 - λ) Σ_k s[n,k] log p[n,k])` plus the center terms; a trusted sample has its
/// label alone as target, λ = 1.
///
/// # Parameters
/// `warmup_epochs` ≥ 1. `label_weight` λ in `[0, 1]`: 1 is the loss alone, 0 learns from the trusted labels
/// only. `temperature` T > 0: the larger, the more alike the classes are in `s`. The similarity S of the
/// classes, `[K, K]` with rows that sum to 1: what is said of class i is meant for class j by `S[i][j]`; the
/// identity where it is not given.
///
/// # Reference
/// Li et al. 2017, Learning from Noisy Labels with Distillation; what differs stands in the entry.
pub struct Distillation {
    base: CenterObjective,
    parameters: DistillationParameters,
    num_classes: usize,
    /// Which samples of the training part are trusted.
    trusted: Vec<bool>,
    /// S, if it is not the identity.
    similarity: Option<Transition>,
    /// `s`, `[N, K]`, once it is known.
    soft: Option<EpochMemory>,
}

/// Settings of [`Distillation`].
#[derive(Debug, Clone, Copy)]
pub struct DistillationParameters {
    /// Epochs on trusted samples alone.
    pub warmup_epochs: usize,
    /// λ, weight of the given label in the target.
    pub label_weight: f64,
    /// T, of the predictions in the target.
    pub temperature: f64,
}

impl Distillation {
    /// With samples of which some are `trusted`.
    pub fn new(
        base: CenterObjective,
        parameters: DistillationParameters,
        trusted: Vec<bool>,
        num_classes: usize,
        similarity: Option<Transition>,
    ) -> Self {
        Self { base, parameters, num_classes, trusted, similarity, soft: None }
    }

    fn empty(&self) -> EpochMemory {
        EpochMemory::new("soft", self.trusted.len(), self.num_classes, 0.0)
    }
}

/// `λ ℓ_n - (1 - λ) Σ_k s[n,k] log p[n,k]`, and `ℓ_n` where a sample is trusted: losses `[N]`, scores and
/// soft labels `[N, K]` → `[N]`.
fn distilled(
    losses: Tensor<1>,
    scores: Tensor<2>,
    soft: Tensor<2>,
    label_weight: f64,
    trusted: &[bool],
) -> Tensor<1> {
    let guessed = -(soft * activation::log_softmax(scores, 1)).sum_dim(1).squeeze_dim::<1>(1);
    let mixed = losses.clone() * label_weight + guessed * (1.0 - label_weight);
    by_trust(trusted, losses, mixed)
}

/// `softmax(scores / T)` of rows of `num_classes` scores.
fn softened(scores: &[f32], num_classes: usize, temperature: f64) -> Vec<f32> {
    let row = |scores: &[f32]| -> Vec<f32> {
        let top = scores.iter().fold(f64::NEG_INFINITY, |top, &s| top.max(f64::from(s)));
        let power = |&s: &f32| ((f64::from(s) - top) / temperature).exp();
        let sum: f64 = scores.iter().map(power).sum();
        scores.iter().map(|s| (power(s) / sum) as f32).collect()
    };
    scores.chunks_exact(num_classes).flat_map(row).collect()
}

/// `s S` of one row.
fn spread(row: &[f32], similarity: &Transition) -> Vec<f32> {
    let mut meant = vec![0.0; row.len()];
    for (said, shares) in row.iter().zip(similarity.rows()) {
        for (meant, share) in meant.iter_mut().zip(shares) {
            *meant += f64::from(*said) * share;
        }
    }
    meant.into_iter().map(|meant| meant as f32).collect()
}

impl Objective for Distillation {
    fn wants_survey(&self, epoch: usize) -> bool {
        epoch >= self.parameters.warmup_epochs && self.soft.is_none()
    }

    fn survey(&mut self, survey: Survey<'_>) {
        let rows = softened(&survey.scores[0], self.num_classes, self.parameters.temperature);
        let mut soft = self.empty();
        for (index, row) in (0..).zip(rows.chunks_exact(self.num_classes)) {
            match &self.similarity {
                None => soft.row_mut(index).copy_from_slice(row),
                Some(similarity) => soft.row_mut(index).copy_from_slice(&spread(row, similarity)),
            }
        }
        self.soft = Some(soft);
    }

    fn forward(
        &mut self,
        networks: &[Classifier],
        batch: &Batch,
        progress: &mut Progress<'_>,
    ) -> Terms {
        let network = &networks[0];
        let output = network.forward(batch.images.clone(), progress.rng);
        let trusted = batch.pick(&self.trusted);
        let losses = self.base.losses(network, &output, batch.given.clone());
        let loss = match &mut self.soft {
            None => of_trusted(weighted(losses, batch), &trusted),
            Some(soft) => {
                let rows = batch.indices.iter().flat_map(|&i| soft.row_mut(i).to_vec());
                let rows = TensorData::new(rows.collect::<Vec<f32>>(), output.scores.dims());
                let rows = Tensor::from_data(rows, &losses.device());
                let weight = self.parameters.label_weight;
                weighted(distilled(losses, output.scores.clone(), rows, weight, &trusted), batch)
                    .mean()
            }
        };
        self.base.with_loss(loss, network, output)
    }

    fn state(&self) -> TensorMap {
        let mut state = TensorMap::new();
        if let Some(soft) = &self.soft {
            soft.save(&mut state);
        }
        state
    }

    fn load(&mut self, mut state: TensorMap) -> Result<()> {
        if !state.is_empty() {
            let mut soft = self.empty();
            soft.take(&mut state)?;
            self.soft = Some(soft);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::{CrossEntropy, Loss};
    use crate::objective::reference_case::ReferenceCase;
    use crate::tensors::floats;

    #[test]
    fn value_and_gradient_are_those_of_pytorch() {
        for case in ReferenceCase::all_of_objectives("distill") {
            let number = |key: &str| case.params[key].as_f64().unwrap();
            let trusted: Vec<bool> =
                serde_json::from_value(case.params["trusted"].clone()).unwrap();
            let teacher = floats(case.matrix(&case.params["teacher"]));
            let logits = case.input("logits").require_grad();
            let soft = TensorData::new(softened(&teacher, 4, number("temperature")), logits.dims());
            let soft = Tensor::from_data(soft, &logits.device());
            let losses = CrossEntropy.forward(logits.clone(), case.given());
            let weight = number("label_weight");
            let found = distilled(losses, logits.clone(), soft, weight, &trusted);
            case.agrees(found.mean(), &[("logits", &logits)]);
        }
    }

    #[test]
    fn what_is_said_of_a_class_is_meant_for_similar_ones_too() {
        let similarity = vec![vec![0.5, 0.25, 0.25], vec![0.0, 1.0, 0.0], vec![0.0, 0.5, 0.5]];
        let similarity = Transition::new(similarity).unwrap();
        assert_eq!(spread(&[0.5, 0.25, 0.25], &similarity), [0.25, 0.5, 0.25]);
    }

    #[test]
    fn what_was_said_survives_a_checkpoint() {
        let objective = || {
            let base =
                CenterObjective { loss: Box::new(CrossEntropy), energy: None, reconstruction: 0.0 };
            let parameters =
                DistillationParameters { warmup_epochs: 1, label_weight: 0.5, temperature: 2.0 };
            Distillation::new(base, parameters, vec![true, false], 2, None)
        };
        let mut before = objective();
        assert!(!before.wants_survey(0) && before.wants_survey(1));
        let mut early = objective();
        early.load(before.state()).unwrap();
        assert!(early.wants_survey(1), "nothing was asked yet");
        let scores = vec![vec![0.0, 0.0, 2.0, 0.0]];
        before.survey(Survey { scores, features: Vec::new(), given: &[0, 1] });
        let mut after = objective();
        after.load(before.state()).unwrap();
        assert!(!after.wants_survey(2));
        assert_eq!(after.state(), before.state());
        let soft = after.state()["soft"].data.clone();
        let expected = 1.0 / (1.0 + (-1.0f32).exp());
        assert_eq!(soft[..2], [0.5, 0.5]);
        assert!((soft[2] - expected).abs() < 1e-6, "{soft:?}");
    }
}
