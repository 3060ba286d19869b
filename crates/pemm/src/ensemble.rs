//! Trained runs that predict together.
//!
//! Together they say of class k
//!
//! ```text
//! p(k | x) ∝ Π_m max(p_m(k | x), ε)^(1 / M),    ε = 1e-6
//! ```
//!
//! the geometric mean of what the M members say: a class that one of them holds for impossible is none, and
//! who is unsure hardly counts. The floor keeps one overconfident member from forbidding a class for good.

use std::path::Path;

use burn::tensor::Device;
use pemm_data::prepare::Prepared;
use pemm_data::{Part, Score};
use pemm_embed::Backbone;
use pemm_runs::folder::EXPERIMENT;
use pemm_runs::{EnsembleMember, EnsembleRecord, Record, RunError, RunFolder, Status};

use crate::data::Embedding;
use crate::error::{Error, Result};
use crate::evaluate::Predictions;
use crate::finished::{ModelCard, Reopened, Trained, Weights, reopen};
use crate::places::Places;

/// No member's probability counts as less.
pub const FLOOR: f32 = 1e-6;

/// The trained classifiers of one run, or of several that predict together.
#[derive(Debug)]
pub struct Ensemble {
    /// At least one, all of the same classes, sample size and pretrained backbone.
    members: Vec<Member>,
}

/// One of them.
#[derive(Debug)]
pub struct Member {
    /// Its run.
    pub folder: RunFolder,
    /// What the run was, if that can be read.
    pub record: Option<Record>,
    /// Its classifier.
    pub trained: Trained,
}

impl Member {
    /// As files name it.
    pub(crate) fn named(&self) -> EnsembleMember {
        let name = self.folder.path().file_name().unwrap_or_default();
        let identity = self.record.as_ref().map(|record| record.identity.clone());
        EnsembleMember {
            run: name.to_string_lossy().into_owned(),
            identity: identity.unwrap_or_default(),
            epoch: self.trained.card.epoch,
        }
    }
}

impl Ensemble {
    /// Reads `weights` of the run in `path`, or of each of the runs in it that predict together.
    ///
    /// # Errors
    /// Those of [`Trained::open`]; runs that are not finished, or not those that were to predict together.
    pub fn open(path: &Path, weights: Weights, device: &Device) -> Result<Self> {
        match EnsembleRecord::read(path)? {
            Some(record) => Self::of(path, &record.members, weights, device),
            None => {
                if let (false, Some(name)) = (path.join(EXPERIMENT).exists(), a_run_in(path)) {
                    let reason = format!(
                        "it holds runs that do not predict together yet: run the same `pemm train` \
                         again, with the same --out, or name one of them, as {}",
                        path.join(name).display()
                    );
                    return Err(RunError::NoRun { path: path.to_path_buf(), reason }.into());
                }
                let folder = RunFolder::open(path)?;
                let trained = Trained::open(&folder, weights, device)?;
                let record = folder.read_record().ok();
                Ok(Self { members: vec![Member { folder, record, trained }] })
            }
        }
    }

    /// That of `members`, whose folders are in `path`.
    pub(crate) fn of(
        path: &Path,
        members: &[EnsembleMember],
        weights: Weights,
        device: &Device,
    ) -> Result<Self> {
        let mut opened: Vec<Member> = Vec::new();
        for member in members {
            let place = path.join(&member.run);
            let refuse = |reason: &str| {
                let file = place.display().to_string();
                let reason =
                    format!("{reason}; run the same `pemm train` again, with the same --out");
                Err(Error::Weights { file, reason })
            };
            if !place.join(EXPERIMENT).is_file() {
                return refuse("this run of the ensemble is not there");
            }
            let folder = RunFolder::open(&place)?;
            let record = folder.read_record()?;
            if record.status != Status::Finished {
                return refuse("this run of the ensemble is not finished");
            }
            if record.identity != member.identity {
                return refuse("this is not the run that was to be part of the ensemble");
            }
            let trained = Trained::open(&folder, weights, device)?;
            if let Some(Member { trained: first, record: Some(of_first), .. }) = opened.first() {
                let is_alike = first.card.classes == trained.card.classes
                    && first.card.shape == trained.card.shape
                    && first.card.pretrained == trained.card.pretrained
                    && of_first.noise.labels_sha256 == record.noise.labels_sha256
                    && of_first.data.data_sha256 == record.data.data_sha256;
                if !is_alike {
                    return refuse(
                        "this run was trained on other data than the first of the ensemble",
                    );
                }
            }
            opened.push(Member { folder, record: Some(record), trained });
        }
        Ok(Self { members: opened })
    }

    /// The runs, in their order.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The runs, to keep.
    pub fn into_members(self) -> Vec<Member> {
        self.members
    }

    /// What every member needs alike: classes, size of a sample, pretrained backbone.
    pub fn card(&self) -> &ModelCard {
        &self.members[0].trained.card
    }

    /// The pretrained backbone, as [`Trained::backbone`].
    ///
    /// # Errors
    /// Those of [`Trained::backbone`].
    pub fn backbone(&self, file: Option<&Path>) -> Result<Option<Backbone>> {
        self.members[0].trained.backbone(&self.members[0].folder, file)
    }

    /// What one run says of all samples of `part`, or the probabilities of several together, without
    /// features and distances; `on_samples` hears how many samples are
    /// done.
    ///
    /// # Errors
    /// Those of [`Trained::predict`].
    pub fn predict(&self, part: Part, on_samples: &mut dyn FnMut(usize)) -> Result<Predictions> {
        let (first, others) = self.members.split_first().expect("there is at least one");
        if others.is_empty() {
            return first.trained.predict(part, on_samples);
        }
        // A sample counts once, when all have seen as many.
        let (mut seen, mut told) = (0, 0);
        let mut count = |num: usize| {
            seen += num;
            on_samples(seen / self.members.len() - told);
            told = seen / self.members.len();
        };
        let mut said = first.trained.predict(part.clone(), &mut count)?;
        let mut all = vec![std::mem::take(&mut said.probabilities)];
        for other in others {
            all.push(other.trained.predict(part.clone(), &mut count)?.probabilities);
        }
        let probabilities = geometric_mean(&all, said.num_classes);
        Ok(Predictions { num_classes: said.num_classes, probabilities, ..Predictions::default() })
    }

    /// What they are worth on the parts that none of them was trained on: agreement with the given labels of
    /// the validation part, and the score of the test part, as far as there are any.
    pub(crate) fn held_out_scores(
        &self,
        prepared: &Prepared,
        on_samples: &mut dyn FnMut(usize),
    ) -> Result<(Option<Score>, Option<Score>)> {
        let mut val_score = None;
        if let Some(val) = &prepared.val {
            let said = self.predict(val.clone(), on_samples)?;
            val_score = Some(Score::of(said.num_classes, &val.given, &said.probabilities));
        }
        let mut test_score = None;
        if let Some(test) = prepared.sealed.test_images() {
            let said = self.predict(test, on_samples)?;
            test_score = prepared.sealed.score_test(&said.probabilities);
        }
        Ok((val_score, test_score))
    }

    /// The first run with its data at hand; the others have the same.
    pub(crate) fn reopen(
        &self,
        weights: Weights,
        places: &Places,
        device: &Device,
        embedding: &Embedding<'_>,
    ) -> Result<Reopened> {
        reopen(self.members[0].folder.path(), weights, places, device, embedding)
    }
}

/// The name of a run folder in `path`, the first by name.
fn a_run_in(path: &Path) -> Option<std::ffi::OsString> {
    let inside = std::fs::read_dir(path).ok()?.flatten();
    inside.filter(|entry| entry.path().join(EXPERIMENT).is_file()).map(|e| e.file_name()).min()
}

/// The geometric mean of probabilities `[N, K]` of several, scaled to sum to 1 over K classes.
fn geometric_mean(all: &[Vec<f32>], num_classes: usize) -> Vec<f32> {
    let share = 1.0 / all.len() as f64;
    let mut mean = vec![0.0f32; all[0].len()];
    for (row, mean) in mean.chunks_exact_mut(num_classes.max(1)).enumerate() {
        let first = row * num_classes;
        let of = |class: usize| {
            let logs = all.iter().map(|of| f64::from(of[first + class].max(FLOOR)).ln());
            (logs.sum::<f64>() * share).exp()
        };
        let sum: f64 = (0..num_classes).map(of).sum();
        mean.iter_mut().enumerate().for_each(|(class, mean)| *mean = (of(class) / sum) as f32);
    }
    mean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_is_geometric_and_sums_to_one() {
        let [first, second] =
            [vec![0.9f32, 0.1, 0.0, 0.5, 0.25, 0.25], vec![0.4, 0.4, 0.2, 0.2, 0.2, 0.6]];
        let mean = geometric_mean(&[first.clone(), second], 3);
        let [a, b, c] = [(0.9f64 * 0.4).sqrt(), (0.1f64 * 0.4).sqrt(), (1e-6f64 * 0.2).sqrt()];
        for (mean, expected) in mean.iter().zip([a, b, c].map(|value| value / (a + b + c))) {
            assert!((f64::from(*mean) - expected).abs() < 1e-7, "{mean} {expected}");
        }
        assert!(mean.chunks(3).all(|row| (row.iter().sum::<f32>() - 1.0).abs() < 1e-6));
        let same = geometric_mean(&[first.clone(), first.clone()], 3);
        assert!(same.iter().zip(&first).all(|(mean, own)| (mean - own).abs() < 2e-6));
    }
}
