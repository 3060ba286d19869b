//! A backbone: a network from a file, opened, checked and tried before any image is read.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rten::ThreadPool;
use serde::{Deserialize, Serialize};

use crate::dry_run::{DryRun, dry_run};
use crate::error::{EmbedError, Result};
use crate::file::Bytes;
use crate::graph::{Graph, ValueInfo, data_type};
use crate::network::{Failure, Network};
use crate::output::{OutputChoice, Pooling, choose};
use crate::preprocessing::{Layout, Preprocessing, PreprocessingKeys};

/// Version of [`BackboneCard`] and of how features are computed; part of the cache's key.
const SCHEMA: u32 = 1;

/// What a user may say about a backbone besides its file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BackboneKeys {
    /// What the features are.
    pub output: OutputChoice,
    /// Name of the value of the network that they are taken from, if it is not to be chosen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_name: Option<String>,
    /// How images are prepared.
    pub preprocessing: PreprocessingKeys,
}

/// Everything that decides the features, as recorded with a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackboneCard {
    /// Version of this record.
    pub schema: u32,
    /// Name of the file, without its folder.
    pub file: String,
    /// SHA-256 of the file, and of what is beside it if its weights are.
    pub sha256: String,
    /// Who wrote the file, for example `pytorch`.
    pub producer: String,
    /// Version of the standard operators.
    pub opset: i64,
    /// Name of the input.
    pub input: String,
    /// Order of the dimensions of the input.
    pub layout: Layout,
    /// Name of the value that the features are taken from.
    pub output: String,
    /// How that value becomes a vector.
    pub pooling: Pooling,
    /// Features for each image.
    pub num_features: usize,
    /// How images are prepared.
    pub preprocessing: Preprocessing,
    /// Multiply-adds and values written for one image, about.
    pub work: u64,
    /// Bytes at once for one image and thread, weights not counted, about.
    pub live_bytes: u64,
    /// What was guessed; the user should hear it.
    pub assumptions: Vec<String>,
}

/// A network that turns images into features.
#[derive(Debug)]
pub struct Backbone {
    path: PathBuf,
    card: BackboneCard,
    network: Network,
}

impl Backbone {
    /// Opens the network at `path`, checks it, chooses input and output, finds the preprocessing,
    /// and runs it once on a grey image.
    ///
    /// # Errors
    /// Whatever is wrong with the file, the keys, or a configuration beside it; see [`EmbedError`].
    pub fn open(path: &Path, keys: &BackboneKeys) -> Result<Self> {
        let bytes = Bytes::read(path)?;
        let graph = bytes.graph(path)?;
        let input = Input::of(&graph, path)?;
        let (preprocessing, mut assumptions) =
            Preprocessing::find(path, &keys.preprocessing, input.sides, input.channels)?;
        if let [Some(height), Some(width)] = input.sides
            && preprocessing.size != [height, width]
        {
            let [asked_height, asked_width] = preprocessing.size;
            assumptions.push(format!(
                "the file is for images of {height}×{width} pixels; it gets \
                 {asked_height}×{asked_width}, as asked"
            ));
        }
        assumptions.extend(input.note.clone());
        let run = input.dry_run(&graph, path, preprocessing.size)?;
        let chosen = choose(&graph, &run, keys.output, keys.output_name.as_deref())
            .map_err(|reason| EmbedError::Output { file: path.to_path_buf(), reason })?;
        assumptions.extend(chosen.note.clone());
        let card = BackboneCard {
            schema: SCHEMA,
            file: path.file_name().unwrap_or_default().to_string_lossy().into(),
            sha256: bytes.sha256.clone(),
            producer: graph.producer.into(),
            opset: graph.opset,
            input: input.name.into(),
            layout: input.layout,
            output: chosen.name.clone(),
            pooling: chosen.pooling,
            num_features: chosen.num_features,
            preprocessing,
            work: run.work,
            live_bytes: run.live_bytes,
            assumptions,
        };
        Self::made(path, &graph, &run, card)
    }

    /// Opens the network that a run was trained with: same content, output and preprocessing.
    ///
    /// # Errors
    /// [`EmbedError::Changed`] if the file holds something else; otherwise as [`Self::open`].
    pub fn reopen(path: &Path, card: &BackboneCard) -> Result<Self> {
        let bytes = Bytes::read(path)?;
        if bytes.sha256 != card.sha256 {
            let (recorded, found) = (card.sha256.clone(), bytes.sha256);
            return Err(EmbedError::Changed { file: path.to_path_buf(), recorded, found });
        }
        if card.schema != SCHEMA {
            let reason = format!("version {} of the record of a backbone is not read", card.schema);
            return Err(EmbedError::setting("schema", format!("{reason}; {SCHEMA} is")));
        }
        let graph = bytes.graph(path)?;
        let input = Input::of(&graph, path)?;
        card.preprocessing.check(input.channels)?;
        let run = input.dry_run(&graph, path, card.preprocessing.size)?;
        let is_there = run.values.get(&card.output[..]).is_some_and(|value| {
            let len = value.len();
            (2..=1 << 16).contains(&card.num_features)
                && len.is_multiple_of(card.num_features as u64)
                && (card.pooling != Pooling::None || len == card.num_features as u64)
                && len >= card.num_features as u64
        });
        if !is_there || card.layout != input.layout {
            let file = path.to_path_buf();
            let reason = format!(
                "the record takes {} features from {:?}, which the file does not give; the record \
                 was changed, train again",
                card.num_features, card.output
            );
            return Err(EmbedError::Output { file, reason });
        }
        Self::made(path, &graph, &run, card.clone())
    }

    /// The network of a card that agrees with the file, tried once.
    fn made(path: &Path, graph: &Graph<'_>, run: &DryRun<'_>, card: BackboneCard) -> Result<Self> {
        let network = Network::of(graph, run, &card.input, &card.output);
        let network = network.map_err(|failure| match failure {
            Failure::Constant => EmbedError::Output {
                file: path.to_path_buf(),
                reason: format!(
                    "the output {:?} does not depend on the image; name another one",
                    card.output
                ),
            },
            Failure::Refused(reason) => EmbedError::Run { file: path.to_path_buf(), reason },
        })?;
        let backbone = Self { path: path.to_path_buf(), card, network };
        let rule = &backbone.card.preprocessing;
        let image = vec![0.0; rule.num_channels() * rule.size[0] * rule.size[1]];
        backbone.features(image, &one_thread())?;
        Ok(backbone)
    }

    /// What decides the features; to be recorded, and shown.
    pub fn card(&self) -> &BackboneCard {
        &self.card
    }

    /// Features for each image.
    pub fn num_features(&self) -> usize {
        self.card.num_features
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The features of a prepared image; they may be infinite or not a number.
    pub(crate) fn features(&self, image: Vec<f32>, pool: &Arc<ThreadPool>) -> Result<Vec<f32>> {
        let failed = |reason| EmbedError::Run { file: self.path.clone(), reason };
        let output = self.network.run(image, pool).map_err(failed)?;
        let num_features = self.card.num_features;
        let fits = match self.card.pooling {
            Pooling::None => output.len() == num_features,
            Pooling::ClassToken
            | Pooling::MeanPositions
            | Pooling::MeanMap
            | Pooling::MeanMapChannelsLast => {
                output.len() >= num_features && output.len().is_multiple_of(num_features)
            }
        };
        if !fits {
            let reason = format!("it gave {} values for {num_features} features", output.len());
            return Err(failed(reason));
        }
        Ok(self.card.pooling.apply(&output, num_features))
    }
}

/// A pool that rten works in; one for each image that is worked on at the same time.
pub(crate) fn one_thread() -> Arc<ThreadPool> {
    Arc::new(ThreadPool::with_num_threads(1))
}

/// The one input, which is an image.
struct Input<'a> {
    name: &'a str,
    layout: Layout,
    channels: usize,
    /// Height and width, where they are fixed.
    sides: [Option<usize>; 2],
    note: Option<String>,
}

impl<'a> Input<'a> {
    fn of(graph: &Graph<'a>, path: &Path) -> Result<Self> {
        let wrong = |reason: String| EmbedError::Input { file: path.to_path_buf(), reason };
        let next = "a backbone has one input, a batch of images [N, 3, H, W], [N, H, W, 3], \
                    [N, 1, H, W] or [N, H, W, 1] of floats";
        let describe = |input: &ValueInfo<'_>| {
            let size = |size: &Option<u64>| size.map_or("?".into(), |size| size.to_string());
            let shape = input.shape.iter().flatten().map(size).collect::<Vec<_>>().join(", ");
            format!("{:?} [{shape}]", input.name)
        };
        let all = || graph.inputs.iter().map(describe).collect::<Vec<_>>().join(", ");
        let input = match &graph.inputs[..] {
            [input] => input,
            [] => return Err(wrong(format!("the network has no input; {next}"))),
            many => {
                let reason = format!(
                    "the network has {} inputs, {}; {next}; export the part that reads the image",
                    many.len(),
                    all()
                );
                return Err(wrong(reason));
            }
        };
        let is_float =
            [data_type::FLOAT, data_type::FLOAT16, data_type::DOUBLE].contains(&input.data_type);
        let shape = input.shape.as_deref().unwrap_or_default();
        let (&[batch, a, b, c], true) = (shape, is_float) else {
            let kind = if is_float { "" } else { " and does not hold floats" };
            return Err(wrong(format!("the input is {}{kind}; {next}", all())));
        };
        let is_channels = |size| matches!(size, Some(1 | 3));
        let (layout, channels, sides, mut note) = match (is_channels(a), is_channels(c)) {
            (true, _) => (Layout::ChannelsFirst, a, [b, c], None),
            (false, true) => (Layout::ChannelsLast, c, [a, b], None),
            (false, false) if a.is_none() => {
                let note = "the file does not say how many channels an image has; 3 in the first \
                            place are assumed";
                (Layout::ChannelsFirst, Some(3), [b, c], Some(note.to_string()))
            }
            (false, false) => return Err(wrong(format!("the input is {}; {next}", all()))),
        };
        if let Some(batch) = batch.filter(|&batch| batch != 1) {
            note = Some(format!(
                "the file is for batches of {batch} images; images are put through one by one"
            ));
        }
        let sides = sides.map(|side| side.map(|side| usize::try_from(side).unwrap_or(usize::MAX)));
        let channels = channels.unwrap_or(3) as usize;
        Ok(Self { name: input.name, layout, channels, sides, note })
    }

    /// Runs the graph dry on one image of `size`.
    fn dry_run(&self, graph: &Graph<'a>, path: &Path, size: [usize; 2]) -> Result<DryRun<'a>> {
        let [height, width] = size;
        let shape = match self.layout {
            Layout::ChannelsFirst => [1, self.channels, height, width],
            Layout::ChannelsLast => [1, height, width, self.channels],
        };
        let run = dry_run(graph, self.name, &shape);
        run.map_err(|at| EmbedError::stopped(path, graph.opset, size, at))
    }
}
