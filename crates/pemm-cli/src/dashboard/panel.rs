//! The curves of a run, each group with its axes, and a legend above the curves that names the last
//! values, so that curves can be told apart without their colours too.

use pemm_runs::{EpochRecord, Scored};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize};
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Axis, Chart, Dataset, GraphType};

use super::state::State;

// Okabe and Ito's colours, which nearly everybody can tell apart, as the nearest of the 256 that
// terminals have; all are readable on dark and on light.
const BLUE: Color = Color::Indexed(32);
const ORANGE: Color = Color::Indexed(172);
const GREEN: Color = Color::Indexed(36);
const PURPLE: Color = Color::Indexed(169);

/// A group of curves over the epochs.
pub(crate) struct Panel {
    /// What is drawn, and its unit: a long form and a short one.
    titles: [&'static str; 2],
    curves: Vec<Curve>,
    /// Whether the vertical axis starts at 0 and ends at 100 at most.
    is_percent: bool,
    decimals: usize,
}

struct Curve {
    name: &'static str,
    color: Color,
    /// Epoch and value; values that are not finite are left out.
    points: Vec<(f64, f64)>,
    /// The last value, finite or not.
    last: Option<f64>,
}

/// Every group for which the run has numbers, the most important first.
pub(crate) fn panels(state: &State) -> Vec<Panel> {
    let epochs = state.epochs.as_slice();
    let mut panels = vec![accuracy(epochs), loss(epochs)];
    if state.facts.knows_flips {
        panels.push(fitted(epochs));
    }
    if state.facts.has_centers {
        panels.push(distances(epochs, state));
        panels.push(Panel {
            titles: ["energy of the centers, sum over pairs", "energy of the centers"],
            curves: vec![Curve::of(epochs, "energy", BLUE, |epoch| Some(epoch.centers?.energy))],
            is_percent: false,
            decimals: 2,
        });
    }
    panels.push(Panel {
        titles: ["confidence: mean largest softmax, %", "mean largest softmax, %"],
        curves: vec![Curve::of(epochs, "training part", BLUE, |epoch| {
            Some(100.0 * epoch.mean_max_softmax)
        })],
        is_percent: true,
        decimals: 1,
    });
    panels
}

fn accuracy(epochs: &[EpochRecord]) -> Panel {
    let percent = |value: Option<f64>| value.map(|value| 100.0 * value);
    Panel {
        titles: ["accuracy, %: on given labels; test only for the record", "accuracy, %"],
        curves: vec![
            Curve::of(epochs, "train", BLUE, |epoch| Some(100.0 * epoch.train_accuracy_given)),
            Curve::of(epochs, "val", ORANGE, |epoch| percent(epoch.val_accuracy_given)),
            Curve::of(epochs, "test (record)", PURPLE, |epoch| percent(epoch.test_accuracy())),
        ],
        is_percent: true,
        decimals: 1,
    }
}

fn loss(epochs: &[EpochRecord]) -> Panel {
    // The energy is tens below 0 and would flatten the loss of the classifier; it has a group of
    // its own.
    let loss = |epoch: &EpochRecord| Some(epoch.terms.get("loss").copied().unwrap_or(epoch.loss));
    Panel {
        titles: ["loss of the classifier, mean over samples", "loss of the classifier"],
        curves: vec![Curve::of(epochs, "train", BLUE, loss)],
        is_percent: false,
        decimals: 4,
    }
}

fn fitted(epochs: &[EpochRecord]) -> Panel {
    let share = |part: fn(&Scored) -> Option<usize>, all: fn(&Scored) -> Option<usize>| {
        move |epoch: &EpochRecord| {
            let scored = epoch.scored.as_ref()?;
            let all = all(scored).filter(|&all| all > 0)?;
            Some(100.0 * part(scored)? as f64 / all as f64)
        }
    };
    Panel {
        titles: [
            "training labels fitted, %: wrong ones are memorised",
            "training labels fitted, %",
        ],
        curves: vec![
            Curve::of(epochs, "correct", BLUE, share(|s| s.clean_fitted, |s| s.num_clean)),
            Curve::of(epochs, "wrong", ORANGE, share(|s| s.flipped_fitted, |s| s.num_flipped)),
            Curve::of(
                epochs,
                "corrected",
                GREEN,
                share(|s| s.flipped_corrected, |s| s.num_flipped),
            ),
        ],
        is_percent: true,
        decimals: 1,
    }
}

fn distances(epochs: &[EpochRecord], state: &State) -> Panel {
    let mut curves = vec![
        Curve::of(epochs, "min", BLUE, |epoch| Some(epoch.centers?.min_distance)),
        Curve::of(epochs, "mean", ORANGE, |epoch| Some(epoch.centers?.mean_distance)),
        Curve::of(epochs, "max", PURPLE, |epoch| Some(epoch.centers?.max_distance)),
    ];
    if let Some(rest) = state.facts.rest_distance {
        let points = vec![(1.0, rest), (state.facts.num_epochs as f64, rest)];
        curves.push(Curve { name: "rest", color: Color::DarkGray, points, last: Some(rest) });
    }
    Panel {
        titles: ["distances of the centers, and that at rest", "distances of the centers"],
        curves,
        is_percent: false,
        decimals: 2,
    }
}

impl Curve {
    fn of(
        epochs: &[EpochRecord],
        name: &'static str,
        color: Color,
        value: impl Fn(&EpochRecord) -> Option<f64>,
    ) -> Self {
        let values = || epochs.iter().filter_map(|epoch| Some((epoch.epoch as f64, value(epoch)?)));
        let points = values().filter(|(_, value)| value.is_finite()).collect();
        Self { name, color, points, last: values().last().map(|(_, value)| value) }
    }
}

impl Panel {
    /// Title, legend and chart within `area`; the horizontal axis is the whole run.
    pub(crate) fn draw(&self, frame: &mut Frame<'_>, area: Rect, num_epochs: usize) {
        let [title, legend, chart] =
            Layout::vertical([Constraint::Length(1), Constraint::Length(1), Constraint::Min(0)])
                .areas(area);
        frame.render_widget(self.title(title.width), title);
        frame.render_widget(self.legend(legend.width), legend);
        self.draw_chart(frame, chart, num_epochs);
    }

    fn title(&self, width: u16) -> Line<'static> {
        let [long, short] = self.titles;
        let fits = long.chars().count() <= usize::from(width);
        Line::from(if fits { long } else { short }).add_modifier(Modifier::BOLD)
    }

    /// Curves with their last values, as many as there is room for.
    fn legend(&self, width: u16) -> Line<'static> {
        let entries: Vec<(String, Color)> = self
            .curves
            .iter()
            .filter_map(|curve| {
                let value = format!("{:.*}", self.decimals, curve.last?);
                let value = if value == "100.0" { "100" } else { value.as_str() };
                Some((format!("{} {value}", curve.name), curve.color))
            })
            .collect();
        if entries.is_empty() {
            return Line::from("after the first epoch").dim();
        }
        let letters: usize = entries.iter().map(|(text, _)| text.chars().count()).sum();
        let is_wide = letters + 2 * (entries.len() - 1) <= usize::from(width);
        let gap = if is_wide { "  " } else { " " };
        let mut spans: Vec<Span<'static>> = Vec::new();
        let mut used = 0;
        for (text, color) in entries {
            used += text.chars().count() + if spans.is_empty() { 0 } else { gap.len() };
            if used > usize::from(width) {
                break;
            }
            if !spans.is_empty() {
                spans.push(Span::raw(gap));
            }
            spans.push(Span::styled(text, color));
        }
        Line::from(spans)
    }

    fn draw_chart(&self, frame: &mut Frame<'_>, area: Rect, num_epochs: usize) {
        let [low, high] = self.bounds();
        // The first curve is drawn last, over the others.
        let datasets = self.curves.iter().rev().map(|curve| {
            Dataset::default()
                .marker(Marker::Braille)
                .graph_type(GraphType::Line)
                .style(Style::new().fg(curve.color))
                .data(&curve.points)
        });
        let quiet = Style::new().fg(Color::DarkGray);
        let label = |value: f64| Line::from(format!("{value:.*}", self.decimals.min(2)));
        let last = num_epochs.max(2);
        let chart = Chart::new(datasets.collect())
            .legend_position(None)
            .x_axis(Axis::default().style(quiet).bounds([1.0, last as f64]).labels([
                Line::from("1"),
                Line::from("epoch"),
                Line::from(last.to_string()),
            ]))
            .y_axis(
                Axis::default().style(quiet).bounds([low, high]).labels([label(low), label(high)]),
            );
        frame.render_widget(chart, area);
    }

    /// Range of the vertical axis: all values, and a little around them.
    fn bounds(&self) -> [f64; 2] {
        let values = self.curves.iter().flat_map(|curve| curve.points.iter().map(|&(_, y)| y));
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values {
            (low, high) = (low.min(value), high.max(value));
        }
        if low > high {
            return [0.0, if self.is_percent { 100.0 } else { 1.0 }];
        }
        if self.is_percent {
            return [0.0, (1.05 * high).clamp(1.0, 100.0)];
        }
        let margin = 0.05 * (high - low);
        // Curves of a single value, however large, still need some height.
        let margin = if margin > 0.0 { margin } else { 0.05 * high.abs().max(0.1) };
        [low - margin, high + margin]
    }
}
