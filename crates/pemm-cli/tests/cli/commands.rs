//! The commands around training.

use std::fs::File;
use std::process::Stdio;

use crate::place::{Place, QUICK, Said};

#[test]
fn a_table_of_two_arms_and_two_seeds() {
    let place = Place::new();
    for (preset, seed) in [("pemm", 1), ("pemm", 2), ("ce", 1), ("ce", 2)] {
        let train = format!("train digits --preset {preset} --seed {seed} --noise symmetric:0.4");
        let same = "--set optim.learning_rate=0.01 --set model.dropout=0";
        place.pemm(&format!("{train} {QUICK} {same} --out all/{preset}-{seed} --quiet")).ok();
    }
    let allow = "--allow loss --allow model --allow optim --allow schedule";
    let said = place.pemm(&format!("table all {allow}")).ok();
    said.says(&["Data: digits", "| arm | symmetric 0.4 |", "| pemm | ", "| ce | ", " (2) |", "±"]);
    let csv = place.pemm(&format!("table all {allow} --format csv")).ok();
    // A header, and two arms by three ways to choose the epoch.
    assert_eq!(csv.out.lines().count(), 1 + 2 * 3, "{csv}");
    assert_eq!(place.pemm(&format!("table all {allow} --format runs")).ok().out.lines().count(), 5);
    let values = place.pemm(&format!("table all {allow} --json")).ok().json_lines();
    assert_eq!(values.len(), 2 * 3);
    let mean = |run: &str| {
        let record = place.json(&format!("all/{run}/record.json"));
        record["choice"]["last"]["test_accuracy"].as_f64().unwrap()
    };
    let ce = values.iter().find(|value| value["arm"] == "ce" && value["judge"] == "last").unwrap();
    let expected = (mean("ce-1") + mean("ce-2")) / 2.0;
    assert!((ce["mean_test_accuracy"].as_f64().unwrap() - expected).abs() < 1e-12);

    place.pemm("table all/ce-1 all/ce-1").fails(1, &["both seed 1 of arm `ce`"]);
    place.pemm("table nowhere").fails(2, &["nowhere: ", "there is no such file or folder"]);
    std::fs::create_dir(place.path("empty")).unwrap();
    place.pemm("table empty").fails(2, &["empty: holds no run folder and no record"]);
    place.write("all/ce-1/record.json", "{\"schema\": 0}");
    place.pemm("table all").fails(1, &["all/ce-1/record.json: ", "schema 0"]);
}

#[test]
fn explain_shows_everything_and_can_be_trained_on() {
    let place = Place::new();
    let said = place.pemm(&format!("explain digits --noise symmetric:0.4 {QUICK}")).ok();
    said.says(&[
        "[optim]\nlearning_rate = ",
        "# shapes    [N, 1, 8, 8] → ",
        "2 epochs of 21 steps",
    ]);
    place.write("explained.toml", &said.out);
    place.pemm("train explained.toml --out one --quiet").ok();
    place.pemm(&format!("train digits --noise symmetric:0.4 {QUICK} --out two --quiet")).ok();
    assert!(place.read("one/last.safetensors") == place.read("two/last.safetensors"));
    assert_eq!(place.text("one/experiment.toml"), place.text("two/experiment.toml"));
}

#[test]
fn known_data_sets() {
    let place = Place::new();
    place.pemm("data list").ok().says(&["cifar10 ", "mnist "]);
    let listed = place.pemm("data list --json").ok().json_lines();
    assert!(listed[0].as_array().unwrap().iter().any(|entry| entry["name"] == "cifar10"));
    place.pemm("data info digits").ok().says(&["10 classes", "size 1×8×8: 1797 samples"]);
    place.pemm("data fetch cifar").fails(2, &["`cifar`; did you mean `cifar10`?"]);
    assert!(place.names("").is_empty());
}

#[test]
fn the_name_of_a_method_shows_its_page() {
    let place = Place::new();
    let page = place.pemm("methods sce").ok();
    page.says(&[
        "loss.kind = \"sce\"",
        "Equation\n  -α log p_y",
        "Source\n",
        "ln 1e-4",
        "--preset sce",
    ]);
    page.says(&["Differs from it\n  log_zero: the paper"]);
    assert!(!page.out.contains("nce-rce\""), "{page}");
    place.pemm("methods nce").ok().says(&["nothing that we know of"]);
    // A part of a name lists, without pages.
    let listed = place.pemm("methods gce").ok();
    assert!(listed.out.contains("Equation"), "gce is a whole name: {listed}");
    let listed = place.pemm("methods bootstr").ok();
    listed.says(&["  bootstrap-soft", "  bootstrap-hard", "Presets (--preset)"]);
    assert!(!listed.out.contains("Equation"), "{listed}");
    let values = place.pemm("methods elr --json").ok().json_lines();
    let methods = values[0]["groups"][0]["methods"].as_array().unwrap();
    assert_eq!((methods.len(), methods[0]["name"].as_str()), (1, Some("elr")));
    assert!(methods[0]["differs"].as_array().is_some_and(|differs| !differs.is_empty()));
    place.pemm("methods klingon").fails(2, &["has `klingon` in its name"]);
}

#[test]
fn completions_of_three_shells() {
    let place = Place::new();
    for (shell, part) in [("bash", "complete -F _pemm"), ("zsh", "#compdef pemm"), ("fish", "pemm")]
    {
        let said = place.pemm(&format!("completions {shell}")).ok();
        said.says(&[part, "label-column", "paper-tables", "schedule.num_epochs=", "block-cycle"]);
    }
}

/// Where results cannot be written, that is said; a reader that went away is no error.
#[test]
fn standard_output_that_is_full_or_closed() {
    let place = Place::new();
    for line in ["completions bash", "explain digits", "data list", "data info digits --json"] {
        if let Ok(full) = File::options().write(true).open("/dev/full") {
            let mut command = place.command(line);
            let said = Said::of(line, command.stdout(full).output().unwrap());
            said.fails(1, &["error: standard output: No space left"]);
        }
        let mut child = place.command(line).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let said = Said::of(line, child.wait_with_output().unwrap());
        assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{said}");
    }
}
