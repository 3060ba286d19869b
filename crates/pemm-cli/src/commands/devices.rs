//! `pemm devices`.

use clap::Args;
use pemm::device;
use serde_json::json;

use crate::console::Console;
use crate::failure::Failure;

/// List the devices that `--device` can name here: the processor, and each GPU that this pemm was built for
#[derive(Debug, Args)]
pub(crate) struct Arguments {}

/// Runs the command.
pub(crate) fn run(_: Arguments, console: &Console) -> Result<(), Failure> {
    let found = device::all();
    let mut lines: Vec<String> =
        found.iter().map(|found| format!("{:<8} {}", found.name, found.description)).collect();
    let has_gpu = found.iter().any(|found| found.is_gpu);
    lines.push(if has_gpu {
        "--device gpu takes the first GPU of this list".into()
    } else {
        let why = device::find("gpu").err().map(|error| error.to_string()).unwrap_or_default();
        format!("no GPU: {why}")
    });
    let devices: Vec<_> = found
        .iter()
        .map(|found| {
            json!({ "name": found.name, "description": found.description, "gpu": found.is_gpu })
        })
        .collect();
    console.result(&lines.join("\n"), &json!({ "devices": devices }))
}
