//! The whole training without the trainer: what `pemm train` does, in one loop that can be changed.
//!
//!     cargo run --release -p pemm --example bare_loop
//!
//! A test holds this loop and the trainer to the same losses.

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData};
use pemm::Result;
use pemm::backbone::BackboneKind;
use pemm::energy::{CenterPotential, Pairs, Potential};
use pemm::head::HeadKind;
use pemm::loss::{Loss, SymmetricCrossEntropy};
use pemm::model::{Classifier, ModelPlan};
use pemm::optim::{OptimConfig, Sgd};
use pemm_data::augment::Augment;
use pemm_data::config::DataConfig;
use pemm_data::loader::{Batch, Loader};
use pemm_data::normalize::Normalization;
use pemm_data::prepare::prepare;
use pemm_data::{Stream, Streams};

/// Epochs of the loop.
pub(crate) const NUM_EPOCHS: usize = 3;

/// Images `[N, C, H, W]` and given labels `[N]` of a batch.
fn tensors(batch: &Batch, device: &Device) -> (Tensor<4>, Tensor<1, Int>) {
    let n = batch.len();
    let shape = [n, batch.shape.channels, batch.shape.height, batch.shape.width];
    let given: Vec<i64> = batch.given.iter().map(|&label| i64::from(label)).collect();
    (
        Tensor::from_data(TensorData::new(batch.pixels.clone(), shape), device),
        Tensor::from_data(TensorData::new(given, [n]), device),
    )
}

/// Trains on digits with 40 % wrong labels; gives each epoch's mean loss and the test accuracy.
pub(crate) fn run() -> Result<(Vec<f64>, f64)> {
    let seed = 1;
    let streams = Streams::new(seed);
    let device = Device::flex().autodiff();

    // Data: labels made noisy, a validation part held out, test and clean labels sealed away.
    let noise = "symmetric:0.4".parse()?;
    let data = prepare(&DataConfig::default(), &noise, seed)?;
    let normalization = Normalization::of(&data.train)?;
    let num_train = data.train.len() as f64;
    let loader = |part| Loader::new(part, normalization.clone(), Augment::default(), 128, streams);
    let train = loader(data.train)?;

    // Model, loss and energy: the `paper` preset.
    let plan = ModelPlan::new(BackboneKind::Mlp, HeadKind::Distance);
    let mut model = Classifier::new(&plan, data.shape, data.classes.len(), streams, &device);
    let loss = SymmetricCrossEntropy { alpha: 0.1, beta_rce: 1.0, log_zero: -4.0 };
    let energy = Potential::Energy { u: 3.0, v: 2.0, xi: 2.0, beta: 0.3 };
    let energy = CenterPotential::new(energy, Pairs::Sum);
    let mut sgd = Sgd::new(OptimConfig::default());

    // Training.
    let mut losses = Vec::new();
    for epoch in 0..NUM_EPOCHS as u64 {
        let mut rng = streams.open_at(Stream::Step, epoch);
        let mut sum = 0.0;
        for batch in train.shuffled(epoch) {
            let batch = batch?;
            let (images, given) = tensors(&batch, &device);
            let output = model.forward(images, &mut rng);
            let centers = model.head.centers().expect("a distance head has centers");
            let total = loss.forward(output.scores, given).mean() + energy.forward(centers);
            sum += f64::from(total.clone().into_scalar::<f32>()) * batch.len() as f64;
            model = sgd.step(model, &mut total.backward(), 0.01);
        }
        losses.push(sum / num_train);
    }

    // Test.
    let model = model.valid();
    let mut rng = streams.open(Stream::Step);
    let mut all = Vec::new();
    for batch in loader(data.sealed.test_images().expect("digits have a test part"))?.in_order() {
        let (images, _) = tensors(&batch?, &device.clone().without_autodiff());
        let scores: Vec<f32> =
            model.forward(images, &mut rng).scores.into_data().try_to_vec().expect("floats");
        all.extend(scores);
    }
    let score = data.sealed.score_test(&all).expect("digits have a test part");
    Ok((losses, score.accuracy))
}

#[allow(dead_code, reason = "the test that compares the losses includes this file as a module")]
fn main() -> Result<()> {
    let (losses, accuracy) = run()?;
    for (epoch, loss) in losses.iter().enumerate() {
        println!("epoch {}: loss {loss:.4}", epoch + 1);
    }
    println!("test accuracy {:.2} %", 100.0 * accuracy);
    Ok(())
}
