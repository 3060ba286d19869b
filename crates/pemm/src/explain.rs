//! What an experiment would do, without doing it.

use pemm_data::Streams;
use pemm_data::augment::Augment;
use pemm_data::loader::Loader;
use pemm_data::normalize::Normalization;
use pemm_data::prepare::prepare;
use serde::Serialize;

use crate::error::Result;
use crate::experiment::Experiment;
use crate::model::{Classifier, num_parameters};
use crate::plan::{DataFacts, Plan};
use crate::tensors::collect;
use crate::{centers, pretrained};

/// An experiment explained.
#[derive(Debug)]
pub struct Explanation {
    /// The checked experiment.
    pub plan: Plan,
    /// It as TOML, every default filled in.
    pub text: String,
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
}

/// Size of a classifier.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Feature size D.
    pub num_features: usize,
    /// Trained values.
    pub num_parameters: usize,
}

/// Builds the classifier of `plan` for data with these facts, to see its size.
pub fn size(plan: &Plan, facts: DataFacts) -> Result<Size> {
    let streams = Streams::new(plan.experiment.seed);
    let device = crate::device::open("cpu")?;
    let model = Classifier::new(&plan.model, facts.shape, facts.num_classes, streams, &device);
    Ok(Size { num_features: model.backbone.num_features(), num_parameters: num_parameters(&model) })
}

/// Reads the data, checks the experiment and builds the model.
pub fn explain(experiment: Experiment) -> Result<Explanation> {
    let prepared = prepare(&experiment.data, &experiment.noise, experiment.seed)?;
    let mut plan = experiment.resolve(DataFacts::of(&prepared))?;
    plan.experiment.pin_files()?;
    plan.warnings.extend(prepared.notes.iter().cloned());
    let text = toml::to_string(&plan.experiment).expect("experiments are plain data");
    let streams = Streams::new(plan.experiment.seed);
    let device = crate::device::open("cpu")?;
    let num_classes = prepared.classes.len();
    let mut model = Classifier::new(&plan.model, prepared.shape, num_classes, streams, &device);
    pretrained::read(&plan, prepared.shape)?;
    let rest = plan.experiment.loss.energy.start_distance();
    plan.warnings.extend(centers::start(&mut model.head, rest));
    let schedule = &plan.experiment.schedule;
    let normalization = Normalization::of(&prepared.train)?;
    let num_train = prepared.train.len();
    let batch_size = schedule.batch_size.min(num_train.max(2));
    let loader =
        Loader::new(prepared.train, normalization, Augment::default(), batch_size, streams)?;
    let noise = match &prepared.manifest.realised {
        Some(realised) => {
            let share = 100.0 * realised.rate;
            format!("{}, {share:.2} % of the labels changed", prepared.manifest.convention)
        }
        None => prepared.manifest.convention.clone(),
    };
    let summary = Summary {
        experiment: plan.experiment.clone(),
        num_train,
        num_val: prepared.val.as_ref().map_or(0, |part| part.len()),
        num_test: prepared.sealed.test_images().map_or(0, |part| part.len()),
        num_classes,
        shape: [prepared.shape.channels, prepared.shape.height, prepared.shape.width],
        noise,
        num_features: model.backbone.num_features(),
        num_parameters: num_parameters(&model),
        tensors: collect(&model).into_iter().map(|(name, values)| (name, values.shape)).collect(),
        steps_per_epoch: loader.num_batches(),
        num_epochs: schedule.num_epochs,
    };
    Ok(Explanation { plan, text, summary })
}
