//! A report as one HTML page that needs nothing else: no network, no file beside it. Light, dark,
//! on a telephone and on paper.

use askama::Template;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::chart::svg::{escape, turns_text};
use crate::chart::{Color, Data, Figure};
use crate::report::Report;

/// Larger tables stand in the CSV files only.
const MAX_ROWS: usize = 250;
const MAX_COLUMNS: usize = 32;

#[derive(Template)]
#[template(path = "page.html")]
struct Page<'a> {
    report: &'a Report,
    style: String,
    script: &'static str,
}

/// What stands in the head of every page that is made here.
const GENERATOR: &str = r#"<meta name="generator" content="pemm">"#;
/// The head ends well before.
const HEAD_BYTES: usize = 4096;

/// Whether `page` begins like one that was made here, and not by somebody else.
pub fn is_ours(page: &[u8]) -> bool {
    let head = &page[..page.len().min(HEAD_BYTES)];
    head.windows(GENERATOR.len()).any(|window| window == GENERATOR.as_bytes())
}

impl Report {
    /// The page. Everything that comes from outside is escaped, and characters that would turn the
    /// direction of the text around become �.
    pub fn html(&self) -> String {
        let page = Page {
            report: self,
            style: style(self.num_colors),
            script: include_str!("../templates/page.js"),
        };
        let page = page.render().expect("a string takes all, and nothing in the template fails");
        page.replace(turns_text, "\u{fffd}")
    }
}

/// The rules, and the colours of both themes: the system's choice, unless the reader chose.
fn style(num_colors: usize) -> String {
    let light = Color::declarations(num_colors, 0)
        + "--raised:#f3f4f7;--edge:#8a90a0;--link:#0b57b8;color-scheme:light;";
    let dark = Color::declarations(num_colors, 1)
        + "--raised:#1e2229;--edge:#6b7280;--link:#8cc0ff;color-scheme:dark;";
    format!(
        ":root{{{light}}}\n@media(prefers-color-scheme:dark){{:root:not([data-theme=light]){{{dark}}}}}\n\
         :root[data-theme=dark]{{{dark}}}\n@media print{{:root:root:root{{{light}}}}}\n{}",
        include_str!("../templates/page.css")
    )
}

/// Whether a table is small enough for the page.
fn fits(data: &Data) -> bool {
    !data.rows.is_empty() && data.rows.len() <= MAX_ROWS && data.columns.len() <= MAX_COLUMNS
}

fn cells(data: &Data) -> String {
    format!("<table>{}</table>", body(data))
}

/// Head and rows of a table.
fn body(data: &Data) -> String {
    let row = |element: &str, fields: &[String]| {
        let cells = fields.iter().map(|field| format!("<{element}>{}</{element}>", escape(field)));
        format!("<tr>{}</tr>", cells.collect::<String>())
    };
    let head: String = data
        .columns
        .iter()
        .map(|name| format!("<th scope=\"col\">{}</th>", escape(name)))
        .collect();
    let rows: String = data.rows.iter().map(|fields| row("td", fields)).collect();
    format!("<thead><tr>{head}</tr></thead><tbody>{rows}</tbody>")
}

/// Whether an image is so small that its pixels are to be seen as squares, like those of the digits; a
/// photograph is smoothed. A PNG's width and height stand at bytes 16 to 24.
fn is_tiny(image: &[u8]) -> bool {
    const SIDE: u32 = 32;
    let sides = image.get(16..24).map(|sides| sides.chunks_exact(4));
    sides.is_some_and(|mut sides| {
        sides.all(|side| u32::from_be_bytes([side[0], side[1], side[2], side[3]]) <= SIDE)
    })
}

fn encoded(image: &[u8]) -> String {
    STANDARD.encode(image)
}

fn score(score: &f64) -> String {
    format!("{score:.3}").replace('-', "−")
}

impl Figure {
    /// Whether the picture is wider than two in a row allow.
    fn is_wide(&self) -> bool {
        self.width > crate::chart::frame::WIDTH + 20.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Sample, Section, Table, Tile};

    const HOSTILE: &str = "</script><img src=x onerror=alert(1)>\"'&{{ \u{202e}\u{2066}😀";

    /// A report in which every text is hostile.
    fn hostile() -> Report {
        let mut data = Data::new([HOSTILE]);
        data.row([HOSTILE]);
        let figure = Figure {
            name: "figure".into(),
            title: HOSTILE.into(),
            description: HOSTILE.into(),
            width: 600.0,
            height: 10.0,
            body: String::new(),
            data: data.clone(),
        };
        let sample = Sample {
            image: Some(vec![1, 2, 3]),
            name: HOSTILE.into(),
            given: HOSTILE.into(),
            suggestion: HOSTILE.into(),
            score: -0.5,
            clean: Some(HOSTILE.into()),
        };
        Report {
            title: HOSTILE.into(),
            verdict: HOSTILE.into(),
            lead: HOSTILE.into(),
            notices: vec![HOSTILE.into()],
            tiles: vec![Tile {
                label: HOSTILE.into(),
                value: HOSTILE.into(),
                note: HOSTILE.into(),
                is_oracle: true,
            }],
            sections: vec![Section {
                text: vec![HOSTILE.into()],
                figures: vec![figure],
                tables: vec![Table { name: "t".into(), caption: HOSTILE.into(), data }],
                samples: vec![sample],
                ..Section::new("part", HOSTILE)
            }],
            num_colors: 2,
        }
    }

    #[test]
    fn hostile_texts_are_shown_as_text() {
        let page = hostile().html();
        assert!(!page.contains("<img src=x"), "{page}");
        assert!(!page.contains("onerror=alert(1)>\""), "{page}");
        assert_eq!(page.matches("</script>").count(), 1);
        assert_eq!(page.matches("<script>").count(), 1);
        assert!(!page.contains(turns_text));
        assert!(page.contains("😀") && page.contains("class=\"wide\""));
    }

    #[test]
    fn nothing_is_loaded_from_elsewhere() {
        let page = hostile().html();
        for forbidden in ["http://", "https://", "url(", "@import", " src=\"/", "<link"] {
            let found = page.match_indices(forbidden).next();
            assert!(found.is_none(), "{forbidden} at {found:?}");
        }
    }

    #[test]
    fn an_empty_report_is_a_page() {
        let page = Report::default().html();
        assert!(page.contains("<main id=\"main\">") && page.ends_with("</html>"));
    }
}
