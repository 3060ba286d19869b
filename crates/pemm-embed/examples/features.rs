//! Features of made-up images, for comparing a network with another engine (bench/onnx).
//!
//!     features FILE COUNT THREADS [OUT [HEIGHT WIDTH]]
//!
//! Image n is made of bytes without a pattern; they are fed as values from -1 to 1. Writes the
//! features as 32-bit floats to OUT and one line of JSON to standard output: what was chosen, and
//! wall and processor seconds for all images, reading and opening the file apart.

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use pemm_data::Shape;
use pemm_embed::preprocessing::{Picture, PreprocessingKeys, Resize, Rule};
use pemm_embed::{Backbone, BackboneKeys, EmbedOptions, Sample};

/// Processor seconds of this process so far, user and system; 0 where /proc is not there.
fn processor_secs() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: f64 = fields.skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum();
    ticks / 100.0
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [file, count, threads, rest @ ..] = &arguments[..] else {
        return Err("features FILE COUNT THREADS [OUT [HEIGHT WIDTH]]".into());
    };
    let (count, threads): (usize, usize) = (count.parse()?, threads.parse()?);
    let size = match rest {
        [_, height, width] => Some([height.parse()?, width.parse()?]),
        _ => None,
    };
    let preprocessing = PreprocessingKeys {
        rule: Some(Rule::Half),
        size,
        resize: Some(Resize::Stretch),
        ..PreprocessingKeys::default()
    };
    let keys = BackboneKeys { preprocessing, ..BackboneKeys::default() };
    let start = Instant::now();
    let backbone = Backbone::open(Path::new(file), &keys)?;
    let open_secs = start.elapsed().as_secs_f64();
    let card = backbone.card();
    let [height, width] = card.preprocessing.size;
    let shape = Shape { channels: card.preprocessing.num_channels(), height, width };
    let byte = |i: usize| (u32::try_from(i).unwrap_or(0).wrapping_mul(2_654_435_761) >> 24) as u8;
    let bytes: Vec<u8> = (0..count * shape.len()).map(byte).collect();
    let samples: Vec<Sample<'_>> = bytes
        .chunks_exact(shape.len())
        .map(|pixels| Sample { name: "made up", picture: Picture::Pixels { pixels, shape } })
        .collect();
    let options = EmbedOptions { threads, ..EmbedOptions::default() };
    let (start, before) = (Instant::now(), processor_secs());
    let features = backbone.embed_all(&samples, None, &options)?;
    let (wall_secs, cpu_secs) = (start.elapsed().as_secs_f64(), processor_secs() - before);
    if let Some(out) = rest.first() {
        let bytes: Vec<u8> = features.iter().flat_map(|value| value.to_le_bytes()).collect();
        std::fs::write(out, bytes)?;
    }
    let line = serde_json::json!({
        "open_secs": open_secs, "wall_secs": wall_secs, "cpu_secs": cpu_secs, "card": card,
    });
    println!("{line}");
    Ok(())
}
