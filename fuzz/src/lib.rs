//! Every reader of pemm as a function of bytes: a [`Target`] takes what a file, an archive or an
//! argument may hold, and gives nothing. It must neither panic nor take more memory than it states.
//!
//! `tests/pass.rs` feeds each with some hundred mutations of its seeds, alike in every run; `run.sh`
//! feeds them for hours, led by what of the code an input reaches (libFuzzer).

mod data;
#[cfg(feature = "engine")]
mod engine;
mod images;
mod place;
mod runs;
mod settings;

use pemm_data::Rng;

pub use data::targets_of;

const MIB: usize = 1 << 20;

/// A reader.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// What it reads.
    pub name: &'static str,
    /// Small inputs that are as they should be, or nearly.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Reads an input.
    pub read: fn(&[u8]),
    /// Most bytes that all allocations of one input below 1 MB may have at the same time.
    pub max_bytes: usize,
}

/// All readers.
pub fn targets() -> Vec<Target> {
    let mut all = Vec::new();
    all.extend(images::TARGETS);
    all.extend(data::TARGETS);
    all.extend(settings::TARGETS);
    all.extend(runs::TARGETS);
    #[cfg(feature = "engine")]
    all.extend(engine::TARGETS);
    all
}

/// One of the ways in which files break and attackers change them.
pub fn mutated(bytes: &[u8], rng: &mut Rng) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..1 + rng.below(3) {
        let at = rng.below(bytes.len().max(1));
        match rng.below(7) {
            0 => bytes.truncate(at),
            1 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << (at % 8)),
            2 => bytes.iter_mut().skip(at).take(4).for_each(|byte| *byte = 0xff),
            3 => bytes.iter_mut().skip(at).for_each(|byte| *byte = 0),
            4 => bytes.iter_mut().skip(at).take(2).for_each(|byte| *byte = 0x7f),
            5 => bytes.extend_from_within(at..),
            _ => {
                let inserted = [b'{', b'[', b'"', b',', b'\n', 0, 0xd9][at % 7];
                bytes.splice(at..at, std::iter::repeat_n(inserted, 1 + at % 40));
            }
        }
    }
    bytes
}
