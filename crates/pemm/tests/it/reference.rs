//! Values and gradients that PyTorch computed in float64 (`tests/reference/values.json`).
//!
//! "Agrees" means max|a - b| ≤ 1e-5 · max|b| per tensor, in float32.

use burn::tensor::{Device, Int, Tensor, TensorData};
use pemm::energy::{CenterPotential, Pairs, Potential};
use pemm::head::{AdditiveAngularMargin, DistanceHead, LargeMarginCosine};
use pemm::loss::{CrossEntropy, Loss, LossKind, Settings, SymmetricCrossEntropy, code};
use pemm::reconstruction::reconstruction;
use pemm_data::noise::Transition;
use serde_json::Value;

struct Reference {
    labels: Vec<i64>,
    cases: Vec<Value>,
}

fn read() -> Reference {
    let root: Value =
        serde_json::from_str(include_str!("../reference/values.json")).expect("valid JSON");
    let labels = root["labels"].as_array().unwrap().iter().map(|x| x.as_i64().unwrap()).collect();
    Reference { labels, cases: root["cases"].as_array().unwrap().clone() }
}

fn device() -> Device {
    Device::flex().autodiff()
}

fn matrix(value: &Value) -> Tensor<2> {
    let rows = value.as_array().expect("rows");
    let columns = rows[0].as_array().expect("columns").len();
    let data: Vec<f32> = rows
        .iter()
        .flat_map(|row| row.as_array().unwrap())
        .map(|x| x.as_f64().unwrap() as f32)
        .collect();
    Tensor::from_data(TensorData::new(data, [rows.len(), columns]), &device()).require_grad()
}

/// Compares value and gradients of one case.
fn agree(case: &Value, value: Tensor<1>, inputs: &[(&str, &Tensor<2>)]) {
    let name = case["name"].as_str().unwrap();
    let expected = case["value"].as_f64().unwrap();
    let gradients = value.backward();
    let found = f64::from(value.into_scalar::<f32>());
    assert!(
        (found - expected).abs() <= 1e-5 * expected.abs(),
        "{name} {}: value {found}, expected {expected}",
        case["params"]
    );
    for (input, tensor) in inputs {
        let found: Vec<f32> =
            tensor.grad(&gradients).expect("a gradient").into_data().try_to_vec().unwrap();
        let expected: Vec<f64> = case["gradients"][input]
            .as_array()
            .unwrap_or_else(|| panic!("{name} has a gradient for {input}"))
            .iter()
            .flat_map(|row| row.as_array().unwrap())
            .map(|x| x.as_f64().unwrap())
            .collect();
        assert_eq!(found.len(), expected.len());
        let largest = expected.iter().fold(0.0f64, |m, x| m.max(x.abs()));
        let error =
            found.iter().zip(&expected).fold(0.0f64, |m, (&a, &b)| m.max((f64::from(a) - b).abs()));
        assert!(
            error <= 1e-5 * largest,
            "{name} {}: gradient of {input} is off by {error:e}, largest {largest:e}",
            case["params"]
        );
    }
}

fn number(case: &Value, key: &str) -> f64 {
    case["params"][key].as_f64().unwrap_or_else(|| panic!("{} has no {key}", case["name"]))
}

fn transition(case: &Value) -> Transition {
    let rows: Vec<Vec<f64>> = serde_json::from_value(case["params"]["transition"].clone()).unwrap();
    Transition::new(rows).unwrap()
}

/// The loss of a case, built as an experiment builds it.
fn loss(case: &Value, kind: LossKind) -> Box<dyn Loss> {
    // Names of the reference for our keys.
    const OTHERS: [(&str, &str); 4] = [
        ("beta_rce", "beta"),
        ("beta_bootstrap", "beta"),
        ("truncation", "k"),
        ("smoothing", "epsilon"),
    ];
    let mut settings = Settings::defaults(kind.method());
    for parameter in kind.method().parameters {
        let other = OTHERS.iter().find(|(own, _)| *own == parameter.key);
        let names = [Some(parameter.key), other.map(|(_, name)| *name)];
        let value = names.into_iter().flatten().find_map(|name| case["params"][name].as_f64());
        if let Some(value) = value {
            settings = settings.with(parameter.key, value);
        }
    }
    if kind.method().parameter("matrix").is_some() {
        settings = settings.with_matrix(transition(case));
    }
    (code(kind).build)(&settings)
}

fn potential(case: &Value) -> CenterPotential {
    let energy = Potential::Energy {
        u: number(case, "u"),
        v: number(case, "v"),
        xi: number(case, "xi"),
        beta: number(case, "beta"),
    };
    let pairs = match case["params"]["reduction"].as_str() {
        Some("mean") => Pairs::Mean,
        _ => Pairs::Sum,
    };
    let origin = case["params"]["origin"].as_bool().unwrap_or(true);
    CenterPotential { origin, ..CenterPotential::new(energy, pairs) }
}

#[test]
fn every_case_that_this_crate_implements_agrees() {
    let Reference { labels, cases } = read();
    let given =
        || Tensor::<1, Int>::from_data(TensorData::new(labels.clone(), [labels.len()]), &device());
    for case in &cases {
        let inputs = &case["inputs"];
        let on_logits = |loss: &dyn Loss| {
            let logits = matrix(&inputs["logits"]);
            agree(case, loss.forward(logits.clone(), given()).mean(), &[("logits", &logits)]);
        };
        let name = case["name"].as_str().unwrap();
        if let Some(kind) = LossKind::ALL.iter().find(|kind| kind.name() == name.replace('_', "-"))
        {
            on_logits(&*loss(case, *kind));
            continue;
        }
        match name {
            "distance_head_ce" | "distance_head_l2_ce" => {
                let features = matrix(&inputs["features"]);
                let centers = matrix(&inputs["centers"]);
                let head = DistanceHead::from_centers(centers, number(case, "sigma"));
                let centers = head.centers.val();
                let mut z = features.clone();
                if name.contains("l2") {
                    z = z.clone() / z.square().sum_dim(1).sqrt();
                }
                let loss = CrossEntropy.forward(head.forward(z), given()).mean();
                agree(case, loss, &[("features", &features), ("centers", &centers)]);
            }
            "large_margin_cosine" => {
                let features = matrix(&inputs["features"]);
                let (scale, margin) = (number(case, "scale"), number(case, "margin"));
                let weight = matrix(&inputs["centers"]);
                let head = LargeMarginCosine::from_weight(weight, scale, margin);
                let scores = head.margin(head.forward(features.clone()), given());
                let loss = CrossEntropy.forward(scores, given()).mean();
                agree(case, loss, &[("features", &features), ("centers", &head.weight.val())]);
            }
            "additive_angular_margin" => {
                let features = matrix(&inputs["features"]);
                let (scale, margin) = (number(case, "scale"), number(case, "margin"));
                let weight = matrix(&inputs["centers"]);
                let head = AdditiveAngularMargin::from_weight(weight, scale, margin);
                let scores = head.margin(head.forward(features.clone()), given());
                let loss = CrossEntropy.forward(scores, given()).mean();
                agree(case, loss, &[("features", &features), ("centers", &head.weight.val())]);
            }
            "potential_energy" => {
                let centers = matrix(&inputs["centers"]);
                let potential = potential(case);
                let rest = potential.potential.rest_distance() + number(case, "beta");
                assert!((rest - number(case, "r0")).abs() < 1e-9, "r0 is {rest}");
                agree(case, potential.forward(centers.clone()), &[("centers", &centers)]);
            }
            "potential_energy_authors" => {
                let centers = matrix(&inputs["centers"]);
                let clamp = case["params"]["clamp"].as_array().unwrap();
                let potential = CenterPotential {
                    pairs: Pairs::SplitMean,
                    clamp: Some([clamp[0].as_f64().unwrap(), clamp[1].as_f64().unwrap()]),
                    ..potential(case)
                };
                let value = potential.forward(centers.clone()) * number(case, "lam");
                agree(case, value, &[("centers", &centers)]);
            }
            "center_margin" => {
                let centers = matrix(&inputs["centers"]);
                let margin = Potential::Margin { rest: number(case, "r0") };
                let value = CenterPotential::new(margin, Pairs::Sum).forward(centers.clone());
                agree(case, value, &[("centers", &centers)]);
            }
            "reconstruction" => {
                let features = matrix(&inputs["features"]);
                let head =
                    DistanceHead::from_centers(matrix(&inputs["centers"]), number(case, "sigma"));
                let centers = head.centers.val();
                let scores = head.forward(features.clone());
                let value = reconstruction(features.clone(), scores, centers.clone()).mean();
                agree(case, value, &[("features", &features), ("centers", &centers)]);
            }
            "pemm_paper" => {
                let features = matrix(&inputs["features"]);
                let head =
                    DistanceHead::from_centers(matrix(&inputs["centers"]), number(case, "sigma"));
                let centers = head.centers.val();
                let loss = SymmetricCrossEntropy {
                    alpha: number(case, "alpha"),
                    beta_rce: 1.0,
                    log_zero: number(case, "log_zero"),
                };
                let value = loss.forward(head.forward(features.clone()), given()).mean()
                    + potential(case).forward(centers.clone()) * number(case, "lam");
                agree(case, value, &[("features", &features), ("centers", &centers)]);
            }
            // Objectives: tests beside them compare these (objective/reference_case.rs).
            "elr" | "mixup_target" => {}
            _ => panic!("nothing compares the case {name}"),
        }
    }
}
