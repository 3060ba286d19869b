//! Thousands of broken files: none may end the process, take long, or take much memory.

use std::fs;
use std::time::{Duration, Instant};

use pemm_data::seed::{Stream, Streams};

use super::{COLOUR, data, half, images, samples};
use crate::{Backbone, EmbedOptions};

/// Opens and runs `count` mutations of a file; gives how many went through.
fn mutate(name: &str, count: usize) -> usize {
    let whole = fs::read(data(name)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net.onnx");
    let bytes = images(1, COLOUR);
    let mut rng = Streams::new(7).open(Stream::Shuffle);
    let mut below = |limit: usize| rng.below(limit);
    let mut sound = 0;
    for _ in 0..count {
        let mut broken = whole.clone();
        for _ in 0..1 + below(3) {
            let at = below(broken.len());
            match below(6) {
                0 => broken[at] ^= 1 << below(8),
                1 => broken[at] = below(256) as u8,
                2 => broken[at] = [0, 0x7f, 0x80, 0xff][below(4)],
                3 => {
                    let end = (at + 1 + below(16)).min(broken.len());
                    broken.drain(at..end);
                }
                4 => broken.truncate(at + 1),
                _ => {
                    let from = below(broken.len());
                    let part = broken[from..(from + 24).min(broken.len())].to_vec();
                    broken.splice(at..at, part);
                }
            }
        }
        fs::write(&path, &broken).unwrap();
        let start = Instant::now();
        if let Ok(backbone) = Backbone::open(&path, &half()) {
            sound += 1;
            let options = EmbedOptions { threads: 1, ..EmbedOptions::default() };
            // Not finite is an error, and a legal one.
            let _ = backbone.embed_all(&samples(&bytes, COLOUR), None, &options);
        }
        assert!(start.elapsed() < Duration::from_secs(30), "a broken file took too long");
    }
    sound
}

#[test]
fn mutations_of_a_mobile_network() {
    let sound = mutate("tiny.onnx", 3000);
    assert!((1..3000).contains(&sound), "{sound} of 3000");
}

#[test]
fn mutations_of_a_transformer() {
    let sound = mutate("tokens.onnx", 1500);
    assert!((1..1500).contains(&sound), "{sound} of 1500");
}
