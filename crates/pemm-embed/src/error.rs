//! The one error type of this crate: file or place, rule, value, and what to do next.

use std::path::{Path, PathBuf};

use crate::dry_run::Stop;

/// Shorthand for this crate's results.
pub type Result<T, E = EmbedError> = std::result::Result<T, E>;

/// Everything that can be wrong with a backbone, its settings and the images that go through it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmbedError {
    /// A file or folder could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The file is no ONNX file, or is broken.
    #[error(
        "{}: not an ONNX file that can be read: {reason}; export the network to ONNX again, or \
         download the file anew",
        file.display()
    )]
    NotOnnx {
        /// The file.
        file: PathBuf,
        /// What is wrong with its bytes.
        reason: String,
    },
    /// The network computes something that is not supported.
    #[error(
        "{}: the operator {operator} (node {node:?}, opset {opset}) is not supported; export the \
         network again without it, for example with torch.onnx.export(…, dynamo=True), which \
         leaves out control flow and what only training needs",
        file.display()
    )]
    UnsupportedOperator {
        /// The file.
        file: PathBuf,
        /// The operator, with its domain if it is not a standard one.
        operator: String,
        /// The node.
        node: String,
        /// Version of the standard operators that the file uses.
        opset: i64,
    },
    /// The network does not go through for the size of image that it would get.
    #[error("{}: with images of {height}×{width} pixels, node {node:?} ({operator}): {reason}; \
             {next}", file.display())]
    Shapes {
        /// The file.
        file: PathBuf,
        /// Height of the image.
        height: usize,
        /// Width of the image.
        width: usize,
        /// The node.
        node: String,
        /// Its operator.
        operator: String,
        /// Which shapes do not go together, or what the pixels would decide.
        reason: String,
        /// What to do.
        next: &'static str,
    },
    /// Something is larger than its cap.
    #[error("{}: {what}: {value}, the limit is {limit}; {next}", file.display())]
    TooLarge {
        /// The file.
        file: PathBuf,
        /// What is too large, with its unit.
        what: String,
        /// How large it is.
        value: u64,
        /// The cap.
        limit: u64,
        /// What to do.
        next: &'static str,
    },
    /// The inputs are not one image.
    #[error("{}: {reason}", file.display())]
    Input {
        /// The file.
        file: PathBuf,
        /// What the inputs are, the rule, and what to do.
        reason: String,
    },
    /// No output is a vector for each image, or it is not clear which one to take.
    #[error("{}: {reason}", file.display())]
    Output {
        /// The file.
        file: PathBuf,
        /// What the outputs are, the rule, and what to do.
        reason: String,
    },
    /// Weights that are in another file cannot be read.
    #[error("{}: its weights are in {location:?}: {reason}", file.display())]
    ExternalWeights {
        /// The file of the network.
        file: PathBuf,
        /// The other file, as the network names it.
        location: String,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// The preprocessing is not a possible one.
    #[error("{place}: {reason}")]
    Preprocessing {
        /// The key, or the file it was read from.
        place: String,
        /// The rule, the value and what to do.
        reason: String,
    },
    /// The file is not the one that a run was trained with.
    #[error(
        "{}: this is not the backbone that the run was trained with (SHA-256 {found}, in the run \
         {recorded}); give that file, or train again",
        file.display()
    )]
    Changed {
        /// The file.
        file: PathBuf,
        /// Hash in the record.
        recorded: String,
        /// Hash of the file that is there.
        found: String,
    },
    /// The network failed while it ran.
    #[error("{}: the network failed: {reason}; if the file is sound, please report this",
            file.display())]
    Run {
        /// The file.
        file: PathBuf,
        /// What failed.
        reason: String,
    },
    /// A feature is not finite.
    #[error(
        "{sample}: feature {feature} is {value} after {}; the network overflows on this image: \
         check the preprocessing, or leave the image out",
        file.display()
    )]
    NotFinite {
        /// The network.
        file: PathBuf,
        /// Name of the sample.
        sample: String,
        /// Position of the feature.
        feature: usize,
        /// Its value.
        value: f32,
    },
    /// An image does not decode, or is none.
    #[error("{sample}: {reason}")]
    Image {
        /// Name of the sample.
        sample: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The cancellation was asked for; what was finished is in the cache.
    #[error("stopped after {done} of {total} images; what is finished is kept in the cache")]
    Cancelled {
        /// Images finished.
        done: usize,
        /// All images.
        total: usize,
    },
}

impl EmbedError {
    pub(crate) fn io(path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        Self::Io { path: path.into(), source }
    }

    pub(crate) fn setting(place: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Preprocessing { place: place.into(), reason: reason.into() }
    }

    /// What a dry run of `file` on an image of `[height, width]` stopped at.
    pub(crate) fn stopped(file: &Path, opset: i64, [height, width]: [usize; 2], at: Stop) -> Self {
        let file = file.to_path_buf();
        match at {
            Stop::Unknown { operator, node } => {
                Self::UnsupportedOperator { file, operator, node, opset }
            }
            Stop::Mismatch { operator, node, reason } => {
                let next = "give the size of image that the network was made for \
                            (backbone.size), or export it with a free batch and a fixed size";
                Self::Shapes { file, height, width, node, operator, reason, next }
            }
            Stop::TooLarge { operator, node, what, value, limit } => Self::TooLarge {
                file,
                what: format!("at node {node:?} ({operator}), {what} of {height}×{width} pixels"),
                value,
                limit,
                next: "give smaller images (backbone.size) or a smaller network",
            },
        }
    }
}
