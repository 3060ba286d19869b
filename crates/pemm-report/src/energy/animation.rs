//! Points that come to rest, as a moving picture and as a strip of still ones (the paper's Fig. 3
//! and 5).
//!
//! The motion is SMIL, so the picture is one file without a script. Where motion is not wanted
//! (`prefers-reduced-motion`), and in programs that know no SMIL, it shows the end.

use pemm_energy::Settled;
use pemm_energy::pairs::Distances;

use super::curve::rest_label;
use super::scene::{CLOCK, SECONDS, Scene};
use super::settling::{num_drawn, subject};
use super::view::{Shot, shots};
use crate::chart::axis::number;
use crate::chart::figure::exact;
use crate::chart::frame::WIDTH;
use crate::chart::svg::{Anchor, SMALL, Svg, place};
use crate::chart::{Color, Data, Figure};

/// Points on their way to rest, with the spread of their distances.
pub fn animation(settled: &Settled) -> Figure {
    const MARGIN: f64 = 14.0;
    const INNER: f64 = 26.0;
    let num_points = settled.settling.num_points;
    let side = WIDTH - 2.0 * MARGIN;
    let (shots, unit) = shots(settled, if num_points <= 300 { 60 } else { 36 }, side - 2.0 * INNER);
    let mut svg = Svg::new();
    svg.markup(STYLE);
    svg.markup(&format!(
        "<rect x=\"{MARGIN}\" y=\"{MARGIN}\" width=\"{side}\" height=\"{side}\" rx=\"8\" \
         fill=\"none\" stroke=\"{}\"/>\n",
        Color::Grid
    ));
    let corner = MARGIN + INNER;
    for (class, is_moving) in [("moving", true), ("still", false)] {
        svg.markup(&format!(
            "<g class=\"{class}\"><g transform=\"translate({corner} {corner})\">\n"
        ));
        svg.markup(&Scene { shots: &shots, is_moving, size: 1.0 }.markup());
        svg.markup("</g></g>\n");
    }
    scale_bar(&mut svg, settled, (MARGIN + 12.0, MARGIN + side - 12.0), unit);
    let end = spread(&mut svg, settled, &shots, MARGIN + side + 14.0);
    Figure {
        name: "settle".into(),
        title: format!("{} come to rest", subject(settled)),
        description: description(settled),
        width: WIDTH,
        height: end,
        body: svg.into_text(),
        data: last_positions(settled),
    }
}

/// Five moments from left to right.
pub fn strip(settled: &Settled) -> Figure {
    const NUM: usize = 5;
    const SIDE: f64 = 150.0;
    const INNER: f64 = 14.0;
    const GAP: f64 = 8.0;
    let (shots, unit) = shots(settled, NUM, SIDE - 2.0 * INNER);
    let mut svg = Svg::new();
    for (k, shot) in shots.iter().enumerate() {
        let left = 6.0 + k as f64 * (SIDE + GAP);
        svg.markup(&format!(
            "<rect x=\"{}\" y=\"6\" width=\"{SIDE}\" height=\"{SIDE}\" rx=\"6\" fill=\"none\" \
             stroke=\"{}\"/>\n<g transform=\"translate({} {})\">\n",
            place(left),
            Color::Grid,
            place(left + INNER),
            place(6.0 + INNER)
        ));
        let scene = Scene { shots: std::slice::from_ref(shot), is_moving: false, size: 0.7 };
        svg.markup(&scene.markup());
        svg.markup("</g>\n");
        let below = (left + SIDE / 2.0, SIDE + 20.0);
        let caption = format!("step {}", shot.step.round());
        svg.text(below, Anchor::Middle, 9.0, Color::Muted, &caption);
    }
    scale_bar(&mut svg, settled, (8.0, SIDE + 34.0), unit);
    Figure {
        name: "settle-strip".into(),
        title: format!("{} come to rest, in five moments", subject(settled)),
        description: description(settled),
        width: 12.0 + NUM as f64 * SIDE + (NUM - 1) as f64 * GAP,
        height: SIDE + 44.0,
        body: svg.into_text(),
        data: last_positions(settled),
    }
}

const STYLE: &str = "<style>.still{display:none}@media(prefers-reduced-motion:reduce)\
                     {.moving{display:none}.still{display:inline}}</style>\n";

fn description(settled: &Settled) -> String {
    let last = settled.steps.last().expect("the start is a step");
    format!(
        "{} start at random places and move down the slope of their energy. After {} steps {}; \
         their distances, those to the origin O included, lie between {} and {}.",
        subject(settled),
        last.step,
        if settled.at_rest { "they are at rest" } else { "they still move a little" },
        number(last.distances.min),
        number(last.distances.max)
    )
}

/// A bar as long as the distance at rest.
fn scale_bar(svg: &mut Svg, settled: &Settled, (left, y): (f64, f64), unit: f64) {
    let potential = settled.settling.potential;
    let (rest, label) = match potential.rest_distance() {
        rest if rest > 0.0 => (rest, rest_label(potential)),
        _ => (potential.r0(), "r₀"),
    };
    let right = left + unit * rest;
    svg.line((left, y), (right, y), Color::Ink, 2.0, "");
    for x in [left, right] {
        svg.line((x, y - 4.0), (x, y + 4.0), Color::Ink, 1.4, "");
    }
    let text = format!("{label} = {}", number(rest));
    svg.text((right + 8.0, y + 3.6), Anchor::Start, SMALL, Color::Muted, &text);
}

/// The spread of the distances over the steps, with a line that moves with the picture. Returns
/// where it ends.
fn spread(svg: &mut Svg, settled: &Settled, shots: &[Shot], top: f64) -> f64 {
    const HEIGHT: f64 = 70.0;
    let (left, right, bottom) = (46.0, WIDTH - 14.0, top + HEIGHT);
    let drawn = &settled.steps[..=num_drawn(settled).min(settled.steps.len() - 1)];
    let last = drawn.len() - 1;
    let highest = drawn.iter().map(|step| step.distances.max).fold(1e-12, f64::max);
    let x = |step: f64| left + (right - left) * step.min(last as f64) / last.max(1) as f64;
    let y = |distance: f64| bottom - HEIGHT * distance / highest;
    let along = |distance: fn(&Distances) -> f64| {
        drawn.iter().map(move |step| {
            format!("{} {}", place(x(step.step as f64)), place(y(distance(&step.distances))))
        })
    };
    let upper: Vec<String> = along(|d| d.max).collect();
    let lower: Vec<String> = along(|d| d.min).rev().collect();
    let mean: Vec<String> = along(|d| d.mean).collect();
    svg.line((left, bottom), (right, bottom), Color::Muted, 1.0, "");
    let band = format!("M{}L{}z", upper.join("L"), lower.join("L"));
    svg.fill(&band, Color::Series(0), 0.25, "from the smallest to the largest distance");
    svg.stroke(&format!("M{}", mean.join("L")), Color::Series(0), 1.8, "", "mean distance");
    let rest = settled.settling.potential.rest_distance();
    svg.line((left, y(rest)), (right, y(rest)), Color::Muted, 1.4, "2 4");
    for value in [0.0, highest] {
        let at = (left - 6.0, y(value) + 3.8);
        svg.text(at, Anchor::End, SMALL, Color::Muted, &format!("{value:.2}"));
    }
    let middle = (12.0, (top + bottom) / 2.0);
    svg.turned_text(middle, Anchor::Middle, SMALL, Color::Ink, -90.0, "distance");
    let below = bottom + 15.0;
    svg.text((left, below), Anchor::Middle, SMALL, Color::Muted, "0");
    svg.text((right, below), Anchor::End, SMALL, Color::Muted, &last.to_string());
    let legend = "step: mean, smallest and largest distance; dotted: a pair at rest";
    svg.text(((left + right) / 2.0, below), Anchor::Middle, SMALL, Color::Muted, legend);
    // The line is the clock of the whole picture: it starts again some seconds after its end.
    let values: Vec<String> =
        shots.iter().map(|shot| format!("{} 0", place(x(shot.step)))).collect();
    svg.markup(&format!(
        "<g class=\"moving\"><path d=\"M0 {}V{}\" transform=\"translate({} 0)\" stroke=\"{}\" \
         stroke-width=\"1.6\"><animateTransform id=\"{CLOCK}\" attributeName=\"transform\" \
         type=\"translate\" values=\"{}\" begin=\"0s;{CLOCK}.end+{}s\" dur=\"{}s\" \
         fill=\"freeze\"/></path></g>\n",
        place(top - 2.0),
        place(bottom),
        place(x(last as f64)),
        Color::Ink,
        values.join(";"),
        SECONDS[1],
        SECONDS[0]
    ));
    below + 10.0
}

/// Where the points are in the end, in up to three dimensions.
fn last_positions(settled: &Settled) -> Data {
    let num_axes = settled.settling.dimensions.min(3);
    let mut data = Data::new(["point", "x", "y", "z"].into_iter().take(1 + num_axes));
    let last = &settled.positions[settled.positions.len() - 1];
    for (k, point) in last.points.iter().enumerate() {
        let coordinates = point[..num_axes].iter().map(|&x| exact(f64::from(x)));
        data.row([(k + 1).to_string()].into_iter().chain(coordinates));
    }
    data
}

#[cfg(test)]
mod tests {
    use super::super::view::tests::settled;
    use super::*;

    #[test]
    fn every_point_moves_and_stands_still_where_motion_is_not_wanted() {
        let text = animation(&settled(7, 2)).standalone();
        assert_eq!(text.matches("<animateTransform").count(), 7 + 1);
        assert_eq!(text.matches("<title>point ").count(), 2 * 7);
        assert!(text.contains("prefers-reduced-motion:reduce") && !text.contains("NaN"));
        // One clock, which starts everything else, and which starts again after its end.
        assert_eq!(text.matches("id=\"settle-clock\"").count(), 1);
        assert_eq!(text.matches("begin=\"settle-clock.begin\"").count(), 7 + 1);
    }

    #[test]
    fn points_in_space_grow_when_they_come_near() {
        let text = animation(&settled(5, 3)).standalone();
        assert_eq!(text.matches("attributeName=\"r\"").count(), 5);
    }

    #[test]
    fn many_points_stay_a_small_file() {
        let figure = animation(&settled(400, 2));
        let text = figure.standalone();
        assert!(text.len() < 400_000, "{}", text.len());
        assert_eq!(figure.data.rows.len(), 400);
        assert!(text.contains("attributeName=\"d\""));
    }

    #[test]
    fn the_strip_goes_from_the_start_to_the_end() {
        let settled = settled(3, 2);
        let text = strip(&settled).standalone();
        let last = settled.steps.last().unwrap().step;
        assert!(text.contains(">step 0<") && text.contains(&format!(">step {last}<")), "{text}");
        assert!(!text.contains("<animate"));
    }
}
