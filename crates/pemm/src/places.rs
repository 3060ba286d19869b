//! Where the files of a run are now.
//!
//! A run is known by what its data hold. Their paths are how to find them: those that it was begun
//! with, those that somebody names because the files were moved, or, for paths that are relative, the
//! same below a folder that holds the run folder.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use pemm_data::source::{self, Kind};
use pemm_experiment::Experiment;
use pemm_experiment::identity::{Difference, differences, flatten};
use pemm_experiment::same::is_same_place;

use crate::error::{Error, Result};

/// Where files are that a run was begun on; nothing where they are where they were.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// Of `data.path`.
    pub data: Option<String>,
    /// Of `data.labels`.
    pub labels: Option<PathBuf>,
    /// Of `data.trusted`.
    pub trusted: Option<PathBuf>,
    /// Of `pretrained.backbone`.
    pub backbone: Option<String>,
}

impl Places {
    /// Those that `experiment` names.
    pub fn of(experiment: &Experiment) -> Self {
        let Experiment { data, pretrained, .. } = experiment;
        Self {
            data: Some(data.path.clone()),
            labels: data.labels.clone(),
            trusted: data.trusted.clone(),
            backbone: pretrained.backbone.clone(),
        }
    }

    /// `experiment`, that of the run in `folder`, with its files where they may be, the likeliest first,
    /// and what that changes. A relative path may be meant from here, or from a folder that the run
    /// folder lies in.
    ///
    /// # Errors
    /// Data that are nowhere; a labels file or backbone for a run that has none.
    pub(crate) fn candidates(
        &self,
        experiment: &Experiment,
        folder: &Path,
    ) -> Result<Vec<(Experiment, Vec<Difference>)>> {
        let here = PathBuf::new();
        let path = Path::new(&experiment.data.path);
        let mut bases = vec![here];
        if self.data.is_none() && !is_word(&experiment.data.path) {
            let above = folder.canonicalize().unwrap_or_default();
            if path.is_relative() {
                bases.extend(above.ancestors().skip(1).map(Path::to_path_buf));
            }
            // One place that is reached on two ways is one.
            let mut seen = BTreeSet::new();
            bases.retain(|base| {
                base.join(path).canonicalize().is_ok_and(|place| seen.insert(place))
            });
        }
        if bases.is_empty() {
            let reason = format!(
                "there is nothing at {path:?}, where the run was begun on them; say where the data are \
                 now with --data"
            );
            return Err(Error::setting("data.path", reason));
        }
        bases.iter().map(|base| self.from(experiment, base, folder)).collect()
    }

    /// `experiment` with relative paths from `base` on.
    fn from(
        &self,
        experiment: &Experiment,
        base: &Path,
        folder: &Path,
    ) -> Result<(Experiment, Vec<Difference>)> {
        let find = |key: &str, path: Option<PathBuf>, given: Option<PathBuf>| match (path, given) {
            (None, None) => Ok(None),
            (None, Some(given)) => {
                let reason = format!("the run has none, so {} cannot be it", given.display());
                Err(Error::setting(key, reason))
            }
            (Some(path), Some(given)) => {
                let is_same = is_same_place(&path.to_string_lossy(), &given.to_string_lossy());
                Ok(Some(if is_same { path } else { given }))
            }
            (Some(path), None) => Ok(Some(found(path, base, folder))),
        };
        let mut moved = experiment.clone();
        let text = |path: Option<PathBuf>| path.map(|path| path.display().to_string());
        let data = &mut moved.data;
        if self.data.is_some() || !is_word(&data.path) {
            let path = find("data.path", Some(data.path.clone().into()), path_of(&self.data))?;
            data.path = text(path).unwrap_or_default();
        }
        data.labels = find("data.labels", data.labels.take(), self.labels.clone())?;
        data.trusted = find("data.trusted", data.trusted.take(), self.trusted.clone())?;
        moved.noise.matrix = find("noise.matrix", moved.noise.matrix.take(), None)?;
        let backbone = &mut moved.pretrained.backbone;
        let file = find("pretrained.backbone", path_of(backbone), path_of(&self.backbone))?;
        *backbone = text(file);
        let changes = differences(&flatten(&experiment.value()), &flatten(&moved.value()));
        Ok((moved, changes))
    }
}

/// Whether the text names data that are compiled in.
fn is_word(path: &str) -> bool {
    matches!(source::detect(path), Ok(Kind::Digits))
}

fn path_of(text: &Option<String>) -> Option<PathBuf> {
    text.as_ref().map(PathBuf::from)
}

/// A relative `path` from `base` on, or else from here, or else from a folder that `folder` lies in; as it
/// is where it is in none of them.
fn found(path: PathBuf, base: &Path, folder: &Path) -> PathBuf {
    if base.join(&path).exists() {
        return base.join(path);
    }
    let above = folder.canonicalize().unwrap_or_default();
    let mut places = above.ancestors().skip(1).map(|above| above.join(&path));
    let place = if path.exists() { None } else { places.find(|place| place.exists()) };
    place.unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_where_they_are_named_and_above_the_run() {
        let root = tempfile::tempdir().unwrap();
        let run = root.path().join("work/runs/a");
        std::fs::create_dir_all(&run).unwrap();
        std::fs::create_dir(root.path().join("work/flowers-here")).unwrap();
        std::fs::write(root.path().join("labels-here.csv"), "").unwrap();
        let mut experiment = Experiment::default();
        experiment.data.path = "flowers-here".into();
        experiment.data.labels = Some("labels-here.csv".into());
        let candidates = |places: &Places, experiment: &Experiment| {
            places.candidates(experiment, &run).map_err(|error| error.to_string())
        };
        let all = candidates(&Places::default(), &experiment).unwrap();
        let [(found, changed)] = &all[..] else { panic!("{all:?}") };
        assert!(found.data.path.ends_with("work/flowers-here"), "{:?}", found.data);
        assert!(found.data.labels.as_ref().unwrap().ends_with("labels-here.csv"));
        let keys: Vec<_> = changed.iter().map(|change| change.key.as_str()).collect();
        assert_eq!(keys, ["data.labels", "data.path"]);

        // From here it is somewhere else than from the folder in which the run began.
        experiment.data.path = ".".into();
        let all = candidates(&Places::default(), &experiment).unwrap();
        assert!(all.len() > 2 && all[0].0.data.path == ".", "{all:?}");
        assert!(all.iter().any(|(found, _)| found.data.path.ends_with("work/.")), "{all:?}");

        let named = Places { data: Some("elsewhere".into()), ..Places::default() };
        let all = candidates(&named, &experiment).unwrap();
        assert_eq!((all.len(), all[0].0.data.path.as_str()), (1, "elsewhere"));
        assert!(candidates(&Places::of(&experiment), &experiment).unwrap()[0].1.is_empty());

        experiment.data.path = "flowers-nowhere".into();
        let error = candidates(&Places::default(), &experiment).unwrap_err();
        assert!(error.contains("\"flowers-nowhere\"") && error.contains("--data"), "{error}");
        let digits = Experiment::default();
        std::fs::create_dir(root.path().join("digits")).unwrap();
        let all = candidates(&Places::default(), &digits).unwrap();
        assert!(all.len() == 1 && all[0].1.is_empty(), "it is a word");
        let backbone = Places { backbone: Some("b.onnx".into()), ..Places::default() };
        let error = candidates(&backbone, &digits).unwrap_err();
        assert!(error.contains("pretrained.backbone: the run has none"), "{error}");
    }
}
