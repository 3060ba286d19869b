//! Against a convolution in double precision, term by term.

use super::*;
use crate::simd::level;
use crate::testing::{error, numbers};

/// y, dx, dweight of the plain definition.
fn reference(g: &Geometry, x: &[f32], weight: &[f32], dy: &[f32]) -> [Vec<f64>; 3] {
    let [down, across] = g.output();
    let mut out = [g.output_len(), g.input_len(), g.weight_len()].map(|len| vec![0.0; len]);
    for n in 0..g.batch {
        for (oh, ow) in (0..down).flat_map(|oh| (0..across).map(move |ow| (oh, ow))) {
            for (kh, kw) in (0..g.kernel[0]).flat_map(|h| (0..g.kernel[1]).map(move |w| (h, w))) {
                let h = (oh * g.stride[0] + kh).wrapping_sub(g.padding[0]);
                let w = (ow * g.stride[1] + kw).wrapping_sub(g.padding[1]);
                if h >= g.input[0] || w >= g.input[1] {
                    continue;
                }
                for o in 0..g.channels_out {
                    for i in 0..g.channels_in {
                        let y = ((n * down + oh) * across + ow) * g.channels_out + o;
                        let x_at = ((n * g.input[0] + h) * g.input[1] + w) * g.channels_in + i;
                        let w_at = ((o * g.channels_in + i) * g.kernel[0] + kh) * g.kernel[1] + kw;
                        out[0][y] += f64::from(x[x_at]) * f64::from(weight[w_at]);
                        out[1][x_at] += f64::from(dy[y]) * f64::from(weight[w_at]);
                        out[2][w_at] += f64::from(dy[y]) * f64::from(x[x_at]);
                    }
                }
            }
        }
    }
    out
}

fn geometry(
    batch: usize,
    [channels_in, channels_out]: [usize; 2],
    input: [usize; 2],
    kernel: usize,
    stride: usize,
    padding: usize,
) -> Geometry {
    Geometry {
        batch,
        channels_in,
        channels_out,
        input,
        kernel: [kernel; 2],
        stride: [stride; 2],
        padding: [padding; 2],
    }
}

fn shapes() -> Vec<Geometry> {
    let mut shapes = vec![
        geometry(2, [3, 16], [32, 32], 3, 1, 1),
        geometry(3, [16, 16], [32, 32], 3, 1, 1),
        geometry(9, [17, 33], [8, 8], 3, 1, 1),
        geometry(20, [49, 49], [8, 8], 3, 1, 1),
        geometry(40, [8, 24], [4, 4], 3, 1, 1),
        geometry(1, [64, 40], [19, 23], 3, 1, 1),
        geometry(1, [9, 8], [5, 270], 3, 1, 1),
        geometry(2, [33, 70], [7, 5], 3, 1, 1),
        geometry(3, [12, 12], [1, 1], 3, 1, 1),
        geometry(2, [8, 8], [2, 3], 3, 1, 1),
        geometry(0, [16, 16], [8, 8], 3, 1, 1),
        geometry(0, [3, 16], [8, 8], 3, 1, 1),
        geometry(2, [16, 32], [32, 32], 3, 2, 1),
        geometry(3, [7, 5], [9, 11], 3, 2, 1),
        geometry(4, [16, 32], [16, 16], 1, 2, 0),
        geometry(2, [20, 13], [9, 7], 1, 1, 0),
        geometry(2, [5, 6], [10, 9], 5, 3, 2),
        geometry(1, [4, 4], [2, 2], 5, 1, 0),
        geometry(2, [1, 1], [1, 1], 1, 1, 0),
        geometry(1, [8, 8], [3, 3], 2, 2, 1),
        // Blocks of three vectors, alone and after one of four.
        geometry(2, [112, 48], [9, 7], 1, 1, 0),
        geometry(2, [6, 112], [11, 10], 3, 2, 1),
        // More taps and pixels than one job of the gradient by the weights has.
        geometry(9, [260, 33], [9, 7], 1, 1, 0),
        geometry(3, [30, 20], [24, 20], 3, 2, 1),
    ];
    // A sample of odd sizes on top, the same each time.
    let draws = numbers(7 * 30, 5);
    for draw in draws.chunks(7) {
        let below =
            |index: usize, bound: usize| ((draw[index] + 1.0) * 0.5 * bound as f32) as usize;
        let kernel = [1, 3, 3, 3][below(0, 4)];
        let stride = 1 + below(1, 2);
        let channels = [1 + below(2, 40), 1 + below(3, 40)];
        let input = [1 + below(4, 14), 1 + below(5, 14)];
        shapes.push(geometry(1 + below(6, 4), channels, input, kernel, stride, kernel / 2));
    }
    crate::testing::for_miri(&mut shapes);
    shapes
}

/// All that is computed for a geometry: y, dx, dweight.
fn computed(g: &Geometry) -> ([Vec<f32>; 3], [Vec<f32>; 3]) {
    let x = numbers(g.input_len(), 1);
    let weight = numbers(g.weight_len(), 2);
    let dy = numbers(g.output_len(), 3);
    let mut y = vec![f32::NAN; g.output_len()];
    let mut dx = vec![f32::NAN; g.input_len()];
    convolve(g, &x, &weight, None, &mut y);
    input_gradient(g, &weight, &dy, &mut dx);
    let mut dweight = vec![f32::NAN; g.weight_len()];
    weight_gradient(g, &x, &dy, &mut dweight, None);
    ([x, weight, dy], [y, dx, dweight])
}

#[test]
fn output_and_gradients_match_the_definition() {
    for g in shapes() {
        let ([x, weight, dy], got) = computed(&g);
        let expected = reference(&g, &x, &weight, &dy);
        for ((got, expected), what) in got.iter().zip(&expected).zip(["y", "dx", "dweight"]) {
            let error = error(got, expected);
            assert!(error < 1e-4, "{what} of {g:?} on {:?} is off by {error:e}", level());
        }
    }
}

#[test]
fn lower_instruction_sets_match_too() {
    crate::testing::on_lower_instruction_sets("output_and_gradients_match_the_definition");
}

#[test]
fn bias_is_added_and_its_gradient_is_the_sum() {
    for g in [geometry(2, [9, 21], [6, 5], 3, 1, 1), geometry(2, [3, 21], [6, 5], 3, 2, 1)] {
        let (x, weight) = (numbers(g.input_len(), 1), numbers(g.weight_len(), 2));
        let bias = numbers(g.channels_out, 4);
        let mut plain = vec![0.0; g.output_len()];
        let mut with_bias = vec![0.0; g.output_len()];
        convolve(&g, &x, &weight, None, &mut plain);
        convolve(&g, &x, &weight, Some(&bias), &mut with_bias);
        for (index, (plain, with_bias)) in plain.iter().zip(&with_bias).enumerate() {
            assert!((plain + bias[index % 21] - with_bias).abs() < 1e-5);
        }
        let dy = numbers(g.output_len(), 3);
        let expected: Vec<f64> = (0..21)
            .map(|channel| dy.iter().skip(channel).step_by(21).map(|v| f64::from(*v)).sum())
            .collect();
        assert!(error(&bias_gradient(&dy, 21), &expected) < 1e-6);
        let (mut dweight, mut dbias) = (vec![0.0; g.weight_len()], vec![f32::NAN; 21]);
        weight_gradient(&g, &x, &dy, &mut dweight, Some(&mut dbias));
        assert!(error(&dbias, &expected) < 1e-6);
    }
}

#[test]
fn threads_do_not_change_a_bit() {
    let results: Vec<_> = [1, 2, 3]
        .into_iter()
        .map(|threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                [
                    geometry(40, [20, 24], [8, 8], 3, 1, 1),
                    geometry(5, [3, 16], [32, 32], 3, 1, 1),
                    geometry(20, [16, 20], [16, 16], 3, 2, 1),
                    geometry(20, [260, 20], [14, 14], 1, 1, 0),
                ]
                .map(|g| computed(&g).1.map(|v| v.iter().map(|v| v.to_bits()).collect::<Vec<_>>()))
            })
        })
        .collect();
    assert!(results.iter().all(|result| *result == results[0]));
}
