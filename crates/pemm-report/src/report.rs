//! A report: sections of text, figures, tables and sample images. What it says is decided where it
//! is made ([`run`](crate::run), [`grid`](crate::runs)); how it looks, in [`page`](crate::page).

use crate::chart::{Data, Figure};

/// A report on one run or on several.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    /// The heading.
    pub title: String,
    /// What came out, in one or two sentences below it.
    pub verdict: String,
    /// What it is about, in one sentence.
    pub lead: String,
    /// What a reader must know first: the run failed, a file could not be read.
    pub notices: Vec<String>,
    /// The numbers that matter most.
    pub tiles: Vec<Tile>,
    /// The parts, in order.
    pub sections: Vec<Section>,
    /// Number of classes or arms that have a colour.
    pub num_colors: usize,
}

/// A number that matters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tile {
    /// What it is.
    pub label: String,
    /// The number with its unit.
    pub value: String,
    /// What else to know.
    pub note: String,
    /// Whether only an oracle could have it.
    pub is_oracle: bool,
}

/// A part of a report.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Section {
    /// Its anchor: letters and dashes.
    pub id: &'static str,
    /// Its heading.
    pub title: String,
    /// Whether a page shows its heading alone until a reader opens it.
    pub is_folded: bool,
    /// Its paragraphs.
    pub text: Vec<String>,
    /// Its figures.
    pub figures: Vec<Figure>,
    /// Its tables.
    pub tables: Vec<Table>,
    /// Its sample images.
    pub samples: Vec<Sample>,
}

/// A table with a caption.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    /// Stem of its file name: letters, digits and dashes.
    pub name: String,
    /// What it holds.
    pub caption: String,
    /// Its cells.
    pub data: Data,
}

/// A training sample that the model doubts.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sample {
    /// A PNG image, if samples are images.
    pub image: Option<Vec<u8>>,
    /// Its stable name.
    pub name: String,
    /// Its given label.
    pub given: String,
    /// What the model suggests; empty where that is not to be shown, nor the score.
    pub suggestion: String,
    /// How much the model doubts it, -1 to 1.
    pub score: f64,
    /// Its clean label, if known.
    pub clean: Option<String>,
}

impl Section {
    /// A section with nothing in it yet.
    pub fn new(id: &'static str, title: impl Into<String>) -> Self {
        Self { id, title: title.into(), ..Self::default() }
    }

    /// The section folded: for readers who want to know more.
    #[must_use]
    pub fn folded(self) -> Self {
        Self { is_folded: true, ..self }
    }

    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
            && self.figures.is_empty()
            && self.tables.is_empty()
            && self.samples.is_empty()
    }
}

impl Report {
    /// Every figure, in order.
    pub fn figures(&self) -> impl Iterator<Item = &Figure> {
        self.sections.iter().flat_map(|section| &section.figures)
    }

    /// Every table, in order.
    pub fn tables(&self) -> impl Iterator<Item = &Table> {
        self.sections.iter().flat_map(|section| &section.tables)
    }
}

/// A share of 0–1 as per cent with two decimals.
pub(crate) fn percent(share: f64) -> String {
    if share.is_finite() { format!("{:.2} %", 100.0 * share) } else { "unknown".into() }
}
