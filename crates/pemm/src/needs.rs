//! What a run needs before it begins: memory, from the shapes of its network, and time, from a step
//! that is tried on an empty batch.

use std::sync::Arc;
use std::time::Instant;

use burn::tensor::Tensor;
use pemm_data::Streams;
use pemm_runs::process::free_memory;

use crate::device::is_cpu;
use crate::error::{Error, Result};
use crate::model::Classifier;
use crate::ready::Ready;
use crate::tensors::floats;

/// An estimate for a whole run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Needs {
    /// Most memory at once, in bytes; on a GPU most of it is the GPU's.
    pub memory: u64,
    /// Seconds from the first step to the last; `None` on a GPU, where a step that is tried would first
    /// have its kernels made, which takes longer than many steps.
    pub seconds: Option<f64>,
}

/// Bytes that the program has without a run.
const PROGRAM: u64 = 60_000_000;
/// Weights, momentum, and the copies that go into a checkpoint. Gradients stand where values did that are not
/// needed any longer.
const COPIES: f64 = 4.0;
/// Most samples of the step that is tried: enough for all threads, and over soon.
const MOST_TRIED: usize = 16;

impl Ready {
    /// What the run will take beside the images, in bytes: what its networks keep of a batch, and their
    /// weights with all that stands beside them. Right within a third or so.
    fn memory_of_training(&self) -> u64 {
        let (model, shape) = (self.plan().model(), self.data().shape);
        let kept = model.backbone.kept(model.width(), shape);
        let values = (kept.all + kept.largest) * self.batch_size() as f64;
        let num = self.networks.len() as f64;
        (4.0 * (num * values + COPIES * self.num_parameters() as f64)) as u64
    }

    /// Most memory that the run will take, in bytes, with the program and its images.
    pub fn memory(&self) -> u64 {
        let data = self.data();
        let train = &data.train.pixels;
        let test = data.sealed.test_images().map(|part| part.pixels);
        // Of some sources both parts lie in one.
        let test = test.filter(|test| !Arc::ptr_eq(test, train));
        let images = train.num_bytes() + test.map_or(0, |test| test.num_bytes());
        PROGRAM + images + self.memory_of_training()
    }

    /// [`Self::memory`], and the time: that of one step on some empty images, times all samples of all
    /// epochs and of the validation after each. What a method does beside that is not counted.
    ///
    /// # Errors
    /// None but those of the device.
    pub fn needs(&self) -> Result<Needs> {
        if !is_cpu(&self.device) {
            return Ok(Needs { memory: self.memory(), seconds: None });
        }
        let (plan, data) = (self.plan(), self.data());
        let num_samples = self.batch_size().min(MOST_TRIED);
        let network = Classifier::new(
            plan.model(),
            data.shape,
            data.classes.len(),
            Streams::new(0),
            &self.device,
        );
        let pemm_data::Shape { channels, height, width } = data.shape;
        let step = || {
            let mut rng = self.streams.open(pemm_data::Stream::Step);
            let images = Tensor::zeros([num_samples, channels, height, width], &self.device);
            let begin = Instant::now();
            let loss = network.forward(images, &mut rng).scores.sum();
            let gradients = loss.clone().backward();
            let _ = (gradients, floats(loss));
            begin.elapsed().as_secs_f64()
        };
        let first = step();
        // The first step also allocates; a long one is not tried twice.
        let seconds = if first < 0.5 { step() } else { first };
        let of_sample = seconds / num_samples as f64 * self.networks.len() as f64;
        // Forward alone takes about a third.
        let num_val = data.val.as_ref().map_or(0, |part| part.len());
        let samples = data.train.len() as f64 + num_val as f64 / 3.0;
        let num_epochs = plan.experiment().schedule.num_epochs();
        let passes = self.objective.num_passes();
        Ok(Needs {
            memory: self.memory(),
            seconds: Some(of_sample * samples * (num_epochs * passes) as f64),
        })
    }

    /// Refuses what this machine has no memory for.
    ///
    /// # Errors
    /// More than is free, with what would take less. Nothing is refused on a GPU, whose memory is not
    /// known, or where the system does not say what is free.
    pub fn check_memory(&self) -> Result<()> {
        // The images are in memory already.
        let needed = self.memory_of_training();
        match free_memory().filter(|_| self.device_name == "cpu") {
            Some(free) if needed > free => Err(too_much(needed, free)),
            _ => Ok(()),
        }
    }
}

fn too_much(needed: u64, free: u64) -> Error {
    let gib = |bytes: u64| bytes as f64 / f64::from(1 << 30);
    Error::setting(
        "memory",
        format!(
            "this run would take about {:.1} GiB and {:.1} GiB are free. Smaller images (--size 32), a \
             smaller batch (--batch 32) or a narrower network (--set model.width=16) take less",
            gib(needed),
            gib(free)
        ),
    )
}
