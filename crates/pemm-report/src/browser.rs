//! Pages opened in a real browser, where Chromium is installed; else these tests say that they skip.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::Report;
use crate::run::Options;

/// What a browser made of a page.
struct Seen {
    /// The document after its scripts ran.
    document: String,
    /// What the browser logged.
    log: String,
}

fn chromium() -> Option<PathBuf> {
    let named = std::env::var_os("PEMM_CHROMIUM").map(PathBuf::from);
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let found = || {
        std::env::split_paths(&paths)
            .flat_map(|folder| names.map(|name| folder.join(name)))
            .find(|path| path.is_file())
    };
    named.or_else(found)
}

/// Opens `page`; none where there is no browser.
fn open(page: &str) -> Option<Seen> {
    let Some(chromium) = chromium() else {
        eprintln!("skipped: no Chromium (PEMM_CHROMIUM names one that is not on the path)");
        return None;
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("page.html");
    std::fs::write(&path, page).unwrap();
    let [document, log] = ["document", "log"].map(|name| folder.path().join(name));
    let mut child = Command::new(chromium)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
        .args(["--enable-logging=stderr", "--virtual-time-budget=1000", "--dump-dom"])
        .arg(format!("--user-data-dir={}", folder.path().join("profile").display()))
        .arg(format!("file://{}", path.display()))
        .stdout(Stdio::from(std::fs::File::create(&document).unwrap()))
        .stderr(Stdio::from(std::fs::File::create(&log).unwrap()))
        .spawn()
        .unwrap();
    let started = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if started.elapsed() > Duration::from_secs(120) {
            child.kill().unwrap();
            panic!("the browser did not come back within two minutes");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let read = |path| String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned();
    Some(Seen { document: read(document), log: read(log) })
}

/// No script failed, nothing was refused, the script ran, every chart has marks, and names with
/// markup in them made no element.
fn check(report: &Report) {
    let Some(Seen { document, log }) = open(&report.html()) else { return };
    for word in ["Uncaught", "Refused to", "SyntaxError"] {
        assert!(!log.contains(word), "{log}");
    }
    assert!(document.contains("<button id=\"theme\" type=\"button\">"), "the script did not run");
    let charts: Vec<&str> = document.split("<svg class=\"chart\"").skip(1).collect();
    assert_eq!(charts.len(), report.figures().count());
    for chart in charts {
        let chart = chart.split("</figure>").next().unwrap();
        let num_marks = chart.matches("<path").count() + chart.matches("<rect").count();
        assert!(num_marks > 0, "no marks: {chart}");
        assert!(!chart.contains("<title"), "the script left a title");
    }
    assert_eq!(document.matches("<script").count(), 1);
    assert!(!document.contains("<i>") && !document.contains("<b>data"), "a name became markup");
    assert!(document.contains("🦊"));
}

#[test]
fn the_page_of_a_run_opens_without_errors() {
    let mut on_round = |_, _| {};
    let mut options = Options { num_points: 100, on_round: &mut on_round };
    check(&crate::run::report(&crate::testing::stored(3), &mut options));
}

#[test]
fn the_page_of_several_runs_opens_without_errors() {
    let mut on_round = |_, _| {};
    let mut options = Options { num_points: 100, on_round: &mut on_round };
    let runs = (1..=2).map(|num| {
        let mut record = crate::testing::record("pemm 🦊 <i>", 3);
        record.experiment["seed"] = num.into();
        (format!("runs/{num}").into(), record)
    });
    let runs = crate::runs::Runs {
        path: "runs/<i>".into(),
        runs: runs.collect(),
        problems: vec!["<i>broken</i>".into()],
        together: None,
    };
    check(&crate::runs::report(&runs, &[], &mut options));
}
