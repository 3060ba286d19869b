//! A matrix: the stronger the colour, the larger the value. Values stand in the cells while there is
//! room; a large matrix is one path per shade, and its largest cells tell their numbers on demand.

use super::axis::number;
use super::color::{Color, STRONG};
use super::figure::{Data, Figure, exact};
use super::frame::WIDTH;
use super::svg::{Anchor, SMALL, Svg, TEXT, place, shorten, text_width};

/// Sizes up to which every cell is an element of its own.
const MAX_CELLS: usize = 30;
/// Sizes up to which values stand in the cells.
const MAX_VALUES: usize = 12;
/// Shades of a large matrix.
const SHADES: usize = 24;
/// Cells of a large matrix that tell their numbers.
const MAX_TOLD: usize = 400;

/// A matrix with names.
#[derive(Debug, Clone, PartialEq)]
pub struct HeatMap {
    name: String,
    title: String,
    description: String,
    names: Vec<String>,
    values: Vec<Vec<f64>>,
    along: String,
    down: String,
    unit: &'static str,
    decimals: usize,
    range: Option<(f64, f64)>,
}

impl HeatMap {
    /// A matrix `values[row][column]`, square, with the names of rows and columns.
    pub fn new(
        name: impl Into<String>,
        title: impl Into<String>,
        names: &[String],
        values: Vec<Vec<f64>>,
    ) -> Self {
        Self {
            name: name.into(),
            title: title.into(),
            description: String::new(),
            names: names.to_vec(),
            values,
            along: "column".into(),
            down: "row".into(),
            unit: "",
            decimals: 0,
            range: None,
        }
    }

    /// What the matrix says, for who cannot see it.
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = description.into();
        self
    }

    /// What rows and columns are.
    pub fn axes(mut self, down: impl Into<String>, along: impl Into<String>) -> Self {
        (self.down, self.along) = (down.into(), along.into());
        self
    }

    /// The unit of a value, " %", and the decimals shown in a cell.
    pub fn unit(mut self, unit: &'static str, decimals: usize) -> Self {
        (self.unit, self.decimals) = (unit, decimals);
        self
    }

    /// Values of no colour and of full colour; without, 0 and the largest.
    pub fn range(mut self, low: f64, high: f64) -> Self {
        self.range = Some((low, high));
        self
    }

    /// The picture.
    pub fn figure(self) -> Figure {
        let size = self.names.len();
        let mut svg = Svg::new();
        let spells = size <= MAX_CELLS;
        let longest = self.names.iter().map(|name| text_width(name, SMALL)).fold(0.0, f64::max);
        let label = if spells { longest.min(96.0) } else { 24.0 };
        let left = 24.0 + label;
        let cell = ((WIDTH - left - 10.0) / size.max(1) as f64).clamp(5.0, 44.0);
        let side = cell * size as f64;
        let width = WIDTH.max(left + side + 10.0);
        // Short labels stand upright above their columns, long ones are turned.
        let turned = spells && longest > cell - 2.0;
        let top = 24.0 + if turned { label.max(12.0) } else { 14.0 };
        self.labels(&mut svg, (left, top), cell, label, turned);
        if spells {
            self.cells(&mut svg, (left, top), cell);
        } else {
            self.shades(&mut svg, (left, top), cell);
        }
        let height = self.key(&mut svg, (left, top + side + 16.0), side.clamp(80.0, 220.0));
        Figure {
            data: self.data(),
            name: self.name,
            title: self.title,
            description: self.description,
            width,
            height,
            body: svg.into_text(),
        }
    }

    fn limits(&self) -> (f64, f64) {
        self.range.unwrap_or_else(|| {
            let values = self.values.iter().flatten().copied().filter(|value| value.is_finite());
            (0.0, values.fold(0.0, f64::max))
        })
    }

    /// How strong the colour of a value is, 0–1.
    fn share(&self, value: f64) -> f64 {
        let (low, high) = self.limits();
        if value.is_finite() && high > low {
            ((value - low) / (high - low)).clamp(0.0, 1.0)
        } else {
            0.0
        }
    }

    fn labels(&self, svg: &mut Svg, (left, top): (f64, f64), cell: f64, room: f64, turned: bool) {
        let size = self.names.len();
        let side = cell * size as f64;
        svg.text((left + side / 2.0, 13.0), Anchor::Middle, TEXT, Color::Ink, &self.along);
        let middle = (12.0, top + side / 2.0);
        svg.turned_text(middle, Anchor::Middle, TEXT, Color::Ink, -90.0, &self.down);
        // Of many classes, every tenth has its number.
        let every = if size <= MAX_CELLS { 1 } else { 10 };
        for (index, name) in self.names.iter().enumerate().step_by(every) {
            let text =
                if every == 1 { shorten(name, SMALL, room + 4.0) } else { index.to_string() };
            let at = (index as f64 + 0.5) * cell;
            svg.text((left - 5.0, top + at + 3.6), Anchor::End, SMALL, Color::Muted, &text);
            let place = (left + at + if turned { 3.6 } else { 0.0 }, top - 6.0);
            if turned {
                svg.turned_text(place, Anchor::Start, SMALL, Color::Muted, -90.0, &text);
            } else {
                svg.text(place, Anchor::Middle, SMALL, Color::Muted, &text);
            }
        }
    }

    fn told(&self, row: usize, column: usize) -> String {
        format!(
            "{}: {}\n{}: {}\n{}{}",
            self.down,
            self.names[row],
            self.along,
            self.names[column],
            number(self.values[row][column]),
            self.unit
        )
    }

    fn cells(&self, svg: &mut Svg, (left, top): (f64, f64), cell: f64) {
        let text_size = (cell * 0.36).clamp(7.5, 12.0);
        for (row, column, value) in self.entries() {
            let at = (left + column as f64 * cell, top + row as f64 * cell);
            let share = self.share(value);
            svg.rect(at, (cell - 1.0, cell - 1.0), Color::Heat, share, &self.told(row, column));
            if self.names.len() <= MAX_VALUES && share > 0.004 {
                let color = if share >= STRONG { Color::OnStrong } else { Color::OnWeak };
                let place = (at.0 + (cell - 1.0) / 2.0, at.1 + cell / 2.0 + text_size * 0.35);
                let text = format!("{value:.*}", self.decimals).replace('-', "−");
                svg.markup("<g pointer-events=\"none\">");
                svg.text(place, Anchor::Middle, text_size, color, &text);
                svg.markup("</g>");
            }
        }
        let side = cell * self.names.len() as f64;
        svg.markup(&format!(
            "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"none\" stroke=\"{}\"/>\n",
            place(left - 1.0),
            place(top - 1.0),
            place(side + 1.0),
            place(side + 1.0),
            Color::Grid
        ));
    }

    fn shades(&self, svg: &mut Svg, (left, top): (f64, f64), cell: f64) {
        let mut paths = vec![String::new(); SHADES + 1];
        let mut told: Vec<(f64, usize, usize)> = Vec::new();
        for (row, column, value) in self.entries() {
            let shade = (self.share(value) * SHADES as f64).round() as usize;
            if shade > 0 {
                let (x, y) = (left + column as f64 * cell, top + row as f64 * cell);
                let cell = place(cell);
                paths[shade] += &format!("M{} {}h{cell}v{cell}h-{cell}z", place(x), place(y));
                told.push((value, row, column));
            }
        }
        for (shade, path) in paths.iter().enumerate().filter(|(_, path)| !path.is_empty()) {
            svg.fill(path, Color::Heat, shade as f64 / SHADES as f64, "");
        }
        told.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
        for &(_, row, column) in told.iter().take(MAX_TOLD) {
            let at = (left + column as f64 * cell, top + row as f64 * cell);
            svg.hit(at, (cell, cell), &self.told(row, column));
        }
        let side = place(cell * self.names.len() as f64);
        svg.markup(&format!(
            "<rect x=\"{}\" y=\"{}\" width=\"{side}\" height=\"{side}\" fill=\"none\" stroke=\"{}\"/>\n",
            place(left),
            place(top),
            Color::Grid
        ));
    }

    /// What the colours mean; returns where the picture ends.
    fn key(&self, svg: &mut Svg, (left, top): (f64, f64), width: f64) -> f64 {
        const STEPS: usize = 20;
        let (low, high) = self.limits();
        let step = width / STEPS as f64;
        for index in 0..STEPS {
            let share = (index as f64 + 0.5) / STEPS as f64;
            let at = (left + index as f64 * step, top);
            svg.rect(at, (step + 0.3, 8.0), Color::Heat, share, "");
        }
        let below = top + 20.0;
        for (x, anchor, value) in [(left, Anchor::Start, low), (left + width, Anchor::End, high)] {
            let text = format!("{}{}", number(value), self.unit);
            svg.text((x, below), anchor, SMALL, Color::Muted, &text);
        }
        below + 8.0
    }

    fn entries(&self) -> impl Iterator<Item = (usize, usize, f64)> {
        self.values.iter().enumerate().flat_map(|(row, values)| {
            values.iter().enumerate().map(move |(column, &value)| (row, column, value))
        })
    }

    fn data(&self) -> Data {
        let head = format!("{} \\ {}", self.down, self.along);
        let mut data = Data::new(std::iter::once(&head).chain(&self.names));
        for (name, values) in self.names.iter().zip(&self.values) {
            data.row(std::iter::once(name.clone()).chain(values.iter().map(|v| exact(*v))));
        }
        data
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(num: usize) -> Vec<String> {
        (0..num).map(|class| format!("class <{class}>")).collect()
    }

    fn matrix(num: usize) -> Vec<Vec<f64>> {
        (0..num).map(|i| (0..num).map(|j| if i == j { 90.0 } else { j as f64 }).collect()).collect()
    }

    #[test]
    fn small_matrices_show_their_values_and_large_ones_stay_small() {
        let small = HeatMap::new("a", "A", &names(3), matrix(3)).unit(" %", 0).figure();
        assert!(small.body.contains(">90</text>") && small.body.contains("\n90 %</title>"));
        let large = HeatMap::new("a", "A", &names(100), matrix(100)).figure();
        assert!(large.body.len() < 400_000, "{}", large.body.len());
        assert!(large.body.matches("class=\"hit\"").count() == MAX_TOLD);
        assert_eq!(large.data.rows.len(), 100);
        assert!(!large.body.contains("<99>"));
    }

    #[test]
    fn zeros_and_what_is_not_finite_have_no_colour() {
        let values = vec![vec![0.0, f64::NAN], vec![f64::INFINITY, 0.0]];
        let figure = HeatMap::new("a", "A", &names(2), values).figure();
        assert!(!figure.body.contains("opacity=\"NaN"));
        assert_eq!(figure.body.matches("fill-opacity=\"0\"").count(), 4);
        assert!(HeatMap::new("a", "A", &[], vec![]).figure().height > 0.0);
    }
}
