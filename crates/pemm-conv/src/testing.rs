//! What the tests of several modules share.

use crate::geometry::Geometry;
use crate::simd::{Level, level};

/// Numbers in [-1, 1) from a small generator.
pub(crate) fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    (0..count)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1u32 << 23) as f32 - 1.0
        })
        .collect()
}

/// Leaves what Miri, which takes far longer, does in minutes.
pub(crate) fn for_miri(geometries: &mut Vec<Geometry>) {
    if cfg!(miri) {
        geometries.retain(|geometry| geometry.flops() < 2e4);
    }
}

/// Largest difference, relative to the largest value expected.
pub(crate) fn error(got: &[f32], expected: &[f64]) -> f64 {
    assert_eq!(got.len(), expected.len());
    let largest = expected.iter().fold(1e-30, |max: f64, value| max.max(value.abs()));
    got.iter().zip(expected).fold(0.0, |max: f64, (got, expected)| {
        let difference = (f64::from(*got) - expected).abs() / largest;
        if difference.is_nan() { f64::INFINITY } else { max.max(difference) }
    })
}

/// Runs a test of this program on each lower instruction set. The set is fixed for a process, so
/// each run is a process of its own.
pub(crate) fn on_lower_instruction_sets(test: &str) {
    for lower in [Level::Portable, Level::Avx2].into_iter().filter(|lower| *lower < level()) {
        let run = std::process::Command::new(std::env::current_exe().unwrap())
            .arg(test)
            .env("PEMM_SIMD", lower.name())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&run.stdout);
        assert!(run.status.success(), "{}: {said}", lower.name());
    }
}
