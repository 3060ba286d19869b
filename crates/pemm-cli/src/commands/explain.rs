//! `pemm explain`.

use clap::Args;
use pemm::explain::{Explanation, explain};
use pemm_experiment::Auto;
use pemm_runs::time::duration;

use super::experiment::{ExperimentArguments, Wanted};
use crate::console::Console;
use crate::embedding::Features;
use crate::failure::Failure;

/// Show an experiment with every default filled in, shapes, parameters and steps; trains nothing
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    experiment: ExperimentArguments,
    /// List every tensor of the model
    #[arg(long)]
    tensors: bool,
}

/// Runs the command.
pub(crate) fn run(arguments: Arguments, console: &Console) -> Result<(), Failure> {
    if let Some(file) = arguments.experiment.grid()? {
        return super::grid::explain_grid(file, console);
    }
    let features = Features::new(console, None);
    let experiment = match arguments.experiment.wanted()? {
        Wanted::One(experiment) => experiment,
        Wanted::Together(_) if arguments.tensors => {
            let message =
                "--tensors: goes with one preset, and --preset auto trains three; name one";
            return Err(Failure::usage(message));
        }
        Wanted::Together(auto) => return explain_auto(&auto, &features, console),
    };
    let explanation = features.with(|embedding| explain(&experiment, &embedding))?;
    explanation.warnings.iter().for_each(|warning| console.warn(warning));
    console.result(&text(&explanation, arguments.tensors), &explanation.summary)
}

/// What `--preset auto` would train on the data.
fn explain_auto(auto: &Auto, features: &Features, console: &Console) -> Result<(), Failure> {
    let mut of_members = Vec::new();
    let mut warnings = Vec::new();
    for member in auto.members() {
        let explanation = features.with(|embedding| explain(member, &embedding))?;
        warnings.extend(explanation.warnings);
        of_members.push(explanation.summary);
    }
    warnings.sort();
    warnings.dedup();
    warnings.iter().for_each(|warning| console.warn(warning));
    let names: Vec<&str> = auto.members().iter().map(|member| member.preset.as_str()).collect();
    let seconds: Option<f64> = of_members.iter().map(|summary| summary.seconds).sum();
    let memory = of_members.iter().map(|summary| summary.memory).max().unwrap_or_default();
    let lines = [
        format!(
            "# auto      trains {} one after another; they then predict together",
            super::list(&names, "and")
        ),
        format!(
            "# needs     about {} MiB of memory and {} on this machine",
            memory.div_ceil(1 << 20),
            duration(seconds.unwrap_or_default().max(0.1))
        ),
        format!(
            "# settings  those of one of them: `pemm explain` with --preset {} and so on",
            names[0]
        ),
    ];
    console.result(&lines.join("\n"), &of_members)
}

fn text(explanation: &Explanation, tensors: bool) -> String {
    let Explanation { text, summary, .. } = explanation;
    let [channels, height, width] = summary.shape;
    let mut lines = vec![
        text.trim_end().to_owned(),
        String::new(),
        format!(
            "# data      {} training, {} validation, {} test samples, {} classes",
            summary.num_train, summary.num_val, summary.num_test, summary.num_classes
        ),
        format!("# noise     {}", summary.noise),
    ];
    if let Some(card) = &summary.pretrained {
        let [height, width] = card.preprocessing.size;
        lines.push(format!(
            "# backbone  {} ({height}×{width}, mean {:?}, deviation {:?}) → {} features of {}",
            card.file,
            card.preprocessing.mean,
            card.preprocessing.deviation,
            card.num_features,
            card.output
        ));
    }
    lines.extend([
        format!(
            "# shapes    [N, {channels}, {height}, {width}] → features [N, {}] → scores [N, {}]",
            summary.num_features, summary.num_classes
        ),
        format!("# model     {} parameters", summary.num_parameters),
    ]);
    if tensors {
        let tensor = |(name, shape): &(String, _)| format!("#   {name:<44} {shape:?}");
        lines.extend(summary.tensors.iter().map(tensor));
    }
    lines.push(format!(
        "# training  {} epochs of {} steps, {} steps in all",
        summary.num_epochs,
        summary.steps_per_epoch,
        summary.num_epochs * summary.steps_per_epoch
    ));
    lines.push(format!(
        "# needs     about {} MiB of memory and {} on this machine",
        summary.memory.div_ceil(1 << 20),
        duration(summary.seconds.unwrap_or_default().max(0.1))
    ));
    lines.join("\n")
}
