//! A run that nothing keeps from its first step.
//!
//! [`Ready::of`] is the only way to a run: `train`, `audit`, `grid` and `explain` make one, so that
//! each refusal and each warning exists once, and comes before there is a folder.

use burn::tensor::Device;
use pemm_data::Streams;
use pemm_data::normalize::Normalization;
use pemm_data::prepare::Prepared;
use pemm_embed::BackboneCard;
use pemm_experiment::loss::{ClassWeights, LossContext};
use pemm_experiment::{Experiment, Plan};

use crate::data::RunData;
use crate::error::Result;
use crate::model::{Classifier, num_parameters};
use crate::networks::{collect_all, networks};
use crate::objective::{self, Objective, Samples};
use crate::tensors::apply;
use crate::weights::sample_weights;
use crate::{centers, device, pretrained};

/// A run before its first step: the experiment checked against its data, files and device, its
/// networks built. Nothing is left to refuse but what the disk may do.
pub struct Ready {
    pub(crate) plan: Plan,
    pub(crate) prepared: Prepared,
    pub(crate) normalization: Normalization,
    pub(crate) objective: Box<dyn Objective>,
    pub(crate) networks: Vec<Classifier>,
    pub(crate) streams: Streams,
    /// Where it trains, with autodiff.
    pub(crate) device: Device,
    /// What `device` is called, and how it calls itself.
    pub(crate) device_name: String,
    /// The pretrained backbone that made the features.
    pub(crate) backbone: Option<BackboneCard>,
    warnings: Vec<String>,
}

impl Ready {
    /// Checks `experiment` against its data, fills in what it leaves open, reads the files that it
    /// names, and builds the networks on `device` (see [`device::open`]).
    ///
    /// # Errors
    /// Whatever would keep the run from its first step: a value out of range or one that does not go
    /// with another or with the data, an unknown device, a file that cannot be read or does not fit,
    /// images that cannot be read.
    pub fn of(experiment: &Experiment, data: RunData, device: &str) -> Result<Self> {
        let plan = experiment.clone().resolve(data.facts())?.pinned()?;
        let found = device::find(device)?;
        let training_device = found.device().autodiff();
        let num_classes = data.prepared.classes.len();
        let class_weights = plan.experiment().loss.class_weights;
        let weights = sample_weights(&data.prepared.train, num_classes, class_weights)?;
        let context = LossContext::of(num_classes, &data.prepared.manifest);
        let num_train = data.prepared.train.len();
        let (given, trusted) = (&data.prepared.train.given[..], data.prepared.trusted.as_ref());
        let samples = Samples { num: num_train, trusted: trusted.map(|trusted| (trusted, given)) };
        let objective = objective::build(plan.experiment(), &context, samples)?;
        let normalization = data.normalization()?;
        let backbone = data.backbone;
        let mut prepared = data.prepared;
        prepared.train.weights = weights;

        let streams = Streams::new(plan.experiment().seed);
        let (num, shape) = (objective.num_networks(), prepared.shape);
        let mut networks =
            networks(num, plan.model(), shape, num_classes, streams, &training_device);
        let start = pretrained::read(&plan, shape)?;
        let rest = plan.experiment().loss.energy.start_distance();
        let mut warnings = plan.warnings().to_vec();
        for network in &mut networks {
            if let Some(start) = start.clone() {
                network.backbone = apply(network.backbone.clone(), start, "model.weights")?;
            }
            warnings.extend(centers::start(&mut network.head, rest));
        }
        warnings.extend(uneven(&prepared, class_weights));
        warnings.extend(prepared.joined.and_then(|joined| joined.note()));
        warnings.extend(prepared.notes.iter().cloned());
        warnings.dedup();
        Ok(Self {
            plan,
            prepared,
            normalization,
            objective,
            networks,
            streams,
            device: training_device,
            device_name: found.in_full(),
            backbone,
            warnings,
        })
    }

    /// The experiment with nothing left open.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// What is allowed but probably not meant, and what a reader of the results should know.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The parts that it trains on, chooses by and is scored on.
    pub fn data(&self) -> &Prepared {
        &self.prepared
    }

    /// Trained values of all networks.
    pub fn num_parameters(&self) -> usize {
        self.networks.iter().map(num_parameters).sum()
    }

    /// Feature size D.
    pub fn num_features(&self) -> usize {
        self.networks[0].backbone.num_features()
    }

    /// Name and shape of every tensor of all networks, as in a weights file.
    pub fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let tensors = collect_all(&self.networks);
        tensors.into_iter().map(|(name, values)| (name, values.shape)).collect()
    }

    /// Samples of a step: those that the schedule asks for, or all that there are.
    pub fn batch_size(&self) -> usize {
        self.plan.experiment().schedule.batch_size.min(self.prepared.train.len().max(2))
    }
}

/// How many times as many samples the largest class may have as the smallest without a word.
const UNEVEN: usize = 5;

/// Says that classes are uneven, and what to do, where that is not done.
fn uneven(prepared: &Prepared, weights: ClassWeights) -> Option<String> {
    let mut counts = vec![0usize; prepared.classes.len()];
    prepared.train.given.iter().for_each(|&label| counts[label as usize] += 1);
    let largest = (0..counts.len()).max_by_key(|&class| counts[class])?;
    let smallest =
        (0..counts.len()).filter(|&class| counts[class] > 0).min_by_key(|&class| counts[class])?;
    let is_uneven = counts[largest] >= UNEVEN * counts[smallest];
    (is_uneven && weights == ClassWeights::None).then(|| {
        format!(
            "the classes are uneven: {} training samples of {:?}, {} of {:?}; always saying {:?} would \
             be right in {:.1} %. A model may ignore small classes; to give all classes the same weight, add \
             --set loss.class_weights=balanced",
            counts[largest],
            prepared.classes[largest],
            counts[smallest],
            prepared.classes[smallest],
            prepared.classes[largest],
            100.0 * counts[largest] as f64 / prepared.train.len() as f64
        )
    })
}

impl std::fmt::Debug for Ready {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Ready").field("plan", &self.plan).finish_non_exhaustive()
    }
}
