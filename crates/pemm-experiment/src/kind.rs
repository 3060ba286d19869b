//! Kinds: what an experiment chooses by a word.

use crate::method::Method;

/// A sort of methods, one of which an experiment names: losses, heads, backbones.
pub trait Kind: Copy + PartialEq + 'static {
    /// What the methods are, for people.
    const TITLE: &'static str;
    /// The key that names one of them.
    const KEY: &'static str;
    /// Every method.
    const ALL: &'static [Self];

    /// What it says of itself.
    fn method(self) -> &'static Method;

    /// Every parameter of every method, each key once, in the order of the list.
    fn parameters() -> Vec<&'static crate::method::Parameter> {
        let mut parameters: Vec<&'static crate::method::Parameter> = Vec::new();
        for parameter in Self::ALL.iter().flat_map(|kind| kind.method().parameters) {
            if parameters.iter().all(|known| known.key != parameter.key) {
                parameters.push(parameter);
            }
        }
        parameters
    }
}

/// An enum of kinds together with the entry of each, so that there is no kind without an entry and
/// no entry that a list could miss. The word in experiment files is that of the entry.
macro_rules! kinds {
    (
        $(#[$attribute:meta])*
        $kind:ident, $title:literal, $key:literal:
        $($(#[$documentation:meta])* $variant:ident = $name:literal { $($entry:tt)* })+
    ) => {
        $(#[$attribute])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $kind { $($(#[$documentation])* $variant),+ }

        impl $kind {
            /// Every kind, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// What it says of itself.
            pub fn method(self) -> &'static $crate::method::Method {
                static METHODS: &[$crate::method::Method] =
                    &[$($crate::method::Method { name: $name, $($entry)* }),+];
                &METHODS[self as usize]
            }

            /// The word in an experiment file.
            pub fn name(self) -> &'static str {
                self.method().name
            }
        }

        impl $crate::kind::Kind for $kind {
            const TITLE: &'static str = $title;
            const KEY: &'static str = $key;
            const ALL: &'static [Self] = Self::ALL;

            fn method(self) -> &'static $crate::method::Method {
                self.method()
            }
        }

        impl serde::Serialize for $kind {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_str(self.name())
            }
        }

        impl<'de> serde::Deserialize<'de> for $kind {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                const NAMES: &[&str] = &[$($name),+];
                struct Word;
                impl serde::de::Visitor<'_> for Word {
                    type Value = $kind;

                    fn expecting(&self, text: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(text, "one of {}", NAMES.join(", "))
                    }

                    fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<$kind, E> {
                        let found = NAMES.iter().position(|name| *name == word);
                        let found = found.map(|place| $kind::ALL[place]);
                        found.ok_or_else(|| E::unknown_variant(word, NAMES))
                    }
                }
                from.deserialize_str(Word)
            }
        }
    };
}
pub(crate) use kinds;
