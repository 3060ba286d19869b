//! `pemm report`.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use pemm::places::Places;
use pemm_report::chart::{Data, Figure};
use pemm_report::run::{Options, Stored};
use pemm_report::runs::Runs;
use pemm_report::{Report, page};
use pemm_runs::folder::{ENSEMBLE, EXPERIMENT, OUTPUTS, RECORD, REPORT};
use pemm_runs::{Outputs, Record, RunFolder, ordinary, write};

use super::places::PlacesArguments;
use crate::console::Console;
use crate::embedding::Features;
use crate::failure::Failure;
use crate::overwrite::refuse_existing;

/// Make a page, or pictures, of a run or of a folder of runs
///
/// The page is one file that loads nothing from elsewhere. Its map of the features, confusion matrix and
/// doubtful samples need stored outputs, which `pemm train` writes where they are small; --outputs makes
/// them afterwards, from weights and data.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// A run folder, a record file, or a folder that holds several
    #[arg(value_name = "RUN|FOLDER")]
    path: PathBuf,
    /// Where to write: a file for html (by default report.html in the run or folder), else a folder
    /// (by default figures/ in it)
    #[arg(long, value_name = "PATH")]
    out: Option<PathBuf>,
    /// What to write
    #[arg(long, value_enum, default_value_t = Format::Html)]
    format: Format,
    /// Replace what is there, even if pemm did not make it
    #[arg(long)]
    force: bool,
    /// First store the model's predictions for every sample (of several runs, where they are missing);
    /// needs their data
    #[arg(long)]
    outputs: bool,
    #[command(flatten)]
    places: PlacesArguments,
    /// Samples in a map of the features, at most 10000; 0 draws none
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    points: usize,
    /// Keys in which the runs of one table column may differ, as for `pemm table`
    #[arg(long, value_name = "KEY")]
    allow: Vec<String>,
    /// Where to compute --outputs: cpu, gpu (the first there is), cuda:N or wgpu:N
    #[arg(long, default_value = "cpu")]
    device: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One page
    Html,
    /// Every figure as a file
    Svg,
    /// Every figure as pixels; needs a build with --features png
    Png,
    /// The numbers of every figure and table
    Csv,
}

/// Runs the command.
pub(crate) fn run(arguments: Arguments, console: &Console) -> Result<(), Failure> {
    let out = destination(&arguments)?;
    if arguments.places.are_given() && !arguments.outputs {
        let message = "--data, --labels, --trusted and --backbone go with --outputs; a report without it \
                       does not look at the data";
        return Err(Failure::usage(message));
    }
    if arguments.outputs {
        // Of one run they are made anew, of many where they are missing.
        let runs = runs(&arguments.path)?;
        let is_one = runs.len() == 1;
        for run in runs {
            if is_one || !has_outputs(&run, &RunFolder::open(&run)?.read_record()?) {
                store_outputs(&run, &arguments.places.places(), &arguments.device, console)?;
            }
        }
    }
    let report = make(&arguments.path, &arguments.allow, arguments.points, console)?;
    let written = match arguments.format {
        Format::Html => {
            write::atomic(&out, report.html().as_bytes())?;
            vec![out]
        }
        Format::Svg => {
            let svg = |f: &Figure| (format!("{}.svg", f.name), f.standalone().into_bytes());
            write_all(&out, report.figures().map(svg))?
        }
        Format::Png => write_all(&out, pixels(&report)?.into_iter())?,
        Format::Csv => {
            let csv = |name: &str, data: &Data| (format!("{name}.csv"), data.csv().into_bytes());
            let figures = report.figures().map(|figure| csv(&figure.name, &figure.data));
            let tables = report.tables().map(|table| csv(&table.name, &table.data));
            write_all(&out, figures.chain(tables))?
        }
    };
    let names: Vec<String> = written.iter().map(|path| path.display().to_string()).collect();
    console.result(&names.join("\n"), &names)
}

/// Where to write. What the user named is replaced only with `--force`.
fn destination(arguments: &Arguments) -> Result<PathBuf, Failure> {
    let name = if arguments.format == Format::Html { REPORT } else { "figures" };
    match &arguments.out {
        Some(out) => {
            refuse_existing("--out", out, arguments.force)?;
            Ok(out.clone())
        }
        None if arguments.path.is_dir() => {
            let out = arguments.path.join(name);
            if !arguments.force && !is_ours(&out) {
                return Err(Failure::usage(format!(
                    "{} was not made by `pemm report`; --out names another place, and --force \
                     replaces it",
                    out.display()
                )));
            }
            Ok(out)
        }
        None if !arguments.path.exists() => Err(Failure::usage(format!(
            "{}: there is no such file or folder",
            arguments.path.display()
        ))),
        None => Err(Failure::usage(format!(
            "{}: for a record file, say with --out where to write the report",
            arguments.path.display()
        ))),
    }
}

/// In a folder of figures that `pemm report` made, and in no other.
const MARK: &str = ".pemm-report";

/// Whether `pemm report` made what is at `path`, a page or a folder of figures, or nothing is there.
fn is_ours(path: &Path) -> bool {
    match path.symlink_metadata() {
        Err(_) => true,
        Ok(data) if data.is_dir() => {
            path.join(MARK).is_file()
                || path.read_dir().is_ok_and(|mut inside| inside.next().is_none())
        }
        Ok(_) => ordinary::read(path).is_ok_and(|page| page::is_ours(&page)),
    }
}

fn write_all(
    folder: &Path,
    files: impl Iterator<Item = (String, Vec<u8>)>,
) -> Result<Vec<PathBuf>, Failure> {
    let failed = |error| Failure::new(format!("{}: {error}", folder.display()));
    pemm_data::disk::make_folder(folder).map_err(failed)?;
    write::atomic(&folder.join(MARK), b"")?;
    let mut written = Vec::new();
    for (name, bytes) in files {
        let path = folder.join(name);
        write::atomic(&path, &bytes)?;
        written.push(path);
    }
    Ok(written)
}

/// Every figure as PNG.
#[cfg(feature = "png")]
fn pixels(report: &Report) -> Result<Vec<(String, Vec<u8>)>, Failure> {
    let painter = pemm_report::pixels::Painter::new()?;
    let png = |f: &Figure| Ok((format!("{}.png", f.name), painter.png(f)?));
    report.figures().map(png).collect()
}

/// Every figure as PNG: not in this build.
#[cfg(not(feature = "png"))]
fn pixels(_: &Report) -> Result<Vec<(String, Vec<u8>)>, Failure> {
    let message = "--format png: this pemm was built without it; use svg, or build with \
                   `cargo build --release --features png`";
    Err(Failure::usage(message))
}

/// The report on a run, or on the runs of a folder.
fn make(
    path: &Path,
    allow: &[String],
    num_points: usize,
    console: &Console,
) -> Result<Report, Failure> {
    let bar = console.bar(0, "rounds of mapping the features");
    let mut on_round = |done: usize, all: usize| {
        bar.set_length(all as u64);
        bar.set_position(done as u64);
    };
    let mut options = Options { num_points, on_round: &mut on_round };
    let report = if is_run(path) {
        pemm_report::run::report(&Stored::read(path)?, &mut options)
    } else {
        pemm_report::runs::report(&Runs::read(path)?, allow, &mut options)
    };
    bar.finish_and_clear();
    Ok(report)
}

/// The run folder `path`, or those in it.
fn runs(path: &Path) -> Result<Vec<PathBuf>, Failure> {
    if path.is_file() {
        let message = format!("--outputs: {} is a record without weights", path.display());
        return Err(Failure::usage(message));
    }
    if is_run(path) {
        return Ok(vec![path.to_owned()]);
    }
    let all = Runs::read(path)?.runs.into_iter().map(|(path, _)| path);
    Ok(all.filter(|path| path.is_dir()).collect())
}

/// Whether `path` is one run: a record file, or a folder in which a run has started.
fn is_run(path: &Path) -> bool {
    path.is_file() || path.join(RECORD).is_file() || path.join(EXPERIMENT).is_file()
}

/// Stores the outputs of the run in `path`, whose data are at `places`.
pub(crate) fn store_outputs(
    path: &Path,
    places: &Places,
    device: &str,
    console: &Console,
) -> Result<(), Failure> {
    let device = pemm::device::open(device)?;
    let bar = console.counter("samples");
    let written = Features::new(console, None).with(|embedding| {
        let mut count = |samples| bar.inc(samples as u64);
        pemm::outputs::write_outputs(path, places, &device, &embedding, &mut count)
    });
    bar.finish_and_clear();
    let (_, warnings) = written?;
    warnings.iter().for_each(|warning| console.warn(warning));
    Ok(())
}

/// Writes the report of the run in `folder`, or of the runs in it that predict together, into the folder. A report is no reason to end a run:
/// what goes wrong is a warning.
pub(crate) fn refresh(folder: &Path, num_points: usize, console: &Console) {
    if !folder.join(RECORD).is_file() && !folder.join(ENSEMBLE).is_file() {
        return;
    }
    let page = folder.join(REPORT);
    if !is_ours(&page) {
        return console.warn(&format!(
            "no report: {} was not made by pemm; move it away, and `pemm report` writes one",
            page.display()
        ));
    }
    let written = make(folder, &[], num_points, console)
        .and_then(|report| Ok(write::atomic(&page, report.html().as_bytes())?));
    if let Err(failure) = written {
        console.warn(&format!("no report: {}", failure.message()));
    }
}

/// Whether `folder` holds the outputs of the weights that the run of `record` returns.
pub(crate) fn has_outputs(folder: &Path, record: &Record) -> bool {
    Outputs::read(&folder.join(OUTPUTS)).is_ok_and(|outputs| {
        outputs.check_run(record).is_ok() && outputs.are_of_the_last_weights(record)
    })
}
