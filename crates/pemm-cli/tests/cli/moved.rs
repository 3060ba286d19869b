//! Data that are no longer where the training found them.

use std::fs;

use crate::place::{Place, QUICK};

/// A run `work/runs/a` that was started in `work`, on `pictures` there.
fn trained() -> Place {
    let place = Place::new();
    place.images("work/pictures/train", 12);
    place.images("work/pictures/test", 4);
    place.in_folder("work", &format!("train pictures --out runs/a {QUICK}")).ok();
    place
}

#[test]
fn a_run_finds_its_data_from_everywhere() {
    let place = trained();
    let before = place.in_folder("work", "evaluate runs/a").ok();
    assert!(!before.err.contains("another path"), "{before}");
    let said = place.pemm("evaluate work/runs/a").ok();
    assert_eq!(said.out, before.out);
    assert!(said.err.contains("the data are found at another path"), "{said}");

    fs::rename(place.path("work/pictures"), place.path("album")).unwrap();
    let nowhere = ["data.path: there is nothing at \"pictures\"", "--data"];
    place.pemm("evaluate work/runs/a").fails(2, &nowhere);
    let said = place.pemm("evaluate work/runs/a --data album").ok();
    assert_eq!(said.out, before.out);
    assert!(said.err.contains("data.path: \"pictures\" → \"album\""), "{said}");
    place.pemm("audit work/runs/a --out audit").fails(2, &nowhere);
    place.pemm("audit work/runs/a --data album --out audit").ok();
    let report = "report work/runs/a --outputs";
    place.pemm(report).fails(2, &nowhere);
    fs::remove_file(place.path("work/runs/a/outputs.safetensors")).unwrap();
    place.pemm(&format!("{report} --data album")).ok();
    assert!(place.exists("work/runs/a/outputs.safetensors"));
    place.pemm("report work/runs/a --data album").fails(2, &["go with --outputs"]);
    place.pemm("audit album --data album").fails(2, &["--data: goes with a run folder"]);
    place.pemm("audit work/runs/a --epochs 3").fails(2, &["--epochs: work/runs/a is a run"]);
    let labels = place.pemm("evaluate work/runs/a --data album --labels work/runs/a/log.jsonl");
    labels.fails(2, &["data.labels: the run has none"]);

    // As many images with the same labels, but not the same ones.
    place.images("other/train", 12);
    place.images("other/test", 4);
    fs::rename(place.path("other/train/red/00.png"), place.path("other/train/red/99.png")).unwrap();
    place.pemm("evaluate work/runs/a --data other").fails(2, &["are not those that the run"]);
    // At the old place a test part may grow, which is said.
    fs::rename(place.path("album"), place.path("work/pictures")).unwrap();
    place.png("work/pictures/test/red/99.png", [8, 8], [200, 30, 30], 7);
    let said = place.in_folder("work", "evaluate runs/a").ok();
    assert!(said.err.contains("pictures changed since the run"), "{said}");
}

#[test]
fn a_run_that_was_begun_inside_of_its_data_is_found_from_outside() {
    let place = Place::new();
    place.images("pictures", 12);
    place.in_folder("pictures", &format!("train . --out runs/a {QUICK}")).ok();
    let before = place.in_folder("pictures", "evaluate runs/a").ok();
    let said = place.pemm("evaluate pictures/runs/a").ok();
    assert_eq!(said.out, before.out);
    assert!(said.err.contains("data.path: \".\" → "), "{said}");
}

#[test]
fn a_finished_run_is_told_at_the_new_place_once_its_data_were_seen() {
    let place = trained();
    fs::rename(place.path("work/pictures"), place.path("album")).unwrap();
    let train = format!("train album --out work/runs/a {QUICK}");
    let said = place.pemm(&train).ok();
    said.says(&["already finished"]);
    let record = place.json("work/runs/a/record.json");
    assert_eq!(record["data"]["found_at"][0], "data.path = \"album\"");
    assert_eq!(record["experiment"]["data"]["path"], "pictures");
    let read = &record["data"]["account"]["read"];
    assert_eq!((&read[0]["folder"], &read[0]["images"][2]), (&"train".into(), &12.into()));
    // It is known now, so that it can be told without its data.
    fs::remove_dir_all(place.path("album")).unwrap();
    place.pemm(&train).ok().says(&["already finished"]);
    place.images("elsewhere/train", 12);
    let other = place.pemm(&train.replace("album", "elsewhere"));
    other.fails(2, &["samples or labels are not those"]);
}

#[test]
fn a_grid_goes_on_with_data_that_were_moved() {
    let place = Place::new();
    place.images("pictures", 10);
    let grid = |path: &str, seeds: &str| {
        format!(
            "[base]\ndata.path = \"{path}\"\nmodel = {{ backbone = \"mlp\", width = 16 }}\n\
             schedule.num_epochs = 2\n[[axis]]\nkey = \"seed\"\nvalues = [{seeds}]\n"
        )
    };
    place.write("g.toml", grid("pictures", "1"));
    place.pemm("grid g.toml --out runs").ok().says(&["1 finished (0 before)"]);
    let before = place.json("runs/seed-1/record.json");
    fs::rename(place.path("pictures"), place.path("album")).unwrap();
    place.write("g.toml", grid("album", "1, 2"));
    place.pemm("table g.toml --out runs").fails(2, &["data.path: \"pictures\" → \"album\""]);
    let dry = place.pemm("grid g.toml --out runs --dry-run").ok();
    dry.says(&["seed-1  finished, on data that were elsewhere then"]);
    place.pemm("grid g.toml --out runs").ok().says(&["2 finished (0 before)"]);
    let after = place.json("runs/seed-1/record.json");
    assert_eq!((&after["epochs"], &after["identity"]), (&before["epochs"], &before["identity"]));
    assert_eq!(after["data"]["found_at"][0], "data.path = \"album\"");
    place.pemm("grid g.toml --out runs").ok().says(&["2 finished (2 before)"]);
    place.pemm("table g.toml --out runs").ok();

    // Other images at the new place are no move.
    place.images("other", 11);
    place.write("g.toml", grid("other", "1"));
    let said = place.pemm("grid g.toml --out runs");
    assert_eq!(said.code, Some(1), "{said}");
    assert!(said.err.contains("samples or labels are not those"), "{said}");
    assert_eq!(place.json("runs/seed-1/record.json"), after);
}
