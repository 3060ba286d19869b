//! Figures as PNG, drawn by resvg with the fonts of this system. Only with the feature `png`, because
//! resvg brings thirty crates.

use std::sync::Arc;

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree, fontdb};

use crate::chart::Figure;
use crate::error::{ReportError, Result};

/// Pixels of one unit of the view box.
const SCALE: f32 = 3.0;

/// Draws figures.
#[derive(Debug)]
pub struct Painter {
    fonts: Arc<fontdb::Database>,
}

impl Painter {
    /// Looks for the fonts of this system.
    ///
    /// # Errors
    /// [`ReportError::Fonts`] if there is none: texts would be missing without a word.
    pub fn new() -> Result<Self> {
        let mut fonts = fontdb::Database::new();
        fonts.load_system_fonts();
        if fonts.is_empty() {
            return Err(ReportError::Fonts);
        }
        Ok(Self { fonts: Arc::new(fonts) })
    }

    /// `figure` as a PNG file, light.
    ///
    /// # Errors
    /// [`ReportError::Pixels`] for a picture that is too large.
    pub fn png(&self, figure: &Figure) -> Result<Vec<u8>> {
        let failed = |reason: String| ReportError::Pixels { figure: figure.name.clone(), reason };
        let family = ["DejaVu Sans", "Arial", "Helvetica"].into_iter().find(|family| {
            let query = fontdb::Query {
                families: &[fontdb::Family::Name(family)],
                ..fontdb::Query::default()
            };
            self.fonts.query(&query).is_some()
        });
        let first =
            || self.fonts.faces().next().and_then(|face| Some(face.families.first()?.0.clone()));
        let options = Options {
            fontdb: self.fonts.clone(),
            font_family: family.map(String::from).or_else(first).unwrap_or_default(),
            ..Options::default()
        };
        let tree = Tree::from_str(&figure.light(), &options).map_err(|e| failed(e.to_string()))?;
        let size = tree.size().to_int_size().scale_by(SCALE);
        let mut pixels = size
            .and_then(|size| Pixmap::new(size.width(), size.height()))
            .ok_or_else(|| failed("has no size, or one that needs too much memory".into()))?;
        resvg::render(&tree, Transform::from_scale(SCALE, SCALE), &mut pixels.as_mut());
        pixels.encode_png().map_err(|error| failed(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::{Axis, LineChart, Series};

    #[test]
    fn a_chart_has_ink_and_colour() {
        let Ok(painter) = Painter::new() else {
            eprintln!("skipped: this system has no fonts");
            return;
        };
        let series = Series::new("<a> & b", vec![(1.0, 2.0), (2.0, 1.0)]);
        let chart = LineChart::new("loss", "Loss").x(Axis::new("epoch")).series(series);
        let bytes = painter.png(&chart.figure()).unwrap();
        let pixels = Pixmap::decode_png(&bytes).unwrap();
        assert_eq!(pixels.width(), 1320);
        let blue = |red: u8, blue: u8| blue > red.saturating_add(60);
        assert!(pixels.pixels().iter().any(|p| blue(p.red(), p.blue())));
        assert!(pixels.pixels().iter().filter(|p| p.red() < 100 && p.blue() < 100).count() > 500);
    }
}
