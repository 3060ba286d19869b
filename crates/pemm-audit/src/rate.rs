//! How many labels are wrong: an estimate, an interval, and whether the methods contradict each other.

use serde::Serialize;

use crate::estimate::{Certain, Checked, binomial_interval};
use crate::noise_model::NoiseModel;

/// What one method says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MethodRate {
    /// Name of the method.
    pub name: String,
    /// Share of wrong labels, 0 to 1.
    pub estimate: f64,
    /// Whether it lies in the interval.
    pub agrees: bool,
}

/// Share of wrong labels.
///
/// The estimate is that of the [`NoiseModel`]; where the most certain predictions are contradicted
/// clearly less often ([`Certain`], its 95 % interval lies below), the mean of the two. The interval
/// reaches 0.25 m below and 0.2 m above, where m is the estimated share of wrong predictions (the model's
/// mistakes and wrong labels explain each other in part), further by Wilson's 95 % interval of the number
/// of samples, and to what the most certain predictions say if that is outside. The two factors were chosen
/// on the label sets of `bench/audit`.
///
/// Where somebody checked samples ([`Checked`]), what they say takes the place of all this if their interval
/// is narrower or the estimate lies outside of it.
///
/// # Fails
/// With what the noise model fails with; the doubt is to say so.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NoiseRate {
    /// The estimate, 0 to 1.
    pub estimate: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
    /// Every method.
    pub methods: Vec<MethodRate>,
    /// Whether the estimate is in doubt: the methods contradict each other, or classes do.
    pub is_doubtful: bool,
    /// Classes that cause contradictions: of their most certain predictions clearly more or fewer are
    /// contradicted than the noise model says.
    pub doubtful: Vec<u32>,
}

/// Parts of the share of wrong predictions by which the interval reaches down and up.
const REACH: [f64; 2] = [0.25, 0.2];
/// Width of an interval from which on the estimate is in doubt.
const WIDE: f64 = 0.2;
/// Least distance between an interval of certain predictions and the noise model for a contradiction.
const CONTRADICTION: f64 = 0.03;
const CONTRADICTION_OF_CLASS: f64 = 0.1;
/// Name of the method that asks those who looked at samples.
const BY_HAND: &str = "checked by hand";

/// What is weighed.
pub(crate) struct Said<'a> {
    pub(crate) num_samples: usize,
    pub(crate) model: &'a NoiseModel,
    pub(crate) certain: &'a Certain,
    pub(crate) by_neighbors: Option<&'a Certain>,
    pub(crate) confident_joint: f64,
    pub(crate) margins: Option<f64>,
    pub(crate) checked: Option<Checked>,
}

impl NoiseRate {
    /// Weighs what the methods say.
    pub(crate) fn of(said: &Said<'_>) -> Self {
        let Said { num_samples, model, certain, .. } = *said;
        let [least, most] = certain.interval();
        let by_model = model.rate;
        let mut estimate = by_model;
        if most < by_model {
            estimate = 0.5 * (by_model + certain.share());
        }
        let [low, high] = binomial_interval(estimate, num_samples);
        let low = (low - REACH[0] * model.mistaken).min(certain.share()).max(0.0);
        let high = (high + REACH[1] * model.mistaken).max(certain.share()).max(by_model).min(1.0);
        let mut rate = Self {
            estimate,
            low,
            high,
            methods: Vec::new(),
            is_doubtful: false,
            doubtful: doubtful(model, certain),
        };
        let gap = |[a, b]: [f64; 2], share: f64| (a - share).max(share - b).max(0.0);
        rate.is_doubtful = gap([least, most], by_model) > CONTRADICTION
            || said.by_neighbors.is_some_and(|by| {
                let [a, b] = by.interval();
                gap([low, high], a) > CONTRADICTION && gap([low, high], b) > CONTRADICTION
            })
            || high - low > WIDE;
        if let Some(Checked { estimate, interval: [low, high], .. }) = said.checked
            && (high - low < rate.high - rate.low || !(low..=high).contains(&rate.estimate))
        {
            (rate.estimate, rate.low, rate.high) = (estimate, low, high);
            rate.is_doubtful = high - low > WIDE;
        }
        let methods = [
            ("noise model", Some(by_model)),
            ("certain contradicted", Some(certain.share())),
            ("neighbours contradicted", said.by_neighbors.map(Certain::share)),
            ("confident joint", Some(said.confident_joint)),
            ("margin mixture", said.margins),
            (BY_HAND, said.checked.map(|checked| checked.estimate)),
        ];
        let method = |(name, estimate): (&str, Option<f64>)| {
            let estimate = estimate?;
            let agrees = (rate.low..=rate.high).contains(&estimate);
            Some(MethodRate { name: name.to_owned(), estimate, agrees })
        };
        rate.methods = methods.into_iter().filter_map(method).collect();
        rate
    }
}

impl NoiseRate {
    /// Whether the estimate is that of samples which somebody checked.
    pub fn is_by_hand(&self) -> bool {
        let is_it =
            |method: &MethodRate| method.name == BY_HAND && method.estimate == self.estimate;
        self.methods.iter().any(is_it)
    }

    /// What the checked samples say by themselves, for models that cannot judge.
    pub(crate) fn by_hand(checked: Checked) -> Self {
        let Checked { estimate, interval: [low, high], .. } = checked;
        let method = MethodRate { name: BY_HAND.into(), estimate, agrees: true };
        let is_doubtful = high - low > WIDE;
        Self { estimate, low, high, methods: vec![method], is_doubtful, doubtful: Vec::new() }
    }
}

/// Classes whose certain predictions contradict the noise model.
fn doubtful(model: &NoiseModel, certain: &Certain) -> Vec<u32> {
    let is_doubtful = |&class: &usize| {
        let [low, high] = certain.interval_of(class);
        let wrong = 1.0 - model.transition[class][class];
        wrong < low - CONTRADICTION_OF_CLASS || wrong > high + CONTRADICTION_OF_CLASS
    };
    (0..certain.certain.len()).filter(is_doubtful).map(|class| class as u32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::made::{made, pair, symmetric};
    use crate::samples::{Arrays, Samples};

    fn model(transition: &[Vec<f64>]) -> NoiseModel {
        let (given, probabilities) = made(5000, transition);
        let num_classes = transition.len();
        let arrays = Arrays {
            num_classes,
            given: &given,
            probabilities: &probabilities,
            ..Arrays::default()
        };
        NoiseModel::fit(&Samples::new(arrays).unwrap())
    }

    fn said<'a>(model: &'a NoiseModel, certain: &'a Certain) -> Said<'a> {
        Said {
            num_samples: 5000,
            model,
            certain,
            by_neighbors: None,
            confident_joint: 0.3,
            margins: None,
            checked: None,
        }
    }

    #[test]
    fn where_methods_agree_there_is_no_doubt() {
        let model = model(&pair(4, 0.3));
        let certain = Certain { certain: vec![125; 4], contradicted: vec![38; 4] };
        let rate = NoiseRate::of(&said(&model, &certain));
        assert!((rate.estimate - 0.3).abs() < 0.03 && !rate.is_doubtful, "{rate:?}");
        assert!(rate.low < 0.29 && rate.high > 0.31 && rate.doubtful.is_empty());
        assert!(rate.methods.iter().all(|method| method.agrees), "{:?}", rate.methods);
    }

    #[test]
    fn a_contradiction_is_said_with_its_classes_and_in_the_interval() {
        let model = model(&symmetric(4, 0.2));
        let certain = Certain { certain: vec![125; 4], contradicted: vec![5, 5, 5, 85] };
        let rate = NoiseRate::of(&said(&model, &certain));
        assert!(rate.doubtful.contains(&3), "{rate:?}");
        let none = Certain { certain: vec![125; 4], contradicted: vec![5; 4] };
        let rate = NoiseRate::of(&said(&model, &none));
        assert!(rate.is_doubtful && rate.low <= 0.04 && rate.high >= model.rate, "{rate:?}");
        assert!((rate.estimate - 0.5 * (model.rate + 0.04)).abs() < 1e-9);
    }

    #[test]
    fn checked_labels_decide_where_they_know_more_or_contradict() {
        let model = model(&symmetric(4, 0.2));
        let certain = Certain { certain: vec![125; 4], contradicted: vec![5; 4] };
        let by = |estimate: f64, reach: f64| {
            let interval = [estimate - reach, estimate + reach];
            let checked = Some(Checked { estimate, interval, count: 100 });
            let rate = NoiseRate::of(&Said { checked, ..said(&model, &certain) });
            (rate.estimate, rate.is_doubtful)
        };
        assert_eq!(by(0.1, 0.01), (0.1, false));
        // Wide, but the model's 20 % are not in it; and so wide that it says nothing.
        assert_eq!(by(0.4, 0.15), (0.4, true));
        assert!((by(0.2, 0.3).0 - model.rate).abs() < 0.1);
    }
}
