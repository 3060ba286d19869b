//! Pictures and pages made from what a run left on disk. Nothing here knows the tensor engine,
//! trains, or prints; what is drawn is what the run stored.
//!
//! | module | idea |
//! |---|---|
//! | [`chart`] | small charts as SVG, light and dark from one source, each with its numbers |
//! | [`energy`] | the potential energy, and points that come to rest under it |

pub mod chart;
pub mod energy;
