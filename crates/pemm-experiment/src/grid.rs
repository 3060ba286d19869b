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
//! order of the axes is the order of the work.

mod unfold;

use std::collections::BTreeMap;

use pemm_data::Shape;
use serde::Deserialize;

use crate::error::{ExperimentError, Result};
use crate::experiment::Experiment;
use crate::facts::DataFacts;
use crate::layer::Layer;
use crate::plan::Plan;
use unfold::{Combination, GridFile, unfold};

/// The file in a grid's folder whose lock says that a grid is at work; no run may be called so.
pub const GRID_LOCK: &str = "grid.lock";

/// The folder in a grid's folder that holds what was submitted to Slurm; no run may be called so.
pub const GRID_SLURM: &str = "slurm";

/// A grid, unfolded.
#[derive(Debug, Clone)]
pub struct Grid {
    /// All combinations, in the order of the work.
    pub cells: Vec<Cell>,
    /// What the data are expected to be, where the file says so.
    pub expects: Option<Expects>,
    /// How the table of the grid is made.
    pub table: TableConfig,
}

/// One run of a grid.
#[derive(Debug, Clone)]
pub struct Cell {
    /// Name of its run folder: readable, unique in the grid, and the same whatever else the grid
    /// holds.
    pub name: String,
    /// The experiment, values left out still left to the data.
    pub experiment: Experiment,
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

impl Grid {
    /// Reads and unfolds the text of the grid file `origin`.
    ///
    /// # Errors
    /// [`ExperimentError::Grid`]: unknown keys and wrong types with line and column; an axis that is
    /// neither `key` and `values` nor `points`, or has no entry; two axes that set one key; cells of
    /// one name; more than 10,000 cells. [`ExperimentError::Text`], with the cell's name: what
    /// [`Layer::from_table`] and [`Experiment::from_layers`] say, and two cells that are the same
    /// experiment.
    pub fn parse(origin: &str, text: &str) -> Result<Self> {
        let wrong = |reason: String| ExperimentError::Grid { origin: origin.into(), reason };
        let file: GridFile =
            toml::from_str(text).map_err(|error| wrong(error.to_string().trim_end().into()))?;
        let base = Layer::from_table(&format!("{origin}: base"), file.base)?;
        let mut cells: Vec<Cell> = Vec::new();
        let mut known = Known::default();
        for Combination { name, layers } in unfold(file.axis).map_err(wrong)? {
            let origin = format!("{origin}: run {name}");
            // One layer, so that the order of the axes is the order of the work and nothing else.
            let above = layers.into_iter().map(|layer| Layer::from_table(&origin, layer));
            let above = above.reduce(|below, above| Ok(below?.over(above?))).transpose()?;
            let layers: Vec<Layer> = [Some(base.clone()), above].into_iter().flatten().collect();
            let named = |message: String| ExperimentError::Text { origin: origin.clone(), message };
            let experiment =
                Experiment::from_layers(&layers).map_err(|error| named(error.to_string()))?;
            if let Some(first) = known.add(&name, &experiment) {
                let message =
                    format!("is the same experiment as run {first}; take one of them out");
                return Err(named(message));
            }
            cells.push(Cell { name, experiment });
        }
        Ok(Self { cells, expects: file.expects, table: file.table })
    }

    /// Whether `text` is a grid file and not an experiment: it has a `[base]` or an `[[axis]]`.
    pub fn is_grid(text: &str) -> bool {
        text.parse::<toml::Table>()
            .is_ok_and(|file| file.contains_key("base") || file.contains_key("axis"))
    }

    /// Checks all cells against what the data are known to be, without the data.
    ///
    /// # Errors
    /// The first cell with a value that is out of range or does not go with another.
    pub fn resolve(&self, facts: DataFacts) -> Result<Vec<Plan>> {
        let resolve = |cell: &Cell| {
            let plan = cell.experiment.clone().resolve(facts);
            plan.map_err(|error| error.in_run(&cell.name))
        };
        self.cells.iter().map(resolve).collect()
    }
}

impl Expects {
    /// The facts that are expected; the sizes of the parts are not.
    pub fn facts(&self) -> DataFacts {
        let [channels, height, width] = self.shape;
        DataFacts {
            shape: Shape { channels, height, width },
            vectors: self.vectors,
            num_classes: self.num_classes,
            parts: None,
        }
    }

    /// Whether the data at `path` are as expected.
    ///
    /// # Errors
    /// [`ExperimentError::Setting`] for `data.path`.
    pub fn check(&self, facts: DataFacts, path: &str) -> Result<()> {
        let Shape { channels, height, width } = facts.shape;
        let found = Self {
            shape: [channels, height, width],
            num_classes: facts.num_classes,
            vectors: facts.vectors,
        };
        if found == *self {
            return Ok(());
        }
        let reason = format!(
            "the grid expects samples of {:?} in {} classes, {path} has {:?} in {}; use the data \
             that the grid is for, or correct [expects]",
            self.shape, self.num_classes, found.shape, found.num_classes
        );
        Err(ExperimentError::setting("data.path", reason))
    }
}

/// Experiments that were seen, by their identity.
#[derive(Debug, Default)]
pub struct Known(BTreeMap<String, String>);

impl Known {
    /// Adds the experiment of the run `name`; gives the name of the run that is the same experiment,
    /// if there was one.
    pub fn add(&mut self, name: &str, experiment: &Experiment) -> Option<String> {
        self.0.insert(experiment.identity(), name.to_owned())
    }
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
        let combinations = unfold(toml::from_str::<GridFile>(GRID).unwrap().axis).unwrap();
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
        let cell = &combinations[5];
        assert_eq!(cell.layers.len(), 3);
        assert_eq!(cell.layers[1]["seed"].as_integer(), Some(1));
        assert!(!cell.layers[0].contains_key("name"));
        let keys: Vec<String> = unfold::leaves(&cell.layers[2]).into_keys().collect();
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
        assert_eq!((grid.cells.len(), grid.cells[0].name.as_str()), (1, "run"));
        assert_eq!(grid.cells[0].experiment.seed, 3);
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
            ("[[axis]]\npoints = [{ name = \"Slurm\" }]\n", "the name slurm is that of a file"),
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
            assert_eq!(unfold::plain(text), name);
        }
    }
}
