//! Maps of the features, one per arm (the panels of Fig. 8).

use std::path::PathBuf;

use pemm_runs::folder::OUTPUTS;
use pemm_runs::{Column, Outputs, Record, RunFolder};

use super::MAX_FIGURES;
use crate::chart::{Cloud, Scatter};
use crate::embedding::{embed, spread};
use crate::report::Section;
use crate::run::Options;

/// Samples in each map, if there are several.
const POINTS: usize = 2_500;

/// The test part (without one, the training part) of the run with the smallest seed of each arm that
/// stored its outputs, on the first column that has any.
pub(super) fn maps(
    runs: &[(PathBuf, Record)],
    arms: &[String],
    options: &mut Options<'_>,
) -> Section {
    let mut section = Section::new("features", "What the features look like");
    let with_outputs: Vec<_> =
        runs.iter().filter(|(path, _)| path.join(OUTPUTS).is_file()).collect();
    let Some(column) = with_outputs.iter().map(|(_, record)| Column::of(record)).min() else {
        return section;
    };
    for arm in arms {
        let of_arm =
            |(_, record): &&&(PathBuf, Record)| record.arm == *arm && Column::of(record) == column;
        let Some((path, record)) =
            with_outputs.iter().filter(of_arm).min_by_key(|(_, record)| record.seed())
        else {
            continue;
        };
        if section.figures.len() == MAX_FIGURES {
            break;
        }
        let outputs = RunFolder::open(path).and_then(|f| Outputs::read(&f.file(OUTPUTS)));
        let Some(outputs) = outputs.ok().filter(|outputs| outputs.check_run(record).is_ok()) else {
            continue;
        };
        let (part, labels) = match &outputs.test {
            Some(test) => (test, &outputs.test_labels),
            None => (&outputs.train, outputs.clean.as_ref().unwrap_or(&outputs.given)),
        };
        let samples = spread(part.len(), POINTS.min(options.num_points));
        let size = part.num_features;
        let rows: Vec<f32> = samples
            .iter()
            .flat_map(|&sample| part.features[sample * size..(sample + 1) * size].to_vec())
            .collect();
        let map = embed(&rows, size, options.on_round);
        let labels = samples.iter().map(|&sample| labels[sample]);
        let clouds = Cloud::by_class(&record.data.classes, &map, labels);
        let name = format!("tsne-{}", section.figures.len() + 1);
        let scatter = Scatter::new(name, format!("{arm}, seed {}", record.seed()))
            .description(format!("Map of {} samples, coloured by class.", map.len()));
        section.figures.push(clouds.into_iter().fold(scatter, Scatter::cloud).figure());
    }
    if !section.figures.is_empty() {
        section.text.push(format!(
            "t-SNE of the features on {column}, coloured by true class where it is known. Each map \
             is one of its own: places of two maps cannot be compared, how well classes keep apart \
             can."
        ));
    }
    section
}
