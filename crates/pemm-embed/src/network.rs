//! A checked graph, made ready to run: stretches that rten computes, and the depthwise convolutions
//! between them, which [`depthwise`](crate::depthwise) computes.
//!
//! rten is never given the file. It gets a message that is written here from what was read and
//! checked: the nodes and weights of one stretch, all shapes fixed, and numbers that follow from
//! the shapes already worked out. It runs on one thread; who wants more runs more images.

mod message;

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use rten::{Model, ModelOptions, NodeId, RunOptions, ThreadPool, ValueOrView};

use crate::depthwise::Depthwise;
use crate::dry_run::{DryRun, Kind, Windows, needed};
use crate::graph::{Graph, Node, Tensor, data_type};

/// A network for one image at a time.
#[derive(Debug)]
pub(crate) struct Network {
    stages: Vec<Stage>,
    /// Number of values that live between stages; value 0 is the image.
    num_slots: usize,
    input_shape: Vec<usize>,
    output_slot: usize,
}

/// The nodes of a stretch, and the depthwise convolution that ends it with its node.
type Step = (Vec<usize>, Option<(Box<Depthwise>, usize)>);

#[derive(Debug)]
enum Stage {
    Graph(Box<Stretch>),
    Depthwise { conv: Box<Depthwise>, from: usize, is_last: bool, to: usize },
}

/// Nodes that rten runs together.
#[derive(Debug)]
struct Stretch {
    model: Model,
    /// Slot, node, and whether nobody needs the value afterwards.
    inputs: Vec<(usize, NodeId, bool)>,
    outputs: Vec<(NodeId, usize)>,
}

/// Why a network cannot be made.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The output follows from the weights alone.
    Constant,
    /// rten says no.
    Refused(String),
}

/// What is done with a node that the output needs.
enum Role {
    /// Its integers are known; they become weights.
    Folded,
    /// It holds weights.
    Constant,
    Depthwise(Box<Depthwise>),
    Plain,
}

/// The parts of a network while it is put together.
struct Maker<'a, 'g> {
    graph: &'g Graph<'a>,
    run: &'g DryRun<'a>,
    /// Position of each `Constant` node by what it gives.
    constants: BTreeMap<&'a str, usize>,
    folded: BTreeSet<&'a str>,
    slots: BTreeMap<&'a str, usize>,
}

impl Network {
    /// The network that computes `output` from `input`.
    pub(crate) fn of(
        graph: &Graph<'_>,
        run: &DryRun<'_>,
        input: &str,
        output: &str,
    ) -> Result<Self, Failure> {
        let input = graph.inputs.iter().map(|i| i.name).find(|&name| name == input);
        let output = run.values.keys().copied().find(|&name| name == output);
        let (Some(input), Some(output)) = (input, output) else { return Err(Failure::Constant) };
        let order: Vec<usize> = needed(graph, [output].into_iter()).into_iter().collect();
        let reads_image = |&index: &usize| graph.nodes[index].inputs.contains(&input);
        if !order.iter().any(reads_image) {
            return Err(Failure::Constant);
        }
        let mut maker = Maker {
            graph,
            run,
            constants: BTreeMap::new(),
            folded: BTreeSet::new(),
            slots: [(input, 0)].into(),
        };
        // Stretches and the convolutions that end them.
        let (mut steps, mut open) = (Vec::new(), Vec::new());
        for &index in &order {
            let node = &graph.nodes[index];
            match maker.role(node) {
                Role::Folded => maker.folded.extend(&node.outputs),
                Role::Constant => {
                    maker.constants.extend(node.outputs.iter().map(|name| (*name, index)));
                }
                Role::Plain => open.push(index),
                Role::Depthwise(conv) => {
                    steps.push((std::mem::take(&mut open), Some((conv, index))));
                }
            }
        }
        steps.push((open, None));
        maker.assemble(steps, input, output)
    }

    /// The output for one image of the shape that the network was made for.
    pub(crate) fn run(&self, image: Vec<f32>, pool: &Arc<ThreadPool>) -> Result<Vec<f32>, String> {
        // rten checks its inputs; what it still panics about must not end the program.
        let run = catch_unwind(AssertUnwindSafe(|| self.run_stages(image, pool)));
        run.unwrap_or_else(|panic| Err(panic_text(&panic)))
    }

    fn run_stages(&self, image: Vec<f32>, pool: &Arc<ThreadPool>) -> Result<Vec<f32>, String> {
        let mut slots: Vec<Option<rten::Value>> = (0..self.num_slots).map(|_| None).collect();
        let text = |error: &dyn std::error::Error| error.to_string();
        let value = |shape: &[usize], data| {
            rten::Value::from_shape(shape, data).map_err(|error| text(&error))
        };
        slots[0] = Some(value(&self.input_shape, image)?);
        for stage in &self.stages {
            match stage {
                Stage::Depthwise { conv, from, is_last, to } => {
                    let from = take(&mut slots, *from, *is_last)?;
                    let (_, data) =
                        from.into_shape_vec::<f32, 4>().map_err(|error| text(&error))?;
                    let sizes = &conv.windows.sizes;
                    let shape = [1, conv.filters, sizes[0], sizes[1]];
                    slots[*to] = Some(value(&shape, conv.run(&data))?);
                }
                Stage::Graph(stretch) => {
                    let mut inputs: Vec<(NodeId, ValueOrView<'_>)> = Vec::new();
                    for &(slot, node, is_last) in &stretch.inputs {
                        inputs.push((node, take(&mut slots, slot, is_last)?.into()));
                    }
                    let outputs: Vec<NodeId> = stretch.outputs.iter().map(|&(id, _)| id).collect();
                    let options = RunOptions::default().with_thread_pool(Some(pool.clone()));
                    let values = stretch.model.run(inputs, &outputs, Some(options));
                    let values = values.map_err(|error| text(&error))?;
                    for (&(_, slot), value) in stretch.outputs.iter().zip(values) {
                        slots[slot] = Some(value);
                    }
                }
            }
        }
        let output = take(&mut slots, self.output_slot, true)?;
        let tensor = output.into_tensor::<f32>().ok_or("the output does not hold floats")?;
        Ok(tensor.into_data())
    }
}

/// The value in a slot, or a copy of it if it is needed again.
fn take(
    slots: &mut [Option<rten::Value>],
    at: usize,
    is_last: bool,
) -> Result<rten::Value, String> {
    let value = if is_last { slots[at].take() } else { slots[at].clone() };
    value.ok_or_else(|| "a value is needed before it is computed".into())
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    format!("panicked: {}", text.unwrap_or("without a message"))
}

impl<'a> Maker<'a, '_> {
    fn role(&self, node: &Node<'a>) -> Role {
        let is_known = |name: &&str| {
            self.run.values.get(name).is_some_and(|value| {
                value.numbers.is_some() && matches!(value.kind, Kind::Integer | Kind::Truth)
            })
        };
        if node.operator == "Constant" {
            Role::Constant
        } else if !node.outputs.is_empty() && node.outputs.iter().all(is_known) {
            Role::Folded
        } else {
            self.depthwise(node).map_or(Role::Plain, |conv| Role::Depthwise(Box::new(conv)))
        }
    }

    /// The convolution of `node`, if it is a depthwise one of an image with ordinary windows.
    fn depthwise(&self, node: &Node<'a>) -> Option<Depthwise> {
        if node.operator != "Conv" || node.outputs.len() != 1 {
            return None;
        }
        let &[1, channels, height, width] = &self.run.values.get(node.input(0)?)?.shape[..] else {
            return None;
        };
        let weights = self.graph.weights.get(node.input(1)?)?;
        let &[filters, 1, rows, columns] = &weights.shape[..] else { return None };
        let group = usize::try_from(node.number("group")?).ok()?;
        let (kernel, image) = ([rows, columns], [height, width]);
        let windows = Windows::of(node, &image, &kernel).ok()?;
        let is_ordinary = group == channels
            && channels > 1
            && windows.strides.iter().all(|&stride| stride <= 4)
            && windows.dilations.iter().all(|&dilation| dilation <= 16)
            && kernel.iter().all(|side| (1..=64).contains(side))
            && windows.pads.iter().flatten().all(|&pad| pad <= 1024)
            && image.iter().all(|&side| side <= 1 << 14);
        if !is_ordinary {
            return None;
        }
        let bias = match node.input(2) {
            Some(name) => floats(self.graph.weights.get(name)?)?,
            None => vec![0.0; filters],
        };
        let (weights, image) = (floats(weights)?, [channels, height, width]);
        let conv = Depthwise { image, filters, kernel, weights, bias, windows };
        (conv.scratch_len() <= 1 << 26).then_some(conv)
    }

    fn slot(&mut self, name: &'a str) -> usize {
        let next = self.slots.len();
        *self.slots.entry(name).or_insert(next)
    }

    /// Whether a value comes from a stage, and not from weights.
    fn is_live(&self, name: &str) -> bool {
        !name.is_empty()
            && !self.graph.weights.contains_key(name)
            && !self.constants.contains_key(name)
            && !self.folded.contains(name)
    }

    /// Turns stretches, each with the convolution that ends it, into stages.
    fn assemble(
        mut self,
        steps: Vec<Step>,
        input: &'a str,
        output: &'a str,
    ) -> Result<Network, Failure> {
        // The last step that reads each value: stretch s is step 2s, its convolution 2s + 1.
        let mut last_read = BTreeMap::from([(output, usize::MAX)]);
        for (s, (nodes, conv)) in steps.iter().enumerate() {
            let mut read = |index: usize, step: usize| {
                for name in &self.graph.nodes[index].inputs {
                    let last = last_read.entry(*name).or_insert(step);
                    *last = (*last).max(step);
                }
            };
            nodes.iter().for_each(|&index| read(index, 2 * s));
            if let Some((_, index)) = conv {
                read(*index, 2 * s + 1);
            }
        }
        let mut stages = Vec::new();
        for (s, (nodes, conv)) in steps.into_iter().enumerate() {
            if !nodes.is_empty() {
                stages.push(Stage::Graph(Box::new(self.stretch(&nodes, 2 * s, &last_read)?)));
            }
            if let Some((conv, index)) = conv {
                let node = &self.graph.nodes[index];
                let (from, to) = (node.inputs[0], self.slot(node.outputs[0]));
                let is_last = last_read[from] == 2 * s + 1;
                stages.push(Stage::Depthwise { conv, from: self.slot(from), is_last, to });
            }
        }
        let input_shape = self.run.values[input].shape.clone();
        let output_slot = *self.slots.get(output).ok_or(Failure::Constant)?;
        Ok(Network { stages, num_slots: self.slots.len(), input_shape, output_slot })
    }

    /// A model of `nodes` that gives what is read after `step`.
    fn stretch(
        &mut self,
        nodes: &[usize],
        step: usize,
        last_read: &BTreeMap<&'a str, usize>,
    ) -> Result<Stretch, Failure> {
        let made: BTreeSet<&str> = nodes
            .iter()
            .flat_map(|&index| self.graph.nodes[index].outputs.iter().copied())
            .collect();
        let read: BTreeSet<&str> = nodes
            .iter()
            .flat_map(|&index| self.graph.nodes[index].inputs.iter().copied())
            .collect();
        let inputs: Vec<&str> = read
            .iter()
            .copied()
            .filter(|name| self.is_live(name) && !made.contains(name))
            .collect();
        let outputs: Vec<&str> = made
            .iter()
            .copied()
            .filter(|name| last_read.get(name).is_some_and(|&last| last > step))
            .collect();
        let message = self.message(nodes, &read, &inputs, &outputs);
        let model = load(message).map_err(Failure::Refused)?;
        let id =
            |name: &&str| model.node_id(name).map_err(|error| Failure::Refused(error.to_string()));
        let input_ids = inputs.iter().map(id).collect::<Result<Vec<_>, _>>()?;
        let output_ids = outputs.iter().map(id).collect::<Result<Vec<_>, _>>()?;
        let slot = |(name, id): (&'a str, NodeId)| {
            let is_last = last_read.get(name).is_none_or(|&last| last <= step);
            (self.slot(name), id, is_last)
        };
        let inputs = inputs.into_iter().zip(input_ids).map(slot).collect();
        let slot = |(name, id)| (id, self.slot(name));
        let outputs = outputs.into_iter().zip(output_ids).map(slot).collect();
        Ok(Stretch { model, inputs, outputs })
    }
}

/// Loads a message that was written here.
fn load(message: Vec<u8>) -> Result<Model, String> {
    let load = || {
        let mut options = ModelOptions::with_all_ops();
        options.prepack_weights(true);
        options.load(message).map_err(|error| error.to_string())
    };
    catch_unwind(AssertUnwindSafe(load)).unwrap_or_else(|panic| Err(panic_text(&panic)))
}

/// The values of 32-bit floats that are stored, else `None`.
pub(crate) fn floats(tensor: &Tensor<'_>) -> Option<Vec<f32>> {
    if tensor.data_type != data_type::FLOAT || tensor.external.is_some() {
        return None;
    }
    let Some(raw) = tensor.raw else { return Some(tensor.floats.clone()) };
    let (values, _) = raw.as_chunks::<4>();
    Some(values.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
}
