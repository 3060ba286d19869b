use proptest::prelude::*;

use super::*;
use crate::seed::{Stream, Streams};

const SHAPE: Shape = Shape { channels: 1, height: 3, width: 4 };

/// Tables that give each byte as it is.
fn plain(num_channels: usize) -> Vec<[f32; 256]> {
    vec![std::array::from_fn(|value| value as f32); num_channels]
}

/// The 3×4 image 11 12 13 14 / 21 … 24 / 31 … 34, changed.
fn changed(flip: bool, shift: [isize; 2], crop: [isize; 2]) -> [[u8; 4]; 3] {
    let pixels = [11, 12, 13, 14, 21, 22, 23, 24, 31, 32, 33, 34];
    let mut out = [f32::NAN; 12];
    Change { flip, shift, crop, rotation: 0.0 }.write(&pixels, SHAPE, &plain(1), &mut out);
    std::array::from_fn(|y| std::array::from_fn(|x| out[4 * y + x] as u8))
}

#[test]
fn flip_mirrors_left_and_right() {
    let flipped = [[14, 13, 12, 11], [24, 23, 22, 21], [34, 33, 32, 31]];
    assert_eq!(changed(true, [0, 0], [0, 0]), flipped);
}

#[test]
fn shift_moves_down_and_right_and_repeats_the_edge() {
    let down_right = [[11, 11, 12, 13], [11, 11, 12, 13], [21, 21, 22, 23]];
    assert_eq!(changed(false, [1, 1], [0, 0]), down_right);
    let up_left = [[23, 24, 24, 24], [33, 34, 34, 34], [33, 34, 34, 34]];
    assert_eq!(changed(false, [-1, -2], [0, 0]), up_left);
}

#[test]
fn crop_brings_in_zeros() {
    let window_up_left = [[0, 0, 0, 0], [0, 0, 11, 12], [0, 0, 21, 22]];
    assert_eq!(changed(false, [0, 0], [-1, -2]), window_up_left);
    let window_down_right = [[22, 23, 24, 0], [32, 33, 34, 0], [0, 0, 0, 0]];
    assert_eq!(changed(false, [0, 0], [1, 1]), window_down_right);
}

#[test]
fn flip_comes_before_shift_and_shift_before_crop() {
    let all = [[0, 0, 0, 0], [0, 14, 14, 13], [0, 24, 24, 23]];
    assert_eq!(changed(true, [0, 1], [-1, -1]), all);
}

#[test]
fn rotation_is_that_of_pillow() {
    // Image.fromarray(image).rotate(degrees, Image.NEAREST), of rows 11 … 16, 21 … 26, … 51 … 56.
    let shape = Shape { channels: 2, height: 5, width: 6 };
    let image: Vec<u8> = (0..30).map(|place| 11 + 10 * (place / 6) + place % 6).collect();
    let pixels: Vec<u8> = image.iter().chain(&image).copied().collect();
    for (rotation, expected) in [
        (
            20.0,
            [
                [0, 13, 14, 15, 26, 0],
                [11, 22, 23, 24, 35, 36],
                [21, 22, 33, 34, 45, 46],
                [31, 32, 43, 44, 45, 56],
                [0, 41, 52, 53, 54, 0],
            ],
        ),
        (
            -33.5,
            [
                [0, 21, 22, 13, 14, 0],
                [41, 32, 23, 23, 14, 15],
                [41, 42, 33, 34, 25, 26],
                [52, 53, 44, 44, 35, 26],
                [0, 53, 54, 45, 46, 0],
            ],
        ),
    ] {
        let mut out = vec![f32::NAN; 60];
        let change = Change { rotation, ..Change::default() };
        change.write(&pixels, shape, &plain(2), &mut out);
        let found: Vec<u8> = out.iter().map(|&value| value as u8).collect();
        assert_eq!(found[..30], expected.concat(), "{rotation} degrees");
        assert_eq!(found[30..], found[..30], "every channel alike");
    }
    // A half turn is both mirrors.
    let mut out = vec![f32::NAN; 60];
    let half = Change { rotation: 180.0, ..Change::default() };
    half.write(&pixels, shape, &plain(2), &mut out);
    assert!(out[..30].iter().rev().zip(&image).all(|(a, &b)| *a == f32::from(b)));
}

#[test]
fn rotation_is_drawn_last_and_within_its_limit() {
    let draw = |rotation: f64, at: u64| {
        let augment = Augment { flip: true, shift: 0.5, crop: 1, rotation };
        augment.draw(&mut Streams::new(9).open_at(Stream::Augment, at), SHAPE)
    };
    let degrees: Vec<f64> = (0..2000).map(|at| draw(20.0, at).rotation).collect();
    assert!(degrees.iter().all(|angle| angle.abs() <= 20.0));
    let below = degrees.iter().filter(|angle| **angle < -10.0).count();
    assert!((430..570).contains(&below), "{below}");
    assert_eq!(Change { rotation: 0.0, ..draw(20.0, 3) }, draw(0.0, 3), "the rest stays");
}

proptest! {
    /// The one pass gives what the definition gives pixel by pixel.
    #[test]
    fn one_pass_is_flip_then_shift_then_crop(
        (height, width) in (1usize..9, 1usize..9), seed: u64, flip: bool,
        shares in (0.0..1.0f64, 0.0..1.0f64, 0.0..1.0f64, 0.0..1.0f64),
    ) {
        let shape = Shape { channels: 2, height, width };
        let pick = |share: f64, most: usize| {
            (share * (2 * most + 1) as f64) as isize - most as isize
        };
        let most = height.min(width) / 2;
        let shift = [pick(shares.0, height.div_ceil(2)), pick(shares.1, width.div_ceil(2))];
        let crop = [pick(shares.2, most), pick(shares.3, most)];
        let mut rng = Streams::new(seed).open(Stream::Init);
        let pixels: Vec<u8> = (0..shape.len()).map(|_| rng.below(255) as u8 + 1).collect();
        let mut out = vec![f32::NAN; shape.len()];
        Change { flip, shift, crop, rotation: 0.0 }.write(&pixels, shape, &plain(2), &mut out);

        let (last_y, last_x) = (height as isize - 1, width as isize - 1);
        for (index, &value) in out.iter().enumerate() {
            let (plane, place) = (index / (height * width), index % (height * width));
            let y = (place / width) as isize + crop[0];
            let x = (place % width) as isize + crop[1];
            let expected = if (0..=last_y).contains(&y) && (0..=last_x).contains(&x) {
                let y = (y - shift[0]).clamp(0, last_y);
                let x = (x - shift[1]).clamp(0, last_x);
                let x = if flip { last_x - x } else { x };
                pixels[plane * height * width + y as usize * width + x as usize]
            } else {
                0
            };
            prop_assert_eq!(value, f32::from(expected));
        }
    }
}

#[test]
fn draws_reach_every_place_and_no_further() {
    let augment = Augment { flip: true, shift: 0.3, crop: 1, rotation: 0.0 };
    let mut rng = Streams::new(5).open(Stream::Augment);
    let draws: Vec<Change> = (0..4000).map(|_| augment.draw(&mut rng, SHAPE)).collect();
    let flips = draws.iter().filter(|change| change.flip).count();
    assert!((1850..2150).contains(&flips), "{flips}");
    // 0.3 · 3 and 0.3 · 4 both round to 1; |u| below 0.5 stays.
    for axis in 0..2 {
        let share = |value| {
            draws.iter().filter(|change| change.shift[axis] == value).count() as f64 / 4000.0
        };
        let expected = 0.5 / (0.3 * [3.0, 4.0][axis]);
        assert!((share(0) - expected).abs() < 0.03);
        assert!((share(0) + share(1) + share(-1) - 1.0).abs() < 1e-9);
        assert!((share(1) - share(-1)).abs() < 0.04);
        for window in -1..=1 {
            let count = draws.iter().filter(|change| change.crop[axis] == window).count();
            assert!((1200..1470).contains(&count), "{count}");
        }
    }
}

#[test]
fn switching_one_change_off_leaves_the_others() {
    let draw =
        |augment: Augment| augment.draw(&mut Streams::new(9).open_at(Stream::Augment, 3), SHAPE);
    let all = draw(Augment { flip: true, shift: 0.5, crop: 1, rotation: 0.0 });
    assert_eq!(draw(Augment { flip: false, shift: 0.5, crop: 0, rotation: 0.0 }).shift, all.shift);
    assert_eq!(draw(Augment { flip: false, shift: 0.0, crop: 1, rotation: 0.0 }).crop, all.crop);
    assert_eq!(draw(Augment::default()), Change::default());
}

#[test]
fn defaults_follow_the_kind_of_the_data() {
    let resolve = |channels, height, width, vectors| {
        let shape = Shape { channels, height, width };
        Augment::resolve(&AugmentConfig::default(), shape, vectors).unwrap()
    };
    let shifted = |flip, shift| Augment { flip, shift, ..Augment::default() };
    assert_eq!(resolve(3, 32, 32, false), shifted(true, 0.1));
    assert_eq!(resolve(3, 8, 32, false), shifted(false, 0.1875));
    assert_eq!(resolve(1, 28, 28, false), shifted(false, 0.1));
    assert_eq!(resolve(1, 8, 8, false), shifted(false, 0.1875));
    for none in [resolve(1, 7, 7, false), resolve(64, 1, 1, true)] {
        assert!(none.is_none());
    }
}

#[test]
fn what_does_not_fit_is_refused_by_key() {
    let cifar = Shape { channels: 3, height: 32, width: 30 };
    let vector = Shape { channels: 64, height: 1, width: 1 };
    let shift = |shift| AugmentConfig { shift: Some(shift), ..Default::default() };
    let crop = |crop| AugmentConfig { crop: Some(crop), ..Default::default() };
    let turn = |angle| AugmentConfig { rotation: Some(angle), ..Default::default() };
    let flip = |flip| AugmentConfig { flip: Some(flip), ..Default::default() };
    for (config, shape, key) in [
        (shift(0.51), cifar, "augment.shift: "),
        (shift(-0.1), cifar, "augment.shift: "),
        (shift(f64::NAN), cifar, "augment.shift: "),
        (crop(16), cifar, "augment.crop: "),
        (crop(usize::MAX), cifar, "augment.crop: "),
        (turn(180.5), cifar, "augment.rotation: "),
        (turn(-1.0), cifar, "augment.rotation: "),
        (turn(f64::NAN), cifar, "augment.rotation: "),
        (turn(5.0), vector, "augment.rotation: "),
        (flip(true), vector, "augment.flip: "),
        (shift(0.1), vector, "augment.shift: "),
        (crop(1), vector, "augment.crop: "),
    ] {
        let error = Augment::resolve(&config, shape, shape == vector).unwrap_err();
        assert!(error.to_string().starts_with(key), "{error}");
    }
    for (config, shape) in [(shift(0.5), cifar), (crop(15), cifar), (flip(false), vector)] {
        Augment::resolve(&config, shape, shape == vector).unwrap();
    }
}
