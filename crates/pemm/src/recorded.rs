//! A training step on a GPU that is recorded once and then replayed.
//!
//! A recording reads and writes always the same memory. So the weights, momenta and running statistics
//! that it starts from stay where they are, and the recorded step ends with writing what became of them
//! there. Batch and learning rate are written into theirs before each replay.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor};
use pemm_conv::{Buffer, Recording, copied, record};

use crate::model::Classifier;
use crate::objective::{Batch, Objective, Progress};
use crate::optim::{Rate, Sgd};
use crate::readings::Said;

/// One step, ready to be replayed.
pub(crate) struct Recorded(Recording<Held, Said>);

/// What a recorded step reads and writes.
struct Held {
    network: Classifier,
    sgd: Sgd,
    /// Memory of the tensors of the network, then of the momenta.
    buffers: Vec<Buffer>,
    batch: Batch,
    rate: Rate,
}

impl Recorded {
    /// Records a step of `network` with batches as large as `batch`; `None` where the device refuses.
    /// Nothing is trained by it.
    pub(crate) fn of(
        device: &Device,
        network: &Classifier,
        sgd: &Sgd,
        objective: &mut dyn Objective,
        batch: &Batch,
        rate: &Rate,
        progress: &mut Progress<'_>,
    ) -> Option<Self> {
        let held = Held::copied(network, sgd, batch, rate);
        let recording = record(device, held, |held| held.step(objective, progress))?;
        recording.state().take(network, sgd);
        Some(Self(recording))
    }

    /// The step with `batch`, which is as large as that of the recording.
    pub(crate) fn step(&mut self, batch: &Batch, rate: &Rate) -> Said {
        let held = self.0.state();
        Buffer::of(&held.batch.images).write(&Buffer::of(&batch.images));
        Buffer::of(&held.batch.given).write(&Buffer::of(&batch.given));
        if let Some((into, from)) = held.batch.weights.as_ref().zip(batch.weights.as_ref()) {
            Buffer::of(into).write(&Buffer::of(from));
        }
        if let Some((into, from)) = held.rate.buffer().zip(rate.buffer()) {
            into.write(&from);
        }
        let said = self.0.replay().unwrap_or_else(|error| panic!("the GPU failed: {error}"));
        // The next replay writes over it.
        said.copied()
    }

    /// Goes on from what another step has made of network and momenta.
    pub(crate) fn take(&self, network: &Classifier, sgd: &Sgd) {
        self.0.state().take(network, sgd);
    }

    /// Network and momenta as they are after the last step; they change with the next.
    pub(crate) fn trained(&self) -> (Classifier, Sgd) {
        let held = self.0.state();
        (held.network.clone(), held.sgd.clone())
    }
}

impl Held {
    /// Everything in memory of its own.
    fn copied(network: &Classifier, sgd: &Sgd, batch: &Batch, rate: &Rate) -> Self {
        let network = network.valid().map(&mut Copy).train();
        let sgd = sgd.copied();
        let buffers = buffers(&network, &sgd);
        let batch = Batch {
            images: copied(batch.images.clone()),
            given: copied(batch.given.clone()),
            weights: batch.weights.clone().map(copied),
            indices: Vec::new(),
        };
        Self { network, sgd, buffers, batch, rate: rate.copied() }
    }

    fn step(&self, objective: &mut dyn Objective, progress: &mut Progress<'_>) -> Said {
        let terms = objective.forward(std::slice::from_ref(&self.network), &self.batch, progress);
        let mut gradients = terms.total.backward();
        let mut sgd = self.sgd.clone();
        let network = sgd.step_at(self.network.clone(), &mut gradients, &self.rate);
        self.take(&network, &sgd);
        Said::of(&terms)
    }

    fn take(&self, network: &Classifier, sgd: &Sgd) {
        for (own, new) in self.buffers.iter().zip(buffers(network, sgd)) {
            own.write(&new);
        }
        // A step gives the running statistics, which clones of a network share, another memory.
        let _ = self.network.clone().map(&mut PutBack(self.buffers.iter()));
    }
}

/// The memory of the tensors of `network`, then of the momenta.
fn buffers(network: &Classifier, sgd: &Sgd) -> Vec<Buffer> {
    struct Collector(Vec<Buffer>);
    impl ModuleVisitor for Collector {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0.push(Buffer::of(&param.val()));
        }
    }
    // `valid` also brings the running statistics up to date.
    let mut collector = Collector(Vec::new());
    network.valid().visit(&mut collector);
    collector.0.extend(sgd.buffers());
    collector.0
}

/// Gives every tensor memory of its own.
struct Copy;

impl ModuleMapper for Copy {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(copied)
    }
}

/// Gives every tensor the next memory.
struct PutBack<'a>(std::slice::Iter<'a, Buffer>);

impl ModuleMapper for PutBack<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let buffer = self.0.next().expect("each tensor has a buffer");
        param.map(|old| {
            let new: Tensor<D> = buffer.tensor();
            let new = if old.is_autodiff() { new.autodiff() } else { new };
            new.set_require_grad(old.is_require_grad())
        })
    }
}
