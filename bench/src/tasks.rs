//! What is timed. A training step is the trainer's: objective, values of its terms, backward,
//! update.

use std::sync::Arc;

use burn::module::Module;
use burn::tensor::{Device, Distribution, Int, Tensor, TensorData};
use pemm::head::HeadKind;
use pemm::loss::CrossEntropy;
use pemm::model::{Classifier, ModelPlan, num_parameters};
use pemm::objective::{Batch, CenterObjective, Objective, Progress};
use pemm::optim::{OptimConfig, Sgd};
use pemm_conv::After;
use pemm_data::augment::Augment;
use pemm_data::loader::Loader;
use pemm_data::normalize::Normalization;
use pemm_data::{Part, Pixels, Rng, Shape, Stream, Streams};

use crate::arguments::{Arguments, Layer};

const CLASSES: usize = 10;

/// What one repetition did.
#[derive(Debug, Default)]
pub(crate) struct Done {
    pub(crate) images: usize,
    pub(crate) loss: f64,
}

/// Something to be timed, again and again.
pub(crate) trait Task {
    fn run(&mut self) -> Done;
    fn num_parameters(&self) -> usize {
        0
    }
}

/// Builds the task that the arguments name.
pub(crate) fn build(arguments: &Arguments) -> Box<dyn Task> {
    match arguments.task.as_str() {
        "step" => Box::new(Step { training: Training::new(arguments), batch: random(arguments) }),
        "forward" => Box::new(Forward::new(arguments)),
        "layer" => Box::new(LayerTask::new(arguments.layer, arguments.batch)),
        "loader" => Box::new(Epoch { loader: loader(arguments), training: None, epoch: 0 }),
        "epoch" => Box::new(Epoch {
            loader: loader(arguments),
            training: Some(Training::new(arguments)),
            epoch: 0,
        }),
        task => panic!("{task} is not one of step, forward, layer, loader, epoch"),
    }
}

fn model(arguments: &Arguments, device: &Device) -> Classifier {
    let mut plan =
        ModelPlan { dropout: 0.2, ..ModelPlan::new(arguments.network, HeadKind::Linear) };
    if arguments.network.method().parameter("width").is_some() {
        plan = plan.with("width", arguments.width);
    }
    Classifier::new(&plan, arguments.shape(), CLASSES, Streams::new(1), device)
}

fn random(arguments: &Arguments) -> Batch {
    let device = Device::flex().autodiff();
    device.seed(1);
    let Shape { channels, height, width } = arguments.shape();
    let shape = [arguments.batch, channels, height, width];
    let given = (0..arguments.batch).map(|index| (index % CLASSES) as i64).collect();
    Batch {
        images: Tensor::random(shape, Distribution::Normal(0.0, 1.0), &device),
        given: labels(given, &device),
        weights: None,
        indices: (0..arguments.batch as u32).collect(),
    }
}

fn labels(given: Vec<i64>, device: &Device) -> Tensor<1, Int> {
    let len = given.len();
    Tensor::from_data(TensorData::new(given, [len]), device)
}

/// A model with what trains it.
struct Training {
    model: Classifier,
    sgd: Sgd,
    objective: CenterObjective,
    rng: Rng,
}

impl Training {
    fn new(arguments: &Arguments) -> Self {
        Self {
            model: model(arguments, &Device::flex().autodiff()),
            sgd: Sgd::new(OptimConfig::default()),
            objective: CenterObjective {
                loss: Box::new(CrossEntropy),
                energy: None,
                reconstruction: 0.0,
            },
            rng: Streams::new(1).open(Stream::Step),
        }
    }

    fn step(&mut self, batch: &Batch) -> f64 {
        let mut progress = Progress::first(&mut self.rng);
        let networks = std::slice::from_ref(&self.model);
        let terms = self.objective.forward(networks, batch, &mut progress);
        let loss = f64::from(terms.total.clone().into_scalar::<f32>());
        let mut gradients = terms.total.backward();
        self.model = self.sgd.step(self.model.clone(), &mut gradients, 0.01);
        loss
    }
}

struct Step {
    training: Training,
    batch: Batch,
}

impl Task for Step {
    fn run(&mut self) -> Done {
        let loss = self.training.step(&self.batch);
        Done { images: self.batch.indices.len(), loss }
    }
    fn num_parameters(&self) -> usize {
        num_parameters(&self.training.model)
    }
}

/// Inference: no gradients, running statistics.
struct Forward {
    model: Classifier,
    images: Tensor<4>,
}

impl Forward {
    fn new(arguments: &Arguments) -> Self {
        let model = model(arguments, &Device::flex().autodiff()).valid();
        Self { model, images: random(arguments).images.without_autodiff() }
    }
}

impl Task for Forward {
    fn run(&mut self) -> Done {
        let mut rng = Streams::new(0).open(Stream::Step);
        let scores = self.model.forward(self.images.clone(), &mut rng).scores;
        Done { images: self.images.dims()[0], loss: f64::from(scores.mean().into_scalar::<f32>()) }
    }
    fn num_parameters(&self) -> usize {
        num_parameters(&self.model)
    }
}

/// Convolution, batch normalization, ReLU and perhaps pooling.
struct LayerTask {
    x: Tensor<4>,
    weight: Tensor<4>,
    rows: [Tensor<1>; 2],
    layer: Layer,
}

impl LayerTask {
    fn new(layer: Layer, batch: usize) -> Self {
        let device = Device::flex().autodiff();
        device.seed(1);
        let [ins, outs] = layer.channels;
        let normal = Distribution::Normal(0.0, 1.0);
        // As between the layers of a network, the channels lie next to each other.
        let x = Tensor::random([batch, layer.side, layer.side, ins], normal, &device);
        let x = x.permute([0, 3, 1, 2]);
        let weight = Tensor::random([outs, ins, 3, 3], Distribution::Normal(0.0, 0.05), &device);
        let row = |value: f32| Tensor::ones([outs], &device).mul_scalar(value).require_grad();
        Self {
            // The first layer's input needs no gradient.
            x: if ins > 3 { x.require_grad() } else { x },
            weight: weight.require_grad(),
            rows: [row(1.0), row(0.0)],
            layer,
        }
    }
}

impl Task for LayerTask {
    fn run(&mut self) -> Done {
        let y = pemm_conv::conv2d(
            self.x.clone(),
            self.weight.clone(),
            None,
            [self.layer.stride; 2],
            [1, 1],
        );
        let after = if self.layer.pools { After::ReluPool } else { After::Relu };
        let [gamma, beta] = self.rows.clone();
        let y = pemm_conv::batch_norm_train(y, gamma, beta, 1e-5, after).output;
        let images = self.x.dims()[0];
        if self.layer.backward {
            let gradients = y.backward();
            assert!(self.weight.grad(&gradients).is_some());
        }
        Done { images, loss: 0.0 }
    }
}

/// An epoch from JPEG files, with training or without.
struct Epoch {
    loader: Loader,
    training: Option<Training>,
    epoch: u64,
}

/// The first files of every class, in turn.
fn loader(arguments: &Arguments) -> Loader {
    let mut classes: Vec<_> = std::fs::read_dir(&arguments.data)
        .expect("data is a folder")
        .map(|entry| entry.expect("it can be listed").path())
        .filter(|path| path.is_dir())
        .collect();
    classes.sort();
    let num_classes = classes.len().min(CLASSES);
    let each = arguments.images / num_classes;
    let mut paths = Vec::with_capacity(each * num_classes);
    for class in &classes[..num_classes] {
        let files = std::fs::read_dir(class).expect("a class is a folder");
        let mut files: Vec<_> =
            files.map(|entry| entry.expect("it can be listed").path()).collect();
        files.sort();
        paths.extend(files.into_iter().take(each));
    }
    let num_images = paths.len();
    let part = Part {
        names: Arc::new(paths.iter().map(|path| path.display().to_string()).collect()),
        pixels: Arc::new(Pixels::Files(paths)),
        shape: arguments.shape(),
        rows: (0..num_images as u32).collect(),
        given: (0..num_images).map(|index| (index / each) as u32).collect(),
        weights: None,
    };
    let normalization = Normalization { mean: vec![0.5; 3], deviation: vec![0.25; 3] };
    let augment = Augment { flip: true, shift: 0.1, crop: 0, rotation: 0.0 };
    Loader::new(part, normalization, augment, arguments.batch, Streams::new(1))
        .expect("the settings fit")
}

impl Task for Epoch {
    fn run(&mut self) -> Done {
        let device = Device::flex().autodiff();
        let mut done = Done::default();
        for batch in self.loader.shuffled(self.epoch) {
            let batch = batch.expect("every file decodes");
            let n = batch.len();
            done.images += n;
            let Some(training) = &mut self.training else { continue };
            let Shape { channels, height, width } = batch.shape;
            let shape = [n, channels, height, width];
            let given = batch.given.iter().map(|&label| i64::from(label)).collect();
            done.loss = training.step(&Batch {
                images: Tensor::from_data(TensorData::new(batch.pixels, shape), &device),
                given: labels(given, &device),
                weights: None,
                indices: batch.indices,
            });
        }
        self.epoch += 1;
        done
    }
    fn num_parameters(&self) -> usize {
        self.training.as_ref().map_or(0, |training| num_parameters(&training.model))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_that_needs_no_data_runs_once_in_small() {
        for words in [
            "step network=cnn8 width=4 batch=4",
            "step network=resnet20 batch=4",
            "step network=resnet50 batch=2",
            "forward network=cnn8 width=4 batch=4",
            "layer ins=8 outs=8 side=8 batch=2 backward=1",
        ] {
            let arguments = Arguments::read(words.split(' ').map(str::to_owned));
            let done = build(&arguments).run();
            assert!(done.images == arguments.batch && done.loss.is_finite(), "{words}: {done:?}");
        }
    }
}
