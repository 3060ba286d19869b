//! From a data set with joined labels to the parts that a run works on.
//!
//! The order is fixed: hold out a test part (if the source has none and `data.test_rate` asks for
//! it) → `data.limit` (training samples only) → noise → hold out a validation part. So noise is
//! drawn on exactly the samples that training or model choice may see, the validation part is as
//! noisy as the training part, and the test part is never touched. Labels that are known to be right
//! are left out of the noise; held out, limited and split they are like any other.

use std::sync::atomic::AtomicBool;

use sha2::{Digest, Sha256};

use crate::config::{DataConfig, NoiseConfig, NoiseKind};
use crate::dataset::{DataSet, Part, Pixels, Sealed, Shape, Trusted};
use crate::error::{DataError, Result};
use crate::hex;
use crate::labels::JoinReport;
use crate::noise::{self, NoiseManifest};
use crate::seed::{Stream, Streams};
use crate::source::Account;
use crate::{labels, source, split, stop};

/// Substreams of [`Stream::Limit`].
const LIMIT: u64 = 0;
const TEST_HOLD_OUT: u64 = 1;
/// Substreams of [`Stream::Noise`].
const TRAIN_NOISE: u64 = 0;
const VAL_NOISE: u64 = 1;
/// Substreams of [`Stream::Split`].
const VAL_HOLD_OUT: u64 = 0;
const FOLDS: u64 = 1;

/// What a run works on.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// Name of the source.
    pub name: String,
    /// Class names; a label is an index into these.
    pub classes: Vec<String>,
    /// Size of each sample.
    pub shape: Shape,
    /// Samples to train on.
    pub train: Part,
    /// Which samples of `train` have a given label that is known to be right, where somebody says so. For
    /// methods that are marked as knowing it.
    pub trusted: Option<Trusted>,
    /// Samples for model choice, with labels as noisy as those of `train`.
    pub val: Option<Part>,
    /// Clean labels in the order of `train`, and the test part.
    pub sealed: Sealed,
    /// The noise of the training samples, before the validation part was held out.
    pub manifest: NoiseManifest,
    /// The noise drawn on the source's own validation part.
    pub val_manifest: Option<NoiseManifest>,
    /// Identity of the data, see [`data_sha256`].
    pub data_sha256: String,
    /// What a reader of the results should know: samples left out, doubtful test labels, noise
    /// that leaves a class in the minority.
    pub notes: Vec<String>,
    /// What the folder held and what was left out, for image folders.
    pub account: Account,
    /// What joining a labels file did, if one was joined.
    pub joined: Option<JoinReport>,
}

/// [`prepare_until`] without a way to stop it.
///
/// # Errors
/// Those of [`prepare_until`].
pub fn prepare(data: &DataConfig, noise: &NoiseConfig, seed: u64) -> Result<Prepared> {
    prepare_until(data, noise, seed, &stop::NEVER)
}

/// Opens the source, joins the labels file, and then does what [`prepare_set`] does.
///
/// # Errors
/// Those of [`source::open_until`], [`labels::join`] and [`prepare_set`].
pub fn prepare_until(
    data: &DataConfig,
    noise: &NoiseConfig,
    seed: u64,
    stop: &AtomicBool,
) -> Result<Prepared> {
    let mut set = source::open_until(data, stop)?;
    labels::join(&mut set, data)?;
    stop::check(stop)?;
    prepare_set(set, data, noise, seed)
}

/// Holds out, limits, draws noise and splits; see the head of this module for the order.
///
/// Clean labels follow their samples. They are those of the labels file if it has any, else, if
/// noise is drawn, the labels before noise, else unknown. A held-out test part is labelled with
/// the clean labels where the labels file has any. `data.val_rate` is ignored when the source has
/// a validation part of its own; that part gets noise too when noise is drawn, so that model choice
/// never sees clean labels. `data.test_rate` is ignored when the source has a test part. With
/// `data.fold` the validation part is that fold, and the source's own is left out.
///
/// # Errors
/// Fewer than 2 classes, no training sample, a rate out of range or one that leaves a part empty,
/// `data.limit` of 0, a fold that there is not, and those of [`noise::draw`] and [`split::folds`].
pub fn prepare_set(
    set: DataSet,
    data: &DataConfig,
    noise: &NoiseConfig,
    seed: u64,
) -> Result<Prepared> {
    let data_sha256 = data_sha256(&set);
    let Noisy { set, manifest, val_manifest } = draw_set(set, data, noise, seed)?;
    let DataSet {
        name, classes, train, clean, trusted, val, test, mut notes, account, joined, ..
    } = set;
    notes.extend(manifest.warnings.iter().map(|warning| format!("noise: {warning}")));
    let mut training = Training { part: train, clean, trusted };
    let split = if let Some(fold) = data.fold {
        if val.is_some() {
            notes.push("data.fold: the source's own validation part is not used".into());
        }
        Some(hold_out_fold(&training.part.given, &classes, fold, seed)?)
    } else if val.is_none() && data.val_rate > 0.0 {
        let mut rng = Streams::new(seed).open_at(Stream::Split, VAL_HOLD_OUT);
        let given = &training.part.given;
        Some(split::hold_out(given, classes.len(), data.val_rate, "data.val_rate", &mut rng)?)
    } else {
        None
    };
    let val = match split {
        Some((kept, held)) => {
            let held = training.part.select(&held);
            training = training.select(&kept);
            Some(held)
        }
        None => val,
    };
    Ok(Prepared {
        name,
        shape: training.part.shape,
        sealed: Sealed::new(classes.len(), training.clean, test),
        classes,
        train: training.part,
        trusted: training.trusted,
        val,
        manifest,
        val_manifest,
        data_sha256,
        notes,
        account,
        joined,
    })
}

/// The labels of a run's training samples after noise as CSV, and the manifest of the draw.
///
/// The columns are `path` (or `index`, where every name is its row's number), `label` and, where
/// clean labels are known, `clean`; where labels are trusted, `trusted`. Labels are class names. The samples are those that
/// [`prepare_set`] draws noise on for the same arguments, in the order of the source.
///
/// # Errors
/// Those of [`prepare_set`] up to the noise.
pub fn write_labels(
    set: DataSet,
    data: &DataConfig,
    noise: &NoiseConfig,
    seed: u64,
) -> Result<(String, NoiseManifest)> {
    let Noisy { set, manifest, .. } = draw_set(set, data, noise, seed)?;
    let is_numbered =
        set.train.names.iter().enumerate().all(|(row, name)| *name == row.to_string());
    let mut header = vec![if is_numbered { "index" } else { "path" }, "label"];
    header.extend(set.clean.is_some().then_some("clean"));
    header.extend(set.trusted.is_some().then_some("trusted"));
    let mut writer = csv::Writer::from_writer(Vec::new());
    let written = "writing to memory does not fail";
    writer.write_record(&header).expect(written);
    for sample in 0..set.train.len() {
        let class = |label: u32| set.classes[label as usize].as_str();
        let mut record = vec![set.train.name(sample), class(set.train.given[sample])];
        record.extend(set.clean.as_ref().map(|clean| class(clean[sample])));
        record.extend(
            set.trusted.as_ref().map(|trusted| if trusted.marks[sample] { "1" } else { "0" }),
        );
        writer.write_record(&record).expect(written);
    }
    let text = String::from_utf8(writer.into_inner().expect(written)).expect("made of strings");
    Ok((text, manifest))
}

/// SHA-256, in hexadecimal, of what the source gives after its labels were joined: class names,
/// then for training, validation and test part the sample names and given labels.
///
/// Taken before holding out, limiting and noise, so it is the same for every seed. Lengths and
/// labels are hashed as 64-bit integers, little endian, a missing part as length 2⁶⁴-1. Where labels are
/// trusted, a byte for each training sample follows, 1 where its label is, and then what the sample was
/// called before. Pixels are
/// not hashed: files that change under the same name go unnoticed.
pub fn data_sha256(set: &DataSet) -> String {
    let mut hasher = Sha256::new();
    let text = |hasher: &mut Sha256, text: &str| {
        hasher.update((text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    };
    hasher.update(b"pemm-data-1");
    hasher.update((set.classes.len() as u64).to_le_bytes());
    set.classes.iter().for_each(|name| text(&mut hasher, name));
    for part in [Some(&set.train), set.val.as_ref(), set.test.as_ref()] {
        hasher.update(part.map_or(u64::MAX, |part| part.len() as u64).to_le_bytes());
        for (sample, &label) in part.iter().flat_map(|part| part.given.iter().enumerate()) {
            text(&mut hasher, part.expect("it has labels").name(sample));
            hasher.update(u64::from(label).to_le_bytes());
        }
    }
    if let Some(trusted) = &set.trusted {
        hasher.update(b"trusted");
        for (&is_trusted, &before) in trusted.marks.iter().zip(&trusted.before) {
            hasher.update([u8::from(is_trusted)]);
            if is_trusted {
                hasher.update(u64::from(before).to_le_bytes());
            }
        }
    }
    hex(&hasher.finalize())
}

/// Positions outside and inside of fold `index` of `count`.
fn hold_out_fold(
    given: &[u32],
    classes: &[String],
    [index, count]: [usize; 2],
    seed: u64,
) -> Result<(Vec<usize>, Vec<usize>)> {
    let mut rng = Streams::new(seed).open_at(Stream::Split, FOLDS);
    let folds = split::folds(given, classes, count, &mut rng)?;
    if !(1..=count).contains(&index) {
        let reason = format!("fold {index} of {count} is not there; folds count from 1");
        return Err(DataError::setting("data.fold", reason));
    }
    Ok((0..given.len()).partition(|&position| folds[position] as usize != index))
}

/// Training samples with the clean labels that belong to them, and which of them are trusted.
struct Training {
    part: Part,
    clean: Option<Vec<u32>>,
    trusted: Option<Trusted>,
}

impl Training {
    fn select(&self, keep: &[usize]) -> Self {
        let pick = |clean: &Vec<u32>| keep.iter().map(|&sample| clean[sample]).collect();
        Self {
            part: self.part.select(keep),
            clean: self.clean.as_ref().map(pick),
            trusted: self.trusted.as_ref().map(|trusted| trusted.select(keep)),
        }
    }
}

/// A data set after noise; its `train` is what training and validation share.
struct Noisy {
    set: DataSet,
    manifest: NoiseManifest,
    val_manifest: Option<NoiseManifest>,
}

fn draw_set(mut set: DataSet, data: &DataConfig, noise: &NoiseConfig, seed: u64) -> Result<Noisy> {
    noise.check()?;
    split::check_rate("data.test_rate", data.test_rate)?;
    split::check_rate("data.val_rate", data.val_rate)?;
    let (classes, train, clean, trusted) = (set.classes.clone(), set.train, set.clean, set.trusted);
    let num_classes = classes.len();
    if num_classes < 2 || train.is_empty() {
        let name = set.name;
        return Err(DataError::setting(
            "data.path",
            format!(
                "{name} has {num_classes} classes and {} training samples; needs at least 2 \
                 classes and a sample",
                train.len()
            ),
        ));
    }
    let streams = Streams::new(seed);
    let mut training = Training { part: train, clean, trusted };

    if set.test.is_some() && data.test_rate > 0.0 {
        set.notes.push("data.test_rate: not used, since the data have a test part".into());
    }
    if set.test.is_none() && data.test_rate > 0.0 {
        let mut rng = streams.open_at(Stream::Limit, TEST_HOLD_OUT);
        let given = &training.part.given;
        let (kept, held) =
            split::hold_out(given, num_classes, data.test_rate, "data.test_rate", &mut rng)?;
        let Training { mut part, clean, .. } = training.select(&held);
        if clean.is_none() && data.labels.is_some() {
            set.notes.push(
                "data.test_rate: the labels file has no `clean` column, so the held-out test part is \
                 scored against labels that may be wrong"
                    .into(),
            );
        }
        part.given = clean.unwrap_or(part.given);
        set.test = Some(part);
        training = training.select(&kept);
    }

    if let Some(limit) = data.limit {
        let mut rng = streams.open_at(Stream::Limit, LIMIT);
        let keep = split::limit(&training.part.given, num_classes, limit, &mut rng)?;
        training = training.select(&keep);
    }

    let mut val_manifest = None;
    let manifest = if noise.kind == NoiseKind::None {
        NoiseManifest::given(&training.part.given, training.clean.as_deref(), num_classes)
    } else {
        let Training { part, trusted, .. } = &mut training;
        let (before, mut manifest) =
            make_noisy(part, noise, &classes, [seed, TRAIN_NOISE], trusted.as_mut())?;
        match &training.clean {
            None => training.clean = Some(before),
            Some(clean) => manifest.warnings.extend(earlier_mistakes(clean, &before)),
        }
        if let Some(val) = &mut set.val {
            val_manifest = Some(make_noisy(val, noise, &classes, [seed, VAL_NOISE], None)?.1);
        }
        manifest
    };
    let Training { part: train, clean, trusted } = training;
    let set = DataSet { train, clean, trusted, ..set };
    Ok(Noisy { set, manifest, val_manifest })
}

/// Replaces the given labels of `part`, but for those that are `trusted`, and returns those before. What
/// was drawn for the trusted ones is noted there.
fn make_noisy(
    part: &mut Part,
    noise: &NoiseConfig,
    classes: &[String],
    [seed, substream]: [u64; 2],
    trusted: Option<&mut Trusted>,
) -> Result<(Vec<u32>, NoiseManifest)> {
    let mut draw =
        noise::draw(noise, &part.given, classes, seed, substream, || instance_features(part))?;
    if let Some(trusted) = trusted {
        trusted.before.clone_from(&draw.labels);
        draw = draw.keeping(&part.given, &trusted.marks, classes.len());
    }
    Ok((std::mem::replace(&mut part.given, draw.labels), draw.manifest))
}

fn earlier_mistakes(clean: &[u32], before: &[u32]) -> Option<String> {
    let num_wrong = clean.iter().zip(before).filter(|(clean, before)| clean != before).count();
    (num_wrong > 0).then(|| {
        format!(
            "noise was drawn on labels of which {num_wrong} of {} already differ from the clean \
             ones; rates here count the drawn noise only",
            before.len()
        )
    })
}

/// The pixels of each sample of `part`, `[N, D]`.
fn instance_features(part: &Part) -> Result<Vec<f32>> {
    let size = part.shape.len();
    let span = |&row: &u32| row as usize * size..(row as usize + 1) * size;
    match &*part.pixels {
        Pixels::Decoded(bytes) => {
            Ok(part.rows.iter().flat_map(|row| &bytes[span(row)]).map(|&x| f32::from(x)).collect())
        }
        Pixels::Vectors(values) => {
            Ok(part.rows.iter().flat_map(|row| &values[span(row)]).copied().collect())
        }
        Pixels::Files(_) => Err(DataError::setting(
            "data.memory_mib",
            "instance noise needs all images in memory and they are larger than this; raise it, or \
             make the images smaller with data.resize",
        )),
    }
}

#[cfg(test)]
mod tests;
