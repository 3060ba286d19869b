//! A classifier: backbone, then (unit norm and dropout of the features), then head.

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use pemm_data::{Rng, Shape, Stream, Streams};
pub use pemm_experiment::model::ModelPlan;

use crate::backbone::Backbone;
use crate::head::Head;
use crate::layers::is_training;
use crate::tensors::collect;

/// A classifier.
#[derive(Module, Debug)]
pub struct Classifier {
    /// Images → features.
    pub backbone: Backbone,
    /// Features → scores.
    pub head: Head,
    unit_norm: bool,
    dropout: f64,
}

/// What a classifier says of a batch.
#[derive(Debug, Clone)]
pub struct Output {
    /// The head's input, `[N, D]`.
    pub features: Tensor<2>,
    /// The head's output, `[N, K]`.
    pub scores: Tensor<2>,
}

impl Classifier {
    /// Builds a classifier. The backbone is drawn before the head, so arms with other heads start
    /// from the same backbone.
    pub fn new(
        plan: &ModelPlan,
        shape: Shape,
        num_classes: usize,
        streams: Streams,
        device: &Device,
    ) -> Self {
        Self::numbered(0, plan, shape, num_classes, streams, device)
    }

    /// Network `number` of a run that trains several: the same but for its initial weights.
    pub fn numbered(
        number: u64,
        plan: &ModelPlan,
        shape: Shape,
        num_classes: usize,
        streams: Streams,
        device: &Device,
    ) -> Self {
        let mut rng = streams.open_at(Stream::Init, number);
        let backbone = Backbone::new(plan.backbone, plan.width(), shape, &mut rng, device);
        let sizes = [backbone.num_features(), num_classes];
        let head = Head::new(plan.head, sizes, &plan.parameters, &mut rng, device);
        Self { backbone, head, unit_norm: plan.unit_norm, dropout: plan.dropout }
    }

    /// Features and scores of `[N, C, H, W]` images. Dropout draws from `rng`, and only in training.
    pub fn forward(&self, images: Tensor<4>, rng: &mut Rng) -> Output {
        let mut features = self.backbone.forward(images);
        if self.unit_norm {
            // Clamped before the root, whose gradient at 0 is infinite.
            let norms = features.clone().square().sum_dim(1).clamp_min(1e-24).sqrt();
            features = features / norms;
        }
        if self.dropout > 0.0 && is_training(&features) {
            let mask = dropout_mask(features.dims(), self.dropout, rng, &features.device());
            features = features * mask;
        }
        let scores = self.head.forward(features.clone());
        Output { features, scores }
    }
}

/// 0 with probability `rate`, else 1/(1 - rate): the mean of what it multiplies stays.
fn dropout_mask(dims: [usize; 2], rate: f64, rng: &mut Rng, device: &Device) -> Tensor<2> {
    let kept = (1.0 / (1.0 - rate)) as f32;
    let mask: Vec<f32> =
        (0..dims[0] * dims[1]).map(|_| if rng.unit() < rate { 0.0 } else { kept }).collect();
    Tensor::from_data(TensorData::new(mask, dims), device)
}

/// Number of trained values: parameters without the running statistics of BatchNorm.
pub fn num_parameters(model: &Classifier) -> usize {
    let running = |name: &str| name.ends_with("running_mean") || name.ends_with("running_var");
    collect(model)
        .iter()
        .filter(|(name, _)| !running(name))
        .map(|(_, values)| values.data.len())
        .sum()
}
