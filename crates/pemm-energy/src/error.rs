//! The one error type of this crate.

/// Shorthand for this crate's results.
pub type Result<T, E = EnergyError> = std::result::Result<T, E>;

/// What can be wrong with the parameters of a potential or of its descent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnergyError {
    /// A value outside its range.
    #[error("{key}: {reason}")]
    Setting {
        /// Name of the parameter.
        key: &'static str,
        /// The rule and the value, and what to do.
        reason: String,
    },
}

impl EnergyError {
    pub(crate) fn setting(key: &'static str, reason: impl Into<String>) -> Self {
        Self::Setting { key, reason: reason.into() }
    }
}
