//! A dry run: the shape of every value for one image, before anything is computed.
//!
//! rten makes no promise about what a network costs, so this does: a file passes only if every
//! shape follows from the size of the image, no moment of the run holds more than
//! [`MAX_LIVE_BYTES`] and the whole of it takes at most [`MAX_WORK`] steps. Small integers are
//! followed through the graph as well, because networks compute the sizes of their reshapes.

mod arithmetic;
mod layout;
mod products;
mod rules;
#[cfg(test)]
mod tests;
mod windows;

use std::collections::{BTreeMap, BTreeSet};

use crate::graph::{Graph, Node, Tensor, data_type};

pub(crate) use windows::Windows;

/// Most bytes that may be alive at the same time for one image, weights not counted.
pub(crate) const MAX_LIVE_BYTES: u64 = 4 << 30;
/// Most steps (multiply-adds, or values written) for one image; ViT-g/14 at 518 pixels needs 1.5e12.
pub(crate) const MAX_WORK: u64 = 4_000_000_000_000;
/// Vectors of numbers up to this long are followed through the graph.
const MAX_NUMBERS: usize = 4096;
/// Most dimensions of a value.
const MAX_RANK: usize = 8;
/// Largest size of a dimension, also beside one of 0, which makes the value empty.
pub(crate) const MAX_SIZE: usize = 1 << 31;

/// What the values of a tensor are; rten has 32-bit floats and integers only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Float,
    Integer,
    Truth,
}

/// What is known of a value without computing it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Value {
    pub(crate) shape: Vec<usize>,
    pub(crate) kind: Kind,
    /// The numbers themselves, where they follow from the shapes and are few.
    pub(crate) numbers: Option<Vec<f64>>,
}

/// Why a graph does not go through.
#[derive(Debug, PartialEq)]
pub(crate) enum Stop {
    /// The operator has no rule here.
    Unknown { operator: String, node: String },
    /// Shapes that do not go together, or that the data would decide.
    Mismatch { operator: String, node: String, reason: String },
    /// It costs too much.
    TooLarge { operator: String, node: String, what: &'static str, value: u64, limit: u64 },
}

/// The result of a dry run.
#[derive(Debug)]
pub(crate) struct DryRun<'a> {
    /// What is known of each value that an output needs, weights included.
    pub(crate) values: BTreeMap<&'a str, Value>,
    /// Steps for one image.
    pub(crate) work: u64,
    /// Largest number of bytes alive at once.
    pub(crate) live_bytes: u64,
}

/// What a rule gives: one value for each output that it knows, and the steps it takes.
struct Outcome {
    values: Vec<Value>,
    work: u64,
}

impl Value {
    fn of(shape: Vec<usize>, kind: Kind) -> Self {
        Self { shape, kind, numbers: None }
    }

    fn float(shape: Vec<usize>) -> Self {
        Self::of(shape, Kind::Float)
    }

    /// A vector, or a scalar if `is_scalar`, of known integers.
    fn integers(numbers: Vec<f64>, is_scalar: bool) -> Self {
        let shape = if is_scalar { Vec::new() } else { vec![numbers.len()] };
        Self { shape, kind: Kind::Integer, numbers: Some(numbers) }
    }

    fn of_tensor(tensor: &Tensor<'_>) -> Self {
        let kind = match tensor.data_type {
            data_type::FLOAT | data_type::FLOAT16 | data_type::DOUBLE => Kind::Float,
            data_type::BOOL => Kind::Truth,
            _ => Kind::Integer,
        };
        let is_small = tensor.len().is_some_and(|len| len <= MAX_NUMBERS);
        let numbers = if is_small { tensor.values() } else { None };
        Self { shape: tensor.shape.clone(), kind, numbers }
    }

    /// Number of elements, which the checks of the walk keep small enough.
    pub(crate) fn len(&self) -> u64 {
        self.shape.iter().fold(1u64, |total, &size| total.saturating_mul(size as u64))
    }

    fn bytes(&self) -> u64 {
        self.len().saturating_mul(4)
    }
}

/// Runs `graph` dry on an image of `shape`, under the name `input`.
pub(crate) fn dry_run<'a>(
    graph: &Graph<'a>,
    input: &'a str,
    shape: &[usize],
) -> Result<DryRun<'a>, Stop> {
    let needed = needed(graph, graph.outputs.iter().map(|output| output.name));
    let mut values = BTreeMap::new();
    for (name, tensor) in &graph.weights {
        values.insert(*name, Value::of_tensor(tensor));
    }
    values.insert(input, Value::float(shape.to_vec()));
    let last_use = last_uses(graph, &needed);
    let (mut work, mut live, mut most) = (0u64, values[input].bytes(), 0u64);
    for (index, node) in graph.nodes.iter().enumerate() {
        if !needed.contains(&index) {
            continue;
        }
        let too_large = |what, value, limit| Stop::TooLarge {
            operator: node.operator.into(),
            node: node.called().into(),
            what,
            value,
            limit,
        };
        let outcome = outcome(node, &values, graph.opset)?;
        work = work.saturating_add(outcome.work);
        for (name, value) in node.outputs.iter().zip(outcome.values) {
            live = live.saturating_add(value.bytes());
            most = most.max(live);
            if most > MAX_LIVE_BYTES {
                return Err(too_large("bytes at once for one image", most, MAX_LIVE_BYTES));
            }
            if !name.is_empty() && values.insert(name, value).is_some() {
                let reason = format!("the value {name:?} is computed twice");
                return Err(mismatch(node, reason));
            }
        }
        // What is too large for the memory also takes too many steps; the first is what to say.
        if work > MAX_WORK {
            return Err(too_large("steps for one image", work, MAX_WORK));
        }
        for name in last_use.get(&index).into_iter().flatten() {
            live = live.saturating_sub(values[name].bytes());
        }
    }
    Ok(DryRun { values, work, live_bytes: most })
}

/// Positions of the nodes that the values `wanted` need.
pub(crate) fn needed<'a>(
    graph: &Graph<'a>,
    wanted: impl Iterator<Item = &'a str>,
) -> BTreeSet<usize> {
    let mut makers = BTreeMap::new();
    for (index, node) in graph.nodes.iter().enumerate() {
        for name in &node.outputs {
            makers.entry(*name).or_insert(index);
        }
    }
    let mut needed = BTreeSet::new();
    let mut open: Vec<&str> = wanted.collect();
    while let Some(name) = open.pop() {
        if let Some(&index) = makers.get(name)
            && needed.insert(index)
        {
            open.extend(graph.nodes[index].inputs.iter().filter(|name| !name.is_empty()));
        }
    }
    needed
}

/// The values that are not needed after each node; weights and outputs are kept.
fn last_uses<'a>(graph: &Graph<'a>, needed: &BTreeSet<usize>) -> BTreeMap<usize, Vec<&'a str>> {
    let mut last = BTreeMap::new();
    for &index in needed {
        for name in &graph.nodes[index].inputs {
            last.insert(*name, index);
        }
    }
    let mut after: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
    for (name, index) in last {
        let is_kept = name.is_empty()
            || graph.weights.contains_key(name)
            || graph.outputs.iter().any(|output| output.name == name);
        if !is_kept {
            after.entry(index).or_default().push(name);
        }
    }
    after
}

/// What `node` computes.
fn outcome(node: &Node<'_>, values: &BTreeMap<&str, Value>, opset: i64) -> Result<Outcome, Stop> {
    let is_standard = node.domain.is_empty() || node.domain == "ai.onnx";
    let unknown = || Stop::Unknown {
        operator: match node.domain {
            "" => node.operator.into(),
            domain => format!("{domain}.{}", node.operator),
        },
        node: node.called().into(),
    };
    if !is_standard {
        return Err(unknown());
    }
    let mut inputs = Vec::with_capacity(node.inputs.len());
    for name in &node.inputs {
        let value = values.get(name);
        if value.is_none() && !name.is_empty() {
            let reason = format!("its input {name:?} is not there before it");
            return Err(mismatch(node, reason));
        }
        inputs.push(value);
    }
    let outcome = rules::apply(node, &inputs, opset)
        .ok_or_else(unknown)?
        .map_err(|reason| mismatch(node, reason))?;
    let known = outcome.values.len();
    if let Some(name) = node.outputs.iter().skip(known).find(|name| !name.is_empty()) {
        return Err(mismatch(node, format!("its output {name:?} is not supported")));
    }
    for value in &outcome.values {
        let is_empty_giant = value.len() == 0 && value.shape.iter().any(|&size| size > MAX_SIZE);
        if value.shape.len() > MAX_RANK || is_empty_giant {
            let reason = format!("{:?} is no possible shape", value.shape);
            return Err(mismatch(node, reason));
        }
    }
    Ok(outcome)
}

fn mismatch(node: &Node<'_>, reason: String) -> Stop {
    Stop::Mismatch { operator: node.operator.into(), node: node.called().into(), reason }
}
