//! `preset = "auto"`: several are tried by given labels, and one is trained.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use pemm::auto::Told;
use pemm::experiment::auto::CANDIDATES;
use pemm::experiment::{Auto, Layer};
use pemm::train::{Event, Outcome, RunOptions};
use pemm_runs::{Record, RunFolder, Status, Tried};

use crate::training::{tensors, timeless};

fn auto(assignments: &[&str]) -> Auto {
    let base = ["preset=auto", "schedule.num_epochs=4", "model.backbone=mlp", "model.width=16"];
    let layers = base.iter().chain(assignments).map(|text| Layer::from_assignment(text).unwrap());
    Auto::from_layers(&layers.collect::<Vec<_>>(), 3.0).unwrap()
}

const NOISY: [&str; 3] = ["data.limit=400", "noise.kind=symmetric", "noise.rate=0.4"];

/// Runs `auto` in `out`; `stop` says when it is cancelled.
fn run(auto: &Auto, out: &Path, stop: impl Fn(&Told<'_>) -> bool) -> pemm::Result<Option<Outcome>> {
    let cancel = AtomicBool::new(false);
    let options = RunOptions {
        out,
        device: "cpu",
        git: None,
        cancel: &cancel,
        embedding: Default::default(),
    };
    pemm::auto::run(auto, &options, &mut |told| {
        if stop(&told) {
            cancel.store(true, Ordering::Relaxed);
        }
    })
}

fn to_the_end(auto: &Auto, out: &Path) -> Record {
    run(auto, out, |_| false).unwrap().unwrap().record
}

/// The account without times.
fn account(out: &Path) -> Tried {
    let mut tried = Tried::read(out).unwrap().unwrap();
    for candidate in &mut tried.candidates {
        candidate.trials.iter_mut().for_each(|trial| trial.seconds = 0.0);
    }
    tried
}

#[test]
fn it_tries_chooses_and_trains_and_says_so_in_the_record() {
    let parent = tempfile::tempdir().unwrap();
    let out = parent.path().join("run");
    let auto = auto(&NOISY);
    let record = to_the_end(&auto, &out);
    assert_eq!(record.status, Status::Finished);
    let tried = record.tried.clone().unwrap();
    assert_eq!(Tried::read(&out).unwrap().unwrap(), tried);
    assert_eq!(tried.identity, record.identity);
    assert_eq!(record.experiment["preset"], tried.chosen.as_str());
    let names: Vec<&str> = tried.candidates.iter().map(|c| c.preset.as_str()).collect();
    assert_eq!(names, CANDIDATES);
    // All of them once, the better half twice; each half judges what was trained on the other.
    let trials: Vec<usize> = tried.candidates.iter().map(|c| c.trials.len()).collect();
    let num_twice = trials.iter().filter(|&&num| num == 2).count();
    assert_eq!(num_twice, CANDIDATES.len().div_ceil(2));
    for candidate in &tried.candidates {
        assert_eq!(candidate.num_labels, 200 * candidate.trials.len());
        let epochs = candidate.trials.iter().map(|trial| trial.val_accuracy.len());
        assert!(epochs.clone().all(|epochs| epochs == candidate.trials[0].val_accuracy.len()));
        assert_eq!(candidate.against_chosen.is_none(), candidate.preset == tried.chosen);
        // What the account says is what the trials say.
        let hits: f64 =
            candidate.trials.iter().map(|t| 200.0 * t.val_accuracy.last().unwrap()).sum();
        assert!((hits - candidate.num_agreed as f64).abs() < 1e-6, "{candidate:?}");
    }
    let trained: usize = tried
        .candidates
        .iter()
        .flat_map(|c| &c.trials)
        .map(|trial| trial.num_train * trial.val_accuracy.len())
        .sum();
    let cost = 1.0 + trained as f64 / (record.data.num_train * record.epochs.len()) as f64;
    assert!((tried.cost - cost).abs() < 1e-12 && cost <= tried.budget, "{} {cost}", tried.cost);

    // The run is that of its preset, to the bit.
    let alone = parent.path().join("alone");
    let chosen = auto.candidates().iter().find(|c| c.preset == tried.chosen).unwrap();
    let outcome = crate::training::run(chosen.clone(), &alone, None).unwrap();
    assert_eq!(outcome.record.tried, None);
    assert_eq!(tensors(&out, "last.safetensors"), tensors(&alone, "last.safetensors"));
    let mut of_choice = timeless(&out);
    of_choice.tried = None;
    assert_eq!(of_choice, timeless(&alone));

    // A finished run is told again, without its data.
    let again = run(&auto, &out, |_| panic!("nothing is left to do")).unwrap().unwrap();
    assert!(again.was_finished && again.record == record);
    // A run of another preset is not begun in its place, nor one with other settings.
    let other = auto.candidates().iter().find(|c| c.preset != tried.chosen).unwrap();
    let error = crate::training::run(other.clone(), &out, None).unwrap_err().to_string();
    assert!(error.contains("holds a choice of preset"), "{error}");
    let error = run(&self::auto(&["seed=2"]), &out, |_| false).unwrap_err().to_string();
    assert!(error.contains("this is another experiment"), "{error}");
    // And no choice where a run was begun without one.
    let error = run(&auto, &alone, |_| false).unwrap_err().to_string();
    assert!(error.contains("was not begun with preset = \"auto\""), "{error}");
}

#[test]
fn stopped_anywhere_it_ends_the_same() {
    let parent = tempfile::tempdir().unwrap();
    let (whole, cut) = (parent.path().join("whole"), parent.path().join("cut"));
    let auto = auto(&NOISY);
    to_the_end(&auto, &whole);
    let is_at = |told: &Told<'_>, at: usize| matches!(told, Told::Trial(number, _, Event::Step(1, 2, _)) if *number == at);
    for at in [1, 3, CANDIDATES.len() + 1] {
        assert!(run(&auto, &cut, |told| is_at(told, at)).unwrap().is_none(), "trial {at}");
        assert!(RunFolder::open(&cut).is_err(), "the run was begun before there was a choice");
    }
    // Between the last trial and the choice nothing is lost, and in the run it is a run.
    let stopped = run(&auto, &cut, |told| matches!(told, Told::Run(Event::Step(2, 1, _)))).unwrap();
    assert_eq!(stopped.unwrap().record.status, Status::Interrupted);
    let record = to_the_end(&auto, &cut);
    assert_eq!(account(&cut), account(&whole));
    assert_eq!(tensors(&cut, "last.safetensors"), tensors(&whole, "last.safetensors"));
    let without_times = |out: &Path| {
        let mut record = timeless(out);
        record.tried = Some(account(out));
        record
    };
    assert_eq!(without_times(&cut), without_times(&whole));
    assert_eq!(record.tried.unwrap().chosen, account(&whole).chosen);
}

/// Vectors of three classes in a CSV, a fifth of the labels wrong; `right` and `shift` change what nobody
/// may look at: the clean labels and those of the test part.
fn data(folder: &Path, is_right: bool, shift: usize) -> [String; 2] {
    let name = |class: usize| ["a", "b", "c"][class % 3];
    let row = |i: usize, label: usize| {
        let jitter = (i * 37 % 11) as f64 / 10.0;
        format!("{},{},{}\n", (i % 3) as f64 + jitter, jitter - (i % 3) as f64, name(label))
    };
    let rows: String = (0..240).map(|i| row(i, i)).collect();
    let test: String = (0..30).map(|i| row(i, i + shift)).collect();
    let path = folder.join("v.csv");
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(&path, format!("x,y,label\n{rows}")).unwrap();
    std::fs::write(folder.join("v.test.csv"), format!("x,y,label\n{test}")).unwrap();
    let given = |i: usize| if i.is_multiple_of(5) { i + 1 } else { i };
    let clean = |i: usize| if is_right { i } else { given(i) };
    let labels: String =
        (0..240).map(|i| format!("{i},{},{}\n", name(given(i)), name(clean(i)))).collect();
    std::fs::write(folder.join("labels.csv"), format!("index,label,clean\n{labels}")).unwrap();
    let key =
        |key: &str, file: &str| format!("data.{key}={:?}", folder.join(file).to_str().unwrap());
    [key("path", "v.csv"), key("labels", "labels.csv")]
}

#[test]
fn neither_clean_labels_nor_the_test_part_move_the_choice() {
    let parent = tempfile::tempdir().unwrap();
    let chosen = |name: &str, is_right: bool, shift: usize| {
        let keys = data(&parent.path().join(name), is_right, shift);
        let out = parent.path().join(format!("{name}-run"));
        let record = to_the_end(&auto(&[&keys[0], &keys[1]]), &out);
        let mut tried = account(&out);
        // The paths are part of an experiment.
        tried.identity.clear();
        for candidate in &mut tried.candidates {
            candidate.trials.iter_mut().for_each(|trial| trial.identity.clear());
        }
        (tried, record.scores.unwrap().test.unwrap().accuracy)
    };
    let (first, accuracy) = chosen("one", true, 0);
    let (second, other) = chosen("two", false, 1);
    assert_eq!(first, second);
    assert_ne!(accuracy, other, "the test part was to be another one");
}

#[test]
fn what_is_wrong_is_said_before_there_is_a_folder() {
    let parent = tempfile::tempdir().unwrap();
    let out = parent.path().join("run");
    for (keys, why) in [
        (vec!["optim.learning_rate=-1"], "optim.learning_rate: must be above 0"),
        (vec!["data.path=nowhere"], "nowhere"),
        (vec!["data.limit=12"], "fewer samples than the 2 folds"),
    ] {
        let error = run(&auto(&keys), &out, |_| false).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
        assert!(!out.exists(), "{why}");
    }
}
