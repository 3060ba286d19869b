//! Forward correction.

use burn::tensor::{Int, Tensor, TensorData, activation};
use pemm_data::noise::Transition;

use super::{Code, Limit, Loss, LossKind};

pub(super) const CODE: Code = Code {
    build: |settings| Box::new(ForwardCorrection::new(settings.matrix())),
    class_sum: None,
    may_be_negative: false,
    limits: &[Limit::same(&[], LossKind::Ce)],
};

/// Stands for log 0: below every log-probability of scores up to ±5e4, and finite.
const LOG_ZERO: f32 = -1e5;

/// Forward correction, `-log Σ_i p[n,i] T[i][y_n]`: cross entropy of `Tᵀ p`, the probabilities of the
/// *given* labels if `p` are those of the true ones.
///
/// Gradient, with `w[n,i] = p[n,i] T[i][y_n] / Σ_j p[n,j] T[j][y_n]`, which is P(true i | given y_n):
/// `∂/∂s[n,k] = p[n,k] - w[n,k]`.
///
/// # Shapes
/// scores `[N, K]`, given `[N]` → `[N]`; T is `[K, K]`, `T[i][j]` = P(given j | true i).
///
/// # Parameters
/// T, row-stochastic. The identity gives cross entropy; rows that are all equal teach nothing. With
/// the true T, the minimum over all models is the same as that of cross entropy on clean labels.
///
/// # Range
/// `[-log max_i T[i][y_n], ∞)`. Not symmetric.
///
/// # Numerics
/// By log-sum-exp of `log p + log T`; finite for every finite score. log 0 is taken as -1e5, so a
/// given label that T says no class turns into has that constant loss, and no gradient.
///
/// # Reference
/// Patrini et al. 2017, Making Deep Neural Networks Robust to Label Noise: a Loss Correction
/// Approach, theorem 2.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use pemm::loss::{ForwardCorrection, Loss};
/// use pemm_data::noise::Transition;
///
/// let device = Device::flex();
/// let noise = Transition::new(vec![vec![0.6, 0.4], vec![0.0, 1.0]]).unwrap();
/// let scores = Tensor::from_floats([[100.0, 0.0]], &device);
/// let loss = ForwardCorrection::new(&noise).forward(scores, Tensor::from_ints([1], &device));
/// assert!((loss.into_scalar::<f32>() + 0.4f32.ln()).abs() < 1e-6);
/// ```
#[derive(Debug, Clone)]
pub struct ForwardCorrection {
    /// `log T[i][j]` at `j K + i`.
    log_columns: Vec<f32>,
    num_classes: usize,
}

impl ForwardCorrection {
    /// Corrects for `transition`.
    pub fn new(transition: &Transition) -> Self {
        let (rows, num_classes) = (transition.rows(), transition.num_classes());
        let log = |p: f64| if p > 0.0 { (p.ln() as f32).max(LOG_ZERO) } else { LOG_ZERO };
        let column = |j| rows.iter().map(move |row| log(row[j]));
        Self { log_columns: (0..num_classes).flat_map(column).collect(), num_classes }
    }
}

impl Loss for ForwardCorrection {
    fn forward(&self, scores: Tensor<2>, given: Tensor<1, Int>) -> Tensor<1> {
        let columns = TensorData::new(self.log_columns.clone(), [self.num_classes; 2]);
        let columns = Tensor::<2>::from_data(columns, &scores.device()).select(0, given); // [N, K]
        let logs = activation::log_softmax(scores, 1) + columns;
        let largest = logs.clone().detach().max_dim(1); // [N, 1]
        let sums = (logs - largest.clone()).exp().sum_dim(1).log() + largest;
        -sums.squeeze_dim(1)
    }
}
