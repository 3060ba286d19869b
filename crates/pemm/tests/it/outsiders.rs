//! Iterative detection finds samples that are of no class: digits with foreign images among them.

use std::fmt::Write;
use std::path::Path;

use pemm::data::RunData;
use pemm_data::config::{DataConfig, NoiseConfig};
use pemm_data::prepare::prepare;
use pemm_data::{Pixels, Rng, Stream, Streams};

use crate::training::{experiment, run, tensors};

/// Training digits as vectors, and a quarter as many again whose pixels are shuffled, so that one sample in
/// five is of no class, with labels drawn at random. Gives the number of digits.
fn write(folder: &Path) -> usize {
    let config = DataConfig { val_rate: 0.0, ..DataConfig::default() };
    let digits = prepare(&config, &NoiseConfig::default(), 1).unwrap();
    let Pixels::Decoded(bytes) = &*digits.train.pixels else { panic!("digits are in memory") };
    let size = digits.shape.len();
    let image = |row: u32| bytes[row as usize * size..][..size].to_vec();
    let mut rng: Rng = Streams::new(5).open(Stream::Noise);
    let mut text: String = (0..size).map(|i| format!("p{i},")).collect();
    text += "label\n";
    let mut add = |pixels: &[u8], label: usize| {
        pixels.iter().for_each(|pixel| write!(text, "{pixel},").unwrap());
        writeln!(text, "c{label}").unwrap();
    };
    let num = digits.train.len();
    for sample in 0..num {
        add(&image(digits.train.rows[sample]), digits.train.given[sample] as usize);
    }
    for sample in 0..num / 4 {
        let mut pixels = image(digits.train.rows[sample]);
        rng.shuffle(&mut pixels);
        add(&pixels, rng.below(10));
    }
    std::fs::write(folder.join("digits.csv"), text).unwrap();
    num
}

/// Mean precision at the places of the outsiders, when the samples are taken by their scores.
fn average_precision(mut samples: Vec<(f32, bool)>) -> f64 {
    samples.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut found, mut sum) = (0, 0.0);
    for (place, (_, is_outsider)) in (1..).zip(&samples) {
        if *is_outsider {
            found += 1;
            sum += f64::from(found) / f64::from(place);
        }
    }
    sum / f64::from(found)
}

#[test]
fn outsiders_are_found_among_digits() {
    let parent = tempfile::tempdir().unwrap();
    let num_digits = write(parent.path());
    let path = format!("data.path={}", parent.path().join("digits.csv").display());
    let run_of = || {
        experiment(&[
            "preset=iterative",
            "noise.kind=none",
            "noise.rate=0.0",
            "model.backbone=mlp",
            "model.width=128",
            "schedule.num_epochs=20",
            "objective.detect_every=5",
            "objective.outlier_share=0.2",
            &path,
        ])
    };
    let out = parent.path().join("run");
    run(run_of(), &out, None).unwrap();
    let memory = &tensors(&out, "state.safetensors")["objective.outliers"];
    let data = RunData::open(&run_of(), &Default::default()).unwrap();
    let rows = &pemm::ready::Ready::of(&run_of(), data, "cpu").unwrap().data().train.rows.clone();
    assert_eq!(memory.shape, [rows.len(), 2]);
    let samples = memory.data.chunks_exact(2).zip(rows);
    let samples: Vec<(f32, bool)> =
        samples.map(|(row, &place)| (row[0], place as usize >= num_digits)).collect();
    let share = samples.iter().filter(|sample| sample.1).count() as f64 / samples.len() as f64;
    assert!((share - 0.2).abs() < 0.02, "{share}");
    let precision = average_precision(samples);
    println!("average precision {precision:.3}, {share:.3} by chance");
    assert!(precision > 0.8, "{precision}");
}
