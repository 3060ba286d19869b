//! The arguments that say where the files of a run are now.

use std::path::PathBuf;

use clap::{Args, ValueHint};
use pemm::places::Places;

/// Where the data of a run are, if they were moved after it.
#[derive(Debug, Args)]
pub(crate) struct PlacesArguments {
    /// Where the data are now, if they were moved since the training
    #[arg(long, value_name = "DATA", value_hint = ValueHint::AnyPath)]
    data: Option<String>,
    /// Where the labels CSV is now
    #[arg(long, value_name = "CSV", value_hint = ValueHint::FilePath)]
    labels: Option<PathBuf>,
    /// Where the CSV of trusted labels is now
    #[arg(long, value_name = "CSV", value_hint = ValueHint::FilePath)]
    trusted: Option<PathBuf>,
    /// Where the pretrained backbone is now
    #[arg(long, value_name = "FILE.onnx", value_hint = ValueHint::FilePath)]
    backbone: Option<String>,
}

impl PlacesArguments {
    /// The places.
    pub(crate) fn places(&self) -> Places {
        let Self { data, labels, trusted, backbone } = self;
        Places {
            data: data.clone(),
            labels: labels.clone(),
            trusted: trusted.clone(),
            backbone: backbone.clone(),
        }
    }

    /// Whether one is named.
    pub(crate) fn are_given(&self) -> bool {
        let Self { data, labels, trusted, backbone } = self;
        data.is_some() || labels.is_some() || trusted.is_some() || backbone.is_some()
    }
}
