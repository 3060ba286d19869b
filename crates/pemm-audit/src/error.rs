//! The one error type of this crate. A message gives where, the rule, the value, and what to do.

/// Shorthand for this crate's results.
pub type Result<T, E = AuditError> = std::result::Result<T, E>;

/// Everything that can be wrong with arrays that somebody hands us.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum AuditError {
    /// An array has not as many values as it should.
    #[error("{what}: {found} values, but {expected} are needed ({rule})")]
    Size {
        /// The array.
        what: &'static str,
        /// Number of values needed.
        expected: usize,
        /// Number of values there.
        found: usize,
        /// How the number comes about.
        rule: String,
    },
    /// A value is not one that the array may hold.
    #[error("{what}: sample {sample}: {reason}")]
    Value {
        /// The array.
        what: &'static str,
        /// The sample, from 0.
        sample: usize,
        /// The rule and the value, and what to do.
        reason: String,
    },
    /// A setting is outside its range, or there is too little to work on.
    #[error("{key}: {reason}")]
    Setting {
        /// The setting.
        key: &'static str,
        /// The rule and the value, and what to do.
        reason: String,
    },
}
