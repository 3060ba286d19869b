//! What rten is given: the ONNX message of one stretch, written from what was read and checked.
//!
//! Nodes go over as they are, except those that slide windows. ONNX lets `kernel_shape`, `strides`,
//! `dilations` and `pads` be left out, also all of them; rten 0.27 then takes the number of
//! dimensions from `kernel_shape` and finds none, has no default strides for pooling, and takes
//! `SAME_LOWER` for `SAME_UPPER`. Here all of them are written out as the dry run worked them out.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::Maker;
use crate::dry_run::{Kind, Value, Windows};
use crate::graph::{Node, Tensor, data_type};
use crate::proto::{Fields, Wire, put_bytes, put_number};

/// Attributes of windows that are written out; `auto_pad` becomes `pads`.
const OF_WINDOWS: [&[u8]; 5] = [b"auto_pad", b"dilations", b"kernel_shape", b"pads", b"strides"];

impl<'a> Maker<'a, '_> {
    /// The ONNX message of a stretch.
    pub(super) fn message(
        &self,
        nodes: &[usize],
        read: &BTreeSet<&str>,
        inputs: &[&str],
        outputs: &[&str],
    ) -> Vec<u8> {
        let mut graph = Vec::new();
        let constants = read.iter().filter_map(|name| self.constants.get(name));
        for index in constants.collect::<BTreeSet<_>>() {
            put_bytes(&mut graph, 1, self.graph.nodes[*index].bytes);
        }
        for &index in nodes {
            put_bytes(&mut graph, 1, &self.node(&self.graph.nodes[index]));
        }
        put_bytes(&mut graph, 2, b"stretch");
        for name in read {
            if let Some(tensor) = self.graph.weights.get(name) {
                match tensor.bytes {
                    [] => put_bytes(&mut graph, 5, &stored(tensor)),
                    whole => put_bytes(&mut graph, 5, whole),
                }
            } else if self.folded.contains(name) {
                put_bytes(&mut graph, 5, &known(name, &self.run.values[name]));
            }
        }
        for name in inputs {
            put_bytes(&mut graph, 11, &value_info(name, &self.run.values[name]));
        }
        for name in outputs {
            put_bytes(&mut graph, 12, &value_info(name, &self.run.values[name]));
        }
        let mut model = Vec::new();
        put_number(&mut model, 1, 8);
        put_bytes(&mut model, 7, &graph);
        for import in &self.graph.opset_imports {
            put_bytes(&mut model, 8, import);
        }
        model
    }

    /// The message of a node, with its windows written out if it has any.
    fn node(&self, node: &Node<'a>) -> Cow<'a, [u8]> {
        let written = self.windows(node).and_then(|(kernel, windows)| {
            let mut message = without_windows(node.bytes)?;
            let pads = (0..2).flat_map(|end| windows.pads.iter().map(move |pad| pad[end]));
            for (name, numbers) in [
                ("kernel_shape", kernel),
                ("strides", windows.strides.clone()),
                ("dilations", windows.dilations.clone()),
                ("pads", pads.collect()),
            ] {
                put_bytes(&mut message, 5, &integers(name, &numbers));
            }
            Some(message)
        });
        written.map_or(Cow::Borrowed(node.bytes), Cow::Owned)
    }

    /// Kernel and windows of a convolution or a pooling.
    fn windows(&self, node: &Node<'a>) -> Option<(Vec<usize>, Windows)> {
        let shape = |index| Some(&self.run.values.get(node.input(index)?)?.shape);
        let kernel: Vec<usize> = match node.operator {
            "Conv" => shape(1)?.get(2..)?.to_vec(),
            "AveragePool" | "MaxPool" => {
                let given = node.numbers("kernel_shape")?.iter();
                given.map(|&size| usize::try_from(size).ok()).collect::<Option<_>>()?
            }
            _ => return None,
        };
        let windows = Windows::of(node, shape(0)?.get(2..)?, &kernel).ok()?;
        Some((kernel, windows))
    }
}

/// The message of a node less its attributes of windows.
fn without_windows(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut message = Vec::new();
    for field in Fields::of(bytes) {
        let (number, Wire::Bytes(content)) = field.ok()? else { continue };
        let is_of_windows = number == 5
            && Fields::of(content).flatten().any(|(number, wire)| {
                number == 1 && matches!(wire, Wire::Bytes(name) if OF_WINDOWS.contains(&name))
            });
        if !is_of_windows {
            put_bytes(&mut message, number, content);
        }
    }
    Some(message)
}

/// An attribute that is a list of integers.
fn integers(name: &str, numbers: &[usize]) -> Vec<u8> {
    /// ONNX's number for this kind of attribute.
    const INTS: i64 = 7;
    let mut attribute = Vec::new();
    put_bytes(&mut attribute, 1, name.as_bytes());
    numbers.iter().for_each(|&number| put_number(&mut attribute, 8, number as i64));
    put_number(&mut attribute, 20, INTS);
    attribute
}

/// A tensor with its bytes in the message, for one that came from another file.
fn stored(tensor: &Tensor<'_>) -> Vec<u8> {
    let mut message = Vec::new();
    for &size in &tensor.shape {
        put_number(&mut message, 1, size as i64);
    }
    put_number(&mut message, 2, i64::from(tensor.data_type));
    put_bytes(&mut message, 8, tensor.name.as_bytes());
    put_bytes(&mut message, 9, tensor.raw.unwrap_or_default());
    message
}

/// Numbers that follow from the shapes, as weights.
fn known(name: &str, value: &Value) -> Vec<u8> {
    let mut message = Vec::new();
    for &size in &value.shape {
        put_number(&mut message, 1, size as i64);
    }
    let numbers = value.numbers.as_deref().unwrap_or_default();
    let (kind, raw): (i32, Vec<u8>) = match value.kind {
        Kind::Truth => (data_type::BOOL, numbers.iter().map(|&n| u8::from(n != 0.0)).collect()),
        Kind::Integer | Kind::Float => {
            (data_type::INT64, numbers.iter().flat_map(|&n| (n as i64).to_le_bytes()).collect())
        }
    };
    put_number(&mut message, 2, i64::from(kind));
    put_bytes(&mut message, 8, name.as_bytes());
    put_bytes(&mut message, 9, &raw);
    message
}

/// Name, type and fixed shape of an input or output.
fn value_info(name: &str, value: &Value) -> Vec<u8> {
    let mut shape = Vec::new();
    for &size in &value.shape {
        let mut dim = Vec::new();
        put_number(&mut dim, 1, size as i64);
        put_bytes(&mut shape, 1, &dim);
    }
    let kind = match value.kind {
        Kind::Float => data_type::FLOAT,
        Kind::Integer => data_type::INT64,
        Kind::Truth => data_type::BOOL,
    };
    let (mut tensor, mut kinds, mut info) = (Vec::new(), Vec::new(), Vec::new());
    put_number(&mut tensor, 1, i64::from(kind));
    put_bytes(&mut tensor, 2, &shape);
    put_bytes(&mut kinds, 1, &tensor);
    put_bytes(&mut info, 1, name.as_bytes());
    put_bytes(&mut info, 2, &kinds);
    info
}
