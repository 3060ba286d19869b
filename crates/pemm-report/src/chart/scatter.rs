//! Many points by class: one path per class, each point a line of no length with round ends, so
//! that 10,000 points take about 100 kB. A class's name stands at its middle.

use super::color::Color;
use super::figure::{Data, Figure, exact};
use super::frame::{Entry, Sample, WIDTH, legend};
use super::svg::{Anchor, SMALL, Svg, escape, place, shorten, text_width};

/// Classes up to which a legend explains the colours; beyond, names in the picture must do.
const MAX_LEGEND: usize = 20;

/// The points of one class.
#[derive(Debug, Clone, PartialEq)]
pub struct Cloud {
    /// Name of the class.
    pub label: String,
    /// Its colour.
    pub color: Color,
    /// Where its points are; the unit has no meaning.
    pub points: Vec<[f64; 2]>,
}

impl Cloud {
    /// A cloud per class, of the points at `places`, which are of the classes `labels`.
    pub fn by_class(
        classes: &[String],
        places: &[[f64; 2]],
        labels: impl IntoIterator<Item = u32>,
    ) -> Vec<Self> {
        let empty = |(class, label): (usize, &String)| Self {
            label: label.clone(),
            color: Color::Series(class),
            points: Vec::new(),
        };
        let mut clouds: Vec<Self> = classes.iter().enumerate().map(empty).collect();
        for (place, label) in places.iter().zip(labels) {
            clouds[label as usize].points.push(*place);
        }
        clouds
    }
}

/// Points in a plane whose axes have no meaning, both at one scale.
#[derive(Debug, Clone, PartialEq)]
pub struct Scatter {
    name: String,
    title: String,
    description: String,
    clouds: Vec<Cloud>,
    bounds: Option<[f64; 4]>,
    dot: Option<f64>,
    names_points: bool,
}

impl Scatter {
    /// A picture without points.
    pub fn new(name: impl Into<String>, title: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            title: title.into(),
            description: String::new(),
            clouds: Vec::new(),
            bounds: None,
            dot: None,
            names_points: false,
        }
    }

    /// What the picture says, for who cannot see it.
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = description.into();
        self
    }

    /// Adds the points of a class.
    pub fn cloud(mut self, cloud: Cloud) -> Self {
        self.clouds.push(cloud);
        self
    }

    /// Left, bottom, right and top of what is shown, so that several pictures have one scale.
    pub fn bounds(mut self, bounds: [f64; 4]) -> Self {
        self.bounds = Some(bounds);
        self
    }

    /// Diameter of a dot, in units of the view box; without, it follows from the number of points.
    pub fn dot(mut self, diameter: f64) -> Self {
        self.dot = Some(diameter);
        self
    }

    /// Few points, each with its class's name beside it.
    pub fn named_points(mut self) -> Self {
        self.names_points = true;
        self
    }

    /// The picture.
    pub fn figure(self) -> Figure {
        const MARGIN: f64 = 14.0;
        const TOP: f64 = 6.0;
        let side = WIDTH - 2.0 * MARGIN;
        let mut svg = Svg::new();
        let [left, bottom, right, top] = self.bounds.unwrap_or_else(|| self.extent());
        let span = (right - left).max(top - bottom).max(1e-12);
        let inner = side - 24.0;
        let x = |value: f64| {
            WIDTH / 2.0 + inner * ((value - (left + right) / 2.0) / span).clamp(-1.0, 1.0)
        };
        let y = |value: f64| {
            TOP + side / 2.0 - inner * ((value - (bottom + top) / 2.0) / span).clamp(-1.0, 1.0)
        };
        svg.markup(&format!(
            "<rect x=\"{MARGIN}\" y=\"{TOP}\" width=\"{side}\" height=\"{side}\" rx=\"6\" \
             fill=\"none\" stroke=\"{}\"/>\n",
            Color::Grid
        ));
        let total: usize = self.clouds.iter().map(|cloud| cloud.points.len()).sum();
        let dot = self.dot.unwrap_or(60.0 / (total.max(1) as f64).sqrt()).clamp(2.2, 9.0);
        for cloud in self.clouds.iter().filter(|cloud| !cloud.points.is_empty()) {
            let mut commands = String::new();
            for [px, py] in finite(&cloud.points) {
                commands += &format!("M{} {}h0", tenth(x(px)), tenth(y(py)));
            }
            svg.stroke(&commands, cloud.color, dot, "", &cloud.label);
        }
        if total == 0 {
            let middle = (WIDTH / 2.0, TOP + side / 2.0);
            svg.text(middle, Anchor::Middle, 14.0, Color::Muted, "no points");
        }
        for cloud in &self.clouds {
            let Some([mx, my]) = middle(&cloud.points) else { continue };
            let above = if self.names_points { dot / 2.0 + 4.0 } else { -4.0 };
            let label = shorten(&cloud.label, SMALL, 90.0);
            // Wholly within the frame, also where a class lies at its edge.
            let reach = MARGIN + 3.0 + text_width(&label, SMALL) / 2.0;
            let across = x(mx).clamp(reach, WIDTH - reach);
            name(&mut svg, across, (y(my) - above).max(TOP + SMALL), &label);
        }
        let entries: Vec<Entry> = self
            .clouds
            .iter()
            .map(|cloud| Entry {
                label: cloud.label.clone(),
                sample: Sample::Dot,
                color: cloud.color,
            })
            .collect();
        let explains = !self.names_points && entries.len() <= MAX_LEGEND;
        let end = TOP + side + 6.0;
        let height = if explains {
            legend(&mut svg, &entries, MARGIN, WIDTH - MARGIN, end) + 4.0
        } else {
            end
        };
        Figure {
            data: self.data(),
            name: self.name,
            title: self.title,
            description: self.description,
            width: WIDTH,
            height,
            body: svg.into_text(),
        }
    }

    /// Left, bottom, right and top of all points.
    fn extent(&self) -> [f64; 4] {
        let mut extent = [f64::INFINITY, f64::INFINITY, f64::NEG_INFINITY, f64::NEG_INFINITY];
        for [x, y] in self.clouds.iter().flat_map(|cloud| finite(&cloud.points)) {
            extent = [extent[0].min(x), extent[1].min(y), extent[2].max(x), extent[3].max(y)];
        }
        if extent[0] <= extent[2] { extent } else { [0.0, 0.0, 1.0, 1.0] }
    }

    fn data(&self) -> Data {
        let mut data = Data::new(["x", "y", "class"]);
        for cloud in &self.clouds {
            for [x, y] in &cloud.points {
                data.row([exact(*x), exact(*y), cloud.label.clone()]);
            }
        }
        data
    }
}

fn finite(points: &[[f64; 2]]) -> impl Iterator<Item = [f64; 2]> {
    points.iter().copied().filter(|[x, y]| x.is_finite() && y.is_finite())
}

/// The point of medians: a few strays do not move it.
fn middle(points: &[[f64; 2]]) -> Option<[f64; 2]> {
    let median = |axis: usize| {
        let mut values: Vec<f64> = finite(points).map(|point| point[axis]).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied()
    };
    Some([median(0)?, median(1)?])
}

/// A name with an edge of the surface's colour, so that it can be read on any dots.
fn name(svg: &mut Svg, x: f64, y: f64, text: &str) {
    svg.markup(&format!(
        "<text x=\"{}\" y=\"{}\" font-size=\"{}\" font-weight=\"600\" text-anchor=\"middle\" \
         paint-order=\"stroke\" stroke=\"{}\" stroke-width=\"3\" stroke-linejoin=\"round\" \
         fill=\"{}\">{}</text>\n",
        place(x),
        place(y),
        place(SMALL),
        Color::Surface,
        Color::Ink,
        escape(text)
    ));
}

/// A coordinate with one decimal: finer than a dot needs.
fn tenth(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cloud(number: usize, points: Vec<[f64; 2]>) -> Cloud {
        Cloud { label: format!("<{number}>"), color: Color::Series(number), points }
    }

    #[test]
    fn a_class_is_one_path_and_stays_small() {
        let spread = |k: usize| (0..1000).map(|i| [(i * k) as f64 % 97.0, i as f64]).collect();
        let chart = (0..10).fold(Scatter::new("a", "A"), |c, k| c.cloud(cloud(k, spread(k + 1))));
        let figure = chart.figure();
        assert_eq!(figure.body.matches("<path").count(), 10 + 10); // and the legend's dots
        assert!(figure.body.len() < 160_000, "{}", figure.body.len());
        assert_eq!(figure.data.rows.len(), 10_000);
    }

    #[test]
    fn strays_and_nothing_at_all_are_drawn() {
        let empty = Scatter::new("a", "A").figure();
        assert!(empty.body.contains("no points"));
        let points = vec![[f64::NAN, 1.0], [f64::INFINITY, 2.0], [1.0, 1.0]];
        let figure = Scatter::new("a", "A").cloud(cloud(0, points)).figure();
        let path = figure.body.lines().find(|line| line.starts_with("<path")).unwrap();
        assert_eq!(path.matches('M').count(), 1);
        assert!(!path.contains("NaN") && !figure.body.contains("<0>"));
    }

    #[test]
    fn a_hundred_classes_have_no_legend() {
        let chart = (0..100)
            .fold(Scatter::new("a", "A"), |chart, k| chart.cloud(cloud(k, vec![[k as f64, 0.0]])));
        assert!(chart.figure().height < WIDTH + 10.0);
    }
}
