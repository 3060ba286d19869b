//! What an axis shows; round ticks; values to places.

/// An axis: its name with the unit, its range, its form.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    pub(crate) title: String,
    low: Option<f64>,
    high: Option<f64>,
    is_log: bool,
    pub(crate) whole: bool,
}

impl Axis {
    /// An axis whose range follows from the data; `title` has the unit, "accuracy, %".
    pub fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), low: None, high: None, is_log: false, whole: false }
    }

    /// A fixed range. What lies outside is cut off.
    pub fn range(mut self, low: f64, high: f64) -> Self {
        (self.low, self.high) = (Some(low), Some(high));
        self
    }

    /// The range begins at `low`.
    pub fn from(mut self, low: f64) -> Self {
        self.low = Some(low);
        self
    }

    /// Logarithmic; values of 0 or less are not drawn.
    pub fn log(mut self) -> Self {
        self.is_log = true;
        self
    }

    /// Ticks at whole numbers only, for epochs and counts.
    pub fn whole(mut self) -> Self {
        self.whole = true;
        self
    }

    /// Whether `value` has a place at all.
    pub(crate) fn shows(&self, value: f64) -> bool {
        value.is_finite() && (!self.is_log || value > 0.0)
    }

    /// The scale for `values` between the places `start` and `end`.
    pub(crate) fn scale(&self, values: impl Iterator<Item = f64>, start: f64, end: f64) -> Scale {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values.filter(|value| self.shows(*value)) {
            (low, high) = (low.min(value), high.max(value));
        }
        if low > high {
            (low, high) = if self.is_log { (0.1, 1.0) } else { (0.0, 1.0) };
        }
        if low == high {
            (low, high) = if self.is_log {
                (low / 3.0, high * 3.0)
            } else if self.whole {
                (low - 1.0, high + 1.0)
            } else {
                let margin = if low == 0.0 { 1.0 } else { low.abs() * 0.1 };
                (low - margin, high + margin)
            };
        } else if self.is_log {
            let margin = (high / low).powf(0.04);
            (low, high) = (low / margin, high * margin);
        } else if !self.whole {
            let margin = 0.04 * (high - low);
            (low, high) = (low - margin, high + margin);
        }
        let fixed = |value: Option<f64>| value.filter(|value| self.shows(*value));
        let (low, high) = (fixed(self.low).unwrap_or(low), fixed(self.high).unwrap_or(high));
        let high = if high > low { high } else { low + low.abs().max(1.0) };
        Scale { low, high, start, end, is_log: self.is_log, whole: self.whole }
    }
}

/// Values to places.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale {
    /// Smallest value shown.
    pub low: f64,
    /// Largest value shown.
    pub high: f64,
    start: f64,
    end: f64,
    is_log: bool,
    whole: bool,
}

impl Scale {
    /// The place of `value`, beyond the ends too, but never so far that a program which draws it
    /// loses count.
    pub fn place(&self, value: f64) -> f64 {
        let share = if self.is_log {
            (value / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        self.start + share.clamp(-20.0, 20.0) * (self.end - self.start)
    }

    /// Whether `value` lies within the range.
    pub fn holds(&self, value: f64) -> bool {
        let slack = 1e-9 * (self.high - self.low);
        value >= self.low - slack && value <= self.high + slack
    }

    /// Round values within the range, about one per `gap` places, with their labels.
    pub fn ticks(&self, gap: f64) -> Vec<(f64, String)> {
        let most = ((self.end - self.start).abs() / gap).floor().max(2.0);
        if self.is_log {
            let decades = self.log_ticks(most);
            if decades.len() >= 2 {
                return decades;
            }
        }
        let rough = (self.high - self.low) / most;
        let step = round_up(rough, self.whole);
        let first = (self.low / step - 1e-9).ceil();
        let last = (self.high / step + 1e-9).floor();
        let decimals = decimals(step);
        (0..=((last - first).max(0.0) as usize))
            .map(|i| (first + i as f64) * step)
            .map(|value| (value, label(value, decimals)))
            .collect()
    }

    /// Powers of ten, and 2 and 5 times those where there is room.
    fn log_ticks(&self, most: f64) -> Vec<(f64, String)> {
        let (first, last) = (self.low.log10().floor() as i32, self.high.log10().ceil() as i32);
        let every = ((f64::from(last - first) / most).ceil() as i32).max(1);
        let factors: &[f64] =
            if f64::from(last - first) * 3.0 <= most { &[1.0, 2.0, 5.0] } else { &[1.0] };
        (first..=last)
            .filter(|power| power.rem_euclid(every) == 0)
            .flat_map(|power| factors.iter().map(move |factor| factor * 10f64.powi(power)))
            .filter(|value| self.holds(*value))
            .map(|value| (value, number(value)))
            .collect()
    }
}

/// 1, 2 or 5 times a power of ten, at least `rough`.
fn round_up(rough: f64, whole: bool) -> f64 {
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power);
    let step = step.into_iter().find(|step| *step >= rough * (1.0 - 1e-9)).unwrap_or(10.0 * power);
    if whole { step.max(1.0).round() } else { step }
}

fn decimals(step: f64) -> usize {
    (-step.log10() - 1e-9).ceil().clamp(0.0, 12.0) as usize
}

fn label(value: f64, decimals: usize) -> String {
    if value.abs() >= 1e6 || (decimals > 5) {
        return number(value);
    }
    let value = if value.abs() < 1e-12 { 0.0 } else { value };
    minus(format!("{value:.decimals$}"))
}

/// A number for people: four significant digits, no tail of zeros.
pub fn number(value: f64) -> String {
    if !value.is_finite() {
        return value.to_string();
    }
    let size = value.abs();
    let text = if size != 0.0 && !(1e-4..1e7).contains(&size) {
        let text = format!("{value:.3e}");
        let (digits, power) = text.split_once('e').expect("the form has a power");
        format!("{}e{power}", trim(digits))
    } else {
        let digits = if size == 0.0 { 0.0 } else { size.log10().floor() };
        let decimals = (3.0 - digits).clamp(0.0, 8.0) as usize;
        trim(&format!("{value:.decimals$}")).to_owned()
    };
    minus(text)
}

fn trim(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

/// The sign that is as long as a plus.
fn minus(text: String) -> String {
    text.replace('-', "−")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: Axis, values: &[f64], length: f64, gap: f64) -> Vec<String> {
        let scale = axis.scale(values.iter().copied(), 0.0, length);
        scale.ticks(gap).into_iter().map(|(_, label)| label).collect()
    }

    #[test]
    fn ticks_are_round_and_few() {
        let epochs = Axis::new("epoch").whole();
        assert_eq!(labels(epochs.clone(), &[1.0, 3.0], 300.0, 50.0), ["1", "2", "3"]);
        let many = labels(epochs, &[1.0, 200.0], 300.0, 50.0);
        assert_eq!(many, ["50", "100", "150", "200"]);
        let accuracy = Axis::new("accuracy, %").range(0.0, 100.0);
        assert_eq!(labels(accuracy, &[], 200.0, 40.0), ["0", "20", "40", "60", "80", "100"]);
        let negative = labels(Axis::new("energy"), &[-65.1838, -65.1837], 200.0, 40.0);
        assert!((2..=6).contains(&negative.len()), "{negative:?}");
        let rates = Axis::new("learning rate").log();
        assert_eq!(labels(rates, &[1e-4, 1e-1], 200.0, 40.0), ["0.0001", "0.001", "0.01", "0.1"]);
    }

    #[test]
    fn what_cannot_be_drawn_does_not_spoil_the_range() {
        let values = [f64::NAN, 1.0, f64::INFINITY, 2.0, f64::NEG_INFINITY];
        let scale = Axis::new("x").scale(values.into_iter(), 0.0, 100.0);
        assert!(scale.low < 1.0 && scale.high > 2.0 && scale.high < 3.0);
        for values in [&[][..], &[f64::NAN], &[5.0], &[0.0], &[-1e300, 1e300], &[1e-300]] {
            for axis in [Axis::new("x"), Axis::new("x").log(), Axis::new("x").whole()] {
                let scale = axis.scale(values.iter().copied(), 0.0, 100.0);
                assert!(scale.low < scale.high, "{values:?} {scale:?}");
                assert!(scale.place(5.0).is_finite() || scale.is_log);
                assert!(scale.ticks(20.0).len() < 100);
            }
        }
    }

    #[test]
    fn numbers_are_short() {
        let all = [0.0, 1.0, 0.123456, 62.348, -65.18378, 12345.6, 1e-7, 2.5e9].map(number);
        assert_eq!(all, ["0", "1", "0.1235", "62.35", "−65.18", "12346", "1e−7", "2.5e9"]);
    }
}
