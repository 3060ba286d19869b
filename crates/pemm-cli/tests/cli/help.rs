//! Help texts as files: a change of an argument shows in the diff.

use std::path::Path;

use crate::place::Place;

const COMMANDS: [&str; 20] = [
    "",
    "train",
    "evaluate",
    "predict",
    "explain",
    "data",
    "data info",
    "data fetch",
    "data list",
    "noise",
    "grid",
    "table",
    "methods",
    "report",
    "audit",
    "energy",
    "energy curve",
    "energy compare",
    "energy settle",
    "completions",
];

/// Compares `text` with tests/snapshots/`name`.txt, or writes it there with PEMM_UPDATE_SNAPSHOTS=1.
#[track_caller]
fn assert_snapshot(name: &str, text: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots");
    let path = folder.join(format!("{name}.txt"));
    if std::env::var_os("PEMM_UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let known = std::fs::read_to_string(&path).unwrap_or_default();
    let again = "if that is meant, run the test with PEMM_UPDATE_SNAPSHOTS=1 and look at the diff";
    assert!(known == text, "{} differs; {again}. It is now:\n{text}", path.display());
}

#[test]
fn help_of_every_command() {
    let place = Place::new();
    for command in COMMANDS {
        let said = place.pemm(&format!("{command} --help")).ok();
        assert_eq!(said.err, "");
        let name = format!("help {command}").trim().replace(' ', "-");
        assert_snapshot(&name, &said.out);
    }
}

#[test]
fn no_command_is_missing_here() {
    let help = Place::new().pemm("--help").ok().out;
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let listed: Vec<&str> = listed
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect();
    for name in listed {
        assert!(COMMANDS.contains(&name), "{name} has no snapshot");
    }
}

#[test]
fn wrong_arguments_exit_with_2() {
    let place = Place::new();
    place.pemm("").fails(2, &["Usage: pemm", "train"]);
    for line in ["trian digits", "train --nonsense", "predict", "table", "completions klingon"] {
        place.pemm(line).fails(2, &["error:"]);
    }
    place.pemm("trian").fails(2, &["similar", "train"]);
    for number in ["0", "100000"] {
        let said = place.pemm(&format!("train digits --threads {number}"));
        said.fails(2, &["--threads: must be from 1 to 1024", number]);
    }
    assert!(place.names("").is_empty());
    place.pemm("--version").ok().says(&[env!("CARGO_PKG_VERSION")]);
}
