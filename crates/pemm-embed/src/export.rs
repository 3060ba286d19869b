//! Features as files for use elsewhere, and for training on them without the backbone.
//!
//! A folder with `features.npy` (`[N, D]` of 32-bit floats), `labels.npy` (`[N]` of 64-bit integers,
//! given labels), the same with `test_` in front if the data has a test part, `samples.csv`
//! (`part,index,name,label`, label as a class name), and `embedding.json`, which is written last:
//! if it is there, the others are whole. NumPy and the sources of `pemm-data` read it.

use std::path::Path;

use npyz::WriterBuilder;
use pemm_data::{DataSet, Part, source};
use serde::{Deserialize, Serialize};

use crate::backbone::{Backbone, BackboneCard};
use crate::cache::FeatureCache;
use crate::embed::{EmbedOptions, samples};
use crate::error::{EmbedError, Result};
use crate::write::{Pending, whole};

/// What `embedding.json` holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of this file, 1.
    pub schema: u32,
    /// Name of the data set.
    pub data: String,
    /// Class names; a label is an index into these.
    pub classes: Vec<String>,
    /// Rows of `features.npy`.
    pub num_samples: usize,
    /// Rows of `test_features.npy`, if there is one.
    pub num_test: Option<usize>,
    /// Everything that decides the features.
    pub backbone: BackboneCard,
}

/// Writes the features of `set` into `folder`, which is made if it is missing; files of the same
/// names are replaced. Progress and errors tell of each part on its own.
///
/// # Errors
/// As [`Backbone::embed`]; [`EmbedError::Io`] for `folder`. A stopped call leaves no
/// `embedding.json`, and with a cache the next one goes on where it stopped.
pub fn export(
    folder: &Path,
    backbone: &Backbone,
    set: &DataSet,
    mut cache: Option<&mut FeatureCache>,
    options: &EmbedOptions<'_>,
) -> Result<Manifest> {
    let manifest_path = folder.join("embedding.json");
    if manifest_path.exists() {
        std::fs::remove_file(&manifest_path)
            .map_err(|error| EmbedError::io(&manifest_path, error))?;
    }
    let mut names = String::from("part,index,name,label\n");
    let parts = [("train", "", Some(&set.train)), ("test", "test_", set.test.as_ref())];
    for (part_name, prefix, part) in parts {
        let Some(part) = part else { continue };
        let path = folder.join(format!("{prefix}features.npy"));
        features(&path, backbone, part, cache.as_deref_mut(), options)?;
        whole(&folder.join(format!("{prefix}labels.npy")), &labels(part))?;
        for index in 0..part.len() {
            let label = &set.classes[part.given[index] as usize];
            let [name, label] = [part.name(index), label].map(quoted);
            names += &format!("{part_name},{index},{name},{label}\n");
        }
    }
    whole(&folder.join("samples.csv"), names.as_bytes())?;
    let manifest = Manifest {
        schema: 1,
        data: set.name.clone(),
        classes: set.classes.clone(),
        num_samples: set.train.len(),
        num_test: set.test.as_ref().map(Part::len),
        backbone: backbone.card().clone(),
    };
    let json = serde_json::to_string_pretty(&manifest).expect("a manifest holds text and numbers");
    whole(&manifest_path, json.as_bytes())?;
    Ok(manifest)
}

fn features(
    path: &Path,
    backbone: &Backbone,
    part: &Part,
    cache: Option<&mut FeatureCache>,
    options: &EmbedOptions<'_>,
) -> Result<()> {
    let mut file = Pending::new(path)?;
    file.write(&source::npy_header(part.len(), backbone.num_features()))?;
    backbone.embed(&samples(part)?, cache, options, &mut |rows| {
        let bytes: Vec<u8> = rows.iter().flat_map(|value| value.to_le_bytes()).collect();
        file.write(&bytes)
    })?;
    file.keep()
}

/// The given labels as a NumPy array.
fn labels(part: &Part) -> Vec<u8> {
    let mut bytes = Vec::new();
    let write = |bytes: &mut Vec<u8>| -> std::io::Result<()> {
        let mut writer = npyz::WriteOptions::<i64>::new()
            .default_dtype()
            .shape(&[part.len() as u64])
            .writer(bytes)
            .begin_nd()?;
        writer.extend(part.given.iter().map(|&label| i64::from(label)))?;
        writer.finish()
    };
    write(&mut bytes).expect("memory takes every byte");
    bytes
}

/// A field of a CSV file.
fn quoted(text: &str) -> String {
    if text.contains(['"', ',', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.into()
    }
}
