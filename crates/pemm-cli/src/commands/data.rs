//! `pemm data`: look at data, and fetch known data sets.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use pemm_data::fetch::{self, Stage};
use pemm_data::info::{ClassInfo, Info, inspect};
use serde_json::json;

use crate::console::Console;
use crate::failure::Failure;
use crate::interrupt;

/// Look at data, or fetch a known data set
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show counts, classes, sizes, and broken files by name
    Info {
        /// `digits`, or a folder or file
        path: String,
    },
    /// Download a known data set from its official address, check its SHA-256 and unpack it
    ///
    /// A partial download is continued by the same command.
    Fetch {
        /// One of `pemm data list`
        name: String,
        /// Where to put it
        #[arg(long, default_value = "data", value_name = "DIR")]
        folder: PathBuf,
    },
    /// List the data sets that can be fetched
    List,
}

/// Runs the command.
pub(crate) fn run(arguments: Arguments, console: &Console) -> Result<(), Failure> {
    match arguments.command {
        Command::Info { path } => {
            let info = inspect(&path)?;
            console.result(&describe(&info), &info)
        }
        Command::Fetch { name, folder } => fetch_named(&name, &folder, console),
        Command::List => {
            let entries: Vec<_> = fetch::catalogue()
                .iter()
                .map(|entry| json!({"name": entry.name, "title": entry.title, "bytes": entry.bytes(), "licence": entry.licence}))
                .collect();
            let lines: Vec<String> = fetch::catalogue()
                .iter()
                .map(|entry| {
                    format!(
                        "{:<16} {:>6} MB  {} ({})",
                        entry.name,
                        entry.bytes() / 1_000_000,
                        entry.title,
                        entry.licence
                    )
                })
                .collect();
            console.result(&lines.join("\n"), &entries)
        }
    }
}

fn fetch_named(name: &str, folder: &std::path::Path, console: &Console) -> Result<(), Failure> {
    let entry = fetch::find(name)?;
    let cancel = interrupt::watch()?;
    let bar = console.bar(entry.bytes(), "bytes");
    let mut shown = String::new();
    let result = fetch::fetch(
        entry,
        folder,
        &mut |progress| {
            let what = match progress.stage {
                Stage::Download => "downloading",
                Stage::Check => "checking",
                Stage::Unpack => "unpacking",
            };
            let doing = format!("{what} {}", progress.file);
            if doing != shown {
                if !console.draws() {
                    console.note(&doing);
                }
                shown.clone_from(&doing);
                bar.set_message(doing);
            }
            bar.set_length(progress.total);
            bar.set_position(progress.done);
        },
        cancel,
    );
    bar.finish_and_clear();
    if cancel.load(std::sync::atomic::Ordering::Relaxed) && result.is_err() {
        return Err(Failure::interrupted("the same command continues the download"));
    }
    let path = result?;
    let (title, at) = (entry.title, path.display());
    let text = format!(
        "{title} is at {at}\ntrain on it with: pemm train {at}\n{}\nlicence: {}\ncite: {}",
        entry.note, entry.licence, entry.citation
    );
    let value = json!({"name": entry.name, "path": path, "note": entry.note,
        "licence": entry.licence, "citation": entry.citation});
    console.result(&text, &value)
}

fn describe(info: &Info) -> String {
    let count = |value: Option<usize>| value.map_or("–".into(), |value| value.to_string());
    // A part that a source does not have is missing in every class.
    let total = |pick: fn(&ClassInfo) -> Option<usize>| info.classes.iter().map(pick).sum();
    let mut lines = vec![
        format!(
            "{} ({}), {} classes, {:.1} MB",
            info.name,
            info.kind.title(),
            info.classes.len(),
            info.num_bytes as f64 / 1e6
        ),
        format!("{:<24} {:>8} {:>8} {:>8}", "class", "train", "val", "test"),
    ];
    for class in &info.classes {
        lines.push(format!(
            "{:<24} {:>8} {:>8} {:>8}",
            class.name,
            class.train,
            count(class.val),
            count(class.test)
        ));
    }
    lines.push(format!(
        "{:<24} {:>8} {:>8} {:>8}",
        "all",
        count(total(|class| Some(class.train))),
        count(total(|class| class.val)),
        count(total(|class| class.test))
    ));
    for size in &info.sizes {
        let shape = size.shape;
        lines.push(format!(
            "size {}×{}×{}: {} samples",
            shape.channels, shape.height, shape.width, size.count
        ));
    }
    if info.broken.is_empty() {
        lines.push("no broken files".into());
    } else {
        lines.push(format!("{} broken files:", info.broken.len()));
        lines.extend(info.broken.iter().map(|file| format!("  {}: {}", file.name, file.reason)));
    }
    lines.extend(info.notes.iter().cloned());
    lines.join("\n")
}
