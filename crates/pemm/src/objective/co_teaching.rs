//! Co-teaching: two networks, each of which learns from what the other finds easy.

use burn::tensor::{Tensor, TensorData};

use super::center::weighted;
use super::{Batch, CenterObjective, Objective, Progress, Terms};
use crate::model::{Classifier, Output};
use crate::rows::waits;
use crate::tensors::{floats, positions};

/// Co-teaching: in each step each network takes the `R(e)` share of the batch on which the *other*
/// has the smallest losses, and minimises its mean loss there, with
/// `R(e) = 1 - forget_rate · min((e + ramp_offset) / ramp_epochs, 1)` in epoch e (from 0). Center terms
/// of both networks are added.
///
/// # Parameters
/// `forget_rate` in `[0, 0.95]`: 0 trains two independent networks. `ramp_epochs` ≥ 1. `ramp_offset` ≥
/// 0: with 0 the first epoch leaves nothing out.
///
/// # Reference
/// Han et al. 2018, Co-teaching: Robust Training of Deep Neural Networks with Extremely Noisy Labels,
/// algorithm 1, and their public code; what differs stands in the entry.
pub struct CoTeaching {
    /// Loss per sample and terms of the centers.
    pub base: CenterObjective,
    /// Largest share of a batch that is left out.
    pub forget_rate: f64,
    /// Epochs until it is reached.
    pub ramp_epochs: usize,
    /// Epochs that the ramp is ahead in the first one.
    pub ramp_offset: usize,
}

impl CoTeaching {
    /// R(e), the share of a batch that is kept in `epoch`, from 0.
    fn kept(&self, epoch: usize) -> f64 {
        let ramp = (epoch + self.ramp_offset) as f64 / self.ramp_epochs as f64;
        1.0 - self.forget_rate * ramp.min(1.0)
    }
}

impl Objective for CoTeaching {
    fn num_networks(&self) -> usize {
        2
    }

    fn forward(
        &mut self,
        networks: &[Classifier],
        batch: &Batch,
        progress: &mut Progress<'_>,
    ) -> Terms {
        let outputs = forward_both(networks, batch, progress);
        let losses = losses_of_both(&self.base, networks, &outputs, batch);
        let chosen = easy_for_both(&losses, self.kept(progress.epoch));
        let [own, peer] = losses.map(|losses| weighted(losses, batch));
        let [easy_for_own, easy_for_peer] = chosen;
        let loss = mean_of(own, easy_for_peer, 0.0) + mean_of(peer, easy_for_own, 0.0);
        self.base.with_loss_of_two(loss, networks, outputs)
    }
}

/// The outputs of two networks on the images of a batch.
pub(super) fn forward_both(
    networks: &[Classifier],
    batch: &Batch,
    progress: &mut Progress<'_>,
) -> [Output; 2] {
    [0, 1].map(|k| networks[k].forward(batch.images.clone(), progress.rng))
}

/// The losses of two networks on a batch, each `[N]`.
pub(super) fn losses_of_both(
    base: &CenterObjective,
    networks: &[Classifier],
    outputs: &[Output; 2],
    batch: &Batch,
) -> [Tensor<1>; 2] {
    [0, 1].map(|k| base.losses(&networks[k], &outputs[k], batch.given.clone()))
}

/// Sum of `losses` `[N]` over the samples that are `chosen` `[N]`, 1 or 0 each, divided by their number, or by
/// `least` where that is more; 0 if none is.
pub(super) fn mean_of(losses: Tensor<1>, chosen: Tensor<1>, least: f64) -> Tensor<1> {
    let share = chosen.clone().sum().clamp_min(1.0).recip().clamp_max(1.0 / least.max(1.0));
    (losses * (chosen * share)).sum()
}

/// 1 where it is so, else 0, on the device of `like`.
pub(super) fn marks(is: &[bool], like: &Tensor<1>) -> Tensor<1> {
    let marks: Vec<f32> = is.iter().map(|&is| f32::from(u8::from(is))).collect();
    Tensor::from_data(TensorData::new(marks, [is.len()]), &like.device())
}

/// Which samples are among the `share` that each network finds easiest, 1 or 0 each.
fn easy_for_both(losses: &[Tensor<1>; 2], share: f64) -> [Tensor<1>; 2] {
    losses.each_ref().map(|losses| smallest(losses.clone().detach(), share))
}

/// Which samples are among the `share` with the smallest losses `[N]`, 1 or 0 each: at least one, the first of
/// equals.
fn smallest(losses: Tensor<1>, share: f64) -> Tensor<1> {
    let num = losses.dims()[0];
    let count = ((share * num as f64).ceil() as usize).clamp(1, num);
    if waits(&losses.device()) {
        return places(losses).lower_elem(count as f32).float();
    }
    let values = floats(losses.clone());
    let mut order: Vec<usize> = (0..num).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]).then(a.cmp(&b)));
    let mut chosen = vec![false; num];
    order[..count].iter().for_each(|&index| chosen[index] = true);
    marks(&chosen, &losses)
}

/// How many of the losses `[N]` come before each, from the smallest on. A sort would let a GPU wait for the host.
fn places(losses: Tensor<1>) -> Tensor<1> {
    let num = losses.dims()[0];
    let (row, numbers) = (losses.clone().unsqueeze_dim::<2>(0), positions(num, &losses.device()));
    let number_row = numbers.clone().unsqueeze_dim::<2>(0);
    // Some samples at a time: each is held against all.
    let of_some = |first: usize| {
        let length = AT_ONCE.min(num - first);
        let own = losses.clone().narrow(0, first, length).unsqueeze_dim::<2>(1);
        let number = numbers.clone().narrow(0, first, length).unsqueeze_dim::<2>(1);
        let is_smaller = row.clone().lower(own.clone());
        let is_first = row.clone().equal(own).bool_and(number_row.clone().lower(number));
        is_smaller.bool_or(is_first).float().sum_dim(1).squeeze_dim::<1>(1)
    };
    Tensor::cat((0..num).step_by(AT_ONCE).map(of_some).collect(), 0)
}

/// Samples that [`places`] holds against all others at once.
const AT_ONCE: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::{CrossEntropy, Loss};
    use crate::objective::reference_case::{ReferenceCase, objectives};
    use burn::tensor::Device;

    #[test]
    fn value_and_gradients_are_those_of_pytorch() {
        let cases = ReferenceCase::all_of_objectives("co_teaching");
        assert_eq!(cases.len(), 1);
        let case = &cases[0];
        let scores = ["own", "peer"].map(|name| case.input(name).require_grad());
        let losses =
            scores.each_ref().map(|scores| CrossEntropy.forward(scores.clone(), case.given()));
        let chosen = easy_for_both(&losses, case.params["share"].as_f64().unwrap());
        let [own, peer] = losses;
        let [easy_for_own, easy_for_peer] = chosen;
        let loss = mean_of(own, easy_for_peer, 0.0) + mean_of(peer, easy_for_own, 0.0);
        case.agrees(loss, &[("own", &scores[0]), ("peer", &scores[1])]);
    }

    #[test]
    fn the_ramp_of_the_preset_is_that_of_the_authors_code() {
        let layer = pemm_experiment::Layer::from_assignment("preset=co-teaching").unwrap();
        let config = pemm_experiment::Experiment::from_layers(&[layer]).unwrap().objective;
        let (parameters, method) = (config.parameters, config.kind.method());
        let known = &objectives()["co_teaching_ramp"];
        let base =
            CenterObjective { loss: Box::new(CrossEntropy), energy: None, reconstruction: 0.0 };
        let preset = CoTeaching {
            base,
            forget_rate: known["forget_rate"].as_f64().unwrap(),
            ramp_epochs: parameters.count_of(method, "ramp_epochs"),
            ramp_offset: parameters.count_of(method, "ramp_offset"),
        };
        let left_out: Vec<f64> = serde_json::from_value(known["left_out"].clone()).unwrap();
        assert!(left_out.len() > 10 && left_out[0] > 0.0);
        for (epoch, expected) in left_out.into_iter().enumerate() {
            let found = 1.0 - preset.kept(epoch);
            assert!((found - expected).abs() < 1e-12, "epoch {epoch}: {found}, not {expected}");
        }
        // Without an offset it is an epoch late.
        let late = CoTeaching { ramp_offset: 0, ..preset };
        assert_eq!(late.kept(0), 1.0);
    }

    #[test]
    fn the_smallest_losses_are_chosen() {
        let losses = Tensor::<1>::from_floats([0.5, 0.1, 0.5, 0.9, 0.5], &Device::flex());
        assert_eq!(floats(places(losses.clone())), [1.0, 0.0, 2.0, 4.0, 3.0]);
        let chosen = |share: f64| floats(smallest(losses.clone(), share));
        assert_eq!(chosen(0.6), [1.0, 1.0, 1.0, 0.0, 0.0]);
        assert_eq!(chosen(0.0), [0.0, 1.0, 0.0, 0.0, 0.0]);
        assert_eq!(chosen(0.8), [1.0, 1.0, 1.0, 0.0, 1.0]);
        assert_eq!(chosen(1.0), [1.0; 5]);
    }

    #[test]
    fn counting_finds_the_places_of_many() {
        let values: Vec<f32> = (0..2500).map(|n| ((n * 7919) % 613) as f32).collect();
        let losses = Tensor::<1>::from_floats(&values[..], &Device::flex());
        let mut order: Vec<usize> = (0..values.len()).collect();
        order.sort_by(|&a, &b| values[a].total_cmp(&values[b]).then(a.cmp(&b)));
        let found = floats(places(losses));
        assert!(order.iter().enumerate().all(|(place, &index)| found[index] == place as f32));
    }

    #[test]
    fn the_mean_is_over_the_chosen() {
        let losses = Tensor::<1>::from_floats([1.0, 2.0, 6.0], &Device::flex());
        let mean = |chosen: &[bool], least: f64| {
            mean_of(losses.clone(), marks(chosen, &losses), least).into_scalar::<f32>()
        };
        assert_eq!(mean(&[false, true, true], 0.0), 4.0);
        assert_eq!(mean(&[false, true, true], 1.5), 4.0);
        assert_eq!(mean(&[false, true, true], 4.0), 2.0);
        assert_eq!(mean(&[false; 3], 0.0), 0.0);
    }
}
