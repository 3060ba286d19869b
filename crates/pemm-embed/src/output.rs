//! Which output of a network is the vector of features, and how it becomes one.
//!
//! The rule for [`OutputChoice::Auto`]:
//! 1. An output `[1, D]` (or `[1, D, 1, 1]`): the one called `pooler_output`, `image_embeds`,
//!    `pooled_output`, `embeddings`, `embedding` or `features`, else the only one. If it looks like
//!    the scores of a classifier (named `logits`, `prob`, `class`, `softmax` or `score`, made by a
//!    softmax, or 1000, 1001, 21841 or 21843 numbers), the input of its last layer is taken instead.
//! 2. Else positions `[1, T, D]` (`last_hidden_state`, or the only one): the class token where T is
//!    a square and one, or a square and five (a class token and four registers); else, and where
//!    T is a square, the mean over the positions.
//! 3. Else a map `[1, C, H, W]`, or `[1, H, W, C]` where H = W and W ≠ C: the mean over the places.

use serde::{Deserialize, Serialize};

use crate::dry_run::{DryRun, Kind, Value};
use crate::graph::{Graph, Node};

/// What the features are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OutputChoice {
    /// By the rule at the head of this module.
    #[default]
    Auto,
    /// The scores of a classifier as they are.
    Logits,
    /// The first position of `[1, T, D]`.
    ClassToken,
    /// The mean over all positions of `[1, T, D]` or all places of a map.
    Mean,
}

/// How an output becomes a vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pooling {
    /// It is one.
    None,
    /// The first position is taken.
    ClassToken,
    /// The mean over all positions of `[1, T, D]`.
    MeanPositions,
    /// The mean over all places of `[1, C, H, W]`.
    MeanMap,
    /// The mean over all places of `[1, H, W, C]`.
    MeanMapChannelsLast,
}

/// An output that was chosen.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Chosen {
    pub(crate) name: String,
    pub(crate) pooling: Pooling,
    pub(crate) num_features: usize,
    /// What a reader should know about the choice, if it was a guess.
    pub(crate) note: Option<String>,
}

/// Most features that make sense; also the cap of what a sample costs in the cache.
const MAX_FEATURES: usize = 1 << 16;
/// Names that exporters give to pooled features, best first.
const POOLED: [&str; 6] =
    ["pooler_output", "image_embeds", "pooled_output", "embeddings", "embedding", "features"];
/// Parts of names of scores.
const SCORES: [&str; 5] = ["logit", "prob", "class", "softmax", "score"];
/// Numbers of classes of ImageNet-1k and -21k.
const CLASSES: [usize; 4] = [1000, 1001, 21_841, 21_843];

impl Pooling {
    /// The vector of `num_features` that `output` becomes.
    pub(crate) fn apply(self, output: &[f32], num_features: usize) -> Vec<f32> {
        let places = output.len() / num_features;
        let mean = |sum: f64| (sum / places as f64) as f32;
        match self {
            Self::None => output.to_vec(),
            Self::ClassToken => output[..num_features].to_vec(),
            Self::MeanMap => output
                .chunks_exact(places)
                .map(|channel| mean(channel.iter().map(|&value| f64::from(value)).sum()))
                .collect(),
            Self::MeanPositions | Self::MeanMapChannelsLast => {
                let column = |d| output[d..].iter().step_by(num_features);
                (0..num_features)
                    .map(|d| mean(column(d).map(|&value| f64::from(value)).sum()))
                    .collect()
            }
        }
    }
}

/// Chooses an output. The error says what there is and how to choose.
pub(crate) fn choose(
    graph: &Graph<'_>,
    run: &DryRun<'_>,
    choice: OutputChoice,
    name: Option<&str>,
) -> Result<Chosen, String> {
    let names: Vec<&str> = match name {
        Some(name) => vec![name],
        None => graph.outputs.iter().map(|output| output.name).collect(),
    };
    let there: Vec<(&str, &Value)> = names
        .iter()
        .filter_map(|&name| Some((name, run.values.get(name)?)))
        .filter(|(_, value)| value.kind == Kind::Float && value.shape.first() == Some(&1))
        .collect();
    let of_rank = |rank: usize| {
        there.iter().copied().filter(move |(_, value)| value.shape.len() == rank).collect()
    };
    let vectors: Vec<(&str, &Value)> =
        there.iter().copied().filter(|(_, value)| vector_len(value).is_some()).collect();
    let (positions, maps): (Vec<_>, Vec<_>) = (of_rank(3), of_rank(4));
    let found = match choice {
        OutputChoice::Auto => prefer(&vectors, &POOLED)
            .map(|(name, value)| features_of(graph, run, name, value))
            .or_else(|| prefer(&positions, &["last_hidden_state"]).map(of_positions))
            .or_else(|| prefer(&maps, &[]).map(of_map)),
        OutputChoice::Logits => prefer(&vectors, &["logits", "output"])
            .and_then(|(name, value)| chosen(name, Pooling::None, vector_len(value)?, None)),
        OutputChoice::ClassToken => prefer(&positions, &["last_hidden_state"])
            .and_then(|(name, value)| chosen(name, Pooling::ClassToken, value.shape[2], None)),
        OutputChoice::Mean => prefer(&positions, &["last_hidden_state"])
            .and_then(|(name, value)| chosen(name, Pooling::MeanPositions, value.shape[2], None))
            .or_else(|| prefer(&maps, &[]).map(of_map)),
    };
    let found = found.filter(|found| (2..=MAX_FEATURES).contains(&found.num_features));
    found.ok_or_else(|| not_found(graph, run, choice, name))
}

fn chosen(
    name: &str,
    pooling: Pooling,
    num_features: usize,
    note: Option<String>,
) -> Option<Chosen> {
    Some(Chosen { name: name.into(), pooling, num_features, note })
}

/// D of `[1, D]` and `[1, D, 1, 1]`.
fn vector_len(value: &Value) -> Option<usize> {
    match value.shape[..] {
        [1, len] | [1, len, 1, 1] => Some(len),
        _ => None,
    }
}

/// The first that has one of `names`, else the only one.
fn prefer<'a>(outputs: &[(&'a str, &'a Value)], names: &[&str]) -> Option<(&'a str, &'a Value)> {
    let named = |name: &&str| outputs.iter().find(|(found, _)| found == name);
    let only = if let [only] = outputs { Some(only) } else { None };
    names.iter().find_map(named).or(only).copied()
}

/// The vector `name`, or what comes before it if it holds the scores of classes.
fn features_of(graph: &Graph<'_>, run: &DryRun<'_>, name: &str, value: &Value) -> Chosen {
    let len = vector_len(value).unwrap_or_default();
    let maker = maker(graph, name);
    let lower = name.to_ascii_lowercase();
    let is_scores = SCORES.iter().any(|part| lower.contains(part))
        || maker.is_some_and(|node| node.operator.ends_with("oftmax"))
        || CLASSES.contains(&len);
    let whole = Chosen { name: name.into(), pooling: Pooling::None, num_features: len, note: None };
    if !is_scores {
        return whole;
    }
    match before_classifier(graph, run, name) {
        Some((before, len)) => Chosen {
            note: Some(format!(
                "the output {name:?} looks like the scores of a classifier; the {len} features \
                 before its last layer are taken (\"logits\" takes the scores)"
            )),
            name: before.into(),
            num_features: len,
            ..whole
        },
        None => Chosen {
            note: Some(format!(
                "the output {name:?} looks like the scores of a classifier, and no layer before \
                 it gives a vector; the scores are taken"
            )),
            ..whole
        },
    }
}

fn maker<'a, 'g>(graph: &'g Graph<'a>, name: &str) -> Option<&'g Node<'a>> {
    graph.nodes.iter().find(|node| node.outputs.contains(&name))
}

/// The input of the last linear layer before `name`, and its size.
fn before_classifier<'a>(
    graph: &Graph<'a>,
    run: &DryRun<'_>,
    name: &str,
) -> Option<(&'a str, usize)> {
    const STEPS: usize = 8;
    let mut node = maker(graph, name)?;
    for _ in 0..STEPS {
        let first = node.input(0)?;
        match node.operator {
            "Gemm" | "MatMul" if graph.weights.contains_key(node.input(1)?) => {
                let len = vector_len(run.values.get(first)?)?;
                return Some((first, len));
            }
            "Softmax" | "LogSoftmax" | "Sigmoid" | "Identity" | "Flatten" | "Reshape"
            | "Squeeze" | "Add" => {
                // A sum with weights may have them first; a softmax has one input.
                let second = || maker(graph, node.input(1)?);
                node = maker(graph, first).or_else(second)?;
            }
            _ => return None,
        }
    }
    None
}

fn of_positions((name, value): (&str, &Value)) -> Chosen {
    let (count, num_features) = (value.shape[1], value.shape[2]);
    let is_square = |count: usize| count > 0 && count.isqrt().pow(2) == count;
    let has_class_token =
        !is_square(count) && (is_square(count - 1) || is_square(count.saturating_sub(5)));
    let (pooling, what) = if has_class_token {
        (Pooling::ClassToken, "the first of them, the class token, is taken")
    } else {
        (Pooling::MeanPositions, "their mean is taken")
    };
    let note = format!("the output {name:?} has {count} positions; {what}");
    Chosen { name: name.into(), pooling, num_features, note: Some(note) }
}

fn of_map((name, value): (&str, &Value)) -> Chosen {
    let [_, a, b, c] = [0, 1, 2, 3].map(|d| value.shape[d]);
    let (pooling, num_features) =
        if a == b && b != c { (Pooling::MeanMapChannelsLast, c) } else { (Pooling::MeanMap, a) };
    let note = format!(
        "the output {name:?} is a map {:?}; the mean over its places is taken",
        value.shape
    );
    Chosen { name: name.into(), pooling, num_features, note: Some(note) }
}

fn not_found(
    graph: &Graph<'_>,
    run: &DryRun<'_>,
    choice: OutputChoice,
    name: Option<&str>,
) -> String {
    let shape = |name: &str| match run.values.get(name) {
        Some(value) => format!("{name:?} {:?}", value.shape),
        None => format!("{name:?}, which does not follow from the image"),
    };
    if let Some(name) = name {
        return format!(
            "{} cannot be the features by the rule {choice:?}: floats of the shape [1, D], \
             [1, T, D] or [1, C, H, W] with 2 to {MAX_FEATURES} features are needed; name another \
             value of the network",
            shape(name)
        );
    }
    let outputs: Vec<String> = graph.outputs.iter().map(|output| shape(output.name)).collect();
    format!(
        "by the rule {choice:?} no output is the one vector for each image (2 to {MAX_FEATURES} \
         features); the outputs are {}; name one with output_name, or export the network with \
         pooled features",
        outputs.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pools_over_the_right_axis() {
        let output = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        assert_eq!(Pooling::ClassToken.apply(&output, 2), [1.0, 2.0]);
        assert_eq!(Pooling::MeanPositions.apply(&output, 2), [3.0, 4.0]);
        assert_eq!(Pooling::MeanMapChannelsLast.apply(&output, 3), [2.5, 3.5, 4.5]);
        assert_eq!(Pooling::MeanMap.apply(&output, 2), [2.0, 5.0]);
    }

    #[test]
    fn a_class_token_is_known_by_the_number_of_positions() {
        let pooling = |count| {
            let value = Value { shape: vec![1, count, 8], kind: Kind::Float, numbers: None };
            of_positions(("x", &value)).pooling
        };
        for count in [197, 257, 261, 50, 2] {
            assert_eq!(pooling(count), Pooling::ClassToken, "{count}");
        }
        for count in [196, 256, 9, 12, 1] {
            assert_eq!(pooling(count), Pooling::MeanPositions, "{count}");
        }
    }
}
