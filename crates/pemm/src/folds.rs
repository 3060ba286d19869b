//! What models say of samples that they were not trained on, by cross-validation; and of those that
//! one was trained on.
//!
//! Every fold is an ordinary run folder: it is trained, continued and found finished as any other.

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::Device;
use pemm_data::Part;
use pemm_experiment::Experiment;
use pemm_runs::folder::STATE;
use pemm_runs::{Record, RunFolder, Status};

use crate::checkpoint::State;
use crate::data::{Embedding, RunData};
use crate::device;
use crate::dynamics::Dynamics;
use crate::error::{Error, Result};
use crate::evaluate::Predictions;
use crate::finished::{Reopened, Trained, Weights, reopen};
use crate::places::Places;
use crate::train::{Event, RunOptions, run};

/// What models say of samples, in the order of the source.
#[derive(Debug, Clone)]
pub struct SamplePredictions {
    /// Class names.
    pub classes: Vec<String>,
    /// Name of each sample, as in a labels file.
    pub names: Vec<String>,
    /// Given label of each sample.
    pub given: Vec<u32>,
    /// The samples themselves, where they are at hand.
    pub part: Option<Part>,
    /// Number of the model that spoke of each sample; features and distances of two models do not
    /// compare.
    pub models: Vec<u32>,
    /// What it predicted.
    pub predictions: Predictions,
    /// Mean over epochs, and over the models that were trained on the sample, of
    /// `p[given] - max_{k ≠ given} p[k]` while training; `None` where no run recorded it.
    pub margins: Option<Vec<f32>>,
    /// Identity of the data, see [`pemm_data::prepare::data_sha256`].
    pub data_sha256: String,
    /// Hash of the given labels after noise.
    pub labels_sha256: String,
    /// Seconds that training took.
    pub training_secs: f64,
    /// What could not be checked.
    pub warnings: Vec<String>,
}

/// Trains `experiment` `count` times, each time with one fold held out, in the run folders
/// `1` … `count` under `options.out`, and lets each model speak of its own held-out fold. `None` if
/// it was cancelled; the same call continues.
///
/// The weights are those of the last epoch, since those that are best by the held-out labels were
/// chosen with the labels in question. `on_event` also hears the number of the fold, from 1.
///
/// # Errors
/// Those of [`run`]; a class with fewer samples than folds; `schedule.patience`.
pub fn out_of_sample(
    experiment: &Experiment,
    count: usize,
    options: &RunOptions<'_>,
    on_event: &mut dyn FnMut(usize, Event<'_>),
) -> Result<Option<SamplePredictions>> {
    if experiment.schedule.patience.is_some() {
        let reason = "would end a fold by its held-out labels, which are in question; leave it out";
        return Err(Error::setting("schedule.patience", reason));
    }
    let fold = |index: usize| {
        let mut fold = experiment.clone();
        fold.data.fold = Some([index, count]);
        fold
    };
    let device = device::open(options.device)?;
    let mut gathered = Gathered::default();
    for index in 1..=count {
        let out = options.out.join(index.to_string());
        let options = RunOptions { out: &out, git: options.git.clone(), ..*options };
        let outcome = run(&fold(index), &options, &mut |event| on_event(index, event))?;
        if outcome.record.status != Status::Finished {
            return Ok(None);
        }
        if let Some(changed) = outcome.changed {
            return Err(Error::setting("data", changed));
        }
        let Reopened { record, trained, data, .. } =
            reopen(&out, Weights::Last, &Places::of(experiment), &device, &options.embedding)?;
        gathered.training_secs += record.total_seconds;
        let held = data.prepared.val.clone().expect("a fold is held out");
        gathered.add(&trained, &data, held, index as u32, &mut |_| {})?;
        gathered.add_margins(&out, &record, &data)?;
    }
    Ok(Some(gathered.in_order()))
}

/// What the model of the run in `path`, whose data are at `places`, says of its own training samples. It has seen their labels,
/// so it doubts those that it memorised less than it should; its validation samples are left out.
///
/// # Errors
/// No run there, or its data changed; see [`evaluate`](crate::evaluation::evaluate).
pub fn in_sample(
    path: &Path,
    places: &Places,
    device: &Device,
    embedding: &Embedding<'_>,
    on_samples: &mut dyn FnMut(usize),
) -> Result<SamplePredictions> {
    let Reopened { record, trained, data, warnings } =
        reopen(path, Weights::Last, places, device, embedding)?;
    let training_secs = record.total_seconds;
    let mut gathered = Gathered { training_secs, warnings, ..Gathered::default() };
    gathered.add(&trained, &data, data.prepared.train.clone(), 1, on_samples)?;
    gathered.add_margins(path, &record, &data)?;
    Ok(gathered.in_order())
}

/// Predictions of some parts of one source, in the order in which they came.
#[derive(Default)]
struct Gathered {
    /// Position in the source, number of the model, name and given label of each sample.
    samples: Vec<(u32, u32, String, u32)>,
    predictions: Predictions,
    /// The last part, whose pixels are those of all.
    part: Option<Part>,
    /// The images that the pixels were before they became features.
    images: Option<Part>,
    /// Sum and number of the mean margins of the sample at each position in the source.
    margins: BTreeMap<u32, (f32, f32)>,
    classes: Vec<String>,
    data_sha256: String,
    labels_sha256: String,
    training_secs: f64,
    warnings: Vec<String>,
}

impl Gathered {
    fn add(
        &mut self,
        trained: &Trained,
        data: &RunData,
        part: Part,
        model: u32,
        on_samples: &mut dyn FnMut(usize),
    ) -> Result<()> {
        let prepared = &data.prepared;
        self.warnings.extend(trained.warnings.iter().cloned());
        self.part = Some(part.clone());
        self.images.clone_from(&data.images);
        let rows = data.source_rows(&part);
        let sample = |i: usize| (rows[i], model, part.name(i).to_owned(), part.given[i]);
        self.samples.extend((0..part.len()).map(sample));
        self.classes.clone_from(&prepared.classes);
        self.data_sha256.clone_from(&prepared.data_sha256);
        self.labels_sha256.clone_from(&prepared.manifest.labels_sha256);
        let predicted = trained.predict(part, on_samples)?;
        let all = &mut self.predictions;
        (all.num_classes, all.num_features) = (predicted.num_classes, predicted.num_features);
        all.probabilities.extend(predicted.probabilities);
        all.features.extend(predicted.features);
        if let Some(distances) = predicted.distances {
            all.distances.get_or_insert_default().extend(distances);
        }
        Ok(())
    }

    /// Adds the margins that the run in `path`, which is that of `record`, kept while it trained on
    /// `data`.
    fn add_margins(&mut self, path: &Path, record: &Record, data: &RunData) -> Result<()> {
        let train = &data.prepared.train;
        let folder = RunFolder::open(path)?;
        if !folder.has(STATE) {
            return Ok(()); // a finished run works without it
        }
        let mut dynamics = Dynamics::new(train.len());
        let (state, warning) = State::read(&folder, record)?;
        self.warnings.extend(warning);
        let state = state.dynamics;
        if state.is_empty() {
            return Ok(());
        }
        dynamics.load(state, &folder.file(STATE).display().to_string())?;
        for (row, margin) in data.source_rows(train).into_iter().zip(dynamics.means()) {
            let (sum, count) = self.margins.entry(row).or_default();
            *sum += margin;
            *count += 1.0;
        }
        Ok(())
    }

    fn in_order(self) -> SamplePredictions {
        let Self {
            part,
            images,
            margins,
            samples,
            predictions,
            classes,
            data_sha256,
            labels_sha256,
            training_secs,
            warnings,
        } = self;
        let mut order: Vec<usize> = (0..samples.len()).collect();
        order.sort_by_key(|&i| samples[i].0);
        let rows = |values: &[f32], size: usize| -> Vec<f32> {
            order.iter().flat_map(|&i| &values[i * size..(i + 1) * size]).copied().collect()
        };
        let margin = |&i: &usize| margins.get(&samples[i].0).map(|(sum, count)| sum / count);
        let (k, d) = (predictions.num_classes, predictions.num_features);
        let given: Vec<u32> = order.iter().map(|&i| samples[i].3).collect();
        let rows_in_order: Vec<u32> = order.iter().map(|&i| samples[i].0).collect();
        let whole = |part: Part| {
            // Of features the images, whose rows are those of the source, too.
            let part = images.unwrap_or(part);
            Part { rows: rows_in_order, given: given.clone(), weights: None, ..part }
        };
        SamplePredictions {
            classes,
            part: part.map(whole),
            names: order.iter().map(|&i| samples[i].2.clone()).collect(),
            given,
            models: order.iter().map(|&i| samples[i].1).collect(),
            predictions: Predictions {
                num_classes: k,
                probabilities: rows(&predictions.probabilities, k),
                distances: predictions.distances.as_ref().map(|distances| rows(distances, k)),
                num_features: d,
                features: rows(&predictions.features, d),
            },
            margins: order.iter().map(margin).collect(),
            data_sha256,
            labels_sha256,
            training_secs,
            warnings,
        }
    }
}
