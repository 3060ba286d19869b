//! Potential Energy based Mixture Model: classifiers that wrong labels do not mislead.
//!
//! The head ([`head::DistanceHead`]), the losses ([`loss`]) and the energy of the centers
//! ([`energy::CenterPotential`]) work in any Burn program without the rest; the example
//! `own_model` shows them on somebody's own model. The rest is the whole path: an
//! [`experiment`] is read, checked into a plan, and [`train`]ed into a run folder.
//!
//! Order of the modules; each uses only what stands before it: {backbone, head, loss, energy,
//! schedule} → {model, objective, evaluate, checkpoint} → experiment → train.

pub mod backbone;
pub mod centers;
pub mod checkpoint;
mod continuing;
pub mod device;
mod dynamics;
pub mod energy;
pub mod error;
pub mod evaluate;
pub mod experiment;
pub mod explain;
pub mod finished;
pub mod folds;
pub mod grid;
pub mod head;
pub mod layers;
pub mod loss;
pub mod method;
pub mod methods;
pub mod model;
pub mod networks;
pub mod objective;
pub mod optim;
pub mod outputs;
pub mod plan;
mod pretrained;
pub mod reconstruction;
mod records;
pub mod schedule;
mod session;
mod statistics;
pub mod tensors;
pub mod train;
mod weights;

pub use error::{Error, Result};
