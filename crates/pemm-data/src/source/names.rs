//! When two names are the same: of classes and samples, in folders and in labels files.
//!
//! Names are compared as they are. Only where that finds nothing, blanks at the ends are passed
//! over, and then the ways in which Unicode writes one letter: a Mac writes `é` as `e` and an
//! accent, other systems as one character, and a list of one finds no files of the other.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use unicode_normalization::UnicodeNormalization;

/// The name in the composed form of Unicode (NFC).
pub(crate) fn composed(name: &str) -> String {
    name.nfc().collect()
}

/// Finds positions by name.
#[derive(Debug)]
pub(crate) struct Finder<'a> {
    exact: BTreeMap<&'a str, u32>,
    /// By composed name; nothing where two names are the same then. Made when it is needed.
    composed: OnceCell<BTreeMap<String, Option<u32>>>,
}

impl<'a> Finder<'a> {
    /// Of names and their positions.
    pub(crate) fn new(names: impl IntoIterator<Item = &'a str>) -> Self {
        Self { exact: names.into_iter().zip(0..).collect(), composed: OnceCell::new() }
    }

    /// The position of `name`, or of the one name that is the same without blanks at the ends or
    /// in composed form.
    pub(crate) fn find(&self, name: &str) -> Option<u32> {
        let known = self.exact.get(name).or_else(|| self.exact.get(name.trim()));
        if let Some(&position) = known {
            return Some(position);
        }
        // Of plain letters there is one form.
        let by_form = self.composed.get_or_init(|| {
            let mut by_form = BTreeMap::new();
            for (name, &position) in self.exact.iter().filter(|(name, _)| !name.is_ascii()) {
                let known = by_form.insert(composed(name), Some(position));
                if known.is_some() {
                    by_form.insert(composed(name), None);
                }
            }
            by_form
        });
        if name.is_ascii() { None } else { by_form.get(&composed(name.trim())).copied().flatten() }
    }

    /// The names.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'a str> + '_ {
        self.exact.keys().copied()
    }
}

/// Two names that are one to the eye, if there are such.
pub(crate) fn same_to_the_eye(names: &[String]) -> Option<[&str; 2]> {
    twins(names, composed).next()
}

/// Pairs of names that differ in nothing but case, or blanks at the ends.
pub(crate) fn nearly_the_same(names: &[String]) -> impl Iterator<Item = [&str; 2]> {
    twins(names, |name| composed(name).trim().to_lowercase())
}

fn twins(names: &[String], key: impl Fn(&str) -> String) -> impl Iterator<Item = [&str; 2]> {
    let mut first: BTreeMap<String, &str> = BTreeMap::new();
    names.iter().filter_map(move |name| {
        let known = first.get(&key(name)).map(|&known| [known, name.as_str()]);
        if known.is_none() {
            first.insert(key(name), name);
        }
        known
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_and_forms_are_passed_over_only_where_the_name_itself_is_not_there() {
        let finder = Finder::new(["a", " a", "caf\u{e9}", "the\u{301}", "b "]);
        assert_eq!(finder.find("a"), Some(0));
        assert_eq!(finder.find(" a"), Some(1));
        assert_eq!(finder.find("a  "), Some(0));
        assert_eq!(finder.find("cafe\u{301}"), Some(2));
        assert_eq!(finder.find(" th\u{e9} "), Some(3));
        assert_eq!(finder.find("b"), None, "blanks are taken from what is looked for only");
        assert_eq!(finder.find("B "), None);
        let both = Finder::new(["caf\u{e9}", "cafe\u{301}"]);
        assert_eq!(both.find("cafe\u{301}"), Some(1));
        let unclear = Finder::new(["\u{1e69}", "s\u{323}\u{307}"]);
        assert_eq!(unclear.find("s\u{307}\u{323}"), None, "two names are meant");
    }

    #[test]
    fn twins_are_found() {
        let names = |names: &[&str]| names.iter().map(|&name| name.into()).collect::<Vec<String>>();
        let eye = names(&["caf\u{e9}", "cafe\u{301}", "tea"]);
        assert_eq!(same_to_the_eye(&eye), Some(["caf\u{e9}", "cafe\u{301}"]));
        let case = names(&["Cat", "cat", "dog", "dog "]);
        assert_eq!(same_to_the_eye(&case), None);
        assert_eq!(nearly_the_same(&case).collect::<Vec<_>>(), [["Cat", "cat"], ["dog", "dog "]]);
    }
}
