//! Training from start to end.

use crate::place::{Place, QUICK};

const FILES: [&str; 11] = [
    "best.safetensors",
    "environment.json",
    "experiment.toml",
    "last.safetensors",
    "log.jsonl",
    "noise.json",
    "outputs.safetensors",
    "record.json",
    "report.html",
    "run.lock",
    "state.safetensors",
];

#[test]
fn digits_with_noise_from_start_to_end() {
    let place = Place::new();
    let train = "train digits --noise symmetric:0.4 --set schedule.num_epochs=3 --out run";
    let said = place.pemm(train).ok();
    said.says(&[
        "test accuracy after the last epoch (3)",
        "wrong training labels",
        "run folder: run",
    ]);
    for part in ["10 classes", "noise symmetric (40.", "run folder run", "epoch   3/3"] {
        assert!(said.err.contains(part), "{said}");
    }
    assert_eq!(place.names("run"), FILES);
    let record = place.json("run/record.json");
    assert_eq!(record["status"], "finished");
    assert_eq!(record["epochs"].as_array().unwrap().len(), 3);
    assert_eq!(place.text("run/log.jsonl").lines().count(), 3);

    // A finished run is shown again, and nothing is written.
    let bytes = || FILES.map(|name| place.read(&format!("run/{name}")));
    let time = |name: &str| place.path(name).metadata().unwrap().modified().unwrap();
    let (before, written) = (bytes(), time("run/record.json"));
    let again = place.pemm(train).ok();
    again.says(&["already finished; this is the stored result", "after the last epoch (3)"]);
    assert!(bytes() == before && time("run/record.json") == written);
    assert_eq!(place.names("run"), FILES);

    // The file that a run leaves is the experiment, and --json is the record.
    let said = place.pemm("train run/experiment.toml --out again --json --quiet").ok();
    assert_eq!(said.err, "");
    let printed = &said.json_lines()[0];
    assert_eq!(printed["identity"], record["identity"]);
    assert_eq!(*printed, place.json("again/record.json"));
    assert!(place.read("again/last.safetensors") == place.read("run/last.safetensors"));
}

#[test]
fn seeds_make_the_weights_and_threads_do_not() {
    let place = Place::new();
    let train = "train digits --noise pair:0.2 --quiet --set schedule.num_epochs=2 \
                 --set model.backbone=cnn8 --set model.width=8";
    let weights = |out: &str, more: &str| {
        let said = place.pemm(&format!("{train} --out {out} {more}")).ok();
        assert_eq!(said.err, "");
        place.tensors(&format!("{out}/last.safetensors"))
    };
    let first = weights("one", "--threads 1");
    assert!(first == weights("two", "--threads 2"), "threads change bits");
    assert!(first == weights("again", ""), "the same seed gives other weights");
    assert!(first != weights("other", "--seed 2"), "the seed changes nothing");
}

#[test]
fn runs_without_a_folder_get_one_under_runs() {
    let place = Place::new();
    place.images("colours of mine/train", 6);
    for number in 1..=2 {
        let said = place.pemm_with(&format!("train {QUICK}"), "colours of mine").ok();
        said.says(&[&format!("run folder: runs/colours-of-mine-pemm-{number}")]);
    }
    let arm = place.pemm_with(&format!("train digits {QUICK} --set"), "arm=a b/c:*").ok();
    arm.says(&["runs/digits-a-b-c---1"]);
    assert_eq!(place.names("runs").len(), 3);
}

#[test]
fn features_of_a_csv() {
    let place = Place::new();
    place.features("measured.csv", 90);
    place.features("measured.test.csv", 30);
    place.pemm("data info measured.csv").ok().says(&["features, CSV", "size 2×1×1: 120 samples"]);
    let said = place.pemm(&format!("train measured.csv --noise pair:0.2 --out run {QUICK}")).ok();
    said.says(&["test accuracy after the last epoch (2)"]);
    place.pemm("evaluate run").ok().says(&[" % of 30 (average"]);
    place.images("pictures", 1);
    place.pemm("predict run pictures").fails(1, &["trained on feature vectors, not on images"]);

    // Labels of vectors are listed by index.
    place.pemm("noise measured.csv --noise pair:0.2 --output noisy.csv").ok();
    assert!(place.text("noisy.csv").starts_with("index,label,clean\n0,"));
    let said = place.pemm(&format!("train measured.csv --labels noisy.csv --out two {QUICK}")).ok();
    assert!(said.err.contains("noise given"), "{said}");

    place.write("broken.csv", "x,label\n1,a\nsix,b\n");
    place.pemm("train broken.csv").fails(1, &["broken.csv: line 3, column \"x\": \"six\""]);
    assert!(!place.exists("runs"));
}

#[test]
fn an_experiment_file_and_what_lies_over_it() {
    let place = Place::new();
    place.images("pictures", 8);
    place.write(
        "mine.toml",
        "seed = 3\ndata.path = \"pictures\"\nnoise = { kind = \"symmetric\", rate = 0.25 }\n\
         schedule.num_epochs = 1\n",
    );
    let experiment = |line: &str| {
        let said = place.pemm(&format!("explain mine.toml --json {line}")).ok();
        said.json_lines()[0]["experiment"].clone()
    };
    let plain = experiment("");
    assert_eq!((&plain["seed"], &plain["noise"]["rate"]), (&3.into(), &0.25.into()));
    let over = experiment("--seed 4 --noise none --preset ce --set seed=5 --set loss.kind=rce");
    assert_eq!((&over["seed"], &over["noise"]["kind"]), (&5.into(), &"none".into()));
    assert_eq!((&over["preset"], &over["loss"]["kind"]), (&"ce".into(), &"rce".into()));
    assert!(!place.exists("runs"), "explain writes nothing");
}
