//! The file beside a network that says how its images are prepared:
//! `<name>.preprocessing.json` and `preprocessor_config.json` (transformers' image processors),
//! then `config.json` (timm's `pretrained_cfg`). What these files call things was read from
//! transformers 5.24 and timm 1.0.31.

use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{Colour, Filter, Found, PreprocessingKeys, Resize};
use crate::error::{EmbedError, Result};
use crate::file::ordinary;

/// Largest such file, in bytes.
const MAX_BYTES: u64 = 16 << 20;

/// The first of the files that says something about images, and what.
pub(super) fn read(network: &Path) -> Result<Option<(PathBuf, Found)>> {
    let folder = network.parent().unwrap_or(Path::new(""));
    let own = network.with_extension("preprocessing.json");
    for path in [own, folder.join("preprocessor_config.json"), folder.join("config.json")] {
        if !path.is_file() {
            continue;
        }
        let json = json(&path)?;
        let wrong = |reason: String| EmbedError::setting(path.display().to_string(), reason);
        let found = if path.ends_with("config.json") {
            timm(&json).map_err(wrong)?
        } else {
            Some(transformers(&json).map_err(wrong)?)
        };
        if let Some(found) = found {
            return Ok(Some((path, found)));
        }
    }
    Ok(None)
}

fn json(path: &Path) -> Result<Value> {
    let mut bytes = Vec::new();
    let file = ordinary(path).map_err(|error| EmbedError::io(path, error))?;
    let read = file.take(MAX_BYTES + 1).read_to_end(&mut bytes);
    read.map_err(|error| EmbedError::io(path, error))?;
    if bytes.len() as u64 > MAX_BYTES {
        let reason = format!("the file is larger than {MAX_BYTES} bytes; it is no configuration");
        return Err(EmbedError::setting(path.display().to_string(), reason));
    }
    serde_json::from_slice(&bytes).map_err(|error| {
        let reason = format!("no JSON: {error}; repair or remove it");
        EmbedError::setting(path.display().to_string(), reason)
    })
}

fn side(value: &Value, key: &str) -> Result<usize, String> {
    let side = value.as_u64().filter(|side| (1..=1 << 20).contains(side));
    side.map(|side| side as usize).ok_or_else(|| format!("{key} = {value} is no number of pixels"))
}

fn floats(json: &Value, key: &str) -> Result<Option<Vec<f32>>, String> {
    let Some(value) = json.get(key).filter(|value| !value.is_null()) else { return Ok(None) };
    let number = |value: &Value| value.as_f64().map(|number| number as f32);
    let numbers = value.as_array().and_then(|list| list.iter().map(number).collect());
    numbers.map(Some).ok_or_else(|| format!("{key} = {value} is no list of numbers"))
}

/// `preprocessor_config.json`.
fn transformers(json: &Value) -> Result<Found, String> {
    let is_on = |key: &str| json.get(key).and_then(Value::as_bool);
    let mut found = Found::default();
    let keys = &mut found.keys;
    keys.filter = json.get("resample").and_then(Value::as_u64).and_then(|number| match number {
        0 => Some(Filter::Nearest),
        1 => Some(Filter::Lanczos),
        2 => Some(Filter::Bilinear),
        3 => Some(Filter::Bicubic),
        _ => None,
    });
    let factor = json.get("rescale_factor").and_then(Value::as_f64);
    keys.rescale = match is_on("do_rescale") {
        Some(false) => Some(1.0),
        Some(true) | None => Some(factor.unwrap_or(1.0 / 255.0) as f32),
    };
    if is_on("do_normalize") == Some(false) {
        keys.mean = Some(vec![0.0; 3]);
        keys.deviation = Some(vec![1.0; 3]);
    } else {
        keys.mean = floats(json, "image_mean")?;
        keys.deviation = floats(json, "image_std")?;
    }
    keys.colour =
        Some(if is_on("do_flip_channel_order") == Some(true) { Colour::Bgr } else { Colour::Rgb });
    let [size, crop] = ["size", "crop_size"].map(|key| json.get(key).filter(|v| !v.is_null()));
    let crop = crop.filter(|_| is_on("do_center_crop") != Some(false));
    let both = |value: &Value| -> Result<Option<[usize; 2]>, String> {
        match (value.get("height"), value.get("width")) {
            (Some(height), Some(width)) => {
                Ok(Some([side(height, "height")?, side(width, "width")?]))
            }
            _ if value.is_number() => Ok(Some([side(value, "crop_size")?; 2])),
            _ => Ok(None),
        }
    };
    let shortest = match size {
        Some(size) if size.is_number() => Some(side(size, "size")?),
        Some(size) => match size.get("shortest_edge") {
            Some(edge) => Some(side(edge, "size.shortest_edge")?),
            None => None,
        },
        None => None,
    };
    let crop = match crop {
        Some(crop) => both(crop)?,
        None => None,
    };
    match (crop, shortest, size) {
        (Some(crop), Some(shortest), _) => {
            keys.size = Some(crop);
            keys.resize = Some(Resize::Crop);
            keys.resize_to = Some(shortest.max(crop[0]).max(crop[1]));
        }
        // ConvNeXt's processor: the edge is the size, and crop_pct says the margin.
        (None, Some(shortest), _) => {
            keys.size = Some([shortest; 2]);
            keys.resize = Some(Resize::Crop);
            found.crop_rate = Some(rate(json.get("crop_pct"))?);
        }
        (crop, None, Some(size)) => {
            keys.size = crop.or(both(size)?);
            keys.resize = Some(Resize::Stretch);
        }
        (crop, None, None) => keys.size = crop,
    }
    Ok(found)
}

/// A share above 0 and at most 1; 1 if there is none.
fn rate(value: Option<&Value>) -> Result<f64, String> {
    let Some(value) = value.filter(|value| !value.is_null()) else { return Ok(1.0) };
    let rate = value.as_f64().filter(|rate| (0.05..=1.0).contains(rate));
    rate.ok_or_else(|| format!("crop_pct = {value} is not within 0.05 and 1"))
}

/// `config.json` of timm, with the settings in `pretrained_cfg` or at the top; `None` if it is the
/// configuration of something else.
fn timm(json: &Value) -> Result<Option<Found>, String> {
    let settings = json.get("pretrained_cfg").unwrap_or(json);
    let (Some(mean), Some(deviation)) = (floats(settings, "mean")?, floats(settings, "std")?)
    else {
        return Ok(None);
    };
    let filter =
        settings.get("interpolation").and_then(Value::as_str).and_then(|name| match name {
            "nearest" => Some(Filter::Nearest),
            "bilinear" => Some(Filter::Bilinear),
            "bicubic" => Some(Filter::Bicubic),
            "lanczos" => Some(Filter::Lanczos),
            _ => None,
        });
    let size = match settings.get("input_size").and_then(Value::as_array).map(Vec::as_slice) {
        Some([_, height, width]) => Some([side(height, "height")?, side(width, "width")?]),
        _ => None,
    };
    let is_stretch = settings.get("crop_mode").and_then(Value::as_str) == Some("squash");
    let keys = PreprocessingKeys {
        size,
        resize: Some(if is_stretch { Resize::Stretch } else { Resize::Crop }),
        filter,
        colour: Some(Colour::Rgb),
        rescale: Some(1.0 / 255.0),
        mean: Some(mean),
        deviation: Some(deviation),
        ..PreprocessingKeys::default()
    };
    Ok(Some(Found { keys, crop_rate: Some(rate(settings.get("crop_pct"))?) }))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::Preprocessing;
    use super::*;

    fn found(name: &str, text: &str) -> Result<(Preprocessing, Vec<String>)> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(name), text).unwrap();
        let network = folder.path().join("net.onnx");
        Preprocessing::find(&network, &PreprocessingKeys::default(), [None, None], 3)
    }

    #[test]
    fn reads_what_transformers_writes() {
        // CLIP
        let text = r#"{"crop_size": {"height": 224, "width": 224}, "do_center_crop": true,
            "do_normalize": true, "image_mean": [0.48, 0.45, 0.40], "image_std": [0.26, 0.26, 0.27],
            "resample": 3, "size": {"shortest_edge": 256}}"#;
        let (read, said) = found("preprocessor_config.json", text).unwrap();
        assert_eq!((read.size, read.resize, read.resize_to), ([224, 224], Resize::Crop, 256));
        assert_eq!((read.filter, read.mean[0], said.len()), (Filter::Bicubic, 0.48, 0));
        // ViT
        let text = r#"{"do_resize": true, "size": {"height": 384, "width": 384}, "resample": 2,
            "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}"#;
        let (read, _) = found("net.preprocessing.json", text).unwrap();
        assert_eq!((read.size, read.resize), ([384, 384], Resize::Stretch));
        // ConvNeXt
        let text = r#"{"crop_pct": 0.875, "size": {"shortest_edge": 224}, "resample": 3,
            "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}"#;
        let (read, _) = found("preprocessor_config.json", text).unwrap();
        assert_eq!((read.size, read.resize_to), ([224, 224], 256));
    }

    #[test]
    fn reads_what_timm_writes() {
        let text = r#"{"architecture": "resnet50", "pretrained_cfg": {"input_size": [3, 176, 176],
            "interpolation": "bicubic", "crop_pct": 0.95, "mean": [0.1, 0.2, 0.3],
            "std": [0.4, 0.5, 0.6]}}"#;
        let (read, said) = found("config.json", text).unwrap();
        assert_eq!((read.size, read.resize_to), ([176, 176], 185));
        assert_eq!((read.mean[2], read.deviation[0], said.len()), (0.3, 0.4, 0));
        // Of a language model: nothing.
        let (_, said) = found("config.json", r#"{"model_type": "bert"}"#).unwrap();
        assert_eq!(said.len(), 2);
    }

    #[test]
    fn broken_files_are_named() {
        for (name, text, expected) in [
            ("preprocessor_config.json", "{", "no JSON"),
            ("preprocessor_config.json", r#"{"image_mean": 3}"#, "image_mean = 3"),
            (
                "preprocessor_config.json",
                r#"{"size": {"shortest_edge": -1}}"#,
                "shortest_edge = -1",
            ),
            ("config.json", r#"{"mean": [0, 0, 0], "std": [1, 1, 1], "crop_pct": 9}"#, "crop_pct"),
            ("config.json", r#"{"mean": [0, 0, 0], "std": [1, 1, 0]}"#, "deviation"),
        ] {
            let error = found(name, text).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
