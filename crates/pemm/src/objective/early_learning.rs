//! Early-learning regularisation: what the network said early outweighs what the label says late.

use burn::tensor::{Tensor, TensorData, activation};

use super::epoch_memory::EpochMemory;
use super::{Batch, CenterObjective, Objective, Progress, Terms};
use crate::error::Result;
use crate::model::Classifier;
use crate::tensors::TensorMap;

/// Early-learning regularisation (ELR): `mean_n ℓ_n + λ mean_n log(1 - <t_n, p_n>)`, where the
/// memory `t_n ← b t_n + (1 - b) p_n` is a running mean of the predictions on sample n and counts as
/// a constant. The second term rewards agreement with it, with the gradient of cross entropy in the
/// opposite direction on labels that the memory contradicts.
///
/// # Parameters
/// `memory_rate` b in `[0, 1)`: 0 remembers only this step. `weight` λ ≥ 0: 0 is the loss alone. The
/// published pairs are 0.7 and 3 (CIFAR-10, symmetric), 0.9 and 1 (asymmetric), 0.9 and 7
/// (CIFAR-100).
///
/// # Numerics
/// Probabilities are clamped to `[1e-4, 1 - 1e-4]`, so that `1 - <t, p>` stays above 0.
///
/// # Reference
/// Liu et al. 2020, Early-Learning Regularization Prevents Memorization of Noisy Labels, eq. 6 and
/// 7, and their public code, from which the clamp is, and that the memory takes probabilities that
/// sum to 1 again after it. The loss may be another than cross entropy here. Sample weights, which they
/// do not have, weight the first term only. ELR+ (two networks, weight averaging, mixup) is not this.
pub struct EarlyLearning {
    base: CenterObjective,
    memory_rate: f64,
    weight: f64,
    memory: EpochMemory,
}

/// Probabilities are kept this far from 0 and 1.
const CLAMP: f64 = 1e-4;

impl EarlyLearning {
    /// An empty memory of `num_samples` training samples and `num_classes` classes.
    pub fn new(
        base: CenterObjective,
        memory_rate: f64,
        weight: f64,
        num_samples: usize,
        num_classes: usize,
    ) -> Self {
        let memory = EpochMemory::new("memory", num_samples, num_classes, 0.0);
        Self { base, memory_rate, weight, memory }
    }

    /// Moves the memory of the samples of a batch towards `probabilities` `[N, K]`, and gives it.
    fn remember(&mut self, samples: &[u32], probabilities: Tensor<2>) -> Tensor<2> {
        let (shape, device) = (probabilities.dims(), probabilities.device());
        let before: Vec<f32> =
            samples.iter().flat_map(|&sample| self.memory.row_mut(sample).to_vec()).collect();
        let before = Tensor::<2>::from_data(TensorData::new(before, shape), &device);
        let keep = self.memory_rate as f32;
        let sum = probabilities.clone().sum_dim(1); // [N, 1]
        let targets = before * keep + probabilities * (1.0 - keep) / sum;
        self.memory.put(samples, targets.clone());
        targets
    }
}

/// `log(1 - <t, p>)` of each sample: targets `[N, K]`, clamped probabilities `[N, K]` → `[N]`.
fn agreement_penalty(targets: Tensor<2>, probabilities: Tensor<2>) -> Tensor<1> {
    (-(targets * probabilities).sum_dim(1) + 1.0).log().squeeze_dim(1)
}

impl Objective for EarlyLearning {
    fn forward(
        &mut self,
        networks: &[Classifier],
        batch: &Batch,
        progress: &mut Progress<'_>,
    ) -> Terms {
        let output = networks[0].forward(batch.images.clone(), progress.rng);
        let losses = self.base.weighted_losses(&networks[0], &output, batch);
        let probabilities = activation::softmax(output.scores.clone(), 1).clamp(CLAMP, 1.0 - CLAMP); // [N, K]
        let targets = self.remember(&batch.indices, probabilities.clone().detach());
        let penalty = agreement_penalty(targets, probabilities).mean() * self.weight;
        let mut terms = vec![("loss", losses.mean()), ("early-learning", penalty)];
        terms.extend(self.base.center_terms(&networks[0], &output));
        Terms::of(terms, output.scores)
    }

    fn state(&self) -> TensorMap {
        self.memory.state()
    }

    fn load(&mut self, mut state: TensorMap) -> Result<()> {
        self.memory.take(&mut state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::{CrossEntropy, Loss};
    use crate::objective::reference_case::ReferenceCase;
    use crate::tensors::floats;
    use burn::tensor::Device;

    #[test]
    fn value_and_gradient_are_those_of_pytorch() {
        let case = ReferenceCase::read("elr");
        let logits = case.input("logits").require_grad();
        let memory = case.matrix(&case.params["memory"]);
        let probabilities = activation::softmax(logits.clone(), 1);
        let total = CrossEntropy.forward(logits.clone(), case.given()).mean()
            + agreement_penalty(memory, probabilities).mean() * 3.0;
        case.agrees(total, &[("logits", &logits)]);
    }

    #[test]
    fn memory_moves_towards_the_predictions_of_its_own_samples() {
        let base =
            CenterObjective { loss: Box::new(CrossEntropy), energy: None, reconstruction: 0.0 };
        let mut objective = EarlyLearning::new(base, 0.75, 3.0, 3, 2);
        let mut remember = |samples: &[u32], rows: &[[f32; 2]]| {
            let rows: Vec<f32> = rows.as_flattened().to_vec();
            let rows =
                Tensor::from_data(TensorData::new(rows, [samples.len(), 2]), &Device::flex());
            floats(objective.remember(samples, rows))
        };
        assert_eq!(remember(&[2], &[[0.5, 0.5]]), [0.125, 0.125]);
        assert_eq!(remember(&[2, 0], &[[1.0, 0.0], [0.0, 1.0]]), [0.34375, 0.09375, 0.0, 0.25]);
        let state = objective.state();
        let base =
            CenterObjective { loss: Box::new(CrossEntropy), energy: None, reconstruction: 0.0 };
        let mut other = EarlyLearning::new(base, 0.75, 3.0, 3, 2);
        other.load(state).unwrap();
        assert_eq!(other.memory.values(), [0.0, 0.25, 0.0, 0.0, 0.34375, 0.09375]);
        let error = other.load(TensorMap::new()).unwrap_err().to_string();
        assert!(error.contains("memory"), "{error}");
    }
}
