//! The catalogue of the losses.

use std::collections::BTreeMap;

use pemm_data::noise::Transition;

use super::{
    Loss, LossKind, bootstrap_hard, bootstrap_soft, cross_entropy, forward,
    generalized_cross_entropy, label_smoothing, mean_absolute_error, normalized_and_reverse,
    normalized_cross_entropy, partially_huberised, reverse_cross_entropy, symmetric_cross_entropy,
    truncated_generalized,
};
use crate::method::{Accepts, Method};

/// Every loss.
pub static LOSSES: [Entry; 13] = [
    cross_entropy::ENTRY,
    mean_absolute_error::ENTRY,
    generalized_cross_entropy::ENTRY,
    truncated_generalized::ENTRY,
    reverse_cross_entropy::ENTRY,
    symmetric_cross_entropy::ENTRY,
    normalized_cross_entropy::ENTRY,
    normalized_and_reverse::ENTRY,
    bootstrap_soft::ENTRY,
    bootstrap_hard::ENTRY,
    forward::ENTRY,
    partially_huberised::ENTRY,
    label_smoothing::ENTRY,
];

/// What a loss says of itself.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// The loss.
    pub kind: LossKind,
    /// Name, parameters and reference.
    pub method: Method,
    /// The loss with these settings.
    pub build: fn(&Settings) -> Box<dyn Loss>,
    /// The sum of the loss over the K classes as given label, if it is the same for all scores: the
    /// loss is then symmetric, and symmetric noise does not move its minimum.
    pub class_sum: Option<fn(&Settings, usize) -> f64>,
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

impl LossKind {
    /// Its entry in the catalogue.
    pub fn entry(self) -> &'static Entry {
        let entry = LOSSES.iter().find(|entry| entry.kind == self);
        entry.expect("the catalogue has every kind, as a test holds")
    }
}

/// What a loss is built with.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    numbers: BTreeMap<&'static str, f64>,
    matrix: Option<Transition>,
}

impl Settings {
    /// The defaults of `method`, without a matrix.
    pub fn defaults(method: &Method) -> Self {
        let number = |accepts| match accepts {
            Accepts::Number { default, .. } => Some(default),
            Accepts::Words { .. } => None,
        };
        let numbers = method.parameters.iter();
        let numbers = numbers.filter_map(|p| number(p.accepts).map(|value| (p.key, value)));
        Self { numbers: numbers.collect(), matrix: None }
    }

    /// With another value of `key`.
    pub fn with(mut self, key: &'static str, value: f64) -> Self {
        self.numbers.insert(key, value);
        self
    }

    /// With `P(given j | true i)`.
    pub fn with_matrix(mut self, matrix: Transition) -> Self {
        self.matrix = Some(matrix);
        self
    }

    /// The parameter `key`.
    pub(super) fn number(&self, key: &str) -> f64 {
        *self.numbers.get(key).unwrap_or_else(|| panic!("a loss reads {key} without declaring it"))
    }

    /// The matrix.
    pub(super) fn matrix(&self) -> &Transition {
        self.matrix.as_ref().expect("who builds a forward correction gives it a matrix")
    }
}
