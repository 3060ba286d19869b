//! The cells of a grid as experiments: read, checked against the data before any of them starts,
//! and found again in their folders.

use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;

use pemm_data::config::{DataConfig, NoiseConfig};
use pemm_data::prepare::{prepare, prepare_set};
use pemm_data::{DataSet, Shape, labels, source};
use pemm_runs::comparable::incomparable;
use pemm_runs::folder::RECORD;
use pemm_runs::grid::{Expects, Grid, TableConfig};
use pemm_runs::identity::{differences, flatten, identity, short};
use pemm_runs::{Record, RunError, RunFolder, Status};
use serde::Deserialize;

use crate::error::{Error, Result};
use crate::experiment::{Experiment, Layer, LossContext};
use crate::model::ModelPlan;
use crate::plan::{DataFacts, Plan};
use crate::pretrained;

/// One run of a grid.
#[derive(Debug, Clone)]
pub struct Cell {
    /// Name of its run folder.
    pub name: String,
    /// The experiment, values left out still left to the data.
    pub experiment: Experiment,
}

/// Reads the cells of `grid`, which comes from the file `origin`.
///
/// # Errors
/// What [`Layer::from_table`] and [`Experiment::from_layers`] say, with the cell's name, and two
/// cells that are the same experiment.
pub fn cells(origin: &str, grid: &Grid) -> Result<Vec<Cell>> {
    let base = Layer::from_table(&format!("{origin}: base"), grid.base.clone())?;
    let mut cells: Vec<Cell> = Vec::with_capacity(grid.cells.len());
    let mut known = BTreeMap::new();
    for cell in &grid.cells {
        let origin = format!("{origin}: run {}", cell.name);
        // One layer, so that the order of the axes is the order of the work and nothing else.
        let mut layers = vec![base.clone()];
        let above = cell.layers.iter().map(|layer| Layer::from_table(&origin, layer.clone()));
        if let Some(above) = above.reduce(|below, above| Ok(below?.over(above?))) {
            layers.push(above?);
        }
        let experiment =
            Experiment::from_layers(&layers).map_err(|error| named(&origin, &error))?;
        let value = serde_json::to_value(&experiment).expect("experiments are plain data");
        if let Some(first) = known.insert(identity(&value), &cell.name) {
            let message = format!("is the same experiment as run {first}; take one of them out");
            return Err(Error::Experiment { origin, message });
        }
        cells.push(Cell { name: cell.name.clone(), experiment });
    }
    Ok(cells)
}

fn named(origin: &str, error: &Error) -> Error {
    Error::Experiment { origin: origin.to_owned(), message: error.to_string() }
}

/// The facts that a grid file expects of its data.
pub fn expected_facts(expects: &Expects) -> DataFacts {
    let [channels, height, width] = expects.shape;
    DataFacts {
        shape: Shape { channels, height, width },
        vectors: expects.vectors,
        num_classes: expects.num_classes,
    }
}

/// Opens the data of an experiment to see what they are.
///
/// # Errors
/// Those of [`prepare`].
pub fn facts(experiment: &Experiment) -> Result<DataFacts> {
    let prepared = prepare(&experiment.data, &experiment.noise, experiment.seed)?;
    Ok(DataFacts::of(&prepared))
}

/// Checks all `cells` against what the data are known to be, without the data.
///
/// # Errors
/// The first cell with a value that is out of range or does not go with another.
pub fn resolve(cells: &[Cell], facts: DataFacts) -> Result<Vec<Plan>> {
    let resolve = |cell: &Cell| {
        let plan = cell.experiment.clone().resolve(facts);
        plan.map_err(|error| named(&format!("run {}", cell.name), &error))
    };
    cells.iter().map(resolve).collect()
}

/// Experiments by their identity, every default filled in.
#[derive(Default)]
struct Known(BTreeMap<String, String>);

impl Known {
    /// Refuses a cell that is the same experiment as one before.
    fn add(&mut self, name: &str, plan: &Plan) -> Result<()> {
        let value = serde_json::to_value(&plan.experiment).expect("experiments are plain data");
        match self.0.insert(identity(&value), name.to_owned()) {
            None => Ok(()),
            Some(first) => {
                let message = format!(
                    "is the same experiment as run {first} once every default is filled in; take \
                     one of them out"
                );
                Err(Error::Experiment { origin: format!("run {name}"), message })
            }
        }
    }
}

/// What a data set with its noise says to the experiments on it.
struct Seen {
    facts: DataFacts,
    has_val: bool,
    num_train: usize,
    context: LossContext,
}

/// Weights of a file that were found to fit a network.
type Fitting = Vec<(Option<String>, ModelPlan, Shape)>;

/// Whatever would keep `experiment` from its first step, with the weights that are known to fit.
fn check_plan(experiment: &Experiment, seen: &Seen, fitting: &mut Fitting) -> Result<Plan> {
    let mut plan = experiment.clone().resolve(seen.facts)?;
    plan.experiment.schedule.check_parts(seen.has_val)?;
    plan.experiment.pin_files()?;
    plan.experiment.build_objective(&seen.context, seen.num_train)?;
    let shape = seen.facts.shape;
    let weights = (plan.experiment.model.weights.clone(), plan.model.clone(), shape);
    if !fitting.contains(&weights) {
        pretrained::read(&plan, shape)?;
        fitting.push(weights);
    }
    Ok(plan)
}

/// Checks all `cells` against their data, reading each data set once, and gives the warnings, each
/// with the first cell that it belongs to; the first is whether `table` can be made of them.
///
/// # Errors
/// The first cell whose data, noise or values are wrong, and data that are not as `expects` says.
pub fn check(
    cells: &[&Cell],
    expects: Option<&Expects>,
    table: &TableConfig,
) -> Result<Vec<String>> {
    let mut sets: Vec<(&DataConfig, DataSet)> = Vec::new();
    let mut drawn: Vec<(&DataConfig, &NoiseConfig, Rc<Seen>)> = Vec::new();
    let mut experiments = Known::default();
    let mut planned = Vec::new();
    let mut warnings: Vec<(String, String)> = Vec::new();
    let mut fitting = Fitting::new();
    for cell in cells {
        let Cell { name, experiment } = cell;
        let Experiment { data, noise, seed, .. } = experiment;
        let origin = format!("run {name}");
        let known = drawn.iter().find(|(d, n, ..)| (*d, *n) == (data, noise));
        let seen = match known {
            Some((.., seen)) => seen.clone(),
            None => {
                let set = match sets.iter().find(|(known, _)| *known == data) {
                    Some((_, set)) => set.clone(),
                    None => {
                        let mut set = source::open(data)?;
                        labels::join(&mut set, data)?;
                        sets.push((data, set.clone()));
                        set
                    }
                };
                let prepared = prepare_set(set, data, noise, *seed)
                    .map_err(|error| named(&origin, &error.into()))?;
                let facts = DataFacts::of(&prepared);
                let notes = prepared.notes.iter().map(|note| (name.clone(), note.clone()));
                warnings.extend(notes);
                if let Some(expects) = expects {
                    hold_to(expects, facts, &data.path)?;
                }
                let seen = Rc::new(Seen {
                    facts,
                    has_val: prepared.val.is_some(),
                    num_train: prepared.train.len(),
                    context: LossContext::of(facts.num_classes, &prepared.manifest),
                });
                drawn.push((data, noise, seen.clone()));
                seen
            }
        };
        let plan = check_plan(experiment, &seen, &mut fitting);
        let plan = plan.map_err(|error| named(&origin, &error))?;
        experiments.add(name, &plan)?;
        warnings.extend(plan.warnings.into_iter().map(|warning| (name.clone(), warning)));
        let value = serde_json::to_value(&plan.experiment).expect("experiments are plain data");
        planned.push((name.clone(), value));
    }
    let mut told: Vec<String> = Vec::new();
    if !table.settings
        && let Some((first, second, keys)) = incomparable(&planned, &table.allow)
    {
        let keys: Vec<&str> = keys.iter().map(|difference| difference.key.as_str()).collect();
        told.push(format!(
            "`pemm table` will not compare {first} with {second}: they differ in {}; set these alike \
             in [base], or name them in [table] allow",
            keys.join(", ")
        ));
    }
    for (place, (name, warning)) in warnings.iter().enumerate() {
        if !warnings[..place].iter().any(|(_, before)| before == warning) {
            told.push(format!("run {name}: {warning}"));
        }
    }
    Ok(told)
}

fn hold_to(expects: &Expects, facts: DataFacts, path: &str) -> Result<()> {
    let Shape { channels, height, width } = facts.shape;
    let found = Expects {
        shape: [channels, height, width],
        num_classes: facts.num_classes,
        vectors: facts.vectors,
    };
    if found == *expects {
        return Ok(());
    }
    let reason = format!(
        "the grid expects samples of {:?} in {} classes, {path} has {:?} in {}; use the data that \
         the grid is for, or correct [expects]",
        expects.shape, expects.num_classes, found.shape, found.num_classes
    );
    Err(Error::setting("data.path", reason))
}

/// What lies in the folder of a cell.
#[derive(Debug)]
pub enum Found {
    /// No run yet.
    Nothing,
    /// A run that is not done: how many of its epochs are, and why it failed if it did.
    Begun {
        /// Epochs that are done.
        num_epochs: usize,
        /// What went wrong last time.
        failure: Option<String>,
    },
    /// The finished run.
    Finished(Box<Record>),
}

/// Looks for the run of `experiment` in `folder`.
///
/// # Errors
/// [`RunError::OtherExperiment`] if the folder holds another one, and whatever reading its record
/// says.
pub fn look(experiment: &Experiment, folder: &Path) -> Result<Found> {
    let Ok(run) = RunFolder::open(folder) else { return Ok(Found::Nothing) };
    if !run.has(RECORD) {
        return Ok(Found::Begun { num_epochs: 0, failure: None });
    }
    let record = run.read_record()?;
    check_same(experiment, &record, folder)?;
    let num_epochs = record.epochs.len();
    Ok(match record.status {
        Status::Finished => Found::Finished(Box::new(record)),
        Status::Failed { message, .. } => Found::Begun { num_epochs, failure: Some(message) },
        Status::Running | Status::Interrupted => Found::Begun { num_epochs, failure: None },
    })
}

/// The finished record of `experiment` in the file `path`, if it is there.
///
/// # Errors
/// As [`look`].
pub fn look_at_record(experiment: &Experiment, path: &Path) -> Result<Option<Box<Record>>> {
    if !path.is_file() {
        return Ok(None);
    }
    let record = Record::read(path)?;
    check_same(experiment, &record, path)?;
    Ok((record.status == Status::Finished).then(|| Box::new(record)))
}

/// A resolved experiment as a record holds it, with the keys that came after the record was written:
/// each has the value that changes nothing. What this version cannot read stays as it is.
pub fn with_new_keys(experiment: &serde_json::Value) -> serde_json::Value {
    let read = Experiment::deserialize(experiment).ok();
    let filled = read.and_then(|experiment| serde_json::to_value(experiment).ok());
    filled.unwrap_or_else(|| experiment.clone())
}

/// Whether `record`, which lies at `path`, is a run of `experiment`. A record of an earlier version
/// lacks the keys that have come since; it is the same experiment if those have the values that
/// change nothing.
///
/// # Errors
/// [`RunError::OtherExperiment`] with the keys that differ, and values of `experiment` that do not go
/// with the data of the record.
pub fn check_same(experiment: &Experiment, record: &Record, path: &Path) -> Result<()> {
    let [channels, height, width] = record.data.shape;
    let facts = DataFacts {
        shape: Shape { channels, height, width },
        vectors: height == 1 && width == 1,
        num_classes: record.data.classes.len(),
    };
    let resolved = |experiment: Experiment| -> Result<serde_json::Value> {
        let plan = experiment.resolve(facts)?;
        Ok(serde_json::to_value(plan.experiment).expect("experiments are plain data"))
    };
    let before = Experiment::deserialize(&record.experiment).ok();
    let mut experiment = experiment.clone();
    if let Some(before) = &before {
        experiment.pin_files_as(before)?;
    }
    let wanted = resolved(experiment.clone())?;
    if identity(&wanted) == record.identity {
        return Ok(());
    }
    let found = before.and_then(|e| resolved(e).ok());
    let found = found.unwrap_or_else(|| record.experiment.clone());
    let differences = differences(&flatten(&found), &flatten(&wanted));
    if differences.is_empty() {
        return Ok(());
    }
    Err(Error::Run(RunError::OtherExperiment {
        path: path.to_path_buf(),
        found: format!("arm {}, identity {}", record.arm, short(&record.identity)),
        wanted: format!("arm {}, identity {}", experiment.arm(), short(&identity(&wanted))),
        differences,
    }))
}
