//! `pemm data`: look at data, and fetch known data sets.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use pemm_data::Shape;
use pemm_data::config::DataConfig;
use pemm_data::fetch::{self, Stage};
use pemm_data::info::{ClassInfo, Info, SizeInfo, inspect_until};
use serde_json::json;

use crate::console::Console;
use crate::failure::Failure;
use crate::interrupt;

/// Look at your data, or download a known data set
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show classes, counts, sizes and broken files
    Info {
        /// `digits`, or a folder or file
        path: String,
        /// What the folders of an image folder are: parts, classes, or whatever they look like
        /// (data.layout)
        #[arg(long, value_name = "LAYOUT", default_value = "auto",
            value_parser = ["auto", "parts", "classes"])]
        layout: String,
        /// Count the training samples by a labels CSV (data.labels)
        #[arg(long, value_name = "CSV")]
        labels: Option<PathBuf>,
        /// Its column of labels (data.label_column)
        #[arg(long, value_name = "COLUMN", default_value = "label", requires = "labels")]
        label_column: String,
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
    /// List the data sets that can be downloaded
    List,
}

/// Runs the command.
pub(crate) fn run(arguments: Arguments, console: &Console) -> Result<(), Failure> {
    match arguments.command {
        Command::Info { path, layout, labels, label_column } => {
            let layout =
                serde_json::from_value(json!(layout)).expect("clap takes known words only");
            let config = DataConfig { path, layout, labels, label_column, ..DataConfig::default() };
            let info = inspect_until(&config, interrupt::watch()?)?;
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

/// Classes, sizes and broken files that have a line of their own; --json has all.
const CLASSES: usize = 10;
const SIZES: usize = 3;
const BROKEN: usize = 10;

/// Every size, or where they are many the range.
fn sizes(sizes: &[SizeInfo]) -> Vec<String> {
    let name = |shape: Shape| format!("{}×{}×{}", shape.channels, shape.height, shape.width);
    let line = |size: &SizeInfo| format!("size {}: {} samples", name(size.shape), size.count);
    if sizes.len() <= SIZES {
        return sizes.iter().map(line).collect();
    }
    let area = |size: &&SizeInfo| size.shape.height * size.shape.width;
    let (Some(smallest), Some(largest)) =
        (sizes.iter().min_by_key(area), sizes.iter().max_by_key(area))
    else {
        return Vec::new();
    };
    let shape = |size: &SizeInfo| format!("{}×{}", size.shape.height, size.shape.width);
    let grey: usize = sizes.iter().filter(|s| s.shape.channels == 1).map(|s| s.count).sum();
    let all: usize = sizes.iter().map(|size| size.count).sum();
    vec![format!(
        "{} sizes (height×width), from {} to {}; {grey} of {all} images are grey",
        sizes.len(),
        shape(smallest),
        shape(largest)
    )]
}

fn describe(info: &Info) -> String {
    let count = |value: Option<usize>| value.map_or("–".into(), |value| value.to_string());
    // A part that a source does not have is missing in every class.
    let total = |pick: fn(&ClassInfo) -> Option<usize>| info.classes.iter().map(pick).sum();
    let mut lines = vec![
        format!(
            "{} ({}), {} class{}, {:.1} MB",
            info.name,
            info.kind.title(),
            info.classes.len(),
            if info.classes.len() == 1 { "" } else { "es" },
            info.num_bytes as f64 / 1e6
        ),
        format!("{:<24} {:>8} {:>8} {:>8}", "class", "train", "val", "test"),
    ];
    for class in info.classes.iter().take(CLASSES) {
        lines.push(format!(
            "{:<24} {:>8} {:>8} {:>8}",
            pemm_data::shown(&class.name),
            class.train,
            count(class.val),
            count(class.test)
        ));
    }
    if info.classes.len() > CLASSES {
        let more = &info.classes[CLASSES..];
        let counts = more.iter().map(|class| class.train);
        let (low, high) = (counts.clone().min().unwrap_or(0), counts.max().unwrap_or(0));
        lines
            .push(format!("… and {} more classes of {low} to {high} training samples", more.len()));
    }
    lines.push(format!(
        "{:<24} {:>8} {:>8} {:>8}",
        "all",
        count(total(|class| Some(class.train))),
        count(total(|class| class.val)),
        count(total(|class| class.test))
    ));
    lines.extend(sizes(&info.sizes));
    if info.broken.is_empty() {
        lines.push("no broken files".into());
    } else {
        let num = info.broken.len();
        lines.push(if num == 1 { "1 broken file:".into() } else { format!("{num} broken files:") });
        let first = info.broken.iter().take(BROKEN);
        lines.extend(
            first.map(|file| format!("  {}: {}", pemm_data::shown(&file.name), file.reason)),
        );
        if info.broken.len() > BROKEN {
            lines.push(format!("  … and {} more (--json lists all)", info.broken.len() - BROKEN));
        }
    }
    lines.extend(info.notes.iter().cloned());
    // What nobody misses is no warning, but whoever looks wants to know it.
    lines.extend(info.account.lines().into_iter().filter(|line| !info.notes.contains(line)));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_sizes_are_one_line() {
        let size = |channels, height, width, count| SizeInfo {
            shape: Shape { channels, height, width },
            count,
        };
        let few = [size(3, 32, 32, 7), size(1, 8, 9, 2)];
        assert_eq!(sizes(&few), ["size 3×32×32: 7 samples", "size 1×8×9: 2 samples"]);
        let many = [size(3, 300, 400, 5), size(3, 40, 30, 4), size(1, 8, 9, 2), size(3, 9, 9, 1)];
        let line = "4 sizes (height×width), from 8×9 to 300×400; 2 of 12 images are grey";
        assert_eq!(sizes(&many), [line]);
    }
}
