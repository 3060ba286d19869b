//! The parameters of methods as a section of an experiment holds them: one map from key to value,
//! read, checked, filled and written by what the methods say of themselves.

use std::collections::BTreeMap;

use pemm_data::nearest;
use serde::de::MapAccess;
use serde::ser::SerializeStruct;

use crate::error::{ExperimentError, Result};
use crate::method::{Accepts, Method, Parameter, alternatives};

/// A value of a parameter.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A number.
    Number(f64),
    /// A whole number.
    Count(usize),
    /// A word or a text.
    Word(String),
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<usize> for Value {
    fn from(count: usize) -> Self {
        Self::Count(count)
    }
}

impl From<&str> for Value {
    fn from(word: &str) -> Self {
        Self::Word(word.to_owned())
    }
}

/// Values of parameters by key; what is left out is not in it until `Parameters::resolve`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Parameters(BTreeMap<&'static str, Value>);

/// A key that stands in every record although its method may not have it, and the value that it has
/// then: so the experiments of the first records keep their identity.
pub(crate) type AlwaysWritten = (&'static str, Option<Value>);

impl Parameters {
    /// The defaults of `method`; those that follow from something else stay out.
    pub fn defaults(method: &Method) -> Self {
        let filled = |parameter: &Parameter| Some((parameter.key, filled_in(parameter)?));
        Self(method.parameters.iter().filter_map(filled).collect())
    }

    /// With another value of `key`.
    pub fn with(mut self, key: &'static str, value: impl Into<Value>) -> Self {
        self.0.insert(key, value.into());
        self
    }

    /// Whether nothing is set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The number `key`, if it is set and one.
    pub fn number(&self, key: &str) -> Option<f64> {
        match self.0.get(key)? {
            Value::Number(number) => Some(*number),
            Value::Count(_) | Value::Word(_) => None,
        }
    }

    /// The whole number `key`, if it is set and one.
    pub fn count(&self, key: &str) -> Option<usize> {
        match self.0.get(key)? {
            Value::Count(count) => Some(*count),
            Value::Number(_) | Value::Word(_) => None,
        }
    }

    /// The word `key`, if it is set and one.
    pub fn word(&self, key: &str) -> Option<&str> {
        match self.0.get(key)? {
            Value::Word(word) => Some(word),
            Value::Number(_) | Value::Count(_) => None,
        }
    }

    /// The number `key` of `method`: what is set, or its default.
    ///
    /// # Panics
    /// Where the method has no such number.
    pub fn number_of(&self, method: &Method, key: &str) -> f64 {
        match self.value_of(method, key) {
            Value::Number(number) => number,
            other @ (Value::Count(_) | Value::Word(_)) => {
                panic!("{key} of {} is {other:?}", method.name)
            }
        }
    }

    /// The whole number `key` of `method`, as [`Self::number_of`].
    ///
    /// # Panics
    /// Where the method has no such whole number.
    pub fn count_of(&self, method: &Method, key: &str) -> usize {
        match self.value_of(method, key) {
            Value::Count(count) => count,
            other @ (Value::Number(_) | Value::Word(_)) => {
                panic!("{key} of {} is {other:?}", method.name)
            }
        }
    }

    /// The word `key` of `method`, as [`Self::number_of`].
    ///
    /// # Panics
    /// Where the method has no such word.
    pub fn word_of(&self, method: &Method, key: &str) -> String {
        match self.value_of(method, key) {
            Value::Word(word) => word,
            other @ (Value::Number(_) | Value::Count(_)) => {
                panic!("{key} of {} is {other:?}", method.name)
            }
        }
    }

    fn value_of(&self, method: &Method, key: &str) -> Value {
        let default = || method.parameter(key).and_then(|parameter| default(parameter.accepts));
        let value = self.0.get(key).cloned().or_else(default);
        value.unwrap_or_else(|| panic!("{} has no {key}", method.name))
    }

    /// Sets `key`.
    pub(crate) fn set(&mut self, key: &'static str, value: impl Into<Value>) {
        self.0.insert(key, value.into());
    }

    /// The value of `key` alone, which is then no longer here.
    pub(crate) fn take(&mut self, key: &'static str) -> Self {
        Self(self.0.remove_entry(key).into_iter().collect())
    }

    /// Takes out what is there only because it is always written: values that `always` has, and that
    /// none of `methods` takes.
    pub(crate) fn drop_idle(&mut self, methods: &[&Method], always: &[AlwaysWritten]) {
        self.0.retain(|key, value| {
            let idle = always.iter().any(|(known, v)| known == key && v.as_ref() == Some(value));
            !idle || methods.iter().any(|method| method.parameter(key).is_some())
        });
    }

    /// Fills in what was left out of the parameters of `methods`, and checks all. `section` is where
    /// they stand, for example `loss`; `methods` come with the key that names them, `loss.kind`.
    ///
    /// # Errors
    /// [`ExperimentError::Setting`] for the first value that is out of range, or that belongs to no
    /// method.
    pub(crate) fn resolve(
        &mut self,
        section: &str,
        methods: &[(&str, &Method)],
        always: &[AlwaysWritten],
    ) -> Result<()> {
        let is_of_a_method = |key: &str| methods.iter().any(|(_, m)| m.parameter(key).is_some());
        self.drop_idle(&methods.iter().map(|(_, method)| *method).collect::<Vec<_>>(), always);
        for (_, method) in methods {
            for parameter in method.parameters {
                let value = match (self.0.get(parameter.key), filled_in(parameter)) {
                    (Some(value), _) => value.clone(),
                    (None, Some(value)) => value,
                    (None, None) => continue,
                };
                check(&format!("{section}.{}", parameter.key), parameter.accepts, &value)?;
                if parameter.is_later && default(parameter.accepts).as_ref() == Some(&value) {
                    self.0.remove(parameter.key);
                } else {
                    self.0.insert(parameter.key, value);
                }
            }
        }
        match self.0.keys().find(|key| !is_of_a_method(key)) {
            Some(key) => {
                let named: Vec<String> = methods
                    .iter()
                    .map(|(kind, method)| format!("{kind} = \"{}\"", method.name))
                    .collect();
                let reason = format!("{} has no such parameter", named.join(" with "));
                Err(ExperimentError::setting(format!("{section}.{key}"), reason))
            }
            None => Ok(()),
        }
    }

    /// Reads the value of `parameter` out of a table; null is as if it were left out.
    pub(crate) fn read<'de, A: MapAccess<'de>>(
        &mut self,
        parameter: &'static Parameter,
        table: &mut A,
    ) -> Result<(), A::Error> {
        let value = match parameter.accepts {
            Accepts::Number { .. } | Accepts::Open { .. } => {
                table.next_value::<Option<f64>>()?.map(Value::Number)
            }
            Accepts::Count { .. } | Accepts::Epochs { .. } => {
                table.next_value::<Option<usize>>()?.map(Value::Count)
            }
            Accepts::Word { .. } | Accepts::Text { .. } => {
                table.next_value::<Option<String>>()?.map(Value::Word)
            }
        };
        if let Some(value) = value {
            self.0.insert(parameter.key, value);
        }
        Ok(())
    }

    /// Writes all values as fields of `table`: those of `methods` in their order, then those that
    /// belong to no method, then what is always written.
    pub(crate) fn write<T: SerializeStruct>(
        &self,
        methods: &[&Method],
        always: &[AlwaysWritten],
        table: &mut T,
    ) -> Result<(), T::Error> {
        let of_methods = || methods.iter().flat_map(|method| method.parameters).map(|p| p.key);
        let others = self.0.keys().copied().filter(|key| of_methods().all(|known| known != *key));
        for key in of_methods().chain(others) {
            match self.0.get(key) {
                Some(Value::Number(number)) => table.serialize_field(key, number)?,
                Some(Value::Count(count)) => table.serialize_field(key, count)?,
                Some(Value::Word(word)) => table.serialize_field(key, word)?,
                None => {}
            }
        }
        for (key, value) in always.iter().filter(|(key, _)| !self.0.contains_key(key)) {
            match value {
                Some(Value::Number(number)) => table.serialize_field(key, number)?,
                Some(Value::Count(count)) => table.serialize_field(key, count)?,
                Some(Value::Word(word)) => table.serialize_field(key, word)?,
                None => table.serialize_field(key, &None::<f64>)?,
            }
        }
        Ok(())
    }
}

/// What an experiment gets that leaves `parameter` out.
fn filled_in(parameter: &Parameter) -> Option<Value> {
    default(parameter.accepts).filter(|_| !parameter.is_later)
}

fn default(accepts: Accepts) -> Option<Value> {
    match accepts {
        Accepts::Number { default, .. } => Some(Value::Number(default)),
        Accepts::Count { default, .. } => Some(Value::Count(default)),
        Accepts::Word { default, .. } => Some(default.into()),
        Accepts::Epochs { .. } | Accepts::Open { .. } | Accepts::Text { .. } => None,
    }
}

fn check(key: &str, accepts: Accepts, value: &Value) -> Result<()> {
    match (accepts, value) {
        (Accepts::Number { range, .. } | Accepts::Open { range, .. }, Value::Number(number)) => {
            range.check(key, *number)
        }
        (Accepts::Count { range, .. }, Value::Count(count)) => range.check(key, *count as f64),
        (Accepts::Word { words, .. }, Value::Word(word)) => {
            if words.contains(&word.as_str()) {
                return Ok(());
            }
            let near = nearest(word, words.iter().copied());
            let hint = near.map(|near| format!("; did you mean \"{near}\"?"));
            let reason = format!("must be {}, is \"{word}\"", alternatives(words));
            Err(ExperimentError::setting(key, format!("{reason}{}", hint.unwrap_or_default())))
        }
        // Who has such a parameter knows more of it than its sort, and checks it.
        (Accepts::Epochs { .. }, Value::Count(_)) | (Accepts::Text { .. }, Value::Word(_)) => {
            Ok(())
        }
        (_, value) => Err(ExperimentError::setting(key, format!("cannot be {value:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::method::Range;

    const METHOD: Method = Method {
        name: "made-up",
        summary: "of one key from the start and two that came later",
        equation: &[],
        parameters: &[
            Parameter::number("old", 0.5, Range::SHARE, "there from the start"),
            Parameter::number("new", 0.25, Range::SHARE, "came later").later(),
            Parameter::open("free", "something else", Range::SHARE, "came later too").later(),
        ],
        reference: "",
        differs: &[],
    };

    fn resolved(parameters: Parameters) -> Result<Parameters> {
        let mut parameters = parameters;
        parameters.resolve("section", &[("section.kind", &METHOD)], &[])?;
        Ok(parameters)
    }

    #[test]
    fn a_key_that_came_later_stays_out_until_it_says_something_else() {
        let without = resolved(Parameters::default()).unwrap();
        assert_eq!(without, Parameters::default().with("old", 0.5), "as before there was the key");
        assert_eq!(resolved(Parameters::default().with("new", 0.25)).unwrap(), without);
        assert_eq!((without.number("new"), without.number_of(&METHOD, "new")), (None, 0.25));
        let with = resolved(Parameters::default().with("new", 0.75)).unwrap();
        assert_eq!(with.number_of(&METHOD, "new"), 0.75);
        assert_ne!(with, without);
        let error = resolved(Parameters::default().with("new", 1.5)).unwrap_err().to_string();
        assert_eq!(error, "section.new: must be from 0 to 1, is 1.5");
        let open = resolved(Parameters::default().with("free", 1.0)).unwrap();
        assert_eq!((open.number("free"), without.number("free")), (Some(1.0), None));
        assert!(resolved(Parameters::default().with("free", -1.0)).is_err());
    }
}
