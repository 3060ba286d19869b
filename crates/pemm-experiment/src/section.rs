//! Sections of an experiment that hold parameters of methods: read key by key, so that an unknown key
//! is an error at its line, with the keys that there are.

use std::fmt;

use crate::method::Parameter;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, Visitor};

/// A section whose keys are its own and those of the methods that it can name.
pub(crate) trait Section: Default {
    /// The section in an error of the parser.
    const NAME: &'static str;

    /// Every key.
    fn keys() -> &'static [&'static str];

    /// Reads the value of `key`, which is one of [`Self::keys`].
    fn read<'de, A: MapAccess<'de>>(
        &mut self,
        key: &'static str,
        table: &mut A,
    ) -> Result<(), A::Error>;
}

/// Reads a section; keys that are left out have their defaults.
pub(crate) fn read<'de, S: Section, D: Deserializer<'de>>(from: D) -> Result<S, D::Error> {
    struct Table<S>(S);
    impl<'de, S: Section> Visitor<'de> for Table<S> {
        type Value = S;

        fn expecting(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(text, "the table [{}]", S::NAME)
        }

        fn visit_map<A: MapAccess<'de>>(mut self, mut table: A) -> Result<S, A::Error> {
            while let Some(key) = table.next_key_seed(Key(S::keys()))? {
                self.0.read(key, &mut table)?;
            }
            Ok(self.0)
        }
    }
    from.deserialize_struct(S::NAME, S::keys(), Table(S::default()))
}

/// The parameter `key` of `parameters`, whose keys are part of [`Section::keys`].
pub(crate) fn parameter(parameters: &[&'static Parameter], key: &str) -> &'static Parameter {
    let found = parameters.iter().find(|parameter| parameter.key == key);
    found.expect("a section's keys are its own and those of its parameters")
}

/// One of some keys.
struct Key(&'static [&'static str]);

impl<'de> DeserializeSeed<'de> for Key {
    type Value = &'static str;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<&'static str, D::Error> {
        from.deserialize_identifier(self)
    }
}

impl Visitor<'_> for Key {
    type Value = &'static str;

    fn expecting(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(text, "a key")
    }

    fn visit_str<E: Error>(self, word: &str) -> Result<&'static str, E> {
        let found = self.0.iter().find(|key| **key == word).copied();
        found.ok_or_else(|| E::unknown_field(word, self.0))
    }
}
