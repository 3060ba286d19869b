//! The kinds of noise, their names, `--noise kind:value` strings, and the checks that need no data.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::config::NoiseConfig;
use crate::error::{DataError, Result};
use crate::nearest;

/// A convention of label noise; each docstring gives `T[i][j]` = P(given j | true i) at rate ε.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoiseKind {
    /// Labels stay as they are.
    #[default]
    None,
    /// To each of the other K-1 classes with ε/(K-1); an exact count per class.
    Symmetric,
    /// To each of all K classes with ε/K, the true one included: the realised rate is ε(K-1)/K.
    SymmetricInclusive,
    /// CIFAR-10's truck→automobile, bird→airplane, deer→horse, cat↔dog; sources from clean labels.
    Asymmetric,
    /// The same drawn in place one pair after the other, so that some cats and dogs flip back.
    AsymmetricInplace,
    /// CIFAR-100: the next class inside blocks of 5 consecutive ids.
    BlockCycle,
    /// CIFAR-100: one random pair of classes per block of 5 ids.
    BlockPair,
    /// To the next class within the true superclass.
    Superclass,
    /// i → i+1 modulo K.
    Pair,
    /// The flip depends on the image, whose values are standardised (after Xia et al. 2020).
    Instance,
    /// The same from the bytes as they are, as the public generator of Xia et al. 2020 has it.
    InstanceRaw,
    /// A given row-stochastic matrix.
    Matrix,
}

impl NoiseKind {
    /// Every kind, in the order of the documentation.
    pub const ALL: [Self; 12] = [
        Self::None,
        Self::Symmetric,
        Self::SymmetricInclusive,
        Self::Asymmetric,
        Self::AsymmetricInplace,
        Self::BlockCycle,
        Self::BlockPair,
        Self::Superclass,
        Self::Pair,
        Self::Instance,
        Self::InstanceRaw,
        Self::Matrix,
    ];

    /// The name in configuration files, on the command line and in records.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Symmetric => "symmetric",
            Self::SymmetricInclusive => "symmetric-inclusive",
            Self::Asymmetric => "asymmetric",
            Self::AsymmetricInplace => "asymmetric-inplace",
            Self::BlockCycle => "block-cycle",
            Self::BlockPair => "block-pair",
            Self::Superclass => "superclass",
            Self::Pair => "pair",
            Self::Instance => "instance",
            Self::InstanceRaw => "instance-raw",
            Self::Matrix => "matrix",
        }
    }
}

impl FromStr for NoiseKind {
    type Err = DataError;

    fn from_str(text: &str) -> Result<Self> {
        if let Some(kind) = Self::ALL.into_iter().find(|kind| kind.name() == text) {
            return Ok(kind);
        }
        let names: Vec<&str> = Self::ALL.iter().map(|kind| kind.name()).collect();
        let hint = nearest(text, names.iter().copied())
            .map(|name| format!("did you mean \"{name}\"? "))
            .unwrap_or_default();
        Err(DataError::setting(
            "noise.kind",
            format!("no noise is called \"{text}\"; {hint}there are: {}", names.join(", ")),
        ))
    }
}

impl NoiseConfig {
    /// Checks what can be checked without data: the rate, and which keys go with which kind.
    ///
    /// # Errors
    /// A rate outside 0 to 1, `none` with a rate, `matrix` without a file or with a rate, a file
    /// or groups with a kind that does not use them.
    pub fn check(&self) -> Result<()> {
        let kind = self.kind.name();
        let refuse = |key: &str, reason: String| Err(DataError::setting(key, reason));
        if !(0.0..=1.0).contains(&self.rate) {
            return refuse("noise.rate", format!("must be from 0 to 1, is {}", self.rate));
        }
        match self.kind {
            NoiseKind::None if self.rate > 0.0 => {
                return refuse(
                    "noise.rate",
                    format!("is {} but kind = \"none\" draws nothing; name a kind", self.rate),
                );
            }
            NoiseKind::Matrix if self.rate > 0.0 => {
                return refuse(
                    "noise.rate",
                    format!("is {}, but the matrix already holds the rates; remove it", self.rate),
                );
            }
            NoiseKind::Matrix if self.matrix.is_none() => {
                return refuse("noise.matrix", "kind = \"matrix\" needs a CSV file here".into());
            }
            _ => {}
        }
        if self.matrix.is_some() && self.kind != NoiseKind::Matrix {
            let reason = format!("is not used by kind = \"{kind}\"; remove it or use \"matrix\"");
            return refuse("noise.matrix", reason);
        }
        if self.groups.is_some() && self.kind != NoiseKind::Superclass {
            let reason =
                format!("is not used by kind = \"{kind}\"; remove it or use \"superclass\"");
            return refuse("noise.groups", reason);
        }
        Ok(())
    }

    /// Whether labels are drawn from the values of the samples, which have to be at hand.
    pub fn looks_at_samples(&self) -> bool {
        match self.kind {
            NoiseKind::Instance | NoiseKind::InstanceRaw => true,
            NoiseKind::None
            | NoiseKind::Symmetric
            | NoiseKind::SymmetricInclusive
            | NoiseKind::Asymmetric
            | NoiseKind::AsymmetricInplace
            | NoiseKind::BlockCycle
            | NoiseKind::BlockPair
            | NoiseKind::Superclass
            | NoiseKind::Pair
            | NoiseKind::Matrix => false,
        }
    }

    /// Whether drawing would leave every label as it is, whatever the data.
    pub fn changes_nothing(&self) -> bool {
        self.kind != NoiseKind::Matrix && self.rate == 0.0
    }
}

/// Reads `none`, `KIND:RATE` (`symmetric:0.4`) or `matrix:FILE`, and checks the result.
impl FromStr for NoiseConfig {
    type Err = DataError;

    fn from_str(text: &str) -> Result<Self> {
        let (name, value) = match text.split_once(':') {
            Some((name, value)) => (name, Some(value)),
            None => (text, None),
        };
        let mut config = Self { kind: name.parse()?, ..Self::default() };
        match (config.kind, value) {
            (NoiseKind::None, None) => {}
            (NoiseKind::None, Some(value)) => {
                return Err(DataError::setting(
                    "noise",
                    format!("\"none\" takes no value and has \"{value}\"; write none"),
                ));
            }
            (NoiseKind::Matrix, Some(path)) if !path.is_empty() => {
                config.matrix = Some(path.into());
            }
            (NoiseKind::Matrix, _) => {
                return Err(DataError::setting("noise", "write matrix:FILE.csv"));
            }
            (_, value) => {
                let rate = value.and_then(|value| value.parse().ok()).ok_or_else(|| {
                    DataError::setting(
                        "noise",
                        format!("\"{text}\" has no rate from 0 to 1; write {name}:0.4"),
                    )
                })?;
                config.rate = rate;
            }
        }
        config.check()?;
        Ok(config)
    }
}

/// The form that [`FromStr`] reads; groups have no place in it.
impl fmt::Display for NoiseConfig {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.kind, &self.matrix) {
            (NoiseKind::None, _) => write!(formatter, "none"),
            (NoiseKind::Matrix, Some(path)) => write!(formatter, "matrix:{}", path.display()),
            (kind, _) => write!(formatter, "{}:{}", kind.name(), self.rate),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_configuration() {
        for kind in NoiseKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
            assert_eq!(kind.name().parse::<NoiseKind>().unwrap(), kind);
        }
    }

    #[test]
    fn strings_are_read_and_written_back() {
        for text in ["none", "symmetric:0.4", "block-pair:0.25", "matrix:a/b:c.csv", "pair:0"] {
            assert_eq!(text.parse::<NoiseConfig>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn errors_help() {
        for (text, part) in [
            ("symetric:0.4", "did you mean \"symmetric\"?"),
            ("", "there are: none, symmetric, "),
            ("symmetric", "write symmetric:0.4"),
            ("symmetric:x", "write symmetric:0.4"),
            ("symmetric:1.5", "must be from 0 to 1, is 1.5"),
            ("symmetric:NaN", "must be from 0 to 1"),
            ("none:0.4", "takes no value"),
            ("matrix:", "write matrix:FILE.csv"),
        ] {
            let error = text.parse::<NoiseConfig>().unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn keys_that_do_not_belong_are_refused() {
        let config = |kind| NoiseConfig { kind, rate: 0.1, ..Default::default() };
        let none = config(NoiseKind::None);
        assert!(none.check().unwrap_err().to_string().contains("noise.rate"));
        let stray = NoiseConfig { matrix: Some("t.csv".into()), ..config(NoiseKind::Pair) };
        assert!(stray.check().unwrap_err().to_string().contains("noise.matrix"));
        let stray = NoiseConfig { groups: Some(vec![]), ..config(NoiseKind::Pair) };
        assert!(stray.check().unwrap_err().to_string().contains("noise.groups"));
        let rated = NoiseConfig { matrix: Some("t.csv".into()), ..config(NoiseKind::Matrix) };
        assert!(rated.check().unwrap_err().to_string().contains("noise.rate"));
    }
}
