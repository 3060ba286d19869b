//! Runs for tests, with names that try to be markup.

use std::collections::BTreeMap;

use pemm_data::noise::NoiseManifest;
use pemm_runs::outputs::{Gallery, PartOutputs};
use pemm_runs::{
    CenterStats, DataRecord, Environment, EpochRecord, ModelRecord, NoiseRecord, Outputs, Record,
    Scored, Status,
};
use serde_json::json;

use crate::run::Stored;

/// A finished run of three classes with `num_epochs` epochs.
pub(crate) fn record(arm: &str, num_epochs: usize) -> Record {
    let experiment = json!({
        "arm": arm, "seed": 1, "preset": arm,
        "data": {"path": "data/<x>"},
        "noise": {"kind": "symmetric", "rate": 0.4},
        "loss": {"kind": "sce", "alpha": 0.1, "energy":
            {"kind": "potential", "u": 3.0, "v": 2.0, "xi": 2.0, "beta": 0.3}},
    });
    let environment = Environment::here("0.1.0", None, 2, "cpu");
    let noise = NoiseRecord {
        convention: "symmetric".into(),
        nominal_rate: 0.4,
        realised_rate: Some(0.4),
        num_samples: 6,
        num_flipped: Some(2),
        labels_sha256: "1".repeat(64),
        matrix_sha256: None,
    };
    let data = DataRecord {
        name: "<b>data</b> 😀".into(),
        data_sha256: "d".repeat(64),
        classes: ["<i>cat</i>", "do\"g", "f'ox & 🦊"].map(String::from).into(),
        num_train: 6,
        num_trusted: None,
        num_val: 0,
        num_test: 3,
        shape: [1, 2, 2],
        found_at: Default::default(),
        account: None,
    };
    let model = ModelRecord { num_parameters: 10, num_features: 4 };
    let mut record = Record::new(experiment, environment, noise, data, model).unwrap();
    record.set_epochs((1..=num_epochs).map(epoch).collect());
    record.status = Status::Finished;
    record
}

fn epoch(epoch: usize) -> EpochRecord {
    let learnt = 1.0 - 1.0 / epoch as f64;
    EpochRecord {
        epoch,
        learning_rate: 0.1,
        loss: 2.0 - learnt,
        terms: BTreeMap::from([("loss".into(), 3.0 - learnt), ("<energy>".into(), -1.0)]),
        train_accuracy_given: 0.5 * learnt,
        val_accuracy_given: Some(0.4 * learnt),
        mean_max_softmax: 0.5,
        mean_prediction_entropy: 0.7,
        centers: Some(CenterStats {
            min_distance: 0.4,
            mean_distance: 0.45,
            max_distance: 0.5,
            sum_with_origin: 2.7,
            energy: -7.0,
        }),
        images_per_sec: 100.0,
        seconds: 1.0,
        cpu_seconds: None,
        scored: Some(Scored {
            test_accuracy: Some(0.8 * learnt),
            test_balanced_accuracy: Some(0.8 * learnt),
            clean_fitted: Some(3),
            num_clean: Some(4),
            flipped_fitted: Some(1),
            flipped_corrected: Some(1),
            num_flipped: Some(2),
        }),
    }
}

/// Outputs that go with [`record`].
pub(crate) fn outputs() -> Outputs {
    let part = |num: usize| PartOutputs {
        num_classes: 3,
        probabilities: (0..num)
            .flat_map(|i| [[0.5, 0.25, 0.25], [0.25, 0.25, 0.5]][i % 2])
            .collect(),
        num_features: 4,
        features: (0..4 * num).map(|i| (i % 7) as f32).collect(),
    };
    Outputs {
        run: None,
        epoch: 3,
        train: part(6),
        given: vec![0, 1, 2, 0, 1, 2],
        clean: Some(vec![0, 1, 2, 0, 2, 0]),
        test: Some(part(3)),
        test_labels: vec![0, 2, 2],
        centers: Some((0..12).map(|i| (i * i % 5) as f32).collect()),
        gallery: Gallery {
            samples: vec![4, 2],
            names: vec!["</li><script>alert(1)</script>.png".into(), "😀.png".into()],
            shape: [2, 2, 1],
            pixels: vec![0, 80, 160, 255, 255, 160, 80, 0],
        },
    }
}

/// A run that stored everything.
pub(crate) fn stored(num_epochs: usize) -> Stored {
    let (clean, given) = ([0, 0, 1, 1, 2, 2], [0, 1, 1, 1, 0, 2]);
    Stored {
        path: "runs/x".into(),
        record: record("pemm", num_epochs),
        noise: Some(NoiseManifest::given(&given, Some(&clean), 3)),
        outputs: Some(outputs()),
        problems: Vec::new(),
    }
}
