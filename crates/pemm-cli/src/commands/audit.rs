//! `pemm audit`.

mod checks;
mod input;
mod output;
mod page;
mod progress;

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use pemm::folds::{SamplePredictions, in_sample, out_of_sample};
use pemm::train::RunOptions;
use pemm_audit::files::{self, About, Origin};
use pemm_audit::judge::Verdict;
use pemm_audit::{Arrays, Audit, Samples, audit};
use pemm_experiment::Experiment;
use pemm_experiment::presets::DEFAULT;
use pemm_runs::RunFolder;
use pemm_runs::folder::ENSEMBLE;

use super::experiment::ExperimentArguments;
use crate::commit::commit;
use crate::console::Console;
use crate::embedding::Features;
use crate::failure::Failure;
use crate::interrupt;
use crate::overwrite::{refuse_existing, remove_if_empty};
use progress::FoldsDisplay;

/// Where audits go that are given no folder.
const AUDITS: &str = "audits";

/// How folds are trained where no preset is named.
const PRESET: &str = "audit";

/// Find the wrong labels: which they are, how many, and which classes are confused
///
/// Trains with each fold held out in turn and lets the model judge the fold that it has not seen.
/// The preset is `audit` if none is named. The same command with the same --out continues where it
/// stopped. The folder then holds label_issues.csv, most doubtful first, audit.json and the page
/// audit.html. Given a run folder, the run's own training samples are judged by the model that was
/// trained on them, which finds fewer; with --probs no model is trained.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    experiment: ExperimentArguments,
    /// Folds of the cross-validation, at least 2
    #[arg(long, value_name = "K", default_value_t = 5)]
    folds: usize,
    /// Folder for the results and the folds' runs; by default a new one under audits/
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Where the data of a run folder are now, if they were moved since the training; --labels, --trusted
    /// and --backbone then say the same of those files
    #[arg(long, value_name = "DATA")]
    data: Option<String>,
    /// Probabilities from elsewhere, one row per training sample and one column per class: .npy or
    /// CSV; without DATA the samples are those of --labels
    #[arg(long, value_name = "FILE")]
    probs: Option<PathBuf>,
    /// Classes of the columns of --probs in their order, separated by commas, where the file does not
    /// name them
    #[arg(long, value_name = "CLASSES", requires = "probs", value_delimiter = ',')]
    columns: Vec<String>,
    /// Order of the rows of --probs and --features, where class folders have numbers in their names
    #[arg(long, value_enum, requires = "probs")]
    rows: Option<RowOrder>,
    /// Features that go with --probs, one row per training sample: .npy or CSV
    #[arg(long, value_name = "FILE", requires = "probs")]
    features: Option<PathBuf>,
    /// Write a labels CSV that `pemm train --labels` takes
    #[arg(long, value_name = "CSV")]
    write_labels: Option<PathBuf>,
    /// What --write-labels does with doubtful labels; weights did best where it was measured
    #[arg(long, value_enum, default_value_t = How::Weight)]
    how: How,
    /// Write the labels CSV even if the models cannot judge the labels
    #[arg(long, requires = "write_labels")]
    write_anyway: bool,
    /// Write a random sample to look at, as a CSV with a column to fill in and a page of the images
    /// beside it
    #[arg(long, value_name = "CSV")]
    write_check: Option<PathBuf>,
    /// Samples of --write-check
    #[arg(long, value_name = "N", default_value_t = 100, requires = "write_check")]
    check_size: usize,
    /// The filled-in file of --write-check: with 30 right labels or more the audit knows how many of all
    /// are wrong
    #[arg(long, value_name = "CSV")]
    checked: Option<PathBuf>,
    /// Keep the models' probabilities and features in the folder, as .npy
    #[arg(long)]
    keep_outputs: bool,
    /// Overwrite existing files
    #[arg(long)]
    force: bool,
    /// Where to compute: cpu, gpu (the first there is), cuda:N or wgpu:N; `pemm devices` lists them
    #[arg(long, default_value = "cpu")]
    device: String,
}

/// Order of the rows of a file from elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RowOrder {
    /// As `pemm noise` lists the samples: folder 2 comes before folder 10
    Counting,
    /// Sorted by path as text, as torchvision and Keras do: folder 10 comes before folder 2
    Text,
}

/// What becomes of doubtful labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum How {
    /// Every sample keeps its label and counts by how probably it is right
    Weight,
    /// Samples that would be changed or dropped count nothing
    Drop,
    /// Labels are changed where that mends far more than it harms; other doubtful ones count nothing
    Correct,
}

impl From<How> for files::How {
    fn from(how: How) -> Self {
        match how {
            How::Weight => Self::Weight,
            How::Drop => Self::Drop,
            How::Correct => Self::Correct,
        }
    }
}

/// Runs the command.
pub(crate) fn run(mut arguments: Arguments, console: &Console) -> Result<(), Failure> {
    if let Some(path) = &arguments.write_labels {
        refuse_existing("--write-labels", path, arguments.force)?;
        check_target("--write-labels", path, arguments.experiment.labels())?;
    }
    if let Some(path) = &arguments.write_check {
        refuse_existing("--write-check", path, arguments.force)?;
        check_target("--write-check", path, arguments.checked.as_deref())?;
    }
    if let Some(path) = arguments.checked.as_ref().filter(|path| !path.is_file()) {
        return Err(Failure::usage(format!("--checked: there is no file {}", path.display())));
    }
    let device = pemm::device::open(&arguments.device)?;
    let run =
        arguments.experiment.input().map(Path::new).filter(|path| RunFolder::open(path).is_ok());
    if let Some(input) = arguments.experiment.input().filter(|path| is_ensemble(path)) {
        return Err(Failure::usage(format!(
            "{input}: holds several runs that predict together, and an audit looks at one: name it, for \
             example {}",
            Path::new(input).join(DEFAULT).display()
        )));
    }
    let (judged, about, out) = if let Some(probabilities) = &arguments.probs {
        let judged = input::from_files(&arguments, probabilities)?;
        (
            judged,
            About {
                origin: Origin::Probabilities,
                data: name(probabilities),
                folds: None,
                experiment: None,
            },
            folder(&arguments)?,
        )
    } else if let Some(run) = run {
        let places = arguments.experiment.places(arguments.data.clone())?;
        refuse_part_of_the_labels(&arguments, run)?;
        let bar = console.counter("images");
        let judged = Features::new(console, None).with(|embedding| {
            in_sample(run, &places, &device, &embedding, &mut |count| bar.inc(count as u64))
        });
        bar.finish_and_clear();
        console.warn("the model was trained on these labels; `pemm audit` with the data in place of the run finds more of the wrong ones");
        super::warn_if_unfinished(&RunFolder::open(run)?.read_record()?, console);
        (
            judged?,
            About { origin: Origin::InSample, data: name(run), folds: None, experiment: None },
            folder(&arguments)?,
        )
    } else {
        if arguments.data.is_some() {
            return Err(Failure::usage("--data: goes with a run folder, whose data it finds"));
        }
        let experiment = arguments.experiment.experiment_by(PRESET)?;
        let out = folder(&arguments)?;
        let data = name(Path::new(&experiment.data.path));
        let value = experiment.value();
        let judged = cross_validated(&arguments, experiment, &out, console).inspect_err(|_| {
            if arguments.out.is_none() {
                remove_if_empty(&out);
            }
        })?;
        (
            judged,
            About {
                origin: Origin::OutOfSample,
                data,
                folds: Some(arguments.folds),
                experiment: Some(value),
            },
            out,
        )
    };
    judged.warnings.iter().for_each(|warning| console.warn(warning));
    let checked = match &arguments.checked {
        Some(path) => Some(checks::read(path, &judged)?),
        None => None,
    };
    let audit = judge(&judged, checked.as_deref())?;
    if let Some(permutation) = &audit.summary.permutation {
        console.warn(&format!(
            "with its columns in another order the probabilities agree with {:.1} % of the labels \
             instead of {:.1} %; name the columns, by a header in a CSV or by --columns",
            100.0 * permutation.agreement_permuted,
            100.0 * permutation.agreement
        ));
    }
    let cannot = audit.summary.judgement.verdict == Verdict::No;
    let refused = arguments.write_labels.take_if(|_| cannot && !arguments.write_anyway);
    let files = output::write(&arguments, &about, &judged, &audit, &out)?;
    let text = output::text(&about, &judged, &audit, &files);
    let Some(refused) = refused else { return console.result(&text, &audit.summary) };
    console.result(&text, &audit.summary)?;
    Err(Failure::new(format!(
        "--write-labels: {} was not written, since the models cannot judge these labels; \
         --write-anyway writes it",
        refused.display()
    )))
}

/// What would keep the labels from being written, before anything is trained.
fn check_target(option: &str, path: &Path, read: Option<&Path>) -> Result<(), Failure> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
        let message = format!("{option}: there is no folder {}", folder.display());
        return Err(Failure::usage(message));
    }
    let is_input = |read: &Path| {
        read.canonicalize().is_ok_and(|read| path.canonicalize().is_ok_and(|path| path == read))
    };
    if read.is_some_and(is_input) {
        let message = format!(
            "{option}: this file is read, too; choose another, so that the labels in it are not lost"
        );
        return Err(Failure::usage(message));
    }
    Ok(())
}

/// A labels file has to have every sample; a run says nothing about those that it held out.
fn refuse_part_of_the_labels(arguments: &Arguments, run: &Path) -> Result<(), Failure> {
    let num_val = RunFolder::open(run)?.read_record()?.data.num_val;
    if arguments.write_labels.is_none() || num_val == 0 {
        return Ok(());
    }
    let message = format!(
        "--write-labels: {} held out {num_val} samples for validation, which an audit of the run \
         leaves out; audit the data itself",
        run.display()
    );
    Err(Failure::usage(message))
}

/// The last part of a path, for people.
fn name(path: &Path) -> String {
    path.file_name()
        .map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into())
}

/// Where the audit goes: the folder that the user named, or a fresh one.
fn folder(arguments: &Arguments) -> Result<PathBuf, Failure> {
    match &arguments.out {
        Some(out) => Ok(out.clone()),
        None => Ok(RunFolder::fresh_under(Path::new(AUDITS), "audit")?),
    }
}

/// Trains one model per fold, or continues, and gathers what each says of the fold held out.
fn cross_validated(
    arguments: &Arguments,
    mut experiment: Experiment,
    out: &Path,
    console: &Console,
) -> Result<SamplePredictions, Failure> {
    if arguments.folds < 2 {
        return Err(Failure::usage(format!("--folds: must be at least 2, is {}", arguments.folds)));
    }
    if experiment.data.fold.is_some() {
        return Err(Failure::usage(
            "data.fold: goes with `pemm train`; an audit goes over all folds",
        ));
    }
    // Nothing here looks at the test part, so it is scored once, at the end of each fold.
    experiment.schedule.score_every = 0;
    let folds = out.join("folds");
    if arguments.out.is_none() {
        interrupt::leave_nothing_empty(out);
    }
    let cancel = interrupt::watch()?;
    let mut progress = FoldsDisplay::new(console, arguments.folds);
    let features = Features::new(console, Some(cancel));
    let judged = features.with(|embedding| {
        let (out, device) = (&folds, arguments.device.as_str());
        let options = RunOptions { out, device, git: commit(), cancel, embedding };
        out_of_sample(&experiment, arguments.folds, &options, &mut |fold, event| {
            progress.show(fold, event);
        })
    });
    progress.finish();
    judged?.ok_or_else(|| {
        let out = out.display();
        Failure::interrupted(format!("the same command with --out {out} continues"))
    })
}

fn judge(judged: &SamplePredictions, checked: Option<&[u32]>) -> Result<Audit, Failure> {
    let predictions = &judged.predictions;
    let arrays = Arrays {
        num_classes: predictions.num_classes,
        given: &judged.given,
        probabilities: &predictions.probabilities,
        num_features: predictions.num_features,
        features: (predictions.num_features > 0).then_some(&predictions.features[..]),
        distances: predictions.distances.as_deref(),
        margins: judged.margins.as_deref(),
        models: Some(&judged.models),
        checked,
        ..Arrays::default()
    };
    Ok(audit(&Samples::new(arrays)?))
}

/// Whether `path` is the folder of runs that predict together.
fn is_ensemble(path: &str) -> bool {
    Path::new(path).join(ENSEMBLE).is_file()
}
