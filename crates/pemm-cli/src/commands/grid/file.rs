//! The grid file as an argument, and the choice among its runs.

use std::cmp::Ordering;
use std::path::{Path, PathBuf};

use clap::Args;
use pemm_experiment::Grid;
use pemm_experiment::grid::Cell;
use pemm_experiment::identity::flatten;
use serde_json::Value;

use crate::failure::Failure;

/// Where the runs of a grid go that is given no folder.
const RUNS: &str = "runs";

/// A grid and the folder of its runs.
#[derive(Debug, Args)]
pub(crate) struct GridArguments {
    /// The grid file, with `[base]` and `[[axis]]`
    #[arg(value_name = "GRID.toml")]
    file: PathBuf,
    /// Folder of the runs, one folder each; by default runs/GRID
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Only runs with these values, for example arm=ce,seed=1; a key given twice means either
    #[arg(long, value_name = "KEY=VALUE", value_delimiter = ',')]
    only: Vec<String>,
}

impl GridArguments {
    /// Reads the file and all its experiments; of its runs those of `--only`, if given.
    pub(crate) fn open(&self) -> Result<Grid, Failure> {
        let mut grid = open(&self.file)?;
        grid.cells = chosen(grid.cells, &self.only)?;
        Ok(grid)
    }

    /// The grid file.
    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    /// The folder of the runs.
    pub(crate) fn out(&self) -> PathBuf {
        self.out.clone().unwrap_or_else(|| default_folder(&self.file))
    }
}

/// Reads a grid file and all its experiments.
pub(crate) fn open(file: &Path) -> Result<Grid, Failure> {
    let text = std::fs::read_to_string(file).map_err(|error| Failure::unread(file, &error))?;
    let origin = file.display().to_string();
    if !Grid::is_grid(&text) && text.parse::<toml::Table>().is_ok() {
        let message = "is not a grid file: it has neither [base] nor [[axis]]; `pemm train` runs a single \
                       experiment";
        return Err(Failure::usage(format!("{origin}: {message}")));
    }
    Ok(Grid::parse(&origin, &text)?)
}

/// `runs/` and the name of the grid file.
pub(crate) fn default_folder(file: &Path) -> PathBuf {
    Path::new(RUNS).join(file.file_stem().unwrap_or_default())
}

/// So many values of a key are named where none is the one that was asked for.
const SHOWN: usize = 10;

/// The cells that every key of `only` lets through.
fn chosen(cells: Vec<Cell>, only: &[String]) -> Result<Vec<Cell>, Failure> {
    if only.is_empty() {
        return Ok(cells);
    }
    let wanted: Vec<(&str, &str)> = only
        .iter()
        .map(|pair| pair.split_once('=').map(|(key, value)| (key.trim(), value.trim())))
        .collect::<Option<_>>()
        .ok_or_else(|| Failure::usage("--only: expected KEY=VALUE, for example arm=ce"))?;
    for &(key, value) in &wanted {
        let values: Vec<Value> = cells.iter().filter_map(|cell| value_of(cell, key)).collect();
        if values.is_empty() {
            let message = format!("--only {key}={value}: no run of the grid has the key `{key}`");
            return Err(Failure::usage(message));
        }
        if !values.iter().any(|found| is(found, value)) {
            let mut known: Vec<String> = values.iter().map(plain).collect();
            // Numbers by their size and before words: by size or by letters as it comes is no order.
            known.sort_by(|a, b| match (a.parse::<f64>(), b.parse::<f64>()) {
                (Ok(a), Ok(b)) => a.total_cmp(&b),
                (Ok(_), Err(_)) => Ordering::Less,
                (Err(_), Ok(_)) => Ordering::Greater,
                (Err(_), Err(_)) => a.cmp(b),
            });
            known.dedup();
            let others = match known.len().saturating_sub(SHOWN) {
                0 => String::new(),
                others => format!(" and {others} others"),
            };
            known.truncate(SHOWN);
            let known = known.join(", ");
            let message = format!("--only {key}={value}: the grid has {key} {known}{others}");
            return Err(Failure::usage(message));
        }
    }
    let lets_through = |cell: &Cell, key: &str| {
        let found = value_of(cell, key);
        let mut values = wanted.iter().filter(|(name, _)| *name == key);
        found.is_some_and(|found| values.any(|(_, value)| is(&found, value)))
    };
    let chosen: Vec<Cell> = cells
        .into_iter()
        .filter(|cell| wanted.iter().all(|(key, _)| lets_through(cell, key)))
        .collect();
    if chosen.is_empty() {
        return Err(Failure::usage("--only: no run of the grid has all of these values"));
    }
    Ok(chosen)
}

fn value_of(cell: &Cell, key: &str) -> Option<Value> {
    match key {
        "arm" => Some(cell.experiment.arm().into()),
        "name" => Some(cell.name.as_str().into()),
        _ => flatten(&cell.experiment.value()).remove(key).filter(|value| !value.is_null()),
    }
}

/// Numbers by value, everything else by how it is written.
fn is(found: &Value, wanted: &str) -> bool {
    match (found.as_f64(), wanted.parse::<f64>()) {
        (Some(found), Ok(wanted)) => found == wanted,
        _ => plain(found) == wanted,
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
