use super::*;
use crate::epoch::tests::epoch;
use serde_json::json;

/// A finished record of one epoch with this test accuracy.
pub(crate) fn record(arm: &str, seed: u64, test: f64) -> Record {
    let experiment = json!({
        "arm": arm, "seed": seed,
        "data": {"path": "data/cifar10", "val_rate": 0.1},
        "noise": {"kind": "symmetric", "rate": 0.4},
        "model": {"backbone": "cnn8"}, "loss": {"name": arm},
        "optim": {"learning_rate": 0.01}, "schedule": {"epochs": 120},
    });
    build(experiment, test)
}

/// A finished record of one epoch of any experiment.
pub(crate) fn build(experiment: Value, test: f64) -> Record {
    let environment = Environment::here("0.1.0", None, 2, "cpu");
    let noise = NoiseRecord {
        convention: "symmetric".into(),
        nominal_rate: 0.4,
        realised_rate: Some(0.4),
        num_samples: 45_000,
        num_flipped: Some(18_000),
        labels_sha256: format!("{:064}", experiment["seed"].as_u64().unwrap_or(0)),
        matrix_sha256: None,
    };
    let data = DataRecord {
        name: "cifar10".into(),
        data_sha256: "d".repeat(64),
        classes: (0..10).map(|class| class.to_string()).collect(),
        num_train: 45_000,
        num_trusted: None,
        num_val: 5_000,
        num_test: 10_000,
        shape: [3, 32, 32],
        found_at: BTreeSet::new(),
        account: None,
    };
    let model = ModelRecord { num_parameters: 1_000_000, num_features: 256 };
    let mut record = Record::new(experiment, environment, noise, data, model).unwrap();
    record.set_epochs(vec![epoch(1, Some(0.5), Some(test))]);
    record.status = Status::Finished;
    record
}

#[test]
fn a_record_survives_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("record.json");
    let mut record = record("pemm", 1, 0.1 + 0.2);
    let mut epochs = record.epochs.clone();
    epochs[0].loss = f64::INFINITY;
    record.set_epochs(epochs);
    for status in [
        Status::Running,
        Status::Finished,
        Status::Interrupted,
        Status::Failed { step: 7, term: "energy".into(), message: "NaN".into() },
    ] {
        record.status = status;
        record.write(&path).unwrap();
        assert_eq!(Record::read(&path).unwrap(), record);
    }
    assert_eq!((record.seed(), record.total_seconds), (1, 2.5));
    assert_eq!(record.total_cpu_seconds, Some(4.0));
}

#[test]
fn tags_survive_and_none_leave_no_trace() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("record.json");
    let mut record = record("forward", 1, 0.5);
    record.write(&path).unwrap();
    assert!(!std::fs::read_to_string(&path).unwrap().contains("tags"));
    assert_eq!(Record::read(&path).unwrap().tags, Vec::<String>::new());
    record.tags = vec!["oracle".into()];
    record.write(&path).unwrap();
    assert_eq!(Record::read(&path).unwrap(), record);
}

#[test]
fn other_schemas_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("record.json");
    for schema in [0, 2] {
        std::fs::write(&path, format!(r#"{{"schema": {schema}, "all": "else"}}"#)).unwrap();
        let message = Record::read(&path).unwrap_err().to_string();
        assert!(message.contains(&format!("written under schema {schema}")), "{message}");
    }
}

#[test]
fn what_is_no_record_or_was_edited_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("record.json");
    record("pemm", 1, 0.9).write(&path).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    for (old, new, reason) in [
        ("\"schema\": 1", "\"schema\": \"1\"", "invalid type"),
        ("\"nominal_rate\": 0.4", "\"nominal_rate\": 40.0", "noise.nominal_rate: must be"),
        ("\"val_rate\": 0.1", "\"val_rate\": 0.2", "edited by hand"),
        ("\"epoch\": 1,\n      \"learning", "\"epoch\": 2,\n      \"learning", "epochs: number 1"),
        ("\"loss\": 1.5", "\"loss\": null", "invalid type: null"),
        ("\"identity\":", "\"surplus\": 1, \"identity\":", "unknown field `surplus`"),
        ("\"arm\": \"pemm\",\n  \"exp", "\"arm\": \"ce\",\n  \"exp", "experiment.arm"),
        ("\"train_accuracy_given\": 0.5", "\"train_accuracy_given\": 1.5", "within 0 and 1"),
        ("\"total_seconds\": 2.5", "\"total_seconds\": 0.5", "do not follow from `epochs`"),
        (
            "\"over\": 5,\n    \"last\": {\n      \"epoch\": 1",
            "\"over\": 5,\n    \"last\": {\n      \"epoch\": 7",
            "do not follow",
        ),
    ] {
        assert!(text.contains(old), "{old} in {text}");
        std::fs::write(&path, text.replace(old, new)).unwrap();
        let message = Record::read(&path).unwrap_err().to_string();
        assert!(message.contains(reason), "{message}");
        assert!(message.starts_with(&path.display().to_string()), "{message}");
    }
    std::fs::write(&path, &text[..text.len() / 2]).unwrap();
    assert!(Record::read(&path).unwrap_err().to_string().contains("line"));
}

#[test]
fn an_experiment_needs_arm_and_seed() {
    let good = record("pemm", 1, 0.9);
    for experiment in [json!({"seed": 1}), json!({"arm": "a"}), json!({"arm": "a", "seed": -1})] {
        let Record { environment, noise, data, model, .. } = good.clone();
        assert!(Record::new(experiment, environment, noise, data, model).is_err());
    }
}

#[test]
fn the_records_of_the_repository_are_the_same_runs_as_ever() {
    let records = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../records"));
    let mut seen = 0;
    for folder in std::fs::read_dir(records).unwrap() {
        let folder = folder.unwrap().path();
        if !folder.is_dir() {
            continue;
        }
        for file in std::fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            // Reading holds the identity against the experiment.
            let record = Record::read(&path).unwrap();
            let experiment = record.experiment().unwrap();
            record.check_same(&experiment, &path).unwrap();
            seen += 1;
        }
    }
    assert!(seen >= 459, "{seen} records");
}
