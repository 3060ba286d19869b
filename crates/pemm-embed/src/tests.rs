//! The crate as a whole: agreement with ONNX Runtime, hostile files, threads, cache.

mod bad_input;
mod keeping;
mod model;
mod mutations;

use std::path::PathBuf;

use pemm_data::Shape;

use crate::preprocessing::{Picture, PreprocessingKeys, Resize, Rule};
use crate::{Backbone, BackboneKeys, EmbedOptions, Sample};

/// A file of `tests/data`.
fn data(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/tests/data").join(name)
}

/// Values from -1 to 1, nothing cut off.
fn half() -> BackboneKeys {
    let preprocessing = PreprocessingKeys {
        rule: Some(Rule::Half),
        resize: Some(Resize::Stretch),
        ..PreprocessingKeys::default()
    };
    BackboneKeys { preprocessing, ..BackboneKeys::default() }
}

/// The bytes of `count` images, as bench/onnx/tiny.py makes them.
fn images(count: usize, shape: Shape) -> Vec<u8> {
    let byte = |i: u32| (i.wrapping_mul(2_654_435_761) >> 24) as u8;
    (0..(count * shape.len()) as u32).map(byte).collect()
}

const COLOUR: Shape = Shape { channels: 3, height: 32, width: 32 };

fn samples(bytes: &[u8], shape: Shape) -> Vec<Sample<'_>> {
    let sample = |pixels| Sample { name: "made up", picture: Picture::Pixels { pixels, shape } };
    bytes.chunks_exact(shape.len()).map(sample).collect()
}

fn features(backbone: &Backbone, bytes: &[u8], threads: usize) -> Vec<f32> {
    let options = EmbedOptions { threads, ..EmbedOptions::default() };
    backbone.embed_all(&samples(bytes, COLOUR), None, &options).unwrap()
}

fn reference(name: &str) -> Vec<Vec<f32>> {
    serde_json::from_slice(&std::fs::read(data(name)).unwrap()).unwrap()
}

fn assert_near(found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len());
    let largest = expected.iter().fold(0.0f32, |most, value| most.max(value.abs()));
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() <= 5e-6 * largest, "{found} {expected}");
    }
}

#[test]
fn agrees_with_onnx_runtime() {
    let bytes = images(3, COLOUR);
    let backbone = Backbone::open(&data("tiny.onnx"), &half()).unwrap();
    let card = backbone.card();
    assert_eq!((card.output.as_str(), card.num_features, card.opset), ("features", 12, 17));
    assert_eq!(card.assumptions, [""; 0]);
    assert_eq!(card.sha256.len(), 64);
    assert_near(&features(&backbone, &bytes, 1), &reference("tiny.json").concat());

    // Of 17 positions the class token, by the rule; the mean if asked for; another value by name.
    let tokens = reference("tokens.json");
    let open = |keys: &BackboneKeys| Backbone::open(&data("tokens.onnx"), keys).unwrap();
    let backbone = open(&half());
    assert!(backbone.card().assumptions[0].contains("17 positions; the first of them"));
    let first: Vec<f32> = tokens.iter().flat_map(|image| image[..16].to_vec()).collect();
    assert_near(&features(&backbone, &bytes, 2), &first);
    let keys = BackboneKeys { output: crate::output::OutputChoice::Mean, ..half() };
    let mean = |image: &Vec<f32>| {
        (0..16).map(|d| image[d..].iter().step_by(16).sum::<f32>() / 17.0).collect::<Vec<_>>()
    };
    assert_near(
        &features(&open(&keys), &bytes, 1),
        &tokens.iter().flat_map(mean).collect::<Vec<_>>(),
    );
    let keys = BackboneKeys { output_name: Some("attended".into()), ..half() };
    let before: Vec<f32> = features(&open(&keys), &bytes, 1).iter().map(|x| x.tanh()).collect();
    assert_near(&before, &first);
}

#[test]
fn threads_do_not_change_a_bit() {
    let bytes = images(20, COLOUR);
    for name in ["tiny.onnx", "tokens.onnx"] {
        let backbone = Backbone::open(&data(name), &half()).unwrap();
        let bits = |threads| -> Vec<u32> {
            features(&backbone, &bytes, threads).iter().map(|value| value.to_bits()).collect()
        };
        let one = bits(1);
        for threads in [2, 3, 7] {
            assert_eq!(bits(threads), one, "{name}, {threads} threads");
        }
    }
}

#[test]
fn another_size_and_another_order_of_channels() {
    // The mobile network takes any size, although its file says 32; the transformer does not.
    let mut keys = half();
    keys.preprocessing.size = Some([48, 40]);
    let backbone = Backbone::open(&data("tiny.onnx"), &keys).unwrap();
    assert!(backbone.card().assumptions[0].contains("images of 32×32 pixels; it gets 48×40"));
    assert_eq!(features(&backbone, &images(1, COLOUR), 1).len(), 12);
    let error = Backbone::open(&data("tokens.onnx"), &keys).unwrap_err().to_string();
    assert!(error.contains("images of 48×40 pixels, node \"/placed\" (Add)"), "{error}");
    assert!(error.contains("[1, 31, 16] and [1, 17, 16]"), "{error}");
}

#[test]
fn a_record_is_held_to_the_file() {
    let path = data("tiny.onnx");
    let backbone = Backbone::open(&path, &half()).unwrap();
    let json = serde_json::to_string(backbone.card()).unwrap();
    let card = serde_json::from_str(&json).unwrap();
    assert_eq!(&card, backbone.card());
    let again = Backbone::reopen(&path, &card).unwrap();
    let bytes = images(2, COLOUR);
    assert_eq!(features(&again, &bytes, 1), features(&backbone, &bytes, 1));
    let error = Backbone::reopen(&data("tokens.onnx"), &card).unwrap_err().to_string();
    assert!(error.contains("not the backbone that the run was trained with"), "{error}");
    let changed = crate::BackboneCard { num_features: 11, ..card };
    let error = Backbone::reopen(&path, &changed).unwrap_err().to_string();
    assert!(error.contains("11 features from \"features\""), "{error}");
}
