//! A model's tensors by name, and the safetensors files that hold them.
//!
//! Names are paths of field names (`backbone.blocks.0.conv.weight`), without the names of enum
//! variants, so that they are those of the PyTorch module with the same fields.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};
use pemm_data::score::first_of_highest;
use pemm_runs::bond;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::error::{Error, Result};

/// One float32 tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct Values {
    /// Sizes of the axes.
    pub shape: Vec<usize>,
    /// Row-major values.
    pub data: Vec<f32>,
}

/// Tensors by name, in the order of their names.
pub type TensorMap = BTreeMap<String, Values>;

/// The path of the module that a traversal is in.
#[derive(Debug, Default)]
pub(crate) struct Path(Vec<(String, String)>);

impl Path {
    pub(crate) fn enter(&mut self, name: &str, container: &str) {
        // A variant's name stands in the path as empty, so that leaving it pops it too.
        let name = if container.starts_with("Enum:") { "" } else { name };
        self.0.push((name.to_owned(), container.to_owned()));
    }
    pub(crate) fn exit(&mut self) {
        self.0.pop();
    }
    pub(crate) fn name(&self) -> String {
        let parts: Vec<&str> =
            self.0.iter().map(|(name, _)| name.as_str()).filter(|name| !name.is_empty()).collect();
        parts.join(".")
    }
    /// Type of the module that directly holds the current field, as Burn names it.
    pub(crate) fn container(&self) -> &str {
        self.0.last().map_or("", |(_, container)| container)
    }
}

/// Reads every tensor of `model` (parameters and running statistics) to host memory.
pub fn collect<M: Module>(model: &M) -> TensorMap {
    struct Collector {
        path: Path,
        tensors: TensorMap,
    }
    impl ModuleVisitor for Collector {
        fn enter_module(&mut self, name: &str, container_type: &str) {
            self.path.enter(name, container_type);
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.path.exit();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.tensors.insert(self.path.name(), read(param.val()));
        }
    }
    // `valid` also brings the running statistics up to date.
    let mut collector = Collector { path: Path::default(), tensors: TensorMap::new() };
    model.valid().visit(&mut collector);
    collector.tensors
}

/// Reads one tensor to host memory.
pub(crate) fn read<const D: usize>(tensor: Tensor<D>) -> Values {
    let shape = tensor.dims().to_vec();
    Values { shape, data: floats(tensor) }
}

/// The values of a float tensor, row-major. The one way from a device to the host: it waits for all that was
/// asked of the device before, and tests count how often that is.
pub(crate) fn floats<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    #[cfg(test)]
    READS.set(READS.get() + 1);
    tensor.try_into_vec_as::<f32>().expect("a float tensor can be read")
}

#[cfg(test)]
std::thread_local! {
    /// Calls of [`floats`] by this thread.
    pub(crate) static READS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// 0, 1 … `len` - 1, made on `device`: what comes from the host in each step cannot be recorded.
pub(crate) fn positions(len: usize, device: &Device) -> Tensor<1> {
    Tensor::<1>::ones([len], device).cumsum(0) - 1.0
}

/// `[k = y_n]`, `[N]` → `[N, K]`, without the two reads of Burn's `one_hot`.
pub(crate) fn one_hot(given: Tensor<1, Int>, like: &Tensor<2>) -> Tensor<2> {
    let classes = positions(like.dims()[1], &like.device());
    given.float().unsqueeze_dim::<2>(1).equal(classes.unsqueeze_dim::<2>(0)).float()
}

/// Puts `tensors` into `model`: every name must be there with its shape, and none may be left over.
/// `file` names the origin in errors.
pub fn apply<M: Module>(model: M, mut tensors: TensorMap, file: &str) -> Result<M> {
    struct Applier<'a> {
        path: Path,
        tensors: &'a mut TensorMap,
        problem: Option<String>,
    }
    impl ModuleMapper for Applier<'_> {
        fn enter_module(&mut self, name: &str, container_type: &str) {
            self.path.enter(name, container_type);
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.path.exit();
        }
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let name = self.path.name();
            let expected = param.dims().to_vec();
            let problem = match self.tensors.remove(&name) {
                Some(values) if values.shape == expected => {
                    return param.map(|old| {
                        let new = Tensor::from_data(
                            TensorData::new(values.data, values.shape),
                            &old.device(),
                        );
                        new.set_require_grad(old.is_require_grad())
                    });
                }
                Some(values) => {
                    format!("tensor {name} has shape {:?}, the model {expected:?}", values.shape)
                }
                None => format!("tensor {name} of the model is missing"),
            };
            self.problem.get_or_insert(problem);
            param
        }
    }
    let mut applier = Applier { path: Path::default(), tensors: &mut tensors, problem: None };
    let model = model.map(&mut applier);
    let left_over = applier.problem.take().or_else(|| {
        tensors.keys().next().map(|name| format!("tensor {name} does not belong to the model"))
    });
    match left_over {
        Some(reason) => Err(Error::Weights { file: file.to_owned(), reason }),
        None => Ok(model),
    }
}

/// Key of the one metadata entry. One, because the order of several would change from run to run.
const METADATA: &str = "pemm";

/// A safetensors file with `tensors` and a text.
pub fn to_safetensors(tensors: &TensorMap, text: &str) -> Vec<u8> {
    let bytes: Vec<Vec<u8>> = tensors
        .values()
        .map(|values| values.data.iter().flat_map(|x| x.to_le_bytes()).collect())
        .collect();
    let views = tensors.iter().zip(&bytes).map(|((name, values), bytes)| {
        let view = TensorView::new(Dtype::F32, values.shape.clone(), bytes)
            .expect("bytes were made from the shape's values");
        (name.clone(), view)
    });
    let metadata = [(METADATA.to_owned(), text.to_owned())].into_iter().collect();
    safetensors::serialize(views, Some(metadata)).expect("names are unique and sizes agree")
}

/// Reads a safetensors file and the text that [`to_safetensors`] put there. Only float32 tensors are
/// taken; anything else is refused by name, and so is a file of a run that was changed since it was
/// written.
pub fn from_safetensors(bytes: &[u8], file: &str) -> Result<(TensorMap, String)> {
    let refuse = |reason: String| Error::Weights { file: file.to_owned(), reason };
    bond::check(bytes).map_err(refuse)?;
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|e| refuse(e.to_string()))?;
    let parsed = SafeTensors::deserialize(bytes).map_err(|e| refuse(e.to_string()))?;
    let text = header.metadata().as_ref().and_then(|m| m.get(METADATA)).cloned();
    let mut tensors = TensorMap::new();
    for (name, view) in parsed.tensors() {
        if view.dtype() == Dtype::I64 && name.ends_with("num_batches_tracked") {
            continue; // PyTorch's counter, which nothing here uses
        }
        if view.dtype() != Dtype::F32 {
            return Err(refuse(format!("tensor {name} is {:?}, expected F32", view.dtype())));
        }
        let data = view
            .data()
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            .collect();
        tensors.insert(name, Values { shape: view.shape().to_vec(), data });
    }
    Ok((tensors, text.unwrap_or_default()))
}

/// The class with the highest score of each row; the first of equals.
pub fn argmax_rows(scores: &[f32], num_classes: usize) -> Vec<u32> {
    scores.chunks_exact(num_classes).map(|row| first_of_highest(row) as u32).collect()
}
