//! Experiments on partly wrong labels, without a tensor engine: what can be chosen, how a choice is
//! written, checked and told from others.
//!
//! The way of an experiment: text → [`layer`] → [`Experiment`] → [`Experiment::resolve`] against the
//! [`facts`] of its data → [`Plan`], with nothing left open.
//!
//! | file | idea |
//! |---|---|
//! | [`method`] | how a method describes itself: name, parameters with ranges, reference |
//! | [`kind`] | a sort of methods, one of which an experiment names |
//! | [`losses`], [`heads`], [`regularisers`], [`objectives`], [`backbones`], [`noises`] | the methods, an entry each |
//! | [`catalogue`] | all of them, for `pemm methods` |
//! | [`parameters`] | the parameters of methods: one checked map |
//! | [`pretrained`], [`model`], [`loss`], [`energy`], [`objective`], [`optim`], [`schedule`] | the sections of an experiment |
//! | [`content`] | files that an experiment names, known by what they hold |
//! | [`presets`] | methods with their constants |
//! | [`auto`] | which methods predict together where nobody knows the noise |
//! | [`cost`] | what a network keeps of each sample, from shapes alone |
//! | [`recipes`] | how long and how fast to train, whatever the method |
//! | [`grid`] | a base and axes, unfolded into cells |
//! | [`identity`] | the hash of an experiment, and the keys in which two differ |
//! | [`same`] | the same run, the same but for the seed, the same protocol |
//! | [`error`] | the one error type |

pub mod auto;
pub mod backbones;
pub mod catalogue;
pub mod content;
pub mod cost;
pub mod energy;
pub mod error;
pub mod experiment;
pub mod facts;
pub mod grid;
pub mod heads;
pub mod identity;
pub mod kind;
pub mod layer;
pub mod loss;
pub mod losses;
pub mod method;
pub mod model;
pub mod noises;
pub mod objective;
pub mod objectives;
pub mod optim;
pub mod parameters;
pub mod plan;
pub mod presets;
pub mod pretrained;
pub mod recipes;
pub mod regularisers;
pub mod same;
pub mod schedule;
mod section;
#[cfg(test)]
mod tests;

pub use auto::Auto;
pub use error::{ExperimentError, Result};
pub use experiment::Experiment;
pub use facts::DataFacts;
pub use grid::Grid;
pub use layer::Layer;
pub use plan::Plan;
