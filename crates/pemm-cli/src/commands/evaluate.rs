//! `pemm evaluate`.

use std::path::PathBuf;

use clap::Args;
use pemm::evaluation::{Evaluation, evaluate};
use pemm_runs::tables::csv::csv_line;
use pemm_runs::{EnsembleMember, PartScores};

use super::places::PlacesArguments;
use crate::by_class::{headline, rows};
use crate::console::Console;
use crate::embedding::Features;
use crate::failure::Failure;
use crate::overwrite::refuse_existing;

/// Measure how good a run is on its own training, validation and test images
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// A run folder, or the folder of a --preset auto
    run: PathBuf,
    /// The weights that agree most with the held-out given labels. By default they are used only
    /// where those after the last epoch are clearly worse
    #[arg(long)]
    best: bool,
    /// The weights after the last epoch
    #[arg(long, conflicts_with = "best")]
    last: bool,
    #[command(flatten)]
    places: PlacesArguments,
    /// Where to compute: cpu, gpu (the first there is), cuda:N or wgpu:N; `pemm devices` lists them
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Write the noise matrix that the model's predictions imply to this CSV, for loss.matrix of
    /// forward correction; take it from a run with cross entropy
    #[arg(long, value_name = "CSV")]
    noise_matrix: Option<PathBuf>,
    /// The sample that stands for a class in that matrix is the surest below this percentile of all
    /// samples' probabilities of the class; left out, one within the class's own samples
    #[arg(long, value_name = "PERCENT", requires = "noise_matrix", value_parser = percentile)]
    percentile: Option<f64>,
    /// Replace that file if it is there
    #[arg(long, requires = "noise_matrix")]
    force: bool,
}

/// Runs the command.
pub(crate) fn run(arguments: Arguments, console: &Console) -> Result<(), Failure> {
    let device = pemm::device::open(&arguments.device)?;
    if let Some(path) = &arguments.noise_matrix {
        refuse_existing("--noise-matrix", path, arguments.force)?;
    }
    let weights = super::weights(arguments.best, arguments.last);
    let bar = console.counter("images");
    let result = Features::new(console, None).with(|embedding| {
        let mut count = |count| bar.inc(count as u64);
        let (run, percentile) = (&arguments.run, arguments.percentile);
        let places = arguments.places.places();
        evaluate(run, weights, percentile, &places, &device, &embedding, &mut count)
    });
    bar.finish_and_clear();
    let (records, evaluation) = result?;
    evaluation.warnings.iter().for_each(|warning| console.warn(warning));
    let of_members = evaluation.members.iter().map(|member| member.epoch);
    for (record, epoch) in records.iter().zip(evaluation.epoch.into_iter().chain(of_members)) {
        super::warn_if_unfinished(record, console);
        super::note_choice(record, epoch, console);
    }
    if let Some(path) = &arguments.noise_matrix {
        pemm_runs::write::atomic(path, csv(&evaluation.noise_matrix).as_bytes())?;
        console.note(&format!("noise matrix in {}", path.display()));
    }
    console.result(&text(&records[0].data.classes, &evaluation), &evaluation)
}

fn percentile(text: &str) -> Result<f64, String> {
    let percentile = text.parse().ok().filter(|percent| (0.0..=100.0).contains(percent));
    percentile.ok_or_else(|| "must be a number from 0 to 100".to_owned())
}

/// One row per true class; 17 digits, so that rows still sum to 1.
fn csv(matrix: &[Vec<f64>]) -> String {
    matrix.iter().map(|row| csv_line(row.iter().map(f64::to_string))).collect()
}

fn text(classes: &[String], evaluation: &Evaluation) -> String {
    let percent = |value: f64| format!("{:.2} %", 100.0 * value);
    let of_member =
        |member: &EnsembleMember| format!("{} after epoch {}", member.run, member.epoch);
    let members: Vec<String> = evaluation.members.iter().map(of_member).collect();
    let mut lines = vec![match evaluation.epoch {
        Some(epoch) => format!("weights after epoch {epoch}"),
        None => format!("{}, together", super::list(&members, "and")),
    }];
    lines.push(format!(
        "agrees with the given labels of the training samples: {}",
        percent(evaluation.train_accuracy_given)
    ));
    if let Some(fits) = evaluation.fits.filter(|fits| fits.num_flipped > 0) {
        lines.push(format!(
            "of {} wrong training labels {} were learned; for {} the model predicts the true class",
            fits.num_flipped, fits.flipped_fitted, fits.flipped_corrected
        ));
    }
    if let Some(val) = &evaluation.validation {
        lines.push(format!(
            "agrees with the given labels of the held-out samples: {}",
            headline(val, classes)
        ));
        lines.extend(rows(val, classes));
    }
    if let Some(test) = &evaluation.test {
        let test = PartScores::from(test);
        lines.push(format!("test accuracy: {}", headline(&test, classes)));
        lines.extend(rows(&test, classes));
    }
    lines.join("\n")
}
