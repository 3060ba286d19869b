//! Help texts as files: a change of an argument shows in the diff.

use std::path::Path;

use crate::place::Place;

/// The commands that the help of `command` lists.
fn listed(place: &Place, command: &str) -> Vec<String> {
    let help = place.pemm(&format!("{command} --help")).ok().out;
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    lines
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(|name| format!("{command} {name}").trim().to_owned())
        .collect()
}

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
    let mut commands = vec![String::new()];
    let mut next = 0;
    while let Some(command) = commands.get(next).cloned() {
        let said = place.pemm(&format!("{command} --help")).ok();
        assert_eq!(said.err, "");
        let name = format!("help {command}").trim().replace(' ', "-");
        assert_snapshot(&name, &said.out);
        commands.extend(listed(&place, &command));
        next += 1;
    }
    let known = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots");
    let known = std::fs::read_dir(known).unwrap().map(|entry| entry.unwrap().file_name());
    let known = known.filter(|name| name.to_string_lossy().starts_with("help"));
    assert_eq!(known.count(), commands.len(), "a snapshot without its command");
}

/// A file of a command that `commands.rs` or `main.rs` passes over is compiled by nobody, or offered to
/// nobody.
#[test]
fn every_file_of_a_command_is_a_command() {
    let known = listed(&Place::new(), "");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/commands");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let is_of_rust = path.extension().is_some_and(|extension| extension == "rs");
        if is_of_rust && std::fs::read_to_string(&path).unwrap().contains("struct Arguments") {
            let name = path.file_stem().unwrap().to_str().unwrap().replace('_', "-");
            assert!(known.contains(&name), "main.rs has no command `pemm {name}`: {known:?}");
            seen += 1;
        }
    }
    assert_eq!(seen, known.len(), "one file each: {known:?}");
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
