//! An ONNX file as far as pemm needs it: nodes, weights, inputs and outputs.
//!
//! Everything that rten will read later is read and checked here first. Refused are graphs inside
//! of nodes (`If`, `Loop`, `Scan`: their time has no bound), sequences, names that are given twice,
//! and weights whose bytes do not fill their shape. Source: onnx.proto3 of ONNX 1.23.

use std::collections::BTreeMap;

use crate::dry_run::MAX_SIZE;
use crate::proto::{Broken, Fields, Wire};

/// Numbers of ONNX's data types.
pub(crate) mod data_type {
    pub(crate) const FLOAT: i32 = 1;
    pub(crate) const UINT8: i32 = 2;
    pub(crate) const INT8: i32 = 3;
    pub(crate) const INT32: i32 = 6;
    pub(crate) const INT64: i32 = 7;
    pub(crate) const BOOL: i32 = 9;
    pub(crate) const FLOAT16: i32 = 10;
    pub(crate) const DOUBLE: i32 = 11;
}

/// What is in a file.
#[derive(Debug)]
pub(crate) struct Graph<'a> {
    /// Version of the standard operators.
    pub(crate) opset: i64,
    /// Whole messages of the operator sets.
    pub(crate) opset_imports: Vec<&'a [u8]>,
    /// Who wrote the file, for example `pytorch`.
    pub(crate) producer: &'a str,
    /// In an order in which each can be computed.
    pub(crate) nodes: Vec<Node<'a>>,
    /// Weights by name.
    pub(crate) weights: BTreeMap<&'a str, Tensor<'a>>,
    /// Without the weights, which old files list too.
    pub(crate) inputs: Vec<ValueInfo<'a>>,
    pub(crate) outputs: Vec<ValueInfo<'a>>,
}

/// One operation.
#[derive(Debug, Default)]
pub(crate) struct Node<'a> {
    pub(crate) name: &'a str,
    pub(crate) operator: &'a str,
    pub(crate) domain: &'a str,
    /// An empty name is an input that is left out.
    pub(crate) inputs: Vec<&'a str>,
    pub(crate) outputs: Vec<&'a str>,
    pub(crate) attributes: BTreeMap<&'a str, Attribute<'a>>,
    /// The whole message.
    pub(crate) bytes: &'a [u8],
}

/// A setting of a node; the field that the operator's definition names is used.
#[derive(Debug, Default)]
pub(crate) struct Attribute<'a> {
    pub(crate) number: Option<i64>,
    pub(crate) float: Option<f32>,
    pub(crate) text: Option<&'a str>,
    pub(crate) numbers: Vec<i64>,
    pub(crate) floats: Vec<f32>,
    pub(crate) tensor: Option<Tensor<'a>>,
}

/// Values that are stored in the file, or beside it.
#[derive(Debug, Default, Clone)]
pub(crate) struct Tensor<'a> {
    pub(crate) name: &'a str,
    pub(crate) shape: Vec<usize>,
    pub(crate) data_type: i32,
    pub(crate) raw: Option<&'a [u8]>,
    pub(crate) floats: Vec<f32>,
    pub(crate) numbers: Vec<i64>,
    num_doubles: usize,
    /// Values in another file.
    pub(crate) external: Option<External<'a>>,
    /// The whole message.
    pub(crate) bytes: &'a [u8],
}

/// Where the values of a tensor are that are not in the file.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct External<'a> {
    /// Relative to the folder of the file.
    pub(crate) location: &'a str,
    pub(crate) offset: u64,
    pub(crate) length: Option<u64>,
}

/// Name, type and shape of an input or output.
#[derive(Debug, Default)]
pub(crate) struct ValueInfo<'a> {
    pub(crate) name: &'a str,
    pub(crate) data_type: i32,
    /// `None` for a size that is free.
    pub(crate) shape: Option<Vec<Option<u64>>>,
}

impl<'a> Graph<'a> {
    /// Reads `bytes`, all of which the graph refers to.
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Self, Broken> {
        let (mut graph, mut imports, mut producer) = (None, Vec::new(), "");
        for field in Fields::of(bytes) {
            match field? {
                (2, wire) => producer = wire.text()?,
                (7, _) if graph.is_some() => return Err("there are two graphs".into()),
                (7, wire) => graph = Some(wire.message()?),
                (8, wire) => imports.push(wire.message()?),
                _ => {}
            }
        }
        let graph = graph.ok_or("there is no graph")?;
        let mut opset = None;
        for import in &imports {
            let (domain, version) = opset_import(import)?;
            if domain.is_empty() || domain == "ai.onnx" {
                opset = Some(version);
            }
        }
        let opset = opset.ok_or("it does not say which version of the operators it uses")?;
        let mut read = Self {
            opset,
            opset_imports: imports,
            producer,
            nodes: Vec::new(),
            weights: BTreeMap::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
        };
        read.fields(graph)?;
        Ok(read)
    }

    fn fields(&mut self, graph: &'a [u8]) -> Result<(), Broken> {
        for field in Fields::of(graph) {
            match field? {
                (1, wire) => self.nodes.push(Node::read(wire.message()?)?),
                (5, wire) => {
                    let tensor = Tensor::read(wire.message()?)?;
                    if self.weights.insert(tensor.name, tensor.clone()).is_some() {
                        return Err(format!("the weights {:?} are there twice", tensor.name));
                    }
                }
                (11, wire) => self.inputs.push(ValueInfo::read(wire.message()?)?),
                (12, wire) => self.outputs.push(ValueInfo::read(wire.message()?)?),
                (15, _) => return Err("it holds sparse weights, which are not read".into()),
                _ => {}
            }
        }
        let weights = &self.weights;
        self.inputs.retain(|input| !weights.contains_key(input.name));
        Ok(())
    }
}

fn opset_import(message: &[u8]) -> Result<(&str, i64), Broken> {
    let (mut domain, mut version) = ("", 0);
    for field in Fields::of(message) {
        match field? {
            (1, wire) => domain = wire.text()?,
            (2, wire) => version = wire.number()?,
            _ => {}
        }
    }
    Ok((domain, version))
}

impl<'a> Node<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, Broken> {
        let mut node = Self { bytes, ..Self::default() };
        for field in Fields::of(bytes) {
            match field? {
                (1, wire) => node.inputs.push(wire.text()?),
                (2, wire) => node.outputs.push(wire.text()?),
                (3, wire) => node.name = wire.text()?,
                (4, wire) => node.operator = wire.text()?,
                (5, wire) => {
                    let (name, attribute) = Attribute::read(wire.message()?)?;
                    if node.attributes.insert(name, attribute).is_some() {
                        return Err(format!("a node has two attributes {name:?}"));
                    }
                }
                (7, wire) => node.domain = wire.text()?,
                _ => {}
            }
        }
        Ok(node)
    }

    /// Input `index`, unless it is left out.
    pub(crate) fn input(&self, index: usize) -> Option<&'a str> {
        self.inputs.get(index).copied().filter(|name| !name.is_empty())
    }

    pub(crate) fn number(&self, name: &str) -> Option<i64> {
        self.attributes.get(name).and_then(|attribute| attribute.number)
    }

    pub(crate) fn text(&self, name: &str) -> Option<&'a str> {
        self.attributes.get(name).and_then(|attribute| attribute.text)
    }

    /// The numbers of attribute `name`, or `None` if it is not there.
    pub(crate) fn numbers(&self, name: &str) -> Option<&[i64]> {
        self.attributes.get(name).map(|attribute| &attribute.numbers[..])
    }

    /// Its name in a message, or what it computes if it has none.
    pub(crate) fn called(&self) -> &'a str {
        if self.name.is_empty() {
            self.outputs.first().copied().unwrap_or_default()
        } else {
            self.name
        }
    }
}

impl<'a> Attribute<'a> {
    fn read(bytes: &'a [u8]) -> Result<(&'a str, Self), Broken> {
        let (mut name, mut read) = ("", Self::default());
        for field in Fields::of(bytes) {
            match field? {
                (1, wire) => name = wire.text()?,
                (2, wire) => read.float = Some(wire.float()?),
                (3, wire) => read.number = Some(wire.number()?),
                (4, wire) => read.text = Some(wire.text()?),
                (5, wire) => read.tensor = Some(Tensor::read(wire.message()?)?),
                (6 | 11, _) => {
                    let reason = "it holds a graph inside of a node (If, Loop or Scan)";
                    return Err(reason.into());
                }
                (7, wire) => wire.floats(&mut read.floats)?,
                (8, wire) => wire.numbers(&mut read.numbers)?,
                (9, wire) => {
                    wire.text()?;
                }
                _ => {}
            }
        }
        Ok((name, read))
    }
}

impl<'a> Tensor<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, Broken> {
        let mut tensor = Self { bytes, ..Self::default() };
        let (mut dims, mut is_external, mut entries) = (Vec::new(), false, Vec::new());
        for field in Fields::of(bytes) {
            match field? {
                (1, wire) => wire.numbers(&mut dims)?,
                (2, wire) => tensor.data_type = wire.number()? as i32,
                (4, wire) => wire.floats(&mut tensor.floats)?,
                (5 | 7, wire) => wire.numbers(&mut tensor.numbers)?,
                (8, wire) => tensor.name = wire.text()?,
                (9, wire) => tensor.raw = Some(wire.message()?),
                (10, Wire::Bytes(packed)) => tensor.num_doubles += packed.len() / 8,
                (10, _) => tensor.num_doubles += 1,
                (13, wire) => entries.push(wire.message()?),
                (14, wire) => is_external = wire.number()? == 1,
                _ => {}
            }
        }
        let size = |&dim: &i64| usize::try_from(dim).ok().filter(|&size| size <= MAX_SIZE);
        tensor.shape = dims
            .iter()
            .map(size)
            .collect::<Option<_>>()
            .ok_or_else(|| format!("the weights {:?} have an impossible size", tensor.name))?;
        if is_external {
            tensor.external = Some(External::read(&entries)?);
        } else if !entries.is_empty() {
            return Err(format!("the weights {:?} name a file but are stored here", tensor.name));
        }
        tensor.check()?;
        Ok(tensor)
    }

    /// Number of values; at most what an address can reach.
    pub(crate) fn len(&self) -> Option<usize> {
        self.shape.iter().try_fold(1usize, |total, &size| total.checked_mul(size))
    }

    /// Bytes of one value as stored in `raw`.
    pub(crate) fn value_bytes(&self) -> Option<usize> {
        match self.data_type {
            data_type::FLOAT | data_type::INT32 => Some(4),
            data_type::INT64 | data_type::DOUBLE => Some(8),
            data_type::UINT8 | data_type::INT8 | data_type::BOOL => Some(1),
            data_type::FLOAT16 => Some(2),
            _ => None,
        }
    }

    /// Whether the values fill the shape.
    fn check(&self) -> Result<(), Broken> {
        let name = self.name;
        let value_bytes = self
            .value_bytes()
            .ok_or_else(|| format!("the weights {name:?} are of data type {}", self.data_type))?;
        let wrong = |found: usize, what: &str| {
            format!("the weights {name:?} have the shape {:?} but {found} {what}", self.shape)
        };
        let expected = self.len().and_then(|len| len.checked_mul(value_bytes));
        if let Some(raw) = self.raw {
            let stored_twice = self.floats.len() + self.numbers.len() + self.num_doubles > 0;
            let fills = expected == Some(raw.len()) && !stored_twice && self.external.is_none();
            return if fills { Ok(()) } else { Err(wrong(raw.len(), "bytes")) };
        }
        if let Some(external) = &self.external {
            let fits =
                external.length.is_none_or(|length| expected == usize::try_from(length).ok());
            return if fits { Ok(()) } else { Err(wrong(0, "bytes in that place of its file")) };
        }
        let found = match self.data_type {
            data_type::FLOAT => self.floats.len(),
            data_type::DOUBLE => self.num_doubles,
            _ => self.numbers.len(),
        };
        if self.len() == Some(found) { Ok(()) } else { Err(wrong(found, "values")) }
    }

    /// The values as numbers, if they are in the file and of a type that sizes are given in.
    pub(crate) fn values(&self) -> Option<Vec<f64>> {
        if self.external.is_some() {
            return None;
        }
        let numbers = || self.numbers.iter().map(|&number| number as f64).collect();
        let Some(raw) = self.raw else {
            return match self.data_type {
                data_type::FLOAT => {
                    Some(self.floats.iter().map(|&float| f64::from(float)).collect())
                }
                data_type::INT32 | data_type::INT64 | data_type::BOOL => Some(numbers()),
                _ => None,
            };
        };
        match self.data_type {
            data_type::FLOAT => {
                let (values, _) = raw.as_chunks::<4>();
                Some(values.iter().map(|bytes| f64::from(f32::from_le_bytes(*bytes))).collect())
            }
            data_type::INT32 => {
                let (values, _) = raw.as_chunks::<4>();
                Some(values.iter().map(|bytes| f64::from(i32::from_le_bytes(*bytes))).collect())
            }
            data_type::INT64 => {
                let (values, _) = raw.as_chunks::<8>();
                Some(values.iter().map(|bytes| i64::from_le_bytes(*bytes) as f64).collect())
            }
            data_type::BOOL => Some(raw.iter().map(|&byte| f64::from(byte != 0)).collect()),
            _ => None,
        }
    }
}

impl<'a> External<'a> {
    fn read(entries: &[&'a [u8]]) -> Result<Self, Broken> {
        let mut external = Self::default();
        for entry in entries {
            let (mut key, mut value) = ("", "");
            for field in Fields::of(entry) {
                match field? {
                    (1, wire) => key = wire.text()?,
                    (2, wire) => value = wire.text()?,
                    _ => {}
                }
            }
            let number = || {
                let wrong = |_| format!("the {key} {value:?} of external weights is no number");
                value.parse::<u64>().map_err(wrong)
            };
            match key {
                "location" => external.location = value,
                "offset" => external.offset = number()?,
                "length" => external.length = Some(number()?),
                _ => {}
            }
        }
        Ok(external)
    }
}

impl<'a> ValueInfo<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, Broken> {
        let mut info = Self::default();
        for field in Fields::of(bytes) {
            match field? {
                (1, wire) => info.name = wire.text()?,
                (2, wire) => {
                    for field in Fields::of(wire.message()?) {
                        match field? {
                            (1, wire) => info.tensor(wire.message()?)?,
                            (4, _) => return Err("an input or output is a sequence".into()),
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(info)
    }

    fn tensor(&mut self, message: &'a [u8]) -> Result<(), Broken> {
        for field in Fields::of(message) {
            match field? {
                (1, wire) => self.data_type = wire.number()? as i32,
                (2, wire) => {
                    let mut shape = Vec::new();
                    for field in Fields::of(wire.message()?) {
                        if let (1, wire) = field? {
                            shape.push(size(wire.message()?)?);
                        }
                    }
                    self.shape = Some(shape);
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// A size of a shape: fixed, or `None` if it has a name, nothing, or no sensible number.
fn size(message: &[u8]) -> Result<Option<u64>, Broken> {
    let mut size = None;
    for field in Fields::of(message) {
        match field? {
            (1, wire) => size = u64::try_from(wire.number()?).ok().filter(|&size| size > 0),
            (2, wire) => {
                wire.text()?;
            }
            _ => {}
        }
    }
    Ok(size)
}
