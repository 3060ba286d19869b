use std::fs;
use std::sync::Arc;

use super::*;
use crate::{Pixels, Shape};

fn part(names: &[&str], given: &[u32]) -> Part {
    Part {
        pixels: Arc::new(Pixels::Vectors(vec![0.0; names.len()])),
        shape: Shape { channels: 1, height: 1, width: 1 },
        rows: (0..names.len() as u32).collect(),
        names: Arc::new(names.iter().map(|&name| name.into()).collect()),
        given: given.to_vec(),
        weights: None,
    }
}

pub(super) fn set(classes: &[&str]) -> DataSet {
    let classes = classes.iter().map(|&name| name.into()).collect();
    let train = part(&["train/cat/1.jpg", "train/cat/2.jpg", "train/dog/1.jpg"], &[0, 0, 1]);
    let test = part(&["test/dog/9.jpg"], &[1]);
    DataSet { clean: Some(vec![0, 0, 1]), ..DataSet::of("pets".into(), classes, train, Some(test)) }
}

pub(super) fn join_text(set: &mut DataSet, text: &str, unlisted: Unlisted) -> Result<JoinReport> {
    let folder = tempfile::tempdir().unwrap();
    let labels = folder.path().join("labels.csv");
    fs::write(&labels, text).unwrap();
    join(set, &DataConfig { labels: Some(labels), unlisted, ..DataConfig::default() })
}

#[test]
fn labels_weights_and_clean_are_taken_in_any_order() {
    let mut set = set(&["cat", "dog"]);
    let text = "label,path,weight,clean,note\n\
                dog,train/dog/1.jpg,0.5,dog,x\n\
                1,train/cat/1.jpg,2,cat,y\n\
                cat,train/cat/2.jpg,0,0,z\n";
    let report = join_text(&mut set, text, Unlisted::Error).unwrap();
    assert_eq!(report, JoinReport { listed: 3, dropped: 0, changed: 1 });
    assert_eq!(set.train.given, [1, 0, 1]);
    assert_eq!(set.train.weights, Some(vec![2.0, 0.0, 0.5]));
    assert_eq!(set.clean, Some(vec![0, 0, 1]));
}

#[test]
fn unlisted_samples_stop_or_drop_and_old_clean_labels_go() {
    let text = "path,label\ntrain/dog/1.jpg,cat\n";
    let error = join_text(&mut set(&["cat", "dog"]), text, Unlisted::Error).unwrap_err();
    let error = error.to_string();
    assert!(error.contains("2 of 3 training samples are not listed (train/cat/1.jpg"));
    assert!(error.contains("data.unlisted = \"drop\""));
    let mut set = set(&["cat", "dog"]);
    let report = join_text(&mut set, text, Unlisted::Drop).unwrap();
    assert_eq!(report, JoinReport { listed: 1, dropped: 2, changed: 1 });
    assert_eq!((set.train.name(0), &set.train.given[..]), ("train/dog/1.jpg", &[0][..]));
    assert_eq!(set.clean, None);
    let error = join_text(&mut set, "path,label\n", Unlisted::Drop).unwrap_err();
    assert!(error.to_string().contains("no sample is listed at all"));
}

#[test]
fn class_names_that_are_integers_are_never_ids() {
    let mut set = set(&["7", "9"]);
    let line = |label: &str| format!("path,label\ntrain/cat/1.jpg,{label}\n");
    join_text(&mut set, &line("9"), Unlisted::Drop).unwrap();
    assert_eq!(set.train.given, [1]);
    let error = join_text(&mut set, &line("1"), Unlisted::Drop).unwrap_err().to_string();
    assert!(error.contains("\"1\" is none of the 2 classes"), "{error}");
}

#[test]
fn rows_of_skipped_images_and_unchanged_ones_of_other_parts_are_passed_over() {
    let mut set = set(&["cat", "dog"]);
    set.skipped.push("train/cat/broken.jpg".into());
    set.val = Some(part(&["val/cat/7.jpg"], &[0]));
    let text = "path,label\ntest/dog/9.jpg,dog\nval/cat/7.jpg,cat\ntrain/cat/broken.jpg,dog\n\
                train/cat/1.jpg,dog\ntrain/cat/2.jpg,cat\ntrain/dog/1.jpg,dog\n";
    let report = join_text(&mut set, text, Unlisted::Error).unwrap();
    assert_eq!((report.listed, report.changed), (3, 1));
    assert_eq!(set.train.given, [1, 0, 1]);
    // The labels of val/ are its own: no model is chosen by them.
    assert!(set.val.is_none());
    assert!(set.notes[0].contains("is not used"), "{:?}", set.notes);
    let mut alone = DataSet { test: None, val: Some(part(&["val/cat/7.jpg"], &[0])), ..set };
    let text = text.replace("test/dog/9.jpg,dog\n", "");
    join_text(&mut alone, &text, Unlisted::Error).unwrap();
    assert_eq!(alone.test.unwrap().name(0), "val/cat/7.jpg");
}

#[test]
fn paths_from_elsewhere_mean_the_one_image_that_they_end_like() {
    let mut set = set(&["cat", "dog"]);
    let text =
        "Path,Label\ncat/1.jpg,dog\n2,cat\nC:\\pets\\train\\dog\\1.jpg,dog\n./test/dog/9.jpg,dog\n";
    let report = join_text(&mut set, text, Unlisted::Error).unwrap();
    assert_eq!((report.listed, &set.train.given[..]), (3, &[1, 0, 1][..]));
    let note = &set.notes[0];
    assert!(
        note.contains("4 names") && note.contains("\"cat/1.jpg\" for \"train/cat/1.jpg\""),
        "{note}"
    );
}

#[test]
fn mistakes_are_named_by_line() {
    let cases = [
        ("file,label\n", "no column path or index; found: file, label"),
        ("path,worse\n", "no column \"label\", which data.label_column names; found: path"),
        ("path,label\ntrain/cat/3.jpg,cat\n", "line 2: \"train/cat/3.jpg\" is no training"),
        ("path,label\n1.jpg,cat\n", "could be \"train/cat/1.jpg\" or \"train/dog/1.jpg\""),
        ("path,label\n9.jpg,cat\n", "is in the test part"),
        ("path,label\ntrain/cat/1.jpge,cat\n", "did you mean \"train/cat/1.jpg\"?"),
        ("path,label\ntest/dog/9.jpg,cat\n", "is in the test part"),
        (
            "path,label\ntrain/cat/1.jpg,cat\ntrain/cat/1.jpg,dog\n",
            "line 3: \"train/cat/1.jpg\" is listed a second time, first in line 2",
        ),
        ("path,label\ntrain/cat/1.jpg,catt\n", "line 2: column \"label\": \"catt\" is none"),
        ("path,label\ntrain/cat/1.jpg,-1\n", "class id -1 is not in 0 to 1"),
        ("path,label\ntrain/cat/1.jpg,2\n", "class id 2 is not in 0 to 1"),
        ("path,label\ntrain/cat/1.jpg,\n", "\"\" is none of the 2 classes"),
        ("path,label,weight\ntrain/cat/1.jpg,cat,-1\n", "weight \"-1\" is no finite"),
        ("path,label,weight\ntrain/cat/1.jpg,cat,NaN\n", "weight \"NaN\" is no finite"),
        ("path,label\ntrain/cat/1.jpg\n", "line: 2"),
    ];
    for (text, expected) in cases {
        let result = join_text(&mut set(&["cat", "dog"]), text, Unlisted::Drop);
        let error = result.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

/// Real data: PEMM_TEST_CIFAR10 is CIFAR-10 as an image folder, PEMM_TEST_CIFAR10N the labels
/// `path,clean,worse,random1` of CIFAR-10N, of which 40.2 % in `worse` are wrong.
#[test]
fn human_labels_of_cifar10_join() {
    let variables = ["PEMM_TEST_CIFAR10", "PEMM_TEST_CIFAR10N"].map(std::env::var);
    let [Ok(path), Ok(labels)] = variables else {
        eprintln!("skipped: PEMM_TEST_CIFAR10 or PEMM_TEST_CIFAR10N is not set");
        return;
    };
    let config = DataConfig {
        path,
        labels: Some(labels.into()),
        label_column: "worse".into(),
        ..DataConfig::default()
    };
    let mut set = crate::source::open(&config).unwrap();
    let given = set.train.given.clone();
    let report = join(&mut set, &config).unwrap();
    assert_eq!((report.listed, report.dropped), (50_000, 0));
    assert!((report.changed as f64 / 50_000.0 - 0.402).abs() < 0.001, "{report:?}");
    assert_eq!(set.clean, Some(given));
}

#[test]
fn labels_that_an_audit_changed_are_noted() {
    let text = "path,label,weight,given,action\n\
                train/cat/1.jpg,cat,1,cat,keep\n\
                train/cat/2.jpg,dog,1,cat,change\n\
                train/dog/1.jpg,dog,1,dog,checked\n";
    let mut set = set(&["cat", "dog"]);
    join_text(&mut set, text, Unlisted::Error).unwrap();
    assert!(set.notes[0].contains("1 of the labels are an audit's"), "{:?}", set.notes);
    let mut kept = self::set(&["cat", "dog"]);
    let text = text.replace("dog,1,cat,change", "cat,0,cat,drop");
    join_text(&mut kept, &text, Unlisted::Error).unwrap();
    assert!(kept.notes.is_empty(), "{:?}", kept.notes);
}
