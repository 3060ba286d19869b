//! Expectation maximisation for one γ.

use rayon::prelude::*;

use super::places::Cleared;

/// The most likely values for one γ.
pub(super) struct Fit {
    pub(super) power: f64,
    pub(super) worst: f64,
    pub(super) rate: f64,
    pub(super) log_likelihood: f64,
    pub(super) transition: Vec<Vec<f64>>,
    pub(super) joint: Vec<Vec<f64>>,
    pub(super) mistakes: Vec<Vec<f64>>,
}

/// How often the most certain predictions are wrong, as a share of the least certain ones.
const LEAST_MISTAKEN: f64 = 0.03;
/// The most that a prediction may be thought wrong.
const MOST_MISTAKEN: f64 = 0.95;
/// Samples that each true class is thought to have had before, as often wrong as all: they keep the
/// matrix steady where classes have few samples.
const PRIOR_SAMPLES: f64 = 4.0;
/// Wrong labels that each kind is discounted by, to be shared evenly: with many classes and few samples of
/// each, every contradiction would else be a kind of its own, explained by itself (absolute discounting,
/// Ney and Essen 1991).
const DISCOUNT: f64 = 1.0;
/// Rounds at most, and the gain of the log-likelihood of all samples at which they end.
const ROUNDS: usize = 60;
const TOLERANCE: f64 = 1e-2;
/// Samples of a block of sums.
const BLOCK: usize = 1024;

/// Sums over samples.
struct Sums {
    log_likelihood: f64,
    /// `Σ P(true ≠ predicted | x, given)`.
    mistaken: f64,
    /// `Σ P(true = k | x, given)` over the samples given j, `[given][true]`.
    counts: Vec<f64>,
}

impl Fit {
    /// From `transition` on.
    pub(super) fn of(cleared: &Cleared<'_>, power: f64, transition: &[Vec<f64>]) -> Self {
        let (n, k) = (cleared.given.len(), cleared.num_classes);
        let shape = |place: &f64| LEAST_MISTAKEN + (1.0 - LEAST_MISTAKEN) * place.powf(power);
        let shapes: Vec<f64> = cleared.places.iter().map(shape).collect();
        let total: f64 = shapes.iter().sum();
        let (mut worst, mut transition) = (0.5f64, transition.to_vec());
        let mut before = f64::NEG_INFINITY;
        let mut sums = sums(cleared, &shapes, worst, &transition);
        for _ in 0..ROUNDS {
            transition = maximised(&sums.counts, n, k);
            worst = (sums.mistaken / total).min(1.0);
            if (sums.log_likelihood - before).abs() < TOLERANCE {
                break;
            }
            before = sums.log_likelihood;
            sums = self::sums(cleared, &shapes, worst, &transition);
        }
        let kept: f64 = (0..k).map(|class| sums.counts[class * k + class]).sum();
        let share = |class: usize, given: usize| sums.counts[given * k + class] / n as f64;
        Self {
            power,
            worst,
            rate: (1.0 - kept / n as f64).clamp(0.0, 1.0),
            log_likelihood: sums.log_likelihood / n as f64,
            joint: (0..k).map(|class| (0..k).map(|given| share(class, given)).collect()).collect(),
            mistakes: mistakes(cleared, &shapes, worst),
            transition,
        }
    }
}

fn sums(cleared: &Cleared<'_>, shapes: &[f64], worst: f64, transition: &[Vec<f64>]) -> Sums {
    let k = cleared.num_classes;
    // By given label, so that a sample reads one stretch of memory.
    let by_given: Vec<f64> = (0..k * k).map(|i| transition[i % k][i / k]).collect();
    let starts: Vec<usize> = (0..cleared.given.len()).step_by(BLOCK).collect();
    let block = |&start: &usize| {
        let mut sums = Sums { log_likelihood: 0.0, mistaken: 0.0, counts: vec![0.0; k * k] };
        let mut joint = vec![0.0; k];
        let labels = cleared.given.iter().zip(cleared.predicted).zip(shapes);
        let others = cleared.others[start * k..].chunks_exact(k);
        for (((&given, &predicted), shape), others) in labels.skip(start).zip(others).take(BLOCK) {
            let wrong = (worst * shape).min(MOST_MISTAKEN);
            let mut sum = 0.0;
            for ((to, &w), &t) in joint.iter_mut().zip(others).zip(&by_given[given * k..]) {
                *to = wrong * f64::from(w) * t;
                sum += *to;
            }
            let own = (1.0 - wrong) * by_given[given * k + predicted];
            let missed = sum;
            joint[predicted] = own;
            let sum = (sum + own).max(f64::MIN_POSITIVE);
            sums.log_likelihood += sum.ln();
            sums.mistaken += missed / sum;
            let counts = &mut sums.counts[given * k..][..k];
            counts.iter_mut().zip(&joint).for_each(|(to, p)| *to += p / sum);
        }
        sums
    };
    let mut all = Sums { log_likelihood: 0.0, mistaken: 0.0, counts: vec![0.0; k * k] };
    // A few blocks at a time, so that memory does not grow with samples and classes squared.
    for starts in starts.chunks(64) {
        let blocks: Vec<Sums> = starts.par_iter().map(block).collect();
        for block in blocks {
            all.log_likelihood += block.log_likelihood;
            all.mistaken += block.mistaken;
            all.counts.iter_mut().zip(&block.counts).for_each(|(to, from)| *to += from);
        }
    }
    all
}

/// The matrix of `counts`, `[given][true]` of n samples, with the samples thought of before.
pub(super) fn maximised(counts: &[f64], n: usize, k: usize) -> Vec<Vec<f64>> {
    let kept: f64 = (0..k).map(|class| counts[class * k + class]).sum();
    let wrong = (1.0 - kept / n as f64).clamp(0.0, 1.0);
    let row = |class: usize| -> Vec<f64> {
        let total: f64 = (0..k).map(|given| counts[given * k + class]).sum();
        let others = (total - counts[class * k + class]).max(0.0);
        let share = (others + PRIOR_SAMPLES * wrong) / (total + PRIOR_SAMPLES);
        let kept = |given: usize| (counts[given * k + class] - DISCOUNT).max(0.0);
        let all_kept: f64 = (0..k).filter(|&given| given != class).map(kept).sum();
        let even = (others - all_kept) / (k - 1) as f64;
        let cell = |given: usize| match (given == class, others > 0.0) {
            (true, _) => 1.0 - share,
            (false, true) => share * (kept(given) + even) / others,
            (false, false) => share / (k - 1) as f64,
        };
        (0..k).map(cell).collect()
    };
    (0..k).map(row).collect()
}

/// `Σ e w / N` by predicted and true class.
fn mistakes(cleared: &Cleared<'_>, shapes: &[f64], worst: f64) -> Vec<Vec<f64>> {
    let (n, k) = (cleared.given.len(), cleared.num_classes);
    let mut mistakes = vec![vec![0.0; k]; k];
    for ((others, &predicted), shape) in
        cleared.others.chunks_exact(k).zip(cleared.predicted).zip(shapes)
    {
        let wrong = (worst * shape).min(MOST_MISTAKEN) / n as f64;
        let row = mistakes[predicted].iter_mut().zip(others);
        row.for_each(|(to, &w)| *to += wrong * f64::from(w));
    }
    mistakes
}
