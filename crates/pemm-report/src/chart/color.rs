//! Colours by meaning, each with a light and a dark form.
//!
//! Inside a page a colour is a CSS variable, `var(--ink)`, so that one picture serves both themes.
//! A file of its own gets the light values and, for browsers that prefer dark, rules that replace
//! them; programs that know no CSS variables (Inkscape, LaTeX) show it as well.
//!
//! The first ten series colours were searched for by a program: in each theme every two of them
//! differ by ΔE 11 or more (OKLab × 100) for normal vision and by 9 or more under simulated
//! protanopia and deuteranopia (Machado et al. 2009), and each has a contrast of 3 : 1 or more with
//! the surface. More than ten cannot be told apart by colour alone: names stand in the picture.

use std::fmt;

/// A colour by its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Color {
    /// Text and axes.
    Ink,
    /// Text that matters less; contrast of 4.5 : 1 or more.
    Muted,
    /// Grid lines.
    Grid,
    /// The background.
    Surface,
    /// Full strength of a heat map; weaker values let the surface shine through.
    Heat,
    /// Text on a weak cell of a heat map.
    OnWeak,
    /// Text on a strong cell of a heat map.
    OnStrong,
    /// A series or a class, by number; the same number is the same colour everywhere.
    Series(usize),
}

/// Every colour that is not one of the series.
const PLAIN: [Color; 7] = [
    Color::Ink,
    Color::Muted,
    Color::Grid,
    Color::Surface,
    Color::Heat,
    Color::OnWeak,
    Color::OnStrong,
];

/// Share of [`Color::Heat`] from which [`Color::OnStrong`] is the readable text: black and white
/// have the same contrast there, in both themes.
pub const STRONG: f64 = 0.7;

/// The first series colours, light and dark.
const SERIES: [[&str; 2]; 10] = [
    ["#718bfb", "#709dff"],
    ["#ca8300", "#ffbe24"],
    ["#930809", "#bf430a"],
    ["#00a2ad", "#79cadd"],
    ["#5c2c9b", "#8e50bc"],
    ["#d16b74", "#ff968f"],
    ["#335451", "#6f7372"],
    ["#9c5189", "#c776b7"],
    ["#996301", "#ca9111"],
    ["#127ec3", "#e2e9f1"],
];

impl Color {
    /// Name of the CSS variable, without the dashes.
    pub fn name(self) -> String {
        match self {
            Self::Ink => "ink".into(),
            Self::Muted => "muted".into(),
            Self::Grid => "grid".into(),
            Self::Surface => "surface".into(),
            Self::Heat => "heat".into(),
            Self::OnWeak => "on-weak".into(),
            Self::OnStrong => "on-strong".into(),
            Self::Series(number) => format!("c{number}"),
        }
    }

    /// The light and the dark form as `#rrggbb`.
    pub fn forms(self) -> [String; 2] {
        match self {
            Self::Ink => ["#16181d", "#e9ebf0"].map(String::from),
            Self::Muted => ["#565b66", "#a3a9b6"].map(String::from),
            Self::Grid => ["#e3e5ea", "#30343d"].map(String::from),
            Self::Surface => ["#ffffff", "#14171c"].map(String::from),
            Self::Heat => ["#083c82", "#5aa0e6"].map(String::from),
            Self::OnWeak => ["#000000", "#fffffe"].map(String::from),
            Self::OnStrong => ["#fffffd", "#000001"].map(String::from),
            Self::Series(number) => match SERIES.get(number) {
                Some(forms) => forms.map(String::from),
                None => [generated(number, 0.58), generated(number, 0.78)],
            },
        }
    }

    /// The colour of this CSS variable.
    pub fn named(name: &str) -> Option<Self> {
        PLAIN.into_iter().find(|color| color.name() == name).or_else(|| {
            name.strip_prefix('c').and_then(|number| number.parse().ok()).map(Self::Series)
        })
    }

    /// CSS declarations of every colour with `num_series` series, of one theme (0 light, 1 dark).
    pub fn declarations(num_series: usize, theme: usize) -> String {
        let series = (0..num_series.max(SERIES.len())).map(Self::Series);
        PLAIN
            .into_iter()
            .chain(series)
            .map(|color| format!("--{}:{};", color.name(), color.forms()[theme]))
            .collect()
    }
}

/// The CSS value.
impl fmt::Display for Color {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        write!(formatter, "var(--{})", self.name())
    }
}

/// Series beyond the chosen ones: hues by the golden angle, so that neighbours lie far apart, and
/// lightness in three steps around `lightness` (OKLCH).
fn generated(number: usize, lightness: f64) -> String {
    let hue = (number as f64 * 137.507_764).rem_euclid(360.0).to_radians();
    let lightness = lightness + [0.0, -0.1, 0.06][number % 3];
    let chroma = 0.13;
    oklab_hex(lightness, chroma * hue.cos(), chroma * hue.sin())
}

/// OKLab to sRGB, clipped to what a screen can show (Ottosson 2020).
fn oklab_hex(lightness: f64, a: f64, b: f64) -> String {
    let long = (lightness + 0.396_337_777_4 * a + 0.215_803_757_3 * b).powi(3);
    let medium = (lightness - 0.105_561_345_8 * a - 0.063_854_172_8 * b).powi(3);
    let short = (lightness - 0.089_484_177_5 * a - 1.291_485_548 * b).powi(3);
    let linear = [
        4.076_741_662_1 * long - 3.307_711_591_3 * medium + 0.230_969_929_2 * short,
        -1.268_438_004_6 * long + 2.609_757_401_1 * medium - 0.341_319_396_5 * short,
        -0.004_196_086_3 * long - 0.703_418_614_7 * medium + 1.707_614_701 * short,
    ];
    let encoded = linear.map(|x| {
        let x = x.clamp(0.0, 1.0);
        let x = if x <= 0.003_130_8 { 12.92 * x } else { 1.055 * x.powf(1.0 / 2.4) - 0.055 };
        (255.0 * x).round() as u8
    });
    format!("#{:02x}{:02x}{:02x}", encoded[0], encoded[1], encoded[2])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn luminance(hex: &str) -> f64 {
        let [red, green, blue] = linear(hex);
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }

    fn contrast(a: &str, b: &str) -> f64 {
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn text_has_aa_contrast_and_series_three_to_one_in_both_themes() {
        for theme in [0, 1] {
            let surface = &Color::Surface.forms()[theme];
            for color in [Color::Ink, Color::Muted] {
                assert!(contrast(&color.forms()[theme], surface) >= 4.5, "{color}");
            }
            for color in (0..300).map(Color::Series).chain([Color::Heat]) {
                let ratio = contrast(&color.forms()[theme], surface);
                assert!(ratio >= 3.0, "{color} {theme}: {ratio}");
            }
        }
    }

    fn linear(hex: &str) -> [f64; 3] {
        [1, 3, 5].map(|at| {
            let x = f64::from(u8::from_str_radix(&hex[at..at + 2], 16).unwrap()) / 255.0;
            if x <= 0.040_45 { x / 12.92 } else { ((x + 0.055) / 1.055).powf(2.4) }
        })
    }

    fn times(matrix: [[f64; 3]; 3], vector: [f64; 3]) -> [f64; 3] {
        matrix.map(|row| row.iter().zip(vector).map(|(a, b)| a * b).sum())
    }

    fn oklab(linear: [f64; 3]) -> [f64; 3] {
        let cones = times(
            [
                [0.412_221_470_8, 0.536_332_536_3, 0.051_445_992_9],
                [0.211_903_498_2, 0.680_699_545_1, 0.107_396_956_6],
                [0.088_302_461_9, 0.281_718_837_6, 0.629_978_700_5],
            ],
            linear,
        );
        times(
            [
                [0.210_454_255_3, 0.793_617_785, -0.004_072_046_8],
                [1.977_998_495_1, -2.428_592_205, 0.450_593_709_9],
                [0.025_904_037_1, 0.782_771_766_2, -0.808_675_766],
            ],
            cones.map(f64::cbrt),
        )
    }

    #[test]
    fn series_can_be_told_apart_with_every_common_vision() {
        let normal = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
        let protanopia = [
            [0.152_286, 1.052_583, -0.204_868],
            [0.114_503, 0.786_281, 0.099_216],
            [-0.003_882, -0.048_116, 1.051_998],
        ];
        let deuteranopia = [
            [0.367_322, 0.860_646, -0.227_968],
            [0.280_085, 0.672_501, 0.047_413],
            [-0.011_820, 0.042_940, 0.968_881],
        ];
        for (theme, (vision, least)) in [(normal, 11.0), (protanopia, 9.0), (deuteranopia, 9.0)]
            .into_iter()
            .flat_map(|case| [(0, case), (1, case)])
        {
            let seen = |hex: &str| {
                oklab(times(vision, linear(hex)).map(|x| x.clamp(0.0, 1.0))).map(|x| 100.0 * x)
            };
            for (i, first) in SERIES.iter().enumerate() {
                for second in &SERIES[i + 1..] {
                    let (a, b) = (seen(first[theme]), seen(second[theme]));
                    let apart = a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
                    assert!(apart >= least, "{first:?} {second:?} {theme}: {apart}");
                }
            }
        }
    }

    #[test]
    fn text_on_any_cell_of_a_heat_map_is_readable() {
        for theme in [0, 1] {
            let byte =
                |hex: &str, at: usize| f64::from(u8::from_str_radix(&hex[at..at + 2], 16).unwrap());
            let (surface, heat) = (&Color::Surface.forms()[theme], &Color::Heat.forms()[theme]);
            for step in 0..=100 {
                let share = f64::from(step) / 100.0;
                let mix = |at| (byte(surface, at) * (1.0 - share) + byte(heat, at) * share) as u8;
                let cell = format!("#{:02x}{:02x}{:02x}", mix(1), mix(3), mix(5));
                let text = if share >= STRONG { Color::OnStrong } else { Color::OnWeak };
                let ratio = contrast(&text.forms()[theme], &cell);
                assert!(ratio >= 4.4, "theme {theme}, {share}: {ratio}");
            }
        }
    }

    #[test]
    fn names_lead_back_and_light_forms_are_unique() {
        let mut seen = std::collections::BTreeMap::new();
        for color in [Color::Ink, Color::Muted, Color::Grid, Color::Surface, Color::Heat]
            .into_iter()
            .chain([Color::OnWeak, Color::OnStrong])
            .chain((0..30).map(Color::Series))
        {
            assert_eq!(Color::named(&color.name()), Some(color));
            let [light, _] = color.forms();
            assert_eq!(light.len(), 7);
            assert!(seen.insert(light, color).is_none(), "{color}");
        }
        assert_eq!(Color::named("cat"), None);
    }
}
