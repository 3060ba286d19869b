//! A pretrained backbone from a file: training, audit, prediction and features through it.

use crate::place::Place;

const TINY: &[u8] = include_bytes!("../../../pemm-embed/src/tests/data/tiny.onnx");

/// Images of three classes, the backbone, and a cache of its own.
fn place() -> Place {
    let place = Place::new();
    place.images("photos/train", 8);
    place.images("photos/test", 4);
    place.write("tiny.onnx", TINY);
    place
}

#[test]
fn a_backbone_trains_evaluates_predicts_audits_and_reports() {
    let place = place();
    let run = |line: &str| place.pemm(line).ok();
    let train = "train photos --backbone tiny.onnx --epochs 3 --out run --quiet";
    run(train).says(&["test accuracy after the last epoch (3)"]);
    let experiment = place.text("run/experiment.toml");
    for part in
        ["[pretrained]", "backbone = \"tiny.onnx\"", "backbone_sha256 = \"", "backbone = \"none\""]
    {
        assert!(experiment.contains(part), "{experiment}");
    }
    run(train).says(&["already finished"]);
    run("evaluate run").says(&["test accuracy: ", " % of 12 (average"]);
    let before = place.text("run/record.json");
    let said = run("predict run photos/test/red");
    assert_eq!(said.out.lines().count(), 5, "{said}");
    run("report run").says(&["run/report.html"]);
    run("audit photos --backbone tiny.onnx --folds 2 --epochs 2 --out audit --quiet");
    assert!(place.exists("audit/label_issues.csv"));
    run("explain photos --backbone tiny.onnx").says(&["# backbone  tiny.onnx", " features of "]);
    run("embed photos --backbone tiny.onnx --output features --quiet").says(&["36 samples with"]);
    assert!(place.exists("features/features.npy") && place.exists("features/test_labels.npy"));
    run("explain features").says(&["backbone = \"none\"", "dropout = 0.5"]);
    assert_eq!(place.text("run/record.json"), before);

    // The same key in a grid, by its short form.
    place.write(
        "grid.toml",
        "[base]\ndata.path = \"photos\"\nmodel.backbone = \"tiny.onnx\"\nschedule.num_epochs = 2\n\
         [[axis]]\nkey = \"seed\"\nvalues = [1, 2]\n",
    );
    run("grid grid.toml --quiet");
    run("table grid.toml").says(&["| pemm"]);
}

#[test]
fn features_are_those_of_the_images_whatever_is_in_the_cache() {
    let place = place();
    let weights = |out: &str, cache: &str| {
        let line = format!("train photos --backbone tiny.onnx --epochs 2 --quiet --out {out}");
        let mut command = place.command(&line);
        command.env("PEMM_CACHE", place.path(cache));
        assert!(command.output().unwrap().status.success());
        place.read(&format!("{out}/last.safetensors"))
    };
    let fresh = weights("one", "cache");
    assert!(place.exists("cache/features"));
    assert!(weights("two", "cache") == fresh && weights("three", "other") == fresh);
}

#[test]
fn what_is_wrong_with_a_backbone_is_said_before_there_is_a_folder() {
    let place = place();
    place.write("text.onnx", "this is no network");
    place.features("rows.csv", 30);
    for (arguments, parts) in [
        ("photos --backbone none.onnx", ["none.onnx", "there is no such file"]),
        ("photos --backbone text.onnx", ["text.onnx", "not an ONNX file"]),
        ("rows.csv --backbone tiny.onnx", ["pretrained.backbone", "feature vectors"]),
        (
            "photos --backbone tiny.onnx --set pretrained.backbone_sha256=00",
            ["pretrained.backbone", "has the SHA-256"],
        ),
    ] {
        for command in ["train", "explain", "audit"] {
            place.pemm(&format!("{command} {arguments}")).fails(2, &parts);
        }
        assert!(!place.exists("runs") && !place.exists("audits"), "{arguments}");
    }
    let train = "train photos --backbone tiny.onnx --epochs 1 --out run --quiet";
    place.pemm(train).ok();
    let mut other = TINY.to_vec();
    let last = other.len() - 1;
    other[last] ^= 1;
    place.write("tiny.onnx", other);
    let said = place.pemm("predict run photos/test");
    assert!(said.code == Some(2) && said.err.contains("tiny.onnx"), "{said}");
    place.write("moved.onnx", TINY);
    place.pemm("predict run photos/test --backbone moved.onnx").ok();
}
