//! All that is needed to continue a run, in one file that is replaced whole.

use pemm_runs::folder::{BEST, LAST, STATE};
use pemm_runs::{EpochRecord, LockedFolder, RunFolder, write};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::tensors::{TensorMap, from_safetensors, to_safetensors};

const SCHEMA: u32 = 1;
const MODEL: &str = "model";
const MOMENTUM: &str = "momentum";
const OBJECTIVE: &str = "objective";
const DYNAMICS: &str = "dynamics";

/// A run after some whole epochs. The streams of random numbers have no state of their own: each
/// epoch opens its substreams by number.
#[derive(Debug, Clone)]
pub struct State {
    /// Parameters and running statistics.
    pub model: TensorMap,
    /// The optimiser's momentum.
    pub momentum: TensorMap,
    /// What the objective keeps.
    pub objective: TensorMap,
    /// Margins of the training samples so far; empty for a run begun before they were recorded.
    pub dynamics: TensorMap,
    /// Epochs so far, and which of them is the best.
    pub progress: Saved,
}

/// What stands beside the tensors.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Saved {
    schema: u32,
    /// Records of the finished epochs.
    pub epochs: Vec<EpochRecord>,
    /// Epoch with the best validation accuracy so far; the first of equals.
    pub best_epoch: Option<usize>,
}

impl Saved {
    /// Before the first epoch.
    pub fn start() -> Self {
        Self { schema: SCHEMA, epochs: Vec::new(), best_epoch: None }
    }
}

/// Writes `last.safetensors` or `best.safetensors`; `card` goes into the metadata.
pub fn write_weights(
    folder: &RunFolder,
    best: bool,
    model: &TensorMap,
    card: &impl Serialize,
) -> Result<()> {
    let name = if best { BEST } else { LAST };
    let card = serde_json::to_string(card).expect("a card is plain data");
    Ok(write::atomic(&folder.file(name), &to_safetensors(model, &card))?)
}

/// Puts the best weights by noisy validation in the place of the last, for a run that returns them.
pub(crate) fn take_best(folder: &RunFolder) -> Result<()> {
    let best = folder.file(BEST);
    let refuse = |error: std::io::Error| Error::Weights {
        file: best.display().to_string(),
        reason: error.to_string(),
    };
    let bytes = std::fs::read(&best).map_err(refuse)?;
    Ok(write::atomic(&folder.file(LAST), &bytes)?)
}

/// Reads `last.safetensors`, or `best.safetensors`: tensors, the text of the metadata, and the
/// file's path for errors.
pub fn read_weights(folder: &RunFolder, best: bool) -> Result<(TensorMap, String, String)> {
    let path = folder.file(if best { BEST } else { LAST });
    let file = path.display().to_string();
    let bytes = std::fs::read(&path).map_err(|error| {
        let missing = error.kind() == std::io::ErrorKind::NotFound;
        let reason = match missing {
            true if best => {
                "there is none: no validation part, no epoch yet, or it was deleted".into()
            }
            true => "there is none: the run has not finished its first epoch".into(),
            false => error.to_string(),
        };
        Error::Weights { file: file.clone(), reason }
    })?;
    let (tensors, text) = from_safetensors(&bytes, &file)?;
    Ok((tensors, text, file))
}

impl State {
    /// Writes the state, whole or not at all.
    pub fn write(&self, folder: &LockedFolder) -> Result<()> {
        let parts = [
            (MODEL, &self.model),
            (MOMENTUM, &self.momentum),
            (OBJECTIVE, &self.objective),
            (DYNAMICS, &self.dynamics),
        ];
        let all: TensorMap = parts
            .into_iter()
            .flat_map(|(part, tensors)| {
                tensors.iter().map(move |(name, values)| (format!("{part}.{name}"), values.clone()))
            })
            .collect();
        let text = serde_json::to_string(&self.progress).expect("records are plain data");
        Ok(write::atomic(&folder.file(STATE), &to_safetensors(&all, &text))?)
    }

    /// Reads the state of `folder`.
    ///
    /// # Errors
    /// A file that is no state, or of another schema.
    pub fn read(folder: &RunFolder) -> Result<Self> {
        let path = folder.file(STATE);
        let file = path.display().to_string();
        let refuse = |reason: String| {
            let reason = format!("{reason}; put it back, or delete it to start again from epoch 1");
            Error::Weights { file: file.clone(), reason }
        };
        let bytes = std::fs::read(&path).map_err(|e| refuse(e.to_string()))?;
        let (tensors, text) =
            from_safetensors(&bytes, &file).map_err(|error| refuse(error.to_string()))?;
        let progress: Saved = serde_json::from_str(&text)
            .map_err(|e| refuse(format!("its metadata is not that of a run: {e}")))?;
        if progress.schema != SCHEMA {
            return Err(refuse(format!("schema {}, this pemm reads {SCHEMA}", progress.schema)));
        }
        let numbered = progress.epochs.iter().zip(1..).all(|(epoch, number)| epoch.epoch == number);
        let best = progress.best_epoch.unwrap_or(1);
        if !numbered || progress.epochs.is_empty() || !(1..=progress.epochs.len()).contains(&best) {
            return Err(refuse("its epochs are not those of a run".into()));
        }
        let mut state = Self {
            model: TensorMap::new(),
            momentum: TensorMap::new(),
            objective: TensorMap::new(),
            dynamics: TensorMap::new(),
            progress,
        };
        for (name, values) in tensors {
            let (part, rest) = name.split_once('.').unwrap_or((&name, ""));
            let part = match part {
                MODEL => &mut state.model,
                MOMENTUM => &mut state.momentum,
                OBJECTIVE => &mut state.objective,
                DYNAMICS => &mut state.dynamics,
                _ => return Err(refuse(format!("tensor {name} belongs to no part of a state"))),
            };
            part.insert(rest.to_owned(), values);
        }
        Ok(state)
    }
}
