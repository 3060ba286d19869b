//! Processor milliseconds and effective rate per core of each convolution of `cnn8` or ResNet-50.
//!
//! `cargo run --release -p pemm-conv --example layers -- [width|resnet50] [batch]`; rates count the
//! multiplications of the plain definition, which Winograd does not do, so they may pass the peak.

use std::time::Instant;

use pemm_conv::{Geometry, convolve, input_gradient, level, weight_gradient};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Seconds of processor time that the threads of this process have had, or of the clock where the
/// system does not say. On a machine shared with others it is the steadier of the two.
fn processor_secs(start: Instant) -> f64 {
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else {
        return start.elapsed().as_secs_f64();
    };
    tasks
        .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok())
        .filter_map(|text| text.split(' ').next()?.parse::<f64>().ok())
        .sum::<f64>()
        / 1e9
}

/// Seconds of processor time, best of a few runs: other work on the machine only ever adds.
fn best(mut task: impl FnMut()) -> f64 {
    let start = Instant::now();
    task();
    (0..5)
        .map(|_| {
            let before = processor_secs(start);
            task();
            processor_secs(start) - before
        })
        .fold(f64::INFINITY, f64::min)
}

/// A convolution and how often a step does it.
struct Layer {
    channels: [usize; 2],
    side: usize,
    kernel: usize,
    stride: usize,
    count: usize,
}

/// The six convolutions of `cnn8`.
fn cnn8(width: usize) -> Vec<Layer> {
    let last = width * 49 / 16;
    [
        (3, width, 32),
        (width, width, 32),
        (width, 2 * width, 16),
        (2 * width, 2 * width, 16),
        (2 * width, last, 8),
        (last, last, 8),
    ]
    .map(|(ins, outs, side)| Layer { channels: [ins, outs], side, kernel: 3, stride: 1, count: 1 })
    .into()
}

/// Those of ResNet-50 for images of 224×224 pixels.
fn resnet50() -> Vec<Layer> {
    let mut layers = vec![Layer { channels: [3, 64], side: 224, kernel: 7, stride: 2, count: 1 }];
    let mut inputs = 64;
    for (inner, side, num, stride) in
        [(64, 56, 3, 1), (128, 56, 4, 2), (256, 28, 6, 2), (512, 14, 3, 2)]
    {
        let layer =
            |channels, side, kernel, stride, count| Layer { channels, side, kernel, stride, count };
        let after = side / stride;
        layers.extend([
            layer([inputs, inner], side, 1, 1, 1),
            layer([inner, inner], side, 3, stride, 1),
            layer([inputs, 4 * inner], side, 1, stride, 1),
            layer([inner, 4 * inner], after, 1, 1, num),
            layer([4 * inner, inner], after, 1, 1, num - 1),
            layer([inner, inner], after, 3, 1, num - 1),
        ]);
        inputs = 4 * inner;
    }
    layers
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let network = arguments.next().unwrap_or_else(|| "64".into());
    let batch: usize = arguments.next().map_or(128, |text| text.parse().expect("a batch size"));
    println!("{:?}, {} threads, {network}", level(), rayon::current_num_threads());
    let layers = match network.as_str() {
        "resnet50" => resnet50(),
        width => cnn8(width.parse().expect("a width, or resnet50")),
    };
    let mut totals = [0.0; 3];
    for Layer { channels: [channels_in, channels_out], side, kernel, stride, count } in layers {
        let geometry = Geometry {
            batch,
            channels_in,
            channels_out,
            input: [side; 2],
            kernel: [kernel; 2],
            stride: [stride; 2],
            padding: [kernel / 2; 2],
        };
        let x = vec![0.5; geometry.input_len()];
        let weight = vec![0.1; geometry.weight_len()];
        let mut y = vec![0.25; geometry.output_len()];
        let mut dweight = vec![0.0; geometry.weight_len()];
        let mut dx = vec![0.0; geometry.input_len()];
        let forward = best(|| convolve(&geometry, &x, &weight, None, &mut y));
        let by_input = best(|| input_gradient(&geometry, &weight, &y, &mut dx));
        let by_weight = best(|| weight_gradient(&geometry, &x, &y, &mut dweight, None));
        print!(
            "{count}× {channels_in:>4} → {channels_out:<4}{side:>4}² {kernel}×{kernel}/{stride}"
        );
        let seconds = [forward, by_input, by_weight];
        for (seconds, name) in seconds.into_iter().zip(["forward", "dx", "dweight"]) {
            print!(
                "  {name} {:7.2} ms {:5.0} GF/s",
                seconds * 1e3,
                geometry.flops() / seconds / 1e9
            );
        }
        println!();
        for (total, seconds) in totals.iter_mut().zip(seconds) {
            *total += count as f64 * seconds * 1e3;
        }
    }
    println!("total ms: forward {:.1}, dx {:.1}, dweight {:.1}", totals[0], totals[1], totals[2]);
}
