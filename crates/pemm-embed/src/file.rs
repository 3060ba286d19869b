//! The bytes of a network: its file, and the files beside it that hold weights.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Component, Path};

use pemm_data::hex;
use sha2::{Digest, Sha256};

use crate::error::{EmbedError, Result};
use crate::graph::{External, Graph};

/// Largest file, in bytes: what Protocol Buffers allow.
const MAX_FILE_BYTES: u64 = 2 << 30;
/// Largest sum of the files beside it, in bytes.
const MAX_WEIGHT_BYTES: u64 = 8 << 30;

/// What is in the files of a network.
#[derive(Debug)]
pub(crate) struct Bytes {
    pub(crate) main: Vec<u8>,
    /// By the name that the network gives them.
    beside: BTreeMap<String, Vec<u8>>,
    /// Of the file, followed by name and content of each file beside it.
    pub(crate) sha256: String,
}

impl Bytes {
    /// Reads the network at `path` and the weights that it names.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let main = at_most(path, MAX_FILE_BYTES)?;
        let graph = Graph::read(&main).map_err(|reason| not_onnx(path, reason))?;
        let mut beside = BTreeMap::new();
        let mut room = MAX_WEIGHT_BYTES;
        for external in graph.weights.values().filter_map(|tensor| tensor.external.as_ref()) {
            if beside.contains_key(external.location) {
                continue;
            }
            let bytes = weights(path, external.location, room)?;
            room -= bytes.len() as u64;
            beside.insert(external.location.to_string(), bytes);
        }
        let mut hash = Sha256::new();
        hash.update(&main);
        for (name, bytes) in &beside {
            hash.update(name.as_bytes());
            hash.update(bytes);
        }
        let sha256 = hex(&hash.finalize());
        Ok(Self { main, beside, sha256 })
    }

    /// The graph, with all weights in place.
    pub(crate) fn graph(&self, path: &Path) -> Result<Graph<'_>> {
        let mut graph = Graph::read(&self.main).map_err(|reason| not_onnx(path, reason))?;
        for tensor in graph.weights.values_mut() {
            let Some(external) = tensor.external.take() else { continue };
            let expected = tensor.len().zip(tensor.value_bytes());
            let expected = expected.and_then(|(len, bytes)| len.checked_mul(bytes));
            let bytes = expected.and_then(|expected| self.slice(&external, expected));
            let Some(bytes) = bytes else {
                return Err(EmbedError::ExternalWeights {
                    file: path.to_path_buf(),
                    location: external.location.into(),
                    reason: format!(
                        "the file has no {:?} values at {} for the weights {:?}; it is not the \
                         one that was exported with this network",
                        tensor.shape, external.offset, tensor.name
                    ),
                });
            };
            tensor.raw = Some(bytes);
            tensor.bytes = &[];
        }
        Ok(graph)
    }

    fn slice(&self, external: &External<'_>, len: usize) -> Option<&[u8]> {
        let offset = usize::try_from(external.offset).ok()?;
        self.beside.get(external.location)?.get(offset..offset.checked_add(len)?)
    }
}

fn not_onnx(path: &Path, reason: String) -> EmbedError {
    EmbedError::NotOnnx { file: path.to_path_buf(), reason }
}

/// The file `location` beside the network, of at most `room` bytes.
fn weights(network: &Path, location: &str, room: u64) -> Result<Vec<u8>> {
    let wrong = |reason: String| EmbedError::ExternalWeights {
        file: network.to_path_buf(),
        location: location.into(),
        reason,
    };
    let relative = Path::new(location);
    let mut parts = relative.components();
    if location.is_empty() || !parts.all(|part| matches!(part, Component::Normal(_))) {
        return Err(wrong("only a file in the network's own folder is read".into()));
    }
    let path = network.parent().unwrap_or(Path::new("")).join(relative);
    // A link could lead out of the folder as well as `..` does.
    match path.symlink_metadata() {
        Ok(data) if data.is_file() => {}
        Ok(_) => return Err(wrong("it is no ordinary file".into())),
        Err(_) => {
            let reason = "the file is missing; put it beside the network, or export with \
                          external_data=False";
            return Err(wrong(reason.into()));
        }
    }
    at_most(&path, room)
}

/// Opens a file and nothing else: a pipe would be waited for, maybe for ever.
pub(crate) fn ordinary(path: &Path) -> std::io::Result<File> {
    if std::fs::metadata(path)?.is_file() {
        return File::open(path);
    }
    Err(std::io::Error::other("is no ordinary file"))
}

fn at_most(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let file = ordinary(path).map_err(|error| EmbedError::io(path, error))?;
    let mut bytes = Vec::new();
    let read = file.take(limit + 1).read_to_end(&mut bytes);
    read.map_err(|error| EmbedError::io(path, error))?;
    if bytes.len() as u64 > limit {
        return Err(EmbedError::TooLarge {
            file: path.to_path_buf(),
            what: "bytes in the file, at least".into(),
            value: bytes.len() as u64,
            limit,
            next: "use a smaller network",
        });
    }
    Ok(bytes)
}
