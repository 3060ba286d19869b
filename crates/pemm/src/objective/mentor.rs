//! The small network of MentorNet, which says from the loss of a sample how much it should count.

use pemm_data::Rng;

/// What it looks at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Seen {
    /// Loss of the sample.
    pub(super) loss: f32,
    /// Its loss less the moving percentile of the losses.
    pub(super) beyond: f32,
    /// Its given label.
    pub(super) label: u32,
    /// Share of the first epochs that is over, from 0 to 1.
    pub(super) time: f32,
}

/// A weight in (0, 1) of what is [`Seen`] of a sample:
///
/// `v = σ(w₂ · tanh(W₁ h + b₁) + b₂)`, `h = (c₁, c₂, e_label, time)`,
/// `c = σ(g · (loss, beyond, 1)) tanh(k · (loss, beyond, 1))`,
///
/// with two values `e` a label. c is the state of an LSTM cell after one step from 0.
///
/// # Reference
/// Jiang et al. 2018, and `mentornet_nn` of their public code.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Mentor {
    num_classes: usize,
    /// Per cell g and k; per class e; per hidden value W₁ and b₁; w₂ and b₂.
    values: Vec<f64>,
}

/// Inputs of a gate: loss, beyond, 1.
const GATE: usize = 3;
/// Values of both cells, of two gates each.
const CELLS: usize = 4 * GATE;
const EMBEDDING: usize = 2;
/// Values of h.
const INPUTS: usize = 2 + EMBEDDING + 1;
const HIDDEN: usize = 20;
/// Of the training: steps, samples a step, learning rate, how it falls, and the longest gradient.
const NUM_STEPS: usize = 3000;
const BATCH_SIZE: usize = 32;
const LEARNING_RATE: f64 = 0.1;
const DECAY: (f64, usize) = (0.9, 100);
const LONGEST: f64 = 5.0;

/// What a sample makes of the network.
struct Activations {
    /// σ and tanh of both cells.
    gates: [[f64; 2]; 2],
    inputs: [f64; INPUTS],
    hidden: [f64; HIDDEN],
    /// v before σ.
    logit: f64,
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

impl Mentor {
    /// Number of values for `num_classes`.
    pub(super) fn num_values(num_classes: usize) -> usize {
        CELLS + EMBEDDING * num_classes + HIDDEN * (INPUTS + 1) + HIDDEN + 1
    }

    /// With these values.
    pub(super) fn of(values: &[f32], num_classes: usize) -> Self {
        Self { num_classes, values: values.iter().map(|&value| f64::from(value)).collect() }
    }

    /// Its values, as [`Self::of`] takes them.
    pub(super) fn values(&self) -> Vec<f32> {
        self.values.iter().map(|&value| value as f32).collect()
    }

    /// Learns what is seen of samples and whether their labels are `right`, by cross entropy.
    pub(super) fn learn(seen: &[Seen], right: &[bool], num_classes: usize, rng: &mut Rng) -> Self {
        let size = Self::num_values(num_classes);
        let mut mentor = Self { num_classes, values: (0..size).map(|_| rng.normal()).collect() };
        let [mut mean, mut square] = [(); 2].map(|()| vec![0.0; size]);
        let mut order: Vec<usize> = (0..seen.len()).collect();
        let mut next = order.len();
        for step in 0..NUM_STEPS {
            if next + BATCH_SIZE > order.len() {
                rng.shuffle(&mut order);
                next = 0;
            }
            let batch = &order[next..(next + BATCH_SIZE).min(order.len())];
            next += BATCH_SIZE;
            let mut gradient = mentor.gradient(batch.iter().map(|&i| (seen[i], right[i])));
            let length = gradient.iter().map(|x| x * x).sum::<f64>().sqrt();
            let scale = (LONGEST / length.max(LONGEST)).min(1.0);
            gradient.iter_mut().for_each(|x| *x *= scale);
            // Adam.
            let rate = LEARNING_RATE * DECAY.0.powi((step / DECAY.1) as i32);
            let [of_mean, of_square] = [0.9f64, 0.999].map(|keep| 1.0 - keep.powi(step as i32 + 1));
            for (at, x) in gradient.into_iter().enumerate() {
                mean[at] = 0.9 * mean[at] + 0.1 * x;
                square[at] = 0.999 * square[at] + 0.001 * x * x;
                let size = (square[at] / of_square).sqrt() + 1e-8;
                mentor.values[at] -= rate * mean[at] / of_mean / size;
            }
        }
        // As a checkpoint keeps it, so that a continued training has the same.
        Self::of(&mentor.values(), num_classes)
    }

    /// v.
    pub(super) fn weight(&self, seen: Seen) -> f32 {
        sigmoid(self.activations(seen).logit) as f32
    }

    /// Where the values of a gate of a cell begin.
    fn gate(cell: usize, gate: usize) -> usize {
        (2 * cell + gate) * GATE
    }

    /// Where the values of a label, of a hidden value, and of the output begin.
    fn label(label: u32) -> usize {
        CELLS + EMBEDDING * label as usize
    }

    fn hidden(&self, at: usize) -> usize {
        CELLS + EMBEDDING * self.num_classes + (INPUTS + 1) * at
    }

    fn output(&self) -> usize {
        self.hidden(HIDDEN)
    }

    fn activations(&self, seen: Seen) -> Activations {
        let values = &self.values;
        let (loss, beyond) = (f64::from(seen.loss), f64::from(seen.beyond));
        let gate = |cell, gate| {
            let at = Self::gate(cell, gate);
            values[at] * loss + values[at + 1] * beyond + values[at + 2]
        };
        let gates = [0, 1].map(|cell| [sigmoid(gate(cell, 0)), gate(cell, 1).tanh()]);
        let label = Self::label(seen.label);
        let states = gates.map(|[open, value]| open * value);
        let inputs = [states[0], states[1], values[label], values[label + 1], f64::from(seen.time)];
        let hidden: [f64; HIDDEN] = std::array::from_fn(|unit| {
            let row = &values[self.hidden(unit)..][..=INPUTS];
            let sum: f64 = row.iter().zip(&inputs).map(|(w, x)| w * x).sum();
            (sum + row[INPUTS]).tanh()
        });
        let last = &values[self.output()..];
        let logit = last.iter().zip(&hidden).map(|(w, x)| w * x).sum::<f64>() + last[HIDDEN];
        Activations { gates, inputs, hidden, logit }
    }

    /// Of the mean cross entropy, by the values.
    fn gradient(&self, samples: impl ExactSizeIterator<Item = (Seen, bool)>) -> Vec<f64> {
        let mut gradient = vec![0.0; self.values.len()];
        let share = 1.0 / samples.len().max(1) as f64;
        for (seen, is_right) in samples {
            let Activations { gates, inputs, hidden, logit } = self.activations(seen);
            let of_logit = share * (sigmoid(logit) - f64::from(u8::from(is_right)));
            let last = self.output();
            let mut of_inputs = [0.0; INPUTS];
            for (unit, &x) in hidden.iter().enumerate() {
                gradient[last + unit] += of_logit * x;
                let of_sum = of_logit * self.values[last + unit] * (1.0 - x * x);
                let at = self.hidden(unit);
                for (input, of_input) in of_inputs.iter_mut().enumerate() {
                    gradient[at + input] += of_sum * inputs[input];
                    *of_input += of_sum * self.values[at + input];
                }
                gradient[at + INPUTS] += of_sum;
            }
            gradient[last + HIDDEN] += of_logit;
            for (cell, [open, value]) in gates.into_iter().enumerate() {
                let of_gates = [value * open * (1.0 - open), open * (1.0 - value * value)];
                for (gate, slope) in of_gates.into_iter().enumerate() {
                    let at = Self::gate(cell, gate);
                    let of_sum = of_inputs[cell] * slope;
                    gradient[at] += of_sum * f64::from(seen.loss);
                    gradient[at + 1] += of_sum * f64::from(seen.beyond);
                    gradient[at + 2] += of_sum;
                }
            }
            let label = Self::label(seen.label);
            gradient[label] += of_inputs[2];
            gradient[label + 1] += of_inputs[3];
        }
        gradient
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objective::reference_case::objectives;
    use pemm_data::{Stream, Streams};

    #[test]
    fn weight_and_gradient_are_those_of_pytorch() {
        let known = &objectives()["mentor"];
        let rows: Vec<[f32; 4]> = serde_json::from_value(known["seen"].clone()).unwrap();
        let right: Vec<bool> = serde_json::from_value(known["right"].clone()).unwrap();
        let seen = rows.iter().map(|&[loss, beyond, label, time]| Seen {
            loss,
            beyond,
            label: label as u32,
            time,
        });
        let seen: Vec<Seen> = seen.collect();
        let numbers =
            |key: &str| -> Vec<f64> { serde_json::from_value(known[key].clone()).unwrap() };
        let mentor = Mentor { num_classes: 3, values: numbers("values") };
        assert_eq!(mentor.values.len(), Mentor::num_values(3));
        for (seen, expected) in seen.iter().zip(numbers("weights")) {
            let found = f64::from(mentor.weight(*seen));
            assert!((found - expected).abs() < 1e-6, "{found}, not {expected}");
        }
        let gradient = mentor.gradient(seen.into_iter().zip(right));
        for (found, expected) in gradient.iter().zip(numbers("gradient")) {
            assert!((found - expected).abs() < 1e-7, "{found}, not {expected}");
        }
    }

    #[test]
    fn it_learns_where_the_losses_of_wrong_labels_lie() {
        // Labels of class 1 are easily learned, wrong or not: the bound is another there.
        let mut rng = Streams::new(1).open(Stream::Step);
        let (mut seen, mut right) = (Vec::new(), Vec::new());
        for at in 0..300 {
            let label = at % 2;
            let is_right = at % 3 != 0;
            let from = [1.0, 0.2][label as usize] + if is_right { 0.0 } else { 0.6 };
            let loss = (from + 0.5 * rng.unit()) as f32;
            seen.push(Seen { loss, beyond: loss - 1.0, label, time: 1.0 });
            right.push(is_right);
        }
        let mentor = Mentor::learn(&seen, &right, 2, &mut rng);
        let hits =
            seen.iter().zip(&right).filter(|(s, right)| (mentor.weight(**s) > 0.5) == **right);
        assert!(hits.count() > 290);
        assert_eq!(Mentor::of(&mentor.values(), 2), mentor, "as a checkpoint keeps it");
    }
}
