//! All that is needed to continue a run, in one file that is replaced whole, and its weights.

use pemm_runs::choice::{OVER, best};
use pemm_runs::folder::{BEST, LAST, STATE};
use pemm_runs::{Bond, EpochRecord, LockedFolder, Record, RunFolder, Status, bond, ordinary};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::tensors::{TensorMap, from_safetensors, to_safetensors};

const SCHEMA: u32 = 2;
/// That of before states knew their run, which is still read.
const WITHOUT_BOND: u32 = 1;
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
    /// Epoch that is best by noisy validation so far, see [`Choice`](pemm_runs::Choice).
    pub best_epoch: Option<usize>,
    /// Epochs over which that is averaged; 1 in files from before it was.
    #[serde(default = "pemm_runs::choice::alone")]
    pub over: usize,
    /// The run that it is of; none in files of schema 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    run: Option<Bond>,
}

impl Saved {
    /// Before the first epoch.
    pub fn start() -> Self {
        Self { schema: SCHEMA, epochs: Vec::new(), best_epoch: None, over: OVER, run: None }
    }

    /// Whether the next epoch, with this accuracy on the given validation labels, is the best so far.
    pub fn is_best(&self, val_accuracy_given: Option<f64>) -> bool {
        let before = self.epochs.iter().map(|epoch| epoch.val_accuracy_given);
        let all: Vec<Option<f64>> = before.chain([val_accuracy_given]).collect();
        best(&all, self.over) == Some(self.epochs.len())
    }
}

/// What is said of a file that an older pemm wrote.
pub(crate) fn unbound(file: &str) -> String {
    format!(
        "{file}: an older pemm wrote it, without the run that it is of and without a checksum; \
         whether it is the right file is not checked"
    )
}

/// Writes `last.safetensors` or `best.safetensors`; `card`, which holds the [`Bond`] to the run, goes
/// into the metadata.
pub fn write_weights(
    folder: &LockedFolder,
    best: bool,
    model: &TensorMap,
    card: &impl Serialize,
) -> Result<()> {
    let name = if best { BEST } else { LAST };
    let card = serde_json::to_string(card).expect("a card is plain data");
    let mut bytes = to_safetensors(model, &card);
    bond::stamp(&mut bytes);
    Ok(folder.write(name, &bytes)?)
}

/// Whether weights of `epoch`, with the bond `run` if there is one, are those that the run of `record`
/// has now: no other run's, and no older copy. A run that goes on may have written newer ones since its
/// record.
///
/// # Errors
/// What differs.
pub(crate) fn check_owner(
    run: Option<&Bond>,
    epoch: usize,
    best: bool,
    record: &Record,
) -> std::result::Result<(), String> {
    run.map_or(Ok(()), |run| run.check(record))?;
    let choice = &record.choice;
    let Some(chosen) = (if best { choice.best_by_noisy_val } else { choice.last }) else {
        return Ok(());
    };
    let goes_on = record.status != Status::Finished;
    let newest = if best { chosen.epoch } else { record.epochs.len() };
    if epoch == chosen.epoch || (goes_on && epoch >= newest) {
        return Ok(());
    }
    Err(format!(
        "holds the weights after epoch {epoch}, and those of this run are of epoch {}: it is an older \
         copy",
        chosen.epoch
    ))
}

/// Puts the best weights by noisy validation of the run of `record` in the place of the last, for a
/// run that returns them.
pub(crate) fn take_best(folder: &LockedFolder, record: &Record) -> Result<()> {
    check_best(folder, record)?;
    let best = folder.file(BEST);
    let bytes = ordinary::read(&best).map_err(|error| Error::Weights {
        file: best.display().to_string(),
        reason: error.to_string(),
    })?;
    Ok(folder.write(LAST, &bytes)?)
}

/// Whether `best.safetensors` is that of the run of `record`, which is not finished yet.
///
/// # Errors
/// No such file; one that is no model's, is damaged, of another run, or an older copy.
pub(crate) fn check_best(folder: &RunFolder, record: &Record) -> Result<()> {
    /// What every card says of its file.
    #[derive(Deserialize)]
    struct Card {
        epoch: usize,
        run: Option<Bond>,
    }
    let advised = |file: String, reason: String| {
        let reason = format!(
            "{reason}; bring this run's own file back, or delete state.safetensors to start again \
             from epoch 1"
        );
        Error::Weights { file, reason }
    };
    let (_, text, file) = read_weights(folder, true).map_err(|error| {
        let Error::Weights { file, reason } = error else { return error };
        advised(file, reason)
    })?;
    serde_json::from_str::<Card>(&text)
        .map_err(|error| format!("its metadata is not that of a model: {error}"))
        .and_then(|card| check_owner(card.run.as_ref(), card.epoch, true, record))
        .map_err(|reason| advised(file, reason))
}

/// Reads `last.safetensors`, or `best.safetensors`: tensors, the text of the metadata, and the
/// file's path for errors.
pub fn read_weights(folder: &RunFolder, best: bool) -> Result<(TensorMap, String, String)> {
    let path = folder.file(if best { BEST } else { LAST });
    let file = path.display().to_string();
    let bytes = ordinary::read(&path).map_err(|error| {
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
    /// Writes the state of the run of `record`, whole or not at all.
    pub fn write(&self, folder: &LockedFolder, record: &Record) -> Result<()> {
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
        let run = Some(Bond::of(record));
        let progress = Saved { schema: SCHEMA, run, ..self.progress.clone() };
        let text = serde_json::to_string(&progress).expect("records are plain data");
        let mut bytes = to_safetensors(&all, &text);
        bond::stamp(&mut bytes);
        Ok(folder.write(STATE, &bytes)?)
    }

    /// Reads the state of `folder`, whose run is that of `record`; also what is to be said of a file
    /// that cannot be checked.
    ///
    /// # Errors
    /// A file that is no state, of another schema, of another run, or changed since it was written.
    pub fn read(folder: &RunFolder, record: &Record) -> Result<(Self, Option<String>)> {
        let path = folder.file(STATE);
        let file = path.display().to_string();
        let refuse = |reason: String| {
            let reason = format!("{reason}; put it back, or delete it to start again from epoch 1");
            Error::Weights { file: file.clone(), reason }
        };
        let bytes = ordinary::read(&path).map_err(|e| refuse(e.to_string()))?;
        let (tensors, text) =
            from_safetensors(&bytes, &file).map_err(|error| refuse(error.to_string()))?;
        let progress: Saved = serde_json::from_str(&text)
            .map_err(|e| refuse(format!("its metadata is not that of a run: {e}")))?;
        let schema = if progress.run.is_some() { SCHEMA } else { WITHOUT_BOND };
        if progress.schema != schema {
            return Err(refuse(format!(
                "schema {}, this pemm reads {WITHOUT_BOND} and {SCHEMA}",
                progress.schema
            )));
        }
        if let Some(run) = &progress.run {
            run.check(record).map_err(refuse)?;
        }
        let warning = progress.run.is_none().then(|| unbound(&file));
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
        Ok((state, warning))
    }
}
