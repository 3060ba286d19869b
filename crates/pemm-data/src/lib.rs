//! Images and labels before any tensor: sources, given and sealed labels, label noise, splits,
//! augmentation and the loader. Nothing here knows the tensor engine.
//!
//! The way of the data: [`source`] → [`labels`] (join) → [`split::limit`] → [`noise`] →
//! [`split`] → [`loader`] (with [`augment`]) → [`Batch`](loader::Batch).
#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "kinds of files and errors of other libraries, of which only some are read here"
)]

mod ahead;
pub mod augment;
pub mod config;
pub mod dataset;
pub mod decode;
pub mod disk;
pub mod error;
pub mod fetch;
mod hex;
pub mod info;
pub mod labels;
pub mod loader;
mod memory;
mod nearest;
pub mod noise;
pub mod normalize;
pub mod plane;
pub mod prepare;
pub mod score;
pub mod seed;
mod shown;
pub mod source;
pub mod split;
mod stop;

pub use dataset::{DataSet, Part, Pixels, Sealed, Shape, Trusted};
pub use error::{DataError, Result};
pub use hex::hex;
pub use nearest::nearest;
pub use score::Score;
pub use seed::{Rng, Stream, Streams};
pub use shown::{shown, shown_lines};
