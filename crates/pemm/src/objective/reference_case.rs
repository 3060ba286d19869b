//! A case of `tests/reference/values.json` for objectives that are no mere loss: value and gradient
//! that PyTorch computed in float64.

use burn::tensor::{Device, Int, Tensor, TensorData};
use serde_json::Value;

use crate::tensors::floats;

/// One case.
pub(super) struct ReferenceCase {
    /// Its parameters.
    pub(super) params: Value,
    case: Value,
    labels: Vec<i64>,
    device: Device,
}

impl ReferenceCase {
    /// The case called `name`.
    pub(super) fn read(name: &str) -> Self {
        let root: Value =
            serde_json::from_str(include_str!("../../tests/reference/values.json")).unwrap();
        let mut cases = root["cases"].as_array().unwrap().iter();
        let case = cases.find(|case| case["name"] == name).unwrap().clone();
        let labels = serde_json::from_value(root["labels"].clone()).unwrap();
        Self { params: case["params"].clone(), case, labels, device: Device::flex().autodiff() }
    }

    /// Given labels, `[N]`.
    pub(super) fn given(&self) -> Tensor<1, Int> {
        Tensor::from_data(TensorData::new(self.labels.clone(), [self.labels.len()]), &self.device)
    }

    /// An input by its name.
    pub(super) fn input(&self, name: &str) -> Tensor<2> {
        self.matrix(&self.case["inputs"][name])
    }

    /// Rows of numbers as a tensor.
    pub(super) fn matrix(&self, value: &Value) -> Tensor<2> {
        let rows: Vec<Vec<f32>> = serde_json::from_value(value.clone()).unwrap();
        let shape = [rows.len(), rows[0].len()];
        Tensor::from_data(TensorData::new(rows.concat(), shape), &self.device)
    }

    /// Holds `value`, and its gradient at `input`, to the case, each to 1e-5 of its largest.
    pub(super) fn agrees(&self, value: Tensor<1>, name: &str, input: &Tensor<2>) {
        let gradients = value.backward();
        let value = f64::from(value.into_scalar::<f32>());
        let expected = self.case["value"].as_f64().unwrap();
        assert!((value - expected).abs() < 1e-5 * expected.abs(), "{value}, expected {expected}");
        let found = floats(input.grad(&gradients).unwrap());
        let expected = floats(self.matrix(&self.case["gradients"][name]));
        let largest = expected.iter().fold(0f32, |most, x| most.max(x.abs()));
        assert_eq!(found.len(), expected.len());
        for (a, b) in found.iter().zip(&expected) {
            assert!((a - b).abs() <= 1e-5 * largest, "{found:?}, expected {expected:?}");
        }
    }
}
