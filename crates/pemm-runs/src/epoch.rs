//! The numbers of one epoch: a line of `log.jsonl` and an element of the record.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::number;

/// What one epoch of training gave. Rates and accuracies are 0–1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EpochRecord {
    /// Number of the epoch, from 1.
    pub epoch: usize,
    /// Learning rate at its end.
    #[serde(with = "number")]
    pub learning_rate: f64,
    /// Mean of the objective over the epoch.
    #[serde(with = "number")]
    pub loss: f64,
    /// Mean of each term of the objective.
    #[serde(with = "number::by_name")]
    pub terms: BTreeMap<String, f64>,
    /// Accuracy on the training part against its given (noisy) labels.
    #[serde(with = "number")]
    pub train_accuracy_given: f64,
    /// Accuracy on the validation part against its given (noisy) labels, if there is one.
    #[serde(with = "number::optional")]
    pub val_accuracy_given: Option<f64>,
    /// Mean over samples of the largest softmax value.
    #[serde(with = "number")]
    pub mean_max_softmax: f64,
    /// Mean over samples of the entropy of the prediction, in nats, 0 to ln K.
    #[serde(with = "number")]
    pub mean_prediction_entropy: f64,
    /// Geometry of the centers, if the head has centers.
    pub centers: Option<CenterStats>,
    /// Training images per second.
    #[serde(with = "number")]
    pub images_per_sec: f64,
    /// Duration of the epoch, with its evaluation.
    #[serde(with = "number")]
    pub seconds: f64,
    /// Processor time of the epoch, user and system, of all threads; unknown where the system does
    /// not tell it, and in records of versions before it was kept.
    #[serde(default, with = "number::optional", skip_serializing_if = "Option::is_none")]
    pub cpu_seconds: Option<f64>,
    /// What only the scorer knows, if it scored this epoch. Training never reads it.
    pub scored: Option<Scored>,
}

/// Geometry of the K centers at the end of an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CenterStats {
    /// Smallest distance of two centers.
    #[serde(with = "number")]
    pub min_distance: f64,
    /// Mean distance of two centers.
    #[serde(with = "number")]
    pub mean_distance: f64,
    /// Largest distance of two centers.
    #[serde(with = "number")]
    pub max_distance: f64,
    /// Sum of all K(K+1)/2 distances, those to the origin included (eq. 15's left side).
    #[serde(with = "number")]
    pub sum_with_origin: f64,
    /// Sum of the potential over all K(K+1)/2 pairs (eq. 11), neither weighted nor clamped.
    #[serde(with = "number")]
    pub energy: f64,
}

/// What the sealed labels say about an epoch; each value is absent where unknown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scored {
    /// Accuracy on the test part.
    #[serde(with = "number::optional")]
    pub test_accuracy: Option<f64>,
    /// Mean over the test classes of their recall.
    #[serde(with = "number::optional")]
    pub test_balanced_accuracy: Option<f64>,
    /// Training samples with a correct given label that are predicted as given.
    pub clean_fitted: Option<usize>,
    /// Training samples with a correct given label.
    pub num_clean: Option<usize>,
    /// Training samples with a wrong given label that are predicted as given: memorised mistakes.
    pub flipped_fitted: Option<usize>,
    /// Training samples with a wrong given label that are predicted as the clean one.
    pub flipped_corrected: Option<usize>,
    /// Training samples with a wrong given label.
    pub num_flipped: Option<usize>,
}

impl EpochRecord {
    /// Accuracy on the test part, if scored.
    pub fn test_accuracy(&self) -> Option<f64> {
        self.scored.as_ref()?.test_accuracy
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// An epoch with these accuracies and otherwise plain numbers.
    pub(crate) fn epoch(epoch: usize, val: Option<f64>, test: Option<f64>) -> EpochRecord {
        EpochRecord {
            epoch,
            learning_rate: 0.1,
            loss: 1.5,
            terms: BTreeMap::from([("sce".into(), 1.0), ("energy".into(), 0.5)]),
            train_accuracy_given: 0.5,
            val_accuracy_given: val,
            mean_max_softmax: 0.4,
            mean_prediction_entropy: 1.2,
            centers: None,
            images_per_sec: 1000.0,
            seconds: 2.5,
            cpu_seconds: Some(4.0),
            scored: test.map(|test| Scored { test_accuracy: Some(test), ..Scored::default() }),
        }
    }

    #[test]
    fn a_diverged_epoch_survives_its_line() {
        let mut diverged = epoch(3, Some(0.1), None);
        diverged.loss = f64::INFINITY;
        diverged.terms.insert("energy".into(), f64::NEG_INFINITY);
        diverged.centers = Some(CenterStats {
            min_distance: 0.0,
            mean_distance: 0.1 + 0.2,
            max_distance: f64::INFINITY,
            sum_with_origin: f64::INFINITY,
            energy: f64::INFINITY,
        });
        let line = serde_json::to_string(&diverged).unwrap();
        assert_eq!(serde_json::from_str::<EpochRecord>(&line).unwrap(), diverged);
        diverged.loss = f64::NAN;
        let line = serde_json::to_string(&diverged).unwrap();
        assert!(serde_json::from_str::<EpochRecord>(&line).unwrap().loss.is_nan());
    }

    #[test]
    fn lines_from_before_processor_time_was_kept_are_read() {
        let mut old = epoch(1, None, None);
        old.cpu_seconds = None;
        let line = serde_json::to_string(&old).unwrap();
        assert!(!line.contains("cpu_seconds"));
        assert_eq!(serde_json::from_str::<EpochRecord>(&line).unwrap(), old);
    }

    #[test]
    fn a_misspelt_field_is_refused() {
        let line = serde_json::to_string(&epoch(1, None, None)).unwrap();
        let line = line.replace("images_per_sec", "images_per_second");
        assert!(serde_json::from_str::<EpochRecord>(&line).is_err());
    }
}
