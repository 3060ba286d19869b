//! Values along an axis: curves, points, error bars. One invisible column per value of x tells the
//! numbers of all series there.

use super::axis::{Axis, number};
use super::color::Color;
use super::figure::{Data, Figure, exact};
use super::frame::{Entry, Frame, Sample, WIDTH, legend};
use super::series::Series;
use super::svg::{Anchor, SMALL, Svg, place};

/// Columns that tell numbers; where there are more values of x, every so many have one.
const MAX_HITS: usize = 250;

/// A value that a chart is held against.
#[derive(Debug, Clone, PartialEq)]
struct Reference {
    value: f64,
    label: String,
}

/// A chart of series.
#[derive(Debug, Clone, PartialEq)]
pub struct LineChart {
    name: String,
    title: String,
    description: String,
    x: Axis,
    y: Axis,
    series: Vec<Series>,
    across: Vec<Reference>,
    upright: Vec<Reference>,
}

impl LineChart {
    /// A chart without series.
    pub fn new(name: impl Into<String>, title: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            title: title.into(),
            description: String::new(),
            x: Axis::new("x"),
            y: Axis::new("y"),
            series: Vec::new(),
            across: Vec::new(),
            upright: Vec::new(),
        }
    }

    /// What the chart says, for who cannot see it; without, its ends are read out.
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = description.into();
        self
    }

    /// The axis along.
    pub fn x(mut self, axis: Axis) -> Self {
        self.x = axis;
        self
    }

    /// The axis up.
    pub fn y(mut self, axis: Axis) -> Self {
        self.y = axis;
        self
    }

    /// Adds a series.
    pub fn series(mut self, series: Series) -> Self {
        self.series.push(series);
        self
    }

    /// A dashed line at `value` of y, explained in the legend.
    pub fn reference_y(mut self, value: f64, label: impl Into<String>) -> Self {
        self.across.push(Reference { value, label: label.into() });
        self
    }

    /// A dashed line at `value` of x, its label above the plot.
    pub fn reference_x(mut self, value: f64, label: impl Into<String>) -> Self {
        self.upright.push(Reference { value, label: label.into() });
        self
    }

    /// The picture.
    pub fn figure(self) -> Figure {
        let mut svg = Svg::new();
        let (x_values, y_values) = self.values();
        let frame = Frame::draw(&mut svg, (&self.x, &x_values), (&self.y, &y_values));
        let is_empty = !self
            .series
            .iter()
            .any(|series| series.points.iter().any(|&(x, y)| self.x.shows(x) && self.y.shows(y)));
        if is_empty {
            let middle = ((frame.left + frame.right) / 2.0, (frame.top + frame.bottom) / 2.0);
            svg.text(middle, Anchor::Middle, 14.0, Color::Muted, "no values");
        }
        self.references(&mut svg, &frame);
        svg.markup(&frame.clip());
        let colors: Vec<Color> = (0..self.series.len()).map(|i| self.color(i)).collect();
        for (series, color) in self.series.iter().zip(&colors) {
            self.curve(&mut svg, &frame, series, *color);
        }
        svg.markup(Frame::CLIP_END);
        self.hits(&mut svg, &frame);
        let end = legend(&mut svg, &self.entries(&colors), 8.0, frame.right, frame.end());
        Figure {
            description: self.alternative(),
            data: self.data(),
            name: self.name,
            title: self.title,
            width: WIDTH,
            height: end + 4.0,
            body: svg.into_text(),
        }
    }

    fn color(&self, index: usize) -> Color {
        self.series[index].color.unwrap_or(Color::Series(index))
    }

    /// All values that want a place.
    fn values(&self) -> (Vec<f64>, Vec<f64>) {
        let points = || self.series.iter().flat_map(|series| &series.points);
        let drawn = |&&(x, y): &&(f64, f64)| self.x.shows(x) && self.y.shows(y);
        let x = points().filter(drawn).map(|point| point.0);
        let ends = self.series.iter().flat_map(|series| {
            series.points.iter().enumerate().flat_map(move |(i, &(_, y))| {
                let error = series.error(i).unwrap_or(0.0);
                [y - error, y + error]
            })
        });
        let upright = self.upright.iter().map(|reference| reference.value);
        let across = self.across.iter().map(|reference| reference.value);
        (x.chain(upright).collect(), ends.chain(across).collect())
    }

    fn references(&self, svg: &mut Svg, frame: &Frame) {
        for reference in self.across.iter().filter(|r| frame.y.holds(r.value)) {
            let at = frame.y.place(reference.value);
            svg.line((frame.left, at), (frame.right, at), Color::Muted, 1.4, "2 4");
        }
        for reference in self.upright.iter().filter(|r| frame.x.holds(r.value)) {
            let at = frame.x.place(reference.value);
            svg.line((at, frame.top - 4.0), (at, frame.bottom), Color::Muted, 1.4, "2 4");
            let half = super::svg::text_width(&reference.label, SMALL) / 2.0;
            let x = at.clamp(frame.left + half, (frame.right - half).max(frame.left + half));
            svg.text((x, frame.top - 8.0), Anchor::Middle, SMALL, Color::Ink, &reference.label);
        }
    }

    fn curve(&self, svg: &mut Svg, frame: &Frame, series: &Series, color: Color) {
        let mut commands = String::new();
        let mut shapes = String::new();
        let mut bars = String::new();
        let mut is_down = false;
        for (index, &(x, y)) in series.points.iter().enumerate() {
            if !self.x.shows(x) || !self.y.shows(y) {
                is_down = false;
                continue;
            }
            let (px, py) = (frame.x.place(x), frame.y.place(y));
            let (tx, ty) = (place(px), place(py));
            // A point alone between gaps is a dot: a line of no length with round ends.
            commands += &if is_down { format!("L{tx} {ty}") } else { format!("M{tx} {ty}h0") };
            is_down = true;
            if let Some(marker) = series.marker {
                shapes += &format!(
                    "<path transform=\"translate({tx} {ty})\" d=\"{}\"/>",
                    marker.commands()
                );
            }
            if let Some(error) = series.error(index) {
                let (low, high) =
                    (place(frame.y.place(y - error)), place(frame.y.place(y + error)));
                let (left, right) = (place(px - 4.0), place(px + 4.0));
                bars += &format!("M{tx} {low}V{high}M{left} {low}H{right}M{left} {high}H{right}");
            }
        }
        if series.has_line && !commands.is_empty() {
            svg.stroke(&commands, color, 2.2, series.dash, "");
        }
        if !bars.is_empty() {
            svg.stroke(&bars, color, 1.4, "", "");
        }
        if !shapes.is_empty() {
            svg.markup(&format!(
                "<g fill=\"{color}\" stroke=\"{}\">{shapes}</g>\n",
                Color::Surface
            ));
        }
    }

    /// The values of x, in order, each once.
    fn places(&self) -> Vec<f64> {
        let mut all: Vec<f64> = self
            .series
            .iter()
            .flat_map(|series| &series.points)
            .map(|point| point.0)
            .filter(|x| self.x.shows(*x))
            .collect();
        all.sort_by(f64::total_cmp);
        all.dedup();
        all
    }

    fn hits(&self, svg: &mut Svg, frame: &Frame) {
        let all = self.places();
        let stride = all.len().div_ceil(MAX_HITS).max(1);
        let places: Vec<f64> =
            all.into_iter().step_by(stride).filter(|x| frame.x.holds(*x)).collect();
        for (index, &x) in places.iter().enumerate() {
            let at = frame.x.place(x);
            let near = |other: Option<&f64>, edge: f64| {
                other.map_or(edge, |other| (frame.x.place(*other) + at) / 2.0)
            };
            let left = near(index.checked_sub(1).and_then(|i| places.get(i)), frame.left);
            let right = near(places.get(index + 1), frame.right);
            let mut title = format!("{} {}", self.x.title, number(x));
            for series in &self.series {
                for (index, point) in series.points.iter().enumerate() {
                    if point.0 == x {
                        title += &format!("\n{}: {}", series.label, number(point.1));
                        if let Some(error) = series.error(index) {
                            title += &format!(" ± {}", number(error));
                        }
                    }
                }
            }
            svg.hit((left, frame.top), (right - left, frame.bottom - frame.top), &title);
        }
    }

    fn entries(&self, colors: &[Color]) -> Vec<Entry> {
        let series = self.series.iter().zip(colors).map(|(series, color)| Entry {
            label: series.label.clone(),
            sample: match series.marker {
                Some(marker) if !series.has_line => Sample::Shape(marker.commands().into()),
                _ => Sample::Line(series.dash),
            },
            color: *color,
        });
        let references = self.across.iter().map(|reference| Entry {
            label: reference.label.clone(),
            sample: Sample::Line("2 4"),
            color: Color::Muted,
        });
        // A lone series that is named as the axis needs no explanation.
        series.filter(|entry| entry.label != self.y.title).chain(references).collect()
    }

    fn alternative(&self) -> String {
        if !self.description.is_empty() {
            return self.description.clone();
        }
        let mut text = format!("{} against {}.", self.y.title, self.x.title);
        for series in &self.series {
            let mut drawn =
                series.points.iter().filter(|(x, y)| self.x.shows(*x) && self.y.shows(*y));
            let Some(first) = drawn.next() else { continue };
            let last = drawn.next_back().unwrap_or(first);
            text += &format!(
                " {}: {} at {}, {} at {}.",
                series.label,
                number(first.1),
                number(first.0),
                number(last.1),
                number(last.0)
            );
        }
        text
    }

    fn data(&self) -> Data {
        let has_errors = |series: &Series| !series.errors.is_empty();
        let mut columns = vec![self.x.title.clone()];
        for series in &self.series {
            columns.push(series.label.clone());
            if has_errors(series) {
                columns.push(format!("{} ±", series.label));
            }
        }
        let mut data = Data::new(columns);
        // Series are in the order of x nearly always; then each row is found where the last one was.
        let mut next = vec![0; self.series.len()];
        for x in self.places() {
            let mut row = vec![exact(x)];
            for (series, next) in self.series.iter().zip(&mut next) {
                let is_next = series.points.get(*next).is_some_and(|point| point.0 == x);
                let index = if is_next {
                    Some(*next)
                } else {
                    series.points.iter().position(|point| point.0 == x)
                };
                row.push(index.map_or(String::new(), |i| exact(series.points[i].1)));
                if has_errors(series) {
                    let error = index.and_then(|i| series.error(i));
                    row.push(error.map_or(String::new(), exact));
                }
                *next = index.map_or(*next, |i| i + 1);
            }
            data.row(row);
        }
        data
    }
}

#[cfg(test)]
mod tests {
    use super::super::series::Marker;
    use super::*;

    fn chart(points: Vec<(f64, f64)>) -> Figure {
        LineChart::new("loss", "Loss")
            .x(Axis::new("epoch").whole())
            .y(Axis::new("loss"))
            .series(Series::new("<total>", points))
            .figure()
    }

    #[test]
    fn a_curve_has_its_numbers_on_demand_and_as_a_table() {
        let figure = chart(vec![(1.0, 2.5), (2.0, 1.25)]);
        assert!(figure.body.contains("epoch 1\n&lt;total&gt;: 2.5</title>"), "{}", figure.body);
        assert_eq!(figure.data.csv(), "epoch,<total>\n1,2.5\n2,1.25\n");
        assert!(figure.description.contains("2.5 at 1, 1.25 at 2"), "{}", figure.description);
    }

    #[test]
    fn gaps_break_the_curve_and_nothing_infinite_reaches_the_picture() {
        let values = [1.0, f64::NAN, f64::INFINITY, 2.0, 3.0];
        let points = values.iter().enumerate().map(|(i, &y)| (i as f64, y)).collect();
        let figure = chart(points);
        let path = figure.body.lines().find(|line| line.contains("fill=\"none\"")).unwrap();
        assert_eq!((path.matches('M').count(), path.matches('L').count()), (2, 1), "{path}");
        for word in ["NaN", "inf"] {
            let marks = figure.body.replace("title>epoch", "");
            assert!(!path.contains(word) && !marks.contains(&format!("=\"{word}")), "{word}");
        }
        for points in [vec![], vec![(f64::NAN, 1.0)], vec![(1.0, f64::NAN)]] {
            assert!(chart(points).body.contains("no values"));
        }
    }

    #[test]
    fn errors_are_bars_and_columns() {
        let figure = LineChart::new("rates", "Rates")
            .x(Axis::new("rate"))
            .y(Axis::new("accuracy, %"))
            .series(
                Series::new("ce", vec![(0.2, 70.0), (0.4, 60.0)])
                    .errors(vec![1.5, f64::NAN])
                    .marker(Marker::Disc),
            )
            .reference_y(90.0, "limit")
            .reference_x(0.3, "here")
            .figure();
        assert_eq!(figure.data.csv(), "rate,ce,ce ±\n0.2,70,1.5\n0.4,60,\n");
        assert!(figure.body.contains("70 ± 1.5") && figure.body.contains(">limit</text>"));
        assert_eq!(figure.body.matches("translate(").count(), 2);
    }

    #[test]
    fn many_values_keep_few_columns() {
        let figure = chart((0..5000).map(|i| (f64::from(i), f64::from(i % 7))).collect());
        assert!(figure.body.matches("class=\"hit\"").count() <= MAX_HITS);
        assert_eq!(figure.data.rows.len(), 5000);
    }
}
