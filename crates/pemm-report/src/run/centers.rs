//! The class centers: how far apart they are, epoch by epoch and at the end.

use pemm_energy::Potential;
use pemm_runs::{CenterStats, Outputs, Record};
use serde_json::Value;

use super::curves::{per_epoch, values};
use crate::chart::axis::number;
use crate::chart::{Axis, Cloud, Color, HeatMap, LineChart, Scatter, Series};
use crate::layout;
use crate::report::Section;

/// Where the potential of an experiment rests.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Rest {
    /// Distance of every pair, r0 - β.
    distance: f64,
    /// Energy of a pair there, E(r0).
    energy: f64,
}

impl Rest {
    /// Of the experiment's `loss.energy`, if that is a potential (eq. 10 and 11).
    fn of(record: &Record) -> Option<Self> {
        let energy = record.experiment.get("loss")?.get("energy")?;
        if energy.get("kind").and_then(Value::as_str) != Some("potential") {
            return None;
        }
        let value = |key: &str| energy.get(key).and_then(Value::as_f64);
        let (u, v, xi, beta) = (value("u")?, value("v")?, value("xi")?, value("beta")?);
        let potential = Potential::energy(u, v, xi, beta).ok()?;
        let distance = potential.rest_distance();
        let rest = Self { distance, energy: potential.value(distance) };
        (rest.distance.is_finite() && rest.energy.is_finite()).then_some(rest)
    }
}

/// Distances, energy and eq. 15's sum over epochs; matrix and plane of the last centers.
pub(super) fn centers(record: &Record, outputs: Option<&Outputs>) -> Section {
    let mut section = Section::new("centers", "Are the classes apart? The centers");
    let of = |value: fn(&CenterStats) -> f64| {
        values(&record.epochs, move |epoch| epoch.centers.as_ref().map(value))
    };
    let mean = of(|centers| centers.mean_distance);
    let Some(last) = record.epochs.iter().rev().find_map(|epoch| epoch.centers) else {
        return section;
    };
    let num_classes = record.data.classes.len();
    let num_pairs = (num_classes * (num_classes + 1)) as f64 / 2.0;
    let rest = Rest::of(record);
    let mut text = format!(
        "Distances of two centers at the end: {} to {}, {} on average.",
        number(last.min_distance),
        number(last.max_distance),
        number(last.mean_distance)
    );
    if let Some(rest) = rest {
        text += &format!(
            " The energy is lowest where every distance, those to the origin included, is r₀ − β = {}",
            number(rest.distance)
        );
        text += &if num_classes <= record.model.num_features {
            format!(
                "; that is possible for {num_classes} centers in {} dimensions.",
                record.model.num_features
            )
        } else {
            format!(
                ". {num_classes} centers in {} dimensions cannot all do that, so the limits are \
                 bounds.",
                record.model.num_features
            )
        };
    }
    section.text.push(text);
    let mut distances = per_epoch("center-distances", "Distances of the centers", "distance")
        .series(Series::new("largest", of(|c| c.max_distance)).color(Color::Series(1)).dash("6 4"))
        .series(Series::new("mean", mean).color(Color::Series(0)))
        .series(
            Series::new("smallest", of(|c| c.min_distance)).color(Color::Series(3)).dash("2 4"),
        );
    let mut sum = per_epoch("center-sum", "Sum of all distances (eq. 15)", "sum of distances")
        .series(Series::new("with those to the origin", of(|c| c.sum_with_origin)));
    let mut energy = per_epoch("center-energy", "Energy of the centers (eq. 11)", "energy")
        .series(Series::new("sum over all pairs", of(|c| c.energy)).color(Color::Series(2)));
    if let Some(rest) = rest {
        let refer = |chart: LineChart, value: f64, name: &str| {
            chart.reference_y(value, format!("{name} = {}", number(value)))
        };
        // Centers often begin far outside; the last stretch is the one to see.
        let first = record.epochs.iter().find_map(|epoch| epoch.centers);
        if rest.distance > 0.0 && first.is_some_and(|c| c.mean_distance > 5.0 * rest.distance) {
            distances = distances.y(Axis::new("distance").log());
            sum = sum.y(Axis::new("sum of distances").log());
        }
        distances = refer(distances, rest.distance, "r₀ − β");
        sum = refer(sum, num_pairs * rest.distance, "limit K(K+1)/2 · (r₀ − β)");
        energy = refer(energy, num_pairs * rest.energy, "limit K(K+1)/2 · E(r₀)");
    }
    section.figures.extend([distances.figure(), sum.figure(), energy.figure()]);
    if let Some(outputs) = outputs
        && let Some(centers) = &outputs.centers
    {
        last_centers(&mut section, record, centers, outputs.train.num_features);
    }
    section
}

fn last_centers(section: &mut Section, record: &Record, centers: &[f32], num_features: usize) {
    let classes = &record.data.classes;
    section.figures.push(
        HeatMap::new(
            "center-matrix",
            "Distance of every two centers",
            classes,
            layout::distances(centers, num_features),
        )
        .axes("class", "class")
        .unit("", 2)
        .description(
            "Symmetric matrix of the distances between class centers after the last epoch.",
        )
        .figure(),
    );
    let Some(plane) = layout::layout(centers, num_features) else { return };
    let mut scatter = Scatter::new("center-plane", "The centers in a plane")
        .description(format!(
            "Multidimensional scaling of the centers and the origin; the plane shows {:.0} % of \
             the squared distances.",
            100.0 * plane.shown
        ))
        .dot(9.0)
        .named_points();
    for (class, place) in plane.places.iter().enumerate() {
        scatter = scatter.cloud(Cloud {
            label: classes[class].clone(),
            color: Color::Series(class),
            points: vec![*place],
        });
    }
    let origin = Cloud { label: "origin".into(), color: Color::Muted, points: vec![plane.origin] };
    section.figures.push(scatter.cloud(origin).figure());
    section.text.push(format!(
        "The plane is the one of multidimensional scaling, in which the centers spread most; it \
         shows {:.0} % of the squared distances. Centers that are all equally far from one another \
         need as many dimensions as there are classes, so in a plane some must look near.",
        100.0 * plane.shown
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_papers_potential_rests_at_three_quarters() {
        let record = crate::testing::record("pemm", 3);
        let rest = Rest::of(&record).unwrap();
        assert!((rest.distance - 0.45).abs() < 1e-12);
        assert!((rest.energy - (0.75f64.powi(-3) - 2.0 * 0.75f64.powi(-2))).abs() < 1e-12);
        let mut other = record.clone();
        other.experiment["loss"]["energy"]["kind"] = "none".into();
        assert_eq!(Rest::of(&other), None);
    }
}
