//! The axes of a grid file, unfolded: all combinations of one entry per axis, with a name each.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::{Table, Value};

use super::{Expects, GRID_LOCK, GRID_SLURM, TableConfig};
use crate::layer::nested;

/// Largest number of cells; a product is easily mistyped.
pub(super) const MAX_CELLS: usize = 10_000;
/// Longest name of a cell, well below what file systems take.
const MAX_NAME: usize = 200;

/// One combination of the entries of the axes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Combination {
    /// Name of its run folder: readable, unique in the grid, and the same whatever else the grid
    /// holds.
    pub(super) name: String,
    /// What lies over the base, one layer per axis in the order of the axes.
    pub(super) layers: Vec<Table>,
}

/// A grid file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GridFile {
    pub(super) base: Table,
    #[serde(default)]
    pub(super) axis: Vec<AxisFile>,
    pub(super) expects: Option<Expects>,
    #[serde(default)]
    pub(super) table: TableConfig,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AxisFile {
    key: Option<String>,
    values: Option<Vec<Value>>,
    points: Option<Vec<Table>>,
}

/// One entry of an axis.
#[derive(Debug, Clone)]
struct Point {
    /// Its part of the names.
    name: String,
    layer: Table,
}

/// All combinations of the entries of `axes`, the last axis changing fastest.
///
/// # Errors
/// An axis that is neither `key` and `values` nor `points`, or has no entry; two axes that set one
/// key; cells of one name; more than [`MAX_CELLS`] cells.
pub(super) fn unfold(axes: Vec<AxisFile>) -> Result<Vec<Combination>, String> {
    let axes: Vec<Vec<Point>> = axes
        .into_iter()
        .enumerate()
        .map(|(place, axis)| points(axis).map_err(|reason| format!("axis {}: {reason}", place + 1)))
        .collect::<Result<_, _>>()?;
    check_keys(&axes)?;
    let num_cells = axes.iter().try_fold(1usize, |num, axis| num.checked_mul(axis.len()));
    let Some(num_cells) = num_cells.filter(|&num| num <= MAX_CELLS) else {
        return Err(format!("the axes make more than {MAX_CELLS} runs; split the grid"));
    };
    let cells: Vec<Combination> = (0..num_cells).map(|number| cell(&axes, number)).collect();
    check_names(&cells)?;
    Ok(cells)
}

fn points(axis: AxisFile) -> Result<Vec<Point>, String> {
    let points: Vec<Point> = match axis {
        AxisFile { key: Some(key), values: Some(values), points: None } => {
            values.into_iter().map(|value| value_point(&key, value)).collect::<Result<_, _>>()?
        }
        AxisFile { key: None, values: None, points: Some(points) } => {
            points.into_iter().map(named_point).collect::<Result<_, _>>()?
        }
        _ => return Err("needs either `key` and `values`, or `points`".into()),
    };
    if points.is_empty() {
        return Err("has no entry; give it one or take it out".into());
    }
    Ok(points)
}

fn value_point(key: &str, value: Value) -> Result<Point, String> {
    let layer = nested(key, value)?;
    let name = name_of(&layer)?;
    Ok(Point { name, layer })
}

fn named_point(mut layer: Table) -> Result<Point, String> {
    let name = match layer.remove("name") {
        Some(Value::String(name)) if !plain(&name).is_empty() => plain(&name),
        Some(name) => return Err(format!("name = {name}: must be a name")),
        None => name_of(&layer)?,
    };
    Ok(Point { name, layer })
}

/// A name from the keys of a layer: its `arm`, else its `preset`, else all its values, words by
/// themselves and the rest after the last part of the key: `symmetric-rate-0.4`.
fn name_of(layer: &Table) -> Result<String, String> {
    let values = leaves(layer);
    let named = ["arm", "preset"].into_iter().find_map(|key| values.get(key)?.as_str());
    let name = match named {
        Some(name) => plain(name),
        None => {
            let parts = values.iter().map(|(key, value)| match value.as_str() {
                Some(text) => plain(text),
                None => plain(&format!("{}-{value}", key.rsplit('.').next().unwrap_or(key))),
            });
            parts.collect::<Vec<_>>().join("-")
        }
    };
    if name.is_empty() {
        return Err(format!("no name can be made of {{ {} }}; give it `name = \"…\"`", layer));
    }
    Ok(name)
}

/// Letters, digits, `.` and `-`; anything else becomes `-`, never two of them in a row.
pub(super) fn plain(text: &str) -> String {
    let mut name = String::new();
    for char in text.chars() {
        if char.is_alphanumeric() || char == '.' {
            name.push(char);
        } else if !name.ends_with('-') && !name.is_empty() {
            name.push('-');
        }
    }
    name.trim_matches(['-', '.']).to_owned()
}

/// All values of a layer by dotted key; lists and empty tables count as values.
pub(super) fn leaves(layer: &Table) -> BTreeMap<String, Value> {
    fn collect(above: &str, table: &Table, leaves: &mut BTreeMap<String, Value>) {
        for (key, value) in table {
            let key = if above.is_empty() { key.clone() } else { format!("{above}.{key}") };
            match value.as_table().filter(|table| !table.is_empty()) {
                Some(table) => collect(&key, table, leaves),
                None => {
                    leaves.insert(key, value.clone());
                }
            }
        }
    }
    let mut values = BTreeMap::new();
    collect("", layer, &mut values);
    values
}

/// Two axes that set one key would hide one another.
fn check_keys(axes: &[Vec<Point>]) -> Result<(), String> {
    let mut setters: BTreeMap<String, usize> = BTreeMap::new();
    for (place, axis) in axes.iter().enumerate() {
        for key in axis.iter().flat_map(|point| leaves(&point.layer).into_keys()) {
            let first = *setters.entry(key.clone()).or_insert(place);
            if first != place {
                return Err(format!(
                    "axis {} and axis {} both set `{key}`; set it in one of them",
                    first + 1,
                    place + 1
                ));
            }
        }
    }
    Ok(())
}

fn check_names(cells: &[Combination]) -> Result<(), String> {
    // Some file systems do not tell upper from lower case.
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for (number, cell) in cells.iter().enumerate() {
        if cell.name.len() > MAX_NAME {
            return Err(format!(
                "the name {} has more than {MAX_NAME} bytes; give its points short names",
                cell.name
            ));
        }
        let taken = [GRID_LOCK, GRID_SLURM];
        if let Some(name) = taken.iter().find(|name| cell.name.eq_ignore_ascii_case(name)) {
            return Err(format!("the name {name} is that of a file of the grid; use another"));
        }
        if let Some(first) = seen.insert(cell.name.to_lowercase(), number) {
            return Err(format!(
                "runs {} and {number} are both called {}; tell them apart by a `name` in `points`",
                first, cell.name
            ));
        }
    }
    Ok(())
}

/// Cell `number`: its digits, the last axis first, choose the points.
fn cell(axes: &[Vec<Point>], number: usize) -> Combination {
    let mut rest = number;
    let mut chosen: Vec<&Point> = axes
        .iter()
        .rev()
        .map(|axis| {
            let point = &axis[rest % axis.len()];
            rest /= axis.len();
            point
        })
        .collect();
    chosen.reverse();
    let names: Vec<&str> = chosen.iter().map(|point| point.name.as_str()).collect();
    let name = if names.is_empty() { "run".into() } else { names.join("_") };
    Combination { name, layers: chosen.into_iter().map(|point| point.layer.clone()).collect() }
}
