//! What joins a loss's entry in `pemm_experiment` and its code.

use pemm_data::noise::Transition;
use pemm_experiment::losses::LossKind;
use pemm_experiment::method::Method;
use pemm_experiment::parameters::{Parameters, Value};

use super::Loss;

/// The code of a loss and what it promises; the contract test holds it to that.
#[derive(Debug, Clone, Copy)]
pub struct Code {
    /// The loss with these settings.
    pub build: fn(&Settings) -> Box<dyn Loss>,
    /// The sum of the loss over the K classes as given label, if it is the same for all scores: the
    /// loss is then symmetric, and symmetric noise does not move its minimum.
    pub class_sum: Option<fn(&Settings, usize) -> f64>,
    /// Whether it is below 0 somewhere.
    pub may_be_negative: bool,
    /// Where it becomes another loss.
    pub limits: &'static [Limit],
}

/// With the settings `at` (and the identity as matrix), a loss is `factor` times `other` with the
/// settings `with`.
#[derive(Debug, Clone, Copy)]
pub struct Limit {
    /// Settings of the loss; those not named have their defaults.
    pub at: &'static [(&'static str, f64)],
    /// The other loss.
    pub other: LossKind,
    /// Its settings.
    pub with: &'static [(&'static str, f64)],
    /// How many times the other loss.
    pub factor: f64,
}

impl Limit {
    /// The loss is `other` with its defaults at one setting.
    pub(super) const fn same(at: &'static [(&'static str, f64)], other: LossKind) -> Self {
        Self { at, other, with: &[], factor: 1.0 }
    }
}

/// What a loss is built with.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    parameters: Parameters,
    matrix: Option<Transition>,
}

impl Settings {
    /// These parameters and, where the loss takes one, `P(given j | true i)`.
    pub fn new(parameters: Parameters, matrix: Option<Transition>) -> Self {
        Self { parameters, matrix }
    }

    /// The defaults of `method`, without a matrix.
    pub fn defaults(method: &Method) -> Self {
        Self::new(Parameters::defaults(method), None)
    }

    /// With another value of `key`.
    pub fn with(self, key: &'static str, value: impl Into<Value>) -> Self {
        Self { parameters: self.parameters.with(key, value), ..self }
    }

    /// With `P(given j | true i)`.
    pub fn with_matrix(self, matrix: Transition) -> Self {
        Self { matrix: Some(matrix), ..self }
    }

    /// The parameter `key`.
    pub(super) fn number(&self, key: &str) -> f64 {
        let number = self.parameters.number(key);
        number.unwrap_or_else(|| panic!("a loss reads {key} without declaring it"))
    }

    /// The matrix.
    pub(super) fn matrix(&self) -> &Transition {
        self.matrix.as_ref().expect("who builds a forward correction gives it a matrix")
    }
}
