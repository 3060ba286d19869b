//! Small charts as SVG: one source for light and dark, a name for every axis, the legend below the
//! data, a description for who cannot see, and the numbers themselves beside the picture.
//!
//! | file | idea |
//! |---|---|
//! | [`figure`] | a picture with its name, its description and its numbers |
//! | [`color`] | colours by meaning, each with a light and a dark form |
//! | [`axis`] | what an axis shows; round ticks; values to places |
//! | [`svg`] | elements as text; every text is escaped |
//! | [`frame`] | grid, axes and legend around a plot |
//! | [`mod@line`] | values along an axis |
//! | [`series`] | one row of such values: curve, points, error bars |
//! | [`scatter`] | many points by class: one path per class |
//! | [`heat_map`] | a matrix |
//! | [`bars`] | one value per name |
//!
//! ```
//! use pemm_report::chart::{Axis, LineChart, Series};
//! let energy = |r: f64| r.powi(-3) - 2.0 * r.powi(-2);
//! let curve = (1..300).map(|i| f64::from(i) / 100.0).map(|r| (r, energy(r)));
//! let figure = LineChart::new("energy-curve", "Potential energy of two centers")
//!     .x(Axis::new("distance r"))
//!     .y(Axis::new("energy E(r)").range(-2.0, 3.0))
//!     .series(Series::new("u 3, v 2, ξ 2", curve.collect()))
//!     .reference_x(0.75, "r₀ = 0.75")
//!     .figure();
//! assert!(figure.standalone().starts_with("<svg") && figure.data.csv().starts_with("distance r,"));
//! ```

pub mod axis;
pub mod bars;
pub mod color;
pub mod figure;
pub mod frame;
pub mod heat_map;
pub mod line;
pub mod scatter;
pub mod series;
pub mod svg;

pub use axis::Axis;
pub use bars::{Bar, BarChart};
pub use color::Color;
pub use figure::{Data, Figure};
pub use heat_map::HeatMap;
pub use line::LineChart;
pub use scatter::{Cloud, Scatter};
pub use series::{Marker, Series};
pub use svg::Svg;
