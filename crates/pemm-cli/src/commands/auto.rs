//! `--preset auto` as a person sees it: what is going to be tried, how far that is, and what was chosen.

use indicatif::ProgressBar;
use pemm::auto::Program;
use pemm::train::Event;
use pemm_runs::Tried;
use pemm_runs::time::duration;
use pemm_runs::tried::Candidate;

use crate::console::Console;

/// A bar over the images of all trials, and a line after each.
pub(super) struct Trials<'a> {
    console: &'a Console,
    bar: Option<ProgressBar>,
    num_trials: usize,
    /// Images of the trials that are done, by number of trials.
    done: Vec<usize>,
    num_epochs: usize,
}

impl<'a> Trials<'a> {
    pub(super) fn new(console: &'a Console) -> Self {
        Self { console, bar: None, num_trials: 0, done: vec![0], num_epochs: 0 }
    }

    pub(super) fn begin(&mut self, program: &Program) {
        self.console.warn(
            "where it was measured, each of the presets elr and pemm alone gave better models than this \
             choice, at a third of its cost",
        );
        self.console.note(&beginning(program));
        self.num_trials = program.num_trials();
        self.num_epochs = program.num_epochs;
        for (&num, &num_train) in program.rounds.iter().zip(&program.num_train) {
            for _ in 0..num {
                self.done.push(self.done[self.done.len() - 1] + num_train * program.num_epochs);
            }
        }
        let bar = self.console.bar(self.done[self.num_trials] as u64, "images");
        bar.reset_eta();
        self.bar = Some(bar);
    }

    pub(super) fn show(&self, number: usize, preset: &str, event: &Event<'_>) {
        let Some(bar) = &self.bar else { return };
        match event {
            Event::Started { record, .. } => {
                let epochs = record.epochs.len();
                bar.set_position((self.done[number - 1] + epochs * record.data.num_train) as u64);
                if epochs > 0 {
                    self.console.note(&format!("{preset} continues after epoch {epochs}"));
                }
            }
            Event::Step(epoch, _, num_samples) => {
                bar.inc(*num_samples as u64);
                bar.set_message(format!(
                    "trial {number}/{} {preset} epoch {epoch}/{}",
                    self.num_trials, self.num_epochs
                ));
            }
            Event::Epoch(_) => {}
        }
    }

    pub(super) fn judged(&self, number: usize, preset: &str, num_labels: usize, num_agreed: usize) {
        let line = format!(
            "trial {number}/{}  {preset:<8} agrees with {} of {num_labels} given labels",
            self.num_trials,
            percent(num_agreed as f64 / num_labels.max(1) as f64)
        );
        match &self.bar {
            Some(bar) => {
                bar.set_position(self.done[number] as u64);
                if self.console.draws() {
                    return bar.println(line);
                }
                self.console.note(&line);
            }
            None => self.console.note(&line),
        }
    }

    pub(super) fn chosen(&mut self, tried: &Tried) {
        self.end();
        self.console.note(&choice(tried));
    }

    /// Takes the bar down.
    pub(super) fn end(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

fn percent(share: f64) -> String {
    format!("{:.2} %", 100.0 * share)
}

/// Names as a list of a sentence.
fn list(names: &[String], last: &str) -> String {
    match names {
        [] => String::new(),
        [name] => name.clone(),
        [names @ .., name] => format!("{} {last} {name}", names.join(", ")),
    }
}

fn beginning(program: &Program) -> String {
    format!(
        "tries {} before it trains one of them: {} short trials on half of the samples each, judged by the \
         given labels of the other half; {:.1} times the cost of one run{}",
        list(&program.presets, "and"),
        program.num_trials(),
        program.cost,
        program
            .seconds
            .map_or(String::new(), |seconds| format!(", about {}", duration(seconds.max(0.1))))
    )
}

/// What `pemm explain` says of `--preset auto`.
pub(super) fn program_text(program: &Program) -> String {
    let Program { presets, rounds, num_epochs, num_train, num_held, cost, seconds } = program;
    let mut lines = vec![format!("# auto      tries {}", list(presets, "and"))];
    for (round, ((&num, &train), &held)) in (1..).zip(rounds.iter().zip(num_train).zip(num_held)) {
        let who = match round {
            1 => format!("all {num}"),
            _ => format!("the {num} that agreed with most labels"),
        };
        lines.push(format!(
            "# round {round}   {who}: {num_epochs} epochs on {train} samples, judged by the given labels of \
             the other {held}"
        ));
    }
    lines.push(
        "# then      the best of these is trained on all; where the labels do not tell it from a simpler \
         one, that one"
            .into(),
    );
    lines.push(format!(
        "# cost      {cost:.2} times that of one run{}",
        seconds
            .map_or(String::new(), |s| format!(", about {} on this machine", duration(s.max(0.1))))
    ));
    lines.push(format!(
        "# settings  those of a candidate: `pemm explain` with --preset {} and so on",
        presets[0]
    ));
    lines.join("\n")
}

/// Names of those that the labels do not tell from the one that was taken, among those that were in to the
/// end.
fn not_told_apart(tried: &Tried) -> Vec<String> {
    let taken = tried.taken().map_or(0, |taken| taken.num_labels);
    let is_near = |candidate: &&Candidate| {
        candidate.num_labels == taken
            && candidate.against_chosen.is_some_and(|d| d.low <= 0.0 && d.high >= 0.0)
    };
    tried.candidates.iter().filter(is_near).map(|candidate| candidate.preset.clone()).collect()
}

/// The choice in one line.
pub(super) fn chosen_line(tried: &Tried) -> String {
    let names: Vec<String> = tried.candidates.iter().map(|c| c.preset.clone()).collect();
    let near = not_told_apart(tried);
    let sure = match near.is_empty() {
        true => "the labels tell it from the others".to_owned(),
        false => format!("the labels do not tell it from {}", list(&near, "or")),
    };
    format!("preset {}, chosen among {}; {sure}", tried.chosen, list(&names, "and"))
}

/// The choice with what it rests on.
fn choice(tried: &Tried) -> String {
    let signed = |value: f64| format!("{:+.2}", 100.0 * value);
    let mut lines = vec![chosen_line(tried)];
    for candidate in &tried.candidates {
        let against = candidate.against_chosen.map_or(String::new(), |d| {
            format!(
                "  {} points from {} (95 % interval {} to {})",
                signed(d.mean),
                tried.chosen,
                signed(d.low),
                signed(d.high)
            )
        });
        lines.push(format!(
            "  {:<8} agrees with {} of {} labels{against}",
            candidate.preset,
            percent(candidate.agreement()),
            candidate.num_labels
        ));
    }
    lines.push(format!("the trials took {}", duration(tried.seconds())));
    lines.join("\n")
}
