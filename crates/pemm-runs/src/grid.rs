//! A grid file: one base experiment and axes, unfolded into cells with a name each.
//!
//! ```toml
//! [base]                       # an experiment, as in an experiment file
//! schedule.num_epochs = 36
//!
//! [[axis]]                     # an axis of one key
//! key = "seed"
//! values = [1, 2, 3]
//!
//! [[axis]]                     # an axis of points: keys that change together
//! points = [{ preset = "ce" }, { preset = "paper", name = "strong", loss.energy.weight = 2.0 }]
//! ```
//!
//! The cells are all combinations of one entry per axis; the last axis changes fastest, so the
//! order of the axes is the order of the work. Nothing here knows what the keys mean: a cell is the
//! layers of an experiment, and what reads experiments checks them.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::{Table, Value};

use crate::error::{Result, RunError};
use crate::grid_lock::GRID_LOCK;

/// Largest number of cells; a product is easily mistyped.
pub const MAX_CELLS: usize = 10_000;
/// Longest name of a cell, well below what file systems take.
const MAX_NAME: usize = 200;

/// A grid, unfolded.
#[derive(Debug, Clone)]
pub struct Grid {
    /// The layer below all others.
    pub base: Table,
    /// All combinations, in the order of the work.
    pub cells: Vec<Cell>,
    /// What the data are expected to be, where the file says so.
    pub expects: Option<Expects>,
    /// How the table of the grid is made.
    pub table: TableConfig,
}

/// One combination of a grid.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    /// Name of its run folder: readable, unique in the grid, and the same whatever else the grid
    /// holds.
    pub name: String,
    /// What lies over the base, one layer per axis in the order of the axes.
    pub layers: Vec<Table>,
}

/// What the data are expected to be. With it a grid is checked and explained without its data, and
/// data that differ are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expects {
    /// Channels, height and width of a sample.
    pub shape: [usize; 3],
    /// Number of classes.
    pub num_classes: usize,
    /// Whether samples are feature vectors, not images.
    #[serde(default)]
    pub vectors: bool,
}

/// The `[table]` of a grid file: how its table is made.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TableConfig {
    /// Keys or sections in which the protocols of one column may differ.
    pub allow: Vec<String>,
    /// Whether an arm with other parameters is a row of its own.
    pub settings: bool,
    /// Number of settings that were tried on noisy validation for each arm.
    pub trials: BTreeMap<String, usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GridFile {
    base: Table,
    #[serde(default)]
    axis: Vec<AxisFile>,
    expects: Option<Expects>,
    #[serde(default)]
    table: TableConfig,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AxisFile {
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

impl Grid {
    /// Reads and unfolds the text of the grid file `origin`.
    ///
    /// # Errors
    /// [`RunError::Grid`]: unknown keys and wrong types with line and column; an axis that is
    /// neither `key` and `values` nor `points`, or has no entry; two axes that set one key; cells of
    /// one name; more than [`MAX_CELLS`] cells.
    pub fn parse(origin: &str, text: &str) -> Result<Self> {
        let wrong = |reason: String| RunError::Grid { origin: origin.into(), reason };
        let file: GridFile =
            toml::from_str(text).map_err(|error| wrong(error.to_string().trim_end().into()))?;
        let axes: Vec<Vec<Point>> = file
            .axis
            .into_iter()
            .enumerate()
            .map(|(place, axis)| points(axis).map_err(|reason| (place, reason)))
            .collect::<Result<_, _>>()
            .map_err(|(place, reason)| wrong(format!("axis {}: {reason}", place + 1)))?;
        check_keys(&axes).map_err(wrong)?;
        let num_cells = axes.iter().try_fold(1usize, |num, axis| num.checked_mul(axis.len()));
        let Some(num_cells) = num_cells.filter(|&num| num <= MAX_CELLS) else {
            return Err(wrong(format!("the axes make more than {MAX_CELLS} runs; split the grid")));
        };
        let cells: Vec<Cell> = (0..num_cells).map(|number| cell(&axes, number)).collect();
        check_names(&cells).map_err(wrong)?;
        Ok(Self { base: file.base, cells, expects: file.expects, table: file.table })
    }

    /// Whether `text` is a grid file and not an experiment: it has a `[base]` or an `[[axis]]`.
    pub fn is_grid(text: &str) -> bool {
        text.parse::<Table>()
            .is_ok_and(|file| file.contains_key("base") || file.contains_key("axis"))
    }
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
    let parts: Vec<&str> = key.split('.').map(str::trim).collect();
    if parts.iter().any(|part| part.is_empty()) {
        return Err(format!("`{key}` is no dotted key"));
    }
    let layer = parts
        .iter()
        .rev()
        .fold(value, |inner, part| Value::Table(Table::from_iter([((*part).to_owned(), inner)])));
    let Value::Table(layer) = layer else { unreachable!("a key has at least one part") };
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
            let parts = values.iter().map(|(key, value)| match value {
                Value::String(text) => plain(text),
                value => plain(&format!("{}-{value}", key.rsplit('.').next().unwrap_or(key))),
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
fn plain(text: &str) -> String {
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
pub fn leaves(layer: &Table) -> BTreeMap<String, Value> {
    fn collect(above: &str, table: &Table, leaves: &mut BTreeMap<String, Value>) {
        for (key, value) in table {
            let key = if above.is_empty() { key.clone() } else { format!("{above}.{key}") };
            match value {
                Value::Table(table) if !table.is_empty() => collect(&key, table, leaves),
                value => {
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

fn check_names(cells: &[Cell]) -> Result<(), String> {
    // Some file systems do not tell upper from lower case.
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for (number, cell) in cells.iter().enumerate() {
        if cell.name.len() > MAX_NAME {
            return Err(format!(
                "the name {} has more than {MAX_NAME} bytes; give its points short names",
                cell.name
            ));
        }
        if cell.name.eq_ignore_ascii_case(GRID_LOCK) {
            return Err(format!("the name {GRID_LOCK} is that of a file of the grid; use another"));
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
fn cell(axes: &[Vec<Point>], number: usize) -> Cell {
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
    Cell { name, layers: chosen.into_iter().map(|point| point.layer.clone()).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRID: &str = r#"
        [base]
        schedule.num_epochs = 2
        [expects]
        shape = [1, 8, 8]
        num_classes = 10
        [[axis]]
        points = [
            { noise.kind = "symmetric", noise.rate = 0.4 },
            { name = "people", data.labels = "cifar10n.csv", data.label_column = "worse" },
        ]
        [[axis]]
        key = "seed"
        values = [1, 2]
        [[axis]]
        points = [{ preset = "ce" }, { preset = "ce", arm = "CE early", schedule.patience = 5 }]
        [table]
        allow = ["model.dropout"]
        trials = { ce = 3 }
    "#;

    fn refused(text: &str) -> String {
        let error = Grid::parse("grid.toml", text).unwrap_err().to_string();
        assert!(error.starts_with("grid.toml: "), "{error}");
        error
    }

    #[test]
    fn the_last_axis_changes_fastest_and_names_are_readable() {
        let grid = Grid::parse("grid.toml", GRID).unwrap();
        let names: Vec<&str> = grid.cells.iter().map(|cell| cell.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "symmetric-rate-0.4_seed-1_ce",
                "symmetric-rate-0.4_seed-1_CE-early",
                "symmetric-rate-0.4_seed-2_ce",
                "symmetric-rate-0.4_seed-2_CE-early",
                "people_seed-1_ce",
                "people_seed-1_CE-early",
                "people_seed-2_ce",
                "people_seed-2_CE-early",
            ]
        );
        let cell = &grid.cells[5];
        assert_eq!(cell.layers.len(), 3);
        assert_eq!(cell.layers[1]["seed"].as_integer(), Some(1));
        assert!(!cell.layers[0].contains_key("name"));
        let keys: Vec<String> = leaves(&cell.layers[2]).into_keys().collect();
        assert_eq!(keys, ["arm", "preset", "schedule.patience"]);
        assert_eq!(grid.expects.unwrap().shape, [1, 8, 8]);
        assert_eq!((grid.table.allow.len(), grid.table.trials["ce"]), (1, 3));
    }

    #[test]
    fn a_name_does_not_change_with_what_else_the_grid_holds() {
        let more = GRID.replace("values = [1, 2]", "values = [7, 1, 2]");
        let names = |text: &str| -> Vec<String> {
            let cells = Grid::parse("grid.toml", text).unwrap().cells;
            cells.into_iter().map(|cell| cell.name).collect()
        };
        let (few, many) = (names(GRID), names(&more));
        assert!(few.iter().all(|name| many.contains(name)), "{many:?}");
    }

    #[test]
    fn a_grid_without_axes_is_one_run() {
        let grid = Grid::parse("grid.toml", "[base]\nseed = 3\n").unwrap();
        assert_eq!(grid.cells, [Cell { name: "run".into(), layers: vec![] }]);
        assert!(Grid::is_grid("[base]\n") && Grid::is_grid("[[axis]]\n"));
        assert!(!Grid::is_grid("seed = 1\n") && !Grid::is_grid("not toml"));
    }

    #[test]
    fn mistakes_are_named() {
        let base = "[base]\n";
        for (axes, reason) in [
            ("[[axis]]\nkey = \"seed\"\n", "axis 1: needs either"),
            ("[[axis]]\nkey = \"seed\"\nvalues = []\n", "axis 1: has no entry"),
            ("[[axis]]\nkey = \"seed\"\nvalues = [1, 1]\n", "both called seed-1"),
            ("[[axis]]\nkey = \"a..b\"\nvalues = [1]\n", "`a..b` is no dotted key"),
            ("[[axis]]\npoints = [{ name = 3 }]\n", "name = 3: must be a name"),
            ("[[axis]]\npoints = [{ name = \"../..\" }]\n", "must be a name"),
            ("[[axis]]\npoints = [{ arm = \"A\" }, { arm = \"a\" }]\n", "both called a"),
            ("[[axis]]\npoints = [{}]\n", "no name can be made"),
            (
                "[[axis]]\nkey = \"loss.q\"\nvalues = [1]\n[[axis]]\npoints = [{loss.q = 2}]\n",
                "axis 1 and axis 2 both set `loss.q`",
            ),
            ("[[axis]]\nkeys = \"seed\"\n", "unknown field `keys`"),
            ("[expects]\nshape = [3, 32]\nnum_classes = 10\n", "line"),
        ] {
            let message = refused(&format!("{base}{axes}"));
            assert!(message.contains(reason), "{axes}: {message}");
        }
        assert!(refused("[[axis]]\n").contains("missing field `base`"));
        let long = format!("[[axis]]\npoints = [{{ arm = \"{}\" }}]\n", "x".repeat(300));
        assert!(refused(&format!("{base}{long}")).contains("more than 200 bytes"));
        let values = (0..200).map(|n| n.to_string()).collect::<Vec<_>>().join(", ");
        let axis = |key| format!("[[axis]]\nkey = \"{key}\"\nvalues = [{values}]\n");
        let many = format!("{base}{}{}", axis("a"), axis("b"));
        assert!(refused(&many).contains("more than 10000 runs"));
    }

    #[test]
    fn names_are_safe_as_folders() {
        for (text, name) in [("a b/c", "a-b-c"), ("..", ""), ("--x--", "x"), ("1e-4", "1e-4")] {
            assert_eq!(plain(text), name);
        }
    }
}
