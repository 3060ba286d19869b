//! One value per name, as lying bars: names have room, and a hundred classes are a long list.

use super::axis::{Axis, number};
use super::color::Color;
use super::figure::{Data, Figure, exact};
use super::frame::WIDTH;
use super::svg::{Anchor, SMALL, Svg, TEXT, place, shorten, text_width};

/// One bar.
#[derive(Debug, Clone, PartialEq)]
pub struct Bar {
    /// Its name.
    pub label: String,
    /// Its length.
    pub value: f64,
    /// Half the length of its error bar.
    pub error: Option<f64>,
    /// Its colour.
    pub color: Color,
}

/// Bars in the given order.
#[derive(Debug, Clone, PartialEq)]
pub struct BarChart {
    name: String,
    title: String,
    description: String,
    axis: Axis,
    unit: &'static str,
    bars: Vec<Bar>,
    reference: Option<(f64, String)>,
}

impl BarChart {
    /// A chart without bars; the axis starts at 0 unless it says otherwise.
    pub fn new(name: impl Into<String>, title: impl Into<String>, axis: Axis) -> Self {
        Self {
            name: name.into(),
            title: title.into(),
            description: String::new(),
            axis,
            unit: "",
            bars: Vec::new(),
            reference: None,
        }
    }

    /// What the chart says, for who cannot see it.
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = description.into();
        self
    }

    /// The unit of a value, " %".
    pub fn unit(mut self, unit: &'static str) -> Self {
        self.unit = unit;
        self
    }

    /// Adds a bar.
    pub fn bar(mut self, bar: Bar) -> Self {
        self.bars.push(bar);
        self
    }

    /// A dashed line at `value`, its label above.
    pub fn reference(mut self, value: f64, label: impl Into<String>) -> Self {
        self.reference = Some((value, label.into()));
        self
    }

    /// The picture.
    pub fn figure(self) -> Figure {
        const TOP: f64 = 20.0;
        let mut svg = Svg::new();
        let row = if self.bars.len() <= 30 { 20.0 } else { 14.0 };
        let text = if row > 15.0 { TEXT } else { SMALL };
        let longest = self.bars.iter().map(|bar| text_width(&bar.label, text)).fold(0.0, f64::max);
        let left = 10.0 + longest.min(170.0);
        let right = WIDTH - 52.0;
        let bottom = TOP + row * self.bars.len() as f64;
        let ends = self.bars.iter().flat_map(|bar| {
            let error = bar.error.filter(|error| error.is_finite()).unwrap_or(0.0);
            [bar.value - error, bar.value + error]
        });
        let reference = self.reference.as_ref().map(|reference| reference.0);
        let scale = self.axis.scale(ends.chain(reference).chain([0.0]), left, right);
        for (value, label) in scale.ticks(54.0) {
            let at = scale.place(value);
            svg.line((at, TOP), (at, bottom), Color::Grid, 1.0, "");
            svg.text((at, bottom + 14.0), Anchor::Middle, SMALL, Color::Muted, &label);
        }
        let zero = scale.place(0.0_f64.clamp(scale.low, scale.high));
        for (index, bar) in self.bars.iter().enumerate() {
            let top = TOP + index as f64 * row;
            let middle = top + row / 2.0;
            let label = shorten(&bar.label, text, left - 8.0);
            svg.text((left - 6.0, middle + 4.0), Anchor::End, text, Color::Ink, &label);
            if !bar.value.is_finite() {
                svg.text((zero + 6.0, middle + 4.0), Anchor::Start, text, Color::Muted, "–");
                continue;
            }
            let end = scale.place(bar.value.clamp(scale.low, scale.high));
            let told = match bar.error {
                Some(error) => {
                    format!("{}: {} ± {}{}", bar.label, number(bar.value), number(error), self.unit)
                }
                None => format!("{}: {}{}", bar.label, number(bar.value), self.unit),
            };
            let size = ((end - zero).abs(), row - 5.0);
            svg.rect((zero.min(end), top + 2.5), size, bar.color, 1.0, &told);
            let mut edge = end.max(zero);
            if let Some(error) = bar.error.filter(|error| error.is_finite() && *error > 0.0) {
                let [low, high] = [bar.value - error, bar.value + error].map(|v| scale.place(v));
                let [from, to, above, below] = [low, high, middle - 3.0, middle + 3.0].map(place);
                let y = place(middle);
                let commands =
                    format!("M{from} {y}H{to}M{from} {above}V{below}M{to} {above}V{below}");
                svg.stroke(&commands, Color::Ink, 1.2, "", "");
                edge = edge.max(high);
            }
            let value = number(bar.value);
            svg.text((edge + 6.0, middle + 4.0), Anchor::Start, SMALL, Color::Muted, &value);
        }
        svg.line((zero, TOP), (zero, bottom), Color::Muted, 1.0, "");
        if let Some((value, label)) = &self.reference {
            let at = scale.place(*value);
            svg.line((at, TOP - 4.0), (at, bottom), Color::Ink, 1.2, "2 4");
            let half = text_width(label, SMALL) / 2.0;
            let x = at.clamp(half + 2.0, (WIDTH - half - 2.0).max(half + 2.0));
            svg.text((x, TOP - 8.0), Anchor::Middle, SMALL, Color::Ink, label);
        }
        let middle = ((left + right) / 2.0, bottom + 31.0);
        svg.text(middle, Anchor::Middle, TEXT, Color::Ink, &self.axis.title);
        let mut data = Data::new(["name", self.axis.title.as_str(), "±"]);
        for bar in &self.bars {
            let error = bar.error.map_or(String::new(), exact);
            data.row([bar.label.clone(), exact(bar.value), error]);
        }
        Figure {
            data,
            name: self.name,
            title: self.title,
            description: self.description,
            width: WIDTH,
            height: bottom + 40.0,
            body: svg.into_text(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_have_names_values_and_errors() {
        let bar = |label: &str, value: f64, error: Option<f64>| Bar {
            label: label.into(),
            value,
            error,
            color: Color::Series(0),
        };
        let figure = BarChart::new("a", "A", Axis::new("accuracy, %").from(0.0))
            .unit(" %")
            .bar(bar("<cat>", 61.25, Some(1.5)))
            .bar(bar("dog", f64::NAN, None))
            .reference(50.0, "mean")
            .figure();
        assert!(figure.body.contains("&lt;cat&gt;: 61.25 ± 1.5 %</title>"), "{}", figure.body);
        assert!(figure.body.contains(">–</text>") && figure.body.contains(">mean</text>"));
        assert_eq!(figure.data.csv(), "name,\"accuracy, %\",±\n<cat>,61.25,1.5\ndog,NaN,\n");
        assert!(BarChart::new("a", "A", Axis::new("x")).figure().height > 0.0);
    }
}
