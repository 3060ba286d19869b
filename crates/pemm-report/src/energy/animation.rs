//! Points that come to rest, as a moving picture and as a strip of still ones (the paper's Fig. 3
//! and 5).
//!
//! The motion is SMIL, so the picture is one file without a script. Where motion is not wanted
//! (`prefers-reduced-motion`), and in programs that know no SMIL, it shows the end.

use std::fmt::Write;

use pemm_energy::Settled;

use super::curve::rest_label;
use super::settling::subject;
use super::view::{Shot, Spot, shots};
use crate::chart::axis::number;
use crate::chart::figure::exact;
use crate::chart::frame::WIDTH;
use crate::chart::svg::{Anchor, SMALL, Svg, place};
use crate::chart::{Color, Data, Figure};

/// Seconds of motion, and of rest before it starts again.
const SECONDS: [f64; 2] = [7.0, 3.0];
/// Up to this many points, each is an element with a colour and a name of its own.
const MAX_NAMED: usize = 100;
/// Up to this many points, the pairs are drawn.
const MAX_EDGES: usize = 12;
/// Up to this many points, their numbers stand in them.
const MAX_NUMBERED: usize = 20;

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
        svg.markup(&scene(&shots, is_moving));
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
        svg.markup(&scene(std::slice::from_ref(shot), false));
        svg.markup("</g>\n");
        let below = (left + SIDE / 2.0, SIDE + 22.0);
        let caption = format!("step {}", shot.step.round());
        svg.text(below, Anchor::Middle, SMALL, Color::Muted, &caption);
    }
    scale_bar(&mut svg, settled, (16.0, SIDE - 2.0), unit);
    Figure {
        name: "settle-strip".into(),
        title: format!("{} come to rest, in five moments", subject(settled)),
        description: description(settled),
        width: 12.0 + NUM as f64 * SIDE + (NUM - 1) as f64 * GAP,
        height: SIDE + 32.0,
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

/// Pairs, origin and points; of several shots the last is what stands still.
fn scene(shots: &[Shot], is_moving: bool) -> String {
    let last = &shots[shots.len() - 1];
    let num_points = last.spots.len() - 1;
    let mut text = String::new();
    if num_points <= MAX_EDGES {
        let motion = motion(is_moving, "d", shots, |shot| edges(&shot.spots));
        text += &format!(
            "<path d=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"1\" stroke-opacity=\"0.45\">\
             {motion}</path>\n",
            edges(&last.spots),
            Color::Muted
        );
    }
    if num_points > MAX_NAMED {
        let dots = |shot: &Shot| {
            shot.spots[1..].iter().fold(String::new(), |mut dots, spot| {
                write!(dots, "M{} {}h0", spot.x.round(), spot.y.round())
                    .expect("a string takes all");
                dots
            })
        };
        text += &format!(
            "<path d=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"{}\" stroke-opacity=\"0.75\" \
             stroke-linecap=\"round\">{}</path>\n",
            dots(last),
            Color::Series(0),
            if num_points <= 300 { 5 } else { 3.5 },
            motion(is_moving, "d", shots, dots)
        );
    }
    text += &mark_of_origin(shots, is_moving);
    if num_points <= MAX_NAMED {
        for k in 1..=num_points {
            text += &named_point(shots, k, is_moving);
        }
    }
    text
}

/// A point with its name, and its number where few have room for it; nearer ones are larger.
fn named_point(shots: &[Shot], k: usize, is_moving: bool) -> String {
    let last = &shots[shots.len() - 1];
    let num_points = last.spots.len() - 1;
    // A strip is narrower than a moving picture.
    let size = if num_points <= MAX_NUMBERED { 8.0 } else { 4.5 };
    let size = if shots.len() == 1 && !is_moving { size * 0.75 } else { size };
    let radius = |shot: &Shot| place(size * (1.0 + 0.35 * shot.spots[k].nearness));
    let is_flat = shots.iter().all(|shot| shot.spots[k].nearness == 0.0);
    let growth = motion(is_moving && !is_flat, "r", shots, radius);
    let label = if num_points <= MAX_NUMBERED {
        format!(
            "<text y=\"3.4\" font-size=\"9.5\" font-weight=\"600\" text-anchor=\"middle\" \
             fill=\"{}\">{k}</text>",
            Color::Surface
        )
    } else {
        String::new()
    };
    let at = |shot: &Shot| format!("{} {}", place(shot.spots[k].x), place(shot.spots[k].y));
    format!(
        "<g transform=\"translate({})\">{}<circle r=\"{}\" fill=\"{}\" stroke=\"{}\">\
         <title>point {k}</title>{growth}</circle>{label}</g>\n",
        at(last),
        translation(is_moving, shots, at),
        radius(last),
        Color::Series(k - 1),
        Color::Surface
    )
}

/// A ring with a cross at point 0.
fn mark_of_origin(shots: &[Shot], is_moving: bool) -> String {
    let at = |shot: &Shot| format!("{} {}", place(shot.spots[0].x), place(shot.spots[0].y));
    // The origin never moves, but the eye may.
    let moves = shots.iter().any(|shot| at(shot) != at(&shots[0]));
    format!(
        "<g transform=\"translate({})\">{}<circle r=\"5\" fill=\"{}\" stroke=\"{}\" \
         stroke-width=\"1.6\"><title>origin</title></circle><path d=\"M-2.6 0H2.6M0-2.6V2.6\" \
         stroke=\"{}\" stroke-width=\"1.4\"/></g>\n",
        at(&shots[shots.len() - 1]),
        translation(is_moving && moves, shots, at),
        Color::Surface,
        Color::Ink,
        Color::Ink
    )
}

/// Lines between all pairs, the origin's included.
fn edges(spots: &[Spot]) -> String {
    let mut commands = String::new();
    for (i, a) in spots.iter().enumerate() {
        for b in &spots[i + 1..] {
            write!(commands, "M{} {}L{} {}", place(a.x), place(a.y), place(b.x), place(b.y))
                .expect("a string takes all");
        }
    }
    commands
}

/// The motion of an attribute; empty where nothing moves.
fn motion(
    is_moving: bool,
    attribute: &str,
    shots: &[Shot],
    value: impl Fn(&Shot) -> String,
) -> String {
    if !is_moving {
        return String::new();
    }
    let values: Vec<String> = shots.iter().map(value).collect();
    format!("<animate attributeName=\"{attribute}\" values=\"{}\" {}/>", values.join(";"), timing())
}

/// The motion of a group.
fn translation(is_moving: bool, shots: &[Shot], at: impl Fn(&Shot) -> String) -> String {
    if !is_moving {
        return String::new();
    }
    let values: Vec<String> = shots.iter().map(at).collect();
    format!(
        "<animateTransform attributeName=\"transform\" type=\"translate\" values=\"{}\" {}/>",
        values.join(";"),
        timing()
    )
}

/// Every motion begins and ends with the one named `settle-clock`.
fn timing() -> String {
    format!("begin=\"settle-clock.begin\" dur=\"{}s\" fill=\"freeze\"", SECONDS[0])
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
    let last = settled.steps[settled.steps.len() - 1];
    let highest = settled.steps.iter().map(|step| step.distances.max).fold(1e-12, f64::max);
    let x = |step: f64| left + (right - left) * step / last.step.max(1) as f64;
    let y = |distance: f64| bottom - HEIGHT * distance / highest;
    let mut upper = String::new();
    let mut lower = String::new();
    let mut mean = String::new();
    for (k, step) in settled.steps.iter().enumerate() {
        let at = place(x(step.step as f64));
        let d = &step.distances;
        upper += &format!("{}{at} {}", if k == 0 { "M" } else { "L" }, place(y(d.max)));
        lower.insert_str(0, &format!("L{at} {}", place(y(d.min))));
        mean += &format!("{}{at} {}", if k == 0 { "M" } else { "L" }, place(y(d.mean)));
    }
    svg.line((left, bottom), (right, bottom), Color::Muted, 1.0, "");
    svg.fill(&format!("{upper}{lower}z"), Color::Series(0), 0.25, "smallest to largest distance");
    svg.stroke(&mean, Color::Series(0), 1.8, "", "mean distance");
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
    svg.text((right, below), Anchor::End, SMALL, Color::Muted, &format!("step {}", last.step));
    let legend = "mean of all pairs, and from smallest to largest; dotted: at rest";
    svg.text(((left + right) / 2.0, below), Anchor::Middle, SMALL, Color::Muted, legend);
    // The line is the clock of the whole picture: it starts again some seconds after its end.
    let values: Vec<String> =
        shots.iter().map(|shot| format!("{} 0", place(x(shot.step)))).collect();
    svg.markup(&format!(
        "<g class=\"moving\"><path d=\"M0 {}V{}\" transform=\"translate({} 0)\" stroke=\"{}\" \
         stroke-width=\"1.6\"><animateTransform id=\"settle-clock\" attributeName=\"transform\" \
         type=\"translate\" values=\"{}\" begin=\"0s;settle-clock.end+{}s\" dur=\"{}s\" \
         fill=\"freeze\"/></path></g>\n",
        place(top - 2.0),
        place(bottom),
        place(x(last.step as f64)),
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
