//! Iterative detection: samples that lie apart from their class are found by the features that are
//! learned with the finding.

use burn::tensor::{Int, Tensor, TensorData};
use pemm_audit::outliers::local_outlier_factors;
use pemm_data::Rng;

use super::center::times;
use super::epoch_memory::EpochMemory;
use super::{Batch, CenterObjective, Objective, Progress, Survey, Terms};
use crate::error::Result;
use crate::model::Classifier;
use crate::tensors::{TensorMap, floats};

/// Iterative detection of labels that do not belong to their sample, those outside of all classes too.
///
/// Before epochs `warmup_epochs`, `+ detect_every`, `+ 2 detect_every` … the local outlier factor of each
/// sample is taken among the samples of its given class, by the cosine of the features. The mean of
/// `1 / factor` over all detections so far is the sample's score; the `outlier_share` of each class with
/// the smallest scores are its outliers. Between detections:
///
/// `mean_n w_n ℓ_n + contrast · mean over pairs of (d² if alike, max(0, 1 - d)² if not)`
///
/// plus the center terms: w is an outlier's score and 1 for another, d the distance of the features of a
/// pair. Each sample of a batch that is no outlier is paired with the next such sample of its class
/// (alike), with an outlier of its class, and with such a sample of another class (not alike).
///
/// # Parameters
/// `warmup_epochs` ≥ 1, in which none is an outlier. `detect_every` ≥ 1 epochs. `neighbor_share` in
/// `(0, 1]`: neighbours, of the class's samples. `outlier_share` in `[0, 1)`. `contrast` ≥ 0.
///
/// # Reference
/// Wang et al. 2018, Iterative Learning with Open-set Noisy Labels, and their public code; what differs
/// stands in the entry.
pub struct IterativeDetection {
    base: CenterObjective,
    parameters: IterativeParameters,
    num_classes: usize,
    /// Sum of a sample's scores over the detections, and 1 where it is an outlier.
    memory: EpochMemory,
    /// Number of detections, one value.
    rounds: EpochMemory,
}

/// Settings of [`IterativeDetection`].
#[derive(Debug, Clone, Copy)]
pub struct IterativeParameters {
    /// Epochs before the first detection.
    pub warmup_epochs: usize,
    /// Epochs from one detection to the next.
    pub detect_every: usize,
    /// Neighbours, as a share of a class's samples.
    pub neighbor_share: f64,
    /// Outliers, as a share of a class's samples.
    pub outlier_share: f64,
    /// Weight of the pairs.
    pub contrast: f64,
}

/// Distance beyond which samples that are not alike are left alone.
const MARGIN: f64 = 1.0;
/// Smallest squared distance, below which it has no gradient.
const LEAST_SQUARE: f64 = 1e-7;

impl IterativeDetection {
    /// Over `num_samples` training samples, none of them an outlier yet.
    pub fn new(
        base: CenterObjective,
        parameters: IterativeParameters,
        num_samples: usize,
        num_classes: usize,
    ) -> Self {
        let memory = EpochMemory::new("outliers", num_samples, 2, 0.0);
        let rounds = EpochMemory::new("rounds", 1, 1, 0.0);
        Self { base, parameters, num_classes, memory, rounds }
    }

    /// Adds a detection by these features, `[N, D]`.
    fn detect(&mut self, features: &[f32], given: &[u32]) {
        let num_features = features.len() / given.len().max(1);
        self.rounds.row_mut(0)[0] += 1.0;
        for class in 0..self.num_classes as u32 {
            let members: Vec<u32> =
                (0..).zip(given).filter(|(_, label)| **label == class).map(|(i, _)| i).collect();
            let rows: Vec<f32> = members
                .iter()
                .flat_map(|&i| &features[i as usize * num_features..][..num_features])
                .copied()
                .collect();
            let count = |share: f64| (share * members.len() as f64).round() as usize;
            let neighbors = count(self.parameters.neighbor_share).max(1);
            let num_outliers = count(self.parameters.outlier_share);
            let factors = local_outlier_factors(&rows, num_features, neighbors);
            for (&member, factor) in members.iter().zip(factors) {
                self.memory.row_mut(member)[0] += (1.0 / factor) as f32;
            }
            let mut order = members;
            let memory = &mut self.memory;
            let mut score = |member: u32| memory.row_mut(member)[0];
            order.sort_by(|&a, &b| score(a).total_cmp(&score(b)).then(a.cmp(&b)));
            for (place, &member) in order.iter().enumerate() {
                let is_outlier = place < num_outliers;
                self.memory.row_mut(member)[1] = f32::from(u8::from(is_outlier));
            }
        }
    }

    /// Weight of a sample, and whether it is an outlier.
    fn judged(&mut self, sample: u32) -> (f32, bool) {
        let rounds = self.rounds.values()[0];
        match *self.memory.row_mut(sample) {
            [sum, mark] if mark > 0.0 => (sum / rounds, true),
            _ => (1.0, false),
        }
    }
}

/// Pairs of positions in a batch.
#[derive(Debug, Default, PartialEq)]
struct Pairs {
    first: Vec<i64>,
    second: Vec<i64>,
    /// 1 where both should be alike, else 0.
    alike: Vec<f32>,
}

impl Pairs {
    /// The pairs of a batch with these given labels, some of them of outliers.
    fn of(given: &[u32], is_outlier: &[bool], rng: &mut Rng) -> Self {
        let positions = |outlier: bool, keep: &dyn Fn(u32) -> bool| -> Vec<usize> {
            let all = 0..given.len();
            all.filter(|&i| is_outlier[i] == outlier && keep(given[i])).collect()
        };
        let mut pairs = Self::default();
        for first in positions(false, &|_| true) {
            let class = given[first];
            let own = positions(false, &|label| label == class);
            let place = own.iter().position(|&other| other == first).expect("it is one of them");
            let outliers = positions(true, &|label| label == class);
            let others = positions(false, &|label| label != class);
            if own.len() > 1 {
                pairs.push(first, own[(place + 1) % own.len()], true);
            }
            if !outliers.is_empty() {
                pairs.push(first, outliers[place % outliers.len()], false);
            }
            if !others.is_empty() {
                pairs.push(first, others[rng.below(others.len())], false);
            }
        }
        pairs
    }

    fn push(&mut self, first: usize, second: usize, alike: bool) {
        self.first.push(first as i64);
        self.second.push(second as i64);
        self.alike.push(f32::from(u8::from(alike)));
    }

    /// Mean of `d²` or `max(0, 1 - d)²` over the pairs, of features `[N, D]`; `None` without a pair.
    fn contrast(self, features: Tensor<2>) -> Option<Tensor<1>> {
        let num = self.alike.len();
        if num == 0 {
            return None;
        }
        let device = features.device();
        let rows = |positions: Vec<i64>| {
            let positions = Tensor::<1, Int>::from_data(TensorData::new(positions, [num]), &device);
            features.clone().select(0, positions)
        };
        let squares = (rows(self.first) - rows(self.second)).square().sum_dim(1);
        let squares = squares.squeeze_dim::<1>(1).clamp_min(LEAST_SQUARE);
        let alike = Tensor::<1>::from_data(TensorData::new(self.alike, [num]), &device);
        let near = (-squares.clone().sqrt() + MARGIN).clamp_min(0.0).square();
        Some((squares * alike.clone() + near * (-alike + 1.0)).mean())
    }
}

impl Objective for IterativeDetection {
    fn wants_survey(&self, epoch: usize) -> bool {
        let since = epoch.checked_sub(self.parameters.warmup_epochs);
        since.is_some_and(|since| since.is_multiple_of(self.parameters.detect_every))
    }

    fn wants_features(&self) -> bool {
        true
    }

    fn survey(&mut self, survey: Survey<'_>) {
        self.detect(&survey.features, survey.given);
    }

    fn forward(
        &mut self,
        networks: &[Classifier],
        batch: &Batch,
        progress: &mut Progress<'_>,
    ) -> Terms {
        let network = &networks[0];
        let output = network.forward(batch.images.clone(), progress.rng);
        let losses = self.base.weighted_losses(network, &output, batch);
        let (weights, is_outlier): (Vec<f32>, Vec<bool>) =
            batch.indices.iter().map(|&i| self.judged(i)).unzip();
        let losses = times(losses, weights);
        let given = floats(batch.given.clone().float());
        let given: Vec<u32> = given.into_iter().map(|label| label as u32).collect();
        let pairs = Pairs::of(&given, &is_outlier, progress.rng);
        let mut terms = vec![("loss", losses.mean())];
        if let Some(contrast) = pairs.contrast(output.features.clone()) {
            terms.push(("contrast", contrast * self.parameters.contrast));
        }
        terms.extend(self.base.center_terms(network, &output));
        Terms::of(terms, output.scores)
    }

    fn state(&self) -> TensorMap {
        let mut state = TensorMap::new();
        self.memory.save(&mut state);
        self.rounds.save(&mut state);
        state
    }

    fn load(&mut self, mut state: TensorMap) -> Result<()> {
        self.memory.take(&mut state)?;
        self.rounds.take(&mut state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::CrossEntropy;
    use crate::objective::reference_case::ReferenceCase;
    use pemm_data::{Stream, Streams};

    fn objective(num_samples: usize, outlier_share: f64) -> IterativeDetection {
        let base =
            CenterObjective { loss: Box::new(CrossEntropy), energy: None, reconstruction: 0.0 };
        let parameters = IterativeParameters {
            warmup_epochs: 2,
            detect_every: 3,
            neighbor_share: 0.4,
            outlier_share,
            contrast: 1.0,
        };
        IterativeDetection::new(base, parameters, num_samples, 2)
    }

    fn rng() -> Rng {
        Streams::new(1).open(Stream::Step)
    }

    #[test]
    fn value_and_gradient_are_those_of_pytorch() {
        for case in ReferenceCase::all_of_objectives("contrast") {
            let list = |key: &str| -> Vec<i64> {
                serde_json::from_value(case.params[key].clone()).unwrap()
            };
            let alike = list("alike").iter().map(|&alike| alike as f32).collect();
            let pairs = Pairs { first: list("first"), second: list("second"), alike };
            let features = case.input("features").require_grad();
            let found = pairs.contrast(features.clone()).unwrap();
            case.agrees(found, &[("features", &features)]);
        }
    }

    #[test]
    fn each_inlier_is_paired_with_an_inlier_and_an_outlier_of_its_class_and_with_another_class() {
        let given = [0, 0, 0, 1, 0];
        let pairs = Pairs::of(&given, &[false, true, false, false, false], &mut rng());
        assert_eq!(pairs.first, [0, 0, 0, 2, 2, 2, 3, 4, 4, 4]);
        assert_eq!(pairs.alike, [1., 0., 0., 1., 0., 0., 0., 1., 0., 0.]);
        let alike = [pairs.second[0], pairs.second[3], pairs.second[7]];
        assert_eq!(alike, [2, 4, 0], "the next of the class, and then the first again");
        assert_eq!([pairs.second[1], pairs.second[4], pairs.second[8]], [1; 3], "the outlier");
        assert_eq!([pairs.second[2], pairs.second[5], pairs.second[9]], [3; 3]);
        assert!([0, 2, 4].contains(&pairs.second[6]), "an inlier of another class");
        let alone = Pairs::of(&[0, 1], &[false, true], &mut rng());
        assert_eq!(alone, Pairs::default(), "nothing to pair with");
    }

    #[test]
    fn outliers_are_found_weighed_by_their_scores_and_kept() {
        // Two classes of ten along the axes; sample 9 and sample 19 lie along the other's.
        let row = |i: usize| {
            let small = 0.02 * (i % 10) as f32;
            if (i < 10) ^ (i % 10 == 9) { [1.0, small] } else { [small, 1.0] }
        };
        let features: Vec<f32> = (0..20).flat_map(row).collect();
        let given: Vec<u32> = (0..20).map(|i| u32::from(i >= 10)).collect();
        let mut found = objective(20, 0.1);
        assert_eq!(found.judged(9), (1.0, false));
        for round in 1..=2 {
            found.detect(&features, &given);
            for sample in 0..20 {
                let (weight, is_outlier) = found.judged(sample);
                assert_eq!(is_outlier, sample % 10 == 9, "{sample} in round {round}");
                assert_eq!(weight < 0.1, is_outlier, "{sample}: {weight}");
            }
        }
        let mut continued = objective(20, 0.1);
        continued.load(found.state()).unwrap();
        for sample in 0..20 {
            assert_eq!(continued.judged(sample), found.judged(sample));
        }
        assert!(continued.load(TensorMap::new()).is_err());
    }

    #[test]
    fn detections_come_after_the_warm_up_and_again() {
        let objective = objective(4, 0.5);
        let at: Vec<usize> = (0..9).filter(|&epoch| objective.wants_survey(epoch)).collect();
        assert_eq!(at, [2, 5, 8]);
    }
}
