//! `pemm noise`.

use std::path::PathBuf;

use clap::Args;
use pemm_data::labels;
use pemm_data::prepare::write_labels;
use pemm_data::source::{self, Kind};
use pemm_runs::write;

use super::experiment::ExperimentArguments;
use crate::console::Console;
use crate::failure::Failure;
use crate::interrupt;
use crate::overwrite::refuse_existing;

/// Make labels wrong on purpose and write them as a labels CSV, for --labels
///
/// The same seed gives the same labels on every machine. A JSON file beside the CSV, the manifest, says
/// what was done.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    experiment: ExperimentArguments,
    /// The CSV to write; the manifest gets the same name with .json
    #[arg(long, short, value_name = "CSV")]
    output: PathBuf,
    /// Replace files that are there
    #[arg(long)]
    force: bool,
}

/// Runs the command.
pub(crate) fn run(arguments: Arguments, console: &Console) -> Result<(), Failure> {
    let experiment = arguments.experiment.experiment()?;
    let manifest_path = arguments.output.with_extension("json");
    if manifest_path == arguments.output {
        return Err(Failure::usage("--output: must not end in .json, where the manifest goes"));
    }
    for path in [&arguments.output, &manifest_path] {
        refuse_existing("--output", path, arguments.force)?;
    }
    let folder = arguments.output.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
        let message = format!("--output: there is no folder {}; make it first", folder.display());
        return Err(Failure::usage(message));
    }
    let mut data = experiment.data.clone();
    let is_by_image = experiment.noise.looks_at_samples();
    if !is_by_image && source::detect(&data.path)? == Kind::ImageFolder {
        // Only the labels count, so the images may have any size, and none is kept.
        data.resize = data.resize.or(Some([8, 8]));
        data.memory_mib = 0;
    }
    let mut set = source::open_until(&data, interrupt::watch()?)?;
    let joined = labels::join(&mut set, &experiment.data)?;
    set.notes.iter().chain(&joined.note()).for_each(|note| console.warn(note));
    let (text, manifest) = write_labels(set, &experiment.data, &experiment.noise, experiment.seed)?;
    manifest.warnings.iter().for_each(|warning| console.warn(warning));
    let json = serde_json::to_vec_pretty(&manifest).map_err(|e| Failure::new(e.to_string()))?;
    write::atomic(&arguments.output, text.as_bytes())?;
    write::atomic(&manifest_path, &json)?;
    let changed = manifest.realised.as_ref().map_or(0, |realised| realised.num_flipped);
    let summary = format!(
        "{changed} of {} labels changed ({:.2} %)\nlabels   {}\nmanifest {}",
        manifest.num_samples,
        100.0 * changed as f64 / manifest.num_samples.max(1) as f64,
        arguments.output.display(),
        manifest_path.display()
    );
    console.result(&summary, &manifest)
}
