//! Decoupling: two networks that learn only where they disagree.

use super::center::weighted;
use super::co_teaching::{forward_both, losses_of_both, mean_of};
use super::{Batch, CenterObjective, Objective, Progress, Terms};
use crate::model::Classifier;
use crate::tensors::argmax_rows;
use crate::tensors::floats;

/// Decoupling "when to update" from "how to update": in each step both networks minimise their mean
/// loss over those samples of the batch which they predict differently. Where they agree on all,
/// only the center terms move them. The first `warmup_epochs` train both on all samples.
///
/// # Parameters
/// `warmup_epochs` ≥ 0.
///
/// # Reference
/// Malach and Shalev-Shwartz 2017, Decoupling "when to update" from "how to update", algorithm 1.
/// Differs: predictions are averaged over both networks; they report one.
pub struct Decoupling {
    /// Loss per sample and terms of the centers.
    pub base: CenterObjective,
    /// Epochs on all samples.
    pub warmup_epochs: usize,
}

impl Objective for Decoupling {
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
        let chosen: Vec<bool> = if progress.epoch < self.warmup_epochs {
            vec![true; batch.indices.len()]
        } else {
            let predicted = outputs.each_ref().map(|output| {
                let num_classes = output.scores.dims()[1];
                argmax_rows(&floats(output.scores.clone()), num_classes)
            });
            predicted[0].iter().zip(&predicted[1]).map(|(a, b)| a != b).collect()
        };
        let [own, peer] = losses_of_both(&self.base, networks, &outputs, batch)
            .map(|losses| weighted(losses, batch));
        let loss = mean_of(own, &chosen) + mean_of(peer, &chosen);
        self.base.with_loss_of_two(loss, networks, outputs)
    }
}
