//! How long a grid still takes, and whether another run may start now.

use std::collections::BTreeMap;

use crate::process::Memory;

/// Measured seconds per epoch, by arm.
#[derive(Debug, Clone, Default)]
pub struct Pace {
    arms: BTreeMap<String, Measured>,
    all: Measured,
}

#[derive(Debug, Clone, Copy, Default)]
struct Measured {
    seconds: f64,
    epochs: usize,
}

impl Measured {
    fn add(&mut self, seconds: f64, epochs: usize) {
        self.seconds += seconds;
        self.epochs += epochs;
    }

    fn per_epoch(&self) -> Option<f64> {
        (self.epochs > 0).then(|| self.seconds / self.epochs as f64)
    }
}

impl Pace {
    /// Takes `epochs` epochs of `arm` into account, which took `seconds` together. What is not
    /// finite is left out.
    pub fn add(&mut self, arm: &str, seconds: f64, epochs: usize) {
        if seconds.is_finite() && seconds >= 0.0 {
            self.arms.entry(arm.to_owned()).or_default().add(seconds, epochs);
            self.all.add(seconds, epochs);
        }
    }

    /// Seconds that `epochs` epochs of `arm` will take: at the arm's own pace if one of its epochs
    /// was measured, else at the mean pace; unknown before the first epoch.
    pub fn seconds(&self, arm: &str, epochs: usize) -> Option<f64> {
        let own = self.arms.get(arm).and_then(Measured::per_epoch);
        own.or_else(|| self.all.per_epoch()).map(|pace| pace * epochs as f64)
    }

    /// Seconds until all of `todo`, arms with the epochs that are to come, are done by `jobs` runs
    /// at once. Epochs were measured while as many ran, so their pace holds for that.
    pub fn left<'a>(
        &self,
        todo: impl IntoIterator<Item = (&'a str, Option<usize>)>,
        jobs: usize,
    ) -> Option<f64> {
        let each: Option<Vec<f64>> =
            todo.into_iter().map(|(arm, epochs)| self.seconds(arm, epochs?)).collect();
        let each = each?;
        let longest = each.iter().copied().fold(0.0, f64::max);
        Some(longest.max(each.iter().sum::<f64>() / jobs.max(1) as f64))
    }
}

/// What a grid may use.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    /// Most runs at once.
    pub jobs: usize,
    /// Most memory of all runs together in bytes, if there is a limit beside the machine's own.
    pub memory: Option<u64>,
}

impl Budget {
    /// Whether another run may start beside `running`.
    ///
    /// `largest` is the most that a run took which has come through an epoch, and `free` what the
    /// system can still give. A run takes its memory bit by bit, so those that run are counted with
    /// what they will take. Until a first run is measured only one goes; where the system tells
    /// nothing about memory, only `jobs` counts. One run may always go.
    pub fn has_room(&self, running: &[Memory], largest: Option<u64>, free: Option<u64>) -> bool {
        if running.is_empty() || running.len() >= self.jobs {
            return running.len() < self.jobs.max(1);
        }
        let (Some(free), Some(largest)) = (free, largest) else { return free.is_none() };
        let to_come: u64 = running.iter().map(|run| largest.saturating_sub(run.resident)).sum();
        let taken: u64 = running.iter().map(|run| run.peak.max(largest)).sum();
        free.saturating_sub(to_come) >= largest
            && self.memory.is_none_or(|limit| taken.saturating_add(largest) <= limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arms_have_a_pace_of_their_own_and_the_mean_before() {
        let mut pace = Pace::default();
        assert_eq!(pace.left([("ce", Some(3))], 1), None);
        assert_eq!(pace.left([], 1), Some(0.0));
        pace.add("ce", 20.0, 10);
        pace.add("twice", 40.0, 10);
        pace.add("ce", f64::NAN, 10);
        assert_eq!(pace.seconds("ce", 5), Some(10.0));
        assert_eq!(pace.seconds("twice", 5), Some(20.0));
        assert_eq!(pace.seconds("new", 5), Some(15.0));
        assert_eq!(
            pace.left([("ce", Some(5)), ("twice", Some(5)), ("new", Some(5))], 1),
            Some(45.0)
        );
        assert_eq!(
            pace.left([("ce", Some(5)), ("twice", Some(5)), ("new", Some(5))], 2),
            Some(22.5)
        );
        assert_eq!(
            pace.left([("ce", Some(5)), ("twice", Some(5))], 8),
            Some(20.0),
            "the longest run"
        );
    }

    #[test]
    fn memory_holds_runs_back() {
        let run = |resident, peak| Memory { resident, peak };
        let budget = Budget { jobs: 3, memory: None };
        assert!(budget.has_room(&[], None, Some(0)), "one run always goes");
        assert!(!budget.has_room(&[run(5, 5)], None, Some(1000)), "measure first");
        assert!(budget.has_room(&[run(5, 5)], None, None), "a system that tells nothing");
        assert!(budget.has_room(&[run(100, 100)], Some(100), Some(100)));
        assert!(!budget.has_room(&[run(100, 100)], Some(100), Some(99)));
        assert!(!budget.has_room(&[run(40, 40)], Some(100), Some(150)), "it will take 60 more");
        assert!(budget.has_room(&[run(40, 40)], Some(100), Some(160)));
        assert!(!budget.has_room(&[run(1, 1); 3], Some(1), Some(1000)), "three at once");
        let limited = Budget { jobs: 3, memory: Some(250) };
        assert!(limited.has_room(&[run(100, 100)], Some(100), Some(1000)));
        assert!(!limited.has_room(&[run(100, 100); 2], Some(100), Some(1000)));
        assert!(!Budget { jobs: 1, memory: None }.has_room(&[run(1, 1)], Some(1), Some(1000)));
    }
}
