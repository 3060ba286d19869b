//! Situations that people met, each with what is right there.

use std::fs;
use std::sync::atomic::AtomicBool;

use pemm_data::config::{BrokenImages, DataConfig, Layout, Unlisted};
use pemm_data::source::{Rule, class_order, counting_order, loose_images, matrix, open};
use pemm_data::{DataError, DataSet, Result, Shape, info, labels, prepare, source};
use tempfile::TempDir;

use crate::pictures::{add, config, folder};

static NEVER: AtomicBool = AtomicBool::new(false);

/// Twelve images in each class folder of `classes`.
fn classes(prefix: &str, classes: &[&str]) -> Vec<String> {
    let image = |class: &&str| {
        let class = class.to_string();
        (0..12).map(move |number| format!("{prefix}{class}/{number:02}.png"))
    };
    classes.iter().flat_map(image).collect()
}

/// Joins the labels file `text`, which lies beside the folder.
fn joined(folder: &TempDir, text: &str, config: DataConfig) -> Result<DataSet> {
    let beside = tempfile::tempdir().unwrap();
    let path = beside.path().join("labels.csv");
    fs::write(&path, text).unwrap();
    let config = DataConfig { labels: Some(path), ..config };
    assert_eq!(config.path, folder.path().to_str().unwrap());
    let mut set = open(&config)?;
    labels::join(&mut set, &config)?;
    Ok(set)
}

fn csv(rows: impl IntoIterator<Item = (String, String)>) -> String {
    let lines = rows.into_iter().map(|(path, label)| format!("{path},{label}\n"));
    std::iter::once("path,label\n".to_string()).chain(lines).collect()
}

#[test]
fn a_part_of_any_usual_name_is_read_and_one_account_tells_which() {
    let mut paths = classes("Training/", &["rose", "tulip"]);
    paths.extend(classes("Valid/", &["rose", "tulip"]));
    paths.extend(classes("extra/", &["rose"]));
    let folder = folder(&paths);
    let set = open(&config(&folder)).unwrap();
    assert_eq!((set.train.len(), set.val.as_ref().unwrap().len()), (24, 24));
    let read: Vec<_> = set.account.read.iter().map(|part| (&*part.part, &*part.folder)).collect();
    assert_eq!(read, [("train", "Training"), ("val", "Valid")]);
    assert_eq!(set.account.read[0].images, [12, 12]);
    assert_eq!(set.account.num_left_out(Rule::BesideParts), 1);
    assert!(set.notes.iter().any(|note| note.contains("folder beside the parts: extra")));
    let info = info::inspect(folder.path().to_str().unwrap()).unwrap();
    assert_eq!(info.account, set.account);
    let prepared = prepare::prepare(&config(&folder), &Default::default(), 1).unwrap();
    assert_eq!(prepared.account, set.account);
}

#[test]
fn a_class_called_train_stops_until_it_is_chosen() {
    let folder = folder(&classes("", &["bus", "car", "train"]));
    let error = open(&config(&folder)).unwrap_err().to_string();
    assert!(error.contains("bus/, car/") && error.contains("data.layout = \"classes\""), "{error}");
    let chosen = DataConfig { layout: Layout::Classes, ..config(&folder) };
    let set = open(&chosen).unwrap();
    assert_eq!(set.classes, ["bus", "car", "train"]);
    assert_eq!(info::inspect_until(&chosen, &NEVER).unwrap().classes.len(), 3);
}

#[test]
fn thumbnails_of_a_disk_station_do_not_become_samples() {
    let mut paths = classes("train/", &["rose", "tulip"]);
    for path in paths.clone() {
        let (class, name) = path.rsplit_once('/').unwrap();
        paths.push(format!("{class}/@eaDir/{name}/SYNOPHOTO_THUMB_M.jpg"));
    }
    let set = open(&config(&folder(&paths))).unwrap();
    assert_eq!(set.train.len(), 24);
    assert_eq!(set.account.num_left_out(Rule::System), 2);
    assert!(set.notes.is_empty(), "{:?}", set.notes);
}

#[test]
fn runs_beside_the_classes_do_not_become_a_class() {
    let folder = folder(&classes("", &["rose", "tulip"]));
    let before = prepare::data_sha256(&open(&config(&folder)).unwrap());
    let run = folder.path().join("runs/first");
    fs::create_dir_all(&run).unwrap();
    fs::write(run.join("experiment.toml"), "").unwrap();
    fs::write(run.join("record.json"), "{}").unwrap();
    add(&run, &["figures/loss.png"]);
    let set = open(&config(&folder)).unwrap();
    assert_eq!(set.account.num_left_out(Rule::OwnOutput), 1);
    assert_eq!(prepare::data_sha256(&set), before);
}

#[test]
fn a_prediction_tells_what_it_did_not_look_at() {
    let folder = folder(&["06/a.JPG", "06/b.png", "c.jfif", "no_ending", ".hidden.jpg", "d.gif"]);
    for name in ["06/1.HEIC", "06/2.heic", "e.avif", "f.pdf"] {
        fs::write(folder.path().join(name), "not read").unwrap();
    }
    fs::write(folder.path().join("broken.jpg"), "no image").unwrap();
    let shape = Shape { channels: 3, height: 4, width: 4 };
    let inputs = [folder.path().to_path_buf()];
    let images = loose_images(&inputs, shape, true, &NEVER).unwrap();
    assert_eq!((images.part.len(), images.broken.len()), (4, 1));
    let account = &images.account;
    assert_eq!(account.num_left_out(Rule::OtherFormat), 3);
    assert_eq!(account.num_left_out(Rule::OtherEnding), 1);
    assert_eq!(account.num_images_left_out(), 5, "with the broken one");
    assert_eq!(account.num_left_out(Rule::OtherFile), 1);
    assert!(account.warnings()[0].contains("(1 .avif, 2 .heic)"), "{:?}", account.warnings());
    // One that is named is looked at whatever its ending.
    let named = [folder.path().join("no_ending")];
    assert_eq!(loose_images(&named, shape, false, &NEVER).unwrap().part.len(), 1);
    let only = tempfile::tempdir().unwrap();
    fs::write(only.path().join("1.heic"), "not read").unwrap();
    let error = loose_images(&[only.path().into()], shape, true, &NEVER).unwrap_err().to_string();
    assert!(error.contains("left out 1 image in a format that is not read"), "{error}");
    let deep = self::folder(&["a/b/c/d/e/f/g/h/i/j/k/x.jpg", "y.jpg"]);
    assert_eq!(loose_images(&[deep.path().into()], shape, false, &NEVER).unwrap().part.len(), 2);
}

#[test]
fn a_flat_folder_with_labels_is_a_data_set() {
    let names: Vec<String> =
        (0..20).map(|i| format!("train/{}.{i}.png", ["cat", "dog"][i % 2])).collect();
    let mut paths = names.clone();
    paths.push("test1/0.png".into());
    let folder = folder(&paths);
    let error = open(&config(&folder)).unwrap_err().to_string();
    assert!(error.contains("labels file") && error.contains("data.labels"), "{error}");
    let rows = || names.iter().enumerate().map(|(i, name)| (name.clone(), i));
    let text = csv(rows().map(|(name, i)| (name, ["cat", "dog"][i % 2].into())));
    let set = joined(&folder, &text, config(&folder)).unwrap();
    assert_eq!(set.classes, ["cat", "dog"]);
    assert_eq!((set.train.len(), set.train.given.iter().sum::<u32>()), (20, 10));
    assert_eq!(set.account.read[0].images, [10, 10]);
    assert_eq!(set.account.num_left_out(Rule::BesideParts), 1);
    // Numbers as a table program writes them, in counting order.
    let text = csv(rows().map(|(name, i)| (name, format!("{}.0", i % 11))));
    let set = joined(&folder, &text, config(&folder)).unwrap();
    assert_eq!(set.classes[8..], ["8", "9", "10"]);
    // Some images are not listed.
    let text = csv(rows().take(10).map(|(name, i)| (name, i.min(1).to_string())));
    let error = joined(&folder, &text, config(&folder)).unwrap_err().to_string();
    assert!(error.contains("10 of 20 training samples are not listed"), "{error}");
    let drop = DataConfig { unlisted: Unlisted::Drop, ..config(&folder) };
    assert_eq!(joined(&folder, &text, drop).unwrap().train.len(), 10);
    // Straight in the folder, and in one folder around them.
    for prefix in ["", "images/"] {
        let names: Vec<String> = (0..6).map(|i| format!("{prefix}{i}.png")).collect();
        let folder = self::folder(&names);
        let rows = names.into_iter().enumerate().map(|(i, name)| (name, format!("k{}", i % 3)));
        let set = joined(&folder, &csv(rows), config(&folder)).unwrap();
        assert_eq!((set.classes.len(), set.train.given.clone()), (3, vec![0, 1, 2, 0, 1, 2]));
    }
    let other = csv([("x.png".to_string(), "a".to_string())]);
    let error = joined(&folder, &other, config(&folder)).unwrap_err().to_string();
    assert!(error.contains("none of the 20 images is listed; they are named like"), "{error}");
}

#[test]
fn labels_that_differ_are_counted_and_an_emptied_class_is_named() {
    let paths = classes("train/", &["rose", "tulip", "zinnia"]);
    let folder = folder(&paths);
    let class = |path: &str| path.split('/').nth(1).unwrap().to_string();
    let labelled = |label: &dyn Fn(&str) -> String| {
        csv(paths.iter().map(|path| (path.clone(), label(&class(path)))))
    };
    let set = joined(&folder, &labelled(&|class| class.into()), config(&folder)).unwrap();
    let report = set.joined.unwrap();
    assert_eq!((report.listed, report.changed), (36, 0));
    let gone = |class: &str| if class == "zinnia" { "rose".into() } else { class.into() };
    let set = joined(&folder, &labelled(&gone), config(&folder)).unwrap();
    assert_eq!(set.joined.unwrap().changed, 12);
    let expected = "leaves 1 of 3 classes without a training sample: zinnia";
    assert!(set.notes.iter().any(|note| note.contains(expected)), "{:?}", set.notes);
    let refused = |text: String| joined(&folder, &text, config(&folder)).unwrap_err().to_string();
    let one = refused(labelled(&|_| "rose".into()));
    assert!(one.contains("all 36 samples have the label \"rose\""), "{one}");
    let id = |class: &str| ["rose", "tulip", "zinnia"].iter().position(|c| *c == class).unwrap();
    let from_one = refused(labelled(&|class| (id(class) + 1).to_string()));
    assert!(from_one.contains("class id 3 is not in 0 to 2; ids count from 0"), "{from_one}");
    let without_last = refused(labelled(&|class| (id(class) + 1).min(2).to_string()));
    assert!(without_last.contains("no sample has the class id 0 (\"rose\")"), "{without_last}");
    let floats = labelled(&|class| format!("{}.0", id(class)));
    assert_eq!(joined(&folder, &floats, config(&folder)).unwrap().joined.unwrap().changed, 0);
    let permuted = labelled(&|class| ((id(class) + 1) % 3).to_string());
    let set = joined(&folder, &permuted, config(&folder)).unwrap();
    assert!(set.notes.iter().any(|note| note.contains("rose is tulip")), "{:?}", set.notes);
}

#[test]
fn ids_are_refused_where_counting_and_names_differ() {
    let names: Vec<String> = (0..12).map(|class| format!("c{class}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let paths = classes("", &names);
    let folder = folder(&paths);
    let id = |path: &str| path.split('/').next().unwrap()[1..].to_string();
    let by_id = csv(paths.iter().map(|path| (path.clone(), id(path))));
    let error = joined(&folder, &by_id, config(&folder)).unwrap_err().to_string();
    let expected = "id 2 is \"c10\" in the order of the names and \"c2\" if one counts";
    assert!(error.contains(expected), "{error}");
    let by_name = csv(paths.iter().map(|path| (path.clone(), format!("c{}", id(path)))));
    let set = joined(&folder, &by_name, config(&folder)).unwrap();
    assert_eq!(set.joined.unwrap().changed, 0);
    assert!(set.notes[0].contains("(c0, c1, c10, c11, …), not of counting (c0, c1, c2, c3, …)"));
    // Folders that are called by numbers count, and so do numbers in a column of labels.
    let names: Vec<String> = (0..12).map(|class| class.to_string()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let set = open(&config(&self::folder(&classes("", &names)))).unwrap();
    assert_eq!(set.classes, names);
    assert_eq!(class_order(names.iter().rev().copied()), names);
    assert_eq!(counting_order(&set.classes), None);
}

#[test]
fn names_come_back_as_they_were_written() {
    let odd =
        [" 00.png", "00 .png", "a,b.png", "\u{202e}gnp.png", "say \"hi\".png", "e\u{301}.png"];
    let paths: Vec<String> =
        ["cat ", "dog", "caf\u{e9}"].iter().flat_map(|c| odd.map(|o| format!("{c}/{o}"))).collect();
    let folder = folder(&paths);
    let set = open(&config(&folder)).unwrap();
    let (text, _) = prepare::write_labels(set, &config(&folder), &Default::default(), 1).unwrap();
    let set = joined(&folder, &text, config(&folder)).unwrap();
    assert_eq!((set.joined.unwrap().listed, set.joined.unwrap().changed), (18, 0));
    // A list from a Mac, for folders from elsewhere.
    let mac = text.replace("caf\u{e9}", "cafe\u{301}");
    assert_eq!(joined(&folder, &mac, config(&folder)).unwrap().joined.unwrap().changed, 0);
}

#[test]
fn exports_and_archives_are_told_where_their_images_are() {
    let error = |paths: &[String]| open(&config(&folder(paths))).unwrap_err().to_string();
    let with = |prefix: &str| classes(prefix, &["rose", "tulip"]);
    // A detector keeps its labels beside its images, in folders of the same names.
    let mut paths = [with("images/train/"), with("images/val/")].concat();
    paths.extend(["labels/train/".to_string(), "labels/val/".to_string()]);
    let said = error(&paths);
    assert!(said.contains("all images are in images/, which holds train/, val/"), "{said}");
    assert!(said.contains("use data.path = "), "{said}");
    // A zip in a zip, whose outer folders hold nothing but the next.
    let said = error(&[with("flowers/flowers/train/"), with("flowers/flowers/test/")].concat());
    assert!(said.contains("flowers/flowers\""), "the innermost is named: {said}");
    // Parts inside of classes.
    let mut paths = Vec::new();
    for class in ["rose", "tulip"] {
        paths.extend(["test", "train"].map(|part| format!("{class}/{part}/0.png")));
    }
    let said = error(&paths);
    assert!(said.contains("classes lie inside of parts: make it test/rose/"), "{said}");
    assert!(said.contains("data.layout = \"classes\""), "{said}");
    // A part with one folder of images in it.
    let said = error(&(0..12).map(|i| format!("train/images/{i}.png")).collect::<Vec<_>>());
    assert!(said.contains("all images are in one class folder, \"images\""), "{said}");
    assert!(said.contains("--labels"), "{said}");
}

#[cfg(unix)]
#[test]
fn links_that_lead_nowhere_are_told() {
    let folder = folder(&classes("", &["rose", "tulip"]));
    let link = |to: &str, name: &str| {
        std::os::unix::fs::symlink(to, folder.path().join(name)).unwrap();
    };
    link("/a/disk/that/is/not/there", "lily");
    link("gone.png", "rose/gone.png");
    let set = open(&config(&folder)).unwrap();
    assert_eq!(set.account.num_left_out(Rule::DeadLink), 1);
    assert!(set.notes.iter().any(|note| note.contains("1 link that leads nowhere: lily")));
    assert_eq!(set.skipped, ["rose/gone.png"]);
    let info = info::inspect(folder.path().to_str().unwrap()).unwrap();
    assert!(info.broken[0].reason.contains("the link leads nowhere"), "{info:?}");
}

#[test]
fn a_list_may_name_images_as_another_machine_does() {
    let names: Vec<String> = (0..8).map(|i| format!("scans/{i:03}.png")).collect();
    let folder = folder(&names);
    let label = |i: usize| ["cat", "dog"][i % 2].to_string();
    for write in [
        |i: usize| format!("{i:03}"),
        |i: usize| format!("{i:03}.PNG"),
        |i: usize| format!("C:\\data\\scans\\{i:03}.png"),
        |i: usize| format!("/Volumes/disk/pets/scans/{i:03}.png"),
    ] {
        let text = csv((0..8).map(|i| (write(i), label(i))));
        let set = joined(&folder, &text, config(&folder)).unwrap();
        assert_eq!(set.train.given, [0, 1, 0, 1, 0, 1, 0, 1]);
        assert!(set.notes.iter().any(|note| note.contains("8 names are not written as paths")));
    }
    let text =
        csv((0..8).map(|i| (names[i].clone(), if i == 3 { "NaN".into() } else { label(i) })));
    let set = joined(&folder, &text, config(&folder)).unwrap();
    assert!(set.notes.iter().any(|note| note.contains("\"NaN\" counts as a class")));
    // One that could be two images is nobody's guess.
    let paths = [classes("train/", &["cat", "dog"]), classes("test/", &["cat"])].concat();
    let folder = self::folder(&paths);
    let rows =
        |from: usize| paths[..24].iter().map(move |path| (path[from..].into(), "cat".into()));
    let error = joined(&folder, &csv(rows(0).chain(rows(6).skip(23))), config(&folder));
    assert!(error.unwrap_err().to_string().contains("line 26: \"train/dog/11.png\" is listed"));
    let error = joined(&folder, &csv(rows(6)), config(&folder)).unwrap_err().to_string();
    assert!(
        error.contains("\"cat/00.png\" could be \"train/cat/00.png\" or \"test/cat"),
        "{error}"
    );
}

#[test]
fn files_of_other_formats_are_told_by_what_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("probabilities");
    let cases: [(&[u8], &str); 3] = [
        (b"PK\x03\x04....", "a zip archive, as those of numpy.savez, torch.save"),
        (b"\x80\x04\x95....", "a Python pickle"),
        (b"\x89HDF\r\n....", "an HDF5 file"),
    ];
    for (bytes, expected) in cases {
        fs::write(&path, bytes).unwrap();
        let error = matrix(&path).unwrap_err().to_string();
        assert!(error.contains(expected) && !error.contains("parse"), "{error}");
    }
}

#[test]
fn broken_images_that_are_skipped_stand_in_the_account() {
    let folder = folder(&classes("train/", &["rose", "tulip"]));
    fs::write(folder.path().join("train/rose/cut.png"), "").unwrap();
    let skip = DataConfig { broken: BrokenImages::Skip, ..config(&folder) };
    let set = open(&skip).unwrap();
    assert_eq!(set.account.num_left_out(Rule::Broken), 1);
    assert_eq!((set.account.num_read(), set.skipped.len()), (24, 1));
}

#[test]
fn a_set_flag_stops_before_the_next_file() {
    let folder = folder(&classes("train/", &["rose", "tulip"]));
    let stop = AtomicBool::new(true);
    let data = config(&folder);
    let stopped = |result: Result<()>| assert!(matches!(result, Err(DataError::Stopped)));
    stopped(source::open_until(&data, &stop).map(|_| ()));
    stopped(info::inspect_until(&data, &stop).map(|_| ()));
    stopped(prepare::prepare_until(&data, &Default::default(), 1, &stop).map(|_| ()));
    let shape = Shape { channels: 3, height: 4, width: 4 };
    stopped(loose_images(&[folder.path().into()], shape, true, &stop).map(|_| ()));
    let set = open(&data).unwrap();
    let normalization = pemm_data::normalize::Normalization::of_until(&set.train, &stop);
    stopped(normalization.map(|_| ()));
}

/// Identities that are in records: they must never move.
#[test]
fn identities_of_data_sets_whose_orders_agree_stay() {
    let set = open(&DataConfig::default()).unwrap();
    let digits = prepare::data_sha256(&set);
    assert_eq!(digits, DIGITS);
    let mut paths = classes("train/", &["rose", "tulip"]);
    paths.extend(classes("test/", &["rose"]));
    let folder = folder(&paths);
    assert_eq!(prepare::data_sha256(&open(&config(&folder)).unwrap()), FLOWERS);
}

const DIGITS: &str = "2c9f9a8fe42f792405dc5c7dd66e40ced402452308605e29bc0c5d5502ae8d31";
const FLOWERS: &str = "316ef607c4dab7e31de53a3c7d22ba254c1a822fc5fa8168127e61dfbc6398a5";
