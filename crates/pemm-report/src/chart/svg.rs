//! Elements as text. Every text and every attribute that comes from outside is escaped here, and
//! places are written with two decimals.

use std::fmt::Write;

use super::color::Color;

/// Size of text in a chart, in units of its view box.
pub const TEXT: f64 = 12.0;
/// Size of text that matters less.
pub const SMALL: f64 = 10.5;

/// Where a text's place is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anchor {
    /// At its start.
    Start,
    /// In its middle.
    Middle,
    /// At its end.
    End,
}

/// The inside of an SVG picture, element by element.
#[derive(Debug, Clone, Default)]
pub struct Svg {
    text: String,
}

impl Svg {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The elements.
    pub fn into_text(self) -> String {
        self.text
    }

    /// Appends `markup` as it is; who calls has escaped it.
    pub fn markup(&mut self, markup: &str) {
        self.text += markup;
    }

    /// A straight line.
    pub fn line(&mut self, from: (f64, f64), to: (f64, f64), color: Color, width: f64, dash: &str) {
        let [x1, y1, x2, y2] = [from.0, from.1, to.0, to.1].map(place);
        let dash = dash_attribute(dash);
        self.push(format_args!(
            r#"<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="{color}" stroke-width="{}"{dash}/>"#,
            place(width)
        ));
    }

    /// A rectangle; `title` is shown on demand.
    pub fn rect(
        &mut self,
        at: (f64, f64),
        size: (f64, f64),
        color: Color,
        opacity: f64,
        title: &str,
    ) {
        let [x, y, width, height] = [at.0, at.1, size.0.max(0.0), size.1.max(0.0)].map(place);
        let opacity = if opacity < 1.0 {
            format!(r#" fill-opacity="{}""#, place(opacity.max(0.0)))
        } else {
            String::new()
        };
        self.push(format_args!(
            r#"<rect x="{x}" y="{y}" width="{width}" height="{height}" fill="{color}"{opacity}{}"#,
            titled("rect", title)
        ));
    }

    /// An invisible area that shows `title` on demand.
    pub fn hit(&mut self, at: (f64, f64), size: (f64, f64), title: &str) {
        let [x, y, width, height] = [at.0, at.1, size.0.max(0.0), size.1.max(0.0)].map(place);
        self.push(format_args!(
            r##"<rect class="hit" x="{x}" y="{y}" width="{width}" height="{height}" fill="#808080" fill-opacity="0"{}"##,
            titled("rect", title)
        ));
    }

    /// An open path through `commands`.
    pub fn stroke(&mut self, commands: &str, color: Color, width: f64, dash: &str, title: &str) {
        let dash = dash_attribute(dash);
        self.push(format_args!(
            r#"<path d="{commands}" fill="none" stroke="{color}" stroke-width="{}" stroke-linecap="round" stroke-linejoin="round"{dash}{}"#,
            place(width),
            titled("path", title)
        ));
    }

    /// A filled path, with a thin edge of the surface's colour so that it stands out on a line.
    pub fn fill(&mut self, commands: &str, color: Color, opacity: f64, title: &str) {
        self.push(format_args!(
            r#"<path d="{commands}" fill="{color}" fill-opacity="{}"{}"#,
            place(opacity),
            titled("path", title)
        ));
    }

    /// A text.
    pub fn text(&mut self, at: (f64, f64), anchor: Anchor, size: f64, color: Color, text: &str) {
        self.turned_text(at, anchor, size, color, 0.0, text);
    }

    /// A text turned by `degrees` around its place.
    pub fn turned_text(
        &mut self,
        at: (f64, f64),
        anchor: Anchor,
        size: f64,
        color: Color,
        degrees: f64,
        text: &str,
    ) {
        let [x, y, size] = [at.0, at.1, size].map(place);
        let anchor = match anchor {
            Anchor::Start => "",
            Anchor::Middle => r#" text-anchor="middle""#,
            Anchor::End => r#" text-anchor="end""#,
        };
        let turn = if degrees == 0.0 {
            String::new()
        } else {
            format!(r#" transform="rotate({} {x} {y})""#, place(degrees))
        };
        self.push(format_args!(
            r#"<text x="{x}" y="{y}" font-size="{size}" fill="{color}"{anchor}{turn}>{}</text>"#,
            escape(text)
        ));
    }

    fn push(&mut self, element: std::fmt::Arguments<'_>) {
        self.text.write_fmt(element).expect("a string takes all");
        self.text.push('\n');
    }
}

fn dash_attribute(dash: &str) -> String {
    if dash.is_empty() { String::new() } else { format!(r#" stroke-dasharray="{dash}""#) }
}

/// The end of an element, with a title or without.
fn titled(element: &str, title: &str) -> String {
    if title.is_empty() {
        "/>".into()
    } else {
        format!("><title>{}</title></{element}>", escape(title))
    }
}

/// A coordinate with at most two decimals.
pub fn place(value: f64) -> String {
    let rounded = (value * 100.0).round() / 100.0;
    // -0 is 0
    format!("{}", if rounded == 0.0 { 0.0 } else { rounded })
}

/// `text` as it may stand in an element or an attribute: markup is escaped, and characters that
/// XML forbids become �, as do those that would turn the direction of the text around.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            '\'' => escaped += "&#39;",
            '\n' | '\t' => escaped.push(char),
            '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            char if char.is_control() || turns_text(char) => escaped.push('\u{fffd}'),
            char => escaped.push(char),
        }
    }
    escaped
}

/// Whether a character changes the direction of the text that follows it, whatever that is.
pub fn turns_text(char: char) -> bool {
    matches!(char, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// About how wide `text` is at `size`; the font is the reader's own, so that nobody can know.
pub fn text_width(text: &str, size: f64) -> f64 {
    let width = |char: char| match char {
        'i' | 'j' | 'l' | 't' | 'f' | 'r' | 'I' | '.' | ',' | ':' | ';' | '\'' | '|' | '!'
        | '(' | ')' | '[' | ']' | ' ' | '/' => 0.36,
        'm' | 'w' | 'M' | 'W' | '@' | '%' | '—' => 0.86,
        char if char.is_ascii_uppercase() => 0.68,
        char if char as u32 >= 0x1100 => 1.05,
        _ => 0.6,
    };
    text.chars().map(width).sum::<f64>() * size
}

/// `text`, cut with … so that it is about `width` wide at most.
pub fn shorten(text: &str, size: f64, width: f64) -> String {
    if text_width(text, size) <= width {
        return text.to_owned();
    }
    let mut short = String::new();
    for char in text.chars() {
        short.push(char);
        if text_width(&short, size) + size > width {
            short.pop();
            break;
        }
    }
    short + "…"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_from_outside_stays_text() {
        let mut svg = Svg::new();
        let hostile = "</text><script>alert(\"1\")</script>'&\u{1}\u{202e}😀";
        svg.text((1.0, 2.0), Anchor::Middle, TEXT, Color::Ink, hostile);
        svg.hit((0.0, 0.0), (1.0, 1.0), hostile);
        let text = svg.into_text();
        assert!(!text.contains("<script") && !text.contains('\u{1}'), "{text}");
        assert!(!text.contains(turns_text));
        assert!(text.contains("&lt;script&gt;alert(&quot;1&quot;)") && text.contains("😀"));
    }

    #[test]
    fn places_are_short() {
        let all = [1.0, -0.001, 1.0 / 3.0, 1234.5678, -7.125].map(place);
        assert_eq!(all, ["1", "0", "0.33", "1234.57", "-7.13"]);
    }

    #[test]
    fn names_are_cut_between_characters() {
        assert_eq!(shorten("cat", TEXT, 100.0), "cat");
        let cut = shorten("😀😀😀😀😀😀", TEXT, 40.0);
        assert!(cut.ends_with('…') && cut.starts_with('😀') && text_width(&cut, TEXT) < 46.0);
    }
}
