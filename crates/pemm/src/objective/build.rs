//! From a checked experiment to the objective that it names; the compiler sees to it that each kind
//! has its code.

use pemm_data::Trusted;
use pemm_data::noise::Transition;
use pemm_experiment::Experiment;
use pemm_experiment::loss::{LossConfig, LossContext};
use pemm_experiment::objectives::ObjectiveKind;

use super::co_teaching::CoTeaching;
use super::crf::{Crf, CrfParameters};
use super::decoupling::Decoupling;
use super::distillation::{Distillation, DistillationParameters};
use super::divide_mix::{DivideMix, DivideMixParameters};
use super::early_learning::EarlyLearning;
use super::gold::GoldCorrection;
use super::graphical::{ConfusingLabels, GraphicalModel};
use super::iterative::{IterativeDetection, IterativeParameters};
use super::mentor_net::{Curriculum, MentorNet, MentorNetParameters};
use super::mentor_net_dd::{MentorNetDd, MentorNetDdParameters};
use super::mixup::Mixup;
use super::pruning::Pruning;
use super::reweighting::{DoubtedBy, Reweighting};
use super::trusted_weight::TrustedWeight;
use super::weakened::WeakenedEnergy;
use super::{CenterObjective, EstimatedForward, Objective};
use crate::energy::CenterPotential;
use crate::error::{Error, Result};
use crate::loss;

/// What an objective may know of the training part before it sees a batch of it.
#[derive(Debug, Clone, Copy)]
pub struct Samples<'a> {
    /// How many there are.
    pub num: usize,
    /// Which of them have a given label that is known to be right, and the given labels, where somebody
    /// says so. Only a method that is tagged as using it may look.
    pub trusted: Option<(&'a Trusted, &'a [u32])>,
}

impl From<usize> for Samples<'_> {
    /// So many, of which none is trusted.
    fn from(num: usize) -> Self {
        Self { num, trusted: None }
    }
}

impl<'a> Samples<'a> {
    /// Which of them are trusted, for the objective `kind`, which needs some that are and some that are
    /// not.
    fn trusted(self, kind: ObjectiveKind) -> Result<Vec<bool>> {
        assert!(kind.uses_trusted(), "what looks at trusted labels is tagged");
        let marks = self.trusted.map(|(trusted, _)| &trusted.marks);
        let reason = match marks {
            None => {
                "there are none: list some with --trusted CSV (data.trusted; columns path or index, and \
                 label), or mark them by a column `trusted` of the labels file"
            }
            Some(marks) if !marks.contains(&true) => {
                "none of those that were named is in the training part: name more, or hold out less"
            }
            Some(marks) if !marks.contains(&false) => {
                "all labels of the training part are: there is nothing to correct, use \
                 objective.kind = \"plain\""
            }
            Some(marks) => return Ok(marks.clone()),
        };
        let reason =
            format!("{:?} learns from labels known to be right, and {reason}", kind.name());
        Err(Error::setting("objective.kind", reason))
    }

    /// The given labels of all, and what each that is trusted was called before somebody looked, for the
    /// objective `kind`, which reads off them how labels become wrong.
    fn before(self, kind: ObjectiveKind) -> Result<(&'a [u32], Vec<Option<u32>>)> {
        let marks = self.trusted(kind)?;
        let (trusted, given) = self.trusted.expect("some are trusted");
        let before = marks.iter().zip(&trusted.before);
        let before: Vec<Option<u32>> =
            before.map(|(&is_trusted, &before)| is_trusted.then_some(before)).collect();
        if before.iter().zip(given).all(|(before, given)| before.is_none_or(|was| was == *given)) {
            let reason = format!(
                "{:?} reads off trusted samples how labels become wrong, and no trusted sample had a \
                 wrong label: name them by a file of their own (--trusted CSV), with the right labels, \
                 and leave the wrong ones where they are",
                kind.name()
            );
            return Err(Error::setting("objective.kind", reason));
        }
        Ok((given, before))
    }
}

/// What a training step of a checked experiment minimises, for a training part of `samples`.
///
/// # Errors
/// Those of [`LossConfig::matrix`]; an objective that needs trusted labels, where there are none.
pub fn build<'a>(
    experiment: &Experiment,
    context: &LossContext,
    samples: impl Into<Samples<'a>>,
) -> Result<Box<dyn Objective>> {
    let samples: Samples<'_> = samples.into();
    let num_samples = samples.num;
    let mut context = context.clone();
    if experiment.knows_that_nothing_was_drawn() {
        context.noise.get_or_insert_with(|| Transition::identity(context.num_classes));
    }
    let num_classes = context.num_classes;
    let base = center_objective(&experiment.loss, &context)?;
    if let Some(after) = experiment.loss.estimate_after() {
        let percentile = experiment.loss.percentile();
        let kind = experiment.loss.kind;
        return Ok(Box::new(EstimatedForward::new(base, kind, after, percentile, num_classes)));
    }
    let (parameters, method) =
        (&experiment.objective.parameters, experiment.objective.kind.method());
    let number = |key| parameters.number_of(method, key);
    let count = |key| parameters.count_of(method, key);
    let trusted = || samples.trusted(experiment.objective.kind);
    Ok(match experiment.objective.kind {
        ObjectiveKind::Plain if experiment.loss.energy.full_at > 0.0 => {
            let num_epochs = experiment.schedule.num_epochs();
            Box::new(WeakenedEnergy::new(base, experiment.loss.energy.full_at, num_epochs))
        }
        ObjectiveKind::Plain => Box::new(base),
        ObjectiveKind::Mixup => Box::new(Mixup { base, alpha: number("alpha") }),
        ObjectiveKind::Elr => {
            let (rate, weight) = (number("memory_rate"), number("weight"));
            Box::new(EarlyLearning::new(base, rate, weight, num_samples, num_classes))
        }
        ObjectiveKind::Reweight => {
            let by = match parameters.word_of(method, "by").as_str() {
                "distance" => DoubtedBy::Distance,
                "loss" => DoubtedBy::Loss,
                by => unreachable!("a word of the entry that no code knows: {by:?}"),
            };
            Box::new(Reweighting::new(base, by, count("warmup_epochs"), num_samples))
        }
        ObjectiveKind::MentorNet => {
            let curriculum = match parameters.word_of(method, "curriculum").as_str() {
                "predefined" => Curriculum::Predefined,
                "self-paced" => Curriculum::SelfPaced,
                word => unreachable!("a word of the entry that no code knows: {word:?}"),
            };
            let parameters = MentorNetParameters {
                curriculum,
                percentile: number("percentile"),
                decay: number("decay"),
                dropout: [number("early_dropout"), number("late_dropout")],
            };
            Box::new(MentorNet::new(base, parameters))
        }
        ObjectiveKind::MentorNetDd => {
            let (given, before) = samples.before(ObjectiveKind::MentorNetDd)?;
            let parameters = MentorNetDdParameters {
                warmup_epochs: count("warmup_epochs"),
                percentile: number("percentile"),
                decay: number("decay"),
                dropout: [number("early_dropout"), number("late_dropout")],
            };
            Box::new(MentorNetDd::new(base, parameters, given, before, num_classes))
        }
        ObjectiveKind::Prune => {
            let (warmup, every) = (count("warmup_epochs"), count("prune_every"));
            Box::new(Pruning::new(base, warmup, every, number("truncation"), num_samples))
        }
        ObjectiveKind::Iterative => {
            let parameters = IterativeParameters {
                warmup_epochs: count("warmup_epochs"),
                detect_every: count("detect_every"),
                neighbor_share: number("neighbor_share"),
                outlier_share: number("outlier_share"),
                contrast: number("contrast"),
            };
            Box::new(IterativeDetection::new(base, parameters, num_samples, num_classes))
        }
        ObjectiveKind::TrustedWeight => {
            Box::new(TrustedWeight::new(base, number("weight"), &trusted()?))
        }
        ObjectiveKind::Gold => {
            Box::new(GoldCorrection::new(base, count("warmup_epochs"), trusted()?, num_classes))
        }
        ObjectiveKind::Graphical => {
            let (given, before) = samples.before(ObjectiveKind::Graphical)?;
            let labels = ConfusingLabels::of(given, &before, num_classes);
            Box::new(GraphicalModel::new(base, count("warmup_epochs"), &labels))
        }
        ObjectiveKind::Crf => {
            let (given, before) = samples.before(ObjectiveKind::Crf)?;
            let parameters = CrfParameters {
                alpha_start: number("alpha_start"),
                alpha_end: number("alpha_end"),
                pair_rate: number("pair_rate"),
            };
            Box::new(Crf::new(base, parameters, given, &before, num_classes))
        }
        ObjectiveKind::Distill => {
            let parameters = DistillationParameters {
                warmup_epochs: count("warmup_epochs"),
                label_weight: number("label_weight"),
                temperature: number("temperature"),
            };
            let similarity = experiment.objective.similarity(num_classes)?;
            Box::new(Distillation::new(base, parameters, trusted()?, num_classes, similarity))
        }
        ObjectiveKind::CoTeaching => Box::new(CoTeaching {
            base,
            forget_rate: number("forget_rate"),
            ramp_epochs: count("ramp_epochs"),
            ramp_offset: count("ramp_offset"),
        }),
        ObjectiveKind::Decoupling => Box::new(Decoupling {
            base,
            warmup_epochs: count("warmup_epochs"),
            least_share: number("least_share"),
        }),
        ObjectiveKind::DivideMix => {
            let parameters = DivideMixParameters {
                warmup_epochs: count("warmup_epochs"),
                threshold: number("threshold"),
                temperature: number("temperature"),
                alpha: number("alpha"),
                weight: number("weight"),
                confidence_penalty: number("confidence_penalty"),
            };
            Box::new(DivideMix::new(base, parameters))
        }
    })
}

/// The loss and the terms of the centers of a checked experiment.
///
/// # Errors
/// Those of [`LossConfig::matrix`].
pub fn center_objective(config: &LossConfig, context: &LossContext) -> Result<CenterObjective> {
    let energy = config.energy.is_on().then(|| {
        let potential = CenterPotential::new(config.energy.potential(), config.energy.pairs);
        (config.energy.weight, CenterPotential { clamp: config.energy.clamp, ..potential })
    });
    let loss = loss::build(config, context)?;
    Ok(CenterObjective { loss, energy, reconstruction: config.reconstruction })
}
