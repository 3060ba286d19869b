//! Pictures and pages made from what a run left on disk. Nothing here knows the tensor engine,
//! trains, or prints; what is drawn is what the run stored.
//!
//! | module | idea |
//! |---|---|
//! | [`chart`] | small charts as SVG, light and dark from one source, each with its numbers |
//! | [`mod@embedding`] | feature vectors in a plane, by t-SNE |
//! | [`mod@layout`] | class centers in a plane, by multidimensional scaling |
//! | [`mod@calibration`] | confidence against accuracy |
//! | [`noise`] | the noise that was drawn, and the one that the outputs imply |
//! | [`report`] | sections of text, figures, tables and sample images |
//! | [`run`] | the report on one run |
//! | [`runs`] | the report on several runs |
//! | [`audit`] | the report on an audit of labels |
//! | [`page`] | a report as one HTML page |
//! | [`energy`] | the potential energy, and points that come to rest under it |
//! | `pixels` | figures as PNG (feature `png`) |
//! | [`error`] | the one error type |

pub mod audit;
#[cfg(test)]
mod browser;
pub mod calibration;
pub mod chart;
mod eigen;
pub mod embedding;
pub mod energy;
pub mod error;
mod image;
pub mod layout;
pub mod noise;
pub mod page;
#[cfg(feature = "png")]
pub mod pixels;
pub mod report;
pub mod run;
pub mod runs;
#[cfg(test)]
mod testing;

pub use error::{ReportError, Result};
pub use report::Report;
