//! `pemm embed`.

use std::path::PathBuf;

use clap::Args;
use pemm_data::{labels, source};
use pemm_embed::{Backbone, EmbedError, EmbedOptions, FeatureCache, export};

use super::experiment::ExperimentArguments;
use crate::console::Console;
use crate::embedding::Features;
use crate::failure::Failure;
use crate::interrupt;
use crate::overwrite::refuse_existing;

/// Write the features that a pretrained network finds in every image, for use elsewhere
///
/// The folder then holds features.npy, labels.npy, samples.csv and embedding.json; those of the test
/// part begin with test_. The same command continues where it stopped.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    experiment: ExperimentArguments,
    /// The folder to write
    #[arg(long, short, value_name = "DIR")]
    output: PathBuf,
    /// Replace files that are there
    #[arg(long)]
    force: bool,
}

/// Runs the command.
pub(crate) fn run(arguments: Arguments, console: &Console) -> Result<(), Failure> {
    let experiment = arguments.experiment.experiment()?;
    let Some(file) = &experiment.pretrained.backbone else {
        return Err(Failure::usage("--backbone: name the ONNX file of a pretrained network"));
    };
    refuse_existing("--output", &arguments.output.join("embedding.json"), arguments.force)?;
    let backbone = Backbone::open(file.as_ref(), &experiment.pretrained.keys())?;
    for guess in &backbone.card().assumptions {
        console.warn(&format!("pretrained backbone: {guess}"));
    }
    let mut data = experiment.data.clone();
    data.resize = data.resize.or(Some(backbone.card().preprocessing.size));
    data.memory_mib = 0;
    let cancel = interrupt::watch()?;
    let mut set = source::open_until(&data, cancel)?;
    let joined = labels::join(&mut set, &experiment.data)?;
    set.notes.iter().chain(&joined.note()).for_each(|note| console.warn(note));
    let manifest = Features::new(console, Some(cancel)).with(|embedding| {
        let cache = embedding.cache.map(|root| FeatureCache::open(root, backbone.card()));
        let mut cache = cache.transpose()?;
        let options = EmbedOptions {
            threads: rayon::current_num_threads(),
            progress: embedding.on_image,
            cancelled: embedding.cancel,
        };
        pemm_data::disk::make_folder(&arguments.output)
            .map_err(|source| EmbedError::Io { path: arguments.output.clone(), source })?;
        export::export(&arguments.output, &backbone, &set, cache.as_mut(), &options)
    })?;
    let text = format!(
        "{} samples with {} features each in {}",
        manifest.num_samples + manifest.num_test.unwrap_or(0),
        backbone.num_features(),
        arguments.output.display()
    );
    console.result(&text, &manifest)
}
