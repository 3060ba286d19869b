//! Objectives with a memory, a schedule of their own or a second network, on real digits.

use std::path::Path;

use burn::tensor::Device;
use pemm::data::Embedding;
use pemm::evaluation::evaluate;
use pemm::experiment::loss::LossContext;
use pemm::experiment::{Experiment, Layer};
use pemm::finished::{Trained, Weights};
use pemm::objective::{ObjectiveKind, Samples, build};
use pemm::places::Places;
use pemm_data::Trusted;
use pemm_runs::{RunFolder, Status};

use crate::training::{bytes, run, timeless};
use crate::trusted::trusted_digits;

fn experiment(assignments: &[&str]) -> Experiment {
    let base = [
        "preset=ce",
        "noise.kind=symmetric",
        "noise.rate=0.4",
        "model.backbone=mlp",
        "model.width=64",
    ];
    let rest = [
        "schedule.num_epochs=4",
        "schedule.kind=constant",
        "optim.learning_rate=0.01",
        "augment.shift=0",
    ];
    let layers: Vec<Layer> = base
        .iter()
        .chain(&rest)
        .chain(assignments)
        .map(|text| Layer::from_assignment(text).unwrap())
        .collect();
    Experiment::from_layers(&layers).unwrap()
}

/// Every objective, with parameters under which four epochs reach all of its phases; `trusted` is a file
/// of labels that are known to be right.
fn every_objective(trusted: &Path) -> Vec<Vec<String>> {
    ObjectiveKind::ALL
        .iter()
        .map(|kind| {
            let mut set = vec![format!("objective.kind={}", kind.name())];
            for (key, value) in
                [("warmup_epochs", 2), ("ramp_epochs", 3), ("detect_every", 1), ("prune_every", 1)]
            {
                if kind.method().parameter(key).is_some() {
                    set.push(format!("objective.{key}={value}"));
                }
            }
            if kind.uses_trusted() {
                set.push(format!("data.trusted={}", trusted.display()));
            }
            set
        })
        .collect()
}

#[test]
fn every_objective_learns_and_continues_bit_for_bit() {
    let parent = tempfile::tempdir().unwrap();
    for set in every_objective(&trusted_digits(parent.path())) {
        let set: Vec<&str> = set.iter().map(String::as_str).collect();
        let name = set[0];
        let (whole, cut) = (parent.path().join(name), parent.path().join(format!("{name}-cut")));
        let outcome = run(experiment(&set), &whole, None).unwrap();
        let last = outcome.record.choice.last.unwrap().test_accuracy.unwrap();
        assert!(last > 0.5, "{name}: {last}");
        for stop in [(2, 3), (4, 2)] {
            let stopped = run(experiment(&set), &cut, Some(stop)).unwrap();
            assert_eq!(stopped.record.status, Status::Interrupted, "{name} at {stop:?}");
        }
        run(experiment(&set), &cut, None).unwrap();
        for file in ["last.safetensors", "best.safetensors"] {
            assert_eq!(bytes(&whole, file), bytes(&cut, file), "{name}, {file}");
        }
        assert_eq!(timeless(&whole), timeless(&cut), "{name}");
    }
}

#[test]
fn objectives_go_with_centers_and_energy() {
    let parent = tempfile::tempdir().unwrap();
    for set in every_objective(&trusted_digits(parent.path())) {
        let mut set: Vec<&str> = set.iter().map(String::as_str).collect();
        let out = parent.path().join(set[0]);
        set.extend(["preset=paper", "loss.reconstruction=0.5", "schedule.num_epochs=3"]);
        let record = run(experiment(&set), &out, None).unwrap().record;
        let terms = &record.epochs[2].terms;
        for term in ["loss", "energy", "reconstruction"] {
            assert!(terms.contains_key(term), "{}: {terms:?}", set[0]);
        }
    }
}

#[test]
fn two_networks_are_stored_and_their_mean_is_evaluated() {
    let parent = tempfile::tempdir().unwrap();
    let out = parent.path().join("run");
    let set = ["objective.kind=co-teaching", "objective.ramp_epochs=2", "augment.flip=false"];
    let record = run(experiment(&set), &out, None).unwrap().record;
    let folder = RunFolder::open(&out).unwrap();
    let trained = Trained::open(&folder, Weights::Last, &Device::flex()).unwrap();
    assert_eq!((trained.networks.len(), trained.card.num_networks), (2, 2));
    let [first, peer] = [0, 1].map(|k| pemm::tensors::collect(&trained.networks[k]));
    assert_ne!(first, peer);
    let num_parameters: usize = trained.networks.iter().map(pemm::model::num_parameters).sum();
    assert_eq!(record.model.num_parameters, num_parameters);
    let (_, evaluation) = evaluate(
        &out,
        Weights::Last,
        None,
        &Places::default(),
        &Device::flex(),
        &Embedding::default(),
        &mut |_| {},
    )
    .unwrap();
    assert_eq!(Some(evaluation.test.unwrap().accuracy), record.choice.last.unwrap().test_accuracy);
}

#[test]
fn an_early_stopped_run_returns_its_best_epoch() {
    let parent = tempfile::tempdir().unwrap();
    let out = parent.path().join("run");
    let set = ["schedule.patience=2", "schedule.num_epochs=40", "optim.learning_rate=0.05"];
    let record = run(experiment(&set), &out, None).unwrap().record;
    assert_eq!(record.status, Status::Finished);
    let last = record.choice.last.unwrap();
    assert_eq!(Some(last), record.choice.best_by_noisy_val);
    assert!(record.epochs.len() < 40, "{} epochs", record.epochs.len());
    assert_eq!(record.epochs.len(), last.epoch + 2);
    assert_eq!(bytes(&out, "last.safetensors"), bytes(&out, "best.safetensors"));
    let again = run(experiment(&set), &out, None).unwrap();
    assert!(again.was_finished);

    let none = ["schedule.patience=2", "data.val_rate=0.0"];
    let error = run(experiment(&none), &parent.path().join("none"), None).unwrap_err().to_string();
    assert!(error.contains("schedule.patience") && error.contains("data.val_rate"), "{error}");
}

#[test]
fn every_objective_has_as_many_networks_as_its_entry_says() {
    let context = LossContext { num_classes: 10, noise: None };
    let given: Vec<u32> = (0..100).map(|sample| sample % 10).collect();
    let marks = (0..100).map(|sample| sample % 7 == 0).collect();
    let trusted = Trusted { marks, before: (0..100).map(|sample| (sample + 1) % 10).collect() };
    let samples = Samples { num: 100, trusted: Some((&trusted, &given)) };
    for (kind, set) in ObjectiveKind::ALL.iter().zip(every_objective(Path::new("right.csv"))) {
        let set: Vec<&str> = set.iter().map(String::as_str).collect();
        let facts = pemm::experiment::DataFacts {
            shape: pemm_data::Shape { channels: 1, height: 8, width: 8 },
            vectors: false,
            num_classes: 10,
            parts: None,
        };
        let plan = experiment(&set).resolve(facts).unwrap();
        let objective = build(plan.experiment(), &context, samples).unwrap();
        assert_eq!(objective.num_networks(), kind.num_networks(), "{}", kind.name());
    }
}
