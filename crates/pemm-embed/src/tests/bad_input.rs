//! Every wrong file gets an error with file, rule, value and what to do, before an image is read.

use std::fs;
use std::path::Path;

use super::model::{
    Model, attribute, external, floats, integers, node, tensor, typed_value, value,
};
use super::{COLOUR, half, images, samples};
use crate::output::OutputChoice;
use crate::proto::put_bytes;
use crate::{Backbone, BackboneKeys, EmbedError, EmbedOptions};

/// The error of opening `model`, which names the file.
fn error(model: &Model) -> EmbedError {
    let (_folder, path) = model.save();
    let error = Backbone::open(&path, &half()).unwrap_err();
    assert!(error.to_string().contains("net.onnx"), "{error}");
    error
}

fn assert_says(model: &Model, expected: &str) {
    let error = error(model).to_string();
    assert!(error.contains(expected), "{error}\nshould say: {expected}");
}

#[test]
fn a_sound_file_opens() {
    let (_folder, path) = Model::mean().save();
    let backbone = Backbone::open(&path, &half()).unwrap();
    assert_eq!((backbone.num_features(), backbone.card().opset), (3, 17));
}

#[test]
fn what_is_no_onnx_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net.onnx");
    let whole = Model::mean().bytes();
    for (bytes, expected) in [
        (&b""[..], "there is no graph"),
        (b"\x89PNG\r\n\x1a\n", "not an ONNX file"),
        (b"PK\x03\x04 a zip of PyTorch", "not an ONNX file"),
        (&whole[..whole.len() - 9], "not an ONNX file"),
    ] {
        fs::write(&path, bytes).unwrap();
        let error = Backbone::open(&path, &half()).unwrap_err();
        assert!(matches!(error, EmbedError::NotOnnx { .. }), "{error}");
        assert!(error.to_string().contains(expected), "{error}");
        assert!(error.to_string().contains("export the network to ONNX again"), "{error}");
    }
    let missing = Backbone::open(Path::new("nowhere.onnx"), &half()).unwrap_err();
    assert!(missing.to_string().starts_with("nowhere.onnx: No such file"), "{missing}");
}

#[test]
fn operators_that_are_not_supported_are_named_with_the_opset() {
    let model = Model::of(&[node("NonMaxSuppression", &["image"], "features", &[])]);
    let found = error(&model);
    assert!(matches!(&found, EmbedError::UnsupportedOperator { operator, opset: 17, .. }
        if operator == "NonMaxSuppression"));
    assert!(found.to_string().contains("(node \"/features\", opset 17)"), "{found}");
    let mut contrib = node("Secret", &["image"], "features", &[]);
    put_bytes(&mut contrib, 7, b"com.vendor");
    assert_says(&Model::of(&[contrib]), "com.vendor.Secret");
    // A graph inside of a node could run forever.
    let mut inside = attribute("body", &[1]);
    put_bytes(&mut inside, 6, b"");
    let model = Model::of(&[node("Loop", &["image"], "features", &[inside])]);
    assert_says(&model, "a graph inside of a node (If, Loop or Scan)");
}

#[test]
fn inputs_that_are_not_one_image() {
    let mut model = Model::mean();
    model.inputs.push(value("mask", &[0, 8]));
    assert_says(&model, "the network has 2 inputs, \"image\" [?, 3, 8, 8], \"mask\" [?, 8]");
    model.inputs.clear();
    assert_says(&model, "the network has no input");
    model.inputs = vec![value("image", &[0, 3, 8])];
    assert_says(&model, "the input is \"image\" [?, 3, 8]; a backbone has one input");
    model.inputs = vec![value("image", &[0, 7, 8, 8])];
    assert_says(&model, "\"image\" [?, 7, 8, 8]");
    model.inputs = vec![typed_value("image", 7, &[0, 3, 8, 8])];
    assert_says(&model, "does not hold floats");
    // Old files list their weights among the inputs.
    let mut model = Model::of(&[
        node("Mul", &["image", "scale"], "scaled", &[]),
        node(
            "ReduceMean",
            &["scaled"],
            "features",
            &[attribute("axes", &[2, 3]), attribute("keepdims", &[0])],
        ),
    ]);
    model.inputs.push(value("scale", &[1]));
    model.weights.push(floats("scale", &[1], &[2.0]));
    let (_folder, path) = model.save();
    assert!(Backbone::open(&path, &half()).is_ok());
}

#[test]
fn outputs_that_are_no_vector() {
    let mut model = Model::of(&[node("Shape", &["image"], "features", &[])]);
    assert_says(&model, "no output is the one vector for each image");
    assert_says(&model, "the outputs are \"features\" [4]");
    model.outputs = vec![value("missing", &[0, 3])];
    assert_says(&model, "\"missing\", which does not follow from the image");
    let mut model = Model::mean();
    model.nodes.push(node("Relu", &["features"], "other", &[]));
    model.outputs = vec![value("a", &[0, 3]), value("b", &[0, 3])];
    model.nodes.push(node("Relu", &["other"], "a", &[]));
    model.nodes.push(node("Relu", &["other"], "b", &[]));
    assert_says(&model, "the outputs are \"a\" [1, 3], \"b\" [1, 3]; name one with output_name");
    let (_folder, path) = model.save();
    let named = BackboneKeys { output_name: Some("b".into()), ..half() };
    assert!(Backbone::open(&path, &named).is_ok());
    let wrong = BackboneKeys { output_name: Some("c".into()), ..half() };
    let error = Backbone::open(&path, &wrong).unwrap_err().to_string();
    assert!(error.contains("\"c\", which does not follow from the image"), "{error}");
    let tokens = BackboneKeys { output: OutputChoice::ClassToken, ..half() };
    assert!(Backbone::open(&path, &tokens).is_err());
    // A constant is no feature of an image.
    let mut model = Model::of(&[node("Relu", &["w"], "features", &[])]);
    model.weights.push(floats("w", &[1, 3], &[1.0, 2.0, 3.0]));
    assert_says(&model, "does not depend on the image");
}

#[test]
fn scores_of_a_classifier_give_way_to_what_comes_before_them() {
    let mut model = Model::of(&[
        node("GlobalAveragePool", &["image"], "pooled", &[]),
        node("Flatten", &["pooled"], "flat", &[]),
        node("Gemm", &["flat", "w"], "logits", &[]),
        node("Softmax", &["logits"], "prob", &[]),
    ]);
    model.weights.push(floats("w", &[3, 5], &[0.5; 15]));
    model.outputs = vec![value("prob", &[0, 5])];
    let (_folder, path) = model.save();
    let backbone = Backbone::open(&path, &half()).unwrap();
    assert_eq!((backbone.card().output.as_str(), backbone.num_features()), ("flat", 3));
    assert!(backbone.card().assumptions[0].contains("looks like the scores of a classifier"));
    let keys = BackboneKeys { output: OutputChoice::Logits, ..half() };
    let scores = Backbone::open(&path, &keys).unwrap();
    assert_eq!((scores.card().output.as_str(), scores.num_features()), ("prob", 5));
}

#[test]
fn a_hundred_gigabytes_are_refused_before_anything_is_computed() {
    let large = |operator: &str, shape: &[i64]| {
        let mut model = Model::of(&[
            node(operator, &["image", "shape"], "large", &[]),
            node(
                "ReduceMean",
                &["large"],
                "features",
                &[attribute("axes", &[2, 3]), attribute("keepdims", &[0])],
            ),
        ]);
        model.weights.push(integers("shape", shape));
        model
    };
    assert_says(&large("Tile", &[1, 1, 12_000, 12_000]), "bytes at once for one image");
    assert_says(&large("Tile", &[1, 1, 12_000, 12_000]), "the limit is 4294967296");
    assert_says(&large("Tile", &[1, 1, 1 << 39, 1 << 39]), "bytes at once for one image");
    // Also from weights alone, which are worked out while the file is loaded.
    let mut model = Model::of(&[
        node("ConstantOfShape", &["shape"], "large", &[]),
        node("ReduceMean", &["large"], "mean", &[]),
        node("Add", &["image", "mean"], "shifted", &[]),
        node(
            "ReduceMean",
            &["shifted"],
            "features",
            &[attribute("axes", &[2, 3]), attribute("keepdims", &[0])],
        ),
    ]);
    model.weights.push(integers("shape", &[100_000, 100_000, 3]));
    assert_says(&model, "ConstantOfShape");
    // Little memory, but no end of multiplying.
    let mut model = Model::mean();
    model.nodes.insert(
        0,
        node(
            "Conv",
            &["image", "w"],
            "wide",
            &[attribute("pads", &[9000, 9000, 9000, 9000]), attribute("group", &[3])],
        ),
    );
    model.nodes[1] = node("GlobalAveragePool", &["wide"], "features", &[]);
    model.weights.push(floats("w", &[3, 1, 101, 101], &vec![0.1; 30_603]));
    assert_says(&model, "steps for one image");
}

#[test]
fn shapes_that_do_not_go_together_name_the_node() {
    let mut model = Model::mean();
    model.nodes.insert(0, node("Add", &["image", "w"], "sum", &[]));
    model.weights.push(floats("w", &[5], &[0.0; 5]));
    model.nodes.push(node("MatMul", &["sum", "features"], "last", &[]));
    model.outputs = vec![value("last", &[0, 3])];
    assert_says(&model, "with images of 8×8 pixels, node \"/sum\" (Add)");
    assert_says(&model, "[1, 3, 8, 8] and [5] do not go together");
    let model = Model::of(&[node("Relu", &["nothing"], "features", &[])]);
    assert_says(&model, "its input \"nothing\" is not there before it");
    let mut model = Model::mean();
    model.weights.push(tensor("w", 1, &[3], &[0; 8]));
    assert_says(&model, "the weights \"w\" have the shape [3] but 8 bytes");
    model.weights = vec![tensor("w", 8, &[1], b"x")];
    assert_says(&model, "data type 8");
}

#[test]
fn weights_in_another_file() {
    let mut model = Model::mean();
    model.nodes.insert(0, node("Mul", &["image", "w"], "scaled", &[]));
    model.nodes[1] = node(
        "ReduceMean",
        &["scaled"],
        "features",
        &[attribute("axes", &[2, 3]), attribute("keepdims", &[0])],
    );
    let place = |entries| vec![external("w", &[1], entries)];
    for (entries, expected) in [
        (&[("location", "net.data"), ("offset", "4"), ("length", "4")][..], "the file is missing"),
        (&[("location", "../net.data")], "in the network's own folder"),
        (&[("location", "/etc/passwd")], "in the network's own folder"),
        (&[("location", "")], "in the network's own folder"),
        (&[("location", "net.data"), ("offset", "x")], "is no number"),
        (&[("location", "net.data"), ("length", "400")], "have the shape [1] but"),
    ] {
        model.weights = place(entries);
        assert_says(&model, expected);
    }
    model.weights = place(&[("location", "net.data"), ("offset", "4"), ("length", "4")]);
    let (folder, path) = model.save();
    let weights = |bytes: &[u8]| fs::write(folder.path().join("net.data"), bytes).unwrap();
    weights(&[0; 6]);
    let error = Backbone::open(&path, &half()).unwrap_err().to_string();
    assert!(error.contains("it is not the one that was exported with this network"), "{error}");
    weights(&[0; 8]);
    let first = Backbone::open(&path, &half()).unwrap();
    // Other weights are another network.
    weights(&[[0; 4], 2f32.to_le_bytes()].concat());
    let error = Backbone::reopen(&path, first.card()).unwrap_err();
    assert!(matches!(error, EmbedError::Changed { .. }), "{error}");
    #[cfg(unix)]
    {
        fs::remove_file(folder.path().join("net.data")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", folder.path().join("net.data")).unwrap();
        let error = Backbone::open(&path, &half()).unwrap_err().to_string();
        assert!(error.contains("no ordinary file"), "{error}");
    }
}

#[test]
fn features_that_are_not_finite_name_the_sample() {
    let mut model = Model::mean();
    model.nodes.push(node("Log", &["features"], "logarithm", &[]));
    model.outputs = vec![value("logarithm", &[0, 3])];
    let (_folder, path) = model.save();
    let backbone = Backbone::open(&path, &half()).unwrap();
    let bytes = images(1, COLOUR).into_iter().map(|byte| byte / 4).collect::<Vec<_>>();
    let error =
        backbone.embed_all(&samples(&bytes, COLOUR), None, &EmbedOptions::default()).unwrap_err();
    let error = error.to_string();
    assert!(error.starts_with("made up: feature 0 is NaN after "), "{error}");
}
