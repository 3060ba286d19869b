//! Five steps of training that PyTorch took (`tests/reference/cnn8_trace.safetensors`), taken again.
//!
//! Losses within 1e-4 relative, end weights within 1e-4 of the largest entry of each tensor.

use burn::tensor::{Device, Int, Tensor, TensorData};
use pemm::backbone::BackboneKind;
use pemm::energy::{CenterPotential, Pairs, Potential};
use pemm::head::HeadKind;
use pemm::loss::SymmetricCrossEntropy;
use pemm::model::{Classifier, ModelPlan};
use pemm::objective::{Batch, CenterObjective, Objective, Progress};
use pemm::optim::{OptimConfig, Sgd};
use pemm::tensors::{TensorMap, Values, apply, collect};
use pemm_data::{Shape, Stream, Streams};
use safetensors::SafeTensors;
use safetensors::tensor::Dtype;

const TRACE: &[u8] = include_bytes!("../reference/cnn8_trace.safetensors");

fn floats(file: &SafeTensors<'_>, name: &str) -> Values {
    let view = file.tensor(name).unwrap();
    assert_eq!(view.dtype(), Dtype::F32);
    let data =
        view.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    Values { shape: view.shape().to_vec(), data }
}

/// Weights under `prefix`, under the names that our classifier has for them.
fn weights(file: &SafeTensors<'_>, prefix: &str) -> TensorMap {
    file.names()
        .into_iter()
        .filter(|name| name.starts_with(prefix) && !name.ends_with("num_batches_tracked"))
        .map(|name| {
            let short = &name[prefix.len()..];
            let part = if short == "centers" { "head" } else { "backbone" };
            (format!("{part}.{short}"), floats(file, name))
        })
        .collect()
}

fn close(name: &str, found: &[f32], expected: &[f32], tolerance: f32) {
    let largest = expected.iter().fold(0.0f32, |m, x| m.max(x.abs()));
    let error = found.iter().zip(expected).fold(0.0f32, |m, (a, b)| m.max((a - b).abs()));
    assert_eq!(found.len(), expected.len(), "{name}");
    assert!(error <= tolerance * largest, "{name} is off by {error:e}, largest {largest:e}");
}

#[test]
fn five_steps_follow_pytorch() {
    let file = SafeTensors::deserialize(TRACE).unwrap();
    let device = Device::flex().autodiff();
    let shape = Shape { channels: 3, height: 32, width: 32 };
    let plan = ModelPlan::new(BackboneKind::Cnn8, HeadKind::Distance).with("width", 8);
    let streams = Streams::new(0);
    let model = Classifier::new(&plan, shape, 10, streams, &device);
    let mut model = apply(model, weights(&file, "start."), "trace").unwrap();

    let images = floats(&file, "images");
    let images = Tensor::<4>::from_data(TensorData::new(images.data, images.shape), &device);
    let labels = file.tensor("labels").unwrap();
    let labels: Vec<i64> =
        labels.data().chunks_exact(8).map(|b| i64::from_le_bytes(b.try_into().unwrap())).collect();
    let given = Tensor::<1, Int>::from_data(TensorData::new(labels, [16]), &device);
    let batch = Batch { images: images.clone(), given, weights: None, indices: (0..16).collect() };

    let mut rng = streams.open(Stream::Step);
    let energy = Potential::Energy { u: 3.0, v: 2.0, xi: 2.0, beta: 0.3 };
    let mut objective = CenterObjective {
        loss: Box::new(SymmetricCrossEntropy { alpha: 0.1, beta_rce: 1.0, log_zero: -4.0 }),
        energy: Some((1.0, CenterPotential::new(energy, Pairs::Sum))),
        reconstruction: 0.0,
    };
    let mut sgd = Sgd::new(OptimConfig {
        learning_rate: 0.001,
        weight_decay: 1e-3,
        weight_decay_centers: 1e-3,
        weight_decay_norm: 1e-3,
        ..OptimConfig::default()
    });
    let losses: Vec<f64> = file
        .tensor("losses")
        .unwrap()
        .data()
        .chunks_exact(8)
        .map(|b| f64::from_le_bytes(b.try_into().unwrap()))
        .collect();
    for (step, expected) in losses.iter().enumerate() {
        let mut progress = Progress { num_steps: losses.len(), step, ..Progress::first(&mut rng) };
        let terms = objective.forward(std::slice::from_ref(&model), &batch, &mut progress);
        if step == 0 {
            let scores: Vec<f32> = terms.scores.clone().into_data().try_to_vec().unwrap();
            close("scores", &scores, &floats(&file, "scores").data, 1e-4);
        }
        let found = f64::from(terms.total.clone().into_scalar::<f32>());
        assert!(
            (found - expected).abs() <= 1e-4 * expected.abs(),
            "step {step}: loss {found}, expected {expected}"
        );
        model = sgd.step(model, &mut terms.total.backward(), 0.001);
    }

    let end = collect(&model);
    let expected = weights(&file, "end.");
    assert_eq!(end.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for (name, values) in &expected {
        close(name, &end[name].data, &values.data, 1e-4);
    }
    use burn::module::Module;
    let scores = model.valid().forward(images.without_autodiff(), &mut rng).scores;
    let scores: Vec<f32> = scores.into_data().try_to_vec().unwrap();
    close("scores_eval", &scores, &floats(&file, "scores_eval").data, 1e-4);
}
