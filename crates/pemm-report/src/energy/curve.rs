//! A potential over the distance of two points.

use pemm_energy::Potential;

use crate::chart::axis::number;
use crate::chart::{Axis, Color, Figure, LineChart, Marker, Series};

/// Places at which a curve is taken.
const NUM_PLACES: usize = 600;
/// Series colours: what pushes, what pulls, what the energy is compared with.
const PUSH: Color = Color::Series(2);
const PULL: Color = Color::Series(0);
const MARGIN: Color = Color::Series(2);

/// The potential over the distance, with its minimum (the shape of the paper's Fig. 1).
pub fn curve(potential: Potential) -> Figure {
    let rest = potential.rest_distance();
    let reach = 4.0 * potential.r0();
    let (near, far): (Vec<f64>, Vec<f64>) = places(reach, &[rest]).partition(|&r| r < rest);
    // Both parts share the place at rest, so that the curve has no gap.
    let near = near.into_iter().chain((rest > 0.0).then_some(rest));
    let lowest = potential.value(rest);
    let label = rest_label(potential);
    LineChart::new("energy-curve", format!("Potential energy of two centers, {}", name(potential)))
        .description(format!(
            "The energy falls steeply from large values at small distances to its minimum {} at \
             distance {}, and rises slowly towards 0 beyond.",
            number(lowest),
            number(rest)
        ))
        .x(Axis::new("distance r").range(0.0, reach))
        .y(Axis::new(axis_name(potential)).range(1.3 * lowest, -2.2 * lowest))
        .reference_x(rest, format!("{label} = {}", number(rest)))
        .reference_y(0.0, "no energy: infinitely far apart")
        .series(series("pushes apart", PUSH, near, potential))
        .series(series("pulls together", PULL, far, potential))
        .series(
            Series::new(format!("rest, energy {}", number(lowest)), vec![(rest, lowest)])
                .color(Color::Ink)
                .marker(Marker::Disc)
                .without_line(),
        )
        .figure()
}

/// The potential energy (eq. 12) against the margin loss (eq. 14) with the same r0 (Fig. 4).
pub fn comparison(potential: Potential) -> Figure {
    let (rest, r0) = (potential.rest_distance(), potential.r0());
    let margin = Potential::Margin { rest: r0 };
    let lowest = potential.value(rest);
    let reach = 2.6 * r0;
    let all = || places(reach, &[rest, r0]);
    let label = rest_label(potential);
    LineChart::new(
        "energy-compare",
        format!("Potential energy and margin loss, {}", name(potential)),
    )
    .description(format!(
        "The margin loss falls in a straight line to 0 at {} and stays there. The energy has its \
             minimum {} at {} and rises on both sides, steeply below and slowly above: it is not \
             symmetric.",
        number(r0),
        number(lowest),
        number(rest)
    ))
    .x(Axis::new("distance r of two centers").range(0.0, reach))
    .y(Axis::new("loss of the pair").range(1.3 * lowest, (-2.2 * lowest).max(1.2 * r0)))
    .series(series("potential energy, eq. 12", PULL, all(), potential))
    .series(series("margin loss, eq. 14", MARGIN, all(), margin).dash("7 4"))
    .series(
        Series::new(format!("rest at {label} = {}", number(rest)), vec![(rest, lowest)])
            .color(Color::Ink)
            .marker(Marker::Disc)
            .without_line(),
    )
    .series(
        Series::new(format!("no push from r₀ = {}", number(r0)), vec![(r0, 0.0)])
            .color(Color::Ink)
            .marker(Marker::Diamond)
            .without_line(),
    )
    .figure()
}

/// Distances from 0 to `reach`, in order, with the `exact` ones among them.
fn places(reach: f64, exact: &[f64]) -> impl Iterator<Item = f64> + use<> {
    let even = (0..=NUM_PLACES).map(|i| reach * i as f64 / NUM_PLACES as f64);
    let mut all: Vec<f64> = even.chain(exact.iter().copied()).collect();
    all.sort_by(f64::total_cmp);
    all.dedup();
    all.into_iter()
}

fn series(
    label: &str,
    color: Color,
    places: impl IntoIterator<Item = f64>,
    potential: Potential,
) -> Series {
    Series::new(label, places.into_iter().map(|r| (r, potential.value(r))).collect()).color(color)
}

/// "u 3, v 2, ξ 2, β 0.3"
fn name(potential: Potential) -> String {
    match potential {
        Potential::Energy { u, v, xi, beta } => {
            let offset = if beta > 0.0 { format!(", β {}", number(beta)) } else { String::new() };
            format!("u {}, v {}, ξ {}{offset}", number(u), number(v), number(xi))
        }
        Potential::Margin { rest } => format!("margin {}", number(rest)),
    }
}

fn axis_name(potential: Potential) -> &'static str {
    if has_offset(potential) { "energy E(r + β)" } else { "energy E(r)" }
}

/// What the distance at rest is called.
pub(super) fn rest_label(potential: Potential) -> &'static str {
    if has_offset(potential) { "r₀ − β" } else { "r₀" }
}

fn has_offset(potential: Potential) -> bool {
    matches!(potential, Potential::Energy { beta, .. } if beta > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_curve_marks_its_minimum() {
        let figure = curve(Potential::energy(3.0, 2.0, 2.0, 0.0).unwrap());
        assert!(figure.body.contains("r₀ = 0.75"), "{}", figure.body);
        let lowest =
            figure.data.rows.iter().flat_map(|row| &row[1..]).filter(|text| !text.is_empty());
        let lowest = lowest.map(|text| text.parse::<f64>().unwrap()).fold(f64::INFINITY, f64::min);
        assert!((lowest + 32.0 / 27.0).abs() < 1e-12, "{lowest}");
        assert!(!figure.standalone().contains("NaN"));
    }

    #[test]
    fn the_comparison_has_both_minima() {
        let figure = comparison(Potential::energy(3.0, 2.0, 2.0, 0.3).unwrap());
        for part in ["rest at r₀ − β = 0.45", "no push from r₀ = 0.75", "eq. 12", "eq. 14"] {
            assert!(figure.body.contains(part), "{part}");
        }
    }

    #[test]
    fn odd_parameters_give_a_picture_too() {
        for (u, v, xi, beta) in [
            (64.0, 1.0, 1e-6, 0.0),
            (2.1, 2.0, 2.0, 0.0),
            (3.0, 2.0, 2.0, 5.0),
            (64.0, 63.0, 9.0, 0.1),
        ] {
            let potential = Potential::energy(u, v, xi, beta).unwrap();
            for figure in [curve(potential), comparison(potential)] {
                let text = figure.standalone();
                assert!(text.contains("<path") && !text.contains("NaN"), "{potential:?}");
            }
        }
    }
}
