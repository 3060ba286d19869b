use sha2::{Digest, Sha256};

use super::*;

const FLIP_AND_SHIFT: Augment = Augment { flip: true, shift: 0.3, crop: 0, rotation: 0.0 };

/// Images in which every value differs from its neighbours, in a part that counts down.
fn part(num_samples: usize, shape: [usize; 3]) -> Part {
    let [channels, height, width] = shape;
    let shape = Shape { channels, height, width };
    let pixels = (0..num_samples * shape.len()).map(|at| (at * 37 % 251) as u8).collect();
    Part {
        pixels: Arc::new(Pixels::Decoded(pixels)),
        shape,
        rows: (0..num_samples as u32).rev().collect(),
        names: Arc::new((0..num_samples).map(|row| format!("{row:04}.png")).collect()),
        given: (0..num_samples as u32).map(|index| index % 3).collect(),
        weights: Some((0..num_samples).map(|index| index as f32 / 8.0).collect()),
    }
}

fn loader(part: Part, augment: Augment, batch_size: usize) -> Loader {
    let normalization = Normalization::of(&part).unwrap();
    Loader::new(part, normalization, augment, batch_size, Streams::new(1)).unwrap()
}

fn all(batches: Batches) -> Vec<Batch> {
    batches.collect::<Result<_>>().unwrap()
}

/// The same part as files, and the folder that holds them.
fn in_files(part: &Part) -> (tempfile::TempDir, Part) {
    let folder = tempfile::tempdir().unwrap();
    let Pixels::Decoded(pixels) = &*part.pixels else { panic!("images in memory") };
    let Shape { channels, height, width } = part.shape;
    let area = height * width;
    let mut paths = Vec::new();
    for (planes, name) in pixels.chunks_exact(part.shape.len()).zip(&*part.names) {
        let value = |at| planes[at % channels * area + at / channels];
        let interleaved: Vec<u8> = (0..planes.len()).map(value).collect();
        let kind = if channels == 1 { image::ColorType::L8 } else { image::ColorType::Rgb8 };
        let path = folder.path().join(name);
        image::save_buffer(&path, &interleaved, width as u32, height as u32, kind).unwrap();
        paths.push(path);
    }
    let part = Part { pixels: Arc::new(Pixels::Files(paths)), ..part.clone() };
    (folder, part)
}

/// A separate Python program, with its own ChaCha8, gives the same orders and digests.
#[test]
fn golden_epochs() {
    let loader = loader(part(5, [3, 3, 4]), FLIP_AND_SHIFT, 2);
    let digest = |batches: &[Batch]| {
        let values = batches.iter().flat_map(|batch| &batch.pixels);
        let bytes: Vec<u8> = values.flat_map(|value| value.to_le_bytes()).collect();
        Sha256::digest(bytes)[..4].iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let order =
        |batches: &[Batch]| batches.iter().map(|batch| batch.indices.clone()).collect::<Vec<_>>();
    let (first, second) = (all(loader.shuffled(0)), all(loader.shuffled(1)));
    let plain = all(loader.in_order());
    assert_eq!(order(&first), [[2, 1], [3, 0]]);
    assert_eq!(order(&second), [[3, 4], [1, 0]]);
    assert_eq!(order(&plain), [vec![0, 1], vec![2, 3], vec![4]]);
    assert_eq!(
        [digest(&first), digest(&second), digest(&plain)],
        ["85e1047b", "f0a2e451", "899f9ace"]
    );
}

#[test]
fn every_sample_comes_once_with_its_own_label_and_weight() {
    for (num_samples, batch_size) in [(0, 2), (1, 2), (2, 2), (9, 4), (10, 4), (12, 4), (3, 8)] {
        let part = part(num_samples, [1, 2, 2]);
        let normalization = Normalization { mean: vec![0.5], deviation: vec![0.25] };
        let augment = Augment::default();
        let loader =
            Loader::new(part, normalization, augment, batch_size, Streams::new(3)).unwrap();
        let batches = all(loader.shuffled(7));
        assert_eq!(batches.len(), loader.num_batches());
        let mut seen: Vec<u32> = Vec::new();
        for batch in &batches {
            assert!((2..=batch_size).contains(&batch.len()));
            let weights = batch.weights.as_ref().unwrap();
            for (place, &index) in batch.indices.iter().enumerate() {
                assert_eq!(batch.given[place], index % 3);
                assert_eq!(weights[place], index as f32 / 8.0);
                let row = loader.part().rows[index as usize] as usize;
                let scaled = (row * 4 * 37 % 251) as f32 / 255.0;
                let expected = (scaled - 0.5) / 0.25;
                assert_eq!(batch.pixels[place * 4], expected);
            }
            seen.extend(&batch.indices);
        }
        seen.sort_unstable();
        seen.dedup();
        let dropped = usize::from(num_samples % batch_size == 1);
        assert_eq!(seen.len(), num_samples - dropped);

        let indices = all(loader.in_order()).into_iter().flat_map(|batch| batch.indices);
        assert!(indices.eq(0..num_samples as u32));
    }
}

/// Large enough for the thread that works ahead and for several threads in a batch.
#[test]
fn threads_change_nothing() {
    let part = part(70, [3, 40, 40]);
    let here = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let ahead = all(loader(part.clone(), FLIP_AND_SHIFT, 32).shuffled(4));
    assert!(here.install(|| all(loader(part, FLIP_AND_SHIFT, 32).shuffled(4)) == ahead));
}

#[test]
fn a_sample_changes_alike_in_every_selection_and_apart_in_every_epoch() {
    let part = part(40, [3, 9, 9]);
    let subset: Vec<usize> = (5..25).collect();
    let whole = loader(part.clone(), FLIP_AND_SHIFT, 8);
    let normalization = Normalization::of(&part).unwrap();
    let streams = Streams::new(1);
    let some =
        Loader::new(part.select(&subset), normalization, FLIP_AND_SHIFT, 5, streams).unwrap();
    let by_row = |loader: &Loader, epoch| {
        let mut samples = std::collections::BTreeMap::new();
        for batch in all(loader.shuffled(epoch)) {
            for (pixels, &index) in batch.pixels.chunks(3 * 81).zip(&batch.indices) {
                samples.insert(loader.part().rows[index as usize], pixels.to_vec());
            }
        }
        samples
    };
    let (first, second) = (by_row(&whole, 0), by_row(&whole, 1));
    let same = by_row(&some, 0);
    assert_eq!(same.len(), subset.len());
    assert!(same.iter().all(|(row, pixels)| first[row] == *pixels));
    assert!(first.iter().filter(|(row, pixels)| second[row] != **pixels).count() > 30);
}

#[test]
fn files_and_memory_give_the_same_batches() {
    for shape in [[3, 10, 12], [1, 5, 3]] {
        let memory = part(11, shape);
        let (_folder, files) = in_files(&memory);
        assert_eq!(Normalization::of(&files).unwrap(), Normalization::of(&memory).unwrap());
        let [memory, files] = [memory, files].map(|part| loader(part, FLIP_AND_SHIFT, 4));
        assert_eq!(all(files.shuffled(2)), all(memory.shuffled(2)));
        assert_eq!(all(files.in_order()), all(memory.in_order()));
    }
}

#[test]
fn a_pool_of_one_thread_that_reads_files_does_not_wait_for_itself() {
    let (_folder, files) = in_files(&part(8, [3, 4, 4]));
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let loader = loader(files, Augment::default(), 2);
    assert_eq!(pool.install(|| all(loader.in_order())).len(), 4);
}

#[test]
fn vectors_are_normalised_and_never_changed() {
    let memory = part(6, [4, 1, 1]);
    let features = (0..24).map(|at| at as f32).collect();
    let vectors = Part { pixels: Arc::new(Pixels::Vectors(features)), ..memory };
    let normalization = Normalization { mean: vec![1.0; 4], deviation: vec![2.0; 4] };
    let streams = Streams::new(1);
    let refused = Loader::new(vectors.clone(), normalization.clone(), FLIP_AND_SHIFT, 2, streams);
    assert!(refused.unwrap_err().to_string().starts_with("augment.flip"));
    let loader = Loader::new(vectors, normalization, Augment::default(), 4, streams).unwrap();
    // Position 5 holds row 0.
    assert_eq!(all(loader.in_order())[1].pixels[4..], [-0.5, 0.0, 0.5, 1.0]);
}

#[test]
fn broken_files_end_the_epoch_and_are_named() {
    let (folder, files) = in_files(&part(40, [3, 4, 4]));
    let loader = loader(files, FLIP_AND_SHIFT, 4);
    // Positions 6 and 5 of 40, whose rows count down.
    for name in ["0033.png", "0034.png"] {
        std::fs::write(folder.path().join(name), "no image").unwrap();
    }
    let mut batches = loader.in_order();
    assert!(batches.next().unwrap().is_ok());
    let Err(DataError::Broken { broken }) = batches.next().unwrap() else {
        panic!("the second batch is broken")
    };
    let names: Vec<_> = broken.iter().map(|(path, _)| path.file_name().unwrap()).collect();
    assert_eq!(names, ["0034.png", "0033.png"]);
    assert!(batches.next().is_none());
    assert_eq!(loader.shuffled(0).filter(Result::is_err).count(), 1);
}

#[test]
fn a_reader_that_leaves_early_stops_the_work() {
    let (_folder, files) = in_files(&part(100, [3, 4, 4]));
    let loader = loader(files, FLIP_AND_SHIFT, 2);
    let mut batches = loader.shuffled(0);
    assert!(batches.next().unwrap().is_ok());
    drop(batches);
    let start = std::time::Instant::now();
    while Arc::strong_count(&loader.shared) > 1 {
        assert!(start.elapsed().as_secs() < 20, "the thread still holds the part");
        std::thread::yield_now();
    }
}

#[test]
fn settings_are_checked() {
    let part = part(4, [3, 4, 4]);
    let new = |normalization: &Normalization, augment, batch_size| {
        let streams = Streams::new(1);
        Loader::new(part.clone(), normalization.clone(), augment, batch_size, streams)
    };
    let fitting = Normalization::of(&part).unwrap();
    let grey = Normalization { mean: vec![0.0], deviation: vec![1.0] };
    let wide = Augment { crop: 3, ..Default::default() };
    for (result, key) in [
        (new(&fitting, Augment::default(), 1), "batch_size: "),
        (new(&grey, Augment::default(), 2), "normalization: "),
        (new(&fitting, wide, 2), "augment.crop: "),
    ] {
        let error = result.unwrap_err().to_string();
        assert!(error.starts_with(key), "{error}");
    }
}
