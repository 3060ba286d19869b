//! Sizes, layouts and files of the models.

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use pemm::backbone::BackboneKind;
use pemm::centers::{center_stats, lay_out, separate};
use pemm::energy::Potential;
use pemm::head::{DistanceHead, Head, HeadKind};
use pemm::model::{Classifier, ModelPlan, num_parameters};
use pemm::tensors::{apply, collect, from_safetensors, to_safetensors};
use pemm_data::{Shape, Stream, Streams};

fn plan(backbone: BackboneKind, head: HeadKind) -> ModelPlan {
    let mut plan = ModelPlan { dropout: 0.5, ..ModelPlan::new(backbone, head) };
    if backbone.method().parameter("width").is_some() {
        plan = plan.with("width", 8);
    }
    plan
}

fn build(plan: &ModelPlan, side: usize, seed: u64) -> Classifier {
    let shape = Shape { channels: 3, height: side, width: side };
    Classifier::new(plan, shape, 10, Streams::new(seed), &Device::flex())
}

#[test]
fn resnet44_has_the_number_of_parameters_of_its_paper() {
    let model = build(&plan(BackboneKind::Resnet44, HeadKind::Linear), 32, 1);
    assert_eq!(num_parameters(&model), 658_586);
}

#[test]
fn resnet34_agrees_with_torchvisions() {
    let known = include_str!("../reference/resnet34.json");
    agrees_with_torchvisions(BackboneKind::Resnet34, 512, 21_276_992, known);
}

#[test]
fn resnet50_agrees_with_torchvisions() {
    let known = include_str!("../reference/resnet50.json");
    agrees_with_torchvisions(BackboneKind::Resnet50, 2048, 23_508_032, known);
}

/// Features from weights and images that are sines (tests/reference/README.md).
fn agrees_with_torchvisions(kind: BackboneKind, num_features: usize, num: usize, known: &str) {
    let reference: serde_json::Value = serde_json::from_str(known).unwrap();
    let shape = Shape { channels: 3, height: 48, width: 64 };
    let device = Device::flex();
    let plan = plan(kind, HeadKind::Linear);
    let model = Classifier::new(&plan, shape, 10, Streams::new(1), &device);
    assert_eq!(num_parameters(&model) - 10 * (num_features + 1), num);

    let sine = |i: usize, k: usize| (1.0 + 0.7 * i as f64 * (1.0 + 0.01 * k as f64)).sin();
    let mut tensors = collect(&model.backbone);
    assert_eq!(tensors.len(), reference["num_tensors"]);
    for (k, (name, values)) in tensors.iter_mut().enumerate() {
        let fan_in: usize = values.shape[1..].iter().product();
        let is_near_1 = name.ends_with("weight") || name.ends_with("running_var");
        for (i, value) in values.data.iter_mut().enumerate() {
            *value = match values.shape.len() {
                4 => sine(i, k) * (4.0 / fan_in as f64).sqrt(),
                _ if is_near_1 => 1.0 + 0.1 * sine(i, k),
                _ => 0.1 * sine(i, k),
            } as f32;
        }
    }
    let backbone = apply(model.backbone.clone(), tensors, "sines").unwrap();
    let images: Vec<f32> =
        (0..2 * 3 * 48 * 64).map(|i| (0.3 * f64::from(i)).sin() as f32).collect();
    let images = Tensor::from_data(TensorData::new(images, [2, 3, 48, 64]), &device);
    let features: Vec<f32> = backbone.forward(images).into_data().try_to_vec().unwrap();
    for (row, features) in features.chunks_exact(num_features).enumerate() {
        let known = reference["features"][row].as_array().unwrap();
        for (known, found) in known.iter().zip(features.iter().step_by(num_features / 8)) {
            let known = known.as_f64().unwrap();
            assert!((known - f64::from(*found)).abs() < 2e-5, "{known} {found}");
        }
        let mean = features.iter().map(|&x| f64::from(x)).sum::<f64>() / num_features as f64;
        assert!((mean - reference["mean"][row].as_f64().unwrap()).abs() < 1e-6, "{mean}");
    }
}

#[test]
fn cnn8_at_width_64_has_the_layers_of_the_authors_script() {
    let wide = plan(BackboneKind::Cnn8, HeadKind::Distance).with("width", 64);
    let tensors = collect(&build(&wide, 32, 1));
    assert_eq!(tensors["backbone.blocks.4.conv.weight"].shape, [196, 128, 3, 3]);
    assert_eq!(tensors["backbone.fc.weight"].shape, [256, 196 * 16]);
    assert_eq!(tensors["head.centers"].shape, [10, 256]);
    assert!(tensors.keys().all(|name| !name.contains("Cnn8")), "no variant names in paths");
}

#[test]
fn every_backbone_takes_odd_sizes_and_gives_finite_scores() {
    let mut rng = Streams::new(1).open(Stream::Step);
    for &backbone in BackboneKind::ALL {
        let side = backbone.smallest_side().unwrap_or(1).max(12) + 1;
        let model = build(&plan(backbone, HeadKind::Distance), side, 2);
        let images = Tensor::<4>::ones([3, 3, side, side], &Device::flex());
        let scores: Vec<f32> =
            model.forward(images, &mut rng).scores.into_data().try_to_vec().unwrap();
        assert_eq!(scores.len(), 30);
        assert!(scores.iter().all(|x| x.is_finite() && *x <= 0.0), "{backbone:?}: {scores:?}");
    }
}

#[test]
fn heads_start_from_the_same_backbone() {
    let distance = collect(&build(&plan(BackboneKind::Cnn8, HeadKind::Distance), 16, 3));
    let linear = collect(&build(&plan(BackboneKind::Cnn8, HeadKind::Linear), 16, 3));
    for (name, values) in distance.iter().filter(|(name, _)| name.starts_with("backbone")) {
        assert_eq!(&linear[name], values, "{name}");
    }
    let other = collect(&build(&plan(BackboneKind::Cnn8, HeadKind::Linear), 16, 4));
    assert_ne!(other["backbone.fc.weight"], linear["backbone.fc.weight"]);
}

#[test]
fn dropout_is_off_in_evaluation() {
    let model = build(&plan(BackboneKind::Mlp, HeadKind::Linear), 4, 1);
    let mut rng = Streams::new(1).open(Stream::Step);
    let mut features = |model: &Classifier, device: &Device| -> Vec<f32> {
        let images = Tensor::<4>::ones([4, 3, 4, 4], device);
        model.forward(images, &mut rng).features.into_data().try_to_vec().unwrap()
    };
    let plain = Device::flex();
    assert_eq!(features(&model, &plain), features(&model, &plain));
    let training = model.train();
    let dropped = features(&training, &plain.autodiff());
    assert!(dropped.contains(&0.0));
}

#[test]
fn weights_survive_their_file_and_foreign_ones_are_refused() {
    let here = plan(BackboneKind::Cnn8, HeadKind::Distance);
    let tensors = collect(&build(&here, 16, 1));
    let bytes = to_safetensors(&tensors, "{}");
    assert_eq!(bytes, to_safetensors(&tensors, "{}"), "the same weights are the same bytes");
    let (read, text) = from_safetensors(&bytes, "file").unwrap();
    assert_eq!((&read, text.as_str()), (&tensors, "{}"));
    let loaded = apply(build(&here, 16, 9), read.clone(), "file").unwrap();
    assert_eq!(collect(&loaded), tensors);

    let mut missing = read.clone();
    missing.remove("backbone.norm.weight");
    let error = apply(build(&here, 16, 1), missing, "file").unwrap_err().to_string();
    assert!(error.contains("backbone.norm.weight") && error.contains("missing"), "{error}");
    let mut extra = read.clone();
    extra.insert("other".into(), read["head.centers"].clone());
    let error = apply(build(&here, 16, 1), extra, "file").unwrap_err().to_string();
    assert!(error.contains("other does not belong"), "{error}");
    let error = apply(build(&here, 24, 1), read, "file").unwrap_err().to_string();
    assert!(error.contains("has shape"), "{error}");
    for cut in [0, 7, 100, bytes.len() - 1] {
        assert!(from_safetensors(&bytes[..cut], "file").is_err(), "cut at {cut}");
    }
}

#[test]
fn centers_that_coincide_come_apart() {
    let device = Device::flex();
    let centers = Tensor::from_floats([[0.0, 0.0], [1.0, 0.0], [1.0, 0.0]], &device);
    let mut head = Head::Distance(DistanceHead::from_centers(centers, 1.0));
    let mut rng = Streams::new(1).open(Stream::Step);
    assert!(separate(&mut head, &mut rng));
    let energy = Potential::Energy { u: 3.0, v: 2.0, xi: 2.0, beta: 0.3 };
    let stats = center_stats(head.centers().unwrap(), energy);
    assert!((stats.min_distance - 1e-3).abs() < 1e-5, "{}", stats.min_distance);
    assert!(!separate(&mut head, &mut rng), "nothing coincides any more");
}

#[test]
fn centers_are_laid_out_at_rest_where_there_is_room() {
    let device = Device::flex();
    let energy = Potential::Energy { u: 3.0, v: 2.0, xi: 2.0, beta: 0.3 };
    let laid_out = |classes: usize, features: usize, seed| {
        let mut rng = Streams::new(seed).open(Stream::Init);
        let sizes = [features, classes];
        let mut head = Head::Distance(DistanceHead::new(sizes, 1.0, &mut rng, &device));
        let before = head.centers().unwrap();
        let is_laid_out = lay_out(&mut head, energy.rest_distance());
        assert_eq!(is_laid_out, classes <= features);
        (before, head.centers().unwrap())
    };
    for (classes, features) in [(1, 1), (2, 3), (10, 10), (10, 64), (100, 128)] {
        let (_, centers) = laid_out(classes, features, 1);
        let stats = center_stats(centers, energy);
        let num_pairs = (classes * (classes + 1) / 2) as f64;
        assert!((stats.sum_with_origin / num_pairs - 0.45).abs() < 1e-6, "{stats:?}");
        assert!((stats.energy / num_pairs - energy.value(0.45)).abs() < 1e-5, "{stats:?}");
        if classes > 1 {
            assert!(stats.min_distance > 0.449_999 && stats.max_distance < 0.450_001, "{stats:?}");
        }
    }
    let values = |tensor: Tensor<2>| tensor.into_data().try_to_vec::<f32>().unwrap();
    let (before, after) = laid_out(11, 10, 1);
    assert_eq!(values(before), values(after), "11 points and the origin need 11 dimensions");
    assert_ne!(values(laid_out(3, 4, 1).1), values(laid_out(3, 4, 2).1), "a rotation per seed");
    let mut on_the_sphere = build(&plan(BackboneKind::Mlp, HeadKind::Cosface), 4, 1).head;
    assert!(!lay_out(&mut on_the_sphere, 0.45));
}
