//! Against the equations in double precision, term by term.

use super::*;
use crate::simd::level;
use crate::testing::{error, numbers};

const EPSILON: f32 = 1e-5;

/// Sizes, and what is done with them in double precision.
#[derive(Clone, Copy)]
struct Plain {
    extent: Extent,
}

impl Plain {
    /// Each pixel, the pixel under each tap, and the tap.
    fn taps(&self) -> impl Iterator<Item = (usize, usize, usize)> {
        let Extent { batch, height, width, .. } = self.extent;
        (0..batch * height * width * 9).filter_map(move |at| {
            let (pixel, tap) = (at / 9, at % 9);
            let (row, column) = (pixel / width % height, pixel % width);
            let (down, right) = (row + tap / 3, column + tap % 3);
            let inside = (1..=height).contains(&down) && (1..=width).contains(&right);
            inside.then(|| (pixel, pixel + (tap / 3) * width + tap % 3 - width - 1, tap))
        })
    }

    /// x ∗ w, and with a gradient dy in place of x and y: those by x and by w.
    fn convolve(&self, x: &[f64], w: &[f64]) -> Vec<f64> {
        let c = self.extent.channels;
        let mut y = vec![0.0; x.len()];
        for (pixel, under, tap) in self.taps() {
            for (o, i) in (0..c * c).map(|at| (at / c, at % c)) {
                y[pixel * c + o] += x[under * c + i] * w[(o * c + i) * 9 + tap];
            }
        }
        y
    }

    fn gradients(&self, x: &[f64], w: &[f64], dy: &[f64]) -> [Vec<f64>; 2] {
        let c = self.extent.channels;
        let (mut dx, mut dw) = (vec![0.0; x.len()], vec![0.0; w.len()]);
        for (pixel, under, tap) in self.taps() {
            for (o, i) in (0..c * c).map(|at| (at / c, at % c)) {
                let at = (o * c + i) * 9 + tap;
                dx[under * c + i] += dy[pixel * c + o] * w[at];
                dw[at] += dy[pixel * c + o] * x[under * c + i];
            }
        }
        [dx, dw]
    }

    fn sum(&self, channel: usize, of: impl Fn(usize) -> f64) -> f64 {
        (channel..self.extent.len()).step_by(self.extent.channels).map(of).sum()
    }

    /// x̂ and 1/√(variance + ε) of each channel.
    fn standard(&self, x: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let (c, pixels) = (self.extent.channels, self.extent.pixels() as f64);
        let mean: Vec<f64> = (0..c).map(|k| self.sum(k, |at| x[at]) / pixels).collect();
        let inverse: Vec<f64> = (0..c)
            .map(|k| self.sum(k, |at| (x[at] - mean[k]).powi(2)) / pixels)
            .map(|variance| 1.0 / (variance + f64::from(EPSILON)).sqrt())
            .collect();
        let hat = (0..x.len()).map(|at| (x[at] - mean[at % c]) * inverse[at % c]).collect();
        (hat, inverse)
    }

    /// Gradients of a normalization by x, γ and β.
    fn through(&self, x: &[f64], gamma: &[f64], g: &[f64]) -> [Vec<f64>; 3] {
        let (c, pixels) = (self.extent.channels, self.extent.pixels() as f64);
        let (hat, inverse) = self.standard(x);
        let dbeta: Vec<f64> = (0..c).map(|k| self.sum(k, |at| g[at])).collect();
        let dgamma: Vec<f64> = (0..c).map(|k| self.sum(k, |at| g[at] * hat[at])).collect();
        let dx = (0..x.len()).map(|at| {
            let k = at % c;
            let centred = g[at] - dbeta[k] / pixels - hat[at] * dgamma[k] / pixels;
            gamma[k] * inverse[k] * centred
        });
        [dx.collect(), dgamma, dbeta]
    }
}

/// y, dx, and gradients by weights, scales and shifts.
fn reference(
    extent: Extent,
    x: &[f32],
    weights: &[f32],
    norms: [&[f32]; 2],
    dy: &[f32],
) -> [Vec<f64>; 5] {
    let plain = Plain { extent };
    let c = extent.channels;
    let double = |values: &[f32]| -> Vec<f64> { values.iter().map(|v| f64::from(*v)).collect() };
    let (weights, norms) = (double(weights), norms.map(double));
    let of_conv = |index: usize| {
        let [gamma, beta] = norms.each_ref().map(|rows| &rows[index * c..][..c]);
        (&weights[index * 9 * c * c..][..9 * c * c], gamma, beta)
    };
    let normalized = |x: &[f64], index: usize| -> Vec<f64> {
        let (_, gamma, beta) = of_conv(index);
        let (hat, _) = plain.standard(x);
        (0..x.len()).map(|at| gamma[at % c] * hat[at] + beta[at % c]).collect()
    };
    let relu = |x: &[f64]| -> Vec<f64> { x.iter().map(|x| x.max(0.0)).collect() };
    let open = |g: &[f64], z: &[f64]| -> Vec<f64> {
        g.iter().zip(z).map(|(g, z)| if *z > 0.0 { *g } else { 0.0 }).collect()
    };
    let num_blocks = weights.len() / (18 * c * c);
    let mut xs = vec![double(x)];
    let mut inside = Vec::new();
    for block in 0..num_blocks {
        let x = &xs[block];
        let a = plain.convolve(x, of_conv(2 * block).0);
        let z = normalized(&a, 2 * block);
        let b = plain.convolve(&relu(&z), of_conv(2 * block + 1).0);
        let sum: Vec<f64> =
            normalized(&b, 2 * block + 1).iter().zip(x).map(|(z, x)| z + x).collect();
        xs.push(relu(&sum));
        inside.push((a, z, b));
    }
    let mut g = double(dy);
    let mut gradients = [vec![0.0; weights.len()], vec![], vec![]];
    gradients[1].resize(norms[0].len(), 0.0);
    gradients[2].resize(norms[0].len(), 0.0);
    for (block, (a, z, b)) in inside.iter().enumerate().rev() {
        let shortcut = open(&g, &xs[block + 1]);
        let mut of_output = shortcut.clone();
        for (index, input, raw) in [(2 * block + 1, &relu(z), b), (2 * block, &xs[block], a)] {
            let (w, gamma, _) = of_conv(index);
            let [d, dgamma, dbeta] = plain.through(raw, gamma, &of_output);
            let [dx, dw] = plain.gradients(input, w, &d);
            gradients[0][index * 9 * c * c..][..9 * c * c].copy_from_slice(&dw);
            gradients[1][index * c..][..c].copy_from_slice(&dgamma);
            gradients[2][index * c..][..c].copy_from_slice(&dbeta);
            of_output = if index % 2 == 1 { open(&dx, z) } else { dx };
        }
        g = of_output.iter().zip(&shortcut).map(|(dx, g)| dx + g).collect();
    }
    let [weights, gammas, betas] = gradients;
    [xs.pop().expect("there is the input at least"), g, weights, gammas, betas]
}

/// What goes in: x, the weights, scales, shifts and dy.
fn inputs(extent: Extent, num_blocks: usize) -> [Vec<f32>; 5] {
    let c = extent.channels;
    let x = numbers(extent.len(), 1).iter().map(|x| x.max(0.0)).collect();
    let gammas = numbers(2 * num_blocks * c, 3).iter().map(|x| x + 1.5).collect();
    [
        x,
        numbers(18 * num_blocks * c * c, 2),
        gammas,
        numbers(2 * num_blocks * c, 4),
        numbers(extent.len(), 5),
    ]
}

fn computed(extent: Extent, num_blocks: usize) -> [Vec<f32>; 5] {
    let [x, weights, gammas, betas, dy] = inputs(extent, num_blocks);
    let blocks = Blocks { extent, weights: &weights, norms: [&gammas, &betas], epsilon: EPSILON };
    let (activations, statistics) = blocks.forward(&x);
    let y = activations.last().map_or(x.clone(), |last| last.y.to_vec());
    let mut dx = vec![f32::NAN; x.len()];
    let Gradients { weights, norms: [gammas, betas] } =
        blocks.backward(&x, activations, &statistics, &dy, &mut dx);
    [y, dx, weights.to_vec(), gammas, betas]
}

#[test]
fn output_and_gradients_match_the_equations() {
    let extents = [
        ([3, 8, 8, 16], 2),
        ([9, 4, 4, 16], 1),
        ([2, 7, 13, 9], 3),
        ([5, 5, 3, 33], 2),
        ([1, 32, 32, 16], 2),
        ([7, 1, 1, 8], 1),
        ([2, 6, 5, 12], 0),
    ];
    for ([batch, height, width, channels], num_blocks) in extents {
        let extent = Extent { batch, height, width, channels };
        let [x, weights, gammas, betas, dy] = inputs(extent, num_blocks);
        let expected = reference(extent, &x, &weights, [&gammas, &betas], &dy);
        let got = computed(extent, num_blocks);
        let names = ["y", "dx", "dweights", "dgammas", "dbetas"];
        for ((got, expected), name) in got.iter().zip(&expected).zip(names) {
            let error = error(got, expected);
            assert!(error < 1e-4, "{name} of {extent:?} on {:?} is off by {error:e}", level());
        }
    }
}

#[test]
fn lower_instruction_sets_match_too() {
    crate::testing::on_lower_instruction_sets("residual::tests::output_and_gradients");
}

#[test]
fn threads_do_not_change_a_bit() {
    let extent = Extent { batch: 19, height: 16, width: 16, channels: 20 };
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| computed(extent, 2))
    };
    let one = run(1);
    assert!(one == run(2) && one == run(3));
}

#[test]
fn an_empty_batch_has_empty_activations_and_gradients_of_zero() {
    let [y, dx, weights, gammas, betas] =
        computed(Extent { batch: 0, height: 8, width: 8, channels: 8 }, 2);
    assert!(y.is_empty() && dx.is_empty());
    assert!([weights, gammas, betas].iter().flatten().all(|gradient| *gradient == 0.0));
}
