//! What a person sees of a grid: a bar for the whole and a line per run where somebody watches,
//! plain lines else.

use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use pemm_data::shown_lines;
use pemm_runs::Judge;
use pemm_runs::time::duration;

use super::runner::{Ending, Job};
use super::worker::RunProgress;
use crate::console::Console;

/// Without bars, how often a line says how far the runs are.
const PAUSE: Duration = Duration::from_secs(60);

/// The grid at one moment.
pub(super) struct View<'a, 'b> {
    /// The runs that go, and how far they are.
    pub(super) running: &'a [(&'a Job<'b>, RunProgress)],
    /// Seconds left, once an epoch was measured.
    pub(super) left: Option<f64>,
    /// Most memory of a run, in bytes.
    pub(super) largest: Option<u64>,
}

/// The display of a grid.
pub(super) struct Display<'a> {
    console: &'a Console,
    total: usize,
    done: usize,
    failed: usize,
    bars: MultiProgress,
    whole: ProgressBar,
    lines: Vec<ProgressBar>,
    shown: Instant,
    left: String,
}

impl<'a> Display<'a> {
    /// Of `total` runs `done` were finished before.
    pub(super) fn new(console: &'a Console, total: usize, done: usize) -> Self {
        let target = if console.draws() {
            ProgressDrawTarget::stderr_with_hz(4)
        } else {
            ProgressDrawTarget::hidden()
        };
        let bars = MultiProgress::with_draw_target(target);
        let style = ProgressStyle::with_template("{bar:28} {pos}/{len} runs  {elapsed}  {msg}");
        let style = style.expect("the template is valid").progress_chars("━╸ ");
        let whole = bars.add(ProgressBar::new(total as u64).with_style(style));
        whole.set_position(done as u64);
        Self {
            console,
            total,
            done,
            failed: 0,
            bars,
            whole,
            lines: Vec::new(),
            shown: Instant::now(),
            left: String::new(),
        }
    }

    /// A run was started.
    pub(super) fn started(&mut self, job: &Job<'_>) {
        let from = match job.epochs_done() {
            0 => String::new(),
            epochs => format!("  continues after epoch {epochs}"),
        };
        if !self.console.draws() {
            self.console.note(&format!("start  {}{from}", job.cell.name));
        }
    }

    /// A run ended after so long.
    pub(super) fn ended(&mut self, job: &Job<'_>, ending: &Ending, after: Duration) {
        let name = &job.cell.name;
        let seconds = duration(after.as_secs_f64());
        let line = match ending {
            Ending::Finished(record) => {
                self.done += 1;
                let accuracy = |judge: Judge| {
                    let accuracy = judge.chosen(&record.choice).and_then(|c| c.test_accuracy);
                    accuracy.map_or("–".into(), |accuracy| format!("{:.2} %", 100.0 * accuracy))
                };
                format!(
                    "done   {name}  {}/{}  test {} last, {} best by noisy validation  {seconds}{}",
                    self.done,
                    self.total,
                    accuracy(Judge::Last),
                    accuracy(Judge::BestByNoisyVal),
                    self.left
                )
            }
            Ending::Stopped => format!("saved  {name}  {seconds}"),
            Ending::Failed(message) => {
                self.failed += 1;
                format!("failed {name}  {seconds}: {message}")
            }
        };
        self.whole.set_position(self.done as u64);
        if self.console.draws() {
            let _ = self.bars.println(shown_lines(&line));
        } else {
            self.console.note(&line);
        }
    }

    /// How far all are.
    pub(super) fn show(&mut self, view: &View<'_, '_>) {
        let left = view.left.map_or(String::new(), |s| format!("  {} left", duration(s)));
        let memory = view.largest.map_or(String::new(), |b| format!("  {} MiB a run", b >> 20));
        self.left = left.clone();
        if !self.console.draws() {
            if self.shown.elapsed() >= PAUSE {
                self.shown = Instant::now();
                for (job, progress) in view.running {
                    self.console.note(&format!("       {}", line(job, progress)));
                }
                let (done, total) = (self.done, self.total);
                self.console.note(&format!("       {done}/{total} done{left}{memory}"));
            }
            return;
        }
        let failed = match self.failed {
            0 => String::new(),
            failed => format!("  {failed} failed"),
        };
        self.whole.set_message(format!("{left}{memory}{failed}").trim().to_owned());
        self.whole.tick();
        let style = ProgressStyle::with_template("  {msg}").expect("the template is valid");
        while self.lines.len() < view.running.len() {
            self.lines.push(self.bars.add(ProgressBar::new(1).with_style(style.clone())));
        }
        for surplus in self.lines.drain(view.running.len()..) {
            surplus.finish_and_clear();
            self.bars.remove(&surplus);
        }
        for (bar, (job, progress)) in self.lines.iter().zip(view.running) {
            bar.set_message(line(job, progress));
        }
    }
}

impl Drop for Display<'_> {
    fn drop(&mut self) {
        let _ = self.bars.clear();
    }
}

fn line(job: &Job<'_>, progress: &RunProgress) -> String {
    let epoch = progress.num_done.max(job.epochs_done()) + 1;
    let epoch = match progress.num_epochs.or(job.num_epochs) {
        Some(num_epochs) => format!("{}/{num_epochs}", epoch.min(num_epochs)),
        None => epoch.to_string(),
    };
    let share = 100.0 * progress.share;
    let rate = progress.images_per_sec.map_or("starts".into(), |r| format!("{r:.0} images/s"));
    format!("{}  epoch {epoch} ({share:.0} %)  {rate}", job.cell.name)
}
