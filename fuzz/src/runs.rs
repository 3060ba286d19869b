//! Files that runs leave behind.

use std::collections::BTreeMap;

use pemm_data::Score;
use pemm_data::noise::NoiseManifest;
use pemm_experiment::Experiment;
use pemm_runs::folder::{ENSEMBLE, EXPERIMENT, LOG};
use pemm_runs::outputs::{Gallery, PartOutputs};
use pemm_runs::{
    Bond, DataRecord, EnsembleMember, EnsembleRecord, Environment, EpochRecord, ModelRecord,
    NoiseRecord, Outputs, PartScores, Record, RunFolder,
};

use crate::settings::facts;
use crate::{MIB, Target, place};

/// JSON becomes values of many times its size.
const MAX_BYTES: usize = 256 * MIB;

pub(crate) const TARGETS: [Target; 6] = [
    Target { name: "record", seeds: records, read: read_record, max_bytes: MAX_BYTES },
    Target { name: "ensemble", seeds: ensembles, read: read_ensemble, max_bytes: MAX_BYTES },
    Target { name: "log", seeds: logs, read: read_log, max_bytes: MAX_BYTES },
    Target { name: "noise", seeds: manifests, read: read_manifest, max_bytes: MAX_BYTES },
    Target {
        name: "environment",
        seeds: environments,
        read: read_environment,
        max_bytes: MAX_BYTES,
    },
    Target { name: "outputs", seeds: outputs, read: read_outputs, max_bytes: MAX_BYTES },
];

fn epoch(number: usize) -> EpochRecord {
    EpochRecord {
        epoch: number,
        learning_rate: 0.1,
        loss: f64::NAN,
        terms: BTreeMap::from([("sce".into(), 1.0)]),
        train_accuracy_given: 0.5,
        val_accuracy_given: Some(0.25),
        mean_max_softmax: 0.4,
        mean_prediction_entropy: 1.2,
        centers: None,
        images_per_sec: f64::INFINITY,
        seconds: 2.5,
        cpu_seconds: Some(4.0),
        scored: None,
    }
}

/// A record of two epochs.
fn record() -> Record {
    let experiment = Experiment::from_layers(&[]).expect("the built-in default is right");
    let plan = experiment.resolve(facts(false)).expect("the built-in default is right");
    let noise = NoiseRecord {
        convention: "symmetric".into(),
        nominal_rate: 0.4,
        realised_rate: Some(0.4),
        num_samples: 10,
        num_flipped: Some(4),
        labels_sha256: "0".repeat(64),
        matrix_sha256: None,
    };
    let data = DataRecord {
        name: "digits".into(),
        data_sha256: "d".repeat(64),
        classes: vec!["a".into(), "b".into()],
        num_train: 3,
        num_trusted: None,
        num_val: 5,
        num_test: 1,
        shape: [1, 8, 8],
        found_at: Default::default(),
        account: None,
    };
    let model = ModelRecord { num_parameters: 100, num_features: 2 };
    let environment = Environment::here("0.1.0", None, 2, "cpu");
    let mut record = Record::new(plan.value(), environment, noise, data, model)
        .expect("a resolved experiment has an arm and a seed");
    record.set_epochs(vec![epoch(1), epoch(2)]);
    record
}

fn json(value: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("records are plain data")
}

fn records() -> Vec<Vec<u8>> {
    vec![json(&record())]
}

fn ensembles() -> Vec<Vec<u8>> {
    let member =
        |run: &str| EnsembleMember { run: run.into(), identity: record().identity, epoch: 2 };
    let part = PartScores::from(&Score::of(2, &[0, 1], &[0.75, 0.25, 0.5, 0.5]));
    let members = vec![member("elr"), member("pemm")];
    vec![json(&EnsembleRecord::new(members, Some(part), None))]
}

fn read_ensemble(bytes: &[u8]) {
    let folder = place::folder("ensemble");
    place::write(&folder, ENSEMBLE, bytes);
    if let Ok(Some(ensemble)) = EnsembleRecord::read(&folder) {
        ensemble.write(&folder).expect("what was read can be written");
        let again = EnsembleRecord::read(&folder).expect("what was written can be read");
        assert!(again.is_some(), "it is there");
    }
}

fn read_record(bytes: &[u8]) {
    let path = place::write(&place::folder("record"), "record.json", bytes);
    if let Ok(record) = Record::read(&path) {
        let _ = record.data.facts();
        let _ = record.prefers_best();
        if let Ok(experiment) = record.experiment() {
            let _ = record.compare(&experiment);
        }
        record.write(&path).expect("what was read can be written");
        Record::read(&path).expect("what was written can be read");
    }
}

fn logs() -> Vec<Vec<u8>> {
    let line = |number| [json(&epoch(number)), b"\n".to_vec()].concat();
    vec![line(1), [line(1), line(2)].concat()]
}

/// The folder of a run, with `bytes` as its file `name`.
pub(crate) fn run_folder(place: &str, name: &str, bytes: &[u8]) -> RunFolder {
    let folder = place::folder(place);
    if !folder.join(EXPERIMENT).exists() {
        place::write(&folder, EXPERIMENT, b"");
    }
    place::write(&folder, name, bytes);
    RunFolder::open(&folder).expect("it has an experiment")
}

fn read_log(bytes: &[u8]) {
    let _ = run_folder("log", LOG, bytes).read_log();
}

fn manifests() -> Vec<Vec<u8>> {
    vec![json(&NoiseManifest::given(&[0, 1, 1], Some(&[0, 1, 0]), 2))]
}

fn read_manifest(bytes: &[u8]) {
    if let Ok(manifest) = run_folder("noise", "noise.json", bytes).read_noise() {
        let _ = manifest.transition();
    }
}

fn environments() -> Vec<Vec<u8>> {
    vec![json(&Environment::here("0.1.0", None, 2, "cpu"))]
}

fn read_environment(bytes: &[u8]) {
    let _ = run_folder("environment", "environment.json", bytes).read_environment();
}

fn outputs() -> Vec<Vec<u8>> {
    let train = PartOutputs {
        num_classes: 2,
        probabilities: vec![0.5, 0.5, 1.0, 0.0, 0.25, 0.75],
        num_features: 1,
        features: vec![1.0, -1.0, 0.5],
    };
    let part = |train: &PartOutputs| PartOutputs {
        probabilities: train.probabilities[..2].to_vec(),
        features: train.features[..1].to_vec(),
        ..train.clone()
    };
    let whole = Outputs {
        run: Some(Bond::of(&record())),
        epoch: 2,
        given: vec![0, 1, 0],
        clean: Some(vec![0, 1, 1]),
        test: Some(part(&train)),
        train,
        test_labels: vec![0],
        centers: Some(vec![0.5, -0.5]),
        gallery: Gallery {
            samples: vec![0],
            names: vec!["train/<b>/1.png".into()],
            shape: [1, 2, 1],
            pixels: vec![0, 255],
        },
    };
    let unbound = Outputs { run: None, ..whole.clone() };
    let bytes = |outputs: &Outputs| {
        let path = place::folder("outputs").join("seed.safetensors");
        outputs.write(&path).expect("their sizes agree");
        std::fs::read(path).expect("it was just written")
    };
    vec![bytes(&unbound), bytes(&whole)]
}

fn read_outputs(bytes: &[u8]) {
    let path = place::write(&place::folder("outputs"), "outputs.safetensors", bytes);
    if let Ok(outputs) = Outputs::read(&path) {
        let _ = outputs.train.doubts(&outputs.given);
        let _ = outputs.train.classes();
    }
}
