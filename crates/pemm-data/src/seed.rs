//! One seed opens named streams of random numbers.
//!
//! Each stream is ChaCha8 with key SHA-256("pemm-1" ‖ seed ‖ name), so streams are independent and
//! what one draws never shifts another. A stream has 2^64 substreams, addressed by number (an
//! epoch, a sample): the order of an epoch depends on (seed, epoch) only, never on threads.
//! Ranges, shuffles and normals are written out here because those of `rand` change between
//! versions; golden tests of the noise and of the loader pin what comes out.

use chacha20::ChaCha8Rng;
use chacha20::rand_core::{Rng as _, SeedableRng as _};
use sha2::{Digest, Sha256};

/// What a stream of random numbers is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Initial weights and centers.
    Init,
    /// Choice of samples for `data.limit` and held-out test parts.
    Limit,
    /// Label noise.
    Noise,
    /// Validation split.
    Split,
    /// Order of the samples; substream = epoch.
    Shuffle,
    /// Augmentation; substream = (epoch, sample).
    Augment,
    /// Dropout masks and other draws inside a training step; substream = epoch.
    Step,
    /// Samples that a person is to look at.
    Check,
}

impl Stream {
    fn name(self) -> &'static str {
        match self {
            Self::Init => "init",
            Self::Limit => "limit",
            Self::Noise => "noise",
            Self::Split => "split",
            Self::Shuffle => "shuffle",
            Self::Augment => "augment",
            Self::Step => "step",
            Self::Check => "check",
        }
    }
}

/// The streams that one seed opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Streams {
    seed: u64,
}

impl Streams {
    /// Streams of `seed`.
    pub fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// The first substream of `stream`.
    pub fn open(self, stream: Stream) -> Rng {
        self.open_at(stream, 0)
    }

    /// Substream number `at` of `stream`.
    pub fn open_at(self, stream: Stream, at: u64) -> Rng {
        let mut hasher = Sha256::new();
        hasher.update(b"pemm-1");
        hasher.update(self.seed.to_le_bytes());
        hasher.update(stream.name().as_bytes());
        let mut rng = ChaCha8Rng::from_seed(hasher.finalize().into());
        rng.set_stream(at);
        Rng(rng)
    }
}

/// A stream of random numbers whose values are the same on every machine.
#[derive(Debug)]
pub struct Rng(ChaCha8Rng);

impl Rng {
    /// Uniform over all 64-bit integers.
    pub fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Uniform over `0..bound` without bias (rejection). `bound` must be positive.
    pub fn below(&mut self, bound: usize) -> usize {
        assert!(bound > 0, "a range must not be empty");
        let bound = bound as u64;
        let zone = u64::MAX - u64::MAX % bound;
        loop {
            let value = self.next_u64();
            if value < zone {
                return (value % bound) as usize;
            }
        }
    }

    /// Uniform in `[0, 1)` with 53 bits.
    pub fn unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Uniform in `[low, high)`.
    pub fn uniform(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Standard normal by Box–Muller; `ln` and `cos` come from `libm`, so the bits do not depend on
    /// the system's mathematics library.
    pub fn normal(&mut self) -> f64 {
        let radius = libm::sqrt(-2.0 * libm::log(1.0 - self.unit()));
        radius * libm::cos(std::f64::consts::TAU * self.unit())
    }

    /// Fisher–Yates, from the end.
    pub fn shuffle<T>(&mut self, values: &mut [T]) {
        for last in (1..values.len()).rev() {
            values.swap(last, self.below(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_pinned_and_apart() {
        let streams = Streams::new(1);
        let draw = |stream, at| streams.open_at(stream, at).next_u64();
        assert_eq!(draw(Stream::Noise, 0), streams.open(Stream::Noise).next_u64());
        assert_ne!(draw(Stream::Noise, 0), draw(Stream::Noise, 1));
        assert_ne!(draw(Stream::Noise, 0), draw(Stream::Init, 0));
        assert_ne!(draw(Stream::Init, 0), Streams::new(2).open(Stream::Init).next_u64());
    }

    #[test]
    fn normal_has_mean_zero_and_variance_one() {
        let mut rng = Streams::new(7).open(Stream::Init);
        let draws: Vec<f64> = (0..20_000).map(|_| rng.normal()).collect();
        let mean = draws.iter().sum::<f64>() / draws.len() as f64;
        let variance = draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / draws.len() as f64;
        assert!(mean.abs() < 0.03, "{mean}");
        assert!((variance - 1.0).abs() < 0.05, "{variance}");
    }

    #[test]
    fn shuffle_keeps_every_element() {
        let mut values: Vec<usize> = (0..100).collect();
        Streams::new(3).open(Stream::Shuffle).shuffle(&mut values);
        assert_ne!(values, (0..100).collect::<Vec<_>>());
        values.sort_unstable();
        assert_eq!(values, (0..100).collect::<Vec<_>>());
    }
}
