//! What an experiment would do, without doing it.

use pemm_data::Streams;
use pemm_data::loader::num_batches;
use pemm_embed::BackboneCard;
use pemm_experiment::{DataFacts, Experiment, Plan};
use serde::Serialize;

use crate::data::{Embedding, RunData};
use crate::error::Result;
use crate::model::num_parameters;
use crate::networks::networks;
use crate::ready::Ready;

/// An experiment explained.
#[derive(Debug)]
pub struct Explanation {
    /// It as TOML, every default filled in.
    pub text: String,
    /// What is allowed but probably not meant.
    pub warnings: Vec<String>,
    /// Sizes.
    pub summary: Summary,
}

/// Sizes of an experiment.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// The experiment with every default filled in.
    pub experiment: Experiment,
    /// Training samples after limit and split.
    pub num_train: usize,
    /// Validation samples.
    pub num_val: usize,
    /// Test samples.
    pub num_test: usize,
    /// Classes K.
    pub num_classes: usize,
    /// Channels, height and width.
    pub shape: [usize; 3],
    /// Convention and realised rate of the noise.
    pub noise: String,
    /// Feature size D.
    pub num_features: usize,
    /// Trained values.
    pub num_parameters: usize,
    /// Every tensor of the model, as in a weights file.
    pub tensors: Vec<(String, Vec<usize>)>,
    /// Steps of an epoch.
    pub steps_per_epoch: usize,
    /// Epochs.
    pub num_epochs: usize,
    /// Most memory at once, about, in bytes.
    pub memory: u64,
    /// Time of all epochs, about, in seconds.
    pub seconds: Option<f64>,
    /// The pretrained backbone, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pretrained: Option<BackboneCard>,
}

/// Size of the networks of a run.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Feature size D.
    pub num_features: usize,
    /// Trained values.
    pub num_parameters: usize,
}

/// Builds the networks of `plan` for data with these facts, to see their size.
///
/// # Errors
/// None but those of the device.
pub fn size(plan: &Plan, facts: DataFacts) -> Result<Size> {
    let streams = Streams::new(plan.experiment().seed);
    let device = crate::device::open("cpu")?;
    let num = plan.experiment().objective.kind.num_networks();
    let (model, num_classes) = (plan.model(), facts.num_classes);
    let networks = networks(num, model, facts.shape, num_classes, streams, &device);
    Ok(Size {
        num_features: networks[0].backbone.num_features(),
        num_parameters: networks.iter().map(num_parameters).sum(),
    })
}

/// Makes a run ready and says what it would do.
///
/// # Errors
/// Those of [`Ready::of`].
pub fn explain(experiment: &Experiment, embedding: &Embedding<'_>) -> Result<Explanation> {
    let ready = Ready::of(experiment, RunData::open(experiment, embedding)?, "cpu")?;
    let (plan, data) = (ready.plan(), ready.data());
    let num_train = data.train.len();
    let needs = ready.needs()?;
    let noise = match &data.manifest.realised {
        Some(realised) => {
            let share = 100.0 * realised.rate;
            format!("{}, {share:.2} % of the labels changed", data.manifest.convention)
        }
        None => data.manifest.convention.clone(),
    };
    let summary = Summary {
        experiment: plan.experiment().clone(),
        num_train,
        num_val: data.val.as_ref().map_or(0, |part| part.len()),
        num_test: data.sealed.test_images().map_or(0, |part| part.len()),
        num_classes: data.classes.len(),
        shape: [data.shape.channels, data.shape.height, data.shape.width],
        noise,
        num_features: ready.num_features(),
        num_parameters: ready.num_parameters(),
        tensors: ready.tensors(),
        steps_per_epoch: num_batches(num_train, ready.batch_size()),
        num_epochs: plan.experiment().schedule.num_epochs(),
        memory: needs.memory,
        seconds: needs.seconds,
        pretrained: ready.backbone.clone(),
    };
    Ok(Explanation { text: plan.text(), warnings: ready.warnings().to_vec(), summary })
}
