//! What a classifier says of a whole part, and the scorer, which alone knows clean labels.

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData, activation};
use pemm_data::dataset::Fits;
use pemm_data::loader::{Batch as HostBatch, Loader};
use pemm_data::{Score, Sealed, Stream, Streams};
pub use pemm_experiment::objectives::Combination;
use pemm_runs::Scored;

use crate::error::Result;
use crate::model::Classifier;
use crate::objective::Batch;
use crate::rows::Rows;
use crate::tensors::argmax_rows;

/// Puts a batch on `device`.
pub(crate) fn to_device(batch: HostBatch, device: &Device) -> Batch {
    let n = batch.len();
    let shape = [n, batch.shape.channels, batch.shape.height, batch.shape.width];
    let given: Vec<i64> = batch.given.iter().map(|&label| i64::from(label)).collect();
    Batch {
        images: Tensor::from_data(TensorData::new(batch.pixels, shape), device),
        given: Tensor::<1, Int>::from_data(TensorData::new(given, [n]), device),
        weights: batch.weights.map(|w| Tensor::from_data(TensorData::new(w, [n]), device)),
        indices: batch.indices,
    }
}

/// What a classifier says of some samples.
#[derive(Debug, Clone, Default)]
pub struct Predictions {
    /// Number of classes K.
    pub num_classes: usize,
    /// Class probabilities, `[N, K]`.
    pub probabilities: Vec<f32>,
    /// Distance to each center, `[N, K]`, if the head has centers.
    pub distances: Option<Vec<f32>>,
    /// Number of features D; 0 where they were not asked for.
    pub num_features: usize,
    /// Features, the head's input, `[N, D]`; empty where they were not asked for.
    pub features: Vec<f32>,
}

impl Predictions {
    /// The most probable class of each sample.
    pub fn classes(&self) -> Vec<u32> {
        argmax_rows(&self.probabilities, self.num_classes)
    }

    /// The first sample with a value that is not finite, and what that value is.
    pub(crate) fn not_finite(&self) -> Option<(usize, &'static str)> {
        let first = |values: &[f32], size: usize, what| {
            let at = values.iter().position(|value| !value.is_finite())?;
            Some((at / size.max(1), what))
        };
        let distances = self.distances.as_deref().unwrap_or_default();
        first(&self.probabilities, self.num_classes, "a probability")
            .or_else(|| first(distances, self.num_classes, "a distance"))
            .or_else(|| first(&self.features, self.num_features, "a feature"))
    }
}

/// Scores of each of `networks` in evaluation for all samples of `loader`, in order, each `[N, K]`, and the
/// features of the first, `[N, D]`, if `with_features`.
pub(crate) fn scores_of_each(
    networks: &[Classifier],
    loader: &Loader,
    device: &Device,
    with_features: bool,
) -> Result<(Vec<Vec<f32>>, Vec<f32>)> {
    let networks: Vec<Classifier> = networks.iter().map(Classifier::valid).collect();
    let device = device.clone().without_autodiff();
    // Nothing is drawn in evaluation.
    let mut rng = Streams::new(0).open(Stream::Step);
    let mut all: Vec<Rows> = networks.iter().map(|_| Rows::default()).collect();
    let mut features = Rows::default();
    for batch in loader.in_order() {
        let images = to_device(batch?, &device).images;
        for (number, (network, scores)) in networks.iter().zip(&mut all).enumerate() {
            let output = network.forward(images.clone(), &mut rng);
            scores.add(output.scores);
            if with_features && number == 0 {
                features.add(output.features);
            }
        }
    }
    Ok((all.iter_mut().map(Rows::take).collect(), features.take()))
}

/// Runs `networks` in evaluation over all samples of `loader`, in order: probabilities are those of
/// their `combination`, distances and features those of the first. Features are kept if
/// `with_features`. `on_samples` hears how many samples each batch had.
pub fn predict(
    networks: &[Classifier],
    combination: Combination,
    loader: &Loader,
    device: &Device,
    with_features: bool,
    on_samples: &mut dyn FnMut(usize),
) -> Result<Predictions> {
    let networks: Vec<Classifier> = networks.iter().map(Classifier::valid).collect();
    let device = device.clone().without_autodiff();
    // Nothing is drawn in evaluation.
    let mut rng = Streams::new(0).open(Stream::Step);
    let mut all = Predictions::default();
    let [mut probabilities, mut features] = [Rows::default(), Rows::default()];
    let mut distances: Option<Rows> = None;
    for batch in loader.in_order() {
        let images = to_device(batch?, &device).images;
        let first = networks[0].forward(images.clone(), &mut rng);
        let peers = networks[1..].iter().map(|peer| peer.forward(images.clone(), &mut rng).scores);
        let rows = combined(first.scores.clone(), peers.collect(), combination);
        let [n, num_classes] = rows.dims();
        all.num_classes = num_classes;
        probabilities.add(rows);
        if let Some(rows) = networks[0].head.distances(first.scores) {
            distances.get_or_insert_with(Rows::default).add(rows);
        }
        if with_features {
            all.num_features = first.features.dims()[1];
            features.add(first.features);
        }
        on_samples(n);
    }
    all.probabilities = probabilities.take();
    all.distances = distances.as_mut().map(Rows::take);
    all.features = features.take();
    Ok(all)
}

/// Probabilities `[N, K]` of a network with scores `[N, K]` together with those of its `peers`.
fn combined(scores: Tensor<2>, peers: Vec<Tensor<2>>, combination: Combination) -> Tensor<2> {
    let num = (peers.len() + 1) as f64;
    if num == 1.0 {
        return activation::softmax(scores, 1);
    }
    match combination {
        Combination::First => activation::softmax(scores, 1),
        Combination::Probabilities => {
            let first = activation::softmax(scores, 1);
            peers.into_iter().fold(first, |sum, peer| sum + activation::softmax(peer, 1)) / num
        }
        Combination::Scores => {
            activation::softmax(peers.into_iter().fold(scores, |sum, peer| sum + peer) / num, 1)
        }
    }
}

/// What `networks` say of the samples of `loader`, held against their given labels.
pub fn score(
    networks: &[Classifier],
    combination: Combination,
    loader: &Loader,
    device: &Device,
) -> Result<Score> {
    let predictions = predict(networks, combination, loader, device, false, &mut |_| {})?;
    let given = &loader.part().given;
    Ok(Score::of(predictions.num_classes, given, &predictions.probabilities))
}

/// Compares a model with clean labels and the test set. The trainer hands it predictions and gets
/// counts back; nothing it answers enters the training or the choice of a model.
#[derive(Debug)]
pub struct Scorer {
    sealed: Sealed,
    given: Vec<u32>,
    test: Option<Loader>,
    combination: Combination,
}

impl Scorer {
    /// A scorer for training labels `given`, in the order of the training part; `test` is a loader
    /// of [`Sealed::test_images`]; `combination` is that of the networks.
    pub fn new(
        sealed: Sealed,
        given: Vec<u32>,
        test: Option<Loader>,
        combination: Combination,
    ) -> Self {
        Self { sealed, given, test, combination }
    }

    /// Scores the test set, if there is one.
    pub fn test(&self, networks: &[Classifier], device: &Device) -> Result<Option<Score>> {
        let Some(loader) = &self.test else { return Ok(None) };
        let predictions = predict(networks, self.combination, loader, device, false, &mut |_| {})?;
        Ok(self.sealed.score_test(&predictions.probabilities))
    }

    /// How many clean and how many flipped training samples are fitted, beside the score of the test
    /// part; `predicted` are predictions of the whole training part.
    pub fn scored(&self, test: Option<&Score>, predicted: &[u32]) -> Option<Scored> {
        let fits = self.sealed.fits(&self.given, predicted);
        if test.is_none() && fits.is_none() {
            return None;
        }
        let count = |pick: fn(&Fits) -> usize| fits.as_ref().map(pick);
        Some(Scored {
            test_accuracy: test.map(|score| score.accuracy),
            test_balanced_accuracy: test.map(|score| score.balanced_accuracy),
            clean_fitted: count(|f| f.clean_fitted),
            num_clean: count(|f| f.num_clean),
            flipped_fitted: count(|f| f.flipped_fitted),
            flipped_corrected: count(|f| f.flipped_corrected),
            num_flipped: count(|f| f.num_flipped),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensors::floats;

    /// One network is sure of class 0, the other a little less sure of class 1 and of it alone.
    #[test]
    fn scores_and_probabilities_combine_otherwise() {
        let device = Device::flex();
        let own = || Tensor::<2>::from_floats([[4.0, 0.0, 0.0]], &device);
        let peer = || Tensor::<2>::from_floats([[-9.0, 2.0, 0.0]], &device);
        let of = |combination| floats(combined(own(), vec![peer()], combination));
        let mean = of(Combination::Probabilities);
        let [first, second] = [own(), peer()].map(|scores| floats(activation::softmax(scores, 1)));
        assert!(mean.iter().zip(first.iter().zip(&second)).all(|(m, (a, b))| *m == (a + b) / 2.0));
        let added = of(Combination::Scores);
        let expected = floats(activation::softmax((own() + peer()) / 2.0, 1));
        assert_eq!(added, expected);
        assert_eq!((argmax_rows(&mean, 3), argmax_rows(&added, 3)), (vec![0], vec![1]));
        assert_eq!(floats(combined(own(), vec![], Combination::Scores)), first);
        assert_eq!(of(Combination::First), first);
    }
}
