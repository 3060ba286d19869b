//! What changes from epoch to epoch: accuracy, objective, learning rate, memorisation, confidence.

use pemm_runs::{Choice, Chosen, EpochRecord, Record, Scored};

use crate::chart::{Axis, Color, Figure, LineChart, Marker, Series};
use crate::report::{Section, percent};

/// The accuracies of every epoch.
pub(super) fn learning(record: &Record) -> Section {
    let mut section = Section::new("learning", "Epoch by epoch");
    if record.epochs.is_empty() {
        section.text.push("No epoch is finished yet.".into());
        return section;
    }
    section.text.push(
        "Training and validation are compared with the given labels, some of which may be wrong: \
         so a high value there does not mean a good model. The test part is scored for the record only; training \
         and the choice of an epoch never see it."
            .into(),
    );
    section.figures.push(accuracy(record));
    section
}

/// What is minimised, term by term, and the learning rate.
pub(super) fn objective(record: &Record) -> Section {
    let mut section = Section::new("objective", "What was minimised").folded();
    let epochs = &record.epochs;
    if epochs.is_empty() {
        return section;
    }
    section.figures.push(
        per_epoch("objective", "Objective", "objective, mean per sample")
            .series(Series::new(
                "objective, mean per sample",
                values(epochs, |epoch| Some(epoch.loss)),
            ))
            .figure(),
    );
    let names: Vec<&String> = epochs[0].terms.keys().collect();
    if names.len() > 1 {
        for (index, name) in names.into_iter().enumerate() {
            let points = values(epochs, |epoch| epoch.terms.get(name).copied());
            let title = format!("Term of the objective: {name}");
            let file = format!("term-{}", plain(name));
            let series = Series::new(name.clone(), points).color(Color::Series(index + 1));
            section.figures.push(per_epoch(&file, &title, name).series(series).figure());
        }
    }
    let rates = values(epochs, |epoch| Some(epoch.learning_rate));
    let spans = rates.iter().map(|point| point.1).fold((f64::MAX, 0.0f64), |(low, high), rate| {
        (if rate > 0.0 { low.min(rate) } else { low }, high.max(rate))
    });
    let axis = Axis::new("learning rate");
    let axis = if spans.1 > 20.0 * spans.0 { axis.log() } else { axis.from(0.0) };
    section.figures.push(
        per_epoch("learning-rate", "Learning rate", "")
            .y(axis)
            .series(Series::new("learning rate", rates))
            .figure(),
    );
    section
}

/// Clean against flipped labels that the model fits; empty where clean labels are unknown.
pub(super) fn memorisation(record: &Record) -> Section {
    let mut section = Section::new("memorisation", "Did it memorise the wrong labels?");
    let share = |part: fn(&Scored) -> Option<usize>, whole: fn(&Scored) -> Option<usize>| {
        values(&record.epochs, move |epoch| {
            let scored = epoch.scored.as_ref()?;
            let (part, whole) = (part(scored)?, whole(scored)?);
            (whole > 0).then(|| 100.0 * part as f64 / whole as f64)
        })
    };
    let clean = share(|s| s.clean_fitted, |s| s.num_clean);
    let flipped = share(|s| s.flipped_fitted, |s| s.num_flipped);
    let corrected = share(|s| s.flipped_corrected, |s| s.num_flipped);
    let (Some(&fitted), Some(&seen)) = (flipped.last(), corrected.last()) else { return section };
    let num_flipped = record.epochs.iter().rev().find_map(|epoch| epoch.scored?.num_flipped);
    let first = flipped[0].1;
    section.text.push(format!(
        "Of {} training samples with a wrong label, {} were learned as given ({} in the first epoch); \
         for {} the model predicts the true class. In a model that memorises, the second curve rises \
         towards the first.",
        num_flipped.unwrap_or_default(),
        percent(fitted.1 / 100.0),
        percent(first / 100.0),
        percent(seen.1 / 100.0),
    ));
    section.text.push(
        "Counted from the predictions that each training step made before its update, on augmented \
         images."
            .into(),
    );
    section.figures.push(
        per_epoch("memorisation", "Fitted labels", "share of the samples, %")
            .y(Axis::new("share of the samples, %").range(0.0, 100.0))
            .series(Series::new("correct labels, fitted", clean).color(Color::Series(3)))
            .series(Series::new("wrong labels, fitted", flipped).color(Color::Series(2)))
            .series(
                Series::new("wrong labels, true class predicted", corrected)
                    .color(Color::Series(1))
                    .dash("6 4"),
            )
            .figure(),
    );
    section
}

/// Entropy and largest probability of the predictions.
pub(super) fn confidence(record: &Record) -> Section {
    let mut section = Section::new("confidence", "Confidence while training");
    if record.epochs.is_empty() {
        return section;
    }
    let num_classes = record.data.classes.len() as f64;
    let entropy = values(&record.epochs, |epoch| Some(epoch.mean_prediction_entropy));
    let softmax = values(&record.epochs, |epoch| Some(epoch.mean_max_softmax));
    section.figures.push(
        per_epoch("entropy", "Entropy of the predictions", "entropy, nats")
            .y(Axis::new("entropy, nats").from(0.0))
            .series(Series::new("mean over the training part", entropy))
            .reference_y(num_classes.ln(), format!("guessing: ln {num_classes}"))
            .figure(),
    );
    section.figures.push(
        per_epoch("largest-softmax", "Largest probability", "mean largest probability")
            .y(Axis::new("mean largest probability").range(0.0, 1.0))
            .series(Series::new("mean over the training part", softmax).color(Color::Series(1)))
            .reference_y(1.0 / num_classes, format!("guessing: 1/{num_classes}"))
            .figure(),
    );
    section
}

fn accuracy(record: &Record) -> Figure {
    let epochs = &record.epochs;
    let of = |label: &str, value: fn(&EpochRecord) -> Option<f64>| {
        let points = values(epochs, value).into_iter().map(|(x, y)| (x, 100.0 * y)).collect();
        Series::new(label, points)
    };
    let mut chart = per_epoch("accuracy", "Accuracy", "accuracy, %")
        .y(Axis::new("accuracy, %").from(0.0))
        .series(of("training, given labels", |epoch| Some(epoch.train_accuracy_given)));
    if epochs.iter().any(|epoch| epoch.val_accuracy_given.is_some()) {
        chart = chart.series(of("validation, given labels", |epoch| epoch.val_accuracy_given));
    }
    if epochs.iter().any(|epoch| epoch.test_accuracy().is_some()) {
        chart = chart
            .series(of("test", EpochRecord::test_accuracy).color(Color::Series(3)))
            .description(described(&record.choice));
        let Choice { last, best_by_noisy_val, oracle_best_on_test, over: _ } = &record.choice;
        for (chosen, label, marker) in [
            (last, "last epoch", Marker::Disc),
            (best_by_noisy_val, "best by noisy validation", Marker::Diamond),
            (oracle_best_on_test, "oracle: best on the test set", Marker::Triangle),
        ] {
            let place =
                |chosen: &Chosen| Some((chosen.epoch as f64, 100.0 * chosen.test_accuracy?));
            if let Some(place) = chosen.as_ref().and_then(place) {
                let series = Series::new(label, vec![place]).color(Color::Ink);
                chart = chart.series(series.without_line().marker(marker));
            }
        }
    }
    chart.figure()
}

fn described(choice: &Choice) -> String {
    let said = |chosen: &Option<Chosen>| {
        let chosen = chosen.as_ref()?;
        Some(format!("{} in epoch {}", percent(chosen.test_accuracy?), chosen.epoch))
    };
    let parts = [
        ("last epoch", said(&choice.last)),
        ("best by noisy validation", said(&choice.best_by_noisy_val)),
        ("oracle's best", said(&choice.oracle_best_on_test)),
    ];
    let parts = parts.into_iter().filter_map(|(name, said)| Some(format!("{name} {}", said?)));
    format!("Test accuracy: {}.", parts.collect::<Vec<_>>().join(", "))
}

/// An empty chart over epochs.
pub(crate) fn per_epoch(name: &str, title: &str, y: &str) -> LineChart {
    LineChart::new(name, title).x(Axis::new("epoch").whole()).y(Axis::new(y))
}

/// A value of each epoch that has it.
pub(crate) fn values(
    epochs: &[EpochRecord],
    value: impl Fn(&EpochRecord) -> Option<f64>,
) -> Vec<(f64, f64)> {
    epochs.iter().filter_map(|epoch| Some((epoch.epoch as f64, value(epoch)?))).collect()
}

/// `name` as part of a file's name.
pub(crate) fn plain(name: &str) -> String {
    let plain =
        |char: char| if char.is_ascii_alphanumeric() { char.to_ascii_lowercase() } else { '-' };
    name.chars().map(plain).collect()
}
