//! Potential Energy based Mixture Model: classifiers that wrong labels do not mislead.
//!
//! The head ([`head::DistanceHead`]), the losses ([`loss`]) and the energy of the centers
//! ([`energy::CenterPotential`]) work in any Burn program without the rest; the example
//! `own_model` shows them on somebody's own model. The rest is the whole path: an [`experiment`] is
//! read, made [`ready`] with its data, and [`train`]ed into a run folder.
//!
//! Order of the modules; each uses only what stands before it, which `./check` holds:
//!
//! ```text
//! error device tensors rows layers
//! backbone head loss energy reconstruction optim dynamics centers
//! model networks objective readings recorded training evaluate statistics weights pretrained records
//! data places ready needs explain changed cells checkpoint finished ensemble evaluation
//! run session continuing train auto outputs folds
//! ```

pub mod auto;
pub mod backbone;
pub mod cells;
pub mod centers;
pub mod changed;
pub mod checkpoint;
mod continuing;
pub mod data;
pub mod device;
mod dynamics;
pub mod energy;
pub mod ensemble;
pub mod error;
pub mod evaluate;
pub mod evaluation;
pub mod explain;
pub mod finished;
pub mod folds;
pub mod head;
pub mod layers;
pub mod loss;
pub mod model;
pub mod needs;
pub mod networks;
pub mod objective;
pub mod optim;
pub mod outputs;
pub mod places;
mod pretrained;
mod readings;
pub mod ready;
pub mod reconstruction;
mod recorded;
mod records;
mod rows;
pub mod run;
mod session;
mod statistics;
pub mod tensors;
pub mod train;
mod training;
mod weights;

pub use error::{Error, Result};
pub use pemm_experiment as experiment;
