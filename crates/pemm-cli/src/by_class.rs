//! How well a model does class by class, as lines of text.

use pemm_data::score::ClassScore;
use pemm_runs::PartScores;

/// Of more classes than this only the worst are shown.
const SHOWN: usize = 20;
/// So many of them.
const WORST: usize = 10;

/// What stands above the classes: the share that is right of how many, its mean over the classes, and
/// what one would get without looking at the samples.
pub(crate) fn headline(scores: &PartScores, classes: &[String]) -> String {
    let name =
        scores.largest_class().and_then(|class| classes.get(class)).map_or("", String::as_str);
    let top5 = scores.top5.map_or(String::new(), |top5| {
        format!("among the five most probable classes: {}; ", percent(top5))
    });
    format!(
        "{} of {} ({top5}average over the classes: {}; always saying {name:?}: {})",
        percent(scores.accuracy),
        scores.num_samples,
        percent(scores.balanced_accuracy),
        percent(scores.majority)
    )
}

/// A row per class that has samples or was predicted; the worst of them where they are many.
pub(crate) fn rows(scores: &PartScores, classes: &[String]) -> Vec<String> {
    let is_there = |class: &ClassScore| class.num_samples > 0 || class.precision.is_some();
    // A file may tell of other classes than there are.
    let known = classes.len().min(scores.classes.len());
    let mut there: Vec<usize> = (0..known).filter(|&k| is_there(&scores.classes[k])).collect();
    let num = there.len();
    if num > SHOWN {
        let f1 = |k: usize| scores.classes[k].f1.unwrap_or(0.0);
        there.sort_by(|&a, &b| f1(a).total_cmp(&f1(b)).then(a.cmp(&b)));
        there.truncate(WORST);
    }
    let name = |k: usize| pemm_data::shown(&classes[k]).into_owned();
    let width = there.iter().map(|&k| name(k).chars().count()).max().unwrap_or(0).clamp(5, 40);
    let mut lines =
        vec![format!("  {:<width$}  samples  recognised  right when predicted", "class")];
    for &k in &there {
        let ClassScore { num_samples, recall, precision, .. } = scores.classes[k];
        let [recall, precision] = [recall, precision].map(|rate| rate.map_or("–".into(), percent));
        lines.push(format!(
            "  {:<width$}  {num_samples:>7}  {recall:>10}  {precision:>20}",
            name(k)
        ));
    }
    if num > there.len() {
        lines.push(format!("  … and {} classes that do better", num - there.len()));
    }
    lines
}

fn percent(value: f64) -> String {
    format!("{:.2} %", 100.0 * value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pemm_data::Score;

    /// Animals, food and vehicles: 8, 1 and 1 images, and all are said to be animals.
    #[test]
    fn a_model_that_names_the_largest_class_is_seen_to_do_so() {
        let classes = ["animals", "food", "vehicles"].map(String::from);
        let labels = [0, 0, 0, 0, 0, 0, 0, 0, 1, 2];
        let said = [1.0, 0.0, 0.0].repeat(labels.len());
        let scores = PartScores::from(&Score::of(3, &labels, &said));
        assert_eq!(
            headline(&scores, &classes),
            "80.00 % of 10 (average over the classes: 33.33 %; always saying \"animals\": 80.00 %)"
        );
        let rows = rows(&scores, &classes);
        assert_eq!(rows[1], "  animals         8    100.00 %               80.00 %");
        assert_eq!(rows[2], "  food            1      0.00 %                     –");
    }

    #[test]
    fn of_many_classes_the_worst_are_shown() {
        let classes: Vec<String> = (0..30).map(|k| format!("c{k}")).collect();
        let labels: Vec<u32> = (0..30).collect();
        // All are right but for class 7.
        let said: Vec<f32> = (0..30u32)
            .flat_map(|k| {
                let class = if k == 7 { 8 } else { k };
                (0..30).map(move |j| f32::from(u8::from(j == class)))
            })
            .collect();
        let scores = PartScores::from(&Score::of(30, &labels, &said));
        let rows = rows(&scores, &classes);
        assert!(rows[1].starts_with("  c7 ") && rows[2].starts_with("  c8 "), "{rows:?}");
        assert_eq!(rows.len(), 1 + WORST + 1);
        assert!(headline(&scores, &classes).contains("five most probable"));
    }
}
