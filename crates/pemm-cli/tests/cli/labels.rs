//! Labels of a CSV, and the noise that writes one.

use crate::place::{Place, QUICK};

/// 12 images, and the rows of a CSV that lists them with their own class.
fn pictures() -> (Place, Vec<String>) {
    let place = Place::new();
    place.images("pictures", 4);
    let classes = ["blue", "green", "red"];
    let names = classes.map(|class| (0..4).map(move |i| format!("{class}/{i:02}.png,{class}")));
    (place, names.into_iter().flatten().collect())
}

#[test]
fn weights_clean_labels_and_another_column() {
    let (place, mut rows) = pictures();
    rows[0] = "blue/00.png,red".into();
    let rows: Vec<String> = rows
        .iter()
        .map(|row| {
            let class = row.split('/').next().unwrap();
            let vote = if class == "red" { "red" } else { "green" };
            format!("{row},0.5,{class},{vote}")
        })
        .collect();
    place.write("labels.csv", format!("path,label,weight,clean,vote\n{}\n", rows.join("\n")));
    let train = format!("{QUICK} --set data.val_rate=0");
    let said = place.pemm(&format!("train pictures --labels labels.csv --out run {train}")).ok();
    assert!(said.err.contains("noise given (8.3 % of the labels are wrong)"), "{said}");
    said.says(&["of 1 wrong training labels"]);

    // The file may stand in the experiment, and the column on the command line.
    place.write("mine.toml", "data = { path = \"pictures\", labels = \"labels.csv\" }\n");
    let said = place.pemm(&format!("train mine.toml --label-column vote --out vote {train}")).ok();
    assert!(said.err.contains("noise given (33.3 %"), "{said}");
    place.pemm("evaluate run").ok();
    place.write("labels.csv", place.text("labels.csv").replace("00.png,red", "00.png,blue"));
    place.pemm("evaluate run").fails(2, &["given labels are not those of the run"]);
    let again = format!("train pictures --labels labels.csv --out run {train}");
    let said = place.pemm(&again).ok();
    said.says(&["already finished"]);
    assert!(said.err.contains("samples or labels are not those that run was started"), "{said}");
    // The labels name an image that is gone.
    std::fs::remove_file(place.path("pictures/red/03.png")).unwrap();
    let said = place.pemm(&again).ok();
    assert!(said.err.contains("run was trained on can no longer be read: labels.csv"), "{said}");
    std::fs::remove_dir_all(place.path("pictures")).unwrap();
    let said = place.pemm(&again).ok();
    assert!(!said.err.contains("data:"), "{said}");
}

#[test]
fn an_audit_does_not_go_on_with_the_folds_of_other_labels() {
    let (place, mut rows) = pictures();
    let write = |rows: &[String]| {
        place.write("labels.csv", format!("path,label\n{}\n", rows.join("\n")));
    };
    write(&rows);
    let audit = format!("audit pictures --labels labels.csv --folds 2 --out audit {QUICK}");
    place.pemm(&audit).ok();
    rows[0] = "blue/00.png,red".into();
    write(&rows);
    let said = ["are not those that audit/folds/1 was started on; choose another --out"];
    place.pemm(&audit).fails(2, &said);
}

#[test]
fn mistakes_are_named_by_line() {
    let (place, rows) = pictures();
    let cases: &[(&str, &str, &[&str])] = &[
        ("blue/01.png,blue", "01.png,blue", &["line 3: \"01.png\" could be", "green/01.png"]),
        ("blue/01.png,blue", "blue/91.png,blue", &["line 3: \"blue/91.png\" is no", "blue/01.png"]),
        ("blue/01.png,blue", "blue/00.png,blue", &["line 3: \"blue/00.png\" is listed a second"]),
        (
            "blue/01.png,blue",
            "blue/01.png,blu",
            &["line 3: column \"label\": \"blu\"", "\"blue\"?"],
        ),
        ("blue/01.png,blue", "blue/01.png,cat", &["none of the 3 classes (blue, green, red)"]),
        ("blue/01.png,blue", "blue/01.png,7", &["line 3: column \"label\": class id 7", "0 to 2"]),
        ("blue/01.png,blue", "blue/01.png", &["line: 3", "1 fields"]),
        ("path,label", "path,lable", &["line 1: there is no column \"label\"", "path, lable"]),
        ("path,label", "file,label", &["line 1: there is no column path or index", "file, label"]),
        ("blue/01.png,blue\n", "", &["1 of 12 training samples", "blue/01.png", "data.unlisted"]),
    ];
    let text = format!("path,label\n{}\n", rows.join("\n"));
    for (good, bad, parts) in cases {
        place.write("labels.csv", text.replace(good, bad));
        let said = place.pemm("train pictures --labels labels.csv");
        said.fails(1, parts);
        said.fails(1, &["labels.csv: "]);
        assert_eq!(place.names(""), ["labels.csv", "pictures"]);
    }
    place.write("labels.csv", text.replace("blue/01.png,blue\n", ""));
    let drop = format!("train pictures --labels labels.csv --set data.unlisted=drop {QUICK}");
    let said = place.pemm(&format!("{drop} --out run --set data.val_rate=0")).ok();
    assert!(said.err.contains("11 training, 0 validation"), "{said}");
    for weight in ["-1", "inf", "much"] {
        let rows: Vec<String> = rows.iter().map(|row| format!("{row},{weight}")).collect();
        place.write("labels.csv", format!("path,label,weight\n{}\n", rows.join("\n")));
        let message = format!("labels.csv: line 2: weight \"{weight}\"");
        place.pemm("train pictures --labels labels.csv").fails(1, &[&message]);
    }
}

#[test]
fn drawn_noise_is_a_labels_file() {
    let place = Place::new();
    place.images("pictures", 10);
    let noise = "noise pictures --noise symmetric:0.3 --seed 5 --output noisy.csv";
    place.pemm(noise).ok().says(&["9 of 30 labels changed (30.00 %)", "noisy.json"]);
    let text = place.text("noisy.csv");
    assert!(text.starts_with("path,label,clean\nblue/00.png,"), "{text}");
    let wrong = text.lines().skip(1).filter(|line| {
        let cells: Vec<&str> = line.split(',').collect();
        cells[1] != cells[2]
    });
    assert_eq!(wrong.count(), 9);
    let manifest = place.json("noisy.json");
    assert_eq!(manifest["realised"]["num_flipped"], 9);

    place.pemm(noise).fails(2, &["noisy.csv is there already; --force replaces it"]);
    std::fs::remove_file(place.path("noisy.csv")).unwrap();
    place.pemm(noise).fails(2, &["noisy.json is there already; --force replaces it"]);
    place.pemm(&format!("{noise} --force")).ok();
    assert_eq!(place.text("noisy.csv"), text, "the same seed draws other noise");
    place.pemm("noise pictures --output a.json").fails(2, &["--output: must not end in .json"]);
    place.pemm("noise pictures --output no/a.csv").fails(2, &["--output: there is no folder no"]);

    // Training on the file is training on the noise.
    let train = format!("train pictures --seed 5 {QUICK}");
    place.pemm(&format!("{train} --noise symmetric:0.3 --out drawn")).ok();
    place.pemm(&format!("{train} --labels noisy.csv --out listed")).ok();
    assert!(place.tensors("drawn/last.safetensors") == place.tensors("listed/last.safetensors"));
}
