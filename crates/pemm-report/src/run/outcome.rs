//! What the model does on the test part, and what its outputs say about the noise.

use pemm_data::noise::NoiseManifest;
use pemm_runs::{Outputs, Record};

use crate::calibration::calibration;
use crate::chart::axis::number;
use crate::chart::{Axis, Bar, BarChart, Color, Data, Figure, HeatMap, LineChart, Marker, Series};
use crate::noise;
use crate::report::{Section, Table, percent};

/// Confused pairs that are listed.
const CONFUSED: usize = 12;

/// Confusion, accuracy of each class, calibration.
pub(super) fn outcome(record: &Record, outputs: &Outputs) -> Section {
    let mut section = Section::new("outcome", "On the test part");
    let Some(test) = &outputs.test else { return section };
    let classes = &record.data.classes;
    let mut counts = vec![vec![0usize; classes.len()]; classes.len()];
    for (label, predicted) in outputs.test_labels.iter().zip(test.classes()) {
        counts[*label as usize][predicted as usize] += 1;
    }
    let totals: Vec<usize> = counts.iter().map(|row| row.iter().sum()).collect();
    let hits: usize = (0..classes.len()).map(|class| counts[class][class]).sum();
    let accuracy = hits as f64 / test.len().max(1) as f64;
    let shares: Vec<Vec<f64>> = counts
        .iter()
        .zip(&totals)
        .map(|(row, total)| {
            row.iter().map(|&count| 100.0 * count as f64 / (*total).max(1) as f64).collect()
        })
        .collect();
    section.figures.push(
        HeatMap::new(
            "confusion",
            "Confusion matrix, % of each true class",
            classes,
            shares.clone(),
        )
        .axes("true class", "predicted class")
        .unit(" %", 0)
        .range(0.0, 100.0)
        .description(format!("Accuracy {} on {} test samples.", percent(accuracy), test.len()))
        .figure(),
    );
    section.figures.push(per_class(classes, &shares, &totals, accuracy));
    section.text.push(format!(
        "{} of {} test samples are right ({}), by the weights after epoch {}.",
        hits,
        test.len(),
        percent(accuracy),
        outputs.epoch
    ));
    if let Some(calibration) = calibration(test.rows(), &outputs.test_labels) {
        section.text.push(format!(
            "Expected calibration error {}: on average the model is {} by {}.",
            percent(calibration.error),
            if calibration.excess > 0.0 { "too sure" } else { "too modest" },
            percent(calibration.excess.abs()),
        ));
        section.figures.extend(reliability(&calibration, test.len()));
    }
    section.tables.extend(confused(classes, &counts, &totals));
    section
}

/// Every class, the best first.
fn per_class(classes: &[String], shares: &[Vec<f64>], totals: &[usize], mean: f64) -> Figure {
    let mut order: Vec<usize> = (0..classes.len()).filter(|&class| totals[class] > 0).collect();
    order.sort_by(|&a, &b| shares[b][b].total_cmp(&shares[a][a]).then(a.cmp(&b)));
    let axis = Axis::new("accuracy, %").range(0.0, 100.0);
    let chart = BarChart::new("per-class", "Accuracy of each class", axis)
        .unit(" %")
        .reference(100.0 * mean, format!("all: {}", percent(mean)))
        .description("Share of the test samples of each class that are predicted correctly.");
    let bar = |class: usize| Bar {
        label: classes[class].clone(),
        value: shares[class][class],
        error: None,
        color: Color::Series(0),
    };
    order.into_iter().map(bar).fold(chart, BarChart::bar).figure()
}

fn reliability(calibration: &crate::calibration::Calibration, total: usize) -> [Figure; 2] {
    let filled: Vec<_> = calibration.bins.iter().filter(|bin| bin.num_samples > 0).collect();
    let points = filled.iter().map(|bin| (100.0 * bin.confidence, 100.0 * bin.accuracy)).collect();
    let errors = filled
        .iter()
        .map(|bin| 100.0 * (bin.accuracy * (1.0 - bin.accuracy) / bin.num_samples as f64).sqrt())
        .collect();
    let diagram = LineChart::new("reliability", "Reliability diagram")
        .x(Axis::new("confidence, %").range(0.0, 100.0))
        .y(Axis::new("accuracy, %").range(0.0, 100.0))
        .series(
            Series::new("calibrated", vec![(0.0, 0.0), (100.0, 100.0)])
                .color(Color::Muted)
                .dash("2 4"),
        )
        .series(
            Series::new("samples of one bin, ± standard error", points)
                .errors(errors)
                .marker(Marker::Disc)
                .color(Color::Series(0)),
        )
        .description(format!(
            "Accuracy against confidence in {} bins; expected calibration error {}.",
            calibration.bins.len(),
            percent(calibration.error)
        ))
        .figure();
    let axis = Axis::new("share of the test samples, %").from(0.0);
    let mut histogram = BarChart::new("confidence", "How sure the predictions are", axis)
        .unit(" %")
        .description("Share of the test samples by largest probability.");
    let width = 100.0 / calibration.bins.len() as f64;
    for (index, bin) in calibration.bins.iter().enumerate() {
        let (low, high) = (index as f64 * width, (index + 1) as f64 * width);
        histogram = histogram.bar(Bar {
            label: format!("{low:.0}–{high:.0} %"),
            value: 100.0 * bin.num_samples as f64 / total.max(1) as f64,
            error: None,
            color: Color::Series(0),
        });
    }
    [diagram, histogram.figure()]
}

fn confused(classes: &[String], counts: &[Vec<usize>], totals: &[usize]) -> Option<Table> {
    let mut pairs: Vec<(usize, usize, usize)> = (0..classes.len())
        .flat_map(|row| (0..classes.len()).map(move |column| (row, column)))
        .filter(|(row, column)| row != column && counts[*row][*column] > 0)
        .map(|(row, column)| (counts[row][column], row, column))
        .collect();
    pairs.sort_by(|a, b| b.0.cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
    let mut data = Data::new(["true class", "predicted class", "samples", "% of the true class"]);
    for (count, row, column) in pairs.iter().take(CONFUSED) {
        let share = 100.0 * *count as f64 / totals[*row].max(1) as f64;
        let names = [classes[*row].clone(), classes[*column].clone()];
        data.row(names.into_iter().chain([count.to_string(), number(share)]));
    }
    let caption = "Classes that are confused most often".into();
    (!pairs.is_empty()).then(|| Table { name: "confused".into(), caption, data })
}

/// The noise that was drawn beside the noise that the outputs imply.
pub(super) fn noise_matrices(
    record: &Record,
    manifest: Option<&NoiseManifest>,
    outputs: Option<&Outputs>,
) -> Section {
    let mut section = Section::new("noise", "The label noise");
    let classes = &record.data.classes;
    let in_percent = |matrix: &[Vec<f64>]| -> Vec<Vec<f64>> {
        matrix.iter().map(|row| row.iter().map(|share| 100.0 * share).collect()).collect()
    };
    let heat_map = |name: &str, title: &str, matrix: &[Vec<f64>]| {
        HeatMap::new(name, title, classes, in_percent(matrix))
            .axes("true class", "given label")
            .unit(" %", 0)
            .range(0.0, 100.0)
            .description("Each row says which labels the samples of a class were given.")
            .figure()
    };
    let drawn = manifest.and_then(|manifest| noise::matrix(manifest, classes.len()));
    let implied = outputs.map(|o| noise::implied(o.train.rows(), &o.given, classes.len()));
    if let Some(drawn) = &drawn {
        section.figures.push(heat_map("noise-drawn", "Noise as it was drawn, %", drawn));
    }
    if let Some(implied) = &implied {
        let title = "Noise that the model's outputs imply, %";
        section.figures.push(heat_map("noise-implied", title, implied));
        section.text.push(
            "The implied matrix weighs each training label by how likely the model holds each \
             class to be the true one. A model that memorised its labels implies no noise; one that \
             is unsure implies too much."
                .into(),
        );
    }
    if let (Some(drawn), Some(implied)) = (&drawn, &implied) {
        section.text.push(format!(
            "The two differ for {} of the labels.",
            percent(noise::difference(drawn, implied))
        ));
    }
    section
}
