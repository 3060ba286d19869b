//! `pemm table`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use pemm_experiment::grid::TableConfig;
use pemm_experiment::identity::{flatten, is_under};
use pemm_runs::found::{record_file, records};
use pemm_runs::tables::{json, settings, settings_text};
use pemm_runs::{Judge, Record, RunError, Table};

use super::grid::{default_folder, open};
use crate::console::Console;
use crate::failure::Failure;

/// Compare runs: mean ± standard deviation over seeds, last epoch first
///
/// Given a grid file, it takes the finished runs from their folders, or from a folder of records.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// A grid file, or run folders, record files, or folders that hold those
    #[arg(required = true, value_name = "GRID.toml|RUN")]
    runs: Vec<PathBuf>,
    /// Folder of a grid's runs or records; by default runs/GRID
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Form of the output; --json gives one value per column, arm and way to choose the epoch
    #[arg(long, value_enum, default_value_t = Format::Markdown)]
    format: Format,
    /// Epochs by which the runs are judged; by default all three, each by itself
    #[arg(long, value_enum, value_delimiter = ',')]
    judge: Vec<JudgeName>,
    /// What to rank: arms by test accuracy, or the settings of each arm by noisy validation, the
    /// test set unseen
    #[arg(long, value_enum, default_value_t = By::Test)]
    by: By,
    /// Give each setting of an arm a row of its own
    #[arg(long)]
    settings: bool,
    /// Keys in which the protocols of one column may differ
    #[arg(long, value_name = "KEY")]
    allow: Vec<String>,
    /// A grid file or a folder with the runs of a search, so that the table says how many settings were
    /// tried for each arm. May be given several times
    #[arg(long, value_name = "GRID.toml|DIR")]
    trials: Vec<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
enum Format {
    /// For reading
    Markdown,
    /// One row per column and arm
    Csv,
    /// One row per run
    Runs,
    /// For a paper; needs the package booktabs
    Latex,
}

#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
enum By {
    /// Arms by test accuracy
    Test,
    /// Settings by noisy validation
    Val,
}

#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
enum JudgeName {
    /// The last epoch
    Last,
    /// The best by noisy validation
    Val,
    /// The best on the test set, which nobody can choose in practice
    Oracle,
}

impl JudgeName {
    fn judge(self) -> Judge {
        match self {
            Self::Last => Judge::Last,
            Self::Val => Judge::BestByNoisyVal,
            Self::Oracle => Judge::OracleBestOnTest,
        }
    }
}

type Runs = Vec<(PathBuf, Record)>;

/// Runs the command.
pub(crate) fn run(arguments: Arguments, console: &Console) -> Result<(), Failure> {
    let mut found = Found::default();
    for path in &arguments.runs {
        found.add(path, arguments.out.as_deref(), console)?;
    }
    let Found { mut runs, config } = found;
    if arguments.by == By::Val {
        let others = [
            ("--allow", !arguments.allow.is_empty()),
            ("--judge", !arguments.judge.is_empty()),
            ("--settings", arguments.settings),
            ("--trials", !arguments.trials.is_empty()),
        ];
        if let Some((flag, _)) = others.iter().find(|(_, is_given)| *is_given) {
            return Err(Failure::usage(format!(
                "--by val ranks settings; {flag} is for --by test"
            )));
        }
        return ranking(&runs, arguments.format, console);
    }
    let allow = [arguments.allow, config.allow].concat();
    warn_of_unknown(&allow, &runs, console);
    let by_settings = arguments.settings || config.settings;
    if by_settings {
        settings::as_arms(&mut runs);
    }
    let mut table = Table::of(&runs, &allow).map_err(|error| {
        let is_of_settings =
            matches!(error, RunError::ProtocolDiffers { .. } | RunError::Duplicate { .. });
        if by_settings || !is_of_settings {
            return error.into();
        }
        let hint = "if an arm was run with several settings, --settings makes a row of each";
        Failure::new(format!("{error}\n{hint}"))
    })?;
    table.trials = config.trials;
    let mut search = Found::default();
    for path in &arguments.trials {
        search.add(path, None, console)?;
    }
    table.trials.extend(settings::trials(&search.runs));
    if console.json() {
        return lines(table.json_lines(), console);
    }
    let judges: Vec<Judge> = match arguments.judge.as_slice() {
        [] => Judge::ALL.into(),
        judges => judges.iter().map(|judge| judge.judge()).collect(),
    };
    let text = match arguments.format {
        Format::Markdown => table.markdown(&judges),
        Format::Csv => table.csv_summary(),
        Format::Runs => table.csv_rows(),
        Format::Latex => table.latex(&judges),
    };
    console.line(text.trim_end())
}

/// A key that no run has may be a mistake in typing.
fn warn_of_unknown(allow: &[String], runs: &Runs, console: &Console) {
    let keys: BTreeSet<String> =
        runs.iter().flat_map(|(_, record)| flatten(&record.experiment).into_keys()).collect();
    for name in allow.iter().filter(|name| !keys.iter().any(|key| is_under(key, name))) {
        console.warn(&format!("--allow {name}: no run has such a key or section"));
    }
}

/// The settings of each arm by noisy validation.
fn ranking(runs: &Runs, format: Format, console: &Console) -> Result<(), Failure> {
    let ranked = settings::rank(runs)?;
    if ranked.is_empty() {
        let message = "--by val: no finished run has a validation part (data.val_rate above 0)";
        return Err(Failure::new(message));
    }
    if console.json() {
        return lines(json::ranking(&ranked), console);
    }
    match format {
        Format::Markdown => console.line(settings_text::markdown(&ranked).trim_end()),
        Format::Csv => console.line(settings_text::csv(&ranked).trim_end()),
        Format::Runs | Format::Latex => {
            Err(Failure::usage("--by val: --format is markdown or csv, or use --json"))
        }
    }
}

fn lines(values: Vec<serde_json::Value>, console: &Console) -> Result<(), Failure> {
    values.into_iter().try_for_each(|value| console.line(&value.to_string()))
}

/// Runs that were found, and what their grid files say about tables.
#[derive(Default)]
struct Found {
    runs: Runs,
    config: TableConfig,
}

impl Found {
    /// Adds what lies at `path`: the runs of a grid file, or what [`read`] finds.
    fn add(&mut self, path: &Path, out: Option<&Path>, console: &Console) -> Result<(), Failure> {
        // Records are JSON, so a TOML file is meant as a grid, and what is wrong with it is said.
        if path.extension().is_some_and(|extension| extension == "toml") {
            self.add_grid(path, out, console)?;
        } else {
            self.runs.extend(read(path)?);
        }
        Ok(())
    }

    fn add_grid(
        &mut self,
        file: &Path,
        out: Option<&Path>,
        console: &Console,
    ) -> Result<(), Failure> {
        let opened = open(file)?;
        let folder = out.map_or_else(|| default_folder(file), Path::to_path_buf);
        let mut missing = 0;
        for cell in &opened.cells {
            let run = folder.join(&cell.name);
            let kept = record_file(&folder, &cell.name);
            let path = if run.join(pemm_runs::folder::RECORD).is_file() { run } else { kept };
            if !path.exists() {
                missing += 1;
                continue;
            }
            let found = read(&path)?;
            for (path, record) in &found {
                record.check_same(&cell.experiment, path)?;
            }
            self.runs.extend(found);
        }
        let total = opened.cells.len();
        if missing == total {
            let message = format!(
                "{}: no run of {} is there; `pemm grid` runs them; give their folder with --out",
                folder.display(),
                file.display()
            );
            return Err(Failure::usage(message));
        }
        if missing > 0 {
            console.warn(&format!(
                "{missing} of the {total} runs of {} are not there yet",
                file.display()
            ));
        }
        self.config.settings |= opened.table.settings;
        self.config.allow.extend(opened.table.allow);
        self.config.trials.extend(opened.table.trials);
        Ok(())
    }
}

/// What lies at `path`; a record that cannot be read is an error.
fn read(path: &Path) -> Result<Runs, Failure> {
    let listed = records(path)?.into_iter();
    Ok(listed.map(|(path, record)| Ok((path, record?))).collect::<Result<_, RunError>>()?)
}
