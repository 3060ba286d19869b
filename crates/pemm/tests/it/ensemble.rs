//! `preset = "auto"`: several methods are trained, and predict together.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use pemm::auto::finish;
use pemm::device;
use pemm::ensemble::Ensemble;
use pemm::evaluation::evaluate;
use pemm::experiment::auto::MEMBERS;
use pemm::experiment::{Auto, Layer};
use pemm::finished::Weights;
use pemm::places::Places;
use pemm::train::{Event, Outcome, RunOptions};
use pemm_runs::{EnsembleRecord, RunFolder, Status};

use crate::training::{tensors, timeless};

fn auto(assignments: &[&str]) -> Auto {
    let base = ["preset=auto", "schedule.num_epochs=4", "model.backbone=mlp", "model.width=16"];
    let layers = base.iter().chain(assignments).map(|text| Layer::from_assignment(text).unwrap());
    Auto::from_layers(&layers.collect::<Vec<_>>()).unwrap()
}

const NOISY: [&str; 3] = ["data.limit=400", "noise.kind=symmetric", "noise.rate=0.4"];

/// Runs `auto` in `out`; `stop` says when it is cancelled.
fn run(
    auto: &Auto,
    out: &Path,
    stop: impl Fn(usize, &Event<'_>) -> bool,
) -> pemm::Result<Vec<Outcome>> {
    let cancel = AtomicBool::new(false);
    let options = RunOptions {
        out,
        device: "cpu",
        git: None,
        cancel: &cancel,
        embedding: Default::default(),
    };
    pemm::auto::run(auto, &options, &mut |number, event| {
        if stop(number, &event) {
            cancel.store(true, Ordering::Relaxed);
        }
    })
}

fn together(auto: &Auto, out: &Path, outcomes: &[Outcome]) -> EnsembleRecord {
    let device = device::open("cpu").unwrap();
    let places = Places::of(&auto.members()[0]);
    finish(out, outcomes, &places, &device, &Default::default(), &mut |_| {}).unwrap().0
}

#[test]
fn each_member_is_a_run_of_its_preset_and_all_of_them_predict() {
    let parent = tempfile::tempdir().unwrap();
    let out = parent.path().join("run");
    let auto = auto(&NOISY);
    let outcomes = run(&auto, &out, |_, _| false).unwrap();
    assert!(outcomes.iter().all(|outcome| outcome.record.status == Status::Finished));
    let record = together(&auto, &out, &outcomes);
    let names: Vec<&str> = record.members.iter().map(|member| member.run.as_str()).collect();
    assert_eq!(names, MEMBERS);
    for member in auto.members() {
        let alone = parent.path().join(&member.preset);
        crate::training::run(member.clone(), &alone, None).unwrap();
        let inside = out.join(&member.preset);
        assert_eq!(tensors(&inside, "last.safetensors"), tensors(&alone, "last.safetensors"));
        assert_eq!(timeless(&inside), timeless(&alone));
    }

    // The score is that of the geometric mean of what they say, whoever asks.
    let device = device::open("cpu").unwrap();
    let (records, evaluation) = evaluate(
        &out,
        Weights::Chosen,
        None,
        &Places::default(),
        &device,
        &Default::default(),
        &mut |_| {},
    )
    .unwrap();
    assert_eq!((records.len(), &evaluation.members), (3, &record.members));
    assert_eq!(evaluation.test.unwrap().accuracy, record.test.clone().unwrap().accuracy);
    assert_eq!(evaluation.validation, record.validation);
    let accuracy = |name: &str| {
        let folder = RunFolder::open(&out.join(name)).unwrap();
        folder.read_record().unwrap().scores.unwrap().test.unwrap().accuracy
    };
    let all = record.test.as_ref().unwrap().accuracy;
    let worst = MEMBERS.map(accuracy).into_iter().fold(1.0, f64::min);
    assert!(all > worst, "{all} {worst}");
    let one = evaluate(
        &out.join("elr"),
        Weights::Chosen,
        None,
        &Places::default(),
        &device,
        &Default::default(),
        &mut |_| {},
    );
    let (_, one) = one.unwrap();
    assert!(one.members.is_empty() && one.epoch.is_some());
    assert_eq!(one.test.unwrap().accuracy, accuracy("elr"));

    // Finished runs are told again, without their data; the file is not made anew.
    let again = run(&auto, &out, |_, _| panic!("nothing is left to do")).unwrap();
    assert!(again.iter().all(|outcome| outcome.was_finished));
    std::fs::write(out.join("ensemble.json"), serde_json::to_vec(&record).unwrap()).unwrap();
    assert_eq!(together(&auto, &out, &again), record);
    assert_eq!(
        std::fs::read(out.join("ensemble.json")).unwrap(),
        serde_json::to_vec(&record).unwrap()
    );
}

#[test]
fn stopped_in_any_member_it_goes_on_and_ends_the_same() {
    let parent = tempfile::tempdir().unwrap();
    let (whole, cut) = (parent.path().join("whole"), parent.path().join("cut"));
    let auto = auto(&NOISY);
    let all = together(&auto, &whole, &run(&auto, &whole, |_, _| false).unwrap());
    for at in 0..MEMBERS.len() {
        let is_at =
            |number, event: &Event<'_>| number == at && matches!(event, Event::Step(2, 1, _));
        let outcomes = run(&auto, &cut, is_at).unwrap();
        assert_eq!(outcomes.len(), at + 1);
        assert_eq!(outcomes[at].record.status, Status::Interrupted);
        let device = device::open("cpu").unwrap();
        let error = Ensemble::open(&cut, Weights::Chosen, &device).unwrap_err().to_string();
        assert!(error.contains("runs that do not predict together yet"), "{error}");
    }
    let outcomes = run(&auto, &cut, |_, _| false).unwrap();
    assert_eq!(together(&auto, &cut, &outcomes), all);
    for name in MEMBERS {
        let of = |out: &Path| tensors(&out.join(name), "last.safetensors");
        assert_eq!(of(&cut), of(&whole), "{name}");
    }
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let parent = tempfile::tempdir().unwrap();
    let out = parent.path().join("run");
    let short = auto(&[&NOISY[..], &["schedule.num_epochs=1"]].concat());
    together(&short, &out, &run(&short, &out, |_, _| false).unwrap());
    let device = device::open("cpu").unwrap();
    let opened = || Ensemble::open(&out, Weights::Chosen, &device);
    assert_eq!(opened().unwrap().members().len(), 3);
    // A run in the place of a member: first another experiment, then one that claims to be of it.
    let other = auto(&[&NOISY[..], &["schedule.num_epochs=1", "seed=2"]].concat());
    let elsewhere = parent.path().join("other");
    run(&other, &elsewhere, |_, _| false).unwrap();
    std::fs::rename(out.join("elr"), parent.path().join("elr")).unwrap();
    std::fs::rename(elsewhere.join("elr"), out.join("elr")).unwrap();
    let error = opened().unwrap_err().to_string();
    assert!(error.contains("not the run that was to be part of the ensemble"), "{error}");
    let mut record = EnsembleRecord::read(&out).unwrap().unwrap();
    record.members[1].identity =
        RunFolder::open(&out.join("elr")).unwrap().read_record().unwrap().identity;
    record.write(&out).unwrap();
    let error = opened().unwrap_err().to_string();
    assert!(error.contains("on other data than the first"), "{error}");

    // A folder of somebody's, and one with a run of its own.
    let foreign = parent.path().join("foreign");
    std::fs::create_dir(&foreign).unwrap();
    std::fs::write(foreign.join("letter.txt"), "dear").unwrap();
    let error = run(&short, &foreign, |_, _| false).unwrap_err().to_string();
    assert!(error.contains("letter.txt"), "{error}");
    let alone = parent.path().join("elr");
    let error = run(&short, &alone, |_, _| false).unwrap_err().to_string();
    assert!(error.contains("was not begun with preset = \"auto\""), "{error}");
}

#[test]
fn what_is_wrong_is_said_before_there_is_a_folder() {
    let parent = tempfile::tempdir().unwrap();
    let out = parent.path().join("run");
    for (keys, why) in [
        (vec!["optim.learning_rate=-1"], "optim.learning_rate: must be above 0"),
        (vec!["data.path=nowhere"], "nowhere"),
    ] {
        let error = run(&auto(&keys), &out, |_, _| false).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
        assert!(!out.exists(), "{why}");
    }
}
