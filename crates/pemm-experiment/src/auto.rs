//! `preset = "auto"`: nobody knows the noise of somebody's data, so some presets are tried before one is
//! trained. What is tried, and for how long.
//!
//! A candidate is tried by runs like any other: on one half of the training samples, for a part of the
//! epochs, judged by the given labels of the other half ([`Auto::trial`]). A held-out tenth would be too
//! few noisy labels to tell methods apart; a half is five times as many, and costs half of a run.

use toml::{Table, Value};

use crate::error::{ExperimentError, Result};
use crate::experiment::Experiment;
use crate::heads::HeadKind;
use crate::kind::Kind;
use crate::layer::Layer;

/// The word that asks for it.
pub const NAME: &str = "auto";
/// What it is, as the files of the presets say it of themselves.
pub const TEXT: &str = "\
# Tries a few presets by noisy validation labels and trains the best, where nobody knows the noise. It is no
# method itself, so only `pemm train` and `pemm explain` know it; `pemm explain DATA --preset auto` says what
# would be tried. Where it was measured, always `elr` or always `pemm` gave better models
# (docs/guide/auto.md).
";
/// What is tried, the simplest first: it is taken where the labels do not tell the better ones from it.
/// docs/guide/auto.md says why these.
pub const CANDIDATES: [&str; 4] = ["sce", "nce-rce", "elr", "pemm"];
/// Parts into which the training samples fall, each the held-out one of a round.
pub const NUM_FOLDS: usize = 2;
/// Most that trials and run cost together, in runs.
pub const BUDGET: f64 = 3.0;

/// The candidates on some data, none of them checked yet.
#[derive(Debug, Clone)]
pub struct Auto {
    candidates: Vec<Experiment>,
    budget: f64,
}

impl Auto {
    /// Whether the topmost of `layers` that names a preset names this one.
    pub fn is_asked_for(layers: &[Layer]) -> bool {
        layers.iter().rev().find_map(Layer::preset) == Some(NAME)
    }

    /// The candidates under `layers`, for `budget` runs together.
    ///
    /// # Errors
    /// A budget that leaves nothing for trials, a key that is a candidate's own, and those of
    /// [`Experiment::from_layers`].
    pub fn from_layers(layers: &[Layer], budget: f64) -> Result<Self> {
        if !(budget > 1.0 && budget <= 100.0) {
            let reason = format!(
                "must be above 1, which is what the chosen run itself costs, and at most 100, is {budget}"
            );
            return Err(ExperimentError::setting("budget", reason));
        }
        for layer in layers {
            refuse_keys_of_methods(&layer.table)?;
        }
        let candidate = |name: &&str| {
            let layers: Vec<Layer> =
                layers.iter().cloned().chain([Layer::of_preset(name)]).collect();
            Experiment::from_layers(&layers)
        };
        Ok(Self { candidates: CANDIDATES.iter().map(candidate).collect::<Result<_>>()?, budget })
    }

    /// What is tried, the simplest first.
    pub fn candidates(&self) -> &[Experiment] {
        &self.candidates
    }

    /// Most that trials and run cost together, in runs.
    pub fn budget(&self) -> f64 {
        self.budget
    }

    /// How many candidates are tried in each round: all, then the better half.
    pub fn rounds(&self) -> [usize; NUM_FOLDS] {
        [self.candidates.len(), self.candidates.len().div_ceil(2)]
    }

    /// Epochs of a trial on `num_half` samples, so that with a whole run on `num_train` samples all of
    /// them keep to the budget: the largest e with `n e num_half ≤ (budget - 1) epochs num_train` for n
    /// trials; at least 1, at most those of the run.
    pub fn trial_epochs(&self, num_half: usize, num_train: usize) -> usize {
        let num_epochs = self.candidates[0].schedule.num_epochs;
        let num_trials: usize = self.rounds().iter().sum();
        let left = (self.budget - 1.0) * (num_epochs * num_train) as f64;
        let epochs = left / (num_trials * num_half).max(1) as f64;
        // A share that is whole but for its rounding is whole.
        ((epochs + 1e-9) as usize).clamp(1, num_epochs.max(1))
    }

    /// The trial of `candidate` in `round`, from 1: fold `round` is held out, and the learning rate takes
    /// its whole way in `num_epochs`. The test part is scored once, for the trial's own record.
    pub fn trial(candidate: &Experiment, round: usize, num_epochs: usize) -> Experiment {
        let mut trial = candidate.clone();
        trial.data.fold = Some([round, NUM_FOLDS]);
        trial.schedule = candidate.schedule.shortened(num_epochs);
        trial.schedule.score_every = 0;
        trial
    }
}

/// Keys that belong to a method, or to how `auto` tries it.
fn refuse_keys_of_methods(table: &Table) -> Result<()> {
    let section = |name: &str| table.get(name).and_then(Value::as_table).into_iter().flatten();
    let of_heads: Vec<&str> = HeadKind::parameters().into_iter().map(|p| p.key).collect();
    let loss =
        section("loss").map(|(key, _)| ("loss", key)).filter(|(_, key)| *key != "class_weights");
    let objective = section("objective").map(|(key, _)| ("objective", key));
    let model = section("model").map(|(key, _)| ("model", key));
    let model = model.filter(|(_, key)| *key == "head" || of_heads.contains(&key.as_str()));
    if let Some((section, key)) = loss.chain(objective).chain(model).next() {
        let reason = format!(
            "is part of a method, and preset = {NAME:?} chooses among several: leave it out, or name \
             one preset"
        );
        return Err(ExperimentError::setting(format!("{section}.{key}"), reason));
    }
    let used = [("schedule", "patience"), ("data", "fold")];
    match used.iter().find(|(name, key)| section(name).any(|(found, _)| found == key)) {
        Some((section, key)) => {
            let reason =
                format!("does not go with preset = {NAME:?}, which holds out halves itself");
            Err(ExperimentError::setting(format!("{section}.{key}"), reason))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::presets::PRESETS;
    use crate::schedule::ScheduleKind;

    fn auto(assignments: &[&str]) -> Result<Auto> {
        let layers = assignments.iter().chain(&["preset=auto"]).map(|a| Layer::from_assignment(a));
        let layers: Vec<Layer> = layers.collect::<Result<_>>()?;
        assert!(Auto::is_asked_for(&layers));
        Auto::from_layers(&layers, BUDGET)
    }

    #[test]
    fn every_candidate_is_a_preset_and_costs_as_much_as_another() {
        let auto = auto(&["seed=3"]).unwrap();
        for (experiment, name) in auto.candidates().iter().zip(CANDIDATES) {
            assert_eq!((experiment.preset.as_str(), experiment.seed), (name, 3));
            assert!(PRESETS.iter().any(|(preset, _)| *preset == name));
            assert_eq!(experiment.objective.kind.num_networks(), 1, "{name}");
            assert_eq!(experiment.schedule, auto.candidates()[0].schedule, "{name}");
            assert!(experiment.tags().is_empty(), "{name} knows what nobody knows");
        }
    }

    #[test]
    fn trials_and_run_keep_to_the_budget() {
        let layers = [Layer::of_preset(NAME)];
        for budget in [1.5, 2.0, 3.0, 5.0] {
            let auto = Auto::from_layers(&layers, budget).unwrap();
            let num_trials: usize = auto.rounds().iter().sum();
            let (half, whole) = (500, 900);
            let epochs = auto.trial_epochs(half, whole);
            let cost = |epochs: usize| 1.0 + (num_trials * epochs * half) as f64 / (50.0 * 900.0);
            assert!(cost(epochs) <= budget + 1e-9, "{budget}: {epochs}");
            assert!(epochs == 50 || cost(epochs + 1) > budget, "{budget}: {epochs}");
        }
        // However small the budget is, a trial is a trial.
        let auto = Auto::from_layers(&layers, 1.001).unwrap();
        assert_eq!(auto.trial_epochs(500, 900), 1);
        for budget in [1.0, 0.0, 101.0, f64::NAN] {
            let error = Auto::from_layers(&layers, budget).unwrap_err().to_string();
            assert!(error.starts_with("budget: must be above 1"), "{error}");
        }
    }

    #[test]
    fn a_trial_is_its_candidate_on_a_half_in_fewer_epochs() {
        let auto = auto(&["noise.kind=symmetric", "noise.rate=0.4"]).unwrap();
        let candidate = &auto.candidates()[0];
        let trial = Auto::trial(candidate, 2, 11);
        assert_eq!(trial.data.fold, Some([2, NUM_FOLDS]));
        assert_eq!((trial.schedule.num_epochs, trial.schedule.score_every), (11, 0));
        assert_eq!(trial.schedule.kind, ScheduleKind::OneCycle);
        let mut same = trial;
        same.data.fold = None;
        same.schedule = candidate.schedule.clone();
        assert_eq!(same, *candidate);
    }

    #[test]
    fn keys_of_methods_and_of_trials_are_refused() {
        for (key, why) in [
            ("loss.kind=ce", "is part of a method"),
            ("loss.energy.weight=0", "is part of a method"),
            ("objective.kind=mixup", "is part of a method"),
            ("model.sigma=2", "is part of a method"),
            ("schedule.patience=3", "does not go with preset = \"auto\""),
            ("data.fold=[1, 2]", "does not go with preset = \"auto\""),
        ] {
            let error = auto(&[key]).unwrap_err().to_string();
            let name = key.split('=').next().unwrap();
            assert!(error.contains(why), "{error}");
            assert!(error.starts_with(name) || error.starts_with("loss.energy"), "{error}");
        }
        auto(&["loss.class_weights=balanced", "model.width=8", "schedule.num_epochs=4"]).unwrap();
    }

    #[test]
    fn it_is_no_preset_where_one_method_is_wanted() {
        let error = Experiment::from_layers(&[Layer::of_preset(NAME)]).unwrap_err().to_string();
        assert!(error.contains("chooses among") && error.contains("pemm train"), "{error}");
    }
}
