//! `outputs.safetensors` of a finished run: what its last weights say of every sample.
//!
//! It is made from the run folder, after the run. The data is opened anew and its seal broken, so
//! nothing that trains ever held a clean label.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use pemm_data::Part;
use pemm_data::augment::Augment;
use pemm_data::loader::Loader;
use pemm_data::normalize::Normalization;
use pemm_data::{Pixels, Streams};
use pemm_runs::folder::OUTPUTS;
use pemm_runs::outputs::{Gallery, Outputs, PartOutputs};
use pemm_runs::{Bond, Record, RunFolder};

use crate::data::{Embedding, RunData};
use crate::error::Result;
use crate::evaluate::Predictions;
use crate::finished::{Reopened, Weights, reopen};
use crate::places::Places;

/// Samples in the gallery.
const GALLERY: usize = 60;
/// Longest side of a gallery's image, in pixels.
const SIDE: usize = 128;

/// About how many bytes the outputs of the run `record` take.
pub fn num_bytes(record: &Record) -> usize {
    let row = 4 * record.data.classes.len() + 2 * record.model.num_features + 4;
    (record.data.num_train + record.data.num_test).saturating_mul(row)
}

/// Writes `outputs.safetensors` into the run folder `path`, whose data are at `places`, from the weights
/// that [`Weights::Chosen`] means; an older one is replaced. `on_samples` hears how many samples each batch
/// had. Gives the file, and what is to be said of the data and of what could not be checked.
///
/// # Errors
/// No weights, or data that is no longer that of the run.
pub fn write_outputs(
    path: &Path,
    places: &Places,
    device: &Device,
    embedding: &Embedding<'_>,
    on_samples: &mut dyn FnMut(usize),
) -> Result<(PathBuf, Vec<String>)> {
    let Reopened { record, trained, data, warnings } =
        reopen(path, Weights::Chosen, places, device, embedding)?;
    let RunData { prepared, images, .. } = data;
    let given = prepared.train.given.clone();
    let train = part_outputs(trained.predict(prepared.train.clone(), on_samples)?);
    let test = match prepared.sealed.test_images() {
        Some(part) => Some(part_outputs(trained.predict(part, on_samples)?)),
        None => None,
    };
    let gallery = match &images {
        Some(images) => gallery(&of_rows(images, &prepared.train.rows), &train, &given)?,
        None => gallery(&prepared.train, &train, &given)?,
    };
    let (clean, test_labels) = prepared.sealed.reveal();
    let outputs = Outputs {
        run: Some(Bond::of(&record)),
        epoch: trained.card.epoch,
        train,
        given,
        clean,
        test,
        test_labels: test_labels.unwrap_or_default(),
        centers: trained.networks[0].head.centers().map(crate::tensors::floats),
        gallery,
    };
    let file = RunFolder::open(path)?.file(OUTPUTS);
    outputs.write(&file)?;
    Ok((file, [trained.warnings, warnings].concat()))
}

/// The images of samples whose row r of the features was made from image r.
pub(crate) fn of_rows(images: &Part, rows: &[u32]) -> Part {
    images.select(&rows.iter().map(|&row| row as usize).collect::<Vec<_>>())
}

fn part_outputs(predictions: Predictions) -> PartOutputs {
    let Predictions { num_classes, probabilities, num_features, features, .. } = predictions;
    PartOutputs { num_classes, probabilities, num_features, features }
}

/// The samples whose given label the model doubts most, as small images.
fn gallery(train: &Part, outputs: &PartOutputs, given: &[u32]) -> Result<Gallery> {
    let doubts = outputs.doubts(given).into_iter().take(GALLERY);
    thumbnails(train, doubts.map(|doubt| doubt.sample).collect())
}

/// `samples`, positions in `part`, as small images; names alone where they are no images.
///
/// # Errors
/// Images that cannot be read.
pub fn thumbnails(part: &Part, samples: Vec<u32>) -> Result<Gallery> {
    let names = samples.iter().map(|&sample| part.name(sample as usize).to_owned()).collect();
    let shape = part.shape;
    if matches!(*part.pixels, Pixels::Vectors(_)) || ![1, 3].contains(&shape.channels) {
        return Ok(Gallery { samples, names, ..Gallery::default() });
    }
    let positions: Vec<usize> = samples.iter().map(|&sample| sample as usize).collect();
    let batch_size = positions.len().max(2);
    let part = part.select(&positions);
    // The loader's values are then those of the pixels, from 0 to 1.
    let (mean, deviation) = (vec![0.0; shape.channels], vec![1.0; shape.channels]);
    let normalization = Normalization { mean, deviation };
    let loader = Loader::new(part, normalization, Augment::default(), batch_size, Streams::new(0))?;
    let step = shape.height.max(shape.width).div_ceil(SIDE);
    let (height, width) = (shape.height / step, shape.width / step);
    let mut pixels = Vec::with_capacity(samples.len() * height * width * shape.channels);
    for batch in loader.in_order() {
        let batch = batch?;
        for image in batch.pixels.chunks_exact(shape.len()) {
            for (row, column) in (0..height).flat_map(|row| (0..width).map(move |c| (row, c))) {
                for channel in 0..shape.channels {
                    let block = block_mean(image, shape, step, [channel, row, column]);
                    pixels.push((255.0 * block).round() as u8);
                }
            }
        }
    }
    Ok(Gallery { samples, names, shape: [height, width, shape.channels], pixels })
}

/// Mean of the `step` × `step` pixels of a channel that become one.
fn block_mean(
    image: &[f32],
    shape: pemm_data::Shape,
    step: usize,
    [channel, row, column]: [usize; 3],
) -> f32 {
    let start = (channel * shape.height + row * step) * shape.width + column * step;
    let rows = (0..step).map(|offset| start + offset * shape.width);
    rows.flat_map(|from| &image[from..from + step]).sum::<f32>() / (step * step) as f32
}
