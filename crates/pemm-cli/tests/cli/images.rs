//! Folders of images: good ones, broken ones, and what is done with a model trained on them.

use std::fs;

use crate::place::{Place, QUICK};

const JPEG: &[u8] = include_bytes!("grey-16x8.jpg");

#[test]
fn a_folder_with_a_test_part() {
    let place = Place::new();
    place.images("pictures/train", 16);
    place.images("pictures/test", 5);
    let info = place.pemm("data info pictures").ok();
    info.says(&["image folder", "3 classes", "size 3×8×8: 63 samples", "no broken files"]);
    assert_eq!(
        place.pemm("data info pictures --json").ok().json_lines()[0]["kind"],
        "image-folder"
    );

    let train = format!("train pictures --noise symmetric:0.25 --out run {QUICK} --set seed=4");
    place.pemm(&train).ok().says(&["of 11 wrong training labels"]);
    let said = place.pemm("evaluate run").ok();
    said.says(&[
        "weights after epoch 2",
        "test accuracy: ",
        " % of 15 (average over the classes: ",
        "blue",
        "green",
        "red",
    ]);
    let best = &place.pemm("evaluate run --best --json").ok().json_lines()[0];
    assert_eq!(best["test"]["num_samples"], 15);
    let last = place.json("run/record.json")["choice"]["last"]["test_accuracy"].clone();
    let again = &place.pemm("evaluate run --json").ok().json_lines()[0];
    assert_eq!(again["test"]["accuracy"], last, "evaluation differs from the record");

    // A run is evaluated even where its preset is gone, but not on other labels.
    let text = place.text("run/experiment.toml");
    place.write("run/experiment.toml", text.replace("preset = \"pemm\"", "preset = \"gone\""));
    place.pemm("evaluate run").ok();
    place.png("pictures/train/red/99.png", [8, 8], [200, 30, 30], 7);
    place.pemm("evaluate run").fails(2, &["are not those of the run"]);
    fs::rename(place.path("pictures"), place.path("moved")).unwrap();
    place.pemm("evaluate run").fails(2, &["data.path: there is nothing at \"pictures\""]);
}

#[test]
fn a_folder_without_a_test_part() {
    let place = Place::new();
    place.images("pictures", 16);
    let said = place.pemm(&format!("train pictures --out none {QUICK}")).ok();
    assert!(said.err.contains("0 test samples"), "{said}");
    said.says(&[
        "no separate test images; agreement with your labels on images kept aside: ",
        " % of 5 (average",
    ]);
    assert!(!said.out.contains("test accuracy"), "{said}");
    let said =
        place.pemm(&format!("train pictures --out some {QUICK} --set data.test_rate=0.25")).ok();
    assert!(said.err.contains("12 test samples"), "{said}");
    place.pemm("evaluate some").ok().says(&[" % of 12 (average"]);
}

#[test]
fn predictions() {
    let place = Place::new();
    place.images("pictures", 12);
    place.pemm(&format!("train pictures --out run {QUICK}")).ok();
    // Of another size, and one below another folder.
    place.png("new/big.png", [20, 11], [200, 30, 30], 1);
    place.png("new/inner/small.png", [5, 5], [30, 30, 200], 2);

    let said = place.pemm("predict run new pictures/red/03.png").ok();
    let lines: Vec<&str> = said.out.lines().collect();
    assert_eq!(
        lines[0],
        "path,class,probability,distance to blue,distance to green,distance to red"
    );
    let paths: Vec<&str> = lines[1..].iter().map(|line| line.split(',').next().unwrap()).collect();
    assert_eq!(paths, ["new/big.png", "new/inner/small.png", "pictures/red/03.png"]);

    let values = place.pemm("predict run new --format jsonl").ok().json_lines();
    assert_eq!(values.len(), 2);
    for (value, line) in values.iter().zip(&lines[1..]) {
        let probability = value["probability"].as_f64().unwrap();
        assert!((1.0 / 3.0 - 1e-6..=1.0).contains(&probability));
        assert!(line.contains(&format!(",{},{probability:.6}", value["class"].as_str().unwrap())));
        // The nearest center is the class.
        let distances = value["distances"].as_object().unwrap();
        let nearest =
            distances.iter().min_by(|a, b| a.1.as_f64().partial_cmp(&b.1.as_f64()).unwrap());
        assert_eq!(value["class"], **nearest.unwrap().0);
    }

    place.write("new/broken.jpg", &JPEG[..JPEG.len() - 20]);
    place.pemm("predict run new").fails(1, &["new/broken.jpg: ", "--skip-broken"]);
    let said = place.pemm("predict run new --skip-broken --json").ok();
    assert!(said.err.contains("warning: left out new/broken.jpg"), "{said}");
    assert_eq!(said.json_lines(), values);
    place.pemm("predict run neww --skip-broken").fails(1, &["neww: there is no", "mean \"new\"?"]);
    place.pemm("predict rum new").fails(2, &["rum: not a run folder: there is no such folder"]);
    // Formats that are not read: the others have their predictions, and nobody misses these.
    place.write("mixed/photo.jpg", JPEG);
    place.write("mixed/phone.heic", "not read");
    let said = place.pemm("predict run mixed");
    assert_eq!(said.code, Some(1), "{said}");
    for part in ["phone.heic", "convert them to jpg", "not every image has a prediction: 1"] {
        assert!(said.err.contains(part), "{said}");
    }
    assert!(said.out.contains("mixed/photo.jpg,"), "{said}");
    place.pemm("predict run mixed --skip-broken").ok();
    place.write("none/readme.md", "");
    place
        .pemm("predict run none")
        .fails(1, &["none: no jpg, jpeg, jpe, jfif, png, webp, bmp, dib, gif, tif, tiff file"]);
}

#[test]
fn a_model_without_centers_gives_no_distances() {
    let place = Place::new();
    place.images("pictures", 6);
    place.pemm(&format!("train pictures --preset ce --out run {QUICK}")).ok();
    let said = place.pemm("predict run pictures/red/00.png").ok();
    assert!(said.out.starts_with("path,class,probability\n"), "{said}");
}

#[test]
fn broken_images_are_listed_and_can_be_skipped() {
    let place = Place::new();
    for i in 0..8 {
        place.write(&format!("pictures/left/{i}.jpg"), JPEG);
        place.write(&format!("pictures/right/{i}.jpg"), JPEG);
    }
    // A wrong extension is no mistake.
    place.write("pictures/left/jpeg.png", JPEG);
    place.write("pictures/left/cut.jpg", &JPEG[..JPEG.len() - 20]);
    place.write("pictures/left/head.jpg", &JPEG[..30]);
    place.write("pictures/right/empty.jpg", "");
    place.write("pictures/right/text.jpg", "hello, this is text");
    let broken = ["left/cut.jpg: ", "left/head.jpg: ", "right/empty.jpg: ", "right/text.jpg: "];
    place.pemm("data info pictures").ok().says(&broken);

    // In memory, and streamed because nothing fits into 0 MiB.
    for memory in ["", "--set data.memory_mib=0"] {
        let train = format!("train pictures {QUICK} {memory}");
        let said = place.pemm(&train);
        said.fails(1, &["4 of 21 images cannot be read", "--set data.broken=skip"]);
        said.fails(1, &broken[1..]);
        let said = place.pemm(&format!("{train} --out run"));
        said.fails(1, &broken[1..]);
        assert_eq!(place.names(""), ["pictures"], "something is left behind");
        let said = place.pemm(&format!("{train} --out run --set data.broken=skip")).ok();
        assert!(said.err.contains("15 training, 2 validation"), "{said}");
        fs::remove_dir_all(place.path("run")).unwrap();
    }

    // Where only the pixels are broken, streaming finds it later, but still before the run.
    for name in ["left/head.jpg", "right/empty.jpg", "right/text.jpg"] {
        fs::remove_file(place.path(&format!("pictures/{name}"))).unwrap();
    }
    let train = "train pictures --set data.memory_mib=0 --set data.val_rate=0";
    let said = place.pemm(&format!("{train} --set data.broken=error"));
    said.fails(1, &["1 image cannot be read", broken[0]]);
    assert_eq!(place.names(""), ["pictures"]);
    // One of so many is left out unasked, and named.
    let said = place.pemm(&format!("{train} {QUICK} --out run")).ok();
    assert!(said.err.contains("1 image cannot be read, left out: left/cut.jpg"), "{said}");
}

#[test]
fn sizes_and_classes_that_do_not_fit() {
    let place = Place::new();
    place.images("pictures", 6);
    place.png("pictures/red/odd.png", [9, 7], [200, 30, 30], 1);
    let said = place.pemm(&format!("explain pictures {QUICK}")).ok();
    assert!(said.err.contains("data.resize: the images have 2 different sizes"), "{said}");
    assert!(said.err.contains("brought to 8×8"), "{said}");
    let train = format!("train pictures {QUICK} --out run");
    place.pemm(&train).ok();

    fs::create_dir(place.path("pictures/yellow")).unwrap();
    let said = place.pemm("train pictures --set data.resize=[8,8]");
    said.fails(1, &["1 of 4 classes have no training sample: yellow; fill or remove"]);
    assert!(!place.exists("runs"));
}

#[test]
fn long_and_strange_class_names() {
    let place = Place::new();
    let long = "x".repeat(200);
    let strange = "héllo, \"wörld\" ✓";
    for i in 0..6 {
        place.png(&format!("pictures/{long}/{i}.png"), [8, 8], [200, 30, 30], i);
        place.png(&format!("pictures/{strange}/{i}.png"), [8, 8], [30, 30, 200], 100 + i);
    }
    let train = format!("train pictures --noise symmetric:0.2 {QUICK} --set data.test_rate=0.2");
    place.pemm(&format!("{train} --out run")).ok();
    place.pemm("data info pictures").ok().says(&[strange, &long]);
    place.pemm("evaluate run").ok().says(&[strange, &long]);
    let quoted = format!("\"distance to {}\"", strange.replace('"', "\"\""));
    place.pemm("predict run pictures").ok().says(&[&quoted, &format!("distance to {long}")]);
}

/// Folders that could be parts or classes: somebody says which before there is an experiment.
#[test]
fn a_layout_can_be_looked_at_before_training() {
    let place = Place::new();
    for class in ["train", "car", "boat"] {
        for i in 0..4 {
            place.png(&format!("toys/{class}/{i}.png"), [8, 8], [200, 30, 30], i);
        }
    }
    place.pemm("data info toys").fails(1, &["data.layout"]);
    place.pemm("data info toys --layout classes").ok().says(&["3 classes", "train  "]);
    place
        .pemm("data info toys --layout class")
        .fails(2, &["[possible values: auto, parts, classes]"]);
}
