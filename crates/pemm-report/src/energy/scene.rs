//! Pairs, origin and points as elements, which move from shot to shot or stand still.

use std::fmt::Write;

use super::view::{Shot, Spot};
use crate::chart::Color;
use crate::chart::svg::place;

/// Seconds of motion, and of rest before it starts again.
pub(super) const SECONDS: [f64; 2] = [7.0, 3.0];
/// Id of the motion with which every other one begins.
pub(super) const CLOCK: &str = "settle-clock";
/// Up to this many points, each is an element with a colour and a name of its own.
const MAX_NAMED: usize = 100;
/// Up to this many points, the pairs are drawn.
const MAX_EDGES: usize = 12;
/// Up to this many points, their numbers stand beside them.
const MAX_NUMBERED: usize = 20;

/// Points in some moments, of which the last is what stands still.
pub(super) struct Scene<'a> {
    pub(super) shots: &'a [Shot],
    pub(super) is_moving: bool,
    /// How large dots, lines and text are, 1 in a large picture.
    pub(super) size: f64,
}

impl Scene<'_> {
    /// The elements.
    pub(super) fn markup(&self) -> String {
        let num_points = self.last().spots.len() - 1;
        let mut text = String::new();
        if num_points <= MAX_EDGES {
            text += &format!(
                "<path d=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"{}\" \
                 stroke-opacity=\"0.35\">{}</path>\n",
                edges(self.last()),
                Color::Muted,
                place(1.2 * self.size),
                self.motion("d", edges)
            );
        }
        if num_points > MAX_NAMED {
            let diameter = if num_points <= 300 { 5.0 } else { 3.5 };
            text += &format!(
                "<path d=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"{}\" \
                 stroke-opacity=\"0.75\" stroke-linecap=\"round\">{}</path>\n",
                dots(self.last()),
                Color::Series(0),
                place(diameter * self.size),
                self.motion("d", dots)
            );
        }
        text += &self.origin();
        if num_points <= MAX_NAMED {
            text.extend((1..=num_points).map(|k| self.named_point(k)));
        }
        text
    }

    fn last(&self) -> &Shot {
        &self.shots[self.shots.len() - 1]
    }

    /// A ring with a cross.
    fn origin(&self) -> String {
        let ring = format!(
            "<circle r=\"{}\" fill=\"{}\" stroke=\"{}\" stroke-width=\"1.5\"><title>origin</title>\
             </circle><path d=\"M-2.4 0H2.4M0-2.4V2.4\" stroke=\"{}\" stroke-width=\"1.2\"/>",
            place(5.0 * self.size.max(0.9)),
            Color::Surface,
            Color::Ink,
            Color::Ink
        );
        self.placed(0, &ring)
    }

    /// A point with its name; nearer ones are larger.
    fn named_point(&self, k: usize) -> String {
        let num_points = self.last().spots.len() - 1;
        let usual = self.size * if num_points <= MAX_NUMBERED { 7.0 } else { 4.5 };
        let radius = |shot: &Shot| place(usual * (1.0 + 0.35 * shot.spots[k].nearness));
        let is_flat = self.shots.iter().all(|shot| shot.spots[k].nearness == 0.0);
        let growth = if is_flat { String::new() } else { self.motion("r", radius) };
        let mut inside = format!(
            "<circle r=\"{}\" fill=\"{}\" stroke=\"{}\"><title>point {k}</title>{growth}</circle>",
            radius(self.last()),
            Color::Series(k - 1),
            Color::Surface
        );
        if num_points <= MAX_NUMBERED {
            // Beside the dot: within it, not every colour would leave the number readable.
            write!(
                inside,
                "<text x=\"{}\" y=\"{}\" font-size=\"{}\" paint-order=\"stroke\" stroke=\"{}\" \
                 stroke-width=\"2.5\" stroke-linejoin=\"round\" fill=\"{}\">{k}</text>",
                place(usual + 2.0),
                place(-0.6 * usual),
                place(10.5 * self.size),
                Color::Surface,
                Color::Ink
            )
            .expect("a string takes all");
        }
        self.placed(k, &inside)
    }

    /// A group at spot `k`, which moves if the spot does.
    fn placed(&self, k: usize, inside: &str) -> String {
        let at = |shot: &Shot| format!("{} {}", place(shot.spots[k].x), place(shot.spots[k].y));
        let stays = self.shots.iter().all(|shot| at(shot) == at(self.last()));
        let motion = if self.is_moving && !stays {
            let values: Vec<String> = self.shots.iter().map(at).collect();
            format!(
                "<animateTransform attributeName=\"transform\" type=\"translate\" \
                 values=\"{}\" {}/>",
                values.join(";"),
                timing()
            )
        } else {
            String::new()
        };
        format!("<g transform=\"translate({})\">{motion}{inside}</g>\n", at(self.last()))
    }

    /// The motion of an attribute; empty where nothing moves.
    fn motion(&self, attribute: &str, value: impl Fn(&Shot) -> String) -> String {
        if !self.is_moving {
            return String::new();
        }
        let values: Vec<String> = self.shots.iter().map(value).collect();
        let values = values.join(";");
        format!("<animate attributeName=\"{attribute}\" values=\"{values}\" {}/>", timing())
    }
}

/// Every motion begins with the clock and takes as long.
fn timing() -> String {
    format!("begin=\"{CLOCK}.begin\" dur=\"{}s\" fill=\"freeze\"", SECONDS[0])
}

/// Lines between all pairs, the origin's included.
fn edges(shot: &Shot) -> String {
    let mut commands = String::new();
    for (i, a) in shot.spots.iter().enumerate() {
        for b in &shot.spots[i + 1..] {
            write!(commands, "M{} {}L{} {}", place(a.x), place(a.y), place(b.x), place(b.y))
                .expect("a string takes all");
        }
    }
    commands
}

/// Lines of no length with round ends, for every point but the origin. Half a unit is finer than
/// such a dot needs.
fn dots(shot: &Shot) -> String {
    let half = |value: f64| (2.0 * value).round() / 2.0;
    let dot = |spot: &Spot| format!("M{} {}h0", half(spot.x), half(spot.y));
    shot.spots[1..].iter().map(dot).collect()
}
