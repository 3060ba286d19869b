//! When two names are the same: of classes and samples, in folders and in labels files.
//!
//! Names are compared as they are. Only where that finds nothing, blanks at the ends are passed
//! over, and then the ways in which Unicode writes one letter: a Mac writes `é` as `e` and an
//! accent, other systems as one character, and a list of one finds no files of the other.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use unicode_normalization::UnicodeNormalization;

use super::classes::plain_integer;
use super::walk::ENDINGS;

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

/// Finds paths by their ends: `00.png` and `/Volumes/me/set/train/rose/00.png` both mean `train/rose/00.png`
/// if they can mean no other, and `00` does too.
#[derive(Debug)]
pub(crate) struct Tails<'a> {
    names: Vec<&'a str>,
    /// Positions by the last part of the path without the ending of an image.
    by_stem: BTreeMap<String, Vec<u32>>,
}

/// What the end of a path means.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Tail<'a> {
    Nothing,
    One(u32),
    /// Two of them.
    Several([&'a str; 2]),
}

impl<'a> Tails<'a> {
    /// Of names and their positions.
    pub(crate) fn new(names: impl IntoIterator<Item = &'a str>) -> Self {
        let names: Vec<&str> = names.into_iter().collect();
        let mut by_stem: BTreeMap<String, Vec<u32>> = BTreeMap::new();
        for (name, position) in names.iter().zip(0..) {
            let stem = stem(name.rsplit('/').next().unwrap_or(name));
            by_stem.entry(composed(stem)).or_default().push(position);
        }
        Self { names, by_stem }
    }

    /// The name at `position`.
    pub(crate) fn name(&self, position: u32) -> &'a str {
        self.names[position as usize]
    }

    /// What `written` means; `\\` counts as `/`.
    pub(crate) fn find(&self, written: &str) -> Tail<'a> {
        let written = composed(&written.trim().replace('\\', "/"));
        let parts: Vec<&str> =
            written.split('/').filter(|part| !["", "."].contains(part)).collect();
        let Some((&file, folders)) = parts.split_last() else { return Tail::Nothing };
        let same_file = |name: &str| {
            name.eq_ignore_ascii_case(file) || (stem(file) == file && stem(name) == file)
        };
        let is_meant = |position: &&u32| {
            let name = composed(self.names[**position as usize]);
            let mut own = name.split('/').rev();
            own.next().is_some_and(same_file) && own.zip(folders.iter().rev()).all(|(a, b)| a == *b)
        };
        let candidates = self.by_stem.get(stem(file)).into_iter().flatten();
        let mut meant = candidates.filter(is_meant);
        match (meant.next(), meant.next()) {
            (None, _) => Tail::Nothing,
            (Some(&one), None) => Tail::One(one),
            (Some(&one), Some(&other)) => {
                Tail::Several([one, other].map(|position| self.names[position as usize]))
            }
        }
    }
}

/// The name of a file without the ending of an image.
fn stem(file: &str) -> &str {
    match file.rsplit_once('.') {
        Some((stem, ending)) if ENDINGS.iter().any(|known| ending.eq_ignore_ascii_case(known)) => {
            stem
        }
        _ => file,
    }
}

/// Two names that are one to the eye, if there are such.
pub(crate) fn same_to_the_eye(names: &[String]) -> Option<[&str; 2]> {
    twins(names, composed).next()
}

/// Pairs of names that differ in nothing but case, blanks at the ends, or zeros before a number.
pub(crate) fn nearly_the_same(names: &[String]) -> impl Iterator<Item = [&str; 2]> {
    twins(names, |name| {
        let plain = composed(name).trim().to_lowercase();
        plain_integer(&plain).unwrap_or(plain)
    })
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
    fn the_end_of_a_path_means_what_it_can_only_mean() {
        let tails =
            Tails::new(["train/rose/00.png", "train/rose/01.PNG", "train/lily/00.png", "7.jpg"]);
        for (written, position) in [
            ("rose/00.png", 0),
            ("./train/rose/00.png", 0),
            ("/Volumes/me/flowers/train/rose/00.png", 0),
            ("C:\\flowers\\train\\lily\\00.png", 2),
            (" 01.png", 1),
            ("01", 1),
            ("7", 3),
            ("d/7.jpg", 3),
        ] {
            assert_eq!(tails.find(written), Tail::One(position), "{written}");
        }
        let several = Tail::Several(["train/rose/00.png", "train/lily/00.png"]);
        assert_eq!(tails.find("00.png"), several);
        for written in ["02.png", "tulip/00.png", "7.png", "test/rose/00.png", "", "/", "0"] {
            assert_eq!(tails.find(written), Tail::Nothing, "{written:?}");
        }
    }

    #[test]
    fn twins_are_found() {
        let names = |names: &[&str]| names.iter().map(|&name| name.into()).collect::<Vec<String>>();
        let eye = names(&["caf\u{e9}", "cafe\u{301}", "tea"]);
        assert_eq!(same_to_the_eye(&eye), Some(["caf\u{e9}", "cafe\u{301}"]));
        let case = names(&["Cat", "cat", "dog", "dog "]);
        assert_eq!(same_to_the_eye(&case), None);
        assert_eq!(nearly_the_same(&case).collect::<Vec<_>>(), [["Cat", "cat"], ["dog", "dog "]]);
        let padded = names(&["01", "1", "10", "2"]);
        assert_eq!(nearly_the_same(&padded).collect::<Vec<_>>(), [["01", "1"]]);
    }
}
