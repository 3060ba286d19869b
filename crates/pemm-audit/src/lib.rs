//! Which labels are wrong: from plain arrays, whatever model they come from.
//!
//! [`audit`] takes checked [`Samples`] (given labels and class probabilities; features, distances,
//! margins and events of training, labels that somebody checked) and says whether the models can
//! judge at all, gives a score and a suggestion per sample, the share of wrong labels with an interval, and
//! what may be done to the labels without harm. Nothing here trains, touches the disk, prints, or knows the
//! other crates.
//!
//! | file | idea |
//! |---|---|
//! | [`samples`] | the arrays, checked once |
//! | [`stacked`] | probabilities on the scale of the given labels |
//! | [`noise_model`] | wrong labels and the model's mistakes at once, by maximum likelihood |
//! | [`pattern`] | whether wrong labels go where mistakes go |
//! | [`joint`] | the confident joint |
//! | [`estimate`] | other estimators of the share of wrong labels |
//! | [`rate`] | how many labels are wrong, weighed; doubt |
//! | [`judge`](mod@judge) | can the models judge at all |
//! | [`columns`] | columns in another order than the labels |
//! | [`cleaning`] | what may be done without harm |
//! | [`score`] | every score, a file each; the default is [`score::combined`] |
//! | [`mixture`] | two Gaussians by expectation maximisation |
//! | [`neighbors`] | exact nearest neighbours by blocked matrix products |
//! | [`report`] | the audit, and its summary |
//! | [`files`] | `label_issues.csv`, `audit.json`, and labels for training |
//!
//! Memory is linear in the number of samples: beside the arrays themselves one more copy of the
//! probabilities and about 150 bytes a sample. The bits of every result depend on neither the number
//! of threads nor their timing.
//!
//! ```
//! use pemm_audit::{Arrays, Samples, audit};
//!
//! # fn main() -> pemm_audit::Result<()> {
//! let given = [0, 0, 0, 1, 1, 1];
//! let probabilities = [0.9, 0.1, 0.8, 0.2, 0.1, 0.9, 0.2, 0.8, 0.1, 0.9, 0.3, 0.7];
//! let arrays = Arrays {
//!     num_classes: 2,
//!     given: &given,
//!     probabilities: &probabilities,
//!     ..Arrays::default()
//! };
//! let audit = audit(&Samples::new(arrays)?);
//! let most_doubtful = audit.ranks.iter().position(|&rank| rank == 1);
//! assert_eq!(most_doubtful, Some(2));
//! assert_eq!(audit.suggested[2], 1);
//! # Ok(())
//! # }
//! ```
#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "kinds of files and errors of other libraries, of which only some are read here"
)]

pub mod cleaning;
pub mod columns;
pub mod error;
pub mod estimate;
pub mod files;
pub mod joint;
pub mod judge;
#[cfg(test)]
mod made;
pub mod mixture;
pub mod neighbors;
pub mod noise_model;
pub mod outliers;
pub mod pattern;
mod random;
pub mod rate;
pub mod report;
pub mod samples;
pub mod score;
pub mod stacked;

pub use error::{AuditError, Result};
pub use report::{Audit, Summary, audit};
pub use samples::{Arrays, Samples, UNKNOWN};
