//! Experiments: layers, checks and messages.

use pemm_data::Shape;
use pemm_data::config::NoiseKind;

use crate::backbones::BackboneKind;
use crate::facts::Parts;
use crate::heads::HeadKind;
use crate::kind::Kind;
use crate::losses::LossKind;
use crate::objectives::ObjectiveKind;
use crate::presets::PRESETS;
use crate::regularisers::EnergyKind;
use crate::same::compare;
use crate::{DataFacts, Experiment, Grid, Layer};

const FACTS: DataFacts = DataFacts {
    shape: Shape { channels: 3, height: 32, width: 32 },
    vectors: false,
    num_classes: 10,
    parts: None,
};

fn from(assignments: &[&str]) -> crate::Result<Experiment> {
    let layers: crate::Result<Vec<Layer>> =
        assignments.iter().map(|text| Layer::from_assignment(text)).collect();
    Experiment::from_layers(&layers?)
}

fn error(assignments: &[&str]) -> String {
    let result = from(assignments).and_then(|experiment| experiment.resolve(FACTS).map(|_| ()));
    result.expect_err("this is wrong").to_string()
}

#[test]
fn embedded_vectors_are_trained_as_behind_their_network() {
    let of = |layers: &[Layer]| {
        let vectors = DataFacts { vectors: true, ..FACTS };
        let plan = Experiment::from_layers(layers).unwrap().resolve(vectors).unwrap();
        plan.experiment().clone()
    };
    let asked = |text: &str| Layer::from_assignment(text).unwrap();
    let plain = of(&[]);
    assert_eq!(plain.model.backbone, Some(BackboneKind::Mlp));
    let embedded = of(&[Layer::of_features()]);
    let behind_backbone = from(&["pretrained.backbone=b.onnx"]).unwrap();
    assert_eq!(embedded.model.backbone, Some(BackboneKind::None));
    assert_eq!(embedded.model.dropout, behind_backbone.model.dropout);
    assert_eq!(embedded.schedule.num_epochs, behind_backbone.schedule.num_epochs);
    assert_ne!(embedded.schedule.num_epochs, plain.schedule.num_epochs);
    // What somebody asks for stays above it, and a preset keeps its own recipe.
    let layers = [Layer::of_features(), asked("model.backbone=mlp"), asked("recipe=scratch")];
    assert_eq!(of(&layers).text(), plain.text());
    let paper = of(&[Layer::of_features(), asked("preset=paper")]);
    assert_eq!(paper.model.backbone, Some(BackboneKind::None));
    assert_eq!(paper.schedule, of(&[asked("preset=paper")]).schedule);
}

#[test]
fn every_preset_checks_and_its_resolved_form_reads_back() {
    for &(name, _) in PRESETS {
        let experiment = from(&[&format!("preset={name}")]).unwrap();
        let plan = experiment.resolve(FACTS).unwrap();
        assert_eq!(plan.experiment().arm(), name);
        // Section 6.2's rate of 0.1 is too large for the sum over pairs: that is worth a warning.
        let unstable = plan.warnings().iter().any(|w| w.contains("throws the centers apart"));
        assert_eq!(unstable, name == "paper-tables", "{name}: {:?}", plan.warnings());
        // The true matrix of no noise is the identity.
        let idle = plan.warnings().iter().any(|w| w.contains("so this is cross entropy"));
        assert_eq!(idle, ["forward", "backward"].contains(&name), "{name}: {:?}", plan.warnings());
        assert_eq!(plan.warnings().len(), usize::from(unstable || idle), "{name}");
        let text = plan.text();
        let layer = Layer::from_text("resolved", &text).unwrap();
        let again = Experiment::from_layers(&[layer]).unwrap();
        assert_eq!(&again, plan.experiment());
        assert_eq!(again.resolve(FACTS).unwrap().experiment(), plan.experiment());
    }
}

#[test]
fn every_experiment_file_of_the_repository_checks() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../experiments");
    let (mut experiments, mut grids) = (0, 0);
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.display().to_string();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        // Each says above all else what it is, its command and what it costs.
        let head: Vec<&str> = text.lines().take_while(|line| line.starts_with('#')).collect();
        let head = head.join("\n");
        assert!(head.contains("#   pemm ") || head.contains("#     pemm "), "{name}: {head}");
        assert!(
            ["minute", "hour", "day", " s on "].iter().any(|unit| head.contains(unit)),
            "{name}"
        );
        if Grid::is_grid(&text) {
            let grid = Grid::parse(&name, &text).unwrap();
            let facts = grid.expects.as_ref().map_or(FACTS, |expects| expects.facts());
            let plans = grid.resolve(facts).unwrap();
            assert!(plans.len() == grid.cells.len() && plans.len() > 1, "{name}");
            grids += 1;
        } else {
            let layer = Layer::from_text(&name, &text).unwrap();
            Experiment::from_layers(&[layer]).unwrap().resolve(FACTS).unwrap();
            experiments += 1;
        }
    }
    assert!(experiments > 0 && grids > 0);
}

/// What a preset or a default means today must not take a grid file away from the runs that it was
/// written for.
#[test]
fn the_cells_of_a_grid_are_its_records() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let read = |path: &std::path::Path| std::fs::read_to_string(path).unwrap();
    let mut seen = 0;
    let grids = [
        ("cpu-table1", 210),
        ("cpu-fig7", 39),
        ("cpu-fig8", 15),
        ("digits-fig7", 39),
        ("digits-fig8", 15),
        ("cpu-search", 28),
        ("cpu-search-2", 44),
    ];
    for (name, num_records) in grids {
        let file = root.join(format!("experiments/{name}.toml"));
        let grid = Grid::parse(name, &read(&file)).unwrap();
        let facts = grid.expects.as_ref().unwrap().facts();
        let mut found = 0;
        for entry in std::fs::read_dir(root.join(format!("records/{name}"))).unwrap() {
            let path = entry.unwrap().path();
            let record: serde_json::Value = serde_json::from_str(&read(&path)).unwrap();
            let recorded = &record["experiment"];
            let is_it = |cell: &crate::grid::Cell| {
                recorded["seed"] == cell.experiment.seed
                    && recorded["arm"] == cell.experiment.arm()
                    && compare(&cell.experiment, recorded, facts).unwrap().differences.is_empty()
            };
            found += usize::from(grid.cells.iter().any(is_it));
        }
        assert_eq!(found, num_records, "{name}: records that are cells of the file");
        seen += found;
    }
    assert_eq!(seen, 390);
}

#[test]
fn later_layers_win_and_presets_lie_below_all() {
    let file =
        Layer::from_text("file", "preset = \"sce\"\n[optim]\nlearning_rate = 0.5\n").unwrap();
    let set = Layer::from_assignment("optim.momentum=0.5").unwrap();
    let experiment = Experiment::from_layers(&[file, set]).unwrap();
    assert_eq!(experiment.optim.learning_rate, 0.5);
    assert_eq!(experiment.optim.momentum, 0.5);
    assert_eq!(experiment.loss.parameters.number("alpha"), Some(0.1));
    assert_eq!(experiment.schedule.num_epochs, None, "the data decide");
}

#[test]
fn images_that_are_mirrored_train_longer_unless_somebody_says_how_long() {
    let epochs = |assignments: &[&str]| {
        from(assignments).unwrap().resolve(FACTS).unwrap().experiment().schedule.num_epochs()
    };
    assert_eq!(epochs(&[]), 70);
    assert_eq!(epochs(&["augment.flip=false"]), 50);
    assert_eq!(epochs(&["preset=ce", "schedule.num_epochs=7"]), 7);
    assert_eq!(epochs(&["recipe=paper"]), 120);
    assert_eq!(epochs(&["preset=paper", "recipe=scratch"]), 70, "it lies over any preset");
}

#[test]
fn another_loss_drops_the_parameters_of_the_one_below() {
    let experiment = from(&["preset=paper", "loss.kind=ce"]).unwrap();
    assert_eq!((experiment.loss.kind, experiment.loss.parameters.is_empty()), (LossKind::Ce, true));
    assert_eq!(experiment.loss.energy.beta, 0.3, "the energy stays");
    experiment.resolve(FACTS).unwrap();
    assert!(error(&["loss.kind=ce", "loss.alpha=1"]).contains("loss.alpha"));
}

#[test]
fn a_percentile_goes_with_an_estimate_only() {
    let plan = from(&["preset=forward-estimated", "loss.percentile=97"]).unwrap().resolve(FACTS);
    assert_eq!(plan.unwrap().experiment().loss.percentile(), Some(97.0));
    let left_out = from(&["preset=forward-estimated"]).unwrap().resolve(FACTS).unwrap();
    assert!(left_out.value()["loss"].get("percentile").is_none(), "records lack it too");
    assert!(error(&["preset=forward", "loss.percentile=97"]).starts_with("loss.percentile: goes"));
    assert!(error(&["preset=forward-estimated", "loss.percentile=101"]).contains("from 0 to 100"));
    assert!(error(&["preset=ce", "loss.percentile=97"]).contains("has no such parameter"));
}

#[test]
fn labels_that_are_known_to_be_right_are_not_corrected() {
    for preset in ["gold", "graphical", "crf", "distill", "trusted-weight", "mentor-net-dd"] {
        for loss in ["forward", "backward"] {
            let set = [&format!("preset={preset}"), &format!("loss.kind={loss}")];
            let message = error(&[set[0], set[1], "loss.matrix=noise"]);
            assert!(message.starts_with("loss.kind:") && message.contains(loss), "{message}");
        }
        from(&[&format!("preset={preset}")]).unwrap().resolve(FACTS).unwrap();
    }
}

#[test]
fn mistakes_name_key_rule_and_value() {
    let unknown = Layer::from_text("my.toml", "[optim]\nlerning_rate = 1\n").unwrap_err();
    let unknown = unknown.to_string();
    assert!(unknown.contains("my.toml") && unknown.contains("line 2"), "{unknown}");
    assert!(unknown.contains("did you mean `learning_rate`?"), "{unknown}");
    assert!(error(&["optim.lerning_rate=1"]).contains("did you mean `learning_rate`?"));
    assert!(error(&["preset=papr"]).contains("did you mean `paper`?"));
    for (assignment, key) in [
        ("optim.learning_rate=0", "optim.learning_rate: must be above 0, is 0"),
        ("optim.learning_rate=nan", "optim.learning_rate"),
        ("optim.momentum=1", "optim.momentum"),
        ("schedule.batch_size=1", "schedule.batch_size: must be from 2"),
        ("schedule.num_epochs=0", "schedule.num_epochs"),
        ("schedule.warmup_epochs=70", "schedule.warmup_epochs"),
        ("model.sigma=-1", "model.sigma"),
        ("model.dropout=1", "model.dropout"),
        ("loss.log_zero=4", "loss.log_zero"),
        ("objective.by=loss", "objective.kind = \"plain\" has no such parameter"),
        ("model.width=9000", "model.width: must be from 1 to 4096, is 9000"),
        ("model.scale=3", "model.backbone = \"cnn\" with model.head = \"distance\" has no such"),
        ("loss.energy.u=2", "loss.energy.u: must be above v = 2"),
        ("loss.energy.clamp=[1, 0]", "loss.energy.clamp"),
        ("model.head=linear", "loss.energy.kind: needs centers"),
        ("augment.shift=0.9", "augment.shift"),
        ("optim.learning_rate=fast", "--set optim.learning_rate=fast"),
        ("learning_rate", "expected key=value"),
    ] {
        let message = error(&[assignment]);
        assert!(message.contains(key), "{assignment}: {message}");
    }
    // What the preset has for images counts only where no backbone is named.
    let backbone = |assignments: &[&str]| {
        let plan = from(assignments).unwrap().resolve(FACTS).unwrap();
        (plan.model().backbone, plan.experiment().model.for_images)
    };
    assert_eq!(backbone(&[]), (BackboneKind::Cnn, None));
    assert_eq!(backbone(&["preset=paper"]), (BackboneKind::Cnn8, None));
    assert_eq!(backbone(&["preset=paper", "model.backbone=mlp"]), (BackboneKind::Mlp, None));
    assert_eq!(backbone(&["model.for_images=resnet20"]), (BackboneKind::Resnet20, None));

    let tiny = DataFacts { shape: Shape { channels: 1, height: 4, width: 4 }, ..FACTS };
    let message = from(&["model.backbone=cnn8"]).unwrap().resolve(tiny).unwrap_err().to_string();
    assert!(message.contains("8×8") && message.contains("mlp"), "{message}");
}

#[test]
fn the_order_of_assignments_means_nothing() {
    let layer = |texts: &[&str]| {
        let layers = texts.iter().map(|text| Layer::from_assignment(text).unwrap());
        layers.reduce(Layer::over).unwrap()
    };
    let one = ["schedule.kind=step", "schedule.milestones=[10, 20]"];
    let other = ["schedule.milestones=[10, 20]", "schedule.kind=step"];
    let experiment = Experiment::from_layers(&[layer(&one)]).unwrap();
    assert_eq!(experiment, Experiment::from_layers(&[layer(&other)]).unwrap());
    assert_eq!(experiment.schedule.milestones, [10, 20]);
    assert!(error(&["schedule.kind=step"]).contains("schedule.milestones: is empty"));
    assert!(error(&["schedule.milestones=[3]"]).contains("schedule.milestones: goes with"));
}

#[test]
fn the_energy_per_center_is_stable_for_any_number_of_classes() {
    let many = DataFacts { num_classes: 100, ..FACTS };
    let warnings = |preset: &str| {
        from(&[&format!("preset={preset}")]).unwrap().resolve(many).unwrap().warnings().to_vec()
    };
    assert!(warnings("pemm").is_empty(), "{:?}", warnings("pemm"));
    assert!(warnings("paper")[0].contains("per-center"), "{:?}", warnings("paper"));
}

#[test]
fn a_beta_beyond_rest_is_allowed_with_a_warning() {
    let plan = from(&["loss.energy.beta=1"]).unwrap().resolve(FACTS).unwrap();
    assert!(plan.warnings()[0].contains("r0 = 0.75"), "{:?}", plan.warnings());
}

#[test]
fn settings_that_nothing_looks_at_are_named() {
    let warnings = |keys: &[&str]| from(keys).unwrap().resolve(FACTS).unwrap().warnings().to_vec();
    let found = warnings(&["preset=ce", "loss.energy.weight=3"]);
    assert!(found.len() == 1 && found[0].starts_with("loss.energy: has no effect"), "{found:?}");
    let hasty = ["preset=divide-mix", "schedule.patience=5"];
    assert!(
        warnings(&hasty)[0].starts_with("schedule.patience: 5 epochs without progress may end")
    );
    let margin = ["preset=paper", "loss.energy.kind=margin", "loss.energy.beta=0.2"];
    assert!(warnings(&margin)[0].starts_with("loss.energy.beta: has no effect"));
    let idle = ["preset=forward", "noise.kind=symmetric"];
    assert!(warnings(&idle)[0].contains("so this is cross entropy"));
    for known in ["noise.kind=matrix", "data.labels=people.csv"] {
        assert!(warnings(&["preset=forward", known]).is_empty(), "{known}");
    }
    // What a preset leaves behind under another kind is nobody's mistake.
    assert!(warnings(&["preset=pemm", "loss.energy.kind=none"]).is_empty());
}

#[test]
fn another_head_drops_the_parameters_of_the_one_below_and_takes_no_others() {
    let plan = from(&["preset=paper", "model.sigma=2", "model.head=cosface"]);
    let plan = plan.unwrap().resolve(FACTS).unwrap();
    assert_eq!(plan.model().parameters.number("scale"), Some(64.0));
    let message = error(&["preset=ce", "model.sigma=2"]);
    assert!(message.starts_with("model.sigma: ") && message.contains("no such parameter"));
    // It stands in every record all the same, as in the first ones.
    let linear = from(&["preset=ce"]).unwrap().resolve(FACTS).unwrap();
    assert_eq!(linear.value()["model"]["sigma"], 1.0);
    assert!(linear.value()["loss"]["alpha"].is_null());
    assert!(linear.value()["loss"].get("tau").is_none());
}

#[test]
fn parts_that_are_too_small_are_refused() {
    let with = |num_train, has_val| {
        let facts = DataFacts { parts: Some(Parts { num_train, has_val }), ..FACTS };
        from(&["schedule.patience=5"]).unwrap().resolve(facts).map_err(|error| error.to_string())
    };
    with(2, true).unwrap();
    assert!(with(2, false).unwrap_err().starts_with("schedule.patience: chooses by"));
    assert!(with(1, true).unwrap_err().starts_with("data: 1 training sample is too few"));
}

/// Every kind is in its list under the word that files use, and says what a reader needs.
fn has_every_entry<K>(kinds: &[K], of_the_parser: &str)
where
    K: Kind + serde::Serialize + serde::de::DeserializeOwned + std::fmt::Debug,
{
    // The parser itself lists the words that it knows.
    let error = serde_json::from_str::<K>("\"no such word\"").unwrap_err().to_string();
    let known = error.split('`').skip(1).step_by(2).skip(1).map(str::to_owned);
    let listed: Vec<String> = kinds.iter().map(|kind| kind.method().name.to_owned()).collect();
    assert_eq!(known.collect::<Vec<_>>(), listed, "{of_the_parser}");
    for kind in kinds {
        let method = kind.method();
        assert_eq!(serde_json::to_value(kind).unwrap(), method.name);
        assert!((10..=90).contains(&method.summary.chars().count()), "{}", method.summary);
        for (place, parameter) in method.parameters.iter().enumerate() {
            let before = &method.parameters[..place];
            assert!(before.iter().all(|other| other.key != parameter.key), "{}", parameter.key);
            assert!(!parameter.meaning.is_empty(), "{}", parameter.key);
        }
    }
}

#[test]
fn no_list_lacks_a_kind() {
    has_every_entry(LossKind::ALL, LossKind::KEY);
    has_every_entry(HeadKind::ALL, HeadKind::KEY);
    has_every_entry(EnergyKind::ALL, EnergyKind::KEY);
    has_every_entry(ObjectiveKind::ALL, ObjectiveKind::KEY);
    has_every_entry(BackboneKind::ALL, BackboneKind::KEY);
    has_every_entry(&NoiseKind::ALL, NoiseKind::KEY);
    for kind in NoiseKind::ALL {
        assert_eq!(kind.name(), kind.method().name);
    }
}

#[test]
fn a_key_is_of_one_sort_within_its_section() {
    use crate::method::{Accepts, Parameter};
    fn sort(parameter: &Parameter) -> u8 {
        match parameter.accepts {
            Accepts::Number { .. } | Accepts::Open { .. } => 0,
            Accepts::Count { .. } | Accepts::Epochs { .. } => 1,
            Accepts::Word { .. } | Accepts::Text { .. } => 2,
        }
    }
    let sections: [Vec<&Parameter>; 3] = [
        LossKind::ALL.iter().flat_map(|kind| kind.method().parameters).collect(),
        ObjectiveKind::ALL.iter().flat_map(|kind| kind.method().parameters).collect(),
        {
            let heads = HeadKind::ALL.iter().flat_map(|kind| kind.method().parameters);
            heads.chain(BackboneKind::ALL.iter().flat_map(|k| k.method().parameters)).collect()
        },
    ];
    for parameters in sections {
        for a in &parameters {
            assert!(parameters.iter().all(|b| a.key != b.key || sort(a) == sort(b)), "{}", a.key);
        }
    }
}

#[test]
fn methods_that_are_compared_share_a_recipe_and_it_follows_the_data() {
    let recipe = |assignments: &[&str]| {
        let Experiment { optim, schedule, model, .. } = from(assignments).unwrap();
        (optim, schedule, model.dropout)
    };
    let features = "pretrained.backbone=a.onnx";
    for &(name, _) in PRESETS {
        let preset = format!("preset={name}");
        let own = ["paper", "paper-tables", "paper-unit", "authors", "audit"];
        let compared = !own.contains(&name);
        for features in [features, "seed=1"] {
            let mut found = recipe(&[&preset, features]);
            found.1.patience = None;
            assert_eq!(found == recipe(&["preset=ce", features]), compared, "{name}");
        }
        // By name it lies over any preset.
        let paper = recipe(&[&preset, "recipe=paper", "schedule.patience=10"]);
        assert_eq!(paper.1.num_epochs, Some(120), "{name}");
    }
    assert_ne!(recipe(&["preset=ce", features]), recipe(&["preset=ce"]));
    assert_eq!(recipe(&["preset=ce", "recipe=features"]), recipe(&["preset=ce", features]));
    assert_eq!(recipe(&["preset=ce", "recipe=paper"]), recipe(&["preset=paper"]));
    let epochs = recipe(&["schedule.num_epochs=7", "recipe=paper"]).1.num_epochs;
    assert_eq!(epochs, Some(7), "the recipe lies below");
    let error = from(&["recipe=papr"]).unwrap_err().to_string();
    assert!(error.contains("recipe: `papr`") && error.contains("did you mean paper?"), "{error}");
}

/// Each part of a key is a table in a table, and those are walked through by recursion.
#[test]
fn keys_of_many_parts_are_refused_and_not_walked() {
    let deep = vec!["a"; 100_000].join(".");
    let message = Layer::from_assignment(&format!("{deep}=1")).unwrap_err().to_string();
    assert!(message.contains("has 100000 parts") && message.len() < 1000, "{message}");
    let grid = format!("[base]\n[[axis]]\nkey = \"{deep}\"\nvalues = [1]\n");
    let message = Grid::parse("g.toml", &grid).unwrap_err().to_string();
    assert!(message.contains("has 100000 parts") && message.len() < 1000, "{message}");
    for text in
        [format!("{deep} = 1"), format!("[{deep}]"), "seed = ".to_owned() + &"[".repeat(9999)]
    {
        assert!(Layer::from_text("e.toml", &text).is_err());
    }
    let message = Layer::from_assignment("optim..learning_rate=1").unwrap_err().to_string();
    assert!(message.contains("is no dotted key"), "{message}");
}
