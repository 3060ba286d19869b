use std::fs;

use super::*;
use crate::config::Layout;

fn tree(paths: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for path in paths {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, b"x").unwrap();
    }
    folder
}

fn config(folder: &Path) -> DataConfig {
    DataConfig { path: folder.to_str().unwrap().into(), ..DataConfig::default() }
}

fn list_at(folder: &Path) -> Result<Listing> {
    list(&config(folder))
}

fn names(files: &[ImageFile]) -> Vec<&str> {
    files.iter().map(|file| file.name.as_str()).collect()
}

#[test]
fn parts_classes_and_order() {
    let folder = tree(&[
        "train/dog/b.JPG",
        "train/dog/a.png",
        "train/cat/deep/c.webp",
        "train/cat/notes.txt",
        "train/cat/.hidden.jpg",
        "test/dog/d.bmp",
        "README.md",
    ]);
    let listing = list_at(folder.path()).unwrap();
    assert_eq!(listing.classes, ["cat", "dog"]);
    let expected = ["train/cat/deep/c.webp", "train/dog/a.png", "train/dog/b.JPG"];
    assert_eq!(names(&listing.train), expected);
    assert_eq!(listing.train[1].class, 1);
    assert_eq!(names(listing.test.as_ref().unwrap()), ["test/dog/d.bmp"]);
    assert!(listing.val.is_none());
    assert_eq!(listing.account.warnings(), [] as [String; 0]);
}

#[test]
fn folders_that_look_like_classes_of_a_group_are_told() {
    let grouped = ["warm/rose/1.jpg", "cold/ice/1.jpg", "cold/sky/deep/1.jpg", "cold/sea/1.jpg"];
    let notes = list_at(tree(&grouped).path()).unwrap().notes;
    let told = "all images in cold (ice, sea, sky) are of class \"cold\"";
    assert!(notes[0].starts_with("folders within") && notes[0].contains(told), "{notes:?}");
    // One folder in each class, or images beside the folders: somebody sorted within the class.
    for sorted in [["a/x/1.jpg", "a/x/2.jpg", "b/1.jpg"], ["a/x/1.jpg", "a/y/1.jpg", "a/1.jpg"]] {
        let folder = tree(&[&sorted[..], &["c/1.jpg"]].concat());
        assert!(list_at(folder.path()).unwrap().notes.is_empty());
    }
}

#[test]
fn an_archive_is_told_as_it_may_be_a_class() {
    let folder = tree(&["cat/1.jpg", "cat/more.tar.gz", "dog/1.jpg", "notes.txt.gz", "sheep.ZIP"]);
    let account = list_at(folder.path()).unwrap().account;
    let expected = "left out 2 archives: sheep.ZIP, cat/more.tar.gz; unpack what holds images";
    assert_eq!(account.warnings(), [expected]);
    assert_eq!(account.num_left_out(Rule::OtherFile), 1);
}

#[test]
fn images_that_are_not_read_are_counted() {
    let folder = tree(&["cat/1.jpg", "cat/2.HEIC", "cat/3.heic", "dog/4.avif", "dog/notes.txt"]);
    let account = list_at(folder.path()).unwrap().account;
    let expected = "left out 3 images in formats that are not read (1 .avif, 2 .heic): cat/2.HEIC, \
                    cat/3.heic, dog/4.avif; convert them to jpg or png";
    assert_eq!(account.warnings(), [expected]);
    assert_eq!(account.num_left_out(Rule::OtherFile), 1);
}

#[test]
fn without_train_the_children_are_the_classes() {
    let folder = tree(&["cat/1.jpg", "dog/2.jpg"]);
    assert!(is_here(folder.path()).unwrap());
    assert_eq!(names(&list_at(folder.path()).unwrap().train), ["cat/1.jpg", "dog/2.jpg"]);
    assert!(!is_here(tree(&["docs/readme.txt"]).path()).unwrap());
}

#[test]
fn mistakes_are_named() {
    let error = |paths: &[&str]| list_at(tree(paths).path()).unwrap_err().to_string();
    assert!(error(&["train/1.jpg"]).contains("no class folder"));
    assert!(error(&["train/notes.txt"]).contains("no class folder"));
    assert!(error(&["test/cat/1.jpg", "cat/1.jpg"]).contains("no train/"));
    assert!(error(&["val/cat/1.jpg", "test/cat/1.jpg"]).contains("name the training part train/"));
    let extra = error(&["train/cat/1.jpg", "test/catt/1.jpg"]);
    assert!(extra.contains("\"catt\" is not in the training part; did you mean \"cat\"?"));
}

/// Two classes of two images in each of `folders`.
fn parts(folders: &[&str]) -> tempfile::TempDir {
    let mut paths = Vec::new();
    for folder in folders {
        for name in ["rose/1.jpg", "rose/2.jpg", "tulip/1.jpg", "tulip/2.jpg"] {
            paths.push(format!("{folder}/{name}"));
        }
    }
    tree(&paths.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn parts_are_known_by_the_names_that_people_use() {
    // Folders, and how many images are read as train, val and test.
    let cases: [(&[&str], [Option<usize>; 3]); 10] = [
        (&["train", "valid", "test"], [Some(4), Some(4), Some(4)]),
        (&["train", "validation"], [Some(4), Some(4), None]),
        (&["train", "dev"], [Some(4), Some(4), None]),
        (&["Train", "Test"], [Some(4), None, Some(4)]),
        (&["TRAIN", "VAL", "TEST"], [Some(4), Some(4), Some(4)]),
        (&["Train", "test"], [Some(4), None, Some(4)]),
        (&["training", "testing", "eval"], [Some(4), Some(4), Some(4)]),
        (&["training_set", "test_set"], [Some(4), None, Some(4)]),
        (&["seg_train/seg_train", "seg_test/seg_test"], [Some(4), None, Some(4)]),
        (&["train/train", "val/val"], [Some(4), Some(4), None]),
    ];
    for (folders, expected) in cases {
        let folder = parts(folders);
        let listing = list_at(folder.path()).unwrap();
        assert_eq!(listing.classes, ["rose", "tulip"], "{folders:?}");
        let count = |files: Option<&Vec<ImageFile>>| files.map(Vec::len);
        let found = [Some(&listing.train), listing.val.as_ref(), listing.test.as_ref()].map(count);
        assert_eq!(found, expected, "{folders:?}");
        assert_eq!(listing.account, Account::default(), "{folders:?}");
    }
    let nested = parts(&["seg_train/seg_train"]);
    let listing = list_at(nested.path()).unwrap();
    assert_eq!(listing.train[0].name, "seg_train/seg_train/rose/1.jpg");
    assert_eq!(listing.folders[0], "seg_train/seg_train");
}

#[test]
fn what_could_be_parts_or_classes_stops_and_says_how_to_choose() {
    let cases: [(&[&str], &str); 10] = [
        (&["images", "masks"], "images/, masks/ look like images and their masks"),
        (&["Ground_Truth", "imgs"], "Ground_Truth/, imgs/ look like images and their masks"),
        (&["train1", "val1"], "train1/, val1/ are named like parts"),
        (&["set_a", "set_b"], "set_a/, set_b/ all hold the same folders (rose, tulip)"),
        (&["2023", "2024", "2025"], "2023/, 2024/, 2025/ all hold the same folders"),
        (&["train", "val", "valid"], "val/, valid/ could each be the validation part"),
        (&["train", "Train"], "Train/, train/ could each be the training part"),
        (&["train", "bus", "car"], "train/ is named like the training part, but images lie beside"),
        (&["test", "crack", "dent"], "no train/ beside it, only crack/, dent/"),
        (&["val", "features"], "no train/ beside it, only features/"),
    ];
    for (folders, expected) in cases {
        let folder = parts(folders);
        let error = list_at(folder.path()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert!(error.contains("data.layout = \"classes\""), "{error}");
        // Chosen, each folder is a class.
        let config = DataConfig { layout: Layout::Classes, ..config(folder.path()) };
        let mut sorted = folders.to_vec();
        sorted.sort_unstable();
        assert_eq!(list(&config).unwrap().classes, sorted);
    }
    // The images of trains lie flat, as those of the other vehicles.
    let flat = tree(&["bus/1.jpg", "car/1.jpg", "train/1.jpg"]);
    assert!(list_at(flat.path()).unwrap_err().to_string().contains("is it a class like these?"));
    let kinds = tree(&["bus/1.jpg", "car/1.jpg", "train/steam/1.jpg", "train/diesel/1.jpg"]);
    let config = DataConfig { layout: Layout::Parts, ..config(kinds.path()) };
    let listing = list(&config).unwrap();
    assert_eq!(listing.classes, ["diesel", "steam"]);
    assert_eq!(listing.account.num_left_out(Rule::BesideParts), 2);
    let none = parts(&["a", "b"]);
    let config = DataConfig { layout: Layout::Parts, ..self::config(none.path()) };
    assert!(list(&config).unwrap_err().to_string().contains("no folder train/"));
}

#[test]
fn folders_of_kinds_inside_of_classes_are_no_parts() {
    let one = tree(&["rose/images/1.jpg", "tulip/images/1.jpg"]);
    assert_eq!(list_at(one.path()).unwrap().classes, ["rose", "tulip"]);
    let other =
        tree(&["rose/red/1.jpg", "rose/white/1.jpg", "tulip/red/1.jpg", "tulip/blue/1.jpg"]);
    assert_eq!(list_at(other.path()).unwrap().classes, ["rose", "tulip"]);
    let direct =
        tree(&["rose/a/1.jpg", "rose/b/1.jpg", "tulip/a/1.jpg", "tulip/b/1.jpg", "tulip/1.jpg"]);
    assert_eq!(list_at(direct.path()).unwrap().classes, ["rose", "tulip"]);
}

#[test]
fn a_folder_in_a_folder_is_named() {
    for inner in [&["rose", "tulip"][..], &["train", "test"]] {
        let paths: Vec<String> =
            inner.iter().map(|name| format!("flowers/{name}/a/1.jpg")).collect();
        let folder = tree(&paths.iter().map(String::as_str).collect::<Vec<_>>());
        let error = list_at(folder.path()).unwrap_err().to_string();
        assert!(error.contains("all images are in ") && error.contains("data.path = "), "{error}");
    }
}

#[test]
fn what_machines_leave_is_skipped_and_counted() {
    let folder = tree(&[
        "train/rose/1.jpg",
        "train/rose/@eaDir/1.jpg/SYNOPHOTO_THUMB_M.jpg",
        "train/rose/$RECYCLE.BIN/deleted.jpg",
        "train/rose/.ipynb_checkpoints/1-checkpoint.jpg",
        "train/rose/._1.jpg",
        "train/rose/Thumbs.db",
        "train/tulip/1.jpg",
        "train/tulip/desktop.ini",
        "train/__MACOSX/rose/1.jpg",
        "train/lost+found/x",
        "train/.git/x.jpg",
        "env/pyvenv.cfg",
        "env/lib/icon.png",
        "__MACOSX/train/rose/1.jpg",
    ]);
    let listing = list_at(folder.path()).unwrap();
    assert_eq!(listing.classes, ["rose", "tulip"]);
    assert_eq!(listing.train.len(), 2);
    let account = &listing.account;
    assert_eq!((account.num_left_out(Rule::System), account.num_left_out(Rule::Hidden)), (8, 3));
    assert_eq!(account.warnings(), [] as [String; 0], "nobody misses these");
    // The same among class folders without parts.
    let folder =
        tree(&["rose/1.jpg", "tulip/1.jpg", "venv/lib/icon.png", "scripts/train.py", "@eaDir/x"]);
    let listing = list_at(folder.path()).unwrap();
    assert_eq!(listing.classes, ["rose", "tulip"]);
    assert_eq!(listing.account.num_left_out(Rule::System), 2);
    assert_eq!(listing.account.num_left_out(Rule::NoImages), 1);
}

#[test]
fn own_runs_and_audits_are_no_class() {
    let folder = tree(&[
        "rose/1.jpg",
        "tulip/1.jpg",
        "runs/a/record.json",
        "runs/a/report/loss.png",
        "results/first/experiment.toml",
        "checked/audit.json",
        "audits/page/1.png",
    ]);
    let listing = list_at(folder.path()).unwrap();
    assert_eq!(listing.classes, ["rose", "tulip"]);
    assert_eq!(listing.account.num_left_out(Rule::OwnOutput), 4);
    // A class that somebody keeps notes on stays a class.
    let folder = tree(&["rose/1.jpg", "rose/record.json", "runs/1.jpg"]);
    assert_eq!(list_at(folder.path()).unwrap().classes, ["rose", "runs"]);
}

#[test]
fn every_file_of_a_class_is_read_or_counted() {
    let endings = ["JPG", "Jpeg", "jpe", "jfif", "PNG", "tif", "gif"];
    let others = ["JPG_large", "jpg~", "jpg.1", "txt", "npy", ""];
    let unread = ["heic", "avif", "pgm", "ico"];
    let mut paths =
        vec!["train/tulip/1.jpg".to_string(), "train/stray.jpg".into(), "cover.jpg".into()];
    for ending in endings.iter().chain(&others).chain(&unread) {
        paths.push(format!("train/rose/x{}{ending}", if ending.is_empty() { "" } else { "." }));
    }
    let folder = tree(&paths.iter().map(String::as_str).collect::<Vec<_>>());
    let photo = b"\xff\xd8\xff\xe0 begins like a JPEG";
    fs::write(folder.path().join("train/rose/x.jpg~"), photo).unwrap();
    fs::write(folder.path().join("train/rose/x"), photo).unwrap();
    let listing = list_at(folder.path()).unwrap();
    let account = &listing.account;
    assert_eq!(listing.train.len(), endings.len() + 1);
    assert_eq!(account.num_left_out(Rule::OtherFormat), unread.len());
    assert_eq!(account.num_left_out(Rule::OtherEnding), 2);
    assert_eq!(account.num_left_out(Rule::OtherFile), others.len() - 2);
    assert_eq!(account.num_left_out(Rule::BesideClasses), 2);
    let left_out: usize = account.left_out.iter().map(|left_out| left_out.count).sum();
    assert_eq!(listing.train.len() + left_out, paths.len(), "every entry is accounted for");
    assert_eq!(account.warnings().len(), 3);
}

#[test]
fn a_part_without_class_folders_is_named_and_an_empty_one_stays() {
    let folder =
        tree(&["train/rose/1.jpg", "train/tulip/1.jpg", "test/1.jpg", "test/2.jpg", "val/x.txt"]);
    let listing = list_at(folder.path()).unwrap();
    assert!(listing.test.is_none());
    assert_eq!(listing.val.unwrap().len(), 0);
    let warnings = listing.account.warnings();
    assert!(warnings[0].contains("1 part whose images have no labels: test;"), "{warnings:?}");
}

#[test]
fn numbers_are_classes_in_counting_order() {
    let paths: Vec<String> = (0..12).map(|class| format!("{class}/1.jpg")).collect();
    let folder = tree(&paths.iter().map(String::as_str).collect::<Vec<_>>());
    let listing = list_at(folder.path()).unwrap();
    assert_eq!(listing.classes[9..], ["9", "10", "11"]);
    assert_eq!(listing.train[10].name, "10/1.jpg");
    assert!(listing.train.iter().map(|file| file.class).eq(0..12));
    assert!(listing.notes.is_empty());
    let paths: Vec<String> = (0..12).map(|class| format!("c{class}/1.jpg")).collect();
    let folder = tree(&paths.iter().map(String::as_str).collect::<Vec<_>>());
    let listing = list_at(folder.path()).unwrap();
    assert_eq!(listing.classes[..3], ["c0", "c1", "c10"]);
    assert!(listing.notes[0].contains("c0, c1, c10, c11, …"), "{:?}", listing.notes);
}

#[test]
fn names_that_look_alike_stop_or_are_told() {
    let (composed, decomposed) = ("caf\u{e9}", "cafe\u{301}");
    let both = tree(&[&format!("{composed}/1.jpg"), &format!("{decomposed}/1.jpg"), "tea/1.jpg"]);
    let error = list_at(both.path()).unwrap_err().to_string();
    assert!(error.contains("both called cafe\u{301}, once"), "{error}");
    assert!(error.contains("(cafe\\u{301} and caf\\u{e9})"), "{error}");
    let apart = tree(&[
        &format!("train/{composed}/1.jpg"),
        "train/tea/1.jpg",
        &format!("test/{decomposed}/1.jpg"),
    ]);
    let listing = list_at(apart.path()).unwrap();
    assert_eq!(listing.test.unwrap()[0].class, 0);
    let case = tree(&["Cat/1.jpg", "cat/1.jpg", "dog/1.jpg"]);
    let listing = list_at(case.path()).unwrap();
    assert_eq!(listing.classes, ["Cat", "cat", "dog"]);
    assert!(listing.notes[0].contains("\"Cat\" and \"cat\" differ only in case, blanks or zeros"));
}

#[cfg(unix)]
#[test]
fn pipes_are_left_out_and_a_name_that_is_no_text_is_named() {
    use std::os::unix::ffi::OsStrExt;

    let folder = tree(&["cat/1.jpg", "dog/1.jpg"]);
    let socket = folder.path().join("cat/2.jpg");
    let _listener = std::os::unix::net::UnixListener::bind(socket).unwrap();
    let listing = list_at(folder.path()).unwrap();
    assert_eq!(listing.account.num_left_out(Rule::NoFile), 1);
    let name = std::ffi::OsStr::from_bytes(b"caf\xe9.jpg");
    fs::write(folder.path().join("dog").join(name), b"x").unwrap();
    let error = list_at(folder.path()).unwrap_err().to_string();
    assert!(error.contains("not valid UTF-8; rename it"), "{error}");
}

#[cfg(unix)]
#[test]
fn links_to_files_count_and_loops_do_not_hang() {
    let folder = tree(&["train/cat/1.jpg", "train/dog/2.jpg"]);
    let cat = folder.path().join("train/cat");
    std::os::unix::fs::symlink(cat.join("1.jpg"), cat.join("link.jpg")).unwrap();
    std::os::unix::fs::symlink(&cat, cat.join("loop")).unwrap();
    let listing = list_at(folder.path()).unwrap();
    let expected = ["train/cat/1.jpg", "train/cat/link.jpg", "train/dog/2.jpg"];
    assert_eq!(names(&listing.train), expected);
}
