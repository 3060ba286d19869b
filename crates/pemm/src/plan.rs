//! An experiment that has been checked against its data, with nothing left open.

use pemm_data::augment::Augment;
use pemm_data::config::NoiseKind;
use pemm_data::noise::Transition;
use pemm_data::prepare::Prepared;
use pemm_data::{Pixels, Shape};

use crate::backbone::{BackboneKind, Cnn8, ResNet, ResNet50};
use crate::energy::CenterPotential;
use crate::error::{Error, Result};
use crate::experiment::{EnergyConfig, EnergyKind, Experiment, Layer, LossContext};
use crate::head::HeadKind;
use crate::model::ModelPlan;
use crate::objective::{EstimatedForward, Objective, ObjectiveKind};
use crate::schedule::ScheduleKind;

/// What the data say that an experiment leaves to them.
#[derive(Debug, Clone, Copy)]
pub struct DataFacts {
    /// Size of a sample.
    pub shape: Shape,
    /// Whether samples are feature vectors.
    pub vectors: bool,
    /// Number of classes K.
    pub num_classes: usize,
}

impl DataFacts {
    /// The facts of prepared data.
    pub fn of(prepared: &Prepared) -> Self {
        Self {
            shape: prepared.shape,
            vectors: matches!(*prepared.train.pixels, Pixels::Vectors(_)),
            num_classes: prepared.classes.len(),
        }
    }
}

/// A checked experiment.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Every default filled in: what is written to the run folder and compared.
    pub experiment: Experiment,
    /// The classifier.
    pub model: ModelPlan,
    /// Changes of training images.
    pub augment: Augment,
    /// What is allowed but probably not meant.
    pub warnings: Vec<String>,
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
        self.arm = Some(self.arm().to_owned());
        if self.arm().is_empty() || self.arm().contains(char::is_control) {
            let reason = "must be a name of one line; leave it out for the preset's";
            return Err(Error::setting("arm", reason));
        }
        let model = self.resolve_model(facts)?;
        let num_epochs = self.schedule.num_epochs;
        self.loss.resolve(model.head, facts.num_classes, num_epochs, &mut warnings)?;
        warnings.extend(self.unstable_energy(facts.num_classes));
        self.check_optim()?;
        self.check_schedule(&mut warnings)?;
        let has_centers = model.head == HeadKind::Distance;
        self.objective.resolve(has_centers, self.schedule.num_epochs)?;
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
        if self.loss.estimate_after.is_some() && self.objective.kind != ObjectiveKind::Plain {
            let reason = "\"estimated\" goes with objective.kind = \"plain\" only; give the matrix \
                          as a file (pemm evaluate RUN --noise-matrix FILE)";
            return Err(Error::setting("loss.matrix", reason));
        }
        Ok(Plan { experiment: self, model, augment, warnings })
    }

    /// What a training step of a checked experiment minimises, for a training part of `num_samples`.
    ///
    /// # Errors
    /// Those of [`LossConfig::loss`](crate::experiment::LossConfig::loss).
    pub fn build_objective(
        &self,
        context: &LossContext,
        num_samples: usize,
    ) -> Result<Box<dyn Objective>> {
        let mut context = context.clone();
        if self.knows_that_nothing_was_drawn() {
            context.noise.get_or_insert_with(|| Transition::identity(context.num_classes));
        }
        let base = self.loss.center_objective(&context)?;
        let num_classes = context.num_classes;
        Ok(match self.loss.estimate_after {
            Some(after) => Box::new(EstimatedForward::new(base, after, num_classes)),
            None => self.objective.build(base, num_samples, num_classes),
        })
    }

    /// Whether the labels are those of the data set itself: no noise on them, and none in their
    /// place, so that what a noise model has to know is known.
    fn knows_that_nothing_was_drawn(&self) -> bool {
        self.noise.kind == NoiseKind::None && self.data.labels.is_none()
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
        if self.model.head != HeadKind::Distance && self.model.sigma != preset.model.sigma {
            warn("model.sigma", "only model.head = \"distance\" has a radius");
        }
        warnings
    }

    /// Patience that may end before rate and method are what they are to be.
    fn hasty_patience(&self) -> Option<String> {
        let of_method = self.objective.warmup_epochs.max(self.loss.estimate_after);
        let begins = self.schedule.warmup_epochs.max(of_method.unwrap_or(0));
        self.schedule.patience.filter(|&patience| patience <= begins).map(|patience| {
            format!(
                "schedule.patience: {patience} epochs may be over before the {begins} of the \
                 warm-up are; use more"
            )
        })
    }

    fn resolve_model(&mut self, facts: DataFacts) -> Result<ModelPlan> {
        let Shape { height, width: across, .. } = facts.shape;
        let side = height.min(across);
        let config = &mut self.model;
        let by_data =
            if facts.vectors || side < 16 { BackboneKind::Mlp } else { BackboneKind::Cnn8 };
        let backbone = *config.backbone.get_or_insert(by_data);
        let smallest = match backbone {
            BackboneKind::Mlp => 0,
            BackboneKind::Resnet50 => ResNet50::SMALLEST_SIDE,
            _ => Cnn8::SMALLEST_SIDE,
        };
        if smallest > 0 && (facts.vectors || side < smallest) {
            return Err(Error::setting(
                "model.backbone",
                format!(
                    "this network needs images of at least {smallest}×{smallest} pixels, these are \
                     {height}×{across}; use model.backbone = \"mlp\""
                ),
            ));
        }
        let width = match backbone {
            BackboneKind::Cnn8 => *config.width.get_or_insert(64),
            BackboneKind::Mlp => *config.width.get_or_insert(128),
            _ if config.width.is_some() => {
                let reason = "the ResNets have the widths of their paper; leave it out";
                return Err(Error::setting("model.width", reason));
            }
            _ => ResNet::CHANNELS[0],
        };
        within("model.width", width as f64, 1.0, 4096.0)?;
        within("model.dropout", config.dropout, 0.0, 0.95)?;
        positive("model.sigma", config.sigma)?;
        let head = config.head.method();
        head.fill("model", "model.head", "scale", &mut config.scale)?;
        head.fill("model", "model.head", "margin", &mut config.margin)?;
        Ok(ModelPlan {
            backbone,
            width,
            unit_norm: config.unit_norm,
            dropout: config.dropout,
            head: config.head,
            sigma: config.sigma,
            scale: config.scale,
            margin: config.margin,
        })
    }

    /// Near rest a center is held by K pairs, so gradient descent with momentum μ is stable only
    /// where `lr · λ · share · (K + 1) · E''(r0) < 2 (1 + μ)`; beyond, the centers fly apart.
    fn unstable_energy(&self, num_classes: usize) -> Option<String> {
        let energy = &self.loss.energy;
        let potential = CenterPotential::new(energy.potential(), energy.pairs);
        let share = potential.share_between(num_classes);
        let pull = energy.weight * share * (num_classes + 1) as f64;
        let stiffness = self.optim.learning_rate * pull * potential.potential.stiffness();
        let limit = 2.0 * (1.0 + self.optim.momentum);
        (energy.is_on() && stiffness > limit).then(|| {
            format!(
                "loss.energy.weight: with {num_classes} classes and this learning rate the energy \
                 throws the centers apart ({stiffness:.1} is above {limit:.1}); use \
                 loss.energy.pairs = \"per-center\", or a smaller weight or learning rate"
            )
        })
    }

    fn check_optim(&self) -> Result<()> {
        let optim = &self.optim;
        positive("optim.learning_rate", optim.learning_rate)?;
        if !(0.0..1.0).contains(&optim.momentum) {
            let reason = format!("must be from 0 up to but not 1, is {}", optim.momentum);
            return Err(Error::setting("optim.momentum", reason));
        }
        not_negative("optim.weight_decay", optim.weight_decay)?;
        not_negative("optim.weight_decay_centers", optim.weight_decay_centers)?;
        not_negative("optim.weight_decay_norm", optim.weight_decay_norm)?;
        optim.clip_norm.map_or(Ok(()), |limit| positive("optim.clip_norm", limit))
    }

    fn check_schedule(&mut self, warnings: &mut Vec<String>) -> Result<()> {
        let schedule = &mut self.schedule;
        within("schedule.num_epochs", schedule.num_epochs as f64, 1.0, 1e6)?;
        within("schedule.batch_size", schedule.batch_size as f64, 2.0, 1e6)?;
        if schedule.kind != ScheduleKind::Step && !schedule.milestones.is_empty() {
            let reason = "goes with schedule.kind = \"step\" only";
            return Err(Error::setting("schedule.milestones", reason));
        }
        if schedule.kind == ScheduleKind::Step && schedule.milestones.is_empty() {
            let reason = "is empty; name the epochs at which the rate falls, for example [40, 80], \
                          or use schedule.kind = \"constant\"";
            return Err(Error::setting("schedule.milestones", reason));
        }
        if schedule.kind != ScheduleKind::Cosine {
            if schedule.half_period.is_some() {
                let reason = "goes with schedule.kind = \"cosine\" only";
                return Err(Error::setting("schedule.half_period", reason));
            }
        } else {
            let half_period = *schedule.half_period.get_or_insert(schedule.num_epochs as f64);
            positive("schedule.half_period", half_period)?;
        }
        if !(schedule.factor > 0.0 && schedule.factor <= 1.0) {
            let reason = format!("must be above 0 and at most 1, is {}", schedule.factor);
            return Err(Error::setting("schedule.factor", reason));
        }
        if schedule.patience == Some(0) {
            return Err(Error::setting("schedule.patience", "must be at least 1, is 0"));
        }
        if !schedule.milestones.is_sorted_by(|a, b| a < b) {
            let reason = format!("must increase, are {:?}", schedule.milestones);
            return Err(Error::setting("schedule.milestones", reason));
        }
        if let Some(late) = schedule.milestones.iter().find(|&&m| m >= schedule.num_epochs) {
            warnings.push(format!(
                "schedule.milestones: {late} is not reached in {} epochs",
                schedule.num_epochs
            ));
        }
        if schedule.warmup_epochs >= schedule.num_epochs {
            let reason = format!(
                "must be below schedule.num_epochs = {}, is {}",
                schedule.num_epochs, schedule.warmup_epochs
            );
            return Err(Error::setting("schedule.warmup_epochs", reason));
        }
        Ok(())
    }
}

fn within(key: &str, value: f64, low: f64, high: f64) -> Result<()> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    Err(Error::setting(key, format!("must be from {low} to {high}, is {value}")))
}

fn positive(key: &str, value: f64) -> Result<()> {
    if value.is_finite() && value > 0.0 {
        return Ok(());
    }
    Err(Error::setting(key, format!("must be above 0, is {value}")))
}

fn not_negative(key: &str, value: f64) -> Result<()> {
    if value.is_finite() && value >= 0.0 {
        return Ok(());
    }
    Err(Error::setting(key, format!("must be 0 or more, is {value}")))
}
