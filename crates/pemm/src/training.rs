//! The networks of a run and how a step changes them.

use burn::tensor::Device;
use pemm_conv::can_record;
use pemm_data::Rng;
use pemm_experiment::Plan;

use crate::centers::separate;
use crate::error::Result;
use crate::model::Classifier;
use crate::networks::{apply_all, join, split};
use crate::objective::{Batch, Objective, Progress, Survey};
use crate::optim::{Rate, Sgd};
use crate::readings::Said;
use crate::recorded::Recorded;
use crate::tensors::TensorMap;

/// Ordinary steps before one is recorded: they choose the kernels and take the memory.
const STEPS_BEFORE: usize = 2;
/// Refused recordings after which none is tried any more.
const TRIES: usize = 3;

/// Networks, what moves them, and what for.
pub(crate) struct Training {
    networks: Vec<Classifier>,
    /// One for each network.
    sgds: Vec<Sgd>,
    objective: Box<dyn Objective>,
    device: Device,
    /// Samples of every batch but the last of a pass.
    batch_size: usize,
    replay: Replay,
}

/// Whether steps are replayed from a recording.
enum Replay {
    /// They cannot be.
    Never,
    /// Not yet.
    Soon {
        /// Ordinary steps that were made with a whole batch.
        steps: usize,
        /// Recordings that the device refused.
        refused: usize,
    },
    /// They are.
    Now(Box<Recorded>),
}

impl Replay {
    /// Gives up the recording, which is of a step that is no longer the next one; another is made soon.
    fn forget(&mut self) {
        if let Self::Now(_) = self {
            *self = Self::Soon { steps: STEPS_BEFORE, refused: 0 };
        }
    }
}

impl Training {
    /// Before the first step.
    pub(crate) fn new(
        plan: &Plan,
        networks: Vec<Classifier>,
        objective: Box<dyn Objective>,
        batch_size: usize,
        device: Device,
    ) -> Self {
        let sgds = vec![Sgd::new(plan.experiment().optim.clone()); networks.len()];
        // Dropout is drawn on the host.
        let repeats = objective.repeats() && networks.len() == 1 && plan.model().dropout == 0.0;
        let replay = if repeats && can_record(&device) {
            Replay::Soon { steps: 0, refused: 0 }
        } else {
            Replay::Never
        };
        Self { networks, sgds, objective, device, batch_size, replay }
    }

    /// What is trained.
    pub(crate) fn networks(&self) -> &[Classifier] {
        &self.networks
    }

    /// Moves centers that coincide apart.
    pub(crate) fn separate_centers(&mut self, rng: &mut Rng) {
        for network in &mut self.networks {
            if separate(&mut network.head, rng) {
                self.replay.forget();
            }
        }
    }

    /// Whether whole batches are replayed by now.
    #[cfg(all(test, feature = "wgpu"))]
    pub(crate) fn is_replayed(&self) -> bool {
        matches!(self.replay, Replay::Now(_))
    }

    /// What a step minimises.
    pub(crate) fn objective(&self) -> &dyn Objective {
        &*self.objective
    }

    /// Tells the objective what it asked for.
    pub(crate) fn survey(&mut self, survey: Survey<'_>) {
        self.replay.forget();
        self.objective.survey(survey);
    }

    /// One step with `batch`.
    pub(crate) fn step(
        &mut self,
        batch: &Batch,
        learning_rate: f64,
        progress: &mut Progress<'_>,
    ) -> Said {
        let rate = Rate::on(&self.device, learning_rate);
        let is_whole = batch.indices.len() == self.batch_size;
        if is_whole {
            self.record(batch, &rate, progress);
        }
        if let Replay::Now(recorded) = &mut self.replay
            && is_whole
        {
            return recorded.step(batch, &rate);
        }
        let terms = self.objective.forward(&self.networks, batch, progress);
        let said = Said::of(&terms);
        let mut gradients = terms.total.backward();
        for (network, sgd) in self.networks.iter_mut().zip(&mut self.sgds) {
            *network = sgd.step_at(network.clone(), &mut gradients, &rate);
        }
        match &mut self.replay {
            Replay::Never => {}
            Replay::Soon { steps, .. } => *steps += usize::from(is_whole),
            Replay::Now(recorded) => {
                recorded.take(&self.networks[0], &self.sgds[0]);
                self.take_up();
            }
        }
        said
    }

    /// Records a step, if it is time to.
    fn record(&mut self, batch: &Batch, rate: &Rate, progress: &mut Progress<'_>) {
        let Replay::Soon { steps: STEPS_BEFORE.., refused } = self.replay else { return };
        let (network, sgd) = (&self.networks[0], &self.sgds[0]);
        let objective = &mut *self.objective;
        match Recorded::of(&self.device, network, sgd, objective, batch, rate, progress) {
            Some(recorded) => {
                self.replay = Replay::Now(Box::new(recorded));
                self.take_up();
            }
            None if refused + 1 < TRIES => {
                self.replay = Replay::Soon { steps: 0, refused: refused + 1 };
            }
            None => self.replay = Replay::Never,
        }
    }

    /// Makes the tensors of the recording those of the training.
    fn take_up(&mut self) {
        if let Replay::Now(recorded) = &self.replay {
            let (network, sgd) = recorded.trained();
            (self.networks, self.sgds) = (vec![network], vec![sgd]);
        }
    }

    /// Momenta, and what the objective needs beside the networks.
    pub(crate) fn state(&self) -> (TensorMap, TensorMap) {
        (join(self.sgds.iter().map(Sgd::state).collect()), self.objective.state())
    }

    /// Continues from tensors of the networks and [`Self::state`]; `file` names their origin in errors.
    pub(crate) fn load(
        &mut self,
        model: TensorMap,
        momentum: TensorMap,
        objective: TensorMap,
        file: &str,
    ) -> Result<()> {
        let device = self.device.clone().without_autodiff();
        let num = self.networks.len();
        let models = split(model.clone(), num);
        for ((sgd, momentum), model) in self.sgds.iter_mut().zip(split(momentum, num)).zip(&models)
        {
            sgd.load(momentum, model, &device)?;
        }
        self.objective.load(objective)?;
        self.load_networks(model, file)
    }

    /// Gives the networks other values.
    pub(crate) fn load_networks(&mut self, model: TensorMap, file: &str) -> Result<()> {
        self.replay.forget();
        self.networks = apply_all(std::mem::take(&mut self.networks), model, file)?;
        Ok(())
    }
}
