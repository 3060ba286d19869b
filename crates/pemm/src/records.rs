//! What the data path knows, in the form that run folders keep.

use std::collections::BTreeSet;

use pemm_data::noise::NoiseManifest;
use pemm_data::prepare::Prepared;
use pemm_experiment::identity;
use pemm_runs::{DataRecord, NoiseRecord};

/// The data of a run.
pub(crate) fn data(prepared: &Prepared) -> DataRecord {
    let shape = prepared.shape;
    DataRecord {
        name: prepared.name.clone(),
        data_sha256: prepared.data_sha256.clone(),
        classes: prepared.classes.clone(),
        num_train: prepared.train.len(),
        num_trusted: prepared.trusted.as_ref().map(|trusted| trusted.count()),
        num_val: prepared.val.as_ref().map_or(0, |part| part.len()),
        num_test: prepared.sealed.test_images().map_or(0, |part| part.len()),
        shape: [shape.channels, shape.height, shape.width],
        found_at: BTreeSet::new(),
        account: (!prepared.account.read.is_empty()).then(|| prepared.account.clone()),
    }
}

/// The noise of a run.
pub(crate) fn noise(manifest: &NoiseManifest) -> NoiseRecord {
    NoiseRecord {
        convention: manifest.convention.clone(),
        nominal_rate: manifest.nominal_rate.unwrap_or_default(),
        realised_rate: manifest.realised.as_ref().map(|realised| realised.rate),
        num_samples: manifest.num_samples,
        num_flipped: manifest.realised.as_ref().map(|realised| realised.num_flipped),
        labels_sha256: manifest.labels_sha256.clone(),
        matrix_sha256: manifest.nominal_matrix.as_deref().map(identity::of_matrix),
    }
}
