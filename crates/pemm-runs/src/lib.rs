//! What is on disk after a run, and what is made from it. Nothing here knows the tensor engine or
//! the data path, prints, or draws progress.
//!
//! | file | idea |
//! |---|---|
//! | [`mod@write`] | a file is replaced whole or not at all |
//! | [`record`] | `record.json`: what a run was and what came out of it, with a schema version |
//! | [`epoch`] | one epoch's numbers: a line of `log.jsonl`, an element of the record |
//! | [`choice`] | last epoch, best by noisy validation, oracle best |
//! | [`environment`] | program, machine and time of a run |
//! | [`identity`] | the hash of a resolved experiment, and the keys in which two differ |
//! | [`number`] | numbers in JSON that survive when they are not finite |
//! | [`folder`] | a run folder: its layout, and how it is read |
//! | [`claim`] | who may write to a run folder |
//! | [`grid`] | a grid file, unfolded into cells |
//! | [`grid_lock`] | one grid at a time in a folder |
//! | [`grid_pace`] | how long a grid still takes, and whether another run may start |
//! | [`process`] | processor time and memory, as the system tells them |
//! | [`outputs`] | `outputs.safetensors`: what the trained model says of every sample |
//! | [`log`] | `log.jsonl`: one line per epoch, repaired and cut back on continuing |
//! | [`mod@column`] | what a column of a table stands for |
//! | [`comparable`] | which runs may be averaged and compared |
//! | [`table`] | many records into one table |
//! | [`table_text`], [`table_csv`], [`table_latex`] | the table as Markdown, CSV and LaTeX |
//! | [`literature`] | what papers print for the same columns |
//! | [`settings`] | settings of an arm, ranked by noisy validation |
//! | [`statistics`] | mean, deviation, paired comparison |
//! | [`time`] | seconds since 1970 as a UTC date |
//! | [`error`] | the one error type |
//!
//! The life of a run folder: [`RunFolder::claim`] (lock, `experiment.toml`) → `environment.json`
//! and a first [`Record`] with status `running` → per epoch a log line, then the checkpoint, then
//! the record → the record with its final status. [`RunFolder::open`] reads it at any time.

pub mod choice;
pub mod claim;
pub mod column;
pub mod comparable;
pub mod environment;
pub mod epoch;
pub mod error;
pub mod folder;
pub mod grid;
pub mod grid_lock;
pub mod grid_pace;
pub mod identity;
pub mod literature;
pub mod log;
pub mod number;
pub mod outputs;
pub mod process;
pub mod record;
pub mod settings;
pub mod settings_text;
pub mod statistics;
pub mod table;
pub mod table_csv;
pub mod table_latex;
pub mod table_text;
pub mod time;
pub mod write;

pub use choice::{Choice, Chosen};
pub use claim::{Claim, LockedFolder};
pub use column::Column;
pub use environment::Environment;
pub use epoch::{CenterStats, EpochRecord, Scored};
pub use error::{Result, RunError};
pub use folder::RunFolder;
pub use grid::Grid;
pub use log::Log;
pub use outputs::Outputs;
pub use record::{DataRecord, ModelRecord, NoiseRecord, Record, Status};
pub use table::{Judge, Table};
