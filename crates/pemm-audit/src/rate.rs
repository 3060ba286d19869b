//! How many labels are wrong: an estimate, an interval, and what several methods say.

use serde::Serialize;

use crate::joint::ConfidentJoint;
use crate::mixture::Mixture;
use crate::samples::Samples;

/// What one method says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MethodRate {
    /// Name of the method.
    pub name: &'static str,
    /// Share of wrong labels, 0 to 1.
    pub estimate: f64,
}

/// Share of wrong labels.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NoiseRate {
    /// The estimate, 0 to 1.
    pub estimate: f64,
    /// Lower end of its interval.
    pub low: f64,
    /// Upper end of its interval.
    pub high: f64,
    /// Every method.
    pub methods: Vec<MethodRate>,
}

impl NoiseRate {
    pub(crate) fn of(
        samples: &Samples<'_>,
        posterior: &[f32],
        joint: &ConfidentJoint,
        mixture: Option<&Mixture>,
    ) -> Self {
        let n = samples.len() as f64;
        let model = posterior.iter().map(|&p| f64::from(p)).sum::<f64>() / n;
        let calibrated = joint.calibrated(&samples.class_counts());
        let kept: f64 = calibrated.iter().enumerate().map(|(class, row)| row[class]).sum();
        let mut methods = vec![
            MethodRate { name: "noise model", estimate: model },
            MethodRate { name: "confident joint", estimate: 1.0 - kept },
        ];
        methods
            .extend(mixture.map(|m| MethodRate { name: "loss mixture", estimate: m.high.weight }));
        Self { estimate: model, low: model - 0.05, high: model + 0.05, methods }
    }
}
