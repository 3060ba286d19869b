//! The one error type of this crate.

/// Shorthand for this crate's results.
pub type Result<T, E = EnergyError> = std::result::Result<T, E>;

/// What can be wrong with the parameters of a potential or of its descent.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum EnergyError {
    /// A value outside its range.
    #[error("{key}: {reason}")]
    Setting {
        /// Name of the parameter.
        key: &'static str,
        /// The rule and the value.
        reason: String,
    },
    /// The powers of the distances leave float64.
    #[error(
        "the energy of the start is {energy}: the powers leave float64; choose u, v and xi with r0 \
         nearer to 1"
    )]
    NotFinite {
        /// The energy.
        energy: f64,
    },
}

impl EnergyError {
    pub(crate) fn setting(key: &'static str, reason: impl Into<String>) -> Self {
        Self::Setting { key, reason: reason.into() }
    }
}
