//! The arguments that describe an experiment, shared by `train`, `explain` and `noise`.

use std::path::{Path, PathBuf};

use clap::{Args, ValueHint};
use pemm::places::Places;
use pemm_data::config::NoiseConfig;
use pemm_data::source::is_embedding;
use pemm_experiment::{Auto, Experiment, Grid, Layer, auto};
use toml::{Table, Value};

use crate::failure::Failure;
use crate::offered::Offered;

/// What to train on what.
#[derive(Debug, Args)]
pub(crate) struct ExperimentArguments {
    /// An experiment file (.toml), or the data: `digits`, or a folder or file
    #[arg(value_name = "EXPERIMENT.toml|DATA")]
    input: Option<String>,
    /// CSV that replaces the training labels: path or index, label, and optionally weight, clean and
    /// trusted
    #[arg(long, value_name = "CSV", value_hint = ValueHint::FilePath)]
    labels: Option<PathBuf>,
    /// CSV of training samples whose label is known to be right: path or index, and that label
    #[arg(long, value_name = "CSV")]
    trusted: Option<PathBuf>,
    /// Column of the labels CSV that holds the label
    #[arg(long, value_name = "NAME")]
    label_column: Option<String>,
    /// Makes labels wrong on purpose before the training, for example symmetric:0.4
    #[arg(long, value_name = "KIND:RATE", value_parser = Offered::noises(), hide_possible_values = true)]
    noise: Option<String>,
    /// A method with its constants, for example pemm, paper, sce or ce; `pemm methods` lists all. With
    /// auto, `pemm train` trains three, which then predict together
    #[arg(long, value_name = "NAME", value_parser = Offered::presets(), hide_possible_values = true)]
    preset: Option<String>,
    /// A pretrained network that turns images into features, an ONNX file; training and audit then
    /// take seconds
    #[arg(long, value_name = "FILE.onnx", value_hint = ValueHint::FilePath)]
    backbone: Option<String>,
    /// Fixes all random choices: the same number gives the same result
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// How often to go through all training samples (schedule.num_epochs)
    #[arg(long, value_name = "N")]
    epochs: Option<usize>,
    /// Height and width to which every image is resized, for example 64 or 48x64 (data.resize)
    #[arg(long, value_name = "PIXELS", value_parser = size)]
    size: Option<Size>,
    /// Learning rate (optim.learning_rate)
    #[arg(long, value_name = "RATE", allow_negative_numbers = true)]
    lr: Option<f64>,
    /// Samples used per training step (schedule.batch_size)
    #[arg(long, value_name = "N")]
    batch: Option<usize>,
    /// Sets any key, for example optim.learning_rate=0.05; the last of several wins
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = Offered::keys(), hide_possible_values = true)]
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
        let Self { labels, label_column, noise, preset, backbone, seed, assignments, .. } = self;
        let Self { epochs, size, lr, batch, trusted, .. } = self;
        let is_bare = labels.is_none()
            && trusted.is_none()
            && epochs.is_none()
            && size.is_none()
            && lr.is_none()
            && batch.is_none()
            && label_column.is_none()
            && noise.is_none()
            && preset.is_none()
            && backbone.is_none()
            && seed.is_none()
            && assignments.is_empty();
        if !is_bare {
            let message =
                "is a grid: its runs are set in its file alone, take the other arguments out";
            return Err(Failure::usage(format!("{input}: {message}")));
        }
        Ok(Some(Path::new(input)))
    }

    /// Where the files of a run folder are now, which is the input; `data` is there. Nothing else of a run
    /// can be chosen any more.
    pub(crate) fn places(&self, data: Option<String>) -> Result<Places, Failure> {
        let Self { labels, trusted, backbone, .. } = self;
        let settings = [
            ("--label-column", self.label_column.is_some()),
            ("--noise", self.noise.is_some()),
            ("--preset", self.preset.is_some()),
            ("--seed", self.seed.is_some()),
            ("--epochs", self.epochs.is_some()),
            ("--size", self.size.is_some()),
            ("--lr", self.lr.is_some()),
            ("--batch", self.batch.is_some()),
            ("--set", !self.assignments.is_empty()),
        ];
        if let Some((name, _)) = settings.iter().find(|(_, is_given)| *is_given) {
            return Err(Failure::usage(format!(
                "{name}: {} is a run, and its settings are those that it was trained with",
                self.input.as_deref().unwrap_or_default()
            )));
        }
        let (labels, trusted) = (labels.clone(), trusted.clone());
        Ok(Places { data, labels, trusted, backbone: backbone.clone() })
    }

    /// The experiment: preset, file, arguments and `--set`, each over the one before.
    pub(crate) fn experiment(&self) -> Result<Experiment, Failure> {
        self.experiment_of(&self.layers()?)
    }

    /// The same, or with `--preset auto` those that predict together.
    pub(crate) fn wanted(&self) -> Result<Wanted, Failure> {
        let layers = self.layers()?;
        if Auto::is_asked_for(&layers) {
            let auto = Auto::from_layers(&layers)?;
            self.check_label_column(&auto.members()[0])?;
            return Ok(Wanted::Together(auto));
        }
        Ok(Wanted::One(Box::new(self.experiment_of(&layers)?)))
    }

    /// The experiment with another preset than the default where none is named.
    pub(crate) fn experiment_by(&self, preset: &str) -> Result<Experiment, Failure> {
        let mut table = Table::new();
        insert(&mut table, "preset", preset);
        let mut layers = vec![Layer::from_experiment_keys(table)?];
        layers.extend(self.layers()?);
        self.experiment_of(&layers)
    }

    fn experiment_of(&self, layers: &[Layer]) -> Result<Experiment, Failure> {
        let experiment = Experiment::from_layers(layers)?;
        self.check_label_column(&experiment)?;
        Ok(experiment)
    }

    fn check_label_column(&self, experiment: &Experiment) -> Result<(), Failure> {
        if self.label_column.is_some() && experiment.data.labels.is_none() {
            let message = "--label-column: there is no labels file; add --labels CSV";
            return Err(Failure::usage(message));
        }
        Ok(())
    }

    /// File and arguments, each over the one before.
    fn layers(&self) -> Result<Vec<Layer>, Failure> {
        let mut layers = Vec::new();
        let mut data = Table::new();
        match self.input.as_deref() {
            Some(input) if is_experiment(input) => layers.push(read(Path::new(input))?),
            Some(input) => insert(&mut data, "path", input),
            None => {}
        }
        if let Some(labels) = &self.labels {
            insert(&mut data, "labels", &labels.to_string_lossy());
        }
        if let Some(trusted) = &self.trusted {
            insert(&mut data, "trusted", &trusted.to_string_lossy());
        }
        if let Some(column) = &self.label_column {
            insert(&mut data, "label_column", column);
        }
        if let Some(Size([height, width])) = self.size {
            data.insert("resize".into(), Value::from(vec![count(height), count(width)]));
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
        if let Some(backbone) = &self.backbone {
            let mut pretrained = Table::new();
            insert(&mut pretrained, "backbone", backbone);
            table.insert("pretrained".into(), Value::Table(pretrained));
        }
        let mut schedule = Table::new();
        if let Some(epochs) = self.epochs {
            schedule.insert("num_epochs".into(), count(epochs));
        }
        if let Some(batch) = self.batch {
            schedule.insert("batch_size".into(), count(batch));
        }
        if !schedule.is_empty() {
            table.insert("schedule".into(), Value::Table(schedule));
        }
        if let Some(rate) = self.lr {
            let optim = Table::from_iter([("learning_rate".to_owned(), Value::Float(rate))]);
            table.insert("optim".into(), Value::Table(optim));
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
        // What a grid is must not depend on what lies on a disk, so this is no part of reading layers.
        let data = layers.iter().rev().find_map(Layer::data_path);
        if data.is_some_and(|path| is_embedding(Path::new(path))) {
            layers.insert(0, Layer::of_features());
        }
        Ok(layers)
    }
}

/// What `train` and `explain` are asked for.
#[derive(Debug)]
pub(crate) enum Wanted {
    /// One experiment.
    One(Box<Experiment>),
    /// Several that predict together.
    Together(Auto),
}

impl Wanted {
    /// The experiment, or the first of several, which have the same data.
    pub(crate) fn first(&self) -> &Experiment {
        match self {
            Self::One(experiment) => experiment,
            Self::Together(auto) => &auto.members()[0],
        }
    }

    /// What it is called.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::One(experiment) => experiment.arm(),
            Self::Together(_) => auto::NAME,
        }
    }
}

/// Height and width in pixels.
#[derive(Debug, Clone, Copy)]
struct Size([usize; 2]);

/// `64` or `48x64`.
fn size(text: &str) -> Result<Size, String> {
    let wrong =
        |_| "must be a number of pixels, for example 64, or height and width, for example 48x64";
    let side = |text: &str| text.trim().parse::<usize>().map_err(wrong);
    let (height, width) = text.split_once(['x', '×']).unwrap_or((text, text));
    Ok(Size([side(height)?, side(width)?]))
}

/// A number of an experiment; more than TOML can hold is refused as too many.
fn count(number: usize) -> Value {
    Value::Integer(i64::try_from(number).unwrap_or(i64::MAX))
}

fn insert(table: &mut Table, key: &str, value: &str) {
    table.insert(key.into(), Value::String(value.to_owned()));
}

fn is_experiment(input: &str) -> bool {
    Path::new(input).extension().is_some_and(|extension| extension == "toml")
}

fn read(path: &Path) -> Result<Layer, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| Failure::unread(path, &error))?;
    if Grid::is_grid(&text) {
        let message = "is a grid of runs: `pemm grid` runs them, `pemm explain` shows them";
        return Err(Failure::usage(format!("{}: {message}", path.display())));
    }
    Ok(Layer::from_text(&path.display().to_string(), &text)?)
}
