//! The `[loss.energy]` table: what holds the centers apart.

use pemm_energy::{EnergyError, Pairs, Potential};
use serde::{Deserialize, Serialize};

use crate::error::{ExperimentError, Result};
use crate::method::Range;
use crate::regularisers::EnergyKind;

/// Where the centers are before the first step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CenterStart {
    /// Where the head draws them. From there the first steps let the energy's momentum carry them
    /// over their rest into its steep core, which throws them apart for some epochs.
    #[default]
    Drawn,
    /// At equal distances, those at rest, from each other and from the origin. There is no such
    /// layout for more classes than features, on the unit sphere of the cosine heads, and where the
    /// energy only pulls (β ≥ r0); then they stay as drawn, and a warning says so.
    Rest,
}

impl CenterStart {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// The `[loss.energy]` table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EnergyConfig {
    /// The potential.
    pub kind: EnergyKind,
    /// λ ≥ 0.
    pub weight: f64,
    /// Power of the push, u > v.
    pub u: f64,
    /// Power of the pull, v ≥ 1.
    pub v: f64,
    /// ξ > 0.
    pub xi: f64,
    /// β ≥ 0; from r0 on the centers are pulled together only, and a warning says so.
    pub beta: f64,
    /// Sum or mean over pairs.
    pub pairs: Pairs,
    /// Range to which each pair's value is clamped.
    pub clamp: Option<[f64; 2]>,
    /// Where the centers are before the first step. Not written where it is the default, so that
    /// older experiments keep their identity.
    #[serde(skip_serializing_if = "CenterStart::is_default")]
    pub start: CenterStart,
    /// Share of doubted labels, 0–1, from which on the energy has its full weight; where fewer are
    /// doubted it is weaker, by the square of the ratio (`pemm::objective::weakened`). 0: its full weight always.
    /// Not written where it is 0, for the same reason. With `objective.kind = "plain"` only;
    /// with others it becomes 0.
    #[serde(skip_serializing_if = "is_zero")]
    pub full_at: f64,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(value: &f64) -> bool {
    *value == 0.0
}

impl Default for EnergyConfig {
    fn default() -> Self {
        Self {
            kind: EnergyKind::Potential,
            weight: 1.0,
            u: 3.0,
            v: 2.0,
            xi: 2.0,
            beta: 0.3,
            pairs: Pairs::Sum,
            clamp: None,
            start: CenterStart::Drawn,
            full_at: 0.0,
        }
    }
}

impl EnergyConfig {
    /// Whether anything holds the centers apart.
    pub fn is_on(&self) -> bool {
        self.kind != EnergyKind::None && self.weight > 0.0
    }

    /// The function of the distance; the potential energy where `kind` is `none`, for the records.
    pub fn potential(&self) -> Potential {
        self.kind.potential(self)
    }

    /// The distance at which the centers start, if not where their head draws them.
    pub fn start_distance(&self) -> Option<f64> {
        let at_rest = self.kind != EnergyKind::None && self.start == CenterStart::Rest;
        at_rest.then(|| self.potential().rest_distance())
    }

    /// Checks every value.
    pub(crate) fn check(&self, warnings: &mut Vec<String>) -> Result<()> {
        Range::NOT_NEGATIVE.check("loss.energy.weight", self.weight)?;
        Range::SHARE.check("loss.energy.full_at", self.full_at)?;
        let Self { u, v, xi, beta, .. } = *self;
        let potential = Potential::energy(u, v, xi, beta).map_err(|error| {
            let EnergyError::Setting { key, reason } = error;
            ExperimentError::setting(format!("loss.energy.{key}"), reason)
        })?;
        if let Some([low, high]) = self.clamp
            && !(low.is_finite() && high.is_finite() && low < high)
        {
            let reason = format!("must be [low, high] with low < high, is [{low}, {high}]");
            return Err(ExperimentError::setting("loss.energy.clamp", reason));
        }
        let rest = potential.r0();
        if self.kind == EnergyKind::Potential && self.weight > 0.0 && self.beta >= rest {
            warnings.push(format!(
                "loss.energy.beta: {} is not below r0 = {rest:.4}, so the energy only pulls the \
                 centers together",
                self.beta
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::method::Accepts;

    #[test]
    fn the_entries_have_the_defaults_of_the_table() {
        let defaults = serde_json::to_value(EnergyConfig::default()).unwrap();
        for kind in EnergyKind::ALL {
            for parameter in kind.method().parameters {
                let found = &defaults[parameter.key];
                match parameter.accepts {
                    Accepts::Number { default, .. } => assert_eq!(found, default),
                    // Not written where it is the default.
                    Accepts::Word { default, .. } if parameter.key == "start" => {
                        assert_eq!(serde_json::to_value(CenterStart::Drawn).unwrap(), default);
                        assert!(found.is_null());
                    }
                    Accepts::Word { default, words } => {
                        assert_eq!(found, default);
                        let read = |word: &&str| serde_json::from_value::<Pairs>((*word).into());
                        assert!(words.iter().all(|word| read(word).is_ok()));
                    }
                    Accepts::Text { default, .. } => {
                        assert_eq!((default, found.is_null()), ("none", true));
                    }
                    Accepts::Count { .. } | Accepts::Epochs { .. } | Accepts::Open { .. } => {
                        unreachable!("has none")
                    }
                }
            }
        }
    }
}
