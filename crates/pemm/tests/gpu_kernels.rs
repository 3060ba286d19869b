//! Our kernels for GPUs held against those for the CPU, and work that is recorded against work that is not.
//!
//!     cargo test --release -p pemm --features wgpu --test gpu_kernels
//!
//! `gpu.rs` says which driver this wants.

use burn::tensor::{Device, Tensor, TensorData, Tolerance};
use pemm::device;
use pemm_conv::{After, Buffer, Descent, batch_norm_train, descend, descend_at, record};
use pemm_data::{Stream, Streams};

fn gpu() -> Device {
    device::open(&std::env::var("PEMM_TEST_DEVICE").unwrap_or_else(|_| "wgpu".into())).unwrap()
}

fn tensor<const D: usize>(shape: [usize; D], number: u64, device: &Device) -> Tensor<D> {
    let mut rng = Streams::new(1).open_at(Stream::Init, number);
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| rng.normal() as f32).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

fn close<const D: usize>(what: &str, got: Tensor<D>, expected: Tensor<D>) {
    println!("{what}");
    let tolerance = Tolerance::<f32>::rel_abs(1e-3, 2e-4);
    got.into_data().assert_approx_eq::<f32>(&expected.into_data(), tolerance);
}

#[test]
fn a_normalization_and_its_gradients_are_those_of_the_cpu() {
    for after in [After::Nothing, After::Relu, After::ReluPool] {
        for (shape, permuted) in [
            ([3, 9, 5, 7], false),
            ([2, 40, 8, 8], true),
            ([64, 33, 12, 12], true),
            ([7, 5, 2, 3], false),
        ] {
            let results = [Device::flex(), gpu()].map(|device| {
                let device = device.autodiff();
                // As it comes out of a convolution, or as it came from the host.
                let x: Tensor<4> = if permuted {
                    let [n, c, h, w] = shape;
                    tensor([n, h, w, c], 1, &device).permute([0, 3, 1, 2])
                } else {
                    tensor(shape, 1, &device)
                };
                let x = (x * 3.0 + 5.0).detach().require_grad();
                let rows = [2, 3].map(|seed| tensor([shape[1]], seed, &device).require_grad());
                let [gamma, beta] = rows.clone();
                let result = batch_norm_train(x.clone(), gamma, beta, 1e-5, after);
                let weights = tensor(result.output.dims(), 4, &device);
                let gradients = (result.output.clone() * weights).sum().backward();
                let rows = rows.map(|row| row.grad(&gradients).unwrap());
                let images = [result.output.without_autodiff(), x.grad(&gradients).unwrap()];
                let [dgamma, dbeta] = rows;
                let statistics = [result.mean, result.variance].map(Tensor::without_autodiff);
                let [mean, variance] = statistics;
                (images, [mean, variance, dgamma, dbeta])
            });
            let [cpu, gpu] = results;
            for ((name, cpu), gpu) in ["output", "∂x"].iter().zip(cpu.0).zip(gpu.0) {
                close(&format!("{name} of {shape:?}, {after:?}"), gpu, cpu);
            }
            let names = ["mean", "variance", "∂γ", "∂β"];
            for ((name, cpu), gpu) in names.iter().zip(cpu.1).zip(gpu.1) {
                close(&format!("{name} of {shape:?}, {after:?}"), gpu, cpu);
            }
        }
    }
}

#[test]
fn a_step_of_descent_is_that_of_the_cpu() {
    for nesterov in [false, true] {
        let rule = Descent { scale: 0.5, decay: 0.1, momentum: 0.9, nesterov, rate: 0.3 };
        let [g, w, m] = [1, 2, 3].map(|seed| tensor([65, 31], seed, &Device::flex()));
        let expected = descend(g, w, m, rule);
        let gpu = gpu();
        let [g, w, m] = [1, 2, 3].map(|seed| tensor([65, 31], seed, &gpu));
        let rate = Tensor::from_floats([0.3], &gpu);
        let got = descend_at(g, w, m, rate, Descent { rate: 0.0, ..rule });
        for (got, expected) in got.into_iter().zip(expected) {
            close("descent", got, expected);
        }
    }
}

/// w ← w - x·y, with other x: what is recorded reads and writes the same memory in each replay.
#[test]
fn a_recording_does_again_what_it_saw() {
    let device = gpu();
    let weight = tensor([8, 8], 1, &device);
    let input = tensor([8, 8], 2, &device);
    let other = tensor([8, 8], 3, &device);
    let state = (weight.clone(), input.clone(), other.clone());
    let mut recording = record(&device, state, |(weight, input, other)| {
        let new = weight.clone() - input.clone().matmul(other.clone());
        Buffer::of(weight).write(&Buffer::of(&new));
        new.sum()
    })
    .expect("this device records");
    let on_cpu = |seed| tensor([8, 8], seed, &Device::flex());
    let mut expected = on_cpu(1);
    Buffer::of(&weight).write(&Buffer::of(&tensor([8, 8], 1, &device)));
    for seed in 5..9 {
        Buffer::of(&input).write(&Buffer::of(&tensor([8, 8], seed, &device)));
        let sum = recording.replay().unwrap().clone();
        expected = expected - on_cpu(seed).matmul(on_cpu(3));
        close("weight", weight.clone(), expected.clone());
        close("sum", sum, expected.clone().sum());
    }
}
