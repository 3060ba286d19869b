//! What is on disk after a run, and what is made from it. Nothing here knows the tensor engine,
//! prints, or draws progress.
//!
//! | file | idea |
//! |---|---|
//! | [`mod@write`] | a file is replaced whole or not at all |
//! | [`record`] | `record.json`: what a run was and what came out of it, with a schema version |
//! | [`epoch`] | one epoch's numbers: a line of `log.jsonl`, an element of the record |
//! | [`choice`] | last epoch, best by noisy validation, oracle best |
//! | [`ensemble`] | `ensemble.json`: which runs predict together, and how well |
//! | [`scores`] | how well the weights that a run returns do, class by class |
//! | [`environment`] | program, machine and time of a run |
//! | [`number`] | numbers in JSON that survive when they are not finite |
//! | [`folder`] | a run folder: its layout, and how it is read |
//! | [`found`] | what lies where runs and records are kept |
//! | [`bond`] | which run a file of tensors belongs to, and that it is as it was written |
//! | [`claim`] | which experiment may write to a run folder |
//! | [`locked`] | one process at a time writes to a run folder |
//! | [`tables`] | what is made from many records: a room of its own |
//! | [`grid_lock`] | one grid at a time in a folder |
//! | [`grid_pace`] | how long a grid still takes, and whether another run may start |
//! | [`process`] | processor time and memory, as the system tells them |
//! | [`ordinary`] | no pipe is waited for and no link written through |
//! | [`outputs`] | `outputs.safetensors`: what the trained model says of every sample |
//! | [`metrics`], [`tensorboard`] | the numbers of the epochs as a CSV and as an event file |
//! | [`log`] | `log.jsonl`: one line per epoch, repaired and cut back on continuing |
//! | [`time`] | seconds since 1970 as a UTC date |
//! | [`error`] | the one error type |
//!
//! The life of a run folder: [`RunFolder::claim`] (lock, `experiment.toml`) → `environment.json`
//! and a first [`Record`] with status `running` → per epoch a log line, then the checkpoint, then
//! the record → the record with its final status. [`RunFolder::open`] reads it at any time.

pub mod bond;
pub mod choice;
pub mod claim;
pub mod ensemble;
pub mod environment;
pub mod epoch;
pub mod error;
pub mod folder;
pub mod found;
pub mod grid_lock;
pub mod grid_pace;
pub mod locked;
pub mod log;
pub mod metrics;
pub mod number;
pub mod ordinary;
pub mod outputs;
pub mod process;
pub mod record;
pub mod scores;
pub mod tables;
pub mod tensorboard;
pub mod time;
pub mod write;

pub use bond::Bond;
pub use choice::{Choice, Chosen};
pub use claim::Claim;
pub use ensemble::{EnsembleMember, EnsembleRecord};
pub use environment::Environment;
pub use epoch::{CenterStats, EpochRecord, Scored};
pub use error::{Result, RunError};
pub use folder::RunFolder;
pub use locked::LockedFolder;
pub use log::Log;
pub use outputs::Outputs;
pub use record::{DataRecord, ModelRecord, NoiseRecord, Record, Status};
pub use scores::{PartScores, Scores};
pub use tables::{Column, Judge, Table};
