//! The arguments that describe an experiment, shared by `train`, `explain` and `noise`.

use std::path::{Path, PathBuf};

use clap::Args;
use pemm_data::config::NoiseConfig;
use pemm_data::source::nearest_sibling;
use pemm_experiment::{Experiment, Grid, Layer};
use toml::{Table, Value};

use crate::failure::Failure;

/// What to train on what.
#[derive(Debug, Args)]
pub(crate) struct ExperimentArguments {
    /// An experiment file (.toml), or the data: `digits`, or a folder or file
    #[arg(value_name = "EXPERIMENT.toml|DATA")]
    input: Option<String>,
    /// CSV that replaces the training labels: path or index, label, and optionally weight and clean
    #[arg(long, value_name = "CSV")]
    labels: Option<PathBuf>,
    /// Column of the labels CSV that holds the label
    #[arg(long, value_name = "NAME")]
    label_column: Option<String>,
    /// Label noise to draw, for example symmetric:0.4
    #[arg(long, value_name = "KIND:RATE")]
    noise: Option<String>,
    /// A method with its constants and recipe, for example pemm, paper, sce or ce; `pemm methods`
    /// lists all
    #[arg(long, value_name = "NAME")]
    preset: Option<String>,
    /// Opens every random stream
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Sets any key, for example optim.learning_rate=0.05; the last of several wins
    #[arg(long = "set", value_name = "KEY=VALUE")]
    assignments: Vec<String>,
}

impl ExperimentArguments {
    /// The experiment file, data or run folder, as it was written.
    pub(crate) fn input(&self) -> Option<&str> {
        self.input.as_deref()
    }

    /// The labels CSV.
    pub(crate) fn labels(&self) -> Option<&Path> {
        self.labels.as_deref()
    }

    /// Column of the labels CSV that holds the label.
    pub(crate) fn label_column(&self) -> &str {
        self.label_column.as_deref().unwrap_or("label")
    }

    /// The input, if it is a grid file; nothing lies over a grid.
    pub(crate) fn grid(&self) -> Result<Option<&Path>, Failure> {
        let Some(input) = self.input.as_deref().filter(|input| is_experiment(input)) else {
            return Ok(None);
        };
        if !std::fs::read_to_string(input).is_ok_and(|text| Grid::is_grid(&text)) {
            return Ok(None);
        }
        let Self { labels, label_column, noise, preset, seed, assignments, .. } = self;
        let is_bare = labels.is_none()
            && label_column.is_none()
            && noise.is_none()
            && preset.is_none()
            && seed.is_none()
            && assignments.is_empty();
        if !is_bare {
            let message =
                "is a grid: its runs are set in its file alone, take the other arguments out";
            return Err(Failure::usage(format!("{input}: {message}")));
        }
        Ok(Some(Path::new(input)))
    }

    /// The experiment: preset, file, arguments and `--set`, each over the one before.
    pub(crate) fn experiment(&self) -> Result<Experiment, Failure> {
        self.experiment_over(Vec::new())
    }

    /// The experiment with another preset than the default where none is named.
    pub(crate) fn experiment_by(&self, preset: &str) -> Result<Experiment, Failure> {
        let mut table = Table::new();
        insert(&mut table, "preset", preset);
        self.experiment_over(vec![Layer::from_experiment_keys(table)?])
    }

    fn experiment_over(&self, mut layers: Vec<Layer>) -> Result<Experiment, Failure> {
        let mut data = Table::new();
        match self.input.as_deref() {
            Some(input) if is_experiment(input) => layers.push(read(Path::new(input))?),
            Some(input) => insert(&mut data, "path", input),
            None => {}
        }
        if let Some(labels) = &self.labels {
            insert(&mut data, "labels", &labels.to_string_lossy());
        }
        if let Some(column) = &self.label_column {
            insert(&mut data, "label_column", column);
        }
        let mut table = Table::new();
        if !data.is_empty() {
            table.insert("data".into(), Value::Table(data));
        }
        if let Some(noise) = &self.noise {
            let noise: NoiseConfig = noise.parse()?;
            let noise = Table::try_from(noise).expect("a noise configuration is plain data");
            table.insert("noise".into(), Value::Table(noise));
        }
        if let Some(preset) = &self.preset {
            insert(&mut table, "preset", preset);
        }
        if let Some(seed) = self.seed {
            let seed = i64::try_from(seed)
                .map_err(|_| Failure::usage(format!("--seed: must be below 2^63, is {seed}")))?;
            table.insert("seed".into(), Value::Integer(seed));
        }
        let mut arguments = Layer::from_experiment_keys(table)?;
        for assignment in &self.assignments {
            arguments = arguments.over(Layer::from_assignment(assignment)?);
        }
        layers.push(arguments);
        let experiment = Experiment::from_layers(&layers)?;
        if self.label_column.is_some() && experiment.data.labels.is_none() {
            let message = "--label-column: there is no labels file; add --labels CSV";
            return Err(Failure::usage(message));
        }
        Ok(experiment)
    }
}

fn insert(table: &mut Table, key: &str, value: &str) {
    table.insert(key.into(), Value::String(value.to_owned()));
}

fn is_experiment(input: &str) -> bool {
    Path::new(input).extension().is_some_and(|extension| extension == "toml")
}

fn read(path: &Path) -> Result<Layer, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        let near = if path.exists() { None } else { nearest_sibling(path) };
        let hint = near.map(|near| format!("; did you mean {}?", near.display()));
        Failure::usage(format!("{}: {error}{}", path.display(), hint.unwrap_or_default()))
    })?;
    if Grid::is_grid(&text) {
        let message = "is a grid of runs: `pemm grid` runs them, `pemm explain` shows them";
        return Err(Failure::usage(format!("{}: {message}", path.display())));
    }
    Ok(Layer::from_text(&path.display().to_string(), &text)?)
}
