//! Label noise: drawn once, from a convention with a name, and described in a manifest.
//!
//! What each kind flips, and its T at rate ε, stands at its function in `convention.rs` with its
//! source; `instance.rs` has those that look at the image.

mod convention;
mod estimate;
mod groups;
mod instance;
mod inverse;
mod kind;
mod manifest;
mod scheme;
mod transition;

pub use kind::NoiseKind;
pub use manifest::{NOISE_SCHEMA_VERSION, NoiseManifest, Realised, labels_sha256};
pub use transition::Transition;

use crate::config::NoiseConfig;
use crate::error::{DataError, Result};
use crate::seed::{Stream, Streams};
use scheme::Scheme;

/// Labels after noise, and what was drawn.
#[derive(Debug, Clone, PartialEq)]
pub struct Draw {
    /// Given labels, in the order of the labels before noise.
    pub labels: Vec<u32>,
    /// Description of the draw.
    pub manifest: NoiseManifest,
}

impl Draw {
    /// Takes the samples that are `kept` out of the noise: they have the label `before` again. The
    /// labels of the others are those that were drawn, as if nothing had been kept.
    #[must_use]
    pub fn keeping(mut self, before: &[u32], kept: &[bool], num_classes: usize) -> Self {
        assert_eq!(before.len(), kept.len(), "one mark per label");
        for ((label, &before), &kept) in self.labels.iter_mut().zip(before).zip(kept) {
            *label = if kept { before } else { *label };
        }
        let num_kept = kept.iter().filter(|&&kept| kept).count();
        self.manifest.labels_sha256 = labels_sha256(&self.labels);
        self.manifest.realised = Some(Realised::compare(before, &self.labels, num_classes));
        self.manifest.warnings.push(format!(
            "{num_kept} of {} labels are trusted and were left out of it",
            before.len()
        ));
        self
    }
}

/// Draws noise on `given`, the same on every machine for the same seed.
///
/// `substream` keeps parts of one data set apart (0 training, 1 validation); what belongs to the
/// data set as a whole, the pairs of `block-pair` and the projections of `instance`, depends on
/// the seed alone. `instance_features` gives `[N, D]` and is called for `instance` and `instance-raw` only. A rate
/// of 0 returns the labels as they are.
///
/// # Errors
/// Those of [`NoiseConfig::check`]; fewer than 2 classes; class names that the kind does not know;
/// a label that is no class; a broken matrix file; features that cannot be had.
pub fn draw(
    config: &NoiseConfig,
    given: &[u32],
    classes: &[String],
    seed: u64,
    substream: u64,
    instance_features: impl FnOnce() -> Result<Vec<f32>>,
) -> Result<Draw> {
    let scheme = Scheme::of(config, classes, seed)?;
    let num_classes = classes.len();
    let mut counts = vec![0; num_classes];
    for (sample, &label) in given.iter().enumerate() {
        let Some(count) = counts.get_mut(label as usize) else {
            return Err(DataError::setting(
                "data.labels",
                format!("sample {sample} has label {label}, and there are {num_classes} classes"),
            ));
        };
        *count += 1;
    }
    let mut rng = Streams::new(seed).open_at(Stream::Noise, substream);
    let labels = if config.changes_nothing() {
        given.to_vec()
    } else if config.looks_at_samples() {
        let mut features = instance_features()?;
        instance::check(&features, given.len())?;
        if config.kind == NoiseKind::Instance {
            instance::standardise(&mut features, given.len());
        }
        instance::draw(given, num_classes, config.rate, &features, seed, &mut rng)?
    } else {
        scheme.draw(given, num_classes, config.rate, &mut rng)
    };
    let nominal = scheme.transition(config.rate, num_classes);
    let nominal_rate = match (&nominal, config.kind) {
        (Some(matrix), NoiseKind::Matrix) => matrix.rate(&counts),
        _ => config.rate,
    };
    let manifest = NoiseManifest {
        schema_version: NOISE_SCHEMA_VERSION,
        convention: config.kind.name().into(),
        nominal_rate: Some(nominal_rate),
        warnings: warnings(nominal.as_ref(), nominal_rate, classes),
        nominal_matrix: nominal.map(|matrix| matrix.rows().to_vec()),
        seed: Some(seed),
        num_samples: labels.len(),
        labels_sha256: labels_sha256(&labels),
        realised: Some(Realised::compare(given, &labels, num_classes)),
    };
    Ok(Draw { labels, manifest })
}

/// Warns where the true class is no longer the most likely given label: no method without clean
/// labels can tell which of the two is meant.
fn warnings(nominal: Option<&Transition>, rate: f64, classes: &[String]) -> Vec<String> {
    let Some(nominal) = nominal else {
        // Images of a class that look alike flip to the same class, so 1/2 is the bound.
        let warning = format!("at rate {rate} a wrong class can be as likely as the true one");
        return if rate >= 0.5 { vec![warning] } else { Vec::new() };
    };
    let overtaken = nominal.overtaken();
    let Some(&(class, rival)) = overtaken.first() else {
        return Vec::new();
    };
    let row = &nominal.rows()[class];
    vec![format!(
        "for {} of {} classes the true class is not the most likely label: \"{}\" is called \
         \"{}\" with probability {:.3} and \"{}\" with {:.3}",
        overtaken.len(),
        classes.len(),
        classes[class],
        classes[class],
        row[class],
        classes[rival],
        row[rival]
    )]
}

#[cfg(test)]
mod tests;
