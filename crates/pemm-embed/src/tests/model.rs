//! Small ONNX files, put together by hand.

use std::path::PathBuf;

use crate::proto::{put_bytes, put_number};

/// A file in a folder of its own.
pub(super) struct Model {
    pub(super) nodes: Vec<Vec<u8>>,
    pub(super) weights: Vec<Vec<u8>>,
    pub(super) inputs: Vec<Vec<u8>>,
    pub(super) outputs: Vec<Vec<u8>>,
}

/// An input or output of 32-bit floats; a size of 0 is free.
pub(super) fn value(name: &str, shape: &[i64]) -> Vec<u8> {
    typed_value(name, 1, shape)
}

pub(super) fn typed_value(name: &str, data_type: i64, shape: &[i64]) -> Vec<u8> {
    let (mut dims, mut tensor, mut kind, mut info) = (vec![], vec![], vec![], vec![]);
    for &size in shape {
        let mut dim = Vec::new();
        if size > 0 {
            put_number(&mut dim, 1, size);
        } else {
            put_bytes(&mut dim, 2, b"free");
        }
        put_bytes(&mut dims, 1, &dim);
    }
    put_number(&mut tensor, 1, data_type);
    put_bytes(&mut tensor, 2, &dims);
    put_bytes(&mut kind, 1, &tensor);
    put_bytes(&mut info, 1, name.as_bytes());
    put_bytes(&mut info, 2, &kind);
    info
}

/// An attribute that is a number or several.
pub(super) fn attribute(name: &str, numbers: &[i64]) -> Vec<u8> {
    let mut attribute = Vec::new();
    put_bytes(&mut attribute, 1, name.as_bytes());
    if let [number] = numbers {
        put_number(&mut attribute, 3, *number);
        put_number(&mut attribute, 20, 2);
    } else {
        numbers.iter().for_each(|&number| put_number(&mut attribute, 8, number));
        put_number(&mut attribute, 20, 7);
    }
    attribute
}

pub(super) fn node(
    operator: &str,
    inputs: &[&str],
    output: &str,
    attributes: &[Vec<u8>],
) -> Vec<u8> {
    let mut node = Vec::new();
    inputs.iter().for_each(|input| put_bytes(&mut node, 1, input.as_bytes()));
    put_bytes(&mut node, 2, output.as_bytes());
    put_bytes(&mut node, 3, format!("/{output}").as_bytes());
    put_bytes(&mut node, 4, operator.as_bytes());
    attributes.iter().for_each(|attribute| put_bytes(&mut node, 5, attribute));
    node
}

/// Weights of 32-bit floats.
pub(super) fn floats(name: &str, shape: &[i64], values: &[f32]) -> Vec<u8> {
    let raw: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    tensor(name, 1, shape, &raw)
}

/// Weights of 64-bit integers.
pub(super) fn integers(name: &str, values: &[i64]) -> Vec<u8> {
    let raw: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    tensor(name, 7, &[values.len() as i64], &raw)
}

pub(super) fn tensor(name: &str, data_type: i64, shape: &[i64], raw: &[u8]) -> Vec<u8> {
    let mut tensor = Vec::new();
    shape.iter().for_each(|&size| put_number(&mut tensor, 1, size));
    put_number(&mut tensor, 2, data_type);
    put_bytes(&mut tensor, 8, name.as_bytes());
    put_bytes(&mut tensor, 9, raw);
    tensor
}

/// Weights in another file.
pub(super) fn external(name: &str, shape: &[i64], entries: &[(&str, &str)]) -> Vec<u8> {
    let mut tensor = Vec::new();
    shape.iter().for_each(|&size| put_number(&mut tensor, 1, size));
    put_number(&mut tensor, 2, 1);
    put_bytes(&mut tensor, 8, name.as_bytes());
    for (key, value) in entries {
        let mut entry = Vec::new();
        put_bytes(&mut entry, 1, key.as_bytes());
        put_bytes(&mut entry, 2, value.as_bytes());
        put_bytes(&mut tensor, 13, &entry);
    }
    put_number(&mut tensor, 14, 1);
    tensor
}

impl Model {
    /// One image `[N, 3, 8, 8]` called `image`, an output `[N, 3]` called `features`.
    pub(super) fn of(nodes: &[Vec<u8>]) -> Self {
        Self {
            nodes: nodes.to_vec(),
            weights: Vec::new(),
            inputs: vec![value("image", &[0, 3, 8, 8])],
            outputs: vec![value("features", &[0, 3])],
        }
    }

    /// The mean of each channel.
    pub(super) fn mean() -> Self {
        Self::of(&[node(
            "ReduceMean",
            &["image"],
            "features",
            &[attribute("axes", &[2, 3]), attribute("keepdims", &[0])],
        )])
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let (mut graph, mut import, mut model) = (Vec::new(), Vec::new(), Vec::new());
        let parts = [(1, &self.nodes), (5, &self.weights), (11, &self.inputs), (12, &self.outputs)];
        for (field, messages) in parts {
            messages.iter().for_each(|message| put_bytes(&mut graph, field, message));
        }
        put_number(&mut import, 2, 17);
        put_number(&mut model, 1, 8);
        put_bytes(&mut model, 7, &graph);
        put_bytes(&mut model, 8, &import);
        model
    }

    /// Writes the file; the folder lives as long as what is returned first.
    pub(super) fn save(&self) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("net.onnx");
        std::fs::write(&path, self.bytes()).unwrap();
        (folder, path)
    }
}
