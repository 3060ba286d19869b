//! Which sample a row of a list means.

use std::cell::{Cell, OnceCell};

use crate::nearest;
use crate::source::names::{Finder, Tail, Tails};
use crate::{DataSet, Part};

/// What a row means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meant {
    /// The training sample at this position.
    Training(usize),
    /// An image that was left out because it cannot be read.
    LeftOut,
    /// A sample of the validation or test part: the part, and its label there.
    Elsewhere(&'static str, u32),
}

/// Finds samples by what a list calls them: by their name, or by an end of their path that can mean no
/// other sample of any part.
pub(super) struct Samples<'a> {
    set: &'a DataSet,
    training: Finder<'a>,
    /// The ends of all names, and what each is.
    ends: OnceCell<(Tails<'a>, Vec<Meant>)>,
    /// Names that were found by their end, and the first: as it is written, and as it is.
    num_by_end: Cell<usize>,
    by_end: OnceCell<[String; 2]>,
}

impl<'a> Samples<'a> {
    pub(super) fn of(set: &'a DataSet) -> Self {
        let training = Finder::new(names(&set.train));
        let (ends, by_end) = (OnceCell::new(), OnceCell::new());
        Self { set, training, ends, num_by_end: Cell::new(0), by_end }
    }

    /// What `written` means, or why nobody knows.
    pub(super) fn find(&self, written: &str) -> Result<Meant, String> {
        if let Some(position) = self.training.find(written) {
            return Ok(Meant::Training(position as usize));
        }
        let (ends, meant) = self.ends.get_or_init(|| {
            let (names, meant): (Vec<_>, Vec<_>) = self.all().unzip();
            (Tails::new(names), meant)
        });
        let written = written.trim();
        match ends.find(written) {
            Tail::One(position) => {
                let (name, meant) = (ends.name(position), meant[position as usize]);
                if name != written {
                    self.num_by_end.set(self.num_by_end.get() + 1);
                    self.by_end.get_or_init(|| [written, name].map(Into::into));
                }
                Ok(meant)
            }
            Tail::Several([one, other]) => Err(format!(
                "{written:?} could be {one:?} or {other:?}; write the path from the data folder on"
            )),
            Tail::Nothing => Err(self.unknown(written)),
        }
    }

    /// What to say of names that were found by their end.
    pub(super) fn note(&self) -> Option<String> {
        let [written, name] = self.by_end.get()?;
        Some(format!(
            "{} names are not written as paths from the data folder on, as {written:?} for {name:?}; each \
             can mean only one image",
            self.num_by_end.get()
        ))
    }

    /// Every sample that a list may name, and what it is.
    fn all(&self) -> impl Iterator<Item = (&'a str, Meant)> {
        let DataSet { train, val, test, skipped, .. } = self.set;
        let training = names(train).enumerate().map(|(at, name)| (name, Meant::Training(at)));
        let other = |title, part: &'a Option<Part>| {
            let part = part.iter();
            part.flat_map(move |part| {
                names(part)
                    .zip(&part.given)
                    .map(move |(name, &label)| (name, Meant::Elsewhere(title, label)))
            })
        };
        let left_out = skipped.iter().map(|name| (name.as_str(), Meant::LeftOut));
        training.chain(other("validation", val)).chain(other("test", test)).chain(left_out)
    }

    fn unknown(&self, written: &str) -> String {
        match nearest(written, names(&self.set.train)) {
            Some(known) => format!("{written:?} is no training sample; did you mean {known:?}?"),
            None => {
                let example = self.set.train.name(0);
                format!("{written:?} is no training sample; samples are named like {example:?}")
            }
        }
    }
}

fn names(part: &Part) -> impl Iterator<Item = &str> {
    (0..part.len()).map(|sample| part.name(sample))
}
