//! What a finished run is worth on each part of its data, and what several are that predict together.

use std::path::Path;

use burn::tensor::Device;
use pemm_data::Score;
use pemm_data::noise::Transition;
use pemm_data::prepare::Prepared;
use pemm_runs::{EnsembleMember, PartScores, Record};
use serde::Serialize;

use crate::data::Embedding;
use crate::ensemble::{Ensemble, Member};
use crate::error::Result;
use crate::finished::Weights;
use crate::places::Places;

/// What `pemm evaluate` says.
#[derive(Debug, Clone, Serialize)]
pub struct Evaluation {
    /// Epoch after which the weights were taken, of one run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epoch: Option<usize>,
    /// The runs, where several predict together.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<EnsembleMember>,
    /// Agreement with the given labels of the training part, in evaluation, not augmented.
    pub train_accuracy_given: f64,
    /// Agreement with the given labels of the validation part.
    pub val_accuracy_given: Option<f64>,
    /// The validation part against its given labels, class by class.
    pub validation: Option<PartScores>,
    /// The test part.
    pub test: Option<Score>,
    /// Fitted clean and flipped training samples.
    pub fits: Option<pemm_data::dataset::Fits>,
    /// P(given j | true i) as the model sees it, from its predictions of the training part
    /// ([`Transition::estimate`]).
    pub noise_matrix: Vec<Vec<f64>>,
    /// What is to be said of the data and of what could not be checked.
    #[serde(skip)]
    pub warnings: Vec<String>,
}

/// Opens the data of the run in `path` again, or of the runs in it that predict together, which are at
/// `places`, and evaluates the model on every part; `percentile` is that of the noise matrix
/// ([`Transition::estimate`]). Gives the records too.
///
/// # Errors
/// Data that are nowhere, or no longer those of the run; those of [`Ensemble::open`] and
/// [`Ensemble::predict`].
pub fn evaluate(
    path: &Path,
    weights: Weights,
    percentile: Option<f64>,
    places: &Places,
    device: &Device,
    embedding: &Embedding<'_>,
    on_samples: &mut dyn FnMut(usize),
) -> Result<(Vec<Record>, Evaluation)> {
    let ensemble = Ensemble::open(path, weights, device)?;
    let reopened = ensemble.reopen(weights, places, device, embedding)?;
    let mut warnings: Vec<String> = Vec::new();
    for member in ensemble.members() {
        warnings.extend(member.trained.warnings.iter().cloned());
    }
    warnings.extend(reopened.warnings);
    let mut evaluation = evaluation(&ensemble, reopened.data.prepared, percentile, on_samples)?;
    evaluation.warnings = warnings;
    match ensemble.members() {
        [one] => evaluation.epoch = Some(one.trained.card.epoch),
        several => evaluation.members = several.iter().map(Member::named).collect(),
    }
    let records = ensemble.into_members().into_iter().filter_map(|member| member.record).collect();
    Ok((records, evaluation))
}

/// What `ensemble` is worth on all parts of `prepared`.
fn evaluation(
    ensemble: &Ensemble,
    prepared: Prepared,
    percentile: Option<f64>,
    on_samples: &mut dyn FnMut(usize),
) -> Result<Evaluation> {
    let given = prepared.train.given.clone();
    let predictions = ensemble.predict(prepared.train.clone(), on_samples)?;
    let noise_matrix =
        Transition::estimate(&predictions.probabilities, predictions.num_classes, percentile);
    let predicted = predictions.classes();
    let train = Score::of(predictions.num_classes, &given, &predictions.probabilities);
    let fits = prepared.sealed.fits(&given, &predicted);
    let (val, test) = ensemble.held_out_scores(&prepared, &mut |_| {})?;
    Ok(Evaluation {
        epoch: None,
        members: Vec::new(),
        train_accuracy_given: train.accuracy,
        val_accuracy_given: val.as_ref().map(|val| val.accuracy),
        validation: val.as_ref().map(PartScores::from),
        test,
        fits,
        noise_matrix: noise_matrix.rows().to_vec(),
        warnings: Vec::new(),
    })
}
