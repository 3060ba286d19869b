//! The whole picture: head, curves, progress. Laid out for what room there is, from 40 columns of
//! 10 rows upwards.

use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Stylize};
use ratatui::text::{Line, Span};

use super::panel::panels;
use super::state::State;

/// The smallest group of curves that shows anything.
const PANEL_ROWS: u16 = 7;
const PANEL_COLUMNS: u16 = 36;
/// Between two columns of curves.
const GAP: u16 = 2;
/// Rows from which the folder is shown too.
const TALL: u16 = 20;
/// Warnings that are shown.
const MAX_WARNINGS: usize = 2;

/// Draws `state` as it is at `now`.
pub(crate) fn draw(frame: &mut Frame<'_>, state: &State, now: Duration) {
    let area = frame.area();
    let head = head(state, area.height);
    let foot = foot(state, now, area.width);
    let [above, curves, below] = Layout::vertical([
        Constraint::Length(head.len() as u16),
        Constraint::Min(0),
        Constraint::Length(foot.len() as u16),
    ])
    .areas(area);
    draw_lines(frame, head, above);
    draw_panels(frame, state, curves);
    draw_lines(frame, foot, below);
}

fn draw_lines(frame: &mut Frame<'_>, lines: Vec<Line<'_>>, area: Rect) {
    for (line, row) in lines.into_iter().zip(area.rows()) {
        frame.render_widget(line, row);
    }
}

fn head(state: &State, height: u16) -> Vec<Line<'_>> {
    let title = Line::from(state.facts.title.as_str()).add_modifier(Modifier::BOLD);
    if height < TALL {
        return vec![title];
    }
    vec![title, Line::from(format!("run folder {}", state.facts.folder)).dim(), Line::default()]
}

/// As many groups of curves as there is room for, in up to three columns.
fn draw_panels(frame: &mut Frame<'_>, state: &State, area: Rect) {
    let panels = panels(state);
    let num_columns = ((area.width + GAP) / (PANEL_COLUMNS + GAP)).clamp(1, 3);
    let num_columns = num_columns.min(panels.len() as u16);
    let num_rows = (area.height / PANEL_ROWS).min(panels.len().div_ceil(num_columns.into()) as u16);
    if num_rows == 0 || area.width < PANEL_COLUMNS {
        return;
    }
    let rows = Layout::vertical(vec![Constraint::Fill(1); num_rows.into()]).split(area);
    let columns = vec![Constraint::Fill(1); num_columns.into()];
    let places = rows
        .iter()
        .flat_map(|&row| Layout::horizontal(columns.clone()).spacing(GAP).split(row).to_vec());
    for (panel, place) in panels.iter().zip(places) {
        panel.draw(frame, place, state.facts.num_epochs);
    }
}

fn foot(state: &State, now: Duration, width: u16) -> Vec<Line<'static>> {
    let left = state.time_left(now).map_or("".into(), |left| format!("{} left", clock(left)));
    let rate = match state.images_per_sec() {
        _ if state.is_evaluating() => "evaluating".into(),
        Some(rate) => format!("{} images/s", grouped(rate)),
        None => String::new(),
    };
    let epoch = format!("epoch {}/{}", state.epoch(), state.facts.num_epochs);
    let step = format!("step {}/{}", state.steps_done, state.facts.num_steps);
    let label_width = epoch.len().max(step.len());
    let mut lines = vec![
        progress(width, label_width, &epoch, state.share(), &left),
        progress(width, label_width, &step, state.epoch_share(), &rate),
        numbers(state, now, width),
    ];
    let warnings = &state.facts.warnings;
    let shown = if warnings.len() > MAX_WARNINGS { MAX_WARNINGS - 1 } else { warnings.len() };
    let yellow = Color::Indexed(172);
    for warning in &warnings[..shown] {
        lines.push(Line::from(format!("warning: {warning}")).fg(yellow));
    }
    if shown < warnings.len() {
        let more = warnings.len() - shown;
        lines.push(Line::from(format!("{more} more warnings stand above this screen")).fg(yellow));
    }
    lines.push(if state.stopping {
        Line::from("stopping after this step; press Ctrl-C again to stop at once").fg(yellow)
    } else {
        Line::from("q: stop after this step, keep the state").dim()
    });
    lines
}

/// `label ━━━━━━╸      right`
fn progress(width: u16, label_width: usize, label: &str, share: f64, right: &str) -> Line<'static> {
    const RIGHT: usize = 16;
    let room = usize::from(width).saturating_sub(label_width + RIGHT + 2);
    let halves = (share.clamp(0.0, 1.0) * 2.0 * room as f64).floor() as usize;
    let mut bar = "━".repeat(halves / 2);
    if halves % 2 == 1 {
        bar.push('╸');
    }
    Line::from(vec![
        Span::raw(format!("{label:<label_width$} ")),
        Span::styled(format!("{bar:<room$}"), Color::Indexed(32)),
        Span::raw(format!(" {right:>RIGHT$}")),
    ])
}

/// Memory, learning rate and time, as many as fit.
fn numbers(state: &State, now: Duration, width: u16) -> Line<'static> {
    let gib = |bytes: u64| bytes as f64 / f64::from(1 << 30);
    let memory = state
        .memory
        .map(|m| format!("memory {:.2} GiB (most {:.2})", gib(m.resident), gib(m.peak)));
    let rate =
        state.epochs.last().map(|epoch| format!("learning rate {:.3e}", epoch.learning_rate));
    let entropy = state
        .epochs
        .last()
        .map(|epoch| format!("prediction entropy {:.2} nats", epoch.mean_prediction_entropy));
    let since = Some(format!("running {}", clock(now)));
    let mut text = String::new();
    for part in [memory, since, rate, entropy].into_iter().flatten() {
        let longer = if text.is_empty() { part } else { format!("{text} · {part}") };
        if longer.chars().count() > usize::from(width) {
            break;
        }
        text = longer;
    }
    Line::from(text)
}

/// `1:02:03`, or `2:03` below an hour.
fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes}:{seconds:02}")
    }
}

/// `12,345`.
fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests;
