use super::*;
use proptest::prelude::*;
use std::io::Write;
use std::path::Path;

fn cifar10() -> Vec<String> {
    "airplane automobile bird cat deer dog frog horse ship truck"
        .split(' ')
        .map(str::to_string)
        .collect()
}

/// `per_class` samples of each of 10 classes, classes taking turns.
fn labels(per_class: u32) -> Vec<u32> {
    (0..10 * per_class).map(|sample| sample % 10).collect()
}

fn no_features() -> Result<Vec<f32>> {
    panic!("features are for instance noise only")
}

fn drawn(text: &str, given: &[u32], seed: u64) -> Draw {
    draw(&text.parse().unwrap(), given, &cifar10(), seed, 0, no_features).unwrap()
}

/// A noise of `kind` at `rate` for [`cifar10`], with what else the kind needs.
fn complete(kind: NoiseKind, rate: f64, matrix: &Path) -> NoiseConfig {
    let at = |rate| NoiseConfig { kind, rate, ..Default::default() };
    match kind {
        NoiseKind::None => at(0.0),
        NoiseKind::Matrix => NoiseConfig { matrix: Some(matrix.into()), ..at(0.0) },
        // CIFAR-10 has no superclasses; groups stand in.
        NoiseKind::Superclass => {
            NoiseConfig { groups: Some(vec![cifar10().into_iter().rev().collect()]), ..at(rate) }
        }
        _ => at(rate),
    }
}

fn realised(draw: &Draw) -> &Realised {
    draw.manifest.realised.as_ref().unwrap()
}

#[test]
fn exact_counts_per_class() {
    let given = labels(500);
    for kind in ["symmetric", "block-cycle", "pair"] {
        let draw = drawn(&format!("{kind}:0.37"), &given, 3);
        assert_eq!(realised(&draw).class_flipped, [185; 10], "{kind}");
        assert_eq!(realised(&draw).rate, 0.37, "{kind}");
    }
    let draw = drawn("asymmetric:0.4", &given, 3);
    assert_eq!(realised(&draw).class_flipped, [0, 0, 200, 200, 200, 200, 0, 0, 0, 200]);
    let draw = drawn("block-pair:0.4", &given, 3);
    assert_eq!(realised(&draw).rate, 0.16);
}

#[test]
fn symmetric_noise_reaches_every_other_class_alike() {
    let draw = drawn("symmetric:0.9", &labels(2000), 1);
    for (class, row) in realised(&draw).counts.iter().enumerate() {
        for (other, &count) in row.iter().enumerate().filter(|&(other, _)| other != class) {
            // Binomial(1800, 1/9): deviation 13.3; five of them.
            assert!((f64::from(count) - 200.0).abs() < 67.0, "{class} {other} {count}");
        }
    }
}

#[test]
fn inclusive_noise_realises_less() {
    let draw = drawn("symmetric-inclusive:0.5", &labels(2000), 1);
    assert!((realised(&draw).rate - 0.45).abs() < 0.01, "{}", realised(&draw).rate);
}

#[test]
fn in_place_flips_some_cats_back() {
    let draw = drawn("asymmetric-inplace:0.4", &labels(5000), 1);
    let realised = realised(&draw);
    assert!((realised.rate - 0.184).abs() < 0.002, "{}", realised.rate);
    assert_eq!(realised.class_flipped[9], 2000);
    let (cats, dogs) = (realised.class_flipped[3], realised.class_flipped[5]);
    // Of 7,000 samples then called dog 2,800 become cats: b of them cats that flip back.
    let flipped_back = 2000 - cats;
    assert_eq!(dogs, 2800 - flipped_back);
    // Hypergeometric(7000, 2000, 2800): mean 800, deviation 18.5; five of them.
    assert!(flipped_back.abs_diff(800) < 93, "{flipped_back}");
}

#[test]
fn a_matrix_is_drawn_sample_by_sample() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    for class in 0..10 {
        let row: Vec<&str> = (0..10)
            .map(|other| match (class == other, (class + 3) % 10 == other) {
                (true, _) => "0.75",
                (_, true) => "0.25",
                _ => "0",
            })
            .collect();
        writeln!(file, "{}", row.join(",")).unwrap();
    }
    let draw = drawn(&format!("matrix:{}", file.path().display()), &labels(2000), 1);
    assert_eq!(draw.manifest.nominal_rate, Some(0.25));
    for (class, row) in realised(&draw).counts.iter().enumerate() {
        // Binomial(2000, 1/4): deviation 19.4; five of them.
        assert!(row[(class + 3) % 10].abs_diff(500) < 97, "{row:?}");
        assert_eq!(row[class] + row[(class + 3) % 10], 2000);
    }
}

#[test]
fn rate_zero_changes_nothing() {
    let given = labels(7);
    for kind in NoiseKind::ALL.into_iter().filter(|kind| *kind != NoiseKind::Matrix) {
        let config = complete(kind, 0.0, Path::new("none.csv"));
        let draw = draw(&config, &given, &cifar10(), 1, 0, no_features).unwrap();
        assert_eq!(draw.labels, given, "{kind:?}");
        assert_eq!(realised(&draw).num_flipped, 0);
        assert_eq!(draw.manifest.labels_sha256, labels_sha256(&given));
    }
}

#[test]
fn too_much_noise_is_warned_of() {
    let warnings = |text: &str| drawn(text, &labels(10), 1).manifest.warnings;
    assert!(warnings("symmetric:0.8").is_empty());
    assert!(warnings("symmetric:0.9")[0].contains("10 of 10 classes"));
    assert!(warnings("pair:0.45").is_empty());
    assert!(warnings("asymmetric:0.6")[0].contains("5 of 10 classes"));
    assert!(warnings("asymmetric:0.6")[0].contains("\"bird\" is called \"bird\""));
}

#[test]
fn labels_that_are_no_class_are_refused() {
    let config = "symmetric:0.1".parse().unwrap();
    let error = draw(&config, &[0, 10], &cifar10(), 1, 0, no_features).unwrap_err().to_string();
    assert!(error.contains("sample 1 has label 10"), "{error}");
}

/// These hashes may change only together with the version in the key of the seed streams.
#[test]
fn labels_are_pinned() {
    let given = labels(20);
    let mut matrix = tempfile::NamedTempFile::new().unwrap();
    matrix.write_all("0.1,0.1,0.1,0.1,0.1,0.1,0.1,0.1,0.1,0.1\n".repeat(10).as_bytes()).unwrap();
    let features = || Ok((0..200 * 6).map(|value| (value * 37 % 251) as f32).collect());
    let pinned = [
        (NoiseKind::None, "d8906d213f3d791796b1f28c35489f3710837f7dccea2250555d3dd3ebce7dc8"),
        (NoiseKind::Symmetric, "1cf525fbe00f1624b8bfbaff80bda657cd2487382a931fa8f2726bd35fcbb793"),
        (
            NoiseKind::SymmetricInclusive,
            "afb2f4014c8b18b57e3dcb2fced31f6db8eb8c5624d0c47033ac67939ff9350c",
        ),
        (NoiseKind::Asymmetric, "d4753e8422c692a504b6de0db4c48eb10148154d2e52a8279a1c3761ca0a05c2"),
        (
            NoiseKind::AsymmetricInplace,
            "9d63783569ca0d6c6be5a1d06d049b7cd001639ed6e9aa4e08d8fb00fc1c57db",
        ),
        (NoiseKind::BlockCycle, "4457ff5328458c83d7fe6d2169e53076004d07e4e3f48fc746aad351bd62849b"),
        (NoiseKind::BlockPair, "7eb413e8f0f322fdac6740e242dddff38fdecbd209fc5e4babfecfc826b77842"),
        (NoiseKind::Superclass, "870de37ff70f0a890d33e8dac299ad23fea295a8779356ed5a60fbb7c6f752d3"),
        (NoiseKind::Pair, "b9b42101a66e0a294e4daa8df1acb2b808ba747a5fa6dec3534bc11abd930cec"),
        (NoiseKind::Instance, "edeeaada4c0ce74d98ebbfa2373d887e60809021bc229d52c37dc6d4390f4f9d"),
        (
            NoiseKind::InstanceRaw,
            "26892abad8063e66b328a5ac0c65560b57cb30fbac53e4558853be979e2776ac",
        ),
        (NoiseKind::Matrix, "d1a75bfdf32dd7ed7d54205e7e1bb484573af1f3e3cb5e2ca6d087074112738b"),
    ];
    assert_eq!(pinned.map(|(kind, _)| kind).to_vec(), NoiseKind::ALL, "the labels of each kind");
    for (kind, hash) in pinned {
        let config = complete(kind, 0.4, matrix.path());
        let draw = draw(&config, &given, &cifar10(), 1, 0, features).unwrap();
        assert_eq!(draw.manifest.labels_sha256, hash, "{kind:?}");
    }
}

/// The kinds with one matrix for all samples, which a rate gives.
fn by_class() -> Vec<NoiseKind> {
    let is_by_class = |kind: &NoiseKind| {
        let config = complete(*kind, 0.4, Path::new("none.csv"));
        config.rate > 0.0 && !config.looks_at_samples()
    };
    NoiseKind::ALL.into_iter().filter(is_by_class).collect()
}

proptest! {
    #[test]
    fn draws_are_reproducible_and_keep_their_promises(
        seed in any::<u64>(),
        rate in 0.0f64..=1.0,
        kind in prop::sample::select(by_class()),
        given in prop::collection::vec(0u32..10, 1..120),
    ) {
        let config = complete(kind, rate, Path::new("none.csv"));
        let again = || draw(&config, &given, &cifar10(), seed, 0, no_features).unwrap();
        let draw = again();
        prop_assert_eq!(&draw, &again());
        let nominal = draw.manifest.nominal_matrix.as_ref().unwrap();
        prop_assert!(Transition::new(nominal.clone()).is_ok());
        for (given, label) in given.iter().zip(&draw.labels) {
            prop_assert!(nominal[*given as usize][*label as usize] > 0.0);
        }
    }
}
