//! Every operation on the disk fails once: the work says where, and the same command ends with the same
//! bits as one in which nothing failed.

use std::fmt::Write;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use pemm::experiment::Grid;
use pemm::folds::out_of_sample;
use pemm::train::RunOptions;
use pemm_data::disk::faults::{self, Fault};
use pemm_runs::Status;
use pemm_runs::folder::{BEST, EXPERIMENT, LAST, NOISE};
use pemm_runs::grid_lock::GridLock;

use crate::training::{bytes, experiment, run, timeless};

/// A fault that passes, and a disk that stays full.
const KINDS: [(ErrorKind, bool); 2] = [(ErrorKind::Other, false), (ErrorKind::StorageFull, true)];
const SETTINGS: [&str; 3] = ["model.backbone=mlp", "model.width=2", "schedule.batch_size=16"];

/// Forty points around two centers, a data set that is trained on in milliseconds; as a setting.
pub(crate) fn points(folder: &Path) -> String {
    let mut text = String::from("x,y,label\n");
    for index in 0..40 {
        let (side, wobble) = (index % 2, f64::from(index * 7 % 11) / 10.0);
        writeln!(text, "{},{},{side}", f64::from(side) + wobble, wobble - 0.5).unwrap();
    }
    let path = folder.join("points.csv");
    fs::write(&path, text).unwrap();
    format!("data.path={}", path.display())
}

/// Does `work` in a new folder for each of its operations, which fails, and then again; `is_whole`
/// compares what is there then with the folder of an undisturbed work. Gives the number of operations.
fn assert_survives(
    parent: &Path,
    work: &dyn Fn(&Path) -> pemm::Result<()>,
    is_whole: &dyn Fn(&Path, &Path, &str),
) -> u64 {
    let whole = parent.join("whole");
    let (done, num_steps) = faults::with(None, || work(&whole));
    done.unwrap();
    for (kind, lasts) in KINDS {
        for at in 1..=num_steps {
            let what = format!("{kind:?} at {at} of {num_steps}");
            let out = parent.join("out");
            let (failed, _) = faults::with(Some(Fault { at, lasts, kind }), || work(&out));
            let message = failed.expect_err(&what).to_string();
            assert!(message.contains(out.to_str().unwrap()), "{what} names no place: {message}");
            work(&out).unwrap_or_else(|error| panic!("{what}: cannot go on: {error}"));
            is_whole(&out, &whole, &what);
            fs::remove_dir_all(&out).unwrap();
        }
    }
    println!("{num_steps} operations, each of which failed in {} ways", KINDS.len());
    num_steps
}

/// Whether two run folders hold the same, and nothing that is not of a run.
fn assert_same(found: &Path, whole: &Path, what: &str) {
    let names = |folder: &Path| {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    assert_eq!(names(found), names(whole), "{what}");
    for name in [LAST, BEST, NOISE, EXPERIMENT] {
        assert!(bytes(found, name) == bytes(whole, name), "{what}: {name}");
    }
    assert_eq!(timeless(found), timeless(whole), "{what}");
    assert_eq!(timeless(found).status, Status::Finished, "{what}");
}

#[test]
fn a_training_in_which_any_operation_fails_goes_on_to_the_same_bits() {
    let parent = tempfile::tempdir().unwrap();
    let path = points(parent.path());
    let settings = [&SETTINGS[..], &[&path, "schedule.num_epochs=2"]].concat();
    let train = |out: &Path| run(experiment(&settings), out, None).map(|_| ());
    let num_steps = assert_survives(parent.path(), &train, &assert_same);
    assert!(num_steps > 60, "{num_steps} operations: not everything passes through the layer");
}

#[test]
fn an_audit_in_which_any_operation_fails_goes_on_to_the_same_bits() {
    let parent = tempfile::tempdir().unwrap();
    let path = points(parent.path());
    let settings = [&SETTINGS[..], &[&path, "schedule.num_epochs=1"]].concat();
    let audit = |out: &Path| {
        let options = RunOptions {
            out,
            device: "cpu",
            git: None,
            cancel: &Default::default(),
            embedding: Default::default(),
        };
        let judged = out_of_sample(&experiment(&settings), 2, &options, &mut |_, _| {})?.unwrap();
        // What an audit is made of, as bits.
        let values = judged.predictions.probabilities.iter().chain(judged.margins.iter().flatten());
        let bits: Vec<String> = values.map(|value| value.to_bits().to_string()).collect();
        fs::write(out.join("bits"), bits.join("\n")).unwrap();
        Ok(())
    };
    assert_survives(parent.path(), &audit, &|found, whole, what| {
        assert!(bytes(found, "bits") == bytes(whole, "bits"), "{what}");
        ["1", "2"].iter().for_each(|fold| assert_same(&found.join(fold), &whole.join(fold), what));
    });
}

/// The runs of a grid one after the other; the command starts a process for each.
#[test]
fn a_grid_in_which_any_operation_fails_goes_on_to_the_same_bits() {
    let parent = tempfile::tempdir().unwrap();
    let path = points(parent.path()).replacen('=', " = \"", 1);
    let text = format!(
        "[base]\n{path}\"\nmodel = {{ backbone = \"mlp\", width = 2 }}\nschedule.num_epochs = 1\n\
         [[axis]]\nkey = \"preset\"\nvalues = [\"ce\", \"pemm\"]\n"
    );
    let grid = Grid::parse("grid.toml", &text).unwrap();
    let all = |out: &Path| {
        let _lock = GridLock::take(out)?;
        grid.cells.iter().try_for_each(|cell| {
            run(cell.experiment.clone(), &out.join(&cell.name), None).map(|_| ())
        })
    };
    assert_survives(parent.path(), &all, &|found, whole, what| {
        for cell in &grid.cells {
            assert_same(&found.join(&cell.name), &whole.join(&cell.name), what);
        }
    });
}
