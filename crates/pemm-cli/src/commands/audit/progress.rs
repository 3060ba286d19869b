//! How far the whole job is: all folds, all epochs.

use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use pemm::train::Event;
use pemm_runs::time::duration;

use crate::console::Console;

/// Where there is no bar, an epoch has a line if the last line is so long ago.
const PAUSE: Duration = Duration::from_secs(30);

/// A bar over the images of all folds. Where nobody watches: a line at the end of each fold, and on
/// the way where a fold takes long.
pub(super) struct FoldsDisplay<'a> {
    console: &'a Console,
    num_folds: usize,
    num_epochs: usize,
    num_train: usize,
    /// Images that the folds before the current one are, and those of the current one so far.
    before: usize,
    here: usize,
    /// When the first fold of this process began, and the images that were done then.
    started: Instant,
    found: usize,
    last_line: Instant,
    bar: Option<ProgressBar>,
}

impl<'a> FoldsDisplay<'a> {
    pub(super) fn new(console: &'a Console, num_folds: usize) -> Self {
        Self {
            console,
            num_folds,
            num_epochs: 0,
            num_train: 0,
            before: 0,
            here: 0,
            started: Instant::now(),
            found: 0,
            last_line: Instant::now(),
            bar: None,
        }
    }

    pub(super) fn show(&mut self, fold: usize, event: Event<'_>) {
        match event {
            Event::Started { plan, warnings, record, .. } => {
                if self.bar.is_none() {
                    warnings.iter().for_each(|warning| self.console.warn(warning));
                    self.headline(record);
                }
                self.num_epochs = plan.experiment().schedule.num_epochs();
                self.num_train = record.data.num_train;
                let per_fold = self.num_epochs * self.num_train;
                self.before = (fold - 1) * per_fold;
                self.here = record.epochs.len() * self.num_train;
                let done = self.before + self.here;
                if self.bar.is_none() {
                    // Not before: reading the images once says nothing of the folds' pace.
                    self.started = Instant::now();
                    self.found = done;
                    let bar = self.console.bar((self.num_folds * per_fold) as u64, "images");
                    bar.set_position(done as u64);
                    bar.reset_eta();
                    self.bar = Some(bar);
                }
                if !record.epochs.is_empty() {
                    let epochs = record.epochs.len();
                    self.console.note(&format!("fold {fold} continues after epoch {epochs}"));
                }
            }
            Event::Step(epoch, _, num_samples) => {
                self.here += num_samples;
                if let Some(bar) = &self.bar {
                    bar.set_position((self.before + self.here) as u64);
                    bar.set_message(format!(
                        "fold {fold}/{} epoch {epoch}/{}",
                        self.num_folds, self.num_epochs
                    ));
                }
            }
            Event::Epoch(epoch) => {
                self.here = epoch.epoch * self.num_train;
                let is_milestone = (fold, epoch.epoch) == (1, 1) || epoch.epoch == self.num_epochs;
                let is_due = is_milestone || self.last_line.elapsed() >= PAUSE;
                if !self.console.draws() && is_due {
                    self.last_line = Instant::now();
                    self.console.note(&self.line(fold, epoch.epoch, epoch.images_per_sec));
                }
            }
        }
    }

    fn headline(&self, record: &pemm_runs::Record) {
        let data = &record.data;
        self.console.note(&format!(
            "{} · {} classes · {} folds of {} training and {} held-out samples · {}",
            data.name,
            data.classes.len(),
            self.num_folds,
            data.num_train,
            data.num_val,
            record.arm
        ));
    }

    fn line(&self, fold: usize, epoch: usize, images_per_sec: f64) -> String {
        let done = self.before + self.here;
        let all = self.num_folds * self.num_epochs * self.num_train;
        let rate = (done - self.found) as f64 / self.started.elapsed().as_secs_f64().max(1e-9);
        let left = (all - done.min(all)) as f64 / rate.max(1e-9);
        format!(
            "fold {fold}/{}  epoch {epoch:>3}/{}  {:>3} % done  {images_per_sec:.0} images/s  \
             {} left",
            self.num_folds,
            self.num_epochs,
            100 * done / all.max(1),
            duration(left)
        )
    }

    pub(super) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
