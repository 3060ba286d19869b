//! The cells of a grid, checked against the data before any of them starts.

use pemm_data::DataError;
use pemm_data::config::{DataConfig, NoiseConfig};
use pemm_experiment::grid::{Cell, Expects, Known, TableConfig};
use pemm_experiment::pretrained::PretrainedConfig;
use pemm_experiment::same::incomparable;
use pemm_experiment::{Experiment, ExperimentError};

use crate::data::{Embedding, Opened, RunData};
use crate::error::{Error, Result};
use crate::ready::Ready;

/// What was seen when the cells of a grid were made ready.
#[derive(Debug)]
pub struct Checked {
    /// Each with the first cell that it belongs to; the first is whether the table can be made.
    pub warnings: Vec<String>,
    /// Most memory that each cell will take, in bytes; see [`Ready::memory`].
    pub memory: Vec<u64>,
    /// Passes of each cell over its training part.
    pub num_epochs: Vec<usize>,
}

/// Makes each of `cells` ready, reading each data set once, and looks whether `table` can be made of
/// them.
///
/// # Errors
/// The first cell that would not start, data that are not as `expects` says, and two cells that are
/// the same experiment once every default is filled in.
pub fn check(
    cells: &[&Cell],
    expects: Option<&Expects>,
    table: &TableConfig,
    embedding: &Embedding<'_>,
) -> Result<Checked> {
    let mut seen = Seen::default();
    let mut known = Known::default();
    let mut planned = Vec::new();
    let mut memory = Vec::with_capacity(cells.len());
    let mut num_epochs = Vec::with_capacity(cells.len());
    let mut warnings: Vec<(&str, String)> = Vec::new();
    for Cell { name, experiment } in cells {
        // What is wrong with a setting is said of its run; what befell the work is itself.
        let in_run = |error: Error| {
            if let Error::Experiment(error) = error {
                return error.in_run(name).into();
            }
            if let Error::Data(DataError::Setting { .. }) = error {
                let (origin, message) = (format!("run {name}"), error.to_string());
                return ExperimentError::Text { origin, message }.into();
            }
            error
        };
        let data = seen.of(experiment, embedding).map_err(in_run)?;
        if let Some(expects) = expects {
            expects.check(data.facts(), &experiment.data.path)?;
        }
        let ready = Ready::of(experiment, data, "cpu").map_err(in_run)?;
        let plan = ready.plan();
        if let Some(first) = known.add(name, plan.experiment()) {
            let message = format!(
                "is the same experiment as run {first} once every default is filled in; take one \
                 of them out"
            );
            return Err(ExperimentError::Text { origin: format!("run {name}"), message }.into());
        }
        warnings.extend(ready.warnings().iter().map(|warning| (name.as_str(), warning.clone())));
        planned.push((name.clone(), plan.value()));
        memory.push(ready.memory());
        num_epochs.push(plan.experiment().schedule.num_epochs());
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
    Ok(Checked { warnings: told, memory, num_epochs })
}

/// Data that were opened, and what noise was drawn on them. Cells that differ in the seed share a
/// draw: they are looked at, not trained.
#[derive(Default)]
struct Seen<'a> {
    sets: Vec<(Source<'a>, Opened)>,
    drawn: Vec<(Source<'a>, &'a NoiseConfig, RunData)>,
}

type Source<'a> = (&'a DataConfig, &'a PretrainedConfig);

impl<'a> Seen<'a> {
    fn of(&mut self, experiment: &'a Experiment, embedding: &Embedding<'_>) -> Result<RunData> {
        let Experiment { data, noise, pretrained, .. } = experiment;
        let source = (data, pretrained);
        let known = self.drawn.iter().find(|(s, n, _)| (*s, *n) == (source, noise));
        if let Some((_, _, known)) = known {
            return Ok(known.clone());
        }
        let opened = match self.sets.iter().find(|(known, _)| *known == source) {
            Some((_, opened)) => opened.clone(),
            None => {
                let opened = Opened::open(experiment, embedding)?;
                self.sets.push((source, opened.clone()));
                opened
            }
        };
        let prepared = opened.prepare(experiment, embedding)?;
        self.drawn.push((source, noise, prepared.clone()));
        Ok(prepared)
    }
}
