//! Labels that are known to be right: who may use them, and what is said of it.

use std::path::{Path, PathBuf};

use pemm::experiment::loss::TRUSTED;
use pemm::experiment::objectives::ObjectiveKind;
use pemm_data::config::{DataConfig, NoiseConfig};
use pemm_data::prepare::prepare;
use pemm_runs::Record;

use crate::training::{experiment, run};

/// A file of every tenth training digit with its right label, in `folder`.
pub(crate) fn trusted_digits(folder: &Path) -> PathBuf {
    let config = DataConfig { val_rate: 0.0, ..DataConfig::default() };
    let digits = prepare(&config, &NoiseConfig::default(), 1).unwrap();
    let row = |sample: usize| {
        let class = digits.train.given[sample] as usize;
        format!("{},{}\n", digits.train.name(sample), digits.classes[class])
    };
    let rows: String = (0..digits.train.len()).step_by(10).map(row).collect();
    let file = folder.join("right.csv");
    std::fs::write(&file, format!("index,label\n{rows}")).unwrap();
    file
}

const SHORT: [&str; 4] =
    ["preset=ce", "model.backbone=mlp", "model.width=64", "schedule.num_epochs=4"];

fn trained(out: &Path, set: &[&str]) -> Record {
    run(experiment(&[&SHORT, set].concat()), out, None).unwrap().record
}

#[test]
fn an_arm_that_uses_trusted_labels_is_tagged_and_one_beside_it_is_not() {
    let parent = tempfile::tempdir().unwrap();
    let file = format!("data.trusted={}", trusted_digits(parent.path()).display());
    let plain = trained(&parent.path().join("plain"), &[&file]);
    assert!(plain.tags.is_empty(), "it does not know which they are");
    let gold = ["objective.kind=gold", "objective.warmup_epochs=2", &file];
    let gold = trained(&parent.path().join("gold"), &gold);
    assert_eq!(gold.tags, [TRUSTED]);
    // All arms see the same labels, and the record says how many are trusted.
    assert_eq!(plain.noise.labels_sha256, gold.noise.labels_sha256);
    assert_eq!(plain.data, gold.data);
    let num_trusted = gold.data.num_trusted.unwrap();
    assert!(num_trusted > 100 && num_trusted < gold.data.num_train / 8, "{num_trusted}");
    let without = trained(&parent.path().join("without"), &[]);
    assert_eq!(without.data.num_trusted, None);
    assert_ne!(without.data.data_sha256, gold.data.data_sha256);
    let rate = |record: &Record| record.noise.realised_rate.unwrap();
    assert!(
        (rate(&without) - rate(&gold) - 0.04).abs() < 0.01,
        "{} {}",
        rate(&without),
        rate(&gold)
    );
}

#[test]
fn a_run_is_not_continued_with_other_trusted_samples() {
    let parent = tempfile::tempdir().unwrap();
    let path = trusted_digits(parent.path());
    let file = format!("data.trusted={}", path.display());
    let set = ["objective.kind=gold", "objective.warmup_epochs=2", &file];
    let out = parent.path().join("run");
    let set = [&SHORT[..], &set].concat();
    run(experiment(&set), &out, Some((3, 2))).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let fewer: Vec<&str> = text.lines().take(40).collect();
    std::fs::write(&path, fewer.join("\n")).unwrap();
    let error = run(experiment(&set), &out, None).unwrap_err().to_string();
    assert!(error.contains("samples or labels are not those"), "{error}");
    std::fs::write(&path, text).unwrap();
    run(experiment(&set), &out, None).unwrap();
}

#[test]
fn an_objective_that_needs_them_is_refused_without_before_there_is_a_folder() {
    let parent = tempfile::tempdir().unwrap();
    let out = parent.path().join("run");
    let digits = trusted_digits(parent.path());
    let text = std::fs::read_to_string(&digits).unwrap();
    let one = parent.path().join("one.csv");
    let kinds = ObjectiveKind::ALL.iter().filter(|kind| kind.uses_trusted());
    for kind in kinds {
        let name = format!("objective.kind={}", kind.name());
        let refused = |set: &[&str]| {
            let epochs = ["schedule.num_epochs=20"];
            let set = [&SHORT[..], &[name.as_str()], set, &epochs].concat();
            run(experiment(&set), &out, None).unwrap_err().to_string()
        };
        let error = refused(&[]);
        assert!(error.contains(kind.name()) && error.contains("--trusted CSV"), "{error}");
        // The one trusted sample is held out in the first half of the folds that there are.
        std::fs::write(&one, text.lines().take(2).collect::<Vec<_>>().join("\n")).unwrap();
        let file = format!("data.trusted={}", one.display());
        let folds = [1, 2].map(|fold| format!("data.fold=[{fold}, 2]"));
        let errors = folds.iter().filter_map(|fold| {
            let set =
                [&SHORT[..], &[name.as_str(), &file, fold, "schedule.num_epochs=11"]].concat();
            let ready = pemm::data::RunData::open(&experiment(&set), &Default::default()).unwrap();
            pemm::ready::Ready::of(&experiment(&set), ready, "cpu").err()
        });
        let (held_out, others): (Vec<String>, Vec<String>) = errors
            .map(|error| error.to_string())
            .partition(|error| error.contains("name more, or hold out less"));
        assert_eq!(held_out.len(), 1, "{others:?}");
        // One that needs a wrong label too does not find it in one sample that was right before.
        let needs_wrong =
            [ObjectiveKind::Graphical, ObjectiveKind::Crf, ObjectiveKind::MentorNetDd]
                .contains(kind);
        assert_eq!(others.len(), usize::from(needs_wrong), "{others:?}");
        assert!(others.iter().all(|error| error.contains("no trusted sample had a wrong label")));
        assert!(!out.exists());
    }
}
