//! How accuracy depends on the noise rate and on settings.

use std::collections::BTreeMap;

use pemm_experiment::same::Values;

use super::groups::Group;
use super::{MAX_FIGURES, color};
use crate::chart::{Axis, Color, LineChart, Marker, Series};
use crate::report::Section;
use crate::run::curves::plain;

/// Settings whose dependence has a figure of its own, or none.
const NOT_SWEPT: [&str; 4] = ["arm", "preset", "seed", "noise.rate"];

/// Two values of a setting are two methods, not a sweep.
const MIN_VALUES: usize = 3;

/// Test accuracy against the noise rate, one curve per arm, one figure per data set and convention.
pub(super) fn noise_rates(groups: &[Group<'_>], arms: &[String]) -> Section {
    let mut section = Section::new("rates", "Accuracy against the noise rate");
    let is_clean =
        |group: &Group<'_>| group.column.nominal_rate == 0.0 && group.column.convention == "none";
    let mut kinds: Vec<(&str, &str, &str)> = groups
        .iter()
        .filter(|group| !is_clean(group) && group.column.convention != "given")
        .map(|group| {
            let column = &group.column;
            (column.data.as_str(), column.data_sha256.as_str(), column.convention.as_str())
        })
        .collect();
    kinds.sort_unstable();
    kinds.dedup();
    for (index, (data, hash, convention)) in kinds.into_iter().enumerate().take(MAX_FIGURES) {
        let mut lines: BTreeMap<(usize, String), Vec<Point>> = BTreeMap::new();
        for group in groups {
            let column = &group.column;
            let belongs =
                column.data_sha256 == hash && (column.convention == convention || is_clean(group));
            let (true, Some(mean)) = (belongs, group.accuracy()) else { continue };
            let place = arms.iter().position(|arm| *arm == group.arm).unwrap_or_default();
            let (mean, deviation) = (mean.mean, mean.deviation);
            let point = Point { x: 100.0 * column.nominal_rate, mean, deviation };
            lines.entry((place, group.label.clone())).or_default().push(point);
        }
        if !lines.values().any(|points| num_distinct(points) > 1) {
            continue;
        }
        let chart = LineChart::new(format!("rates-{}", index + 1), format!("{data}, {convention}"))
            .x(Axis::new("noise rate, %"))
            .y(Axis::new("test accuracy, last epoch, %"));
        let chart = lines.into_iter().fold(chart, |chart, ((place, label), points)| {
            chart.series(line(label, points, place).color(color(arms, &arms[place])))
        });
        section.figures.push(chart.figure());
    }
    section
}

/// Test accuracy against each number that varies where all else is equal (Fig. 7 of the paper: α and
/// β).
pub(super) fn sweeps(groups: &[Group<'_>]) -> Section {
    let mut section = Section::new("sweeps", "How much settings matter");
    let mut keys: Vec<&String> = groups.iter().flat_map(|group| group.settings.keys()).collect();
    keys.sort();
    keys.dedup();
    for key in keys.into_iter().filter(|key| !NOT_SWEPT.contains(&key.as_str())) {
        let mut lines: BTreeMap<String, (String, Vec<Point>)> = BTreeMap::new();
        for group in groups {
            let (Some(x), Some(mean)) =
                (group.settings.get(key).and_then(|value| value.as_f64()), group.accuracy())
            else {
                continue;
            };
            let line = lines
                .entry(rest(&group.settings, key))
                .or_insert_with(|| (format!("{}, {}", group.arm, group.column), Vec::new()));
            line.1.push(Point { x, mean: mean.mean, deviation: mean.deviation });
        }
        lines.retain(|_, (_, points)| num_distinct(points) >= MIN_VALUES);
        if lines.is_empty() || section.figures.len() == MAX_FIGURES {
            continue;
        }
        let all: Vec<f64> =
            lines.values().flat_map(|(_, points)| points.iter().map(|point| point.x)).collect();
        let least = all.iter().copied().fold(f64::INFINITY, f64::min);
        let most = all.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let axis = Axis::new(key.clone());
        let axis = if least > 0.0 && most >= 20.0 * least { axis.log() } else { axis };
        let chart =
            LineChart::new(format!("sweep-{}", plain(key)), format!("Accuracy against {key}"))
                .x(axis)
                .y(Axis::new("test accuracy, last epoch, %"));
        let chart = lines.into_values().enumerate().fold(chart, |chart, (index, line)| {
            chart.series(self::line(line.0, line.1, index).color(Color::Series(index)))
        });
        section.figures.push(chart.figure());
    }
    if !section.figures.is_empty() {
        section.text.push(
            "Each curve joins runs that differ in this one setting only; bars are sample standard \
             deviations over seeds. Choosing a setting by these curves would be choosing by the \
             test set."
                .into(),
        );
    }
    section
}

/// A mean at a value of x.
#[derive(Debug, Clone, Copy)]
struct Point {
    x: f64,
    mean: f64,
    deviation: Option<f64>,
}

fn line(label: String, mut points: Vec<Point>, index: usize) -> Series {
    points.sort_by(|a, b| a.x.total_cmp(&b.x));
    let errors = points.iter().map(|p| p.deviation.map_or(f64::NAN, |d| 100.0 * d)).collect();
    let points = points.iter().map(|point| (point.x, 100.0 * point.mean)).collect();
    Series::new(label, points).errors(errors).marker(Marker::ALL[index % Marker::ALL.len()])
}

fn num_distinct(points: &[Point]) -> usize {
    let mut places: Vec<f64> = points.iter().map(|point| point.x).collect();
    places.sort_by(f64::total_cmp);
    places.dedup();
    places.len()
}

/// All settings but `key`, and those that only name things.
fn rest(settings: &Values, key: &str) -> String {
    settings
        .iter()
        .filter(|(other, _)| *other != key && !["arm", "preset"].contains(&other.as_str()))
        .map(|(other, value)| format!("{other}={value}\n"))
        .collect()
}
