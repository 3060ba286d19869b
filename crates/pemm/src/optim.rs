//! Stochastic gradient descent with momentum, weight decay per parameter group and clipping.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Gradients, Tensor, TensorData};
use pemm_conv::{Buffer, Descent, can_record, copied, descend, descend_at};
pub use pemm_experiment::optim::OptimConfig;

use crate::error::{Error, Result};
use crate::head::DistanceHead;
use crate::layers::BatchNorm;
use crate::tensors::{Path, TensorMap, Values, floats, read};

/// What decays a parameter, by the layer that it lies in.
fn decay(config: &OptimConfig, container: &str) -> f64 {
    if container == container_of::<BatchNorm>() {
        config.weight_decay_norm
    } else if container == container_of::<DistanceHead>() {
        config.weight_decay_centers
    } else {
        config.weight_decay
    }
}

/// What Burn calls the fields of a module `M` when it visits them; from the type, so that another
/// name of the type does not change a decay in silence.
fn container_of<M>() -> String {
    let path = std::any::type_name::<M>();
    format!("Struct:{}", path.rsplit("::").next().unwrap_or(path))
}

/// A learning rate. On a GPU it lies in memory there, so that a recorded step can be given another.
#[derive(Debug, Clone)]
pub(crate) struct Rate {
    value: f64,
    on_gpu: Option<Tensor<1>>,
}

impl Rate {
    /// `value`, for steps on `device`.
    pub(crate) fn on(device: &Device, value: f64) -> Self {
        let device = device.clone().without_autodiff();
        let on_gpu = can_record(&device).then(|| Tensor::from_floats([value as f32], &device));
        Self { value, on_gpu }
    }

    /// The same in memory of its own.
    pub(crate) fn copied(&self) -> Self {
        Self { value: self.value, on_gpu: self.on_gpu.clone().map(copied) }
    }

    /// The memory that it lies in.
    pub(crate) fn buffer(&self) -> Option<Buffer> {
        self.on_gpu.as_ref().map(Buffer::of)
    }
}

/// SGD, as PyTorch's: `g ← g + λ w`, `m ← μ m + g`, `w ← w - lr · m` (Nesterov: `w - lr (g + μ m)`).
#[derive(Debug, Clone)]
pub struct Sgd {
    config: OptimConfig,
    momentum: BTreeMap<String, Tensor<1>>,
}

impl Sgd {
    /// Momentum 0 everywhere.
    pub fn new(config: OptimConfig) -> Self {
        Self { config, momentum: BTreeMap::new() }
    }

    /// One step of `model` at `learning_rate` against those of `gradients` that are its own, which
    /// are taken out.
    pub fn step<M: Module>(
        &mut self,
        model: M,
        gradients: &mut Gradients,
        learning_rate: f64,
    ) -> M {
        self.step_at(model, gradients, &Rate { value: learning_rate, on_gpu: None })
    }

    /// [`Self::step`] at a rate that may lie on the device.
    pub(crate) fn step_at<M: Module>(
        &mut self,
        model: M,
        gradients: &mut Gradients,
        rate: &Rate,
    ) -> M {
        let gradients = GradientsParams::from_module(gradients, &model);
        let (scale, clip) = match self.config.clip_norm {
            None => (1.0, None),
            // Read, it would let the GPU wait.
            Some(limit) if rate.on_gpu.is_some() => {
                let squares = squares_on_device(&model, &gradients);
                let factor = |squares: Tensor<1>| (squares.sqrt() + 1e-6).recip() * limit;
                (1.0, squares.map(|squares| factor(squares).clamp_max(1.0)))
            }
            Some(limit) => ((limit / (norm(&model, &gradients) + 1e-6)).min(1.0), None),
        };
        model.map(&mut Update { sgd: self, path: Path::default(), gradients, scale, clip, rate })
    }

    /// The memory of all momenta, in the order of their parameters' names.
    pub(crate) fn buffers(&self) -> Vec<Buffer> {
        self.momentum.values().map(Buffer::of).collect()
    }

    /// The same with each momentum in memory of its own.
    pub(crate) fn copied(&self) -> Self {
        let copy = |(name, tensor): (&String, &Tensor<1>)| (name.clone(), copied(tensor.clone()));
        Self { config: self.config.clone(), momentum: self.momentum.iter().map(copy).collect() }
    }

    /// The momentum of every parameter that has been updated.
    pub fn state(&self) -> TensorMap {
        self.momentum.iter().map(|(name, tensor)| (name.clone(), read(tensor.clone()))).collect()
    }

    /// Continues from [`Self::state`]; `model` is the tensors of the model that it belongs to.
    pub fn load(&mut self, state: TensorMap, model: &TensorMap, device: &Device) -> Result<()> {
        for (name, Values { data, .. }) in state {
            let expected = model.get(&name).map(|values| values.data.len());
            if expected != Some(data.len()) {
                return Err(Error::Weights {
                    file: "momentum".into(),
                    reason: format!("{name} has {} values, the model {expected:?}", data.len()),
                });
            }
            let len = data.len();
            self.momentum.insert(name, Tensor::from_data(TensorData::new(data, [len]), device));
        }
        Ok(())
    }
}

/// Norm of all gradients together.
fn norm<M: Module>(model: &M, gradients: &GradientsParams) -> f64 {
    struct Norm<'a> {
        gradients: &'a GradientsParams,
        squares: f64,
    }
    impl ModuleVisitor for Norm<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = self.gradients.get::<D>(param.id) {
                // On the host in a fixed order: the engine's sum of a large tensor depends on
                // which thread takes what.
                self.squares += floats(gradient).iter().map(|&x| f64::from(x).powi(2)).sum::<f64>();
            }
        }
    }
    let mut visitor = Norm { gradients, squares: 0.0 };
    model.visit(&mut visitor);
    visitor.squares.sqrt()
}

/// Its square, `[1]`, without a read.
fn squares_on_device<M: Module>(model: &M, gradients: &GradientsParams) -> Option<Tensor<1>> {
    struct Squares<'a> {
        gradients: &'a GradientsParams,
        sum: Option<Tensor<1>>,
    }
    impl ModuleVisitor for Squares<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = self.gradients.get::<D>(param.id) {
                let squares = gradient.square().sum();
                self.sum = Some(match self.sum.take() {
                    Some(sum) => sum + squares,
                    None => squares,
                });
            }
        }
    }
    let mut visitor = Squares { gradients, sum: None };
    model.visit(&mut visitor);
    visitor.sum
}

struct Update<'a> {
    sgd: &'a mut Sgd,
    path: Path,
    gradients: GradientsParams,
    /// What every gradient is multiplied by.
    scale: f64,
    /// The same where it lies on the device, `[1]`.
    clip: Option<Tensor<1>>,
    rate: &'a Rate,
}

impl ModuleMapper for Update<'_> {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.path.enter(name, container_type);
    }
    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.exit();
    }
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        // Running statistics have no gradient and stay.
        let Some(gradient) = self.gradients.remove::<D>(param.id) else { return param };
        let gradient = match &self.clip {
            None => gradient,
            Some(clip) => gradient * clip.clone().reshape([1; D]),
        };
        let Sgd { config, momentum } = &mut *self.sgd;
        let name = self.path.name();
        let rule = Descent {
            scale: self.scale as f32,
            decay: decay(config, self.path.container()) as f32,
            momentum: config.momentum as f32,
            nesterov: config.nesterov,
            rate: self.rate.value as f32,
        };
        param.map(|value| {
            let value = value.without_autodiff();
            let dims = value.dims();
            let velocity = match momentum.remove(&name) {
                Some(velocity) => velocity.reshape(dims),
                None => Tensor::zeros(dims, &value.device()),
            };
            let [value, velocity] = match &self.rate.on_gpu {
                Some(rate) => descend_at(gradient, value, velocity, rate.clone(), rule),
                None => descend(gradient, value, velocity, rule),
            };
            momentum.insert(name, velocity.reshape([-1]));
            value.autodiff().require_grad()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::Linear;
    use crate::tensors::collect;
    use pemm_data::{Stream, Streams};

    /// A GPU clips without a read; here the same is done on the CPU.
    #[test]
    fn clipping_on_the_device_is_clipping_on_the_host() {
        let device = Device::flex().autodiff();
        let layer = Linear::new([5, 3], &mut Streams::new(1).open(Stream::Init), &device);
        // Far above the limit, and far below.
        for size in [30.0, 1e-3] {
            let step = |rate: Rate| {
                let config = OptimConfig { clip_norm: Some(0.5), ..OptimConfig::default() };
                let x = Tensor::<2>::from_floats([[1.0, -2.0, 0.5, 3.0, 0.25]], &device) * size;
                let mut gradients = layer.forward(x).square().sum().backward();
                collect(&Sgd::new(config).step_at(layer.clone(), &mut gradients, &rate))
            };
            let value = 0.1;
            let there = Tensor::from_floats([value as f32], &device.clone().without_autodiff());
            let on_host = step(Rate { value, on_gpu: None });
            let on_device = step(Rate { value, on_gpu: Some(there) });
            assert!(on_host.len() == 2 && on_host != collect(&layer), "it moves");
            for (name, values) in &on_host {
                let pairs = values.data.iter().zip(&on_device[name].data);
                assert!(pairs.clone().all(|(a, b)| (a - b).abs() < 1e-6), "{name} at {size}");
            }
        }
    }
}
