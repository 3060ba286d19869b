//! Stochastic gradient descent with momentum, weight decay per parameter group and clipping.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Gradients, Tensor, TensorData};
use pemm_conv::Descent;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::tensors::{Path, TensorMap, Values, floats, read};

/// The `[optim]` table of an experiment file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OptimConfig {
    /// Base learning rate, > 0.
    pub learning_rate: f64,
    /// Momentum μ, `[0, 1)`. There is no dampening (Burn's own default is 0.1).
    pub momentum: f64,
    /// Nesterov's form.
    pub nesterov: bool,
    /// L2 decay added to the gradient, of weights and biases of convolutions and fully connected
    /// layers, a linear head included; ≥ 0.
    pub weight_decay: f64,
    /// The same for the centers of a distance head.
    pub weight_decay_centers: f64,
    /// The same for BatchNorm's scale and shift.
    pub weight_decay_norm: f64,
    /// Gradients are scaled down to this norm over all parameters where they exceed it.
    pub clip_norm: Option<f64>,
}

impl Default for OptimConfig {
    fn default() -> Self {
        Self {
            learning_rate: 0.01,
            momentum: 0.9,
            nesterov: false,
            weight_decay: 1e-4,
            weight_decay_centers: 0.0,
            weight_decay_norm: 0.0,
            clip_norm: None,
        }
    }
}

impl OptimConfig {
    /// Decay of the parameter `name` that lies directly in a layer of type `container`.
    fn decay(&self, name: &str, container: &str) -> f64 {
        match container {
            "Struct:BatchNorm" => self.weight_decay_norm,
            "Struct:DistanceHead" if name.ends_with("centers") => self.weight_decay_centers,
            _ => self.weight_decay,
        }
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
        let gradients = GradientsParams::from_module(gradients, &model);
        let scale = match self.config.clip_norm {
            Some(limit) => (limit / (norm(&model, &gradients) + 1e-6)).min(1.0),
            None => 1.0,
        };
        model.map(&mut Update { sgd: self, path: Path::default(), gradients, scale, learning_rate })
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

struct Update<'a> {
    sgd: &'a mut Sgd,
    path: Path,
    gradients: GradientsParams,
    scale: f64,
    learning_rate: f64,
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
        let Sgd { config, momentum } = &mut *self.sgd;
        let name = self.path.name();
        let rule = Descent {
            scale: self.scale as f32,
            decay: config.decay(&name, self.path.container()) as f32,
            momentum: config.momentum as f32,
            nesterov: config.nesterov,
            rate: self.learning_rate as f32,
        };
        param.map(|value| {
            let value = value.without_autodiff();
            let dims = value.dims();
            let velocity = match momentum.remove(&name) {
                Some(velocity) => velocity.reshape(dims),
                None => Tensor::zeros(dims, &value.device()),
            };
            let [value, velocity] = pemm_conv::descend(gradient, value, velocity, rule);
            momentum.insert(name, velocity.reshape([-1]));
            value.autodiff().require_grad()
        })
    }
}
