//! Tables: what is made from many records.
//!
//! | file | idea |
//! |---|---|
//! | [`mod@column`] | what a column of a table stands for |
//! | [`comparable`] | which runs may be averaged and compared |
//! | [`table`] | many records into one table |
//! | [`text`], [`csv`], [`latex`] | the table as Markdown, CSV and LaTeX |
//! | `cells` | how numbers and lists are written in them |
//! | [`json`] | the table as JSON, a line for each cell |
//! | [`literature`] | what papers print for the same columns |
//! | [`settings`], [`settings_text`] | settings of an arm, ranked by noisy validation |
//! | [`statistics`] | mean, deviation, paired comparison |

mod cells;
pub mod column;
pub mod comparable;
pub mod csv;
pub mod json;
pub mod latex;
pub mod literature;
pub mod settings;
pub mod settings_text;
pub mod statistics;
pub mod table;
pub mod text;

pub use column::Column;
pub use table::{Judge, Table};
