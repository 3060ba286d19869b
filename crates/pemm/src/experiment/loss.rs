//! The `[loss]` table: what is minimised, checked and built.

use std::path::Path;

use pemm_data::noise::{NoiseManifest, Transition};
use serde::{Deserialize, Serialize};

use super::content;
use super::energy::{EnergyConfig, EnergyKind};
use crate::energy::CenterPotential;
use crate::error::{Error, Result};
use crate::head::HeadKind;
use crate::loss::{CrossEntropy, Loss, LossKind, Settings};
use crate::method::Range;
use crate::objective::CenterObjective;

/// How much each class counts in the loss.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClassWeights {
    /// Every sample counts the same.
    #[default]
    None,
    /// Every given class counts the same: sample weight N / (K N_class).
    Balanced,
}

/// The `[loss]` table. Parameters that are left out get the defaults of
/// [`LOSSES`](crate::loss::LOSSES); those of another kind are refused. Parameters that came after
/// the first records are not written where they do not apply, so that experiments keep their
/// identity.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LossConfig {
    /// The loss per sample.
    pub kind: LossKind,
    /// Weight α of `sce`'s ce and `nce-rce`'s nce.
    pub alpha: Option<f64>,
    /// Weight β_rce of the rce in `sce` and `nce-rce`.
    pub beta_rce: Option<f64>,
    /// A of `rce`, `sce` and `nce-rce`.
    pub log_zero: Option<f64>,
    /// q of `gce` and `gce-truncated`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub q: Option<f64>,
    /// k of `gce-truncated`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub truncation: Option<f64>,
    /// β of `bootstrap-soft` and `bootstrap-hard`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beta_bootstrap: Option<f64>,
    /// τ of `phuber-ce`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tau: Option<f64>,
    /// ε of `label-smoothing`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub smoothing: Option<f64>,
    /// `forward`'s `P(given j | true i)`: `estimated` in the run, `noise` for that of the noise
    /// that was drawn (an oracle), or a CSV file of K×K.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub matrix: Option<String>,
    /// SHA-256 of that file; left out, it is filled in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub matrix_sha256: Option<String>,
    /// Epochs of cross entropy before `forward` estimates its matrix.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimate_after: Option<usize>,
    /// Weights by given class; weights of a labels file multiply them.
    pub class_weights: ClassWeights,
    /// Weight ω ≥ 0 of the reconstruction term; needs the distance head.
    pub reconstruction: f64,
    /// The potential of the centers; needs a head with centers.
    pub energy: EnergyConfig,
}

impl Default for LossConfig {
    fn default() -> Self {
        Self {
            kind: LossKind::Sce,
            alpha: None,
            beta_rce: None,
            log_zero: None,
            q: None,
            truncation: None,
            beta_bootstrap: None,
            tau: None,
            smoothing: None,
            matrix: None,
            matrix_sha256: None,
            estimate_after: None,
            class_weights: ClassWeights::None,
            reconstruction: 0.0,
            energy: EnergyConfig::default(),
        }
    }
}

/// What a loss may need beside scores and given labels.
#[derive(Debug, Clone)]
pub struct LossContext {
    /// Number of classes K.
    pub num_classes: usize,
    /// `P(given j | true i)` of the noise, where it is known. Only a method that is tagged as an
    /// oracle may look.
    pub noise: Option<Transition>,
}

impl LossContext {
    /// The context of a run on labels with this manifest.
    pub fn of(num_classes: usize, manifest: &NoiseManifest) -> Self {
        Self { num_classes, noise: manifest.transition() }
    }
}

/// Tag of an arm that used what nobody knows of real data: the matrix or the rate of the noise.
pub const ORACLE: &str = "oracle";

/// Values of [`LossConfig::matrix`] that are no file.
const ESTIMATED: &str = "estimated";
const NOISE: &str = "noise";

impl LossConfig {
    /// Fills in the parameters of the loss that were left out, and checks all.
    pub(crate) fn resolve(
        &mut self,
        head: HeadKind,
        num_classes: usize,
        num_epochs: usize,
        warnings: &mut Vec<String>,
    ) -> Result<()> {
        let method = &self.kind.entry().method;
        for (key, value) in self.numbers() {
            method.fill("loss", "loss.kind", key, value)?;
        }
        if self.alpha == Some(0.0) && self.beta_rce == Some(0.0) {
            return Err(Error::setting("loss.alpha", "alpha and beta_rce must not both be 0"));
        }
        if let Some(k) = self.truncation
            && k * num_classes as f64 >= 1.0
        {
            warnings.push(format!(
                "loss.truncation: a fresh model gives each of {num_classes} classes a probability \
                 below {k}, so nothing may be learned from the start; use a value below {:.3}",
                1.0 / num_classes as f64
            ));
        }
        self.resolve_matrix(num_epochs)?;
        Range::NOT_NEGATIVE.check("loss.reconstruction", self.reconstruction)?;
        if self.reconstruction > 0.0 && head != HeadKind::Distance {
            return Err(needs_centers("loss.reconstruction", "\"distance\"", "0"));
        }
        if self.energy.kind != EnergyKind::None && !head.has_centers() {
            return Err(needs_centers("loss.energy.kind", "\"distance\"", "\"none\""));
        }
        self.energy.check(warnings)
    }

    fn resolve_matrix(&mut self, num_epochs: usize) -> Result<()> {
        let method = &self.kind.entry().method;
        if method.parameter("matrix").is_some() {
            self.matrix.get_or_insert_with(|| ESTIMATED.into());
        } else if self.matrix.is_some() {
            return Err(method.lacks("loss.matrix".into(), "loss.kind"));
        }
        let is_estimated = self.matrix.as_deref() == Some(ESTIMATED);
        let Some(after) = self.estimate_after else {
            if is_estimated {
                if num_epochs < 2 {
                    let reason = "\"estimated\" needs an epoch of cross entropy and one after it; \
                                  set schedule.num_epochs to 2 or more";
                    return Err(Error::setting("loss.matrix", reason));
                }
                self.estimate_after = Some((num_epochs / 4).max(1));
            }
            return Ok(());
        };
        if !is_estimated {
            let reason = "goes with loss.kind = \"forward\" and loss.matrix = \"estimated\" only";
            return Err(Error::setting("loss.estimate_after", reason));
        }
        if after < 1 || after >= num_epochs {
            let reason = format!(
                "must be 1 or more and below schedule.num_epochs = {num_epochs}, is {after}"
            );
            return Err(Error::setting("loss.estimate_after", reason));
        }
        Ok(())
    }

    /// The parameters that are numbers, by key.
    fn numbers(&mut self) -> [(&'static str, &mut Option<f64>); 8] {
        [
            ("alpha", &mut self.alpha),
            ("beta_rce", &mut self.beta_rce),
            ("log_zero", &mut self.log_zero),
            ("q", &mut self.q),
            ("truncation", &mut self.truncation),
            ("beta_bootstrap", &mut self.beta_bootstrap),
            ("tau", &mut self.tau),
            ("smoothing", &mut self.smoothing),
        ]
    }

    /// The file of [`Self::matrix`], if it is one, and its hash.
    pub(super) fn matrix_file(&mut self) -> (Option<&str>, &mut Option<String>) {
        let file = self.matrix.as_deref().filter(|word| ![ESTIMATED, NOISE].contains(word));
        (file, &mut self.matrix_sha256)
    }

    /// What tables must say of an arm with this loss: `["oracle"]`, or nothing.
    pub fn tags(&self) -> Vec<String> {
        let is_oracle = self.matrix.as_deref() == Some(NOISE);
        if is_oracle { vec![ORACLE.into()] } else { Vec::new() }
    }

    /// The loss per sample of a checked experiment; for `forward` with an estimated matrix the cross
    /// entropy with which it starts.
    ///
    /// # Errors
    /// [`Error::Setting`] for `loss.matrix`: the noise is not known, or the file is no matrix of K
    /// classes.
    pub fn loss(&self, context: &LossContext) -> Result<Box<dyn Loss>> {
        let entry = self.kind.entry();
        let mut settings = Settings::defaults(&entry.method);
        for (key, value) in self.clone().numbers() {
            if let Some(value) = *value {
                settings = settings.with(key, value);
            }
        }
        let matrix = match self.matrix.as_deref() {
            None => return Ok((entry.build)(&settings)),
            Some(ESTIMATED) => return Ok(Box::new(CrossEntropy)),
            Some(NOISE) => context.noise.clone().ok_or_else(|| {
                let reason = "\"noise\" asks for the matrix of the noise, which is not known for \
                              these labels; use \"estimated\", or a file";
                Error::setting("loss.matrix", reason)
            })?,
            Some(path) => {
                let sha256 = self.matrix_sha256.as_deref();
                let bytes = content::read("loss.matrix", path, sha256, content::MAX_MATRIX)?;
                let text = String::from_utf8_lossy(&bytes);
                Transition::from_csv(Path::new(path), &text, context.num_classes)?
            }
        };
        Ok((entry.build)(&settings.with_matrix(matrix)))
    }

    /// The loss and the terms of the centers of a checked experiment.
    ///
    /// # Errors
    /// Those of [`Self::loss`].
    pub fn center_objective(&self, context: &LossContext) -> Result<CenterObjective> {
        let energy = self.energy.is_on().then(|| {
            let EnergyConfig { pairs, clamp, weight, .. } = self.energy;
            let potential = CenterPotential::new(self.energy.potential(), pairs);
            (weight, CenterPotential { clamp, ..potential })
        });
        let loss = self.loss(context)?;
        Ok(CenterObjective { loss, energy, reconstruction: self.reconstruction })
    }
}

fn needs_centers(key: &str, head: &str, off: &str) -> Error {
    Error::setting(key, format!("needs centers: set model.head = {head}, or {key} = {off}"))
}
