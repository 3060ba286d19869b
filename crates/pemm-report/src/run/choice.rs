//! How the method was chosen, where several were tried.

use pemm_runs::Record;
use pemm_runs::time::duration;

use super::curves::per_epoch;
use crate::chart::{Axis, Color, Data, Series};
use crate::report::{Section, Table, percent};

/// What was tried, how sure the choice is, and what it cost.
pub(super) fn choice(record: &Record) -> Section {
    let mut section = Section::new("choice", "How the method was chosen");
    let Some(tried) = &record.tried else { return section };
    section.text.push(format!(
        "Nobody knows how wrong the labels are, so {} presets were tried before one was trained: each on one \
         half of the samples, judged by the given labels of the other half, and the better ones again with \
         the halves exchanged. {} was taken. Neither clean labels nor the test part were looked at.",
        tried.candidates.len(),
        tried.chosen
    ));
    section.text.push(format!(
        "The interval is one of the labels that were drawn, not of the training. Where it contains 0, the \
         labels do not tell the two apart, and the simpler one was preferred. Trials and run cost {:.2} times \
         what the run costs; at most {:.2} were allowed. The trials took {}.",
        tried.cost,
        tried.budget,
        duration(tried.seconds())
    ));
    let mut data =
        Data::new(["preset", "trials", "labels", "agrees", "difference", "95 % interval"]);
    let points = |value: f64| format!("{:+.2}", 100.0 * value);
    for candidate in &tried.candidates {
        let against = candidate.against_chosen;
        data.row([
            candidate.preset.clone(),
            candidate.trials.len().to_string(),
            candidate.num_labels.to_string(),
            percent(candidate.agreement()),
            against.map_or("taken".into(), |d| points(d.mean)),
            against.map_or(String::new(), |d| format!("{} to {}", points(d.low), points(d.high))),
        ]);
    }
    section.tables.push(Table {
        name: "choice".into(),
        caption: format!("What was tried; differences from {} in points", tried.chosen),
        data,
    });
    let title = "Agreement with the given labels of the other half";
    let mut chart =
        per_epoch("trials", title, "agreement, %").y(Axis::new("agreement, %").from(0.0));
    for (place, candidate) in tried.candidates.iter().enumerate() {
        for (round, trial) in (1..).zip(&candidate.trials) {
            let points = trial.val_accuracy.iter().zip(1..);
            let points = points.map(|(value, epoch)| (f64::from(epoch), 100.0 * value)).collect();
            let series = Series::new(format!("{}, round {round}", candidate.preset), points);
            let series = series.color(Color::Series(place));
            chart = chart.series(if round == 1 { series } else { series.dash("6 4") });
        }
    }
    section.figures.push(chart.figure());
    section
}

#[cfg(test)]
mod tests {
    use pemm_runs::Tried;
    use pemm_runs::halving::Difference;
    use pemm_runs::tried::{Candidate, Trial};

    use super::*;
    use crate::testing;

    #[test]
    fn a_choice_shows_what_was_tried_and_how_sure_it_is() {
        let mut record = testing::record("sce", 2);
        assert!(choice(&record).is_empty(), "there was no choice");
        let trial = || Trial {
            identity: "i".into(),
            num_train: 3,
            val_accuracy: vec![0.25, 0.5],
            seconds: 1.5,
        };
        let candidate = |preset: &str, trials, against_chosen| Candidate {
            preset: preset.into(),
            trials,
            num_labels: 8,
            num_agreed: 4,
            against_chosen,
        };
        let against = Difference { mean: -0.025, low: -0.1, high: 0.05 };
        record.tried = Some(Tried {
            chosen: "sce".into(),
            identity: record.identity.clone(),
            budget: 3.0,
            cost: 2.5,
            candidates: vec![
                candidate("sce", vec![trial(), trial()], None),
                candidate("<pemm>", vec![trial()], Some(against)),
            ],
        });
        let section = choice(&record);
        let rows = &section.tables[0].data.rows;
        assert_eq!(rows[0], ["sce", "2", "8", "50.00 %", "taken", ""]);
        assert_eq!(rows[1], ["<pemm>", "1", "8", "50.00 %", "-2.50", "-10.00 to +5.00"]);
        assert!(section.text[1].contains("cost 2.50 times") && section.text[1].contains("4.5 s"));
        let svg = section.figures[0].inline();
        assert!(svg.contains("&lt;pemm&gt;, round 1") && !svg.contains("<pemm>"));
    }
}
