//! Forward or backward correction whose matrix is estimated within the run.

use burn::tensor::activation;
use pemm_data::noise::Transition;

use super::estimated_matrix::EstimatedMatrix;
use super::{Batch, CenterObjective, Objective, Progress, Terms};
use crate::error::{Error, Result};
use crate::loss::{LossKind, corrected};
use crate::model::Classifier;
use crate::rows::Rows;
use crate::tensors::{TensorMap, Values};

/// Names in [`Objective::state`].
const PREDICTIONS: &str = "forward.predictions";
const MATRIX: &str = "forward.matrix";

/// Cross entropy for some epochs, then [`ForwardCorrection`](crate::loss::ForwardCorrection) or
/// [`BackwardCorrection`](crate::loss::BackwardCorrection) with the matrix that the predictions of the
/// last of these epochs say ([`Transition::estimate`]).
///
/// The model goes on as it is; nothing is trained anew. The rest of the objective (energy,
/// reconstruction, sample weights) is the same before and after.
///
/// # Reference
/// Patrini et al. 2017, section 4; what differs stands in the entries of both losses.
pub struct EstimatedForward {
    inner: CenterObjective,
    /// The loss that corrects.
    kind: LossKind,
    after: usize,
    /// Of the estimate, where one is asked for.
    percentile: Option<f64>,
    num_classes: usize,
    /// Class probabilities seen in the epoch before the estimate, `[N, K]`.
    predictions: Rows,
    /// The estimate, once it is made.
    matrix: EstimatedMatrix,
}

impl EstimatedForward {
    /// `inner` with its cross entropy corrected as `kind` does from epoch `after` (counted from 0) on,
    /// which is 1 or more, by the matrix at `percentile` ([`Transition::estimate`]).
    pub fn new(
        inner: CenterObjective,
        kind: LossKind,
        after: usize,
        percentile: Option<f64>,
        num_classes: usize,
    ) -> Self {
        let matrix = EstimatedMatrix::new(MATRIX, num_classes);
        Self { inner, kind, after, percentile, num_classes, predictions: Rows::default(), matrix }
    }

    /// Corrects from now on, if the matrix is known.
    fn correct(&mut self) {
        if let Some(transition) = self.matrix.transition() {
            self.inner.loss = corrected(self.kind, &transition);
            self.predictions = Rows::default();
        }
    }
}

impl Objective for EstimatedForward {
    fn forward(
        &mut self,
        networks: &[Classifier],
        batch: &Batch,
        progress: &mut Progress<'_>,
    ) -> Terms {
        if progress.epoch >= self.after && !self.matrix.is_known() {
            let estimate =
                Transition::estimate(&self.predictions.values(), self.num_classes, self.percentile);
            self.matrix.set(&estimate);
            self.correct();
        }
        let terms = self.inner.forward(networks, batch, progress);
        if progress.epoch + 1 == self.after {
            self.predictions.add(activation::softmax(terms.scores.clone(), 1));
        }
        terms
    }

    fn state(&self) -> TensorMap {
        let mut state = TensorMap::new();
        self.matrix.save(&mut state);
        if state.is_empty() && !self.predictions.is_empty() {
            let data = self.predictions.values();
            let shape = vec![data.len() / self.num_classes, self.num_classes];
            let values = Values { shape, data };
            state.insert(PREDICTIONS.to_owned(), values);
        }
        state
    }

    fn load(&mut self, mut state: TensorMap) -> Result<()> {
        self.matrix.take(&mut state)?;
        self.correct();
        if let Some(Values { shape, data }) = state.remove(PREDICTIONS) {
            let is_share = data.iter().all(|p| (0.0..=1.0).contains(p));
            if shape.get(1) != Some(&self.num_classes) || !is_share {
                let reason = format!("{PREDICTIONS} are no probabilities of the classes");
                return Err(Error::Weights { file: "objective".into(), reason });
            }
            self.predictions = Rows::from_values(data);
        }
        Ok(())
    }
}
