//! What came out of a run, in a sentence, in numbers, and class by class.

use pemm_runs::{Outputs, PartScores, Record};

use super::gallery::disputed;
use crate::chart::Data;
use crate::report::{Section, Table, Tile, percent};

/// The part that a reader cares about most, the test part or else the one that was held out, and whether it
/// is the test part.
pub(crate) fn judged<'a>(
    test: &'a Option<PartScores>,
    validation: &'a Option<PartScores>,
) -> Option<(&'a PartScores, bool)> {
    let test = test.as_ref().map(|part| (part, true));
    test.or(validation.as_ref().map(|part| (part, false)))
}

/// That of a run.
fn judged_of(record: &Record) -> Option<(&PartScores, bool)> {
    record.scores.as_ref().and_then(|scores| judged(&scores.test, &scores.validation))
}

/// The name of the largest class of `part`.
fn largest<'a>(record: &'a Record, part: &PartScores) -> &'a str {
    let largest = part.largest_class();
    largest.and_then(|class| record.data.classes.get(class)).map_or("", String::as_str)
}

/// What came out, for somebody who reads one sentence.
pub(super) fn verdict(record: &Record, outputs: Option<&Outputs>) -> String {
    let mut sentences = Vec::new();
    if let Some((part, is_test)) = judged_of(record) {
        let always = format!(
            "Always saying “{}” would score {}.",
            largest(record, part),
            percent(part.majority)
        );
        sentences.push(match is_test {
            true => format!(
                "The model is right for {} of {} test samples. {always}",
                percent(part.accuracy),
                part.num_samples
            ),
            false => format!(
                "The model agrees with {} of {} labels that it was not trained on. Some of these \
                 labels may be wrong themselves, so this is not its accuracy. {always}",
                percent(part.accuracy),
                part.num_samples
            ),
        });
        let missed = missed(record, part);
        if !missed.is_empty() {
            sentences.push(format!("It hardly recognises {}.", missed.join(", ")));
        }
    }
    if let Some(outputs) = outputs {
        let (num, all) = (disputed(outputs), outputs.given.len());
        sentences.push(format!(
            "It gives another class than the label to {num} of {all} training samples ({}).",
            percent(num as f64 / all.max(1) as f64)
        ));
    }
    sentences.join(" ")
}

/// Classes of which less than a fifth is recognised, a few of them.
fn missed(record: &Record, part: &PartScores) -> Vec<String> {
    const NAMED: usize = 4;
    let names = record.data.classes.iter().zip(&part.classes);
    let mut missed: Vec<String> = names
        .filter(|(_, class)| class.recall.is_some_and(|recall| recall < 0.2))
        .map(|(name, _)| format!("“{name}”"))
        .collect();
    if missed.len() > NAMED {
        let more = missed.len() - (NAMED - 1);
        missed.truncate(NAMED - 1);
        missed.push(format!("{more} other classes"));
    }
    missed
}

/// Numbers of the part that was held out, where there is no test part; and the mean of the classes.
pub(super) fn tiles(record: &Record) -> Vec<Tile> {
    let Some((part, is_test)) = judged_of(record) else { return Vec::new() };
    let epoch = record.scores.as_ref().map_or(0, |scores| scores.epoch);
    let tile = |label: &str, value: f64, note: String| Tile {
        label: label.into(),
        value: percent(value),
        note,
        is_oracle: false,
    };
    let mut tiles = Vec::new();
    if !is_test {
        let note = format!("{} samples, epoch {epoch}", part.num_samples);
        tiles.push(tile("Agrees with held-out labels", part.accuracy, note));
    }
    let note = "every class counts the same".to_owned();
    tiles.push(tile("Recognised, average over the classes", part.balanced_accuracy, note));
    if let Some(top5) = part.top5 {
        tiles.push(tile("Among the five most probable", top5, String::new()));
    }
    tiles
}

/// A row per class.
pub(super) fn by_class(record: &Record) -> Section {
    each_class(&record.data.classes, judged_of(record))
}

/// A row for each of `classes`, as far as one part, the test part or not, tells of them.
pub(crate) fn each_class(classes: &[String], part: Option<(&PartScores, bool)>) -> Section {
    let mut section = Section::new("classes", "Class by class");
    let Some((part, is_test)) = part else { return section };
    let columns = ["class", "samples", "recognised", "right when predicted", "F1"];
    let mut data = Data::new(columns);
    for (name, class) in classes.iter().zip(&part.classes) {
        let rates = [class.recall, class.precision, class.f1];
        let rates = rates.map(|rate| rate.map_or("–".into(), percent));
        data.row([name.clone(), class.num_samples.to_string()].into_iter().chain(rates));
    }
    section.text.push(format!(
        "{} Recognised: of the samples of a class, the share that the model predicts as it. Right \
         when predicted: of the samples that the model predicts as the class, the share that belongs \
         to it. F1 is the harmonic mean of the two.",
        match is_test {
            true => "Measured on the test part.",
            false => "Measured on the held-out samples, against the labels that they were given.",
        }
    ));
    let caption = "Each class".into();
    section.tables.push(Table { name: "classes".into(), caption, data });
    section
}

#[cfg(test)]
mod tests {
    use pemm_data::Score;
    use pemm_runs::Scores;

    use super::*;
    use crate::testing::{outputs, record};

    /// A run whose model calls everything the first class.
    fn run(is_test: bool) -> Record {
        let mut record = record("pemm", 3);
        let num_classes = record.data.classes.len();
        let labels: Vec<u32> = [0, 0, 0, 1].into_iter().collect();
        let mut row = vec![0.0; num_classes];
        row[0] = 1.0;
        let part = PartScores::from(&Score::of(num_classes, &labels, &row.repeat(4)));
        let (validation, test) = if is_test { (None, Some(part)) } else { (Some(part), None) };
        record.scores = Some(Scores { epoch: 3, validation, test });
        record
    }

    #[test]
    fn a_model_that_names_one_class_is_not_praised() {
        let record = run(false);
        let said = verdict(&record, None);
        assert!(said.starts_with("The model agrees with 75.00 % of 4 labels"), "{said}");
        assert!(said.contains("” would score 75.00 %."), "{said}");
        let second = &record.data.classes[1];
        assert!(said.contains(&format!("It hardly recognises “{second}”.")), "{said}");
        assert_eq!(tiles(&record)[1].value, "50.00 %");
        assert_eq!(by_class(&record).tables[0].data.rows[1][2], "0.00 %");
        assert!(verdict(&run(true), None).starts_with("The model is right for 75.00 % of 4 test"));
    }

    #[test]
    fn suspects_are_counted_and_a_record_without_scores_says_nothing() {
        let outputs = outputs();
        let said = verdict(&record("pemm", 3), Some(&outputs));
        let num = disputed(&outputs);
        assert!(
            num > 0
                && said.starts_with(&format!("It gives another class than the label to {num} of"))
        );
        assert!(by_class(&record("pemm", 3)).is_empty());
        assert_eq!(verdict(&record("pemm", 3), None), "");
    }
}
