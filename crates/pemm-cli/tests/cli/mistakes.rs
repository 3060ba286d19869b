//! Wrong settings: the message names the place, the rule and the value, and nothing is left behind.

use crate::place::{Place, QUICK, Said};

#[test]
fn settings_of_the_command_line() {
    let cases: &[(&str, &[&str])] = &[
        ("--set optim.learning_rat=1", &["`learning_rat`", "in `optim`", "mean `learning_rate`?"]),
        ("--set optimm.learning_rate=1", &["unknown field `optimm`", "did you mean `optim`?"]),
        ("--set optim.learning_rate=abc", &["\"abc\", expected f64", "in `optim.learning_rate`"]),
        ("--set optim.learning_rate", &["expected key=value"]),
        ("--set optim.learning_rate=-1", &["optim.learning_rate: must be above 0, is -1"]),
        ("--set optim.learning_rate=nan", &["optim.learning_rate: must be above 0, is NaN"]),
        ("--set optim.momentum=1", &["optim.momentum: must be 0 or more and below 1, is 1"]),
        ("--set schedule.batch_size=1", &["schedule.batch_size: must be from 2", "is 1"]),
        ("--set schedule.num_epochs=0", &["schedule.num_epochs: must be from 1", "is 0"]),
        ("--set schedule.warmup_epochs=99", &["schedule.warmup_epochs: must be below", "is 99"]),
        ("--set data.val_rate=0.95", &["data.val_rate: must be from 0 to 0.9, is 0.95"]),
        ("--set data.limit=0", &["data.limit: must be at least 1 and is 0"]),
        ("--set data.resize=[0,8]", &["data.resize: [0, 8] has a side outside 1 to"]),
        ("--set data.resize=8", &["expected an array of length 2", "in `data.resize`"]),
        ("--set seed=-1", &["integer `-1`", "in `seed`"]),
        ("--set arm=", &["arm: must be a name of one line"]),
        ("--seed 9999999999999999999", &["--seed: must be below 2^63, is 9999999999999999999"]),
        (
            "--preset pemn",
            &["preset: there is no preset `pemn`; did you mean `pemm`?", "`pemm methods` lists"],
        ),
        ("--noise symetric:0.4", &["no noise is called \"symetric\"; did you mean \"symmetric\"?"]),
        ("--noise symmetric", &["\"symmetric\" has no rate from 0 to 1; write symmetric:0.4"]),
        ("--noise symmetric:1.4", &["noise.rate: must be from 0 to 1, is 1.4"]),
        ("--noise asymmetric:0.4", &["noise.kind:", "no class is called \"truck\""]),
        ("--noise matrix:0.4", &["noise.matrix: there is no file at \"0.4\""]),
        ("--set loss.kind=sse", &["unknown variant `sse`", "did you mean `sce`?"]),
        ("--preset ce --set loss.alpha=1", &["loss.alpha: loss.kind = \"ce\" has no such"]),
        ("--set loss.kind=ce --set loss.alpha=1", &["loss.alpha: loss.kind = \"ce\" has no such"]),
        ("--set model.head=linear", &["loss.energy.kind: needs centers", "model.head = \"dist"]),
        ("--set model.backbone=resnet", &["unknown variant `resnet`"]),
        ("--set loss.energy.u=1", &["loss.energy.u: must be above v = 2", "is 1"]),
        ("--device tpu", &["--device: `tpu` is not one of cpu, gpu, cuda"]),
        (
            "--labels lables.csv",
            &["data.labels: there is no file \"lables.csv\"", "\"labels.csv\""],
        ),
        ("--label-column vote", &["--label-column: there is no labels file; add --labels"]),
    ];
    let place = Place::new();
    place.write("labels.csv", "");
    for (settings, parts) in cases {
        place.pemm(&format!("train digits {settings}")).fails(2, parts);
        place.pemm(&format!("train digits {settings} --out run")).fails(2, parts);
        assert_eq!(place.names(""), ["labels.csv"], "{settings} leaves something behind");
    }
}

#[cfg(not(feature = "cuda"))]
#[test]
fn a_device_that_was_not_built_in() {
    let place = Place::new();
    place.pemm("train digits --device cuda").fails(2, &["built without cuda", "--features cuda"]);
    assert!(place.names("").is_empty());
}

#[test]
fn experiment_files() {
    let cases: &[(&str, &[&str])] = &[
        (
            "seed = 1\n\n[optim]\nlearning_rat = 0.1\n",
            &["mine.toml: ", "line 4, column 1", "`learning_rat`", "did you mean `learning_rate`?"],
        ),
        ("seed = \"x\"\n", &["mine.toml: ", "line 1", "string \"x\", expected u64"]),
        ("seed = 1\nseed = 2\n", &["mine.toml: ", "line 2", "duplicate key"]),
        ("seed = \n", &["mine.toml: ", "line 1"]),
        ("[noise]\nkind = \"symetric\"\n", &["line 2", "did you mean `symmetric`?"]),
    ];
    let place = Place::new();
    for (text, parts) in cases {
        place.write("mine.toml", text);
        place.pemm("train mine.toml").fails(2, parts);
        assert_eq!(place.names(""), ["mine.toml"]);
    }
    place
        .pemm("train mime.toml")
        .fails(2, &["mime.toml: there is no such file", "did you mean mine.toml?"]);
}

#[test]
fn data_that_is_not_there() {
    let place = Place::new();
    place.images("pictures", 2);
    place.write("notes.txt", "");
    place.write("nothing/readme.md", "");
    for command in ["train", "explain", "data info", "noise --output new.csv"] {
        let fails = |data: &str, parts: &[&str]| {
            place.pemm(&format!("{command} {data}")).fails(2, parts);
        };
        fails(
            "digit",
            &["data.path: there is no file or folder \"digit\"; did you mean \"digits\"?"],
        );
        fails(
            "picturs",
            &["data.path: there is no file or folder \"picturs\"; did you mean \"pictures\"?"],
        );
        fails("elsewhere", &["data.path: there is no file or folder \"elsewhere\""]);
        fails("notes.txt", &["data.path: \"notes.txt\" is a file", ".csv", ".tar.gz"]);
        fails("nothing", &["data.path: no source is found in the folder", "train/<class>/"]);
    }
    assert_eq!(place.names(""), ["notes.txt", "nothing", "pictures"]);
}

#[test]
fn folders_of_other_things_are_left_as_they_are() {
    let place = Place::new();
    let train = |more: &str| place.pemm(&format!("train digits {QUICK} --quiet {more}"));
    train("--out run").ok();
    let before = place.read("run/record.json");
    let said = train("--out run --seed 2 --set optim.learning_rate=0.05");
    said.fails(
        2,
        &[
            "run: holds a run with other settings",
            "nothing was overwritten",
            "optim.learning_rate: 0.02 → 0.05",
            "seed: 1 → 2",
        ],
    );
    assert!(place.read("run/record.json") == before);

    place.write("thesis/chapter.tex", "");
    train("--out thesis").fails(2, &["thesis: not a run folder", "it holds `chapter.tex`"]);
    assert_eq!(place.names("thesis"), ["chapter.tex"]);
    train("--out thesis/chapter.tex").fails(2, &["not a run folder: it is a file"]);

    // An empty folder of the user's own is still there after a failure, and then is used.
    std::fs::create_dir(place.path("empty")).unwrap();
    train("--out empty --set optim.learning_rate=-1").fails(2, &["must be above 0"]);
    assert!(place.names("empty").is_empty());
    train("--out empty").ok();
}

#[test]
fn a_loss_that_is_not_finite() {
    let place = Place::new();
    let train = format!("train digits {QUICK} --set optim.learning_rate=1e30 --out run");
    for _ in 0..2 {
        let parts = ["error: epoch 1, step 2: the term `loss` is NaN", "optim.learning_rate"];
        place.pemm(&train).fails(1, &parts);
        let failed = &place.json("run/record.json")["status"]["failed"];
        assert_eq!((&failed["step"], &failed["term"]), (&2.into(), &"loss".into()));
    }
    place.pemm("table run").ok().says(&["Not finished", "failed in step 2, term loss"]);
    let none = ["run/last.safetensors: there is none: the run has not finished its first epoch"];
    place.pemm("evaluate run").fails(1, &none);
    place.pemm("predict run run").fails(1, &none);
}

#[test]
fn threads_of_the_environment_have_the_limit_of_the_argument() {
    let place = Place::new();
    let mut command = place.command("train digits");
    command.env("RAYON_NUM_THREADS", "1000000");
    let said = Said::of("train digits", command.output().unwrap());
    said.fails(2, &["RAYON_NUM_THREADS: must be at most 1024, is 1000000"]);
    assert!(!place.exists("runs"));
}

#[test]
fn control_characters_of_names_do_not_reach_the_terminal() {
    let place = Place::new();
    place.images("pictures/train", 6);
    let name = "pictures/train/red/a\u{1b}]0;title\u{7}.heic";
    place.write(name, "x");
    let line = format!("train {QUICK} pictures --out");
    let said = place.pemm_with(&line, "run\u{1b}[31m\u{9b}2J").ok();
    let is_harmful = |text: &str| text.chars().any(|c| c.is_control() && c != '\n');
    assert!(said.err.contains("\\u{1b}[31m") && said.err.contains("\\u{1b}]0;title"), "{said}");
    assert!(!is_harmful(&said.err), "{said}");
    let said = place.pemm_with("evaluate", "no\u{1b}[31m");
    assert!(said.err.contains("no\\u{1b}[31m") && !is_harmful(&said.err), "{said}");
}
