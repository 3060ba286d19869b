//! What was drawn: convention, nominal and realised noise, seed and hashes, for records.

use crate::hex;
use serde::{Deserialize, Deserializer, Serialize};
use sha2::{Digest, Sha256};

use super::transition::Transition;

/// Version of [`NoiseManifest`] in files.
pub const NOISE_SCHEMA_VERSION: u32 = 1;

/// The noise of one list of labels. Runs are comparable when convention and nominal rate agree,
/// and see the same labels when `labels_sha256` agrees.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoiseManifest {
    /// [`NOISE_SCHEMA_VERSION`]; another one is refused.
    #[serde(deserialize_with = "known_version")]
    pub schema_version: u32,
    /// Name of the [`NoiseKind`](crate::config::NoiseKind) that was drawn; `given` for labels that
    /// came with their mistakes, `none` where nothing was drawn and nothing is known.
    pub convention: String,
    /// The rate asked for; for `matrix` the one that follows from matrix and class counts; `None`
    /// where nothing was drawn.
    pub nominal_rate: Option<f64>,
    /// `T[i][j]` = P(given j | true i) as asked for; `None` for `instance` and where nothing was
    /// drawn.
    pub nominal_matrix: Option<Vec<Vec<f64>>>,
    /// Seed of the draw.
    pub seed: Option<u64>,
    /// Number of labels.
    pub num_samples: usize,
    /// SHA-256 of the labels after noise, [`labels_sha256`].
    pub labels_sha256: String,
    /// Comparison with the labels before noise, or with the clean ones for `given`; `None` where
    /// neither is known.
    pub realised: Option<Realised>,
    /// What a reader should know before trusting a result on these labels.
    pub warnings: Vec<String>,
}

/// Labels compared with those from which they came.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Realised {
    /// Share of labels that differ, 0–1; 0 without labels.
    pub rate: f64,
    /// Labels that differ.
    pub num_flipped: usize,
    /// Of these, by class before the flip, `[K]`.
    pub class_flipped: Vec<u32>,
    /// `counts[before][after]`, `[K][K]`.
    pub counts: Vec<Vec<u32>>,
    /// SHA-256 of the labels compared with, [`labels_sha256`].
    pub source_sha256: String,
}

impl Realised {
    /// Compares `labels` with `source`, both below `num_classes`.
    pub fn compare(source: &[u32], labels: &[u32], num_classes: usize) -> Self {
        assert_eq!(source.len(), labels.len(), "one label per source label");
        let mut counts = vec![vec![0u32; num_classes]; num_classes];
        for (&source, &label) in source.iter().zip(labels) {
            counts[source as usize][label as usize] += 1;
        }
        let class_flipped: Vec<u32> = counts
            .iter()
            .enumerate()
            .map(|(class, row)| row.iter().sum::<u32>() - row[class])
            .collect();
        let num_flipped: usize = class_flipped.iter().map(|&count| count as usize).sum();
        Self {
            rate: num_flipped as f64 / labels.len().max(1) as f64,
            num_flipped,
            class_flipped,
            counts,
            source_sha256: labels_sha256(source),
        }
    }
}

impl NoiseManifest {
    /// The manifest of labels on which nothing was drawn: `given` with a comparison where `clean`
    /// labels are known, else `none`.
    pub fn given(given: &[u32], clean: Option<&[u32]>, num_classes: usize) -> Self {
        Self {
            schema_version: NOISE_SCHEMA_VERSION,
            convention: if clean.is_some() { "given" } else { "none" }.into(),
            nominal_rate: None,
            nominal_matrix: None,
            seed: None,
            num_samples: given.len(),
            labels_sha256: labels_sha256(given),
            realised: clean.map(|clean| Realised::compare(clean, given, num_classes)),
            warnings: Vec::new(),
        }
    }

    /// P(given j | true i) where it is known: as asked for, else as realised; a class without a
    /// sample keeps its label.
    pub fn transition(&self) -> Option<Transition> {
        let realised = || {
            let counts = &self.realised.as_ref()?.counts;
            let row = |(class, row): (usize, &Vec<u32>)| {
                let total: f64 = row.iter().map(|&count| f64::from(count)).sum();
                let share = |(other, &count): (usize, &u32)| match total > 0.0 {
                    true => f64::from(count) / total,
                    false => f64::from(u8::from(class == other)),
                };
                row.iter().enumerate().map(share).collect()
            };
            Some(counts.iter().enumerate().map(row).collect())
        };
        Transition::new(self.nominal_matrix.clone().or_else(realised)?).ok()
    }
}

/// SHA-256, in hexadecimal, of the labels as 32-bit integers, little endian, in order.
pub fn labels_sha256(labels: &[u32]) -> String {
    let mut hasher = Sha256::new();
    for label in labels {
        hasher.update(label.to_le_bytes());
    }
    hex(&hasher.finalize())
}

fn known_version<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let version = u32::deserialize(deserializer)?;
    if version == NOISE_SCHEMA_VERSION {
        return Ok(version);
    }
    Err(serde::de::Error::custom(format!(
        "noise manifest of schema version {version}; this program reads {NOISE_SCHEMA_VERSION}"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_that_came_with_mistakes() {
        let manifest = NoiseManifest::given(&[0, 1, 1, 2], Some(&[0, 0, 1, 0]), 3);
        assert_eq!(manifest.convention, "given");
        let realised = manifest.realised.unwrap();
        assert_eq!((realised.rate, realised.num_flipped), (0.5, 2));
        assert_eq!(realised.class_flipped, [2, 0, 0]);
        assert_eq!(realised.counts, [[1, 1, 1], [0, 1, 0], [0, 0, 0]]);
        assert_eq!(NoiseManifest::given(&[0], None, 3).convention, "none");
    }

    #[test]
    fn the_matrix_is_the_nominal_one_or_the_realised() {
        let mut manifest = NoiseManifest::given(&[0, 1, 1, 1], Some(&[0, 0, 1, 0]), 3);
        let third = 1.0 / 3.0;
        let rows = [[third, 2.0 * third, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
        assert_eq!(manifest.transition().unwrap().rows(), rows);
        manifest.nominal_matrix = Some(Transition::identity(3).rows().to_vec());
        assert_eq!(manifest.transition(), Some(Transition::identity(3)));
        assert_eq!(NoiseManifest::given(&[0], None, 3).transition(), None);
    }

    #[test]
    fn hashes_have_a_fixed_byte_order() {
        // printf '\x01\x00\x00\x00\x00\x01\x00\x00' | sha256sum
        let expected = "242045e2f1bb37769b514f182fd91b3d215324cb57f187cced1e9c62921dbac3";
        assert_eq!(labels_sha256(&[1, 256]), expected);
    }

    #[test]
    fn other_versions_are_refused_by_name() {
        let manifest = NoiseManifest::given(&[0, 1], Some(&[0, 0]), 2);
        let text = serde_json::to_string(&manifest).unwrap();
        assert_eq!(serde_json::from_str::<NoiseManifest>(&text).unwrap(), manifest);
        let newer = text.replace("\"schema_version\":1", "\"schema_version\":2");
        let error = serde_json::from_str::<NoiseManifest>(&newer).unwrap_err().to_string();
        assert!(error.contains("schema version 2"), "{error}");
    }
}
