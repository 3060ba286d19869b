//! Event files of TensorBoard: the numbers of each epoch as scalars, whose step is the epoch.
//!
//! ```text
//! file   = record …                                  the first one names the version of the format
//! record = length u64, mask(crc32c(length)) u32, event, mask(crc32c(event)) u32      little-endian
//! event  = wall_time double = 1, step int64 = 2, file_version string = 3, summary = 5     protobuf
//! summary = value … = 1        value = tag string = 1, simple_value float = 2
//! mask(c) = (c rotated right by 15) + 0xa282ead8
//! ```
//!
//! Reference: `tensorboard/compat/proto/event.proto` and `summary.proto`, and TensorFlow's
//! `lib/io/record_writer.h`. TensorBoard 2.21 reads what is written here.

use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use pemm_data::disk;

use crate::epoch::EpochRecord;
use crate::error::{Result, RunError};
use crate::metrics::scalars;
use crate::write;

/// What TensorBoard knows its files by.
const PREFIX: &str = "events.out.tfevents.";
/// And how those of this program end.
const SUFFIX: &str = ".pemm";

/// An event file that grows with the run.
#[derive(Debug)]
pub struct Events {
    path: PathBuf,
    file: File,
}

impl Events {
    /// Begins a new file in `folder` with `epochs`, those that are done. It takes the place of the files
    /// that an earlier start of the run left there, so that no epoch stands in two.
    ///
    /// # Errors
    /// [`RunError::Full`], [`RunError::Io`].
    pub fn begin(folder: &Path, epochs: &[EpochRecord]) -> Result<Self> {
        let old = earlier(folder).map_err(|source| RunError::io(folder, source))?;
        let now = now();
        let path = folder.join(format!("{PREFIX}{:010}{SUFFIX}", now as u64));
        let mut bytes = Vec::new();
        record(&event(now, 0, &version()), &mut bytes);
        // The log says how long each epoch took, so the times are counted back from now.
        let mut time = now - epochs.iter().map(|epoch| epoch.seconds).sum::<f64>();
        for epoch in epochs {
            time += epoch.seconds;
            record(&event(time, epoch.epoch, &summary(epoch)), &mut bytes);
        }
        let io = |source| write::failed(&path, source);
        for old in &old {
            disk::rename(old, &path).map_err(io)?;
        }
        write::atomic(&path, &bytes)?;
        let mut file = disk::open(&path, &mut File::options()).map_err(io)?;
        file.seek(SeekFrom::End(0)).map_err(io)?;
        Ok(Self { path, file })
    }

    /// Appends an epoch that has just ended.
    ///
    /// # Errors
    /// [`RunError::Full`], [`RunError::Io`].
    pub fn append(&mut self, epoch: &EpochRecord) -> Result<()> {
        let mut bytes = Vec::new();
        record(&event(now(), epoch.epoch, &summary(epoch)), &mut bytes);
        disk::append(&mut self.file, &bytes).map_err(|source| write::failed(&self.path, source))
    }
}

/// Event files of this program in `folder`.
fn earlier(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name();
        let is_ours =
            name.to_str().is_some_and(|name| name.starts_with(PREFIX) && name.ends_with(SUFFIX));
        if is_ours {
            found.push(folder.join(name));
        }
    }
    Ok(found)
}

/// Seconds since 1970.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// Appends `event` as a record.
fn record(event: &[u8], out: &mut Vec<u8>) {
    let length = (event.len() as u64).to_le_bytes();
    out.extend(length);
    out.extend(masked_crc(&length));
    out.extend(event);
    out.extend(masked_crc(event));
}

/// An event at a time and a step that says `what`, an encoded field.
fn event(time: f64, step: usize, what: &[u8]) -> Vec<u8> {
    let mut bytes = vec![1 << 3 | 1];
    bytes.extend(time.to_le_bytes());
    bytes.push(2 << 3);
    varint(step as u64, &mut bytes);
    bytes.extend(what);
    bytes
}

fn version() -> Vec<u8> {
    let mut bytes = Vec::new();
    block(3, b"brain.Event:2", &mut bytes);
    bytes
}

fn summary(epoch: &EpochRecord) -> Vec<u8> {
    let mut values = Vec::new();
    for (name, number) in scalars(epoch) {
        let mut value = Vec::new();
        block(1, name.as_bytes(), &mut value);
        value.push(2 << 3 | 5);
        value.extend((number as f32).to_le_bytes());
        block(1, &value, &mut values);
    }
    let mut bytes = Vec::new();
    block(5, &values, &mut bytes);
    bytes
}

/// A field of bytes, with its length before it.
fn block(number: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(number << 3 | 2);
    varint(bytes.len() as u64, out);
    out.extend(bytes);
}

/// Seven bits a byte, the lowest first; the eighth bit says that more follow.
fn varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 1 << 7 {
        out.push(number as u8 | 1 << 7);
        number >>= 7;
    }
    out.push(number as u8);
}

/// CRC-32C, masked as in TensorFlow's records.
fn masked_crc(bytes: &[u8]) -> [u8; 4] {
    crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}

fn crc32c(bytes: &[u8]) -> u32 {
    /// Castagnoli's polynomial, its bits in reverse.
    const POLYNOMIAL: u32 = 0x82f6_3b78;
    !bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            (crc >> 1) ^ if crc & 1 == 1 { POLYNOMIAL } else { 0 }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::epoch::tests::epoch;

    #[test]
    fn the_checksum_is_crc_32c() {
        // The check value of the CRC catalogue, and one of RFC 3720, B.4.
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
    }

    /// The bytes that TensorBoard 2.21's own `RecordWriter` puts into a file for
    /// `Event(wall_time=1.5, step=300, summary=[Value(tag="loss", simple_value=0.25)])`.
    #[test]
    fn a_record_is_tensorflows() {
        let mut value = Vec::new();
        block(1, b"loss", &mut value);
        value.push(2 << 3 | 5);
        value.extend(0.25f32.to_le_bytes());
        let (mut values, mut what, mut bytes) = (Vec::new(), Vec::new(), Vec::new());
        block(1, &value, &mut values);
        block(5, &values, &mut what);
        record(&event(1.5, 300, &what), &mut bytes);
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            hex,
            "1b000000000000001a0d9e1309000000000000f83f10ac022a0d0a0b0a046c6f7373150000803e9908deed"
        );
    }

    #[test]
    fn a_run_that_goes_on_has_every_epoch_once() {
        let folder = tempfile::tempdir().unwrap();
        let steps = || {
            let files = earlier(folder.path()).unwrap();
            assert_eq!(files.len(), 1, "{files:?}");
            let bytes = std::fs::read(&files[0]).unwrap();
            let mut steps = Vec::new();
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
                let event = &rest[12..12 + length];
                assert_eq!(rest[8..12], masked_crc(&rest[..8]));
                assert_eq!(rest[12 + length..16 + length], masked_crc(event));
                steps.push(event[10]);
                rest = &rest[16 + length..];
            }
            steps
        };
        let mut events = Events::begin(folder.path(), &[]).unwrap();
        events.append(&epoch(1, Some(0.5), None)).unwrap();
        events.append(&epoch(2, Some(0.5), None)).unwrap();
        assert_eq!(steps(), [0, 1, 2]);
        // As if the first start had been long ago.
        let files = earlier(folder.path()).unwrap();
        std::fs::rename(&files[0], folder.path().join(format!("{PREFIX}0000000001{SUFFIX}")))
            .unwrap();
        let mut events = Events::begin(folder.path(), &[epoch(1, Some(0.5), None)]).unwrap();
        events.append(&epoch(2, None, Some(0.5))).unwrap();
        assert_eq!(steps(), [0, 1, 2]);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
