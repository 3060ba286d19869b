//! The trainer on real digits.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use pemm::experiment::{Experiment, Layer};
use pemm::tensors::{TensorMap, from_safetensors};
use pemm::train::{Event, Outcome, RunOptions};
use pemm_runs::{Record, RunFolder, Status};

use crate::bare_loop;
use crate::faults::points;

pub(crate) fn experiment(assignments: &[&str]) -> Experiment {
    let base = ["noise.kind=symmetric", "noise.rate=0.4", "model.backbone=cnn8", "model.width=4"];
    let layers: Vec<Layer> =
        base.iter().chain(assignments).map(|text| Layer::from_assignment(text).unwrap()).collect();
    Experiment::from_layers(&layers).unwrap()
}

pub(crate) fn run(
    experiment: Experiment,
    out: &Path,
    stop_at: Option<(usize, usize)>,
) -> pemm::Result<Outcome> {
    let cancel = AtomicBool::new(false);
    let options = RunOptions {
        out,
        device: "cpu",
        git: None,
        cancel: &cancel,
        embedding: Default::default(),
    };
    pemm::train::run(&experiment, &options, &mut |event| {
        if let Event::Step(epoch, step, _) = event
            && Some((epoch, step)) == stop_at
        {
            cancel.store(true, Ordering::Relaxed);
        }
    })
}

pub(crate) fn bytes(folder: &Path, name: &str) -> Vec<u8> {
    std::fs::read(folder.join(name)).unwrap()
}

/// The values of a file of weights. Its header names the run.
pub(crate) fn tensors(folder: &Path, name: &str) -> TensorMap {
    from_safetensors(&bytes(folder, name), name).unwrap().0
}

/// Records without what may differ from run to run: times, speeds and memory.
pub(crate) fn timeless(folder: &Path) -> Record {
    let mut record = RunFolder::open(folder).unwrap().read_record().unwrap();
    let mut epochs = record.epochs.clone();
    for epoch in &mut epochs {
        epoch.seconds = 0.0;
        epoch.images_per_sec = 0.0;
        epoch.cpu_seconds = None;
    }
    record.set_epochs(epochs);
    record.environment.started_at.clear();
    record.environment.peak_memory = None;
    record
}

#[test]
fn an_interrupted_run_continues_bit_for_bit() {
    let parent = tempfile::tempdir().unwrap();
    let (whole, cut) = (parent.path().join("whole"), parent.path().join("cut"));
    // Dropout, Nesterov, clipping and a schedule within the run: everything that has a state.
    let plan = || {
        experiment(&[
            "schedule.num_epochs=4",
            "schedule.kind=step",
            "schedule.milestones=[2]",
            "optim.nesterov=true",
            "optim.clip_norm=1.0",
            "augment.shift=0.1",
        ])
    };
    run(plan(), &whole, None).unwrap();
    for stop in [(1, 3), (3, 1), (4, 5)] {
        let outcome = run(plan(), &cut, Some(stop)).unwrap();
        assert_eq!(outcome.record.status, Status::Interrupted, "stopped at {stop:?}");
    }
    let outcome = run(plan(), &cut, None).unwrap();
    assert_eq!(outcome.record.status, Status::Finished);
    for name in ["last.safetensors", "best.safetensors"] {
        assert_eq!(bytes(&whole, name), bytes(&cut, name), "{name}");
    }
    assert_eq!(timeless(&whole), timeless(&cut));
    let again = run(plan(), &cut, None).unwrap();
    assert!(again.was_finished);
}

#[test]
fn clean_labels_and_test_set_do_not_enter_the_training() {
    // Scoring every epoch or only once must not change one bit of the weights.
    let parent = tempfile::tempdir().unwrap();
    let (often, once) = (parent.path().join("often"), parent.path().join("once"));
    run(experiment(&["schedule.num_epochs=3"]), &often, None).unwrap();
    run(experiment(&["schedule.num_epochs=3", "schedule.score_every=0"]), &once, None).unwrap();
    for name in ["last.safetensors", "best.safetensors"] {
        assert_eq!(tensors(&often, name), tensors(&once, name), "{name}");
    }
}

#[test]
fn a_run_is_known_by_its_data_and_not_by_where_they_lie() {
    let parent = tempfile::tempdir().unwrap();
    let place = |name: &str| parent.path().join(name);
    let path = points(parent.path());
    let settings = |path: &str| {
        let own = [path, "model.backbone=mlp", "model.width=2", "schedule.num_epochs=3"];
        experiment(&own)
    };
    run(settings(&path), &place("whole"), None).unwrap();
    assert_eq!(
        run(settings(&path), &place("run"), Some((2, 1))).unwrap().record.status,
        Status::Interrupted
    );
    std::fs::create_dir(place("moved")).unwrap();
    std::fs::rename(place("points.csv"), place("moved/renamed.csv")).unwrap();
    let moved = format!("data.path={}", place("moved/renamed.csv").display());
    assert_eq!(run(settings(&moved), &place("run"), None).unwrap().record.status, Status::Finished);
    for name in ["last.safetensors", "best.safetensors", "experiment.toml", "noise.json"] {
        assert!(bytes(&place("run"), name) == bytes(&place("whole"), name), "{name}");
    }
    let mut record = timeless(&place("run"));
    let found_at = std::mem::take(&mut record.data.found_at);
    assert!(
        found_at.iter().all(|place| place.contains("moved/renamed.csv")) && found_at.len() == 1
    );
    assert_eq!(record, timeless(&place("whole")));
    // Finished, it is told as such at the new place, and at the old one without data.
    assert!(run(settings(&moved), &place("run"), None).unwrap().was_finished);
    let spelled = path.replace("points.csv", "./points.csv");
    assert!(run(settings(&spelled), &place("run"), None).unwrap().was_finished);
    // Other data at another place are another experiment.
    let text = std::fs::read_to_string(place("moved/renamed.csv")).unwrap();
    let other = text.lines().take(39).collect::<Vec<_>>().join("\n");
    std::fs::write(place("moved/other.csv"), other).unwrap();
    let other = format!("data.path={}", place("moved/other.csv").display());
    let error = run(settings(&other), &place("run"), None).unwrap_err().to_string();
    assert!(error.contains("not those that") && error.contains("another --out"), "{error}");
}

#[test]
fn a_loss_that_is_not_finite_stops_the_run_and_is_named() {
    let parent = tempfile::tempdir().unwrap();
    let out = parent.path().join("run");
    let error = run(experiment(&["optim.learning_rate=1e30"]), &out, None).unwrap_err().to_string();
    assert!(error.contains("step 2") && error.contains("term `"), "{error}");
    let record = RunFolder::open(&out).unwrap().read_record().unwrap();
    assert!(matches!(record.status, Status::Failed { .. }), "{:?}", record.status);
}

#[test]
fn the_bare_loop_has_the_losses_of_the_trainer() {
    let parent = tempfile::tempdir().unwrap();
    let plan = experiment(&[
        "preset=paper",
        "model.backbone=mlp",
        "model.width=128",
        "augment.shift=0",
        &format!("schedule.num_epochs={}", bare_loop::NUM_EPOCHS),
    ]);
    let outcome = run(plan, &parent.path().join("run"), None).unwrap();
    let (losses, accuracy) = bare_loop::run().unwrap();
    let trained: Vec<f64> = outcome.record.epochs.iter().map(|epoch| epoch.loss).collect();
    for (bare, trained) in losses.iter().zip(&trained) {
        assert!((bare - trained).abs() < 1e-5 * bare.abs(), "{losses:?} {trained:?}");
    }
    let last = outcome.record.choice.last.unwrap();
    assert_eq!(Some(accuracy), last.test_accuracy);
}

#[test]
fn robust_training_sees_through_noise_that_cross_entropy_fits() {
    let parent = tempfile::tempdir().unwrap();
    let last = |preset: &str| {
        let plan = experiment(&[
            &format!("preset={preset}"),
            "model.backbone=mlp",
            "model.width=128",
            "augment.shift=0",
            "schedule.num_epochs=40",
            "schedule.kind=constant",
            "schedule.score_every=0",
        ]);
        let outcome = run(plan, &parent.path().join(preset), None).unwrap();
        let scored = outcome.record.epochs.last().unwrap().scored.unwrap();
        let fitted = scored.flipped_fitted.unwrap() as f64 / scored.num_flipped.unwrap() as f64;
        (scored.test_accuracy.unwrap(), fitted)
    };
    let (robust, robust_fitted) = last("paper");
    let (plain, plain_fitted) = last("ce");
    assert!(robust > 0.85 && robust > plain + 0.05, "paper {robust}, ce {plain}");
    assert!(plain_fitted > 2.0 * robust_fitted, "paper {robust_fitted}, ce {plain_fitted}");
}

/// The first ten losses of a run, pinned: a change that should not alter results must not alter
/// them. Other instruction sets round otherwise, so the last digits are left out.
#[test]
fn ten_steps_are_pinned() {
    let parent = tempfile::tempdir().unwrap();
    let plan = experiment(&[
        "preset=paper",
        "augment.shift=0",
        "optim.learning_rate=0.001",
        "schedule.num_epochs=10",
        "schedule.batch_size=1000000",
    ]);
    let outcome = run(plan, &parent.path().join("run"), None).unwrap();
    let losses: Vec<f64> = outcome.record.epochs.iter().map(|epoch| epoch.loss).collect();
    let pinned = [
        -45.85839, -46.29329, -47.12528, -48.32137, -49.84439, -51.63919, -53.61220, -55.60328,
        -57.35765, -58.53103,
    ];
    for (found, pinned) in losses.iter().zip(pinned) {
        assert!((found - pinned).abs() < 1e-4 * pinned.abs(), "found {losses:?}");
    }
    assert_eq!(losses.len(), pinned.len());
}

#[test]
fn a_backbone_starts_from_a_file_that_the_run_knows_by_what_it_holds() {
    let parent = tempfile::tempdir().unwrap();
    let place = |name: &str| parent.path().join(name);
    run(experiment(&["schedule.num_epochs=1"]), &place("first"), None).unwrap();
    let file = place("w.safetensors");
    std::fs::copy(place("first").join("last.safetensors"), &file).unwrap();
    let weights = format!("model.weights={}", file.display());
    let keys = ["schedule.num_epochs=1", "optim.learning_rate=1e-12", "seed=2", &weights];
    let second = || run(experiment(&keys), &place("second"), None);

    second().unwrap();
    let [first, now] = ["first", "second"].map(|name| tensors(&place(name), "last.safetensors"));
    let name = "backbone.blocks.0.conv.weight";
    let furthest = first[name].data.iter().zip(&now[name].data).map(|(a, b)| (a - b).abs());
    assert!(furthest.fold(0.0, f32::max) < 1e-6);
    assert_ne!(first["head.centers"], now["head.centers"], "the head is drawn");
    let text = String::from_utf8(bytes(&place("second"), "experiment.toml")).unwrap();
    assert!(text.contains("weights_sha256 = \""), "{text}");

    assert!(second().unwrap().was_finished);
    std::fs::copy(place("second").join("last.safetensors"), &file).unwrap();
    let error = second().unwrap_err().to_string();
    assert!(error.contains("model.weights_sha256"), "{error}");
    std::fs::remove_file(&file).unwrap();
    assert!(second().unwrap().was_finished, "a finished run needs no file");

    std::fs::write(&file, "no weights").unwrap();
    assert!(run(experiment(&keys), &place("third"), None).is_err());
    assert!(!place("third").exists(), "refused before there is a folder");
}

#[test]
fn centers_start_where_the_experiment_says() {
    let parent = tempfile::tempdir().unwrap();
    let spread = |start: &str| {
        let start = format!("loss.energy.start={start}");
        let keys = ["schedule.num_epochs=1", "optim.learning_rate=1e-12", &start];
        let outcome = run(experiment(&keys), &parent.path().join(&start), None).unwrap();
        let centers = outcome.record.epochs[0].centers.unwrap();
        [centers.min_distance, centers.max_distance]
    };
    let [least, most] = spread("rest");
    assert!((least - 0.45).abs() < 1e-5 && (most - 0.45).abs() < 1e-5, "{least} {most}");
    let [least, most] = spread("drawn");
    assert!(most - least > 0.05, "{least} {most}");
    // Where there is no such layout, that is said, and before the run.
    for keys in [
        ["model.head=cosface", "loss.energy.start=rest"],
        ["loss.energy.beta=0.75", "loss.energy.start=rest"],
    ] {
        let warnings =
            pemm::explain::explain(&experiment(&keys), &Default::default()).unwrap().warnings;
        assert!(warnings.iter().any(|text| text.contains("start as drawn")), "{warnings:?}");
    }
}
