//! The `pemm` binary: arguments in, exit code out. Each command has a file of its own.
#![warn(clippy::print_stdout, clippy::print_stderr)] // they panic where nobody reads

mod by_class;
mod commands;
mod commit;
mod console;
mod dashboard;
mod embedding;
mod failure;
mod interrupt;
mod offered;
mod overwrite;

use clap::{Parser, Subcommand};

use commands::{
    audit, completions, data, devices, embed, energy, evaluate, explain, grid, methods, noise,
    predict, report, table, train,
};
use console::Console;
use failure::Failure;

// Each step frees and takes activations of tens of MiB; glibc gives such blocks back to the system
// every time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What to try first.
const EXAMPLES: &str = "\
Examples:
  pemm train digits --noise symmetric:0.4          try it on images that are built in
  pemm train my-images                             a folder with a folder of images per class
  pemm train my-photos --backbone backbone.onnx    photographs, with a pretrained network
  pemm audit my-photos --backbone backbone.onnx    find the wrong labels
  pemm predict runs/my-photos-pemm-1 new-photos    classify new images";

/// Train image classifiers when some of the labels are wrong, and find those labels.
#[derive(Debug, Parser)]
#[command(name = "pemm", version, propagate_version = true, max_term_width = 100, after_help = EXAMPLES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// Print results only, no progress
    #[arg(long, short, global = true)]
    quiet: bool,
    /// Print results as JSON, one value per line
    #[arg(long, global = true)]
    json: bool,
    /// Threads to use, by default one per core; results do not depend on it
    #[arg(long, global = true, value_name = "N")]
    threads: Option<usize>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Train(train::Arguments),
    Audit(audit::Arguments),
    Evaluate(evaluate::Arguments),
    Predict(predict::Arguments),
    Explain(explain::Arguments),
    Embed(embed::Arguments),
    Data(data::Arguments),
    Noise(noise::Arguments),
    Grid(grid::Arguments),
    Table(table::Arguments),
    Methods(methods::Arguments),
    Devices(devices::Arguments),
    Report(report::Arguments),
    Energy(energy::Arguments),
    Completions(completions::Arguments),
    /// One run of a grid; `pemm grid` starts it
    #[command(hide = true)]
    GridCell,
}

fn main() -> std::process::ExitCode {
    let arguments = Arguments::parse();
    let console = Console::new(arguments.quiet, arguments.json);
    let result = use_threads(arguments.threads).and_then(|()| match arguments.command {
        Command::Train(arguments) => train::run(arguments, &console),
        Command::Audit(arguments) => audit::run(arguments, &console),
        Command::Evaluate(arguments) => evaluate::run(arguments, &console),
        Command::Predict(arguments) => predict::run(arguments, &console),
        Command::Explain(arguments) => explain::run(arguments, &console),
        Command::Embed(arguments) => embed::run(arguments, &console),
        Command::Data(arguments) => data::run(arguments, &console),
        Command::Noise(arguments) => noise::run(arguments, &console),
        Command::Grid(arguments) => grid::run(arguments, &console),
        Command::GridCell => grid::run_cell(),
        Command::Table(arguments) => table::run(arguments, &console),
        Command::Methods(arguments) => methods::run(arguments, &console),
        Command::Devices(arguments) => devices::run(arguments, &console),
        Command::Report(arguments) => report::run(arguments, &console),
        Command::Energy(arguments) => energy::run(arguments, &console),
        Command::Completions(arguments) => completions::run::<Arguments>(arguments, &console),
    });
    match result {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

/// More than any machine has cores; as many threads as somebody mistypes would bring it down.
pub(crate) const MAX_THREADS: usize = 1024;

fn use_threads(num_threads: Option<usize>) -> Result<(), Failure> {
    let Some(num_threads) = num_threads else { return check_environment() };
    if !(1..=MAX_THREADS).contains(&num_threads) {
        let message = format!("--threads: must be from 1 to {MAX_THREADS}, is {num_threads}");
        return Err(Failure::usage(message));
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(num_threads).build_global();
    pool.map_err(|error| Failure::new(format!("--threads: {error}")))
}

/// The number of threads that the environment asks for is held to the same limit. What is no number,
/// and 0, rayon takes for one thread per core.
fn check_environment() -> Result<(), Failure> {
    for name in ["RAYON_NUM_THREADS", "RAYON_RS_NUM_CPUS"] {
        let asked = std::env::var(name).ok().and_then(|text| text.parse::<usize>().ok());
        if let Some(asked) = asked.filter(|&asked| asked > MAX_THREADS) {
            return Err(Failure::usage(format!(
                "{name}: must be at most {MAX_THREADS}, is {asked}"
            )));
        }
    }
    Ok(())
}
