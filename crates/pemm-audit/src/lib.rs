//! Which labels are wrong: from plain arrays, whatever model they come from.
//!
//! [`audit`] takes checked [`Samples`] (given labels and class probabilities; features, distances
//! and margins of training where there are any) and gives a score and a suggestion per sample, the
//! share of wrong labels with an interval, and the transition matrix. Nothing here trains, reads
//! files, prints, or knows the other crates.
//!
//! | file | idea |
//! |---|---|
//! | [`samples`] | the arrays, checked once |
//! | [`balance`] | probabilities without their model's leaning to some classes |
//! | [`score`] | every score, a file each; the default is [`score::combined`] |
//! | [`joint`] | the confident joint |
//! | [`noise_model`] | transition matrix by maximum likelihood |
//! | [`mixture`] | two Gaussians by expectation maximisation |
//! | [`neighbors`] | exact nearest neighbours by blocked matrix products |
//! | [`rate`] | how many labels are wrong |
//! | [`report`] | the audit, and its summary for `audit.json` |
//!
//! Memory is linear in the number of samples: beside the arrays themselves one more copy of the
//! probabilities and about 60 bytes a sample. The bits of every result depend on neither the number
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

pub mod balance;
pub mod error;
pub mod joint;
pub mod mixture;
pub mod neighbors;
pub mod noise_model;
mod random;
pub mod rate;
pub mod report;
pub mod samples;
pub mod score;

pub use error::{AuditError, Result};
pub use report::{Audit, Summary, audit};
pub use samples::{Arrays, Samples};
