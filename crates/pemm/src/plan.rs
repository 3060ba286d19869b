//! An experiment that has been checked against its data, with nothing left open.

use pemm_data::augment::Augment;
use pemm_data::prepare::Prepared;
use pemm_data::{Pixels, Shape};
use pemm_energy::EnergyError;

use crate::backbone::{BackboneKind, Cnn8, ResNet};
use crate::energy::{CenterPotential, Potential};
use crate::error::{Error, Result};
use crate::experiment::{EnergyConfig, EnergyKind, Experiment, LossConfig};
use crate::head::HeadKind;
use crate::loss::{CrossEntropy, Loss, LossKind, ReverseCrossEntropy, SymmetricCrossEntropy};
use crate::model::ModelPlan;
use crate::objective::CenterObjective;
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
        if self.arm().is_empty() {
            return Err(Error::setting(
                "arm",
                "must be a name, is empty; leave it out for the preset's",
            ));
        }
        let model = self.resolve_model(facts)?;
        self.resolve_loss(&model, &mut warnings)?;
        warnings.extend(self.unstable_energy(facts.num_classes));
        self.check_optim()?;
        self.check_schedule(&mut warnings)?;
        Ok(Plan { experiment: self, model, augment, warnings })
    }

    fn resolve_model(&mut self, facts: DataFacts) -> Result<ModelPlan> {
        let Shape { height, width: across, .. } = facts.shape;
        let side = height.min(across);
        let config = &mut self.model;
        let by_data =
            if facts.vectors || side < 16 { BackboneKind::Mlp } else { BackboneKind::Cnn8 };
        let backbone = *config.backbone.get_or_insert(by_data);
        if backbone != BackboneKind::Mlp && (facts.vectors || side < Cnn8::SMALLEST_SIDE) {
            return Err(Error::setting(
                "model.backbone",
                format!(
                    "a convolutional network needs images of at least {0}×{0} pixels, these are \
                     {height}×{across}; use model.backbone = \"mlp\"",
                    Cnn8::SMALLEST_SIDE
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
        Ok(ModelPlan {
            backbone,
            width,
            unit_norm: config.unit_norm,
            dropout: config.dropout,
            head: config.head,
            sigma: config.sigma,
        })
    }

    fn resolve_loss(&mut self, model: &ModelPlan, warnings: &mut Vec<String>) -> Result<()> {
        let loss = &mut self.loss;
        let has_alpha = loss.kind == LossKind::Sce;
        let has_log_zero = matches!(loss.kind, LossKind::Sce | LossKind::Rce);
        fill("loss.alpha", &mut loss.alpha, has_alpha, 0.1, loss.kind)?;
        fill("loss.beta_rce", &mut loss.beta_rce, has_alpha, 1.0, loss.kind)?;
        fill("loss.log_zero", &mut loss.log_zero, has_log_zero, -4.0, loss.kind)?;
        if let (Some(alpha), Some(beta)) = (loss.alpha, loss.beta_rce) {
            not_negative("loss.alpha", alpha)?;
            not_negative("loss.beta_rce", beta)?;
            if alpha + beta == 0.0 {
                return Err(Error::setting("loss.alpha", "alpha and beta_rce must not both be 0"));
            }
        }
        if let Some(log_zero) = loss.log_zero
            && !(log_zero.is_finite() && log_zero < 0.0)
        {
            return Err(Error::setting("loss.log_zero", format!("must be below 0, is {log_zero}")));
        }
        not_negative("loss.reconstruction", loss.reconstruction)?;
        let has_centers = model.head == HeadKind::Distance;
        if loss.reconstruction > 0.0 && !has_centers {
            return Err(needs_centers("loss.reconstruction", "0"));
        }
        if loss.energy.kind != EnergyKind::None && !has_centers {
            return Err(needs_centers("loss.energy.kind", "\"none\""));
        }
        check_energy(&loss.energy, warnings)
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

impl LossConfig {
    /// The objective of a checked experiment.
    pub(crate) fn objective(&self) -> CenterObjective {
        let number = |value: Option<f64>| value.expect("checked: the loss's parameters are filled");
        let loss: Box<dyn Loss> = match self.kind {
            LossKind::Ce => Box::new(CrossEntropy),
            LossKind::Rce => Box::new(ReverseCrossEntropy { log_zero: number(self.log_zero) }),
            LossKind::Sce => Box::new(SymmetricCrossEntropy {
                alpha: number(self.alpha),
                beta_rce: number(self.beta_rce),
                log_zero: number(self.log_zero),
            }),
        };
        let energy =
            (self.energy.kind != EnergyKind::None && self.energy.weight > 0.0).then(|| {
                let EnergyConfig { pairs, clamp, .. } = self.energy;
                let potential = CenterPotential::new(self.energy.potential(), pairs);
                (self.energy.weight, CenterPotential { clamp, ..potential })
            });
        CenterObjective { loss, energy, reconstruction: self.reconstruction }
    }
}

impl EnergyConfig {
    /// Whether anything holds the centers apart.
    pub fn is_on(&self) -> bool {
        self.kind != EnergyKind::None && self.weight > 0.0
    }

    /// The function of the distance; the potential energy where `kind` is `none`, for the records.
    pub fn potential(&self) -> Potential {
        let energy = |beta| Potential::Energy { u: self.u, v: self.v, xi: self.xi, beta };
        match self.kind {
            EnergyKind::Margin => Potential::Margin { rest: energy(0.0).r0() },
            EnergyKind::None | EnergyKind::Potential => energy(self.beta),
        }
    }
}

fn check_energy(energy: &EnergyConfig, warnings: &mut Vec<String>) -> Result<()> {
    not_negative("loss.energy.weight", energy.weight)?;
    let EnergyConfig { u, v, xi, beta, .. } = *energy;
    let potential = Potential::energy(u, v, xi, beta).map_err(|error| {
        let EnergyError::Setting { key, reason } = error;
        Error::setting(format!("loss.energy.{key}"), reason)
    })?;
    if let Some([low, high]) = energy.clamp
        && !(low.is_finite() && high.is_finite() && low < high)
    {
        let reason = format!("must be [low, high] with low < high, is [{low}, {high}]");
        return Err(Error::setting("loss.energy.clamp", reason));
    }
    let rest = potential.r0();
    if energy.kind == EnergyKind::Potential && energy.weight > 0.0 && energy.beta >= rest {
        warnings.push(format!(
            "loss.energy.beta: {} is not below r0 = {rest:.4}, so the energy only pulls the centers \
             together",
            energy.beta
        ));
    }
    Ok(())
}

/// A parameter that belongs to some losses: filled in where it does, an error where it does not.
fn fill(
    key: &str,
    value: &mut Option<f64>,
    belongs: bool,
    default: f64,
    kind: LossKind,
) -> Result<()> {
    match (belongs, *value) {
        (true, None) => *value = Some(default),
        (false, Some(_)) => {
            let kind = format!("{kind:?}").to_lowercase();
            return Err(Error::setting(
                key,
                format!("loss.kind = \"{kind}\" has no such parameter"),
            ));
        }
        _ => {}
    }
    Ok(())
}

fn needs_centers(key: &str, off: &str) -> Error {
    Error::setting(key, format!("needs centers: set model.head = \"distance\", or {key} = {off}"))
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
