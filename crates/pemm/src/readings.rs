//! What the steps of an epoch say, read from the device some steps at a time.
//!
//! Where a read lets the device wait ([`waits`](crate::rows::waits)), the values of up to
//! [`MOST`](crate::rows::MOST) steps stay there and come in two reads; on the CPU each step is read at once. What is
//! read is the same in both.

use burn::tensor::{Device, Tensor};
use pemm_conv::copied;

use crate::objective::Terms;
use crate::rows::most;
use crate::tensors::floats;

/// Which step it is, and of which samples.
#[derive(Debug)]
pub(crate) struct Step {
    /// Pass of the epoch, from 0.
    pub(crate) pass: usize,
    /// Step of the pass, from 0.
    pub(crate) step: usize,
    /// Positions of its samples in the training part.
    pub(crate) indices: Vec<u32>,
}

/// What a step says, still on the device.
#[derive(Debug, Clone)]
pub(crate) struct Said {
    /// Names of the terms.
    names: Vec<&'static str>,
    /// The terms, then their sum.
    values: Tensor<1>,
    /// Scores of the samples, `[N, K]`.
    scores: Tensor<2>,
}

impl Said {
    /// What is read of `terms`.
    pub(crate) fn of(terms: &Terms) -> Self {
        let plain = |tensor: &Tensor<1>| tensor.clone().detach().without_autodiff();
        let values = terms.terms.iter().map(|(_, value)| value).chain([&terms.total]).map(plain);
        Self {
            names: terms.terms.iter().map(|&(name, _)| name).collect(),
            values: Tensor::cat(values.collect(), 0),
            scores: terms.scores.clone().detach().without_autodiff(),
        }
    }

    /// The same, on a GPU in memory of its own.
    pub(crate) fn copied(&self) -> Self {
        Self {
            names: self.names.clone(),
            values: copied(self.values.clone()),
            scores: copied(self.scores.clone()),
        }
    }
}

/// What one step said.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) of: Step,
    /// Name and value of each term.
    pub(crate) terms: Vec<(&'static str, f64)>,
    /// Their sum, as it was minimised.
    pub(crate) total: f64,
    /// Scores of the samples, `[N, K]`.
    pub(crate) scores: Vec<f32>,
}

/// Steps that were made and not yet read.
#[derive(Debug)]
pub(crate) struct Readings {
    most: usize,
    steps: Vec<(Step, Vec<&'static str>)>,
    /// Terms and total of each step.
    values: Vec<Tensor<1>>,
    scores: Vec<Tensor<2>>,
}

impl Readings {
    /// None yet, of steps on `device`.
    pub(crate) fn on(device: &Device) -> Self {
        let most = most(device);
        Self { most, steps: Vec::new(), values: Vec::new(), scores: Vec::new() }
    }

    /// Adds a step, and gives back the steps that it is time to read, in their order.
    pub(crate) fn add(&mut self, step: Step, said: Said) -> Vec<Reading> {
        self.values.push(said.values);
        self.scores.push(said.scores);
        self.steps.push((step, said.names));
        if self.steps.len() < self.most { Vec::new() } else { self.rest() }
    }

    /// Reads whatever is left.
    pub(crate) fn rest(&mut self) -> Vec<Reading> {
        if self.steps.is_empty() {
            return Vec::new();
        }
        let num_classes = self.scores[0].dims()[1];
        let values = floats(Tensor::cat(std::mem::take(&mut self.values), 0));
        let scores = floats(Tensor::cat(std::mem::take(&mut self.scores), 0));
        let (mut values, mut scores) = (&values[..], &scores[..]);
        let mut take = |names: &[&'static str]| {
            let (own, rest) = values.split_at(names.len() + 1);
            values = rest;
            let own: Vec<f64> = own.iter().map(|&value| f64::from(value)).collect();
            (names.iter().copied().zip(own.iter().copied()).collect(), own[names.len()])
        };
        std::mem::take(&mut self.steps)
            .into_iter()
            .map(|(of, names)| {
                let (terms, total) = take(&names);
                let (own, rest) = scores.split_at(of.indices.len() * num_classes);
                scores = rest;
                Reading { of, terms, total, scores: own.to_vec() }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(at: usize, num_samples: usize) -> Terms {
        let device = Device::flex().autodiff();
        let value = |x: f32| Tensor::<1>::from_floats([x], &device).require_grad();
        let mut named = vec![("loss", value(at as f32))];
        if at == 1 {
            named.push(("energy", value(0.5)));
        }
        let scores = Tensor::<2>::full([num_samples, 3], at as f32, &device);
        Terms::of(named, scores)
    }

    /// Steps of unlike size and with unlike terms come back as they were, whenever they are read.
    #[test]
    fn each_step_gets_back_what_was_its_own() {
        for most in [1, 2, 5] {
            let mut readings = Readings { most, ..Readings::on(&Device::flex()) };
            let mut read = Vec::new();
            for at in 0..3 {
                let step = Step { pass: 0, step: at, indices: (0..=at as u32).collect() };
                read.extend(readings.add(step, Said::of(&terms(at, at + 1))));
            }
            read.extend(readings.rest());
            assert!(readings.rest().is_empty());
            let totals: Vec<f64> = read.iter().map(|reading| reading.total).collect();
            assert_eq!(totals, [0.0, 1.5, 2.0]);
            assert_eq!(read[1].terms, [("loss", 1.0), ("energy", 0.5)]);
            for (at, reading) in read.iter().enumerate() {
                assert_eq!((reading.of.step, reading.of.indices.len()), (at, at + 1));
                assert_eq!(reading.scores, vec![at as f32; 3 * (at + 1)]);
            }
        }
    }
}
