//! Against the kernels one after the other, which are held to the definition in their own tests.

use super::*;
use crate::convolution::convolve;
use crate::normalization::{gradients, normalize, statistics};
use crate::simd::level;
use crate::testing::{error, numbers};

const EPSILON: f32 = 1e-5;

fn geometry(
    batch: usize,
    [channels_in, channels_out]: [usize; 2],
    input: [usize; 2],
    stride: usize,
) -> Geometry {
    Geometry {
        batch,
        channels_in,
        channels_out,
        input,
        kernel: [3; 2],
        stride: [stride; 2],
        padding: [1; 2],
    }
}

fn geometries() -> Vec<Geometry> {
    let mut all = vec![
        geometry(3, [16, 16], [32, 32], 1),
        geometry(9, [16, 49], [8, 8], 1),
        geometry(2, [20, 33], [7, 13], 1),
        geometry(5, [8, 9], [1, 6], 1),
        geometry(1, [9, 12], [5, 70], 1),
        // By the matrix product, and by Winograd with more sums than are made at once.
        geometry(3, [3, 16], [9, 8], 1),
        geometry(3, [16, 32], [9, 8], 2),
        geometry(2, [80, 100], [6, 6], 1),
        // 1×1: of some windows, of a part of one, with more channels than are packed at once, and with more
        // weights than both gradients are made of at once.
        pointwise(7, [16, 33], [20, 30]),
        pointwise(1, [9, 3], [3, 5]),
        pointwise(2, [250, 20], [17, 16]),
        pointwise(2, [48, 112], [9, 7]),
        pointwise(2, [520, 512], [3, 3]),
    ];
    crate::testing::for_miri(&mut all);
    all
}

fn pointwise(batch: usize, channels: [usize; 2], input: [usize; 2]) -> Geometry {
    Geometry { kernel: [1; 2], padding: [0; 2], ..geometry(batch, channels, input, 1) }
}

/// Inputs of a geometry: x, weight, bias, gamma, beta, and dy.
fn inputs(g: &Geometry, after: After) -> [Vec<f32>; 6] {
    let outs = g.channels_out;
    let gamma = numbers(outs, 4).iter().map(|x| x + 1.5).collect();
    let dy = numbers(extent(g).output_len(after), 6);
    [
        numbers(g.input_len(), 1),
        numbers(g.weight_len(), 2),
        numbers(outs, 3),
        gamma,
        numbers(outs, 5),
        dy,
    ]
}

/// What is asked for of the gradient by x.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Dx {
    None,
    New,
    Added,
}

/// What the gradient by x is added to.
fn beside(g: &Geometry) -> Vec<f32> {
    numbers(g.input_len(), 8)
}

/// a, mean, variance, dweight, dx, dgamma, dbeta.
fn computed(g: &Geometry, after: After, asked: Dx) -> Vec<Vec<f32>> {
    let [x, weight, bias, gamma, beta, dy] = inputs(g, after);
    let mut a = vec![f32::NAN; g.output_len()];
    let statistics = convolution_with_statistics(g, &x, &weight, Some(&bias), &mut a);
    let norm = Norm { gamma: &gamma, beta: &beta, epsilon: EPSILON, after };
    let mut dweight = vec![f32::NAN; g.weight_len()];
    let mut dx = match asked {
        Dx::None => Vec::new(),
        Dx::New => vec![f32::NAN; g.input_len()],
        Dx::Added => beside(g),
    };
    let target = Target { numbers: &mut dx, adds: asked == Dx::Added };
    let target = (asked != Dx::None).then_some(target);
    let x = Source::Given(&x);
    let [dgamma, dbeta] =
        backward(g, x, [&weight, &a], &statistics, &norm, &dy, &mut dweight, target);
    vec![a, statistics.mean, statistics.variance, dweight, dx, dgamma, dbeta]
}

#[test]
fn all_match_single_steps() {
    for g in geometries() {
        for after in [After::Nothing, After::Relu, After::ReluPool] {
            let [x, weight, bias, gamma, beta, dy] = inputs(&g, after);
            let mut a = vec![0.0; g.output_len()];
            convolve(&g, &x, &weight, Some(&bias), &mut a);
            let statistics = statistics(&a, &extent(&g));
            let mut y = vec![0.0; dy.len()];
            let parameters = [&gamma[..], &beta[..]];
            normalize(&a, &extent(&g), &statistics, parameters, EPSILON, after, &mut y);
            let mut da = vec![0.0; a.len()];
            let extent = extent(&g);
            let (dgamma, dbeta) =
                gradients(&a, &extent, &statistics, parameters, EPSILON, after, &dy, &mut da);
            let (mut dweight, mut dx) = (vec![0.0; weight.len()], vec![0.0; x.len()]);
            weight_gradient(&g, &x, &da, &mut dweight, None);
            input_gradient(&g, &weight, &da, &mut dx);
            let Statistics { mean, variance } = statistics;
            for asked in [Dx::None, Dx::New, Dx::Added] {
                let dx = match asked {
                    Dx::None => Vec::new(),
                    Dx::New => dx.clone(),
                    // Only there is it asked for.
                    Dx::Added if !g.is_flat() => continue,
                    Dx::Added => dx.iter().zip(beside(&g)).map(|(dx, b)| dx + b).collect(),
                };
                let expected = [&a, &mean, &variance, &dweight, &dx, &dgamma, &dbeta];
                let got = computed(&g, after, asked);
                for (index, (got, expected)) in got.iter().zip(expected).enumerate() {
                    let expected: Vec<f64> = expected.iter().map(|v| f64::from(*v)).collect();
                    let error = error(got, &expected);
                    assert!(
                        error < 2e-5,
                        "{index} of {g:?}, {after:?}, {asked:?} on {:?} is off by {error:e}",
                        level()
                    );
                }
            }
        }
    }
}

#[test]
fn lower_instruction_sets_match_too() {
    crate::testing::on_lower_instruction_sets("normalized::tests::all_match_single_steps");
}

#[test]
fn threads_do_not_change_a_bit() {
    let pooled = (geometry(37, [16, 24], [10, 10], 1), After::ReluPool);
    for (g, after) in [pooled, (pointwise(37, [16, 24], [20, 20]), After::Relu)] {
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| computed(&g, after, Dx::New))
        };
        let one = run(1);
        assert!(one == run(2) && one == run(3));
    }
}
