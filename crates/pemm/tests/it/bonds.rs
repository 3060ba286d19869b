//! Files of a run are told from those of another, from older copies and from damaged ones.

use std::path::Path;

use pemm::device;
use pemm::finished::{Trained, Weights};
use pemm::tensors::{TensorMap, from_safetensors, to_safetensors};
use pemm_runs::{RunFolder, Status};
use serde_json::Value;

use crate::faults::points;
use crate::training::{bytes, experiment, run, tensors};

const FILES: [&str; 3] = ["last.safetensors", "best.safetensors", "state.safetensors"];

/// Stopped in the second of two epochs.
fn begun(assignments: &[&str], out: &Path) {
    let set = [&["schedule.num_epochs=2"], assignments].concat();
    let outcome = run(experiment(&set), out, Some((2, 1))).unwrap();
    assert_eq!(outcome.record.status, Status::Interrupted);
}

fn go_on(assignments: &[&str], out: &Path) -> pemm::Result<Status> {
    let set = [&["schedule.num_epochs=2"], assignments].concat();
    run(experiment(&set), out, None).map(|outcome| outcome.record.status)
}

fn evaluate(out: &Path, best: bool) -> pemm::Result<Vec<String>> {
    let device = device::open("cpu").unwrap();
    let weights = if best { Weights::Best } else { Weights::Last };
    let (places, embedding) = Default::default();
    let told =
        pemm::evaluation::evaluate(out, weights, None, &places, &device, &embedding, &mut |_| {})?;
    Ok(told.1.warnings)
}

/// What `pemm predict` opens.
fn open(out: &Path) -> pemm::Result<Trained> {
    Trained::open(&RunFolder::open(out).unwrap(), Weights::Last, &device::open("cpu").unwrap())
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: pemm::Result<T>, parts: &[&str]) {
    let message = result.unwrap_err().to_string();
    assert!(parts.iter().all(|part| message.contains(part)), "{message}");
}

#[test]
fn files_of_another_seed_noise_or_rate_are_refused() {
    let parent = tempfile::tempdir().unwrap();
    let place = |name: &str| parent.path().join(name);
    begun(&[], &place("one"));
    for other in ["seed=2", "noise.rate=0.3", "noise.kind=pair"] {
        begun(&[other], &place(other));
        for name in FILES {
            let own = bytes(&place("one"), name);
            std::fs::copy(place(other).join(name), place("one").join(name)).unwrap();
            let parts = [name, "of another run"];
            match name {
                "state.safetensors" => {
                    refused(go_on(&[], &place("one")), &[&parts[..], &["delete it"]].concat());
                }
                "best.safetensors" => {
                    refused(evaluate(&place("one"), true), &parts);
                    refused(go_on(&[], &place("one")), &parts);
                }
                _ => {
                    refused(evaluate(&place("one"), false), &parts);
                    refused(open(&place("one")), &parts);
                }
            }
            std::fs::write(place("one").join(name), own).unwrap();
        }
    }
    // The last weights are written anew from the state.
    std::fs::copy(place("seed=2").join(FILES[0]), place("one").join(FILES[0])).unwrap();
    assert_eq!(go_on(&[], &place("one")).unwrap(), Status::Finished);
    assert_eq!(evaluate(&place("one"), false).unwrap(), [""; 0]);
}

/// A run with patience returns its best weights: without them it says so before it goes on.
#[test]
fn best_weights_that_are_needed_and_missing_are_asked_for() {
    let parent = tempfile::tempdir().unwrap();
    let out = parent.path().join("run");
    begun(&["schedule.patience=9"], &out);
    std::fs::remove_file(out.join("best.safetensors")).unwrap();
    let record = bytes(&out, "record.json");
    let parts = ["best.safetensors", "there is none", "delete state.safetensors"];
    refused(go_on(&["schedule.patience=9"], &out), &parts);
    assert!(bytes(&out, "record.json") == record);
    std::fs::remove_file(out.join("state.safetensors")).unwrap();
    assert_eq!(go_on(&["schedule.patience=9"], &out).unwrap(), Status::Finished);
    // Without patience it is a choice that is not there.
    begun(&[], &parent.path().join("plain"));
    std::fs::remove_file(parent.path().join("plain/best.safetensors")).unwrap();
    assert_eq!(go_on(&[], &parent.path().join("plain")).unwrap(), Status::Finished);
}

/// Test images are not hashed, so others may lie in their place.
#[test]
fn a_test_part_that_cannot_be_calculated_with_is_refused() {
    let parent = tempfile::tempdir().unwrap();
    let path = points(parent.path());
    let test = parent.path().join("points.test.csv");
    std::fs::write(&test, "x,y,label\n0,0,0\n1,1,1\n").unwrap();
    let out = parent.path().join("run");
    let settings = [&path, "model.backbone=mlp", "model.width=2"];
    assert_eq!(go_on(&settings, &out).unwrap(), Status::Finished);
    assert_eq!(evaluate(&out, false).unwrap(), [""; 0]);
    std::fs::write(&test, "x,y,label\n0,0,0\n3e38,-3e38,1\n").unwrap();
    refused(evaluate(&out, false), &["last.safetensors", "is not a number"]);
}

#[test]
fn older_copies_of_the_weights_are_refused() {
    let parent = tempfile::tempdir().unwrap();
    let out = parent.path().join("run");
    begun(&["schedule.num_epochs=3"], &out);
    let old = bytes(&out, "last.safetensors");
    go_on(&["schedule.num_epochs=3"], &out).unwrap();
    let new = bytes(&out, "last.safetensors");
    std::fs::write(out.join("last.safetensors"), old).unwrap();
    let parts = ["last.safetensors", "after epoch 1", "of epoch 3", "an older copy"];
    refused(evaluate(&out, false), &parts);
    refused(open(&out), &parts);
    std::fs::write(out.join("last.safetensors"), new).unwrap();
    assert_eq!(evaluate(&out, false).unwrap(), [""; 0]);
}

/// Every bit counts: of the header, of the weights, and of what else a state keeps.
#[test]
fn damaged_files_are_refused_wherever_the_damage_is() {
    let parent = tempfile::tempdir().unwrap();
    let out = parent.path().join("run");
    begun(&[], &out);
    for name in FILES {
        let own = bytes(&out, name);
        let last = own.len() - 1;
        for at in (0..40).map(|step| step * last / 39).chain([9, 17, 33, 70, 120]) {
            let mut other = own.clone();
            other[at] ^= 1 << (at % 8);
            std::fs::write(out.join(name), other).unwrap();
            match name {
                "state.safetensors" => refused(go_on(&[], &out), &[name]),
                "best.safetensors" => refused(evaluate(&out, true), &[name]),
                _ => refused(evaluate(&out, false), &[name]),
            }
        }
        std::fs::write(out.join(name), own).unwrap();
    }
    assert_eq!(go_on(&[], &out).unwrap(), Status::Finished);
}

/// What cannot be calculated with is refused before anything is built, or when it shows.
#[test]
fn weights_and_cards_that_cannot_be_calculated_with_are_refused() {
    type Spoil = fn(&mut Value, &mut TensorMap);
    let spoils: [(Spoil, &str); 9] = [
        (|_, weights| value(weights, "head.centers", f32::NAN), "head.centers holds NaN"),
        (|_, weights| value(weights, "backbone.fc.bias", f32::INFINITY), "fc.bias holds inf"),
        (|_, weights| value(weights, "head.centers", 3e38), "is not a number"),
        (|card, _| card["model"]["sigma"] = 1e-30.into(), "is not a number"),
        (|card, _| card["model"]["sigma"] = 0.into(), "model.sigma"),
        (|card, _| card["normalization"]["mean"] = vec![1e300].into(), "metadata"),
        (|card, _| card["normalization"]["deviation"] = vec![0.0].into(), "channel 0"),
        (|card, _| card["normalization"]["deviation"] = vec![1e-45].into(), "is not a number"),
        (|card, _| card["shape"]["height"] = (1u64 << 32).into(), "claim samples of"),
    ];
    let parent = tempfile::tempdir().unwrap();
    let out = parent.path().join("run");
    begun(&[], &out);
    let file = out.join("last.safetensors");
    let (tensors, text) = from_safetensors(&bytes(&out, "last.safetensors"), "file").unwrap();
    for (number, (spoil, part)) in spoils.into_iter().enumerate() {
        let (mut weights, mut card) = (tensors.clone(), serde_json::from_str(&text).unwrap());
        spoil(&mut card, &mut weights);
        card.as_object_mut().unwrap().remove("run");
        std::fs::write(&file, to_safetensors(&weights, &card.to_string())).unwrap();
        let message = evaluate(&out, false).unwrap_err().to_string();
        assert!(
            message.contains("last.safetensors") && message.contains(part),
            "{number}: {message}"
        );
    }
}

fn value(weights: &mut TensorMap, name: &str, value: f32) {
    weights.get_mut(name).unwrap().data[0] = value;
}

/// `file` as a pemm of before there were bonds wrote it.
fn make_old(file: &Path) {
    let (tensors, text) = from_safetensors(&std::fs::read(file).unwrap(), "file").unwrap();
    let mut card: Value = serde_json::from_str(&text).unwrap();
    assert!(card.as_object_mut().unwrap().remove("run").is_some());
    if let Some(schema) = card.get_mut("schema") {
        *schema = 1.into();
    }
    std::fs::write(file, to_safetensors(&tensors, &card.to_string())).unwrap();
}

#[test]
fn runs_of_an_older_pemm_are_used_and_continued_with_a_warning() {
    let parent = tempfile::tempdir().unwrap();
    let (out, whole) = (parent.path().join("old"), parent.path().join("whole"));
    go_on(&[], &whole).unwrap();
    begun(&[], &out);
    FILES.iter().for_each(|name| make_old(&out.join(name)));
    for best in [false, true] {
        let warnings = evaluate(&out, best).unwrap();
        assert!(warnings.len() == 1 && warnings[0].contains("an older pemm wrote it"));
    }
    assert_eq!(go_on(&[], &out).unwrap(), Status::Finished);
    for name in &FILES[..2] {
        assert_eq!(tensors(&out, name), tensors(&whole, name), "{name}");
    }
    assert_eq!(evaluate(&out, false).unwrap(), [""; 0]);

    // Without a bond the numbers of its epochs tell a state of another run.
    let (one, two) = (parent.path().join("one"), parent.path().join("two"));
    begun(&[], &one);
    begun(&["seed=2"], &two);
    make_old(&two.join("state.safetensors"));
    std::fs::copy(two.join("state.safetensors"), one.join("state.safetensors")).unwrap();
    refused(go_on(&[], &one), &["log.jsonl: line 1", "of another run"]);
}
