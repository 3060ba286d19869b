//! The `[objective]` table: how the losses of the samples are put together.

use std::sync::LazyLock;

use pemm_data::noise::Transition;
use serde::de::{Deserialize, Deserializer, MapAccess};
use serde::ser::{Serialize, SerializeStruct, Serializer};

use crate::content;
use crate::error::{ExperimentError, Result};
use crate::kind::Kind;
use crate::method::Parameter;
use crate::objectives::ObjectiveKind;
use crate::parameters::Parameters;
use crate::section::{self, Section};

/// The `[objective]` table. Parameters that are left out take the default of their kind; see `pemm
/// methods`.
#[derive(Debug, Clone, PartialEq)]
pub struct ObjectiveConfig {
    /// The objective.
    pub kind: ObjectiveKind,
    /// Those of the objective.
    pub parameters: Parameters,
    /// SHA-256 of the file of `similarity`, if there is one; left out, it is filled in.
    pub similarity_sha256: Option<String>,
}

impl Default for ObjectiveConfig {
    fn default() -> Self {
        let parameters = Parameters::default();
        Self { kind: ObjectiveKind::Plain, parameters, similarity_sha256: None }
    }
}

static PARAMETERS: LazyLock<Vec<&'static Parameter>> = LazyLock::new(ObjectiveKind::parameters);

impl ObjectiveConfig {
    /// Whether it says nothing, for experiments from before there were objectives.
    pub(crate) fn is_plain(&self) -> bool {
        *self == Self::default()
    }

    /// Epochs of plain training first, where there are any.
    pub fn warmup_epochs(&self) -> Option<usize> {
        self.parameters.count("warmup_epochs")
    }

    /// The file of the similarity of the classes, if there is one, and its hash.
    pub(super) fn similarity_file(&mut self) -> (Option<&str>, &mut Option<String>) {
        (self.parameters.word("similarity"), &mut self.similarity_sha256)
    }

    /// How similar the classes are, `[K, K]`, where the objective of a checked experiment was told.
    ///
    /// # Errors
    /// [`ExperimentError::Setting`] for `objective.similarity`: the file cannot be read or has changed;
    /// and those of [`Transition::from_csv`].
    pub fn similarity(&self, num_classes: usize) -> Result<Option<Transition>> {
        let Some(path) = self.parameters.word("similarity") else { return Ok(None) };
        let sha256 = self.similarity_sha256.as_deref();
        content::matrix("objective.similarity", path, sha256, num_classes).map(Some)
    }

    /// Fills in defaults, and refuses what does not belong to the kind or is out of range.
    pub(crate) fn resolve(&mut self, has_centers: bool, num_epochs: usize) -> Result<()> {
        let methods = [("objective.kind", self.kind.method())];
        self.parameters.resolve("objective", &methods, &[])?;
        if self.parameters.word("by") == Some("distance") && !has_centers {
            let reason = "\"distance\" needs centers: set model.head = \"distance\"";
            return Err(ExperimentError::setting("objective.by", reason));
        }
        match self.warmup_epochs() {
            Some(warmup) if warmup >= num_epochs => Err(ExperimentError::setting(
                "objective.warmup_epochs",
                format!("must be below schedule.num_epochs = {num_epochs}, is {warmup}"),
            )),
            _ => Ok(()),
        }
    }
}

impl Section for ObjectiveConfig {
    const NAME: &'static str = "objective";

    fn keys() -> &'static [&'static str] {
        static KEYS: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
            let parameters = PARAMETERS.iter().map(|parameter| parameter.key);
            ["kind"].into_iter().chain(parameters).chain(["similarity_sha256"]).collect()
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
            "similarity_sha256" => self.similarity_sha256 = table.next_value()?,
            key => self.parameters.read(section::parameter(&PARAMETERS, key), table)?,
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for ObjectiveConfig {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        section::read(from)
    }
}

impl Serialize for ObjectiveConfig {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut table = to.serialize_struct("ObjectiveConfig", Self::keys().len())?;
        table.serialize_field("kind", &self.kind)?;
        self.parameters.write(&[self.kind.method()], &[], &mut table)?;
        match &self.similarity_sha256 {
            Some(sha256) => table.serialize_field("similarity_sha256", sha256)?,
            None => table.skip_field("similarity_sha256")?,
        }
        table.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parameters::Value;

    fn config(kind: ObjectiveKind) -> ObjectiveConfig {
        ObjectiveConfig { kind, ..ObjectiveConfig::default() }
    }

    #[test]
    fn every_kind_is_filled_from_its_entry_and_refuses_what_is_not_its_own() {
        for &kind in ObjectiveKind::ALL {
            let mut filled = config(kind);
            filled.resolve(true, 60).unwrap();
            for parameter in PARAMETERS.iter() {
                let has = kind.method().parameter(parameter.key).is_some();
                let defaults = Parameters::defaults(kind.method());
                assert_eq!(filled.parameters, defaults, "{}", kind.name());
                if has {
                    continue;
                }
                let mut wrong = config(kind);
                wrong.parameters.set(parameter.key, Value::Number(0.5));
                let error = wrong.resolve(true, 60).unwrap_err().to_string();
                assert!(error.contains(parameter.key) && error.contains(kind.name()), "{error}");
            }
        }
    }

    #[test]
    fn values_out_of_range_are_refused_by_key() {
        let refused = |kind, key, value: Value| {
            let mut config = config(kind);
            config.parameters.set(key, value);
            config.resolve(false, 5).unwrap_err().to_string()
        };
        let mixup = refused(ObjectiveKind::Mixup, "alpha", Value::Number(f64::NAN));
        assert!(mixup.contains("objective.alpha"));
        // With wrong labels the paper of mixup takes 8 and 32.
        for alpha in [8.0, 32.0] {
            let mut mixup = config(ObjectiveKind::Mixup);
            mixup.parameters.set("alpha", Value::Number(alpha));
            mixup.resolve(false, 5).unwrap();
        }
        let divide = config(ObjectiveKind::DivideMix).resolve(false, 5).unwrap_err().to_string();
        assert!(divide.contains("below schedule.num_epochs = 5, is 10"));
        let reweight = refused(ObjectiveKind::Reweight, "warmup_epochs", Value::Count(0));
        assert!(reweight.contains("must be 1 or more, is 0"));
        let mut by = config(ObjectiveKind::Reweight);
        by.parameters = Parameters::default().with("warmup_epochs", 1).with("by", "distance");
        assert!(by.resolve(false, 5).unwrap_err().to_string().contains("needs centers"));
        let word = refused(ObjectiveKind::Reweight, "by", "los".into());
        assert!(word.contains("must be \"loss\" or \"distance\", is \"los\""), "{word}");
    }
}
