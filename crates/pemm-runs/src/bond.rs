//! Which run a file of tensors belongs to, and that it is still as it was written.
//!
//! Every safetensors file of a run folder holds a [`Bond`] in its metadata: the identity of the
//! run's experiment, the hash of the labels, and a checksum of the whole file. So the state of
//! another seed, a file from another folder and a changed byte are found when the file is read.

use std::ops::Range;

use pemm_data::hex;
use pemm_experiment::identity::short;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::record::Record;

/// What stands before the checksum in a header: JSON within a text of JSON.
const MARK: &[u8] = br#"\"file_sha256\":\""#;
/// Digits of a checksum; all are 0 while it is computed.
const NUM_DIGITS: usize = 64;
/// Bytes before a safetensors header: its length.
const LENGTH: usize = 8;

/// What ties a file to its run; a part of the file's metadata.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bond {
    /// Identity of the run's experiment.
    pub identity: String,
    /// Hash of the labels that it is trained on.
    pub labels_sha256: String,
    /// SHA-256 of the file with these 64 digits as zeros; see [`stamp`].
    file_sha256: String,
}

impl Bond {
    /// The bond of a file that the run of `record` writes; [`stamp`] completes it.
    pub fn of(record: &Record) -> Self {
        Self {
            identity: record.identity.clone(),
            labels_sha256: record.noise.labels_sha256.clone(),
            file_sha256: "0".repeat(NUM_DIGITS),
        }
    }

    /// Whether the file is one of the run of `record`.
    ///
    /// # Errors
    /// What differs.
    pub fn check(&self, record: &Record) -> Result<(), String> {
        let differs = |what: &str, found: &str, wanted: &str| {
            Err(format!(
                "is of another run: its {what} is {}, and that of this run {}",
                short(found),
                short(wanted)
            ))
        };
        if self.identity != record.identity {
            return differs("experiment", &self.identity, &record.identity);
        }
        let labels = &record.noise.labels_sha256;
        if self.labels_sha256 != *labels {
            return differs("labels' hash", &self.labels_sha256, labels);
        }
        Ok(())
    }
}

/// Puts the checksum into `file`, a safetensors file whose metadata hold a new [`Bond`].
///
/// # Panics
/// If it holds none.
pub fn stamp(file: &mut [u8]) {
    let digits = digits(file).expect("the metadata hold a bond");
    let sum = sum(file, &digits);
    file[digits].copy_from_slice(sum.as_bytes());
}

/// Whether `file` is as it was written. One without a checksum, from elsewhere or from a pemm of
/// before there was one, passes.
///
/// # Errors
/// That it is not.
pub fn check(file: &[u8]) -> Result<(), String> {
    let Some(digits) = digits(file) else { return Ok(()) };
    if file[digits.clone()] == *sum(file, &digits).as_bytes() {
        return Ok(());
    }
    Err("was damaged or changed since pemm wrote it (its checksum is another)".into())
}

/// Where the checksum stands.
fn digits(file: &[u8]) -> Option<Range<usize>> {
    let (length, rest) = file.split_first_chunk::<LENGTH>()?;
    let header = rest.get(..usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
    let mark = header.windows(MARK.len()).rposition(|window| window == MARK)?;
    let start = LENGTH + mark + MARK.len();
    let end = start + NUM_DIGITS;
    (end <= LENGTH + header.len()).then_some(start..end)
}

fn sum(file: &[u8], digits: &Range<usize>) -> String {
    let mut hasher = Sha256::new();
    hasher.update(&file[..digits.start]);
    hasher.update([b'0'; NUM_DIGITS]);
    hasher.update(&file[digits.end..]);
    hex(&hasher.finalize())
}

#[cfg(test)]
mod tests {
    use safetensors::tensor::{Dtype, TensorView};

    use super::*;
    use crate::record::tests::record;

    fn file(metadata: &str) -> Vec<u8> {
        let bytes = [1, 2, 3, 4, 5, 6, 7, 8];
        let view = TensorView::new(Dtype::F32, vec![2], &bytes).unwrap();
        let metadata = [("pemm".to_owned(), metadata.to_owned())].into_iter().collect();
        safetensors::serialize([("a", view)], Some(metadata)).unwrap()
    }

    #[test]
    fn any_changed_or_lost_byte_is_found() {
        let bond = serde_json::to_string(&Bond::of(&record("pemm", 0, 0.9))).unwrap();
        let mut whole = file(&bond);
        assert!(check(&whole).is_err(), "not stamped yet");
        stamp(&mut whole);
        check(&whole).unwrap();
        let digits = digits(&whole).unwrap();
        for at in 0..whole.len() {
            let mut other = whole.clone();
            other[at] ^= 4;
            // Without its length or the mark no checksum is found; reading the header finds that.
            let is_found = at >= LENGTH && !(digits.start - MARK.len()..digits.start).contains(&at);
            assert!(!is_found || check(&other).is_err(), "byte {at}");
        }
        whole.push(0);
        assert!(check(&whole).is_err());
    }

    #[test]
    fn files_without_a_checksum_pass_and_names_are_no_mark() {
        check(&file("{}")).unwrap();
        check(&file(r#"{"classes":["\"file_sha256\":\"00"]}"#)).unwrap();
        for hostile in [&[][..], &[255; 8], &[9; 40]] {
            check(hostile).unwrap();
        }
        let mut cut = 200u64.to_le_bytes().to_vec();
        cut.extend(MARK);
        cut.resize(208, b' ');
        cut.truncate(100);
        check(&cut).unwrap();
    }

    #[test]
    fn another_experiment_and_other_labels_are_named() {
        let (one, mut other) = (record("pemm", 1, 0.9), record("pemm", 2, 0.9));
        let bond = Bond::of(&one);
        bond.check(&one).unwrap();
        let message = bond.check(&other).unwrap_err();
        assert!(message.contains(short(&one.identity)) && message.contains("another run"));
        other.identity.clone_from(&one.identity);
        assert!(bond.check(&other).unwrap_err().contains("labels' hash"));
    }
}
