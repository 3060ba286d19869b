//! The `[loss]` table: what is minimised, as written and checked.

use std::sync::LazyLock;

use pemm_data::noise::{NoiseManifest, Transition};
use serde::de::{Deserializer, MapAccess};
use serde::ser::{SerializeStruct, Serializer};
use serde::{Deserialize, Serialize};

use crate::content;
use crate::energy::EnergyConfig;
use crate::error::{ExperimentError, Result};
use crate::heads::HeadKind;
use crate::kind::Kind;
use crate::losses::LossKind;
use crate::method::{Parameter, Range};
use crate::parameters::{AlwaysWritten, Parameters};
use crate::regularisers::EnergyKind;
use crate::section::{self, Section};

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

/// The `[loss]` table. Parameters that are left out get the defaults of the loss; those of another
/// loss are refused.
#[derive(Debug, Clone, PartialEq)]
pub struct LossConfig {
    /// The loss per sample.
    pub kind: LossKind,
    /// Those of the loss.
    pub parameters: Parameters,
    /// SHA-256 of the file of `matrix`, if it is one; left out, it is filled in.
    pub matrix_sha256: Option<String>,
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
            parameters: Parameters::default(),
            matrix_sha256: None,
            class_weights: ClassWeights::None,
            reconstruction: 0.0,
            energy: EnergyConfig::default(),
        }
    }
}

static PARAMETERS: LazyLock<Vec<&'static Parameter>> = LazyLock::new(LossKind::parameters);

/// The first records have these keys, null for losses that lack them.
fn always() -> [AlwaysWritten; 3] {
    ["alpha", "beta_rce", "log_zero"].map(|key| (key, None))
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
/// Tag of an arm that used which labels are known to be right.
pub const TRUSTED: &str = "trusted";

/// Values of `loss.matrix` that are no file.
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
        let methods = [("loss.kind", self.kind.method())];
        self.parameters.resolve("loss", &methods, &always())?;
        let number = |key| self.parameters.number(key);
        if number("alpha") == Some(0.0) && number("beta_rce") == Some(0.0) {
            let reason = "alpha and beta_rce must not both be 0";
            return Err(ExperimentError::setting("loss.alpha", reason));
        }
        if let Some(k) = number("truncation")
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
        if self.kind.method().parameter("matrix").is_none() {
            return Ok(());
        }
        if self.parameters.word("matrix").is_none() {
            self.parameters.set("matrix", ESTIMATED);
        }
        let is_estimated = self.parameters.word("matrix") == Some(ESTIMATED);
        if !is_estimated && self.percentile().is_some() {
            let reason = "goes with loss.matrix = \"estimated\" only";
            return Err(ExperimentError::setting("loss.percentile", reason));
        }
        let Some(after) = self.estimate_after() else {
            if is_estimated {
                if num_epochs < 2 {
                    let reason = "\"estimated\" needs an epoch of cross entropy and one after it; \
                                  set schedule.num_epochs to 2 or more";
                    return Err(ExperimentError::setting("loss.matrix", reason));
                }
                self.parameters.set("estimate_after", (num_epochs / 4).max(1));
            }
            return Ok(());
        };
        if !is_estimated {
            let reason = "goes with loss.matrix = \"estimated\" only";
            return Err(ExperimentError::setting("loss.estimate_after", reason));
        }
        if after < 1 || after >= num_epochs {
            let reason = format!(
                "must be 1 or more and below schedule.num_epochs = {num_epochs}, is {after}"
            );
            return Err(ExperimentError::setting("loss.estimate_after", reason));
        }
        Ok(())
    }

    /// Epochs of cross entropy before the matrix is estimated, where it is.
    pub fn estimate_after(&self) -> Option<usize> {
        self.parameters.count("estimate_after")
    }

    /// The percentile of the matrix's estimate, where one is asked for.
    pub fn percentile(&self) -> Option<f64> {
        self.parameters.number("percentile")
    }

    /// The file of the matrix, if it is one, and its hash.
    pub(super) fn matrix_file(&mut self) -> (Option<&str>, &mut Option<String>) {
        let file = self.parameters.word("matrix").filter(|word| ![ESTIMATED, NOISE].contains(word));
        (file, &mut self.matrix_sha256)
    }

    /// What tables must say of an arm with this loss: `["oracle"]`, or nothing.
    pub fn tags(&self) -> Vec<String> {
        let is_oracle = self.parameters.word("matrix") == Some(NOISE);
        if is_oracle { vec![ORACLE.into()] } else { Vec::new() }
    }

    /// The matrix that the loss of a checked experiment is built with: of `forward` and `backward`, where
    /// it is not estimated in the run.
    ///
    /// # Errors
    /// [`ExperimentError::Setting`] for `loss.matrix`: the noise is not known, or the file is no
    /// matrix of K classes.
    pub fn matrix(&self, context: &LossContext) -> Result<Option<Transition>> {
        match self.parameters.word("matrix") {
            None | Some(ESTIMATED) => Ok(None),
            Some(NOISE) => context.noise.clone().map(Some).ok_or_else(|| {
                let reason = "\"noise\" asks for the matrix of the noise, which is not known for \
                              these labels; use \"estimated\", or a file";
                ExperimentError::setting("loss.matrix", reason)
            }),
            Some(path) => {
                let sha256 = self.matrix_sha256.as_deref();
                content::matrix("loss.matrix", path, sha256, context.num_classes).map(Some)
            }
        }
    }
}

fn needs_centers(key: &str, head: &str, off: &str) -> ExperimentError {
    let reason = format!("needs centers: set model.head = {head}, or {key} = {off}");
    ExperimentError::setting(key, reason)
}

impl Section for LossConfig {
    const NAME: &'static str = "loss";

    fn keys() -> &'static [&'static str] {
        static KEYS: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
            let mut keys = vec!["kind"];
            keys.extend(PARAMETERS.iter().map(|parameter| parameter.key));
            keys.extend(["matrix_sha256", "class_weights", "reconstruction", "energy"]);
            keys
        });
        &KEYS
    }

    fn read<'de, A: MapAccess<'de>>(
        &mut self,
        key: &'static str,
        table: &mut A,
    ) -> Result<(), A::Error> {
        match key {
            "kind" => self.kind = table.next_value()?,
            "matrix_sha256" => self.matrix_sha256 = table.next_value()?,
            "class_weights" => self.class_weights = table.next_value()?,
            "reconstruction" => self.reconstruction = table.next_value()?,
            "energy" => self.energy = table.next_value()?,
            key => self.parameters.read(section::parameter(&PARAMETERS, key), table)?,
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for LossConfig {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        section::read(from)
    }
}

impl Serialize for LossConfig {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut table = to.serialize_struct("LossConfig", Self::keys().len())?;
        table.serialize_field("kind", &self.kind)?;
        self.parameters.write(&[self.kind.method()], &always(), &mut table)?;
        match &self.matrix_sha256 {
            Some(sha256) => table.serialize_field("matrix_sha256", sha256)?,
            None => table.skip_field("matrix_sha256")?,
        }
        table.serialize_field("class_weights", &self.class_weights)?;
        table.serialize_field("reconstruction", &self.reconstruction)?;
        table.serialize_field("energy", &self.energy)?;
        table.end()
    }
}
