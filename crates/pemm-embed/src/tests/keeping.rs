//! The cache and the exported files: whole, resumable, and never believed when damaged.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use image::{GrayImage, Luma, Rgb, RgbImage};
use pemm_data::config::DataConfig;
use pemm_data::source;

use super::{COLOUR, data, features, half, images, samples};
use crate::preprocessing::Rule;
use crate::{Backbone, EmbedError, EmbedOptions, FeatureCache, Progress, export};

fn tiny() -> Backbone {
    Backbone::open(&data("tiny.onnx"), &half()).unwrap()
}

/// The features through a cache, and how many came out of it.
fn through(backbone: &Backbone, cache: &mut FeatureCache, bytes: &[u8]) -> (Vec<f32>, usize) {
    let most = AtomicUsize::new(0);
    let note = |progress: Progress| {
        most.fetch_max(progress.from_cache, Ordering::Relaxed);
    };
    let options = EmbedOptions { threads: 2, progress: Some(&note), cancelled: None };
    let all = backbone.embed_all(&samples(bytes, COLOUR), Some(cache), &options).unwrap();
    (all, most.into_inner())
}

#[test]
fn the_second_time_comes_from_the_cache() {
    let (folder, backbone) = (tempfile::tempdir().unwrap(), tiny());
    let bytes = images(600, COLOUR);
    let plain = features(&backbone, &bytes, 2);
    let open = || FeatureCache::open(folder.path(), backbone.card()).unwrap();
    // Part of the images first, then all of them, in two blocks and a rest.
    let (first, known) = through(&backbone, &mut open(), &bytes[..40 * COLOUR.len()]);
    assert_eq!((&first[..], known), (&plain[..40 * 12], 0));
    assert_eq!(open().len(), 40);
    let (all, known) = through(&backbone, &mut open(), &bytes);
    assert_eq!((&all, known), (&plain, 40));
    let (all, known) = through(&backbone, &mut open(), &bytes);
    assert_eq!((&all, known), (&plain, 600));
    // Another preprocessing has a cache of its own.
    let mut keys = half();
    keys.preprocessing.rule = Some(Rule::Clip);
    let other = Backbone::open(&data("tiny.onnx"), &keys).unwrap();
    assert!(FeatureCache::open(folder.path(), other.card()).unwrap().is_empty());
}

#[test]
fn a_damaged_cache_is_seen_and_done_again() {
    let (folder, backbone) = (tempfile::tempdir().unwrap(), tiny());
    let bytes = images(30, COLOUR);
    let plain = features(&backbone, &bytes, 1);
    let open = || FeatureCache::open(folder.path(), backbone.card()).unwrap();
    through(&backbone, &mut open(), &bytes);
    let block = || {
        let entries = fs::read_dir(open().folder()).unwrap().map(|entry| entry.unwrap().path());
        entries.into_iter().find(|path| path.extension().is_some_and(|e| e == "rows"))
    };
    let path = block().unwrap();
    let whole = fs::read(&path).unwrap();
    assert_eq!(whole.len(), 16 + 30 * 32 + 32 + 30 * (12 * 4 + 8));
    for at in (0..whole.len()).step_by(101) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x10;
        fs::write(&path, damaged).unwrap();
        let mut cache = open();
        let (all, known) = through(&backbone, &mut cache, &bytes);
        assert_eq!(all, plain, "byte {at}");
        assert!(known < 30 && cache.num_removed() == 1, "byte {at}: {known} known");
        // Rows that were read before the damage was seen are computed the next time.
        through(&backbone, &mut open(), &bytes);
        let (all, known) = through(&backbone, &mut open(), &bytes);
        assert_eq!((&all, known), (&plain, 30), "byte {at}");
        fs::remove_dir_all(open().folder()).unwrap();
        fs::create_dir_all(path.parent().unwrap()).unwrap();
    }
    for cut in [0, 10, 16, 500, whole.len() - 1] {
        fs::write(&path, &whole[..cut]).unwrap();
        let cache = open();
        assert_eq!((cache.len(), cache.num_removed()), (0, 1), "cut at {cut}");
        assert!(block().is_none());
    }
}

#[test]
fn a_stopped_run_goes_on_where_it_stopped() {
    let (folder, backbone) = (tempfile::tempdir().unwrap(), tiny());
    let bytes = images(50, COLOUR);
    let cancelled = AtomicBool::new(false);
    let stop = |progress: Progress| {
        cancelled.fetch_or(progress.done >= 20, Ordering::Relaxed);
    };
    let options = EmbedOptions { threads: 2, progress: Some(&stop), cancelled: Some(&cancelled) };
    let mut cache = FeatureCache::open(folder.path(), backbone.card()).unwrap();
    let error = backbone.embed_all(&samples(&bytes, COLOUR), Some(&mut cache), &options);
    let Err(EmbedError::Cancelled { done, total: 50 }) = error else { panic!("{error:?}") };
    assert!((20..50).contains(&done), "{done}");
    let mut cache = FeatureCache::open(folder.path(), backbone.card()).unwrap();
    let (all, known) = through(&backbone, &mut cache, &bytes);
    assert_eq!((all, known), (features(&backbone, &bytes, 1), done));
}

#[test]
fn exported_features_are_a_data_set() {
    let folder = tempfile::tempdir().unwrap();
    for i in 0..6u8 {
        let class = ["a, b", "c"][usize::from(i % 2)];
        let path = folder.path().join(format!("photos/{class}/{i}.png"));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        RgbImage::from_fn(40, 30, |x, y| Rgb([x as u8 * 3, y as u8, i * 40])).save(path).unwrap();
    }
    let photos = folder.path().join("photos").to_str().unwrap().to_string();
    let set = source::open(&DataConfig { path: photos, ..DataConfig::default() }).unwrap();
    let (backbone, out) = (tiny(), folder.path().join("out"));
    let manifest = export::export(&out, &backbone, &set, None, &EmbedOptions::default()).unwrap();
    assert_eq!((manifest.num_samples, manifest.classes.len(), manifest.num_test), (6, 2, None));
    let json = fs::read(out.join("embedding.json")).unwrap();
    assert_eq!(serde_json::from_slice::<export::Manifest>(&json).unwrap(), manifest);
    let names = fs::read_to_string(out.join("samples.csv")).unwrap();
    assert!(
        names.starts_with("part,index,name,label\ntrain,0,\"a, b/0.png\",\"a, b\"\n"),
        "{names}"
    );
    let config = DataConfig { path: out.to_str().unwrap().into(), ..DataConfig::default() };
    let read = source::open(&config).unwrap();
    assert_eq!(read.train.given, set.train.given);
    let pemm_data::Pixels::Vectors(values) = &*read.train.pixels else { panic!("vectors") };
    let again = backbone.embed_all(
        &crate::samples(&set.train).unwrap(),
        None,
        &EmbedOptions { threads: 1, ..EmbedOptions::default() },
    );
    assert_eq!(values, &again.unwrap());
    let vectors = backbone.vectors_of_all(set.clone(), None, &EmbedOptions::default()).unwrap();
    let pemm_data::Pixels::Vectors(same) = &*vectors.train.pixels else { panic!("vectors") };
    assert_eq!((same, &vectors.train.given), (values, &set.train.given));
    assert_eq!(vectors.train.name(5), set.train.name(5));
    assert_eq!(vectors.train.select(&[4]).name(0), set.train.name(4));
    assert!(crate::samples(&read.train).is_err());
}

#[test]
fn an_image_that_does_not_decode_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (good, bad) = (folder.path().join("good.png"), folder.path().join("bad.png"));
    GrayImage::from_pixel(9, 7, Luma([9])).save(&good).unwrap();
    fs::write(&bad, "no image").unwrap();
    let sample =
        |name, path| crate::Sample { name, picture: crate::preprocessing::Picture::File(path) };
    let samples = [sample("good", &good), sample("bad", &bad)];
    let backbone = tiny();
    let error = backbone.embed_all(&samples, None, &EmbedOptions::default()).unwrap_err();
    assert!(error.to_string().starts_with("bad: not a "), "{error}");
    assert_eq!(
        backbone.embed_all(&samples[..1], None, &EmbedOptions::default()).unwrap().len(),
        12
    );
}
