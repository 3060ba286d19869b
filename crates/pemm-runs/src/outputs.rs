//! What a trained model says of every sample of a run, for pictures and audits.
//!
//! It is written after the last epoch, from the weights of that epoch, and read by no training. How it
//! lies in `outputs.safetensors` stands in `file.rs`.

mod file;

use pemm_data::score::first_of_highest;

use crate::bond::Bond;
use crate::record::Record;

/// What a model says of a run's samples.
#[derive(Debug, Clone, PartialEq)]
pub struct Outputs {
    /// The run that they are of; none in files of schema 1.
    pub run: Option<Bond>,
    /// The epoch of the weights, from 1.
    pub epoch: usize,
    /// The training part.
    pub train: PartOutputs,
    /// Given label of each training sample.
    pub given: Vec<u32>,
    /// Clean label of each training sample, if known.
    pub clean: Option<Vec<u32>>,
    /// The test part, if there is one.
    pub test: Option<PartOutputs>,
    /// Label of each test sample.
    pub test_labels: Vec<u32>,
    /// Class centers `[K, D]`, if the head has any.
    pub centers: Option<Vec<f32>>,
    /// The samples whose given label the model doubts most.
    pub gallery: Gallery,
}

/// What a model says of the samples of one part, in the order of the part.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PartOutputs {
    /// Number of classes K.
    pub num_classes: usize,
    /// Class probabilities, `[N, K]`.
    pub probabilities: Vec<f32>,
    /// Number of features D.
    pub num_features: usize,
    /// Features, the input of the last layer, `[N, D]`.
    pub features: Vec<f32>,
}

/// Small images of some training samples.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Gallery {
    /// Positions in the training part.
    pub samples: Vec<u32>,
    /// Stable name of each.
    pub names: Vec<String>,
    /// Height, width and channels (1 or 3) of an image; zeros where samples are no images.
    pub shape: [usize; 3],
    /// Pixels, `[M, height, width, channels]`.
    pub pixels: Vec<u8>,
}

/// A training sample whose label the model doubts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Doubt {
    /// Position in the training part.
    pub sample: u32,
    /// Its given label.
    pub given: u32,
    /// The most probable class that is not the given one.
    pub suggestion: u32,
    /// `p[suggestion] - p[given]`, -1 to 1: above 0 the model disagrees with the label.
    pub score: f32,
}

impl PartOutputs {
    /// Number of samples N.
    pub fn len(&self) -> usize {
        self.probabilities.len() / self.num_classes.max(1)
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.probabilities.is_empty()
    }

    /// The class probabilities of each sample.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.probabilities.chunks_exact(self.num_classes.max(1))
    }

    /// The most probable class of each sample; the first of equals.
    pub fn classes(&self) -> Vec<u32> {
        self.rows().map(|row| first_of_highest(row) as u32).collect()
    }

    /// Every sample with its doubt about labels `given`, the most doubted first.
    ///
    /// The score is the margin `max_{k ≠ y} p_k - p_y` of a model that was trained on these very
    /// labels. A model that memorised them doubts nothing; `pemm audit` judges out of sample.
    pub fn doubts(&self, given: &[u32]) -> Vec<Doubt> {
        let doubt = |(sample, (row, &given)): (usize, (&[f32], &u32))| {
            let others = (0..row.len()).filter(|&k| k != given as usize);
            let suggestion = others.reduce(|b, k| if row[k] > row[b] { k } else { b })?;
            let score = row[suggestion] - row[given as usize];
            Some(Doubt { sample: sample as u32, given, suggestion: suggestion as u32, score })
        };
        let mut doubts: Vec<Doubt> = self.rows().zip(given).enumerate().filter_map(doubt).collect();
        doubts.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.sample.cmp(&b.sample)));
        doubts
    }

    fn check(&self, name: &str) -> std::result::Result<(), String> {
        if self.features.len() != self.len() * self.num_features {
            return Err(format!("{name}.features: one row per row of {name}.probabilities"));
        }
        let all = self.probabilities.iter().chain(&self.features);
        match all.copied().find(|value| !value.is_finite()) {
            Some(value) => Err(format!("{name}: every value must be finite, one is {value}")),
            None => Ok(()),
        }
    }
}

impl Outputs {
    /// Whether they are of the run of `record`.
    ///
    /// # Errors
    /// What differs.
    pub fn check_run(&self, record: &Record) -> std::result::Result<(), String> {
        if let Some(bond) = &self.run {
            bond.check(record)?;
        }
        let test = self.test.as_ref().map_or(0, PartOutputs::len);
        let found = (self.train.num_classes, self.given.len(), test);
        let expected = (record.data.classes.len(), record.data.num_train, record.data.num_test);
        if found != expected {
            return Err(format!(
                "is for (classes, training, test samples) {found:?}, the record for {expected:?}"
            ));
        }
        Ok(())
    }

    /// Whether they are of the weights that the run of `record` returns, and not of earlier ones.
    pub fn are_of_the_last_weights(&self, record: &Record) -> bool {
        record.choice.last.as_ref().is_none_or(|last| last.epoch == self.epoch)
    }

    fn check(&self) -> std::result::Result<(), String> {
        self.train.check("train")?;
        let num_classes = self.train.num_classes;
        if num_classes < 2 || self.given.len() != self.train.len() {
            return Err("train.given: one label per sample, and 2 classes or more".into());
        }
        let below = |name: &str, labels: &[u32], limit: usize| match labels
            .iter()
            .find(|&&label| label as usize >= limit)
        {
            Some(label) => Err(format!("{name}: must be below {limit}, one is {label}")),
            None => Ok(()),
        };
        below("train.given", &self.given, num_classes)?;
        if let Some(clean) = &self.clean {
            below("train.clean", clean, num_classes)?;
            if clean.len() != self.train.len() {
                return Err("train.clean: one label per sample".into());
            }
        }
        if let Some(test) = &self.test {
            test.check("test")?;
            below("test.labels", &self.test_labels, num_classes)?;
            let sizes = (test.num_classes, test.num_features);
            if sizes != (num_classes, self.train.num_features)
                || test.len() != self.test_labels.len()
            {
                return Err("test: its sizes must be those of train and of test.labels".into());
            }
        }
        if let Some(centers) = &self.centers
            && (centers.len() != num_classes * self.train.num_features
                || centers.iter().any(|value| !value.is_finite()))
        {
            return Err("centers: must be finite, one row per class".into());
        }
        let Gallery { samples, names, shape: [height, width, channels], pixels } = &self.gallery;
        below("gallery.samples", samples, self.train.len())?;
        let size = [height, width, channels, &samples.len()]
            .into_iter()
            .try_fold(1usize, |product, &size| product.checked_mul(size));
        if names.len() != samples.len()
            || (!pixels.is_empty() && (size != Some(pixels.len()) || ![1, 3].contains(channels)))
        {
            return Err("gallery: one name and one image of 1 or 3 channels per sample".into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::record;

    pub(super) fn outputs() -> Outputs {
        let part = |rows: &[[f32; 2]]| PartOutputs {
            num_classes: 2,
            probabilities: rows.concat(),
            num_features: 1,
            features: rows.iter().map(|row| row[0] * 8.0).collect(),
        };
        Outputs {
            run: Some(Bond::of(&record("pemm", 1, 0.9))),
            epoch: 3,
            train: part(&[[0.75, 0.25], [0.25, 0.75], [0.5, 0.5]]),
            given: vec![1, 1, 0],
            clean: Some(vec![0, 1, 0]),
            test: Some(part(&[[1.0, 0.0]])),
            test_labels: vec![0],
            centers: Some(vec![0.5, -0.5]),
            gallery: Gallery {
                samples: vec![0],
                names: vec!["train/<b>/😀.png".into()],
                shape: [1, 2, 1],
                pixels: vec![0, 255],
            },
        }
    }

    #[test]
    fn the_most_doubted_stand_first() {
        let outputs = outputs();
        let doubts = outputs.train.doubts(&outputs.given);
        let order: Vec<_> = doubts.iter().map(|d| (d.sample, d.suggestion, d.score)).collect();
        assert_eq!(order, [(0, 0, 0.5), (2, 1, 0.0), (1, 0, -0.5)]);
    }

    #[test]
    fn those_of_another_run_or_of_other_weights_are_told() {
        let mut run = record("pemm", 1, 0.9);
        run.data.classes.truncate(2);
        (run.data.num_train, run.data.num_test) = (3, 1);
        let now = Outputs { epoch: 1, ..outputs() };
        now.check_run(&run).unwrap();
        assert!(now.are_of_the_last_weights(&run) && !outputs().are_of_the_last_weights(&run));
        let other = Outputs { run: Some(Bond::of(&record("pemm", 2, 0.9))), ..now.clone() };
        assert!(other.check_run(&run).unwrap_err().contains("another run"));
        run.data.num_test = 2;
        assert!(now.check_run(&run).unwrap_err().contains("(2, 3, 1)"));
    }
}
