//! `pemm explain` of a grid file.

use std::path::Path;

use pemm::cells::check;
use pemm::data::RunData;
use pemm_data::Shape;
use pemm_experiment::Plan;
use pemm_experiment::grid::Cell;
use pemm_experiment::identity::{differences, flatten};
use serde_json::{Value, json};

use super::file::open;
use crate::console::Console;
use crate::embedding::Features;
use crate::failure::Failure;
use crate::interrupt;

/// Shows the first run of a grid with every default filled in, and in what the others differ.
///
/// Where the file says what it expects of the data they need not be there; else each run is made
/// ready as `pemm grid` does.
pub(crate) fn explain_grid(file: &Path, console: &Console) -> Result<(), Failure> {
    let opened = open(file)?;
    let first = &opened.cells[0];
    let (facts, known) = match &opened.expects {
        Some(expects) => (expects.facts(), "as the grid expects, not looked at"),
        None => {
            let cells: Vec<&Cell> = opened.cells.iter().collect();
            let features = Features::new(console, Some(interrupt::watch()?));
            let facts = features.with(|embedding| {
                for warning in check(&cells, None, &opened.table, &embedding)?.warnings {
                    console.warn(&warning);
                }
                Ok::<_, pemm::Error>(RunData::open(&first.experiment, &embedding)?.facts())
            })?;
            (facts, "those of the first run")
        }
    };
    let plans = opened.resolve(facts)?;
    let size = pemm::explain::size(&plans[0], facts)?;
    let mut warned: Vec<&String> = Vec::new();
    let unchecked = opened.expects.as_ref().map(|_| opened.cells.iter().zip(&plans));
    for (cell, plan) in unchecked.into_iter().flatten() {
        for warning in plan.warnings() {
            if !warned.contains(&warning) {
                warned.push(warning);
                console.warn(&format!("run {}: {warning}", cell.name));
            }
        }
    }
    let values: Vec<Value> = plans.iter().map(Plan::value).collect();
    let Shape { channels, height, width } = facts.shape;
    let text = plans[0].text();
    let mut lines = vec![
        text.trim_end().to_owned(),
        String::new(),
        format!("# data      {known}: {channels}×{height}×{width}, {} classes", facts.num_classes),
        format!("# model     {} features, {} parameters", size.num_features, size.num_parameters),
        format!("# grid      {} runs; above is the first, then what differs from it", plans.len()),
        format!("#   {}", first.name),
    ];
    let base = flatten(&values[0]);
    for (cell, value) in opened.cells.iter().zip(&values).skip(1) {
        let differences = differences(&base, &flatten(value));
        let changes = differences
            .iter()
            .map(|d| format!("{} = {}", d.key, d.second.as_deref().unwrap_or("(not set)")));
        lines.push(format!("#   {}: {}", cell.name, changes.collect::<Vec<_>>().join(", ")));
    }
    let all: Vec<Value> = opened
        .cells
        .iter()
        .zip(values)
        .map(|(cell, experiment)| json!({"name": cell.name, "experiment": experiment}))
        .collect();
    console.result(&lines.join("\n"), &all)
}
