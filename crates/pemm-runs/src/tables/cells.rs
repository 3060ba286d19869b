//! How shares, numbers, states and lists are written in the texts of a table.

use crate::record::Status;
use crate::tables::literature::Value;
use crate::tables::statistics::{Paired, Summary};
use crate::tables::table::Row;

/// `0.5531` as `55.31`.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.2}", 100.0 * share)
}

pub(crate) fn percents(summary: &Summary) -> String {
    let deviation = summary.deviation.map_or(String::new(), |d| format!(" ± {}", percent(d)));
    format!("{}{deviation}", percent(summary.mean))
}

pub(crate) fn difference(paired: &Paired) -> String {
    let num = paired.num_seeds;
    let test = match (paired.interval, paired.p_value) {
        (Some([low, high]), Some(p_value)) => {
            let (low, high) = (100.0 * low, 100.0 * high);
            format!(" (95 % interval {low:+.2} to {high:+.2}, p = {p_value:.3}, n = {num})")
        }
        _ => format!(" (n = {num}: no interval)"),
    };
    format!("{:+.2}{test}", 100.0 * paired.difference)
}

pub(crate) fn printed_value(value: Value) -> String {
    let deviation = value.deviation.map_or(String::new(), |d| format!(" ± {d:.2}"));
    format!("{:.2}{deviation}", value.accuracy)
}

pub(crate) fn status_name(status: &Status) -> &'static str {
    match status {
        Status::Running => "running",
        Status::Finished => "finished",
        Status::Interrupted => "interrupted",
        Status::Failed { .. } => "failed",
    }
}

pub(crate) fn progress(row: &Row) -> String {
    match &row.status {
        Status::Failed { step, term, message } => {
            format!("failed in step {step}, term {term}: {message}")
        }
        status @ (Status::Running | Status::Interrupted | Status::Finished) => {
            format!("{} after epoch {}", status_name(status), row.num_epochs)
        }
    }
}

pub(crate) fn joined(items: impl IntoIterator<Item = impl ToString>, between: &str) -> String {
    items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(between)
}

pub(crate) fn or_empty(value: Option<impl ToString>) -> String {
    value.map_or(String::new(), |value| value.to_string())
}

/// Text that cannot end a Markdown cell or line, is no markup of HTML, and does nothing to a terminal.
pub(crate) fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('|', "\\|").replace('<', "&lt;");
    text.replace(|char: char| char.is_control(), " ")
}

pub(crate) fn markdown_row(first: String, cells: impl Iterator<Item = String>) -> String {
    let cells: Vec<String> =
        std::iter::once(first).chain(cells).map(|cell| escaped(&cell)).collect();
    format!("| {} |\n", cells.join(" | "))
}

pub(crate) fn markdown_list(title: &str, lines: Vec<String>) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let lines: String = lines.iter().map(|line| format!("- {}\n", escaped(line))).collect();
    format!("\n{title}:\n\n{lines}")
}
