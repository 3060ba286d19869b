//! Curves over the steps in which points come to rest.

use pemm_energy::Settled;

use super::curve::rest_label;
use crate::chart::axis::number;
use crate::chart::figure::exact;
use crate::chart::{Axis, Color, Data, Figure, LineChart, Series};

/// Distances, energy and eq. 15's sum over the steps.
pub fn settling(settled: &Settled) -> Vec<Figure> {
    vec![distances(settled), energy(settled), sum(settled)]
}

/// The numbers of every step.
pub fn steps(settled: &Settled) -> Data {
    let mut data = Data::new([
        "step",
        "energy",
        "min_distance",
        "mean_distance",
        "max_distance",
        "standard_deviation",
        "sum_of_distances",
        "limit_of_the_sum",
    ]);
    let limit = settled.settling.limit();
    for step in &settled.steps {
        let d = &step.distances;
        let values = [step.energy, d.min, d.mean, d.max, d.deviation, d.sum, limit].map(exact);
        data.row([step.step.to_string()].into_iter().chain(values));
    }
    data
}

/// Steps worth drawing: up to where every distance is within a hundredth of its final value, and
/// some more, at least 20. What follows is a straight line.
pub(super) fn num_drawn(settled: &Settled) -> usize {
    let last = &settled.steps[settled.steps.len() - 1];
    let is_near = |a: f64, b: f64| (a - b).abs() <= 0.01 * last.distances.max;
    let moving = settled.steps.iter().rposition(|step| {
        let (a, b) = (&step.distances, &last.distances);
        !(is_near(a.min, b.min) && is_near(a.mean, b.mean) && is_near(a.max, b.max))
    });
    (moving.unwrap_or(0) * 3 / 2).max(20).min(last.step.max(1))
}

fn chart(name: &str, title: String, settled: &Settled) -> LineChart {
    let (drawn, last) = (num_drawn(settled), settled.steps[settled.steps.len() - 1].step);
    let rest = if drawn < last {
        format!(" (of {last}; nothing that can be seen changes later)")
    } else {
        String::new()
    };
    LineChart::new(name, title).x(Axis::new(format!("step{rest}")).whole().range(0.0, drawn as f64))
}

fn series(
    settled: &Settled,
    label: &str,
    number: usize,
    value: impl Fn(&pemm_energy::settle::Step) -> f64,
) -> Series {
    let drawn = &settled.steps[..=num_drawn(settled).min(settled.steps.len() - 1)];
    let points = drawn.iter().map(|step| (step.step as f64, value(step))).collect();
    Series::new(label, points).color(Color::Series(number))
}

/// "10 points in 2 dimensions"
pub(super) fn subject(settled: &Settled) -> String {
    format!("{} points in {} dimensions", settled.settling.num_points, settled.settling.dimensions)
}

/// Whether all distances can be equal, as a sentence.
fn possible(settled: &Settled) -> &'static str {
    if settled.settling.num_points <= settled.settling.dimensions {
        "All distances can be equal."
    } else {
        "There are more points than dimensions, so the distances cannot all be equal."
    }
}

fn distances(settled: &Settled) -> Figure {
    let rest = settled.settling.potential.rest_distance();
    let last = &settled.steps[settled.steps.len() - 1].distances;
    let label = rest_label(settled.settling.potential);
    chart("settle-distances", format!("Distances of all pairs, {}", subject(settled)), settled)
        .description(format!(
            "In the end the {} distances lie between {} and {}, on average {}, with a standard \
             deviation of {}. {}",
            settled.settling.num_pairs(),
            number(last.min),
            number(last.max),
            number(last.mean),
            number(last.deviation),
            possible(settled)
        ))
        .y(Axis::new("distance").from(0.0))
        .series(series(settled, "largest", 2, |step| step.distances.max))
        .series(series(settled, "mean", 1, |step| step.distances.mean))
        .series(series(settled, "smallest", 0, |step| step.distances.min))
        .series(
            series(settled, "standard deviation", 4, |step| step.distances.deviation).dash("6 4"),
        )
        .reference_y(rest, format!("{label} = {}, a pair at rest", number(rest)))
        .figure()
}

fn energy(settled: &Settled) -> Figure {
    let potential = settled.settling.potential;
    let lowest = settled.settling.num_pairs() as f64 * potential.value(potential.rest_distance());
    let energies = || settled.steps.iter().map(|step| step.energy);
    let last = settled.steps[settled.steps.len() - 1].energy;
    let highest = energies().fold(f64::NEG_INFINITY, f64::max);
    // Two points that start close together would make everything else a flat line.
    let top = highest.min(0.6 * last.abs().max(lowest.abs()));
    let bottom = last.min(lowest);
    let margin = 0.05 * (top - bottom);
    chart("settle-energy", format!("Energy of all pairs, {}", subject(settled)), settled)
        .description(format!(
            "The energy falls from {} to {}; if every pair were at rest, it would be {}. {}",
            number(settled.steps[0].energy),
            number(last),
            number(lowest),
            possible(settled)
        ))
        .y(Axis::new("energy, sum over pairs (eq. 11)").range(bottom - margin, top + margin))
        .series(series(settled, "energy", 0, |step| step.energy))
        .reference_y(lowest, format!("every pair at rest, {}", number(lowest)))
        .figure()
}

fn sum(settled: &Settled) -> Figure {
    let limit = settled.settling.limit();
    let last = settled.steps[settled.steps.len() - 1].distances.sum;
    let label = rest_label(settled.settling.potential);
    chart("settle-sum", format!("Sum of all distances, {}", subject(settled)), settled)
        .description(format!(
            "The sum of the distances ends at {}; the limit of eq. 15 is {}. {}",
            number(last),
            number(limit),
            possible(settled)
        ))
        .y(Axis::new("sum of the distances (eq. 15)").from(0.0))
        .series(series(settled, "sum", 0, |step| step.distances.sum))
        .reference_y(limit, format!("K(K+1)/2 · ({label}) = {}", number(limit)))
        .figure()
}
