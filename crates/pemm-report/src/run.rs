//! The report on one run.

pub(crate) mod by_class;
mod centers;
pub(crate) mod curves;
mod features;
mod gallery;
mod outcome;

use std::path::{Path, PathBuf};

use pemm_data::noise::NoiseManifest;
use pemm_runs::folder::{NOISE, OUTPUTS};
use pemm_runs::time::duration;
use pemm_runs::{Chosen, Outputs, Record, RunFolder, Status};

use crate::chart::Data;
use crate::error::Result;
use crate::report::{Report, Section, Table, Tile, percent};

/// What a run left on disk, as far as a report needs it.
#[derive(Debug, Clone)]
pub struct Stored {
    /// Where it lies.
    pub path: PathBuf,
    /// What it was and what came out of it.
    pub record: Record,
    /// Its noise, as far as it is known.
    pub noise: Option<NoiseManifest>,
    /// What the trained model says of every sample, if that was stored.
    pub outputs: Option<Outputs>,
    /// Files that are there and could not be used, and why.
    pub problems: Vec<String>,
}

/// What is drawn, and who hears of it.
pub struct Options<'a> {
    /// Samples in a map of the features; 0 draws none.
    pub num_points: usize,
    /// Hears how many rounds of a map are done, and of how many.
    pub on_round: &'a mut (dyn FnMut(usize, usize) + Send),
}

impl std::fmt::Debug for Options<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Options").field("num_points", &self.num_points).finish()
    }
}

impl Stored {
    /// Reads a run folder, or a record file. Outputs that cannot be used become a problem, not an
    /// error: the rest is worth showing.
    ///
    /// # Errors
    /// No run, or a record that cannot be read.
    pub fn read(path: &Path) -> Result<Self> {
        let mut stored = Self {
            path: path.to_path_buf(),
            record: if path.is_file() {
                Record::read(path)?
            } else {
                RunFolder::open(path)?.read_record()?
            },
            noise: None,
            outputs: None,
            problems: Vec::new(),
        };
        if path.is_file() {
            return Ok(stored);
        }
        let folder = RunFolder::open(path)?;
        if folder.has(NOISE) {
            match folder.read_noise() {
                Ok(noise) if noise.labels_sha256 == stored.record.noise.labels_sha256 => {
                    stored.noise = Some(noise);
                }
                Ok(_) => stored.problems.push(format!(
                    "{NOISE}: is of other labels than those of the record, so it is of another run; \
                     bring this run's own file back"
                )),
                Err(error) => stored.problems.push(error.to_string()),
            }
        }
        if folder.has(OUTPUTS) {
            match Outputs::read(&folder.file(OUTPUTS)) {
                Ok(outputs) => match outputs.check_run(&stored.record) {
                    Ok(()) => stored.outputs = Some(outputs),
                    Err(reason) => stored.problems.push(format!(
                        "{OUTPUTS}: {reason}; write it again with `pemm report RUN --outputs`"
                    )),
                },
                Err(error) => stored.problems.push(error.to_string()),
            }
        }
        Ok(stored)
    }
}

/// The report on `run`.
pub fn report(run: &Stored, options: &mut Options<'_>) -> Report {
    let Stored { record, noise, outputs, problems, .. } = run;
    let outputs = outputs.as_ref();
    // First what everybody asks, then, folded, what explains it.
    let mut sections = vec![by_class::by_class(record)];
    if let Some(outputs) = outputs {
        sections.push(gallery::gallery(record, outputs));
    }
    sections.extend([curves::learning(record), curves::memorisation(record)]);
    if let Some(outputs) = outputs {
        sections.push(outcome::outcome(record, outputs).folded());
    }
    if let Some(outputs) = outputs.filter(|_| options.num_points > 0) {
        let (num_points, on_round) = (options.num_points, &mut *options.on_round);
        sections.push(features::features(record, outputs, num_points, on_round).folded());
    }
    sections.push(centers::centers(record, outputs).folded());
    sections.push(outcome::noise_matrices(record, noise.as_ref(), outputs).folded());
    sections.push(curves::confidence(record).folded());
    sections.push(curves::objective(record));
    sections.push(made_of(record).folded());
    sections.retain(|section| !section.is_empty());
    Report {
        title: format!("{} on {}", record.arm, record.data.name),
        verdict: by_class::verdict(record, outputs),
        lead: lead(record),
        notices: notices(record, outputs, problems),
        tiles: tiles(record),
        sections,
        num_colors: record.data.classes.len(),
    }
}

fn lead(record: &Record) -> String {
    let data = &record.data;
    let noise = &record.noise;
    let rate = noise.realised_rate.map_or("an unknown share".to_owned(), percent);
    let convention = match noise.convention.as_str() {
        "none" | "given" => "labels as given".to_owned(),
        drawn => format!("{drawn} noise"),
    };
    format!(
        "{} classes, {} training, {} validation and {} test samples; {convention}, {rate} of the \
         labels are wrong.",
        data.classes.len(),
        data.num_train,
        data.num_val,
        data.num_test
    )
}

fn notices(record: &Record, outputs: Option<&Outputs>, problems: &[String]) -> Vec<String> {
    let num_epochs = record.epochs.len();
    let mut notices = match &record.status {
        Status::Finished => Vec::new(),
        Status::Running => {
            vec![format!("The run is under way, or was killed, after {num_epochs} epochs.")]
        }
        Status::Interrupted => vec![format!(
            "The run was interrupted after {num_epochs} epochs; the same command continues it."
        )],
        Status::Failed { step, term, message } => {
            vec![format!("The run failed at step {step}, in the term {term}: {message}")]
        }
    };
    notices.extend(problems.iter().cloned());
    // The weights that are used may be those of an epoch before the last.
    let returned = record.chosen().map_or(num_epochs, |chosen| chosen.epoch);
    match outputs {
        Some(outputs) if outputs.epoch != returned => notices.push(format!(
            "The stored outputs are those after epoch {}, not {returned}.",
            outputs.epoch
        )),
        None if record.status == Status::Finished && problems.is_empty() => notices.push(
            "The run stored no outputs, so features, confusion matrix and doubted samples are \
             missing; `pemm report RUN --outputs` adds them from its weights and data."
                .into(),
        ),
        _ => {}
    }
    notices
}

fn tiles(record: &Record) -> Vec<Tile> {
    let mut tiles = Vec::new();
    let mut accuracy = |label: &str, chosen: &Option<Chosen>, note: &str, is_oracle: bool| {
        if let Some(chosen) = chosen
            && let Some(test) = chosen.test_accuracy
        {
            tiles.push(Tile {
                label: label.into(),
                value: percent(test),
                note: format!("epoch {}{note}", chosen.epoch),
                is_oracle,
            });
        }
    };
    let choice = &record.choice;
    accuracy("Test accuracy, last epoch", &choice.last, "", false);
    accuracy("Test accuracy, best by noisy validation", &choice.best_by_noisy_val, "", false);
    let note = ", chosen by the test set itself: not a valid result";
    accuracy("Oracle: best test accuracy", &choice.oracle_best_on_test, note, true);
    tiles.extend(by_class::tiles(record));
    let scored = record.epochs.iter().rev().find_map(|epoch| epoch.scored);
    if let Some(scored) = scored
        && let (Some(fitted), Some(corrected), Some(flipped)) =
            (scored.flipped_fitted, scored.flipped_corrected, scored.num_flipped)
        && flipped > 0
    {
        let share = |count: usize| percent(count as f64 / flipped as f64);
        tiles.push(Tile {
            label: "Wrong labels learned".into(),
            value: share(fitted),
            note: format!("for {} the model predicts the true class", share(corrected)),
            is_oracle: false,
        });
    }
    tiles.push(Tile {
        label: "Time".into(),
        value: duration(record.total_seconds),
        note: format!("{} epochs", record.epochs.len()),
        is_oracle: false,
    });
    tiles
}

/// Data, model, machine, and every setting.
fn made_of(record: &Record) -> Section {
    let mut section = Section::new("settings", "How it was run");
    let environment = &record.environment;
    let mut about = Data::new(["what", "value"]);
    let commit = environment.git_commit.as_ref().map(|commit| {
        let dirty = environment.git_dirty == Some(true);
        format!("{commit}{}", if dirty { " with uncommitted changes" } else { "" })
    });
    let mut fact = |what: &str, value: String| about.row([what.to_owned(), value]);
    fact("samples", {
        let [channels, height, width] = record.data.shape;
        format!("{channels}×{height}×{width}")
    });
    let (parameters, features) = (record.model.num_parameters, record.model.num_features);
    fact("parameters", parameters.to_string());
    fact("features", features.to_string());
    fact("labels, SHA-256", record.noise.labels_sha256.clone());
    fact("data, SHA-256", record.data.data_sha256.clone());
    fact("pemm", environment.pemm_version.clone());
    fact("commit", commit.unwrap_or("unknown".into()));
    fact(
        "machine",
        format!("{}, {}", environment.os, environment.cpu_model.clone().unwrap_or_default()),
    );
    fact("device, threads", format!("{}, {}", environment.device, environment.num_threads));
    fact("started", environment.started_at.clone());
    if let Some(last) = record.epochs.last() {
        fact("training images per second, last epoch", format!("{:.0}", last.images_per_sec));
    }
    section.tables.push(Table {
        name: "about".into(),
        caption: "Data, model, machine".into(),
        data: about,
    });
    let mut settings = Data::new(["key", "value"]);
    for (key, value) in pemm_experiment::identity::flatten(&record.experiment) {
        let text = match value.as_str() {
            Some(text) => text.to_owned(),
            None if value.is_null() => "–".into(),
            None => value.to_string(),
        };
        settings.row([key, text]);
    }
    let caption = "The experiment with every default filled in".into();
    section.tables.push(Table { name: "experiment".into(), caption, data: settings });
    section
}

#[cfg(test)]
mod tests {
    use super::*;
    use pemm_runs::Bond;

    use crate::testing::{outputs, record, stored};

    fn made(run: &Stored) -> Report {
        let mut on_round = |_, _| {};
        report(run, &mut Options { num_points: 100, on_round: &mut on_round })
    }

    fn names(report: &Report) -> Vec<&str> {
        report.figures().map(|figure| figure.name.as_str()).collect()
    }

    #[test]
    fn a_run_that_stored_everything_shows_everything() {
        let report = made(&stored(3));
        for name in [
            "accuracy",
            "objective",
            "term--energy-",
            "learning-rate",
            "memorisation",
            "entropy",
            "largest-softmax",
            "tsne-train-given",
            "tsne-train-clean",
            "tsne-test",
            "center-distances",
            "center-sum",
            "center-energy",
            "center-matrix",
            "center-plane",
            "confusion",
            "per-class",
            "reliability",
            "noise-drawn",
            "noise-implied",
        ] {
            assert!(names(&report).contains(&name), "{name} in {:?}", names(&report));
        }
        let mut files: Vec<&str> = names(&report);
        files.extend(report.tables().map(|table| table.name.as_str()));
        files.sort_unstable();
        let num = files.len();
        files.dedup();
        assert_eq!(files.len(), num, "two files of one name");
        let doubts = report.sections.iter().find(|section| section.id == "doubts").unwrap();
        let first = &doubts.samples[0];
        assert_eq!((first.given.as_str(), first.suggestion.as_str()), ("do\"g", "<i>cat</i>"));
        assert!(first.image.as_ref().unwrap().starts_with(b"\x89PNG"));
    }

    #[test]
    fn the_oracle_is_named_so() {
        let report = made(&stored(3));
        let oracles: Vec<_> = report.tiles.iter().filter(|tile| tile.is_oracle).collect();
        assert_eq!(oracles.len(), 1);
        assert!(
            oracles[0].label.starts_with("Oracle")
                && oracles[0].note.contains("not a valid result")
        );
    }

    #[test]
    fn empty_one_epoch_failed_and_bare_runs_make_a_page() {
        let mut run = stored(0);
        run.outputs = None;
        run.record.status = Status::Running;
        let report = made(&run);
        assert!(report.sections[0].text[0].contains("No epoch is finished"));
        assert!(report.html().ends_with("</html>"));
        run = stored(1);
        assert!(made(&run).html().contains("epoch 3, not 1"));
        let message = "the term `energy` is NaN".to_owned();
        run.record.status = Status::Failed { step: 7, term: "energy".into(), message };
        let mut epochs = run.record.epochs.clone();
        epochs[0].loss = f64::NAN;
        epochs[0].terms.insert("loss".into(), f64::INFINITY);
        run.record.set_epochs(epochs);
        let page = made(&run).html();
        assert!(page.contains("The run failed at step 7"));
        assert!(!page.contains("\"NaN") && !page.contains("\"inf"));
    }

    #[test]
    fn a_hundred_classes_and_two_hundred_epochs_stay_small() {
        let (num_classes, num_samples) = (100, 5_000);
        let mut run = stored(200);
        run.record.data.classes = (0..num_classes).map(|k| format!("class <{k}>")).collect();
        let hashed = |i: usize| (i.wrapping_mul(2_654_435_761) >> 7) % 1000;
        let part = pemm_runs::outputs::PartOutputs {
            num_classes,
            probabilities: (0..num_samples * num_classes).map(|i| hashed(i) as f32 / 5e4).collect(),
            num_features: 4,
            features: (0..num_samples * 4).map(|i| hashed(i) as f32).collect(),
        };
        let labels: Vec<u32> = (0..num_samples).map(|i| (i % num_classes) as u32).collect();
        let outputs = run.outputs.as_mut().unwrap();
        outputs.centers = Some((0..400).map(|i| hashed(i) as f32).collect());
        outputs.given = labels.clone();
        outputs.clean = Some(labels.clone());
        outputs.test_labels = labels;
        outputs.test = Some(part.clone());
        outputs.train = part;
        let mut on_round = |_, _| {};
        let mut options = Options { num_points: 600, on_round: &mut on_round };
        let page = report(&run, &mut options).html();
        assert!(page.len() < 2_500_000, "{}", page.len());
        assert!(!page.contains("<99>") && page.contains("&lt;99&gt;"));
    }

    #[test]
    fn outputs_of_another_run_and_broken_ones_are_told_and_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        std::fs::write(path.join("experiment.toml"), "").unwrap();
        record("pemm", 3).write(&path.join("record.json")).unwrap();
        assert_eq!(Stored::read(path).unwrap().problems, [""; 0]);
        let mut other = outputs();
        other.given.pop();
        other.clean = None;
        other.train.probabilities.truncate(15);
        other.train.features.truncate(20);
        other.write(&path.join(OUTPUTS)).unwrap();
        let read = Stored::read(path).unwrap();
        assert!(read.outputs.is_none() && read.problems[0].contains("--outputs"));
        std::fs::write(path.join(OUTPUTS), "no such thing").unwrap();
        let read = Stored::read(path).unwrap();
        assert!(read.outputs.is_none() && read.problems.len() == 1);
        assert!(made(&read).notices.iter().any(|notice| notice.contains(OUTPUTS)));
        let of_run = |seed: u64| {
            let mut record = record("pemm", 3);
            record.identity = format!("{seed:064}");
            Outputs { run: Some(Bond::of(&record)), ..outputs() }
        };
        of_run(2).write(&path.join(OUTPUTS)).unwrap();
        let read = Stored::read(path).unwrap();
        assert!(read.outputs.is_none() && read.problems[0].contains("another run"));
        outputs().write(&path.join(OUTPUTS)).unwrap();
        assert!(Stored::read(path).unwrap().outputs.is_some());
        let other = NoiseManifest::given(&[0, 1], None, 2);
        std::fs::write(path.join(NOISE), serde_json::to_vec(&other).unwrap()).unwrap();
        let read = Stored::read(path).unwrap();
        assert!(read.noise.is_none() && read.problems[0].contains("other labels"));
        let file = Stored::read(&path.join("record.json")).unwrap();
        assert!(file.outputs.is_none() && made(&file).html().ends_with("</html>"));
    }
}
