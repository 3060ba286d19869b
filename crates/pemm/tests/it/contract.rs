//! The one contract of the losses, held against every row of the catalogue.

use burn::tensor::{Device, Int, Tensor, TensorData};
use pemm::experiment::method::Accepts;
use pemm::loss::{LossKind, Settings, code};
use pemm_data::noise::Transition;
use pemm_data::{Rng, Stream, Streams};

/// Samples, classes and given labels of the tests.
const N: usize = 6;
const K: usize = 4;
const GIVEN: [usize; N] = [3, 1, 1, 0, 2, 3];

fn rng() -> Rng {
    Streams::new(3).open(Stream::Init)
}

fn random_scores(spread: f64) -> Vec<f32> {
    let mut rng = rng();
    (0..N * K).map(|_| (spread * rng.normal()) as f32).collect()
}

/// A matrix of noise with a 0 in it.
fn noise() -> Transition {
    let rows = [[0.7, 0.2, 0.1, 0.0], [0.1, 0.8, 0.05, 0.05], [0.0, 0.3, 0.6, 0.1], [0.25; 4]];
    Transition::new(rows.map(|row| row.to_vec()).to_vec()).unwrap()
}

fn settings(kind: LossKind) -> Settings {
    Settings::defaults(kind.method()).with_matrix(noise())
}

fn value(kind: LossKind, settings: &Settings, scores: &[f32], given: &[usize]) -> Vec<f32> {
    let device = Device::flex();
    let loss = (code(kind).build)(settings);
    let scores = Tensor::from_data(TensorData::new(scores.to_vec(), [given.len(), K]), &device);
    let values = loss.forward(scores, labels(given, &device));
    assert_eq!(values.dims(), [given.len()], "{}", kind.name());
    values.into_data().try_to_vec().unwrap()
}

fn labels(given: &[usize], device: &Device) -> Tensor<1, Int> {
    let given: Vec<i64> = given.iter().map(|&label| label as i64).collect();
    let len = given.len();
    Tensor::from_data(TensorData::new(given, [len]), device)
}

/// Gradient of the sum over the samples.
fn gradient(kind: LossKind, settings: &Settings, scores: &[f32]) -> Vec<f32> {
    let device = Device::flex().autodiff();
    let loss = (code(kind).build)(settings);
    let scores = Tensor::<2>::from_data(TensorData::new(scores.to_vec(), [N, K]), &device);
    let scores = scores.require_grad();
    let gradients = loss.forward(scores.clone(), labels(&GIVEN, &device)).sum().backward();
    scores.grad(&gradients).expect("a gradient").into_data().try_to_vec().unwrap()
}

fn close(found: &[f32], expected: &[f32], tolerance: f32, place: &str) {
    assert_eq!(found.len(), expected.len(), "{place}");
    for (a, b) in found.iter().zip(expected) {
        assert!((a - b).abs() <= tolerance * (1.0 + b.abs()), "{place}: {found:?} {expected:?}");
    }
}

#[test]
fn every_loss_is_one_value_a_sample_and_negative_only_where_it_is_declared() {
    for &kind in LossKind::ALL {
        let mut least = f32::INFINITY;
        for spread in [0.1, 2.0, 20.0] {
            let values = value(kind, &settings(kind), &random_scores(spread), &GIVEN);
            least = values.into_iter().fold(least, f32::min);
        }
        let place = format!("{}: {least}", kind.name());
        assert_eq!(least < -1e-2, code(kind).may_be_negative, "{place}");
        assert!(least >= -1e-6 || code(kind).may_be_negative, "{place}");
    }
}

#[test]
fn every_loss_and_its_gradient_are_finite_at_extreme_scores() {
    let signs: [f32; K] = [1.0, -1.0, 1.0, -1.0];
    for size in [0.0, 1e2, 1e4] {
        let alternating: Vec<f32> = (0..N * K).map(|i| size * signs[i % K]).collect();
        let lonely: Vec<f32> = (0..N * K).map(|i| if i % K == 0 { size } else { -size }).collect();
        for scores in [alternating, lonely] {
            for &kind in LossKind::ALL {
                let place = format!("{} at ±{size:e}", kind.name());
                let values = value(kind, &settings(kind), &scores, &GIVEN);
                assert!(values.iter().all(|x| x.is_finite()), "{place}: {values:?}");
                let slopes = gradient(kind, &settings(kind), &scores);
                assert!(slopes.iter().all(|x| x.is_finite()), "{place}: {slopes:?}");
            }
        }
    }
}

#[test]
fn every_loss_is_the_same_whatever_the_order_of_the_batch() {
    let order = [4, 0, 5, 2, 1, 3];
    let scores = random_scores(2.0);
    let moved: Vec<f32> =
        order.iter().flat_map(|&n| scores[n * K..(n + 1) * K].iter().copied()).collect();
    for &kind in LossKind::ALL {
        let plain = value(kind, &settings(kind), &scores, &GIVEN);
        let found = value(kind, &settings(kind), &moved, &order.map(|n| GIVEN[n]));
        close(&found, &order.map(|n| plain[n]), 1e-6, kind.name());
    }
}

#[test]
fn every_loss_is_the_same_whatever_the_classes_are_called() {
    // Class k becomes `names[k]`, in the scores, the labels and the matrix.
    let names = [2, 0, 3, 1];
    let scores = random_scores(2.0);
    let mut renamed = scores.clone();
    let mut matrix = vec![vec![0.0; K]; K];
    for k in 0..K {
        (0..N).for_each(|n| renamed[n * K + names[k]] = scores[n * K + k]);
        (0..K).for_each(|j| matrix[names[k]][names[j]] = noise().rows()[k][j]);
    }
    let matrix = Transition::new(matrix).unwrap();
    for &kind in LossKind::ALL {
        let plain = value(kind, &settings(kind), &scores, &GIVEN);
        let settings = settings(kind).with_matrix(matrix.clone());
        let found = value(kind, &settings, &renamed, &GIVEN.map(|k| names[k]));
        close(&found, &plain, 1e-5, kind.name());
    }
}

#[test]
fn every_declared_limit_is_reached() {
    let with = |kind: LossKind, values: &[(&'static str, f64)]| {
        let settings = settings(kind).with_matrix(Transition::identity(K));
        values.iter().fold(settings, |settings, &(key, value)| settings.with(key, value))
    };
    let scores = random_scores(2.0);
    for &kind in LossKind::ALL {
        for limit in code(kind).limits {
            let other = limit.other;
            let place = format!("{} at {:?} is {}", kind.name(), limit.at, other.name());
            let found = value(kind, &with(kind, limit.at), &scores, &GIVEN);
            let mut expected = value(other, &with(other, limit.with), &scores, &GIVEN);
            expected.iter_mut().for_each(|x| *x *= limit.factor as f32);
            close(&found, &expected, 1e-2, &place);
        }
    }
}

#[test]
fn the_sum_over_the_classes_is_constant_exactly_where_it_is_declared() {
    for &kind in LossKind::ALL {
        let settings = settings(kind);
        let mut sums = [0.0f32; N];
        for class in 0..K {
            let values = value(kind, &settings, &random_scores(2.0), &[class; N]);
            sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
        }
        let place = format!("{}: {sums:?}", kind.name());
        match code(kind).class_sum {
            Some(sum) => close(&sums, &[sum(&settings, K) as f32; N], 1e-5, &place),
            None => assert!(sums.iter().any(|sum| (sum - sums[0]).abs() > 1e-2), "{place}"),
        }
    }
}

/// Settings of a loss: its defaults, then each number at other values of its range.
fn several_settings(kind: LossKind) -> Vec<Settings> {
    let mut all = vec![settings(kind)];
    for parameter in kind.method().parameters {
        let Accepts::Number { range, .. } = parameter.accepts else { continue };
        let values = [-9.21, 0.05, 0.4, 0.9, 1.0, 2.5];
        let inside = values.into_iter().filter(|&value| range.check("", value).is_ok());
        all.extend(inside.map(|value| settings(kind).with(parameter.key, value)));
    }
    all
}

#[test]
fn every_gradient_is_that_of_central_differences_wherever_it_is_smooth() {
    const STEP: f32 = 1e-2;
    let (mut compared, mut kinks) = (0, 0);
    for &kind in LossKind::ALL {
        for (number, settings) in several_settings(kind).iter().enumerate() {
            for (seed, spread) in [(3, 1.0), (4, 0.3), (5, 2.0)] {
                let mut rng = Streams::new(seed + 10 * number as u64).open(Stream::Init);
                let scores: Vec<f32> = (0..N * K).map(|_| (spread * rng.normal()) as f32).collect();
                let slopes = gradient(kind, settings, &scores);
                let largest = slopes.iter().fold(0.0f32, |m, x| m.max(x.abs()));
                for i in 0..N * K {
                    let at = |shift: f32| {
                        let mut moved = scores.clone();
                        moved[i] += shift;
                        value(kind, settings, &moved, &GIVEN)[i / K]
                    };
                    let (left, middle, right) = (at(-STEP), at(0.0), at(STEP));
                    // A kink (truncation, Huber's edge, the predicted class) has no slope.
                    let bend = (right - middle) - (middle - left);
                    if bend.abs() > 0.02 * STEP * largest.max(1.0) {
                        kinks += 1;
                        continue;
                    }
                    compared += 1;
                    let difference = (right - left) / (2.0 * STEP);
                    assert!(
                        (difference - slopes[i]).abs() <= 3e-3 * largest.max(1.0),
                        "{} with {settings:?} at {i}: {difference} by differences, {} by backward",
                        kind.name(),
                        slopes[i]
                    );
                }
            }
        }
    }
    assert!(kinks * 20 < compared, "{kinks} kinks, {compared} compared");
}
