//! The commands, one file each: their arguments, and what they do.

pub(crate) mod audit;
pub(crate) mod completions;
pub(crate) mod data;
pub(crate) mod energy;
pub(crate) mod evaluate;
pub(crate) mod explain;
pub(crate) mod grid;
pub(crate) mod methods;
pub(crate) mod noise;
pub(crate) mod predict;
pub(crate) mod report;
pub(crate) mod table;
pub(crate) mod train;

mod experiment;
