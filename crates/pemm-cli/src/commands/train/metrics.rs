//! `--metrics-csv` and `--tensorboard`: the numbers of the epochs while a run goes on, for other programs.

use std::path::Path;

use clap::Args;
use pemm::train::Event;
use pemm_runs::metrics::csv;
use pemm_runs::tensorboard::Events;
use pemm_runs::{EpochRecord, Result, write};

use crate::console::Console;

/// The name of the CSV in the run folder.
const CSV: &str = "metrics.csv";

/// What to write besides the log.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct MetricsArguments {
    /// Also write the numbers of every epoch into metrics.csv, in the run folder
    #[arg(long)]
    metrics_csv: bool,
    /// Also write them for TensorBoard, into an event file in the run folder
    #[arg(long)]
    tensorboard: bool,
}

/// Writes what is asked for, beside a run.
pub(super) struct Metrics<'a> {
    asked: MetricsArguments,
    console: &'a Console,
    folder: &'a Path,
    epochs: Vec<EpochRecord>,
    events: Option<Events>,
}

impl<'a> Metrics<'a> {
    pub(super) fn new(asked: MetricsArguments, folder: &'a Path, console: &'a Console) -> Self {
        Self { asked, console, folder, epochs: Vec::new(), events: None }
    }

    /// Notes what the run did. Where that cannot be written, the run goes on without, and says so.
    pub(super) fn note(&mut self, event: &Event<'_>) {
        let written = match event {
            Event::Started { record, .. } => self.begin(&record.epochs),
            Event::Epoch(epoch) => self.append(epoch),
            Event::Step(..) => return,
        };
        if let Err(error) = written {
            self.console
                .warn(&format!("{error}; the run goes on without --metrics-csv and --tensorboard"));
            self.asked = MetricsArguments { metrics_csv: false, tensorboard: false };
        }
    }

    /// Writes `epochs`, those that are done.
    ///
    /// # Errors
    /// Those of writing.
    pub(super) fn begin(&mut self, epochs: &[EpochRecord]) -> Result<()> {
        self.epochs = epochs.to_vec();
        if self.asked.tensorboard {
            self.events = Some(Events::begin(self.folder, epochs)?);
        }
        self.write_csv()
    }

    fn append(&mut self, epoch: &EpochRecord) -> Result<()> {
        self.epochs.push(epoch.clone());
        if let (true, Some(events)) = (self.asked.tensorboard, &mut self.events) {
            events.append(epoch)?;
        }
        self.write_csv()
    }

    fn write_csv(&self) -> Result<()> {
        if !self.asked.metrics_csv {
            return Ok(());
        }
        write::atomic(&self.folder.join(CSV), csv(&self.epochs).as_bytes())
    }
}
