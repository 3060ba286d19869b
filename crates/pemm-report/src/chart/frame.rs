//! Grid, axes and legend around a plot.

use super::axis::{Axis, Scale};
use super::color::Color;
use super::svg::{Anchor, SMALL, Svg, TEXT, shorten, text_width};

/// Width of a chart's view box: at this width text is readable on a telephone, and two charts
/// stand side by side on a desk.
pub const WIDTH: f64 = 440.0;
const PLOT_HEIGHT: f64 = 210.0;
const TOP: f64 = 22.0;
const RIGHT: f64 = 14.0;

/// The plot area, and where values stand in it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Frame {
    /// Left, top, right and bottom of the plot area.
    pub left: f64,
    /// Top.
    pub top: f64,
    /// Right.
    pub right: f64,
    /// Bottom.
    pub bottom: f64,
    /// Along.
    pub x: Scale,
    /// Up.
    pub y: Scale,
}

impl Frame {
    /// Draws grid, ticks and names of the axes around a plot of these values.
    pub fn draw(
        svg: &mut Svg,
        (x, x_values): (&Axis, &[f64]),
        (y, y_values): (&Axis, &[f64]),
    ) -> Self {
        let (top, bottom) = (TOP, TOP + PLOT_HEIGHT);
        let y_scale = y.scale(y_values.iter().copied(), bottom, top);
        let y_ticks = y_scale.ticks(38.0);
        let widest = y_ticks.iter().map(|(_, label)| text_width(label, SMALL)).fold(0.0, f64::max);
        let left = 26.0 + widest;
        let right = WIDTH - RIGHT;
        // Epochs begin and end at a tick; their marks need room beside it.
        let inset = if x.whole { 7.0 } else { 0.0 };
        let x_scale = x.scale(x_values.iter().copied(), left + inset, right - inset);
        for (value, label) in y_ticks {
            let at = y_scale.place(value);
            svg.line((left, at), (right, at), Color::Grid, 1.0, "");
            svg.text((left - 6.0, at + 3.8), Anchor::End, SMALL, Color::Muted, &label);
        }
        svg.line((left, bottom), (right, bottom), Color::Muted, 1.0, "");
        for (value, label) in x_scale.ticks(58.0) {
            let at = x_scale.place(value);
            svg.line((at, bottom), (at, bottom + 4.0), Color::Muted, 1.0, "");
            svg.text((at, bottom + 16.0), Anchor::Middle, SMALL, Color::Muted, &label);
        }
        let middle = (left + right) / 2.0;
        svg.text((middle, bottom + 33.0), Anchor::Middle, TEXT, Color::Ink, &x.title);
        let middle = (top + bottom) / 2.0;
        svg.turned_text((12.0, middle), Anchor::Middle, TEXT, Color::Ink, -90.0, &y.title);
        Self { left, top, right, bottom, x: x_scale, y: y_scale }
    }

    /// Where the axis at the bottom with its name ends, and a legend may begin.
    pub fn end(&self) -> f64 {
        self.bottom + 42.0
    }

    /// The beginning of a nested picture that cuts off what leaves the plot area; ends with
    /// [`Self::CLIP_END`]. Places inside are those outside.
    pub fn clip(&self) -> String {
        let [x, y] = [self.left, self.top].map(super::svg::place);
        let [width, height] =
            [self.right - self.left, self.bottom - self.top].map(super::svg::place);
        format!(
            "<svg x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"{x} {y} {width} {height}\" overflow=\"hidden\">\n"
        )
    }

    /// The end of [`Self::clip`].
    pub const CLIP_END: &'static str = "</svg>\n";
}

/// One entry of a legend.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// What it explains.
    pub label: String,
    /// Draws the sample around this place.
    pub sample: Sample,
    /// Its colour.
    pub color: Color,
}

/// The sample in front of a legend's entry.
#[derive(Debug, Clone, PartialEq)]
pub enum Sample {
    /// A line with this dash pattern.
    Line(&'static str),
    /// A dot.
    Dot,
    /// A filled square.
    Square,
    /// A shape, as path commands around (0, 0).
    Shape(String),
}

/// Draws a legend in rows below `top`, between `left` and `right`; returns where it ends.
pub fn legend(svg: &mut Svg, entries: &[Entry], left: f64, right: f64, top: f64) -> f64 {
    const ROW: f64 = 18.0;
    const SAMPLE: f64 = 24.0;
    let (mut x, mut y) = (left, top + 10.0);
    for entry in entries {
        let label = shorten(&entry.label, TEXT, right - left - SAMPLE);
        let width = SAMPLE + text_width(&label, TEXT) + 14.0;
        if x > left && x + width - 14.0 > right {
            (x, y) = (left, y + ROW);
        }
        let middle = y - 4.0;
        match &entry.sample {
            Sample::Line(dash) => {
                svg.line((x, middle), (x + 18.0, middle), entry.color, 2.2, dash);
            }
            Sample::Dot => svg.stroke(
                &format!("M{} {}h0", super::svg::place(x + 9.0), super::svg::place(middle)),
                entry.color,
                8.0,
                "",
                "",
            ),
            Sample::Square => svg.rect((x + 4.0, middle - 5.0), (10.0, 10.0), entry.color, 1.0, ""),
            Sample::Shape(commands) => {
                svg.markup(&format!(
                    "<g transform=\"translate({} {})\">",
                    super::svg::place(x + 9.0),
                    super::svg::place(middle)
                ));
                svg.fill(commands, entry.color, 1.0, "");
                svg.markup("</g>");
            }
        }
        svg.text((x + SAMPLE, y), Anchor::Start, TEXT, Color::Ink, &label);
        x += width;
    }
    if entries.is_empty() { top } else { y + 8.0 }
}
