//! Forward correction whose matrix is estimated within the run.

use burn::tensor::activation;
use pemm_data::noise::Transition;

use super::{Batch, CenterObjective, Objective, Progress, Terms};
use crate::error::{Error, Result};
use crate::loss::ForwardCorrection;
use crate::model::Classifier;
use crate::tensors::{TensorMap, Values, floats};

/// Names in [`Objective::state`].
const PREDICTIONS: &str = "forward.predictions";
const MATRIX: &str = "forward.matrix";

/// Cross entropy for some epochs, then [`ForwardCorrection`] with the matrix that the predictions of
/// the last of these epochs say ([`Transition::estimate`]).
///
/// The model goes on as it is; nothing is trained anew. The rest of the objective (energy,
/// reconstruction, sample weights) is the same before and after.
///
/// # Reference
/// Patrini et al. 2017, section 4; what differs stands in the entry of `forward`.
pub struct EstimatedForward {
    inner: CenterObjective,
    after: usize,
    /// Of the estimate, where one is asked for.
    percentile: Option<f64>,
    num_classes: usize,
    /// Class probabilities seen in the epoch before the estimate, `[N, K]`.
    predictions: Vec<f32>,
    /// The estimate, `[K, K]`, once it is made.
    matrix: Option<Vec<f32>>,
}

impl EstimatedForward {
    /// `inner` with its cross entropy corrected from epoch `after` (counted from 0) on, which is 1 or
    /// more, by the matrix at `percentile` ([`Transition::estimate`]).
    pub fn new(
        inner: CenterObjective,
        after: usize,
        percentile: Option<f64>,
        num_classes: usize,
    ) -> Self {
        Self { inner, after, percentile, num_classes, predictions: Vec::new(), matrix: None }
    }

    /// Corrects from now on. The matrix passes through float32, as it does in a checkpoint.
    fn correct(&mut self, matrix: Vec<f32>) {
        let normalised = |row: &[f32]| -> Vec<f64> {
            let sum: f64 = row.iter().map(|&p| f64::from(p)).sum();
            row.iter().map(|&p| f64::from(p) / sum).collect()
        };
        let rows = matrix.chunks_exact(self.num_classes).map(normalised).collect();
        let transition = Transition::new(rows).expect("rows of probabilities");
        self.inner.loss = Box::new(ForwardCorrection::new(&transition));
        self.matrix = Some(matrix);
        self.predictions = Vec::new();
    }
}

impl Objective for EstimatedForward {
    fn forward(
        &mut self,
        networks: &[Classifier],
        batch: &Batch,
        progress: &mut Progress<'_>,
    ) -> Terms {
        if progress.epoch >= self.after && self.matrix.is_none() {
            let estimate =
                Transition::estimate(&self.predictions, self.num_classes, self.percentile);
            let matrix = estimate.rows().iter().flatten().map(|&p| p as f32).collect();
            self.correct(matrix);
        }
        let terms = self.inner.forward(networks, batch, progress);
        if progress.epoch + 1 == self.after {
            self.predictions.extend(floats(activation::softmax(terms.scores.clone(), 1)));
        }
        terms
    }

    fn state(&self) -> TensorMap {
        let classes = self.num_classes;
        let tensor = |name: &str, data: &[f32]| {
            let values = Values { shape: vec![data.len() / classes, classes], data: data.to_vec() };
            TensorMap::from([(name.to_owned(), values)])
        };
        match &self.matrix {
            Some(matrix) => tensor(MATRIX, matrix),
            None if self.predictions.is_empty() => TensorMap::new(),
            None => tensor(PREDICTIONS, &self.predictions),
        }
    }

    fn load(&mut self, mut state: TensorMap) -> Result<()> {
        let refuse = |name: &str, reason: &str| {
            Err(Error::Weights { file: "objective".into(), reason: format!("{name} {reason}") })
        };
        let is_share = |data: &[f32]| data.iter().all(|p| (0.0..=1.0).contains(p));
        if let Some(Values { shape, data }) = state.remove(MATRIX) {
            let has_mass = |row: &[f32]| row.iter().sum::<f32>() > 0.0;
            if shape != [self.num_classes; 2]
                || !is_share(&data)
                || !data.chunks_exact(self.num_classes).all(has_mass)
            {
                return refuse(MATRIX, "is no matrix of probabilities of the classes");
            }
            self.correct(data);
        } else if let Some(Values { shape, data }) = state.remove(PREDICTIONS) {
            if shape.get(1) != Some(&self.num_classes) || !is_share(&data) {
                return refuse(PREDICTIONS, "are no probabilities of the classes");
            }
            self.predictions = data;
        }
        Ok(())
    }
}
