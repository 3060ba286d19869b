//! The features in a plane: t-SNE of training and test samples in one map.

use pemm_runs::{Outputs, Record};

use crate::chart::{Cloud, Figure, Scatter};
use crate::embedding::{MAX_POINTS, embed, spread};
use crate::report::Section;

/// The map, coloured by given and by clean label (Fig. 6 of the paper).
pub(super) fn features(
    record: &Record,
    outputs: &Outputs,
    num_points: usize,
    on_round: &mut (dyn FnMut(usize, usize) + Send),
) -> Section {
    let mut section = Section::new("features", "What the features look like");
    let num_features = outputs.train.num_features;
    let num_test = outputs.test.as_ref().map_or(0, |test| test.len());
    let most = num_points.min(MAX_POINTS);
    // Half of the map for each part, unless one needs less.
    let from_test = num_test.min(most - (most / 2).min(outputs.train.len()));
    let from_train = outputs.train.len().min(most - from_test);
    let train = spread(outputs.train.len(), from_train);
    let test = spread(num_test, from_test);
    let row = |features: &[f32], index: usize| {
        features[index * num_features..(index + 1) * num_features].to_vec()
    };
    let mut rows: Vec<f32> =
        train.iter().flat_map(|&index| row(&outputs.train.features, index)).collect();
    if let Some(part) = &outputs.test {
        rows.extend(test.iter().flat_map(|&index| row(&part.features, index)));
    }
    let map = embed(&rows, num_features, on_round);
    if map.is_empty() {
        return section;
    }
    let (train_map, test_map) = map.split_at(train.len());
    let bounds = bounds(&map);
    let classes = &record.data.classes;
    let panel =
        |name: &str, title: &str, places: &[[f64; 2]], samples: &[usize], labels: &[u32]| {
            panel(Panel { name, title, places, samples, labels, classes, bounds })
        };
    let given = &outputs.given;
    section.figures.push(panel(
        "tsne-train-given",
        "Training part, coloured by given label",
        train_map,
        &train,
        given,
    ));
    if let Some(clean) = &outputs.clean {
        let title = "Training part, coloured by clean label";
        section.figures.push(panel("tsne-train-clean", title, train_map, &train, clean));
    }
    if !test.is_empty() {
        let title = "Test part, coloured by its label";
        section.figures.push(panel("tsne-test", title, test_map, &test, &outputs.test_labels));
    }
    section.text.push(format!(
        "t-SNE of the features (the input of the last layer) after epoch {}: {} training and {} test \
         samples in one map{}. Which points are neighbours means something; sizes of groups and \
         distances between them mean little.",
        outputs.epoch,
        train.len(),
        test.len(),
        if train.len() + test.len() < outputs.train.len() + num_test {
            format!(", evenly taken from {} and {num_test}", outputs.train.len())
        } else {
            String::new()
        }
    ));
    section
}

struct Panel<'a> {
    name: &'a str,
    title: &'a str,
    places: &'a [[f64; 2]],
    samples: &'a [usize],
    labels: &'a [u32],
    classes: &'a [String],
    bounds: [f64; 4],
}

fn panel(panel: Panel<'_>) -> Figure {
    let labels = panel.samples.iter().map(|&sample| panel.labels[sample]);
    let clouds = Cloud::by_class(panel.classes, panel.places, labels);
    let description = format!(
        "Map of {} samples in {} classes; neighbours have similar features.",
        panel.places.len(),
        panel.classes.len()
    );
    let scatter =
        Scatter::new(panel.name, panel.title).bounds(panel.bounds).description(description);
    clouds.into_iter().fold(scatter, Scatter::cloud).figure()
}

fn bounds(map: &[[f64; 2]]) -> [f64; 4] {
    map.iter().fold([f64::MAX, f64::MAX, f64::MIN, f64::MIN], |bounds, &[x, y]| {
        [bounds[0].min(x), bounds[1].min(y), bounds[2].max(x), bounds[3].max(y)]
    })
}
