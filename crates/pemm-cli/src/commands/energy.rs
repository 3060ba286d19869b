//! `pemm energy`.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use pemm_data::{Stream, Streams};
use pemm_energy::{Potential, Settled, Settling, settle};
use pemm_report::chart::Figure;
use pemm_report::energy as figures;
use serde_json::{Value, json};

use crate::console::Console;
use crate::failure::Failure;

/// Draw the potential energy of the class centers, and points that come to rest under it
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The energy over the distance of two centers, with its minimum r0
    Curve {
        #[command(flatten)]
        powers: Powers,
        /// Offset of the distance, 0 or more
        #[arg(long, default_value_t = 0.0)]
        beta: f64,
        #[command(flatten)]
        output: Output,
    },
    /// The energy of two centers against the margin loss with the same r0
    Compare {
        #[command(flatten)]
        powers: Powers,
        /// Offset of the distance, 0 or more
        #[arg(long, default_value_t = 0.3)]
        beta: f64,
        #[command(flatten)]
        output: Output,
    },
    /// Points that descend their energy from random places: a moving picture, a strip of still
    /// ones, and distances, energy and sum of distances per step
    Settle {
        /// Number of points without the origin, 2 to 1000
        #[arg(long, short = 'k', value_name = "K", default_value_t = 10)]
        points: usize,
        /// Number of dimensions, 2 to 1024
        #[arg(long, short = 'd', value_name = "D", default_value_t = 2)]
        dimensions: usize,
        /// Opens the random places of the start
        #[arg(long, value_name = "N", default_value_t = 1)]
        seed: u64,
        /// Steps after which to stop if the points are not at rest before
        #[arg(long, value_name = "N", default_value_t = 1000)]
        steps: usize,
        #[command(flatten)]
        powers: Powers,
        /// Offset of the distance, 0 or more; from r0 on the energy only pulls
        #[arg(long, default_value_t = 0.3)]
        beta: f64,
        #[command(flatten)]
        output: Output,
    },
}

/// The energy E(r) = 1/r^u - ξ/r^v.
#[derive(Debug, Clone, Copy, Args)]
struct Powers {
    /// Power of the push, above v
    #[arg(long, short = 'u', default_value_t = 3.0)]
    u: f64,
    /// Power of the pull, 1 or more
    #[arg(long, short = 'v', default_value_t = 2.0)]
    v: f64,
    /// Weight of the pull, above 0
    #[arg(long, default_value_t = 2.0)]
    xi: f64,
}

/// What `settle` writes.
const SETTLE_FILES: [&str; 7] = [
    "settle.csv",
    "settle-positions.csv",
    "settle.svg",
    "settle-strip.svg",
    "settle-distances.svg",
    "settle-energy.svg",
    "settle-sum.svg",
];

/// Where the files go.
#[derive(Debug, Args)]
struct Output {
    /// Folder for the pictures (.svg) and their numbers (.csv); made if missing
    #[arg(long, short = 'o', value_name = "DIR", default_value = "energy")]
    out: PathBuf,
    /// Replace files that are there
    #[arg(long)]
    force: bool,
}

/// Runs the command.
pub(crate) fn run(arguments: Arguments, console: &Console) -> Result<(), Failure> {
    match arguments.command {
        Command::Curve { powers, beta, output } => {
            let potential = powers.potential(beta)?;
            let files = pictures(&[figures::curve(potential)]);
            output.write(files, &rest(potential), rest_value(potential), console)
        }
        Command::Compare { powers, beta, output } => {
            let potential = powers.potential(beta)?;
            let files = pictures(&[figures::comparison(potential)]);
            output.write(files, &rest(potential), rest_value(potential), console)
        }
        Command::Settle { points, dimensions, seed, steps, powers, beta, output } => {
            let potential = powers.potential(beta)?;
            if potential.rest_distance() == 0.0 {
                let r0 = potential.r0();
                console
                    .warn(&format!("β = {beta} is not below r0 = {r0:.4}: the energy only pulls"));
            }
            // Before the work, which may take a while.
            output.refuse_what_is_there(&SETTLE_FILES)?;
            let settling = Settling { potential, num_points: points, dimensions, max_steps: steps };
            let settled = settle_with_progress(settling, seed, console)?;
            output.write(
                settle_files(&settled),
                &summary(&settled),
                settle_value(&settled, seed),
                console,
            )
        }
    }
}

impl Powers {
    fn potential(self, beta: f64) -> Result<Potential, Failure> {
        Ok(Potential::energy(self.u, self.v, self.xi, beta)?)
    }
}

/// A file's name and content.
type File = (String, String);

impl Output {
    /// Writes `files`, and tells about them.
    fn write(
        &self,
        files: Vec<File>,
        text: &str,
        mut value: Value,
        console: &Console,
    ) -> Result<(), Failure> {
        let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
        self.refuse_what_is_there(&names)?;
        pemm_data::disk::make_folder(&self.out)
            .map_err(|error| Failure::new(format!("{}: {error}", self.out.display())))?;
        for (name, content) in &files {
            pemm_runs::write::atomic(&self.out.join(name), content.as_bytes())?;
        }
        let paths: Vec<String> =
            names.iter().map(|name| self.out.join(name).display().to_string()).collect();
        value["files"] = json!(paths);
        console.result(&format!("{text}\nwritten: {}", paths.join(", ")), &value)
    }

    fn refuse_what_is_there(&self, names: &[&str]) -> Result<(), Failure> {
        let there: Option<&Path> = (!self.force).then_some(self.out.as_path());
        let taken = there.and_then(|folder| {
            names.iter().map(|name| folder.join(name)).find(|path| path.symlink_metadata().is_ok())
        });
        taken.map_or(Ok(()), |path| {
            Err(Failure::usage(format!(
                "{}: is there already; choose another folder with --out, or replace it with --force",
                path.display()
            )))
        })
    }
}

/// Each figure, and its numbers.
fn pictures(all: &[Figure]) -> Vec<File> {
    let files = all.iter().flat_map(|figure| {
        let Figure { name, data, .. } = figure;
        [(format!("{name}.svg"), figure.standalone()), (format!("{name}.csv"), data.csv())]
    });
    files.collect()
}

fn settle_files(settled: &Settled) -> Vec<File> {
    let moving = figures::animation(settled);
    let mut files = vec![
        ("settle.csv".to_owned(), figures::steps(settled).csv()),
        ("settle-positions.csv".to_owned(), moving.data.csv()),
    ];
    // The numbers of the other figures are columns of settle.csv.
    let stills = std::iter::once(figures::strip(settled)).chain(figures::settling(settled));
    files.extend(
        std::iter::once(moving)
            .chain(stills)
            .map(|figure| (format!("{}.svg", figure.name), figure.standalone())),
    );
    files
}

fn settle_with_progress(
    settling: Settling,
    seed: u64,
    console: &Console,
) -> Result<Settled, Failure> {
    let mut rng = Streams::new(seed).open(Stream::Init);
    let start = settling.start(&mut || rng.normal())?;
    let bar = console.bar(settling.max_steps as u64, "steps at most");
    let settled = settle(settling, start, &mut |step| {
        bar.set_position(step.step as u64);
        bar.set_message(format!("energy {:.4}", step.energy));
    });
    bar.finish_and_clear();
    Ok(settled?)
}

fn rest(potential: Potential) -> String {
    let rest = potential.rest_distance();
    format!(
        "r0 {}, at rest at distance {rest}, energy there {}",
        potential.r0(),
        potential.value(rest)
    )
}

fn rest_value(potential: Potential) -> Value {
    let rest = potential.rest_distance();
    json!({"r0": potential.r0(), "rest_distance": rest, "lowest_energy": potential.value(rest)})
}

fn summary(settled: &Settled) -> String {
    let last = settled.steps.last().expect("the start is a step");
    let distances = &last.distances;
    let state = if settled.at_rest { "at rest" } else { "not yet at rest; further with --steps" };
    format!(
        "{} points in {} dimensions after {} steps: {state}\n\
         energy     {:.6}\n\
         distances  {:.6} to {:.6}, mean {:.6}, standard deviation {:.2e}; at rest {:.6}\n\
         sum        {:.6}; limit of eq. 15 {:.6}",
        settled.settling.num_points,
        settled.settling.dimensions,
        last.step,
        last.energy,
        distances.min,
        distances.max,
        distances.mean,
        distances.deviation,
        settled.settling.potential.rest_distance(),
        distances.sum,
        settled.settling.limit()
    )
}

fn settle_value(settled: &Settled, seed: u64) -> Value {
    let last = settled.steps.last().expect("the start is a step");
    json!({
        "points": settled.settling.num_points,
        "dimensions": settled.settling.dimensions,
        "seed": seed,
        "steps": last.step,
        "at_rest": settled.at_rest,
        "energy": last.energy,
        "min_distance": last.distances.min,
        "mean_distance": last.distances.mean,
        "max_distance": last.distances.max,
        "standard_deviation": last.distances.deviation,
        "sum_of_distances": last.distances.sum,
        "limit_of_the_sum": settled.settling.limit(),
        "rest_distance": settled.settling.potential.rest_distance(),
    })
}
