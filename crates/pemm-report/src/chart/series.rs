//! One row of values of a [`LineChart`](super::LineChart), and how it is drawn.

use super::color::Color;

/// The shape of a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marker {
    /// A disc.
    Disc,
    /// A square on its corner.
    Diamond,
    /// A triangle.
    Triangle,
    /// A square.
    Square,
}

impl Marker {
    /// All shapes, to be taken in turn.
    pub const ALL: [Self; 4] = [Self::Disc, Self::Diamond, Self::Triangle, Self::Square];

    /// Path commands around (0, 0).
    pub(super) fn commands(self) -> &'static str {
        match self {
            Self::Disc => "M-3.6 0a3.6 3.6 0 1 0 7.2 0a3.6 3.6 0 1 0-7.2 0z",
            Self::Diamond => "M0-5L5 0L0 5L-5 0z",
            Self::Triangle => "M0-5L4.8 3.6H-4.8z",
            Self::Square => "M-3.6-3.6H3.6V3.6H-3.6z",
        }
    }
}

/// One row of values.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    pub(super) label: String,
    pub(super) points: Vec<(f64, f64)>,
    pub(super) errors: Vec<f64>,
    pub(super) color: Option<Color>,
    pub(super) dash: &'static str,
    pub(super) marker: Option<Marker>,
    pub(super) has_line: bool,
}

impl Series {
    /// A curve through `points` `(x, y)`. Where a value is not finite it is broken.
    pub fn new(label: impl Into<String>, points: Vec<(f64, f64)>) -> Self {
        Self {
            label: label.into(),
            points,
            errors: Vec::new(),
            color: None,
            dash: "",
            marker: None,
            has_line: true,
        }
    }

    /// A colour; without, the series' place in the chart decides.
    pub fn color(mut self, color: Color) -> Self {
        self.color = Some(color);
        self
    }

    /// Dashes, "5 4"; a series that differs from another in kind and not in subject.
    pub fn dash(mut self, dash: &'static str) -> Self {
        self.dash = dash;
        self
    }

    /// A shape at each point.
    pub fn marker(mut self, marker: Marker) -> Self {
        self.marker = Some(marker);
        self
    }

    /// Shapes only.
    pub fn without_line(mut self) -> Self {
        self.has_line = false;
        self
    }

    /// Half the length of an error bar, one per point; NaN draws none.
    pub fn errors(mut self, errors: Vec<f64>) -> Self {
        self.errors = errors;
        self
    }

    pub(super) fn error(&self, index: usize) -> Option<f64> {
        self.errors.get(index).copied().filter(|error| error.is_finite() && *error > 0.0)
    }
}
