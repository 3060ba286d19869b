//! Whether the data of finished runs are still those that they were trained on.

use std::path::{Path, PathBuf};

use pemm_data::config::{BrokenImages, DataConfig};
use pemm_experiment::Experiment;
use pemm_experiment::grid::Cell;
use pemm_experiment::pretrained::PretrainedConfig;
use pemm_runs::{Record, RunFolder};

use crate::data::{Embedding, Hashes, Opened};
use crate::error::Result;

/// What is to be said of the `finished` runs of a grid whose samples or labels changed since; each data
/// set is looked at once, and nothing is said of those that are gone.
pub fn changed_since(finished: &[(&Cell, &Record)], embedding: &Embedding<'_>) -> Vec<String> {
    let mut held = Held::default();
    let mut changed: Vec<(&str, Vec<&str>)> = Vec::new();
    let mut unread: Vec<(&DataConfig, String, Vec<&str>)> = Vec::new();
    for (Cell { name, experiment }, record) in finished {
        let data = &experiment.data;
        if let Some((_, _, names)) = unread.iter_mut().find(|(known, _, _)| *known == data) {
            names.push(name);
            continue;
        }
        match held.is_of(record, experiment, embedding) {
            Ok(true) => {}
            Ok(false) => match changed.iter_mut().find(|(known, _)| *known == data.path) {
                Some((_, names)) => names.push(name),
                None => changed.push((&data.path, vec![name])),
            },
            Err(_) if embedding.is_cancelled() || is_gone(data) => {}
            Err(error) => unread.push((data, error.to_string(), vec![name])),
        }
    }
    let changed = changed.into_iter().map(|(path, names)| {
        format!(
            "samples or labels of {path} changed since {} trained on them; for runs on what is there now \
             choose another --out",
            runs(&names)
        )
    });
    let unread = unread.into_iter().map(|(_, error, names)| {
        format!("what {} trained on can no longer be read: {error}", runs(&names))
    });
    changed.chain(unread).collect()
}

/// So many finished runs, with the first of their names.
fn runs(names: &[&str]) -> String {
    const TOLD: usize = 3;
    let more = if names.len() > TOLD { ", …" } else { "" };
    let told = names[..names.len().min(TOLD)].join(", ");
    let [runs, were] = if names.len() == 1 { ["run", "was"] } else { ["runs", "were"] };
    format!("{} finished {runs} ({told}{more}) {were}", names.len())
}

/// Data that were opened to hold records against them.
#[derive(Default)]
pub(crate) struct Held {
    opened: Vec<(DataConfig, PretrainedConfig, Opened)>,
}

impl Held {
    /// What is to be said where the data that `experiment` names are not those that the finished run of
    /// `record` in `folder` was trained on; nothing where they are gone.
    pub(crate) fn changed(
        &mut self,
        record: &Record,
        experiment: &Experiment,
        folder: &RunFolder,
        embedding: &Embedding<'_>,
    ) -> Option<String> {
        match self.is_of(record, experiment, embedding) {
            Ok(is_same) => (!is_same).then(|| other_data(folder)),
            Err(_) if embedding.is_cancelled() || is_gone(&experiment.data) => None,
            Err(error) => {
                let folder = folder.path().display();
                Some(format!("what {folder} was trained on can no longer be read: {error}"))
            }
        }
    }

    /// Whether the data that `experiment` names are those of `record`.
    fn is_of(
        &mut self,
        record: &Record,
        experiment: &Experiment,
        embedding: &Embedding<'_>,
    ) -> Result<bool> {
        let (data, labels) = (&record.data.data_sha256, &record.noise.labels_sha256);
        let expected = Hashes { data: data.clone(), labels: labels.clone() };
        // Looking for broken images decodes all of them, so at first there are thought to be none.
        let is_whole = self.hashes(experiment, BrokenImages::Error, embedding);
        if is_whole.is_ok_and(|found| found == expected) {
            return Ok(true);
        }
        Ok(self.hashes(experiment, experiment.data.broken, embedding)? == expected)
    }

    fn hashes(
        &mut self,
        experiment: &Experiment,
        broken: BrokenImages,
        embedding: &Embedding<'_>,
    ) -> Result<Hashes> {
        let data = DataConfig { broken, memory_mib: 0, ..experiment.data.clone() };
        let pretrained = &experiment.pretrained;
        let known = self.opened.iter().find(|(d, p, _)| *d == data && p == pretrained);
        let opened = match known {
            Some((_, _, opened)) => opened.clone(),
            None => {
                let plain = Experiment { data: data.clone(), ..experiment.clone() };
                let opened = Opened::open(&plain, embedding)?;
                self.opened.push((data, pretrained.clone(), opened.clone()));
                opened
            }
        };
        opened.hashes(experiment)
    }
}

/// Whether a file or folder that `data` name is not there.
fn is_gone(data: &DataConfig) -> bool {
    let files = data.labels.iter().chain(&data.trusted).map(PathBuf::as_path);
    files.chain([Path::new(&data.path)]).any(|path| !path.exists())
}

/// That the data are not those of the run in `folder`.
pub(crate) fn other_data(folder: &RunFolder) -> String {
    format!(
        "samples or labels are not those that {} was started on; choose another --out, or bring the old \
         data back",
        folder.path().display()
    )
}
