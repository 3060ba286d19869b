//! Label sets for tests, whose truth is known.

use crate::random::Random;

/// Samples of K classes whose model is right as often as it says, with labels drawn from `T`, `[K, K]`:
/// given labels `[N]`, and what a model says that was trained on them, `q T`, `[N, K]`.
pub(crate) fn made_with_truth(n: usize, transition: &[Vec<f64>]) -> (Vec<u32>, Vec<f32>, Vec<u32>) {
    let k = transition.len();
    let mut random = Random::new(5);
    let draw = |shares: &[f64], unit: f64| {
        let mut left = unit;
        let passed = |share: &f64| {
            left -= share;
            left < 0.0
        };
        shares.iter().position(passed).unwrap_or(shares.len() - 1)
    };
    let (mut given, mut probabilities, mut truth) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..n {
        let odds: Vec<f64> = (0..k).map(|_| (3.5 * random.normal()).exp()).collect();
        let total: f64 = odds.iter().sum();
        let row: Vec<f64> = odds.iter().map(|odds| odds / total).collect();
        let class = draw(&row, random.unit());
        truth.push(class as u32);
        given.push(draw(&transition[class], random.unit()) as u32);
        let given_row = |j: usize| (0..k).map(|i| row[i] * transition[i][j]).sum::<f64>();
        probabilities.extend((0..k).map(|j| given_row(j) as f32));
    }
    (given, probabilities, truth)
}

/// The same without the truth.
pub(crate) fn made(n: usize, transition: &[Vec<f64>]) -> (Vec<u32>, Vec<f32>) {
    let (given, probabilities, _) = made_with_truth(n, transition);
    (given, probabilities)
}

/// `T` of symmetric noise.
pub(crate) fn symmetric(k: usize, rate: f64) -> Vec<Vec<f64>> {
    let cell = |i, j| if i == j { 1.0 - rate } else { rate / (k - 1) as f64 };
    (0..k).map(|i| (0..k).map(|j| cell(i, j)).collect()).collect()
}

/// `T` of noise to the next class.
pub(crate) fn pair(k: usize, rate: f64) -> Vec<Vec<f64>> {
    let cell = |i: usize, j: usize| match (j + k - i) % k {
        0 => 1.0 - rate,
        1 => rate,
        _ => 0.0,
    };
    (0..k).map(|i| (0..k).map(|j| cell(i, j)).collect()).collect()
}
