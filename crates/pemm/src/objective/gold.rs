//! Gold loss correction: the noise matrix is read off samples whose label is known to be right.

use burn::tensor::Tensor;
use pemm_data::noise::Transition;

use super::center::weighted;
use super::co_teaching::{marks, mean_of};
use super::estimated_matrix::EstimatedMatrix;
use super::{Batch, CenterObjective, Objective, Progress, Survey, Terms};
use crate::error::Result;
use crate::loss::{ForwardCorrection, Loss};
use crate::model::Classifier;
use crate::tensors::TensorMap;

/// Gold loss correction (GLC). For `warmup_epochs` the network learns from the samples that are not
/// trusted alone, so that it says what the *given* label of a sample will be. Then
///
/// `C[i][j] = mean of p[n, j] over the trusted samples n of class i`,
///
/// and from there on `mean_n w_n ℓ_n` plus the center terms, with the loss `ℓ_n` of the experiment for
/// a trusted sample, and `-log Σ_i p[n,i] C[i][y_n]` for another.
///
/// # Parameters
/// `warmup_epochs` ≥ 1.
///
/// # Numerics
/// The matrix is made of predictions in evaluation, not augmented, in float64. A class without a trusted
/// sample has the row of the identity.
///
/// # Reference
/// Hendrycks et al. 2018, Using Trusted Data to Train Deep Networks on Labels Corrupted by Severe Noise,
/// algorithm 1, and their public code; what differs stands in the entry.
pub struct GoldCorrection {
    base: CenterObjective,
    warmup_epochs: usize,
    num_classes: usize,
    /// Which samples of the training part are trusted.
    trusted: Vec<bool>,
    matrix: EstimatedMatrix,
    /// The correction by the matrix, once that is known.
    correction: Option<ForwardCorrection>,
}

impl GoldCorrection {
    /// With samples of which some are `trusted`.
    pub fn new(
        base: CenterObjective,
        warmup_epochs: usize,
        trusted: Vec<bool>,
        num_classes: usize,
    ) -> Self {
        let matrix = EstimatedMatrix::new("gold.matrix", num_classes);
        Self { base, warmup_epochs, num_classes, trusted, matrix, correction: None }
    }

    fn correct(&mut self) {
        self.correction = self.matrix.transition().map(|matrix| ForwardCorrection::new(&matrix));
    }
}

/// `C`, from scores `[N, K]` of all samples and their given labels, which are right where `trusted`.
fn gold_matrix(scores: &[f32], given: &[u32], trusted: &[bool], num_classes: usize) -> Transition {
    let mut rows = vec![vec![0.0; num_classes]; num_classes];
    let mut counts = vec![0usize; num_classes];
    let samples = scores.chunks_exact(num_classes).zip(given).zip(trusted);
    for ((scores, &label), _) in samples.filter(|(_, trusted)| **trusted) {
        let top = scores.iter().fold(f64::NEG_INFINITY, |top, &s| top.max(f64::from(s)));
        let powers: Vec<f64> = scores.iter().map(|&s| (f64::from(s) - top).exp()).collect();
        let sum: f64 = powers.iter().sum();
        counts[label as usize] += 1;
        rows[label as usize].iter_mut().zip(powers).for_each(|(cell, power)| *cell += power / sum);
    }
    for (class, (row, &count)) in rows.iter_mut().zip(&counts).enumerate() {
        match count {
            0 => row[class] = 1.0,
            count => row.iter_mut().for_each(|cell| *cell /= count as f64),
        }
    }
    Transition::new(rows).expect("means of distributions")
}

/// The first of two losses `[N]` where a sample is `trusted`, else the second.
pub(super) fn by_trust(trusted: &[bool], first: Tensor<1>, second: Tensor<1>) -> Tensor<1> {
    let trusted = marks(trusted, &first);
    first * trusted.clone() + second * (-trusted + 1.0)
}

/// The mean of losses `[N]` over the batch, of which those of `trusted` samples alone count. Divided by N and
/// not by their number, so that each pulls as hard as it does when all count: with 5 of 128 it would be 25
/// times as hard, and a network that is trained so is sure of what it says and wrong.
pub(super) fn of_trusted(losses: Tensor<1>, trusted: &[bool]) -> Tensor<1> {
    let least = trusted.len() as f64;
    mean_of(losses.clone(), marks(trusted, &losses), least)
}

impl Objective for GoldCorrection {
    fn wants_survey(&self, epoch: usize) -> bool {
        epoch >= self.warmup_epochs && self.correction.is_none()
    }

    fn survey(&mut self, survey: Survey<'_>) {
        let matrix = gold_matrix(&survey.scores[0], survey.given, &self.trusted, self.num_classes);
        self.matrix.set(&matrix);
        self.correct();
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
        let own = self.base.losses(network, &output, batch.given.clone());
        let loss = match &self.correction {
            None => {
                let others = -marks(&trusted, &own) + 1.0;
                mean_of(weighted(own, batch), others, 0.0)
            }
            Some(correction) => {
                let scores = network.head.margin(output.scores.clone(), batch.given.clone());
                let corrected = correction.forward(scores, batch.given.clone());
                weighted(by_trust(&trusted, own, corrected), batch).mean()
            }
        };
        self.base.with_loss(loss, network, output)
    }

    fn state(&self) -> TensorMap {
        let mut state = TensorMap::new();
        self.matrix.save(&mut state);
        state
    }

    fn load(&mut self, mut state: TensorMap) -> Result<()> {
        self.matrix.take(&mut state)?;
        self.correct();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::CrossEntropy;
    use crate::objective::reference_case::ReferenceCase;
    use crate::tensors::floats;

    #[test]
    fn matrix_value_and_gradient_are_those_of_pytorch() {
        for case in ReferenceCase::all_of_objectives("gold") {
            let trusted: Vec<bool> =
                serde_json::from_value(case.params["trusted"].clone()).unwrap();
            let given: Vec<u32> = floats(case.given().float()).iter().map(|&y| y as u32).collect();
            let before = floats(case.matrix(&case.params["before"]));
            let matrix = gold_matrix(&before, &given, &trusted, 4);
            let expected = floats(case.matrix(&case.params["matrix"]));
            for (found, expected) in matrix.rows().iter().flatten().zip(&expected) {
                assert!((found - f64::from(*expected)).abs() < 1e-6, "{matrix:?}, {expected:?}");
            }
            let logits = case.input("logits").require_grad();
            let own = CrossEntropy.forward(logits.clone(), case.given());
            let corrected = ForwardCorrection::new(&matrix).forward(logits.clone(), case.given());
            case.agrees(by_trust(&trusted, own, corrected).mean(), &[("logits", &logits)]);
        }
    }

    #[test]
    fn a_trusted_sample_alone_pulls_as_hard_as_among_the_others() {
        let losses = |values: [f32; 4]| {
            Tensor::<1>::from_floats(values, &burn::tensor::Device::flex().autodiff())
                .require_grad()
        };
        let (alone, among) = (losses([2.0, 9.0, 9.0, 9.0]), losses([2.0, 9.0, 9.0, 9.0]));
        let trusted = [true, false, false, false];
        let pull = |losses: &Tensor<1>, mean: Tensor<1>| {
            floats(losses.grad(&mean.backward()).expect("the mean depends on it"))
        };
        let of_alone = pull(&alone, of_trusted(alone.clone(), &trusted));
        assert_eq!(of_alone, [0.25, 0.0, 0.0, 0.0]);
        assert_eq!(of_alone[0], pull(&among, among.clone().mean())[0]);
    }

    #[test]
    fn a_class_without_a_trusted_sample_is_believed() {
        let matrix = gold_matrix(&[0.0, 0.0, 9.0, 0.0], &[1, 0], &[true, false], 2);
        assert_eq!(matrix.rows(), [[1.0, 0.0], [0.5, 0.5]]);
    }
}
