//! `pemm predict`.

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use pemm::ensemble::Ensemble;
use pemm::finished::ModelCard;
use pemm_data::source::loose_images;
use pemm_data::{Part, Pixels, Shape};
use serde_json::json;

use crate::console::Console;
use crate::embedding::Features;
use crate::failure::Failure;
use crate::interrupt;

/// Predict the class of images, with its probability and the distance to each center
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// A run folder, or the folder of a --preset auto
    run: PathBuf,
    /// Images, or folders that are searched for images
    #[arg(required = true, value_name = "IMAGE|DIR")]
    inputs: Vec<PathBuf>,
    /// The weights that agree most with the held-out given labels. By default they are used only
    /// where those after the last epoch are clearly worse
    #[arg(long)]
    best: bool,
    /// The weights after the last epoch
    #[arg(long, conflicts_with = "best")]
    last: bool,
    /// Output format; --json means jsonl
    #[arg(long, value_enum, default_value_t = Format::Csv)]
    format: Format,
    /// The ONNX file of the pretrained backbone, if it is no longer where the training found it
    #[arg(long, value_name = "FILE")]
    backbone: Option<PathBuf>,
    /// Leave out images that cannot be read, and end with exit code 0 all the same; they are named on
    /// standard error
    #[arg(long)]
    skip_broken: bool,
    /// Where to compute: cpu, gpu (the first there is), cuda:N or wgpu:N; `pemm devices` lists them
    #[arg(long, default_value = "cpu")]
    device: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One row per image, with a header
    Csv,
    /// One JSON object per image and line
    Jsonl,
}

/// Runs the command.
pub(crate) fn run(arguments: Arguments, console: &Console) -> Result<(), Failure> {
    let device = pemm::device::open(&arguments.device)?;
    let weights = super::weights(arguments.best, arguments.last);
    let ensemble = Ensemble::open(&arguments.run, weights, &device)?;
    for member in ensemble.members() {
        // The weights are enough to predict; without a record there is a warning.
        member.trained.warnings.iter().for_each(|warning| console.warn(warning));
        if let Some(record) = &member.record {
            super::warn_if_unfinished(record, console);
            super::note_choice(record, member.trained.card.epoch, console);
        }
    }
    let card = ensemble.card();
    // Before any image: it holds the size that the card names to what the network can take.
    let backbone = ensemble.backbone(arguments.backbone.as_deref())?;
    let shape = match &card.pretrained {
        Some(card) => {
            let [height, width] = card.preprocessing.size;
            Shape { channels: 3, height, width }
        }
        None => card.shape,
    };
    let cancel = interrupt::watch()?;
    let loose = loose_images(&arguments.inputs, shape, arguments.skip_broken, cancel)?;
    for (path, reason) in &loose.broken {
        console.warn(&format!("left out {}: {reason}", path.display()));
    }
    for line in loose.account.warnings() {
        console.warn(&line);
    }
    let num_left_out = loose.account.num_images_left_out();
    let part = loose.part;
    let part = match &backbone {
        Some(backbone) => {
            let files = part.names.iter().map(PathBuf::from).collect();
            let images = Part { pixels: Arc::new(Pixels::Files(files)), ..part };
            Features::new(console, Some(cancel))
                .with(|embedding| embedding.part(backbone, &images))?
        }
        None => part,
    };
    let names: Vec<String> = (0..part.len()).map(|i| part.name(i).to_owned()).collect();
    let bar = console.bar(part.len() as u64, "images");
    let result = ensemble.predict(part, &mut |count| bar.inc(count as u64));
    bar.finish_and_clear();
    let predictions = result?;
    let classes = predictions.classes();
    let k = predictions.num_classes;
    let rows = names.iter().enumerate().map(|(i, name)| Row {
        name,
        class: classes[i] as usize,
        probability: predictions.probabilities[i * k + classes[i] as usize],
        distances: predictions.distances.as_ref().map(|d| &d[i * k..(i + 1) * k]),
    });
    if console.json() || arguments.format == Format::Jsonl {
        rows.into_iter().try_for_each(|row| console.line(&row.json(card)))?;
    } else {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let mut header = vec!["path".to_owned(), "class".into(), "probability".into()];
        if predictions.distances.is_some() {
            header.extend(card.classes.iter().map(|class| format!("distance to {class}")));
        }
        let fail = |error: csv::Error| Failure::new(error.to_string());
        writer.write_record(&header).map_err(fail)?;
        for row in rows {
            writer.write_record(row.cells(card)).map_err(fail)?;
        }
        let bytes = writer.into_inner().map_err(|error| Failure::new(error.to_string()))?;
        console.line(String::from_utf8_lossy(&bytes).trim_end())?;
    }
    if num_left_out > 0 && !arguments.skip_broken {
        return Err(Failure::new(format!(
            "not every image has a prediction: {num_left_out} left out, see the warnings; with \
             --skip-broken that is no error"
        )));
    }
    Ok(())
}

struct Row<'a> {
    name: &'a str,
    class: usize,
    probability: f32,
    distances: Option<&'a [f32]>,
}

impl Row<'_> {
    fn cells(&self, card: &ModelCard) -> Vec<String> {
        let mut cells = vec![
            self.name.to_owned(),
            card.classes[self.class].clone(),
            format!("{:.6}", self.probability),
        ];
        cells.extend(self.distances.unwrap_or_default().iter().map(|d| format!("{d:.6}")));
        cells
    }

    fn json(&self, card: &ModelCard) -> String {
        let distances = self.distances.map(|distances| {
            let pairs = card.classes.iter().cloned().zip(distances.iter().map(|&d| json!(d)));
            serde_json::Map::from_iter(pairs)
        });
        json!({
            "path": self.name,
            "class": card.classes[self.class],
            "probability": self.probability,
            "distances": distances,
        })
        .to_string()
    }
}
