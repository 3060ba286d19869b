//! Every loss with every head and every regulariser; forward correction.

use std::path::Path;

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData};
use pemm::experiment::loss::{LossContext, ORACLE};
use pemm::experiment::regularisers::EnergyKind;
use pemm::experiment::{DataFacts, Experiment, Layer};
use pemm::head::{AdditiveAngularMargin, HeadKind, LargeMarginCosine};
use pemm::loss::{CrossEntropy, Loss, LossKind};
use pemm::model::Classifier;
use pemm::networks::networks;
use pemm::objective::{self, Batch, Progress, Survey};
use pemm::optim::Sgd;
use pemm::tensors::collect;
use pemm_data::{Shape, Stream, Streams};
use pemm_runs::{RunFolder, Status};

use crate::training::{experiment, run, timeless};

const SHAPE: Shape = Shape { channels: 1, height: 8, width: 8 };
const FACTS: DataFacts = DataFacts { shape: SHAPE, vectors: false, num_classes: 4, parts: None };

fn of(assignments: &[String]) -> Experiment {
    let layers: Vec<Layer> =
        assignments.iter().map(|text| Layer::from_assignment(text).unwrap()).collect();
    Experiment::from_layers(&layers).unwrap()
}

fn batch(device: &Device) -> Batch {
    let (n, mut rng) = (12, Streams::new(2).open(Stream::Init));
    let pixels: Vec<f32> = (0..n * 64).map(|_| rng.normal() as f32).collect();
    let given: Vec<i64> = (0..n as i64).map(|index| index % 4).collect();
    Batch {
        images: Tensor::from_data(TensorData::new(pixels, [n, 1, 8, 8]), device),
        given: Tensor::<1, Int>::from_data(TensorData::new(given, [n]), device),
        weights: None,
        indices: (0..n as u32).collect(),
    }
}

/// The compiler sees to it that each entry has its code, but not that each code has its entry.
#[test]
fn no_code_of_a_method_lacks_its_entry() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    type Wanted = fn(&str, &str) -> String;
    // Where the code of the methods lies, after what a method's name stands there, which file joins
    // entries and code, and what that says of a file and a name.
    let joined: [(&str, &str, &str, Wanted); 4] = [
        ("loss", "impl Loss for ", "loss.rs", |file, _| format!("=> {file}::CODE")),
        ("objective", "impl Objective for ", "objective/build.rs", |_, name| name.to_owned()),
        ("head", "pub struct ", "head.rs", |_, name| format!("({name})")),
        ("backbone", "pub struct ", "backbone.rs", |_, name| format!("({name})")),
    ];
    for (folder, before, by, wanted) in joined {
        let joining = std::fs::read_to_string(source.join(by)).unwrap();
        let mut seen = 0;
        for entry in std::fs::read_dir(source.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            let names = text.split(before).skip(1).filter_map(|rest| rest.split([' ', '{']).next());
            let file = path.file_stem().unwrap().to_str().unwrap();
            let wanted: Vec<String> = names.map(|name| wanted(file, name)).collect();
            let is_joined = wanted.iter().any(|wanted| joining.contains(wanted));
            assert!(wanted.is_empty() || is_joined, "{by} has none of {wanted:?}, of {path:?}");
            seen += usize::from(is_joined);
        }
        assert!(seen > 2, "{folder}: {seen}");
    }
}

#[test]
fn every_loss_trains_on_every_head_with_every_regulariser_that_fits() {
    let device = Device::flex().autodiff();
    let (batch, streams) = (batch(&device), Streams::new(1));
    let mut seen = 0;
    for loss in LossKind::ALL.iter().map(|kind| kind.name()) {
        for head in HeadKind::ALL {
            for regulariser in EnergyKind::ALL {
                if *regulariser != EnergyKind::None && !head.has_centers() {
                    continue;
                }
                let place = format!("{loss} on {head:?} with {}", regulariser.name());
                let experiment = of(&[
                    format!("loss.kind={loss}"),
                    format!("model.head={}", head.name()),
                    format!("loss.energy.kind={}", regulariser.name()),
                    "model.width=8".into(),
                ]);
                let plan = experiment.resolve(FACTS).unwrap_or_else(|e| panic!("{place}: {e}"));
                let context = LossContext { num_classes: 4, noise: None };
                let mut objective = objective::build(plan.experiment(), &context, 16).unwrap();
                let mut sgd = Sgd::new(plan.experiment().optim.clone());
                let mut model = Classifier::new(plan.model(), SHAPE, 4, streams, &device);
                let before = collect(&model);
                for epoch in 0..2 {
                    let mut rng = streams.open_at(Stream::Step, epoch as u64);
                    let mut progress =
                        Progress { epoch, num_epochs: 2, ..Progress::first(&mut rng) };
                    let terms =
                        objective.forward(std::slice::from_ref(&model), &batch, &mut progress);
                    let total = terms.total.clone().into_scalar::<f32>();
                    assert!(total.is_finite(), "{place}: {total}");
                    assert_eq!(terms.terms.len() == 2, *regulariser != EnergyKind::None, "{place}");
                    model = sgd.step(model, &mut terms.total.backward(), 0.01);
                }
                let after = collect(&model);
                let finite = after.values().all(|v| v.data.iter().all(|x| x.is_finite()));
                assert!(finite && after != before, "{place}");
                seen += 1;
            }
        }
    }
    let with_centers = HeadKind::ALL.iter().filter(|head| head.has_centers()).count();
    let num_others = EnergyKind::ALL.len() - 1;
    assert_eq!(seen, LossKind::ALL.len() * (HeadKind::ALL.len() + with_centers * num_others));
}

#[test]
fn a_pass_of_divide_mix_trains_one_network_and_leaves_the_other() {
    let device = Device::flex().autodiff();
    let (batch, streams) = (batch(&device), Streams::new(1));
    let keys = ["preset=divide-mix", "model.width=8", "objective.warmup_epochs=1"];
    let plan = of(&keys.map(str::to_owned)).resolve(FACTS).unwrap();
    let context = LossContext { num_classes: 4, noise: None };
    let mut objective = objective::build(plan.experiment(), &context, 12).unwrap();
    assert_eq!((objective.num_networks(), objective.num_passes()), (2, 2));
    let mut networks = networks(2, plan.model(), SHAPE, 4, streams, &device);
    let given: Vec<u32> = (0..12).map(|index| index % 4).collect();
    for epoch in 0..2 {
        assert_eq!(objective.wants_survey(epoch), epoch == 1);
        if epoch == 1 {
            let scores = vec![(0..48).map(|i| (i * 7 % 11) as f32).collect(); 2];
            objective.survey(Survey { scores, features: Vec::new(), given: &given });
        }
        for pass in 0..2 {
            let before = networks.iter().map(collect).collect::<Vec<_>>();
            let mut rng = streams.open_at(Stream::Step, epoch as u64);
            let mut progress = Progress { epoch, pass, num_epochs: 2, ..Progress::first(&mut rng) };
            let mut gradients =
                objective.forward(&networks, &batch, &mut progress).total.backward();
            networks = networks
                .into_iter()
                .map(|network| {
                    Sgd::new(plan.experiment().optim.clone()).step(network, &mut gradients, 0.1)
                })
                .collect();
            let after = networks.iter().map(collect).collect::<Vec<_>>();
            assert_ne!(after[pass], before[pass], "epoch {epoch}");
            assert_eq!(after[1 - pass], before[1 - pass], "epoch {epoch}: weights and statistics");
        }
    }
}

#[test]
fn a_margin_changes_training_only_and_the_given_label_only() {
    let plan = |margin: f64| {
        let keys = ["model.head=arcface", "loss.energy.kind=none", "model.width=8", "loss.kind=ce"];
        let keys: Vec<String> = keys.iter().map(|key| key.to_string()).collect();
        of(&[keys, vec![format!("model.margin={margin}")]].concat()).resolve(FACTS).unwrap()
    };
    let device = Device::flex().autodiff();
    let batch = batch(&device);
    let outcome = |margin: f64| {
        let plan = plan(margin);
        let model = Classifier::new(plan.model(), SHAPE, 4, Streams::new(1), &device);
        let context = LossContext { num_classes: 4, noise: None };
        let mut objective = objective::build(plan.experiment(), &context, 16).unwrap();
        let mut rng = Streams::new(1).open(Stream::Step);
        let mut progress = Progress::first(&mut rng);
        let terms = objective.forward(std::slice::from_ref(&model), &batch, &mut progress);
        let scores: Vec<f32> = terms.scores.into_data().try_to_vec().unwrap();
        let valid = model.valid();
        let images = batch.images.clone().without_autodiff();
        let output = valid.forward(images, &mut Streams::new(1).open(Stream::Step));
        let seen: Vec<f32> = output.scores.into_data().try_to_vec().unwrap();
        (terms.total.into_scalar::<f32>(), scores, seen)
    };
    let (none, with) = (outcome(0.0), outcome(0.5));
    assert!(with.0 > none.0 + 1.0, "the margin costs: {} and {}", with.0, none.0);
    assert_eq!((with.1, with.2), (none.1, none.2), "records and predictions know no margin");
}

#[test]
fn cosine_heads_are_finite_at_equal_and_opposite_directions() {
    let device = Device::flex().autodiff();
    let weight = || Tensor::<2>::from_floats([[1.0, 0.0], [-1.0, 0.0]], &device).require_grad();
    let features =
        || Tensor::<2>::from_floats([[3.0, 0.0], [-2.0, 0.0], [0.0, 0.0]], &device).require_grad();
    let given = || Tensor::<1, Int>::from_ints([0, 0, 1], &device);
    let check = |scores: Tensor<2>, weight: Tensor<2>, features: Tensor<2>| {
        let loss = CrossEntropy.forward(scores, given()).mean();
        let gradients = loss.backward();
        for tensor in [weight, features] {
            let slope: Vec<f32> =
                tensor.grad(&gradients).unwrap().into_data().try_to_vec().unwrap();
            assert!(slope.iter().all(|x| x.is_finite()), "{slope:?}");
        }
    };
    let z = features();
    let head = AdditiveAngularMargin::from_weight(weight(), 64.0, 0.5);
    check(head.margin(head.forward(z.clone()), given()), head.weight.val(), z);
    let z = features();
    let head = LargeMarginCosine::from_weight(weight(), 64.0, 0.35);
    check(head.margin(head.forward(z.clone()), given()), head.weight.val(), z);
}

/// The codes of Wang et al. and Ma et al. clamp at 1e-4, so their A is -9.21 and not -4.
#[test]
fn the_presets_of_reverse_cross_entropy_pull_as_their_sources_code_does() {
    let device = Device::flex().autodiff();
    // Where the given label has probability ½: the sum of the gradient's sizes over both scores.
    let pull = |keys: &[&str]| {
        let keys: Vec<String> = keys.iter().map(|key| key.to_string()).collect();
        let plan = of(&keys).resolve(DataFacts { num_classes: 2, ..FACTS }).unwrap();
        let context = LossContext { num_classes: 2, noise: None };
        let loss = pemm::loss::build(&plan.experiment().loss, &context).unwrap();
        let scores = Tensor::<2>::zeros([1, 2], &device).require_grad();
        let gradients = loss.forward(scores.clone(), Tensor::from_ints([1], &device)).backward();
        let slope: Vec<f32> = scores.grad(&gradients).unwrap().into_data().try_to_vec().unwrap();
        f64::from(slope[0].abs() + slope[1].abs())
    };
    assert!((pull(&["preset=sce"]) - (0.1 + 0.5 * 1e4f64.ln())).abs() < 1e-5);
    assert!((pull(&["preset=sce"]) - 4.7).abs() < 0.01);
    assert!((pull(&["preset=sce", "loss.log_zero=-4.0"]) - 2.1).abs() < 1e-5);
    let [theirs, at_4] = ["-9.210340371976182", "-4.0"]
        .map(|a| pull(&["preset=nce-rce", &format!("loss.log_zero={a}")]));
    assert_eq!(pull(&["preset=nce-rce"]), theirs);
    assert!((theirs - at_4 - 0.5 * (1e4f64.ln() - 4.0)).abs() < 1e-5);
}

#[test]
fn a_matrix_that_is_not_known_or_no_matrix_is_refused_before_there_is_a_folder() {
    let parent = tempfile::tempdir().unwrap();
    let file = parent.path().join("t.csv");
    std::fs::write(&file, "0.5,0.5\n0.5,0.5\n").unwrap();
    let out = parent.path().join("run");
    let matrix = format!("loss.matrix={}", file.display());
    let plan = of(&["preset=forward".to_owned(), matrix]);
    let error = run(plan, &out, None).unwrap_err().to_string();
    assert!(error.contains("line 1: needs 10"), "{error}");
    assert!(!out.exists());

    // Noise that somebody else put on the labels is not known; that nobody did, is.
    let plan = of(&["preset=forward".to_owned()]).resolve(FACTS).unwrap();
    let mut plan = plan.experiment().clone();
    let context = LossContext { num_classes: 10, noise: None };
    objective::build(&plan, &context, 100).unwrap();
    plan.data.labels = Some("people.csv".into());
    let error = objective::build(&plan, &context, 100).err().unwrap().to_string();
    assert!(error.contains("is not known for these labels"), "{error}");
    let plan = of(&["loss.kind=ce", "loss.matrix=noise"].map(str::to_owned));
    let error = plan.resolve(FACTS).unwrap_err().to_string();
    assert_eq!(error, "loss.matrix: loss.kind = \"ce\" has no such parameter");
}

fn forward(matrix: &str) -> Experiment {
    experiment(&[
        "preset=forward",
        &format!("loss.matrix={matrix}"),
        "model.backbone=mlp",
        "model.width=64",
        "schedule.num_epochs=8",
        "schedule.kind=constant",
    ])
}

fn trained(parent: &Path, name: &str, matrix: &str) -> pemm_runs::Record {
    run(forward(matrix), &parent.join(name), None).unwrap().record
}

#[test]
fn an_arm_that_knows_the_noise_is_tagged_and_one_that_estimates_it_is_not() {
    let parent = tempfile::tempdir().unwrap();
    let oracle = trained(parent.path(), "oracle", "noise");
    assert_eq!(oracle.tags, [ORACLE]);
    // The same matrix from a file is the same training, to the bit, without the tag.
    let rows: Vec<String> = (0..10)
        .map(|i| {
            let row: Vec<String> = (0..10)
                .map(|j| if i == j { "0.6".into() } else { format!("{}", 0.4 / 9.0) })
                .collect();
            row.join(",")
        })
        .collect();
    let file = parent.path().join("t.csv");
    std::fs::write(&file, rows.join("\n")).unwrap();
    let from_file = trained(parent.path(), "file", &file.display().to_string());
    assert!(from_file.tags.is_empty());
    let losses = |record: &pemm_runs::Record| -> Vec<f64> {
        record.epochs.iter().map(|epoch| epoch.loss).collect()
    };
    assert_eq!(losses(&oracle), losses(&from_file));
    let estimated = trained(parent.path(), "estimated", "estimated");
    assert!(estimated.tags.is_empty());
    assert_eq!(estimated.experiment["loss"]["estimate_after"], 2);
}

#[test]
fn an_estimate_in_the_run_survives_interruptions_bit_for_bit() {
    let parent = tempfile::tempdir().unwrap();
    let (whole, cut) = (parent.path().join("whole"), parent.path().join("cut"));
    run(forward("estimated"), &whole, None).unwrap();
    // Epochs 1 and 2 are cross entropy: before, in and after the epoch that is estimated from.
    for stop in [(2, 3), (3, 1), (4, 2)] {
        let outcome = run(forward("estimated"), &cut, Some(stop)).unwrap();
        assert_eq!(outcome.record.status, Status::Interrupted, "{stop:?}");
    }
    run(forward("estimated"), &cut, None).unwrap();
    assert_eq!(timeless(&whole), timeless(&cut));
    let weights = |folder: &Path| std::fs::read(folder.join("last.safetensors")).unwrap();
    assert_eq!(weights(&whole), weights(&cut));
    let epochs = RunFolder::open(&whole).unwrap().read_record().unwrap().epochs;
    assert_ne!(epochs[1].loss, epochs[2].loss);
}
