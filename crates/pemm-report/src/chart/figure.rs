//! A picture with its name, its description and its numbers.

use pemm_runs::tables::csv::csv_line;
use std::fmt::Write;

use super::axis::number;
use super::color::Color;
use super::svg::{escape, place};

/// The numbers of a picture, or any small table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Data {
    /// Names of the columns.
    pub columns: Vec<String>,
    /// One text per column.
    pub rows: Vec<Vec<String>>,
}

impl Data {
    /// A table without rows.
    pub fn new(columns: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { columns: columns.into_iter().map(Into::into).collect(), rows: Vec::new() }
    }

    /// Appends a row.
    pub fn row(&mut self, fields: impl IntoIterator<Item = impl Into<String>>) {
        self.rows.push(fields.into_iter().map(Into::into).collect());
    }

    /// The table as CSV (RFC 4180, lines end with a line feed).
    pub fn csv(&self) -> String {
        std::iter::once(&self.columns).chain(&self.rows).map(csv_line).collect()
    }
}

/// A picture, ready to be put into a page or a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// Stem of its file names and anchor in a page: letters, digits and dashes.
    pub name: String,
    /// What it shows, as a heading.
    pub title: String,
    /// What it says, for who cannot see it.
    pub description: String,
    /// Width of the view box.
    pub width: f64,
    /// Height of the view box.
    pub height: f64,
    /// The elements, with colours as CSS variables.
    pub body: String,
    /// Its numbers.
    pub data: Data,
}

impl Figure {
    /// The picture for a page that declares the colours ([`Color::declarations`]).
    pub fn inline(&self) -> String {
        let label = escape(&format!("{}. {}", self.title, self.description));
        format!(
            "<svg class=\"chart\" role=\"img\" aria-label=\"{label}\" viewBox=\"0 0 {} {}\" \
             style=\"max-width:{}px\">\n{}</svg>\n",
            place(self.width),
            place(self.height),
            place(self.width * 1.5),
            self.body
        )
    }

    /// The picture as a file of its own for a program that knows no style sheets.
    #[cfg(feature = "png")]
    pub(crate) fn light(&self) -> String {
        let (width, height) = (place(self.width), place(self.height));
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
             width=\"{width}\" height=\"{height}\">\n<rect width=\"{width}\" height=\"{height}\" \
             fill=\"{}\"/>\n{}</svg>\n",
            Color::Surface.forms()[0],
            with_light_forms(&self.body).0
        )
    }

    /// The picture as a file of its own, light, and dark where the reader prefers that.
    pub fn standalone(&self) -> String {
        let (body, used) = with_light_forms(&self.body);
        let mut dark = String::new();
        for color in used {
            let [light, dark_form] = color.forms();
            write!(
                dark,
                "[fill=\"{light}\"]{{fill:{dark_form}}}[stroke=\"{light}\"]{{stroke:{dark_form}}}"
            )
            .expect("a string takes all");
        }
        let [surface, dark_surface] = Color::Surface.forms();
        let (width, height) = (place(self.width), place(self.height));
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" viewBox=\"0 0 {width} {height}\" \
             width=\"{}\" height=\"{}\" font-family=\"system-ui, 'DejaVu Sans', sans-serif\">\n\
             <title>{}</title>\n<desc>{}</desc>\n\
             <style>.hit:hover{{fill-opacity:.15}}.paper{{fill:{surface}}}\
             @media(prefers-color-scheme:dark){{.paper{{fill:{dark_surface}}}{dark}}}</style>\n\
             <rect class=\"paper\" width=\"{width}\" height=\"{height}\" fill=\"{surface}\"/>\n{body}</svg>\n",
            place(self.width * 1.5),
            place(self.height * 1.5),
            escape(&self.title),
            escape(&self.description),
        )
    }
}

/// `body` with the light form in the place of each CSS variable, and the colours that it uses.
fn with_light_forms(body: &str) -> (String, Vec<Color>) {
    const START: &str = "=\"var(--";
    let mut text = String::with_capacity(body.len());
    let mut used = Vec::new();
    let mut rest = body;
    while let Some(at) = rest.find(START) {
        let (before, from) = rest.split_at(at);
        text += before;
        let inside = &from[START.len()..];
        let known =
            inside.split_once(")\"").and_then(|(name, after)| Some((Color::named(name)?, after)));
        match known {
            Some((color, after)) => {
                write!(text, "=\"{}\"", color.forms()[0]).expect("a string takes all");
                used.push(color);
                rest = after;
            }
            None => {
                text += START;
                rest = inside;
            }
        }
    }
    used.sort();
    used.dedup();
    (text + rest, used)
}

/// A number as it stands in a table for programs: all its digits.
pub fn exact(value: f64) -> String {
    if value.is_finite() { value.to_string() } else { number(value) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_its_own_needs_no_variables_and_knows_dark() {
        let body = "<path fill=\"var(--c1)\"/><text fill=\"var(--ink)\">=\"var(--c2)&quot;</text>";
        let figure = Figure {
            name: "a".into(),
            title: "A <b>".into(),
            description: "d".into(),
            width: 10.0,
            height: 5.0,
            body: body.into(),
            data: Data::default(),
        };
        let text = figure.standalone();
        let [light, dark] = Color::Series(1).forms();
        assert!(text.contains(&format!("fill=\"{light}\"")));
        assert!(text.contains(&format!("[fill=\"{light}\"]{{fill:{dark}}}")));
        assert!(text.contains("<title>A &lt;b&gt;</title>"));
        // what only looks like a colour, inside a text, stays
        assert!(text.contains("=\"var(--c2)&quot;"));
        assert!(figure.inline().contains("aria-label=\"A &lt;b&gt;. d\""));
    }

    #[test]
    fn csv_quotes_what_needs_it() {
        let mut data = Data::new(["epoch", "a,b"]);
        data.row(["1", "say \"no\"\n"]);
        assert_eq!(data.csv(), "epoch,\"a,b\"\n1,\"say \"\"no\"\"\n\"\n");
    }
}
