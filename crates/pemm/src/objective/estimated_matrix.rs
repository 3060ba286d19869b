//! A noise matrix that is estimated within a run, as a checkpoint holds it.

use pemm_data::noise::Transition;

use crate::error::{Error, Result};
use crate::tensors::{TensorMap, Values};

/// `P(given j | true i)`, `[K, K]`, once it was estimated. It passes through float32 as it does in a
/// checkpoint, so that a continued run corrects by the same numbers.
#[derive(Debug)]
pub(super) struct EstimatedMatrix {
    name: &'static str,
    num_classes: usize,
    values: Option<Vec<f32>>,
}

impl EstimatedMatrix {
    /// Not estimated yet; `name` stands in the checkpoint.
    pub(super) fn new(name: &'static str, num_classes: usize) -> Self {
        Self { name, num_classes, values: None }
    }

    /// Whether there is an estimate.
    pub(super) fn is_known(&self) -> bool {
        self.values.is_some()
    }

    /// Takes an estimate.
    pub(super) fn set(&mut self, estimate: &Transition) {
        self.values = Some(estimate.rows().iter().flatten().map(|&p| p as f32).collect());
    }

    /// The estimate, its rows summing to 1 again.
    pub(super) fn transition(&self) -> Option<Transition> {
        let normalised = |row: &[f32]| -> Vec<f64> {
            let sum: f64 = row.iter().map(|&p| f64::from(p)).sum();
            row.iter().map(|&p| f64::from(p) / sum).collect()
        };
        let rows = self.values.as_ref()?.chunks_exact(self.num_classes).map(normalised);
        Some(Transition::new(rows.collect()).expect("rows of probabilities"))
    }

    /// For the checkpoint.
    pub(super) fn save(&self, state: &mut TensorMap) {
        if let Some(data) = self.values.clone() {
            let shape = vec![self.num_classes; 2];
            state.insert(self.name.to_owned(), Values { shape, data });
        }
    }

    /// Takes its values out of a checkpoint, if they are in it.
    pub(super) fn take(&mut self, state: &mut TensorMap) -> Result<()> {
        let Some(Values { shape, data }) = state.remove(self.name) else { return Ok(()) };
        let is_distribution = |row: &[f32]| {
            row.iter().all(|p| (0.0..=1.0).contains(p)) && row.iter().sum::<f32>() > 0.0
        };
        if shape != [self.num_classes; 2]
            || !data.chunks_exact(self.num_classes).all(is_distribution)
        {
            let reason = format!("{} is no matrix of probabilities of the classes", self.name);
            return Err(Error::Weights { file: "objective".into(), reason });
        }
        self.values = Some(data);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_survives_a_checkpoint_and_what_is_none_is_refused() {
        let mut matrix = EstimatedMatrix::new("matrix", 2);
        let mut state = TensorMap::new();
        matrix.save(&mut state);
        assert!(state.is_empty() && matrix.transition().is_none());
        matrix.set(&Transition::new(vec![vec![0.7, 0.3], vec![0.1, 0.9]]).unwrap());
        matrix.save(&mut state);
        let mut other = EstimatedMatrix::new("matrix", 2);
        other.take(&mut state.clone()).unwrap();
        assert_eq!(other.transition(), matrix.transition());
        let none = EstimatedMatrix::new("matrix", 3).take(&mut state.clone()).unwrap_err();
        assert!(none.to_string().contains("matrix is no matrix of"), "{none}");
        state.get_mut("matrix").unwrap().data[0] = f32::NAN;
        assert!(other.take(&mut state).is_err());
    }
}
