//! A graphical model of wrong labels: of three types, told by a second network, and summed out exactly.

use burn::tensor::{Int, Tensor, TensorData, activation};
use pemm_data::noise::Transition;

use super::center::weighted;
use super::co_teaching::forward_both;
use super::gold::{by_trust, of_trusted};
use super::{Batch, CenterObjective, Objective, Progress, Terms};
use crate::loss::{ForwardCorrection, Loss, log_probability};
use crate::model::Classifier;

/// The graphical model `p(ỹ, y, z | x) = p(ỹ | y, z) p(y | x) p(z | x)` of given labels ỹ, classes y and
/// types z of a label: right, random or confusing, with
///
/// `p(ỹ | y, z) = [ỹ = y]`, `[ỹ ≠ y] / (K - 1)` and `C[y][ỹ]`.
///
/// Two networks give p(y | x) and p(z | x), and are trained on, over a batch of N,
///
/// - a trusted sample: `ℓ_n` of its label, and cross entropy of its type;
/// - another, from epoch `warmup_epochs` on: `-log Σ_z p(z | x_n) Σ_y p(y | x_n) p(ỹ_n | y, z)`,
///
/// of which the mean is taken over the batch, in which another counts 0 until then, plus the center terms of
/// the first network. C, and the type of a trusted sample, are read off what trusted samples were called
/// before somebody looked ([`ConfusingLabels`]).
///
/// # Parameters
/// `warmup_epochs` ≥ 1.
///
/// # Numerics
/// In log-probabilities, with exact sums over types and classes. The second network has K outputs, of
/// which the first three are used. With two classes random and confusing are the same, and there are two
/// types.
///
/// # Reference
/// Xiao et al. 2015, Learning from Massive Noisy Labeled Data for Image Classification, and their public
/// code; what differs stands in the entry.
pub struct GraphicalModel {
    base: CenterObjective,
    warmup_epochs: usize,
    /// `p(ỹ | y, z)` of each type.
    types: Vec<ForwardCorrection>,
    /// Type of each sample of the training part that is trusted.
    trusted: Vec<Option<usize>>,
}

/// What trusted samples were called before somebody looked at them.
#[derive(Debug, Clone, PartialEq)]
pub struct ConfusingLabels {
    /// `C[y][ỹ]`, rows sum to 1: of the wrong labels of a class the most frequent, as many as make its wrong
    /// labels most likely when the rest is random; often it is one. A class without a wrong label has all
    /// others alike.
    pub matrix: Transition,
    /// Type of each sample that is trusted: 0 right, 1 random, 2 confusing.
    pub types: Vec<Option<usize>>,
}

impl ConfusingLabels {
    /// From the labels `given` now and those `before`, of the samples that are trusted.
    pub fn of(given: &[u32], before: &[Option<u32>], num_classes: usize) -> Self {
        let mut counts = vec![vec![0.0; num_classes]; num_classes];
        for (&class, before) in given.iter().zip(before) {
            if let Some(label) = before {
                counts[class as usize][*label as usize] += f64::from(u8::from(class != *label));
            }
        }
        let rows: Vec<Vec<f64>> =
            (0..).zip(&counts).map(|(class, row)| confusing(row, class)).collect();
        let chance = 1.0 / (num_classes - 1) as f64;
        let of_sample = |class: u32, label: u32| {
            let is_confusing = rows[class as usize][label as usize] >= chance;
            if class == label { 0 } else { 1 + usize::from(is_confusing) }
        };
        let samples = given.iter().zip(before);
        let types = samples.map(|(&class, was)| was.map(|label| of_sample(class, label))).collect();
        Self { matrix: Transition::new(rows).expect("rows of shares"), types }
    }
}

/// The row of C of `class`, from how often each label was given to it, 0 for its own.
fn confusing(counts: &[f64], class: usize) -> Vec<f64> {
    let (sum, others) = (counts.iter().sum::<f64>(), (counts.len() - 1) as f64);
    if sum == 0.0 {
        return (0..counts.len()).map(|k| if k == class { 0.0 } else { 1.0 / others }).collect();
    }
    let mut order: Vec<usize> = (0..counts.len()).filter(|&k| counts[k] > 0.0).collect();
    order.sort_by(|&a, &b| counts[b].total_cmp(&counts[a]).then(b.cmp(&a)));
    // How likely the wrong labels are if the first `num` are confusing and the rest is random.
    let likelihood = |num: usize| {
        let kept: f64 = order[..num].iter().map(|&k| counts[k]).sum();
        let confusing: f64 =
            order[..num].iter().map(|&k| counts[k] * (counts[k] / kept).ln()).sum();
        confusing - (sum - kept) * others.ln()
    };
    let mut best = 1;
    for num in 2..=order.len() {
        if likelihood(num) >= likelihood(best) {
            best = num;
        }
    }
    let kept: f64 = order[..best].iter().map(|&k| counts[k]).sum();
    let mut row = vec![0.0; counts.len()];
    order[..best].iter().for_each(|&k| row[k] = counts[k] / kept);
    row
}

impl GraphicalModel {
    /// With trusted samples that tell which labels are confusing.
    pub fn new(base: CenterObjective, warmup_epochs: usize, labels: &ConfusingLabels) -> Self {
        let num_classes = labels.matrix.num_classes();
        let random = |row: usize| {
            let share = 1.0 / (num_classes - 1) as f64;
            (0..num_classes).map(|k| if k == row { 0.0 } else { share }).collect()
        };
        let random = Transition::new((0..num_classes).map(random).collect());
        let mut types = vec![Transition::identity(num_classes), random.expect("rows of shares")];
        types.push(labels.matrix.clone());
        // With two classes the last two are the same.
        types.truncate(num_classes);
        let last = types.len() - 1;
        Self {
            base,
            warmup_epochs,
            types: types.iter().map(ForwardCorrection::new).collect(),
            trusted: labels.types.iter().map(|of| of.map(|of| of.min(last))).collect(),
        }
    }

    /// `-log Σ_z p(z | x) Σ_y p(y | x) p(ỹ | y, z)`: scores of the classes `[N, K]`, of the types
    /// `[N, Z]`, given `[N]` → `[N]`.
    fn marginal(&self, classes: Tensor<2>, types: Tensor<2>, given: Tensor<1, Int>) -> Tensor<1> {
        let of_type = |correction: &ForwardCorrection| {
            -correction.forward(classes.clone(), given.clone()).unsqueeze_dim::<2>(1) // [N, 1]
        };
        let logs = Tensor::cat(self.types.iter().map(of_type).collect(), 1); // [N, Z]
        let logs = logs + activation::log_softmax(types, 1);
        let largest = logs.clone().detach().max_dim(1);
        let sums = (logs - largest.clone()).exp().sum_dim(1).log() + largest;
        -sums.squeeze_dim::<1>(1)
    }
}

impl Objective for GraphicalModel {
    fn num_networks(&self) -> usize {
        2
    }

    fn forward(
        &mut self,
        networks: &[Classifier],
        batch: &Batch,
        progress: &mut Progress<'_>,
    ) -> Terms {
        let [output, peer] = forward_both(networks, batch, progress);
        let (num, num_types) = (batch.indices.len(), self.types.len());
        let types = peer.scores.narrow(1, 0, num_types); // [N, Z]
        let known = batch.pick(&self.trusted);
        let of_known: Vec<i64> = known.iter().map(|of| of.unwrap_or(0) as i64).collect();
        let of_known =
            Tensor::<1, Int>::from_data(TensorData::new(of_known, [num]), &types.device());
        let own = self.base.losses(&networks[0], &output, batch.given.clone());
        let supervised = own - log_probability(types.clone(), of_known);
        let trusted: Vec<bool> = known.iter().map(Option::is_some).collect();
        let loss = if progress.epoch < self.warmup_epochs {
            of_trusted(weighted(supervised, batch), &trusted)
        } else {
            let marginal = self.marginal(output.scores.clone(), types, batch.given.clone());
            weighted(by_trust(&trusted, supervised, marginal), batch).mean()
        };
        self.base.with_loss(loss, &networks[0], output)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::CrossEntropy;
    use crate::objective::reference_case::{ReferenceCase, objectives};
    use serde_json::Value;

    fn model(labels: &ConfusingLabels) -> GraphicalModel {
        let base =
            CenterObjective { loss: Box::new(CrossEntropy), energy: None, reconstruction: 0.0 };
        GraphicalModel::new(base, 1, labels)
    }

    fn rows(value: &Value) -> Vec<Vec<f64>> {
        serde_json::from_value(value.clone()).unwrap()
    }

    #[test]
    fn the_marginal_and_its_gradients_are_those_of_the_posterior() {
        for case in ReferenceCase::all_of_objectives("graphical") {
            let matrix = Transition::new(rows(&case.params["matrix"])).unwrap();
            let model = model(&ConfusingLabels { matrix, types: Vec::new() });
            let classes = case.input("classes").require_grad();
            let types = case.input("types").require_grad();
            let found = model.marginal(classes.clone(), types.clone(), case.given()).mean();
            case.agrees(found, &[("classes", &classes), ("types", &types)]);
        }
    }

    #[test]
    fn confusing_labels_are_those_of_the_authors_script() {
        let known = &objectives()["confusing"];
        let numbers =
            |key: &str| -> Vec<u32> { serde_json::from_value(known[key].clone()).unwrap() };
        let (given, before) = (numbers("clean"), numbers("noisy"));
        let before: Vec<Option<u32>> = before.into_iter().map(Some).collect();
        let found = ConfusingLabels::of(&given, &before, 5);
        for (a, b) in
            found.matrix.rows().iter().flatten().zip(rows(&known["matrix"]).iter().flatten())
        {
            assert!((a - b).abs() < 1e-12, "{:?}", found.matrix);
        }
        let types: Vec<Option<usize>> =
            numbers("types").iter().map(|&of| Some(of as usize)).collect();
        assert_eq!(found.types, types);
        for of in 0..3 {
            assert!(types.contains(&Some(of)), "each type is seen");
        }
    }

    #[test]
    fn samples_that_are_not_trusted_tell_nothing() {
        let found = ConfusingLabels::of(&[0, 0, 1, 1], &[None, Some(1), None, Some(1)], 2);
        assert_eq!(found.types, [None, Some(2), None, Some(0)]);
    }

    #[test]
    fn of_two_classes_there_are_two_types() {
        let found = ConfusingLabels::of(&[0, 1], &[Some(1), Some(1)], 2);
        assert_eq!(found.matrix.rows(), [[0.0, 1.0], [1.0, 0.0]]);
        let model = model(&found);
        assert_eq!((model.types.len(), &model.trusted[..]), (2, &[Some(1), Some(0)][..]));
    }
}
