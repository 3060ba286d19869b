//! Audits folders of .npy arrays: `audit_arrays FOLDER …`.
//!
//! Reads `given.npy` (uint32 `[N]`) and `probabilities.npy` (float32 `[N, K]`), and where they are there
//! `features.npy` (`[N, D]`), `models.npy` (uint32), `margins.npy`, `events.npy` (`[N]`) and `checked.npy`
//! (uint32; 4294967295 for unknown); of little-endian C-ordered files as NumPy writes them. Writes
//! `ours.json` (the summary, names of scores, seconds) and `ours.f32`: for each sample whether it is an
//! issue, what becomes of its label (0 keep, 1 change, 2 drop), the label afterwards, the weight, and
//! every score, as float32.
//!
//! Everything that it needs of the format is here, so that the crate has no reader.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::time::Instant;

use pemm_audit::cleaning::Action;
use pemm_audit::{Arrays, Samples, audit};

/// Values of a .npy file, four bytes each.
fn read(path: &Path, kind: &str) -> Result<Vec<[u8; 4]>, Box<dyn Error>> {
    let bytes = fs::read(path)?;
    let wrong = |what: &str| format!("{}: {what}", path.display());
    let head = bytes.get(..10).filter(|head| head.starts_with(b"\x93NUMPY\x01"));
    let head = head.ok_or_else(|| wrong("not an npy file of version 1"))?;
    let length = usize::from(u16::from_le_bytes([head[8], head[9]]));
    let header = bytes.get(10..10 + length).ok_or_else(|| wrong("cut off"))?;
    let header = std::str::from_utf8(header)?;
    if !header.contains(kind) || !header.contains("'fortran_order': False") {
        return Err(wrong(&format!("needs {kind} in C order, has {header}")).into());
    }
    let (values, _) = bytes[10 + length..].as_chunks::<4>();
    Ok(values.to_vec())
}

fn floats(path: &Path) -> Result<Vec<f32>, Box<dyn Error>> {
    Ok(read(path, "'<f4'")?.into_iter().map(f32::from_le_bytes).collect())
}

fn integers(path: &Path) -> Result<Vec<u32>, Box<dyn Error>> {
    Ok(read(path, "'<u4'")?.into_iter().map(u32::from_le_bytes).collect())
}

fn judge(folder: &Path) -> Result<(), Box<dyn Error>> {
    let given = integers(&folder.join("given.npy"))?;
    let probabilities = floats(&folder.join("probabilities.npy"))?;
    let there = |name: &str| {
        let path = folder.join(name);
        path.exists().then(|| floats(&path)).transpose()
    };
    let numbers = |name: &str| {
        let path = folder.join(name);
        path.exists().then(|| integers(&path)).transpose()
    };
    let (features, margins) = (there("features.npy")?, there("margins.npy")?);
    let (events, checked) = (there("events.npy")?, numbers("checked.npy")?);
    let n = given.len().max(1);
    let arrays = Arrays {
        num_classes: probabilities.len() / n,
        given: &given,
        probabilities: &probabilities,
        num_features: features.as_ref().map_or(0, |features| features.len() / n),
        features: features.as_deref(),
        margins: margins.as_deref(),
        events: events.as_deref(),
        checked: checked.as_deref(),
        ..Arrays::default()
    };
    let started = Instant::now();
    let audit = audit(&Samples::new(arrays)?);
    let secs = started.elapsed().as_secs_f64();
    let mut columns = vec![("combined", &audit.scores.combined[..])];
    columns.extend(audit.scores.columns());
    let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    let mut bytes = Vec::new();
    for sample in 0..given.len() {
        let action = match audit.cleaning.actions[sample] {
            Action::Keep => 0.0,
            Action::Change | Action::Checked => 1.0,
            Action::Drop => 2.0,
        };
        let head = [
            f32::from(u8::from(audit.is_issue[sample])),
            action,
            audit.cleaning.labels[sample] as f32,
            audit.cleaning.weights[sample],
        ];
        let scores = columns.iter().map(|(_, values)| values[sample]);
        head.into_iter().chain(scores).for_each(|value: f32| bytes.extend(value.to_le_bytes()));
    }
    fs::write(folder.join("ours.f32"), bytes)?;
    let json = serde_json::json!({ "summary": audit.summary, "scores": names, "secs": secs });
    fs::write(folder.join("ours.json"), serde_json::to_vec(&json)?)?;
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    for folder in std::env::args_os().skip(1) {
        judge(Path::new(&folder)).map_err(|e| format!("{}: {e}", Path::new(&folder).display()))?;
    }
    Ok(())
}
