//! An experiment that has been checked against its data, with nothing left open.

use pemm_data::augment::Augment;
use pemm_data::config::NoiseKind;
use serde_json::Value;

use crate::energy::EnergyConfig;
use crate::error::{ExperimentError, Result};
use crate::experiment::Experiment;
use crate::facts::{DataFacts, Parts};
use crate::layer::Layer;
use crate::model::ModelPlan;
use crate::objectives::ObjectiveKind;
use crate::regularisers::EnergyKind;

/// A checked experiment. Only [`Experiment::resolve`] makes one, and nobody changes it.
#[derive(Debug, Clone)]
pub struct Plan {
    experiment: Experiment,
    model: ModelPlan,
    augment: Augment,
    warnings: Vec<String>,
}

impl Plan {
    /// Every default filled in: what is written to the run folder and compared.
    pub fn experiment(&self) -> &Experiment {
        &self.experiment
    }

    /// The classifier.
    pub fn model(&self) -> &ModelPlan {
        &self.model
    }

    /// Changes of training images.
    pub fn augment(&self) -> Augment {
        self.augment
    }

    /// What is allowed but probably not meant.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The hash of the files that the experiment names beside its data written into it: with them it
    /// is what it will be in the record.
    ///
    /// # Errors
    /// Those of [`Experiment::pin_files`].
    pub fn pinned(mut self) -> Result<Self> {
        self.experiment.pin_files()?;
        Ok(self)
    }

    /// Every key and value, as records hold them.
    pub fn value(&self) -> Value {
        self.experiment.value()
    }

    /// Its text, as run folders hold it.
    pub fn text(&self) -> String {
        self.experiment.text()
    }

    /// The hash of its keys and values.
    pub fn identity(&self) -> String {
        self.experiment.identity()
    }
}

impl Experiment {
    /// Checks every value and fills in those that were left out.
    ///
    /// # Errors
    /// The first key whose value is out of range or does not go with another.
    pub fn resolve(mut self, facts: DataFacts) -> Result<Plan> {
        let mut warnings = Vec::new();
        let augment = Augment::resolve(&self.augment, facts.shape, facts.vectors)?;
        self.augment.flip = Some(augment.flip);
        self.augment.shift = Some(augment.shift);
        self.augment.crop = Some(augment.crop);
        // It came after the first records, whose experiments do not have it.
        self.augment.rotation = (augment.rotation > 0.0).then_some(augment.rotation);
        self.arm = Some(self.arm().to_owned());
        if self.arm().is_empty() || self.arm().contains(char::is_control) {
            let reason = "must be a name of one line; leave it out for the preset's";
            return Err(ExperimentError::setting("arm", reason));
        }
        let model = self.model.resolve(facts, self.pretrained.backbone.is_some())?;
        self.schedule.resolve(augment.flip, &mut warnings)?;
        let num_epochs = self.schedule.num_epochs();
        self.loss.resolve(model.head, facts.num_classes, num_epochs, &mut warnings)?;
        warnings.extend(self.unstable_energy(facts.num_classes));
        self.optim.check()?;
        let has_centers = model.head.has_centers();
        self.objective.resolve(has_centers, self.schedule.num_epochs())?;
        warnings.extend(self.without_effect());
        warnings.extend(self.hasty_patience());
        // The rate says nothing of labels that are given or of a matrix from a file.
        let rate_counts = ![NoiseKind::None, NoiseKind::Matrix].contains(&self.noise.kind);
        let draws_nothing =
            self.knows_that_nothing_was_drawn() || (rate_counts && self.noise.rate == 0.0);
        if draws_nothing && !self.loss.tags().is_empty() {
            warnings.push(
                "loss.matrix: \"noise\" is the identity where no noise is drawn, so this is cross \
                 entropy"
                    .into(),
            );
        }
        if self.loss.estimate_after().is_some() && self.objective.kind != ObjectiveKind::Plain {
            let reason = "\"estimated\" goes with objective.kind = \"plain\" only; give the matrix \
                          as a file (pemm evaluate RUN --noise-matrix FILE)";
            return Err(ExperimentError::setting("loss.matrix", reason));
        }
        let is_plain =
            self.objective.kind == ObjectiveKind::Plain && self.loss.estimate_after().is_none();
        let energy = &mut self.loss.energy;
        if !energy.is_on() {
            energy.full_at = 0.0;
        } else if energy.full_at > 0.0 && !is_plain {
            // The preset `pemm` has it, so it is no mistake of the one who asked for another objective.
            energy.full_at = 0.0;
            let warning = "loss.energy.full_at goes with objective.kind = \"plain\", and with a loss \
                           that estimates nothing, only; the energy has its full weight";
            warnings.push(warning.into());
        }
        self.check_trusted_loss()?;
        if let Some(parts) = facts.parts {
            self.check_parts(parts)?;
        }
        Ok(Plan { experiment: self, model, augment, warnings })
    }

    /// A loss that corrects for wrong labels would correct those too that are known to be right.
    fn check_trusted_loss(&self) -> Result<()> {
        let (loss, objective) = (self.loss.kind, self.objective.kind);
        if !objective.uses_trusted() || loss.method().parameter("matrix").is_none() {
            return Ok(());
        }
        let reason = format!(
            "{:?} takes every label for wrong as often as its matrix says, and objective.kind = {:?} learns \
             from labels that are known to be right: use loss.kind = \"ce\"",
            loss.name(),
            objective.name()
        );
        Err(ExperimentError::setting("loss.kind", reason))
    }

    /// Whether the parts of the data are there that the experiment needs.
    fn check_parts(&self, Parts { num_train, has_val }: Parts) -> Result<()> {
        if self.schedule.patience.is_some() && !has_val {
            let reason = "chooses by the validation part, and there is none: set data.val_rate";
            return Err(ExperimentError::setting("schedule.patience", reason));
        }
        if num_train < 2 {
            let reason = format!("{num_train} training sample is too few, at least 2 are needed");
            return Err(ExperimentError::setting("data", reason));
        }
        Ok(())
    }

    /// Settings that were changed from the preset's, and that nothing looks at.
    fn without_effect(&self) -> Vec<String> {
        let Ok(preset) = Self::from_layers(&[Layer::of_preset(&self.preset)]) else {
            return Vec::new(); // of another version
        };
        let mut warnings = Vec::new();
        let mut warn = |key: &str, reason: &str| {
            warnings.push(format!("{key}: has no effect, since {reason}"));
        };
        let energy = &self.loss.energy;
        let kind = EnergyKind::None;
        let as_if_off = |energy: &EnergyConfig| EnergyConfig { kind, ..energy.clone() };
        if energy.kind == kind && as_if_off(energy) != as_if_off(&preset.loss.energy) {
            warn("loss.energy", "loss.energy.kind = \"none\"");
        }
        if energy.kind == EnergyKind::Margin && energy.beta != preset.loss.energy.beta {
            warn("loss.energy.beta", "loss.energy.kind = \"margin\" has no offset");
        }
        warnings
    }

    /// Patience that may end before rate and method are what they are to be.
    fn hasty_patience(&self) -> Option<String> {
        let of_method = self.objective.warmup_epochs().max(self.loss.estimate_after());
        let begins = self.schedule.warmup_epochs.max(of_method.unwrap_or(0));
        self.schedule.patience.filter(|&patience| patience <= begins).map(|patience| {
            format!(
                "schedule.patience: {patience} epochs without progress may end the run during \
                 the {begins} warm-up epochs; use more"
            )
        })
    }

    /// Near rest a center is held by K pairs, so gradient descent with momentum μ is stable only
    /// where `lr · λ · share · (K + 1) · E''(r0) < 2 (1 + μ)`; beyond, the centers fly apart.
    fn unstable_energy(&self, num_classes: usize) -> Option<String> {
        let energy = &self.loss.energy;
        let (_, share) = energy.pairs.shares(num_classes, true);
        let pull = energy.weight * share * (num_classes + 1) as f64;
        let stiffness = self.optim.learning_rate * pull * energy.potential().stiffness();
        let limit = 2.0 * (1.0 + self.optim.momentum);
        (energy.is_on() && stiffness > limit).then(|| {
            format!(
                "loss.energy.weight: with {num_classes} classes and this learning rate the energy \
                 throws the centers apart ({stiffness:.1} is above {limit:.1}); use \
                 loss.energy.pairs = \"per-center\", or a smaller weight or learning rate"
            )
        })
    }
}
