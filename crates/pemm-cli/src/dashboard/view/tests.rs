//! Pictures as text files: a change of the layout shows in the diff.

use std::path::Path;

use pemm::train::Event;
use pemm_runs::EpochRecord;
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::super::state::State;
use super::super::state::tests::{epoch, facts};
use super::*;
use crate::dashboard::state::Facts;
use pemm_runs::process::Memory;

fn picture(state: &State, [columns, rows]: [u16; 2]) -> String {
    let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
    terminal.draw(|frame| draw(frame, state, Duration::from_secs(4000))).unwrap();
    let text = terminal.backend().to_string();
    text.lines().map(|line| format!("{}\n", line.trim_matches('"').trim_end())).collect()
}

/// 24 of 60 epochs and half of the next.
fn in_the_middle() -> State {
    let mut state = State::new(facts(), Vec::new());
    for number in 1..=24 {
        state.note(&Event::Epoch(&epoch(number)), Duration::from_secs(3990));
    }
    for step in 1..=22 {
        state.note(
            &Event::Step(25, step, 32),
            Duration::from_millis(3990 * 1000 + 45 * step as u64),
        );
    }
    state.memory = Some(Memory { resident: 700 << 20, peak: 1300 << 20 });
    state
}

#[track_caller]
fn assert_snapshot(name: &str, text: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots");
    let path = folder.join(format!("dashboard-{name}.txt"));
    if std::env::var_os("PEMM_UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let known = std::fs::read_to_string(&path).unwrap_or_default();
    let again = "if that is meant, run the test with PEMM_UPDATE_SNAPSHOTS=1 and look at the diff";
    assert!(known == text, "{} differs; {again}. It is now:\n{text}", path.display());
}

#[test]
fn pictures_of_three_sizes() {
    let state = in_the_middle();
    for [columns, rows] in [[80, 24], [40, 12], [120, 40]] {
        assert_snapshot(&format!("{columns}x{rows}"), &picture(&state, [columns, rows]));
    }
}

#[test]
fn before_the_first_epoch_and_while_stopping() {
    let mut state = State::new(facts(), Vec::new());
    state.facts.warnings = ["one", "two", "three"].map(String::from).to_vec();
    state.stopping = true;
    assert_snapshot("start", &picture(&state, [80, 24]));
}

#[test]
fn numbers_that_are_not_finite_are_named_and_not_drawn() {
    let mut state = in_the_middle();
    let mut diverged: EpochRecord = epoch(25);
    diverged.terms.insert("loss".into(), f64::INFINITY);
    diverged.train_accuracy_given = f64::NAN;
    diverged.centers.as_mut().unwrap().max_distance = f64::INFINITY;
    diverged.centers.as_mut().unwrap().energy = 1e300;
    state.note(&Event::Epoch(&diverged), Duration::from_secs(3999));
    let text = picture(&state, [120, 40]);
    for part in ["train NaN", "train inf", "max inf"] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

#[test]
fn a_plain_run_without_centers_and_without_a_test_part() {
    let mut state = State::new(
        Facts { has_centers: false, rest_distance: None, knows_flips: false, ..facts() },
        Vec::new(),
    );
    let plain = EpochRecord { centers: None, scored: None, val_accuracy_given: None, ..epoch(1) };
    state.note(&Event::Epoch(&plain), Duration::from_secs(1));
    let text = picture(&state, [80, 24]);
    assert!(text.contains("accuracy") && text.contains("softmax"), "{text}");
    for absent in ["test (record)", "val", "centers", "fitted"] {
        assert!(!text.contains(absent), "{absent}\n{text}");
    }
}

#[test]
fn every_size_can_be_drawn_and_foreign_text_stays_text() {
    let mut state = in_the_middle();
    state.facts.title = "a\u{1b}[2Jb\n😀 · pemm".into();
    state.facts.warnings = vec!["x".repeat(500), "\u{7}".into()];
    for columns in [1, 2, 7, 20, 39, 41, 73, 77, 111, 300] {
        for rows in [1, 2, 3, 5, 8, 11, 13, 27, 100] {
            let text = picture(&state, [columns, rows]);
            assert!(!text.contains(['\u{1b}', '\u{7}']), "{text:?}");
        }
    }
}

#[test]
fn a_long_run_of_many_classes_is_drawn_in_full() {
    let mut state =
        State::new(Facts { num_epochs: 200, ..facts() }, (1..=200).map(epoch).collect());
    state.memory = None;
    let text = picture(&state, [80, 24]);
    assert!(text.contains("epoch 200/200") && text.contains("corrected 69.2"), "{text}");
}

#[test]
fn times_and_counts() {
    let clocks = [59, 60, 3723].map(|seconds| clock(Duration::from_secs(seconds)));
    assert_eq!(clocks, ["0:59", "1:00", "1:02:03"]);
    assert_eq!([0.4, 999.6, 1234567.0].map(grouped), ["0", "1,000", "1,234,567"]);
}
