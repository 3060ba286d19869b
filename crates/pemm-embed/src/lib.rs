//! Pretrained backbones from ONNX files, read at run time: checks, preprocessing, features, and the
//! cache of features. Nothing here knows the training engine, and nothing needs Python.
//!
//! [`Backbone::open`] reads a file and checks it before any image is read: what it costs, that its
//! input is an image, which output is the vector of features ([`output`]), how images are prepared
//! ([`preprocessing`]). [`Backbone::embed`] puts images through it, [`Backbone::vectors_of_all`]
//! a whole data set, [`FeatureCache`] keeps the results, [`export`] writes them as NumPy files. What
//! decides the features is the [`BackboneCard`], which a run records and [`Backbone::reopen`] holds
//! a file to.
//!
//! A file is a program from somebody else. It is read here with every length checked and run dry
//! with every shape known; rten, which computes, only gets what was written from that. A file
//! without an end of its work (control flow), or that needs more memory or steps than the caps
//! in `dry_run`, is refused.
#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "kinds of files and errors of other libraries, of which only some are read here"
)]

mod backbone;
mod cache;
mod depthwise;
mod dry_run;
mod embed;
mod error;
pub mod export;
mod file;
mod graph;
mod network;
pub mod output;
pub mod preprocessing;
mod proto;
#[cfg(test)]
mod tests;
mod vectors;
mod write;

pub use backbone::{Backbone, BackboneCard, BackboneKeys};
pub use cache::FeatureCache;
pub use embed::{EmbedOptions, Progress, Sample, samples};
pub use error::{EmbedError, Result};
pub use preprocessing::Layout;
