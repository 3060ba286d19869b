//! How a method describes itself: name, one line, equation, parameters, reference, and what differs
//! from that.
//!
//! Each method says this once, in the list of its sort. Defaults, checks, the keys that go when a
//! layer names another kind, `pemm methods` and the contract tests are all made from it.

use std::fmt;
use std::ops::Bound;

use serde::{Serialize, Serializer};

use crate::error::{ExperimentError, Result};

/// A method as a reader chooses it.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Method {
    /// The word in an experiment file.
    pub name: &'static str,
    /// What it is, in one line.
    pub summary: &'static str,
    /// What it computes, line by line; symbols as in the documentation: scores s, probabilities p,
    /// given label y, features z, K classes.
    pub equation: &'static [&'static str],
    /// Its parameters.
    pub parameters: &'static [Parameter],
    /// Where it comes from.
    pub reference: &'static str,
    /// Where it is not what its source is, in the default of a parameter or altogether, and what that
    /// changes: the one place that says so.
    pub differs: &'static [&'static str],
}

impl Method {
    /// The parameter called `key`, if this method has one.
    pub fn parameter(&self, key: &str) -> Option<&'static Parameter> {
        self.parameters.iter().find(|parameter| parameter.key == key)
    }
}

/// A parameter of a method.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Parameter {
    /// Its key, below the section of the method.
    pub key: &'static str,
    /// What it does, and its limits.
    pub meaning: &'static str,
    /// Default and allowed values.
    #[serde(flatten)]
    pub accepts: Accepts,
    /// Whether it came after the first records: its default changes nothing, and stays out of
    /// experiments, so that theirs keep their identity.
    #[serde(skip)]
    pub is_later: bool,
}

/// Default and allowed values of a parameter.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(untagged)]
pub enum Accepts {
    /// A finite number.
    Number {
        /// Taken where it is left out.
        default: f64,
        /// Allowed values.
        range: Range,
    },
    /// A whole number of 0 or more.
    Count {
        /// Taken where it is left out.
        default: usize,
        /// Allowed values.
        range: Range,
    },
    /// One of some words.
    Word {
        /// Taken where it is left out.
        default: &'static str,
        /// Allowed values.
        #[serde(rename = "range")]
        words: &'static [&'static str],
    },
    /// A number of epochs that follows from the others where it is left out.
    Epochs {
        /// What is taken where it is left out, in words.
        default: &'static str,
        /// Allowed values, in words.
        range: &'static str,
    },
    /// A number that follows from something else where it is left out.
    Open {
        /// What is taken where it is left out, in words.
        default: &'static str,
        /// Allowed values.
        range: Range,
    },
    /// Anything else, as text.
    Text {
        /// Taken where it is left out.
        default: &'static str,
        /// Allowed values, in words.
        range: &'static str,
    },
}

impl Parameter {
    const fn new(key: &'static str, accepts: Accepts, meaning: &'static str) -> Self {
        Self { key, meaning, accepts, is_later: false }
    }

    /// A number.
    pub const fn number(
        key: &'static str,
        default: f64,
        range: Range,
        meaning: &'static str,
    ) -> Self {
        Self::new(key, Accepts::Number { default, range }, meaning)
    }

    /// A whole number.
    pub const fn count(
        key: &'static str,
        default: usize,
        range: Range,
        meaning: &'static str,
    ) -> Self {
        Self::new(key, Accepts::Count { default, range }, meaning)
    }

    /// One of some words, the first of which is the default.
    pub const fn word(
        key: &'static str,
        words: &'static [&'static str],
        meaning: &'static str,
    ) -> Self {
        Self::new(key, Accepts::Word { default: words[0], words }, meaning)
    }

    /// A number of epochs that follows from the others where it is left out.
    pub const fn epochs(
        key: &'static str,
        default: &'static str,
        range: &'static str,
        meaning: &'static str,
    ) -> Self {
        Self::new(key, Accepts::Epochs { default, range }, meaning)
    }

    /// A number that follows from something else where it is left out.
    pub const fn open(
        key: &'static str,
        default: &'static str,
        range: Range,
        meaning: &'static str,
    ) -> Self {
        Self::new(key, Accepts::Open { default, range }, meaning)
    }

    /// Anything else, as text.
    pub const fn text(
        key: &'static str,
        default: &'static str,
        range: &'static str,
        meaning: &'static str,
    ) -> Self {
        Self::new(key, Accepts::Text { default, range }, meaning)
    }

    /// This one, come after the first records: see [`Self::is_later`].
    pub const fn later(self) -> Self {
        Self { is_later: true, ..self }
    }
}

impl fmt::Display for Parameter {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        let Self { key, meaning, .. } = self;
        match self.accepts {
            Accepts::Number { default, range } => {
                write!(formatter, "{key} = {default} ({range}): {meaning}")
            }
            Accepts::Count { default, range } => {
                write!(formatter, "{key} = {default} ({range}): {meaning}")
            }
            Accepts::Word { default, words } => {
                write!(formatter, "{key} = \"{default}\" ({}): {meaning}", alternatives(words))
            }
            Accepts::Open { default, range } => {
                write!(formatter, "{key} = {default} ({range}): {meaning}")
            }
            Accepts::Epochs { default, range } | Accepts::Text { default, range } => {
                write!(formatter, "{key} = {default} ({range}): {meaning}")
            }
        }
    }
}

/// `"a", "b" or "c"`.
pub(crate) fn alternatives(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => String::new(),
    }
}

/// An interval of numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    low: Bound<f64>,
    high: Bound<f64>,
}

impl Range {
    /// (0, ∞).
    pub const POSITIVE: Self = Self { low: Bound::Excluded(0.0), high: Bound::Unbounded };
    /// [0, ∞).
    pub const NOT_NEGATIVE: Self = Self::from(0.0);
    /// (-∞, 0).
    pub const NEGATIVE: Self = Self { low: Bound::Unbounded, high: Bound::Excluded(0.0) };
    /// [0, 1].
    pub const SHARE: Self = Self::within(0.0, 1.0);

    /// [low, ∞).
    pub const fn from(low: f64) -> Self {
        Self { low: Bound::Included(low), high: Bound::Unbounded }
    }

    /// [low, high].
    pub const fn within(low: f64, high: f64) -> Self {
        Self { low: Bound::Included(low), high: Bound::Included(high) }
    }

    /// (low, high].
    pub const fn above(low: f64, high: f64) -> Self {
        Self { low: Bound::Excluded(low), high: Bound::Included(high) }
    }

    /// [low, high).
    pub const fn up_to(low: f64, high: f64) -> Self {
        Self { low: Bound::Included(low), high: Bound::Excluded(high) }
    }

    /// (low, high).
    pub const fn between(low: f64, high: f64) -> Self {
        Self { low: Bound::Excluded(low), high: Bound::Excluded(high) }
    }

    /// Holds `value` to the range; infinities and NaN are never within.
    ///
    /// # Errors
    /// [`ExperimentError::Setting`] for `key`.
    pub fn check(self, key: impl Into<String>, value: f64) -> Result<()> {
        use std::ops::RangeBounds;
        if value.is_finite() && (self.low, self.high).contains(&value) {
            return Ok(());
        }
        Err(ExperimentError::setting(key, format!("must be {self}, is {value}")))
    }
}

impl fmt::Display for Range {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        use Bound::{Excluded, Included, Unbounded};
        match (self.low, self.high) {
            (Unbounded, Unbounded) => write!(formatter, "finite"),
            (Included(low), Unbounded) => write!(formatter, "{low} or more"),
            (Excluded(low), Unbounded) => write!(formatter, "above {low}"),
            (Unbounded, Included(high)) => write!(formatter, "{high} or less"),
            (Unbounded, Excluded(high)) => write!(formatter, "below {high}"),
            (Included(low), Included(high)) => write!(formatter, "from {low} to {high}"),
            (Included(low), Excluded(high)) => write!(formatter, "{low} or more and below {high}"),
            (Excluded(low), Included(high)) => write!(formatter, "above {low} and at most {high}"),
            (Excluded(low), Excluded(high)) => write!(formatter, "above {low} and below {high}"),
        }
    }
}

impl Serialize for Range {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold_their_ends() {
        for (range, text, inside, outside) in [
            (Range::POSITIVE, "above 0", [1e-9, 1e9], [0.0, f64::INFINITY]),
            (Range::NOT_NEGATIVE, "0 or more", [0.0, 1e9], [-1e-9, f64::NAN]),
            (Range::NEGATIVE, "below 0", [-1e9, -1e-9], [0.0, f64::NEG_INFINITY]),
            (Range::SHARE, "from 0 to 1", [0.0, 1.0], [-0.1, 1.1]),
            (Range::above(0.0, 1.0), "above 0 and at most 1", [0.1, 1.0], [0.0, 1.1]),
            (Range::between(0.0, 1.0), "above 0 and below 1", [0.1, 0.9], [0.0, 1.0]),
        ] {
            assert_eq!(range.to_string(), text);
            for value in inside {
                range.check("key", value).unwrap();
            }
            for value in outside {
                let message = range.check("loss.q", value).unwrap_err().to_string();
                assert_eq!(message, format!("loss.q: must be {text}, is {value}"));
            }
        }
    }
}
