//! What the dashboard knows: facts of the run, its finished epochs, and how far the one under way
//! is. Times are since the dashboard began, so that nothing here looks at a clock.

use std::collections::VecDeque;
use std::path::Path;
use std::time::Duration;

use pemm::train::Event;
use pemm_experiment::Plan;
use pemm_runs::{EpochRecord, Record};

use pemm_runs::process::Memory;

/// How long back the rate looks.
const RATE_WINDOW: Duration = Duration::from_secs(10);
/// Epochs over which the time of an epoch is averaged.
const EPOCHS_AVERAGED: usize = 5;

/// What does not change.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    /// Data, arm and noise.
    pub(crate) title: String,
    /// Where the run lies.
    pub(crate) folder: String,
    pub(crate) num_epochs: usize,
    /// Steps of an epoch.
    pub(crate) num_steps: usize,
    /// What is allowed but probably not meant.
    pub(crate) warnings: Vec<String>,
    /// Whether the classes have centers.
    pub(crate) has_centers: bool,
    /// Distance at which the potential of the centers is smallest, if there is one.
    pub(crate) rest_distance: Option<f64>,
    /// Whether it is known which training labels are wrong, and any is.
    pub(crate) knows_flips: bool,
}

impl Facts {
    /// The facts of a run that starts.
    pub(crate) fn of(
        folder: &Path,
        plan: &Plan,
        warnings: &[String],
        record: &Record,
        num_steps: usize,
    ) -> Self {
        let energy = &plan.experiment().loss.energy;
        let rate = record.noise.realised_rate;
        let noise = rate.map_or(String::new(), |rate| format!(" {:.1} %", 100.0 * rate));
        let Record { data, arm, .. } = record;
        Self {
            title: format!("{} · {arm} · noise {}{noise}", data.name, record.noise.convention),
            folder: folder.display().to_string(),
            num_epochs: plan.experiment().schedule.num_epochs(),
            num_steps,
            warnings: warnings.to_vec(),
            has_centers: plan.model().head.has_centers(),
            rest_distance: energy.is_on().then(|| energy.potential().rest_distance()),
            knows_flips: record.noise.num_flipped.is_some_and(|flipped| flipped > 0),
        }
    }
}

/// What is shown.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) facts: Facts,
    /// Every finished epoch, those of earlier starts included.
    pub(crate) epochs: Vec<EpochRecord>,
    /// Steps done in the epoch under way.
    pub(crate) steps_done: usize,
    /// Whether somebody asked to stop.
    pub(crate) stopping: bool,
    pub(crate) memory: Option<Memory>,
    /// Epochs of earlier starts, whose times say nothing about this one.
    num_earlier: usize,
    epoch_began: Duration,
    /// Time and images of the last steps.
    recent: VecDeque<(Duration, usize)>,
    images_per_sec: Option<f64>,
}

impl State {
    /// Before the first step of this start; `epochs` are those of earlier ones.
    pub(crate) fn new(facts: Facts, epochs: Vec<EpochRecord>) -> Self {
        Self {
            facts,
            num_earlier: epochs.len(),
            epochs,
            steps_done: 0,
            stopping: false,
            memory: None,
            epoch_began: Duration::ZERO,
            recent: VecDeque::new(),
            images_per_sec: None,
        }
    }

    /// Takes up what happened at `now`.
    pub(crate) fn note(&mut self, event: &Event<'_>, now: Duration) {
        match event {
            Event::Started { .. } => {}
            &Event::Step(_, step, num_samples) => self.step(step, num_samples, now),
            Event::Epoch(epoch) => {
                self.epochs.push((*epoch).clone());
                self.steps_done = 0;
                self.epoch_began = now;
                // The evaluation between two epochs is no part of the training rate.
                self.recent.clear();
            }
        }
    }

    fn step(&mut self, step: usize, num_samples: usize, now: Duration) {
        self.steps_done = step;
        self.recent.push_back((now, num_samples));
        while self.recent.len() > 2 && now - self.recent[0].0 > RATE_WINDOW {
            self.recent.pop_front();
        }
        // The first entry only says when the others began.
        let images: usize = self.recent.iter().skip(1).map(|(_, images)| images).sum();
        let seconds = (now - self.recent[0].0).as_secs_f64();
        if images > 0 && seconds > 0.0 {
            self.images_per_sec = Some(images as f64 / seconds);
        }
    }

    /// Number of the epoch under way, from 1; the last one once all are done.
    pub(crate) fn epoch(&self) -> usize {
        (self.epochs.len() + 1).min(self.facts.num_epochs)
    }

    /// Share of the run that is done, 0–1.
    pub(crate) fn share(&self) -> f64 {
        let epochs = self.epochs.len() as f64 + self.epoch_share();
        (epochs / self.facts.num_epochs.max(1) as f64).min(1.0)
    }

    /// Share of the epoch's steps that is done, 0–1.
    pub(crate) fn epoch_share(&self) -> f64 {
        self.steps_done as f64 / self.facts.num_steps.max(1) as f64
    }

    /// Whether the steps of the epoch are done and it is being judged.
    pub(crate) fn is_evaluating(&self) -> bool {
        self.steps_done > 0 && self.steps_done == self.facts.num_steps
    }

    /// Training images per second over the last steps, once there were two.
    pub(crate) fn images_per_sec(&self) -> Option<f64> {
        self.images_per_sec
    }

    /// Time to the end of the run, from the last epochs of this start, or from the steps of its
    /// first one; `None` while neither tells.
    pub(crate) fn time_left(&self, now: Duration) -> Option<Duration> {
        let in_epoch = now.saturating_sub(self.epoch_began).as_secs_f64();
        let own = &self.epochs[self.num_earlier..];
        let last = &own[own.len().saturating_sub(EPOCHS_AVERAGED)..];
        let left = (self.facts.num_epochs - self.epochs.len().min(self.facts.num_epochs)) as f64;
        let seconds = if last.is_empty() {
            let share = self.epoch_share();
            (share > 0.0).then(|| in_epoch / share * left - in_epoch)?
        } else {
            let mean = last.iter().map(|epoch| epoch.seconds).sum::<f64>() / last.len() as f64;
            mean * left - in_epoch.min(mean)
        };
        Duration::try_from_secs_f64(seconds.max(0.0)).ok()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeMap;

    use pemm_runs::{CenterStats, Scored};

    use super::*;

    /// A run of 60 epochs of 45 steps.
    pub(crate) fn facts() -> Facts {
        Facts {
            title: "digits · pemm · noise symmetric 40.0 %".into(),
            folder: "runs/digits-pemm-1".into(),
            num_epochs: 60,
            num_steps: 45,
            warnings: Vec::new(),
            has_centers: true,
            rest_distance: Some(0.45),
            knows_flips: true,
        }
    }

    /// Epoch number `epoch` of a run that learns.
    pub(crate) fn epoch(epoch: usize) -> EpochRecord {
        let progress = 1.0 - (-(epoch as f64) / 8.0).exp();
        EpochRecord {
            epoch,
            learning_rate: 0.01,
            loss: -60.0 - 4.0 * progress,
            terms: BTreeMap::from([
                ("energy".into(), -62.0 - 3.0 * progress),
                ("loss".into(), 2.5 - 1.5 * progress),
            ]),
            train_accuracy_given: 0.1 + 0.5 * progress,
            val_accuracy_given: Some(0.1 + 0.45 * progress),
            mean_max_softmax: 0.2 + 0.4 * progress,
            mean_prediction_entropy: 2.0 - progress,
            centers: Some(CenterStats {
                min_distance: 0.3 + 0.15 * progress,
                mean_distance: 0.6 - 0.15 * progress,
                max_distance: 0.9 - 0.45 * progress,
                sum_with_origin: 30.0,
                energy: -62.0 - 3.0 * progress,
            }),
            images_per_sec: 9000.0,
            seconds: 2.0,
            cpu_seconds: None,
            scored: Some(Scored {
                test_accuracy: Some(0.1 + 0.8 * progress),
                clean_fitted: Some((800.0 * progress) as usize),
                num_clean: Some(860),
                flipped_fitted: Some((100.0 * progress * progress) as usize),
                flipped_corrected: Some((400.0 * progress) as usize),
                num_flipped: Some(577),
                ..Scored::default()
            }),
        }
    }

    fn seconds(state: &State, now: u64) -> Option<u64> {
        state.time_left(Duration::from_secs(now)).map(|left| left.as_secs())
    }

    #[test]
    fn time_left_comes_from_steps_and_then_from_epochs() {
        let mut state = State::new(facts(), Vec::new());
        assert_eq!(seconds(&state, 0), None);
        // A third of the first epoch in 4 seconds: 60 epochs take 720.
        state.note(&Event::Step(1, 15, 32), Duration::from_secs(4));
        assert_eq!(seconds(&state, 4), Some(716));
        state.note(&Event::Epoch(&epoch(1)), Duration::from_secs(12));
        // An epoch takes 2 seconds by its record; one of them is over.
        assert_eq!(seconds(&state, 13), Some(117));
        // An epoch that takes longer than the others does not make the rest negative.
        assert_eq!(seconds(&state, 500), Some(116));
    }

    #[test]
    fn a_continued_run_is_not_judged_by_the_times_of_before() {
        let mut state = State::new(facts(), (1..=30).map(epoch).collect());
        assert_eq!((state.epoch(), state.share()), (31, 0.5));
        assert_eq!(seconds(&state, 3), None);
        state.note(&Event::Step(31, 9, 32), Duration::from_secs(1));
        assert_eq!(seconds(&state, 1), Some(149));
    }

    #[test]
    fn the_rate_is_that_of_the_last_steps_without_evaluation() {
        let mut state = State::new(facts(), Vec::new());
        state.note(&Event::Step(1, 1, 100), Duration::from_secs(1));
        assert_eq!(state.images_per_sec(), None);
        state.note(&Event::Step(1, 2, 100), Duration::from_secs(2));
        state.note(&Event::Step(1, 3, 100), Duration::from_secs(3));
        assert_eq!(state.images_per_sec(), Some(100.0));
        state.note(&Event::Epoch(&epoch(1)), Duration::from_secs(100));
        state.note(&Event::Step(2, 1, 100), Duration::from_secs(200));
        assert_eq!(state.images_per_sec(), Some(100.0));
        for second in 201..=260 {
            state.note(&Event::Step(2, 2, 300), Duration::from_secs(second));
        }
        assert_eq!(state.images_per_sec(), Some(300.0));
    }

    #[test]
    fn the_end_is_the_end() {
        let mut state = State::new(facts(), (1..60).map(epoch).collect());
        state.note(&Event::Step(60, 45, 32), Duration::from_secs(1));
        assert!(state.is_evaluating() && state.epoch() == 60);
        state.note(&Event::Epoch(&epoch(60)), Duration::from_secs(2));
        assert_eq!((state.epoch(), state.share(), seconds(&state, 2)), (60, 1.0, Some(0)));
        assert!(!state.is_evaluating());
    }
}
