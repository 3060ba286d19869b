//! A case of `tests/reference/values.json` or `objectives.json` for objectives that are no mere loss:
//! value and gradients that PyTorch computed in float64.

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

/// `objectives.json`.
pub(super) fn objectives() -> Value {
    serde_json::from_str(include_str!("../../tests/reference/objectives.json")).unwrap()
}

impl ReferenceCase {
    /// The case of the losses called `name`.
    pub(super) fn read(name: &str) -> Self {
        let root: Value =
            serde_json::from_str(include_str!("../../tests/reference/values.json")).unwrap();
        Self::all(&root, name).remove(0)
    }

    /// The cases of the objective called `name`, at least one.
    pub(super) fn all_of_objectives(name: &str) -> Vec<Self> {
        let cases = Self::all(&objectives(), name);
        assert!(!cases.is_empty(), "no case is called {name}");
        cases
    }

    fn all(root: &Value, name: &str) -> Vec<Self> {
        let labels: Vec<i64> = serde_json::from_value(root["labels"].clone()).unwrap();
        let cases = root["cases"].as_array().unwrap().iter().filter(|case| case["name"] == name);
        let device = Device::flex().autodiff();
        let read = |case: &Value| Self {
            params: case["params"].clone(),
            case: case.clone(),
            labels: labels.clone(),
            device: device.clone(),
        };
        cases.map(read).collect()
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

    /// Holds `value`, and its gradients at `inputs`, to the case, each to 1e-5 of its largest.
    pub(super) fn agrees(&self, value: Tensor<1>, inputs: &[(&str, &Tensor<2>)]) {
        let gradients = value.backward();
        let value = f64::from(floats(value)[0]);
        let expected = self.case["value"].as_f64().unwrap();
        assert!((value - expected).abs() < 1e-5 * expected.abs(), "{value}, expected {expected}");
        for (name, input) in inputs {
            let found = floats(input.grad(&gradients).unwrap());
            let expected = floats(self.matrix(&self.case["gradients"][name]));
            let largest = expected.iter().fold(0f32, |most, x| most.max(x.abs()));
            assert_eq!(found.len(), expected.len());
            for (a, b) in found.iter().zip(&expected) {
                assert!(
                    (a - b).abs() <= 1e-5 * largest,
                    "{name}: {found:?}, expected {expected:?}"
                );
            }
        }
    }
}
