//! Bad experiments are refused with the same words by whatever would run them, before there is a
//! folder.

use crate::place::Place;

/// Settings of a bad experiment, and what is said of it.
const REFUSED: &[(&[&str], &str)] = &[
    (&["optim.learning_rate=-1"], "optim.learning_rate: must be above 0, is -1"),
    (&["optim.momentum=1"], "optim.momentum: must be 0 or more and below 1, is 1"),
    (&["optim.weight_decay=-1"], "optim.weight_decay: must be 0 or more, is -1"),
    (&["optim.clip_norm=0"], "optim.clip_norm: must be above 0, is 0"),
    (&["schedule.batch_size=1"], "schedule.batch_size: must be from 2 to 1000000, is 1"),
    (&["schedule.num_epochs=0"], "schedule.num_epochs: must be from 1 to 1000000, is 0"),
    (&["schedule.warmup_epochs=99999"], "schedule.warmup_epochs: must be below"),
    (&["schedule.factor=0"], "schedule.factor: must be above 0 and at most 1, is 0"),
    (&["schedule.half_period=5.0"], "schedule.half_period: goes with schedule.kind = \"cosine\""),
    (&["model.dropout=1"], "model.dropout: must be from 0 to 0.95, is 1"),
    (&["model.sigma=-1"], "model.sigma: must be above 0, is -1"),
    (&["model.width=0"], "model.width: must be from 1 to 4096, is 0"),
    (&["model.head=\"linear\""], "loss.energy.kind: needs centers"),
    (&["model.head=\"cosface\"", "model.margin=2"], "model.margin: must be from 0 to 1, is 2"),
    (
        &["model.backbone=\"resnet50\""],
        "model.backbone: this network needs images of at least 32×32",
    ),
    (&["model.weights=\"none.safetensors\""], "model.weights: none.safetensors: No such file"),
    (&["loss.log_zero=4"], "loss.log_zero: must be below 0, is 4"),
    (&["loss.kind=\"ce\"", "loss.q=0.5"], "loss.q: loss.kind = \"ce\" has no such parameter"),
    (&["loss.energy.u=1"], "loss.energy.u: must be above v = 2 and at most 64, is 1"),
    (&["loss.kind=\"forward\"", "loss.matrix=\"none.csv\""], "loss.matrix: none.csv: No such file"),
    (&["objective.kind=\"reweight\"", "objective.by=\"los\""], "objective.by: must be \"loss\" or"),
    (&["augment.shift=0.9"], "augment.shift: must"),
    (&["noise.kind=\"asymmetric\"", "noise.rate=0.4"], "noise.kind: "),
    (&["data.limit=0"], "data.limit: must be at least 1 and is 0"),
    (
        &["data.path=\"weightless\"", "data.labels=\"zero.csv\""],
        "data.labels: the weight column is 0",
    ),
    (&["data.limit=1", "data.val_rate=0.0"], "data: 1 training sample is too few"),
];

/// The first line of the error, without what says which run of a grid it is.
fn words(said: &str) -> &str {
    let line = said.lines().find(|line| line.starts_with("error: ")).unwrap_or_default();
    line.trim_start_matches("error: ").trim_start_matches("run run: ")
}

#[test]
fn train_explain_grid_and_audit_refuse_with_the_same_words_and_leave_nothing() {
    let place = Place::new();
    place.images("weightless", 6);
    let names: Vec<String> = ["blue", "green", "red"]
        .iter()
        .flat_map(|class| {
            place
                .names(&format!("weightless/{class}"))
                .into_iter()
                .map(move |name| format!("{class}/{name},{class},0"))
        })
        .collect();
    place.write("zero.csv", format!("path,label,weight\n{}\n", names.join("\n")));
    let before = place.names("");
    for (settings, expected) in REFUSED {
        let set: String = settings.iter().map(|setting| format!(" --set {setting}")).collect();
        let said = |command: &str| {
            let said = place.pemm(&format!("{command} --preset paper{set}"));
            said.fails(2, &[]);
            words(&said.err).to_owned()
        };
        let train = said("train digits");
        assert!(train.starts_with(expected), "{settings:?}: {train}");
        assert_eq!(said("explain digits"), train, "{settings:?}");
        // One sample cannot be split into folds, which is said before.
        if !train.starts_with("data: 1 training") {
            assert_eq!(said("audit digits"), train, "{settings:?}");
        }
        let base = format!("[base]\npreset = \"paper\"\n{}\n", settings.join("\n"));
        place.write("grid.toml", base);
        let said = place.pemm("grid grid.toml");
        said.fails(2, &[]);
        assert_eq!(words(&said.err), train, "{settings:?}");
        std::fs::remove_file(place.path("grid.toml")).unwrap();
        assert_eq!(place.names(""), before, "{settings:?} leaves something behind");
    }
}
