//! The process of one run of a grid, which `pemm grid` starts; nothing for people.

use std::io::{BufRead, Write};
use std::time::{Duration, Instant};

use pemm::train::{Event, RunOptions, run as train};
use pemm_runs::Status;

use super::message::{Message, Task};
use super::patience::patiently;
use crate::commit::commit;
use crate::console::Console;
use crate::embedding::Features;
use crate::failure::Failure;
use crate::interrupt;

/// How long the same run of an earlier grid may take to end.
const PATIENCE: Duration = Duration::from_secs(15);
/// Least time between two messages within an epoch.
const PAUSE: Duration = Duration::from_secs(1);

/// Runs the task that stands on standard input, until that input ends.
pub(crate) fn run() -> Result<(), Failure> {
    let mut line = String::new();
    let input = std::io::stdin().lock().read_line(&mut line);
    input.map_err(|error| Failure::new(format!("standard input: {error}")))?;
    let task: Task = serde_json::from_str(&line)
        .map_err(|error| Failure::usage(format!("grid-cell is started by pemm grid: {error}")))?;
    let cancel = interrupt::watch()?;
    // The grid holds the other end, so the input ends when the grid wants it, or is no more.
    std::thread::spawn(|| {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        interrupt::request_of_the_grid();
    });
    let mut teller = Teller { num_steps: 1, images: 0, since: Instant::now() };
    // The grid has put the images through a backbone before, so the features are there.
    let features = Features::new(&Console::new(true, false), Some(cancel));
    let outcome = features.with(|embedding| {
        let (out, device) = (&task.out, &task.device);
        let options = RunOptions { out, device, git: commit(), cancel, embedding };
        // A grid that was killed has left runs that are still starting or saving.
        patiently(out, PATIENCE, || {
            train(&task.experiment, &options, &mut |event| teller.tell(event))
        })
    })?;
    match outcome.record.status {
        Status::Interrupted => Err(Failure::interrupted("")),
        Status::Finished | Status::Running | Status::Failed { .. } => Ok(()),
    }
}

struct Teller {
    num_steps: usize,
    /// Images since the last message.
    images: usize,
    since: Instant,
}

impl Teller {
    fn tell(&mut self, event: Event<'_>) {
        match event {
            Event::Started { plan, record, num_steps, .. } => {
                self.num_steps = num_steps.max(1);
                self.since = Instant::now();
                say(&Message::Started {
                    num_done: record.epochs.len(),
                    num_epochs: plan.experiment().schedule.num_epochs(),
                });
            }
            Event::Step(_, step, num_samples) => {
                self.images += num_samples;
                let elapsed = self.since.elapsed();
                if elapsed >= PAUSE {
                    let share = step as f64 / self.num_steps as f64;
                    let images_per_sec = self.images as f64 / elapsed.as_secs_f64();
                    say(&Message::Within { share, images_per_sec });
                    (self.images, self.since) = (0, Instant::now());
                }
            }
            Event::Epoch(epoch) => {
                say(&Message::Epoch { epoch: epoch.epoch, seconds: epoch.seconds });
            }
        }
    }
}

/// If nobody reads any more, the input has ended as well, and the run stops by that.
fn say(message: &Message) {
    let line = serde_json::to_string(message).expect("messages are plain data");
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}
